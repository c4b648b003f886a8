//! Who is asking.
//!
//! A key is known by its SHA-256 alone. Every answer of "no" costs the same work, trouble with the
//! database is never a 401, and nothing here logs what was sent.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use http::{HeaderMap, HeaderName, header};
use subtle::ConstantTimeEq;
use tollgate_store::KeyHash;
use tollgate_wire::{Refusal, RefusalKind};

use crate::{
    core::{Gateway, Snapshot},
    keys::{Key, Missing},
    now::Now,
};

/// Headers that may carry a key, in the order in which they count. LiteLLM reads the same ones.
static KEY_HEADERS: [HeaderName; 6] = [
    HeaderName::from_static("x-litellm-api-key"),
    header::AUTHORIZATION,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-goog-api-key"),
    HeaderName::from_static("ocp-apim-subscription-key"),
];

/// Who is asking.
#[derive(Debug, Clone)]
pub enum Caller {
    /// The holder of the master key.
    Admin,
    /// The holder of a virtual key that is neither blocked nor expired.
    Key(Arc<Key>),
}

impl Caller {
    /// The virtual key, if it is one.
    pub fn key(&self) -> Option<&Arc<Key>> {
        match self {
            Caller::Admin => None,
            Caller::Key(key) => Some(key),
        }
    }
}

/// SHA-256 of a whole key: what is stored, and what LiteLLM stores.
pub fn hash(key: &str) -> KeyHash {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, key.as_bytes()).as_ref());
    KeyHash(bytes)
}

/// The caller, by the key in its headers.
pub async fn identify(
    gw: &Arc<Gateway>,
    snapshot: &Snapshot,
    headers: &HeaderMap,
    now: Now,
) -> Result<Caller, Refusal> {
    let sent = sent_key(headers)?;
    let hash = hash(sent);
    if let Some(key) = gw.keys.get(&hash) {
        return usable(key, now);
    }
    if is_master(gw, snapshot, &hash) {
        return Ok(Caller::Admin);
    }
    match gw.look_up(hash, now).await {
        Ok(key) => usable(key, now),
        Err(Missing::Unknown) => Err(Refusal::new(
            RefusalKind::UnknownKey,
            "Authentication Error, Invalid proxy server token passed: nobody has this key",
        )),
        Err(Missing::Unavailable) => Err(Refusal::new(
            RefusalKind::AuthUnavailable,
            "the key cannot be checked just now: the database does not answer",
        )
        .retry_after_s(5)),
    }
}

fn is_master(gw: &Gateway, snapshot: &Snapshot, hash: &KeyHash) -> bool {
    let configured = snapshot.master_key.as_ref();
    let master = configured.unwrap_or(&gw.generated_master_key);
    bool::from(master.0.ct_eq(&hash.0))
}

fn sent_key(headers: &HeaderMap) -> Result<&str, Refusal> {
    let found = KEY_HEADERS.iter().find_map(|name| headers.get(name));
    let text = found.and_then(|value| value.to_str().ok()).map(str::trim).unwrap_or_default();
    let text = match text.split_at_checked("bearer".len()) {
        Some((scheme, rest))
            if scheme.eq_ignore_ascii_case("bearer")
                && rest.bytes().next().is_none_or(|b| b.is_ascii_whitespace()) =>
        {
            rest.trim_start()
        }
        _ => text,
    };
    if text.is_empty() {
        return Err(Refusal::new(
            RefusalKind::NoKey,
            "Authentication Error, No api key passed in. Send `Authorization: Bearer sk-…`",
        ));
    }
    Ok(text)
}

fn usable(key: Arc<Key>, now: Now) -> Result<Caller, Refusal> {
    let name = &key.name;
    if key.blocked {
        return Err(Refusal::new(
            RefusalKind::BlockedKey,
            format!("Authentication Error, the key {name} is blocked"),
        ));
    }
    if key.expires_us.is_some_and(|end| end <= now.unix_us) {
        return Err(Refusal::new(
            RefusalKind::ExpiredKey,
            format!("Authentication Error, the key {name} has expired"),
        ));
    }
    Ok(Caller::Key(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(name: &HeaderName, value: &'static str) -> Result<String, RefusalKind> {
        let mut headers = HeaderMap::new();
        headers.insert(name, http::HeaderValue::from_static(value));
        sent_key(&headers).map(str::to_owned).map_err(|why| why.kind)
    }

    #[test]
    fn a_key_is_read_from_any_of_its_headers() {
        for name in &KEY_HEADERS {
            assert_eq!(sent(name, "sk-1"), Ok("sk-1".to_owned()), "{name}");
            assert_eq!(sent(name, "Bearer sk-1"), Ok("sk-1".to_owned()), "{name}");
        }
        assert_eq!(sent(&header::AUTHORIZATION, "bearer  sk-1"), Ok("sk-1".to_owned()));
        assert_eq!(sent(&header::AUTHORIZATION, "Bearer "), Err(RefusalKind::NoKey));
        assert_eq!(sent(&header::COOKIE, "sk-1"), Err(RefusalKind::NoKey));
    }

    #[test]
    fn the_hash_is_litellms() {
        // hashlib.sha256(b"sk-1234").hexdigest()
        assert_eq!(
            hash("sk-1234").to_string(),
            "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b"
        );
    }
}
