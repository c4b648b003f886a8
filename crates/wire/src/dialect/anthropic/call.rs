//! The hub's request as a call of an Anthropic-shaped provider.

use bytes::BytesMut;

use super::message;
use crate::{
    dialect::{body::Body, foreign, json, openai::write_cache, sieve::Sieve},
    exchange::CannotAsk,
    matrix::Dialect,
    op::chat::{Format, Function, Message, Part, Request, Role, Thinking, Tool, ToolChoice},
    target::Target,
};

/// Most tokens of an answer where neither the client nor the model's card says: Anthropic wants
/// to be told.
const DEFAULT_MAX_TOKENS: u64 = 4096;
/// What is left for the answer where the limit would not hold the thinking budget (LiteLLM's
/// figure).
const ANSWER_BESIDE_THINKING: u64 = 4096;

pub(super) fn write(
    ask: &Request,
    to: &Target,
    dropped: &mut Vec<String>,
) -> Result<bytes::Bytes, CannotAsk> {
    Ok(written(ask, to, dropped)?.finish(to))
}

/// The fields of which a count is made; any other is refused there.
/// <https://platform.claude.com/docs/en/api/messages/count_tokens>
const COUNTED: &[&str] =
    &["model", "system", "messages", "tools", "tool_choice", "thinking", "output_config"];

/// The same request as far as its tokens are concerned.
pub(super) fn write_count(
    ask: &Request,
    to: &Target,
    dropped: &mut Vec<String>,
) -> Result<bytes::Bytes, CannotAsk> {
    let mut body = written(ask, to, dropped)?;
    body.keep(COUNTED);
    let plain = Target { defaults: Vec::new(), ..to.clone() };
    Ok(body.finish(&plain))
}

fn written(ask: &Request, to: &Target, dropped: &mut Vec<String>) -> Result<Body, CannotAsk> {
    let mut sieve = Sieve::new(to, dropped);
    let mut body = Body::default();
    body.text("model", &to.model);
    let thinking = thinking(ask, &mut sieve)?;
    body.integer("max_tokens", max_tokens(ask, to, thinking));
    let turns = message::turns(ask, &mut sieve)?;
    if !turns.system.is_empty() {
        body.put("system", |out| turns.write_system(out));
    }
    let mut messages = BytesMut::new();
    turns.write_messages(&mut messages);
    body.put("messages", |out| *out = messages);
    if ask.stream {
        body.flag("stream", true);
    }
    sampling(ask, &mut sieve, &mut body)?;
    tools(ask, &mut sieve, &mut body)?;
    output(ask, thinking, &mut sieve, &mut body)?;
    rest(ask, &mut sieve, &mut body)?;
    Ok(body)
}

/// The mode of thinking: the client's own, or the budget that LiteLLM gives to its effort.
fn thinking(ask: &Request, sieve: &mut Sieve<'_>) -> Result<Option<Thinking>, CannotAsk> {
    if ask.surface == Dialect::Anthropic {
        return Ok(ask.reasoning.thinking);
    }
    if let Some(thinking) = ask.reasoning.thinking {
        // Others think less than Anthropic can.
        return Ok(Some(match thinking {
            Thinking::Enabled { budget } => Thinking::Enabled { budget: budget.max(1024) },
            other => other,
        }));
    }
    let budget = match ask.reasoning.effort.as_deref() {
        None | Some("none") => return Ok(None),
        // 128 with LiteLLM; Anthropic takes no budget below 1,024.
        Some("minimal" | "low") => 1024,
        Some("medium") => 2048,
        Some("high") => 4096,
        Some("xhigh") => 8192,
        Some("max") => 16_384,
        Some(_) => {
            sieve.refuse("reasoning_effort", "anthropic has no thinking budget for this effort")?;
            return Ok(None);
        }
    };
    if calls_without_thoughts(&ask.messages) {
        let why = "the last tool call in `messages` came without the thoughts that anthropic \
                   wants back with it";
        sieve.refuse("reasoning_effort", why)?;
        return Ok(None);
    }
    Ok(Some(Thinking::Enabled { budget }))
}

/// Whether the conversation ends in tool results and the turn that they belong to did not begin
/// with a signed thought: Anthropic refuses to go on thinking then.
pub(in crate::dialect) fn calls_without_thoughts(messages: &[Message]) -> bool {
    let answers = messages.last().is_some_and(|message| message.role == Role::Tool);
    let turn = messages.iter().rev();
    let turn = turn.take_while(|it| matches!(it.role, Role::Assistant | Role::Tool));
    let Some(first) = turn.filter(|message| message.role == Role::Assistant).last() else {
        return false;
    };
    let thought = |part: &Part| {
        matches!(part, Part::Thinking { signature: Some(_), .. } | Part::RedactedThinking(_))
    };
    answers && !first.blocks.iter().any(|block| thought(&block.part))
}

