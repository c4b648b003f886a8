//! Operations × dialects: which surface is served where, and which upstream is called where.

use std::borrow::Cow;

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
    /// OpenAI's responses.
    Responses,
    /// OpenAI's completions, as they were before chat: a prompt in, text out. Clients only.
    Completions,
    /// Google's `generateContent`, at Google AI Studio and at Vertex AI.
    Gemini,
    /// Amazon Bedrock's Converse.
    Bedrock,
    /// Cohere's v2 API.
    Cohere,
    /// Ollama's own API.
    Ollama,
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
    /// All of them.
    pub const ALL: [Dialect; 8] = [
        Dialect::Openai,
        Dialect::Anthropic,
        Dialect::Responses,
        Dialect::Completions,
        Dialect::Gemini,
        Dialect::Bedrock,
        Dialect::Cohere,
        Dialect::Ollama,
    ];

    /// The name in configuration, logs and usage rows.
    pub const fn name(self) -> &'static str {
        match self {
            Dialect::Openai => "openai",
            Dialect::Anthropic => "anthropic",
            Dialect::Responses => "responses",
            Dialect::Completions => "completions",
            Dialect::Gemini => "gemini",
            Dialect::Bedrock => "bedrock",
            Dialect::Cohere => "cohere",
            Dialect::Ollama => "ollama",
        }
    }
}

/// What a client's path means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route<'a> {
    /// What is wanted.
    pub operation: Operation,
    /// How the client spells it.
    pub surface: Dialect,
    /// What the path itself says of the request, where the dialect has it there and not in the
    /// body.
    pub named: Option<Named<'a>>,
}

/// What a path says of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named<'a> {
    /// The model asked for.
    pub model: &'a str,
    /// Whether the answer is to be streamed.
    pub stream: bool,
}

/// What a client's path means, or `None` if no hot route has it. LiteLLM serves each path with and
/// without `/v1`.
pub fn surface(path: &str) -> Option<Route<'_>> {
    let (operation, surface) = match path {
        "/v1/chat/completions" | "/chat/completions" => (Operation::Chat, Dialect::Openai),
        "/v1/messages" | "/messages" | "/anthropic/v1/messages" => {
            (Operation::Chat, Dialect::Anthropic)
        }
        "/v2/chat" | "/cohere/v2/chat" => (Operation::Chat, Dialect::Cohere),
        "/v1/embeddings" | "/embeddings" => (Operation::Embeddings, Dialect::Openai),
        "/v2/embed" | "/cohere/v2/embed" => (Operation::Embeddings, Dialect::Cohere),
        _ => return None,
    };
    Some(Route { operation, surface, named: None })
}

/// The path below a provider's base URL, its query included, or `None` where the dialect has no
/// such operation. `model` is the provider's name for it.
pub fn upstream(
    operation: Operation,
    dialect: Dialect,
    model: &str,
    _stream: bool,
) -> Option<Cow<'static, str>> {
    Some(match (operation, dialect) {
        (Operation::Chat, Dialect::Openai) => "/chat/completions".into(),
        (Operation::Chat, Dialect::Anthropic) => "/messages".into(),
        (Operation::Chat, Dialect::Cohere) => "/chat".into(),
        (Operation::Chat, Dialect::Ollama) => "/api/chat".into(),
        (Operation::Embeddings, Dialect::Openai) => "/embeddings".into(),
        (Operation::Embeddings, Dialect::Cohere) => "/embed".into(),
        (Operation::Embeddings, Dialect::Ollama) => "/api/embed".into(),
        (Operation::Embeddings, Dialect::Gemini) => {
            let model = model.strip_prefix("models/").unwrap_or(model);
            format!("/models/{}:batchEmbedContents", encoded(model)).into()
        }
        (Operation::Embeddings, Dialect::Bedrock) => {
            format!("/model/{}/invoke", encoded(model)).into()
        }
        _ => return None,
    })
}

/// A name as one segment of a path: all but letters, digits and `-._~` as `%XX`, slashes and colons
/// included.
fn encoded(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Whether a provider of this dialect can be asked for this operation.
pub fn has(operation: Operation, dialect: Dialect) -> bool {
    upstream(operation, dialect, "m", false).is_some()
}
