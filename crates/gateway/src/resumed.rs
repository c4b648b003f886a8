//! The stream of an answer that its provider keeps, from its beginning or from where a client was
//! cut off. It costs nothing: the answer was, or will be, paid for by whoever asked for it.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};
use tokio::time::{Instant, Sleep};
use tollgate_router::UpstreamBody;
use tollgate_wire::{Exchange, Fault};

use crate::tab::{PING, PING_AFTER};

/// Such a stream as a body.
pub struct Resumed {
    exchange: Box<dyn Exchange>,
    upstream: Option<UpstreamBody>,
    ready: BytesMut,
    ping: Pin<Box<Sleep>>,
    heard: bool,
}

impl Resumed {
    /// What `upstream` has to say, passed on by `exchange`.
    pub(crate) fn new(exchange: Box<dyn Exchange>, upstream: UpstreamBody) -> Self {
        let ping = Box::pin(tokio::time::sleep(PING_AFTER));
        Resumed { exchange, upstream: Some(upstream), ready: BytesMut::new(), ping, heard: false }
    }

    /// Takes what the upstream has; false when there is nothing yet.
    fn advance(&mut self, upstream: &mut UpstreamBody, cx: &mut Context<'_>) -> Poll<bool> {
        let heard = match upstream.poll_next(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Some(Ok(chunk))) => {
                self.heard |= !chunk.is_empty();
                self.exchange.push(&chunk, &mut self.ready).map(|()| true)
            }
            Poll::Ready(Some(Err(fault))) => Err(fault),
            // Behind the last event there is nothing, and that is no fault.
            Poll::Ready(None) if !self.heard => Ok(false),
            Poll::Ready(None) => self.exchange.end(&mut self.ready).map(|()| false),
        };
        Poll::Ready(heard.unwrap_or_else(|fault| self.break_off(&fault)))
    }

    /// The stream broke: says so and ends it.
    fn break_off(&mut self, fault: &Fault) -> bool {
        if !self.exchange.done() {
            self.exchange.broken(&tollgate_router::refusal(fault), &mut self.ready);
        }
        false
    }
}

impl Body for Resumed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        loop {
            if !this.ready.is_empty() {
                this.ping.as_mut().reset(Instant::now() + PING_AFTER);
                return Poll::Ready(Some(Ok(Frame::data(this.ready.split().freeze()))));
            }
            let Some(mut upstream) = this.upstream.take() else { return Poll::Ready(None) };
            match this.advance(&mut upstream, cx) {
                Poll::Ready(true) => this.upstream = Some(upstream),
                Poll::Ready(false) => {}
                Poll::Pending => {
                    this.upstream = Some(upstream);
                    if this.ping.as_mut().poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                    this.ready.extend_from_slice(PING);
                }
            }
        }
    }
}
