//! The hub's request as a call of a provider that speaks responses.

use bytes::BytesMut;
use serde_json::value::RawValue;

use super::{elsewhere, input, tool};
use crate::{
    dialect::{
        anthropic::SAVINGS,
        body::Body,
        fields::{At, Fields},
        foreign,
        json::{self, Object},
        openai::{effort, user},
        sieve::Sieve,
    },
    exchange::CannotAsk,
    matrix::Dialect,
    op::chat::{Extra, Format, MaxTokens, Request, Tool, ToolChoice},
    target::Target,
};

const NO_SUCH: &str = "the responses API has no such parameter";

pub(super) fn write(
    ask: &Request,
    to: &Target,
    dropped: &mut Vec<String>,
) -> Result<bytes::Bytes, CannotAsk> {
    let mut sieve = Sieve::new(to, dropped);
    let own = ask.surface == Dialect::Responses;
    let mut body = Body::default();
    body.text("model", &to.model);
    if let Some(text) = input::instructions(ask) {
        body.text("instructions", &text);
    }
    let mut items = BytesMut::new();
    input::write(ask, &mut sieve, &mut items)?;
    let kept = own && items.as_ref() == b"[]";
    if !kept {
        body.put("input", |out| *out = items);
    }
    if ask.stream {
        body.flag("stream", true);
    }
    if let Some(tokens) = ask.max_tokens.map(MaxTokens::get) {
        body.integer("max_output_tokens", tokens);
    }
    sampling(ask, &mut sieve, &mut body)?;
    tools(ask, &mut sieve, &mut body)?;
    format(ask, &mut sieve, &mut body)?;
    reasoning(ask, &mut body);
    rest(ask, &mut sieve, &mut body)?;
    Ok(body.finish(to))
}

fn sampling(ask: &Request, sieve: &mut Sieve<'_>, body: &mut Body) -> Result<(), CannotAsk> {
    let sampling = &ask.sampling;
    body.number("temperature", sampling.temperature.as_ref());
    body.number("top_p", sampling.top_p.as_ref());
    body.number("top_logprobs", sampling.top_logprobs.as_ref());
    let one = sampling.n.as_ref().is_none_or(|n| n.as_u64() == Some(1));
    for (name, there) in [
        ("top_k", sampling.top_k.is_some()),
        ("seed", sampling.seed.is_some()),
        ("n", !one),
        ("frequency_penalty", sampling.frequency_penalty.as_ref().is_some_and(is_not_zero)),
        ("presence_penalty", sampling.presence_penalty.as_ref().is_some_and(is_not_zero)),
        ("logit_bias", sampling.logit_bias.is_some()),
        ("stop", ask.stop.as_ref().is_some_and(|stop| !stop.texts.is_empty())),
    ] {
        if there {
            sieve.refuse(name, NO_SUCH)?;
        }
    }
    Ok(())
}

fn is_not_zero(number: &serde_json::Number) -> bool {
    number.as_f64() != Some(0.0)
}

fn tools(ask: &Request, sieve: &mut Sieve<'_>, body: &mut Body) -> Result<(), CannotAsk> {
    let own = ask.surface == Dialect::Responses;
    let mut kept = Vec::new();
    for (index, tool) in ask.tools.iter().enumerate() {
        match tool {
            Tool::Other { dialect, kind, .. } if *dialect != Dialect::Responses => {
                let why = format!("`{kind}` is a tool of {} alone", dialect.name());
                sieve.refuse(&format!("tools[{index}]"), &why)?;
                continue;
            }
            Tool::Function(function) if !own => {
                if function.cache.is_some() {
                    sieve.hint("cache_control");
                }
                for (name, _) in function.extra.iter().filter(|(name, _)| **name != *"type") {
                    sieve.hint(&format!("tools[].{name}"));
                }
            }
            Tool::Function(_) | Tool::Other { .. } => {}
        }
        kept.push(tool);
    }
    if !kept.is_empty() {
        body.put("tools", |out| {
            json::list(out, |list| kept.into_iter().for_each(|tool| write_tool(list, tool, own)));
        });
    }
    match &ask.tool_choice {
        None => {}
        Some(ToolChoice::Other { dialect, .. }) if *dialect != Dialect::Responses => {
            sieve.refuse("tool_choice", "the responses API has no such choice")?;
        }
        Some(choice) => {
            let kinds = if own { elsewhere::kinds(ask) } else { Vec::new() };
            let kind = |name: &str| kinds.iter().find(|(own, _)| **own == *name).map(|(_, k)| *k);
            body.put("tool_choice", |out| tool::write_choice(out, choice, kind));
        }
    }
    if let Some(parallel) = ask.parallel_tools {
        body.flag("parallel_tool_calls", parallel);
    }
    Ok(())
}

