//! Providers: a place, as data. See `catalog/providers.toml`.

use std::{collections::BTreeMap, sync::Arc};

use serde::Deserialize;

use crate::{
    matrix::{Dialect, Operation},
    place::{Family, Paths, SignIn, Site, Var},
};

/// Where a provider is, what it speaks, and how it differs from the dialect.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// The name before the slash of a model string; the table's name in the catalogue.
    #[serde(skip)]
    pub name: Arc<str>,
    /// Other names before the slash that mean it, such as LiteLLM has for some.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// The provider whose model cards, and so whose prices, are its too where it has none of its own:
    /// the same place under another name.
    #[serde(default)]
    pub cards: Option<String>,
    /// Base URL with its version segment, without a slash at the end.
    pub url: String,
    /// Other base URLs of the same provider: who names one means it.
    #[serde(default)]
    pub also_at: Vec<String>,
    /// Environment variables that may hold the key; the first that is set counts. Empty: the
    /// provider needs no key.
    #[serde(default)]
    pub key_env: Vec<String>,
    /// Environment variables that may move the base URL.
    #[serde(default)]
    pub url_env: Vec<String>,
    /// Settings that may move the base URL, beside `api_base`.
    #[serde(default)]
    pub url_param: Vec<String>,
    /// How the key travels.
    #[serde(default)]
    pub auth: Auth,
    /// Dialects it speaks, each with the path between the base URL and the dialect's own path.
    pub speaks: BTreeMap<Dialect, String>,
    /// Operations it has.
    #[serde(default = "chat_only")]
    pub ops: Vec<Operation>,
    /// Operations that it has and that are not served yet: what models it may have cards of.
    #[serde(default)]
    pub later: Vec<crate::card::Mode>,
    /// Fixed headers of every call.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Edits of the request body, in order.
    #[serde(default)]
    pub patch: Vec<Patch>,
    /// Variables of the templates in `url`, `paths` and `patch`: `{name}`.
    #[serde(default)]
    pub vars: BTreeMap<String, Var>,
    /// Paths that differ from the dialect's own.
    #[serde(default)]
    pub paths: Paths,
    /// What is different for some models or addresses; all that fit count, in order.
    #[serde(default)]
    pub families: Vec<Family>,
    /// How it spells embeddings, where that is not as its dialect does.
    #[serde(default)]
    pub embeds: Option<Embeds>,
    /// Hosts that its answers may send us to, beside its own: `*.example.com` for all below. They
    /// are shown no credential.
    #[serde(default)]
    pub follows: Vec<String>,
    /// What its models take, where each has parameters of its own.
    #[serde(default)]
    pub inputs: Option<Inputs>,
    /// What streams come in, beside the dialect's own frames.
    #[serde(default)]
    pub frames: Frames,
    /// How to sign in, where that is more than a key in a header.
    #[serde(default)]
    pub login: Option<SignIn>,
    /// What tokens are asked for; the service's name in signatures.
    #[serde(default)]
    pub scope: Option<String>,
    /// What its templates were filled with, once they are: for wildcards.
    #[serde(skip)]
    pub site: Option<Arc<Site>>,
}

impl Provider {
    /// Whether a base URL is one of its, a slash at the end aside.
    pub fn is_at(&self, base: &str) -> bool {
        let base = base.trim_end_matches('/');
        !base.is_empty() && (self.url == base || self.also_at.iter().any(|url| url == base))
    }
}

/// How a provider's key travels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Auth {
    /// `Authorization: Bearer <key>`
    #[default]
    Bearer,
    /// `x-api-key: <key>`
    XApiKey,
    /// `api-key: <key>`
    ApiKey,
    /// `x-goog-api-key: <key>`
    XGoogApiKey,
    /// No credential is sent.
    None,
}

/// A spelling of embeddings that belongs to a place and not to a dialect of chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Embeds {
    /// Vertex AI's `:predict`: instances and predictions.
    Predict,
    /// Vertex AI's `:embedContent`: one text, one vector.
    Content,
    /// watsonx' text embeddings.
    Watsonx,
    /// Hugging Face's feature extraction, and Text Embeddings Inference's `/embed`.
    Features,
    /// Snowflake Cortex' `inference:embed`.
    Cortex,
    /// OpenAI's, the numbers as signed bytes in base64.
    Int8,
}

/// What a model takes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// How it is told of a conversation of several messages: `messages`, or a form of text
    /// (`words`, `llama3`, …). None: it knows a single question.
    #[serde(default)]
    pub turns: Option<String>,
    /// Its parameters: what the dialect calls them, and what the model does, which a client may say,
    /// too. None: whatever there is, by the dialect's names.
    #[serde(default)]
    pub takes: Option<BTreeMap<String, String>>,
}

/// What a dialect's stream is wrapped in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Frames {
    /// Nothing.
    #[default]
    Plain,
    /// Messages of Amazon's event stream, whose payloads are pieces of it.
    Aws,
}

/// One edit of a request body's top-level fields.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Patch {
    /// Removes a field, or what a path such as `tools[*].function.strict` leads to.
    Drop(String),
    /// Sends a parameter of the client's as it is where the dialect would refuse or drop it.
    Allow(String),
    /// Removes a field that the place has elsewhere, such as in its path: nothing is lost by it.
    Cut(String),
    /// Removes a field that says what the place does without it: field, value.
    CutValue(String, serde_json::Value),
    /// Renames a field: from, to. Where both are there, the old one is dropped.
    Rename(String, String),
    /// The same, where the field's value is a text: some spell a choice and an object apart.
    RenameText(String, String),
    /// Sets a field, whatever the client said.
    Set(String, serde_json::Value),
    /// Sets a field that the client left out.
    Default(String, serde_json::Value),
    /// Keeps a number within bounds: field, least, most.
    Clamp(String, f64, f64),
}

fn chat_only() -> Vec<Operation> {
    vec![Operation::Chat]
}

/// The header that carries `key`, marked sensitive; `None` where no credential is sent or the key
/// cannot stand in a header.
pub fn auth_headers(
    auth: Auth,
    key: &crate::Secret,
) -> Option<(http::HeaderName, http::HeaderValue)> {
    let (name, text) = match auth {
        Auth::Bearer => return Some((http::header::AUTHORIZATION, key.bearer()?)),
        Auth::XApiKey => (http::HeaderName::from_static("x-api-key"), key.expose().to_owned()),
        Auth::ApiKey => (http::HeaderName::from_static("api-key"), key.expose().to_owned()),
        Auth::XGoogApiKey => {
            (http::HeaderName::from_static("x-goog-api-key"), key.expose().to_owned())
        }
        Auth::None => return None,
    };
    let mut value = http::HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some((name, value))
}
