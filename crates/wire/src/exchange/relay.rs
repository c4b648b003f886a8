//! Client and upstream speak the same dialect: bytes pass.
//!
//! A request keeps every byte but the few that must differ: the model's name, what is meant for
//! us, what the provider cannot take. An answer keeps every byte too, except that the model's name
//! is put back where the client knows it by another one, and that figures nobody asked for are
//! hidden. An ear overhears what the answer consumed and how it ended.
//!
//! Of a stream, whole events travel on, as many as a chunk completes, and the beginning of the
//! next one waits for its end: so a stream that breaks never breaks inside an event, and what is
//! said after the break can be understood.

mod ear;
pub(crate) mod edit;
mod facts;
mod ids;
mod items;
mod stamp;

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, StatusCode};

pub(super) use self::{ear::ended, facts::Facts, stamp::Stamp};
use self::{
    ear::{Ear, Verdict},
    edit::{Asked, Edits},
};
use super::{
    Call, CannotAsk, Exchange, Malformed, Payload, head,
    seal::{Place, Tenant},
    thread,
};
use crate::{
    Dialect, Operation,
    fault::{Fault, FaultKind},
    frame::sse::{Boundary, MAX_PICTURE_BYTES},
    refusal::Refusal,
    target::Target,
    usage::Usage,
};

/// An exchange between equals.
pub struct Relay {
    operation: Operation,
    dialect: Dialect,
    /// The model's name as the client is to see it.
    shown_model: Box<str>,
    /// The same as JSON, if the upstream knows another name.
    stamp: Option<Bytes>,
    ear: Ear,
    boundary: Boundary,
    /// The beginning of an event whose end has not come yet.
    pending: BytesMut,
}

impl Relay {
    /// Whether there is a relay for this dialect: elsewhere a bridge goes between equals, too.
    pub const fn serves(dialect: Dialect) -> bool {
        matches!(
            dialect,
            Dialect::Openai
                | Dialect::Anthropic
                | Dialect::Completions
                | Dialect::Responses
                | Dialect::Gemini
                | Dialect::Cohere
        )
    }

    /// `shown_model` is the model name that the client is to see.
    pub fn new(operation: Operation, dialect: Dialect, shown_model: &str) -> Self {
        Relay {
            operation,
            dialect,
            shown_model: shown_model.into(),
            stamp: None,
            ear: Ear::new(dialect),
            boundary: match dialect {
                Dialect::Openai | Dialect::Responses | Dialect::Gemini => {
                    Boundary::up_to(MAX_PICTURE_BYTES)
                }
                _ => Boundary::default(),
            },
            pending: BytesMut::new(),
        }
    }

    /// Whether a request of responses asks for an answer in the background.
    pub(super) fn in_background(payload: &Payload) -> bool {
        Edits::new(&payload.body, &payload.peek).says(stamp::BACKGROUND)
    }

    /// For the stream of an answer that is kept at this place: what is asked for is there already.
    pub(super) fn resumed(tenant: &Tenant, place: Place) -> Self {
        let mut relay = Relay::new(Operation::Chat, Dialect::Responses, "");
        relay.ear.stamp = Stamp::of(tenant, place);
        relay
    }

