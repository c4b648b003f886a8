//! `usage`. Tokens that came from the cache or went into it are counted beside `inputTokens`, as
//! Anthropic counts them.
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html>,
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html>

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::usage::{Tier, Usage};

/// The largest count that is believed.
const MAX_COUNT: u64 = 100_000_000;
/// Most lines of `cacheDetails` that are read; there are two times to live.
const MAX_DETAILS: usize = 16;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UsageIn {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    #[serde(alias = "cacheReadInputTokenCount")]
    cache_read_input_tokens: Option<u64>,
    #[serde(alias = "cacheWriteInputTokenCount")]
    cache_write_input_tokens: Option<u64>,
    cache_details: Option<Vec<DetailIn>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DetailIn {
    ttl: String,
    input_tokens: u64,
}

/// `serviceTier`, beside `usage`: at what the answer was served.
#[derive(Deserialize)]
struct TierIn {
    r#type: String,
}

/// Reads `usage` and the `serviceTier` beside it. What cannot be read is 0 and marked as an
/// estimate.
pub(super) fn read(raw: &RawValue, tier: Option<&RawValue>) -> Usage {
    let tier = tier.and_then(|raw| serde_json::from_str::<TierIn>(raw.get()).ok());
    Usage { tier: tier.and_then(|tier| Tier::read(&tier.r#type)), ..counts(raw) }
}

fn counts(raw: &RawValue) -> Usage {
    let nothing = Usage { estimated: true, ..Usage::default() };
    let Ok(said) = serde_json::from_str::<UsageIn>(raw.get()) else { return nothing };
    let count = |count: Option<u64>| count.filter(|count| *count <= MAX_COUNT);
    let cache_read = count(said.cache_read_input_tokens).unwrap_or(0);
    let written = count(said.cache_write_input_tokens).unwrap_or(0);
    let details = said.cache_details.unwrap_or_default();
    let hour: u64 = details
        .iter()
        .take(MAX_DETAILS)
        .filter(|detail| detail.ttl == "1h")
        .fold(0, |sum, detail| sum.saturating_add(detail.input_tokens));
    let hour = hour.min(written);
    let (input, output) = (count(said.input_tokens), count(said.output_tokens));
    Usage {
        input: input.unwrap_or(0).saturating_add(cache_read).saturating_add(written),
        cache_read,
        cache_write: written - hour,
        cache_write_1h: hour,
        output: output.unwrap_or(0),
        estimated: input.is_none() || output.is_none(),
        ..Usage::default()
    }
}

/// What a model adds of its own, where it was asked for by its path.
#[derive(Deserialize, Default)]
struct AdditionalIn {
    stop_sequence: Option<String>,
    usage: Option<OwnUsageIn>,
}

#[derive(Deserialize)]
struct OwnUsageIn {
    output_tokens_details: Option<OutputDetailsIn>,
}

#[derive(Deserialize)]
struct OutputDetailsIn {
    thinking_tokens: Option<u64>,
}

/// What we ask for in `additionalModelResponseFieldPaths`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Additional {
    /// Which stop text ended the answer.
    pub(super) stop_sequence: Option<String>,
    /// Tokens of thinking.
    pub(super) reasoning: u64,
}

impl Additional {
    /// The paths.
    pub(super) const PATHS: [&'static str; 2] = ["/stop_sequence", "/usage/output_tokens_details"];

    /// Reads `additionalModelResponseFields`, which are whatever the model says.
    pub(super) fn read(raw: Option<&RawValue>) -> Self {
        let said = raw.and_then(|raw| serde_json::from_str::<AdditionalIn>(raw.get()).ok());
        let said = said.unwrap_or_default();
        let details = said.usage.and_then(|usage| usage.output_tokens_details);
        Additional {
            stop_sequence: said.stop_sequence,
            reasoning: details.and_then(|details| details.thinking_tokens).unwrap_or(0),
        }
    }

    /// Thinking is part of the answer.
    pub(super) fn add_to(&self, usage: Usage) -> Usage {
        Usage { reasoning: self.reasoning.min(usage.output), ..usage }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expect: Usage) {
        let raw: Box<RawValue> = serde_json::from_str(json).unwrap();
        assert_eq!(read(&raw, None), expect, "{json}");
    }

    #[test]
    fn counts() {
        let plain = Usage { input: 30, output: 628, ..Usage::default() };
        check(r#"{"inputTokens":30,"outputTokens":628,"totalTokens":658}"#, plain);
        check(
            r#"{"inputTokens":10,"outputTokens":5,"totalTokens":1815,
                "cacheReadInputTokens":1000,"cacheWriteInputTokens":800,
                "cacheDetails":[{"ttl":"1h","inputTokens":500},{"ttl":"5m","inputTokens":300}]}"#,
            Usage {
                input: 1810,
                output: 5,
                cache_read: 1000,
                cache_write: 300,
                cache_write_1h: 500,
                ..Usage::default()
            },
        );
        check(
            r#"{"inputTokens":10,"outputTokens":5,"cacheWriteInputTokens":800,"cacheDetails":null}"#,
            Usage { input: 810, output: 5, cache_write: 800, ..Usage::default() },
        );
    }

    #[test]
    fn nonsense_is_an_estimate() {
        let nothing = Usage { estimated: true, ..Usage::default() };
        for json in ["{}", "[]", "1", r#"{"inputTokens":-1,"outputTokens":1}"#] {
            check(json, nothing);
        }
        let huge = r#"{"inputTokens":1,"outputTokens":99999999999}"#;
        check(huge, Usage { input: 1, ..nothing });
    }

    #[test]
    fn the_tier_that_it_was_served_at() {
        let raw: Box<RawValue> =
            serde_json::from_str(r#"{"inputTokens":1,"outputTokens":1}"#).unwrap();
        for (tier, expect) in [
            (r#"{"type":"flex"}"#, Some(Tier::Flex)),
            (r#"{"type":"priority"}"#, Some(Tier::Priority)),
            (r#"{"type":"default"}"#, Some(Tier::Standard)),
            (r#"{"type":"tomorrow"}"#, None),
            ("7", None),
        ] {
            let tier: Box<RawValue> = serde_json::from_str(tier).unwrap();
            assert_eq!(read(&raw, Some(&tier)).tier, expect, "{tier}");
        }
    }

    #[test]
    fn additional_fields() {
        let json =
            r#"{"stop_sequence":"END","usage":{"output_tokens_details":{"thinking_tokens":70}}}"#;
        let raw: Box<RawValue> = serde_json::from_str(json).unwrap();
        let read = Additional::read(Some(&raw));
        assert_eq!(read, Additional { stop_sequence: Some("END".to_owned()), reasoning: 70 });
        let usage = Usage { output: 50, ..Usage::default() };
        assert_eq!(read.add_to(usage).reasoning, 50);
        let odd: Box<RawValue> = serde_json::from_str("[1]").unwrap();
        assert_eq!(Additional::read(Some(&odd)), Additional::default());
    }
}
