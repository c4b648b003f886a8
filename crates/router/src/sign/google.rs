//! Google access tokens.
//!
//! <https://developers.google.com/identity/protocols/oauth2/service-account#httprest>,
//! <https://google.aip.dev/auth/4117>,
//! <https://cloud.google.com/compute/docs/access/authenticate-workloads>

use std::time::Duration;

use aws_lc_rs::signature::RsaKeyPair;
use http::{HeaderName, HeaderValue, header::AUTHORIZATION};
use serde_json::{Value, json};
use tollgate_wire::{
    Fault, FaultKind, Secret,
    login::{External, Google, ServiceAccount, Subject, User},
};

use super::{
    Desk, bearer,
    cache::Fetched,
    credential,
    endpoint::{Body, Said, ask},
    file, jwt,
};

/// What a token is asked for; Google gives no longer ones.
const LIFE_S: u64 = 3_600;
/// Clocks that differ by more than this are the likely reason for a refusal.
const SKEW_S: u64 = 30;

pub(super) async fn fetch(
    desk: Desk<'_>,
    who: &Google,
    scope: &str,
) -> Result<Fetched<Secret>, Fault> {
    match who {
        Google::Service(account) => service(desk, account, scope).await,
        Google::User(user) => refresh(desk, user).await,
        Google::External(external) => exchange(desk, external, scope).await,
        Google::Metadata { host } => metadata(desk, host, scope).await,
    }
}

/// A token for a JWT that the account's key has signed. If the endpoint refuses it and its clock
/// is far from ours, once more by its clock.
async fn service(
    desk: Desk<'_>,
    account: &ServiceAccount,
    scope: &str,
) -> Result<Fetched<Secret>, Fault> {
    let key = jwt::key(&account.key)?;
    let said = assert(desk, account, &key, &claims(account, scope, desk.now_s)).await?;
    if said.status == 400
        && let Some(date_s) = said.date_s.filter(|date_s| date_s.abs_diff(desk.now_s) > SKEW_S)
    {
        tracing::warn!("this machine's clock is {} s off", date_s.abs_diff(desk.now_s));
        return assert(desk, account, &key, &claims(account, scope, date_s)).await?.token();
    }
    said.token()
}

fn claims(account: &ServiceAccount, scope: &str, now_s: u64) -> Value {
    json!({
        "iss": account.email,
        "scope": scope,
        "aud": account.token_url,
        "iat": now_s,
        "exp": now_s + LIFE_S,
    })
}

async fn assert(
    desk: Desk<'_>,
    account: &ServiceAccount,
    key: &RsaKeyPair,
    claims: &Value,
) -> Result<Said, Fault> {
    let assertion = jwt::signed(key, account.key_id.as_deref(), claims)?;
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
        ("assertion", assertion.expose()),
    ];
    ask(desk, &account.token_url, Vec::new(), Body::Form(&form)).await
}

async fn refresh(desk: Desk<'_>, user: &User) -> Result<Fetched<Secret>, Fault> {
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", &user.client),
        ("client_secret", user.secret.expose()),
        ("refresh_token", user.refresh_token.expose()),
    ];
    ask(desk, &user.token_url, Vec::new(), Body::Form(&form)).await?.token()
}

async fn metadata(desk: Desk<'_>, host: &str, scope: &str) -> Result<Fetched<Secret>, Fault> {
    let scope = scope.replace(' ', ",");
    let url =
        format!("{host}/computeMetadata/v1/instance/service-accounts/default/token?scopes={scope}");
    let flavor = (HeaderName::from_static("metadata-flavor"), HeaderValue::from_static("Google"));
    ask(desk, &url, vec![flavor], Body::None).await?.token()
}

async fn exchange(
    desk: Desk<'_>,
    external: &External,
    scope: &str,
) -> Result<Fetched<Secret>, Fault> {
    let subject = subject(desk, external).await?;
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("audience", &external.audience),
        ("scope", scope),
        ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ("subject_token", subject.expose()),
        ("subject_token_type", &external.token_type),
    ];
    let token = ask(desk, &external.token_url, Vec::new(), Body::Form(&form)).await?.token()?;
    match &external.impersonate {
        Some(url) => impersonate(desk, url, &token.value, scope).await,
        None => Ok(token),
    }
}

async fn subject(desk: Desk<'_>, external: &External) -> Result<Secret, Fault> {
    let text = match &external.subject {
        Subject::File(path) => file(path).await?,
        Subject::Url { url, headers } => {
            let headers = headers.iter().filter_map(|(name, value)| {
                Some((name.parse().ok()?, HeaderValue::try_from(value.expose()).ok()?))
            });
            let said = ask(desk, url, headers.collect(), Body::None).await?;
            said.succeeded()?;
            let text = String::from_utf8(said.body.to_vec());
            Secret::new(text.map_err(|_| credential("the subject's token is no text"))?.trim())
        }
    };
    let Some(field) = &external.field else { return Ok(text) };
    let value: Option<Value> = serde_json::from_str(text.expose()).ok();
    let token = value.as_ref().and_then(|value| value.get(field)?.as_str());
    let missing = || credential(format!("the subject's token has no member `{field}`"));
    token.map(Secret::new).ok_or_else(missing)
}

/// <https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken>
async fn impersonate(
    desk: Desk<'_>,
    url: &str,
    token: &Secret,
    scope: &str,
) -> Result<Fetched<Secret>, Fault> {
    let scopes: Vec<&str> = scope.split(' ').collect();
    let body = json!({"scope": scopes, "lifetime": format!("{LIFE_S}s")});
    let headers = vec![(AUTHORIZATION, bearer(token)?)];
    let said = ask(desk, url, headers, Body::Json(&body)).await?;
    said.succeeded()?;
    let value: Option<Value> = serde_json::from_slice(&said.body).ok();
    let token = value.as_ref().and_then(|value| value.get("accessToken")?.as_str());
    let token = token.filter(|token| !token.is_empty()).ok_or_else(|| {
        Fault::new(FaultKind::BadResponse, "the impersonated account's answer has no `accessToken`")
    })?;
    Ok(Fetched { value: Secret::new(token), life: Duration::from_secs(LIFE_S) })
}
