//! Counts of tokens, as most dialects spell them.

use serde::Deserialize;

use crate::exchange::Malformed;

/// `{"input_tokens": 14}`: Anthropic's answer, and that of OpenAI's responses; `inputTokens` is
/// Bedrock's.
pub(super) fn input_tokens(body: &[u8]) -> Result<u64, Malformed> {
    #[derive(Deserialize)]
    struct Reply {
        #[serde(alias = "inputTokens")]
        input_tokens: u64,
    }
    match serde_json::from_slice(body) {
        Ok(Reply { input_tokens }) => Ok(input_tokens),
        Err(why) => Err(Malformed::at(
            "input_tokens",
            format!("the upstream's answer has no `input_tokens`: {why}"),
        )),
    }
}
