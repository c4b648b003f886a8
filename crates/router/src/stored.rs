//! What a provider keeps: asked for at one target, once.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use tokio::time::Instant;
use tollgate_wire::{Call, Fault, FaultKind, Target, dialect};

use crate::{
    Client, Timeouts, UpstreamBody, answer,
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
    call: Call,
    limits: Timeouts,
    now_s: u64,
) -> Result<Bytes, Fault> {
    let asked = Asked { client, method, to, limits, now_s };
    asked.ask(call, async |mut body, _| body.whole(MAX_WHOLE).await).await
}

/// The same for a stream, of which nothing is read yet.
pub async fn stream(
    client: &Client,
    to: &Target,
    call: Call,
    limits: Timeouts,
    now_s: u64,
) -> Result<UpstreamBody, Fault> {
    let asked = Asked { client, method: Method::GET, to, limits, now_s };
    let begin = async |mut body: UpstreamBody, streamed: bool| {
        if !streamed {
            let message = "a stream was asked for, and a whole answer came";
            return Err(Fault::new(FaultKind::BadResponse, message));
        }
        body.run();
        Ok(body)
    };
    asked.ask(call, begin).await
}

/// What is asked for, and of whom.
struct Asked<'a> {
    client: &'a Client,
    method: Method,
    to: &'a Target,
    limits: Timeouts,
    now_s: u64,
}

impl Asked<'_> {
    /// Sends `call` and has a good answer's body read; told is whether it is a stream.
    async fn ask<T>(
        self,
        mut call: Call,
        read: impl AsyncFnOnce(UpstreamBody, bool) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let Asked { client, method, to, limits, now_s } = self;
        let now = Instant::now();
        let deadline = now + Duration::from_millis(limits.total_ms);
        let connect = Duration::from_millis(limits.connect_ms);
        let mut watch = Watch::new(limits, now, deadline);
        let mut token = None;
        let sent = async {
            if let Some(login) = &to.login {
                let desk = Desk { client, now_s, now };
                token = sign::sign(desk, login, to, &method, &mut call).await?;
            }
            client.send_as(method, &to.base, call, connect, now).await
        };
        let answered = match watch.guard(sent).await {
            Ok(UpstreamResponse { status, headers, body }) => {
                let mut body = UpstreamBody::new(body, watch);
                if status.is_success() {
                    read(body, answer::is_stream(&headers)).await
                } else {
                    let body = body.whole(MAX_WHOLE).await;
                    body.and_then(|body| Err(dialect::fault(status, &headers.to_map(), &body)))
                }
            }
            Err(fault) => Err(fault),
        };
        answered.map_err(|fault| {
            if let (FaultKind::Credential, Some(login)) = (fault.kind, &to.login) {
                sign::refused(client, login);
            }
            scrubbed(scrubbed(fault, to.credential.as_ref()), token.as_ref())
        })
    }
}
