//! A whole answer.

use serde_json::value::RawValue;

use super::cite;
use crate::{
    dialect::{
        fields::{At, Fields, is_string, list, string},
        figures::Figures,
    },
    exchange::Malformed,
    matrix::Dialect,
    op::chat::{
        Block, Choice, Extra, Finish, MAX_BLOCKS, MAX_TOOL_CALLS, Part, Reason, Response, ToolCall,
    },
};

pub(super) fn read(body: &[u8]) -> Result<Response, Malformed> {
    let mut fields = Fields::of_body(body)?;
    let at = At::Field(&At::Body, "message");
    let Some(raw) = fields.take("message") else { return Err(at.wrong("an object")) };
    if is_string(raw) {
        let fault = crate::dialect::fault_inside(body);
        return Err(Malformed::new(format!("the upstream answered an error: {}", fault.message)));
    }
    let finish = finish_of(&fields.need_text("finish_reason")?)
        .ok_or_else(|| Malformed::new("the upstream answered an error: the generation failed"))?;
    let mut choice = message(raw, at)?;
    choice.finish = Some(finish);
    if let Some(items) = fields.list("logprobs", MAX_BLOCKS)?
        && let Some(logprobs) = cite::logprobs(items)
    {
        choice.extra.push(("logprobs".into(), logprobs));
    }
    Ok(Response {
        upstream: Dialect::Cohere,
        id: fields.text("id")?.unwrap_or_default(),
        model: String::new(),
        created: None,
        choices: vec![choice],
        usage: fields.take("usage").map(|raw| Figures::whole(Dialect::Cohere, raw.get(), None)),
        extra: fields.rest(),
    })
}

fn message(raw: &RawValue, at: At<'_>) -> Result<Choice, Malformed> {
    let mut message = Fields::of(raw, at)?;
    message.take("role");
    let mut blocks: Vec<Block> = Vec::new();
    if let Some(raw) = message.take("content") {
        let content_at = At::Field(&at, "content");
        if is_string(raw) {
            blocks.push(Part::Text(string(raw, &content_at)?).into());
        } else {
            for (index, raw) in list(raw, &content_at, MAX_BLOCKS)?.into_iter().enumerate() {
                blocks.push(content(raw, At::Item(&content_at, index))?);
            }
        }
    }
    if let Some(plan) = message.text("tool_plan")?.filter(|plan| !plan.is_empty()) {
        blocks.push(Part::Text(plan).into());
    }
    let calls_at = At::Field(&at, "tool_calls");
    let calls = message.list("tool_calls", MAX_TOOL_CALLS)?.unwrap_or_default();
    for (index, raw) in calls.into_iter().enumerate() {
        blocks.push(Part::ToolCall(call(raw, At::Item(&calls_at, index))?).into());
    }
    let mut message_extra = Extra::new();
    if let Some(raw) = message.take("citations") {
        let citations = list(raw, &At::Field(&at, "citations"), MAX_BLOCKS)?;
        if let Some(annotations) = cite::annotations(citations) {
            message_extra.push(("annotations".into(), annotations));
            message_extra.push(("citations".into(), raw.to_owned()));
        }
    }
    message_extra.extend(message.rest());
    Ok(Choice { blocks, finish: None, message_extra, extra: Extra::new() })
}

fn content(raw: &RawValue, at: At<'_>) -> Result<Block, Malformed> {
    let mut fields = Fields::of(raw, at)?;
    let part = match fields.need_text("type")?.as_str() {
        "text" => Part::Text(fields.need_text("text")?),
        "thinking" => Part::Thinking { text: fields.need_text("thinking")?, signature: None },
        _ => Part::Other { dialect: Dialect::Cohere, raw: raw.to_owned() },
    };
    Ok(part.into())
}

/// A call, in a request and in an answer.
pub(super) fn call(raw: &RawValue, at: At<'_>) -> Result<ToolCall, Malformed> {
    let mut fields = Fields::of(raw, at)?;
    let id = fields.need_text("id")?;
    let function_at = At::Field(&at, "function");
    let Some(function) = fields.take("function") else {
        return Err(function_at.wrong("an object"));
    };
    let mut function = Fields::of(function, function_at)?;
    let name = function.need_text("name")?;
    Ok(ToolCall { id, name, arguments: function.text("arguments")?.unwrap_or_default() })
}

/// `None` for an answer that failed.
pub(super) fn finish_of(word: &str) -> Option<Finish> {
    let reason = match word {
        "ERROR" => return None,
        // Cut off by the clock.
        "TIMEOUT" => Reason::Length,
        word => Reason::read(word),
    };
    Some(Finish { reason, stop_sequence: None })
}
