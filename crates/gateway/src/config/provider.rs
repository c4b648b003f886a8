//! Which provider and model an entry means, where it is, and what it knows us by.

use std::sync::Arc;

use tollgate_wire::{Auth, Dialect, Provider, Secret, catalogue::Catalogue};

use super::{
    environment::Environment,
    keys, near,
    problem::{Report, Spot},
    section::Section,
};

/// The provider's name of an entry that stands for every provider (`model: "*"`). No provider of
/// the catalogue has it.
pub(crate) const ANY: &str = "*";

/// What a model string means.
pub(super) struct Meant {
    pub provider: Arc<Provider>,
    /// The model's name at the provider.
    pub model: String,
}

/// Reads `model` and `custom_llm_provider`. `None` after an error.
pub(super) fn meant(
    section: &Section<'_>,
    catalogue: &Catalogue,
    env: &Environment<'_>,
    report: &mut Report,
) -> Option<Meant> {
    let Some(model) = section.text("model", report) else {
        if section.node("model").is_none() {
            let message = "expected `model`, such as `openai/gpt-4o`";
            report.error(section.at, &section.path_of("model"), message);
        }
        return None;
    };
    let at = section.spot("model");
    if let Some(name) = section.text("custom_llm_provider", report) {
        let at = section.spot("custom_llm_provider");
        let path = section.path_of("custom_llm_provider");
        let provider = known(&name, catalogue, at, &path, report)?;
        let own = model.strip_prefix(&name).and_then(|rest| rest.strip_prefix('/'));
        return Some(Meant { provider, model: own.unwrap_or(&model).to_owned() });
    }
    if model == ANY {
        return Some(Meant { provider: Arc::new(any_provider()), model });
    }
    let path = section.path_of("model");
    if let Some((name, rest)) = model.split_once('/')
        && (catalogue.provider(name).is_some() || by_card(&model, catalogue).found.is_empty())
    {
        if rest.is_empty() {
            report.error(at, &path, format!("`{}` names no model", keys::shown(&model)));
            return None;
        }
        let provider = known(name, catalogue, at, &path, report)?;
        return Some(Meant { provider, model: rest.to_owned() });
    }
    bare(&model, section, catalogue, env, report)
        .map(|provider| Meant { provider, model: model.clone() })
}

/// The provider of this name, or an error that says why there is none.
fn known(
    name: &str,
    catalogue: &Catalogue,
    at: Spot,
    path: &str,
    report: &mut Report,
) -> Option<Arc<Provider>> {
    if let Some(provider) = catalogue.provider(name) {
        return Some(provider.clone());
    }
    if keys::look_up("providers", name).is_some() {
        report.unsupported(at, path, format!("the provider `{name}` is not built yet"));
        return None;
    }
    let message = format!("unknown provider `{}`", keys::shown(name));
    let names = catalogue.providers().map(|provider| &*provider.name);
    let help = match near::nearest(name, names) {
        Some(near) => format!("did you mean `{near}/`?"),
        None => "for any API that speaks as OpenAI's does write `openai/<model>` and an `api_base`"
            .to_owned(),
    };
    report.error_help(at, path, message, help);
    None
}

/// A model without a provider: by its card, else by `api_base`.
fn bare(
    model: &str,
    section: &Section<'_>,
    catalogue: &Catalogue,
    env: &Environment<'_>,
    report: &mut Report,
) -> Option<Arc<Provider>> {
    if let Some(base) = base_text(section, report)
        && let Some(provider) = by_url(&base, catalogue)
    {
        return Some(provider.clone());
    }
    let at = section.spot("model");
    let path = section.path_of("model");
    let Named { found, home } = by_card(model, catalogue);
    // Of several that have the model, the one that we can call.
    let usable = |provider: &&Arc<Provider>| env.first(&provider.key_env).is_some();
    let chosen = match found.as_slice() {
        [one] => Some(one),
        many => many.iter().find(|provider| usable(provider)).or(home.as_ref()),
    };
    if let Some(provider) = chosen {
        return Some(provider.clone());
    }
    let message = format!("`{}` does not say which provider is meant", keys::shown(model));
    let help = match found.first() {
        Some(provider) => format!("write `{}/{}`", provider.name, keys::shown(model)),
        None => format!("write `<provider>/{}`, such as `openai/{0}`", keys::shown(model)),
    };
    report.error_help(at, &path, message, help);
    None
}

