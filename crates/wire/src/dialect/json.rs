//! Writes JSON straight into a buffer: no tree, and no error to handle.

use bytes::{BufMut, BytesMut};
use serde_json::value::RawValue;

use crate::op::chat::Extra;

/// Writes an object; `fill` writes its members.
pub(super) fn object(out: &mut BytesMut, fill: impl FnOnce(&mut Object<'_>)) {
    out.put_u8(b'{');
    fill(&mut Object { out, first: true });
    out.put_u8(b'}');
}

/// Writes a list; `fill` writes its items.
pub(super) fn list(out: &mut BytesMut, fill: impl FnOnce(&mut List<'_>)) {
    out.put_u8(b'[');
    fill(&mut List { out, first: true });
    out.put_u8(b']');
}

/// Writes a string with its quotes.
pub(super) fn string(out: &mut BytesMut, text: &str) {
    out.put_u8(b'"');
    escape(out, text);
    out.put_u8(b'"');
}

/// Writes what stands between a string's quotes.
pub(super) fn escape(out: &mut BytesMut, text: &str) {
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| matches!(byte, 0..0x20 | b'"' | b'\\')) {
        let (plain, special) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        out.put_slice(plain);
        let Some((byte, after)) = special.split_first() else { return };
        match byte {
            b'"' => out.put_slice(b"\\\""),
            b'\\' => out.put_slice(b"\\\\"),
            b'\n' => out.put_slice(b"\\n"),
            b'\r' => out.put_slice(b"\\r"),
            b'\t' => out.put_slice(b"\\t"),
            byte => {
                let hex = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
                out.put_slice(&[b'\\', b'u', b'0', b'0', hex(byte >> 4), hex(byte & 15)]);
            }
        }
        rest = after;
    }
    out.put_slice(rest);
}

/// Writes an integer.
pub(super) fn integer(out: &mut BytesMut, mut value: u64) {
    // 20 digits hold any u64; they come out last digit first.
    let mut digits = [b'0'; 20];
    let mut used = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
        used += 1;
        if value == 0 {
            break;
        }
    }
    out.put_slice(digits.get(20 - used..).unwrap_or_default());
}

/// JSON text as it is, but on one line: a line break between tokens would end an event's line.
fn put_on_one_line(out: &mut BytesMut, json: &str) {
    let mut rest = json.as_bytes();
    while let Some(at) = memchr::memchr2(b'\n', b'\r', rest) {
        let (line, after) = rest.split_at(at);
        out.put_slice(line);
        out.put_u8(b' ');
        rest = after.get(1..).unwrap_or_default();
    }
    out.put_slice(rest);
}

/// JSON without white space between its tokens: arguments travel as a string elsewhere.
pub(super) fn compact(json: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    json.chars()
        .filter(|character| {
            let inside = in_string;
            match character {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => in_string = !in_string,
                _ => {}
            }
            inside || !character.is_ascii_whitespace()
        })
        .collect()
}

/// A tool's arguments as a JSON object, if they are one; nothing at all is an empty one.
pub(super) fn object_of(arguments: &str) -> Option<&str> {
    let text = arguments.trim();
    if text.is_empty() {
        return Some("{}");
    }
    let object = text.starts_with('{') && serde_json::from_str::<&RawValue>(text).is_ok();
    object.then_some(text)
}

/// An object that is being written.
pub(super) struct Object<'o> {
    out: &'o mut BytesMut,
    first: bool,
}

impl Object<'_> {
    /// Writes a member's name; the value is the caller's to write.
    pub(super) fn key(&mut self, name: &str) -> &mut BytesMut {
        if !self.first {
            self.out.put_u8(b',');
        }
        self.first = false;
        string(self.out, name);
        self.out.put_u8(b':');
        self.out
    }

    pub(super) fn text(&mut self, name: &str, value: &str) {
        string(self.key(name), value);
    }

    pub(super) fn some_text(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    /// JSON text as it is.
    pub(super) fn raw(&mut self, name: &str, json: &str) {
        put_on_one_line(self.key(name), json);
    }

    pub(super) fn integer(&mut self, name: &str, value: u64) {
        integer(self.key(name), value);
    }

    pub(super) fn flag(&mut self, name: &str, value: bool) {
        self.raw(name, if value { "true" } else { "false" });
    }

    pub(super) fn null(&mut self, name: &str) {
        self.raw(name, "null");
    }

    pub(super) fn object(&mut self, name: &str, fill: impl FnOnce(&mut Object<'_>)) {
        object(self.key(name), fill);
    }

    pub(super) fn list(&mut self, name: &str, fill: impl FnOnce(&mut List<'_>)) {
        list(self.key(name), fill);
    }

    /// Members that are JSON text already, at least one: `"a":1,"b":2`.
    pub(super) fn members(&mut self, json: &[u8]) {
        if !self.first {
            self.out.put_u8(b',');
        }
        self.first = false;
        self.out.put_slice(json);
    }

    pub(super) fn extra(&mut self, extra: &Extra) {
        for (name, raw) in extra {
            self.raw(name, raw.get());
        }
    }
}

/// A list that is being written.
pub(super) struct List<'o> {
    out: &'o mut BytesMut,
    first: bool,
}

impl List<'_> {
    /// Starts an item; the value is the caller's to write.
    pub(super) fn item(&mut self) -> &mut BytesMut {
        if !self.first {
            self.out.put_u8(b',');
        }
        self.first = false;
        self.out
    }

    pub(super) fn object(&mut self, fill: impl FnOnce(&mut Object<'_>)) {
        object(self.item(), fill);
    }

    pub(super) fn raw(&mut self, json: &str) {
        put_on_one_line(self.item(), json);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_come_back_as_they_were() {
        for text in ["", "a", "\"\\\n\r\t\u{0}\u{1f}\u{7f}é€😀", "\\\\", "a\"b"] {
            let mut out = BytesMut::new();
            string(&mut out, text);
            assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }

    #[test]
    fn integers_come_back_as_they_were() {
        for value in [0, 7, 10, 1_234_567_890, u64::MAX] {
            let mut out = BytesMut::new();
            integer(&mut out, value);
            assert_eq!(out, value.to_string().as_bytes());
        }
    }

    #[test]
    fn objects_and_lists_nest() {
        let mut out = BytesMut::new();
        object(&mut out, |o| {
            o.text("a", "x");
            o.list("b", |l| {
                l.raw("1");
                l.object(|_| {});
            });
            o.flag("c", true);
        });
        assert_eq!(out, r#"{"a":"x","b":[1,{}],"c":true}"#);
    }
}
