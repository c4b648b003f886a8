//! The answers of the scripted upstream, in the words and sizes of the real APIs: about 700 bytes
//! for a whole answer, 250 to 300 for an event of a stream.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::Dialect;

/// The last word of a whole answer's text: where it is missing, the answer was cut.
pub const END_MARK: &str = "[end-of-answer]";

/// Tokens of every prompt.
pub const PROMPT_TOKENS: usize = 250;

/// Tokens of every whole answer.
pub const ANSWER_TOKENS: usize = 60;

const TEXT: &str = "A gateway stands between those who ask and those who answer: it looks at who \
is asking, decides who shall answer, lets the words through unchanged and writes down what they \
cost. [end-of-answer]";

const CREATED: u64 = 1_770_000_000;
const CHAT_ID: &str = "chatcmpl-Dq3ZkT8vLw0pYxN5sHc2RjU7mBfGa";
const MESSAGE_ID: &str = "msg_01QzYw7VtHb3KdXcR9PmNfGs";

/// The text of the `n`th content event.
pub fn word(n: usize) -> String {
    format!("word{n} ")
}

/// A whole answer.
pub fn whole(dialect: Dialect, model: &str) -> Bytes {
    let value = match dialect {
        Dialect::Openai => json!({
            "id": CHAT_ID,
            "object": "chat.completion",
            "created": CREATED,
            "model": model,
            "choices": [{
                "index": 0,
                "message": {
                    "role": "assistant", "content": TEXT, "refusal": null, "annotations": []
                },
                "logprobs": null,
                "finish_reason": "stop"
            }],
            "usage": usage(ANSWER_TOKENS),
            "service_tier": "default",
            "system_fingerprint": "fp_0a7bd3c2f1"
        }),
        _ => json!({
            "id": MESSAGE_ID,
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [{"type": "text", "text": TEXT}],
            "stop_reason": "end_turn",
            "stop_sequence": null,
            "usage": {
                "input_tokens": PROMPT_TOKENS,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
                "output_tokens": ANSWER_TOKENS,
                "service_tier": "standard"
            }
        }),
    };
    Bytes::from(value.to_string())
}

/// The events of a streamed answer: what frames `events` content events, and those. `usage` is
/// OpenAI's `stream_options.include_usage`; Anthropic always says it.
pub fn stream(dialect: Dialect, model: &str, events: usize, usage: bool) -> Vec<Bytes> {
    match dialect {
        Dialect::Openai => openai_stream(model, events, usage),
        _ => anthropic_stream(model, events),
    }
}

fn usage(answer: usize) -> Value {
    json!({
        "prompt_tokens": PROMPT_TOKENS,
        "completion_tokens": answer,
        "total_tokens": PROMPT_TOKENS.saturating_add(answer),
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0
        }
    })
}

fn openai_stream(model: &str, events: usize, with_usage: bool) -> Vec<Bytes> {
    let event = |choices: Value, said: Option<Value>| {
        let mut value = json!({
            "id": CHAT_ID,
            "object": "chat.completion.chunk",
            "created": CREATED,
            "model": model,
            "service_tier": "default",
            "system_fingerprint": "fp_0a7bd3c2f1",
            "choices": choices
        });
        if let (true, Some(object)) = (with_usage, value.as_object_mut()) {
            object.insert("usage".to_owned(), said.unwrap_or(Value::Null));
        }
        Bytes::from(format!("data: {value}\n\n"))
    };
    let choice = |delta: Value, finish: Option<&str>| json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]);
    let mut out = Vec::with_capacity(events.saturating_add(4));
    for n in 0..events {
        let delta = match n {
            0 => json!({"role": "assistant", "content": word(n), "refusal": null}),
            _ => json!({"content": word(n)}),
        };
        out.push(event(choice(delta, None), None));
    }
    out.push(event(choice(json!({}), Some("stop")), None));
    if with_usage {
        out.push(event(json!([]), Some(usage(events))));
    }
    out.push(Bytes::from_static(b"data: [DONE]\n\n"));
    out
}

fn anthropic_stream(model: &str, events: usize) -> Vec<Bytes> {
    let event = |kind: &str, value: Value| Bytes::from(format!("event: {kind}\ndata: {value}\n\n"));
    let mut out = Vec::with_capacity(events.saturating_add(6));
    let start = json!({
        "type": "message_start",
        "message": {
            "id": MESSAGE_ID, "type": "message", "role": "assistant", "model": model,
            "content": [], "stop_reason": null, "stop_sequence": null,
            "usage": {
                "input_tokens": PROMPT_TOKENS, "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0, "output_tokens": 1, "service_tier": "standard"
            }
        }
    });
    out.push(event("message_start", start));
    let text = json!({"type": "text", "text": ""});
    let start = json!({"type": "content_block_start", "index": 0, "content_block": text});
    out.push(event("content_block_start", start));
    out.push(event("ping", json!({"type": "ping"})));
    for n in 0..events {
        let delta = json!({"type": "text_delta", "text": word(n)});
        let value = json!({"type": "content_block_delta", "index": 0, "delta": delta});
        out.push(event("content_block_delta", value));
    }
    out.push(event("content_block_stop", json!({"type": "content_block_stop", "index": 0})));
    let end = json!({
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": null},
        "usage": {"output_tokens": events}
    });
    out.push(event("message_delta", end));
    out.push(event("message_stop", json!({"type": "message_stop"})));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_real_apis() {
        let whole = whole(Dialect::Openai, "bench").len();
        assert!((650..900).contains(&whole), "{whole}");
        let event = stream(Dialect::Openai, "bench-g10", 100, true)[50].len();
        assert!((220..320).contains(&event), "{event}");
    }

    #[test]
    fn usage_is_said_only_when_asked_for() {
        let text = |usage| stream(Dialect::Openai, "bench", 3, usage).concat();
        let has = |text: &[u8]| memchr::memmem::find(text, b"usage").is_some();
        assert!(has(&text(true)));
        assert!(!has(&text(false)));
    }
}