/// The client's limit, or the model's own. It must be over the thinking budget.
fn max_tokens(ask: &Request, to: &Target, thinking: Option<Thinking>) -> u64 {
    let most = to.card.as_ref().and_then(|card| card.max_output);
    let limit = ask.max_tokens.map(crate::op::chat::MaxTokens::get);
    match (thinking, limit) {
        (Some(Thinking::Enabled { budget }), limit)
            if ask.surface != Dialect::Anthropic
                && limit.or(most).unwrap_or(DEFAULT_MAX_TOKENS) <= budget =>
        {
            let raised = budget.saturating_add(ANSWER_BESIDE_THINKING);
            most.map_or(raised, |most| raised.min(most))
        }
        (_, limit) => limit.or(most).unwrap_or(DEFAULT_MAX_TOKENS),
    }
}

fn sampling(ask: &Request, sieve: &mut Sieve<'_>, body: &mut Body) -> Result<(), CannotAsk> {
    let sampling = &ask.sampling;
    body.number("temperature", sampling.temperature.as_ref());
    body.number("top_p", sampling.top_p.as_ref());
    body.number("top_k", sampling.top_k.as_ref());
    let several = sampling.n.as_ref().is_some_and(|n| n.as_u64() != Some(1));
    for (name, there) in [
        ("n", several),
        ("seed", sampling.seed.is_some()),
        ("frequency_penalty", sampling.frequency_penalty.is_some()),
        ("presence_penalty", sampling.presence_penalty.is_some()),
        ("logprobs", sampling.logprobs == Some(true)),
        ("top_logprobs", sampling.top_logprobs.is_some()),
        ("logit_bias", sampling.logit_bias.is_some()),
    ] {
        if there {
            sieve.refuse(name, "anthropic has no such parameter")?;
        }
    }
    let Some(stop) = &ask.stop else { return Ok(()) };
    let blank = |text: &&String| text.trim().is_empty() && ask.surface != Dialect::Anthropic;
    if stop.texts.iter().any(|text| blank(&text)) {
        sieve.refuse("stop", "anthropic takes no stop text of nothing but white space")?;
    }
    let texts: Vec<&String> = stop.texts.iter().filter(|text| !blank(text)).collect();
    if !texts.is_empty() || ask.surface == Dialect::Anthropic {
        body.put("stop_sequences", |out| {
            json::list(out, |list| {
                for text in texts {
                    json::string(list.item(), text);
                }
            });
        });
    }
    Ok(())
}

fn tools(ask: &Request, sieve: &mut Sieve<'_>, body: &mut Body) -> Result<(), CannotAsk> {
    let native = ask.surface == Dialect::Anthropic;
    let mut tools = Vec::new();
    for (index, tool) in ask.tools.iter().enumerate() {
        match tool {
            Tool::Function(function) => {
                if !native {
                    for (name, _) in &function.extra {
                        sieve.hint(&format!("tools[].{name}"));
                    }
                }
                tools.push(tool);
            }
            Tool::Other { dialect: Dialect::Anthropic, .. } => tools.push(tool),
            Tool::Other { kind, .. } => {
                let why = format!("anthropic has no tools of type `{kind}`");
                sieve.refuse(&format!("tools[{index}]"), &why)?;
            }
        }
    }
    let any = !tools.is_empty();
    if any {
        body.put("tools", |out| {
            json::list(out, |list| tools.into_iter().for_each(|t| write_tool(list, t, native)));
        });
    }
    // Without tools there is nothing to choose, and Anthropic says so with an error.
    if any || native { tool_choice(ask, sieve, body) } else { Ok(()) }
}

fn write_tool(list: &mut json::List<'_>, tool: &Tool, native: bool) {
    match tool {
        Tool::Function(function) => list.object(|o| write_function(o, function, native)),
        Tool::Other { raw, .. } => list.raw(raw.get()),
    }
}

