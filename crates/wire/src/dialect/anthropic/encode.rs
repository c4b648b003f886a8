//! A stream out of the hub, for an Anthropic client, in the order that the official SDKs count on:
//! `message_start`; for each block `content_block_start`, `content_block_delta`,
//! `content_block_stop`, one block after another; `message_delta`; `message_stop`.
//! <https://platform.claude.com/docs/en/build-with-claude/streaming>
//!
//! Upstreams may fill two tool calls at once. Then the later one waits until the earlier one is
//! complete.

use std::mem;

use bytes::{BufMut, BytesMut};

use super::{block, citation, reply::stop_reason, usage};
use crate::{
    dialect::{
        Encode, annotation,
        json::{self, Object},
        signature,
    },
    matrix::Dialect,
    op::chat::{Delta, Event, Finish, Opening, Place, Raw, Reason, Source, Start},
    usage::Usage,
};

/// Most bytes that wait. Beyond, blocks are written side by side, each under its index, which the
/// official SDKs also take.
const MAX_WAITING: usize = 1 << 20;

/// The part number of a block that has no part of its own.
const SIGNED: u32 = u32::MAX;

/// The same for what is cited when no text is under way.
const CITING: u32 = u32::MAX - 1;

/// Writes a stream.
#[derive(Default)]
pub(super) struct Encoder {
    started: bool,
    /// The index of the next block.
    next: u64,
    /// Parts that are not closed, or wait to be written; the first one is being written.
    parts: Vec<Waiting>,
    waiting: usize,
    /// The upstream speaks Anthropic's dialect, too.
    native: bool,
    called: bool,
    refused: bool,
    finish: Option<Finish>,
    usage: Usage,
}

struct Waiting {
    part: u32,
    /// Its block's index, once its start is out; `None` for what Anthropic has no block for, too.
    index: Option<u64>,
    /// Whether its text is a thought.
    thought: bool,
    /// Whether it is a text that may cite.
    text: bool,
    hidden: bool,
    /// What waits to be written.
    frames: Vec<Frame>,
    closed: bool,
}

enum Frame {
    Start(Opening),
    Delta(Delta),
}

impl Encoder {
    fn start(&mut self, start: &Start, out: &mut BytesMut) {
        self.started = true;
        self.native = start.upstream == Dialect::Anthropic;
        self.usage = start.usage.unwrap_or_default();
        event(out, "message_start", |o| {
            o.object("message", |o| {
                o.text("id", &start.id);
                o.text("type", "message");
                o.text("role", "assistant");
                o.text("model", &start.model);
                o.list("content", |_| {});
                o.null("stop_reason");
                o.null("stop_sequence");
                o.object("usage", |o| usage::write_whole(o, &self.usage));
                if start.upstream == Dialect::Anthropic {
                    o.extra(&start.extra);
                }
            });
        });
    }

    fn open(&mut self, part: u32, kind: &Opening, out: &mut BytesMut) {
        let hidden =
            matches!(kind, Opening::Other { dialect, .. } if *dialect != Dialect::Anthropic);
        self.called |= matches!(kind, Opening::ToolCall { .. });
        self.refused |= matches!(kind, Opening::Refusal);
        let thought = matches!(kind, Opening::Thinking { .. });
        let text = matches!(kind, Opening::Text);
        let (frames, closed) = (Vec::new(), false);
        self.parts.push(Waiting { part, index: None, thought, text, hidden, frames, closed });
        if self.parts.len() > 1 {
            self.wait(part, Frame::Start(kind.clone()), out);
        } else if let Some(first) = self.parts.first_mut()
            && !hidden
        {
            first.index = Some(self.next);
            block_start(out, self.next, kind);
            self.next += 1;
        }
    }

    /// Google's signature of the call that comes next: a block of its own without text, so that the
    /// client sends it back where it stood.
    fn signed(&mut self, value: &Raw, out: &mut BytesMut) {
        let Ok(signature) = serde_json::from_str::<String>(value.get()) else { return };
        self.open(SIGNED, &Opening::Thinking { signed: true }, out);
        self.go_on(SIGNED, &Delta::Signature(signature::marked(&signature)), out);
        self.close(SIGNED, out);
    }

    /// What the text under way cites; a text of its own where none is.
    fn cite(&mut self, annotations: &Raw, out: &mut BytesMut) {
        if self.native {
            return;
        }
        let under_way = self.parts.iter().rfind(|waiting| waiting.text && !waiting.closed);
        let part = under_way.map(|waiting| waiting.part);
        for (index, raw) in citation::deltas(annotations).enumerate() {
            if index == 0 && part.is_none() {
                self.open(CITING, &Opening::Text, out);
            }
            let delta = Delta::Other { dialect: Dialect::Anthropic, raw };
            self.go_on(part.unwrap_or(CITING), &delta, out);
        }
        if part.is_none() {
            self.close(CITING, out);
        }
    }

    fn go_on(&mut self, part: u32, delta: &Delta, out: &mut BytesMut) {
        let Some(found) = self.parts.iter().find(|waiting| waiting.part == part) else { return };
        match found.index {
            _ if found.hidden => {}
            Some(index) => block_delta(out, index, found.thought, delta),
            None => self.wait(part, Frame::Delta(delta.clone()), out),
        }
    }

    fn wait(&mut self, part: u32, frame: Frame, out: &mut BytesMut) {
        if let Some(waiting) = self.parts.iter_mut().find(|waiting| waiting.part == part) {
            self.waiting += frame.size();
            waiting.frames.push(frame);
        }
        if self.waiting > MAX_WAITING {
            for waiting in &mut self.parts {
                waiting.write(&mut self.next, out);
            }
            self.waiting = 0;
        }
    }

