//! A card's figures in the words of others: OpenRouter's, LiteLLM's.

use serde_json::{Map, Value, json};
use tollgate_wire::{
    Card,
    card::{Ability, Modality},
};

use super::mode;
use crate::admin::usd_per_token;

/// OpenRouter's fields of a model. <https://openrouter.ai/docs/api-reference/list-available-models>
pub(super) fn openrouter(
    id: &str,
    card: Option<&Card>,
    params: &[&'static str],
) -> Map<String, Value> {
    let max_input = card.and_then(|card| card.max_input);
    let max_output = card.and_then(|card| card.max_output);
    let outputs: Vec<&str> = match card {
        Some(card) => card.outputs().iter().map(openrouter_name).collect(),
        None => vec!["text"],
    };
    let inputs: Vec<&str> = match card {
        Some(card) => card.inputs().iter().map(openrouter_name).collect(),
        None => vec!["text"],
    };
    let mut out = Map::new();
    let mut put = |name: &str, value: Value| out.insert(name.to_owned(), value);
    put("canonical_slug", json!(id));
    put("name", json!(id));
    put("context_length", json!(max_input));
    put(
        "architecture",
        json!({
            "modality": format!("{}->{}", inputs.join("+"), outputs.join("+")),
            "input_modalities": inputs,
            "output_modalities": outputs,
            "tokenizer": null,
            "instruct_type": null,
        }),
    );
    put("pricing", Value::Object(pricing(card)));
    put(
        "top_provider",
        json!({
            "context_length": max_input,
            "max_completion_tokens": max_output,
            "is_moderated": false,
        }),
    );
    put("per_request_limits", Value::Null);
    put("supported_parameters", json!(params));
    out
}

/// OpenRouter calls what comes out of an embedding model by its operation.
fn openrouter_name(modality: Modality) -> &'static str {
    if modality == Modality::Vector { "embeddings" } else { modality.name() }
}

/// USD a unit as exact decimal text. A model without known prices has none here.
fn pricing(card: Option<&Card>) -> Map<String, Value> {
    let mut out = Map::new();
    let Some(rates) = card.and_then(|card| card.rates.as_ref()) else { return out };
    let known = [
        ("prompt", Some(rates.input)),
        ("completion", Some(rates.output)),
        ("request", Some(rates.request)),
        ("input_cache_read", rates.cache_read),
        ("input_cache_write", rates.cache_write),
        ("internal_reasoning", rates.reasoning),
        ("audio", rates.input_audio),
    ];
    for (name, femto) in known {
        if let Some(femto) = femto {
            out.insert(name.to_owned(), Value::String(usd_text(femto)));
        }
    }
    out
}

/// Femto-USD as USD, exactly: `0.0000025`.
pub fn usd_text(femto: i64) -> String {
    const ONE: u64 = 1_000_000_000_000_000;
    let (sign, size) = (if femto < 0 { "-" } else { "" }, femto.unsigned_abs());
    let text = format!("{sign}{}.{:015}", size / ONE, size % ONE);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// LiteLLM's fields of a model: limits, prices, mode.
pub(super) fn litellm(card: Option<&Card>) -> Map<String, Value> {
    let mut out = Map::new();
    let mut put = |name: &str, value: Value| out.insert(name.to_owned(), value);
    put("mode", json!(mode(card)));
    let max_output = card.and_then(|card| card.max_output);
    put("max_tokens", json!(max_output));
    put("max_input_tokens", json!(card.and_then(|card| card.max_input)));
    put("max_output_tokens", json!(max_output));
    for ability in Ability::ALL.into_iter().filter(|ability| card.is_some_and(|c| c.can(*ability)))
    {
        put(ability.litellm(), Value::Bool(true));
    }
    if let Some(day) = card.and_then(|card| card.retires.as_deref()) {
        put("deprecation_date", json!(day));
    }
    if let Some(size) = card.and_then(|card| card.vector_size) {
        put("output_vector_size", json!(size));
    }
    let rates = card.and_then(|card| card.rates.as_ref());
    put("input_cost_per_token", json!(rates.map(|rates| usd_per_token(rates.input))));
    put("output_cost_per_token", json!(rates.map(|rates| usd_per_token(rates.output))));
    let Some(rates) = rates else { return out };
    for (name, femto) in [
        ("cache_read_input_token_cost", rates.cache_read),
        ("cache_creation_input_token_cost", rates.cache_write),
        ("cache_creation_input_token_cost_above_1hr", rates.cache_write_1h),
        ("output_cost_per_reasoning_token", rates.reasoning),
        ("input_cost_per_audio_token", rates.input_audio),
        ("output_cost_per_audio_token", rates.output_audio),
        ("input_cost_per_query", Some(rates.request).filter(|femto| *femto > 0)),
    ] {
        if let Some(femto) = femto {
            put(name, usd_per_token(femto));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_exact_decimals() {
        for (femto, text) in [
            (0, "0"),
            (1, "0.000000000000001"),
            (2_500_000_000, "0.0000025"),
            (3_000_000_000_000_000, "3"),
            (-500_000_000_000_000, "-0.5"),
        ] {
            assert_eq!(usd_text(femto), text);
        }
    }
}