/// Who has a model of some name.
struct Named {
    /// All of them, first the one that the name alone means.
    found: Vec<Arc<Provider>>,
    /// That one, if there is one.
    home: Option<Arc<Provider>>,
}

fn by_card(model: &str, catalogue: &Catalogue) -> Named {
    let cards = catalogue.cards_named(model);
    let provider = |name: &str| catalogue.provider(name).cloned();
    let home = cards.first().filter(|card| card.bare).and_then(|card| provider(&card.provider));
    let found = cards.iter().filter_map(|card| provider(&card.provider)).collect();
    Named { found, home }
}

fn by_url<'a>(base: &str, catalogue: &'a Catalogue) -> Option<&'a Arc<Provider>> {
    catalogue.providers().find(|provider| provider.is_at(base))
}

/// The provider of an entry that stands for every provider: replaced by a real one when a request
/// says which.
pub(super) fn any_provider() -> Provider {
    Provider {
        name: ANY.into(),
        url: String::new(),
        key_env: Vec::new(),
        url_env: Vec::new(),
        auth: Auth::None,
        speaks: [Dialect::Openai, Dialect::Anthropic, Dialect::Responses]
            .map(|dialect| (dialect, String::new()))
            .into(),
        ops: Vec::new(),
        headers: std::collections::BTreeMap::new(),
        patch: Vec::new(),
        ..Provider::default()
    }
}

/// `api_base`, or `base_url`, which is the same.
pub(super) fn base_text(section: &Section<'_>, report: &mut Report) -> Option<String> {
    let base = section.text("base_url", report);
    let base = base.or_else(|| section.text("api_base", report));
    base.map(|base| base.trim().to_owned())
}

/// Where the provider is: `api_base`, else its variable, else its own URL. Without a slash at the
/// end and without a dialect's prefix. `api_base` comes from the operator and is trusted: it may be
/// on a private network.
pub(super) fn base(
    provider: &Provider,
    section: &Section<'_>,
    env: &Environment<'_>,
    report: &mut Report,
) -> Option<String> {
    match given(provider, section, env, report)? {
        Some(base) => trimmed(&base, provider).into(),
        None => trimmed(&provider.url, provider).into(),
    }
}

/// The base URL that `api_base` or the provider's variable gives, checked but whole; `Some(None)`
/// where nobody gives one and the provider has its own. `None` after an error.
pub(super) fn given(
    provider: &Provider,
    section: &Section<'_>,
    env: &Environment<'_>,
    report: &mut Report,
) -> Option<Option<String>> {
    let mut key = if section.node("base_url").is_some() { "base_url" } else { "api_base" };
    let mut given = base_text(section, report);
    for name in &provider.url_param {
        if given.is_none() && section.node(name).is_some() {
            key = name;
            given = section.text(name, report);
        }
    }
    if given.is_none() && section.node(key).is_some() {
        return None;
    }
    let at = section.spot(key);
    let path = section.path_of(key);
    let (text, source) = match (given, env.first(&provider.url_env)) {
        (Some(text), _) => (text, format!("`{key}`")),
        (None, Some((name, text))) => (text, format!("environment variable `{name}`")),
        (None, None) if provider.url.is_empty() => {
            let names = provider.url_env.join("` or `");
            let message = format!("`{}` needs an `api_base`", provider.name);
            let help = match names.as_str() {
                "" => "where the API is, such as `http://host:8000/v1`".to_owned(),
                names => format!("or set the environment variable `{names}`"),
            };
            report.error_help(at, &path, message, help);
            return None;
        }
        (None, None) => return Some(None),
    };
    match flaw(&text) {
        None => Some(Some(text)),
        Some(why) => {
            report.error(at, &path, format!("{source}: {why}"));
            None
        }
    }
}

