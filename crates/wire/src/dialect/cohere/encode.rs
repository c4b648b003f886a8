//! A stream out of the hub, for a Cohere client.

use bytes::{BufMut, BytesMut};

use super::{
    cite,
    reply::{finish_word, write_image, write_usage},
};
use crate::{
    dialect::{
        Encode,
        json::{self, Object},
        openai::url_of,
    },
    op::chat::{Delta, Event, Finish, Opening, Place},
    usage::Usage,
};

/// Writes a stream. Cohere has one answer: of several, the first.
#[derive(Default)]
pub(super) struct Encoder {
    /// Parts that are open: ours, what it is, and Cohere's index.
    open: Vec<(u32, Kind, u64)>,
    contents: u64,
    calls: u64,
    citations: u64,
    /// What was said so far: citations quote it.
    text: String,
    finish: Option<Finish>,
    called: bool,
    usage: Option<Usage>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Thought,
    Call,
    Image,
    /// What Cohere has no place for.
    Hidden,
}

/// Most bytes of an answer that are kept to quote from.
const MAX_QUOTED: usize = 64 << 10;

impl Encoder {
    fn open(&mut self, part: u32, kind: &Opening, out: &mut BytesMut) {
        let (kind, index) = match kind {
            Opening::Text | Opening::Refusal => {
                let index = next(&mut self.contents);
                content(out, "content-start", index, |o| {
                    o.text("type", "text");
                    o.text("text", "");
                });
                (Kind::Text, index)
            }
            Opening::Thinking { .. } => {
                let index = next(&mut self.contents);
                content(out, "content-start", index, |o| {
                    o.text("type", "thinking");
                    o.text("thinking", "");
                });
                (Kind::Thought, index)
            }
            Opening::ToolCall { id, name } => {
                self.called = true;
                let index = next(&mut self.calls);
                tool_call(out, "tool-call-start", index, |o| {
                    o.text("id", id);
                    o.text("type", "function");
                    o.object("function", |o| {
                        o.text("name", name);
                        o.text("arguments", "");
                    });
                });
                (Kind::Call, index)
            }
            Opening::Image { source, .. } => match url_of(source) {
                Some(url) => {
                    let index = next(&mut self.contents);
                    content(out, "content-start", index, |o| write_image(o, &url));
                    (Kind::Image, index)
                }
                None => (Kind::Hidden, 0),
            },
            Opening::RedactedThinking(_) | Opening::Other { .. } => (Kind::Hidden, 0),
        };
        self.open.push((part, kind, index));
    }

    fn go_on(&mut self, part: u32, delta: &Delta, out: &mut BytesMut) {
        let found = self.open.iter().rfind(|(open, ..)| *open == part);
        let Some((_, kind, index)) = found.copied() else { return };
        match (kind, delta) {
            (Kind::Text, Delta::Text(text)) => {
                if self.text.len() < MAX_QUOTED {
                    self.text.push_str(text);
                }
                content(out, "content-delta", index, |o| o.text("text", text));
            }
            (Kind::Thought, Delta::Text(text)) => {
                content(out, "content-delta", index, |o| o.text("thinking", text));
            }
            (Kind::Call, Delta::Arguments(text)) => {
                tool_call(out, "tool-call-delta", index, |o| {
                    o.object("function", |o| o.text("arguments", text));
                });
            }
            // A delta that does not fit its part, or that Cohere has no place for.
            (
                Kind::Text | Kind::Thought | Kind::Call | Kind::Image | Kind::Hidden,
                Delta::Text(_) | Delta::Signature(_) | Delta::Arguments(_) | Delta::Other { .. },
            ) => {}
        }
    }

    fn close(&mut self, part: u32, out: &mut BytesMut) {
        let Some(at) = self.open.iter().position(|(open, ..)| *open == part) else { return };
        let (_, kind, index) = self.open.remove(at);
        match kind {
            Kind::Text | Kind::Thought | Kind::Image => {
                event(out, "content-end", |o| o.integer("index", index))
            }
            Kind::Call => event(out, "tool-call-end", |o| o.integer("index", index)),
            Kind::Hidden => {}
        }
    }

    fn cite(&mut self, annotations: &str, out: &mut BytesMut) {
        for citation in cite::citations(annotations, &self.text) {
            let index = next(&mut self.citations);
            event(out, "citation-start", |o| {
                o.integer("index", index);
                o.object("delta", |o| {
                    o.object("message", |o| o.object("citations", |o| citation.write(o)));
                });
            });
            event(out, "citation-end", |o| o.integer("index", index));
        }
    }
}

impl Encode for Encoder {
    fn push(&mut self, event_: &Event, out: &mut BytesMut) {
        match event_ {
            Event::Start(start) => {
                self.usage = start.usage;
                event(out, "message-start", |o| {
                    o.text("id", &start.id);
                    o.object("delta", |o| {
                        o.object("message", |o| {
                            o.text("role", "assistant");
                            o.list("content", |_| {});
                            o.text("tool_plan", "");
                            o.list("tool_calls", |_| {});
                            o.list("citations", |_| {});
                        });
                    });
                });
            }
            Event::Open { choice: 0, part, kind } => self.open(*part, kind, out),
            Event::Delta { choice: 0, part, delta } => self.go_on(*part, delta, out),
            Event::Close { choice: 0, part } => self.close(*part, out),
            Event::Aside { choice: 0, place: Place::Delta, name: "annotations", value } => {
                self.cite(value.get(), out);
            }
            Event::Aside { choice: 0, place: Place::Choice, name: "logprobs", value } => {
                let index = self.contents.saturating_sub(1);
                for item in cite::logprob_items(value.get()) {
                    event(out, "content-delta", |o| {
                        o.integer("index", index);
                        o.object("delta", |o| {
                            o.object("message", |o| o.object("content", |o| o.text("text", "")));
                        });
                        o.object("logprobs", |o| item.write(o));
                    });
                }
            }
            Event::Finish { choice: 0, finish } => self.finish = Some(finish.clone()),
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Open { .. }
            | Event::Delta { .. }
            | Event::Close { .. }
            | Event::Aside { .. }
            | Event::Finish { .. } => {}
        }
    }

    fn end(&mut self, out: &mut BytesMut) {
        let word = self.finish.as_ref().map_or("COMPLETE", |f| finish_word(f, self.called));
        let usage = self.usage.unwrap_or_default();
        event(out, "message-end", |o| {
            o.object("delta", |o| {
                o.text("finish_reason", word);
                o.object("usage", |o| write_usage(o, &usage));
            });
        });
    }
}

fn next(count: &mut u64) -> u64 {
    let index = *count;
    *count += 1;
    index
}

fn event(out: &mut BytesMut, kind: &str, fill: impl FnOnce(&mut Object<'_>)) {
    out.put_slice(b"event: ");
    out.put_slice(kind.as_bytes());
    out.put_slice(b"\ndata: ");
    json::object(out, |o| {
        o.text("type", kind);
        fill(o);
    });
    out.put_slice(b"\n\n");
}

fn content(out: &mut BytesMut, kind: &str, index: u64, fill: impl FnOnce(&mut Object<'_>)) {
    event(out, kind, |o| {
        o.integer("index", index);
        o.object("delta", |o| o.object("message", |o| o.object("content", fill)));
    });
}

fn tool_call(out: &mut BytesMut, kind: &str, index: u64, fill: impl FnOnce(&mut Object<'_>)) {
    event(out, kind, |o| {
        o.integer("index", index);
        o.object("delta", |o| o.object("message", |o| o.object("tool_calls", fill)));
    });
}
