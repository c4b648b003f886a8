//! The answer: headers, and a body that is either whole or live.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use tollgate_ledger::Nano;
use tollgate_router::{Answer, Live};
use tollgate_store::Outcome;
use tollgate_wire::{Dialect, Refusal, exchange};
use uuid::Uuid;

use crate::{
    now::Now,
    tab::{self, LiveBody, Tab},
};

// Made when Tollgate is compiled: a name that is a text is parsed with every answer.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
const X_LITELLM_ATTEMPTED_FALLBACKS: HeaderName =
    HeaderName::from_static("x-litellm-attempted-fallbacks");
const X_LITELLM_ATTEMPTED_RETRIES: HeaderName =
    HeaderName::from_static("x-litellm-attempted-retries");
const X_LITELLM_CALL_ID: HeaderName = HeaderName::from_static("x-litellm-call-id");
const X_LITELLM_KEY_SPEND: HeaderName = HeaderName::from_static("x-litellm-key-spend");
const X_LITELLM_MODEL_GROUP: HeaderName = HeaderName::from_static("x-litellm-model-group");
const X_LITELLM_MODEL_ID: HeaderName = HeaderName::from_static("x-litellm-model-id");
const X_LITELLM_RESPONSE_COST: HeaderName = HeaderName::from_static("x-litellm-response-cost");
const X_LITELLM_RESPONSE_DURATION_MS: HeaderName =
    HeaderName::from_static("x-litellm-response-duration-ms");
const X_LITELLM_VERSION: HeaderName = HeaderName::from_static("x-litellm-version");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_TOLLGATE_DROPPED: HeaderName = HeaderName::from_static("x-tollgate-dropped");

/// Upstream headers that the client sees as LiteLLM's `llm_provider-…`: those that begin so. The
/// rate limits are shown under their own names too.
const PASSED_ON: [&str; 4] =
    ["x-ratelimit-", "anthropic-ratelimit-", "openai-processing-ms", "x-request-id"];

/// The names that nearly every answer has, ready made.
static PREFIXED: [HeaderName; 8] = [
    HeaderName::from_static("llm_provider-x-ratelimit-limit-requests"),
    HeaderName::from_static("llm_provider-x-ratelimit-limit-tokens"),
    HeaderName::from_static("llm_provider-x-ratelimit-remaining-requests"),
    HeaderName::from_static("llm_provider-x-ratelimit-remaining-tokens"),
    HeaderName::from_static("llm_provider-x-ratelimit-reset-requests"),
    HeaderName::from_static("llm_provider-x-ratelimit-reset-tokens"),
    HeaderName::from_static("llm_provider-openai-processing-ms"),
    HeaderName::from_static("llm_provider-x-request-id"),
];

/// `llm_provider-` before `name`.
fn prefixed(name: &str) -> Option<HeaderName> {
    const PREFIX: &str = "llm_provider-";
    let ready = PREFIXED.iter().find(|ready| ready.as_str().strip_prefix(PREFIX) == Some(name));
    ready.cloned().or_else(|| HeaderName::try_from([PREFIX, name].concat()).ok())
}

/// An answer on its way out.
pub type Outgoing = Response<OutBody>;

/// The body of an answer.
pub enum OutBody {
    /// All of it.
    Whole(Bytes),
    /// A stream.
    Live(Box<LiveBody>),
}

impl Body for OutBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            OutBody::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            OutBody::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            OutBody::Live(live) => Pin::new(live.as_mut()).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            OutBody::Whole(bytes) => bytes.is_empty(),
            OutBody::Live(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            OutBody::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            OutBody::Live(_) => SizeHint::default(),
        }
    }
}

