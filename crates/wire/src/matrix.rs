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
    /// Messages in, the number of their tokens out. It costs nothing, and an upstream is asked only
    /// where the provider's `ops` name it; else the gateway answers with an estimate.
    CountTokens,
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
    /// Oracle's OCI Generative AI, its format for the models of all vendors but Cohere.
    Oci,
    /// The same, its format for Cohere's models.
    OciCohere,
    /// Hugging Face's text generation: a text goes on.
    Tgi,
    /// watsonx's text generation.
    WatsonxText,
    /// Replicate's predictions: a job, and its output.
    Replicate,
}

impl Operation {
    /// The name in configuration, logs and usage rows.
    pub const fn name(self) -> &'static str {
        match self {
            Operation::Chat => "chat",
            Operation::Embeddings => "embeddings",
            Operation::CountTokens => "count_tokens",
        }
    }
}

impl Dialect {
    /// All of them.
    pub const ALL: [Dialect; 13] = [
        Dialect::Openai,
        Dialect::Anthropic,
        Dialect::Responses,
        Dialect::Completions,
        Dialect::Gemini,
        Dialect::Bedrock,
        Dialect::Cohere,
        Dialect::Ollama,
        Dialect::Oci,
        Dialect::OciCohere,
        Dialect::Tgi,
        Dialect::WatsonxText,
        Dialect::Replicate,
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
            Dialect::Oci => "oci",
            Dialect::OciCohere => "oci_cohere",
            Dialect::Tgi => "tgi",
            Dialect::WatsonxText => "watsonx_text",
            Dialect::Replicate => "replicate",
        }
    }

    /// Whether an answer may be a job, whose outcome is to be asked for.
    pub const fn answers_with_jobs(self) -> bool {
        matches!(self, Dialect::Replicate)
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
        "/v1/messages/count_tokens"
        | "/messages/count_tokens"
        | "/anthropic/v1/messages/count_tokens" => (Operation::CountTokens, Dialect::Anthropic),
        "/v1/responses" | "/responses" | "/openai/v1/responses" => {
            (Operation::Chat, Dialect::Responses)
        }
        "/v1/completions" | "/completions" => (Operation::Chat, Dialect::Completions),
        "/v1/embeddings" | "/embeddings" => (Operation::Embeddings, Dialect::Openai),
        "/v2/chat" | "/cohere/v2/chat" => (Operation::Chat, Dialect::Cohere),
        "/v2/embed" | "/cohere/v2/embed" => (Operation::Embeddings, Dialect::Cohere),
        _ => return engine(path).or_else(|| gemini(path)),
    };
    Some(Route { operation, surface, named: None })
}

/// Google's paths: `/v1beta/models/{model}:generateContent`. A model's name may have slashes and
/// colons of its own.
fn gemini(path: &str) -> Option<Route<'_>> {
    let path = path.strip_prefix("/gemini").unwrap_or(path);
    let path = path.strip_prefix("/v1beta").or_else(|| path.strip_prefix("/v1")).unwrap_or(path);
    let (model, method) = path.strip_prefix("/models/")?.rsplit_once(':')?;
    let (operation, stream) = match method {
        "generateContent" => (Operation::Chat, false),
        "streamGenerateContent" => (Operation::Chat, true),
        "countTokens" => (Operation::CountTokens, false),
        _ => return None,
    };
    let named = Some(Named { model, stream }).filter(|_| !model.is_empty())?;
    Some(Route { operation, surface: Dialect::Gemini, named: Some(named) })
}

/// What the path of an answer of responses that is kept means: its id, and what follows it.
pub fn stored(path: &str) -> Option<(&str, &'static str)> {
    let rest = path
        .strip_prefix("/v1/responses/")
        .or_else(|| path.strip_prefix("/responses/"))
        .or_else(|| path.strip_prefix("/openai/v1/responses/"))?;
    let tails = ["/input_items", "/cancel"];
    let tail = tails.into_iter().find(|tail| rest.ends_with(tail)).unwrap_or_default();
    let id = rest.strip_suffix(tail).unwrap_or(rest);
    (!id.is_empty() && !id.contains('/')).then_some((id, tail))
}

