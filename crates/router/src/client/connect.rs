//! Opening a connection: name, TCP, TLS, HTTP.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, PoisonError, atomic::Ordering::Relaxed},
    time::Duration,
};

use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout, timeout_at},
};
use tokio_rustls::TlsConnector;
use tollgate_wire::{Fault, FaultKind};

use crate::BoxFuture;

use super::{
    http1::{H1, MAX_HEAD},
    io::Socket,
    origin::{Conn, Origin},
    tls::Tls,
};

/// How long resolved addresses are used.
const ADDRESSES_KEPT: Duration = Duration::from_secs(30);
/// What one HTTP/2 stream may send ahead of its reader.
const H2_STREAM_WINDOW: u32 = 256 * 1024;
/// What all streams of an HTTP/2 connection together may send ahead.
const H2_CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;
/// An HTTP/2 connection with streams on it is asked for a sign of life this often.
const H2_PING: Duration = Duration::from_secs(20);
/// How long the sign of life may take.
const H2_PONG: Duration = Duration::from_secs(10);

/// Opens a connection, or finds one that another request has opened meanwhile. `limit` holds for
/// name and TCP together, and again for the TLS handshake. The flag says whether it is a new one.
///
/// Boxed, and here: it is seldom needed, would make the future of every request large, and else is
/// compiled, HTTP/2 with it, into every crate that sends a request.
#[inline(never)]
pub(super) fn open<'a>(
    origin: &'a Arc<Origin>,
    tls: &'a Tls,
    limit: Duration,
    now: Instant,
) -> BoxFuture<'a, Result<(Conn, bool), Fault>> {
    Box::pin(open_or_find(origin, tls, limit, now))
}

async fn open_or_find(
    origin: &Arc<Origin>,
    tls: &Tls,
    limit: Duration,
    now: Instant,
) -> Result<(Conn, bool), Fault> {
    if !origin.speaks_h2.load(Relaxed) {
        return dial(origin, tls, limit).await.map(|conn| (conn, true));
    }
    // Many requests fit on one HTTP/2 connection: the first opens it, the others wait for it.
    let queue = timeout(limit * 2, origin.opening.lock());
    let _turn = queue.await.map_err(|_| too_slow("no connection", limit * 2))?;
    if let Some(conn) = origin.take(now) {
        return Ok((conn, false));
    }
    dial(origin, tls, limit).await.map(|conn| (conn, true))
}

async fn dial(origin: &Arc<Origin>, tls: &Tls, limit: Duration) -> Result<Conn, Fault> {
    let deadline = Instant::now() + limit;
    let addresses = timeout_at(deadline, resolve(origin))
        .await
        .map_err(|_| too_slow("the host's name was not resolved", limit))??;
    let tcp = tcp(&addresses, deadline, limit).await.inspect_err(|_| forget(origin))?;
    let Some(name) = origin.tls_name.clone() else {
        return Ok(http1(Socket::Plain(tcp)));
    };
    let handshake = TlsConnector::from(tls.0.clone()).connect(name, tcp);
    let stream = timeout(limit, handshake)
        .await
        .map_err(|_| too_slow("the TLS handshake was not done", limit))?
        .map_err(|error| Fault::new(FaultKind::Tls, format!("TLS handshake: {error}")))?;
    let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let socket = Socket::Tls(Box::new(stream));
    if h2 { http2(origin, socket).await } else { Ok(http1(socket)) }
}

fn http1(socket: Socket) -> Conn {
    Conn::H1(Box::new(H1::new(socket)))
}

async fn http2(origin: &Arc<Origin>, socket: Socket) -> Result<Conn, Fault> {
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_stream_window_size(H2_STREAM_WINDOW)
        .initial_connection_window_size(H2_CONNECTION_WINDOW)
        .max_header_list_size(MAX_HEAD as u32)
        .keep_alive_interval(H2_PING)
        .keep_alive_timeout(H2_PONG)
        .handshake(TokioIo::new(socket))
        .await
        .map_err(|error| super::response::fault(&error))?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "an upstream connection broke");
        }
    });
    Ok(Conn::H2(origin.share(sender, Instant::now())))
}

/// Tries the addresses in order; each but the last gets its share of the time that is left.
async fn tcp(
    addresses: &[SocketAddr],
    deadline: Instant,
    limit: Duration,
) -> Result<TcpStream, Fault> {
    let mut last = None;
    for (tried, address) in addresses.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true).map_err(|error| unreachable_by(&error))?;
                return Ok(stream);
            }
            Ok(Err(error)) => last = Some(unreachable_by(&error)),
            Err(_) => last = Some(too_slow("no connection", limit)),
        }
    }
    Err(last.unwrap_or_else(|| no_address("the host has no address")))
}

/// The addresses of an origin: those of the last half minute, else newly resolved, else the old
/// ones where the resolver fails.
async fn resolve(origin: &Origin) -> Result<Arc<[SocketAddr]>, Fault> {
    let known = origin.addresses.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some((since, addresses)) = &known
        && since.elapsed() < ADDRESSES_KEPT
    {
        return Ok(addresses.clone());
    }
    let found = tokio::net::lookup_host((origin.host.as_str(), origin.port)).await;
    match (found.map(|found| found.collect::<Arc<[SocketAddr]>>()), known) {
        (Ok(addresses), _) if !addresses.is_empty() => {
            let mut kept = origin.addresses.lock().unwrap_or_else(PoisonError::into_inner);
            *kept = Some((Instant::now(), addresses.clone()));
            Ok(addresses)
        }
        (_, Some((_, addresses))) => Ok(addresses),
        (Ok(_), None) => Err(no_address("the host has no address")),
        (Err(error), None) => Err(no_address(&format!("the host's name: {error}"))),
    }
}

/// The next connection asks the resolver again.
fn forget(origin: &Origin) {
    *origin.addresses.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

fn too_slow(what: &str, limit: Duration) -> Fault {
    Fault::new(FaultKind::ConnectTimeout, format!("{what} within {} ms", limit.as_millis()))
}

fn unreachable_by(error: &io::Error) -> Fault {
    Fault::new(FaultKind::Unreachable, format!("no connection: {}", error.kind()))
}

fn no_address(why: &str) -> Fault {
    Fault { code: Some("upstream_dns".to_owned()), ..Fault::new(FaultKind::Unreachable, why) }
}
