//! An issuer of tokens: the token endpoints of Google, Microsoft Entra ID, IBM Cloud, Databricks
//! and the metadata services, each as strict about what it is sent as the original.
//!
//! * `POST /token`: Google: a JWT (signature, `aud`, `scope`, `iat`, `exp` are checked), a refresh
//!   token, or a token of another issuer
//! * `POST /impersonate`: a service account's token for another's
//! * `GET /computeMetadata/…/token`: Google's metadata server
//! * `POST /{tenant}/oauth2/v2.0/token`: Entra
//! * `GET /metadata/identity/oauth2/token`, `GET /msi/token`: Azure's machines and app services
//! * `POST /identity/token`: IBM Cloud
//! * `POST /oidc/v1/token`: Databricks

use std::{
    collections::{BTreeMap, VecDeque},
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::{
    encoding::{AsDer as _, Pkcs8V1Der},
    rsa::KeySize,
    signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::AbortHandle};

use crate::scripted::{Recorded, lock};

/// The scope that Google is asked for.
const GOOGLE_SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const EMAIL: &str = "robot@project-of-the-file.iam.gserviceaccount.com";
/// How far a JWT may be in the future of Google's clock.
const LENIENCY_S: u64 = 60;

/// What goes wrong with the next token.
#[derive(Debug, Clone, Copy)]
pub enum Trouble {
    /// This status, with an OAuth error.
    Status(u16),
    /// Not JSON.
    Garbage,
    /// JSON without a token.
    NoToken,
    /// A token that is no longer good.
    Expired,
    /// The token, after this.
    Slow(Duration),
    /// A token with a life of so many seconds.
    Life(u64),
}

struct State {
    key: RsaKeyPair,
    asked: Mutex<Vec<Recorded>>,
    trouble: Mutex<VecDeque<Trouble>>,
    issued: Mutex<Vec<String>>,
    ahead_s: Mutex<u64>,
}

/// An issuer on a free port of 127.0.0.1. Stops when dropped.
pub struct Issuer {
    addr: SocketAddr,
    state: Arc<State>,
    accept: AbortHandle,
}

impl Issuer {
    /// Starts, with a new private key.
    pub async fn start() -> Self {
        let key = RsaKeyPair::generate(KeySize::Rsa2048).expect("a new key");
        let state = Arc::new(State {
            key,
            asked: Mutex::default(),
            trouble: Mutex::default(),
            issued: Mutex::default(),
            ahead_s: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind the issuer");
        let addr = listener.local_addr().expect("the listener has an address");
        let accept = tokio::spawn(accept(listener, Arc::clone(&state), addr)).abort_handle();
        Issuer { addr, state, accept }
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// `127.0.0.1:PORT`
    pub fn host(&self) -> String {
        self.addr.to_string()
    }

    /// The private key: PKCS#8 in PEM form.
    pub fn pem(&self) -> String {
        let der: Pkcs8V1Der<'_> = self.state.key.as_der().expect("the key can be written");
        let text = STANDARD.encode(der.as_ref());
        let lines: Vec<&str> = (0..text.len())
            .step_by(64)
            .filter_map(|at| text.get(at..(at + 64).min(text.len())))
            .collect();
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"))
    }

    /// The credential file of a service account.
    pub fn service_account(&self) -> Value {
        json!({
            "type": "service_account", "project_id": "project-of-the-file",
            "private_key_id": "key-1", "private_key": self.pem(), "client_email": EMAIL,
            "client_id": "1", "token_uri": format!("{}/token", self.url()),
        })
    }

    /// The credential file of workload identity federation, with the subject's token in a file.
    pub fn external_account(&self, token_file: &str) -> Value {
        json!({
            "type": "external_account", "audience": "//iam.googleapis.com/pool",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": format!("{}/token", self.url()),
            "service_account_impersonation_url": format!("{}/impersonate", self.url()),
            "credential_source": {"file": token_file},
        })
    }

    /// What goes wrong with the next token.
    pub fn trouble(&self, trouble: Trouble) {
        lock(&self.state.trouble).push_back(trouble);
    }

    /// Puts the issuer's clock ahead of ours.
    pub fn ahead(&self, seconds: u64) {
        *lock(&self.state.ahead_s) = seconds;
    }

    /// All that was asked, in the order of arrival.
    pub fn asked(&self) -> Vec<Recorded> {
        lock(&self.state.asked).clone()
    }

    /// The tokens that were given, the last one last.
    pub fn issued(&self) -> Vec<String> {
        lock(&self.state.issued).clone()
    }

    /// Whether a JWT is signed with [`Issuer::pem`], and its claims.
    pub fn claims(&self, jwt: &str) -> Option<Value> {
        verified(&self.state.key, jwt).map(|(_, claims)| claims)
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.accept.abort();
    }
}

async fn accept(listener: TcpListener, state: Arc<State>, addr: SocketAddr) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((socket, _)) = listener.accept().await else { continue };
        let state = Arc::clone(&state);
        connections.spawn(async move {
            let service = service_fn(|request| respond(Arc::clone(&state), addr, request));
            let server = hyper::server::conn::http1::Builder::new();
            let _ = server.serve_connection(TokioIo::new(socket), service).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn respond(
    state: Arc<State>,
    addr: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let recorded = Recorded {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().map(str::to_owned),
        version: head.version,
        headers: head.headers,
        body: body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default(),
    };
    lock(&state.asked).push(recorded.clone());
    let now_s = unix_s() + *lock(&state.ahead_s);
    let trouble = lock(&state.trouble).pop_front();
    let (status, body) = match trouble {
        Some(Trouble::Status(status)) => (status, wrong("scripted", "as the test wants")),
        Some(Trouble::Garbage) => (200, "<html>".to_owned()),
        Some(Trouble::NoToken) => (200, "{}".to_owned()),
        other => match check(&state, addr, &recorded, now_s) {
            Err(why) => (400, wrong("invalid_grant", &why)),
            Ok(name) => {
                if let Some(Trouble::Slow(time)) = other {
                    tokio::time::sleep(time).await;
                }
                let life_s = match other {
                    Some(Trouble::Expired) => 0,
                    Some(Trouble::Life(seconds)) => seconds,
                    _ => 3_600,
                };
                (200, issue(&state, name, life_s))
            }
        },
    };
    let date = UNIX_EPOCH + Duration::from_secs(now_s);
    let response = Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .header("date", httpdate::fmt_http_date(date))
        .body(Full::new(Bytes::from(body)))
        .expect("a response");
    Ok(response)
}

fn unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

fn wrong(error: &str, why: &str) -> String {
    json!({"error": error, "error_description": why}).to_string()
}

fn issue(state: &State, name: &str, life_s: u64) -> String {
    let mut issued = lock(&state.issued);
    let token = format!("{name}-token-{}", issued.len() + 1);
    issued.push(token.clone());
    match name {
        "impersonated" => json!({"accessToken": token, "expireTime": "2099-01-01T00:00:00Z"}),
        // Azure's metadata service writes numbers as texts.
        "machine" => json!({"access_token": token, "expires_in": life_s.to_string()}),
        _ => json!({"access_token": token, "expires_in": life_s, "token_type": "Bearer"}),
    }
    .to_string()
}

/// Whose token is asked for, or what is wrong with the question.
fn check(
    state: &State,
    addr: SocketAddr,
    asked: &Recorded,
    now_s: u64,
) -> Result<&'static str, String> {
    let form = form(&asked.body);
    let query = form_of(asked.query.as_deref().unwrap_or_default());
    let want = |fields: &BTreeMap<String, String>, wanted: &[(&str, &str)]| {
        let wanted: BTreeMap<String, String> =
            wanted.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        if *fields == wanted { Ok(()) } else { Err(format!("expected {wanted:?}, got {fields:?}")) }
    };
    let header = |name: &str, value: &str| {
        let got = asked.header(name);
        if got == value { Ok(()) } else { Err(format!("{name}: expected `{value}`, got `{got}`")) }
    };
    if asked.method == Method::POST && asked.path != "/impersonate" {
        header("content-type", "application/x-www-form-urlencoded")?;
    }
    let segments: Vec<&str> = asked.path.split('/').skip(1).collect();
    match (&asked.method, segments.as_slice()) {
        (&Method::POST, ["token"]) => google(state, addr, &form, now_s),
        (&Method::POST, ["impersonate"]) => {
            let last = lock(&state.issued).last().cloned().unwrap_or_default();
            header("authorization", &format!("Bearer {last}"))?;
            let wanted = json!({"scope": [GOOGLE_SCOPE], "lifetime": "3600s"});
            let same = asked.json() == wanted;
            if same { Ok("impersonated") } else { Err("the body is not right".to_owned()) }
        }
        (
            &Method::GET,
            ["computeMetadata", "v1", "instance", "service-accounts", "default", "token"],
        ) => {
            header("metadata-flavor", "Google")?;
            want(&query, &[("scopes", GOOGLE_SCOPE)])?;
            Ok("metadata")
        }
        (&Method::POST, ["tenant-1", "oauth2", "v2.0", "token"]) => {
            let scope = "https://cognitiveservices.azure.com/.default";
            let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
            let own = ("client_id", "client-1");
            match form.get("grant_type").map(String::as_str) {
                Some("password") => want(
                    &form,
                    &[
                        ("grant_type", "password"),
                        own,
                        ("username", "me"),
                        ("password", "secret of the tests"),
                        ("scope", scope),
                    ],
                )?,
                _ if form.contains_key("client_assertion") => want(
                    &form,
                    &[
                        ("grant_type", "client_credentials"),
                        own,
                        ("client_assertion_type", kind),
                        ("client_assertion", "subject of the tests"),
                        ("scope", scope),
                    ],
                )?,
                _ => want(
                    &form,
                    &[
                        ("grant_type", "client_credentials"),
                        own,
                        ("client_secret", "secret of the tests"),
                        ("scope", scope),
                    ],
                )?,
            }
            Ok("entra")
        }
        (&Method::GET, ["metadata", "identity", "oauth2", "token"]) => {
            header("metadata", "true")?;
            let resource = ("resource", "https://cognitiveservices.azure.com");
            want(&query, &[("api-version", "2018-02-01"), resource])?;
            Ok("machine")
        }
        (&Method::GET, ["msi", "token"]) => {
            header("x-identity-header", "secret of the tests")?;
            let resource = ("resource", "https://cognitiveservices.azure.com");
            want(&query, &[("api-version", "2019-08-01"), resource, ("client_id", "client-1")])?;
            Ok("app")
        }
        (&Method::POST, ["identity", "token"]) => {
            let grant = ("grant_type", "urn:ibm:params:oauth:grant-type:apikey");
            want(&form, &[grant, ("apikey", "secret of the tests")])?;
            Ok("ibm")
        }
        (&Method::POST, ["oidc", "v1", "token"]) => {
            let pair = STANDARD.encode("client-1:secret of the tests");
            header("authorization", &format!("Basic {pair}"))?;
            want(&form, &[("grant_type", "client_credentials"), ("scope", "all-apis")])?;
            Ok("databricks")
        }
        _ => Err(format!("there is no {} {}", asked.method, asked.path)),
    }
}

fn google(
    state: &State,
    addr: SocketAddr,
    form: &BTreeMap<String, String>,
    now_s: u64,
) -> Result<&'static str, String> {
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    match field("grant_type") {
        "urn:ietf:params:oauth:grant-type:jwt-bearer" => {
            let (header, claims) =
                verified(&state.key, field("assertion")).ok_or("Invalid JWT Signature.")?;
            let aud = format!("http://{addr}/token");
            let is = |value: &Value, name: &str, text: &str| {
                value.get(name).and_then(Value::as_str) == Some(text)
            };
            let fine = is(&header, "alg", "RS256")
                && is(&header, "kid", "key-1")
                && is(&claims, "iss", EMAIL)
                && is(&claims, "aud", &aud)
                && is(&claims, "scope", GOOGLE_SCOPE);
            let number = |name: &str| claims.get(name).and_then(Value::as_u64).unwrap_or_default();
            let (from_s, end_s) = (number("iat"), number("exp"));
            let in_time = from_s <= now_s + LENIENCY_S && end_s > now_s && end_s - from_s <= 3_600;
            match (fine, in_time) {
                (true, true) => Ok("google"),
                (false, _) => Err(format!("Invalid JWT: {header} {claims}")),
                (true, false) => {
                    Err("Invalid JWT: Token must be a short-lived token (60 minutes) and in a \
                     reasonable timeframe."
                        .to_owned())
                }
            }
        }
        "refresh_token" => {
            let fine = field("client_id") == "client-1"
                && field("client_secret") == "secret of the tests"
                && field("refresh_token") == "refresh of the tests";
            if fine { Ok("user") } else { Err("Token has been expired or revoked.".to_owned()) }
        }
        "urn:ietf:params:oauth:grant-type:token-exchange" => {
            let fine = field("audience") == "//iam.googleapis.com/pool"
                && field("scope") == GOOGLE_SCOPE
                && field("requested_token_type") == "urn:ietf:params:oauth:token-type:access_token"
                && field("subject_token") == "subject of the tests"
                && field("subject_token_type") == "urn:ietf:params:oauth:token-type:jwt";
            if fine { Ok("federated") } else { Err(format!("Invalid value: {form:?}")) }
        }
        other => Err(format!("unsupported grant `{other}`")),
    }
}

/// Header and claims of a JWT with a good signature.
fn verified(key: &RsaKeyPair, jwt: &str) -> Option<(Value, Value)> {
    let (message, signature) = jwt.rsplit_once('.')?;
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key().as_ref())
        .verify(message.as_bytes(), &signature)
        .ok()?;
    let (header, claims) = message.split_once('.')?;
    let read = |part: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok();
    Some((read(header)?, read(claims)?))
}

fn form(body: &[u8]) -> BTreeMap<String, String> {
    form_of(std::str::from_utf8(body).unwrap_or_default())
}

fn form_of(text: &str) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}
