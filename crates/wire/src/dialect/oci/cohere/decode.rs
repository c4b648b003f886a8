//! A model's stream, into the hub.
//!
//! `{"apiFormat":"COHERE","text":"Hello","pad":"aaa"}`, and at the end one that has the whole text and
//! all calls again, beside `finishReason` and `usage`. `[DONE]` may follow.

use super::reply::{CallIn, Said, finish_of};
use crate::{
    dialect::{
        Decode, fault_inside,
        figures::Figures,
        oci::{
            decode::{bad, cut, each_line, start},
            is_error,
        },
    },
    fault::{Fault, FaultKind},
    frame::sse,
    matrix::Dialect,
    op::chat::{Delta, Event, MAX_TOOL_CALLS, Opening},
};

/// Reads a stream.
#[derive(Default)]
pub(super) struct Decoder {
    sse: sse::Decoder,
    state: State,
}

#[derive(Default)]
struct State {
    started: bool,
    finished: bool,
    done: bool,
    figures: Figures,
    /// How many parts were opened.
    parts: u32,
    /// The text's part, while it is open.
    text: Option<u32>,
    spoken: bool,
    called: usize,
}

impl Decode for Decoder {
    fn push(&mut self, bytes: &[u8], out: &mut Vec<Event>) -> Result<(), Fault> {
        let Decoder { sse, state } = self;
        sse.push(bytes, |frame| each_line(&frame.data, |line| state.piece(line, out)))
    }

    fn end(&mut self, out: &mut Vec<Event>) -> Result<(), Fault> {
        let Decoder { sse, state } = self;
        sse.end(|frame| each_line(&frame.data, |line| state.piece(line, out)))?;
        state.done |= state.finished;
        if state.done { Ok(()) } else { Err(cut()) }
    }

    fn done(&self) -> bool {
        self.state.done
    }
}

impl State {
    fn piece(&mut self, line: &[u8], out: &mut Vec<Event>) -> Result<(), Fault> {
        if self.done {
            return Ok(());
        }
        if line == b"[DONE]" {
            self.done = self.finished;
            return if self.done { Ok(()) } else { Err(cut()) };
        }
        let said: Said<'_> = serde_json::from_slice(line).map_err(|why| bad(&why))?;
        if is_error(said.code, said.message) {
            return Err(fault_inside(line));
        }
        if !self.started {
            self.started = true;
            out.push(start(Dialect::OciCohere));
        }
        if !self.finished {
            // What the last piece says again has been said.
            let last = said.finish_reason.is_some();
            if !(last && self.spoken) {
                self.say(said.text.unwrap_or_default(), out);
            }
            if !(last && self.called > 0) {
                self.call(said.tool_calls.unwrap_or_default(), out)?;
            }
            if last {
                self.finish(said.finish_reason.as_deref(), said.error_message, out)?;
            }
        }
        if let Some(raw) = said.usage {
            let text = raw.get();
            self.figures.read(Dialect::OciCohere, text.as_bytes(), &(0..text.len()));
            out.push(Event::Usage(self.figures.usage(Dialect::OciCohere, (0, 0))));
        }
        Ok(())
    }

    fn say(&mut self, text: String, out: &mut Vec<Event>) {
        if text.is_empty() {
            return;
        }
        self.spoken = true;
        let part = match self.text {
            Some(part) => part,
            None => {
                let part = self.open(Opening::Text, out);
                self.text = Some(part);
                part
            }
        };
        out.push(Event::Delta { choice: 0, part, delta: Delta::Text(text) });
    }

    fn open(&mut self, kind: Opening, out: &mut Vec<Event>) -> u32 {
        let part = self.parts;
        self.parts = self.parts.saturating_add(1);
        out.push(Event::Open { choice: 0, part, kind });
        part
    }

    fn close_text(&mut self, out: &mut Vec<Event>) {
        if let Some(part) = self.text.take() {
            out.push(Event::Close { choice: 0, part });
        }
    }

    /// Calls come whole.
    fn call(&mut self, calls: Vec<CallIn<'_>>, out: &mut Vec<Event>) -> Result<(), Fault> {
        for call in calls {
            if self.called == MAX_TOOL_CALLS {
                let why = format!("the upstream's answer has over {MAX_TOOL_CALLS} tool calls");
                return Err(Fault::new(FaultKind::BadResponse, why));
            }
            self.close_text(out);
            let call = call.read(self.called);
            self.called += 1;
            let part = self.open(Opening::ToolCall { id: call.id, name: call.name }, out);
            let delta = Delta::Arguments(call.arguments);
            out.push(Event::Delta { choice: 0, part, delta });
            out.push(Event::Close { choice: 0, part });
        }
        Ok(())
    }

    fn finish(
        &mut self,
        word: Option<&str>,
        error: Option<String>,
        out: &mut Vec<Event>,
    ) -> Result<(), Fault> {
        self.close_text(out);
        let Some(finish) = finish_of(word, self.called > 0) else {
            let why = error.unwrap_or_else(|| "the generation failed".to_owned());
            return Err(Fault::new(FaultKind::Server, why));
        };
        out.push(Event::Finish { choice: 0, finish });
        self.finished = true;
        Ok(())
    }
}
