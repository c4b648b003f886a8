//! What a provider keeps: asked for at one target, once.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use tokio::time::Instant;
use tollgate_wire::{Call, Fault, FaultKind, Target, dialect};

use crate::{
    Client, Timeouts, UpstreamBody,
    attempt::scrubbed,
    body::Watch,
    client::UpstreamResponse,
    sign::{self, Desk},
};

/// Largest answer.
const MAX_WHOLE: usize = 64 * 1024 * 1024;

/// Sends `call`, signed if the target wants that, and reads the whole answer. An error answer is a
/// fault. `now_s` is the time, in seconds since 1970.
pub async fn fetch(
    client: &Client,
    method: Method,
    to: &Target,
    mut call: Call,
    limits: Timeouts,
    now_s: u64,
) -> Result<Bytes, Fault> {
    let now = Instant::now();
    let deadline = now + Duration::from_millis(limits.total_ms);
    let connect = Duration::from_millis(limits.connect_ms);
    let mut watch = Watch::new(limits, now, deadline);
    let mut token = None;
    let sent = async {
        if let Some(login) = &to.login {
            let desk = Desk { client, now_s, now };
            token = Box::pin(sign::sign(desk, login, to, &method, &mut call)).await?;
        }
        client.send_as(method, &to.base, call, connect, now).await
    };
    let fetched = match watch.guard(sent).await {
        Ok(UpstreamResponse { status, headers, body }) => {
            let body = UpstreamBody::new(body, watch).whole(MAX_WHOLE).await;
            body.and_then(|body| match status.is_success() {
                true => Ok(body),
                false => Err(dialect::fault(status, &headers.to_map(), &body)),
            })
        }
        Err(fault) => Err(fault),
    };
    fetched.map_err(|fault| {
        if let (FaultKind::Credential, Some(login)) = (fault.kind, &to.login) {
            sign::refused(client, login);
        }
        scrubbed(scrubbed(fault, to.credential.as_ref()), token.as_ref())
    })
}
