//! Top-level fields that the hub has no name for, where client and target speak different dialects.
//! One rule for all of them:
//!
//! * What belongs to the client's dialect was translated before, or it is refused by name, or, where
//!   the answer does not depend on it, named among what was left out.
//! * What the target's dialect has, it is sent.
//! * What belongs to neither is meant for the provider, as LiteLLM's clients mean it (`extra_body`):
//!   it is sent under its own name, to Bedrock among `additionalModelRequestFields`. Google, Cohere,
//!   Ollama, OCI and text generation have no room for such fields, so there it is refused by name.

use super::{
    anthropic::{self, SAVINGS},
    gemini,
    search::OPTIONS,
    sieve::Sieve,
};
use crate::{
    exchange::CannotAsk,
    matrix::Dialect,
    op::chat::{Extra, Raw, Request},
};

/// Fields of OpenAI's that no answer depends on.
pub(super) const HINTS: &[&str] =
    &["prompt_cache_key", "prompt_cache_retention", "safety_identifier", "store"];

/// Fields of a dialect that only its own providers honour and that the hub has no name for.
const fn own(dialect: Dialect) -> &'static [&'static str] {
    match dialect {
        Dialect::Openai | Dialect::Completions => &[
            "audio",
            "function_call",
            "functions",
            "modalities",
            "prediction",
            "verbosity",
            OPTIONS,
        ],
        Dialect::Anthropic => &["container", "inference_geo", "mcp_servers", "speed"],
        Dialect::Responses => &["context_management", "moderation", "stream_options"],
        Dialect::Gemini => &["cachedContent", "safetySettings", "store", "toolConfig"],
        Dialect::Cohere => &[
            "citation_options",
            "documents",
            "k",
            "p",
            "priority",
            "raw_prompting",
            "safety_mode",
            "stop_sequences",
            "strict_tools",
        ],
        _ => &[],
    }
}

/// Whether a field belongs to the client's dialect.
pub(super) fn is_own(surface: Dialect, name: &str) -> bool {
    own(surface).contains(&name)
}

/// The fields that are left once those of the client's dialect have been refused, but for those that
/// were written before.
pub(super) fn fields<'a>(
    ask: &'a Request,
    written: &[&str],
    sieve: &mut Sieve<'_>,
) -> Result<Vec<&'a (Box<str>, Raw)>, CannotAsk> {
    let mut left = Vec::new();
    for field in &ask.extra {
        match &*field.0 {
            name if written.contains(&name) => {}
            name if SAVINGS.contains(&name) => sieve.hint(name),
            // For Google's bills.
            "labels" if ask.surface == Dialect::Gemini => sieve.hint("labels"),
            // Said in the target's words already.
            OPTIONS if ask.surface != Dialect::Openai => left.push(field),
            name if is_own(ask.surface, name) => {
                let why = format!("only {} has this parameter", ask.surface.name());
                sieve.refuse(name, &why)?;
            }
            _ => left.push(field),
        }
    }
    Ok(left)
}

/// What a client says of the answer that only providers of its own dialect honour.
pub(super) fn output(ask: &Request, sieve: &mut Sieve<'_>) -> Result<(), CannotAsk> {
    if ask.surface == Dialect::Gemini {
        return gemini::foreign(ask, sieve);
    }
    anthropic::foreign(ask, sieve);
    refuse(&ask.output_extra, "output_config", "only anthropic has this parameter", sieve)
}

/// Refuses the members of an object.
pub(super) fn refuse(
    members: &Extra,
    of: &str,
    why: &str,
    sieve: &mut Sieve<'_>,
) -> Result<(), CannotAsk> {
    members.iter().try_for_each(|(name, _)| sieve.refuse(&format!("{of}.{name}"), why))
}
