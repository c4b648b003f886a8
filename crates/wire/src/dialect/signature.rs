//! Signatures of thoughts, so that each finds its way back to the provider that made it, whatever
//! dialects lie between.
//!
//! * In the hub a thought's signature is opaque. One of Google's begins with [`MARK`], for a
//!   conversation may go from one provider to another and each refuses another's signatures.
//! * Google also signs calls of tools, and wants those signatures back with the calls. They stand in
//!   the block's extra members as `{"extra_content": {"google": {"thought_signature": "…"}}}`, which
//!   is how Google's own OpenAI endpoint spells it, and which OpenAI's SDKs send back.
//!   <https://ai.google.dev/gemini-api/docs/thought-signatures>
//! * An Anthropic client gets such a signature as a thinking block without text before the call;
//!   Anthropic itself sends such blocks, so clients keep them and send them back.
//! * A Gemini client gets the signature of another provider as a `thoughtSignature` that holds it:
//!   that field is base64, and Google's SDKs decode it.

use base64::{Engine, engine::general_purpose::URL_SAFE};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::op::chat::{Extra, Raw};

/// How a signature of Google's begins in the hub.
const MARK: &str = "google#";
/// How a signature of another provider begins within `thoughtSignature`.
const HELD: &str = "tollgate#";
/// The same for a thought that only its provider can read.
const HELD_REDACTED: &str = "tollgate-redacted#";

/// The member of a message or a call that holds it, as Google's OpenAI endpoint has it.
pub(super) const EXTRA_CONTENT: &str = "extra_content";
/// The name of an aside that signs the part that opens next; its value is Google's signature.
pub(super) const ASIDE: &str = "thought_signature";

/// Google's signature as the hub has it.
pub(super) fn marked(raw: &str) -> String {
    [MARK, raw].concat()
}

/// Google's own text, if the signature is one of Google's.
pub(super) fn of_google(signature: &str) -> Option<&str> {
    signature.strip_prefix(MARK)
}

/// What a Gemini client's `thoughtSignature` means.
pub(super) enum Shown {
    /// A signature, as the hub has it.
    Signature(String),
    /// A thought that only its provider can read.
    Redacted(String),
}

/// A signature as a Gemini client's `thoughtSignature`.
pub(super) fn to_client(signature: &str) -> String {
    match of_google(signature) {
        Some(raw) => raw.to_owned(),
        None => URL_SAFE.encode([HELD, signature].concat()),
    }
}

/// A thought that only its provider can read, as a Gemini client's `thoughtSignature`.
pub(super) fn redacted_to_client(data: &str) -> String {
    URL_SAFE.encode([HELD_REDACTED, data].concat())
}

/// The inverse of [`to_client`] and [`redacted_to_client`].
pub(super) fn from_client(text: &str) -> Shown {
    let held = URL_SAFE.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let held = held.unwrap_or_default();
    if let Some(signature) = held.strip_prefix(HELD) {
        Shown::Signature(signature.to_owned())
    } else if let Some(data) = held.strip_prefix(HELD_REDACTED) {
        Shown::Redacted(data.to_owned())
    } else {
        Shown::Signature(marked(text))
    }
}

/// Whether signatures of other providers may stand in a Gemini client's body: `tollgate` in base64.
pub(super) fn are_held(body: &[u8]) -> bool {
    memchr::memmem::find(body, b"dG9sbGdhdG").is_some()
}

#[derive(Deserialize)]
struct ExtraContent {
    #[serde(default)]
    google: Option<Google>,
}

#[derive(Deserialize)]
struct Google {
    #[serde(default)]
    thought_signature: Option<String>,
}

/// Google's signature among the extra members of a block or of a message.
pub(super) fn in_extra(extra: &Extra) -> Option<String> {
    let (_, raw) = extra.iter().find(|(name, _)| **name == *EXTRA_CONTENT)?;
    let content: ExtraContent = serde_json::from_str(raw.get()).ok()?;
    content.google?.thought_signature.filter(|signature| !signature.is_empty())
}

/// `{"google": {"thought_signature": "…"}}`
pub(super) fn extra_content(raw: &str) -> Option<Raw> {
    let text = serde_json::json!({ "google": { "thought_signature": raw } }).to_string();
    RawValue::from_string(text).ok()
}

/// The same as an extra member.
pub(super) fn extra(raw: &str) -> Extra {
    extra_content(raw).into_iter().map(|raw| (EXTRA_CONTENT.into(), raw)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn back(text: &str) -> (bool, String) {
        match from_client(text) {
            Shown::Signature(text) => (false, text),
            Shown::Redacted(text) => (true, text),
        }
    }

    #[test]
    fn a_signature_comes_back_through_a_gemini_client() {
        for signature in ["google#CikB/+==", "EqQB+/x==", "", "google#"] {
            assert_eq!(back(&to_client(signature)), (false, signature.to_owned()));
        }
        assert_eq!(back(&redacted_to_client("EmwK+/=")), (true, "EmwK+/=".to_owned()));
        for text in [to_client("EqQB"), redacted_to_client("EqQB")] {
            assert!(are_held(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn googles_own_text_is_what_its_client_sees() {
        assert_eq!(to_client(&marked("Abc+/==")), "Abc+/==");
        assert_eq!(in_extra(&extra("Abc+/==")).as_deref(), Some("Abc+/=="));
        assert_eq!(in_extra(&Extra::new()), None);
    }
}
