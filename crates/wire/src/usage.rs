//! What one answer consumed, by kind.

use serde::{Deserialize, Serialize};

/// Tokens of one answer, by kind. Every count is a number of tokens; nothing here is a rate or
/// an amount of money.
///
/// `input` and `output` are totals, as OpenAI counts them (`prompt_tokens`,
/// `completion_tokens`): they *include* the parts named by the other fields. A dialect that counts
/// the parts beside the total (Anthropic) adds them up when it reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// All tokens of the prompt, cached ones included.
    pub input: u64,
    /// Part of `input` that was read from the provider's prompt cache.
    pub cache_read: u64,
    /// Part of `input` that was written to the provider's prompt cache for five minutes (also:
    /// for a time that the provider does not name).
    pub cache_write: u64,
    /// Part of `input` that was written to the provider's prompt cache for an hour.
    pub cache_write_1h: u64,
    /// Part of `input` that is audio.
    pub input_audio: u64,
    /// All tokens of the answer, reasoning included.
    pub output: u64,
    /// Part of `output` that is reasoning.
    pub reasoning: u64,
    /// Part of `output` that is audio.
    pub output_audio: u64,
    /// True if the upstream did not say and the counts are ours: a cut stream, a hang-up, a
    /// provider that reports nothing.
    pub estimated: bool,
}

impl Usage {
    /// `input + output`, saturating.
    pub fn total(&self) -> u64 {
        self.input.saturating_add(self.output)
    }
}
