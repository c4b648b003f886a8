//! The hub's request as a call of Cohere.

use bytes::{Bytes, BytesMut};
use serde_json::value::RawValue;

use super::message;
use crate::{
    dialect::{
        anthropic::SAVINGS,
        body::Body,
        fields::{At, Fields, is_string},
        foreign, json,
        sieve::Sieve,
    },
    exchange::CannotAsk,
    matrix::Dialect,
    op::chat::{Format, Function, Request, Thinking, Tool, ToolChoice},
    target::Target,
};

pub(super) fn write(
    ask: &Request,
    to: &Target,
    dropped: &mut Vec<String>,
) -> Result<Bytes, CannotAsk> {
    let mut sieve = Sieve::new(to, dropped);
    let mut body = Body::default();
    body.text("model", &to.model);
    let mut messages = BytesMut::new();
    message::write_all(ask, &mut sieve, &mut messages)?;
    body.put("messages", |out| *out = messages);
    if ask.stream {
        body.flag("stream", true);
    }
    if let Some(limit) = ask.max_tokens {
        body.integer("max_tokens", limit.get());
    }
    sampling(ask, &mut sieve, &mut body)?;
    tools(ask, &mut sieve, &mut body)?;
    format(ask, &mut sieve, &mut body)?;
    thinking(ask, &mut sieve, &mut body)?;
    rest(ask, &mut sieve, &mut body)?;
    for (name, value) in &to.defaults {
        let (name, value) = renamed(name, value);
        body.fill(name, value);
    }
    Ok(body.patched(to))
}

/// A default of the configuration, which speaks OpenAI, in Cohere's words.
fn renamed<'n>(name: &'n str, value: &Bytes) -> (&'n str, Bytes) {
    match name {
        "top_p" => ("p", value.clone()),
        "top_k" => ("k", value.clone()),
        "max_completion_tokens" => ("max_tokens", value.clone()),
        "stop" if value.starts_with(b"\"") => {
            ("stop_sequences", [b"[", value.as_ref(), b"]"].concat().into())
        }
        "stop" => ("stop_sequences", value.clone()),
        name => (name, value.clone()),
    }
}

fn sampling(ask: &Request, sieve: &mut Sieve<'_>, body: &mut Body) -> Result<(), CannotAsk> {
    let sampling = &ask.sampling;
    body.number("temperature", sampling.temperature.as_ref());
    body.number("p", sampling.top_p.as_ref());
    body.number("k", sampling.top_k.as_ref());
    body.number("seed", sampling.seed.as_ref());
    body.number("frequency_penalty", sampling.frequency_penalty.as_ref());
    body.number("presence_penalty", sampling.presence_penalty.as_ref());
    if let Some(logprobs) = sampling.logprobs {
        body.flag("logprobs", logprobs);
    }
    let some = |number: &Option<serde_json::Number>, plain| {
        number.as_ref().is_some_and(|n| n.as_u64() != Some(plain))
    };
    for (name, there) in [
        ("n", some(&sampling.n, 1)),
        ("top_logprobs", some(&sampling.top_logprobs, 0)),
        ("logit_bias", sampling.logit_bias.is_some()),
    ] {
        if there {
            sieve.refuse(name, "cohere has no such parameter")?;
        }
    }
    if let Some(stop) = &ask.stop {
        body.put("stop_sequences", |out| {
            json::list(out, |list| {
                for text in &stop.texts {
                    json::string(list.item(), text);
                }
            });
        });
    }
    Ok(())
}

