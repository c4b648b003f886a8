//! Reads a provider's own list of models, `GET /v1/models`: OpenRouter's with its prices and
//! abilities, Apertis', and OpenAI's bare one.
//! <https://openrouter.ai/docs/api-reference/list-available-models>

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::card::{Ability, Card, Modalities, Modality, Mode, femto_from_usd_text};

/// Most models of a list.
const MAX_MODELS: usize = 100_000;

#[derive(Deserialize)]
struct List<'a> {
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Model<'a> {
    id: String,
    context_length: Option<u64>,
    #[serde(borrow, default)]
    pricing: Pricing<'a>,
    architecture: Option<Architecture>,
    top_provider: Option<Top>,
    #[serde(default)]
    supported_parameters: Vec<String>,
}

#[derive(Deserialize, Default)]
struct Pricing<'a> {
    #[serde(borrow)]
    prompt: Option<&'a RawValue>,
    #[serde(borrow)]
    completion: Option<&'a RawValue>,
    #[serde(borrow)]
    request: Option<&'a RawValue>,
    #[serde(borrow)]
    input_cache_read: Option<&'a RawValue>,
    #[serde(borrow)]
    input_cache_write: Option<&'a RawValue>,
    #[serde(borrow)]
    internal_reasoning: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Architecture {
    #[serde(default)]
    input_modalities: Vec<String>,
    #[serde(default)]
    output_modalities: Vec<String>,
}

#[derive(Deserialize)]
struct Top {
    max_completion_tokens: Option<u64>,
}

/// Whether a text is a list of models, and not a price map.
pub fn is_listing(text: &str) -> bool {
    serde_json::from_str::<List<'_>>(text).is_ok()
}

/// What a list says.
#[derive(Debug, Default)]
pub struct Listing {
    /// The models, each once, sorted by name.
    pub cards: Vec<Card>,
    /// What of it could not be used, and why.
    pub skipped: Vec<(String, String)>,
}

/// Reads the models that `provider` lists. What the list does not say of a model is taken from
/// `known`, its card so far. Models that make no sense are skipped and named.
pub fn read(
    text: &str,
    provider: &str,
    known: impl Fn(&str) -> Option<Card>,
) -> Result<Listing, String> {
    let list: List<'_> = serde_json::from_str(text)
        .map_err(|why| format!("expected a list of models in `data`: {why}"))?;
    if list.data.len() > MAX_MODELS {
        return Err(format!("expected at most {MAX_MODELS} models"));
    }
    let (mut cards, mut skipped) = (Vec::new(), Vec::new());
    for (i, raw) in list.data.iter().enumerate() {
        let model: Result<Model<'_>, _> = serde_json::from_str(raw.get());
        match model {
            Err(why) => skipped.push((format!("data[{i}]"), why.to_string())),
            Ok(model) => {
                let id = model.id.clone();
                match card(model, provider, known(&id)) {
                    Ok(card) => cards.push(card),
                    Err(why) => skipped.push((id, why)),
                }
            }
        }
    }
    cards.sort_by(|a, b| a.name.cmp(&b.name));
    cards.dedup_by(|a, b| a.name == b.name);
    Ok(Listing { cards, skipped })
}

fn card(model: Model<'_>, provider: &str, known: Option<Card>) -> Result<Card, String> {
    if model.id.is_empty() || model.id.chars().any(char::is_control) {
        return Err("its name is empty or has control characters in it".to_owned());
    }
    let mut card = known.unwrap_or_default();
    provider.clone_into(&mut card.provider);
    card.name = model.id;
    card.max_input = model.context_length.or(card.max_input);
    let most = model.top_provider.and_then(|top| top.max_completion_tokens);
    card.max_output = most.or(card.max_output);
    if let Some(architecture) = &model.architecture {
        let set = |names: &[String]| -> Modalities {
            names.iter().filter_map(|name| modality(name)).collect()
        };
        card.takes = set(&architecture.input_modalities);
        card.gives = set(&architecture.output_modalities);
        if card.mode.is_none() {
            card.mode = mode(card.gives);
        }
    }
    for (param, ability) in [
        ("tools", Ability::Tools),
        ("tool_choice", Ability::ToolChoice),
        ("structured_outputs", Ability::ResponseSchema),
        ("reasoning", Ability::Reasoning),
    ] {
        if model.supported_parameters.iter().any(|name| name == param) {
            card.can.add(ability);
        }
    }
    prices(&model.pricing, &mut card)?;
    Ok(card)
}

