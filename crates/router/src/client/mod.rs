//! Connections to upstreams.
//!
//! Each runtime thread has one [`Client`] with, for each origin, a stack of idle HTTP/1.1
//! connections (last in, first out; [`http1`]) and a few shared HTTP/2 ones (hyper's; each is a
//! task that ends when its last user lets go of it). There is no background pool. Redirects are not
//! followed, proxies from the environment are not read, and nothing is decompressed.

mod chunked;
mod connect;
mod headers;
mod http1;
mod io;
mod origin;
mod pieces;
mod response;
mod tls;

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use http::{HeaderName, HeaderValue, Method, Request, Uri, header};
use tokio::time::Instant;
use tollgate_wire::{Call, Fault, FaultKind};

use crate::sign::Tokens;

pub use self::{
    headers::Headers,
    response::{ResponseBody, UpstreamResponse},
    tls::{Tls, TlsError},
};
use self::{
    origin::{Conn, Origin},
    pieces::Pieces,
};

/// Headers of a call that does not have them itself.
static DEFAULTS: [(HeaderName, HeaderValue); 2] = [
    (header::USER_AGENT, HeaderValue::from_static(concat!("tollgate/", env!("CARGO_PKG_VERSION")))),
    (header::ACCEPT_ENCODING, HeaderValue::from_static("identity")),
];
/// Origins that are remembered; beyond it all are forgotten (their connections close once idle).
const MAX_ORIGINS: usize = 4_096;

/// A thread's connections to upstreams. Made once per runtime thread, so that its locks are never
/// waited for; sharing one between threads is correct too.
#[derive(Debug)]
pub struct Client {
    tls: Tls,
    tokens: Arc<Tokens>,
    /// By base URL: several bases may share an origin.
    by_base: RwLock<HashMap<Arc<str>, Arc<Origin>, foldhash::fast::RandomState>>,
}

impl Client {
    /// A client without connections.
    pub fn new(tls: &Tls) -> Self {
        Client { tls: tls.clone(), tokens: Arc::default(), by_base: RwLock::default() }
    }

    /// The same, with tokens that other clients keep, too.
    pub fn with_tokens(self, tokens: Arc<Tokens>) -> Self {
        Client { tokens, ..self }
    }

    /// The tokens that are kept.
    pub(crate) fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// Another client for what outlives a request: it shares this one's connections to `base`.
    pub(crate) fn at(&self, base: &Arc<str>) -> Result<Self, Fault> {
        let origins = [(base.clone(), self.origin(base)?)];
        let by_base = RwLock::new(origins.into_iter().collect());
        Ok(Client { tls: self.tls.clone(), tokens: self.tokens.clone(), by_base })
    }

    /// Closes connections that have been idle for a minute. A timer calls it now and then; without
    /// that, they are closed when the origin is next asked.
    pub fn sweep(&self) {
        let now = Instant::now();
        let by_base = self.by_base.read().unwrap_or_else(PoisonError::into_inner);
        by_base.values().for_each(|origin| origin.sweep(now));
    }

    /// Idle HTTP/1.1 connections and live HTTP/2 ones.
    pub fn open_connections(&self) -> usize {
        let by_base = self.by_base.read().unwrap_or_else(PoisonError::into_inner);
        let mut origins: Vec<&Arc<Origin>> = by_base.values().collect();
        origins.sort_by_key(|origin| Arc::as_ptr(origin));
        origins.dedup_by_key(|origin| Arc::as_ptr(origin));
        origins.into_iter().map(|origin| origin.open()).sum()
    }

    /// Sends `call` (a POST; a GET where it has no body) to the origin of `base` and waits for the answer's head. Dropping the
    /// future hangs up on the upstream.
    ///
    /// A pooled connection that turns out to be closed is replaced in silence as long as nothing
    /// of the request has been written. There is no limit on the time that the upstream takes.
    pub async fn send(
        &self,
        base: &Arc<str>,
        call: Call,
        connect: Duration,
        now: Instant,
    ) -> Result<UpstreamResponse, Fault> {
        let method = if call.body.is_empty() { Method::GET } else { Method::POST };
        self.send_as(method, base, call, connect, now).await
    }

    /// The same by another method.
    pub(crate) async fn send_as(
        &self,
        method: Method,
        base: &Arc<str>,
        call: Call,
        connect: Duration,
        now: Instant,
    ) -> Result<UpstreamResponse, Fault> {
        let origin = self.origin(base)?;
        loop {
            let (conn, fresh) = match origin.take(now) {
                Some(conn) => (conn, false),
                None => connect::open(&origin, &self.tls, connect, now).await?,
            };
            match conn {
                Conn::H1(mut h1) => match h1.ask(&method, &origin.host_header, &call).await {
                    Ok(answered) => return Ok(UpstreamResponse::h1(h1, origin, answered, now)),
                    Err(failed) if failed.unsent && !fresh => {}
                    Err(failed) => return Err(failed.fault),
                },
                Conn::H2(mut h2) => {
                    let request = h2_request(&method, &origin, &call)?;
                    match h2.sender.try_send_request(request).await {
                        Ok(response) => return Ok(UpstreamResponse::h2(h2, response)),
                        Err(mut failed) => {
                            if failed.take_message().is_none() || fresh {
                                return Err(response::fault(failed.error()));
                            }
                        }
                    }
                }
            }
        }
    }

    fn origin(&self, base: &Arc<str>) -> Result<Arc<Origin>, Fault> {
        if let Some(origin) =
            self.by_base.read().unwrap_or_else(PoisonError::into_inner).get(&**base)
        {
            return Ok(origin.clone());
        }
        let new = parsed(base)?;
        let mut by_base = self.by_base.write().unwrap_or_else(PoisonError::into_inner);
        if by_base.len() >= MAX_ORIGINS {
            by_base.clear();
        }
        let known = by_base.values().find(|known| known.same(&new)).cloned();
        let origin = known.unwrap_or_else(|| Arc::new(new));
        by_base.insert(base.clone(), origin.clone());
        Ok(origin)
    }
}

fn parsed(base: &str) -> Result<Origin, Fault> {
    Origin::parse(base)
        .map_err(|why| Fault::new(FaultKind::Unreachable, format!("the base URL {why}")))
}

/// What the header `host` of a call below `base` says.
pub(crate) fn host_of(base: &str) -> Result<HeaderValue, Fault> {
    parsed(base).map(|origin| origin.host_header)
}

/// The request as HTTP/2 wants it: the whole address, and no `host`.
fn h2_request(method: &Method, origin: &Origin, call: &Call) -> Result<Request<Pieces>, Fault> {
    let wrong = || Fault::new(FaultKind::Unreachable, "the path is not one of a URL");
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(origin.scheme.clone());
    parts.authority = Some(origin.authority.clone());
    parts.path_and_query = Some(call.path.parse().map_err(|_| wrong())?);
    let mut request = Request::new(Pieces::new(call.body.clone()));
    *request.method_mut() = method.clone();
    *request.uri_mut() = Uri::from_parts(parts).map_err(|_| wrong())?;
    let headers = request.headers_mut();
    for (name, value) in &DEFAULTS {
        if !call.headers.iter().any(|(own, _)| own == name) {
            headers.insert(name, value.clone());
        }
    }
    for (name, value) in &call.headers {
        if !of_the_connection(name) {
            headers.append(name, value.clone());
        }
    }
    Ok(request)
}

/// Headers that belong to the connection and are not a caller's to write.
fn of_the_connection(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "host"
            | "content-length"
            | "transfer-encoding"
            | "connection"
            | "upgrade"
            | "te"
            | "trailer"
    )
}