    /// Lets the whole events of `buffer` pass; how many bytes that were.
    fn pass(&mut self, buffer: &[u8], out: &mut BytesMut) -> Result<usize, Fault> {
        // `buffer[sent..at]` has been heard and is still to be passed on.
        let (mut sent, mut at) = (0, 0);
        let between = |from: usize, to: usize| buffer.get(from..to).unwrap_or_default();
        loop {
            let event = match self.boundary.next_event(buffer) {
                Ok(Some(event)) => event,
                Ok(None) => break,
                Err(why) => {
                    out.extend_from_slice(between(sent, at));
                    return Err(why.into());
                }
            };
            let start = at;
            at += event.len();
            match self.ear.event(event, self.stamp.is_some()) {
                Ok(Verdict::Pass) => {}
                Ok(Verdict::Hide) => {
                    out.extend_from_slice(between(sent, start));
                    sent = at;
                }
                Ok(Verdict::Restamp(span)) => {
                    out.extend_from_slice(between(sent, start + span.start));
                    out.extend_from_slice(self.stamp.as_deref().unwrap_or_default());
                    sent = start + span.end;
                }
                Ok(Verdict::Splice(span, with)) => {
                    out.extend_from_slice(between(sent, start + span.start));
                    out.extend_from_slice(&with);
                    sent = start + span.end;
                }
                Ok(Verdict::Rewrite(data, span)) => {
                    out.extend_from_slice(between(sent, start));
                    let stamp = self.stamp.as_deref().unwrap_or_default();
                    ear::write_event(event, &spliced(&data, span, stamp), out);
                    sent = at;
                }
                Ok(Verdict::Replace(with)) => {
                    out.extend_from_slice(between(sent, start));
                    out.extend_from_slice(&with);
                    sent = at;
                }
                Err(fault) => {
                    out.extend_from_slice(between(sent, start));
                    return Err(self.reworded(*fault));
                }
            }
        }
        out.extend_from_slice(between(sent, at));
        Ok(self.boundary.take())
    }

    /// A fault that names what the request names, as the client knows it.
    fn reworded(&self, fault: Fault) -> Fault {
        Fault { message: self.ear.stamp.reworded(fault.message), ..fault }
    }

    /// The last event, whose blank line is missing, if it is whole all the same.
    fn pass_last(&mut self, out: &mut BytesMut) -> Result<(), Fault> {
        let mut last = std::mem::take(&mut self.pending);
        if !self.ear.is_whole(&last).map_err(|fault| *fault)? {
            return Ok(());
        }
        last.extend_from_slice(if last.ends_with(b"\n") { b"\n" } else { b"\n\n" });
        self.boundary.reset();
        self.pass(&last, out).map(drop)
    }
}

impl Exchange for Relay {
    fn call(&mut self, payload: &Payload, to: &Target) -> Result<Call, CannotAsk> {
        thread::refuse(self.dialect, payload)?;
        let counted;
        let to = match self.operation {
            Operation::CountTokens => {
                counted = super::count::target(self.dialect, to);
                &counted
            }
            Operation::Chat | Operation::Embeddings => to,
        };
        let streamed = self.operation == Operation::Chat && payload.peek.stream;
        let path = head::path(self.operation, self.dialect, to, streamed)?;
        let headers = head::headers(self.dialect, streamed, &payload.headers, to);
        let mut edits = Edits::new(&payload.body, &payload.peek);
        edits.model(to);
        // Defaults are about the answer, and a count that is asked for with them is refused.
        if self.operation != Operation::CountTokens {
            edits.defaults(to);
        }
        if streamed && matches!(self.dialect, Dialect::Openai | Dialect::Completions) {
            self.ear.hide_usage = edits.ask_for_usage(to) == Asked::ByUs;
        }
        if matches!(self.dialect, Dialect::Responses | Dialect::Anthropic) {
            self.ear.stamp.ask(self.dialect, &mut edits, payload, to)?;
        }
        edits.patches(to);
        self.ear.background = self.dialect == Dialect::Responses && edits.says(stamp::BACKGROUND);
        self.ear.prompt_bytes = payload.body.len() as u64;
        if *self.shown_model != *to.model {
            self.stamp = Some(serde_json::to_vec(&*self.shown_model).unwrap_or_default().into());
            self.ear.stamp.model.clone_from(&self.stamp);
        }
        Ok(Call { path, headers, body: edits.finish() })
    }

