//! OCI Generative AI's `chat` as it checks and spells it, in the formats `GENERIC` and `COHERE`.
//! <https://docs.oracle.com/en-us/iaas/api/#/en/generative-ai-inference/20231130/ChatResult/Chat>

mod check;
mod sign;

use bytes::Bytes;
use serde_json::{Value, json};

pub(super) use self::{
    check::{check, embed},
    sign::authorise,
};
use super::{
    openai::{fragments, set},
    refuse::Refuse,
    reply::{Reply, UsageSpec},
    said::{Finish, Prompt, Said, pieces},
};
pub use sign::{FINGERPRINT, TENANCY, USER, pem};

/// Where the service answers.
pub(super) const PATH: &str = "/20231130/actions/chat";
/// Where it embeds.
pub(super) const EMBED_PATH: &str = "/20231130/actions/embedText";
/// The compartment that requests are for.
pub const COMPARTMENT: &str = "ocid1.compartment.oc1..scripted";
/// The models that exist at OCI alone.
const MODELS: &[&str] = &[
    "cohere.command-a-03-2025",
    "cohere.embed-v4.0",
    "meta.llama-3.3-70b-instruct",
    "ocid1.generativeaiendpoint.oc1.us-chicago-1.scripted",
    "openai.gpt-5",
];

/// A format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Generic,
    Cohere,
}

/// A checked request.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) model: String,
    pub(super) prompt: Prompt,
    pub(super) stream: bool,
    format: Format,
    /// A stream is to end with its figures.
    counted: bool,
}

pub(super) fn exists(model: &str) -> bool {
    MODELS.contains(&model)
}

fn usage(said: &Said, reply: &Reply) -> Option<Value> {
    match &reply.usage {
        UsageSpec::Missing => None,
        UsageSpec::Exactly(value) => Some(value.clone()),
        UsageSpec::Counted => Some(json!({
            "promptTokens": said.input, "completionTokens": said.output,
            "totalTokens": said.input + said.output,
            "promptTokensDetails": {"cachedTokens": said.cached},
            "completionTokensDetails": {"reasoningTokens": said.reasoning_tokens},
        })),
    }
}

fn finish(said: &Said, format: Format) -> &'static str {
    match (format, &said.finish) {
        (Format::Generic, Finish::Stop | Finish::StopSequence(_)) => "stop",
        (Format::Generic, Finish::Length) => "length",
        (Format::Generic, Finish::Calls) => "tool_calls",
        (Format::Cohere, Finish::Length) => "MAX_TOKENS",
        (Format::Cohere, _) => "COMPLETE",
    }
}

fn call(said: &Said, serial: u64, index: usize) -> Option<Value> {
    let call = said.calls.get(index)?;
    Some(json!({
        "id": format!("chatcmpl-tool-{serial:06}{index}"), "type": "FUNCTION",
        "name": call.name, "arguments": call.arguments.to_string(),
    }))
}

/// Calls as Cohere's models make them.
fn calls(said: &Said) -> Vec<Value> {
    let call =
        |call: &super::said::Called| json!({"name": call.name, "parameters": call.arguments});
    said.calls.iter().map(call).collect()
}

fn text(text: &str) -> Value {
    json!([{"type": "TEXT", "text": text}])
}

/// The answer as one JSON document.
pub(super) fn whole(said: &Said, ask: &Ask, reply: &Reply, serial: u64) -> Value {
    let spoken = said.text.as_deref().unwrap_or_default();
    let finish = finish(said, ask.format);
    let mut answer = match ask.format {
        Format::Generic => {
            let mut message = json!({"role": "ASSISTANT"});
            if !spoken.is_empty() {
                set(&mut message, "content", text(spoken));
            }
            if let Some(reasoning) = &said.reasoning {
                set(&mut message, "reasoningContent", json!(reasoning));
            }
            let calls: Vec<Value> = (0..).map_while(|index| call(said, serial, index)).collect();
            if !calls.is_empty() {
                set(&mut message, "toolCalls", json!(calls));
            }
            json!({
                "apiFormat": "GENERIC", "timeCreated": "2023-11-14T22:13:20.000Z",
                "choices": [{
                    "index": 0, "message": message, "finishReason": finish,
                    "logprobs": {"textOffset": null, "tokens": null, "tokenLogprobs": null, "topLogprobs": null},
                }],
            })
        }
        Format::Cohere => {
            let mut answer = json!({
                "apiFormat": "COHERE", "text": spoken, "finishReason": finish, "chatHistory": [],
            });
            if !said.calls.is_empty() {
                set(&mut answer, "toolCalls", json!(calls(said)));
            }
            answer
        }
    };
    if let Some(usage) = usage(said, reply) {
        set(&mut answer, "usage", usage);
    }
    json!({"modelId": ask.model, "modelVersion": "1.0", "chatResponse": answer})
}