fn write_function(o: &mut json::Object<'_>, function: &Function, native: bool) {
    o.text("name", &function.name);
    o.some_text("description", function.description.as_deref());
    match &function.parameters {
        Some(schema) if native || schema.get().len() > 2 => o.raw("input_schema", schema.get()),
        // OpenAI's way to say "no parameters".
        Some(_) | None => o.raw("input_schema", r#"{"type":"object","properties":{}}"#),
    }
    match function.strict {
        Some(strict) if native || strict => o.flag("strict", strict),
        Some(_) | None => {}
    }
    write_cache(o, function.cache.as_ref());
    if native {
        o.extra(&function.extra);
    }
}

fn tool_choice(ask: &Request, sieve: &mut Sieve<'_>, body: &mut Body) -> Result<(), CannotAsk> {
    let native = ask.surface == Dialect::Anthropic;
    // That several may be called is what Anthropic does anyway.
    let parallel = ask.parallel_tools.filter(|parallel| native || !parallel);
    let (kind, name) = match &ask.tool_choice {
        None if parallel.is_none() => return Ok(()),
        None | Some(ToolChoice::Auto) => ("auto", None),
        Some(ToolChoice::None) => ("none", None),
        Some(ToolChoice::Required) => ("any", None),
        Some(ToolChoice::Named(name)) => ("tool", Some(name.as_str())),
        Some(ToolChoice::Other { dialect: Dialect::Anthropic, raw }) => {
            body.raw("tool_choice", raw);
            return Ok(());
        }
        Some(ToolChoice::Other { .. }) => {
            return sieve.refuse("tool_choice", "anthropic has no such choice");
        }
    };
    body.put("tool_choice", |out| {
        json::object(out, |o| {
            o.text("type", kind);
            o.some_text("name", name);
            if let Some(parallel) = parallel.filter(|_| kind != "none" || native) {
                o.flag("disable_parallel_tool_use", !parallel);
            }
        });
    });
    Ok(())
}

/// `thinking` and `output_config`.
fn output(
    ask: &Request,
    thinking: Option<Thinking>,
    sieve: &mut Sieve<'_>,
    body: &mut Body,
) -> Result<(), CannotAsk> {
    if let Some(thinking) = thinking {
        body.put("thinking", |out| {
            json::object(out, |o| {
                match thinking {
                    Thinking::Disabled => o.text("type", "disabled"),
                    Thinking::Adaptive => o.text("type", "adaptive"),
                    Thinking::Enabled { budget } => {
                        o.text("type", "enabled");
                        o.integer("budget_tokens", budget);
                    }
                }
                if ask.surface == Dialect::Anthropic {
                    o.extra(&ask.reasoning.extra);
                }
            });
        });
    }
    let mut format = None;
    match &ask.format {
        None | Some(Format::Text) => {}
        Some(Format::JsonSchema(schema)) => {
            if schema.name.is_some() || schema.description.is_some() {
                sieve.hint("response_format.json_schema.name");
            }
            match &schema.schema {
                Some(raw) => format = Some(schema_format(raw.get())),
                None => sieve.refuse("response_format", "anthropic wants a schema")?,
            }
        }
        Some(Format::JsonObject) => {
            let why = "anthropic has no JSON mode without a schema; give a `json_schema`";
            sieve.refuse("response_format", why)?;
        }
        Some(Format::Other { dialect: Dialect::Anthropic, raw }) => {
            format = Some(raw.get().into());
        }
        Some(Format::Other { .. }) => {
            sieve.refuse("response_format", "anthropic has no such format")?;
        }
    }
    let effort = ask.reasoning.effort.as_deref().filter(|_| ask.surface == Dialect::Anthropic);
    let native = ask.surface == Dialect::Anthropic;
    if format.is_some() || effort.is_some() || (native && !ask.output_extra.is_empty()) {
        body.put("output_config", |out| {
            json::object(out, |o| {
                o.some_text("effort", effort);
                if let Some(format) = &format {
                    o.raw("format", format);
                }
                if native {
                    o.extra(&ask.output_extra);
                }
            });
        });
    }
    Ok(())
}

fn schema_format(schema: &str) -> Box<str> {
    format!(r#"{{"type":"json_schema","schema":{schema}}}"#).into()
}

fn rest(ask: &Request, sieve: &mut Sieve<'_>, body: &mut Body) -> Result<(), CannotAsk> {
    let native = ask.surface == Dialect::Anthropic;
    // Anthropic asks for an opaque name, and wants no addresses or telephone numbers.
    let user = ask.user.as_deref().filter(|user| native || !user.contains(['@', '+']));
    if ask.user.is_some() && user.is_none() {
        sieve.hint("user");
    }
    if !native && !ask.metadata.is_empty() {
        sieve.hint("metadata");
    }
    if user.is_some() || (native && !ask.metadata.is_empty()) {
        body.put("metadata", |out| {
            json::object(out, |o| {
                o.some_text("user_id", user);
                if native {
                    o.extra(&ask.metadata);
                }
            });
        });
    }
    match ask.service_tier.as_deref() {
        None => {}
        Some(tier) if native || tier == "auto" => body.text("service_tier", tier),
        Some("default") => body.text("service_tier", "standard_only"),
        Some(_) => sieve.refuse("service_tier", "anthropic has no such tier")?,
    }
    if native {
        ask.extra.iter().for_each(|(name, raw)| body.raw(name, raw));
        return Ok(());
    }
    foreign::output(ask, sieve)?;
    for (name, raw) in foreign::fields(ask, &[], sieve)? {
        if foreign::HINTS.contains(&&**name) {
            sieve.hint(name);
        } else if body.has(name) {
            sieve.refuse(name, "it would contradict another parameter")?;
        } else {
            body.raw(name, raw);
        }
    }
    Ok(())
}
