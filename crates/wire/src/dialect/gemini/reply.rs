//! A whole answer, both ways. <https://ai.google.dev/api/generate-content#generatecontentresponse>

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::value::RawValue;

use super::{
    candidate::{self, Said, finish_of, is_plain},
    part::{self, Ids, Spelling},
    usage,
};
use crate::{
    dialect::{
        fault::says_something,
        fields::{At, Fields},
        figures::Figures,
        json::{self, Object},
    },
    exchange::Malformed,
    matrix::Dialect,
    op::chat::{
        Block, Choice, Extra, Finish, MAX_BLOCKS, MAX_CHOICES, Part, Raw, Reason, Response,
    },
    usage::Usage,
};

pub(super) fn read(body: &[u8]) -> Result<Response, Malformed> {
    let mut fields = Fields::of_body(body)?;
    if fields.take("error").is_some_and(|raw| says_something(raw.get().as_bytes())) {
        let fault = crate::dialect::fault_inside(body);
        return Err(Malformed::new(format!("the upstream answered an error: {}", fault.message)));
    }
    let id = fields.text("responseId")?.unwrap_or_default();
    let mut ids = Ids::of_answer(&id);
    let at = At::Field(&At::Body, "candidates");
    let candidates = fields.list("candidates", MAX_CHOICES)?;
    let usage = fields.take("usageMetadata");
    let model = fields.text("modelVersion")?.unwrap_or_default();
    let extra = fields.rest();
    let blocked = extra.iter().any(|(name, _)| **name == *"promptFeedback");
    let choices = match candidates {
        Some(candidates) if !candidates.is_empty() => candidates
            .into_iter()
            .enumerate()
            .map(|(index, raw)| choice(raw, At::Item(&at, index), &mut ids))
            .collect::<Result<_, _>>()?,
        // A prompt that is refused has no answer at all, only the reason.
        Some(_) | None if blocked => vec![refused()],
        Some(_) | None => return Err(at.wrong("a list of candidates")),
    };
    let choices: Vec<Choice> = choices;
    let grounded = choices.iter().flat_map(|choice| &choice.extra);
    let grounded = grounded.filter(|(name, _)| **name == *"groundingMetadata");
    let queries = grounded.map(|(_, raw)| candidate::queries(raw)).sum();
    let searches = u32::try_from(super::searches(&model, queries)).unwrap_or(u32::MAX);
    let usage = usage.map(|raw| Figures::whole(Dialect::Gemini, raw.get(), None));
    Ok(Response {
        upstream: Dialect::Gemini,
        id,
        model,
        created: None,
        choices,
        usage: usage.map(|usage| Usage { searches, ..usage }),
        extra,
    })
}

/// The answer to a prompt that was refused.
fn refused() -> Choice {
    let finish = Finish { reason: Reason::ContentFilter, stop_sequence: None };
    Choice { finish: Some(finish), ..Choice::default() }
}

fn choice(raw: &RawValue, at: At<'_>, ids: &mut Ids) -> Result<Choice, Malformed> {
    let mut fields = Fields::of(raw, at)?;
    fields.take("index");
    let mut blocks = Vec::new();
    if let Some(content) = fields.take("content") {
        let at = At::Field(&at, "content");
        let mut content = Fields::of(content, at)?;
        let parts_at = At::Field(&at, "parts");
        let parts = content.list("parts", MAX_BLOCKS)?.unwrap_or_default();
        for (index, raw) in parts.into_iter().enumerate() {
            blocks.push(part::read(raw, At::Item(&parts_at, index), ids)?);
        }
    }
    let called = blocks.iter().any(|block| matches!(block.part, Part::ToolCall(_)));
    let word = fields.text("finishReason")?;
    let finish = word.as_deref().map(|word| finish_of(word, called));
    let mut extra = Extra::new();
    if let Some(word) = word.filter(|word| !is_plain(word))
        && let Ok(word) = serde_json::value::to_raw_value(&word)
    {
        extra.push(("finishReason".into(), word));
    }
    let recited = fields.peek("citationMetadata").map(candidate::recited).unwrap_or_default();
    let grounding = fields.peek("groundingMetadata");
    let annotations = candidate::annotations(grounding, &recited, &said(&blocks));
    let message_extra = annotations.map(|it| ("annotations".into(), it)).into_iter().collect();
    for (name, raw) in fields.rest() {
        if &*name == "logprobsResult" {
            extra.extend(candidate::logprobs(&raw).map(|it| ("logprobs".into(), it)));
        }
        extra.push((name, raw));
    }
    Ok(Choice { blocks, finish, message_extra, extra })
}

fn said(blocks: &[Block]) -> Said {
    let mut said = Said::default();
    for block in blocks {
        if let Part::Text(text) = &block.part {
            said.push(text);
        }
    }
    said
}

/// `{"totalTokens": 31}`
/// <https://ai.google.dev/api/tokens#response-body>
pub(super) fn read_count(body: &[u8]) -> Result<u64, Malformed> {
    Fields::of_body(body)?.need("totalTokens", "a number of tokens")
}

pub(super) fn write(reply: &Response) -> Bytes {
    let native = reply.upstream == Dialect::Gemini;
    let refused = reply.extra.iter().any(|(name, _)| **name == *"promptFeedback");
    let empty = |choice: &Choice| choice.blocks.is_empty() && choice.extra.is_empty();
    let mut out = BytesMut::new();
    json::object(&mut out, |o| {
        if !(native && refused && reply.choices.iter().all(empty)) {
            o.list("candidates", |list| {
                for (index, choice) in (0u64..).zip(&reply.choices) {
                    list.object(|o| write_choice(o, index, choice, native));
                }
            });
        }
        if let Some(usage) = &reply.usage {
            o.object("usageMetadata", |o| usage::write(o, usage));
        }
        o.text("modelVersion", &reply.model);
        o.text("responseId", &reply.id);
        if native {
            o.extra(&reply.extra);
        }
    });
    out.freeze()
}

fn write_choice(o: &mut Object<'_>, index: u64, choice: &Choice, native: bool) {
    let how = Spelling { native, client: true, signature: None, resolution: None };
    // A candidate that was refused has no content.
    if !native || !choice.blocks.is_empty() {
        o.object("content", |o| {
            o.list("parts", |list| {
                for part in choice.blocks.iter().filter_map(|block| part::write(block, how)) {
                    list.item().put_slice(&part);
                }
            });
            o.text("role", "model");
        });
    }
    let find = |name: &str, extra: &Extra| -> Option<Raw> {
        extra.iter().find(|(other, _)| **other == *name).map(|(_, raw)| raw.clone())
    };
    if find("finishReason", &choice.extra).is_none()
        && let Some(finish) = &choice.finish
    {
        o.text("finishReason", candidate::word(finish.reason));
    }
    o.integer("index", index);
    if native {
        for (name, raw) in choice.extra.iter().filter(|(name, _)| **name != *"logprobs") {
            o.raw(name, raw.get());
        }
        return;
    }
    if let Some(annotations) = find("annotations", &choice.message_extra) {
        candidate::write_grounding(o, &[annotations], &said(&choice.blocks));
    }
    let logprobs = find("logprobs", &choice.extra);
    if let Some(result) = logprobs.and_then(|raw| candidate::logprobs_result(&raw)) {
        o.raw("logprobsResult", result.get());
    }
}
