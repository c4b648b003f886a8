//! Messages as Anthropic's API spells them; the checks are in [`check`].
//! <https://docs.anthropic.com/en/api/messages>

pub(super) mod check;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    openai::{fragments, set},
    refuse::Refuse,
    reply::{Reply, UsageSpec},
    said::{Finish, Prompt, SOURCE_TITLE, SOURCE_URL, Said, pieces},
};

/// A checked request.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) model: String,
    pub(super) prompt: Prompt,
    pub(super) stream: bool,
}

/// The signature of a thinking block: the only one that the checks accept.
fn signature(thinking: &str) -> String {
    format!("sig-{:08x}", thinking.bytes().fold(7_u32, |h, b| h.wrapping_mul(31) + u32::from(b)))
}

fn tool_use_id(serial: u64, index: usize) -> String {
    format!("toolu_{serial:06}_{index}")
}

fn stop_reason(said: &Said) -> &'static str {
    match said.finish {
        Finish::Stop => "end_turn",
        Finish::StopSequence(_) => "stop_sequence",
        Finish::Length => "max_tokens",
        Finish::Calls => "tool_use",
    }
}

fn stop_sequence(said: &Said) -> Value {
    match &said.finish {
        Finish::StopSequence(sequence) => json!(sequence),
        Finish::Stop | Finish::Length | Finish::Calls => Value::Null,
    }
}

fn usage(said: &Said, reply: &Reply, output: u64) -> Option<Value> {
    match &reply.usage {
        UsageSpec::Missing => None,
        UsageSpec::Exactly(value) => Some(value.clone()),
        UsageSpec::Counted => Some(json!({
            "input_tokens": said.input.saturating_sub(said.cached + said.cache_write),
            "cache_creation_input_tokens": said.cache_write,
            "cache_read_input_tokens": said.cached,
            "cache_creation": {
                "ephemeral_5m_input_tokens": said.cache_write, "ephemeral_1h_input_tokens": 0,
            },
            "output_tokens": output,
            "service_tier": "standard",
        })),
    }
}

fn blocks(said: &Said, serial: u64) -> Vec<Value> {
    let mut out = Vec::new();
    if let Some(thinking) = &said.reasoning {
        out.push(json!({
            "type": "thinking", "thinking": thinking, "signature": signature(thinking),
        }));
    }
    if let Some(text) = said.text.as_ref().filter(|text| !text.is_empty()) {
        let mut block = json!({"type": "text", "text": text});
        if said.cites {
            // <https://docs.claude.com/en/docs/agents-and-tools/tool-use/web-search-tool#citations>
            let citation = json!({
                "type": "web_search_result_location", "url": SOURCE_URL, "title": SOURCE_TITLE,
                "encrypted_index": "Eo8BCioIAhgB", "cited_text": text,
            });
            set(&mut block, "citations", json!([citation]));
        }
        out.push(block);
    }
    for (i, call) in said.calls.iter().enumerate() {
        out.push(json!({
            "type": "tool_use", "id": tool_use_id(serial, i),
            "name": call.name, "input": call.arguments,
        }));
    }
    out
}

/// The answer as one JSON document.
pub(super) fn whole(said: &Said, ask: &Ask, reply: &Reply, serial: u64) -> Value {
    let mut body = json!({
        "id": format!("msg_{serial:06}"),
        "type": "message",
        "role": "assistant",
        "model": ask.model,
        "content": blocks(said, serial),
        "stop_reason": stop_reason(said),
        "stop_sequence": stop_sequence(said),
    });
    if let Some(usage) = usage(said, reply, said.output) {
        set(&mut body, "usage", usage);
    }
    body
}

/// The answer as SSE events.
pub(super) fn events(said: &Said, ask: &Ask, reply: &Reply, serial: u64) -> Vec<Bytes> {
    let mut message = json!({
        "id": format!("msg_{serial:06}"), "type": "message", "role": "assistant",
        "model": ask.model, "content": [], "stop_reason": null, "stop_sequence": null,
    });
    if let Some(usage) = usage(said, reply, 1) {
        set(&mut message, "usage", usage);
    }
    let mut out = vec![event("message_start", json!({"message": message}))];
    for (index, block) in blocks(said, serial).iter().enumerate() {
        stream_block(index, block, &mut out);
        if index == 0 {
            // The API sends a ping early in every stream.
            out.insert(2.min(out.len()), event("ping", json!({})));
        }
    }
    if reply.error_event {
        out.truncate(out.len() / 2 + 1);
        let error = json!({"type": "overloaded_error", "message": "Overloaded"});
        out.push(event("error", json!({"error": error})));
        return out;
    }
    let delta = json!({"stop_reason": stop_reason(said), "stop_sequence": stop_sequence(said)});
    let mut last = json!({"delta": delta});
    match &reply.usage {
        UsageSpec::Missing => {}
        UsageSpec::Exactly(value) => set(&mut last, "usage", value.clone()),
        UsageSpec::Counted => set(&mut last, "usage", json!({"output_tokens": said.output})),
    }
    out.push(event("message_delta", last));
    out.push(event("message_stop", json!({})));
    out
}

fn stream_block(index: usize, block: &Value, out: &mut Vec<Bytes>) {
    let text = |name: &str| block.get(name).and_then(Value::as_str).unwrap_or_default();
    let (empty, deltas): (Value, Vec<Value>) = match text("type") {
        "thinking" => {
            let mut deltas: Vec<Value> = pieces(text("thinking"))
                .iter()
                .map(|piece| json!({"type": "thinking_delta", "thinking": piece}))
                .collect();
            deltas.push(json!({"type": "signature_delta", "signature": text("signature")}));
            (json!({"type": "thinking", "thinking": "", "signature": ""}), deltas)
        }
        "tool_use" => {
            let input = block.get("input").map(Value::to_string).unwrap_or_default();
            let mut deltas = vec![json!({"type": "input_json_delta", "partial_json": ""})];
            deltas.extend(
                fragments(&input)
                    .iter()
                    .map(|part| json!({"type": "input_json_delta", "partial_json": part})),
            );
            let mut empty = block.clone();
            set(&mut empty, "input", json!({}));
            (empty, deltas)
        }
        _ => {
            let mut empty = json!({"type": "text", "text": ""});
            let mut deltas: Vec<Value> = pieces(text("text"))
                .iter()
                .map(|piece| json!({"type": "text_delta", "text": piece}))
                .collect();
            for citation in block.get("citations").and_then(Value::as_array).into_iter().flatten() {
                set(&mut empty, "citations", json!([]));
                deltas.push(json!({"type": "citations_delta", "citation": citation}));
            }
            (empty, deltas)
        }
    };
    out.push(event("content_block_start", json!({"index": index, "content_block": empty})));
    for delta in deltas {
        out.push(event("content_block_delta", json!({"index": index, "delta": delta})));
    }
    out.push(event("content_block_stop", json!({"index": index})));
}

fn event(name: &str, mut data: Value) -> Bytes {
    if let Some(map) = data.as_object_mut() {
        map.shift_insert(0, "type".to_owned(), json!(name));
    }
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}

/// An error in Anthropic's envelope.
pub(super) fn error(refuse: &Refuse, serial: u64) -> Value {
    let kind = match refuse.status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    };
    json!({
        "type": "error",
        "error": {"type": kind, "message": refuse.message},
        "request_id": format!("req_{serial:06}"),
    })
}