/// A base URL without its slashes and without an endpoint's path, which LiteLLM tolerates.
pub(super) fn checked(text: &str, provider: &Provider) -> Result<String, &'static str> {
    match flaw(text) {
        Some(why) => Err(why),
        None => Ok(trimmed(text, provider)),
    }
}

/// Why a text is no base URL.
fn flaw(text: &str) -> Option<&'static str> {
    let Ok(uri) = text.parse::<http::Uri>() else {
        return Some("expected a URL such as `https://host/v1`");
    };
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Some("expected a URL that begins with `https://` or `http://`");
    }
    let authority = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    if uri.host().is_none_or(str::is_empty) {
        return Some("expected a URL with a host");
    }
    if authority.contains('@') {
        return Some("a URL cannot carry a credential: use `api_key`");
    }
    uri.query().map(|_| "a base URL has no query: write an `api-version` as `api_version`")
}

fn trimmed(text: &str, provider: &Provider) -> String {
    let base = text.trim_end_matches('/');
    match main_dialect(provider) {
        // LiteLLM appends `/v1/messages` to what does not end so.
        Dialect::Anthropic => {
            let base = base.strip_suffix("/messages").unwrap_or(base);
            if base.ends_with("/v1") { base.to_owned() } else { format!("{base}/v1") }
        }
        Dialect::Cohere => {
            let base = without(base, &["/chat", "/embed"]);
            if base.ends_with("/v2") { base.to_owned() } else { format!("{base}/v2") }
        }
        // Google's base with or without its version; LiteLLM's variable has it without.
        Dialect::Gemini => {
            let base = base.strip_suffix("/models").unwrap_or(base);
            let bare = base.parse::<http::Uri>().is_ok_and(|uri| uri.path() == "/");
            if bare { format!("{base}/v1beta") } else { base.to_owned() }
        }
        Dialect::Ollama => without(base, &["/api/chat", "/api/generate", "/api"]).to_owned(),
        Dialect::Replicate => without(base, &["/models", "/predictions"]).to_owned(),
        Dialect::Oci | Dialect::OciCohere => without(base, &["/actions/chat"]).to_owned(),
        _ => without(base, &["/chat/completions", "/completions", "/responses", "/embeddings"])
            .to_owned(),
    }
}

fn without<'a>(base: &'a str, ends: &[&str]) -> &'a str {
    ends.iter().find_map(|end| base.strip_suffix(end)).unwrap_or(base)
}

/// The dialect that a provider's targets are called in for clients of no dialect of its own.
pub(crate) fn main_dialect(provider: &Provider) -> Dialect {
    if provider.speaks.contains_key(&Dialect::Openai) {
        return Dialect::Openai;
    }
    provider.speaks.keys().next().copied().unwrap_or(Dialect::Openai)
}

/// Whether a provider wants a key: one on this very machine (Ollama) may be asked without.
pub(super) fn needs_key(provider: &Provider) -> bool {
    !provider.key_env.is_empty() && !provider.url.starts_with("http://localhost:")
}

/// The key: `api_key`, else the provider's variables. An error where there is none and the provider
/// needs one.
pub(super) fn credential(
    provider: &Provider,
    section: &Section<'_>,
    env: &Environment<'_>,
    report: &mut Report,
) -> Option<Secret> {
    if section.node("api_key").is_some() {
        let key = section.secret("api_key", report)?;
        if http::HeaderValue::try_from(key.expose()).is_err() {
            let path = section.path_of("api_key");
            report.error(
                section.spot("api_key"),
                &path,
                "the key has characters that no header can carry",
            );
        }
        return Some(key);
    }
    if let Some((_, key)) = env.first(&provider.key_env) {
        return Some(Secret::new(key.trim()));
    }
    // A place of the operator's own (`api_base`) may need no key.
    if needs_key(provider) && base_text(section, report).is_none() {
        let names = provider.key_env.join("` or `");
        let message = format!("`{}` needs a key", provider.name);
        let help = format!("set `api_key`, or the environment variable `{names}`");
        report.error_help(section.spot("model"), &section.path_of("api_key"), message, help);
    }
    None
}
