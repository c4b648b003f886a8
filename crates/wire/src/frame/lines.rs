//! Newline-delimited JSON: a document on each line. <https://github.com/ndjson/ndjson-spec>

use super::sse::{MAX_EVENT_BYTES, TooLong};

/// Bytes in, lines out; any split of the bytes gives the same lines. Blank lines are left out, and
/// so is the CR of a CRLF.
#[derive(Debug, Default)]
pub struct Decoder {
    pending: Vec<u8>,
}

impl Decoder {
    /// A piece of the stream. Stops at the first error of `each`.
    pub fn push<E: From<TooLong>>(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut rest = bytes;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (head, tail) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            rest = tail.get(1..).unwrap_or_default();
            if self.pending.is_empty() {
                capped(head.len())?;
                deliver(head, &mut each)?;
            } else {
                capped(self.pending.len().saturating_add(head.len()))?;
                self.pending.extend_from_slice(head);
                let line = std::mem::take(&mut self.pending);
                deliver(&line, &mut each)?;
            }
        }
        capped(self.pending.len().saturating_add(rest.len()))?;
        self.pending.extend_from_slice(rest);
        Ok(())
    }

    /// The stream has ended: a last line without an end is read as well.
    pub fn end<E: From<TooLong>>(
        &mut self,
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        deliver(&std::mem::take(&mut self.pending), &mut each)
    }
}

fn capped(bytes: usize) -> Result<(), TooLong> {
    if bytes > MAX_EVENT_BYTES { Err(TooLong(MAX_EVENT_BYTES)) } else { Ok(()) }
}

fn deliver<E>(line: &[u8], each: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
    let line = line.trim_ascii();
    if line.is_empty() { Ok(()) } else { each(line) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> Result<Vec<String>, TooLong> {
        let mut decoder = Decoder::default();
        let mut seen = Vec::new();
        let mut keep = |line: &[u8]| {
            seen.push(String::from_utf8(line.to_vec()).unwrap());
            Ok::<(), TooLong>(())
        };
        for piece in pieces {
            decoder.push(piece, &mut keep)?;
        }
        decoder.end(&mut keep)?;
        Ok(seen)
    }

    #[test]
    fn any_split_gives_the_same_lines() {
        let text = b"{\"a\":1}\r\n\n  \n{\"b\":2}\n{\"c\":3}";
        let whole = lines(&[text]).unwrap();
        assert_eq!(whole, ["{\"a\":1}", "{\"b\":2}", "{\"c\":3}"]);
        for cut in 0..=text.len() {
            let (head, tail) = text.split_at(cut);
            assert_eq!(lines(&[head, tail]).unwrap(), whole, "cut at {cut}");
        }
        assert_eq!(lines(&text.chunks(1).collect::<Vec<_>>()).unwrap(), whole);
    }

    #[test]
    fn a_line_is_no_longer_than_an_event() {
        let fits = vec![b'x'; MAX_EVENT_BYTES];
        assert_eq!(lines(&[&fits, b"\n"]).unwrap().len(), 1);
        assert_eq!(lines(&[&fits, b"x"]), Err(TooLong(MAX_EVENT_BYTES)));
        assert_eq!(lines(&[&fits, b"x\n"]), Err(TooLong(MAX_EVENT_BYTES)));
    }
}
