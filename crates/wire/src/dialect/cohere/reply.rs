//! A whole answer, both ways.

use bytes::{Bytes, BytesMut};
use serde_json::value::RawValue;

use super::{cite, message::write_call};
use crate::{
    dialect::{
        fields::{At, Fields, is_string, list, string},
        figures::Figures,
        json::{self, Object},
        openai::url_of,
    },
    exchange::Malformed,
    matrix::Dialect,
    op::chat::{
        Block, Choice, Extra, Finish, MAX_BLOCKS, MAX_TOOL_CALLS, Part, Reason, Response, ToolCall,
    },
    usage::Usage,
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
pub(crate) fn finish_of(word: &str) -> Option<Finish> {
    let reason = match word {
        "ERROR" => return None,
        // Cut off by the clock.
        "TIMEOUT" => Reason::Length,
        word => Reason::read(word),
    };
    Some(Finish { reason, stop_sequence: None })
}

/// Cohere's word. OpenAI says `stop` for a call of a tool that the client chose.
pub(super) fn finish_word(finish: &Finish, called: bool) -> &'static str {
    match finish.reason {
        Reason::Stop if called => "TOOL_CALL",
        Reason::Stop if finish.stop_sequence.is_some() => "STOP_SEQUENCE",
        Reason::Stop => "COMPLETE",
        Reason::Length => "MAX_TOKENS",
        Reason::ToolCalls => "TOOL_CALL",
        Reason::ContentFilter => "ERROR",
    }
}

/// Writes the members of `usage`.
pub(super) fn write_usage(o: &mut Object<'_>, usage: &Usage) {
    for name in ["billed_units", "tokens"] {
        o.object(name, |o| {
            o.integer("input_tokens", usage.input);
            o.integer("output_tokens", usage.output);
        });
    }
    o.integer("cached_tokens", usage.cache_read);
}

/// Cohere has one answer: the first.
pub(super) fn write(reply: &Response) -> Bytes {
    let native = reply.upstream == Dialect::Cohere;
    let none = Choice::default();
    let choice = reply.choices.first().unwrap_or(&none);
    let called = choice.blocks.iter().any(|block| matches!(block.part, Part::ToolCall(_)));
    let mut out = BytesMut::new();
    json::object(&mut out, |o| {
        o.text("id", &reply.id);
        let finish = choice.finish.as_ref();
        o.text("finish_reason", finish.map_or("COMPLETE", |finish| finish_word(finish, called)));
        o.object("message", |o| write_message(o, choice, called, native));
        o.object("usage", |o| write_usage(o, &reply.usage.unwrap_or_default()));
        if let Some(raw) = member(&choice.extra, "logprobs") {
            o.list("logprobs", |list| {
                for item in cite::logprob_items(raw) {
                    list.object(|o| item.write(o));
                }
            });
        }
        if native {
            o.extra(&reply.extra);
        }
    });
    out.freeze()
}

fn member<'a>(extra: &'a Extra, name: &str) -> Option<&'a str> {
    extra.iter().find(|(other, _)| **other == *name).map(|(_, raw)| raw.get())
}

fn write_message(o: &mut Object<'_>, choice: &Choice, called: bool, native: bool) {
    o.text("role", "assistant");
    let said: String = choice.blocks.iter().filter_map(text_of).collect();
    let shows = |block: &Block| matches!(block.part, Part::Thinking { .. } | Part::Image { .. });
    if !called || choice.blocks.iter().any(shows) {
        o.list("content", |list| {
            for block in &choice.blocks {
                match &block.part {
                    Part::Thinking { text, .. } => list.object(|o| {
                        o.text("type", "thinking");
                        o.text("thinking", text);
                    }),
                    Part::Text(text) | Part::Refusal(text) if !called => list.object(|o| {
                        o.text("type", "text");
                        o.text("text", text);
                    }),
                    Part::Other { dialect: Dialect::Cohere, raw } => list.raw(raw.get()),
                    Part::Image { source, .. } => {
                        if let Some(url) = url_of(source) {
                            list.object(|o| write_image(o, &url));
                        }
                    }
                    // Cohere has no place for these.
                    Part::Text(_) | Part::Refusal(_) | Part::RedactedThinking(_) => {}
                    Part::Audio { .. } | Part::File { .. } => {}
                    Part::ToolCall(_) | Part::ToolResult(_) => {}
                    Part::Other { .. } | Part::OtherCall { .. } => {}
                }
            }
        });
    }
    if called {
        if !said.is_empty() {
            o.text("tool_plan", &said);
        }
        o.list("tool_calls", |list| {
            for block in &choice.blocks {
                if let Part::ToolCall(call) = &block.part {
                    list.object(|o| write_call(o, call));
                }
            }
        });
    }
    if native {
        for (name, raw) in choice.message_extra.iter().filter(|(name, _)| **name != *"annotations")
        {
            o.raw(name, raw.get());
        }
        return;
    }
    let annotations = member(&choice.message_extra, "annotations").unwrap_or("[]");
    let citations = cite::citations(annotations, &said);
    if !citations.is_empty() {
        o.list("citations", |list| {
            for citation in &citations {
                list.object(|o| citation.write(o));
            }
        });
    }
}

/// Writes a picture. Cohere's own answers have none: in those of others it is what it is in a
/// request.
pub(super) fn write_image(o: &mut Object<'_>, url: &str) {
    o.text("type", "image_url");
    o.object("image_url", |o| o.text("url", url));
}

fn text_of(block: &Block) -> Option<&str> {
    match &block.part {
        Part::Text(text) | Part::Refusal(text) => Some(text),
        _ => None,
    }
}
