//! Answers, in OpenAI's shape. Fields that we do not know are kept in `extra`.

use std::{sync::Arc, time::Duration};

use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tollgate_ledger::Nano;
use tollgate_wire::Card;

use crate::{
    cost,
    message::{Message, ToolCall, null_is_default},
};

/// A whole answer to a chat.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ChatCompletion {
    /// The provider's id of this answer.
    #[serde(default)]
    pub id: String,
    /// `chat.completion`.
    #[serde(default)]
    pub object: String,
    /// When it was made, in seconds of Unix time.
    #[serde(default, deserialize_with = "null_is_default")]
    pub created: i64,
    /// The model that answered, as the provider calls it.
    #[serde(default, deserialize_with = "null_is_default")]
    pub model: String,
    /// The answers: one, unless `n` asked for more.
    #[serde(default, deserialize_with = "null_is_default")]
    pub choices: Vec<Choice>,
    /// What it consumed, if the provider says so.
    #[serde(default)]
    pub usage: Option<Usage>,
    /// Every other field, as it came.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
    /// Which way the request went. No part of the JSON.
    #[serde(skip)]
    pub route: Route,
}

/// One of the answers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// Which of `n`.
    #[serde(default)]
    pub index: u32,
    /// What the model says.
    #[serde(default)]
    pub message: Message,
    /// Why it stopped: `stop`, `length`, `tool_calls`, `content_filter`.
    #[serde(default)]
    pub finish_reason: Option<String>,
    /// Probabilities, if they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<Value>,
    /// Every other field, as it came.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// What an answer consumed, as the provider counts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// All tokens of the prompt, cached ones included.
    #[serde(default, deserialize_with = "null_is_default")]
    pub prompt_tokens: u64,
    /// All tokens of the answer, reasoning included.
    #[serde(default, deserialize_with = "null_is_default")]
    pub completion_tokens: u64,
    /// Both together.
    #[serde(default, deserialize_with = "null_is_default")]
    pub total_tokens: u64,
    /// Parts of `prompt_tokens`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_tokens_details: Option<PromptTokens>,
    /// Parts of `completion_tokens`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_tokens_details: Option<CompletionTokens>,
    /// Every other field, as it came.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// Parts of `prompt_tokens`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PromptTokens {
    /// Read from the provider's cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_tokens: Option<u64>,
    /// Written to the provider's cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_creation_tokens: Option<u64>,
    /// Audio.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_tokens: Option<u64>,
    /// Every other field, as it came.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// Parts of `completion_tokens`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CompletionTokens {
    /// Thinking.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<u64>,
    /// Audio.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_tokens: Option<u64>,
    /// Every other field, as it came.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// Which way a request went, what it consumed and what it cost. LiteLLM's users know it as
/// `_hidden_params` and `_response_headers`.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Route {
    /// The provider that answered, such as `apertis`; `gateway` where a Tollgate did.
    pub provider: String,
    /// The model as it was asked for at the provider.
    pub model: String,
    /// The base URL that was called.
    pub api_base: String,
    /// What was consumed, by kind: the provider's figures, else an estimate marked as such.
    pub usage: tollgate_wire::Usage,
    /// What it cost; `None` where no price is known, which is not the same as free.
    pub cost: Option<Nano>,
    /// Calls made until one was answered.
    pub attempts: u32,
    /// How often another model had to stand in.
    pub fallbacks: u32,
    /// Parameters left out because the model cannot do them (`drop_params`).
    pub dropped_params: Vec<String>,
    /// The upstream's response headers.
    pub headers: HeaderMap,
    /// From the call to the first byte of the answer.
    pub first_byte: Duration,
    pub(crate) card: Option<Arc<Card>>,
}

impl ChatCompletion {
    /// The first answer's text; empty where there is none.
    pub fn text(&self) -> String {
        self.choices.first().map(|choice| choice.message.text()).unwrap_or_default()
    }

    /// The first answer's message, to be pushed onto the conversation.
    pub fn message(&self) -> Option<&Message> {
        self.choices.first().map(|choice| &choice.message)
    }

