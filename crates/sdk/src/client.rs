//! A client: credentials, addresses and habits for all its calls.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, OnceLock},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tollgate_router::{Client, Tls};
use tollgate_wire::Secret;

use crate::{
    Error,
    completion::Completion,
    embedding::{Embedding, Input},
    message::Message,
};

/// A client: credentials, addresses and habits for all its calls, and the connections that they
/// share. Cheap to clone; the clones are one client.
///
/// The free functions of this crate use one of these for the whole process, made with
/// [`Tollgate::new`] at their first call.
///
/// ```no_run
/// # async fn example() -> Result<(), tollgate::Error> {
/// let client = tollgate::Tollgate::builder()
///     .api_key("apertis", "sk-…")
///     .num_retries(5)
///     .build();
/// let answer = client.completion("apertis/model-name", [tollgate::user("Hello")]).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Tollgate {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) settings: Builder,
    /// Made at the first call; an error is a machine without usable TLS.
    http: OnceLock<Result<Client, String>>,
    began: Instant,
    /// The same moment in milliseconds since 1970.
    began_ms: u64,
}

type Env = dyn Fn(&str) -> Option<String> + Send + Sync;

/// A client's settings. See [`Tollgate::builder`].
#[derive(Clone)]
pub struct Builder {
    pub(crate) gateway: Option<(String, Secret)>,
    pub(crate) api_keys: BTreeMap<String, Secret>,
    pub(crate) api_bases: BTreeMap<String, String>,
    pub(crate) settings: BTreeMap<(String, String), Secret>,
    pub(crate) timeout: Duration,
    pub(crate) num_retries: u32,
    pub(crate) drop_params: bool,
    pub(crate) env: Arc<Env>,
}

impl Tollgate {
    /// A client that takes keys and addresses from the environment (`STIMA_API_KEY`,
    /// `STIMA_API_BASE`, …), read at each call.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// A client whose every call goes to a Tollgate (or a LiteLLM proxy) with this key, whatever
    /// the model string; the gateway knows what it means.
    pub fn gateway(url: impl Into<String>, key: impl Into<String>) -> Self {
        Self::builder().gateway(url, key).build()
    }

    /// A client with settings of its own.
    pub fn builder() -> Builder {
        Builder {
            gateway: None,
            api_keys: BTreeMap::new(),
            api_bases: BTreeMap::new(),
            settings: BTreeMap::new(),
            timeout: Duration::from_secs(600),
            num_retries: 2,
            drop_params: false,
            env: Arc::new(from_environment),
        }
    }

    /// A chat. See [`completion`](crate::completion()).
    pub fn completion(
        &self,
        model: impl Into<String>,
        messages: impl IntoIterator<Item = Message>,
    ) -> Completion {
        Completion::new(self.clone(), model.into(), messages)
    }

    /// Embeddings. See [`embedding`](crate::embedding()).
    pub fn embedding(&self, model: impl Into<String>, input: impl Into<Input>) -> Embedding {
        Embedding::new(self.clone(), model.into(), input)
    }
}

impl Tollgate {
    /// The connections, shared by all calls.
    pub(crate) fn http(&self) -> Result<&Client, Error> {
        let made = self
            .inner
            .http
            .get_or_init(|| tls(&*self.inner.settings.env).map(|tls| Client::new(&tls)));
        made.as_ref().map_err(|message| Error::no_connection(message))
    }

    /// The time in milliseconds since 1970, on a clock that never jumps.
    pub(crate) fn now_ms(&self) -> u64 {
        let since = u64::try_from(self.inner.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.inner.began_ms.saturating_add(since)
    }
}

impl Default for Tollgate {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Tollgate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.settings.fmt(f)
    }
}

impl Builder {
    /// The key for a provider (`apertis`), instead of the environment's.
    pub fn api_key(mut self, provider: impl Into<String>, key: impl Into<String>) -> Self {
        self.api_keys.insert(provider.into(), Secret::new(key));
        self
    }

    /// The base URL for a provider, instead of the environment's and the catalogue's.
    pub fn api_base(mut self, provider: impl Into<String>, url: impl Into<String>) -> Self {
        self.api_bases.insert(provider.into(), url.into());
        self
    }

    /// A setting of a provider, such as `aws_region_name` of `bedrock`, instead of the
    /// environment's.
    pub fn setting(
        mut self,
        provider: impl Into<String>,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Self {
        self.settings.insert((provider.into(), name.into()), Secret::new(value));
        self
    }

    /// See [`Tollgate::gateway`].
    pub fn gateway(mut self, url: impl Into<String>, key: impl Into<String>) -> Self {
        self.gateway = Some((url.into(), Secret::new(key)));
        self
    }

    /// How long a provider may take until its answer begins, and a stream between two pieces:
    /// ten minutes, unless set.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How often to try again after a failure that may pass: 2, unless set.
    pub fn num_retries(mut self, retries: u32) -> Self {
        self.num_retries = retries;
        self
    }

    /// Leave out what a model cannot do, instead of refusing.
    pub fn drop_params(mut self, drop: bool) -> Self {
        self.drop_params = drop;
        self
    }

    /// Where keys and addresses are looked up by variable name, instead of the environment.
    pub fn env(mut self, lookup: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        self.env = Arc::new(lookup);
        self
    }

    /// The client.
    pub fn build(self) -> Tollgate {
        let inner = Inner {
            settings: self,
            http: OnceLock::new(),
            began: Instant::now(),
            began_ms: unix_ms(),
        };
        Tollgate { inner: Arc::new(inner) }
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tollgate")
            .field("gateway", &self.gateway)
            .field("api_keys", &self.api_keys)
            .field("api_bases", &self.api_bases)
            .field("settings", &self.settings)
            .field("timeout", &self.timeout)
            .field("num_retries", &self.num_retries)
            .field("drop_params", &self.drop_params)
            .finish_non_exhaustive()
    }
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Mozilla's roots, which are built in, and those of the file that `SSL_CERT_FILE` names.
fn tls(env: &Env) -> Result<Tls, String> {
    let Some(path) = env("SSL_CERT_FILE") else {
        return Tls::new(Vec::new()).map_err(|error| error.to_string());
    };
    let pem = std::fs::read(&path).map_err(|error| format!("SSL_CERT_FILE={path}: {error}"))?;
    Tls::with_pem(&pem).map_err(|error| format!("SSL_CERT_FILE={path}: {error}"))
}

/// The one place where this crate reads the environment.
#[expect(clippy::disallowed_methods, reason = "the edge: the SDK finds its keys there")]
fn from_environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
