//! An HTTP/1.1 response as it arrives, strict about its framing.
//!
//! hyper's client would do this too, but at several times the cost, and it would be as forgiving
//! as the gateways that it is to judge.

use memchr::{memchr, memmem};

/// A head or a chunk's size line longer than this is refused.
const LONGEST_HELD: usize = 64 * 1024;

/// A body longer than this is refused.
const LONGEST_BODY: usize = 64 * 1024 * 1024;

/// A response that is not HTTP/1.1 as it should be, in a few words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken(pub &'static str);

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Head,
    /// So many bytes of the body, and then the end.
    Length(usize),
    ChunkSize,
    /// So many bytes of a chunk.
    Chunk(usize),
    ChunkEnd,
    Trailer,
    /// The body lasts as long as the connection.
    UntilClose,
    Nothing,
}

/// One response. [`Reply::clear`] makes it ready for the next on the same connection.
#[derive(Debug)]
pub struct Reply {
    next: Next,
    /// Bytes of a head or a line that is not whole yet.
    held: Vec<u8>,
    body: Vec<u8>,
    status: u16,
    event_stream: bool,
    close: bool,
}

impl Default for Reply {
    fn default() -> Self {
        Reply {
            next: Next::Head,
            held: Vec::new(),
            body: Vec::new(),
            status: 0,
            event_stream: false,
            close: false,
        }
    }
}

impl Reply {
    /// Forgets the response, keeps its memory.
    pub fn clear(&mut self) {
        self.next = Next::Head;
        self.held.clear();
        self.body.clear();
        self.status = 0;
        self.event_stream = false;
        self.close = false;
    }

    /// The status code; 0 before the head is whole.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The body so far, without its framing.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// True where `content-type` is `text/event-stream`.
    pub fn is_event_stream(&self) -> bool {
        self.event_stream
    }

    /// True once the response is whole.
    pub fn is_whole(&self) -> bool {
        self.next == Next::Nothing
    }

    /// True while not a byte has come.
    pub fn is_untouched(&self) -> bool {
        self.next == Next::Head && self.held.is_empty()
    }

    /// True where the connection is not to be used again.
    pub fn closes(&self) -> bool {
        self.close
    }

    /// The peer will send no more: true if what came is a whole response.
    pub fn ends(&mut self) -> bool {
        if self.next == Next::UntilClose {
            self.next = Next::Nothing;
            self.close = true;
        }
        self.is_whole()
    }

    /// Takes the next bytes.
    pub fn feed(&mut self, data: &[u8]) -> Result<(), Broken> {
        if self.held.is_empty() {
            let left = self.take_all(data)?;
            self.held.extend_from_slice(left);
        } else {
            let mut held = std::mem::take(&mut self.held);
            held.extend_from_slice(data);
            let left = self.take_all(&held)?.len();
            held.drain(..held.len().saturating_sub(left));
            self.held = held;
        }
        if self.held.len() > LONGEST_HELD {
            return Err(Broken("a head or chunk line without end"));
        }
        if self.body.len() > LONGEST_BODY {
            return Err(Broken("a body without end"));
        }
        Ok(())
    }