fn tools(ask: &Request, sieve: &mut Sieve<'_>, body: &mut Body) -> Result<(), CannotAsk> {
    let native = ask.surface == Dialect::Cohere;
    let mut functions = Vec::new();
    let mut tools = Vec::new();
    for (index, tool) in ask.tools.iter().enumerate() {
        match tool {
            Tool::Function(function) => {
                functions.push(function);
                tools.push(tool);
            }
            Tool::Other { dialect: Dialect::Cohere, .. } => tools.push(tool),
            Tool::Other { kind, .. } => {
                let why = format!("cohere has no tools of type `{kind}`");
                sieve.refuse(&format!("tools[{index}]"), &why)?;
            }
        }
    }
    if !native {
        for function in &functions {
            if function.cache.is_some() {
                sieve.hint("cache_control");
            }
            for (name, _) in function.extra.iter().filter(|(name, _)| **name != *"type") {
                sieve.hint(&format!("tools[].{name}"));
            }
        }
    }
    if !tools.is_empty() {
        body.put("tools", |out| {
            json::list(out, |list| tools.into_iter().for_each(|tool| write_tool(list, tool)));
        });
    }
    strict(&functions, sieve, body)?;
    let Some(choice) = &ask.tool_choice else { return no_parallel(ask, sieve) };
    match choice {
        // What Cohere does unasked.
        ToolChoice::Auto => {}
        ToolChoice::None => body.text("tool_choice", "NONE"),
        ToolChoice::Required => body.text("tool_choice", "REQUIRED"),
        // Where there is no other tool, a call of any is a call of this one.
        ToolChoice::Named(name)
            if functions.len() == 1 && functions.iter().all(|f| f.name == *name) =>
        {
            body.text("tool_choice", "REQUIRED");
        }
        ToolChoice::Named(_) => {
            let why = "cohere cannot be told which of several tools to call";
            sieve.refuse("tool_choice", why)?;
        }
        ToolChoice::Other { .. } => sieve.refuse("tool_choice", "cohere has no such choice")?,
    }
    no_parallel(ask, sieve)
}

fn no_parallel(ask: &Request, sieve: &mut Sieve<'_>) -> Result<(), CannotAsk> {
    if ask.parallel_tools == Some(false) && !ask.tools.is_empty() {
        sieve.refuse("parallel_tool_calls", "cohere may call several tools at once")?;
    }
    Ok(())
}

/// Cohere holds the arguments of all tools to their schemas, or of none.
/// <https://docs.cohere.com/v2/docs/tool-use-parameters#strict_tools-structured-outputs>
fn strict(
    functions: &[&Function],
    sieve: &mut Sieve<'_>,
    body: &mut Body,
) -> Result<(), CannotAsk> {
    let strict = functions.iter().filter(|function| function.strict == Some(true)).count();
    if strict == 0 {
        return Ok(());
    }
    if strict == functions.len() {
        body.flag("strict_tools", true);
        return Ok(());
    }
    sieve.refuse("tools[].function.strict", "cohere takes it for all tools or for none")
}

