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

/// Our provider for LiteLLM's, which has several names for one place.
fn provider(litellm: &str) -> &str {
    match litellm {
        "anthropic_text" => "anthropic",
        "ai21_chat" => "ai21",
        "azure_text" => "azure",
        "bedrock_converse" => "bedrock",
        "cohere_chat" => "cohere",
        "ollama_chat" => "ollama",
        "sagemaker_chat" | "sagemaker_nova" => "sagemaker",
        "text-completion-codestral" => "codestral",
        "text-completion-inception" => "inception",
        "text-completion-openai" => "openai",
        "watsonx_text" => "watsonx",
        "vertex_ai_beta" => "vertex_ai",
        other if other.starts_with("vertex_ai-") => "vertex_ai",
        other => other,
    }
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