    fn reply(&mut self, body: Bytes) -> Result<Bytes, Malformed> {
        let facts = Facts::read(self.dialect, &body)
            .map_err(|flaw| Malformed::new(format!("the upstream's answer is not JSON: {flaw}")))?;
        if facts.error {
            let message = self.reworded(crate::dialect::fault_inside(&body)).message;
            return Err(Malformed::new(format!("the upstream answered with an error: {message}")));
        }
        let (field, there) = match (self.operation, self.dialect) {
            (Operation::CountTokens, dialect) => {
                super::count::provider(dialect)?.read_count(&body)?;
                self.ear.whole(&facts, &body, self.operation);
                return Ok(body);
            }
            (Operation::Chat, Dialect::Anthropic) => ("content", facts.content.is_some()),
            (Operation::Chat, Dialect::Cohere) => ("message", facts.content.is_some()),
            (Operation::Chat, Dialect::Gemini) => ("candidates", facts.content.is_some()),
            (Operation::Chat, Dialect::Responses) => ("output", facts.content.is_some()),
            (Operation::Chat, _) => ("choices", facts.content.is_some()),
            (Operation::Embeddings, _) => ("data", facts.data),
        };
        if !there {
            return Err(Malformed::at(field, format!("the upstream's answer has no `{field}`")));
        }
        self.ear.whole(&facts, &body, self.operation);
        if matches!(self.dialect, Dialect::Responses | Dialect::Anthropic) {
            return Ok(self.ear.stamp.stamped(&facts, &body).unwrap_or(body));
        }
        Ok(match (&self.stamp, facts.model) {
            (Some(stamp), Some(span)) => spliced(&body, span, stamp),
            (Some(_) | None, _) => body,
        })
    }

    #[inline]
    fn push(&mut self, chunk: &Bytes, out: &mut BytesMut) -> Result<(), Fault> {
        if self.pending.is_empty() {
            let passed = self.pass(chunk, out)?;
            self.pending.extend_from_slice(chunk.get(passed..).unwrap_or_default());
        } else {
            self.pending.extend_from_slice(chunk);
            let mut pending = std::mem::take(&mut self.pending);
            let passed = self.pass(&pending, out)?;
            pending.advance(passed);
            self.pending = pending;
        }
        self.ear.is_no_page(&self.pending).map_err(|fault| *fault)
    }

    fn end(&mut self, out: &mut BytesMut) -> Result<(), Fault> {
        if !self.pending.is_empty() {
            self.pass_last(out)?;
        }
        if self.ear.done {
            return Ok(());
        }
        if self.ear.finish.is_none() {
            return Err(if self.ear.heard_nothing() {
                Fault::new(FaultKind::BadResponse, "the upstream's stream is empty")
            } else {
                Fault::new(FaultKind::Disconnected, "the upstream's stream ended before its time")
            });
        }
        self.ear.done = true;
        out.extend_from_slice(match self.dialect {
            Dialect::Anthropic => {
                b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n".as_slice()
            }
            // The reason why it ended was all.
            Dialect::Gemini | Dialect::Responses | Dialect::Cohere => b"",
            _ => b"data: [DONE]\n\n",
        });
        Ok(())
    }

    fn begun(&self) -> bool {
        self.ear.begun
    }

    fn done(&self) -> bool {
        self.ear.done
    }

    fn usage(&self) -> Usage {
        if self.operation == Operation::CountTokens {
            return Usage::default();
        }
        self.ear.usage()
    }

    fn finish_reason(&self) -> Option<&str> {
        self.ear.finish
    }

    fn unfinished(&self) -> Option<&str> {
        self.ear.unfinished.as_deref().filter(|_| !self.ear.done || self.ear.finish.is_none())
    }

    fn dropped(&self) -> &[String] {
        &[]
    }

    fn fault(&self, status: StatusCode, headers: &HeaderMap, body: Bytes) -> Fault {
        self.reworded(crate::dialect::fault(status, headers, &body))
    }

    fn broken(&self, why: &Refusal, out: &mut BytesMut) {
        crate::dialect::broken(self.dialect, why, out);
    }
}

fn spliced(text: &[u8], span: std::ops::Range<usize>, with: &[u8]) -> Bytes {
    let mut new = BytesMut::with_capacity(text.len() + with.len());
    new.extend_from_slice(text.get(..span.start).unwrap_or_default());
    new.extend_from_slice(with);
    new.extend_from_slice(text.get(span.end..).unwrap_or_default());
    new.freeze()
}

#[cfg(test)]
mod tests;
