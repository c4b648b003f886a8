//! Asking a token endpoint.

use std::{future::poll_fn, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{
    HeaderName, HeaderValue, Method, StatusCode,
    header::{ACCEPT, CONTENT_TYPE, DATE, RETRY_AFTER},
};
use serde::Deserialize;
use tokio::time::timeout;
use tollgate_wire::{Call, Fault, FaultKind, Secret};
use url::Url;

use super::{Desk, MAX_TOKEN, cache::Fetched, credential};
use crate::client::UpstreamResponse;

/// A token endpoint answers within this, or has failed.
const PATIENCE: Duration = Duration::from_secs(10);
/// To connect: metadata servers are near, or not there at all.
const CONNECT: Duration = Duration::from_secs(3);
/// How long a token is used whose life is not told.
const UNTOLD_LIFE_S: u64 = 300;
/// Most of an error's description that is passed on.
const MAX_DESCRIPTION: usize = 300;

/// What is sent.
#[derive(Debug, Clone, Copy)]
pub(super) enum Body<'a> {
    /// Nothing: a GET.
    None,
    Form(&'a [(&'a str, &'a str)]),
    Json(&'a serde_json::Value),
}

/// A whole answer, whatever its status.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) status: StatusCode,
    /// The server's clock, in seconds since 1970.
    pub(super) date_s: Option<u64>,
    retry_after_ms: Option<u64>,
    pub(super) body: Bytes,
    host: String,
}

/// Asks once, with a POST or a GET.
pub(super) async fn ask(
    desk: Desk<'_>,
    url: &str,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Body<'_>,
) -> Result<Said, Fault> {
    let method = if let Body::None = body { Method::GET } else { Method::POST };
    ask_as(method, desk, url, headers, body).await
}

/// Asks once.
pub(super) async fn ask_as(
    method: Method,
    desk: Desk<'_>,
    url: &str,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Body<'_>,
) -> Result<Said, Fault> {
    let url = Url::parse(url).map_err(|_| credential("the token endpoint is not a URL"))?;
    let host = url.host_str().unwrap_or_default().to_owned();
    let path = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let mut call = Call { path, headers, body: Vec::new() };
    call.headers.push((ACCEPT, HeaderValue::from_static("application/json")));
    let kind = match body {
        Body::None => None,
        Body::Form(fields) => {
            let form =
                url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
            call.body.push(form.into());
            Some("application/x-www-form-urlencoded")
        }
        Body::Json(value) => {
            call.body.push(value.to_string().into());
            Some("application/json")
        }
    };
    call.headers.extend(kind.map(|kind| (CONTENT_TYPE, HeaderValue::from_static(kind))));
    let base: Arc<str> = url.as_str().into();
    let answer = async {
        let response = desk.client.send_as(method, &base, call, CONNECT, desk.now).await?;
        read(response, &host).await
    };
    let said = timeout(PATIENCE, answer)
        .await
        .unwrap_or_else(|_| Err(Fault::new(FaultKind::FirstByteTimeout, "no answer within 10 s")));
    said.map_err(|fault| about(&host, fault))
}

async fn read(response: UpstreamResponse, host: &str) -> Result<Said, Fault> {
    let UpstreamResponse { status, headers, mut body } = response;
    let mut whole = BytesMut::new();
    while let Some(piece) = poll_fn(|cx| body.poll_data(cx)).await.transpose()? {
        if (whole.len() + piece.len()) as u64 > MAX_TOKEN {
            return Err(Fault::new(FaultKind::BadResponse, "its answer is too long"));
        }
        whole.extend_from_slice(&piece);
    }
    let date = headers.text(&DATE).and_then(|date| httpdate::parse_http_date(date).ok());
    let date_s = date.and_then(|date| date.duration_since(std::time::UNIX_EPOCH).ok());
    let retry_after_s: Option<u64> = headers.text(&RETRY_AFTER).and_then(|s| s.trim().parse().ok());
    Ok(Said {
        status,
        date_s: date_s.map(|since| since.as_secs()),
        retry_after_ms: retry_after_s.map(|s| s.min(86_400) * 1_000),
        body: whole.freeze(),
        host: host.to_owned(),
    })
}

/// RFC 6749, 5.1 and 5.2. Azure's metadata service writes numbers as texts.
#[derive(Deserialize)]
struct Answer {
    access_token: Option<String>,
    expires_in: Option<serde_json::Value>,
    error: Option<serde_json::Value>,
    error_description: Option<String>,
    /// IBM's.
    #[serde(rename = "errorMessage")]
    error_message: Option<String>,
}

impl Said {
    /// The token of an OAuth answer.
    pub(super) fn token(&self) -> Result<Fetched<Secret>, Fault> {
        self.succeeded()?;
        let bad = |why| about(&self.host, Fault::new(FaultKind::BadResponse, why));
        let answer: Answer =
            serde_json::from_slice(&self.body).map_err(|_| bad("its answer is no JSON object"))?;
        let token = answer.access_token.filter(|token| !token.is_empty());
        let token = token.ok_or_else(|| bad("its answer has no `access_token`"))?;
        if HeaderValue::try_from(&token).is_err() {
            return Err(bad("its token cannot stand in a header"));
        }
        let life_s = match answer.expires_in {
            None | Some(serde_json::Value::Null) => UNTOLD_LIFE_S,
            Some(serde_json::Value::String(text)) => {
                text.parse().map_err(|_| bad("its `expires_in` is no number"))?
            }
            Some(number) => number
                .as_f64()
                .filter(|s| s.is_finite() && *s >= 0.0)
                .map(|s| s as u64)
                .ok_or_else(|| bad("its `expires_in` is no number"))?,
        };
        if life_s == 0 {
            return Err(bad("its token has expired"));
        }
        Ok(Fetched { value: Secret::new(token), life: Duration::from_secs(life_s) })
    }

    /// `Err` unless the status is a 2xx.
    pub(super) fn succeeded(&self) -> Result<(), Fault> {
        let kind = match self.status.as_u16() {
            200..=299 => return Ok(()),
            300..=399 => FaultKind::Redirect,
            408 => FaultKind::Timeout,
            429 => FaultKind::RateLimit,
            400..=499 => FaultKind::Credential,
            502 => FaultKind::BadGateway,
            503 => FaultKind::Unavailable,
            504 => FaultKind::GatewayTimeout,
            _ => FaultKind::Server,
        };
        let why = match self.complaint() {
            Some(why) => format!("status {}: {why}", self.status.as_u16()),
            None => format!("status {}", self.status.as_u16()),
        };
        let fault = about(&self.host, Fault::new(kind, why));
        Err(Fault { retry_after_ms: self.retry_after_ms, ..fault })
    }

    /// `error: error_description`, as far as there is one.
    fn complaint(&self) -> Option<String> {
        let answer: Answer = serde_json::from_slice(&self.body).ok()?;
        let error = match answer.error {
            Some(serde_json::Value::String(text)) => Some(text),
            // Google's APIs: `{"error": {"message", "status"}}`.
            Some(object) => object.get("message").and_then(|m| m.as_str()).map(str::to_owned),
            None => None,
        };
        let words: Vec<String> =
            [error, answer.error_description, answer.error_message].into_iter().flatten().collect();
        let text: String =
            words.join(": ").chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let text: String = text.chars().take(MAX_DESCRIPTION).collect();
        (!text.is_empty()).then_some(text)
    }
}

/// Says of a fault that it is the token endpoint's.
fn about(host: &str, fault: Fault) -> Fault {
    Fault { message: format!("the token endpoint {host}: {}", fault.message), ..fault }
}
