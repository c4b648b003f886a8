//! A target: provider, model, dialect and credential, ready to be called.

use std::sync::Arc;

use bytes::Bytes;

use crate::{card::Card, login::Login, matrix::Dialect, provider::Provider, secret::Secret};

/// Provider + model + dialect + credential. Immutable; made when the configuration is resolved.
/// LiteLLM calls it a deployment.
#[derive(Debug, Clone)]
pub struct Target {
    /// Stable over reloads: `model_info.id` if given, else a hash of the settings. Goes to
    /// `x-litellm-model-id` and usage rows.
    pub id: Arc<str>,
    /// Where it is.
    pub provider: Arc<Provider>,
    /// The model's name as the provider knows it, without the `provider/` prefix.
    pub model: Arc<str>,
    /// The dialect that this target is called in.
    pub dialect: Dialect,
    /// Base URL for this dialect (scheme, authority, path prefix), without a slash at the end.
    pub base: Arc<str>,
    /// What the provider knows us by. `None` where it needs no key.
    pub credential: Option<Secret>,
    /// What is done for every call where a key in a header is not enough.
    pub login: Option<Arc<Login>>,
    /// Prices, limits and abilities, if known.
    pub card: Option<Arc<Card>>,
    /// Top-level request fields that the configuration sets where the client does not: name and
    /// JSON text.
    pub defaults: Vec<(String, Bytes)>,
    /// Extra headers of each call (`extra_headers`).
    pub headers: Vec<(http::HeaderName, http::HeaderValue)>,
    /// Leave out what the model cannot do, instead of refusing.
    pub drop_params: bool,
}
