//! Server-sent events: <https://html.spec.whatwg.org/multipage/server-sent-events.html>
//!
//! Lines end in LF, CRLF or CR; a blank line ends an event; the bytes may be cut anywhere. Two
//! layers: [`Boundary`] finds where events end and leaves the bytes alone, [`Decoder`] reads them.

use std::borrow::Cow;

use crate::fault::{Fault, FaultKind};

/// Most bytes of one event, and so of one line.
pub const MAX_EVENT_BYTES: usize = 1 << 20;
/// The same where an event may hold a whole picture.
pub const MAX_PICTURE_BYTES: usize = 32 << 20;

/// An event is longer than it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event of the upstream's stream is over {0} bytes")]
pub struct TooLong(pub usize);

impl From<TooLong> for Fault {
    fn from(why: TooLong) -> Self {
        Fault::new(FaultKind::BadResponse, why.to_string())
    }
}

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frame<'a> {
    /// `event:`, empty if the event has no name.
    pub event: &'a [u8],
    /// `data:`; the lines of more than one joined by LF.
    pub data: Cow<'a, [u8]>,
}

impl<'a> Frame<'a> {
    /// Reads the bytes of one event, from its first line to the blank one, which may be missing.
    pub fn read(raw: &'a [u8]) -> Frame<'a> {
        let mut frame = Frame::default();
        let mut lines = 0;
        let mut rest = raw.strip_prefix(BOM).unwrap_or(raw);
        while let Some((line, after)) = next_line(rest) {
            rest = after;
            let (name, value) = field(line);
            match name {
                b"data" if lines == 0 => {
                    frame.data = Cow::Borrowed(value);
                    lines = 1;
                }
                b"data" => {
                    let data = frame.data.to_mut();
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
                b"event" => frame.event = value,
                _ => {}
            }
        }
        frame
    }
}

const BOM: &[u8] = b"\xef\xbb\xbf";

/// The line up to its end, and what follows it. The last line may have no end.
pub(crate) fn next_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    if bytes.is_empty() {
        return None;
    }
    let end = memchr::memchr2(b'\n', b'\r', bytes).unwrap_or(bytes.len());
    let (line, rest) = bytes.split_at_checked(end)?;
    let rest = rest.strip_prefix(b"\r\n").or_else(|| rest.get(1..)).unwrap_or_default();
    Some((line, rest))
}

/// `name: value`, the space being optional. A comment has an empty name.
fn field(line: &[u8]) -> (&[u8], &[u8]) {
    let colon = memchr::memchr(b':', line).unwrap_or(line.len());
    let (name, value) = line.split_at_checked(colon).unwrap_or((line, b""));
    let value = value.get(1..).unwrap_or_default();
    (name, value.strip_prefix(b" ").unwrap_or(value))
}

/// Finds where events end in a buffer that grows, looking at each byte once.
#[derive(Debug, Clone)]
pub struct Boundary {
    /// Where the event begins.
    start: usize,
    /// Where the line begins.
    line: usize,
    /// Where to look next.
    at: usize,
    /// Most bytes of one event.
    most: usize,
}

impl Default for Boundary {
    fn default() -> Self {
        Boundary::up_to(MAX_EVENT_BYTES)
    }
}

impl Boundary {
    /// For events of at most so many bytes.
    pub const fn up_to(most: usize) -> Self {
        Boundary { start: 0, line: 0, at: 0, most }
    }

    /// The same from the start.
    pub(crate) fn reset(&mut self) {
        *self = Boundary::up_to(self.most);
    }

    /// The next whole event of `buffer`, its blank line included, or `None` if more bytes are
    /// needed. The same buffer, grown, must be given next.
    #[inline]
    pub fn next_event<'b>(&mut self, buffer: &'b [u8]) -> Result<Option<&'b [u8]>, TooLong> {
        loop {
            let ahead = buffer.get(self.at..).unwrap_or_default();
            let Some(found) = memchr::memchr2(b'\n', b'\r', ahead) else {
                self.at = buffer.len();
                return self.capped(None);
            };
            let end = self.at + found;
            let cr = buffer.get(end) == Some(&b'\r');
            let after = match buffer.get(end + 1) {
                // A CR at the very end: an LF may yet follow.
                None if cr => {
                    self.at = end;
                    return self.capped(None);
                }
                Some(b'\n') if cr => end + 2,
                _ => end + 1,
            };
            let blank = end == self.line;
            self.line = after;
            self.at = after;
            if blank {
                let event = buffer.get(self.start..after);
                self.capped(event)?;
                self.start = after;
                return Ok(event);
            }
        }
    }

    fn capped<'b>(&self, event: Option<&'b [u8]>) -> Result<Option<&'b [u8]>, TooLong> {
        if self.at - self.start > self.most { Err(TooLong(self.most)) } else { Ok(event) }
    }

    /// How many bytes of the buffer are behind us. They are to be taken off its front.
    #[inline]
    pub fn take(&mut self) -> usize {
        let taken = self.start;
        self.start = 0;
        self.line -= taken;
        self.at -= taken;
        taken
    }
}

/// Bytes in, events out; any split of the bytes gives the same events. Events without data, such
/// as comments that keep a connection alive, are left out.
#[derive(Debug, Default)]
pub struct Decoder {
    boundary: Boundary,
    pending: Vec<u8>,
}

impl Decoder {
    /// For events of at most so many bytes.
    pub fn up_to(most: usize) -> Self {
        Decoder { boundary: Boundary::up_to(most), pending: Vec::new() }
    }

    /// A piece of the stream. Stops at the first error of `each`.
    pub fn push<E: From<TooLong>>(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(Frame<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.pending.is_empty() {
            let taken = Self::events(&mut self.boundary, bytes, &mut each)?;
            self.pending.extend_from_slice(bytes.get(taken..).unwrap_or_default());
        } else {
            self.pending.extend_from_slice(bytes);
            let taken = Self::events(&mut self.boundary, &self.pending, &mut each)?;
            self.pending.drain(..taken);
        }
        Ok(())
    }

    /// The stream has ended: an event whose blank line is missing is read as well.
    pub fn end<E: From<TooLong>>(
        &mut self,
        mut each: impl FnMut(Frame<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.boundary.reset();
        let pending = std::mem::take(&mut self.pending);
        deliver(&pending, &mut each)
    }

    fn events<E: From<TooLong>>(
        boundary: &mut Boundary,
        buffer: &[u8],
        each: &mut impl FnMut(Frame<'_>) -> Result<(), E>,
    ) -> Result<usize, E> {
        while let Some(raw) = boundary.next_event(buffer)? {
            deliver(raw, each)?;
        }
        Ok(boundary.take())
    }
}

fn deliver<E>(raw: &[u8], each: &mut impl FnMut(Frame<'_>) -> Result<(), E>) -> Result<(), E> {
    let frame = Frame::read(raw);
    if frame.data.is_empty() { Ok(()) } else { each(frame) }
}

#[cfg(test)]
mod tests;
