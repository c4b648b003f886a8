//! Oracle's request signatures, checked with the public key.
//! <https://docs.oracle.com/en-us/iaas/Content/API/Concepts/signingrequests.htm>

use std::{
    sync::LazyLock,
    time::{Duration, SystemTime},
};

use aws_lc_rs::{
    digest::{SHA256, digest},
    encoding::{AsDer as _, Pkcs8V1Der},
    rsa::KeySize,
    signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::Method;

use super::super::{Recorded, refuse::Refuse};

/// Whose key it is.
pub const TENANCY: &str = "ocid1.tenancy.oc1..scripted";
/// Whose key it is.
pub const USER: &str = "ocid1.user.oc1..scripted";
/// What the key is known by.
pub const FINGERPRINT: &str = "20:3b:97:13:55:1c:5b:0d:d3:37:d8:50:4e:c5:3a:34";

/// How far a clock may be off.
const SKEW: Duration = Duration::from_secs(300);
const OF_EVERY: &[&str] = &["date", "(request-target)", "host"];
const OF_A_BODY: &[&str] = &["content-length", "content-type", "x-content-sha256"];

static KEY: LazyLock<RsaKeyPair> =
    LazyLock::new(|| RsaKeyPair::generate(KeySize::Rsa2048).expect("a new key"));

/// The private key, new in every process: PKCS#8 in PEM form.
pub fn pem() -> String {
    let der: Pkcs8V1Der<'_> = KEY.as_der().expect("the key can be written");
    let text = STANDARD.encode(der.as_ref());
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"))
}

/// Whether the request is signed with the key, over all that has to be signed.
pub(in super::super) fn authorise(recorded: &Recorded) -> Result<(), Refuse> {
    let Some(fields) = recorded.header("authorization").strip_prefix("Signature ") else {
        return Err(denied("Missing or invalid Authorization header"));
    };
    let field = |name: &str| {
        let found = fields.split("\",").find_map(|field| field.trim().strip_prefix(name));
        found.and_then(|value| value.strip_prefix("=\"")).map(|value| value.trim_end_matches('"'))
    };
    let key_id = format!("{TENANCY}/{USER}/{FINGERPRINT}");
    for (name, value) in [("version", "1"), ("algorithm", "rsa-sha256"), ("keyId", key_id.as_str())]
    {
        if field(name) != Some(value) {
            return Err(denied(format!("Failed to verify the HTTP(S) Signature: {name}")));
        }
    }
    let names: Vec<&str> = field("headers").unwrap_or_default().split(' ').collect();
    let of_a_body = if recorded.method == Method::GET { &[] } else { OF_A_BODY };
    for needed in OF_EVERY.iter().chain(of_a_body) {
        if !names.contains(needed) {
            return Err(denied(format!("`{needed}` is not signed")));
        }
    }
    fresh(recorded.header("date"))?;
    if !of_a_body.is_empty() {
        let hash = STANDARD.encode(digest(&SHA256, &recorded.body));
        if recorded.header("x-content-sha256") != hash {
            return Err(denied("x-content-sha256 is not that of the body"));
        }
        if recorded.header("content-length") != recorded.body.len().to_string() {
            return Err(denied("content-length is not that of the body"));
        }
    }
    let signature = STANDARD.decode(field("signature").unwrap_or_default());
    let signature = signature.map_err(|_| denied("the signature is not base64"))?;
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, KEY.public_key().as_ref());
    public
        .verify(signed(recorded, &names).as_bytes(), &signature)
        .map_err(|_| denied("Failed to verify the HTTP(S) Signature"))
}

/// The text that the named headers make.
fn signed(recorded: &Recorded, names: &[&str]) -> String {
    let target = match &recorded.query {
        Some(query) => format!("{}?{query}", recorded.path),
        None => recorded.path.clone(),
    };
    let method = recorded.method.as_str().to_ascii_lowercase();
    let line = |name: &&str| match *name {
        "(request-target)" => format!("{name}: {method} {target}"),
        header => format!("{header}: {}", recorded.header(header)),
    };
    names.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn fresh(date: &str) -> Result<(), Refuse> {
    let date = httpdate::parse_http_date(date).map_err(|_| denied("the date is none of HTTP's"))?;
    let now = SystemTime::now();
    let off = now.duration_since(date).or_else(|_| date.duration_since(now)).unwrap_or_default();
    if off > SKEW {
        return Err(denied("Date is not within the allowed clock skew"));
    }
    Ok(())
}

fn denied(why: impl Into<String>) -> Refuse {
    Refuse::new(401, why)
}
