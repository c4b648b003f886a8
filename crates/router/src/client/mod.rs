//! Connections to upstreams: a thin stack over hyper's own connections.
//!
//! Each runtime thread has one [`Client`] with, for each origin, a stack of idle HTTP/1.1
//! connections (last in, first out) and a few shared HTTP/2 ones. There is no background pool:
//! a connection is a task that ends when its last user lets go of it. Redirects are not followed,
//! proxies from the environment are not read, and nothing is decompressed.

mod connect;
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

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};
use tokio::time::Instant;
use tollgate_wire::{Call, Fault, FaultKind};

use crate::sign::Tokens;

use self::{
    origin::{Conn, Origin},
    pieces::Pieces,
    response::Lease,
};
pub use self::{
    response::{ResponseBody, UpstreamResponse},
    tls::{Tls, TlsError},
};

const USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("tollgate/", env!("CARGO_PKG_VERSION")));
const IDENTITY: HeaderValue = HeaderValue::from_static("identity");
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
        let mut request = request(method, &origin, call)?;
        loop {
            let (mut conn, fresh) = match origin.take(now) {
                Some(conn) => (conn, false),
                // Boxed: it is seldom needed, and would make the future of every request large.
                None => Box::pin(connect::open(&origin, &self.tls, connect, now)).await?,
            };
            fit(&mut request, &origin, &conn)?;
            let sent = match &mut conn {
                Conn::H1(h1) => h1.send(request).await,
                Conn::H2(h2) => h2.sender.try_send_request(request).await,
            };
            let mut failed = match sent {
                Ok(response) => return Ok(Lease::new(conn, origin).answer(response)),
                Err(failed) => failed,
            };
            match failed.take_message() {
                Some(unsent) if !fresh => request = unsent,
                _ => return Err(response::fault(failed.error())),
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

/// The request as HTTP/1.1 wants it: path only, `host` among the headers.
fn request(method: Method, origin: &Origin, call: Call) -> Result<Request<Pieces>, Fault> {
    let uri = Uri::try_from(call.path)
        .map_err(|_| Fault::new(FaultKind::Unreachable, "the path is not one of a URL"))?;
    let mut headers = HeaderMap::with_capacity(call.headers.len() + 4);
    headers.insert(header::HOST, origin.host_header.clone());
    headers.insert(header::USER_AGENT, USER_AGENT);
    headers.insert(header::ACCEPT_ENCODING, IDENTITY);
    for (name, value) in call.headers {
        if of_the_connection(&name) {
            continue;
        }
        if name == header::USER_AGENT || name == header::ACCEPT_ENCODING {
            headers.insert(name, value);
        } else {
            headers.append(name, value);
        }
    }
    let mut request = Request::new(Pieces::new(call.body));
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    Ok(request)
}

/// Headers that belong to the connection and are hyper's to write.
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

/// Spells the request's address as the connection's protocol wants it.
fn fit(request: &mut Request<Pieces>, origin: &Origin, conn: &Conn) -> Result<(), Fault> {
    let absolute = request.uri().scheme().is_some();
    match (conn, absolute) {
        (Conn::H1(_), false) | (Conn::H2(_), true) => return Ok(()),
        (Conn::H1(_), true) => {
            let path = request.uri().path_and_query().cloned();
            *request.uri_mut() = path.map(Uri::from).unwrap_or_default();
            request.headers_mut().insert(header::HOST, origin.host_header.clone());
        }
        (Conn::H2(_), false) => {
            request.headers_mut().remove(header::HOST);
            let path = request.uri().path_and_query().cloned();
            let mut parts = http::uri::Parts::default();
            parts.scheme = Some(origin.scheme.clone());
            parts.authority = Some(origin.authority.clone());
            parts.path_and_query = path;
            *request.uri_mut() = Uri::from_parts(parts)
                .map_err(|_| Fault::new(FaultKind::Unreachable, "the path is not one of a URL"))?;
        }
    }
    Ok(())
}