    /// Takes what can be taken; gives back a line or head that is not whole.
    fn take_all<'a>(&mut self, mut data: &'a [u8]) -> Result<&'a [u8], Broken> {
        while !data.is_empty() {
            let before = data.len();
            data = match self.next {
                Next::Head => self.take_head(data)?,
                Next::Length(left) => self.take_body(data, left, Next::Nothing, Next::Length),
                Next::ChunkSize => self.take_size(data)?,
                Next::Chunk(left) => self.take_body(data, left, Next::ChunkEnd, Next::Chunk),
                Next::ChunkEnd => match line(data) {
                    Some(([], rest)) => {
                        self.next = Next::ChunkSize;
                        rest
                    }
                    Some(_) => return Err(Broken("a chunk longer than it said")),
                    None if data.len() > 1 => return Err(Broken("a chunk longer than it said")),
                    None => data,
                },
                Next::Trailer => match line(data) {
                    Some((trailer, rest)) => {
                        if trailer.is_empty() {
                            self.next = Next::Nothing;
                        }
                        rest
                    }
                    None => data,
                },
                Next::UntilClose => {
                    self.body.extend_from_slice(data);
                    &[]
                }
                Next::Nothing => return Err(Broken("bytes after the answer")),
            };
            if data.len() == before {
                break;
            }
        }
        Ok(data)
    }

    /// Takes up to `left` bytes of the body.
    fn take_body<'a>(
        &mut self,
        data: &'a [u8],
        left: usize,
        after: Next,
        more: impl FnOnce(usize) -> Next,
    ) -> &'a [u8] {
        let (taken, rest) = data.split_at_checked(left).unwrap_or((data, &[]));
        self.body.extend_from_slice(taken);
        self.next = match left.saturating_sub(taken.len()) {
            0 => after,
            left => more(left),
        };
        rest
    }

    fn take_size<'a>(&mut self, data: &'a [u8]) -> Result<&'a [u8], Broken> {
        let Some((line, rest)) = line(data) else { return Ok(data) };
        let digits = line.split(|&b| b == b';').next().unwrap_or(line).trim_ascii_end();
        let size = std::str::from_utf8(digits)
            .ok()
            .filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|digits| usize::from_str_radix(digits, 16).ok())
            .ok_or(Broken("a chunk size that is no number"))?;
        self.next = if size == 0 { Next::Trailer } else { Next::Chunk(size) };
        Ok(rest)
    }

    fn take_head<'a>(&mut self, data: &'a [u8]) -> Result<&'a [u8], Broken> {
        let Some(end) = memmem::find(data, b"\r\n\r\n") else { return Ok(data) };
        let (head, rest) = data.split_at_checked(end.saturating_add(4)).unwrap_or((data, &[]));
        let mut slots = [httparse::EMPTY_HEADER; 96];
        let mut parsed = httparse::Response::new(&mut slots);
        if !parsed.parse(head).is_ok_and(|status| status.is_complete()) {
            return Err(Broken("a head that is not HTTP"));
        }
        self.status = parsed.code.unwrap_or(0);
        if (100..200).contains(&self.status) {
            return Ok(rest);
        }
        self.next = Next::UntilClose;
        let mut framings: usize = 0;
        for header in parsed.headers.iter() {
            let is = |name: &str| header.name.eq_ignore_ascii_case(name);
            let says = |value: &[u8]| header.value.trim_ascii().eq_ignore_ascii_case(value);
            if is("content-length") {
                framings = framings.saturating_add(1);
                let length = std::str::from_utf8(header.value).ok();
                let length = length.and_then(|text| text.trim().parse().ok());
                self.next = match length.ok_or(Broken("a length that is no number"))? {
                    0 => Next::Nothing,
                    length => Next::Length(length),
                };
            } else if is("transfer-encoding") && says(b"chunked") {
                framings = framings.saturating_add(1);
                self.next = Next::ChunkSize;
            } else if is("connection") && says(b"close") {
                self.close = true;
            } else if is("content-type") {
                self.event_stream = header.value.starts_with(b"text/event-stream");
            }
        }
        if framings > 1 { Err(Broken("two framings in one head")) } else { Ok(rest) }
    }
}

/// The first line without its CRLF, and what follows.
fn line(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (line, rest) = data.split_at_checked(memchr(b'\n', data)?)?;
    Some((line.strip_suffix(b"\r")?, rest.get(1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
    const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
        Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;x=y\r\n!\r\n0\r\nT: 1\r\n\r\n";

    #[test]
    fn any_cut_gives_the_same_reply() {
        for (raw, body) in [(LENGTH, &b"hello"[..]), (CHUNKED, b"hello!")] {
            for at in 0..raw.len() {
                let mut reply = Reply::default();
                reply.feed(&raw[..at]).unwrap();
                assert!(!reply.is_whole() && !reply.ends());
                reply.feed(&raw[at..]).unwrap();
                assert!(reply.is_whole(), "{at}");
                assert_eq!((reply.status(), reply.body()), (200, body));
            }
            let mut reply = Reply::default();
            raw.iter().for_each(|byte| reply.feed(&[*byte]).unwrap());
            assert_eq!((reply.is_whole(), reply.body()), (true, body));
        }
    }

    #[test]
    fn wrong_framing_is_seen() {
        let broken = |raw: &[u8]| Reply::default().feed(raw).unwrap_err().0;
        assert_eq!(broken(&[LENGTH, b"x"].concat()), "bytes after the answer");
        assert_eq!(broken(b"HTP/1.1 200\r\n\r\n"), "a head that is not HTTP");
        let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n";
        let after = |rest: &[u8]| broken(&[head, rest].concat());
        assert_eq!(after(b"\r\n2\r\nabc\r\n"), "a chunk longer than it said");
        assert_eq!(after(b"\r\n+2\r\n"), "a chunk size that is no number");
        assert_eq!(after(b"content-length: 3\r\n\r\n"), "two framings in one head");
    }

    #[test]
    fn a_body_may_last_until_the_connection_closes() {
        let mut reply = Reply::default();
        reply.feed(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nabc").unwrap();
        assert!(!reply.is_whole());
        assert!(reply.ends() && reply.closes());
        assert_eq!(reply.body(), b"abc");
    }

    #[test]
    fn what_precedes_the_answer_is_passed_over() {
        let mut reply = Reply::default();
        reply.feed(&[b"HTTP/1.1 100 Continue\r\n\r\n", LENGTH].concat()).unwrap();
        assert_eq!((reply.status(), reply.is_whole()), (200, true));
    }
}
