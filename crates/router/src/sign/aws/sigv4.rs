//! Signature version 4: who we are, proved by a signature over the request.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>
//!
//! What is signed: the method, the path and the query as they are sent, the headers `host`,
//! `content-type` and `x-amz-…`, and the body.

use aws_lc_rs::{
    digest::{self, SHA256},
    hmac::{self, HMAC_SHA256},
};
use bytes::Bytes;
use http::{
    HeaderName, HeaderValue,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use tollgate_wire::{Fault, Secret};

use crate::sign::credential;

pub(super) const DATE: HeaderName = HeaderName::from_static("x-amz-date");
pub(super) const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// A pair of keys, and the token that belongs to it if it is good for a while only.
#[derive(Debug, Clone)]
pub(in crate::sign) struct Keys {
    pub(super) access: String,
    pub(super) secret: Secret,
    pub(super) token: Option<Secret>,
}

/// A request that is to be signed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unsigned<'a> {
    pub(super) method: &'a str,
    /// As it is sent: encoded once, with its query.
    pub(super) path: &'a str,
    pub(super) host: &'a str,
    pub(super) headers: &'a [(HeaderName, HeaderValue)],
    pub(super) body: &'a [Bytes],
}

/// Where and when a signature holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) region: &'a str,
    pub(super) service: &'a str,
    /// Seconds since 1970.
    pub(super) now_s: u64,
}

/// The headers that carry the signature.
pub(super) fn sign(
    keys: &Keys,
    scope: Scope<'_>,
    request: Unsigned<'_>,
) -> Result<Vec<(HeaderName, HeaderValue)>, Fault> {
    let time = timestamp(scope.now_s);
    let date = time.get(..8).unwrap_or_default();
    let mut added = vec![(DATE, header(&time)?)];
    if let Some(token) = &keys.token {
        added.push((TOKEN, sensitive(token.expose())?));
    }
    let (names, canonical) = canonical(request, &added);
    let credential_scope = [date, scope.region, scope.service, "aws4_request"].join("/");
    let hash = hex(digest::digest(&SHA256, canonical.as_bytes()).as_ref());
    let to_sign = [ALGORITHM, &time, &credential_scope, &hash].join("\n");
    let start = zeroize::Zeroizing::new(format!("AWS4{}", keys.secret.expose()));
    let mut key = mac(start.as_bytes(), date);
    for part in [scope.region, scope.service, "aws4_request"] {
        key = mac(key.as_ref(), part);
    }
    let signature = hex(mac(key.as_ref(), &to_sign).as_ref());
    let access = &keys.access;
    added.push((
        AUTHORIZATION,
        sensitive(&format!(
            "{ALGORITHM} Credential={access}/{credential_scope}, SignedHeaders={names}, \
             Signature={signature}"
        ))?,
    ));
    Ok(added)
}

/// The names of the headers that are signed, and the request in the form that is hashed.
fn canonical(request: Unsigned<'_>, added: &[(HeaderName, HeaderValue)]) -> (String, String) {
    let (path, query) = request.path.split_once('?').unwrap_or((request.path, ""));
    let mut headers = vec![("host", request.host.trim().to_owned())];
    for (name, value) in request.headers.iter().chain(added) {
        if *name == CONTENT_TYPE || name.as_str().starts_with("x-amz") {
            let value = String::from_utf8_lossy(value.as_bytes());
            let value = value.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
            match headers.iter_mut().find(|(other, _)| *other == name.as_str()) {
                Some((_, values)) => *values = format!("{values},{value}"),
                None => headers.push((name.as_str(), value)),
            }
        }
    }
    headers.sort_unstable();
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let mut body = digest::Context::new(&SHA256);
    request.body.iter().for_each(|piece| body.update(piece));
    let hash = hex(body.finish().as_ref());
    let text =
        [request.method, &encoded_again(path), &sorted(query), &lines, &names, &hash].join("\n");
    (names, text)
}

/// The path with each byte that is neither unreserved nor a slash as `%XX`: also the per cent signs
/// of the encoding that it has already.
fn encoded_again(path: &str) -> String {
    let path = if path.is_empty() { "/" } else { path };
    let mut out = String::with_capacity(path.len() + 16);
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The pairs of a query in order. Our own queries are encoded already.
fn sorted(query: &str) -> String {
    let mut pairs: Vec<(&str, &str)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .collect();
    pairs.sort_unstable();
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

/// `20261122T160509Z`
pub(super) fn timestamp(now_s: u64) -> String {
    let (days, second) = (now_s / 86_400, now_s % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// The date of a day since 1970-01-01 (Howard Hinnant's `civil_from_days`).
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (year + era * 400 + next, month, day)
}

/// Seconds since 1970 of `2026-11-22T16:05:09Z`, fractions ignored.
pub(super) fn seconds(text: &str) -> Option<u64> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<u64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if !text.ends_with('Z') || !(1..=12).contains(&month) || !(1_970..3_000).contains(&year) {
        return None;
    }
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * month + 2) / 5 + day.checked_sub(1)?;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    Some((days.checked_sub(719_468)?) * 86_400 + hour * 3_600 + minute * 60 + second)
}

fn mac(key: &[u8], text: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(HMAC_SHA256, key), text.as_bytes())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn header(text: &str) -> Result<HeaderValue, Fault> {
    HeaderValue::try_from(text)
        .map_err(|_| credential("the AWS credentials have characters that no header can carry"))
}

fn sensitive(text: &str) -> Result<HeaderValue, Fault> {
    let mut value = header(text)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests;
