//! Answers that have to be fetched: a target that answers a request with a job is asked for what
//! comes of it, within the time limits of the attempt.
//!
//! Only targets whose dialect has jobs come here. A job that nobody waits for any more, because the
//! client hung up or the time is over, is called off: once, without waiting for the answer, in a
//! task that ends by itself after some seconds.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::{Method, StatusCode};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep, timeout},
};
use tollgate_wire::{
    Call, Exchange, Fault, FaultKind, Secret, Target, dialect,
    exchange::follow::{Asked, Follow, Next, Tail},
};

use crate::{
    Answer, BoxFuture, Client, Timeouts, UpstreamBody,
    answer::{self, MAX_WHOLE},
    attempt::Ask,
    body::Watch,
    client::{Headers, UpstreamResponse},
    sign::{self, Desk},
};

/// As long is waited for the name of a job that nobody wants any more, and for it to be called off.
const LEAVE: Duration = Duration::from_secs(10);
/// As long is waited for the figures of a stream that is over.
const TAIL: Duration = Duration::from_secs(2);
/// Waits before each question for them, in milliseconds: they may be a moment behind the stream.
const TAIL_WAITS_MS: [u64; 4] = [0, 100, 300, 600];

/// As often a question about a job is put again, and the first wait before, in milliseconds.
const MISSES: u64 = 3;
const MISSED_MS: u64 = 250;

/// Who is called, from wherever a request may still be followed.
struct Caller {
    /// Shares the connections of the request's own thread to the target's base.
    client: Client,
    to: Arc<Target>,
    connect: Duration,
    /// The time, in seconds since 1970, and the same moment on the clock that never jumps.
    began: (u64, Instant),
}

impl Caller {
    /// Sends a call; signed where it goes to the target's base and that wants it. Gives what must
    /// not be shown of the signature, too.
    async fn send(
        &self,
        client: &Client,
        method: Method,
        base: &Arc<str>,
        mut call: Call,
    ) -> Result<Sent, Fault> {
        let now = Instant::now();
        let mut token = None;
        if let Some(login) = self.to.login.as_ref().filter(|_| *base == self.to.base) {
            let now_s = self.began.0 + now.duration_since(self.began.1).as_secs();
            let desk = Desk { client, now_s, now };
            token = sign::sign(desk, login, &self.to, &method, &mut call).await?;
        }
        let response = client.send_as(method, base, call, self.connect, now).await?;
        Ok((response, token))
    }

    /// A whole answer of the target's base, whatever its status.
    async fn ask(&self, method: Method, call: Call) -> Result<(StatusCode, Bytes), Fault> {
        let (response, _) = self.send(&self.client, method, &self.to.base, call).await?;
        Ok((response.status, whole(response).await?))
    }
}

async fn whole(response: UpstreamResponse) -> Result<Bytes, Fault> {
    let now = Instant::now();
    let watch = Watch::new(Timeouts::default(), now, now + LEAVE);
    UpstreamBody::new(response.body, watch).whole(MAX_WHOLE).await
}

/// A job that runs. Dropped before it is over, it is called off.
struct Job {
    caller: Arc<Caller>,
    cancel: Option<Call>,
}

impl Job {
    fn is_over(&mut self) {
        self.cancel = None;
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        let Some(cancel) = self.cancel.take() else { return };
        // There is none where the process ends.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let caller = Arc::clone(&self.caller);
        runtime.spawn(async move { call_off(&caller, cancel).await });
    }
}

async fn call_off(caller: &Caller, cancel: Call) {
    let id = &*caller.to.id;
    match timeout(LEAVE, caller.ask(Method::POST, cancel)).await {
        Ok(Ok((status, _))) => {
            tracing::debug!(target.id = id, status = status.as_u16(), "a job was called off");
        }
        Ok(Err(fault)) => {
            tracing::debug!(target.id = id, kind = ?fault.kind, "a job was not called off");
        }
        Err(_) => tracing::debug!(target.id = id, "a job was not called off in time"),
    }
}

