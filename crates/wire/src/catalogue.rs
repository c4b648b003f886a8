//! The catalogue: `catalog/providers.toml` and `catalog/models.jsonl`, embedded, and what is laid
//! over them.

pub mod genai;
pub mod line;
pub mod listing;
pub mod litellm;
pub mod models_dev;
mod providers_json;
mod shelf;

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use self::shelf::Shelf;
use crate::{card::Card, provider::Provider};

/// Providers and model cards. Cheap to clone.
///
/// Cards are kept as the text that they came as, and read when they are asked for: there are
/// thousands of them, and a gateway serves a few. Whoever needs one again and again keeps it.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    providers: BTreeMap<String, Arc<Provider>>,
    /// By their other names.
    aliases: BTreeMap<String, Arc<Provider>>,
    /// Later ones lie over earlier ones.
    shelves: Vec<Shelf>,
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
            let read =
                Catalogue::default().overlay(include_str!("../../../catalog/providers.toml"));
            #[expect(clippy::expect_used, reason = "embedded, and read by a test")]
            let mut catalogue =
                read.expect("the embedded providers are well-formed: checked in catalogue::tests");
            catalogue.shelves.push(Shelf::sorted(include_str!("../../../catalog/models.jsonl")));
            catalogue
        });
        &BUILTIN
    }

    /// This catalogue with the providers of a TOML text laid over it: one table a provider, which
    /// takes the place of the whole entry of that name.
    pub fn overlay(&self, providers_toml: &str) -> Result<Catalogue, CatalogueError> {
        let tables: BTreeMap<String, Provider> = toml::from_str(providers_toml)
            .map_err(|e| CatalogueError::Providers(e.to_string().trim_end().to_owned()))?;
        self.overlay_providers(tables)
    }

    /// The same of a JSON text in the schema of LiteLLM's `providers.json`.
    pub fn overlay_litellm(&self, providers_json: &str) -> Result<Catalogue, CatalogueError> {
        self.overlay_providers(providers_json::read(providers_json)?)
    }

    fn overlay_providers(
        &self,
        tables: BTreeMap<String, Provider>,
    ) -> Result<Catalogue, CatalogueError> {
        let mut catalogue = self.clone();
        for (name, mut provider) in tables {
            check(&name, &provider)?;
            provider.name = name.as_str().into();
            let provider = Arc::new(provider);
            catalogue.aliases.retain(|_, of| *of.name != *name);
            for alias in &provider.aliases {
                catalogue.aliases.insert(alias.clone(), Arc::clone(&provider));
            }
            catalogue.providers.insert(name, provider);
        }
        for provider in catalogue.providers.values() {
            if let Some(lender) = &provider.cards
                && !catalogue.providers.contains_key(lender)
            {
                let why = format!("`cards` names no provider: `{lender}`");
                return Err(CatalogueError::Provider { provider: provider.name.to_string(), why });
            }
        }
        Ok(catalogue)
    }

    /// This catalogue with the model cards of a text laid over it: one JSON object a line. A card
    /// takes the place of the whole one of that provider and name.
    pub fn overlay_models(&self, models_jsonl: &str) -> Result<Catalogue, CatalogueError> {
        let mut cards = Vec::new();
        for (i, line) in models_jsonl.lines().enumerate() {
            if !line.trim().is_empty() {
                let wrong = |why: String| CatalogueError::Model { line: i + 1, why };
                cards.push(line::read(line).map_err(wrong)?);
            }
        }
        Ok(self.overlay_cards(&cards))
    }

    /// This catalogue with model cards laid over it; of two with the same name the last counts.
    pub fn overlay_cards(&self, cards: &[Card]) -> Catalogue {
        let mut catalogue = self.clone();
        catalogue.shelves.push(Shelf::of(cards));
        catalogue
    }

    /// The provider of this name, or else of this alias.
    pub fn provider(&self, name: &str) -> Option<&Arc<Provider>> {
        self.providers.get(name).or_else(|| self.aliases.get(name))
    }

    /// All providers, by name.
    pub fn providers(&self) -> impl Iterator<Item = &Arc<Provider>> {
        self.providers.values()
    }

    /// The card of a model at a provider, or else at the one that [lends](Provider::cards) it its
    /// cards; read anew each time.
    pub fn card(&self, provider: &str, model: &str) -> Option<Arc<Card>> {
        self.sources(provider).find_map(|source| {
            self.shelves.iter().rev().find_map(|shelf| shelf.card(source, model)).map(Arc::new)
        })
    }

    /// Whether there is a card of a model at a provider, its lender's included.
    pub fn has_card(&self, provider: &str, model: &str) -> bool {
        self.sources(provider)
            .any(|source| self.shelves.iter().rev().any(|shelf| shelf.has(source, model)))
    }

    /// Whose cards are a provider's, its own first.
    fn sources<'a>(&'a self, provider: &'a str) -> impl Iterator<Item = &'a str> {
        let lender = self.providers.get(provider).and_then(|found| found.cards.as_deref());
        std::iter::once(provider).chain(lender)
    }

    /// All cards, read one by one: by provider and name, those laid over the others first.
    pub fn cards(&self) -> impl Iterator<Item = Arc<Card>> {
        self.lines().filter_map(|line| line::read(line).ok()).map(Arc::new)
    }

    /// The cards of every model of this name, whoever has it: first the one that the name alone
    /// means.
    pub fn cards_named(&self, model: &str) -> Vec<Arc<Card>> {
        let needle = shelf::name_member(model);
        let found = self.lines().filter(|line| line.contains(&*needle));
        let mut cards: Vec<_> =
            found.filter_map(|line| line::read(line).ok()).map(Arc::new).collect();
        cards.sort_by_key(|card| !card.bare);
        cards
    }

    /// The model cards as a text that [`Catalogue::overlay_models`] reads.
    pub fn models_jsonl(&self) -> String {
        let mut lines: Vec<&str> = self.lines().collect();
        lines.sort_by_key(|line| shelf::key(line));
        lines.into_iter().flat_map(|line| [line, "\n"]).collect()
    }

    /// The cards of a provider's models, its lender's included.
    pub fn cards_of(&self, provider: &str) -> impl Iterator<Item = Arc<Card>> {
        let mut starts = self.sources(provider).map(shelf::provider_member);
        let (own, lent) = (starts.next(), starts.next());
        let of = |start: Option<String>| {
            let found = self.lines().filter(move |line| {
                start.as_ref().is_some_and(|start| line.starts_with(start.as_str()))
            });
            found.filter_map(|line| line::read(line).ok()).map(Arc::new)
        };
        let provider = provider.to_owned();
        let has = move |card: &Arc<Card>| {
            self.shelves.iter().any(|shelf| shelf.has(&provider, &card.name))
        };
        of(own).chain(of(lent).filter(move |card| !has(card)))
    }

    /// The lines of all cards that no later shelf has another one of.
    fn lines(&self) -> impl Iterator<Item = &str> {
        let shelves = self.shelves.iter().enumerate().rev();
        shelves.flat_map(move |(i, shelf)| {
            let later = self.shelves.get(i + 1..).unwrap_or_default();
            shelf.lines().filter(move |line| !later.iter().any(|other| other.has_line(line)))
        })
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
    if let Some(alias) =
        provider.aliases.iter().find(|alias| alias.is_empty() || alias.contains('/'))
    {
        return Err(wrong(format!("the alias `{alias}` has a slash in it, or is empty")));
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

#[cfg(test)]
mod tests;
