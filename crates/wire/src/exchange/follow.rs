//! Answers that have to be fetched: a provider that answers a request with a job, and what is asked
//! next until the job is done.
//!
//! Pure: an exchange says what to ask, the router asks it. An address that an answer names is
//! nothing to be trusted: `place` lets only those through that the provider's table allows, and
//! nothing but the target's own base is ever shown its credential.

use std::sync::Arc;

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue,
    header::{ACCEPT, CACHE_CONTROL},
};

use super::{Call, head};
use crate::{provider, target::Target};

/// Longest address that an answer may name, in bytes.
const MAX_URL: usize = 2_048;
/// Longest name of a job, in bytes.
const MAX_ID: usize = 128;

/// What follows an answer.
#[derive(Debug)]
pub enum Next {
    /// Nothing: it is the answer.
    Answer,
    /// Nothing: it is the answer, and this is it as a stream in the upstream's dialect.
    Stream(Bytes),
    /// This is asked.
    Ask(Box<Follow>),
}

/// What is to be asked after an answer.
#[derive(Debug)]
pub struct Follow {
    /// Scheme and authority: those of [`Target::base`], or others that the provider's table allows.
    pub base: Arc<str>,
    /// A GET.
    pub call: Call,
    /// Least wait before it, in milliseconds.
    pub after_ms: u64,
    /// A POST to [`Target::base`] that calls the job off.
    pub cancel: Call,
    /// Set where a stream is to be read.
    pub stream: Option<Tail>,
}

/// Listens to a stream.
pub type Ends = Box<dyn FnMut(&[u8]) -> bool + Send>;

/// What belongs to a stream that does not say all.
pub struct Tail {
    /// True from the piece on that has the stream's last event in it.
    pub ends: Ends,
    /// A GET from [`Target::base`] that tells of the job.
    pub call: Call,
    /// The answer to it as a last piece of the stream, once the job is done.
    pub read: fn(&[u8]) -> Option<Bytes>,
}

impl std::fmt::Debug for Tail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tail").field("call", &self.call).finish_non_exhaustive()
    }
}

/// What is known of a request when its job is told of.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Who runs the job.
    pub to: &'a Target,
    /// Whether the client wants a stream.
    pub stream: bool,
    /// How often this was asked before.
    pub times: u32,
}

/// A call below the target's base, with its credential.
pub(crate) fn at_base(to: &Target, path: &str) -> Call {
    let mut headers = vec![(ACCEPT, HeaderValue::from_static("application/json"))];
    known(to, &mut headers);
    Call { path: [head::base_path(&to.base), path].concat(), headers, body: Vec::new() }
}

/// A GET of a stream at an address that an answer names; `None` where it may not be asked. Only the
/// target's own base is shown the credential.
pub(crate) fn stream_at(to: &Target, url: &str) -> Option<(Arc<str>, Call)> {
    let (base, path) = place(to, url)?;
    let mut headers = vec![
        (ACCEPT, HeaderValue::from_static("text/event-stream")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    if base == origin(&to.base) {
        known(to, &mut headers);
    }
    Some((base.into(), Call { path: path.to_owned(), headers, body: Vec::new() }))
}

fn known(to: &Target, headers: &mut Vec<(HeaderName, HeaderValue)>) {
    let key = to.credential.as_ref();
    headers.extend(key.and_then(|key| provider::auth_headers(to.provider.auth, key)));
    for (name, value) in &to.provider.headers {
        if let (Ok(name), Ok(value)) = (name.parse(), value.parse()) {
            headers.push((name, value));
        }
    }
    headers.extend(to.headers.iter().cloned());
}

/// Scheme and authority of a base URL.
fn origin(base: &str) -> &str {
    let start = base.find("://").map_or(0, |at| at + 3);
    let end = base.get(start..).and_then(|rest| rest.find('/')).map(|at| start + at);
    base.get(..end.unwrap_or(base.len())).unwrap_or(base)
}

/// Scheme and authority of an address that an answer names, and its path: `None` unless it is at
/// the target's base, or over TLS at a host that the provider's table names.
fn place<'u>(to: &Target, url: &'u str) -> Option<(&'u str, &'u str)> {
    // Nothing that is read in two ways: no user names, backslashes, blanks or fragments.
    let plain = |byte: u8| matches!(byte, 0x21..=0x7e) && !b"\"#<>@\\^`{|}".contains(&byte);
    if url.len() > MAX_URL || !url.bytes().all(plain) {
        return None;
    }
    let base = origin(url);
    let (scheme, host) = base.split_once("://")?;
    let path = url.get(base.len()..).filter(|path| path.starts_with('/'))?;
    if base == origin(&to.base) {
        return Some((base, path));
    }
    let named =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
    let fits = |own: &String| match own.strip_prefix('*') {
        Some(end) => host.len() > end.len() && host.ends_with(end),
        None => host == own,
    };
    let allowed = scheme == "https" && host.bytes().all(named) && !host.starts_with('.');
    (allowed && to.provider.follows.iter().any(fits)).then_some((base, path))
}

/// Whether a job's name can stand in a path.
pub(crate) fn is_id(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    !id.is_empty() && id.len() <= MAX_ID && id.bytes().all(plain)
}

#[cfg(test)]
mod tests;
