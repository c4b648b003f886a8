//! A JSON scanner: it checks and skips, and builds nothing.
//!
//! It accepts exactly what `serde_json` accepts, its depth limit included, but keeps positions, so
//! that a few values can be read or replaced in place. It never recurses, is linear in the input
//! and allocates nothing.

mod block;

use std::ops::Range;

/// Most levels of nesting: `serde_json` gives up at the 128th.
pub(crate) const MAX_DEPTH: u32 = 127;

/// Why text is not JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Flaw {
    /// Something else was expected.
    #[error("expected {expected} at byte {at}")]
    Syntax {
        /// Where.
        at: usize,
        /// What.
        expected: &'static str,
    },
    /// Too many levels.
    #[error("nested deeper than {} levels", MAX_DEPTH)]
    Deep,
    /// Not UTF-8.
    #[error("invalid UTF-8 at byte {0}")]
    Utf8(usize),
}

/// A string as it stands in the text: a member's name or a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Text<'a> {
    /// What stands between the quotes.
    pub(crate) raw: &'a [u8],
    /// Where the opening quote stands.
    pub(crate) start: usize,
    /// Whether there are escapes in it.
    pub(crate) escaped: bool,
}

impl<'a> Text<'a> {
    /// Where it stands, quotes included.
    pub(crate) fn span(&self) -> Range<usize> {
        self.start..self.start + self.raw.len() + 2
    }

    /// Whether it says `name`, escapes resolved.
    pub(crate) fn is(&self, name: &[u8]) -> bool {
        if self.escaped {
            self.resolve().is_some_and(|s| s.as_bytes() == name)
        } else {
            self.raw == name
        }
    }

    /// What it says; `None` for a lone surrogate or for bytes that are not UTF-8.
    pub(crate) fn resolve(&self) -> Option<std::borrow::Cow<'a, str>> {
        if self.escaped {
            let mut quoted = Vec::with_capacity(self.raw.len() + 2);
            quoted.push(b'"');
            quoted.extend_from_slice(self.raw);
            quoted.push(b'"');
            serde_json::from_slice::<String>(&quoted).ok().map(Into::into)
        } else {
            std::str::from_utf8(self.raw).ok().map(Into::into)
        }
    }
}

/// A position in a text.
#[derive(Debug, Clone)]
pub(crate) struct Scan<'a> {
    text: &'a [u8],
    at: usize,
    depth: u32,
    non_ascii: bool,
}

