//! A client's request, into the hub.

use serde_json::value::RawValue;

use super::reply::call;
use crate::{
    dialect::{
        fields::{At, Fields, is_string, list, string},
        openai::source_of,
    },
    exchange::{Malformed, Payload},
    matrix::Dialect,
    op::chat::{
        Block, Extra, Form, Format, Function, MAX_BLOCKS, MAX_MESSAGES, MAX_TOOL_CALLS, MAX_TOOLS,
        MaxTokens, Message, Part, Reasoning, Request, Role, Sampling, Schema, Stop, Thinking, Tool,
        ToolChoice, ToolResult,
    },
};

pub(super) fn read(payload: &Payload) -> Result<Request, Malformed> {
    let mut fields = Fields::of_body(&payload.body)?;
    fields.leave_out(&payload.body, &payload.peek.ours);
    let at = At::Field(&At::Body, "messages");
    let messages = fields
        .list("messages", MAX_MESSAGES)?
        .ok_or_else(|| at.wrong("a list of messages"))?
        .into_iter()
        .enumerate()
        .map(|(index, raw)| message(raw, At::Item(&at, index)))
        .collect::<Result<_, _>>()?;
    let stream = fields.get("stream", "true or false")?.unwrap_or(false);
    let max_tokens: Option<u64> = fields.get("max_tokens", "a number of tokens")?;
    let stop: Option<Vec<String>> = fields.get("stop_sequences", "a list of strings")?;
    Ok(Request {
        surface: Dialect::Cohere,
        model: fields.need_text("model")?,
        messages,
        stream,
        include_usage: stream,
        max_tokens: max_tokens.map(MaxTokens::Plain),
        sampling: Sampling {
            temperature: fields.get("temperature", "a number")?,
            top_p: fields.get("p", "a number")?,
            top_k: fields.get("k", "a number")?,
            seed: fields.get("seed", "a number")?,
            frequency_penalty: fields.get("frequency_penalty", "a number")?,
            presence_penalty: fields.get("presence_penalty", "a number")?,
            logprobs: fields.get("logprobs", "true or false")?,
            ..Sampling::default()
        },
        stop: stop.map(|texts| Stop { texts, form: Form::List }),
        tools: tools(&mut fields)?,
        tool_choice: match fields.text("tool_choice")?.as_deref() {
            None => None,
            Some("REQUIRED") => Some(ToolChoice::Required),
            Some("NONE") => Some(ToolChoice::None),
            Some(_) => return Err(fields.wrong("tool_choice", "`REQUIRED` or `NONE`")),
        },
        parallel_tools: None,
        format: format(&mut fields)?,
        reasoning: reasoning(&mut fields)?,
        user: None,
        metadata: Extra::new(),
        service_tier: None,
        output_extra: Extra::new(),
        extra: fields.rest(),
    })
}

fn message(raw: &RawValue, at: At<'_>) -> Result<Message, Malformed> {
    let mut fields = Fields::of(raw, at)?;
    let role = match fields.need_text("role")?.as_str() {
        "system" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" => Role::Tool,
        _ => return Err(fields.wrong("role", "`system`, `user`, `assistant` or `tool`")),
    };
    let content_at = At::Field(&at, "content");
    let (form, mut blocks) = match fields.take("content") {
        Some(raw) => content(raw, &content_at)?,
        None if role == Role::Assistant => (Form::Bare, Vec::new()),
        None => return Err(content_at.wrong("a string or a list of parts")),
    };
    if role == Role::Tool {
        let id = fields.need_text("tool_call_id")?;
        let result = ToolResult { id, blocks, form: Some(form), is_error: None };
        blocks = vec![Part::ToolResult(result).into()];
    }
    if role == Role::Assistant {
        if let Some(plan) = fields.text("tool_plan")?.filter(|plan| !plan.is_empty()) {
            blocks.push(Part::Text(plan).into());
        }
        let calls_at = At::Field(&at, "tool_calls");
        let calls = fields.list("tool_calls", MAX_TOOL_CALLS)?.unwrap_or_default();
        for (index, raw) in calls.into_iter().enumerate() {
            blocks.push(Part::ToolCall(call(raw, At::Item(&calls_at, index))?).into());
        }
    }
    Ok(Message { role, blocks, form, extra: fields.rest() })
}

