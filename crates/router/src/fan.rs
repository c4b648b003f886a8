//! Requests that take several calls: a list, of a place that takes one item a call.
//!
//! The calls are made side by side, a few at a time, within the time limits of one attempt and with
//! its one place at the target. Their answers are joined in the order of the calls. The first that
//! fails fails the attempt, and the others are hung up on: what they have cost is the house's loss.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::{Method, StatusCode};
use tokio::time::Instant;
use tollgate_wire::{Call, Exchange, Fault, FaultKind, Secret, Target};

use crate::{
    Answer, BoxFuture, Timeouts, UpstreamBody,
    answer::{self, MAX_WHOLE},
    attempt::Ask,
    body::{Watch, too_large},
    client::{Headers, UpstreamResponse},
    sign::{self, Desk},
};

/// Most calls of one request at a time.
const AT_ONCE: usize = 8;
/// Largest of their answers. All together are bounded as one answer is.
const MAX_PART: usize = MAX_WHOLE / AT_ONCE;

/// The time limits of an attempt.
#[derive(Clone, Copy)]
pub(crate) struct Clocks {
    pub(crate) limits: Timeouts,
    pub(crate) connect: Duration,
    /// When the attempt began.
    pub(crate) now: Instant,
    /// The end of the whole request.
    pub(crate) deadline: Instant,
}

impl Clocks {
    fn watch(&self) -> Watch {
        Watch::new(self.limits, self.now, self.deadline)
    }
}

/// One answer.
struct Part {
    status: StatusCode,
    headers: Headers,
    /// What must not be shown of the call's signature.
    token: Option<Secret>,
    /// Whole, or as it is, where it is no success.
    body: Result<Bytes, UpstreamBody>,
}

/// Makes all of `calls`. Boxed, and here, as [`sign::sign`] is.
#[inline(never)]
pub(crate) fn call<'a>(
    ask: &'a Ask<'a>,
    exchange: &'a mut dyn Exchange,
    to: &'a Arc<Target>,
    calls: Vec<Call>,
    clocks: Clocks,
    token: &'a mut Option<Secret>,
) -> BoxFuture<'a, Result<(Answer, StatusCode, Headers), Fault>> {
    Box::pin(fanned(ask, exchange, to, calls, clocks, token))
}

async fn fanned(
    ask: &Ask<'_>,
    exchange: &mut dyn Exchange,
    to: &Arc<Target>,
    calls: Vec<Call>,
    clocks: Clocks,
    token: &mut Option<Secret>,
) -> Result<(Answer, StatusCode, Headers), Fault> {
    let mut watch = clocks.watch();
    let mut bodies = Vec::with_capacity(calls.len());
    let mut room = MAX_WHOLE;
    let mut head = None;
    let numbered = |(at, call)| async move { one(ask, to, call, clocks).await.map(|it| (at, it)) };
    let calls = stream::iter(calls.into_iter().enumerate());
    // In any order: a failure is to be known as soon as it is there.
    let mut parts = calls.map(numbered).buffer_unordered(AT_ONCE);
    while let Some((at, part)) = watch.guard(parts.try_next()).await? {
        *token = part.token.or(token.take());
        match part.body {
            Ok(body) => {
                room = room.checked_sub(body.len()).ok_or_else(|| too_large(MAX_WHOLE))?;
                bodies.push((at, body));
                head.get_or_insert((part.status, part.headers));
            }
            Err(body) => {
                let answer =
                    answer::read(exchange, part.status, &part.headers, body, false).await?;
                return Ok((answer, part.status, part.headers));
            }
        }
    }
    drop(parts);
    let Some((status, headers)) = head else {
        return Err(Fault::new(FaultKind::BadResponse, "nothing was asked"));
    };
    bodies.sort_unstable_by_key(|(at, _)| *at);
    let bodies = bodies.into_iter().map(|(_, body)| body).collect();
    let answer = answer::joined(exchange, &headers, bodies)?;
    Ok((answer, status, headers))
}

async fn one(
    ask: &Ask<'_>,
    to: &Arc<Target>,
    mut call: Call,
    clocks: Clocks,
) -> Result<Part, Fault> {
    let now = Instant::now();
    let mut token = None;
    if let Some(login) = &to.login {
        let now_s = (ask.now_ms / 1_000).saturating_add(now.duration_since(clocks.now).as_secs());
        let desk = Desk { client: ask.client, now_s, now };
        token = sign::sign(desk, login, to, &Method::POST, &mut call).await?;
    }
    let response = ask.client.send(&to.base, call, clocks.connect, now).await?;
    let UpstreamResponse { status, headers, body } = response;
    let mut body = UpstreamBody::new(body, clocks.watch());
    let body = match status.is_success() && !answer::is_packed(&headers) {
        true => Ok(body.whole(MAX_PART).await?),
        false => Err(body),
    };
    Ok(Part { status, headers, token, body })
}