/// A list that names a price for prompts and answers replaces the prices that were known.
fn prices(pricing: &Pricing<'_>, card: &mut Card) -> Result<(), String> {
    let price = |name: &str, raw: Option<&RawValue>| match raw {
        None => Ok(None),
        Some(raw) => {
            let text: Cow<'_, str> = match serde_json::from_str::<String>(raw.get()) {
                Ok(text) => Cow::Owned(text),
                Err(_) => Cow::Borrowed(raw.get()),
            };
            // OpenRouter's way to say that it depends.
            if text.starts_with('-') || text == "null" {
                return Ok(None);
            }
            femto_from_usd_text(&text).map(Some).map_err(|why| format!("`pricing.{name}`: {why}"))
        }
    };
    let (prompt, completion) =
        (price("prompt", pricing.prompt)?, price("completion", pricing.completion)?);
    let (Some(input), Some(output)) = (prompt, completion) else { return Ok(()) };
    // Zero of a kind means that it has no price of its own.
    let own = |femto: Option<i64>| femto.filter(|femto| *femto > 0);
    let mut rates = card.rates.take().unwrap_or_default();
    // Tiers and service classes belong to the price that was known.
    if (rates.input, rates.output) != (input, output) {
        rates = crate::Rates::default();
    }
    rates.input = input;
    rates.output = output;
    rates.request = price("request", pricing.request)?.unwrap_or(0);
    rates.cache_read =
        own(price("input_cache_read", pricing.input_cache_read)?).or(rates.cache_read);
    rates.cache_write =
        own(price("input_cache_write", pricing.input_cache_write)?).or(rates.cache_write);
    rates.reasoning =
        own(price("internal_reasoning", pricing.internal_reasoning)?).or(rates.reasoning);
    card.rates = Some(rates);
    Ok(())
}

fn modality(name: &str) -> Option<Modality> {
    match name {
        "embeddings" => Some(Modality::Vector),
        name => Modality::ALL.into_iter().find(|modality| modality.name() == name),
    }
}

fn mode(gives: Modalities) -> Option<Mode> {
    [
        (Modality::Text, Mode::Chat),
        (Modality::Vector, Mode::Embeddings),
        (Modality::Image, Mode::Images),
        (Modality::Video, Mode::Video),
        (Modality::Audio, Mode::Speech),
    ]
    .into_iter()
    .find(|(modality, _)| gives.has(*modality))
    .map(|(_, mode)| mode)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A model as OpenRouter's page shows it.
    const OPENROUTER: &str = r#"{"data": [
      {"id": "openai/gpt-4o", "canonical_slug": "openai/gpt-4o", "name": "OpenAI: GPT-4o", "created": 1715558400,
       "context_length": 128000,
       "architecture": {"modality": "text+image->text", "input_modalities": ["text", "image", "file"], "output_modalities": ["text"], "tokenizer": "GPT"},
       "pricing": {"prompt": "0.0000025", "completion": "0.00001", "request": "0", "image": "0.003613", "web_search": "0", "internal_reasoning": "0", "input_cache_read": "0.00000125"},
       "top_provider": {"context_length": 128000, "max_completion_tokens": 16384, "is_moderated": true},
       "supported_parameters": ["max_tokens", "tools", "tool_choice", "structured_outputs"]},
      {"id": "openrouter/auto", "context_length": 2000000, "pricing": {"prompt": "-1", "completion": "-1"}},
      {"id": "broken", "pricing": {"prompt": "much", "completion": "1"}},
      {"name": "no id"}
    ]}"#;

    #[test]
    fn openrouters_list_is_read() {
        let Listing { cards, skipped } = read(OPENROUTER, "openrouter", |_| None).unwrap();
        assert_eq!(
            skipped.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(),
            ["broken", "data[3]"]
        );
        let names: Vec<&str> = cards.iter().map(|card| card.name.as_str()).collect();
        assert_eq!(names, ["openai/gpt-4o", "openrouter/auto"]);
        let card = &cards[0];
        assert_eq!((card.provider.as_str(), card.mode), ("openrouter", Some(Mode::Chat)));
        assert_eq!((card.max_input, card.max_output), (Some(128_000), Some(16_384)));
        let rates = card.rates.as_ref().unwrap();
        assert_eq!((rates.input, rates.output), (2_500_000_000, 10_000_000_000));
        assert_eq!((rates.cache_read, rates.reasoning), (Some(1_250_000_000), None));
        assert!(card.takes.has(Modality::File) && card.can(Ability::Tools));
        assert!(cards[1].rates.is_none(), "a price that depends is no price");
    }

    #[test]
    fn a_bare_list_takes_nothing_away() {
        let known = Card {
            max_input: Some(5),
            rates: Some(crate::Rates { input: 1, output: 2, ..Default::default() }),
            ..Card::default()
        };
        let text = r#"{"object": "list", "data": [{"id": "a", "object": "model"}, {"id": "b", "context_length": 7}]}"#;
        let find = |name: &str| (name == "a").then(|| known.clone());
        let Listing { cards, skipped } = read(text, "apertis", find).unwrap();
        assert!(skipped.is_empty());
        assert_eq!(
            cards[0],
            Card { provider: "apertis".into(), name: "a".into(), ..known.clone() }
        );
        assert_eq!((cards[1].max_input, &cards[1].rates), (Some(7), &None));
    }

    #[test]
    fn a_price_map_is_no_listing() {
        assert!(is_listing(OPENROUTER));
        assert!(!is_listing(r#"{"gpt-4o": {"litellm_provider": "openai"}}"#));
        assert!(read("[]", "p", |_| None).is_err());
        assert!(read("<html>", "p", |_| None).is_err());
    }
}
