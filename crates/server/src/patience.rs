//! How long a connection may keep us waiting for a request's head.
//!
//! hyper has one limit for both waits, between two requests and within a head. They are different
//! things: an idle connection costs little and closing it too early breaks clients that reuse it,
//! while a head that trickles in is an attack. [`Clock`] tells them apart by whether a byte came
//! since the last request, and arms one timer for a connection instead of one for each request.

use std::{
    cell::RefCell,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use hyper::rt::{Read, ReadBufCursor, Sleep, Timer, Write};
use tokio::time::Instant as TokioInstant;

/// The two limits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// From the first byte of a head to its last.
    pub(crate) head: Duration,
    /// From the end of one request to the first byte of the next.
    pub(crate) idle: Duration,
}

/// A connection's clock: hyper's timer for waiting for heads.
#[derive(Debug, Clone)]
pub(crate) struct Clock(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limits: Limits,
    /// A byte has come since the wait began.
    began: AtomicBool,
    /// The connection's one timer, while no wait uses it.
    spare: Mutex<Option<Pin<Box<tokio::time::Sleep>>>>,
}

impl Clock {
    /// A clock for one connection.
    pub(crate) fn new(limits: Limits) -> Self {
        Clock(Arc::new(Shared { limits, began: AtomicBool::new(false), spare: Mutex::default() }))
    }

    /// The connection's bytes, seen by the clock.
    pub(crate) fn watch<I>(&self, io: I) -> Watched<I> {
        Watched { io, clock: Arc::clone(&self.0) }
    }

    fn wait(&self) -> Wait {
        self.0.began.store(false, Relaxed);
        let spare = self.0.spare.lock().unwrap_or_else(PoisonError::into_inner).take();
        Wait {
            since: TokioInstant::now(),
            head_since: None,
            timer: spare,
            clock: Arc::clone(&self.0),
        }
    }
}

impl Timer for Clock {
    fn sleep(&self, _duration: Duration) -> Pin<Box<dyn Sleep>> {
        Box::pin(self.wait())
    }

    fn sleep_until(&self, _deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(self.wait())
    }
}

/// One wait for a head.
#[derive(Debug)]
struct Wait {
    since: TokioInstant,
    head_since: Option<TokioInstant>,
    timer: Option<Pin<Box<tokio::time::Sleep>>>,
    clock: Arc<Shared>,
}

impl Wait {
    fn deadline(&mut self) -> TokioInstant {
        let Limits { head, idle } = self.clock.limits;
        if !self.clock.began.load(Relaxed) {
            return self.since + idle;
        }
        *self.head_since.get_or_insert_with(TokioInstant::now) + head
    }
}

impl Future for Wait {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = self.deadline();
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        // A timer that is armed for an earlier moment is left alone: when it fires, it is armed
        // anew, which happens once in a while instead of with every request.
        if timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        }
        loop {
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if timer.deadline() >= deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        *self.clock.spare.lock().unwrap_or_else(PoisonError::into_inner) = self.timer.take();
    }
}

impl Sleep for Wait {}

/// What is no longer than this is put together before it is written: a copy of a few kilobytes costs
/// less than the kernel's way through several pieces.
const SHORT: usize = 4_096;

thread_local! {
    static WHOLE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A connection's bytes; tells the clock when some came.
#[derive(Debug)]
pub(crate) struct Watched<I> {
    io: I,
    clock: Arc<Shared>,
}

impl<I: Read + Unpin> Read for Watched<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        let read = Pin::new(&mut self.io).poll_read(cx, buf);
        if read.is_ready() {
            self.clock.began.store(true, Relaxed);
        }
        read
    }
}

impl<I: Write + Unpin> Write for Watched<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let length: usize = pieces.iter().map(|piece| piece.len()).sum();
        if length > SHORT {
            return Pin::new(&mut self.io).poll_write_vectored(cx, pieces);
        }
        WHOLE.with_borrow_mut(|whole| {
            whole.clear();
            pieces.iter().for_each(|piece| whole.extend_from_slice(piece));
            Pin::new(&mut self.io).poll_write(cx, whole)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { head: Duration::from_secs(10), idle: Duration::from_secs(75) };

    async fn waited(clock: &Clock, byte_after: Option<Duration>) -> Duration {
        let start = TokioInstant::now();
        let wait = clock.sleep(Duration::ZERO);
        let mut wait = std::pin::pin!(wait);
        if let Some(after) = byte_after {
            assert!(tokio::time::timeout(after, &mut wait).await.is_err());
            clock.0.began.store(true, Relaxed);
        }
        wait.await;
        start.elapsed()
    }

    #[tokio::test]
    async fn an_idle_connection_has_longer_than_a_begun_head() {
        tokio::time::pause();
        let clock = Clock::new(LIMITS);
        assert_eq!(waited(&clock, None).await.as_secs(), 75);
        assert_eq!(waited(&clock, Some(Duration::from_secs(30))).await.as_secs(), 40);
        // The spare timer of an earlier wait does not cut a later one short.
        assert_eq!(waited(&clock, None).await.as_secs(), 75);
    }
}
