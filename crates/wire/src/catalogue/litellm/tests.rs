use super::*;
use crate::{
    card::{Ability, Hours, Kind, Unit},
    usage::Tier,
};

fn card(map: &PriceMap, provider: &str, name: &str) -> Card {
    map.cards.iter().find(|card| card.provider == provider && card.name == name).cloned().unwrap()
}

#[test]
fn names_are_of_their_provider() {
    let map = read(
        r#"{
        "sample_spec": {"litellm_provider": "one of many"},
        "gpt-x": {"litellm_provider": "openai", "mode": "chat"},
        "bedrock/eu-west-1/claude": {"litellm_provider": "bedrock", "mode": "chat"},
        "anthropic.claude": {"litellm_provider": "bedrock_converse", "max_input_tokens": 1},
        "bedrock/anthropic.claude": {"litellm_provider": "bedrock", "max_input_tokens": 2},
        "vertex_ai/claude": {"litellm_provider": "vertex_ai-anthropic_models"},
        "fireworks_ai/accounts/f/models/m": {"litellm_provider": "fireworks_ai"},
        "hd/1024-x-1024/dall-e": {"litellm_provider": "openai", "mode": "image_generation"},
        "broken": {"mode": "chat"}, "worse": 1
        }"#,
    )
    .unwrap();
    let names: Vec<(&str, &str, bool)> =
        map.cards.iter().map(|card| (&*card.provider, &*card.name, card.bare)).collect();
    assert_eq!(
        names,
        [
            ("bedrock", "anthropic.claude", true),
            ("bedrock", "eu-west-1/claude", false),
            ("fireworks_ai", "accounts/f/models/m", false),
            ("openai", "gpt-x", true),
            ("openai", "hd/1024-x-1024/dall-e", true),
            ("vertex_ai", "claude", false),
        ]
    );
    // The key that names the provider counts.
    assert_eq!(card(&map, "bedrock", "anthropic.claude").max_input, Some(2));
    let skipped: Vec<&str> = map.skipped.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(skipped, ["broken", "worse"]);
}

#[test]
fn prices_by_kind_threshold_and_tier() {
    let map = read(
        r#"{"m": {"litellm_provider": "xai", "mode": "chat", "input_cost_per_token": 3e-06,
        "output_cost_per_token": "1.5e-05", "cache_read_input_token_cost": 7.5e-07,
        "cache_creation_input_token_cost_above_1hr": 6e-06, "output_cost_per_image_token": 3e-05,
        "input_cost_per_token_above_200k_tokens": 6e-06, "input_cost_per_token_priority": 9e-06,
        "cache_creation_input_token_cost_above_1hr_above_200k_tokens": 1.2e-05,
        "output_cost_per_token_above_200k_tokens_batches": 1e-06,
        "search_context_cost_per_query": {"search_context_size_low": 0.01,
            "search_context_size_medium": 0.02}, "provider_specific_entry": {"us": 1.1, "fast": 6},
        "regional_processing_uplift_multiplier_eu": 1.1, "input_cost_per_request": 0.005,
        "supports_function_calling": true, "supports_vision": false,
        "max_output_tokens": 8192, "max_input_tokens": 1e6, "deprecation_date": "2026-10-01",
        "off_peak_pricing": {"input_cost_per_token": 1e-06, "windows":
            [{"hours_utc": ["00:00-01:30"], "weekdays": [1, 7]}]}, "new_field": 1}}"#,
    )
    .unwrap();
    let card = card(&map, "xai", "m");
    assert!(card.can(Ability::Tools) && !card.can(Ability::Vision));
    assert_eq!((card.max_input, card.max_output), (Some(1_000_000), Some(8_192)));
    assert_eq!(card.retires.as_deref(), Some("2026-10-01"));
    let rates = card.rates.unwrap();
    assert_eq!((rates.input, rates.output), (3_000_000_000, 15_000_000_000));
    assert_eq!((rates.cache_read, rates.cache_write), (Some(750_000_000), None));
    assert_eq!(rates.cache_write_1h, Some(6_000_000_000));
    assert_eq!(rates.request, 5_000_000_000_000);
    let rare = rates.rare.unwrap();
    assert_eq!(*rare.tokens, [(Kind::OutputImage, 30_000_000_000)]);
    assert!(rare.at_threshold);
    let variants: Vec<_> =
        rare.variants.iter().map(|v| (v.above, v.tier, v.rates.to_vec())).collect();
    assert_eq!(
        variants,
        [
            (0, Tier::Priority, vec![(Kind::Input, 9_000_000_000)]),
            (
                200_000,
                Tier::Standard,
                vec![(Kind::Input, 6_000_000_000), (Kind::CacheWrite1h, 12_000_000_000)]
            ),
            (200_000, Tier::Batch, vec![(Kind::Output, 1_000_000_000)]),
        ]
    );
    let search = rare.search.unwrap();
    assert_eq!((search.low, search.medium), (10_000_000_000_000, 20_000_000_000_000));
    assert_eq!((search.high, search.once), (20_000_000_000_000, false));
    assert_eq!((rare.factors.us_only, rare.factors.fast), (Some(1_100_000), Some(6_000_000)));
    assert_eq!(rare.factors.at_eu, Some(1_100_000));
    let off_peak = rare.off_peak.unwrap();
    assert_eq!(*off_peak.hours, [Hours { days: 0b100_0001, from: 0, until: 90 }]);
    assert_eq!(map.unread.keys().collect::<Vec<_>>(), ["new_field"]);
}

