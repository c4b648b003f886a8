//! Reading one upstream's answer, until something of it may be shown to the client or it turns out
//! to be a fault.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{StatusCode, header};
use tollgate_wire::{Exchange, Fault, FaultKind};

use crate::{Answer, UpstreamBody, client::Headers};

/// Largest answer that is not streamed.
pub(crate) const MAX_WHOLE: usize = 64 * 1024 * 1024;
/// As much of an error answer's body is read.
const MAX_ERROR_BODY: usize = 64 * 1024;
/// As long is waited for an error answer's body.
const ERROR_BODY_TIME: Duration = Duration::from_secs(5);
/// As much of a stream may come without an event in it.
const MAX_BEFORE_EVENT: usize = 4 * 1024 * 1024;

/// Reads an answer until the client may see something of it.
pub(crate) async fn read(
    exchange: &mut dyn Exchange,
    status: StatusCode,
    headers: &Headers,
    mut body: UpstreamBody,
    stream: bool,
) -> Result<Answer, Fault> {
    let packed = is_packed(headers);
    if status.is_success() {
        if packed {
            let message = "the answer is compressed, which was not asked for";
            return Err(Fault::new(FaultKind::BadResponse, message));
        }
        if stream && is_stream(headers) {
            return begin(exchange, body).await;
        }
        return whole(exchange, headers, body.whole(MAX_WHOLE).await?, stream);
    }
    if status.is_redirection() {
        return Err(Fault {
            status: Some(status.as_u16()),
            ..Fault::new(FaultKind::Redirect, "the answer is a redirect, which is not followed")
        });
    }
    if !status.is_client_error() && !status.is_server_error() {
        return Err(Fault {
            status: Some(status.as_u16()),
            ..Fault::new(FaultKind::BadResponse, "the status is none of HTTP's")
        });
    }
    let mut body = body.start_of(MAX_ERROR_BODY, ERROR_BODY_TIME).await;
    if packed {
        body.clear();
    }
    let fault = exchange.fault(status, &headers.to_map(), body);
    let retry_after_ms = fault.retry_after_ms.or_else(|| retry_after_date_ms(headers));
    Err(Fault { retry_after_ms, ..fault })
}

/// Reads an answer that came whole.
pub(crate) fn whole(
    exchange: &mut dyn Exchange,
    headers: &Headers,
    body: Bytes,
    stream: bool,
) -> Result<Answer, Fault> {
    let wrong = if stream {
        "a stream was asked for, and a whole answer came".to_owned()
    } else {
        match exchange.reply(body.clone()) {
            Ok(reply) => return Ok(Answer::Whole(reply)),
            Err(why) => why.message,
        }
    };
    Err(misunderstood(exchange, headers, [body], wrong))
}

/// The answers to several calls, which came whole.
pub(crate) fn joined(
    exchange: &mut dyn Exchange,
    headers: &Headers,
    bodies: Vec<Bytes>,
) -> Result<Answer, Fault> {
    match exchange.join(&bodies) {
        Ok(reply) => Ok(Answer::Whole(reply)),
        Err(why) => Err(misunderstood(exchange, headers, bodies, why.message)),
    }
}

/// What is wrong with successful answers: an error in one of them, or else `wrong`.
fn misunderstood(
    exchange: &dyn Exchange,
    headers: &Headers,
    bodies: impl IntoIterator<Item = Bytes>,
    wrong: String,
) -> Fault {
    let mut bodies = bodies.into_iter();
    match bodies.find_map(|body| Some((error_in_disguise(&body)?, body))) {
        Some((status, body)) => exchange.fault(status, &headers.to_map(), body),
        None => Fault::new(FaultKind::BadResponse, wrong),
    }
}

/// Reads a stream to its first event.
async fn begin(exchange: &mut dyn Exchange, mut body: UpstreamBody) -> Result<Answer, Fault> {
    let mut first = BytesMut::new();
    let mut read = 0;
    while let Some(piece) = body.next().await.transpose()? {
        // An error event in the same piece as the first event still finds the client unaware.
        exchange.push(&piece, &mut first)?;
        if exchange.begun() {
            body.run();
            return Ok(Answer::Stream { first, body });
        }
        read += piece.len();
        if read > MAX_BEFORE_EVENT {
            return Err(Fault::new(FaultKind::BadResponse, "a stream without events"));
        }
    }
    exchange.end(&mut first)?;
    Err(Fault::new(FaultKind::BadResponse, "the stream ended before its first event"))
}

/// Whether the body is compressed: we ask for none of that, and unpack nothing.
pub(crate) fn is_packed(headers: &Headers) -> bool {
    headers
        .get(&header::CONTENT_ENCODING)
        .is_some_and(|coding| !coding.eq_ignore_ascii_case(b"identity"))
}

/// Whether an answer's type allows that it is a stream. Some servers give none, or plain text.
pub(crate) fn is_stream(headers: &Headers) -> bool {
    let Some(value) = headers.get(&header::CONTENT_TYPE) else { return true };
    let essence = value.split(|byte| *byte == b';').next().unwrap_or_default();
    let essence = essence.trim_ascii();
    essence.eq_ignore_ascii_case(b"text/event-stream")
        || essence.eq_ignore_ascii_case(b"application/x-ndjson")
        || essence.eq_ignore_ascii_case(b"text/plain")
        || essence.eq_ignore_ascii_case(b"application/vnd.amazon.eventstream")
}

/// The status that a successful answer with an `error` object in it should have had: the object's
/// own numeric `code`, else 500.
fn error_in_disguise(body: &[u8]) -> Option<StatusCode> {
    #[derive(serde::Deserialize)]
    struct Probe<'a> {
        #[serde(borrow)]
        error: Option<&'a serde_json::value::RawValue>,
    }
    #[derive(serde::Deserialize)]
    struct Inner {
        code: Option<serde_json::Value>,
    }
    let error = serde_json::from_slice::<Probe<'_>>(body).ok()?.error?.get();
    if error == "null" {
        return None;
    }
    let code = serde_json::from_str::<Inner>(error).ok().and_then(|inner| inner.code);
    let own = code
        .and_then(|code| u16::try_from(code.as_u64()?).ok())
        .and_then(|code| StatusCode::from_u16(code).ok())
        .filter(|code| code.is_client_error() || code.is_server_error());
    Some(own.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
}

/// `Retry-After` as a date, counted from the answer's own `Date`: no clock of ours is in it.
fn retry_after_date_ms(headers: &Headers) -> Option<u64> {
    let date = |name| httpdate::parse_http_date(headers.text(name)?).ok();
    let until = date(&header::RETRY_AFTER)?;
    let since = date(&header::DATE)?;
    u64::try_from(until.duration_since(since).unwrap_or_default().as_millis()).ok()
}