/// Paths that name the model as OpenAI's first API did and Azure's does:
/// `/engines/{model}/completions`, `/openai/deployments/{model}/chat/completions`. What is asked
/// for is in the body as ever. A model's name may have slashes.
fn engine(path: &str) -> Option<Route<'_>> {
    let rest = path.strip_prefix("/v1").unwrap_or(path);
    let rest =
        rest.strip_prefix("/engines/").or_else(|| path.strip_prefix("/openai/deployments/"))?;
    let (model, operation, surface) = None
        .or_else(|| {
            Some((rest.strip_suffix("/chat/completions")?, Operation::Chat, Dialect::Openai))
        })
        .or_else(|| {
            Some((rest.strip_suffix("/completions")?, Operation::Chat, Dialect::Completions))
        })
        .or_else(|| {
            Some((rest.strip_suffix("/embeddings")?, Operation::Embeddings, Dialect::Openai))
        })?;
    let named = Named { model, stream: false };
    (!model.is_empty()).then_some(Route { operation, surface, named: Some(named) })
}

/// The path below a provider's base URL, its query included, or `None` where the dialect has no
/// such operation. `model` is the provider's name for it.
pub fn upstream(
    operation: Operation,
    dialect: Dialect,
    model: &str,
    stream: bool,
) -> Option<Cow<'static, str>> {
    Some(match (operation, dialect) {
        (Operation::Chat, Dialect::Openai) => "/chat/completions".into(),
        (Operation::Chat, Dialect::Anthropic) => "/messages".into(),
        (Operation::Chat, Dialect::Bedrock) => {
            let action = if stream { "converse-stream" } else { "converse" };
            format!("/model/{}/{action}", encoded(model)).into()
        }
        (Operation::Chat, Dialect::Cohere) => "/chat".into(),
        (Operation::Chat, Dialect::Ollama) => "/api/chat".into(),
        (Operation::Chat, Dialect::Oci | Dialect::OciCohere) => "/actions/chat".into(),
        (Operation::Chat, Dialect::Tgi) if stream => "/generate_stream".into(),
        (Operation::Chat, Dialect::Tgi) => "/generate".into(),
        (Operation::Chat, Dialect::WatsonxText) if stream => "/ml/v1/text/generation_stream".into(),
        (Operation::Chat, Dialect::WatsonxText) => "/ml/v1/text/generation".into(),
        (Operation::Chat, Dialect::Replicate) => crate::dialect::replicate::path(model)?.into(),
        (Operation::Chat, Dialect::Responses) => "/responses".into(),
        (Operation::Chat, Dialect::Completions) => "/completions".into(),
        (Operation::Embeddings, Dialect::Openai) => "/embeddings".into(),
        (Operation::CountTokens, Dialect::Anthropic) => "/messages/count_tokens".into(),
        (Operation::CountTokens, Dialect::Bedrock) => {
            format!("/model/{}/count-tokens", encoded(without_profile(model))).into()
        }
        (Operation::Embeddings, Dialect::Cohere) => "/embed".into(),
        (Operation::Embeddings, Dialect::Ollama) => "/api/embed".into(),
        (Operation::Embeddings, Dialect::Oci | Dialect::OciCohere) => "/actions/embedText".into(),
        (Operation::Embeddings, Dialect::Gemini) => {
            let model = model.strip_prefix("models/").unwrap_or(model);
            format!("/models/{}:batchEmbedContents", encoded(model)).into()
        }
        (Operation::Embeddings, Dialect::Bedrock) => {
            format!("/model/{}/invoke", encoded(model)).into()
        }
        (Operation::Chat, Dialect::Gemini) => {
            let method = if stream { ":streamGenerateContent?alt=sse" } else { ":generateContent" };
            gemini_path(model, method).into()
        }
        (Operation::CountTokens, Dialect::Gemini) => gemini_path(model, ":countTokens").into(),
        _ => return None,
    })
}

