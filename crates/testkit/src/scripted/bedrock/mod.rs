//! Amazon Bedrock's Converse and ConverseStream, below `/model/{model}/`, with signatures checked.

pub(super) mod aws;
mod check;
pub(super) mod frame;
mod shapes;

use bytes::Bytes;
use serde_json::{Value, json};

pub(super) use self::check::check;
use super::{
    embeddings,
    openai::fragments,
    refuse::Refuse,
    reply::{Reply, UsageSpec},
    said::{Finish, PICTURE, Prompt, SOURCE_TITLE, SOURCE_URL, Said, count_words, pieces},
};

/// The models that exist at Bedrock alone.
const MODELS: &[&str] = &[
    "anthropic.claude-sonnet-4-5-20250929-v1:0",
    "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "anthropic.claude-3-haiku-20240307-v1:0",
    "amazon.nova-pro-v1:0",
    "amazon.titan-embed-text-v2:0",
    "meta.llama3-3-70b-instruct-v1:0",
    "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3d4e5f6",
];

/// A checked request.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) model: String,
    pub(super) prompt: Prompt,
    pub(super) stream: bool,
}

/// What is done with a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// `converse`
    Whole,
    /// `converse-stream`
    Stream,
    /// `count-tokens`
    Count,
    /// `invoke`
    Invoke,
}

/// The model in a path as it is sent, and what is to be done.
pub(super) fn named(path: &str) -> Option<(String, Action)> {
    let (model, action) = path.strip_prefix("/model/")?.split_once('/')?;
    let action = match action {
        "converse" => Action::Whole,
        "converse-stream" => Action::Stream,
        "count-tokens" => Action::Count,
        "invoke" => Action::Invoke,
        _ => return None,
    };
    Some((decoded(model), action))
}

/// The words of what is to be counted: of Claude's models alone, by their own names.
/// <https://docs.aws.amazon.com/bedrock/latest/userguide/count-tokens.html>
pub(super) fn count(body: &Value, model: &str) -> Result<u64, Refuse> {
    if !model.starts_with("anthropic.claude-sonnet") {
        return Err(shapes::invalid("The provided model doesn't support counting tokens."));
    }
    let wrong = || shapes::invalid("Malformed input request: expected input.converse alone");
    let input = body.get("input").and_then(Value::as_object).filter(|_| only(body, &["input"]));
    let input = input.ok_or_else(wrong)?;
    let converse = input.get("converse").filter(|_| input.len() == 1).ok_or_else(wrong)?;
    if !only(converse, &["messages", "system", "toolConfig", "additionalModelRequestFields"]) {
        return Err(wrong());
    }
    Ok(check(converse, model.to_owned(), false)?.prompt.words.max(1))
}

/// Embeds one text, as Titan does: the only model that is known by its own format.
/// <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html>
pub(super) fn embed(body: &Value, model: &str) -> Result<Value, Refuse> {
    if !model.starts_with("amazon.titan-embed-text-v2") {
        return Err(shapes::invalid("The provided model identifier is invalid."));
    }
    if !only(body, &["inputText", "dimensions", "normalize", "embeddingTypes"]) {
        return Err(shapes::invalid(
            "Malformed input request: extraneous key is not permitted, please reformat your input and try again.",
        ));
    }
    let text = body.get("inputText").and_then(Value::as_str).ok_or_else(|| {
        shapes::invalid("Malformed input request: #: required key [inputText] not found, please reformat your input and try again.")
    })?;
    let dimensions = body.get("dimensions").and_then(Value::as_u64);
    let vector = embeddings::vector(text, dimensions.unwrap_or(embeddings::DIMENSIONS));
    Ok(json!({"embedding": vector, "inputTextTokenCount": count_words(text).max(1)}))
}

/// Whether an object has no other members.
fn only(value: &Value, names: &[&str]) -> bool {
    value.as_object().is_some_and(|map| map.keys().all(|name| names.contains(&name.as_str())))
}

fn decoded(text: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next().unwrap_or(b'0'), bytes.next().unwrap_or(b'0')];
            let digits = std::str::from_utf8(&digits).unwrap_or("00");
            out.push(u8::from_str_radix(digits, 16).unwrap_or(b'?'));
        } else {
            out.push(byte);
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Whether there is such a model.
pub(super) fn exists(model: &str) -> bool {
    MODELS.contains(&model)
}

/// The signature of a thought: the only one that the checks accept.
fn signature(thought: &str) -> String {
    format!("sig-{:08x}", thought.bytes().fold(11_u32, |h, b| h.wrapping_mul(31) + u32::from(b)))
}

fn stop_reason(said: &Said) -> &'static str {
    match said.finish {
        Finish::Stop => "end_turn",
        Finish::StopSequence(_) => "stop_sequence",
        Finish::Length => "max_tokens",
        Finish::Calls => "tool_use",
    }
}

fn usage(said: &Said, reply: &Reply) -> Option<Value> {
    match &reply.usage {
        UsageSpec::Missing => None,
        UsageSpec::Exactly(value) => Some(value.clone()),
        UsageSpec::Counted => Some(json!({
            "inputTokens": said.input.saturating_sub(said.cached + said.cache_write),
            "outputTokens": said.output,
            "totalTokens": said.input + said.output,
            "cacheReadInputTokens": said.cached,
            "cacheWriteInputTokens": said.cache_write,
        })),
    }
}

