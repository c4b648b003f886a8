//! A whole answer, both ways.

use bytes::{Bytes, BytesMut};
use serde_json::value::RawValue;

use super::{chunk::Sound, message, part, request, usage};
use crate::{
    dialect::{
        annotation::{self, Found},
        fault::says_something,
        fields::{At, Fields, is_string, string},
        figures::Figures,
        json::{self, Object},
        signature,
    },
    exchange::Malformed,
    matrix::Dialect,
    op::chat::{Block, Choice, Extra, Finish, MAX_CHOICES, MAX_TOOL_CALLS, Part, Reason, Response},
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
    let mut choices: Vec<Choice> = choices;
    let mut found = Found::default();
    found.add(fields.peek("search_results"), fields.peek("citations"));
    choices.iter_mut().for_each(|choice| cite(choice, &found));
    fields.take("object");
    let tier = fields.peek("service_tier").and_then(|raw| raw.get().strip_prefix('"'));
    let tier = tier.and_then(|word| word.strip_suffix('"'));
    Ok(Response {
        upstream: Dialect::Openai,
        id: fields.text("id")?.unwrap_or_default(),
        model: fields.text("model")?.unwrap_or_default(),
        created: fields.take("created").and_then(|raw| serde_json::from_str(raw.get()).ok()),
        choices,
        usage: fields.take("usage").map(|raw| Figures::whole(Dialect::Openai, raw.get(), tier)),
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
    if let Some(raw) = message.peek("audio").filter(|raw| raw.get() != "null") {
        let at = At::Field(&message_at, "audio");
        let sound: Sound = serde_json::from_str(raw.get()).map_err(|_| at.wrong("sound"))?;
        let format = sound.format().to_owned();
        if !sound.transcript.is_empty() {
            blocks.push(Part::Text(sound.transcript).into());
        }
        blocks.push(Part::Audio { data: sound.data, format }.into());
    }
    if let Some(raw) = message.take("images") {
        blocks.extend(part::pictures(raw, &At::Field(&message_at, "images"))?);
    }
    let calls_at = At::Field(&message_at, "tool_calls");
    let calls = message.list("tool_calls", MAX_TOOL_CALLS)?.unwrap_or_default();
    for (index, raw) in calls.into_iter().enumerate() {
        blocks.push(request::tool_call(raw, At::Item(&calls_at, index))?);
    }
    Ok(Choice { blocks, finish, message_extra: message.rest(), extra: fields.rest() })
}

/// What was found, as what the text cites, unless that was said.
fn cite(choice: &mut Choice, found: &Found) {
    if !found.any() || !annotation::of(&choice.message_extra).is_empty() {
        return;
    }
    let text: String = choice.blocks.iter().filter_map(text_of).collect();
    if let Some(annotations) = found.annotations(&text, text.chars().count() as u64) {
        choice.message_extra.retain(|(name, _)| **name != *annotation::NAME);
        choice.message_extra.push((annotation::NAME.into(), annotations));
    }
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
                list.object(|o| write_choice(o, index, choice, native, &reply.id));
            }
        });
        if let Some(usage) = &reply.usage {
            o.object("usage", |o| usage::write(o, usage));
        }
        if native {
            o.extra(&reply.extra);
        } else if let Some(word) = reply.usage.and_then(|usage| usage::tier(&usage)) {
            o.text("service_tier", word);
        }
    });
    out.freeze()
}

fn write_choice(o: &mut Object<'_>, index: u64, choice: &Choice, native: bool, id: &str) {
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
        message::tool_calls(o, &choice.blocks, native, &[signature::EXTRA_CONTENT]);
        images(o, &choice.blocks, native);
        if !native {
            sound(o, &choice.blocks, id);
        }
        for (name, raw) in &choice.message_extra {
            // What others say in OpenAI's spelling.
            if native || matches!(&**name, "annotations" | signature::EXTRA_CONTENT) {
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

/// What was said aloud: OpenAI has one piece of it.
fn sound(o: &mut Object<'_>, blocks: &[Block], id: &str) {
    let said = blocks.iter().find_map(|block| match &block.part {
        Part::Audio { data, .. } => Some(data),
        _ => None,
    });
    if let Some(data) = said {
        o.object("audio", |o| {
            o.text("id", &format!("audio_{id}"));
            o.text("data", data);
            o.integer("expires_at", 0);
            o.text("transcript", "");
        });
    }
}

/// Pictures beside the text, as OpenRouter and LiteLLM have them.
fn images(o: &mut Object<'_>, blocks: &[Block], native: bool) {
    let pictures = blocks.iter().filter_map(|block| match &block.part {
        Part::Image { source, .. } => Some((part::url_of(source)?, &block.extra)),
        _ => None,
    });
    let pictures: Vec<(String, &Extra)> = pictures.collect();
    if pictures.is_empty() {
        return;
    }
    o.list("images", |list| {
        for (index, (url, extra)) in (0u64..).zip(pictures) {
            part::write_picture(list, &url, index, Some(extra).filter(|_| native));
        }
    });
}

fn text_of(block: &Block) -> Option<&str> {
    if let Part::Text(text) = &block.part { Some(text) } else { None }
}
