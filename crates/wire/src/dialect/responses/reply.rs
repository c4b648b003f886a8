//! A whole answer, both ways.

use bytes::{Bytes, BytesMut};
use serde_json::value::RawValue;

use super::{
    echo::Told,
    output::{self, Writer},
    usage,
};
use crate::{
    dialect::{
        annotation,
        fault::says_something,
        fields::{At, Fields, list},
        figures::Figures,
        json::{self, Object},
    },
    exchange::Malformed,
    matrix::Dialect,
    op::chat::{Block, Choice, Extra, Finish, MAX_BLOCKS, Part, Raw, Reason, Response},
};

pub(super) fn read(body: &[u8]) -> Result<Response, Malformed> {
    let mut fields = Fields::of_body(body)?;
    if fields.take("error").is_some_and(|raw| says_something(raw.get().as_bytes())) {
        let fault = crate::dialect::fault_inside(body);
        return Err(Malformed::new(format!("the upstream answered an error: {}", fault.message)));
    }
    let at = At::Field(&At::Body, "output");
    let items = fields
        .list("output", MAX_BLOCKS)?
        .ok_or_else(|| at.wrong("a list of items"))?
        .into_iter()
        .enumerate();
    let mut blocks = Vec::new();
    for (index, raw) in items {
        blocks.extend(output::read(raw, At::Item(&at, index))?);
    }
    fields.take("object");
    let finish = finish(&mut fields, &blocks)?;
    let tier = fields.peek("service_tier").map(|raw| raw.get().trim_matches('"'));
    Ok(Response {
        upstream: Dialect::Responses,
        id: fields.text("id")?.unwrap_or_default(),
        model: fields.text("model")?.unwrap_or_default(),
        created: fields.take("created_at").and_then(|raw| seconds(raw.get())),
        usage: fields.take("usage").map(|raw| Figures::whole(Dialect::Responses, raw.get(), tier)),
        extra: fields.rest(),
        choices: vec![Choice {
            message_extra: cited(&blocks),
            extra: logprobs(&blocks),
            blocks,
            finish,
        }],
    })
}

/// Whole seconds; OpenAI's SDKs have them as a fraction.
pub(super) fn seconds(text: &str) -> Option<u64> {
    text.split('.').next()?.parse().ok()
}

/// `None` for an answer that is not at its end: its status stays where it is.
fn finish(fields: &mut Fields<'_, '_>, blocks: &[Block]) -> Result<Option<Finish>, Malformed> {
    let called = blocks.iter().any(|block| matches!(block.part, Part::ToolCall(_)));
    let reason = match fields.peek("status").map(RawValue::get) {
        Some("\"completed\"") | None => {
            if called {
                Reason::ToolCalls
            } else {
                Reason::Stop
            }
        }
        Some("\"incomplete\"") => {
            let details = fields.take("incomplete_details");
            incomplete(details)
        }
        Some(_) => return Ok(None),
    };
    fields.take("status");
    Ok(Some(Finish { reason, stop_sequence: None }))
}

/// `{"reason": "max_output_tokens"}`
pub(super) fn incomplete(details: Option<&RawValue>) -> Reason {
    let reason = details
        .and_then(|raw| Fields::of(raw, At::Body).ok())
        .and_then(|mut details| details.text("reason").ok().flatten());
    match reason.as_deref() {
        Some("content_filter") => Reason::ContentFilter,
        Some(_) | None => Reason::Length,
    }
}

/// What the texts cite, as chat completions have it.
fn cited(blocks: &[Block]) -> Extra {
    let mut nested = Vec::new();
    for (_, raw) in blocks.iter().flat_map(|b| &b.extra).filter(|(n, _)| **n == *"annotations") {
        let items = list(raw, &At::Body, MAX_BLOCKS).unwrap_or_default();
        nested.extend(items.into_iter().filter_map(output::nested_annotation));
    }
    gathered("annotations", &nested, |raw| raw)
}