/// Asks `to` and follows the job that it answers with. Boxed, and here, as [`sign::sign`] is.
#[inline(never)]
pub(crate) fn call<'a>(
    ask: &'a Ask<'a>,
    exchange: &'a mut dyn Exchange,
    to: &'a Arc<Target>,
    request: Call,
    clocks: (Duration, Watch),
    token: &'a mut Option<Secret>,
) -> BoxFuture<'a, Result<(Answer, StatusCode, Headers), Fault>> {
    Box::pin(followed(ask, exchange, to, request, clocks, token))
}

async fn followed(
    ask: &Ask<'_>,
    exchange: &mut dyn Exchange,
    to: &Arc<Target>,
    request: Call,
    (connect, mut watch): (Duration, Watch),
    token: &mut Option<Secret>,
) -> Result<(Answer, StatusCode, Headers), Fault> {
    let client = ask.client.at(&to.base)?;
    let began = (ask.now_ms / 1_000, Instant::now());
    let caller = Arc::new(Caller { client, to: Arc::clone(to), connect, began });
    let stream = ask.payload.peek.stream;
    let mut response = watch.guard(begin(&caller, request)).await?;
    let mut job: Option<Job> = None;
    let mut tail = None;
    loop {
        *token = response.1.or(token.take());
        let UpstreamResponse { status, headers, body } = response.0;
        let mut body = UpstreamBody::new(body, watch);
        let is_stream = stream && tail.is_some() && answer::is_stream(&headers);
        if !status.is_success() || answer::is_packed(&headers) || is_stream {
            if let (Some(job), Some(tail)) = (job.take(), tail.take()) {
                body.follow(Running::new(job, tail));
            }
            let answer = answer::read(exchange, status, &headers, body, stream).await?;
            return Ok((answer, StatusCode::OK, headers));
        }
        let bytes = body.whole(MAX_WHOLE).await?;
        watch = body.into_watch();
        let follow = match next(exchange, &bytes, to, job.as_mut())? {
            Next::Ask(follow) => *follow,
            Next::Answer => {
                let answer = answer::whole(exchange, &headers, bytes, stream)?;
                return Ok((answer, StatusCode::OK, headers));
            }
            Next::Stream(told) => {
                let mut first = BytesMut::new();
                exchange.push(&told, &mut first)?;
                let body = UpstreamBody::over(watch);
                return Ok((Answer::Stream { first, body }, StatusCode::OK, headers));
            }
        };
        job.get_or_insert_with(|| Job {
            caller: Arc::clone(&caller),
            cancel: Some(follow.cancel.clone()),
        });
        (response, tail) = fetch(&caller, ask.client, &mut watch, follow).await?;
    }
}

/// An answer's head, and what must not be shown of the call's signature.
type Sent = (UpstreamResponse, Option<Secret>);

/// Asks what is to be asked next. A question that fails is put again, for the job goes on; and
/// where a stream cannot be read, the job is asked about instead. Gives the tail of what is a stream.
async fn fetch(
    caller: &Caller,
    client: &Client,
    watch: &mut Watch,
    follow: Follow,
) -> Result<(Sent, Option<Tail>), Fault> {
    let Follow { mut base, mut call, after_ms: mut wait_ms, mut stream, .. } = follow;
    let mut misses = 0;
    loop {
        let asked = async {
            sleep(Duration::from_millis(wait_ms)).await;
            caller.send(client, Method::GET, &base, call.clone()).await
        };
        let sent = watch.guard(asked).await;
        misses += 1;
        if misses > MISSES || !is_missed(&sent, stream.is_some()) {
            return sent.map(|sent| (sent, stream));
        }
        wait_ms = MISSED_MS * misses;
        if let Some(tail) = stream.take() {
            (base, call) = (caller.to.base.clone(), tail.call);
        }
    }
}

/// Whether a question is to be put again: the upstream is in trouble, or a stream is not there.
fn is_missed(sent: &Result<Sent, Fault>, of_stream: bool) -> bool {
    use FaultKind as K;
    match sent {
        Ok((UpstreamResponse { status, .. }, _)) => {
            let trouble = status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS;
            trouble || (of_stream && !status.is_success())
        }
        // Time is over.
        Err(fault) => !matches!(fault.kind, K::FirstByteTimeout | K::IdleTimeout | K::Deadline),
    }
}

