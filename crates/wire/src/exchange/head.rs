//! What goes before a call's body: path and headers.

use http::{
    HeaderName, HeaderValue,
    header::{ACCEPT, CONTENT_TYPE},
};

use super::Unsupported;
use crate::{Dialect, Operation, dialect::replicate, matrix, place, provider, target::Target};

const PREFER: HeaderName = HeaderName::from_static("prefer");
pub(super) const ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");
pub(super) const ANTHROPIC_BETA: HeaderName = HeaderName::from_static("anthropic-beta");

/// The path of a call, the base's own path included.
pub(super) fn path(
    operation: Operation,
    dialect: Dialect,
    to: &Target,
    streamed: bool,
) -> Result<String, Unsupported> {
    let paths = to.provider.paths.get(&dialect);
    if let Some(template) = paths.and_then(|paths| paths.get(&operation)) {
        let path = place::with_model(template.of(streamed), &to.model);
        let (mut base, mut path) = (base_path(&to.base), path.as_str());
        while let Some(rest) = path.strip_prefix("/..") {
            base = base.rsplit_once('/').map_or("", |(parent, _)| parent);
            path = rest;
        }
        return Ok([base, path].concat());
    }
    // A count is worth no failed call: it is asked for only where the provider is known to have it.
    // And where paths are the provider's own, what has none is not at the dialect's.
    let certain = operation != Operation::CountTokens && paths.is_none();
    let has = certain || to.provider.ops.contains(&operation);
    let path = matrix::upstream(operation, dialect, &to.model, streamed);
    let Some(path) = path.filter(|_| has) else {
        return Err(Unsupported {
            param: operation.name().to_owned(),
            model: to.model.to_string(),
            why: if has {
                format!("{} has no such operation", dialect.name())
            } else {
                format!("{} has no such operation", to.provider.name)
            },
        });
    };
    Ok([base_path(&to.base), &path].concat())
}

/// The headers of a call, the credential's included. `own` are the client's that travel on: none
/// where it speaks another dialect.
pub(super) fn headers(
    dialect: Dialect,
    streamed: bool,
    own: &[(HeaderName, HeaderValue)],
    to: &Target,
) -> Vec<(HeaderName, HeaderValue)> {
    let accept = match (streamed, dialect) {
        (false, _) => "application/json",
        (true, Dialect::Bedrock) => "application/vnd.amazon.eventstream",
        (true, Dialect::Ollama) => "application/x-ndjson",
        (true, _) => "text/event-stream",
    };
    let mut headers = Vec::with_capacity(8);
    headers.push((CONTENT_TYPE, HeaderValue::from_static("application/json")));
    headers.push((ACCEPT, HeaderValue::from_static(accept)));
    if dialect == Dialect::Replicate && !streamed {
        headers.push((PREFER, HeaderValue::from_static(replicate::PATIENCE)));
    }
    if dialect == Dialect::Anthropic {
        headers.push((ANTHROPIC_VERSION, HeaderValue::from_static("2023-06-01")));
    }
    let key = to.credential.as_ref();
    headers.extend(key.and_then(|key| provider::auth_headers(to.provider.auth, key)));
    for (name, value) in own {
        put(&mut headers, name.clone(), value.clone());
    }
    for (name, value) in &to.provider.headers {
        if let (Ok(name), Ok(value)) = (name.parse(), value.parse()) {
            put(&mut headers, name, value);
        }
    }
    for (name, value) in &to.headers {
        put(&mut headers, name.clone(), value.clone());
    }
    headers
}

/// The features that the client's `anthropic-beta` headers ask for.
pub(super) fn betas(own: &[(HeaderName, HeaderValue)]) -> Vec<&str> {
    own.iter()
        .filter(|(name, _)| *name == ANTHROPIC_BETA)
        .filter_map(|(_, value)| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|beta| !beta.is_empty())
        .collect()
}

/// A later header takes the place of an earlier one, save where a list may have many.
fn put(headers: &mut Vec<(HeaderName, HeaderValue)>, name: HeaderName, value: HeaderValue) {
    match headers.iter_mut().find(|(n, _)| *n == name && name != ANTHROPIC_BETA) {
        Some((_, old)) => *old = value,
        None => headers.push((name, value)),
    }
}

/// The path of a base URL, without a slash at the end.
pub(super) fn base_path(base: &str) -> &str {
    let rest = base.split_once("://").map_or(base, |(_, rest)| rest);
    rest.find('/').and_then(|i| rest.get(i..)).unwrap_or("").trim_end_matches('/')
}
