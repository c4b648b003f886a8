//! `generateContent` as Google's Gemini API spells it; the checks are in [`check`].
//! <https://ai.google.dev/api/generate-content>

pub(super) mod check;
mod fields;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    openai::set,
    refuse::Refuse,
    reply::{Reply, UsageSpec},
    said::{Finish, PICTURE, Prompt, SOURCE_TITLE, SOURCE_URL, Said, pieces},
};

/// A checked request.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) model: String,
    pub(super) prompt: Prompt,
    pub(super) stream: Stream,
    /// Whether thoughts are to be shown.
    pub(super) shows_thoughts: bool,
}

/// How the answer comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    /// Whole.
    No,
    /// As events: `alt=sse`.
    Events,
    /// As one JSON list.
    List,
}

impl Ask {
    fn is_third(&self) -> bool {
        is_third(&self.model)
    }
}

/// The third generation signs its calls, names them, and wants the signatures back.
pub(super) fn is_third(model: &str) -> bool {
    model.starts_with("gemini-3")
}

/// The signature of a call: the only one that the checks accept. It is base64.
pub(super) fn signature(name: &str, arguments: &Value) -> String {
    // A protocol buffer's members have no order, and agents change it.
    let mut arguments = arguments.clone();
    arguments.sort_all_objects();
    let text = format!("{name}{arguments}");
    let hash = text.bytes().fold(7_u64, |h, b| h.wrapping_mul(31).wrapping_add(u64::from(b)));
    format!("{hash:016x}")
}

fn finish_reason(said: &Said) -> &'static str {
    match said.finish {
        Finish::Stop | Finish::StopSequence(_) | Finish::Calls => "STOP",
        Finish::Length => "MAX_TOKENS",
    }
}

fn usage(said: &Said, reply: &Reply, answered: bool) -> Option<Value> {
    match &reply.usage {
        UsageSpec::Missing => None,
        UsageSpec::Exactly(value) => Some(value.clone()),
        UsageSpec::Counted => {
            let mut usage = json!({
                "promptTokenCount": said.input,
                "totalTokenCount": said.input + if answered { said.output } else { 0 },
                "promptTokensDetails": [{"modality": "TEXT", "tokenCount": said.input}],
            });
            if answered {
                let spoken = said.output - said.reasoning_tokens;
                set(&mut usage, "candidatesTokenCount", json!(spoken));
            }
            // What is 0 is left out.
            for (name, count) in [
                ("cachedContentTokenCount", said.cached),
                ("thoughtsTokenCount", if answered { said.reasoning_tokens } else { 0 }),
            ] {
                if count > 0 {
                    set(&mut usage, name, json!(count));
                }
            }
            Some(usage)
        }
    }
}

/// The parts of the answer, text in the pieces that it is streamed in.
fn parts(said: &Said, ask: &Ask, serial: u64, cut: bool) -> Vec<Value> {
    let texts = |text: &str| if cut { pieces(text) } else { vec![text.to_owned()] };
    let mut out = Vec::new();
    if let Some(thought) = said.reasoning.as_ref().filter(|_| ask.shows_thoughts) {
        out.extend(texts(thought).into_iter().map(|text| json!({"text": text, "thought": true})));
    }
    if let Some(text) = said.text.as_ref().filter(|text| !text.is_empty()) {
        out.extend(texts(text).into_iter().map(|text| json!({"text": text})));
    }
    if said.picture {
        out.push(json!({"inlineData": {"mimeType": "image/png", "data": PICTURE}}));
    }
    for (index, call) in said.calls.iter().enumerate() {
        let mut function = json!({"name": call.name, "args": call.arguments});
        if ask.is_third() {
            set(&mut function, "id", json!(format!("fc{serial:06}{index}")));
        }
        let mut part = json!({"functionCall": function});
        if index == 0 && ask.is_third() {
            set(&mut part, "thoughtSignature", json!(signature(&call.name, &call.arguments)));
        }
        out.push(part);
    }
    out
}

/// Its places are counted in bytes.
/// <https://ai.google.dev/gemini-api/docs/google-search#grounded-response>
fn grounding(said: &Said) -> Value {
    let text = said.text.as_deref().unwrap_or_default();
    json!({
        "webSearchQueries": ["the source"],
        "groundingChunks": [{"web": {"uri": SOURCE_URL, "title": SOURCE_TITLE}}],
        "groundingSupports": [{
            "segment": {"startIndex": 0, "endIndex": text.len(), "text": text},
            "groundingChunkIndices": [0],
        }],
    })
}

/// `last` where it is the last one, or all.
fn piece(
    ask: &Ask,
    serial: u64,
    parts: &[Value],
    last: Option<&Said>,
    usage: Option<Value>,
) -> Value {
    let mut candidate = json!({"content": {"parts": parts, "role": "model"}, "index": 0});
    if let Some(said) = last {
        set(&mut candidate, "finishReason", json!(finish_reason(said)));
        if said.cites {
            set(&mut candidate, "groundingMetadata", grounding(said));
        }
    }
    let mut body = json!({
        "candidates": [candidate],
        "modelVersion": ask.model,
        "responseId": format!("resp{serial:06}"),
    });
    if let Some(usage) = usage {
        set(&mut body, "usageMetadata", usage);
    }
    body
}

/// The answer as one JSON document.
pub(super) fn whole(said: &Said, ask: &Ask, reply: &Reply, serial: u64) -> Value {
    let parts = parts(said, ask, serial, false);
    piece(ask, serial, &parts, Some(said), usage(said, reply, true))
}

/// The answer as SSE events, or as the pieces of a list.
pub(super) fn events(said: &Said, ask: &Ask, reply: &Reply, serial: u64) -> Vec<Bytes> {
    let parts = parts(said, ask, serial, true);
    let mut events: Vec<Value> = parts
        .iter()
        .map(|part| piece(ask, serial, std::slice::from_ref(part), None, usage(said, reply, false)))
        .collect();
    if reply.error_event {
        events.truncate(events.len() / 2 + 1);
        events.push(error(&Refuse::new(503, "The model is overloaded. Please try again later.")));
    } else {
        let last = usage(said, reply, true);
        events.push(piece(ask, serial, &[json!({"text": ""})], Some(said), last));
    }
    let list = ask.stream == Stream::List;
    let count = events.len();
    let framed = events.iter().enumerate().map(|(index, event)| match list {
        false => format!("data: {event}\r\n\r\n"),
        true if index + 1 == count => format!("{event}]"),
        true if index == 0 => format!("[{event}\n,\r\n"),
        true => format!("{event}\n,\r\n"),
    });
    framed.map(Bytes::from).collect()
}

/// An error in Google's envelope.
pub(super) fn error(refuse: &Refuse) -> Value {
    let status = match refuse.status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        500.. => "INTERNAL",
        _ => "INVALID_ARGUMENT",
    };
    let mut details = Vec::new();
    if let Some(code) = refuse.code {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": code, "domain": "googleapis.com",
        }));
    }
    if let Some(param) = &refuse.param {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{"field": param, "description": refuse.message}],
        }));
    }
    if refuse.status == 429 {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1s",
        }));
    }
    let mut error = json!({"code": refuse.status, "message": refuse.message, "status": status});
    if !details.is_empty() {
        set(&mut error, "details", Value::Array(details));
    }
    json!({"error": error})
}
