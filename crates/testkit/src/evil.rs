//! A raw TCP peer that follows a list of steps: cuts, drips, garbles, stalls and floods.
//! Ready-made lists are in [`acts`].

pub mod acts;

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
};

/// Most bytes of a request head that are read.
const MOST_HEAD_BYTES: usize = 1 << 20;

/// One thing that an evil peer does on a connection.
#[derive(Debug, Clone)]
pub enum Step {
    /// Reads up to the end of a request head.
    ReadHead,
    /// Reads the body that the last head announced by `Content-Length` or chunks.
    ReadBody,
    /// Writes these bytes at once.
    Write(Bytes),
    /// Writes these bytes one by one, with a pause after each.
    Drip(Bytes, Duration),
    /// Writes the same bytes this many times; ends quietly when the peer has gone.
    Repeat(Bytes, usize),
    /// Waits.
    Sleep(Duration),
    /// Does nothing more until the peer closes.
    Stall,
    /// Sends FIN: no more bytes from here.
    Fin,
    /// Closes with a reset.
    Rst,
}

#[derive(Default)]
struct Counts {
    accepted: AtomicUsize,
    written: AtomicU64,
    /// Peers that closed or reset before the steps were through.
    deserted: AtomicUsize,
    heads: Mutex<Vec<String>>,
}

/// A peer that follows its steps on each connection. Stops when dropped.
pub struct EvilUpstream {
    addr: SocketAddr,
    counts: Arc<Counts>,
    accept: AbortHandle,
}

impl EvilUpstream {
    /// Follows these steps on every connection.
    pub async fn start(steps: Vec<Step>) -> Self {
        Self::sequence(vec![steps]).await
    }

    /// Follows the first list on the first connection, the second on the second, …; the last list
    /// on all further ones.
    pub async fn sequence(acts: Vec<Vec<Step>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind the evil upstream");
        let addr = listener.local_addr().expect("the listener has an address");
        let counts = Arc::new(Counts::default());
        let shared = Arc::clone(&counts);
        let accept = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                let n = shared.accepted.fetch_add(1, Ordering::SeqCst);
                let steps = acts.get(n).or(acts.last()).cloned().unwrap_or_default();
                let shared = Arc::clone(&shared);
                connections.spawn(async move {
                    if perform(socket, steps, &shared).await.is_err() {
                        shared.deserted.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        EvilUpstream { addr, counts, accept: accept.abort_handle() }
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
    pub fn accepted(&self) -> usize {
        self.counts.accepted.load(Ordering::SeqCst)
    }

    /// Bytes written so far: how much the victim took before it gave up.
    pub fn written(&self) -> u64 {
        self.counts.written.load(Ordering::SeqCst)
    }

    /// Connections that the victim closed before the steps were through.
    pub fn deserted(&self) -> usize {
        self.counts.deserted.load(Ordering::SeqCst)
    }

    /// The request heads read so far.
    pub fn heads(&self) -> Vec<String> {
        self.counts.heads.lock().expect("no test panics while it holds this lock").clone()
    }
}

impl Drop for EvilUpstream {
    fn drop(&mut self) {
        self.accept.abort();
    }
}

struct Peer<'a> {
    socket: TcpStream,
    unread: Vec<u8>,
    head: String,
    counts: &'a Counts,
}

async fn perform(socket: TcpStream, steps: Vec<Step>, counts: &Counts) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    let mut peer = Peer { socket, unread: Vec::new(), head: String::new(), counts };
    for step in steps {
        match step {
            Step::ReadHead => peer.read_head().await?,
            Step::ReadBody => peer.read_body().await?,
            Step::Write(bytes) => peer.write(&bytes).await?,
            Step::Drip(bytes, gap) => {
                for byte in bytes {
                    peer.write(&[byte]).await?;
                    tokio::time::sleep(gap).await;
                }
            }
            Step::Repeat(bytes, times) => {
                for _ in 0..times {
                    peer.write(&bytes).await?;
                }
            }
            Step::Sleep(time) => tokio::time::sleep(time).await,
            Step::Stall => peer.wait_for_close().await?,
            Step::Fin => peer.socket.shutdown().await?,
            Step::Rst => {
                peer.socket.set_zero_linger()?;
                return Ok(());
            }
        }
    }
    // A close with unread bytes would be a reset, and the victim would lose what was written.
    peer.socket.shutdown().await?;
    peer.drain().await;
    Ok(())
}

impl Peer<'_> {
    async fn fill(&mut self) -> std::io::Result<()> {
        let n = self.socket.read_buf(&mut self.unread).await?;
        if n == 0 { Err(std::io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    async fn read_head(&mut self) -> std::io::Result<()> {
        loop {
            if let Some(at) = memchr::memmem::find(&self.unread, b"\r\n\r\n") {
                let rest = self.unread.split_off(at + 4);
                let head = std::mem::replace(&mut self.unread, rest);
                self.head = String::from_utf8_lossy(&head).into_owned();
                let mut heads = self.counts.heads.lock().expect("not poisoned");
                heads.push(self.head.clone());
                return Ok(());
            }
            if self.unread.len() > MOST_HEAD_BYTES {
                return Err(std::io::Error::other("the request head never ends"));
            }
            self.fill().await?;
        }
    }

    async fn read_body(&mut self) -> std::io::Result<()> {
        let field = |name: &str| {
            self.head.lines().find_map(|line| {
                let (n, value) = line.split_once(':')?;
                n.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
            })
        };
        if field("transfer-encoding").is_some() {
            while !self.unread.ends_with(b"0\r\n\r\n") {
                self.fill().await?;
            }
            self.unread.clear();
            return Ok(());
        }
        let length: usize = field("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
        while self.unread.len() < length {
            self.fill().await?;
        }
        self.unread.drain(..length);
        Ok(())
    }

    async fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.socket.write_all(bytes).await?;
        self.counts.written.fetch_add(bytes.len() as u64, Ordering::SeqCst);
        Ok(())
    }

    async fn wait_for_close(&mut self) -> std::io::Result<()> {
        loop {
            self.unread.clear();
            self.fill().await?;
        }
    }

    async fn drain(&mut self) {
        while self.fill().await.is_ok() {
            self.unread.clear();
        }
    }
}
