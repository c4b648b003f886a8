//! Where requests go, and the connections that are open to there.

use std::{
    fmt,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use http::{
    HeaderValue,
    uri::{Authority, Scheme},
};
use hyper::client::conn::http2;
use rustls::pki_types::ServerName;
use tokio::time::Instant;

use super::{http1::H1, pieces::Pieces};

/// An idle connection is closed after this long; most servers close theirs after 60 to 75 s.
const IDLE: Duration = Duration::from_secs(60);
/// Idle HTTP/1.1 connections that are kept per origin.
const MAX_IDLE: usize = 256;
/// Requests on one HTTP/2 connection before another is opened (servers allow 100 or more).
const H2_STREAMS: u32 = 100;
/// HTTP/2 connections per origin that are shared.
const MAX_H2: usize = 16;

/// A connection that is ready for one request.
pub(super) enum Conn {
    H1(Box<H1>),
    H2(H2),
}

/// A place on a shared HTTP/2 connection.
pub(super) struct H2 {
    pub(super) sender: http2::SendRequest<Pieces>,
    streams: Arc<AtomicU32>,
}

impl H2 {
    fn new(sender: http2::SendRequest<Pieces>, streams: Arc<AtomicU32>) -> Self {
        streams.fetch_add(1, Relaxed);
        H2 { sender, streams }
    }
}

impl Drop for H2 {
    fn drop(&mut self) {
        self.streams.fetch_sub(1, Relaxed);
    }
}

struct Shared {
    sender: http2::SendRequest<Pieces>,
    streams: Arc<AtomicU32>,
    used: Instant,
}

#[derive(Default)]
struct Open {
    /// Last used last, with the time since when each is idle.
    h1: Vec<(Box<H1>, Instant)>,
    h2: Vec<Shared>,
}

/// Scheme, host and port, and the connections to it.
pub(super) struct Origin {
    pub(super) scheme: Scheme,
    pub(super) authority: Authority,
    pub(super) host_header: HeaderValue,
    /// `Some` where the scheme is https.
    pub(super) tls_name: Option<ServerName<'static>>,
    pub(super) host: String,
    pub(super) port: u16,
    /// The server has chosen HTTP/2 before: connections are opened one after the other.
    pub(super) speaks_h2: AtomicBool,
    pub(super) opening: tokio::sync::Mutex<()>,
    pub(super) addresses: Mutex<Option<(Instant, Arc<[SocketAddr]>)>>,
    open: Mutex<Open>,
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority)
    }
}

impl Origin {
    /// Reads a base URL. `Err` says what is wrong with it, without repeating it.
    pub(super) fn parse(base: &str) -> Result<Self, &'static str> {
        let url = url::Url::parse(base).map_err(|_| "is not a URL")?;
        let scheme = match url.scheme() {
            "http" => Scheme::HTTP,
            "https" => Scheme::HTTPS,
            _ => return Err("is neither http nor https"),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err("has a user name in it");
        }
        let shown = url.host_str().ok_or("has no host")?;
        let port = url.port_or_known_default().ok_or("has no port")?;
        let authority = match url.port() {
            Some(port) => format!("{shown}:{port}"),
            None => shown.to_owned(),
        };
        let host = shown.trim_start_matches('[').trim_end_matches(']').to_owned();
        let tls_name = if scheme == Scheme::HTTPS {
            Some(ServerName::try_from(host.clone()).map_err(|_| "has no valid host name")?)
        } else {
            None
        };
        Ok(Origin {
            scheme,
            host_header: HeaderValue::try_from(&authority).map_err(|_| "has no valid host")?,
            authority: Authority::try_from(authority).map_err(|_| "has no valid host")?,
            tls_name,
            host,
            port,
            speaks_h2: AtomicBool::new(false),
            opening: tokio::sync::Mutex::new(()),
            addresses: Mutex::new(None),
            open: Mutex::default(),
        })
    }

    pub(super) fn same(&self, other: &Self) -> bool {
        self.scheme == other.scheme && self.host == other.host && self.port == other.port
    }

    /// A connection that can take a request now.
    pub(super) fn take(&self, now: Instant) -> Option<Conn> {
        let mut open = self.lock();
        if !open.h2.is_empty()
            && let Some(h2) = open.take_h2(now)
        {
            return Some(Conn::H2(h2));
        }
        open.take_h1(now).map(Conn::H1)
    }

    /// Keeps an HTTP/1.1 connection whose answer was read to its end.
    pub(super) fn give_back(&self, mut h1: Box<H1>, now: Instant) {
        h1.rest();
        let mut open = self.lock();
        if open.h1.len() >= MAX_IDLE {
            let half = open.h1.len() / 2;
            open.h1.drain(..half);
        }
        open.h1.push((h1, now));
    }

    /// Shares a new HTTP/2 connection, and takes the first place on it.
    pub(super) fn share(&self, sender: http2::SendRequest<Pieces>, now: Instant) -> H2 {
        self.speaks_h2.store(true, Relaxed);
        let streams = Arc::new(AtomicU32::new(0));
        let first = H2::new(sender.clone(), streams.clone());
        let mut open = self.lock();
        if open.h2.len() < MAX_H2 {
            open.h2.push(Shared { sender, streams, used: now });
        }
        first
    }

    pub(super) fn sweep(&self, now: Instant) {
        let mut open = self.lock();
        let young = |since: Instant| now.saturating_duration_since(since) < IDLE;
        open.h1.retain_mut(|(h1, since)| young(*since) && h1.is_idle());
        open.h2.retain(|h2| {
            !h2.sender.is_closed() && (h2.streams.load(Relaxed) > 0 || young(h2.used))
        });
    }

    pub(super) fn open(&self) -> usize {
        let open = self.lock();
        open.h1.len() + open.h2.len()
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn take_h1(&mut self, now: Instant) -> Option<Box<H1>> {
        while let Some((mut h1, since)) = self.h1.pop() {
            if now.saturating_duration_since(since) < IDLE && h1.is_idle() {
                return Some(h1);
            }
        }
        None
    }

    /// The least used connection; `None` where another one is to be opened.
    fn take_h2(&mut self, now: Instant) -> Option<H2> {
        self.h2.retain(|h2| !h2.sender.is_closed());
        let count = self.h2.len();
        let least = self.h2.iter_mut().min_by_key(|h2| h2.streams.load(Relaxed))?;
        if least.streams.load(Relaxed) >= H2_STREAMS && count < MAX_H2 {
            return None;
        }
        least.used = now;
        Some(H2::new(least.sender.clone(), least.streams.clone()))
    }
}
