//! What one answer consumed, by kind.

use serde::{Deserialize, Serialize};

/// What one answer consumed, by kind. Every count but `searches` is a number of tokens; nothing
/// here is a rate or an amount of money.
///
/// `input` and `output` are totals, as OpenAI counts them (`prompt_tokens`,
/// `completion_tokens`): they *include* the parts named by the other fields. A dialect that counts
/// the parts beside the total (Anthropic) adds them up when it reads. The parts may overlap: a
/// cached image counts in `cache_read` and in `input_image`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// All tokens of the prompt, cached ones included.
    pub input: u64,
    /// Part of `input` that was read from the provider's prompt cache.
    pub cache_read: u64,
    /// Part of `cache_read` that is audio.
    pub cache_read_audio: u64,
    /// Part of `input` that was written to the provider's prompt cache for five minutes (also:
    /// for a time that the provider does not name).
    pub cache_write: u64,
    /// Part of `input` that was written to the provider's prompt cache for an hour.
    pub cache_write_1h: u64,
    /// Part of `input` that was written to the provider's prompt cache for twelve hours.
    pub cache_write_12h: u64,
    /// Part of `input` that is audio.
    pub input_audio: u64,
    /// Part of `input` that is images.
    pub input_image: u64,
    /// Part of `input` that is video.
    pub input_video: u64,
    /// All tokens of the answer, reasoning included.
    pub output: u64,
    /// Part of `output` that is reasoning.
    pub reasoning: u64,
    /// Part of `output` that is audio.
    pub output_audio: u64,
    /// Part of `output` that is images.
    pub output_image: u64,
    /// Part of `output` that is video.
    pub output_video: u64,
    /// Web searches that the provider made.
    pub searches: u32,
    /// How much of what was found went into the prompt, where the price depends on it.
    pub search_size: SearchSize,
    /// The service tier that the answer was served at, if the provider said.
    pub tier: Option<Tier>,
    /// Served in the United States alone at the client's wish, which Anthropic charges for.
    pub us_only: bool,
    /// True if the upstream did not say and the counts are ours: a cut stream, a hang-up, a
    /// provider that reports nothing.
    pub estimated: bool,
}

/// The service tier that an answer was *served* at; what was asked for may be another one.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// The usual one.
    #[default]
    Standard,
    /// Sooner, for more money.
    Priority,
    /// Later, for less.
    Flex,
    /// As part of a batch.
    Batch,
    /// Sail's, between standard and flex.
    Balanced,
    /// OpenAI's fastest.
    Ultrafast,
    /// Anthropic's fast mode.
    Fast,
}

impl Tier {
    /// All of them.
    pub const ALL: [Tier; 7] = [
        Tier::Standard,
        Tier::Priority,
        Tier::Flex,
        Tier::Batch,
        Tier::Balanced,
        Tier::Ultrafast,
        Tier::Fast,
    ];

    /// The tier that a provider's `service_tier` names; unknown ones are charged as standard.
    /// OpenAI's `fast` is its priority tier by another name, and `scale` is paid for beforehand.
    pub fn read(word: &str) -> Option<Tier> {
        Some(match word {
            "default" | "standard" | "scale" | "reserved" | "on_demand" => Tier::Standard,
            "priority" | "fast" | "performance" => Tier::Priority,
            "flex" => Tier::Flex,
            "batch" => Tier::Batch,
            "balanced" => Tier::Balanced,
            "ultrafast" => Tier::Ultrafast,
            _ => return None,
        })
    }

    /// The name in configuration, logs and usage rows.
    pub const fn name(self) -> &'static str {
        match self {
            Tier::Standard => "standard",
            Tier::Priority => "priority",
            Tier::Flex => "flex",
            Tier::Batch => "batch",
            Tier::Balanced => "balanced",
            Tier::Ultrafast => "ultrafast",
            Tier::Fast => "fast",
        }
    }
}

/// How much of what a search found is read. OpenAI's `search_context_size`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SearchSize {
    /// Little.
    Low,
    /// What is usual.
    #[default]
    Medium,
    /// Much.
    High,
}

impl SearchSize {
    /// The name in usage rows; empty for the usual one.
    pub const fn name(self) -> &'static str {
        match self {
            SearchSize::Low => "low",
            SearchSize::Medium => "",
            SearchSize::High => "high",
        }
    }
}

impl Usage {
    /// `input + output`, saturating.
    pub fn total(&self) -> u64 {
        self.input.saturating_add(self.output)
    }

    /// Everything that was written to the provider's prompt cache, saturating.
    pub fn cache_written(&self) -> u64 {
        self.cache_write.saturating_add(self.cache_write_1h).saturating_add(self.cache_write_12h)
    }
}
