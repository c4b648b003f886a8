//! Messages, in OpenAI's shape: what is sent and what comes back are one type, so that an answer
//! can be pushed onto the conversation and sent again.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// A system message: how the model is to behave.
pub fn system(text: impl Into<Content>) -> Message {
    Message::new("system", text)
}

/// A user's message: text, or parts such as pictures (see [`Part`]).
pub fn user(text: impl Into<Content>) -> Message {
    Message::new("user", text)
}

/// A message of the model, from an earlier turn.
pub fn assistant(text: impl Into<Content>) -> Message {
    Message::new("assistant", text)
}

/// What a tool answered to the call of this id.
pub fn tool_result(tool_call_id: impl Into<String>, text: impl Into<Content>) -> Message {
    Message { tool_call_id: Some(tool_call_id.into()), ..Message::new("tool", text) }
}

/// One message of a conversation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `developer`, `user`, `assistant` or `tool`.
    #[serde(default)]
    pub role: String,
    /// What is said. `None` where the model only calls tools.
    #[serde(default)]
    pub content: Option<Content>,
    /// Who speaks, where several have the same role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Tools that the model wants called.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub tool_calls: Vec<ToolCall>,
    /// In a tool's message: the call that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// What the model thought before it spoke, where the provider shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// Why the model refuses, where it says so apart from the content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// Every other field, as it came; sent again as it is (`thinking_blocks`, `annotations`,
    /// `audio`, `cache_control`, …).
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Content {
    /// Plain text.
    Text(String),
    /// Text, pictures, sound and files.
    Parts(Vec<Part>),
}

/// One part of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Part {
    /// Text.
    Text {
        /// The text.
        text: String,
        /// Fields beside it, such as `cache_control`.
        #[serde(flatten)]
        extra: Map<String, Value>,
    },
    /// A picture.
    ImageUrl {
        /// Where it is.
        image_url: ImageUrl,
    },
    /// Any other part (`input_audio`, `file`, …), as it is.
    #[serde(untagged)]
    Other(Value),
}

/// Where a picture is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ImageUrl {
    /// `https://…`, or `data:image/png;base64,…`.
    pub url: String,
    /// `low`, `high` or `auto`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// A tool that the model wants called.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// What the tool's answer refers to.
    #[serde(default)]
    pub id: String,
    /// `function`.
    #[serde(rename = "type", default = "function")]
    pub kind: String,
    /// Which function, with which arguments.
    #[serde(default)]
    pub function: FunctionCall,
    /// Every other field.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// A function's name and arguments.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionCall {
    /// The function's name.
    #[serde(default, deserialize_with = "null_is_default")]
    pub name: String,
    /// JSON text, as the model wrote it: it may be invalid.
    #[serde(default, deserialize_with = "null_is_default")]
    pub arguments: String,
}

impl Message {
    /// A message with a role and a content.
    pub fn new(role: impl Into<String>, content: impl Into<Content>) -> Self {
        Message { role: role.into(), content: Some(content.into()), ..Message::default() }
    }

    /// The text, the parts' text joined; empty where there is none.
    pub fn text(&self) -> String {
        match &self.content {
            None => String::new(),
            Some(Content::Text(text)) => text.clone(),
            Some(Content::Parts(parts)) => parts.iter().filter_map(Part::as_text).collect(),
        }
    }
}

impl Part {
    /// A part that is text.
    pub fn text(text: impl Into<String>) -> Self {
        Part::Text { text: text.into(), extra: Map::new() }
    }

    /// A part that is a picture: a URL, or a `data:` URL.
    pub fn image(url: impl Into<String>) -> Self {
        Part::ImageUrl { image_url: ImageUrl { url: url.into(), detail: None } }
    }

    fn as_text(&self) -> Option<&str> {
        match self {
            Part::Text { text, .. } => Some(text),
            Part::ImageUrl { .. } | Part::Other(_) => None,
        }
    }
}

impl ToolCall {
    /// The arguments, read as JSON.
    pub fn arguments<T: serde::de::DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        let text = self.function.arguments.trim();
        serde_json::from_str(if text.is_empty() { "{}" } else { text })
    }
}

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        Content::Text(text.to_owned())
    }
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        Content::Text(text)
    }
}

impl From<Vec<Part>> for Content {
    fn from(parts: Vec<Part>) -> Self {
        Content::Parts(parts)
    }
}

impl<const N: usize> From<[Part; N]> for Content {
    fn from(parts: [Part; N]) -> Self {
        Content::Parts(parts.into())
    }
}

fn function() -> String {
    "function".to_owned()
}

/// `null` where a list or a text was meant: many providers send it.
pub(crate) fn null_is_default<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_survives_the_way_back_into_a_conversation() {
        let wire = json!({
            "role": "assistant",
            "content": null,
            "tool_calls": [{"id": "call_1", "type": "function",
                "function": {"name": "weather", "arguments": "{\"city\":\"Paris\"}"}}],
            "reasoning_content": "They want the weather.",
            "thinking_blocks": [{"type": "thinking", "thinking": "…", "signature": "abc"}]
        });
        let message: Message = serde_json::from_value(wire.clone()).unwrap();
        assert_eq!(message.text(), "");
        let arguments: Value = message.tool_calls[0].arguments().unwrap();
        assert_eq!(arguments, json!({"city": "Paris"}));
        assert_eq!(serde_json::to_value(&message).unwrap(), wire);
    }

    #[test]
    fn parts_we_do_not_know_stay_as_they_are() {
        let wire = json!({"role": "user", "content": [
            {"type": "text", "text": "What is this?", "cache_control": {"type": "ephemeral"}},
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        ]});
        let message: Message = serde_json::from_value(wire.clone()).unwrap();
        assert_eq!(message.text(), "What is this?");
        assert_eq!(serde_json::to_value(&message).unwrap(), wire);
    }

    #[test]
    fn null_lists_are_empty() {
        let message: Message = serde_json::from_value(
            json!({"role": "assistant", "content": "hi", "tool_calls": null}),
        )
        .unwrap();
        assert!(message.tool_calls.is_empty());
        assert_eq!(
            serde_json::to_value(message).unwrap(),
            json!({"role": "assistant", "content": "hi"})
        );
    }
}
