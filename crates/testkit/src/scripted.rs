//! A provider that follows its script: strict about requests, the same answer every time.
//!
//! One server speaks OpenAI's API (`/v1/chat/completions`, `/v1/responses`, `/v1/embeddings`,
//! `/v1/models`) and Anthropic's (`/v1/messages`, `/v1/messages/count_tokens`), with and without the
//! `/v1`, Google's (`/v1beta/models/…`), Cohere's (`/v2/chat`, `/v2/embed`) and Ollama's (`/api/chat`,
//! `/api/embed`), over HTTP/1.1 and HTTP/2 without TLS. It never invents leniency: an unknown model
//! is 404, a missing
//! credential 401, a wrong type 400, each in the envelope of the API that was asked. The same again
//! below `/apertis`, where messages take a bearer key, as Apertis' do.
//!
//! `/model/{model}/converse` and `/converse-stream` are Amazon Bedrock's: every signature is made
//! again and compared, and `/sts/`, `/container/keys` and `/latest/…` hand out keys to sign with.
//!
//! `/20231130/actions/chat` is OCI Generative AI's; every signature is checked with the public key.
//!
//! `/v1/models/{owner}/{name}/predictions`, `/v1/predictions` and what belongs to them are Replicate's.
//!
//! The answer to a request is, in this order: the next reply queued by
//! [`ScriptedUpstream::script`]; what the model's name asks for after its first `+`
//! (`m+gap-20+cut-300`, see [`Reply::named`]); the deterministic one.

mod anthropic;
pub mod aws;
mod bedrock;
mod body;
mod cohere;
mod embeddings;
mod gemini;
pub mod oci;
mod ollama;
mod openai;
mod place;
mod refuse;
mod replicate;
mod reply;
mod respond;
mod responses;
mod said;
mod stored;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use http::{HeaderMap, Method, Version};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::{
    net::TcpListener,
    task::{AbortHandle, JoinSet},
};

pub use place::{Check, Place};
pub use reply::Reply;

/// When everything here was created, in seconds since 1970.
const CREATED_S: u64 = 1_700_000_000;

/// The models that exist from the start.
pub const MODELS: &[&str] = &[
    "m",
    "m2",
    "m3",
    "model-name",
    "gpt-4o",
    "gpt-4o-mini",
    "gpt-4.1",
    "gpt-5",
    "o3-mini",
    "claude-sonnet-4-5",
    "claude-haiku-4-5",
    "claude-opus-4-5",
    "deepseek-reasoner",
    "text-embedding-3-small",
    "text-embedding-3-large",
    "command-a-03-2025",
    "embed-v4.0",
    "llama3.2",
    "nomic-embed-text",
    "gemini-2.5-flash",
    "gemini-2.5-pro",
    "gemini-3-pro-preview",
];

/// One request as it arrived.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// GET, POST, …
    pub method: Method,
    /// The path, without the query.
    pub path: String,
    /// The query, without the question mark.
    pub query: Option<String>,
    /// Which HTTP it came over.
    pub version: Version,
    /// All headers.
    pub headers: HeaderMap,
    /// The body, byte for byte.
    pub body: Bytes,
}

impl Recorded {
    /// The body as JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// A header's text; empty where it is missing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// What all connections share.
pub(crate) struct Shared {
    requests: Mutex<Vec<Recorded>>,
    /// Answers of responses, by id.
    stored: Mutex<BTreeMap<String, stored::Stored>>,
    /// Replicate's, by id.
    predictions: Mutex<BTreeMap<String, replicate::Prediction>>,
    queue: Mutex<VecDeque<Reply>>,
    models: Mutex<BTreeSet<String>>,
    key: Mutex<Option<String>>,
    places: Mutex<Vec<Place>>,
    serial: AtomicU64,
    hangups: Arc<AtomicU64>,
    accepted: AtomicUsize,
    open: AtomicUsize,
}

/// A scripted provider on a free port of 127.0.0.1. Stops when dropped.
pub struct ScriptedUpstream {
    addr: SocketAddr,
    shared: Arc<Shared>,
    accept: AbortHandle,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no test panics while it holds this lock")
}

impl ScriptedUpstream {
    /// Starts on a free port, on the current tokio runtime.
    pub async fn start() -> Self {
        Self::listen("127.0.0.1:0").await
    }

    /// Starts on this address.
    pub async fn listen(addr: &str) -> Self {
        let listener = TcpListener::bind(addr).await.expect("bind the scripted upstream");
        let addr = listener.local_addr().expect("the listener has an address");
        let shared = Arc::new(Shared {
            requests: Mutex::default(),
            stored: Mutex::default(),
            predictions: Mutex::default(),
            queue: Mutex::default(),
            models: Mutex::new(MODELS.iter().map(|&name| name.to_owned()).collect()),
            key: Mutex::default(),
            places: Mutex::default(),
            serial: AtomicU64::new(0),
            hangups: Arc::default(),
            accepted: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
        });
        let accept = tokio::spawn(accept(listener, Arc::clone(&shared))).abort_handle();
        ScriptedUpstream { addr, shared, accept }
    }

    /// `http://127.0.0.1:PORT`, without a path: `{url}/v1` is an OpenAI base, `{url}` an
    /// Anthropic one.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Queues the answer to the next request that is not answered yet (models and control
    /// requests take none).
    pub fn script(&self, reply: Reply) {
        lock(&self.shared.queue).push_back(reply);
    }

    /// Makes a model exist.
    pub fn add_model(&self, name: impl Into<String>) {
        lock(&self.shared.models).insert(name.into());
    }

    /// Accepts this key alone; by default any key that is not empty.
    pub fn require_key(&self, key: impl Into<String>) {
        *lock(&self.shared.key) = Some(key.into());
    }

    /// Serves this place, and what was set up before, instead of the APIs' own paths.
    pub fn place(&self, place: Place) {
        lock(&self.shared.places).push(place);
    }

    /// Ends all answers that go on in the background.
    pub fn finish(&self) {
        stored::finish(&self.shared);
    }

    /// Every request so far, in the order of arrival.
    pub fn requests(&self) -> Vec<Recorded> {
        lock(&self.shared.requests).clone()
    }

    /// Forgets the requests so far.
    pub fn forget(&self) {
        lock(&self.shared.requests).clear();
    }

    /// The last request.
    ///
    /// # Panics
    /// Where none came.
    pub fn last(&self) -> Recorded {
        lock(&self.shared.requests).last().cloned().expect("the upstream was asked")
    }

    /// Requests whose client left before the end of the answer.
    pub fn hangups(&self) -> u64 {
        self.shared.hangups.load(Ordering::SeqCst)
    }

    /// Connections accepted so far.
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// Connections open now.
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }
}

impl Drop for ScriptedUpstream {
    fn drop(&mut self) {
        self.accept.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let socket = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let Ok((socket, _)) = socket else { continue };
        let _ = socket.set_nodelay(true);
        shared.accepted.fetch_add(1, Ordering::SeqCst);
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let _open = Open::new(Arc::clone(&shared));
            let service = service_fn(|request| respond::respond(Arc::clone(&shared), request));
            let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            // An error here is the client's, or one that the script asked for.
            let _ = server.serve_connection(TokioIo::new(socket), service).await;
        });
    }
}

/// Counts a connection as open while it lives.
struct Open(Arc<Shared>);

impl Open {
    fn new(shared: Arc<Shared>) -> Self {
        shared.open.fetch_add(1, Ordering::SeqCst);
        Open(shared)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}
