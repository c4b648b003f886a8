//! A whole answer, both ways.

use bytes::{Bytes, BytesMut};
use serde_json::value::RawValue;

use super::{message, part, request, usage};
use crate::{
    dialect::{
        fault::says_something,
        fields::{At, Fields, is_string, string},
        figures::Figures,
        json::{self, Object},
    },
    exchange::Malformed,
    matrix::Dialect,
    op::chat::{Block, Choice, Finish, MAX_CHOICES, MAX_TOOL_CALLS, Part, Reason, Response},
};

pub(super) fn read(body: &[u8]) -> Result<Response, Malformed> {
    let mut fields = Fields::of_body(body)?;
    if fields.take("error").is_some_and(|raw| says_something(raw.get().as_bytes())) {
        let fault = crate::dialect::fault_inside(body);
        return Err(Malformed::new(format!("the upstream answered an error: {}", fault.message)));
    }
    let at = At::Field(&At::Body, "choices");
    let choices = fields
        .list("choices", MAX_CHOICES)?
        .ok_or_else(|| at.wrong("a list"))?
        .into_iter()
        .enumerate()
        .map(|(index, raw)| choice(raw, At::Item(&at, index)))
        .collect::<Result<_, _>>()?;
    fields.take("object");
    Ok(Response {
        upstream: Dialect::Openai,
        id: fields.text("id")?.unwrap_or_default(),
        model: fields.text("model")?.unwrap_or_default(),
        created: fields.take("created").and_then(|raw| serde_json::from_str(raw.get()).ok()),
        choices,
        usage: fields.take("usage").map(|raw| Figures::whole(Dialect::Openai, raw.get())),
        extra: fields.rest(),
    })
}

fn choice(raw: &RawValue, at: At<'_>) -> Result<Choice, Malformed> {
    let mut fields = Fields::of(raw, at)?;
    fields.take("index");
    let finish = fields.text("finish_reason")?.map(|word| finish_of(&word));
    let Some(message) = fields.take("message") else {
        return Err(fields.wrong("message", "an object"));
    };
    let message_at = At::Field(&at, "message");
    let mut message = Fields::of(message, message_at)?;
    message.take("role");
    let mut blocks = part::thoughts(&mut message)?;
    if blocks.is_empty()
        && let Some(raw) = message.take("reasoning").filter(|raw| is_string(raw))
    {
        // OpenRouter's and Groq's name for it.
        let text = string(raw, &At::Field(&message_at, "reasoning"))?;
        blocks.push(Part::Thinking { text, signature: None }.into());
    }
    if let Some(raw) = message.take("content") {
        blocks.extend(content(raw, &At::Field(&message_at, "content"))?);
    }
    if let Some(text) = message.text("refusal")? {
        blocks.push(Part::Refusal(text).into());
    }
    let calls_at = At::Field(&message_at, "tool_calls");
    let calls = message.list("tool_calls", MAX_TOOL_CALLS)?.unwrap_or_default();
    for (index, raw) in calls.into_iter().enumerate() {
        blocks.push(request::tool_call(raw, At::Item(&calls_at, index))?);
    }
    Ok(Choice { blocks, finish, message_extra: message.rest(), extra: fields.rest() })
}

fn content(raw: &RawValue, at: &At<'_>) -> Result<Vec<Block>, Malformed> {
    if is_string(raw) {
        return Ok(vec![Part::Text(string(raw, at)?).into()]);
    }
    part::list_of(raw, at)
}

pub(super) fn finish_of(word: &str) -> Finish {
    Finish { reason: Reason::read(word), stop_sequence: None }
}

pub(super) fn write(reply: &Response) -> Bytes {
    let native = reply.upstream == Dialect::Openai;
    let mut out = BytesMut::new();
    json::object(&mut out, |o| {
        o.text("id", &reply.id);
        o.text("object", "chat.completion");
        o.integer("created", reply.created.unwrap_or(0));
        o.text("model", &reply.model);
        o.list("choices", |list| {
            for (index, choice) in (0u64..).zip(&reply.choices) {
                list.object(|o| write_choice(o, index, choice, native));
            }
        });
        if let Some(usage) = &reply.usage {
            o.object("usage", |o| usage::write(o, usage));
        }
        if native {
            o.extra(&reply.extra);
        }
    });
    out.freeze()
}

fn write_choice(o: &mut Object<'_>, index: u64, choice: &Choice, native: bool) {
    o.integer("index", index);
    o.object("message", |o| {
        o.text("role", "assistant");
        let texts: Vec<&str> = choice.blocks.iter().filter_map(text_of).collect();
        if texts.is_empty() {
            o.null("content");
        } else {
            o.text("content", &texts.concat());
        }
        part::write_thoughts(o, &choice.blocks);
        let refusal = choice.blocks.iter().find_map(message::refusal_of);
        match refusal {
            Some(text) => o.text("refusal", text),
            None => o.null("refusal"),
        }
        message::tool_calls(o, &choice.blocks, native);
        for (name, raw) in &choice.message_extra {
            if native || **name == *"annotations" {
                o.raw(name, raw.get());
            }
        }
    });
    match &choice.finish {
        Some(finish) => o.text("finish_reason", finish.reason.openai()),
        None => o.null("finish_reason"),
    }
    for (name, raw) in &choice.extra {
        if native || **name == *"logprobs" {
            o.raw(name, raw.get());
        }
    }
}

fn text_of(block: &Block) -> Option<&str> {
    if let Part::Text(text) = &block.part { Some(text) } else { None }
}
