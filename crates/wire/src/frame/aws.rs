//! `application/vnd.amazon.eventstream`: what Amazon's services stream in.
//! <https://docs.aws.amazon.com/lexv2/latest/dg/event-stream-encoding.html>
//!
//! A message is twelve bytes of prelude, headers, a payload, and a checksum of it all; all numbers
//! are big-endian and all checksums are CRC-32 as in gzip:
//!
//! ```text
//! 00 00 00 43  length of the whole message
//! 00 00 00 2f  length of the headers
//! .. .. .. ..  checksum of the eight bytes before
//! 0d ":message-type"  07  00 05 "event"     a header: name, type 7 (string), value
//! ..                                        more headers
//! {"role":"assistant"}                      the payload
//! .. .. .. ..  checksum of all bytes before
//! ```

use crate::fault::{Fault, FaultKind};

/// Most bytes of one message: Amazon's own bound for a payload.
pub const MAX_MESSAGE_BYTES: usize = 16 << 20;
/// Most bytes of one message's headers: Amazon's own bound.
pub const MAX_HEADER_BYTES: usize = 128 << 10;
/// The length, the headers' length and their checksum.
const PRELUDE: usize = 12;
/// The checksum at the end.
const TRAILER: usize = 4;

/// Why bytes are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// A message is longer than [`MAX_MESSAGE_BYTES`].
    #[error("a message of the upstream's stream is over {MAX_MESSAGE_BYTES} bytes")]
    TooLong,
    /// The lengths contradict each other.
    #[error("a message of the upstream's stream says of itself what cannot be")]
    Lengths,
    /// The first twelve bytes are damaged.
    #[error("a message of the upstream's stream is damaged: its prelude's checksum is wrong")]
    Prelude,
    /// Bytes after the first twelve are damaged.
    #[error("a message of the upstream's stream is damaged: its checksum is wrong")]
    Message,
    /// The headers cannot be read.
    #[error("a message of the upstream's stream has headers that cannot be read")]
    Headers,
}

impl From<Flaw> for Fault {
    fn from(why: Flaw) -> Self {
        Fault::new(FaultKind::BadResponse, why.to_string())
    }
}

/// The value of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// Types 0 and 1.
    Bool(bool),
    /// Type 2.
    Byte(i8),
    /// Type 3.
    Short(i16),
    /// Type 4.
    Int(i32),
    /// Type 5.
    Long(i64),
    /// Type 6.
    Bytes(&'a [u8]),
    /// Type 7.
    Text(&'a str),
    /// Type 8: milliseconds since 1970.
    Timestamp(i64),
    /// Type 9.
    Uuid([u8; 16]),
}

/// One message, its checksums and headers found right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    headers: &'a [u8],
    /// What it carries.
    pub payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Reads one whole message.
    fn read(raw: &'a [u8], lengths: Lengths) -> Result<Self, Flaw> {
        let end = lengths.whole - TRAILER;
        let (signed, sum) = raw.split_at_checked(end).ok_or(Flaw::Lengths)?;
        if Some(crc32fast::hash(signed)) != sum.first_chunk().map(|sum| u32::from_be_bytes(*sum)) {
            return Err(Flaw::Message);
        }
        let rest = signed.get(PRELUDE..).ok_or(Flaw::Lengths)?;
        let (headers, payload) = rest.split_at_checked(lengths.headers).ok_or(Flaw::Lengths)?;
        let frame = Frame { headers, payload };
        let mut rest = headers;
        while !rest.is_empty() {
            next_header(&mut rest).ok_or(Flaw::Headers)?;
        }
        Ok(frame)
    }

    /// Its headers, in their order.
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> + use<'a> {
        let mut rest = self.headers;
        std::iter::from_fn(move || next_header(&mut rest))
    }

    /// The first header of this name, if it is text.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        match self.headers().find(|(other, _)| *other == name)?.1 {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// The header that `rest` begins with. `None` at its end, and where it is no header.