/// What follows an answer. A job that is told to be at its end is not called off.
fn next(
    exchange: &mut dyn Exchange,
    body: &[u8],
    to: &Target,
    job: Option<&mut Job>,
) -> Result<Next, Fault> {
    let next = exchange.follow(body, to);
    let runs = match &next {
        Ok(Next::Ask(_)) => true,
        Ok(Next::Answer | Next::Stream(_)) => false,
        Err(fault) => fault.kind == FaultKind::BadResponse,
    };
    if let Some(job) = job.filter(|_| !runs) {
        job.is_over();
    }
    next
}

/// Sends the request that begins a job. Whoever leaves before it is answered leaves a task that
/// learns the job's name and calls it off.
async fn begin(caller: &Arc<Caller>, request: Call) -> Result<Sent, Fault> {
    let (mut gives, takes) = oneshot::channel();
    let caller = Arc::clone(caller);
    tokio::spawn(async move {
        let sent = caller.send(&caller.client, Method::POST, &caller.to.base, request);
        let mut sent = std::pin::pin!(sent);
        let sent = tokio::select! {
            sent = &mut sent => match gives.send(sent) {
                Ok(()) => return,
                Err(left) => Ok(left),
            },
            () = gives.closed() => timeout(LEAVE, sent).await,
        };
        if let Ok(Ok((response, _))) = sent {
            leave(&caller, response).await;
        }
    });
    takes.await.unwrap_or_else(|_| Err(Fault::new(FaultKind::Disconnected, "nobody has asked")))
}

/// Calls off the job that an answer tells of, which nobody has waited for.
async fn leave(caller: &Caller, response: UpstreamResponse) {
    let Some(upstream) = dialect::upstream(caller.to.dialect) else { return };
    if !response.status.is_success() {
        return;
    }
    let Ok(body) = whole(response).await else { return };
    let asked = Asked { to: &caller.to, stream: false, times: 0 };
    if let Ok(Next::Ask(follow)) = upstream.follow(&body, asked) {
        call_off(caller, follow.cancel).await;
    }
}

/// What comes of a stream that is over.
type Fetch = Pin<Box<dyn Future<Output = Option<Bytes>> + Send>>;

/// A job whose stream is read.
pub(crate) struct Running {
    job: Job,
    /// Gone once the stream is over.
    tail: Option<Tail>,
    fetch: Option<Fetch>,
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").finish_non_exhaustive()
    }
}

impl Running {
    fn new(job: Job, tail: Tail) -> Self {
        Running { job, tail: Some(tail), fetch: None }
    }

    /// Whether the stream itself is yet to be read.
    pub(crate) fn is_read(&self) -> bool {
        self.tail.is_some()
    }

    /// A piece of the stream has come, or its end: `None`.
    pub(crate) fn hear(&mut self, piece: Option<&[u8]>) {
        let Some(tail) = &mut self.tail else { return };
        match piece {
            Some(piece) if !(tail.ends)(piece) => return,
            Some(_) => self.job.is_over(),
            None => {}
        }
        if let Some(Tail { call, read, .. }) = self.tail.take() {
            self.fetch = Some(Box::pin(figures(Arc::clone(&self.job.caller), call, read)));
        }
    }

    /// What the stream has not said, once it is over.
    pub(crate) fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let Some(fetch) = &mut self.fetch else { return Poll::Ready(None) };
        let found = std::task::ready!(fetch.as_mut().poll(cx));
        self.fetch = None;
        if found.is_some() {
            self.job.is_over();
        }
        Poll::Ready(found)
    }
}

/// Asks for the figures until the job is at its end, for a moment: without them they are
/// estimated.
async fn figures(
    caller: Arc<Caller>,
    call: Call,
    read: fn(&[u8]) -> Option<Bytes>,
) -> Option<Bytes> {
    let asking = async {
        for wait_ms in TAIL_WAITS_MS {
            sleep(Duration::from_millis(wait_ms)).await;
            let answered = caller.ask(Method::GET, call.clone()).await.ok()?;
            let body = Some(answered).filter(|(status, _)| status.is_success())?.1;
            if let Some(told) = read(&body) {
                return Some(told);
            }
        }
        None
    };
    timeout(TAIL, asking).await.ok().flatten()
}