impl<'a> Scan<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Scan { text, at: 0, depth: 0, non_ascii: false }
    }

    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// The first byte of the next token, not consumed.
    #[inline]
    pub(crate) fn look(&mut self) -> Option<u8> {
        loop {
            match self.text.get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    /// Enters the object that comes next.
    #[inline]
    pub(crate) fn open_object(&mut self) -> Result<(), Flaw> {
        self.open(b'{', "an object")
    }

    /// Enters the array that comes next.
    #[inline]
    pub(crate) fn open_array(&mut self) -> Result<(), Flaw> {
        self.open(b'[', "an array")
    }

    /// The next member's name, with the value next; `None` once the object is closed. `first` is
    /// true before the first one.
    #[inline]
    pub(crate) fn next_key(&mut self, first: &mut bool) -> Result<Option<Text<'a>>, Flaw> {
        match self.look() {
            Some(b'}') => {
                self.at += 1;
                self.depth = self.depth.saturating_sub(1);
                return Ok(None);
            }
            Some(b',') if !*first => self.at += 1,
            _ if *first => {}
            _ => return Err(self.expected("`,` or `}`")),
        }
        *first = false;
        let key = self.key()?;
        Ok(Some(key))
    }

    /// True if another item comes next, false once the array is closed.
    #[inline]
    pub(crate) fn next_item(&mut self, first: &mut bool) -> Result<bool, Flaw> {
        match self.look() {
            Some(b']') => {}
            Some(b',') if !*first => {
                self.at += 1;
                return Ok(true);
            }
            _ if *first => {
                *first = false;
                return Ok(true);
            }
            _ => return Err(self.expected("`,` or `]`")),
        }
        self.at += 1;
        self.depth = self.depth.saturating_sub(1);
        Ok(false)
    }

    /// Skips the value that comes next; where it stands.
    #[inline]
    pub(crate) fn value(&mut self) -> Result<Range<usize>, Flaw> {
        let first = self.look();
        let start = self.at;
        match first {
            Some(b'"') => {
                self.quoted()?;
            }
            Some(b'{' | b'[') => self.nested()?,
            _ => self.scalar()?,
        }
        Ok(start..self.at)
    }

    /// Skips the value that comes next.
    #[inline]
    pub(crate) fn skip(&mut self) -> Result<(), Flaw> {
        self.value().map(|_| ())
    }

    /// The string that comes next.
    #[inline]
    pub(crate) fn string(&mut self) -> Result<Text<'a>, Flaw> {
        if self.look() != Some(b'"') {
            return Err(self.expected("a string"));
        }
        self.quoted()
    }

    /// The string whose opening quote comes next.
    fn quoted(&mut self) -> Result<Text<'a>, Flaw> {
        let start = self.at;
        self.at += 1;
        let mut escaped = false;
        loop {
            self.plain();
            match self.text.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return Err(self.expected("no control character in a string")),
                None => return Err(self.expected("the end of a string")),
            }
        }
        let raw = self.text.get(start + 1..self.at).unwrap_or_default();
        self.at += 1;
        Ok(Text { raw, start, escaped })
    }

    /// Nothing but white space may be left, and all of the text must be UTF-8.
    pub(crate) fn finish(&mut self) -> Result<(), Flaw> {
        if self.look().is_some() {
            return Err(self.expected("the end"));
        }
        if self.non_ascii {
            std::str::from_utf8(self.text).map_err(|e| Flaw::Utf8(e.valid_up_to()))?;
        }
        Ok(())
    }

    #[cold]
    pub(crate) fn expected(&self, expected: &'static str) -> Flaw {
        Flaw::Syntax { at: self.at, expected }
    }

    fn open(&mut self, brace: u8, expected: &'static str) -> Result<(), Flaw> {
        if self.look() != Some(brace) {
            return Err(self.expected(expected));
        }
        if self.depth >= MAX_DEPTH {
            return Err(Flaw::Deep);
        }
        self.at += 1;
        self.depth += 1;
        Ok(())
    }

    #[inline]
    fn key(&mut self) -> Result<Text<'a>, Flaw> {
        if self.look() != Some(b'"') {
            return Err(self.expected("a field's name"));
        }
        let key = self.quoted()?;
        if self.look() != Some(b':') {
            return Err(self.expected("`:`"));
        }
        self.at += 1;
        Ok(key)
    }

    /// Skips an object or array. One bit a level says which of the two it is.
    fn nested(&mut self) -> Result<(), Flaw> {
        let mut objects: u128 = 0;
        let mut levels: u32 = 0;
        loop {
            // A value comes next.
            match self.look() {
                Some(brace @ (b'{' | b'[')) => {
                    if self.depth + levels >= MAX_DEPTH {
                        return Err(Flaw::Deep);
                    }
                    self.at += 1;
                    levels += 1;
                    let object = brace == b'{';
                    objects = objects << 1 | u128::from(object);
                    let close = if object { b'}' } else { b']' };
                    if self.look() == Some(close) {
                        // Left to the loop below.
                    } else {
                        if object {
                            self.key()?;
                        }
                        continue;
                    }
                }
                Some(b'"') => {
                    self.quoted()?;
                }
                _ => self.scalar()?,
            }
            // A value, or an opening brace whose closing one follows, is behind us.
            loop {
                let object = objects & 1 == 1;
                match self.look() {
                    Some(b',') => {
                        self.at += 1;
                        if object {
                            self.key()?;
                        }
                        break;
                    }
                    Some(b'}') if object => self.at += 1,
                    Some(b']') if !object => self.at += 1,
                    _ if object => return Err(self.expected("`,` or `}`")),
                    _ => return Err(self.expected("`,` or `]`")),
                }
                objects >>= 1;
                levels -= 1;
                if levels == 0 {
                    return Ok(());
                }
            }
        }
    }

    fn scalar(&mut self) -> Result<(), Flaw> {
        match self.text.get(self.at) {
            Some(b't') => self.literal(b"true"),
            Some(b'f') => self.literal(b"false"),
            Some(b'n') => self.literal(b"null"),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(self.expected("a value")),
        }
    }

    fn literal(&mut self, word: &'static [u8]) -> Result<(), Flaw> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word) {
            return Err(self.expected("a value"));
        }
        self.at += word.len();
        Ok(())
    }

    fn number(&mut self) -> Result<(), Flaw> {
        if self.text.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        match self.text.get(self.at) {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return Err(self.expected("a digit")),
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.some_digits()?;
        }
        if matches!(self.text.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.text.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.some_digits()?;
        }
        Ok(())
    }

    fn some_digits(&mut self) -> Result<(), Flaw> {
        if !self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            return Err(self.expected("a digit"));
        }
        self.digits();
        Ok(())
    }

    #[inline]
    fn digits(&mut self) {
        while self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
    }

    fn escape(&mut self) -> Result<(), Flaw> {
        self.at += 1;
        match self.text.get(self.at) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                Ok(())
            }
            Some(b'u') => {
                let digits = self.text.get(self.at + 1..self.at + 5).unwrap_or_default();
                if digits.len() < 4 || !digits.iter().all(u8::is_ascii_hexdigit) {
                    return Err(self.expected("four hexadecimal digits"));
                }
                self.at += 5;
                Ok(())
            }
            _ => Err(self.expected("an escape")),
        }
    }

    /// Moves to the next byte that means something in a string: a quote, a backslash or a control
    /// character.
    #[inline]
    fn plain(&mut self) {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let (blocks, tail) = rest.as_chunks();
        let (mut at, mut non_ascii) = (self.at, 0);
        let mut special = 0;
        for block in blocks {
            let seen = block::look(block);
            non_ascii |= seen.non_ascii;
            special = seen.special;
            if special != 0 {
                break;
            }
            at += block::LEN;
        }
        if special == 0 {
            let seen = block::look_at_less(tail);
            non_ascii |= seen.non_ascii;
            special = seen.special;
        }
        self.at = at + special.trailing_zeros() as usize;
        self.non_ascii |= non_ascii != 0;
    }
}

#[cfg(test)]
mod tests;
