//! Pieces of a streamed answer, in OpenAI's shape, and how they become a whole one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    message::{Content, FunctionCall, Message, ToolCall, null_is_default},
    response::{ChatCompletion, Choice, Usage},
};

/// Most choices and most tool calls a choice that a stream is put together from; what goes beyond
/// is left out.
const MOST_PARTS: u32 = 1024;

/// A piece of a streamed answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Chunk {
    /// The provider's id of the answer: the same for all its pieces.
    #[serde(default)]
    pub id: String,
    /// `chat.completion.chunk`.
    #[serde(default)]
    pub object: String,
    /// When the answer was begun, in seconds of Unix time.
    #[serde(default, deserialize_with = "null_is_default")]
    pub created: i64,
    /// The model that answers, as the provider calls it.
    #[serde(default, deserialize_with = "null_is_default")]
    pub model: String,
    /// What is new, by choice. Empty in the piece that brings the usage.
    #[serde(default, deserialize_with = "null_is_default")]
    pub choices: Vec<ChunkChoice>,
    /// What was consumed, in the last piece, if `stream_options` asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Every other field, as it came.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// What is new in one of the answers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ChunkChoice {
    /// Which of `n`.
    #[serde(default)]
    pub index: u32,
    /// What is new.
    #[serde(default, deserialize_with = "null_is_default")]
    pub delta: Delta,
    /// Why the answer ended, in its last piece.
    #[serde(default)]
    pub finish_reason: Option<String>,
    /// Probabilities, if they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<Value>,
    /// Every other field, as it came.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// What is new in a message.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Delta {
    /// `assistant`, in the first piece.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// More text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// More of what the model thinks before it speaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// More of why the model refuses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// More of the tool calls.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub tool_calls: Vec<ToolCallDelta>,
    /// Every other field, as it came.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// What is new in a tool call. The first piece of a call has its id and name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ToolCallDelta {
    /// Which of the message's calls.
    #[serde(default)]
    pub index: u32,
    /// What the tool's answer refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `function`.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// More of the name or the arguments.
    #[serde(default)]
    pub function: FunctionCall,
    /// Every other field, as it came.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Chunk {
    /// The first choice's new text; empty where there is none.
    pub fn text(&self) -> &str {
        self.delta().and_then(|delta| delta.content.as_deref()).unwrap_or_default()
    }

    /// The first choice's new reasoning; empty where there is none.
    pub fn reasoning(&self) -> &str {
        self.delta().and_then(|delta| delta.reasoning_content.as_deref()).unwrap_or_default()
    }

    /// Why the first choice ended, in its last piece.
    pub fn finish_reason(&self) -> Option<&str> {
        self.choices.first().and_then(|choice| choice.finish_reason.as_deref())
    }

    fn delta(&self) -> Option<&Delta> {
        self.choices.first().map(|choice| &choice.delta)
    }
}

/// The whole answer that these pieces are. `None` where there are no pieces.
///
/// LiteLLM's function of the same name.
pub fn stream_chunk_builder(chunks: &[Chunk]) -> Option<ChatCompletion> {
    let mut whole = Collector::default();
    for chunk in chunks {
        whole.push(chunk);
    }
    (!chunks.is_empty()).then(|| whole.finish())
}

/// Puts a whole answer together, piece by piece.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    whole: ChatCompletion,
    choices: BTreeMap<u32, Partial>,
}

#[derive(Debug, Default)]
struct Partial {
    choice: Choice,
    text: Option<String>,
    calls: BTreeMap<u32, ToolCall>,
}

impl Collector {
    pub(crate) fn push(&mut self, chunk: &Chunk) {
        let whole = &mut self.whole;
        if whole.id.is_empty() {
            whole.id.clone_from(&chunk.id);
            whole.created = chunk.created;
        }
        if whole.model.is_empty() {
            whole.model.clone_from(&chunk.model);
        }
        if chunk.usage.is_some() {
            whole.usage.clone_from(&chunk.usage);
        }
        for (name, value) in &chunk.extra {
            whole.extra.insert(name.clone(), value.clone());
        }
        for part in chunk.choices.iter().filter(|part| part.index < MOST_PARTS) {
            self.choices.entry(part.index).or_default().push(part);
        }
    }

    pub(crate) fn finish(self) -> ChatCompletion {
        let choices = self.choices.into_iter().map(|(index, part)| part.finish(index)).collect();
        ChatCompletion { object: "chat.completion".to_owned(), choices, ..self.whole }
    }
}

impl Partial {
    fn push(&mut self, part: &ChunkChoice) {
        let message = &mut self.choice.message;
        let delta = &part.delta;
        if let Some(role) = &delta.role {
            message.role.clone_from(role);
        }
        append(&mut self.text, delta.content.as_deref());
        append(&mut message.reasoning_content, delta.reasoning_content.as_deref());
        append(&mut message.refusal, delta.refusal.as_deref());
        for (name, value) in &delta.extra {
            merge(message.extra.entry(name.clone()).or_insert(Value::Null), value);
        }
        for call in delta.tool_calls.iter().filter(|call| call.index < MOST_PARTS) {
            push_call(self.calls.entry(call.index).or_default(), call);
        }
        if part.finish_reason.is_some() {
            self.choice.finish_reason.clone_from(&part.finish_reason);
        }
        if let Some(logprobs) = &part.logprobs {
            merge(self.choice.logprobs.get_or_insert(Value::Null), logprobs);
        }
        for (name, value) in &part.extra {
            self.choice.extra.insert(name.clone(), value.clone());
        }
    }

