//! A client's request, into the hub.

use serde_json::value::RawValue;

use super::{config, contents, schema::json_schema};
use crate::{
    dialect::fields::{At, Fields},
    exchange::{Malformed, Payload},
    matrix::Dialect,
    op::chat::{Extra, Function, MAX_FIELDS, MAX_TOOLS, Raw, Request, Tool, ToolChoice},
};

pub(super) fn read(payload: &Payload) -> Result<Request, Malformed> {
    read_fields(fields(payload)?, payload)
}

/// A request whose tokens are to be counted: the prompt alone, or within a whole request.
/// <https://ai.google.dev/api/tokens#method:-models.counttokens>
pub(super) fn read_count(payload: &Payload) -> Result<Request, Malformed> {
    let mut fields = fields(payload)?;
    match fields.take("generateContentRequest") {
        Some(raw) => {
            let at = At::Field(&At::Body, "generateContentRequest");
            read_fields(Fields::of(raw, at)?.camel()?, payload)
        }
        None => read_fields(fields, payload),
    }
}

fn fields(payload: &Payload) -> Result<Fields<'_, 'static>, Malformed> {
    let mut fields = Fields::of_body(&payload.body)?;
    fields.leave_out(&payload.body, &payload.peek.ours);
    fields.camel()
}

fn read_fields(mut fields: Fields<'_, '_>, payload: &Payload) -> Result<Request, Malformed> {
    // Google's SDKs repeat what the path says.
    fields.take("model");
    let messages = contents::read(&mut fields)?;
    let tools = tools(&mut fields)?;
    let (tool_choice, tool_config) = tool_choice(&mut fields)?;
    let config = config::read(&mut fields)?;
    let service_tier = fields.text("serviceTier")?;
    let mut extra = fields.rest();
    extra.extend(tool_config);
    Ok(Request {
        surface: Dialect::Gemini,
        model: payload.peek.model.clone(),
        messages,
        stream: payload.peek.stream,
        include_usage: payload.peek.stream,
        max_tokens: config.max_tokens,
        sampling: config.sampling,
        stop: config.stop,
        tools,
        tool_choice,
        parallel_tools: None,
        format: config.format,
        reasoning: config.reasoning,
        user: None,
        metadata: Extra::new(),
        service_tier,
        output_extra: config.extra,
        extra,
    })
}

/// Each member of a tool is a tool of its own: functions, and those that Google runs itself.
fn tools(fields: &mut Fields<'_, '_>) -> Result<Vec<Tool>, Malformed> {
    let at = At::Field(&At::Body, "tools");
    let mut tools = Vec::new();
    for (index, raw) in fields.list("tools", MAX_TOOLS)?.unwrap_or_default().into_iter().enumerate()
    {
        let at = At::Item(&at, index);
        let mut tool = Fields::of(raw, at)?.camel()?;
        let functions_at = At::Field(&at, "functionDeclarations");
        let functions = tool.list("functionDeclarations", MAX_TOOLS)?.unwrap_or_default();
        if tools.len().saturating_add(functions.len()) > MAX_TOOLS + MAX_FIELDS {
            return Err(at.wrong(&format!("at most {MAX_TOOLS} tools")));
        }
        for (index, raw) in functions.into_iter().enumerate() {
            tools.push(Tool::Function(function(raw, At::Item(&functions_at, index))?));
        }
        for (name, raw) in tool.rest() {
            let object = format!("{{\"{name}\":{}}}", raw.get());
            let raw = RawValue::from_string(object).map_err(|_| at.wrong("a tool"))?;
            let kind = name.into_string();
            tools.push(Tool::Other { dialect: Dialect::Gemini, kind, raw });
        }
    }
    Ok(tools)
}

fn function(raw: &RawValue, at: At<'_>) -> Result<Function, Malformed> {
    let mut fields = Fields::of(raw, at)?.camel()?;
    let parameters = match fields.raw("parametersJsonSchema") {
        Some(schema) => Some(schema),
        None => match fields.take("parameters") {
            Some(schema) => Some(json_schema(schema, &At::Field(&at, "parameters"))?),
            None => None,
        },
    };
    Ok(Function {
        name: fields.need_text("name")?,
        description: fields.text("description")?,
        parameters,
        strict: None,
        cache: None,
        extra: fields.rest(),
    })
}

/// The choice, and what else `toolConfig` says.
type Choice = (Option<ToolChoice>, Option<(Box<str>, Raw)>);

fn tool_choice(fields: &mut Fields<'_, '_>) -> Result<Choice, Malformed> {
    let at = At::Field(&At::Body, "toolConfig");
    let Some(raw) = fields.take("toolConfig") else { return Ok((None, None)) };
    let mut config = Fields::of(raw, at)?.camel()?;
    let choice = match config.take("functionCallingConfig") {
        Some(raw) => read_choice(raw, At::Field(&at, "functionCallingConfig"))?,
        None => None,
    };
    let rest = config.rest();
    if rest.is_empty() {
        return Ok((choice, None));
    }
    let members: Vec<String> =
        rest.iter().map(|(name, raw)| format!("\"{name}\":{}", raw.get())).collect();
    let rest = RawValue::from_string(format!("{{{}}}", members.join(",")))
        .map_err(|_| at.wrong("an object"))?;
    Ok((choice, Some(("toolConfig".into(), rest))))
}

fn read_choice(raw: &RawValue, at: At<'_>) -> Result<Option<ToolChoice>, Malformed> {
    let mut config = Fields::of(raw, at)?.camel()?;
    let mode = config.text("mode")?;
    let names: Option<Vec<String>> = config.get("allowedFunctionNames", "a list of names")?;
    let other = || Some(ToolChoice::Other { dialect: Dialect::Gemini, raw: raw.to_owned() });
    if !config.is_empty() {
        return Ok(other());
    }
    Ok(match (mode.as_deref(), names.unwrap_or_default().as_slice()) {
        (None | Some("MODE_UNSPECIFIED" | "AUTO"), []) => Some(ToolChoice::Auto),
        (Some("NONE"), []) => Some(ToolChoice::None),
        (Some("ANY"), []) => Some(ToolChoice::Required),
        (Some("ANY"), [name]) => Some(ToolChoice::Named(name.clone())),
        _ => other(),
    })
}
