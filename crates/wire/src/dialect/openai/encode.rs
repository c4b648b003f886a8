//! A stream out of the hub, for an OpenAI client: `data: {…}` chunks and `data: [DONE]`.

use bytes::{BufMut, Bytes, BytesMut};

use super::{part, usage};
use crate::{
    dialect::{
        Encode, annotation,
        json::{self, Object},
        signature,
    },
    matrix::Dialect,
    op::chat::{Delta, Event, Opening, Place, Raw, Start},
    usage::Usage,
};

/// Writes a stream.
pub(super) struct Encoder {
    include_usage: bool,
    /// `data: {"id":…,` as each chunk begins.
    head: Bytes,
    /// Choices whose first delta, the one with the role, is out.
    begun: Vec<u32>,
    /// Parts that are open: choice, part, what it is.
    open: Vec<(u32, u32, Kind)>,
    /// Tool calls so far, by choice.
    tools: Vec<(u32, u64)>,
    /// Thinking blocks so far, by choice.
    thoughts: Vec<(u32, u64)>,
    /// Pictures so far, by choice.
    pictures: Vec<(u32, u64)>,
    /// The upstream speaks OpenAI's dialect, too.
    native: bool,
    /// Google's signature of the call that opens next, by choice.
    ahead: Option<(u32, Raw)>,
    /// Choices that are complete: nothing follows.
    finished: Vec<u32>,
    usage: Option<Usage>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Refusal,
    /// A thought as bare text.
    Thought,
    /// A thought as a block that may be signed, by its index.
    Signed(u64),
    Tool(u64),
    /// What OpenAI has no place for.
    Hidden,
}

impl Encoder {
    pub(super) fn new(include_usage: bool) -> Self {
        Encoder {
            include_usage,
            head: Bytes::new(),
            begun: Vec::new(),
            open: Vec::new(),
            tools: Vec::new(),
            thoughts: Vec::new(),
            pictures: Vec::new(),
            native: false,
            ahead: None,
            finished: Vec::new(),
            usage: None,
        }
    }

    fn start(&mut self, start: &Start) {
        self.native = start.upstream == Dialect::Openai;
        let mut head = BytesMut::from(&b"data: "[..]);
        json::object(&mut head, |o| {
            o.text("id", &start.id);
            o.text("object", "chat.completion.chunk");
            o.integer("created", start.created.unwrap_or(0));
            o.text("model", &start.model);
            if self.native {
                o.extra(&start.extra);
            } else if let Some(word) = start.usage.and_then(|usage| usage::tier(&usage)) {
                o.text("service_tier", word);
            }
        });
        head.truncate(head.len() - 1);
        head.put_slice(b",\"choices\":[");
        self.head = head.freeze();
        self.usage = start.usage;
    }

