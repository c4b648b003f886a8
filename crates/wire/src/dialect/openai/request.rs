//! A client's request, into the hub.

use serde_json::value::RawValue;

use super::part;
use crate::{
    dialect::fields::{At, Fields, is_string, list, string},
    exchange::{Malformed, Payload},
    matrix::Dialect,
    op::chat::{
        Block, CacheMark, Extra, Form, Format, Function, MAX_MESSAGES, MAX_TOOL_CALLS, MAX_TOOLS,
        MaxTokens, Message, Part, Reasoning, Request, Role, Sampling, Schema, Stop, Tool, ToolCall,
        ToolChoice, ToolResult,
    },
};

pub(super) fn read(payload: &Payload) -> Result<Request, Malformed> {
    let mut fields = Fields::of_body(&payload.body)?;
    fields.leave_out(&payload.body, &payload.peek.ours);
    let messages_at = At::Field(&At::Body, "messages");
    let messages = fields
        .list("messages", MAX_MESSAGES)?
        .ok_or_else(|| messages_at.wrong("a list of messages"))?
        .into_iter()
        .enumerate()
        .map(|(index, raw)| message(raw, At::Item(&messages_at, index)))
        .collect::<Result<_, _>>()?;
    let stream = fields.get("stream", "true or false")?.unwrap_or(false);
    Ok(Request {
        surface: Dialect::Openai,
        model: fields.model(payload)?,
        messages,
        stream,
        include_usage: include_usage(&mut fields)? && stream,
        max_tokens: max_tokens(&mut fields)?,
        sampling: sampling(&mut fields)?,
        stop: stop(&mut fields)?,
        tools: tools(&mut fields)?,
        tool_choice: tool_choice(&mut fields)?,
        parallel_tools: fields.get("parallel_tool_calls", "true or false")?,
        format: format(&mut fields)?,
        reasoning: Reasoning { effort: fields.text("reasoning_effort")?, ..Reasoning::default() },
        user: fields.text("user")?,
        metadata: match fields.take("metadata") {
            Some(raw) => Fields::of(raw, At::Field(&At::Body, "metadata"))?.rest(),
            None => Extra::new(),
        },
        service_tier: fields.text("service_tier")?,
        output_extra: Extra::new(),
        extra: fields.rest(),
    })
}

/// The other stream options (`include_obfuscation`) are about the transport, which is ours.
pub(in crate::dialect) fn include_usage(fields: &mut Fields<'_, '_>) -> Result<bool, Malformed> {
    let at = At::Field(&At::Body, "stream_options");
    let Some(raw) = fields.take("stream_options") else { return Ok(false) };
    Ok(Fields::of(raw, at)?.get("include_usage", "true or false")?.unwrap_or(false))
}

fn max_tokens(fields: &mut Fields<'_, '_>) -> Result<Option<MaxTokens>, Malformed> {
    let expected = "a number of tokens";
    let plain: Option<u64> = fields.get("max_tokens", expected)?;
    let completion: Option<u64> = fields.get("max_completion_tokens", expected)?;
    Ok(match (plain, completion) {
        // Both: the larger, which is also what is set aside for the answer.
        (Some(plain), Some(completion)) => Some(MaxTokens::Completion(plain.max(completion))),
        (None, Some(completion)) => Some(MaxTokens::Completion(completion)),
        (plain, None) => plain.map(MaxTokens::Plain),
    })
}

fn sampling(fields: &mut Fields<'_, '_>) -> Result<Sampling, Malformed> {
    let number = "a number";
    Ok(Sampling {
        temperature: fields.get("temperature", number)?,
        top_p: fields.get("top_p", number)?,
        top_k: fields.get("top_k", number)?,
        seed: fields.get("seed", number)?,
        n: fields.get("n", number)?,
        frequency_penalty: fields.get("frequency_penalty", number)?,
        presence_penalty: fields.get("presence_penalty", number)?,
        logprobs: fields.get("logprobs", "true or false")?,
        top_logprobs: fields.get("top_logprobs", number)?,
        logit_bias: fields.raw("logit_bias"),
    })
}

