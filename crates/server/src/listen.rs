//! The listener: one thread accepts, and hands each connection to the core that has the fewest.
//! A core is a thread with a runtime of its own; what is accepted there lives and dies there.
//!
//! This file and `router/client.rs` are the only ones that know the runtime's shape. Handing over
//! was chosen over a listening socket for each core (`SO_REUSEPORT`) because the kernel spreads few
//! long-lived connections unevenly; a request on a kept-alive connection costs the same either way.

use std::{
    future::Future,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::Duration,
};

use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
};
use tokio_util::task::TaskTracker;
use tollgate_gateway::Core;
use tracing::{debug, warn};

use crate::{
    patience::{Clock, Limits},
    routes::Peer,
    routes::Service,
};

/// Most connections at once, all cores together; beyond it the listener waits.
const CONNECTIONS_AT_MOST: usize = 18_000;
/// Most bytes of a request's head.
const HEAD_BYTES: usize = 64 * 1024;
/// Most header lines of a request.
const HEAD_LINES: usize = 100;
/// HTTP/2: most streams of a connection at once.
const STREAMS_AT_MOST: u32 = 250;
/// How often a core closes its idle connections to upstreams.
const SWEEP_EVERY: Duration = Duration::from_secs(20);
/// Connections that wait for their core.
const HANDOVER_QUEUE: usize = 1_024;

/// What clients are allowed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// How long a request's head may take, and the time between two requests.
    pub(crate) limits: Limits,
    /// Connections at a time, all cores together.
    pub connections: Option<usize>,
}

/// How far a shutdown has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Serving.
    Serving,
    /// Asked to stop: what is under way is finished, idle connections are closed.
    Draining,
    /// Out of patience.
    Closed,
}

/// Cores and the thread that feeds them.
pub(crate) struct Listener {
    /// Where it listens; the port that was chosen where 0 was asked for.
    pub addr: SocketAddr,
    phase: watch::Sender<Phase>,
    cores: Vec<CoreThread>,
    accepting: tokio::task::JoinHandle<()>,
}

struct CoreThread {
    thread: JoinHandle<()>,
}

struct Seat {
    queue: mpsc::Sender<(TcpStream2, SocketAddr)>,
    open: Arc<AtomicUsize>,
}

type TcpStream2 = std::net::TcpStream;

impl Listener {
    /// Binds `addr` and serves it on as many threads as there are `cores`.
    pub(crate) async fn start(
        addr: SocketAddr,
        cores: Vec<Arc<Core>>,
        service: Service,
        patience: Patience,
    ) -> std::io::Result<Listener> {
        let listener = bind(addr)?;
        let addr = listener.local_addr()?;
        let (phase, watched) = watch::channel(Phase::Serving);
        let mut seats = Vec::new();
        let mut threads = Vec::new();
        for (index, core) in cores.into_iter().enumerate() {
            let (queue, arriving) = mpsc::channel(HANDOVER_QUEUE);
            let open = Arc::new(AtomicUsize::new(0));
            seats.push(Seat { queue, open: Arc::clone(&open) });
            let service = service.on(core);
            let watched = watched.clone();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let thread =
                std::thread::Builder::new().name(format!("core-{index}")).spawn(move || {
                    let serving = Serving {
                        service: Arc::new(service),
                        phase: watched,
                        limits: patience.limits,
                    };
                    runtime.block_on(run_core(arriving, serving, open));
                })?;
            threads.push(CoreThread { thread });
        }
        let accepting = tokio::task::spawn(accept(listener, seats, watched, patience));
        Ok(Listener { addr, phase, cores: threads, accepting })
    }

