use std::sync::Arc;

use super::super::*;
use crate::{Provider, Secret, peek::peek};

/// A target of a provider that has no quirks.
pub(super) fn target(dialect: Dialect, model: &str) -> Target {
    with_patches(dialect, model, "[]")
}

/// A target of a provider with these patches, in TOML.
pub(super) fn with_patches(dialect: Dialect, model: &str, patch: &str) -> Target {
    let text = format!(
        "url = \"https://api.test/v1\"\nspeaks = {{ openai = \"\", anthropic = \"\" }}\npatch = {patch}"
    );
    let provider: Provider = toml::from_str(&text).unwrap();
    Target {
        id: "t".into(),
        provider: Arc::new(provider),
        model: model.into(),
        dialect,
        base: "https://api.test/v1".into(),
        credential: Some(Secret::new("sk-secret")),
        login: None,
        card: None,
        defaults: Vec::new(),
        headers: Vec::new(),
        drop_params: false,
    }
}

pub(super) fn payload(operation: Operation, dialect: Dialect, body: &str) -> Payload {
    let body = Bytes::copy_from_slice(body.as_bytes());
    let peek = peek(dialect, operation, &body).unwrap();
    Payload { body, peek, headers: Vec::new(), received_s: 0 }
}

pub(super) fn called(
    operation: Operation,
    dialect: Dialect,
    shown: &str,
    to: &Target,
    body: &str,
) -> (Relay, Call) {
    let mut relay = Relay::new(operation, dialect, shown);
    let call = relay.call(&payload(operation, dialect, body), to).unwrap();
    (relay, call)
}

pub(super) fn chat(shown: &str, model: &str, body: &str) -> (Relay, Call) {
    called(Operation::Chat, Dialect::Openai, shown, &target(Dialect::Openai, model), body)
}

pub(super) fn messages(shown: &str, model: &str, body: &str) -> (Relay, Call) {
    called(Operation::Chat, Dialect::Anthropic, shown, &target(Dialect::Anthropic, model), body)
}

pub(super) fn embeddings(shown: &str, model: &str, body: &str) -> (Relay, Call) {
    called(Operation::Embeddings, Dialect::Openai, shown, &target(Dialect::Openai, model), body)
}

pub(super) fn text(body: &[Bytes]) -> String {
    String::from_utf8(body.concat()).unwrap()
}
