//! What a provider keeps: asked for at one target, once.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use tokio::time::Instant;
use tollgate_wire::{Call, Fault, Target, dialect};

use crate::{Client, Timeouts, UpstreamBody, body::Watch, client::UpstreamResponse};

/// Largest answer.
const MAX_WHOLE: usize = 64 * 1024 * 1024;

/// Sends `call` and reads the whole answer. An error answer is a fault.
pub async fn fetch(
    client: &Client,
    method: Method,
    to: &Target,
    call: Call,
    limits: Timeouts,
) -> Result<Bytes, Fault> {
    let now = Instant::now();
    let deadline = now + Duration::from_millis(limits.total_ms);
    let connect = Duration::from_millis(limits.connect_ms);
    let mut watch = Watch::new(limits, now, deadline);
    let sent = watch.guard(client.send_as(method, &to.base, call, connect, now)).await;
    let UpstreamResponse { status, headers, body } = sent?;
    let body = UpstreamBody::new(body, watch).whole(MAX_WHOLE).await?;
    if status.is_success() {
        Ok(body)
    } else {
        Err(dialect::fault(status, &headers.to_map(), &body))
    }
}
