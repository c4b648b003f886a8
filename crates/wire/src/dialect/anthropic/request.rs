//! A client's request, into the hub.

use serde_json::value::RawValue;

use super::block;
use crate::{
    dialect::fields::{At, Fields, string},
    exchange::{Malformed, Payload},
    matrix::Dialect,
    op::chat::{
        Extra, Form, Format, Function, MAX_MESSAGES, MAX_TOOLS, MaxTokens, Message, Reasoning,
        Request, Role, Sampling, Schema, Stop, Thinking, Tool, ToolChoice,
    },
};

pub(super) fn read(payload: &Payload) -> Result<Request, Malformed> {
    let mut fields = fields(payload)?;
    let max_tokens = fields.need("max_tokens", "a number of tokens")?;
    request(fields, Some(max_tokens))
}

/// A request whose tokens are to be counted: it names no limit.
/// <https://platform.claude.com/docs/en/api/messages/count_tokens>
pub(super) fn read_prompt(payload: &Payload) -> Result<Request, Malformed> {
    let mut fields = fields(payload)?;
    let max_tokens = fields.get("max_tokens", "a number of tokens")?;
    request(fields, max_tokens)
}

fn fields(payload: &Payload) -> Result<Fields<'_, 'static>, Malformed> {
    let mut fields = Fields::of_body(&payload.body)?;
    fields.leave_out(&payload.body, &payload.peek.ours);
    Ok(fields)
}

fn request(mut fields: Fields<'_, 'static>, max_tokens: Option<u64>) -> Result<Request, Malformed> {
    let stream = fields.get("stream", "true or false")?.unwrap_or(false);
    let messages = messages(&mut fields)?;
    let (tool_choice, parallel_tools) = tool_choice(&mut fields)?;
    let (reasoning, format, output_extra) = output(&mut fields)?;
    let (user, metadata) = metadata(&mut fields)?;
    Ok(Request {
        surface: Dialect::Anthropic,
        model: fields.need_text("model")?,
        messages,
        stream,
        include_usage: stream,
        max_tokens: max_tokens.map(MaxTokens::Plain),
        sampling: Sampling {
            temperature: fields.get("temperature", "a number")?,
            top_p: fields.get("top_p", "a number")?,
            top_k: fields.get("top_k", "a number")?,
            ..Sampling::default()
        },
        stop: fields
            .get("stop_sequences", "a list of strings")?
            .map(|texts| Stop { texts, form: Form::List }),
        tools: tools(&mut fields)?,
        tool_choice,
        parallel_tools,
        format,
        reasoning,
        user,
        metadata,
        service_tier: fields.text("service_tier")?,
        output_extra,
        extra: fields.rest(),
    })
}

/// `system` is the first message of the hub.
fn messages(fields: &mut Fields<'_, '_>) -> Result<Vec<Message>, Malformed> {
    let mut messages = Vec::new();
    if let Some(raw) = fields.take("system") {
        let (form, blocks) = block::content(raw, &At::Field(&At::Body, "system"))?;
        messages.push(Message { role: Role::System, blocks, form, extra: Extra::new() });
    }
    let at = At::Field(&At::Body, "messages");
    let list =
        fields.list("messages", MAX_MESSAGES)?.ok_or_else(|| at.wrong("a list of messages"))?;
    for (index, raw) in list.into_iter().enumerate() {
        messages.push(message(raw, At::Item(&at, index))?);
    }
    Ok(messages)
}

fn message(raw: &RawValue, at: At<'_>) -> Result<Message, Malformed> {
    let mut fields = Fields::of(raw, at)?;
    let role = match fields.need_text("role")?.as_str() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => Role::System,
        _ => return Err(fields.wrong("role", "`user` or `assistant`")),
    };
    let Some(raw) = fields.take("content") else {
        return Err(fields.wrong("content", "a string or a list of blocks"));
    };
    let (form, blocks) = block::content(raw, &At::Field(&at, "content"))?;
    Ok(Message { role, blocks, form, extra: fields.rest() })
}

