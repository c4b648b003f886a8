//! A running gateway's own API: keys, spend, models. JSON in, JSON out.

use std::{fmt, future::poll_fn, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, StatusCode, Uri, header};
use serde_json::Value;
use tokio::time::Instant;
use tollgate_wire::{Auth, Call, Fault, FaultKind, Secret, provider::auth_headers};

use crate::{Error, Tollgate, error::Details, target::GATEWAY};

/// Most bytes of an answer.
const MOST_BYTES: usize = 64 << 20;
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running gateway's own API (`/key/generate`, `/spend/logs/v2`, …), for tools. To chat through
/// a gateway, use [`Tollgate::gateway`].
#[derive(Clone)]
pub struct Gateway {
    base: Arc<str>,
    key: Secret,
    client: Tollgate,
}

impl Gateway {
    /// The gateway at this URL (without `/v1`), with a key of its own or its master key.
    pub fn new(url: impl Into<String>, key: impl Into<String>) -> Self {
        let url = url.into();
        let base = url.trim_end_matches('/').trim_end_matches("/v1").into();
        Gateway { base, key: Secret::new(key), client: Tollgate::new() }
    }

    /// `GET` of a path such as `/spend/logs/v2?page=2`.
    pub async fn get(&self, path: &str) -> Result<Value, Error> {
        self.send(path, None).await
    }

    /// `POST` of a JSON body to a path such as `/key/generate`.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Error> {
        self.send(path, Some(body)).await
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("url", &self.base).finish_non_exhaustive()
    }
}

impl Gateway {
    async fn send(&self, path: &str, body: Option<&Value>) -> Result<Value, Error> {
        match tokio::time::timeout(PATIENCE, Box::pin(self.ask(path, body))).await {
            Ok(Ok((status, text))) => read(status, &text),
            Ok(Err(fault)) => Err(Error::of_fault(&fault, GATEWAY, path, 1)),
            Err(_elapsed) => {
                let fault = Fault::new(FaultKind::Deadline, "no answer in time");
                Err(Error::of_fault(&fault, GATEWAY, path, 1))
            }
        }
    }

    async fn ask(&self, path: &str, body: Option<&Value>) -> Result<(StatusCode, Vec<u8>), Fault> {
        let http = self.client.http();
        let http = http.map_err(|error| Fault::new(FaultKind::Tls, error.message()))?;
        let prefix = self.base.parse().map(|url: Uri| url.path().trim_end_matches('/').to_owned());
        let mut headers: Vec<_> = auth_headers(Auth::Bearer, &self.key).into_iter().collect();
        if body.is_some() {
            let json = HeaderValue::from_static("application/json");
            headers.push((header::CONTENT_TYPE, json));
        }
        let call = Call {
            path: format!("{}{path}", prefix.unwrap_or_default()),
            headers,
            body: body.map(|body| Bytes::from(body.to_string())).into_iter().collect(),
        };
        let mut answer = http.send(&self.base, call, CONNECT, Instant::now()).await?;
        let mut text = Vec::new();
        while let Some(piece) = poll_fn(|cx| answer.body.poll_data(cx)).await {
            text.extend_from_slice(&piece?);
            if text.len() > MOST_BYTES {
                return Err(Fault::new(FaultKind::BadResponse, "the answer is too long"));
            }
        }
        Ok((answer.status, text))
    }
}

/// The answer, or the error that it is.
fn read(status: StatusCode, text: &[u8]) -> Result<Value, Error> {
    let json: Option<Value> = serde_json::from_slice(text).ok();
    match json {
        Some(json) if status.is_success() => Ok(json),
        json => {
            let error = json.as_ref().and_then(|json| json.get("error"));
            let field = |name: &str| Some(error?.get(name)?.as_str()?.to_owned());
            Err(Error::of_status(Details {
                status: status.as_u16(),
                message: field("message").unwrap_or_else(|| format!("answered {status}")),
                provider: GATEWAY.to_owned(),
                code: field("code"),
                error_type: field("type"),
                param: field("param"),
                attempts: 1,
                ..Details::default()
            }))
        }
    }
}
