//! A streamed answer.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use tollgate_ledger::Nano;
use tollgate_router::UpstreamBody;
use tollgate_wire::{Exchange, Fault};

use crate::{ChatCompletion, Chunk, Error, Route, call::invalid, chunk::Collector, frames::Frames};

/// A streamed answer: pieces, as they come. Dropping it hangs up on the provider.
///
/// It is a [`Stream`], and has [`next`](CompletionStream::next) of its own, so that no trait need
/// be imported. After an error there are no further pieces.
pub struct CompletionStream {
    source: Source,
    ready: VecDeque<Chunk>,
    route: Route,
}

enum Source {
    Live(Box<Live>),
    /// Everything has come, but for this error.
    Ended(Option<Error>),
}

struct Live {
    exchange: Box<dyn Exchange>,
    body: UpstreamBody,
    frames: Frames,
}

impl CompletionStream {
    pub(crate) fn live(
        exchange: Box<dyn Exchange>,
        first: Bytes,
        body: UpstreamBody,
        route: Route,
    ) -> Self {
        let source = Source::Live(Box::new(Live { exchange, body, frames: Frames::default() }));
        let mut stream = CompletionStream { source, ready: VecDeque::new(), route };
        stream.read(&first);
        stream
    }

    pub(crate) fn mock(chunks: VecDeque<Chunk>, route: Route) -> Self {
        CompletionStream { source: Source::Ended(None), ready: chunks, route }
    }

    /// The next piece; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<Chunk, Error>> {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    /// The whole answer, once it has come.
    pub async fn collect(mut self) -> Result<ChatCompletion, Error> {
        let mut whole = Collector::default();
        while let Some(chunk) = self.next().await {
            whole.push(&chunk?);
        }
        let mut whole = whole.finish();
        if whole.usage.is_none() {
            whole.usage = Some(crate::Usage::from_counts(&self.route.usage));
        }
        whole.route = self.route;
        Ok(whole)
    }

    /// What has been consumed so far, by kind; the provider's own figures once the stream has
    /// ended.
    pub fn usage(&self) -> &tollgate_wire::Usage {
        &self.route.usage
    }

    /// What has been consumed so far, in money; `None` where no price is known.
    pub fn cost(&self) -> Option<Nano> {
        self.route.cost
    }

    /// Which way the request went.
    pub fn route(&self) -> &Route {
        &self.route
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk, Error>>> {
        loop {
            if let Some(chunk) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(chunk)));
            }
            let live = match &mut self.source {
                Source::Ended(error) => return Poll::Ready(error.take().map(Err)),
                Source::Live(live) => live,
            };
            match live.body.poll_next(cx) {
                Poll::Ready(Some(Ok(bytes))) => self.push(&bytes),
                Poll::Ready(Some(Err(fault))) => self.end(Some(fault)),
                Poll::Ready(None) => {
                    let mut out = BytesMut::new();
                    let ended = live.exchange.end(&mut out);
                    self.read(&out.freeze());
                    self.end(ended.err());
                }
                // Everything was said; whether the connection is closed too is not worth a wait.
                Poll::Pending if live.exchange.done() => self.end(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// A piece of the upstream's bytes.
    fn push(&mut self, bytes: &Bytes) {
        let Source::Live(live) = &mut self.source else { return };
        let mut out = BytesMut::new();
        let pushed = live.exchange.push(bytes, &mut out);
        self.read(&out.freeze());
        if let Err(fault) = pushed {
            self.end(Some(fault));
        }
    }

    /// A piece of the exchange's bytes: frames in OpenAI's dialect.
    fn read(&mut self, bytes: &[u8]) {
        let Source::Live(live) = &mut self.source else { return };
        let read = live.frames.push(bytes, &mut self.ready);
        for chunk in &mut self.ready {
            self.route.name(&mut chunk.model);
        }
        self.route.settle(live.exchange.as_ref());
        if let Err(message) = read {
            self.source = Source::Ended(Some(invalid(&self.route, &message)));
        }
    }

    fn end(&mut self, fault: Option<Fault>) {
        let Source::Live(live) = &self.source else { return };
        self.route.settle(live.exchange.as_ref());
        let route = &self.route;
        let error = fault
            .map(|fault| Error::of_fault(&fault, &route.provider, &route.model, route.attempts));
        self.source = Source::Ended(error);
    }
}

impl Stream for CompletionStream {
    type Item = Result<Chunk, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll(cx)
    }
}

impl std::fmt::Debug for CompletionStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CompletionStream").field("route", &self.route).finish_non_exhaustive()
    }
}
