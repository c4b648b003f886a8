//! Where keys come from, in the order of Amazon's SDKs: the configuration, a web identity, a
//! profile, the container that we run in, the machine that it runs on; and a role on top.
//! <https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html>

use std::{path::Path, time::Duration};

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Method,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use serde::Deserialize;
use tokio::io::AsyncReadExt;
use tollgate_wire::{Fault, FaultKind, Secret, login::Aws};
use url::form_urlencoded;

use super::{
    profile::Profile,
    sigv4::{Keys, Scope, Unsigned, seconds, sign},
};
use crate::{
    client::host_of,
    sign::{
        Desk,
        cache::Fetched,
        credential,
        endpoint::{Body, Said, ask, ask_as},
        file,
    },
};

/// For how long keys of a role are asked for; more needs a setting of the role.
const ROLE_LIFE_S: u64 = 3_600;
/// Files may change at any time.
const FILE_LIFE: Duration = Duration::from_secs(300);
/// Keys that name no end.
const UNTOLD_LIFE: Duration = Duration::from_secs(900);
/// Profiles that may name another one as their source.
const MAX_SOURCES: usize = 5;
const MAX_FILE: u64 = 1 << 20;
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

/// Keys that need not be fetched.
pub(super) fn fixed(aws: &Aws) -> Option<Keys> {
    if aws.role.is_some() {
        return None;
    }
    given(aws)
}

fn given(aws: &Aws) -> Option<Keys> {
    let (Some(access), Some(secret)) = (&aws.access_key, &aws.secret_key) else { return None };
    let (access, secret) = (access.clone(), secret.clone());
    Some(Keys { access, secret, token: aws.session_token.clone() })
}

/// Fetches keys.
pub(super) async fn fetch(desk: Desk<'_>, aws: &Aws) -> Result<Fetched<Keys>, Fault> {
    let fetched = find(desk, aws).await;
    match &fetched {
        Ok(fetched) => tracing::debug!("new AWS keys are good for {:?}", fetched.life),
        Err(fault) => tracing::warn!(fault.message, "no AWS keys: {}", fault.message),
    }
    fetched
}

async fn find(desk: Desk<'_>, aws: &Aws) -> Result<Fetched<Keys>, Fault> {
    let session = aws.session_name.as_deref();
    let role = |arn| Role { arn, session, external_id: aws.external_id.as_deref() };
    let source = if let Some(keys) = given(aws) {
        Fetched { value: keys, life: FILE_LIFE }
    } else if let (Some(arn), Some(path)) = (&aws.role, &aws.web_identity_token_file) {
        return with_web_identity(desk, aws, role(arn), path).await;
    } else if let Some(fetched) = of_profile(desk, aws).await? {
        fetched
    } else if let Some(url) = &aws.container_url {
        of_container(desk, aws, url).await?
    } else if let Some(host) = &aws.metadata_host {
        of_machine(desk, host).await?
    } else {
        return Err(credential("there are no AWS credentials"));
    };
    match &aws.role {
        Some(arn) => assume(desk, aws, role(arn), &source.value).await,
        None => Ok(source),
    }
}

/// A role that is to be assumed.
#[derive(Debug, Clone, Copy)]
struct Role<'a> {
    arn: &'a str,
    session: Option<&'a str>,
    external_id: Option<&'a str>,
}

/// The profile that is asked for, or the default one if there is one.
async fn of_profile(desk: Desk<'_>, aws: &Aws) -> Result<Option<Fetched<Keys>>, Fault> {
    let mut name = aws.profile.clone().unwrap_or_else(|| "default".to_owned());
    let Some(path) = &aws.credentials_file else {
        return match aws.profile {
            Some(_) => Err(credential("there is no home directory with AWS profiles in it")),
            None => Ok(None),
        };
    };
    let config = Path::new(path).with_file_name("config");
    let (credentials, config) = (text_of(Path::new(path)).await?, text_of(&config).await?);
    let mut roles = Vec::new();
    for _ in 0..MAX_SOURCES {
        let Some(profile) = Profile::read(&name, &credentials, &config) else {
            if aws.profile.is_none() {
                return Ok(None);
            }
            return Err(credential(format!("there is no AWS profile `{name}`")));
        };
        let text = |key: &str| profile.get(key).map(str::to_owned);
        let pair = text("aws_access_key_id").zip(text("aws_secret_access_key"));
        let source = text("source_profile");
        if let Some(arn) = text("role_arn") {
            let session = text("role_session_name");
            let external_id = text("external_id");
            if let Some(path) = text("web_identity_token_file") {
                let role = Role {
                    arn: &arn,
                    session: session.as_deref(),
                    external_id: external_id.as_deref(),
                };
                let fetched = with_web_identity(desk, aws, role, &path).await?;
                return climb(desk, aws, roles, fetched).await.map(Some);
            }
            roles.push((arn, session, external_id));
            if let Some(source) = source.filter(|source| *source != name) {
                name = source;
                continue;
            }
        }
        let Some((access, secret)) = pair else {
            if aws.profile.is_none() && roles.is_empty() {
                return Ok(None);
            }
            return Err(credential(format!("the AWS profile `{name}` has no keys")));
        };
        let token = text("aws_session_token").map(Secret::new);
        let keys = Keys { access, secret: Secret::new(secret), token };
        let fetched = Fetched { value: keys, life: FILE_LIFE };
        return climb(desk, aws, roles, fetched).await.map(Some);
    }
    Err(credential("AWS profiles name each other as their sources"))
}

