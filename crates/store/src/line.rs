//! Writing JSON by hand. A usage row is written for each request, and a general serialiser looks
//! at each byte of each text by itself, which is most of what it costs.

/// Appends JSON to a line. Commas are put by the caller's order of calls: each value begins with
/// one unless it is the first of its array or object.
pub(crate) struct Line<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Line<'a> {
    pub(crate) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    /// How long the line is by now.
    pub(crate) fn len(&self) -> usize {
        self.out.len()
    }

    /// What was written from a place on.
    pub(crate) fn text_from(&self, start: usize) -> &str {
        let bytes = self.out.get(start..).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    /// Appends bytes as they are.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Begins the next element of an array or the next member of an object.
    pub(crate) fn comma(&mut self) {
        if !matches!(self.out.last(), Some(b'[' | b'{')) {
            self.out.push(b',');
        }
    }

    /// A member's name, which needs no escapes.
    pub(crate) fn name(&mut self, name: &'static str) -> &mut Self {
        self.comma();
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self
    }

    pub(crate) fn int(&mut self, int: impl itoa::Integer) {
        self.out.extend_from_slice(itoa::Buffer::new().format(int).as_bytes());
    }

    pub(crate) fn text(&mut self, text: &str) {
        let bytes = text.as_bytes();
        // Without an early end, so that the compiler makes vector code of it.
        let plain = bytes
            .iter()
            .fold(true, |plain, byte| plain & (*byte >= 0x20) & (*byte != b'"') & (*byte != b'\\'));
        self.out.push(b'"');
        if plain {
            self.out.extend_from_slice(bytes);
        } else {
            self.escaped(bytes);
        }
        self.out.push(b'"');
    }

    pub(crate) fn opt<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        match value {
            Some(value) => write(self, value),
            None => self.out.extend_from_slice(b"null"),
        }
    }

    fn escaped(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                b'"' | b'\\' => self.out.extend_from_slice(&[b'\\', *byte]),
                0..0x20 => {
                    let low =
                        if byte & 15 < 10 { b'0' + (byte & 15) } else { b'a' + (byte & 15) - 10 };
                    self.out.extend_from_slice(&[b'\\', b'u', b'0', b'0', b'0' + (byte >> 4), low]);
                }
                _ => self.out.push(*byte),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_back_by_a_json_parser() {
        let all: String =
            (0..0x180_u32).filter_map(char::from_u32).chain("\u{10ffff}".chars()).collect();
        for text in ["", "plain", "a\"b\\c", "\0\n\u{1f}", all.as_str()] {
            let mut out = Vec::new();
            Line::new(&mut out).text(text);
            assert_eq!(serde_json::from_slice::<String>(&out).ok().as_deref(), Some(text));
        }
    }

    #[test]
    fn members_and_elements_are_separated() {
        let mut out = Vec::new();
        let mut line = Line::new(&mut out);
        line.raw(b"{");
        line.name("a").int(1_u8);
        line.name("b").opt(None::<u8>, Line::int);
        line.name("c").raw(b"[");
        for nth in [1_i64, -2] {
            line.comma();
            line.int(nth);
        }
        line.raw(b"]}");
        assert_eq!(String::from_utf8_lossy(&out), r#"{"a":1,"b":null,"c":[1,-2]}"#);
    }
}