    fn close(&mut self, part: u32, out: &mut BytesMut) {
        for waiting in self.parts.iter_mut().filter(|waiting| waiting.part == part) {
            waiting.closed = true;
        }
        while let Some(first) = self.parts.first_mut() {
            first.write(&mut self.next, out);
            if !first.closed {
                break;
            }
            if let Some(index) = first.index {
                event(out, "content_block_stop", |o| o.integer("index", index));
            }
            self.parts.remove(0);
        }
        self.waiting = self.parts.iter().flat_map(|w| &w.frames).map(Frame::size).sum();
    }
}

impl Waiting {
    /// Writes what waits.
    fn write(&mut self, next: &mut u64, out: &mut BytesMut) {
        for frame in mem::take(&mut self.frames) {
            match (frame, self.index) {
                (Frame::Start(_), _) if self.hidden => {}
                (Frame::Start(kind), _) => {
                    self.index = Some(*next);
                    block_start(out, *next, &kind);
                    *next += 1;
                }
                (Frame::Delta(delta), Some(index)) => block_delta(out, index, self.thought, &delta),
                (Frame::Delta(_), None) => {}
            }
        }
    }
}

impl Frame {
    fn size(&self) -> usize {
        64 + match self {
            Frame::Start(Opening::Image { source: Source::Base64 { data, .. }, .. }) => data.len(),
            Frame::Start(_) => 0,
            Frame::Delta(Delta::Text(text) | Delta::Signature(text) | Delta::Arguments(text)) => {
                text.len()
            }
            Frame::Delta(Delta::Other { raw, .. }) => raw.get().len(),
        }
    }
}

impl Encode for Encoder {
    fn push(&mut self, event: &Event, out: &mut BytesMut) {
        match event {
            Event::Start(start) => self.start(start, out),
            // Anthropic has one answer: the first.
            Event::Open { choice: 1.., .. }
            | Event::Delta { choice: 1.., .. }
            | Event::Close { choice: 1.., .. }
            | Event::Finish { choice: 1.., .. }
            | Event::Aside { choice: 1.., .. } => {}
            Event::Aside { place: Place::Part, value, .. } => self.signed(value, out),
            Event::Aside { place: Place::Delta, name: annotation::NAME, value, .. } => {
                self.cite(value, out);
            }
            Event::Aside { place: Place::Choice | Place::Delta, .. } => {}
            Event::Open { part, kind, .. } => self.open(*part, kind, out),
            Event::Delta { part, delta, .. } => self.go_on(*part, delta, out),
            Event::Close { part, .. } => self.close(*part, out),
            Event::Finish { finish, .. } => self.finish = Some(finish.clone()),
            Event::Usage(usage) => self.usage = *usage,
        }
    }

    fn end(&mut self, out: &mut BytesMut) {
        let open: Vec<u32> = self.parts.iter().map(|waiting| waiting.part).collect();
        for part in open {
            self.close(part, out);
        }
        let finish =
            self.finish.take().unwrap_or(Finish { reason: Reason::Stop, stop_sequence: None });
        event(out, "message_delta", |o| {
            o.object("delta", |o| {
                o.text("stop_reason", stop_reason(&finish, self.called, self.refused));
                match &finish.stop_sequence {
                    Some(text) => o.text("stop_sequence", text),
                    None => o.null("stop_sequence"),
                }
            });
            o.object("usage", |o| usage::write(o, &self.usage));
        });
        event(out, "message_stop", |_| {});
    }
}

/// One event: its type is both its name and a member of its data.
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

fn block_start(out: &mut BytesMut, index: u64, kind: &Opening) {
    event(out, "content_block_start", |o| {
        o.integer("index", index);
        if let Opening::Other { raw, .. } = kind {
            o.raw("content_block", raw.get());
            return;
        }
        if let Opening::Image { source, .. } = kind {
            return o.object("content_block", |o| block::write_image(o, source));
        }
        o.object("content_block", |o| match kind {
            Opening::Text | Opening::Refusal | Opening::Image { .. } | Opening::Other { .. } => {
                o.text("type", "text");
                o.text("text", "");
            }
            Opening::Thinking { .. } => {
                o.text("type", "thinking");
                o.text("thinking", "");
                o.text("signature", "");
            }
            Opening::RedactedThinking(data) => {
                o.text("type", "redacted_thinking");
                o.text("data", data);
            }
            Opening::ToolCall { id, name } => {
                o.text("type", "tool_use");
                o.text("id", id);
                o.text("name", name);
                o.object("input", |_| {});
            }
        });
    });
}

fn block_delta(out: &mut BytesMut, index: u64, thought: bool, delta: &Delta) {
    event(out, "content_block_delta", |o| {
        o.integer("index", index);
        match delta {
            Delta::Other { raw, .. } => o.raw("delta", raw.get()),
            Delta::Text(text) if thought => o.object("delta", |o| {
                o.text("type", "thinking_delta");
                o.text("thinking", text);
            }),
            Delta::Text(text) => o.object("delta", |o| {
                o.text("type", "text_delta");
                o.text("text", text);
            }),
            Delta::Signature(text) => o.object("delta", |o| {
                o.text("type", "signature_delta");
                o.text("signature", text);
            }),
            Delta::Arguments(text) => o.object("delta", |o| {
                o.text("type", "input_json_delta");
                o.text("partial_json", text);
            }),
        }
    });
}