    /// Stops accepting, lets what is under way finish for at most `patience`, then closes the rest.
    /// Returns true if nothing had to be cut.
    pub(crate) async fn drain(self, patience: Duration, hurry: impl Future<Output = ()>) -> bool {
        let Listener { phase, cores, accepting, .. } = self;
        phase.send_replace(Phase::Draining);
        let _ = accepting.await;
        let joined = tokio::task::spawn_blocking(move || {
            for core in cores {
                let _ = core.thread.join();
            }
        });
        let mut joined = pin!(joined);
        let clean = tokio::select! {
            _ = &mut joined => return true,
            () = tokio::time::sleep(patience) => false,
            () = hurry => false,
        };
        phase.send_replace(Phase::Closed);
        let _ = tokio::time::timeout(Duration::from_secs(1), joined).await;
        clean
    }
}

fn bind(addr: SocketAddr) -> std::io::Result<TcpListener> {
    let domain = socket2::Domain::for_address(addr);
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(4_096)?;
    TcpListener::from_std(socket.into())
}

/// Accepts until the listener drains; each connection goes to the core that has the fewest.
async fn accept(
    listener: TcpListener,
    seats: Vec<Seat>,
    mut phase: watch::Receiver<Phase>,
    patience: Patience,
) {
    let most = patience.connections.unwrap_or(CONNECTIONS_AT_MOST);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = beyond(&mut phase, Phase::Serving) => return,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, mostly: wait for some to come back.
                warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let open = |seat: &&Seat| seat.open.load(Relaxed);
        while seats.iter().map(|seat| seat.open.load(Relaxed)).sum::<usize>() >= most {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let Some(seat) = seats.iter().min_by_key(open) else { return };
        let Ok(stream) = stream.into_std() else { continue };
        seat.open.fetch_add(1, Relaxed);
        if seat.queue.send((stream, peer)).await.is_err() {
            return;
        }
    }
}

/// What each connection of a core is served with.
#[derive(Clone)]
struct Serving {
    service: Arc<Service>,
    phase: watch::Receiver<Phase>,
    limits: Limits,
}

/// One core: serves what it is handed until the listener drains and the last connection is done.
async fn run_core(
    mut arriving: mpsc::Receiver<(TcpStream2, SocketAddr)>,
    mut serving: Serving,
    open: Arc<AtomicUsize>,
) {
    let connections = TaskTracker::new();
    let mut sweep = tokio::time::interval(SWEEP_EVERY);
    loop {
        let arrived = tokio::select! {
            arrived = arriving.recv() => arrived,
            _ = sweep.tick() => {
                serving.service.sweep();
                continue;
            }
        };
        let Some((stream, peer)) = arrived else { break };
        let place = Place(Arc::clone(&open));
        match TcpStream::from_std(stream) {
            Ok(stream) => {
                connections.spawn(serve(stream, peer, serving.clone(), place));
            }
            Err(error) => debug!(%error, "a connection was lost on its way to its core"),
        }
    }
    connections.close();
    tokio::select! {
        () = connections.wait() => {}
        () = beyond(&mut serving.phase, Phase::Draining) => {}
    }
}

/// A connection's place among the open ones.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

async fn serve(stream: TcpStream, peer: SocketAddr, serving: Serving, _place: Place) {
    let Serving { service, mut phase, limits } = serving;
    let clock = Clock::new(limits);
    let _ = stream.set_nodelay(true);
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(clock.clone())
        .header_read_timeout(limits.head)
        .max_buf_size(HEAD_BYTES * 4)
        .max_headers(HEAD_LINES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_AT_MOST)
        .max_header_list_size(HEAD_BYTES as u32)
        .keep_alive_interval(Duration::from_secs(30));
    let peer = Peer::new(peer);
    let shown = peer.address;
    let service = hyper::service::service_fn(move |request| {
        let (service, peer) = (Arc::clone(&service), peer.clone());
        service.serve(request, peer)
    });
    let connection = builder.serve_connection(clock.watch(TokioIo::new(stream)), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = beyond(&mut phase, Phase::Serving) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, peer = %shown, "a connection ended badly");
    }
}

/// Returns once the shutdown has gone beyond `phase`.
async fn beyond(now: &mut watch::Receiver<Phase>, phase: Phase) {
    // The sender is gone only when everything is.
    let _ = now.wait_for(|now| *now > phase).await.is_ok();
}
