//! Thoughts that only their provider can read.
//!
//! The hub knows a thought's `signature`; here it is `encrypted_content`. Each side marks what is
//! the other's, so that a thought that comes back is shown to the provider that had it, and to
//! nobody else:
//!
//! ```text
//! hub signature              encrypted_content
//! responses:gAAAAAB…         gAAAAAB…               OpenAI's own
//! EqQBCgIYAhIM…              signature:EqQBCgIYA…   another provider's signature
//! (a redacted thought)       redacted:EmwKAhgB…     another provider's redacted thought
//! ```

use crate::{
    matrix::Dialect,
    op::chat::{Part, Request},
};

const OWN: &str = "responses:";
const SIGNATURE: &str = "signature:";
const REDACTED: &str = "redacted:";

/// A thought of an item's text and `encrypted_content`.
pub(super) fn read(text: String, encrypted: Option<String>) -> Part {
    let Some(encrypted) = encrypted else { return Part::Thinking { text, signature: None } };
    if let Some(data) = encrypted.strip_prefix(REDACTED) {
        return Part::RedactedThinking(data.to_owned());
    }
    let signature = match encrypted.strip_prefix(SIGNATURE) {
        Some(theirs) => theirs.to_owned(),
        None => [OWN, &encrypted].concat(),
    };
    Part::Thinking { text, signature: Some(signature) }
}

/// What an item calls a signature.
pub(super) fn encrypted(signature: &str) -> String {
    match own(signature) {
        Some(own) => own.to_owned(),
        None => [SIGNATURE, signature].concat(),
    }
}

/// What an item calls a redacted thought.
pub(super) fn redacted(data: &str) -> String {
    [REDACTED, data].concat()
}

/// `encrypted_content` as its provider wrote it, if the thought is of a provider that speaks
/// responses.
pub(super) fn own(signature: &str) -> Option<&str> {
    signature.strip_prefix(OWN)
}

/// Takes what only a provider that speaks responses can read off the thoughts for one that does
/// not: their text remains.
pub(crate) fn unseal_for(upstream: Dialect, ask: &mut Request) {
    if upstream == Dialect::Responses {
        return;
    }
    for block in ask.messages.iter_mut().flat_map(|message| &mut message.blocks) {
        if let Part::Thinking { signature, .. } = &mut block.part
            && signature.as_deref().is_some_and(|signature| own(signature).is_some())
        {
            *signature = None;
        }
    }
}