pub(in crate::dialect) fn stop(fields: &mut Fields<'_, '_>) -> Result<Option<Stop>, Malformed> {
    let Some(raw) = fields.take("stop") else { return Ok(None) };
    let at = At::Field(&At::Body, "stop");
    if is_string(raw) {
        return Ok(Some(Stop { texts: vec![string(raw, &at)?], form: Form::Bare }));
    }
    let texts =
        serde_json::from_str(raw.get()).map_err(|_| at.wrong("a string or a list of strings"))?;
    Ok(Some(Stop { texts, form: Form::List }))
}

fn message(raw: &RawValue, at: At<'_>) -> Result<Message, Malformed> {
    let mut fields = Fields::of(raw, at)?;
    let role = match fields.need_text("role")?.as_str() {
        "system" => Role::System,
        "developer" => Role::Developer,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" => Role::Tool,
        _ => {
            return Err(
                fields.wrong("role", "`system`, `developer`, `user`, `assistant` or `tool`")
            );
        }
    };
    let content = match fields.take("content") {
        Some(raw) => Some(content(raw, &At::Field(&at, "content"))?),
        None => None,
    };
    let (form, mut blocks) = match (role, content) {
        (_, Some(content)) => content,
        (Role::Assistant, None) => (Form::Bare, Vec::new()),
        (Role::System | Role::Developer | Role::User | Role::Tool, None) => {
            return Err(fields.wrong("content", "a string or a list of parts"));
        }
    };
    match role {
        Role::Assistant => blocks = assistant(&mut fields, blocks)?,
        Role::Tool => {
            let id = fields.need_text("tool_call_id")?;
            let result = ToolResult { id, blocks, form: Some(form), is_error: None };
            blocks = vec![Part::ToolResult(result).into()];
        }
        Role::System | Role::Developer | Role::User => {}
    }
    // LiteLLM's clients mark a message whose content is a bare string beside it.
    if form == Form::Bare
        && let Some(block) = blocks.first_mut()
        && let Some(mark) = part::cache(&mut fields)?
    {
        block.cache = Some(mark);
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
    Ok((Form::List, part::list_of(raw, at)?))
}

/// Thoughts first, then what was said, then what was called: the order in which they came about.
fn assistant(fields: &mut Fields<'_, '_>, said: Vec<Block>) -> Result<Vec<Block>, Malformed> {
    let mut blocks = part::thoughts(fields)?;
    blocks.extend(said);
    if let Some(text) = fields.text("refusal")? {
        blocks.push(Part::Refusal(text).into());
    }
    let up = fields.at();
    let at = At::Field(&up, "tool_calls");
    let calls = fields.list("tool_calls", MAX_TOOL_CALLS)?.unwrap_or_default();
    for (index, raw) in calls.into_iter().enumerate() {
        blocks.push(tool_call(raw, At::Item(&at, index))?);
    }
    Ok(blocks)
}

pub(super) fn tool_call(raw: &RawValue, at: At<'_>) -> Result<Block, Malformed> {
    let mut fields = Fields::of(raw, at)?;
    if fields.text("type")?.is_some_and(|kind| kind != "function") {
        return Ok(Part::OtherCall { dialect: Dialect::Openai, raw: raw.to_owned() }.into());
    }
    let function_at = At::Field(&at, "function");
    let Some(function) = fields.take("function") else {
        return Err(function_at.wrong("an object"));
    };
    let mut function = Fields::of(function, function_at)?;
    let arguments = match function.take("arguments") {
        Some(raw) if is_string(raw) => string(raw, &At::Field(&function_at, "arguments"))?,
        // Some clients and servers forget to make it text.
        Some(raw) => raw.get().to_owned(),
        None => String::new(),
    };
    let call = ToolCall {
        id: fields.text("id")?.unwrap_or_default(),
        name: function.need_text("name")?,
        arguments,
    };
    fields.take("index");
    Ok(Block { part: Part::ToolCall(call), cache: part::cache(&mut fields)?, extra: fields.rest() })
}

fn tools(fields: &mut Fields<'_, '_>) -> Result<Vec<Tool>, Malformed> {
    let at = At::Field(&At::Body, "tools");
    let tools = fields.list("tools", MAX_TOOLS)?.unwrap_or_default();
    tools.into_iter().enumerate().map(|(i, raw)| tool(raw, At::Item(&at, i))).collect()
}

fn tool(raw: &RawValue, at: At<'_>) -> Result<Tool, Malformed> {
    let mut fields = Fields::of(raw, at)?;
    let Some(kind) = fields.text("type")? else { return googles(raw, fields) };
    if kind != "function" {
        return Ok(Tool::Other { dialect: Dialect::Openai, kind, raw: raw.to_owned() });
    }
    let function_at = At::Field(&at, "function");
    let Some(function) = fields.take("function") else {
        return Err(function_at.wrong("an object"));
    };
    let mut function = Fields::of(function, function_at)?;
    let cache: Option<CacheMark> = part::cache(&mut fields)?;
    let read = Function {
        name: function.need_text("name")?,
        description: function.text("description")?,
        parameters: function.raw("parameters"),
        strict: function.get("strict", "true or false")?,
        cache,
        extra: fields.rest(),
    };
    if !function.is_empty() {
        return Ok(Tool::Other { dialect: Dialect::Openai, kind, raw: raw.to_owned() });
    }
    Ok(Tool::Function(read))
}

/// `{"googleSearch": {}}`, which LiteLLM's clients put among OpenAI's tools.
fn googles(raw: &RawValue, fields: Fields<'_, '_>) -> Result<Tool, Malformed> {
    let wrong = fields.wrong("type", "a string");
    let members = fields.rest();
    match members.as_slice() {
        [(name, value)] if value.get().starts_with('{') && **name != *"function" => {
            Ok(Tool::Other {
                dialect: Dialect::Gemini,
                kind: name.to_string(),
                raw: raw.to_owned(),
            })
        }
        _ => Err(wrong),
    }
}

fn tool_choice(fields: &mut Fields<'_, '_>) -> Result<Option<ToolChoice>, Malformed> {
    let Some(raw) = fields.take("tool_choice") else { return Ok(None) };
    let at = At::Field(&At::Body, "tool_choice");
    if is_string(raw) {
        return Ok(Some(match string(raw, &at)?.as_str() {
            "auto" => ToolChoice::Auto,
            "none" => ToolChoice::None,
            "required" => ToolChoice::Required,
            _ => return Err(at.wrong("`auto`, `none`, `required` or a tool")),
        }));
    }
    let mut choice = Fields::of(raw, at)?;
    if choice.need_text("type")? == "function"
        && let Some(function) = choice.take("function")
    {
        let name = Fields::of(function, At::Field(&at, "function"))?.need_text("name")?;
        return Ok(Some(ToolChoice::Named(name)));
    }
    Ok(Some(ToolChoice::Other { dialect: Dialect::Openai, raw: raw.to_owned() }))
}

fn format(fields: &mut Fields<'_, '_>) -> Result<Option<Format>, Malformed> {
    let Some(raw) = fields.take("response_format") else { return Ok(None) };
    let at = At::Field(&At::Body, "response_format");
    let mut format = Fields::of(raw, at)?;
    Ok(Some(match format.need_text("type")?.as_str() {
        "text" => Format::Text,
        "json_object" => Format::JsonObject,
        "json_schema" => {
            let at = At::Field(&at, "json_schema");
            let Some(schema) = format.take("json_schema") else {
                return Err(at.wrong("an object"));
            };
            let mut schema = Fields::of(schema, at)?;
            Format::JsonSchema(Schema {
                name: schema.text("name")?,
                description: schema.text("description")?,
                schema: schema.raw("schema"),
                strict: schema.get("strict", "true or false")?,
            })
        }
        _ => Format::Other { dialect: Dialect::Openai, raw: raw.to_owned() },
    }))
}

/// The thinking blocks of a list, as LiteLLM spells them.
pub(super) fn thinking_blocks(raw: &RawValue, at: &At<'_>) -> Result<Vec<Block>, Malformed> {
    let mut blocks = Vec::new();
    for (index, raw) in list(raw, at, crate::op::chat::MAX_BLOCKS)?.into_iter().enumerate() {
        let mut fields = Fields::of(raw, At::Item(at, index))?;
        let part = match fields.need_text("type")?.as_str() {
            "thinking" => Part::Thinking {
                text: fields.text("thinking")?.unwrap_or_default(),
                signature: fields.text("signature")?.filter(|signature| !signature.is_empty()),
            },
            "redacted_thinking" => Part::RedactedThinking(fields.need_text("data")?),
            _ => Part::Other { dialect: Dialect::Openai, raw: raw.to_owned() },
        };
        // Ours, from a stream: see `encode`.
        fields.take("index");
        blocks.push(Block { part, cache: part::cache(&mut fields)?, extra: fields.rest() });
    }
    Ok(blocks)
}