fn content(raw: &RawValue, at: &At<'_>) -> Result<(Form, Vec<Block>), Malformed> {
    if is_string(raw) {
        return Ok((Form::Bare, vec![Part::Text(string(raw, at)?).into()]));
    }
    if !raw.get().starts_with('[') {
        return Err(at.wrong("a string or a list of parts"));
    }
    let blocks = list(raw, at, MAX_BLOCKS)?
        .into_iter()
        .enumerate()
        .map(|(index, raw)| part(raw, At::Item(at, index)))
        .collect::<Result<_, _>>()?;
    Ok((Form::List, blocks))
}

fn part(raw: &RawValue, at: At<'_>) -> Result<Block, Malformed> {
    let mut fields = Fields::of(raw, at)?;
    let part = match fields.need_text("type")?.as_str() {
        "text" => Part::Text(fields.need_text("text")?),
        "thinking" => Part::Thinking { text: fields.need_text("thinking")?, signature: None },
        "image_url" => {
            let image_at = At::Field(&at, "image_url");
            let Some(raw) = fields.take("image_url") else {
                return Err(image_at.wrong("an object"));
            };
            let mut image = Fields::of(raw, image_at)?;
            let source = source_of(image.need_text("url")?);
            Part::Image { source, detail: image.text("detail")? }
        }
        // Documents that a tool returned.
        _ => return Ok(Part::Other { dialect: Dialect::Cohere, raw: raw.to_owned() }.into()),
    };
    Ok(Block { part, cache: None, extra: fields.rest() })
}

fn tools(fields: &mut Fields<'_, '_>) -> Result<Vec<Tool>, Malformed> {
    let strict: Option<bool> = fields.get("strict_tools", "true or false")?;
    let at = At::Field(&At::Body, "tools");
    let tools = fields.list("tools", MAX_TOOLS)?.unwrap_or_default();
    tools.into_iter().enumerate().map(|(i, raw)| tool(raw, At::Item(&at, i), strict)).collect()
}

fn tool(raw: &RawValue, at: At<'_>, strict: Option<bool>) -> Result<Tool, Malformed> {
    let mut fields = Fields::of(raw, at)?;
    let kind = fields.need_text("type")?;
    let function_at = At::Field(&at, "function");
    let function = match fields.take("function") {
        Some(function) if kind == "function" => function,
        Some(_) | None => {
            return Ok(Tool::Other { dialect: Dialect::Cohere, kind, raw: raw.to_owned() });
        }
    };
    let mut function = Fields::of(function, function_at)?;
    Ok(Tool::Function(Function {
        name: function.need_text("name")?,
        description: function.text("description")?,
        parameters: function.raw("parameters"),
        strict,
        cache: None,
        extra: fields.rest(),
    }))
}

fn format(fields: &mut Fields<'_, '_>) -> Result<Option<Format>, Malformed> {
    let Some(raw) = fields.take("response_format") else { return Ok(None) };
    let mut format = Fields::of(raw, At::Field(&At::Body, "response_format"))?;
    Ok(Some(match format.need_text("type")?.as_str() {
        "text" => Format::Text,
        // `schema` is its older name.
        "json_object" => match format.raw("json_schema").or_else(|| format.raw("schema")) {
            None => Format::JsonObject,
            schema => Format::JsonSchema(Schema { schema, ..Schema::default() }),
        },
        _ => Format::Other { dialect: Dialect::Cohere, raw: raw.to_owned() },
    }))
}

fn reasoning(fields: &mut Fields<'_, '_>) -> Result<Reasoning, Malformed> {
    let Some(raw) = fields.take("thinking") else { return Ok(Reasoning::default()) };
    let mut thinking = Fields::of(raw, At::Field(&At::Body, "thinking"))?;
    let budget: Option<u64> = thinking.get("token_budget", "a number of tokens")?;
    let mode = match (thinking.need_text("type")?.as_str(), budget) {
        ("disabled", _) => Thinking::Disabled,
        ("enabled", Some(budget)) => Thinking::Enabled { budget },
        ("enabled", None) => Thinking::Adaptive,
        _ => return Err(thinking.wrong("type", "`enabled` or `disabled`")),
    };
    Ok(Reasoning { thinking: Some(mode), extra: thinking.rest(), ..Reasoning::default() })
}
