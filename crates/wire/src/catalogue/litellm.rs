//! Reads LiteLLM's price map (`model_prices_and_context_window.json`) into model cards.
//! <https://docs.litellm.ai/docs/provider_registration/add_model_pricing>
//!
//! The map is one flat object; its 250 or so names of fields are put together from a few parts,
//! as in `cache_read_input_token_cost_above_200k_tokens_priority`, which are taken apart here.

mod entry;

use std::{borrow::Cow, collections::BTreeMap};

use serde_json::value::RawValue;

use self::entry::Entry;
use crate::card::{Card, Mode};

/// What a price map says.
#[derive(Debug, Default)]
pub struct PriceMap {
    /// The models, each once, sorted by provider and name.
    pub cards: Vec<Card>,
    /// What of it could not be used: the entry's key, and why.
    pub skipped: Vec<(String, String)>,
    /// Fields that no entry's card has a place for, with how many entries have them.
    pub unread: BTreeMap<String, usize>,
}

/// Most entries that a map may have.
const MAX_ENTRIES: usize = 100_000;

/// Reads a whole map. Entries that make no sense are skipped and named; only a text that is no map
/// at all is an error.
pub fn read(text: &str) -> Result<PriceMap, String> {
    let entries: BTreeMap<Cow<'_, str>, &RawValue> =
        serde_json::from_str(text).map_err(|why| format!("expected a map of models: {why}"))?;
    if entries.len() > MAX_ENTRIES {
        return Err(format!("expected at most {MAX_ENTRIES} models"));
    }
    let mut map = PriceMap::default();
    // By provider and name; a key that names its provider goes before one that does not.
    let mut cards: BTreeMap<(String, String), (Card, bool)> = BTreeMap::new();
    for (key, raw) in &entries {
        if key == "sample_spec" {
            continue;
        }
        match Entry::read(key, raw, &mut map) {
            Ok((card, named)) => {
                let place = (card.provider.clone(), card.name.clone());
                match cards.get_mut(&place) {
                    None => drop(cards.insert(place, (card, named))),
                    Some(other) => {
                        let bare = card.bare || other.0.bare;
                        if named && !other.1 {
                            *other = (card, named);
                        }
                        other.0.bare = bare;
                    }
                }
            }
            Err(why) => map.skipped.push((key.to_string(), why)),
        }
    }
    map.cards = cards.into_values().map(|(card, _)| card).collect();
    Ok(map)
}

/// LiteLLM's further names of a provider, and ours.
const NAMES: [(&str, &str); 14] = [
    ("ai21_chat", "ai21"),
    ("anthropic_text", "anthropic"),
    ("azure_text", "azure"),
    ("bedrock_converse", "bedrock"),
    ("cohere_chat", "cohere"),
    ("ollama_chat", "ollama"),
    ("sagemaker_chat", "sagemaker"),
    ("sagemaker_nova", "sagemaker"),
    ("text-completion-codestral", "codestral"),
    ("text-completion-inception", "inception"),
    ("text-completion-openai", "openai"),
    ("vertex_ai_beta", "vertex_ai"),
    ("vertex_ai", "vertex_ai"),
    ("watsonx_text", "watsonx"),
];

/// What a provider charges that its entries in the map do not say; LiteLLM has it in its code.
#[derive(Debug, Clone, Copy)]
struct Habit {
    provider: &'static str,
    /// A token read from the cache costs half of a prompt's.
    halves_cache: bool,
    /// The dearer rates begin at a threshold, not above it.
    at_threshold: bool,
    /// A search, in femto-USD.
    search: Option<i64>,
    /// A request that searches is charged once, unless the entry says otherwise.
    searches_once: bool,
    /// Of these models only: not those with this in their names.
    but: Option<&'static str>,
}

const HABITS: [Habit; 4] = [
    // https://docs.fireworks.ai/guides/prompt-caching
    Habit { provider: "fireworks_ai", halves_cache: true, ..NONE },
    // https://docs.x.ai/docs/models
    Habit { provider: "xai", at_threshold: true, search: Some(5_000_000_000_000), ..NONE },
    // https://ai.google.dev/gemini-api/docs/pricing: older models charge a request that searches,
    // newer ones each search.
    Habit { provider: "gemini", search: Some(35_000_000_000_000), searches_once: true, ..NONE },
    Habit {
        provider: "vertex_ai",
        search: Some(35_000_000_000_000),
        searches_once: true,
        but: Some("claude"),
        ..NONE
    },
];

const NONE: Habit = Habit {
    provider: "",
    halves_cache: false,
    at_threshold: false,
    search: None,
    searches_once: false,
    but: None,
};

fn habit(provider: &str, model: &str) -> Habit {
    let found = HABITS.into_iter().find(|habit| habit.provider == provider);
    found.filter(|habit| habit.but.is_none_or(|word| !model.contains(word))).unwrap_or(NONE)
}

/// Our provider for LiteLLM's, which has several names for one place.
fn provider(litellm: &str) -> &str {
    // `vertex_ai-anthropic_models` and the like.
    let place = litellm.strip_suffix(litellm.split_once('-').map_or("", |(_, rest)| rest));
    let known =
        |name: &str| NAMES.iter().find(|(theirs, _)| *theirs == name).map(|(_, ours)| *ours);
    let vertex = place.and_then(|place| place.strip_suffix('-')).and_then(known);
    known(litellm).or(vertex).unwrap_or(litellm)
}

/// The model's name at its provider, and whether the key named the provider.
fn name<'k>(key: &'k str, litellm: &str, ours: &str) -> (&'k str, bool) {
    if let Some((first, rest)) = key.split_once('/')
        && !rest.is_empty()
        && (first == litellm || provider(first) == ours)
    {
        return (rest, true);
    }
    (key, false)
}

/// LiteLLM's `mode`; what we have no name for is something else.
fn mode(word: &str) -> Mode {
    Mode::of_litellm(word).unwrap_or(Mode::Other)
}

#[cfg(test)]
mod tests;