fn write_tool(list: &mut json::List<'_>, tool: &Tool) {
    let function = match tool {
        Tool::Function(function) => function,
        Tool::Other { raw, .. } => return list.raw(raw.get()),
    };
    list.object(|o| {
        o.text("type", "function");
        o.object("function", |o| {
            o.text("name", &function.name);
            o.some_text("description", function.description.as_deref());
            match &function.parameters {
                Some(schema) => o.raw("parameters", schema.get()),
                // It must be there.
                None => o.raw("parameters", r#"{"type":"object","properties":{}}"#),
            }
        });
    });
}

fn format(ask: &Request, sieve: &mut Sieve<'_>, body: &mut Body) -> Result<(), CannotAsk> {
    if let Some(Format::Other { dialect: Dialect::Cohere, raw }) = &ask.format {
        body.raw("response_format", raw);
        return Ok(());
    }
    let mut write = |kind: &str, schema: Option<&RawValue>| {
        body.put("response_format", |out| {
            json::object(out, |o| {
                o.text("type", kind);
                if let Some(schema) = schema {
                    o.raw("json_schema", schema.get());
                }
            });
        });
    };
    match &ask.format {
        None => {}
        Some(Format::Text) => write("text", None),
        Some(Format::JsonObject) => write("json_object", None),
        Some(Format::JsonSchema(schema)) => {
            if schema.name.is_some() || schema.description.is_some() {
                sieve.hint("response_format.json_schema.name");
            }
            write("json_object", schema.schema.as_deref());
        }
        Some(Format::Other { .. }) => {
            sieve.refuse("response_format", "cohere has no such format")?;
        }
    }
    Ok(())
}

/// <https://docs.cohere.com/docs/reasoning>. An effort becomes the budget that LiteLLM gives it
/// elsewhere.
fn thinking(ask: &Request, sieve: &mut Sieve<'_>, body: &mut Body) -> Result<(), CannotAsk> {
    let budget = match (ask.reasoning.thinking, ask.reasoning.effort.as_deref()) {
        (Some(Thinking::Disabled), _) | (None, Some("none")) => {
            body.put("thinking", |out| json::object(out, |o| o.text("type", "disabled")));
            return Ok(());
        }
        (Some(Thinking::Enabled { budget }), _) => Some(budget),
        (Some(Thinking::Adaptive), None) => None,
        (None, None) => return Ok(()),
        (Some(Thinking::Adaptive) | None, Some(effort)) => match effort {
            "minimal" | "low" => Some(1024),
            "medium" => Some(2048),
            "high" => Some(4096),
            "xhigh" => Some(8192),
            "max" => Some(16_384),
            _ => {
                let why = "cohere has no thinking budget for this effort";
                return sieve.refuse("reasoning_effort", why);
            }
        },
    };
    for (name, _) in ask.reasoning.extra.iter().filter(|_| ask.surface != Dialect::Gemini) {
        sieve.hint(&format!("thinking.{name}"));
    }
    put_thinking(body, budget);
    Ok(())
}

fn put_thinking(body: &mut Body, budget: Option<u64>) {
    body.put("thinking", |out| {
        json::object(out, |o| {
            o.text("type", "enabled");
            if let Some(budget) = budget {
                o.integer("token_budget", budget);
            }
        });
    });
}

/// `thinking` as LiteLLM's clients send it beside OpenAI's fields: Cohere's own spelling, or
/// Anthropic's.
fn foreign_thinking(raw: &RawValue, body: &mut Body) -> Result<(), CannotAsk> {
    let mut fields = Fields::of(raw, At::Field(&At::Body, "thinking"))?;
    let budget: Option<u64> = match fields.get("token_budget", "a number of tokens")? {
        Some(budget) => Some(budget),
        None => fields.get("budget_tokens", "a number of tokens")?,
    };
    match fields.need_text("type")?.as_str() {
        "disabled" => {
            body.put("thinking", |out| json::object(out, |o| o.text("type", "disabled")));
        }
        _ => put_thinking(body, budget),
    }
    Ok(())
}

fn rest(ask: &Request, sieve: &mut Sieve<'_>, body: &mut Body) -> Result<(), CannotAsk> {
    if ask.user.is_some() {
        sieve.hint("user");
    }
    if !ask.metadata.is_empty() {
        sieve.hint("metadata");
    }
    match ask.service_tier.as_deref() {
        None => {}
        Some("auto" | "default" | "standard_only") => sieve.hint("service_tier"),
        Some(_) => sieve.refuse("service_tier", "cohere has no such tier")?,
    }
    foreign::output(ask, sieve)?;
    for (name, raw) in &ask.extra {
        if foreign::HINTS.contains(&&**name) || SAVINGS.contains(&&**name) {
            sieve.hint(name);
        } else if **name == *"thinking" && !is_string(raw) && !body.has("thinking") {
            foreign_thinking(raw, body)?;
        } else if body.has(name) {
            sieve.refuse(name, "it would contradict another parameter")?;
        } else if ask.surface == Dialect::Cohere || foreign::is_own(Dialect::Cohere, name) {
            body.raw(name, raw);
        } else {
            sieve.refuse(name, "cohere has no such parameter")?;
        }
    }
    Ok(())
}