/// The answer as one JSON document.
pub(super) fn whole(said: &Said, reply: &Reply, serial: u64) -> Value {
    let mut content = Vec::new();
    if let Some(thought) = &said.reasoning {
        let text = json!({"text": thought, "signature": signature(thought)});
        content.push(json!({"reasoningContent": {"reasoningText": text}}));
    }
    if let Some(text) = said.text.as_ref().filter(|text| !text.is_empty()) {
        content.push(match said.cites {
            true => json!({"citationsContent": {
                "content": [{"text": text}], "citations": [citation(text)],
            }}),
            false => json!({"text": text}),
        });
    }
    if said.picture {
        content.push(json!({"image": {"format": "png", "source": {"bytes": PICTURE}}}));
    }
    for (i, call) in said.calls.iter().enumerate() {
        content.push(json!({"toolUse": {
            "toolUseId": tool_use_id(serial, i), "name": call.name, "input": call.arguments,
        }}));
    }
    let mut body = json!({
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": stop_reason(said),
        "metrics": {"latencyMs": 7},
    });
    if let (Some(usage), Some(body)) = (usage(said, reply), body.as_object_mut()) {
        body.insert("usage".to_owned(), usage);
    }
    body
}

/// <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Citation.html>
fn citation(text: &str) -> Value {
    json!({
        "title": SOURCE_TITLE, "source": SOURCE_URL, "sourceContent": [{"text": text}],
        "location": {"web": {"url": SOURCE_URL, "domain": "example.com"}},
    })
}

fn tool_use_id(serial: u64, index: usize) -> String {
    format!("tooluse_{serial:06}_{index}")
}

/// The answer as messages of a stream.
pub(super) fn events(said: &Said, reply: &Reply, serial: u64) -> Vec<Bytes> {
    let mut out = vec![frame::event("messageStart", &json!({"role": "assistant"}))];
    let mut index = 0;
    let mut block = |start: Option<Value>, deltas: Vec<Value>, out: &mut Vec<Bytes>| {
        if let Some(start) = start {
            let start = json!({"contentBlockIndex": index, "start": start});
            out.push(frame::event("contentBlockStart", &start));
        }
        for delta in deltas {
            let delta = json!({"contentBlockIndex": index, "delta": delta, "p": "abcdefgh"});
            out.push(frame::event("contentBlockDelta", &delta));
        }
        out.push(frame::event("contentBlockStop", &json!({"contentBlockIndex": index})));
        index += 1;
    };
    if let Some(thought) = &said.reasoning {
        let thinking = |name: &str, value: &str| json!({"reasoningContent": {name: value}});
        let mut deltas: Vec<Value> =
            pieces(thought).iter().map(|piece| thinking("text", piece)).collect();
        deltas.push(thinking("signature", &signature(thought)));
        block(None, deltas, &mut out);
    }
    if let Some(text) = said.text.as_ref().filter(|text| !text.is_empty()) {
        let mut deltas: Vec<Value> =
            pieces(text).iter().map(|piece| json!({"text": piece})).collect();
        if said.cites {
            deltas.push(json!({"citation": citation(text)}));
        }
        block(None, deltas, &mut out);
    }
    if said.picture {
        let delta = json!({"image": {"source": {"bytes": PICTURE}}});
        block(Some(json!({"image": {"format": "png"}})), vec![delta], &mut out);
    }
    for (i, call) in said.calls.iter().enumerate() {
        let id = tool_use_id(serial, i);
        let start = json!({"toolUse": {"toolUseId": id, "name": call.name}});
        let input = call.arguments.to_string();
        let deltas =
            fragments(&input).iter().map(|part| json!({"toolUse": {"input": part}})).collect();
        block(Some(start), deltas, &mut out);
    }
    if reply.error_event {
        out.truncate(out.len() / 2 + 1);
        let message = json!({"message": "Bedrock is unable to process your request."});
        out.push(frame::exception("serviceUnavailableException", &message));
        return out;
    }
    out.push(frame::event("messageStop", &json!({"stopReason": stop_reason(said)})));
    if let Some(usage) = usage(said, reply) {
        let metadata = json!({"usage": usage, "metrics": {"latencyMs": 7}});
        out.push(frame::event("metadata", &metadata));
    }
    out
}

/// The name that goes into `x-amzn-errortype`.
pub(super) fn error_type(refuse: &Refuse) -> &'static str {
    match (refuse.status, refuse.code) {
        (_, Some("ExpiredTokenException")) => "ExpiredTokenException",
        (_, Some("InvalidSignatureException")) => "InvalidSignatureException",
        (_, Some("UnrecognizedClientException")) => "UnrecognizedClientException",
        (400, _) => "ValidationException",
        (401 | 403, _) => "AccessDeniedException",
        (404, _) => "ResourceNotFoundException",
        (408, _) => "ModelTimeoutException",
        (424, _) => "ModelErrorException",
        (429, _) => "ThrottlingException",
        (503, _) => "ServiceUnavailableException",
        _ => "InternalServerException",
    }
}

/// An error in Bedrock's form.
pub(super) fn error(refuse: &Refuse) -> Value {
    json!({"message": refuse.message})
}