/// The model of an inference profile (`us.anthropic.claude-…`), which itself cannot be counted for.
/// <https://docs.aws.amazon.com/bedrock/latest/userguide/count-tokens.html>
fn without_profile(model: &str) -> &str {
    let at = model.find("anthropic.").filter(|_| !model.starts_with("arn:"));
    at.and_then(|at| model.get(at..)).unwrap_or(model)
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

/// `/models/{model}{method}`; the name of a tuned model says itself what it is of.
fn gemini_path(model: &str, method: &str) -> String {
    let collection = ["models/", "tunedModels/"].iter().any(|own| model.starts_with(own));
    let mut path = String::from(if collection { "/" } else { "/models/" });
    for byte in model.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => path.push(char::from(byte)),
            b'-' | b'.' | b'_' | b'~' | b'/' | b':' | b'@' => path.push(char::from(byte)),
            _ => path.push_str(&format!("%{byte:02X}")),
        }
    }
    path.push_str(method);
    path
}

/// Whether a provider of this dialect can be asked for this operation.
pub fn has(operation: Operation, dialect: Dialect) -> bool {
    upstream(operation, dialect, "m", false).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_may_name_the_model() {
        for (path, expect) in [
            ("/engines/m/completions", Some((Dialect::Completions, "m"))),
            ("/v1/engines/m/completions", Some((Dialect::Completions, "m"))),
            ("/engines/a/b/chat/completions", Some((Dialect::Openai, "a/b"))),
            ("/openai/deployments/gpt-4o/chat/completions", Some((Dialect::Openai, "gpt-4o"))),
            ("/openai/deployments/e/embeddings", Some((Dialect::Openai, "e"))),
            ("/engines//completions", None),
            ("/engines/completions", None),
            ("/deployments/m/completions", None),
        ] {
            let route = surface(path).map(|route| (route.surface, route.named.unwrap().model));
            assert_eq!(route, expect, "{path}");
        }
        let plain = surface("/v1/completions").unwrap();
        assert_eq!((plain.surface, plain.named), (Dialect::Completions, None));
    }

    #[test]
    fn stored_answers_have_paths() {
        for (path, expect) in [
            ("/v1/responses/resp_1", Some(("resp_1", ""))),
            ("/openai/v1/responses/resp_1/input_items", Some(("resp_1", "/input_items"))),
            ("/responses/resp_1/cancel", Some(("resp_1", "/cancel"))),
            ("/responses/resp_1/other", None),
            ("/v1/responses/", None),
            ("/v1/responses", None),
        ] {
            assert_eq!(stored(path), expect, "{path}");
        }
    }

    #[test]
    fn googles_paths_name_the_model() {
        for (path, expect) in [
            ("/v1beta/models/gemini-2.5-pro:generateContent", Some(("gemini-2.5-pro", false))),
            ("/v1/models/m:streamGenerateContent", Some(("m", true))),
            ("/models/openai/gpt-4o:generateContent", Some(("openai/gpt-4o", false))),
            ("/gemini/v1beta/models/llama3:8b:generateContent", Some(("llama3:8b", false))),
            ("/v1beta/models/:generateContent", None),
            ("/v1beta/models/m:embedContent", None),
            ("/v1beta/models/m", None),
        ] {
            let named = surface(path).and_then(|route| route.named);
            assert_eq!(named.map(|it| (it.model, it.stream)), expect, "{path}");
        }
    }

    #[test]
    fn a_models_name_goes_into_googles_path() {
        for (model, stream, expect) in [
            ("gemini-2.5-pro", false, "/models/gemini-2.5-pro:generateContent"),
            ("models/m", true, "/models/m:streamGenerateContent?alt=sse"),
            ("tunedModels/mine", false, "/tunedModels/mine:generateContent"),
            ("a b?c", false, "/models/a%20b%3Fc:generateContent"),
        ] {
            let path = upstream(Operation::Chat, Dialect::Gemini, model, stream);
            assert_eq!(path.as_deref(), Some(expect));
        }
    }
}
