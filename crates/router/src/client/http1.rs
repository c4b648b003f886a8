//! HTTP/1.1, as a client: the one request that a connection carries at a time drives it.
//!
//! hyper's client makes a task of each connection and talks to it through channels, which costs a
//! gateway more than reading the answer does. Here a connection is a socket and a buffer: whoever
//! asks owns both until the answer is read. Heads are httparse's to read; what a head means for the
//! body is RFC 9112, section 6.3, without its leniencies: whatever two readers could take
//! differently is a fault of the upstream.

use std::{
    future::{Future, poll_fn},
    io::IoSlice,
    mem::MaybeUninit,
    pin::{Pin, pin},
    task::{Context, Poll, Waker, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tollgate_wire::{Call, Fault, FaultKind};

use super::{
    chunked::Chunked,
    headers::{Headers, Line},
    io::Socket,
};

/// Largest head of an answer.
pub(super) const MAX_HEAD: usize = 64 * 1024;
/// Most header lines of an answer.
const MAX_LINES: usize = 100;
/// Bytes of interim answers (1xx) that an upstream may send before the answer.
const MAX_INTERIM: usize = 512 * 1024;
/// Least room for a read.
const LEAST_READ: usize = 8 * 1024;
/// Most room for a read: taken where earlier ones filled theirs.
const MOST_READ: usize = 256 * 1024;
/// A body up to this length is copied behind its head and goes out as one slice.
const SHORT_BODY: usize = 8 * 1024;
/// Slices of one vectored write.
const SLICES: usize = 16;
/// An idle connection keeps buffers up to this size.
const KEPT_BUFFER: usize = 16 * 1024;

/// A connection.
#[derive(Debug)]
pub(super) struct H1 {
    socket: Socket,
    /// Read, and not used yet.
    read: BytesMut,
    /// How much room the next read gets.
    room: usize,
    /// The request's head, with its body where that is short; kept for its memory.
    head: Vec<u8>,
}

/// An answer whose head is there.
pub(super) struct Answered {
    pub(super) status: StatusCode,
    pub(super) headers: Headers,
    pub(super) body: Framing,
    /// Whether the connection may carry another request after this answer.
    pub(super) reusable: bool,
}

/// Why there is none.
pub(super) struct Failed {
    /// Nothing of the request was written: it may be sent on another connection.
    pub(super) unsent: bool,
    pub(super) fault: Fault,
}

/// Waiting for an answer's head.
#[derive(Default)]
struct Waiting {
    /// Bytes of interim answers.
    interim: usize,
    /// The head's beginning was parsed in vain.
    partial: bool,
}

/// What the rest of an answer is.
#[derive(Debug)]
pub(super) enum Framing {
    /// So many bytes more.
    Length(u64),
    Chunked(Chunked),
    /// All that comes until the upstream closes the connection.
    UntilClose,
}

impl H1 {
    pub(super) fn new(socket: Socket) -> Self {
        H1 { socket, read: BytesMut::new(), room: LEAST_READ, head: Vec::new() }
    }

    /// Whether an idle connection can carry a request, as far as is known without asking the
    /// kernel: false once it is closed, and where the upstream said something that nobody asked.
    pub(super) fn is_idle(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        let mut byte = [0];
        let mut byte = ReadBuf::new(&mut byte);
        self.read.is_empty()
            && Pin::new(&mut self.socket).poll_read(&mut cx, &mut byte).is_pending()
    }

    /// Sends a request and waits for the answer's head.
    pub(super) async fn ask(
        &mut self,
        method: &Method,
        host: &HeaderValue,
        call: &Call,
    ) -> Result<Answered, Failed> {
        let mut left = self.write_head(method, host, call).map_err(Failed::before)?;
        let whole = left;
        let mut waiting = Waiting::default();
        poll_fn(|cx| {
            let written = self.poll_write(cx, call, whole, &mut left);
            // The answer may come before the request is written whole, and may be all that is to be
            // had from a connection that takes no more.
            loop {
                match self.parse(method, &mut waiting) {
                    Ok(None) => {}
                    Ok(Some(mut answered)) => {
                        answered.reusable &= left == 0;
                        return Poll::Ready(Ok(answered));
                    }
                    Err(fault) => return Poll::Ready(Err(Failed { unsent: false, fault })),
                }
                match self.poll_fill(cx) {
                    Poll::Ready(Ok(true)) => {}
                    Poll::Ready(Ok(false)) => return Poll::Ready(Err(Failed::cut(left == whole))),
                    Poll::Ready(Err(fault)) => {
                        return Poll::Ready(Err(Failed { unsent: left == whole, fault }));
                    }
                    Poll::Pending if matches!(written, Poll::Ready(Err(_))) => {
                        return Poll::Ready(Err(Failed::cut(left == whole)));
                    }
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await
    }

    /// Writes the request's head into its buffer, and a short body behind it; tells how many bytes
    /// are to go out, the rest of the body included.
    fn write_head(
        &mut self,
        method: &Method,
        host: &HeaderValue,
        call: &Call,
    ) -> Result<usize, Fault> {
        // What may stand in a request line: RFC 3986's characters, and those beyond ASCII that
        // some servers want as they are.
        let allowed = |byte: u8| matches!(byte, 0x21..=0x7e | 0x80..) && byte != b'#';
        if !call.path.starts_with('/') || !call.path.bytes().all(allowed) {
            return Err(Fault::new(FaultKind::Unreachable, "the path is not one of a URL"));
        }
        let body: usize = call.body.iter().map(Bytes::len).sum();
        let out = &mut self.head;
        out.clear();
        out.extend_from_slice(method.as_str().as_bytes());
        out.push(b' ');
        out.extend_from_slice(call.path.as_bytes());
        out.extend_from_slice(b" HTTP/1.1\r\nhost: ");
        out.extend_from_slice(host.as_bytes());
        out.extend_from_slice(b"\r\n");
        let mut line = |name: &HeaderName, value: &HeaderValue| {
            out.extend_from_slice(name.as_str().as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value.as_bytes());
            out.extend_from_slice(b"\r\n");
        };
        for (name, value) in &super::DEFAULTS {
            if !call.headers.iter().any(|(own, _)| own == name) {
                line(name, value);
            }
        }
        for (name, value) in &call.headers {
            if !super::of_the_connection(name) {
                line(name, value);
            }
        }
        if body > 0 || !matches!(*method, Method::GET | Method::DELETE | Method::HEAD) {
            out.extend_from_slice(b"content-length: ");
            out.extend_from_slice(body.to_string().as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"\r\n");
        if body <= SHORT_BODY {
            call.body.iter().for_each(|piece| out.extend_from_slice(piece));
            return Ok(out.len());
        }
        Ok(out.len() + body)
    }

    /// Writes what is left of the `whole` request.
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        call: &Call,
        whole: usize,
        left: &mut usize,
    ) -> Poll<Result<(), ()>> {
        while *left > 0 {
            let done = whole - *left;
            let mut slices = [IoSlice::new(&[]); SLICES];
            let count = gather(&self.head, &call.body, done, whole, &mut slices);
            let socket = Pin::new(&mut self.socket);
            let wrote = match slices.get(..count) {
                Some([one]) => socket.poll_write(cx, one),
                slices => socket.poll_write_vectored(cx, slices.unwrap_or_default()),
            };
            match ready!(wrote) {
                Ok(written @ 1..) => *left = left.saturating_sub(written),
                Ok(0) | Err(_) => return Poll::Ready(Err(())),
            }
        }
        Pin::new(&mut self.socket).poll_flush(cx).map_err(drop)
    }

    /// Reads more; `false` is the end.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Fault>> {
        self.read.reserve(self.room);
        let before = self.read.len();
        let spare = self.read.capacity() - before;
        let read = pin!(self.socket.read_buf(&mut self.read));
        let read = ready!(read.poll(cx)).map_err(|error| match error.kind() {
            std::io::ErrorKind::InvalidData => no_http(&error.to_string()),
            _ => cut(),
        })?;
        if read >= spare {
            self.room = (self.room * 2).min(MOST_READ);
        }
        Poll::Ready(Ok(read > 0))
    }

    /// The answer's head, if it is there whole.
    fn parse(&mut self, method: &Method, waiting: &mut Waiting) -> Result<Option<Answered>, Fault> {
        loop {
            if self.read.is_empty() {
                return Ok(None);
            }
            if !begins_head(&self.read) {
                return Err(no_http("it does not begin so"));
            }
            if waiting.partial && !ends_head(&self.read) {
                if self.read.len() > MAX_HEAD {
                    return Err(no_http("its head is too long"));
                }
                return Ok(None);
            }
            let mut lines = [const { MaybeUninit::uninit() }; MAX_LINES];
            let mut parsed = httparse::Response::new(&mut []);
            let parser = httparse::ParserConfig::default();
            let length = match parser.parse_response_with_uninit_headers(
                &mut parsed,
                &self.read,
                &mut lines,
            ) {
                Ok(httparse::Status::Complete(length)) if length <= MAX_HEAD => length,
                Ok(httparse::Status::Complete(_)) => return Err(no_http("its head is too long")),
                Ok(httparse::Status::Partial) if self.read.len() > MAX_HEAD => {
                    return Err(no_http("its head is too long"));
                }
                Ok(httparse::Status::Partial) => {
                    waiting.partial = true;
                    return Ok(None);
                }
                Err(error) => return Err(no_http(&error.to_string())),
            };
            let code = parsed.code.unwrap_or_default();
            let status = StatusCode::from_u16(code).map_err(|_| no_http("its status is none"))?;
            if status.is_informational() {
                if status == StatusCode::SWITCHING_PROTOCOLS {
                    return Err(no_http("it switches protocols, which nobody asked for"));
                }
                waiting.interim += length;
                if waiting.interim > MAX_INTERIM {
                    return Err(no_http("too many bytes before an answer"));
                }
                self.read.advance(length);
                continue;
            }
            let meaning = Meaning::read(&parsed, method, status)?;
            let base = self.read.as_ptr() as usize;
            let lines: Vec<Line> =
                parsed.headers.iter().map(|header| Line::of(header, base)).collect();
            let head = self.read.split_to(length);
            return Ok(Some(Answered {
                status,
                headers: Headers::raw(head, lines),
                body: meaning.framing,
                reusable: meaning.reusable,
            }));
        }
    }

    /// The next piece of an answer's body; `None` is its end.
    pub(super) fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
        framing: &mut Framing,
    ) -> Poll<Option<Result<Bytes, Fault>>> {
        loop {
            match framing {
                Framing::Length(0) => return Poll::Ready(None),
                Framing::Length(left) if !self.read.is_empty() => {
                    let most = usize::try_from(*left).unwrap_or(usize::MAX);
                    let piece = self.read.split_to(self.read.len().min(most)).freeze();
                    *left -= piece.len() as u64;
                    return Poll::Ready(Some(Ok(piece)));
                }
                Framing::UntilClose if !self.read.is_empty() => {
                    return Poll::Ready(Some(Ok(self.read.split().freeze())));
                }
                Framing::Chunked(chunked) => match chunked.next(&mut self.read) {
                    Ok(Some(piece)) => return Poll::Ready(Some(Ok(piece))),
                    Ok(None) if chunked.ended() => return Poll::Ready(None),
                    Ok(None) => {}
                    Err(why) => return Poll::Ready(Some(Err(no_http(why)))),
                },
                Framing::Length(_) | Framing::UntilClose => {}
            }
            match ready!(self.poll_fill(cx)) {
                Ok(true) => {}
                Ok(false) if matches!(framing, Framing::UntilClose) => return Poll::Ready(None),
                Ok(false) => return Poll::Ready(Some(Err(cut()))),
                Err(fault) => return Poll::Ready(Some(Err(fault))),
            }
        }
    }

    /// Before it waits for its next request.
    pub(super) fn rest(&mut self) {
        self.room = LEAST_READ;
        if self.head.capacity() > KEPT_BUFFER {
            self.head = Vec::new();
        }
        if self.read.is_empty() && self.read.capacity() > KEPT_BUFFER {
            self.read = BytesMut::new();
        }
    }
}

impl Failed {
    fn before(fault: Fault) -> Self {
        Failed { unsent: false, fault }
    }

    fn cut(unsent: bool) -> Self {
        Failed { unsent, fault: cut() }
    }
}

impl Framing {
    /// Whether nothing more comes, as far as is known without reading.
    pub(super) fn ended(&self) -> bool {
        match self {
            Framing::Length(left) => *left == 0,
            Framing::Chunked(chunked) => chunked.ended(),
            Framing::UntilClose => false,
        }
    }
}

/// What a head says of what follows it.
struct Meaning {
    framing: Framing,
    reusable: bool,
}

impl Meaning {
    fn read(
        head: &httparse::Response<'_, '_>,
        method: &Method,
        status: StatusCode,
    ) -> Result<Self, Fault> {
        let newer = head.version == Some(1);
        let (mut length, mut codings, mut close, mut keep) = (None, Vec::new(), false, false);
        for httparse::Header { name, value } in head.headers.iter() {
            let is = |wanted: &HeaderName| name.eq_ignore_ascii_case(wanted.as_str());
            if is(&header::CONTENT_LENGTH) {
                let said = whole_number(value).ok_or_else(|| no_http("its length is none"))?;
                if length.is_some_and(|length| length != said) {
                    return Err(no_http("it has two lengths"));
                }
                length = Some(said);
            } else if is(&header::TRANSFER_ENCODING) {
                codings.extend(tokens(value));
            } else if is(&header::CONNECTION) {
                close |= tokens(value).any(|token| token.eq_ignore_ascii_case(b"close"));
                keep |= tokens(value).any(|token| token.eq_ignore_ascii_case(b"keep-alive"));
            }
        }
        let mut reusable = !close && (newer || keep);
        let empty = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let framing = if empty || method == Method::HEAD {
            Framing::Length(0)
        } else if !codings.is_empty() {
            if !newer || length.is_some() {
                return Err(no_http("it says twice how long it is"));
            }
            match codings.as_slice() {
                [coding] if coding.eq_ignore_ascii_case(b"chunked") => {
                    Framing::Chunked(Chunked::default())
                }
                _ => return Err(no_http("its transfer encoding was not asked for")),
            }
        } else if let Some(length) = length {
            Framing::Length(length)
        } else {
            reusable = false;
            Framing::UntilClose
        };
        Ok(Meaning { framing, reusable })
    }
}

fn whole_number(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?.trim();
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|token| !token.is_empty())
}

/// Whether what is there may become a head: what is none may never have an end either.
fn begins_head(read: &[u8]) -> bool {
    read.iter().zip(b"HTTP/1.").all(|(byte, wanted)| byte == wanted)
}

/// Whether an empty line is there: cheaper to see than to parse a head that is not whole, which
/// may come byte by byte.
fn ends_head(read: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', read).any(|at| {
        let rest = read.get(at + 1..).unwrap_or_default();
        rest.starts_with(b"\n") || rest.starts_with(b"\r\n")
    })
}

/// The slices of a request from `done` bytes on.
fn gather<'a>(
    head: &'a [u8],
    body: &'a [Bytes],
    done: usize,
    whole: usize,
    slices: &mut [IoSlice<'a>; SLICES],
) -> usize {
    // A short body stands behind its head already.
    let body = if head.len() == whole { &[] } else { body };
    let mut skip = done;
    let pieces = std::iter::once(head).chain(body.iter().map(|piece| &**piece));
    let mut count = 0;
    for piece in pieces {
        let rest = piece.get(skip..).unwrap_or_default();
        skip = skip.saturating_sub(piece.len());
        if rest.is_empty() {
            continue;
        }
        let Some(slice) = slices.get_mut(count) else { break };
        *slice = IoSlice::new(rest);
        count += 1;
    }
    count
}

fn no_http(why: &str) -> Fault {
    Fault::new(FaultKind::BadResponse, format!("the answer is not HTTP: {why}"))
}

fn cut() -> Fault {
    Fault::new(FaultKind::Disconnected, "the connection broke before the answer was complete")
}

#[cfg(test)]
mod tests;
