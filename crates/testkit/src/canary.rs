//! A listener that nobody may connect to: where a redirect points, or what a proxy would leak to.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    io::AsyncReadExt,
    net::TcpListener,
    task::{AbortHandle, JoinSet},
};

/// Counts connections and bytes. Stops when dropped.
pub struct Canary {
    addr: SocketAddr,
    connects: Arc<AtomicU64>,
    bytes: Arc<AtomicU64>,
    accept: AbortHandle,
}

impl Canary {
    /// Listens on a free port of 127.0.0.1, on the current tokio runtime.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind the canary");
        let addr = listener.local_addr().expect("the listener has an address");
        let connects = Arc::new(AtomicU64::new(0));
        let bytes = Arc::new(AtomicU64::new(0));
        let (c, b) = (Arc::clone(&connects), Arc::clone(&bytes));
        let accept = tokio::spawn(async move {
            let mut readers = JoinSet::new();
            while let Ok((mut socket, _)) = listener.accept().await {
                c.fetch_add(1, Ordering::SeqCst);
                let b = Arc::clone(&b);
                readers.spawn(async move {
                    let mut buffer = [0; 4096];
                    while let Ok(n @ 1..) = socket.read(&mut buffer).await {
                        b.fetch_add(n as u64, Ordering::SeqCst);
                    }
                });
            }
        });
        Canary { addr, connects, bytes, accept: accept.abort_handle() }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Connections so far.
    pub fn connects(&self) -> u64 {
        self.connects.load(Ordering::SeqCst)
    }

    /// Bytes received so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::SeqCst)
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        self.accept.abort();
    }
}
