//! A scripted upstream: OpenAI's chat completions and Anthropic's messages, whole and streamed,
//! answered at once or at a pace that the model's name sets (`bench-d50-g10-c100`: 50 ms until the
//! first byte, 10 ms between events, 100 events), as cheaply as one thread of hyper can.

use std::{
    borrow::Cow, cell::RefCell, collections::HashMap, convert::Infallible, io, net::SocketAddr,
    pin::Pin, rc::Rc, task::Context, task::Poll,
};

use anyhow::Context as _;
use clap::Parser;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};
use http_body_util::{BodyExt, Limited};
use hyper::{
    body::{Body, Bytes, Frame, Incoming, SizeHint},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::{
    net::TcpStream,
    task::LocalSet,
    time::{Instant, Sleep, sleep, sleep_until},
};
use tollgate_bench::{Dialect, answers, listen::listen, script::Script};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A request body longer than this is refused.
const LONGEST_BODY: usize = 64 * 1024 * 1024;

/// Answers kept made, by model name; more names than this and they are made anew.
const MOST_KEPT: usize = 1024;

/// A scripted upstream that speaks OpenAI's and Anthropic's chat.
#[derive(Debug, Parser)]
struct Args {
    /// Where to listen.
    #[arg(long)]
    listen: SocketAddr,
}

/// What the script needs of a request; the rest is skipped.
#[derive(Deserialize)]
struct Ask<'a> {
    #[serde(borrow)]
    model: Cow<'a, str>,
    #[serde(default)]
    stream: bool,
    #[serde(default)]
    stream_options: StreamOptions,
}

#[derive(Default, Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

/// Which made answer is meant: by model, streamed or not, with usage or not.
type Name = (Dialect, String, bool, bool);

struct Upstream {
    headers: HeaderMap,
    made: RefCell<HashMap<Name, Rc<[Bytes]>>>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let upstream = Rc::new(Upstream { headers: headers(), made: RefCell::default() });
        let listener = listen(args.listen).context("cannot listen")?;
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            tokio::task::spawn_local(connection(upstream.clone(), stream));
        }
    })
}

async fn connection(upstream: Rc<Upstream>, stream: TcpStream) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let service = service_fn(|request| {
        let upstream = upstream.clone();
        async move { Ok::<_, Infallible>(upstream.answer(request).await) }
    });
    // However a connection ends, it ends; the load generator counts what was not answered.
    let _ended = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

impl Upstream {
    async fn answer(&self, request: Request<Incoming>) -> Response<Answer> {
        let dialect = match (request.method(), request.uri().path()) {
            (&Method::POST, "/v1/chat/completions" | "/chat/completions") => Dialect::Openai,
            (&Method::POST, "/v1/messages" | "/messages") => Dialect::Anthropic,
            _ => return refusal(StatusCode::NOT_FOUND, "no such path"),
        };
        let Ok(body) = Limited::new(request.into_body(), LONGEST_BODY).collect().await else {
            return refusal(StatusCode::BAD_REQUEST, "the body cannot be read");
        };
        let body = body.to_bytes();
        let Ok(ask) = serde_json::from_slice::<Ask>(&body) else {
            return refusal(StatusCode::BAD_REQUEST, "the body is not a request");
        };
        let script = Script::of(&ask.model);
        let parts = self.parts(dialect, &ask, script.events);
        if !script.delay.is_zero() {
            sleep(script.delay).await;
        }
        let first = (!script.gap.is_zero()).then(|| Instant::now() + script.gap);
        let timer = first.filter(|_| ask.stream).map(|at| Box::pin(sleep_until(at)));
        let answer = Answer { parts, next: 0, written: true, script, timer, whole: !ask.stream };
        let mut response = Response::new(answer);
        *response.headers_mut() = self.headers.clone();
        let kind = if ask.stream { "text/event-stream; charset=utf-8" } else { "application/json" };
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        if ask.stream {
            response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        }
        response
    }

    /// The parts of an answer: one, or the events of a stream.
    fn parts(&self, dialect: Dialect, ask: &Ask<'_>, events: usize) -> Rc<[Bytes]> {
        let usage = ask.stream_options.include_usage;
        let name = (dialect, ask.model.to_string(), ask.stream, usage);
        let mut made = self.made.borrow_mut();
        if let Some(parts) = made.get(&name) {
            return parts.clone();
        }
        let parts: Rc<[Bytes]> = if ask.stream {
            answers::stream(dialect, &ask.model, events, usage).into()
        } else {
            [answers::whole(dialect, &ask.model)].into()
        };
        if made.len() < MOST_KEPT {
            made.insert(name, parts.clone());
        }
        parts
    }
}

/// As many headers as the real API sends.
fn headers() -> HeaderMap {
    [
        ("openai-organization", "bench"),
        ("openai-processing-ms", "21"),
        ("openai-version", "2020-10-01"),
        ("x-ratelimit-limit-requests", "30000"),
        ("x-ratelimit-limit-tokens", "150000000"),
        ("x-ratelimit-remaining-requests", "29999"),
        ("x-ratelimit-remaining-tokens", "149999750"),
        ("x-ratelimit-reset-requests", "2ms"),
        ("x-ratelimit-reset-tokens", "0s"),
        ("x-request-id", "req_7f0d3a519c2b4e86a1f5d2c3b4a59687"),
    ]
    .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
    .into_iter()
    .collect()
}

fn refusal(status: StatusCode, message: &str) -> Response<Answer> {
    let error = serde_json::json!({"error": {"message": message, "type": "invalid_request_error"}});
    let script = Script::of("");
    let parts = [Bytes::from(error.to_string())].into();
    let answer = Answer { parts, next: 0, written: true, script, timer: None, whole: true };
    let mut response = Response::new(answer);
    *response.status_mut() = status;
    response
}

/// A body: one part, or events of which each goes to the socket on its own.
struct Answer {
    parts: Rc<[Bytes]>,
    next: usize,
    /// False between an event and its flush.
    written: bool,
    script: Script,
    /// Set where events are paced; fires when the next one is due.
    timer: Option<Pin<Box<Sleep>>>,
    whole: bool,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let answer = self.get_mut();
        if let Some(timer) = &mut answer.timer
            && answer.next > 0
        {
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let due = timer.deadline() + answer.script.gap;
            timer.as_mut().reset(due);
        } else if !answer.written {
            // hyper writes out what it has whenever the body has nothing at the moment.
            answer.written = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let part = answer.parts.get(answer.next).cloned();
        answer.next = answer.next.saturating_add(1);
        answer.written = false;
        Poll::Ready(part.map(|part| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.next >= self.parts.len()
    }

    fn size_hint(&self) -> SizeHint {
        match self.parts.first() {
            Some(part) if self.whole && self.next == 0 => {
                SizeHint::with_exact(u64::try_from(part.len()).unwrap_or(0))
            }
            _ if self.is_end_stream() => SizeHint::with_exact(0),
            _ => SizeHint::default(),
        }
    }
}