#[test]
fn half_a_price_is_none() {
    let map = read(
        r#"{"a": {"litellm_provider": "p", "mode": "chat", "input_cost_per_token": 1e-06},
        "b": {"litellm_provider": "p", "mode": "embedding", "input_cost_per_token": 1e-06},
        "c": {"litellm_provider": "p", "mode": "chat", "input_cost_per_token": -1,
            "output_cost_per_token": 1}}"#,
    )
    .unwrap();
    assert!(card(&map, "p", "a").rates.is_none());
    assert_eq!(card(&map, "p", "b").rates.unwrap().input, 1_000_000_000);
    let skipped: Vec<&str> = map.skipped.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(skipped, ["a", "c"]);
}

#[test]
fn steps_and_units() {
    let map = read(
        r#"{"p/a": {"litellm_provider": "p", "mode": "chat", "tiered_pricing": [
            {"range": [32000.0, 1e6], "input_cost_per_token": 2e-06, "output_cost_per_token": 4e-06},
            {"range": [0, 32000.0], "input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06,
             "output_cost_per_reasoning_token": 3e-06}]},
        "p/b": {"litellm_provider": "p", "mode": "video_generation", "output_cost_per_second": 0.1,
            "output_cost_per_second_1080p": 0.3, "file_search_cost_per_1k_calls": 2.5,
            "output_cost_per_image_4K": 0.24, "output_cost_per_image_token_batches": 1e-6}}"#,
    )
    .unwrap();
    let rates = card(&map, "p", "a").rates.unwrap();
    assert_eq!((rates.input, rates.output), (1_000_000_000, 2_000_000_000));
    let rare = rates.rare.unwrap();
    let steps: Vec<(u64, bool)> = rare.variants.iter().map(|v| (v.above, v.whole)).collect();
    assert_eq!(steps, [(0, true), (32_000, true)]);
    let units = card(&map, "p", "b");
    assert_eq!(units.unit(Unit::SecondOut, "720p"), Some(100_000_000_000_000));
    assert_eq!(units.unit(Unit::SecondOut, "1080p"), Some(300_000_000_000_000));
    assert_eq!(units.unit(Unit::FileSearch, ""), Some(2_500_000_000_000));
    assert_eq!(units.unit(Unit::ImageOut, "4K"), Some(240_000_000_000_000));
    assert_eq!(units.unit(Unit::ImageOut, "1K"), None);
    assert!(units.rates.is_none() && units.is_priced());
}

#[test]
fn what_is_no_map_is_refused() {
    assert!(read("[]").unwrap_err().starts_with("expected a map of models"));
    assert!(read("{").unwrap_err().starts_with("expected a map of models"));
    assert!(read("{}").unwrap().cards.is_empty());
}