/// Assumes the roles of profiles, the one named last first.
async fn climb(
    desk: Desk<'_>,
    aws: &Aws,
    roles: Vec<(String, Option<String>, Option<String>)>,
    mut fetched: Fetched<Keys>,
) -> Result<Fetched<Keys>, Fault> {
    for (arn, session, external_id) in roles.iter().rev() {
        let (session, external_id) = (session.as_deref(), external_id.as_deref());
        fetched = assume(desk, aws, Role { arn, session, external_id }, &fetched.value).await?;
    }
    Ok(fetched)
}

/// A file's text; nothing if there is no such file.
async fn text_of(path: &Path) -> Result<String, Fault> {
    let wrong = |error: std::io::Error| credential(format!("`{}`: {error}", path.display()));
    let file = match tokio::fs::File::open(path).await {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(wrong(error)),
    };
    let mut text = String::new();
    file.take(MAX_FILE).read_to_string(&mut text).await.map_err(wrong)?;
    Ok(text)
}

/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
async fn assume(
    desk: Desk<'_>,
    aws: &Aws,
    role: Role<'_>,
    keys: &Keys,
) -> Result<Fetched<Keys>, Fault> {
    let url = endpoint(aws);
    let life = ROLE_LIFE_S.to_string();
    let mut form = vec![
        ("Action", "AssumeRole"),
        ("Version", "2011-06-15"),
        ("RoleArn", role.arn),
        ("RoleSessionName", role.session.unwrap_or("tollgate")),
        ("DurationSeconds", &life),
    ];
    form.extend(role.external_id.map(|id| ("ExternalId", id)));
    let text = form_urlencoded::Serializer::new(String::new()).extend_pairs(&form).finish();
    let path = url::Url::parse(&url).map(|url| url.path().to_owned()).unwrap_or_default();
    let host = host_of(&url)?;
    let request = Unsigned {
        method: "POST",
        path: &path,
        host: host.to_str().unwrap_or_default(),
        headers: &[(CONTENT_TYPE, FORM)],
        body: &[Bytes::from(text)],
    };
    let scope = Scope { region: &aws.region, service: "sts", now_s: desk.now_s };
    let headers = sign(keys, scope, request)?;
    session(desk, &ask(desk, &url, headers, Body::Form(&form)).await?)
}

/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html>
async fn with_web_identity(
    desk: Desk<'_>,
    aws: &Aws,
    role: Role<'_>,
    path: &str,
) -> Result<Fetched<Keys>, Fault> {
    let token = file(path).await?;
    let life = ROLE_LIFE_S.to_string();
    let form = [
        ("Action", "AssumeRoleWithWebIdentity"),
        ("Version", "2011-06-15"),
        ("RoleArn", role.arn),
        ("RoleSessionName", role.session.unwrap_or("tollgate")),
        ("DurationSeconds", &life),
        ("WebIdentityToken", token.expose()),
    ];
    session(desk, &ask(desk, &endpoint(aws), Vec::new(), Body::Form(&form)).await?)
}

/// The token service of the region.
fn endpoint(aws: &Aws) -> String {
    if let Some(url) = &aws.sts_endpoint {
        return url.clone();
    }
    let china = if aws.region.starts_with("cn-") { ".cn" } else { "" };
    format!("https://sts.{}.amazonaws.com{china}/", aws.region)
}