    /// One chunk of one choice. `fill` writes the delta; the first one of a choice has the role.
    fn chunk(
        &mut self,
        choice: u32,
        out: &mut BytesMut,
        fill: impl FnOnce(&mut Object<'_>),
        tail: impl FnOnce(&mut Object<'_>),
    ) {
        let first = !self.begun.contains(&choice);
        if first {
            self.begun.push(choice);
        }
        out.reserve(self.head.len() + 256);
        out.put_slice(&self.head);
        json::object(out, |o| {
            o.integer("index", u64::from(choice));
            o.object("delta", |o| {
                if first {
                    o.text("role", "assistant");
                }
                fill(o);
            });
            tail(o);
        });
        out.put_slice(b"]}\n\n");
    }

    fn delta(&mut self, choice: u32, out: &mut BytesMut, fill: impl FnOnce(&mut Object<'_>)) {
        self.chunk(choice, out, fill, |o| o.null("finish_reason"));
    }

    fn open(&mut self, choice: u32, part: u32, kind: &Opening, out: &mut BytesMut) {
        let first = !self.begun.contains(&choice);
        let kind = match kind {
            Opening::Text => {
                if first {
                    self.delta(choice, out, |o| o.text("content", ""));
                }
                Kind::Text
            }
            Opening::Refusal => Kind::Refusal,
            Opening::Thinking { signed: false } => Kind::Thought,
            Opening::Thinking { signed: true } => Kind::Signed(next(&mut self.thoughts, choice)),
            Opening::RedactedThinking(data) => {
                let index = next(&mut self.thoughts, choice);
                self.delta(choice, out, |o| {
                    thought(o, index, |o| {
                        o.text("type", "redacted_thinking");
                        o.text("data", data);
                    });
                });
                Kind::Hidden
            }
            Opening::ToolCall { id, name } => {
                let index = next(&mut self.tools, choice);
                let ahead = self.ahead.take_if(|(of, _)| *of == choice);
                self.delta(choice, out, |o| {
                    if first {
                        o.null("content");
                    }
                    o.list("tool_calls", |list| {
                        list.object(|o| {
                            o.integer("index", index);
                            o.text("id", id);
                            o.text("type", "function");
                            o.object("function", |o| {
                                o.text("name", name);
                                o.text("arguments", "");
                            });
                            if let Some((_, content)) = &ahead {
                                o.raw(signature::EXTRA_CONTENT, content.get());
                            }
                        });
                    });
                });
                Kind::Tool(index)
            }
            Opening::Image { source, extra } => {
                let index = next(&mut self.pictures, choice);
                if let Some(url) = part::url_of(source) {
                    let extra = Some(extra).filter(|_| self.native);
                    self.delta(choice, out, |o| {
                        o.list("images", |list| part::write_picture(list, &url, index, extra));
                    });
                }
                Kind::Hidden
            }
            Opening::Other { .. } => Kind::Hidden,
        };
        self.open.push((choice, part, kind));
    }

    fn go_on(&mut self, choice: u32, part: u32, delta: &Delta, out: &mut BytesMut) {
        let found = self.open.iter().rfind(|(c, p, _)| (*c, *p) == (choice, part));
        let Some((_, _, kind)) = found.copied() else { return };
        match (kind, delta) {
            (Kind::Text, Delta::Text(text)) => {
                self.delta(choice, out, |o| o.text("content", text));
            }
            (Kind::Refusal, Delta::Text(text)) => {
                self.delta(choice, out, |o| o.text("refusal", text));
            }
            (Kind::Thought, Delta::Text(text)) => {
                self.delta(choice, out, |o| o.text("reasoning_content", text));
            }
            (Kind::Signed(index), Delta::Text(text)) => self.delta(choice, out, |o| {
                o.text("reasoning_content", text);
                thought(o, index, |o| {
                    o.text("type", "thinking");
                    o.text("thinking", text);
                });
            }),
            (Kind::Signed(index), Delta::Signature(signature)) => {
                self.delta(choice, out, |o| {
                    thought(o, index, |o| {
                        o.text("type", "thinking");
                        o.text("thinking", "");
                        o.text("signature", signature);
                    });
                });
            }
            (Kind::Tool(index), Delta::Arguments(text)) => self.delta(choice, out, |o| {
                o.list("tool_calls", |list| {
                    list.object(|o| {
                        o.integer("index", index);
                        o.object("function", |o| o.text("arguments", text));
                    });
                });
            }),
            // A delta that does not fit its part, or that OpenAI has no place for.
            (
                Kind::Text
                | Kind::Refusal
                | Kind::Thought
                | Kind::Signed(_)
                | Kind::Tool(_)
                | Kind::Hidden,
                Delta::Text(_) | Delta::Signature(_) | Delta::Arguments(_) | Delta::Other { .. },
            ) => {}
        }
    }
}

impl Encode for Encoder {
    fn push(&mut self, event: &Event, out: &mut BytesMut) {
        match event {
            Event::Aside { choice, .. } if self.finished.contains(choice) => {}
            Event::Start(start) => self.start(start),
            Event::Open { choice, part, kind } => self.open(*choice, *part, kind, out),
            Event::Delta { choice, part, delta } => self.go_on(*choice, *part, delta, out),
            Event::Close { choice, part } => {
                self.open.retain(|(c, p, _)| (*c, *p) != (*choice, *part));
            }
            // What cites no page has no place here: a file of a provider's container, say.
            Event::Aside { place: Place::Delta, name: annotation::NAME, value, .. }
                if !self.native && annotation::read(value.get()).is_empty() => {}
            Event::Aside { choice, place: Place::Delta, name, value } => {
                self.delta(*choice, out, |o| o.raw(name, value.get()));
            }
            Event::Aside { choice, place: Place::Part, value, .. } => {
                let signature: Option<String> = serde_json::from_str(value.get()).ok();
                let content = signature.as_deref().and_then(signature::extra_content);
                self.ahead = content.map(|content| (*choice, content));
            }
            Event::Aside { choice, place: Place::Choice, name, value } => {
                self.chunk(
                    *choice,
                    out,
                    |_| {},
                    |o| {
                        o.raw(name, value.get());
                        o.null("finish_reason");
                    },
                );
            }
            Event::Finish { choice, finish } => {
                let reason = finish.reason.openai();
                self.finished.push(*choice);
                self.chunk(*choice, out, |_| {}, |o| o.text("finish_reason", reason));
            }
            Event::Usage(usage) => self.usage = Some(*usage),
        }
    }

    fn end(&mut self, out: &mut BytesMut) {
        if self.include_usage {
            out.put_slice(&self.head);
            out.put_slice(b"],\"usage\":");
            let usage = self.usage.unwrap_or_default();
            json::object(out, |o| usage::write(o, &usage));
            out.put_slice(b"}\n\n");
        }
        out.put_slice(b"data: [DONE]\n\n");
    }
}

/// The next number of a choice.
fn next(counts: &mut Vec<(u32, u64)>, choice: u32) -> u64 {
    if let Some((_, count)) = counts.iter_mut().find(|(other, _)| *other == choice) {
        let index = *count;
        *count += 1;
        return index;
    }
    counts.push((choice, 1));
    0
}

/// One thinking block. LiteLLM gives it no index, but OpenAI's SDKs add up lists by it.
fn thought(o: &mut Object<'_>, index: u64, fill: impl FnOnce(&mut Object<'_>)) {
    o.list("thinking_blocks", |list| {
        list.object(|o| {
            o.integer("index", index);
            fill(o);
        });
    });
}
