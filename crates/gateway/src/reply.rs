//! The answer: headers, and a body that is either whole or live.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use tollgate_ledger::Nano;
use tollgate_router::{Answer, Headers, Live};
use tollgate_store::Outcome;
use tollgate_wire::{Dialect, Refusal, exchange};
use uuid::Uuid;

use crate::{
    lines::Lines,
    now::Now,
    resumed::Resumed,
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

/// The upstream headers that nearly every answer has, under their own names and as LiteLLM's
/// `llm_provider-…`, ready made.
static PASSED_ON: [(&[u8], HeaderName, HeaderName); 8] = [
    ready("x-ratelimit-limit-requests", "llm_provider-x-ratelimit-limit-requests"),
    ready("x-ratelimit-limit-tokens", "llm_provider-x-ratelimit-limit-tokens"),
    ready("x-ratelimit-remaining-requests", "llm_provider-x-ratelimit-remaining-requests"),
    ready("x-ratelimit-remaining-tokens", "llm_provider-x-ratelimit-remaining-tokens"),
    ready("x-ratelimit-reset-requests", "llm_provider-x-ratelimit-reset-requests"),
    ready("x-ratelimit-reset-tokens", "llm_provider-x-ratelimit-reset-tokens"),
    ready("openai-processing-ms", "llm_provider-openai-processing-ms"),
    ready("x-request-id", "llm_provider-x-request-id"),
];

const fn ready(
    name: &'static str,
    prefixed: &'static str,
) -> (&'static [u8], HeaderName, HeaderName) {
    (name.as_bytes(), HeaderName::from_static(name), HeaderName::from_static(prefixed))
}

/// For an upstream header that the client sees, its name and the same with `llm_provider-` before
/// it: rate limits, and what is [ready](PASSED_ON).
fn passed_on(name: &[u8]) -> Option<(HeaderName, HeaderName)> {
    if let Some((_, plain, prefixed)) = PASSED_ON.iter().find(|(ready, ..)| *ready == name) {
        return Some((plain.clone(), prefixed.clone()));
    }
    if !is_rate_limit(name) && !name.starts_with(b"anthropic-ratelimit-") {
        return None;
    }
    let prefixed = HeaderName::from_bytes(&[b"llm_provider-", name].concat()).ok()?;
    Some((HeaderName::from_bytes(name).ok()?, prefixed))
}

/// These are shown under their own names too.
fn is_rate_limit(name: &[u8]) -> bool {
    name.starts_with(b"x-ratelimit-")
}

/// An answer on its way out.
pub type Outgoing = Response<OutBody>;

/// The body of an answer.
pub enum OutBody {
    /// All of it.
    Whole(Bytes),
    /// A stream.
    Live(Box<LiveBody>),
    /// A stream of an answer that its provider keeps.
    Resumed(Box<Resumed>),
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
            OutBody::Resumed(resumed) => Pin::new(resumed.as_mut()).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            OutBody::Whole(bytes) => bytes.is_empty(),
            OutBody::Live(_) | OutBody::Resumed(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            OutBody::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            OutBody::Live(_) | OutBody::Resumed(_) => SizeHint::default(),
        }
    }
}

/// The answer of the target that answered. A whole answer's tab is settled here, and its row is to
/// be made durable before the answer goes out; a stream's closes with its body.
pub fn answer(mut tab: Tab, live: Live, shown_model: &str) -> Outgoing {
    let now = tab.draft().started.after(live.answered_after);
    tab::enter(&mut tab, &live, now);
    let Live { exchange, answer, target, upstream_headers, status, retries, fallbacks, .. } = live;
    let dropped = Some(exchange.dropped()).filter(|dropped| !dropped.is_empty());
    let dropped = dropped.map(|dropped| dropped.join(","));
    tab.attach(exchange, Arc::clone(&target));
    let streamed = matches!(answer, Answer::Stream { .. });
    if !streamed {
        tab.settle_at(Outcome::Ok, now);
    }
    let mut headers = Lines::new();
    let content_type = if streamed { tab.stream_type } else { "application/json" };
    headers.push(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if streamed {
        headers.push(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.push(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
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
    *out.headers_mut() = headers.into_map();
    out
}

/// The headers that say who the request was and what it cost.
fn account(tab: &mut Tab, headers: &mut Lines, streamed: bool, now: Now) {
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

fn identify(headers: &mut Lines, id: Uuid) {
    let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
    let text: &str = id.as_hyphenated().encode_lower(&mut text);
    // Twice: a copy of a value that is not shared yet costs more than another one.
    set(headers, X_REQUEST_ID, text);
    set(headers, X_LITELLM_CALL_ID, text);
    headers.push(
        X_LITELLM_VERSION,
        HeaderValue::from_static(concat!("tollgate-", env!("CARGO_PKG_VERSION"))),
    );
}

fn pass_on(upstream: &Headers, headers: &mut Lines) {
    upstream.for_each(|name, value| {
        let Some((plain, prefixed)) = passed_on(name) else { return };
        let Some(value) = value.shared() else { return };
        if is_rate_limit(name) {
            headers.push(plain, value.clone());
        }
        headers.push(prefixed, value);
    });
}

fn set(headers: &mut Lines, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.push(name, value);
    }
}

fn amount(headers: &mut Lines, name: HeaderName, amount: Nano) {
    if let Ok(value) = HeaderValue::try_from(amount.usd_text()) {
        headers.push(name, value);
    }
}

fn number(headers: &mut Lines, name: HeaderName, n: u64) {
    let value = match n {
        0 => HeaderValue::from_static("0"),
        1 => HeaderValue::from_static("1"),
        _ => HeaderValue::from(n),
    };
    headers.push(name, value);
}

/// An answer that no target had to give.
pub(crate) fn whole(body: Bytes, id: Uuid) -> Outgoing {
    let mut headers = Lines::new();
    headers.push(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    identify(&mut headers, id);
    let mut out = Response::new(OutBody::Whole(body));
    *out.headers_mut() = headers.into_map();
    out
}

/// The stream of an answer that its provider keeps.
pub(crate) fn resumed(body: Resumed, id: Uuid) -> Outgoing {
    let mut headers = Lines::new();
    let events = HeaderValue::from_static("text/event-stream; charset=utf-8");
    headers.push(header::CONTENT_TYPE, events);
    headers.push(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.push(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    identify(&mut headers, id);
    let mut out = Response::new(OutBody::Resumed(Box::new(body)));
    *out.headers_mut() = headers.into_map();
    out
}

/// A refusal in the client's dialect.
pub fn refuse(surface: Dialect, why: &Refusal, id: Uuid) -> Outgoing {
    let (status, body): (StatusCode, Bytes) = exchange::refusal(surface, why);
    let mut headers = Lines::new();
    headers.push(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    identify(&mut headers, id);
    if let Some(seconds) = why.retry_after_s {
        headers.push(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    let mut out = Response::new(OutBody::Whole(body));
    *out.status_mut() = status;
    *out.headers_mut() = headers.into_map();
    out
}
