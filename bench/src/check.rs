//! Is an answer what the scripted upstream said, whole and in order?

use memchr::memmem::Finder;
use serde_json::Value;

use crate::{
    Dialect,
    answers::{END_MARK, word},
    reply::Reply,
};

/// What to hold answers against.
#[derive(Debug, Clone, Copy)]
pub struct Expect {
    /// The dialect of the answer.
    pub dialect: Dialect,
    /// A stream of events, or one whole answer.
    pub stream: bool,
    /// Content events of a stream.
    pub events: usize,
    /// A stream of OpenAI's must say its usage; where this is false it must not.
    pub usage: bool,
}

/// A check for every answer and one for a few of them. `Err` says what is wrong, in a few words.
#[derive(Debug)]
pub struct Check {
    expect: Expect,
    end: Finder<'static>,
    event: Finder<'static>,
    usage: Finder<'static>,
}

impl Check {
    /// Holds answers against `expect`.
    pub fn new(expect: Expect) -> Check {
        let (end, event, usage) = match (expect.stream, expect.dialect) {
            (false, _) => (END_MARK, "\"role\"", "\"usage\""),
            (true, Dialect::Openai) => ("data: [DONE]\n", "data: {", "\"completion_tokens\""),
            (true, _) => ("\"message_stop\"", "\"text_delta\"", "\"output_tokens\""),
        };
        let finder = |text: &'static str| Finder::new(text.as_bytes());
        Check { expect, end: finder(end), event: finder(event), usage: finder(usage) }
    }

    /// Cheap enough for every answer: the status, the end, the number of events, the usage. Gives
    /// the number of content events.
    pub fn quick(&self, reply: &Reply) -> Result<usize, &'static str> {
        let Expect { stream, events, .. } = self.expect;
        if reply.status() != 200 {
            return Err("not 200");
        }
        if reply.is_event_stream() != stream {
            return Err("wrong content type");
        }
        let body = reply.body();
        // The end of a stream is its last words; the mark of a whole answer stands in its midst.
        let end = if stream { body.get(body.len().saturating_sub(64)..) } else { Some(body) };
        if self.end.find(end.unwrap_or(body)).is_none() {
            return Err("no end");
        }
        if !stream {
            return if self.usage.find(body).is_some() { Ok(0) } else { Err("no usage") };
        }
        let found = self.event.find_iter(body).count();
        if found != self.events_in_all() {
            return Err(if found < events { "too few events" } else { "wrong number of events" });
        }
        match (self.usage.find(body).is_some(), self.expect.usage) {
            (false, true) => Err("no usage"),
            (true, false) if self.expect.dialect == Dialect::Openai => {
                Err("usage that nobody asked for")
            }
            _ => Ok(events),
        }
    }

    /// How often the mark of an event must be there: in OpenAI's dialect the finish reason and the
    /// usage are events like any other.
    fn events_in_all(&self) -> usize {
        let Expect { dialect, events, usage, .. } = self.expect;
        match dialect {
            Dialect::Openai => events.saturating_add(1).saturating_add(usize::from(usage)),
            _ => events,
        }
    }

    /// The check of a sample: everything parses, and the text is the upstream's.
    pub fn full(&self, reply: &Reply) -> Result<(), &'static str> {
        if !self.expect.stream {
            let answer: Value = serde_json::from_slice(reply.body()).map_err(|_| "not JSON")?;
            let text = match self.expect.dialect {
                Dialect::Openai => answer.pointer("/choices/0/message/content"),
                _ => answer.pointer("/content/0/text"),
            };
            let text = text.and_then(Value::as_str).ok_or("no text")?;
            return if text.ends_with(END_MARK) { Ok(()) } else { Err("wrong text") };
        }
        let mut text = String::new();
        for line in reply.body().split(|&b| b == b'\n') {
            match line.strip_prefix(b"data: ") {
                Some(b"[DONE]") => {}
                Some(data) => self.add_text(data, &mut text)?,
                None if line.is_empty() || line.starts_with(b"event: ") => {}
                None => return Err("a line that is no event"),
            }
        }
        let wanted: String = (0..self.expect.events).map(word).collect();
        if text == wanted { Ok(()) } else { Err("wrong text") }
    }

    fn add_text(&self, data: &[u8], text: &mut String) -> Result<(), &'static str> {
        let event: Value = serde_json::from_slice(data).map_err(|_| "an event that is no JSON")?;
        let piece = match self.expect.dialect {
            Dialect::Openai => event.pointer("/choices/0/delta/content"),
            _ => event.pointer("/delta/text"),
        };
        text.push_str(piece.and_then(Value::as_str).unwrap_or_default());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers;

    fn reply(kind: &str, body: &[u8]) -> Reply {
        let mut reply = Reply::default();
        let length = body.len();
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n");
        reply.feed(head.as_bytes()).unwrap();
        reply.feed(body).unwrap();
        reply
    }

    fn check(dialect: Dialect, usage: bool, body: &[u8]) -> Result<(), &'static str> {
        let check = Check::new(Expect { dialect, stream: true, events: 5, usage });
        let reply = reply("text/event-stream; charset=utf-8", body);
        check.quick(&reply).and_then(|_| check.full(&reply))
    }

    #[test]
    fn what_the_upstream_says_passes() {
        for dialect in [Dialect::Openai, Dialect::Anthropic] {
            for usage in [true, false] {
                let body = answers::stream(dialect, "bench", 5, usage).concat();
                assert_eq!(check(dialect, usage, &body), Ok(()));
            }
            let whole = reply("application/json", &answers::whole(dialect, "bench"));
            let check = Check::new(Expect { dialect, stream: false, events: 0, usage: true });
            assert_eq!(check.quick(&whole), Ok(0));
            assert_eq!(check.full(&whole), Ok(()));
        }
    }

    #[test]
    fn faults_are_seen() {
        let events = answers::stream(Dialect::Openai, "bench", 5, true);
        let without = |gone: usize| {
            let mut events = events.clone();
            events.remove(gone);
            check(Dialect::Openai, true, &events.concat())
        };
        assert_eq!(without(2), Err("wrong number of events"));
        assert_eq!(without(6), Err("wrong number of events"));
        assert_eq!(without(7), Err("no end"));
        let mut twisted = events.clone();
        twisted.swap(1, 2);
        assert_eq!(check(Dialect::Openai, true, &twisted.concat()), Err("wrong text"));
        let surplus = check(Dialect::Openai, false, &events.concat());
        assert_eq!(surplus, Err("wrong number of events"));
    }
}
