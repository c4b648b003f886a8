//! Tokens of endpoints that need no more than one form.
//!
//! <https://docs.databricks.com/aws/en/dev-tools/auth/oauth-m2m>,
//! <https://cloud.ibm.com/docs/account?topic=account-iamtoken_from_apikey>

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderValue, header::AUTHORIZATION};
use tollgate_wire::{Fault, Secret};
use zeroize::Zeroizing;

use super::{
    Desk,
    cache::Fetched,
    credential,
    endpoint::{Body, ask},
};

/// RFC 6749, 4.4; the client's id and secret as HTTP basic authentication.
pub(super) async fn client(
    desk: Desk<'_>,
    url: &str,
    (id, secret): (&str, &Secret),
    scope: &str,
) -> Result<Fetched<Secret>, Fault> {
    let pair = Zeroizing::new(format!("{id}:{}", secret.expose()));
    let mut basic = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair.as_bytes())))
        .map_err(|_| credential("the client id cannot stand in a header"))?;
    basic.set_sensitive(true);
    let form = [("grant_type", "client_credentials"), ("scope", scope)];
    ask(desk, url, vec![(AUTHORIZATION, basic)], Body::Form(&form)).await?.token()
}

/// An API key of IBM Cloud for a token.
pub(super) async fn ibm(desk: Desk<'_>, url: &str, key: &Secret) -> Result<Fetched<Secret>, Fault> {
    let form = [("grant_type", "urn:ibm:params:oauth:grant-type:apikey"), ("apikey", key.expose())];
    ask(desk, url, Vec::new(), Body::Form(&form)).await?.token()
}
