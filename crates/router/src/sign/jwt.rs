//! JSON Web Tokens that we sign with a private key of ours (RFC 7515, RS256).

use aws_lc_rs::{
    digest::{SHA256, digest},
    encoding::{AsDer as _, PublicKeyX509Der},
    rand::SystemRandom,
    signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject as _};
use serde_json::Value;
use tollgate_wire::{Fault, Secret};
use zeroize::Zeroizing;

use super::credential;

/// The RSA key of a PEM text.
pub(super) fn key(pem: &Secret) -> Result<RsaKeyPair, Fault> {
    // Keys that came through an environment variable have `\n` spelled out.
    let text = Zeroizing::new(pem.expose().replace("\\n", "\n"));
    let key = PrivateKeyDer::from_pem_slice(text.as_bytes())
        .map_err(|_| credential("expected a private key in PEM form, without a password"))?;
    let key = match &key {
        PrivateKeyDer::Pkcs8(key) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()),
        PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()),
        _ => return Err(credential("expected a private key of the kind RSA")),
    };
    key.map_err(|_| credential("expected an RSA key of at least 2048 bits"))
}

/// `claims`, signed.
pub(super) fn signed(
    key: &RsaKeyPair,
    key_id: Option<&str>,
    claims: &Value,
) -> Result<Secret, Fault> {
    let mut header = serde_json::json!({"alg": "RS256", "typ": "JWT"});
    if let (Some(id), Some(header)) = (key_id, header.as_object_mut()) {
        header.insert("kid".to_owned(), id.into());
    }
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(&header), part(claims));
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature)
        .map_err(|_| credential("the private key cannot sign"))?;
    Ok(Secret::new(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))))
}

/// SHA-256 of the public key (SubjectPublicKeyInfo), in base64.
pub(super) fn fingerprint(key: &RsaKeyPair) -> Result<String, Fault> {
    let public: PublicKeyX509Der<'_> =
        key.public_key().as_der().map_err(|_| credential("the private key has no public one"))?;
    Ok(STANDARD.encode(digest(&SHA256, public.as_ref())))
}
