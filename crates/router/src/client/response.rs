//! An upstream's answer, and what becomes of its connection.

use std::{
    error::Error as _,
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::time::Instant;
use tollgate_wire::{Fault, FaultKind};

use super::{
    headers::Headers,
    http1::{Answered, Framing, H1},
    origin::{H2, Origin},
};

/// An answer whose head is there.
#[derive(Debug)]
pub struct UpstreamResponse {
    /// Its status; any but 1xx.
    pub status: StatusCode,
    /// Its headers.
    pub headers: Headers,
    /// Its body.
    pub body: ResponseBody,
}

/// A body that gives its connection back when it has been read to the end. Dropped earlier, it
/// closes an HTTP/1.1 connection and resets an HTTP/2 stream: the upstream sees the hang-up.
pub struct ResponseBody(Body);

enum Body {
    H1 {
        /// Gone once it is given back or broken.
        conn: Option<(Box<H1>, Arc<Origin>)>,
        framing: Framing,
        /// Whether the connection may carry another request.
        reusable: bool,
        /// When it was asked.
        asked: Instant,
    },
    H2 {
        incoming: Incoming,
        /// Held: its place on the connection is taken as long as the body lives.
        _place: H2,
    },
}

impl UpstreamResponse {
    pub(super) fn h1(h1: Box<H1>, origin: Arc<Origin>, answered: Answered, asked: Instant) -> Self {
        let Answered { status, headers, body, reusable } = answered;
        let mut conn = Some((h1, origin));
        if body.ended() {
            rest(&mut conn, reusable, asked);
        }
        let body = ResponseBody(Body::H1 { conn, framing: body, reusable, asked });
        UpstreamResponse { status, headers, body }
    }

    pub(super) fn h2(place: H2, response: Response<Incoming>) -> Self {
        let (head, incoming) = response.into_parts();
        let body = ResponseBody(Body::H2 { incoming, _place: place });
        UpstreamResponse { status: head.status, headers: head.headers.into(), body }
    }
}

/// Gives a connection back whose answer is read, or closes it.
fn rest(conn: &mut Option<(Box<H1>, Arc<Origin>)>, reusable: bool, since: Instant) {
    if let Some((h1, origin)) = conn.take()
        && reusable
    {
        origin.give_back(h1, since);
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").finish_non_exhaustive()
    }
}

impl ResponseBody {
    /// A body of nothing.
    pub(crate) fn empty() -> Self {
        let (conn, framing, asked) = (None, Framing::Length(0), Instant::now());
        ResponseBody(Body::H1 { conn, framing, reusable: false, asked })
    }

    /// The next piece; `None` is the end, and an error the last item.
    pub fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
        match &mut self.0 {
            Body::H1 { conn, framing, reusable, asked } => {
                let Some((h1, _)) = conn else { return Poll::Ready(None) };
                let piece = ready!(h1.poll_piece(cx, framing));
                match &piece {
                    Some(Ok(_)) if !framing.ended() => {}
                    Some(Ok(_)) | None => {
                        // An answer that came whole was not long in coming: one look at the clock
                        // is spared.
                        let whole = matches!(framing, Framing::Length(_));
                        rest(conn, *reusable, if whole { *asked } else { Instant::now() });
                    }
                    Some(Err(_)) => *conn = None,
                }
                Poll::Ready(piece)
            }
            Body::H2 { incoming, .. } => loop {
                match ready!(Pin::new(&mut *incoming).poll_frame(cx)) {
                    Some(Ok(frame)) => {
                        // Trailers say nothing that we need.
                        let Ok(piece) = frame.into_data() else { continue };
                        return Poll::Ready(Some(Ok(piece)));
                    }
                    Some(Err(error)) => return Poll::Ready(Some(Err(fault(&error)))),
                    None => return Poll::Ready(None),
                }
            },
        }
    }

    /// What is left of the length that the upstream has announced, if it has.
    pub fn announced(&self) -> Option<u64> {
        match &self.0 {
            Body::H1 { framing: Framing::Length(left), .. } => Some(*left),
            Body::H1 { .. } => None,
            Body::H2 { incoming, .. } => incoming.size_hint().exact(),
        }
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