    fn finish(self, index: u32) -> Choice {
        let mut choice = Choice { index, ..self.choice };
        let message = Message {
            content: self.text.map(Content::Text),
            tool_calls: self.calls.into_values().collect(),
            ..choice.message
        };
        choice.message = message;
        if choice.message.role.is_empty() {
            "assistant".clone_into(&mut choice.message.role);
        }
        choice
    }
}

fn push_call(whole: &mut ToolCall, part: &ToolCallDelta) {
    if let Some(id) = part.id.as_ref().filter(|id| !id.is_empty()) {
        whole.id.clone_from(id);
    }
    "function".clone_into(&mut whole.kind);
    if let Some(kind) = &part.kind {
        whole.kind.clone_from(kind);
    }
    whole.function.name.push_str(&part.function.name);
    whole.function.arguments.push_str(&part.function.arguments);
    for (name, value) in &part.extra {
        whole.extra.insert(name.clone(), value.clone());
    }
}

fn append(whole: &mut Option<String>, more: Option<&str>) {
    if let Some(more) = more {
        whole.get_or_insert_default().push_str(more);
    }
}

/// Lists grow, objects are merged, anything else is replaced.
fn merge(whole: &mut Value, more: &Value) {
    match (whole, more) {
        (Value::Array(whole), Value::Array(more)) => whole.extend(more.iter().cloned()),
        (Value::Object(whole), Value::Object(more)) => {
            for (name, value) in more {
                merge(whole.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (_, Value::Null) => {}
        (whole, more) => *whole = more.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn chunk(choices: Value) -> Chunk {
        serde_json::from_value(json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "m",
            "choices": choices
        }))
        .unwrap()
    }

    #[test]
    fn text_reasoning_and_usage_are_put_together() {
        let mut last = chunk(json!([]));
        last.usage = serde_json::from_value(json!({"prompt_tokens": 2, "completion_tokens": 3,
            "total_tokens": 5}))
        .unwrap();
        let chunks = [
            chunk(json!([{"index": 0, "delta": {"role": "assistant", "content": ""}}])),
            chunk(json!([{"index": 0, "delta": {"reasoning_content": "Hm. "}}])),
            chunk(json!([{"index": 0, "delta": {"content": "Hello"}}])),
            chunk(json!([{"index": 1, "delta": {"content": "Other"}}])),
            chunk(json!([{"index": 0, "delta": {"content": ", world"}}])),
            chunk(json!([{"index": 0, "delta": {}, "finish_reason": "stop"}])),
            last,
        ];
        let whole = stream_chunk_builder(&chunks).unwrap();
        assert_eq!(whole.text(), "Hello, world");
        assert_eq!(whole.finish_reason(), Some("stop"));
        assert_eq!(whole.choices.len(), 2);
        assert_eq!(whole.choices[1].message.text(), "Other");
        assert_eq!(whole.choices[1].message.role, "assistant");
        assert_eq!(whole.message().unwrap().reasoning_content.as_deref(), Some("Hm. "));
        assert_eq!(whole.usage.unwrap().total_tokens, 5);
        assert_eq!(whole.object, "chat.completion");
    }

    #[test]
    fn tool_calls_are_put_together_by_index() {
        let call = |index: u32, id: Value, name: Value, arguments: &str| {
            chunk(json!([{"index": 0, "delta": {"tool_calls": [{"index": index, "id": id,
                "type": "function", "function": {"name": name, "arguments": arguments}}]}}]))
        };
        let chunks = [
            call(0, json!("call_a"), json!("weather"), ""),
            call(0, Value::Null, Value::Null, "{\"city\":"),
            call(1, json!("call_b"), json!("time"), "{}"),
            call(0, Value::Null, Value::Null, "\"Paris\"}"),
        ];
        let whole = stream_chunk_builder(&chunks).unwrap();
        let calls = whole.tool_calls();
        assert_eq!(calls.len(), 2);
        assert_eq!(calls[0].id, "call_a");
        assert_eq!(calls[0].function.arguments, "{\"city\":\"Paris\"}");
        assert_eq!(calls[1].function.name, "time");
        assert_eq!(whole.message().unwrap().content, None);
    }

    #[test]
    fn a_wild_index_makes_nothing_large() {
        let whole = stream_chunk_builder(&[chunk(json!([
            {"index": 4_000_000_000u32, "delta": {"content": "x"}}
        ]))])
        .unwrap();
        assert!(whole.choices.is_empty());
    }

    #[test]
    fn no_pieces_are_no_answer() {
        assert!(stream_chunk_builder(&[]).is_none());
    }
}
