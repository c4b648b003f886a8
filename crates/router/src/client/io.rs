//! The bytes of a connection, plain or encrypted, with a limit on what may precede an answer.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

/// Bytes that an upstream may send between a request and its answer's head. hyper skips interim
/// answers (1xx) without end; this ends a flood of them.
const MAX_BEFORE_ANSWER: u64 = 512 * 1024;

/// Counts the bytes that arrive before an answer's head is complete.
#[derive(Debug, Default)]
pub(super) struct HeadBudget(AtomicU64);

impl HeadBudget {
    const OFF: u64 = u64::MAX;

    /// A request goes out: from here on bytes count.
    pub(super) fn start(&self) {
        self.0.store(0, Relaxed);
    }

    /// The head is there: bytes count no more.
    pub(super) fn stop(&self) {
        self.0.store(Self::OFF, Relaxed);
    }

    fn spend(&self, bytes: usize) -> io::Result<()> {
        let spent = self.0.load(Relaxed);
        if spent == Self::OFF {
            return Ok(());
        }
        let spent = spent.saturating_add(bytes as u64);
        if spent > MAX_BEFORE_ANSWER {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "too many bytes before an answer",
            ));
        }
        self.0.store(spent, Relaxed);
        Ok(())
    }
}

/// A socket.
#[derive(Debug)]
pub(super) enum Socket {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A socket and its budget.
#[derive(Debug)]
pub(super) struct Io {
    pub(super) socket: Socket,
    pub(super) budget: Arc<HeadBudget>,
}

impl AsyncRead for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(match &mut self.socket {
            Socket::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Socket::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        })?;
        Poll::Ready(self.budget.spend(buf.filled().len().saturating_sub(before)))
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.socket {
            Socket::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Socket::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Socket::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Socket::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.socket {
            Socket::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, bufs),
            Socket::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.socket {
            Socket::Plain(tcp) => tcp.is_write_vectored(),
            Socket::Tls(tls) => tls.is_write_vectored(),
        }
    }
}