/// The answer of the target that answered. A whole answer's tab is closed here; a stream's closes
/// with its body.
pub fn answer(mut tab: Tab, live: Live, shown_model: &str) -> Outgoing {
    let now = tab.draft().started.later();
    tab::enter(&mut tab, &live, now);
    let Live { exchange, answer, target, upstream_headers, status, retries, fallbacks, .. } = live;
    let dropped = Some(exchange.dropped()).filter(|dropped| !dropped.is_empty());
    let dropped = dropped.map(|dropped| dropped.join(","));
    tab.attach(exchange, Arc::clone(&target));
    let streamed = matches!(answer, Answer::Stream { .. });
    if !streamed {
        tab.close_at(Outcome::Ok, now);
    }
    let mut headers = HeaderMap::with_capacity(16 + 2 * upstream_headers.len());
    let content_type = if streamed { tab.stream_type } else { "application/json" };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if streamed {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    }
    pass_on(&upstream_headers, &mut headers);
    account(&mut tab, &mut headers, streamed, now);
    set(&mut headers, X_LITELLM_MODEL_ID, &target.id);
    set(&mut headers, X_LITELLM_MODEL_GROUP, shown_model);
    number(&mut headers, X_LITELLM_ATTEMPTED_RETRIES, u64::from(retries));
    number(&mut headers, X_LITELLM_ATTEMPTED_FALLBACKS, u64::from(fallbacks));
    if let Some(dropped) = dropped {
        set(&mut headers, X_TOLLGATE_DROPPED, &dropped);
    }
    let body = match answer {
        Answer::Whole(bytes) => OutBody::Whole(bytes),
        Answer::Stream { first, body } => OutBody::Live(Box::new(LiveBody::new(tab, first, body))),
    };
    let mut out = Response::new(body);
    *out.status_mut() = status;
    *out.headers_mut() = headers;
    out
}

/// The headers that say who the request was and what it cost.
fn account(tab: &mut Tab, headers: &mut HeaderMap, streamed: bool, now: Now) {
    let spend = tab.hold.key_spend();
    identify(headers, tab.id);
    let elapsed_us = tab.draft().elapsed_us(now);
    number(headers, X_LITELLM_RESPONSE_DURATION_MS, u64::try_from(elapsed_us / 1_000).unwrap_or(0));
    if !streamed && let Some(cost) = tab.cost {
        amount(headers, X_LITELLM_RESPONSE_COST, cost);
    }
    if let Some(spend) = spend {
        amount(headers, X_LITELLM_KEY_SPEND, spend);
    }
}

pub(crate) fn identify(headers: &mut HeaderMap, id: Uuid) {
    let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
    let text: &str = id.as_hyphenated().encode_lower(&mut text);
    // Twice: a copy of a value that is not shared yet costs more than another one.
    set(headers, X_REQUEST_ID, text);
    set(headers, X_LITELLM_CALL_ID, text);
    headers.insert(
        X_LITELLM_VERSION,
        HeaderValue::from_static(concat!("tollgate-", env!("CARGO_PKG_VERSION"))),
    );
}

fn pass_on(upstream: &HeaderMap, headers: &mut HeaderMap) {
    for (name, value) in upstream {
        let text = name.as_str();
        if !PASSED_ON.iter().any(|start| text.starts_with(start)) {
            continue;
        }
        if let Some(prefixed) = prefixed(text) {
            headers.append(prefixed, value.clone());
        }
        if text.starts_with("x-ratelimit-") {
            headers.append(name.clone(), value.clone());
        }
    }
}

fn set(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name, value);
    }
}

fn amount(headers: &mut HeaderMap, name: HeaderName, amount: Nano) {
    if let Ok(value) = HeaderValue::try_from(amount.usd_text()) {
        headers.insert(name, value);
    }
}

fn number(headers: &mut HeaderMap, name: HeaderName, n: u64) {
    let value = match n {
        0 => HeaderValue::from_static("0"),
        1 => HeaderValue::from_static("1"),
        _ => HeaderValue::from(n),
    };
    headers.insert(name, value);
}

/// An answer that no target had to give.
pub(crate) fn whole(body: Bytes, id: Uuid) -> Outgoing {
    let mut out = Response::new(OutBody::Whole(body));
    let headers = out.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    identify(headers, id);
    out
}

/// A refusal in the client's dialect.
pub fn refuse(surface: Dialect, why: &Refusal, id: Uuid) -> Outgoing {
    let (status, body): (StatusCode, Bytes) = exchange::refusal(surface, why);
    let mut out = Response::new(OutBody::Whole(body));
    *out.status_mut() = status;
    let headers = out.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    identify(headers, id);
    if let Some(seconds) = why.retry_after_s {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    out
}