fn tools(fields: &mut Fields<'_, '_>) -> Result<Vec<Tool>, Malformed> {
    let at = At::Field(&At::Body, "tools");
    let tools = fields.list("tools", MAX_TOOLS)?.unwrap_or_default();
    tools.into_iter().enumerate().map(|(i, raw)| tool(raw, At::Item(&at, i))).collect()
}

fn tool(raw: &RawValue, at: At<'_>) -> Result<Tool, Malformed> {
    let mut fields = Fields::of(raw, at)?;
    // `custom` need not be said.
    let said = fields.raw("type");
    let kind = match &said {
        Some(raw) => string(raw, &At::Field(&at, "type"))?,
        None => "custom".to_owned(),
    };
    if kind != "custom" {
        return Ok(Tool::Other { dialect: Dialect::Anthropic, kind, raw: raw.to_owned() });
    }
    let mut function = Function {
        name: fields.need_text("name")?,
        description: fields.text("description")?,
        parameters: fields.raw("input_schema"),
        strict: fields.get("strict", "true or false")?,
        cache: block::cache(&mut fields)?,
        extra: fields.rest(),
    };
    function.extra.extend(said.map(|said| ("type".into(), said)));
    Ok(Tool::Function(function))
}

fn tool_choice(
    fields: &mut Fields<'_, '_>,
) -> Result<(Option<ToolChoice>, Option<bool>), Malformed> {
    let Some(raw) = fields.take("tool_choice") else { return Ok((None, None)) };
    let at = At::Field(&At::Body, "tool_choice");
    let mut choice = Fields::of(raw, at)?;
    let parallel =
        choice.get::<bool>("disable_parallel_tool_use", "true or false")?.map(|disabled| !disabled);
    let read = match choice.need_text("type")?.as_str() {
        "auto" => ToolChoice::Auto,
        "none" => ToolChoice::None,
        "any" => ToolChoice::Required,
        "tool" => ToolChoice::Named(choice.need_text("name")?),
        _ => ToolChoice::Other { dialect: Dialect::Anthropic, raw: raw.to_owned() },
    };
    Ok((Some(read), parallel))
}

/// `thinking` and `output_config`.
fn output(fields: &mut Fields<'_, '_>) -> Result<(Reasoning, Option<Format>, Extra), Malformed> {
    let mut reasoning = Reasoning::default();
    if let Some(raw) = fields.take("thinking") {
        let mut thinking = Fields::of(raw, At::Field(&At::Body, "thinking"))?;
        reasoning.thinking = Some(match thinking.need_text("type")?.as_str() {
            "enabled" => {
                Thinking::Enabled { budget: thinking.need("budget_tokens", "a number of tokens")? }
            }
            "disabled" => Thinking::Disabled,
            "adaptive" => Thinking::Adaptive,
            _ => return Err(thinking.wrong("type", "`enabled`, `disabled` or `adaptive`")),
        });
        reasoning.extra = thinking.rest();
    }
    // The older place of `output_config.format`.
    let mut format = fields.take("output_format").map(|raw| read_format(raw, "output_format"));
    let mut extra = Extra::new();
    if let Some(raw) = fields.take("output_config") {
        let mut config = Fields::of(raw, At::Field(&At::Body, "output_config"))?;
        reasoning.effort = config.text("effort")?;
        if let Some(raw) = config.take("format") {
            format = Some(read_format(raw, "output_config.format"));
        }
        extra = config.rest();
    }
    Ok((reasoning, format.transpose()?, extra))
}

fn read_format(raw: &RawValue, name: &str) -> Result<Format, Malformed> {
    let mut format = Fields::of(raw, At::Field(&At::Body, name))?;
    if format.need_text("type")? != "json_schema" {
        return Ok(Format::Other { dialect: Dialect::Anthropic, raw: raw.to_owned() });
    }
    Ok(Format::JsonSchema(Schema { schema: format.raw("schema"), ..Schema::default() }))
}

fn metadata(fields: &mut Fields<'_, '_>) -> Result<(Option<String>, Extra), Malformed> {
    let Some(raw) = fields.take("metadata") else { return Ok((None, Extra::new())) };
    let mut metadata = Fields::of(raw, At::Field(&At::Body, "metadata"))?;
    Ok((metadata.text("user_id")?, metadata.rest()))
}