/// The keys in an answer of the token service, which is XML, or JSON where it heeds `accept`.
fn session(desk: Desk<'_>, said: &Said) -> Result<Fetched<Keys>, Fault> {
    let text = String::from_utf8_lossy(&said.body);
    if let Err(fault) = said.succeeded() {
        let words = [field(&text, "Code"), field(&text, "Message")];
        let words: Vec<String> = words.into_iter().flatten().collect();
        let message = match words.is_empty() {
            true => fault.message,
            false => format!("{}: {}", fault.message, words.join(": ")),
        };
        return Err(Fault { message, ..fault });
    }
    let missing = || Fault::new(FaultKind::BadResponse, "the token service gave no keys");
    let access = field(&text, "AccessKeyId").ok_or_else(missing)?;
    let secret = field(&text, "SecretAccessKey").ok_or_else(missing)?;
    let token = field(&text, "SessionToken").ok_or_else(missing)?;
    let life = field(&text, "Expiration").and_then(|end| left(desk, &end));
    let value = Keys { access, secret: Secret::new(secret), token: Some(Secret::new(token)) };
    Ok(Fetched { value, life: life.unwrap_or(Duration::from_secs(ROLE_LIFE_S)) })
}

/// The text of the first element, or member, of this name.
fn field(text: &str, name: &str) -> Option<String> {
    let xml = text.split_once(&format!("<{name}>"));
    if let Some((value, _)) = xml.and_then(|(_, rest)| rest.split_once("</")) {
        let value = value.trim().replace("&lt;", "<").replace("&gt;", ">");
        return Some(value.replace("&quot;", "\"").replace("&amp;", "&"));
    }
    let (_, rest) = text.split_once(&format!("\"{name}\""))?;
    let rest = rest.trim_start().strip_prefix(':')?.trim_start();
    let mut values = serde_json::Deserializer::from_str(rest).into_iter::<String>();
    values.next()?.ok()
}

/// What is left until a time; nothing if it is no time or gone by.
fn left(desk: Desk<'_>, end: &str) -> Option<Duration> {
    let left_s = seconds(end)?.checked_sub(desk.now_s)?;
    (left_s > 0).then_some(Duration::from_secs(left_s))
}

/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html>
async fn of_container(desk: Desk<'_>, aws: &Aws, url: &str) -> Result<Fetched<Keys>, Fault> {
    let token = match (&aws.container_token_file, &aws.container_token) {
        (Some(path), _) => Some(file(path).await?),
        (None, token) => token.clone(),
    };
    let mut headers = Vec::new();
    if let Some(token) = token {
        let mut value = HeaderValue::try_from(token.expose())
            .map_err(|_| credential("the container's token cannot stand in a header"))?;
        value.set_sensitive(true);
        headers.push((AUTHORIZATION, value));
    }
    of_metadata(desk, &ask(desk, url, headers, Body::None).await?)
}

/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-v2-how-it-works.html>
async fn of_machine(desk: Desk<'_>, host: &str) -> Result<Fetched<Keys>, Fault> {
    let life = HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds");
    let life = vec![(life, HeaderValue::from_static("60"))];
    let url = format!("{host}/latest/api/token");
    let said = ask_as(Method::PUT, desk, &url, life, Body::None).await?;
    said.succeeded()?;
    let mut token = HeaderValue::from_bytes(said.body.trim_ascii())
        .map_err(|_| credential("the machine's token cannot stand in a header"))?;
    token.set_sensitive(true);
    let token = vec![(HeaderName::from_static("x-aws-ec2-metadata-token"), token)];
    let url = format!("{host}/latest/meta-data/iam/security-credentials/");
    let said = ask(desk, &url, token.clone(), Body::None).await?;
    said.succeeded()?;
    let role = String::from_utf8_lossy(&said.body);
    let role = role.lines().next().unwrap_or_default().trim().to_owned();
    of_metadata(desk, &ask(desk, &format!("{url}{role}"), token, Body::None).await?)
}

/// What both metadata services say.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MetadataIn {
    access_key_id: String,
    secret_access_key: String,
    token: Option<String>,
    expiration: Option<String>,
}

fn of_metadata(desk: Desk<'_>, said: &Said) -> Result<Fetched<Keys>, Fault> {
    said.succeeded()?;
    let said: MetadataIn = serde_json::from_slice(&said.body)
        .map_err(|_| Fault::new(FaultKind::BadResponse, "the metadata service gave no keys"))?;
    let life = match &said.expiration {
        Some(end) => left(desk, end)
            .ok_or_else(|| credential("the metadata service gave keys that have expired"))?,
        None => UNTOLD_LIFE,
    };
    let keys = Keys {
        access: said.access_key_id,
        secret: Secret::new(said.secret_access_key),
        token: said.token.map(Secret::new),
    };
    Ok(Fetched { value: keys, life })
}