/// What the texts' tokens were, as chat completions have it.
fn logprobs(blocks: &[Block]) -> Extra {
    let mut tokens = Vec::new();
    for (_, raw) in blocks.iter().flat_map(|b| &b.extra).filter(|(n, _)| **n == *"logprobs") {
        let items = list(raw, &At::Body, usize::MAX).unwrap_or_default();
        tokens.extend(items.into_iter().map(ToOwned::to_owned));
    }
    gathered("logprobs", &tokens, |raw| format!("{{\"content\":{raw},\"refusal\":null}}"))
}

fn gathered(name: &str, items: &[Raw], wrap: impl FnOnce(String) -> String) -> Extra {
    if items.is_empty() {
        return Extra::new();
    }
    let mut out = BytesMut::new();
    json::list(&mut out, |list| items.iter().for_each(|raw| list.raw(raw.get())));
    let text = wrap(String::from_utf8(out.to_vec()).unwrap_or_default());
    super::tool::raw(text).map(|raw| (name.into(), raw)).into_iter().collect()
}

pub(super) fn write(reply: &Response, told: &Told) -> Bytes {
    let own = reply.upstream == Dialect::Responses;
    let choice = reply.choices.first();
    let blocks = choice.map(|choice| choice.blocks.as_slice()).unwrap_or_default();
    let finish = choice.and_then(|choice| choice.finish.as_ref());
    let id = id_of(reply.upstream, &reply.id);
    let find = |extra: &Extra, name: &str| -> Option<Raw> {
        extra.iter().find(|(own, _)| **own == *name).map(|(_, raw)| raw.clone())
    };
    let mut writer = Writer {
        own,
        stem: stem_of(&id),
        told,
        logprobs: choice
            .and_then(|choice| find(&choice.extra, "logprobs"))
            .and_then(|raw| tokens_of(&raw)),
        cited: choice.map(|choice| annotation::of(&choice.message_extra)).unwrap_or_default(),
        length: 0,
        texts: 0,
        written: 0,
    };
    let mut out = BytesMut::new();
    json::object(&mut out, |o| {
        head(o, &id, reply.created, &reply.model);
        if finish.is_some() || !own {
            status(o, finish.map(|finish| finish.reason));
        }
        o.list("output", |list| writer.write(list, blocks));
        match own {
            true => o.extra(&reply.extra),
            false => told.write(o),
        }
        match &reply.usage {
            Some(usage) => o.object("usage", |o| usage::write(o, usage)),
            None => o.null("usage"),
        }
    });
    out.freeze()
}

/// The list within `{"content": […]}`.
pub(super) fn tokens_of(raw: &RawValue) -> Option<Raw> {
    Fields::of(raw, At::Body).ok()?.raw("content")
}

/// An answer's id: its provider's, with the prefix that clients know these by.
pub(super) fn id_of(upstream: Dialect, id: &str) -> String {
    match upstream {
        Dialect::Responses => id.to_owned(),
        _ => ["resp_", stem_of(id)].concat(),
    }
}

/// An id without what says whose it is.
pub(super) fn stem_of(id: &str) -> &str {
    let known = ["resp_", "chatcmpl-", "msg_"];
    known.iter().find_map(|prefix| id.strip_prefix(prefix)).unwrap_or(id)
}

/// Writes what an answer begins with.
pub(super) fn head(o: &mut Object<'_>, id: &str, created: Option<u64>, model: &str) {
    o.text("id", id);
    o.text("object", "response");
    o.integer("created_at", created.unwrap_or(0));
    o.text("model", model);
}

/// Writes how an answer ended.
pub(super) fn status(o: &mut Object<'_>, reason: Option<Reason>) {
    let incomplete = match reason {
        None | Some(Reason::Stop | Reason::ToolCalls) => None,
        Some(Reason::Length) => Some("max_output_tokens"),
        Some(Reason::ContentFilter) => Some("content_filter"),
    };
    o.text("status", if incomplete.is_some() { "incomplete" } else { "completed" });
    o.null("error");
    match incomplete {
        Some(reason) => o.object("incomplete_details", |o| o.text("reason", reason)),
        None => o.null("incomplete_details"),
    }
}
