//! Oracle's request signatures, version 1: draft-cavage-http-signatures-08 with RSA-SHA256.
//! <https://docs.oracle.com/en-us/iaas/Content/API/Concepts/signingrequests.htm>
//!
//! What is signed: date, method, path and query, host; and of a request with a body its length, type
//! and SHA-256.

use std::{
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use aws_lc_rs::{
    digest::{Context, SHA256},
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{
    HeaderName, HeaderValue,
    header::{AUTHORIZATION, CONTENT_TYPE, DATE},
};
use tollgate_wire::{Call, Fault, Login, Secret, Target};

use super::{Desk, cache::Fetched, credential, jwt};
use crate::client::host_of;

const HASH: HeaderName = HeaderName::from_static("x-content-sha256");
/// A key is read anew once a day.
const LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// A key that has been read.
#[derive(Clone)]
pub(super) struct Key(Arc<RsaKeyPair>);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

/// Adds the headers of the signature to `call`.
pub(super) async fn sign(
    desk: Desk<'_>,
    login: &Arc<Login>,
    (key_id, key): (&str, &Secret),
    target: &Target,
    call: &mut Call,
) -> Result<(), Fault> {
    let read = || async { Ok(Fetched { value: Key(Arc::new(jwt::key(key)?)), life: LIFE }) };
    let key = desk.client.tokens().signers.get(login, read).await?;
    call.headers.retain(|(name, _)| *name != AUTHORIZATION && *name != DATE && *name != HASH);
    let host = host_of(&target.base)?;
    let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(desk.now_s));
    let host = host.to_str().unwrap_or_default();
    let signed = Unsigned { call, host, date: &date }.sign(key_id, &key.0)?;
    call.headers.extend(signed);
    Ok(())
}

/// A request that is to be signed.
struct Unsigned<'a> {
    call: &'a Call,
    host: &'a str,
    date: &'a str,
}

impl Unsigned<'_> {
    /// The headers that carry the signature.
    fn sign(
        &self,
        key_id: &str,
        key: &RsaKeyPair,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, Fault> {
        let method = if self.call.body.is_empty() { "get" } else { "post" };
        let mut lines = vec![
            ("date", self.date.to_owned()),
            ("(request-target)", format!("{method} {}", self.call.path)),
            ("host", self.host.to_owned()),
        ];
        let mut added = vec![(DATE, header(self.date)?)];
        if !self.call.body.is_empty() {
            let kind = self.call.headers.iter().find(|(name, _)| *name == CONTENT_TYPE);
            let kind = kind.and_then(|(_, value)| value.to_str().ok()).unwrap_or_default();
            let length: usize = self.call.body.iter().map(bytes::Bytes::len).sum();
            let mut hash = Context::new(&SHA256);
            self.call.body.iter().for_each(|piece| hash.update(piece));
            let hash = STANDARD.encode(hash.finish());
            lines.extend([
                ("content-length", length.to_string()),
                ("content-type", kind.to_owned()),
                ("x-content-sha256", hash.clone()),
            ]);
            added.push((HASH, header(&hash)?));
        }
        let names: Vec<&str> = lines.iter().map(|(name, _)| *name).collect();
        let text: Vec<String> =
            lines.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        let signature = signature(key, &text.join("\n"))?;
        let mut value = header(&format!(
            "Signature version=\"1\",keyId=\"{key_id}\",algorithm=\"rsa-sha256\",headers=\"{}\",\
             signature=\"{signature}\"",
            names.join(" "),
        ))?;
        value.set_sensitive(true);
        added.push((AUTHORIZATION, value));
        Ok(added)
    }
}

fn signature(key: &RsaKeyPair, text: &str) -> Result<String, Fault> {
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)
        .map_err(|_| credential("the private key cannot sign"))?;
    Ok(STANDARD.encode(signature))
}

fn header(text: &str) -> Result<HeaderValue, Fault> {
    HeaderValue::try_from(text)
        .map_err(|_| credential("the OCI credentials have characters that no header can carry"))
}
