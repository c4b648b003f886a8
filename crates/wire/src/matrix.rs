//! Operations × dialects: which surface is served where, and which upstream is called where.

use serde::{Deserialize, Serialize};

/// What is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Messages in, a message out; streamed or not.
    Chat,
    /// Texts in, vectors out.
    Embeddings,
}

/// How an API family spells an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// OpenAI's chat completions and the endpoints beside it.
    Openai,
    /// Anthropic's messages.
    Anthropic,
}

impl Operation {
    /// The name in configuration, logs and usage rows.
    pub const fn name(self) -> &'static str {
        match self {
            Operation::Chat => "chat",
            Operation::Embeddings => "embeddings",
        }
    }
}

impl Dialect {
    /// The name in configuration, logs and usage rows.
    pub const fn name(self) -> &'static str {
        match self {
            Dialect::Openai => "openai",
            Dialect::Anthropic => "anthropic",
        }
    }
}

/// What a client's path means, or `None` if no hot route has it. LiteLLM serves each path with and
/// without `/v1`.
pub fn surface(path: &str) -> Option<(Operation, Dialect)> {
    match path {
        "/v1/chat/completions" | "/chat/completions" => Some((Operation::Chat, Dialect::Openai)),
        "/v1/messages" | "/messages" | "/anthropic/v1/messages" => {
            Some((Operation::Chat, Dialect::Anthropic))
        }
        "/v1/embeddings" | "/embeddings" => Some((Operation::Embeddings, Dialect::Openai)),
        _ => None,
    }
}

/// The path below a provider's base URL, or `None` where the dialect has no such operation.
pub const fn upstream(operation: Operation, dialect: Dialect) -> Option<&'static str> {
    match (operation, dialect) {
        (Operation::Chat, Dialect::Openai) => Some("/chat/completions"),
        (Operation::Chat, Dialect::Anthropic) => Some("/messages"),
        (Operation::Embeddings, Dialect::Openai) => Some("/embeddings"),
        (Operation::Embeddings, Dialect::Anthropic) => None,
    }
}