/// The answer as events. Two in a row are not always parted by an empty line.
pub(super) fn events(said: &Said, ask: &Ask, reply: &Reply, serial: u64) -> Vec<Bytes> {
    let mut out = match ask.format {
        Format::Generic => generic(said, serial),
        Format::Cohere => cohere(said),
    };
    if reply.error_event {
        out.truncate(out.len() / 2);
        out.push(
            json!({"code": "InternalServerError", "message": "the model failed, as scripted"}),
        );
        return out.iter().map(|event| Bytes::from(format!("data: {event}\n\n"))).collect();
    }
    let usage = usage(said, reply).filter(|_| ask.counted);
    let finish = finish(said, ask.format);
    match ask.format {
        Format::Generic => {
            let message = json!({"role": "ASSISTANT", "content": text("")});
            out.push(json!({"message": message, "finishReason": finish, "pad": "aaaa"}));
            out.extend(usage.map(|usage| json!({"usage": usage, "pad": "aa"})));
        }
        Format::Cohere => {
            let spoken = said.text.as_deref().unwrap_or_default();
            let mut last = json!({
                "apiFormat": "COHERE", "text": spoken, "chatHistory": [], "finishReason": finish,
                "pad": "a",
            });
            if !said.calls.is_empty() {
                set(&mut last, "toolCalls", json!(calls(said)));
            }
            if let Some(usage) = usage {
                set(&mut last, "usage", usage);
            }
            out.push(last);
        }
    }
    let ends = ["\n", "\n\n"].into_iter().cycle();
    let events = out.iter().zip(ends);
    let mut out: Vec<Bytes> =
        events.map(|(event, end)| Bytes::from(format!("data: {event}{end}"))).collect();
    out.push(Bytes::from_static(b"data: [DONE]\n\n"));
    out
}

fn generic(said: &Said, serial: u64) -> Vec<Value> {
    let piece = |name: &str, value: Value| {
        let mut message = json!({"role": "ASSISTANT"});
        set(&mut message, name, value);
        json!({"index": 0, "message": message, "pad": "aaa"})
    };
    let mut out = vec![piece("content", text(""))];
    for thought in pieces(said.reasoning.as_deref().unwrap_or_default()) {
        out.push(piece("reasoningContent", json!(thought)));
    }
    for word in pieces(said.text.as_deref().unwrap_or_default()) {
        out.push(piece("content", text(&word)));
    }
    for index in 0..said.calls.len() {
        let Some(mut whole) = call(said, serial, index) else { break };
        let arguments =
            whole.get("arguments").and_then(Value::as_str).unwrap_or_default().to_owned();
        set(&mut whole, "arguments", json!(""));
        out.push(piece("toolCalls", json!([whole])));
        for part in fragments(&arguments) {
            out.push(piece("toolCalls", json!([{"arguments": part}])));
        }
    }
    out
}

fn cohere(said: &Said) -> Vec<Value> {
    let mut out = Vec::new();
    for word in pieces(said.text.as_deref().unwrap_or_default()) {
        out.push(json!({"apiFormat": "COHERE", "text": word, "pad": "aaa"}));
    }
    if !said.calls.is_empty() {
        out.push(json!({"apiFormat": "COHERE", "toolCalls": calls(said), "pad": "a"}));
    }
    out
}

/// An error in Oracle's envelope.
/// <https://docs.oracle.com/en-us/iaas/Content/API/References/apierrors.htm>
pub(super) fn error(refuse: &Refuse) -> Value {
    let code = match refuse.status {
        401 => "NotAuthenticated",
        403 => "NotAuthorized",
        404 => "NotAuthorizedOrNotFound",
        429 => "TooManyRequests",
        500 => "InternalServerError",
        503 => "ServiceUnavailable",
        _ => "400",
    };
    json!({"code": refuse.code.unwrap_or(code), "message": refuse.message})
}