fn next_header<'a>(rest: &mut &'a [u8]) -> Option<(&'a str, Value<'a>)> {
    let [length] = take(rest)?;
    if length == 0 {
        return None;
    }
    let name = std::str::from_utf8(take_slice(rest, usize::from(length))?).ok()?;
    let [kind] = take(rest)?;
    let value = match kind {
        0 => Value::Bool(true),
        1 => Value::Bool(false),
        2 => Value::Byte(i8::from_be_bytes(take(rest)?)),
        3 => Value::Short(i16::from_be_bytes(take(rest)?)),
        4 => Value::Int(i32::from_be_bytes(take(rest)?)),
        5 => Value::Long(i64::from_be_bytes(take(rest)?)),
        6 => Value::Bytes(take_counted(rest)?),
        7 => Value::Text(std::str::from_utf8(take_counted(rest)?).ok()?),
        8 => Value::Timestamp(i64::from_be_bytes(take(rest)?)),
        9 => Value::Uuid(take(rest)?),
        _ => return None,
    };
    Some((name, value))
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk()?;
    *rest = tail;
    Some(*head)
}

fn take_slice<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(count)?;
    *rest = tail;
    Some(head)
}

/// Bytes with their number before them.
fn take_counted<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let count = u16::from_be_bytes(take(rest)?);
    take_slice(rest, usize::from(count))
}

/// What a prelude says.
#[derive(Debug, Clone, Copy)]
struct Lengths {
    whole: usize,
    headers: usize,
}

impl Lengths {
    /// `None` until the prelude is whole.
    fn read(buffer: &[u8]) -> Result<Option<Lengths>, Flaw> {
        let Some(prelude) = buffer.first_chunk::<PRELUDE>() else { return Ok(None) };
        let mut rest = prelude.as_slice();
        let mut number = || take(&mut rest).map(u32::from_be_bytes).unwrap_or_default();
        let (whole, headers, sum) = (number(), number(), number());
        let (whole, headers) = (whole as usize, headers as usize);
        if whole > MAX_MESSAGE_BYTES {
            return Err(Flaw::TooLong);
        }
        if crc32fast::hash(prelude.split_at(PRELUDE - TRAILER).0) != sum {
            return Err(Flaw::Prelude);
        }
        if headers > MAX_HEADER_BYTES || whole < PRELUDE + TRAILER + headers {
            return Err(Flaw::Lengths);
        }
        Ok(Some(Lengths { whole, headers }))
    }
}

/// Bytes in, messages out; any split of the bytes gives the same messages.
#[derive(Debug, Default)]
pub struct Decoder {
    pending: Vec<u8>,
    /// Of the message that `pending` begins with, once its prelude is there.
    lengths: Option<Lengths>,
}

impl Decoder {
    /// A piece of the stream. Stops at the first error of `each`; after an error nothing that
    /// follows can be told apart any more.
    pub fn push<E: From<Flaw>>(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(Frame<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.pending.is_empty() {
            let taken = messages(&mut self.lengths, bytes, &mut each)?;
            self.pending.extend_from_slice(bytes.get(taken..).unwrap_or_default());
        } else {
            self.pending.extend_from_slice(bytes);
            let taken = messages(&mut self.lengths, &self.pending, &mut each)?;
            self.pending.drain(..taken);
        }
        Ok(())
    }

    /// True where no message is half there: a stream that ends elsewhere was cut.
    pub fn is_between(&self) -> bool {
        self.pending.is_empty()
    }
}

/// Delivers the whole messages of `buffer` and says how many bytes they were.
fn messages<E: From<Flaw>>(
    lengths: &mut Option<Lengths>,
    buffer: &[u8],
    each: &mut impl FnMut(Frame<'_>) -> Result<(), E>,
) -> Result<usize, E> {
    let mut taken = 0;
    loop {
        let rest = buffer.get(taken..).unwrap_or_default();
        if lengths.is_none() {
            *lengths = Lengths::read(rest)?;
        }
        let Some(known) = *lengths else { return Ok(taken) };
        let Some(raw) = rest.get(..known.whole) else { return Ok(taken) };
        *lengths = None;
        taken += known.whole;
        each(Frame::read(raw, known)?)?;
    }
}

#[cfg(test)]
mod tests;
