//! The hub's request as a call of an OpenAI-shaped provider.

use bytes::{BufMut, BytesMut};

use super::message;
use crate::{
    dialect::{anthropic::SAVINGS, body::Body, foreign, json, sieve::Sieve},
    exchange::CannotAsk,
    matrix::Dialect,
    op::chat::{
        Form, Format, Function, MaxTokens, Reasoning, Request, Schema, Thinking, Tool, ToolChoice,
    },
    target::Target,
};

/// Most letters of `user`: "Expected a string with maximum length 64".
const MAX_USER: usize = 64;

pub(super) fn write(
    ask: &Request,
    to: &Target,
    dropped: &mut Vec<String>,
) -> Result<bytes::Bytes, CannotAsk> {
    let mut sieve = Sieve::new(to, dropped);
    let mut body = Body::default();
    body.text("model", &to.model);
    let mut messages = BytesMut::new();
    message::write_all(ask, &mut sieve, &mut messages)?;
    body.put("messages", |out| *out = messages);
    if ask.stream {
        body.flag("stream", true);
        // Usage is always asked for: it is what the answer is billed by.
        body.put("stream_options", |out| out.put_slice(br#"{"include_usage":true}"#));
    }
    match ask.max_tokens {
        Some(MaxTokens::Plain(tokens)) => body.integer("max_tokens", tokens),
        Some(MaxTokens::Completion(tokens)) => body.integer("max_completion_tokens", tokens),
        None => {}
    }
    sampling(ask, &mut sieve, &mut body)?;
    tools(ask, &mut sieve, &mut body)?;
    format(ask, &mut sieve, &mut body)?;
    if let Some(effort) = effort(&ask.reasoning) {
        body.text("reasoning_effort", effort);
    }
    rest(ask, &mut sieve, &mut body)?;
    Ok(body.finish(to))
}

fn sampling(ask: &Request, sieve: &mut Sieve<'_>, body: &mut Body) -> Result<(), CannotAsk> {
    let sampling = &ask.sampling;
    body.number("temperature", sampling.temperature.as_ref());
    body.number("top_p", sampling.top_p.as_ref());
    if sampling.top_k.is_some() && ask.surface != Dialect::Openai {
        sieve.refuse("top_k", "openai's chat completions have no such parameter")?;
    } else {
        body.number("top_k", sampling.top_k.as_ref());
    }
    body.number("seed", sampling.seed.as_ref());
    body.number("n", sampling.n.as_ref());
    body.number("frequency_penalty", sampling.frequency_penalty.as_ref());
    body.number("presence_penalty", sampling.presence_penalty.as_ref());
    if let Some(logprobs) = sampling.logprobs {
        body.flag("logprobs", logprobs);
    }
    body.number("top_logprobs", sampling.top_logprobs.as_ref());
    if let Some(bias) = &sampling.logit_bias {
        body.raw("logit_bias", bias);
    }
    if let Some(stop) = &ask.stop {
        body.put("stop", |out| match (stop.form, stop.texts.as_slice()) {
            (Form::Bare, [text]) => json::string(out, text),
            (Form::Bare | Form::List, texts) => json::list(out, |list| {
                for text in texts {
                    json::string(list.item(), text);
                }
            }),
        });
    }
    Ok(())
}

fn tools(ask: &Request, sieve: &mut Sieve<'_>, body: &mut Body) -> Result<(), CannotAsk> {
    let native = ask.surface == Dialect::Openai;
    let mut functions = Vec::new();
    for (index, tool) in ask.tools.iter().enumerate() {
        if let Tool::Other { dialect, kind, .. } = tool
            && *dialect != Dialect::Openai
            && !native
        {
            let why = format!("`{kind}` is a tool of {} alone", dialect.name());
            sieve.refuse(&format!("tools[{index}]"), &why)?;
            continue;
        }
        if let Tool::Function(function) = tool
            && !native
        {
            if function.cache.is_some() {
                sieve.hint("cache_control");
            }
            for (name, _) in function.extra.iter().filter(|(name, _)| **name != *"type") {
                sieve.hint(&format!("tools[].{name}"));
            }
        }
        functions.push(tool);
    }
    if !functions.is_empty() {
        body.put("tools", |out| {
            json::list(out, |list| functions.into_iter().for_each(|t| write_tool(list, t, native)));
        });
    }
    if let Some(choice) = &ask.tool_choice {
        tool_choice(choice, sieve, body)?;
    }
    if let Some(parallel) = ask.parallel_tools {
        body.flag("parallel_tool_calls", parallel);
    }
    Ok(())
}

fn write_tool(list: &mut json::List<'_>, tool: &Tool, native: bool) {
    match tool {
        Tool::Function(function) => list.object(|o| {
            o.text("type", "function");
            o.object("function", |o| write_function(o, function));
            if native {
                super::part::write_cache(o, function.cache.as_ref());
                o.extra(&function.extra);
            }
        }),
        Tool::Other { raw, .. } => list.raw(raw.get()),
    }
}

fn write_function(o: &mut json::Object<'_>, function: &Function) {
    o.text("name", &function.name);
    o.some_text("description", function.description.as_deref());
    if let Some(parameters) = &function.parameters {
        o.raw("parameters", parameters.get());
    }
    if let Some(strict) = function.strict {
        o.flag("strict", strict);
    }
}

fn tool_choice(
    choice: &ToolChoice,
    sieve: &mut Sieve<'_>,
    body: &mut Body,
) -> Result<(), CannotAsk> {
    match choice {
        ToolChoice::Auto => body.text("tool_choice", "auto"),
        ToolChoice::None => body.text("tool_choice", "none"),
        ToolChoice::Required => body.text("tool_choice", "required"),
        ToolChoice::Named(name) => body.put("tool_choice", |out| {
            json::object(out, |o| {
                o.text("type", "function");
                o.object("function", |o| o.text("name", name));
            });
        }),
        ToolChoice::Other { dialect: Dialect::Openai, raw } => body.raw("tool_choice", raw),
        ToolChoice::Other { .. } => {
            sieve.refuse("tool_choice", "openai has no such choice")?;
        }
    }
    Ok(())
}

fn format(ask: &Request, sieve: &mut Sieve<'_>, body: &mut Body) -> Result<(), CannotAsk> {
    let simple = |body: &mut Body, kind: &str| {
        body.put("response_format", |out| json::object(out, |o| o.text("type", kind)));
    };
    match &ask.format {
        None => {}
        Some(Format::Text) => simple(body, "text"),
        Some(Format::JsonObject) => simple(body, "json_object"),
        Some(Format::JsonSchema(schema)) => body.put("response_format", |out| {
            json::object(out, |o| {
                o.text("type", "json_schema");
                o.object("json_schema", |o| write_schema(o, schema, ask.surface));
            });
        }),
        Some(Format::Other { dialect: Dialect::Openai, raw }) => body.raw("response_format", raw),
        Some(Format::Other { dialect, .. }) => {
            let field = match dialect {
                Dialect::Anthropic => "output_config.format",
                _ => "response_format",
            };
            sieve.refuse(field, "openai has no such format")?;
        }
    }
    Ok(())
}

/// OpenAI wants a name, and holds the answer to the schema only when `strict` says so; others have
/// no name and always do.
fn write_schema(o: &mut json::Object<'_>, schema: &Schema, surface: Dialect) {
    let given = |name: Option<&str>| match surface {
        Dialect::Openai | Dialect::Responses => name.map(ToOwned::to_owned),
        _ => Some(name.unwrap_or("answer").to_owned()),
    };
    o.some_text("name", given(schema.name.as_deref()).as_deref());
    o.some_text("description", schema.description.as_deref());
    if let Some(raw) = &schema.schema {
        o.raw("schema", raw.get());
    }
    let strict = match surface {
        Dialect::Openai | Dialect::Responses => schema.strict,
        _ => Some(true),
    };
    if let Some(strict) = strict {
        o.flag("strict", strict);
    }
}

/// The effort that the client named, or the one whose budget on Anthropic's side
/// (1,024, 2,048 and 4,096 tokens) the asked-for budget reaches.
pub(in crate::dialect) fn effort(reasoning: &Reasoning) -> Option<&str> {
    match (reasoning.effort.as_deref(), reasoning.thinking) {
        // Anthropic's strongest word; OpenAI's models differ in what they have above `high`.
        (Some("max"), Some(Thinking::Enabled { .. } | Thinking::Adaptive)) => Some("high"),
        (_, Some(Thinking::Disabled)) => None,
        (Some(effort), _) => Some(effort),
        (None, Some(Thinking::Enabled { budget })) => Some(match budget {
            0..2048 => "low",
            2048..4096 => "medium",
            4096.. => "high",
        }),
        (None, Some(Thinking::Adaptive) | None) => None,
    }
}

/// The user, as the client names it. What Claude Code sends as Anthropic's `metadata.user_id` is
/// longer than OpenAI takes, and nobody there knows it: it is left out.
pub(in crate::dialect) fn user<'a>(ask: &'a Request, sieve: &mut Sieve<'_>) -> Option<&'a str> {
    let user = ask.user.as_deref()?;
    if ask.surface == Dialect::Anthropic && user.chars().count() > MAX_USER {
        sieve.hint("user");
        return None;
    }
    Some(user)
}

fn rest(ask: &Request, sieve: &mut Sieve<'_>, body: &mut Body) -> Result<(), CannotAsk> {
    if let Some(user) = user(ask, sieve) {
        body.text("user", user);
    }
    if let Some(tier) = &ask.service_tier {
        match (ask.surface, tier.as_str()) {
            (Dialect::Anthropic, "standard_only") => body.text("service_tier", "default"),
            (_, tier) => body.text("service_tier", tier),
        }
    }
    if !ask.metadata.is_empty() {
        match ask.surface {
            Dialect::Openai | Dialect::Responses => body.put("metadata", |out| {
                json::object(out, |o| o.extra(&ask.metadata));
            }),
            // OpenAI takes metadata only of answers that it stores.
            _ => sieve.hint("metadata"),
        }
    }
    // Of completions and of responses there is only what chat completions have, too.
    let like = matches!(ask.surface, Dialect::Openai | Dialect::Completions);
    foreign::output(ask, sieve)?;
    let fields = match like {
        true => ask.extra.iter().collect(),
        false => foreign::fields(ask, &[], sieve)?,
    };
    for (name, raw) in fields {
        if SAVINGS.contains(&&**name) && ask.surface != Dialect::Openai {
            sieve.hint(name);
        } else if !body.has(name) {
            body.raw(name, raw);
        } else if !like {
            sieve.refuse(name, "it would contradict another parameter")?;
        }
    }
    Ok(())
}