/// Where nothing is said, OpenAI takes a function of responses for a strict one, and no other
/// dialect does; and it wants to be told of parameters.
fn write_tool(list: &mut json::List<'_>, tool: &Tool, own: bool) {
    match tool {
        Tool::Function(function) if !own => list.object(|o| {
            tool::write_function(o, function);
            if function.parameters.is_none() {
                o.raw("parameters", r#"{"type":"object","properties":{}}"#);
            }
            o.flag("strict", function.strict.unwrap_or(false));
        }),
        Tool::Function(_) | Tool::Other { .. } => tool::write_own(list, tool),
    }
}

fn format(ask: &Request, sieve: &mut Sieve<'_>, body: &mut Body) -> Result<(), CannotAsk> {
    if let Some(Format::Other { dialect, .. }) = &ask.format
        && *dialect != Dialect::Responses
    {
        sieve.refuse("response_format", "the responses API has no such format")?;
        return Ok(());
    }
    let verbosity = ask.extra.iter().any(|(name, _)| matches!(&**name, "verbosity" | "text"));
    if ask.format.is_some() || verbosity {
        body.put("text", |out| json::object(out, |o| text(o, ask)));
    }
    Ok(())
}

/// Writes the members of `text`.
pub(super) fn text(o: &mut Object<'_>, ask: &Request) {
    match &ask.format {
        None => {}
        Some(Format::Text) => o.object("format", |o| o.text("type", "text")),
        Some(Format::JsonObject) => o.object("format", |o| o.text("type", "json_object")),
        Some(Format::JsonSchema(schema)) => o.object("format", |o| {
            o.text("type", "json_schema");
            let named = matches!(ask.surface, Dialect::Openai | Dialect::Responses);
            let name = schema.name.as_deref().or((!named).then_some("answer"));
            o.some_text("name", name);
            o.some_text("description", schema.description.as_deref());
            if let Some(raw) = &schema.schema {
                o.raw("schema", raw.get());
            }
            if let Some(strict) = if named { schema.strict } else { Some(true) } {
                o.flag("strict", strict);
            }
        }),
        Some(Format::Other { raw, .. }) => o.raw("format", raw.get()),
    }
    for (name, raw) in &ask.extra {
        match &**name {
            "verbosity" => o.raw("verbosity", raw.get()),
            "text" => o.extra(&members_of(raw).unwrap_or_default()),
            _ => {}
        }
    }
}

/// The members of an object.
pub(super) fn members_of(raw: &RawValue) -> Option<Extra> {
    Fields::of(raw, At::Body).ok().map(Fields::rest)
}

/// A client that cannot ask for it needs the thoughts' encrypted form all the same, or the next
/// turn of a conversation that is not stored would be without them.
fn reasoning(ask: &Request, body: &mut Body) {
    let own = ask.surface == Dialect::Responses;
    let effort = effort(&ask.reasoning);
    let beside = ask.extra.iter().find(|(name, _)| own && **name == *"reasoning");
    let beside = beside.and_then(|(_, raw)| members_of(raw));
    if effort.is_some() || beside.is_some() {
        body.put("reasoning", |out| {
            json::object(out, |o| {
                o.some_text("effort", effort);
                o.extra(&beside.unwrap_or_default());
            });
        });
    }
    if own {
        return;
    }
    let mut include = Vec::new();
    if effort.is_some_and(|effort| effort != "none") {
        include.push("reasoning.encrypted_content");
    }
    if ask.sampling.logprobs == Some(true) {
        include.push("message.output_text.logprobs");
    }
    if !include.is_empty() {
        body.put("include", |out| {
            json::list(out, |list| {
                include.into_iter().for_each(|name| json::string(list.item(), name))
            });
        });
    }
}

fn rest(ask: &Request, sieve: &mut Sieve<'_>, body: &mut Body) -> Result<(), CannotAsk> {
    let own = ask.surface == Dialect::Responses;
    if let Some(user) = user(ask, sieve) {
        body.text("user", user);
    }
    match (ask.surface, ask.service_tier.as_deref()) {
        (_, None) => {}
        (Dialect::Anthropic, Some("standard_only")) => body.text("service_tier", "default"),
        (_, Some(tier)) => body.text("service_tier", tier),
    }
    if !ask.metadata.is_empty() {
        match ask.surface {
            Dialect::Openai | Dialect::Responses => body.put("metadata", |out| {
                json::object(out, |o| o.extra(&ask.metadata));
            }),
            _ => sieve.hint("metadata"),
        }
    }
    foreign::output(ask, sieve)?;
    let fields = match own {
        true => ask.extra.iter().collect(),
        false => foreign::fields(ask, &["verbosity", "text"], sieve)?,
    };
    for (name, raw) in fields {
        match &**name {
            "verbosity" | "text" | "reasoning" if own => {}
            name if !own && SAVINGS.contains(&name) => sieve.hint(name),
            _ if !body.has(name) => body.raw(name, raw),
            _ if own => {}
            _ => sieve.refuse(name, "it would contradict another parameter")?,
        }
    }
    // Only clients of responses can come back for an answer that was stored.
    if !own && !body.has("store") {
        body.flag("store", false);
    }
    Ok(())
}
