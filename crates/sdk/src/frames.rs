//! Chunks out of the bytes of an event stream, cut anywhere.

use std::collections::VecDeque;

use crate::Chunk;

/// Most bytes of one event.
const MOST_BYTES: usize = 16 << 20;

/// What has come of an event that is not yet whole.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    line: Vec<u8>,
    data: Vec<u8>,
}

impl Frames {
    /// Reads a piece; `Err` says what is wrong with the stream.
    pub(crate) fn push(&mut self, bytes: &[u8], out: &mut VecDeque<Chunk>) -> Result<(), String> {
        let mut lines = bytes.split(|byte| *byte == b'\n');
        // `split` gives one piece more than there are line ends: that one is still open.
        let mut open = lines.next().unwrap_or_default();
        for next in lines {
            self.line.extend_from_slice(open);
            let line = std::mem::take(&mut self.line);
            self.line(line.strip_suffix(b"\r").unwrap_or(&line), out)?;
            open = next;
        }
        self.line.extend_from_slice(open);
        if self.line.len().saturating_add(self.data.len()) > MOST_BYTES {
            return Err(format!("an event of the stream is over {MOST_BYTES} bytes"));
        }
        Ok(())
    }

    /// One whole line: data of an event, or the empty line that ends it.
    fn line(&mut self, line: &[u8], out: &mut VecDeque<Chunk>) -> Result<(), String> {
        if let Some(data) = line.strip_prefix(b"data:") {
            if !self.data.is_empty() {
                self.data.push(b'\n');
            }
            self.data.extend_from_slice(data.strip_prefix(b" ").unwrap_or(data));
            return Ok(());
        }
        if !line.is_empty() || self.data.is_empty() {
            return Ok(());
        }
        let data = std::mem::take(&mut self.data);
        if data.trim_ascii() == b"[DONE]" {
            return Ok(());
        }
        let chunk = serde_json::from_slice(&data)
            .map_err(|error| format!("cannot read a piece of the stream: {error}"))?;
        out.push_back(chunk);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = ": hello\r\n\r\n\
        data: {\"id\":\"1\",\"choices\":[{\"delta\":{\"content\":\"Grüße\"}}]}\n\n\
        event: x\ndata:{\"id\":\"2\",\ndata: \"choices\":[]}\r\n\r\n\
        data: [DONE]\n\n";

    #[test]
    fn any_cut_gives_the_same_chunks() {
        let mut whole = VecDeque::new();
        Frames::default().push(STREAM.as_bytes(), &mut whole).unwrap();
        assert_eq!(whole.len(), 2);
        assert_eq!(whole[0].text(), "Grüße");
        for cut in 0..=STREAM.len() {
            let (left, right) = STREAM.as_bytes().split_at(cut);
            let (mut frames, mut cut) = (Frames::default(), VecDeque::new());
            frames.push(left, &mut cut).unwrap();
            frames.push(right, &mut cut).unwrap();
            assert_eq!(cut, whole);
        }
    }

    #[test]
    fn what_is_no_chunk_is_an_error() {
        let mut out = VecDeque::new();
        assert!(Frames::default().push(b"data: <html>\n\n", &mut out).is_err());
        let flood = vec![b'x'; MOST_BYTES + 1];
        assert!(Frames::default().push(&flood, &mut out).is_err());
    }
}
