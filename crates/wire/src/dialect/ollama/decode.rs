//! A provider's stream, into the hub: lines of JSON, the last with `"done": true`.
//! <https://docs.ollama.com/api/streaming>

use super::reply::{Line, finish_of};
use crate::{
    dialect::{Decode, fault_inside, figures::Figures},
    fault::{Fault, FaultKind},
    frame::lines,
    matrix::Dialect,
    op::chat::{Delta, Event, Extra, MAX_BLOCKS, MAX_TOOL_CALLS, Opening, Place, Start},
};

/// Reads a stream.
#[derive(Default)]
pub(super) struct Decoder {
    lines: lines::Decoder,
    state: State,
}

impl Decode for Decoder {
    fn push(&mut self, bytes: &[u8], out: &mut Vec<Event>) -> Result<(), Fault> {
        let Decoder { lines, state } = self;
        lines.push(bytes, |line| state.line(line, out))
    }

    fn end(&mut self, out: &mut Vec<Event>) -> Result<(), Fault> {
        let Decoder { lines, state } = self;
        lines.end(|line| state.line(line, out))?;
        if state.done {
            return Ok(());
        }
        Err(Fault::new(
            FaultKind::Disconnected,
            "the upstream's stream ended before it was complete",
        ))
    }

    fn done(&self) -> bool {
        self.state.done
    }
}

#[derive(Default)]
struct State {
    started: bool,
    done: bool,
    id: String,
    parts: u32,
    prose: Option<(Kind, u32)>,
    called: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Thought,
}

impl State {
    fn line(&mut self, text: &[u8], out: &mut Vec<Event>) -> Result<(), Fault> {
        if self.done {
            return Ok(());
        }
        let line: Line<'_> = serde_json::from_slice(text).map_err(|why| bad(&why))?;
        if line.error.is_some() {
            return Err(fault_inside(text));
        }
        if line.message.is_none() && !line.done {
            return Err(garbled("a line without a `message`"));
        }
        if !self.started {
            self.start(&line, out);
        }
        let logprobs = line.logprobs();
        let (done, reason) = (line.done, line.done_reason);
        if let Some(message) = line.message {
            self.say(Kind::Thought, message.thinking.unwrap_or_default(), out)?;
            self.say(Kind::Text, message.content.unwrap_or_default(), out)?;
            for call in message.tool_calls.unwrap_or_default() {
                if self.called == MAX_TOOL_CALLS {
                    return Err(garbled("too many tool calls"));
                }
                let call = call.read(&self.id, self.called);
                self.called += 1;
                self.close_prose(out);
                let part = self.open(Opening::ToolCall { id: call.id, name: call.name }, out)?;
                let delta = Delta::Arguments(call.arguments);
                out.push(Event::Delta { choice: 0, part, delta });
                out.push(Event::Close { choice: 0, part });
            }
        }
        if let Some(value) = logprobs {
            out.push(Event::Aside { choice: 0, place: Place::Choice, name: "logprobs", value });
        }
        if done {
            self.close_prose(out);
            let finish = finish_of(reason.as_deref(), self.called > 0);
            out.push(Event::Finish { choice: 0, finish });
            if let Ok(json) = std::str::from_utf8(text) {
                out.push(Event::Usage(Figures::whole(Dialect::Ollama, json, None)));
            }
            self.done = true;
        }
        Ok(())
    }

    fn start(&mut self, line: &Line<'_>, out: &mut Vec<Event>) {
        self.started = true;
        self.id = line.id();
        out.push(Event::Start(Start {
            upstream: Dialect::Ollama,
            id: self.id.clone(),
            model: line.model.clone().unwrap_or_default(),
            created: None,
            usage: None,
            extra: Extra::new(),
        }));
    }

    fn say(&mut self, kind: Kind, text: String, out: &mut Vec<Event>) -> Result<(), Fault> {
        if text.is_empty() {
            return Ok(());
        }
        let open = self.prose.filter(|(open, _)| *open == kind);
        let part = match open {
            Some((_, part)) => part,
            None => {
                self.close_prose(out);
                let opening = match kind {
                    Kind::Text => Opening::Text,
                    Kind::Thought => Opening::Thinking { signed: false },
                };
                let part = self.open(opening, out)?;
                self.prose = Some((kind, part));
                part
            }
        };
        out.push(Event::Delta { choice: 0, part, delta: Delta::Text(text) });
        Ok(())
    }

    fn open(&mut self, kind: Opening, out: &mut Vec<Event>) -> Result<u32, Fault> {
        let part = self.parts;
        if part as usize == MAX_BLOCKS {
            return Err(garbled("too many parts"));
        }
        self.parts += 1;
        out.push(Event::Open { choice: 0, part, kind });
        Ok(part)
    }

    fn close_prose(&mut self, out: &mut Vec<Event>) {
        if let Some((_, part)) = self.prose.take() {
            out.push(Event::Close { choice: 0, part });
        }
    }
}

fn garbled(what: &str) -> Fault {
    Fault::new(FaultKind::BadResponse, format!("the upstream's stream is garbled: {what}"))
}

fn bad(why: &serde_json::Error) -> Fault {
    let name = Dialect::Ollama.name();
    let why = format!("the upstream's stream is not what {name} sends: {why}");
    Fault::new(FaultKind::BadResponse, why)
}
