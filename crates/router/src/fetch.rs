//! One document by GET: what is not a model's answer.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use tokio::time::Instant;
use tollgate_wire::{Call, Fault, FaultKind};

use crate::{Client, Timeouts, UpstreamBody, body::Watch};

/// As much of an error answer is shown.
const MAX_SHOWN: usize = 200;

/// Gets `url`, at most `cap` bytes within `time`. Redirects are not followed.
pub async fn fetch(
    client: &Client,
    url: &str,
    headers: Vec<(HeaderName, HeaderValue)>,
    cap: usize,
    time: Duration,
) -> Result<Bytes, Fault> {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url.get(start..).and_then(|rest| rest.find(['/', '?'])).map(|at| start + at);
    let (base, path) = url.split_at_checked(end.unwrap_or(url.len())).unwrap_or((url, ""));
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let now = Instant::now();
    let limit = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let limits =
        Timeouts { first_byte_ms: limit, idle_ms: limit, total_ms: limit, ..Timeouts::default() };
    let mut watch = Watch::new(limits, now, now + time);
    let connect = Duration::from_millis(limits.connect_ms);
    let call = Call { path, headers, body: Vec::new() };
    let answer = watch.guard(client.send(&Arc::from(base), call, connect, now)).await?;
    let mut body = UpstreamBody::new(answer.body, watch);
    if answer.status.is_success() {
        return body.whole(cap).await;
    }
    let said = body.start_of(MAX_SHOWN, Duration::from_secs(2)).await;
    let said = String::from_utf8_lossy(&said);
    Err(Fault {
        status: Some(answer.status.as_u16()),
        ..Fault::new(
            FaultKind::BadResponse,
            format!("the answer has status {}: {}", answer.status.as_u16(), said.trim()),
        )
    })
}