    /// The tools that the first answer wants called.
    pub fn tool_calls(&self) -> &[ToolCall] {
        self.choices.first().map(|choice| choice.message.tool_calls.as_slice()).unwrap_or_default()
    }

    /// Why the first answer ended.
    pub fn finish_reason(&self) -> Option<&str> {
        self.choices.first().and_then(|choice| choice.finish_reason.as_deref())
    }

    /// What this answer cost. See [`completion_cost`](crate::completion_cost).
    pub fn cost(&self) -> Option<Nano> {
        cost::completion_cost(self)
    }
}

impl Usage {
    /// The same counts, by kind.
    pub fn counts(&self) -> tollgate_wire::Usage {
        let prompt = self.prompt_tokens_details.clone().unwrap_or_default();
        let completion = self.completion_tokens_details.clone().unwrap_or_default();
        let count = |extra: &Map<String, Value>, name: &str| {
            extra.get(name).and_then(Value::as_u64).unwrap_or_default()
        };
        let searches = self.extra.get("server_tool_use").and_then(Value::as_object);
        let searches = searches.map_or(0, |used| count(used, "web_search_requests"));
        tollgate_wire::Usage {
            input: self.prompt_tokens,
            cache_read: prompt.cached_tokens.unwrap_or_default(),
            cache_write: prompt.cache_creation_tokens.unwrap_or_default(),
            input_audio: prompt.audio_tokens.unwrap_or_default(),
            input_image: count(&prompt.extra, "image_tokens"),
            input_video: count(&prompt.extra, "video_tokens"),
            output: self.completion_tokens,
            reasoning: completion.reasoning_tokens.unwrap_or_default(),
            output_audio: completion.audio_tokens.unwrap_or_default(),
            output_image: count(&completion.extra, "image_tokens"),
            output_video: count(&completion.extra, "video_tokens"),
            searches: u32::try_from(searches).unwrap_or(u32::MAX),
            ..tollgate_wire::Usage::default()
        }
    }

    /// Counts by kind, in OpenAI's spelling.
    pub fn from_counts(counts: &tollgate_wire::Usage) -> Self {
        Usage {
            prompt_tokens: counts.input,
            completion_tokens: counts.output,
            total_tokens: counts.total(),
            prompt_tokens_details: Some(PromptTokens {
                cached_tokens: Some(counts.cache_read),
                cache_creation_tokens: Some(
                    counts.cache_write.saturating_add(counts.cache_write_1h),
                ),
                audio_tokens: Some(counts.input_audio),
                extra: Map::new(),
            }),
            completion_tokens_details: Some(CompletionTokens {
                reasoning_tokens: Some(counts.reasoning),
                audio_tokens: Some(counts.output_audio),
                extra: Map::new(),
            }),
            extra: Map::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn unknown_fields_survive() {
        let wire = json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1_700_000_000,
            "model": "m",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"},
                "finish_reason": "stop", "provider_says": [1, 2]}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4,
                "prompt_tokens_details": {"cached_tokens": 2, "cache_creation_tokens": 0,
                    "audio_tokens": 0, "text_tokens": 1},
                "cost_in_credits": 0.5},
            "system_fingerprint": "fp_1", "provider": {"name": "elsewhere"}
        });
        let answer: ChatCompletion = serde_json::from_value(wire.clone()).unwrap();
        assert_eq!(answer.text(), "hi");
        assert_eq!(answer.finish_reason(), Some("stop"));
        assert_eq!(answer.usage.as_ref().unwrap().counts().cache_read, 2);
        assert_eq!(serde_json::to_value(&answer).unwrap(), wire);
    }

    #[test]
    fn nulls_and_gaps_are_read() {
        let answer: ChatCompletion = serde_json::from_value(json!({
            "created": null, "model": null,
            "choices": [{"message": {"role": "assistant", "content": null}, "finish_reason": null}],
            "usage": {"prompt_tokens": null, "prompt_tokens_details": null}
        }))
        .unwrap();
        assert_eq!(answer.text(), "");
        assert_eq!(answer.usage.unwrap().counts(), tollgate_wire::Usage::default());
    }
}
