//! A stream out of the hub, for a client of completions: `data: {…}` chunks and `data: [DONE]`.

use bytes::{BufMut, Bytes, BytesMut};

use super::reply;
use crate::{
    dialect::{
        Encode,
        json::{self, Object},
        openai::write_usage,
    },
    op::chat::{Delta, Event, MAX_CHOICES, Opening, Place, Start},
    usage::Usage,
};

/// Writes a stream.
pub(super) struct Encoder {
    include_usage: bool,
    /// What each answer begins with.
    prompt: String,
    /// `data: {"id":…,"choices":[` as each chunk begins.
    head: Bytes,
    /// Parts that are shown: choice and part.
    shown: Vec<(u32, u32)>,
    /// Choices whose prompt is out, and where their next token stands.
    begun: Vec<(u32, u64)>,
    usage: Option<Usage>,
}

impl Encoder {
    pub(super) fn new(include_usage: bool, prompt: String) -> Self {
        Encoder {
            include_usage,
            prompt,
            head: Bytes::new(),
            shown: Vec::new(),
            begun: Vec::new(),
            usage: None,
        }
    }

    fn start(&mut self, start: &Start) {
        let mut head = BytesMut::from(&b"data: "[..]);
        json::object(&mut head, |o| {
            o.text("id", &start.id);
            o.text("object", "text_completion");
            o.integer("created", start.created.unwrap_or(0));
            o.text("model", &start.model);
        });
        head.truncate(head.len() - 1);
        head.put_slice(b",\"choices\":[");
        self.head = head.freeze();
        self.usage = start.usage;
    }

    /// One chunk of one choice. The first one has the prompt before it, if it was asked for.
    fn chunk(
        &mut self,
        choice: u32,
        text: &str,
        out: &mut BytesMut,
        fill: impl FnOnce(&mut Object<'_>, &mut u64),
    ) {
        let known = self.begun.iter().position(|(known, _)| *known == choice);
        let at = match known {
            Some(at) => at,
            None if self.begun.len() == MAX_CHOICES => return,
            None => {
                self.begun.push((choice, self.prompt.chars().count() as u64));
                if !self.prompt.is_empty() {
                    write(&self.head, choice, &self.prompt, out, plain);
                }
                self.begun.len() - 1
            }
        };
        let Some((_, offset)) = self.begun.get_mut(at) else { return };
        write(&self.head, choice, text, out, |o| fill(o, offset));
    }
}

fn write(
    head: &[u8],
    choice: u32,
    text: &str,
    out: &mut BytesMut,
    fill: impl FnOnce(&mut Object<'_>),
) {
    out.put_slice(head);
    json::object(out, |o| {
        o.text("text", text);
        o.integer("index", u64::from(choice));
        fill(o);
    });
    out.put_slice(b"]}\n\n");
}

/// Text and nothing about it.
fn plain(o: &mut Object<'_>) {
    o.null("logprobs");
    o.null("finish_reason");
}

impl Encode for Encoder {
    fn push(&mut self, event: &Event, out: &mut BytesMut) {
        match event {
            Event::Start(start) => self.start(start),
            Event::Open { choice, part, kind: Opening::Text | Opening::Refusal } => {
                self.shown.push((*choice, *part));
            }
            Event::Delta { choice, part, delta: Delta::Text(text) }
                if self.shown.contains(&(*choice, *part)) =>
            {
                self.chunk(*choice, text, out, |o, _| plain(o));
            }
            Event::Open { choice, kind: Opening::Image { source, .. }, .. } => {
                if let Some(text) = reply::picture(source) {
                    self.chunk(*choice, &text, out, |o, _| plain(o));
                }
            }
            Event::Close { choice, part } => {
                self.shown.retain(|shown| *shown != (*choice, *part));
            }
            Event::Aside { choice, place: Place::Choice, name: "logprobs", value } => {
                self.chunk(*choice, "", out, |o, offset| {
                    reply::logprobs(o, value, offset);
                    o.null("finish_reason");
                });
            }
            Event::Finish { choice, finish } => {
                let reason = reply::finish_reason(finish.reason);
                self.chunk(*choice, "", out, |o, _| {
                    o.null("logprobs");
                    o.text("finish_reason", reason);
                });
            }
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Open { .. } | Event::Delta { .. } | Event::Aside { .. } => {}
        }
    }

    fn end(&mut self, out: &mut BytesMut) {
        if self.include_usage {
            out.put_slice(&self.head);
            out.put_slice(b"],\"usage\":");
            json::object(out, |o| write_usage(o, &self.usage.unwrap_or_default()));
            out.put_slice(b"}\n\n");
        }
        out.put_slice(b"data: [DONE]\n\n");
    }
}
