//! A response body that leaves as separate writes, at a chosen pace, and ends in a chosen way.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

/// How a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// As HTTP wants it.
    Clean,
    /// The connection is closed without the end of the body.
    Cut,
    /// Nothing comes any more, the connection stays open.
    Stall,
}

/// Counts the requests whose client left before the end of the answer.
pub(super) struct Watch {
    hangups: Arc<AtomicU64>,
    finished: bool,
}

impl Watch {
    pub(super) fn new(hangups: Arc<AtomicU64>) -> Self {
        Watch { hangups, finished: false }
    }

    pub(super) fn finish(&mut self) {
        self.finished = true;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if !self.finished {
            self.hangups.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Frames, each its own write.
pub(super) struct Paced {
    frames: VecDeque<Bytes>,
    declared: Option<u64>,
    gap: Duration,
    pause: Option<Pin<Box<Sleep>>>,
    /// True right after a frame: the next poll yields once, so that hyper flushes what it has.
    flushing: bool,
    ending: Ending,
    watch: Watch,
}

impl Paced {
    /// A body of these frames. With `declared` it has a `Content-Length`, otherwise it is chunked.
    pub(super) fn new(
        frames: Vec<Bytes>,
        declared: Option<u64>,
        gap: Duration,
        ending: Ending,
        watch: Watch,
    ) -> Self {
        Paced { frames: frames.into(), declared, gap, pause: None, flushing: false, ending, watch }
    }
}

impl Body for Paced {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        if std::mem::take(&mut self.flushing) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if let Some(pause) = &mut self.pause {
            if pause.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.pause = None;
        }
        if let Some(bytes) = self.frames.pop_front() {
            if self.gap.is_zero() {
                self.flushing = true;
            } else if !self.frames.is_empty() {
                self.pause = Some(Box::pin(tokio::time::sleep(self.gap)));
            }
            if self.frames.is_empty() && self.ending == Ending::Clean {
                self.watch.finish();
            }
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        match self.ending {
            Ending::Clean => {
                self.watch.finish();
                Poll::Ready(None)
            }
            Ending::Cut => {
                self.watch.finish();
                Poll::Ready(Some(Err(std::io::Error::other("cut by script"))))
            }
            Ending::Stall => Poll::Pending,
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.declared.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
