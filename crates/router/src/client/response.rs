//! An upstream's answer, and what becomes of its connection.

use std::{
    error::Error as _,
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::time::Instant;
use tollgate_wire::{Fault, FaultKind};

use super::origin::{Conn, Origin};

/// An answer whose head is there.
#[derive(Debug)]
pub struct UpstreamResponse {
    /// Its status; any but 1xx.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: ResponseBody,
}

/// A body that gives its connection back when it has been read to the end. Dropped earlier, it
/// closes an HTTP/1.1 connection and resets an HTTP/2 stream: the upstream sees the hang-up.
pub struct ResponseBody {
    incoming: Incoming,
    lease: Lease,
}

/// A connection while its answer is read.
pub(super) struct Lease(Option<(Conn, Arc<Origin>)>);

impl Lease {
    pub(super) fn new(conn: Conn, origin: Arc<Origin>) -> Self {
        Lease(Some((conn, origin)))
    }

    pub(super) fn answer(self, response: Response<Incoming>) -> UpstreamResponse {
        let (head, incoming) = response.into_parts();
        let mut body = ResponseBody { incoming, lease: self };
        if body.incoming.is_end_stream() {
            body.lease.give_back();
        }
        UpstreamResponse { status: head.status, headers: head.headers, body }
    }

    fn give_back(&mut self) {
        if let Some((Conn::H1(h1), origin)) = self.0.take() {
            origin.give_back(h1, Instant::now());
        }
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").finish_non_exhaustive()
    }
}

impl ResponseBody {
    /// The next piece; `None` is the end, and an error the last item.
    pub fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
        loop {
            match ready!(Pin::new(&mut self.incoming).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    // Trailers say nothing that we need.
                    let Ok(piece) = frame.into_data() else { continue };
                    if self.incoming.is_end_stream() {
                        self.lease.give_back();
                    }
                    return Poll::Ready(Some(Ok(piece)));
                }
                Some(Err(error)) => {
                    self.lease.0 = None;
                    return Poll::Ready(Some(Err(fault(&error))));
                }
                None => {
                    self.lease.give_back();
                    return Poll::Ready(None);
                }
            }
        }
    }

    /// The length that the upstream has announced, if it has.
    pub fn announced(&self) -> Option<u64> {
        self.incoming.size_hint().exact()
    }
}

/// What hyper's error means: a breach of the protocol, or a broken connection.
pub(super) fn fault(error: &hyper::Error) -> Fault {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    let breach = error.is_parse()
        || cause.is_some_and(|cause| {
            matches!(cause.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput)
        });
    if breach {
        let why = cause.map_or_else(|| error.to_string(), io::Error::to_string);
        Fault::new(FaultKind::BadResponse, format!("the answer is not HTTP: {why}"))
    } else {
        Fault::new(FaultKind::Disconnected, "the connection broke before the answer was complete")
    }
}
