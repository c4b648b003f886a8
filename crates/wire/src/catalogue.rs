//! The catalogue: `catalog/providers.toml` and `catalog/models.jsonl`, embedded, and what is laid
//! over them.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use serde::Deserialize;

use crate::{
    card::{Card, Rates, femto_from_usd_text},
    matrix::Operation,
    provider::Provider,
};

/// Providers and model cards. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    providers: BTreeMap<String, Arc<Provider>>,
    /// By provider, then by the model's name there.
    cards: BTreeMap<String, BTreeMap<String, Arc<Card>>>,
}

/// Why a catalogue file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogueError {
    /// Providers: not TOML, an unknown field, a wrong type. Names line and column.
    #[error("providers: {0}")]
    Providers(String),
    /// Providers: a value that cannot be.
    #[error("provider `{provider}`: {why}")]
    Provider {
        /// Its name.
        provider: String,
        /// What was expected.
        why: String,
    },
    /// Models: a line that is no card.
    #[error("models, line {line}: {why}")]
    Model {
        /// Its number, from 1.
        line: usize,
        /// What was expected.
        why: String,
    },
}

impl Catalogue {
    /// The catalogue that is part of the binary.
    pub fn builtin() -> &'static Catalogue {
        static BUILTIN: LazyLock<Catalogue> = LazyLock::new(|| {
            let read = || {
                Catalogue::default()
                    .overlay(include_str!("../../../catalog/providers.toml"))?
                    .overlay_models(include_str!("../../../catalog/models.jsonl"))
            };
            #[expect(clippy::expect_used, reason = "embedded, and read by a test")]
            read().expect("the embedded catalogue is well-formed: checked in catalogue::tests")
        });
        &BUILTIN
    }

    /// This catalogue with the providers of a TOML text laid over it: one table a provider, which
    /// takes the place of the whole entry of that name.
    pub fn overlay(&self, providers_toml: &str) -> Result<Catalogue, CatalogueError> {
        let tables: BTreeMap<String, Provider> = toml::from_str(providers_toml)
            .map_err(|e| CatalogueError::Providers(e.to_string().trim_end().to_owned()))?;
        let mut catalogue = self.clone();
        for (name, mut provider) in tables {
            check(&name, &provider)?;
            provider.name = name.as_str().into();
            catalogue.providers.insert(name, Arc::new(provider));
        }
        Ok(catalogue)
    }

    /// This catalogue with the model cards of a text laid over it: one JSON object a line.
    pub fn overlay_models(&self, models_jsonl: &str) -> Result<Catalogue, CatalogueError> {
        let mut catalogue = self.clone();
        for (i, line) in models_jsonl.lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            let wrong = |why: String| CatalogueError::Model { line: i + 1, why };
            let line: Line<'_> = serde_json::from_str(line).map_err(|e| wrong(e.to_string()))?;
            let card = line.card().map_err(wrong)?;
            let cards = catalogue.cards.entry(card.provider.clone()).or_default();
            cards.insert(card.name.clone(), Arc::new(card));
        }
        Ok(catalogue)
    }

    /// The provider of this name.
    pub fn provider(&self, name: &str) -> Option<&Arc<Provider>> {
        self.providers.get(name)
    }

    /// All providers, by name.
    pub fn providers(&self) -> impl Iterator<Item = &Arc<Provider>> {
        self.providers.values()
    }

    /// The card of a model at a provider.
    pub fn card(&self, provider: &str, model: &str) -> Option<Arc<Card>> {
        self.cards.get(provider)?.get(model).cloned()
    }

    /// The cards of a provider, by name.
    pub fn cards_of(&self, provider: &str) -> impl Iterator<Item = &Arc<Card>> {
        self.cards.get(provider).into_iter().flat_map(BTreeMap::values)
    }

    /// All cards, by provider and name.
    pub fn cards(&self) -> impl Iterator<Item = &Arc<Card>> {
        self.cards.values().flat_map(BTreeMap::values)
    }
}

/// The catalogue that is part of the binary.
pub fn builtin() -> &'static Catalogue {
    Catalogue::builtin()
}

fn check(name: &str, provider: &Provider) -> Result<(), CatalogueError> {
    let wrong = |why: String| CatalogueError::Provider { provider: name.to_owned(), why };
    if name.is_empty() || name.contains('/') {
        return Err(wrong("a name has no slash in it".to_owned()));
    }
    if provider.url.is_empty() && provider.url_env.is_empty() {
        return Err(wrong("expected `url`, or `url_env` to take it from".to_owned()));
    }
    let url = provider.url.as_str();
    let scheme = url.starts_with("https://") || url.starts_with("http://");
    if !url.is_empty() && (!scheme || url.ends_with('/')) {
        return Err(wrong(format!("`{url}` must begin with https:// and end without a slash")));
    }
    if provider.speaks.is_empty() {
        return Err(wrong("expected a dialect in `speaks`".to_owned()));
    }
    for (header, value) in &provider.headers {
        let name = http::HeaderName::try_from(header.as_str());
        if name.is_err() || http::HeaderValue::try_from(value.as_str()).is_err() {
            return Err(wrong(format!("`{header}` is no header")));
        }
    }
    crate::place::check(provider).map_err(wrong)
}

/// One line of `models.jsonl`. Prices are decimal USD per token, as text, so that they are exact.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    provider: String,
    name: String,
    mode: Operation,
    max_input: Option<u64>,
    max_output: Option<u64>,
    #[serde(borrow)]
    input: Option<&'a str>,
    output: Option<&'a str>,
    cache_read: Option<&'a str>,
    cache_write: Option<&'a str>,
    cache_write_1h: Option<&'a str>,
    reasoning: Option<&'a str>,
    input_audio: Option<&'a str>,
    output_audio: Option<&'a str>,
    request: Option<&'a str>,
}

impl Line<'_> {
    fn card(self) -> Result<Card, String> {
        let price = |field: &str, text: Option<&str>| {
            let read = |text| femto_from_usd_text(text).map_err(|e| format!("`{field}`: {e}"));
            text.map(read).transpose()
        };
        let input = price("input", self.input)?;
        let output = price("output", self.output)?;
        let rates = Rates {
            input: input.unwrap_or(0),
            output: output.unwrap_or(0),
            cache_read: price("cache_read", self.cache_read)?,
            cache_write: price("cache_write", self.cache_write)?,
            cache_write_1h: price("cache_write_1h", self.cache_write_1h)?,
            reasoning: price("reasoning", self.reasoning)?,
            input_audio: price("input_audio", self.input_audio)?,
            output_audio: price("output_audio", self.output_audio)?,
            request: price("request", self.request)?.unwrap_or(0),
        };
        let rates = match (input, output, self.mode) {
            (Some(_), Some(_), _) | (Some(_), None, Operation::Embeddings) => Some(rates),
            (None, None, _) => None,
            _ => return Err("expected both `input` and `output`, or neither".to_owned()),
        };
        Ok(Card {
            provider: self.provider,
            name: self.name,
            mode: Some(self.mode),
            max_input: self.max_input,
            max_output: self.max_output,
            rates,
        })
    }
}

#[cfg(test)]
mod tests;
