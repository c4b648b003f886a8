//! A prediction's stream, into the hub.
//! <https://replicate.com/docs/topics/predictions/streaming>

use serde::Deserialize;

use super::job::{MAX_TOLD, Prediction, Status, failed};
use crate::{
    dialect::{Decode, fault_inside},
    fault::{Fault, FaultKind},
    frame::sse::{self, Frame},
    matrix::Dialect,
    op::chat::{Delta, Event, Extra, Finish, Opening, Reason, Start},
};

/// Reads a stream: `output` in pieces of text, then `done`; and, where we asked for it, the
/// prediction as a whole, which has the figures.
pub(super) struct Decoder {
    events: sse::Decoder,
    state: State,
}

impl Default for Decoder {
    fn default() -> Self {
        Decoder { events: sse::Decoder::up_to(MAX_TOLD), state: State::default() }
    }
}

#[derive(Default)]
struct State {
    started: bool,
    open: bool,
    /// `done` has come; the figures may yet.
    ended: bool,
    done: bool,
}

/// The data of `done`.
#[derive(Deserialize)]
struct Done {
    #[serde(default)]
    reason: Option<String>,
}

impl Decode for Decoder {
    fn push(&mut self, bytes: &[u8], out: &mut Vec<Event>) -> Result<(), Fault> {
        let Decoder { events, state } = self;
        events.push(bytes, |frame| state.frame(&frame, out))
    }

    fn end(&mut self, out: &mut Vec<Event>) -> Result<(), Fault> {
        let Decoder { events, state } = self;
        events.end(|frame| state.frame(&frame, out))?;
        if state.ended && !state.done {
            state.finish(None, out);
        }
        if state.done {
            return Ok(());
        }
        let why = "the upstream's stream ended before it was complete";
        Err(Fault::new(FaultKind::Disconnected, why))
    }

    fn done(&self) -> bool {
        self.state.done
    }
}

impl State {
    fn frame(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) -> Result<(), Fault> {
        if self.done {
            return Ok(());
        }
        match frame.event {
            b"output" if !self.ended => {
                self.start(String::new(), out);
                self.say(String::from_utf8_lossy(&frame.data).into_owned(), out);
            }
            b"error" => return Err(error(&frame.data)),
            b"done" => {
                let said = serde_json::from_slice::<Done>(&frame.data).ok();
                if let Some(reason) = said.and_then(|said| said.reason) {
                    return Err(failed(&format!(
                        "the prediction ended before its answer: {reason}"
                    )));
                }
                self.ended = true;
            }
            b"prediction" => self.told(&frame.data, out)?,
            // `logs`, and what is not known yet.
            _ => {}
        }
        Ok(())
    }

    fn told(&mut self, data: &[u8], out: &mut Vec<Event>) -> Result<(), Fault> {
        let told = Prediction::read(data)?;
        if told.status() != Status::Succeeded {
            return Err(told.fault());
        }
        if !self.ended {
            let text = told.text()?;
            self.start(told.id.clone().unwrap_or_default(), out);
            self.say(text, out);
        }
        self.finish(Some(&told), out);
        Ok(())
    }

    fn start(&mut self, id: String, out: &mut Vec<Event>) {
        if !std::mem::replace(&mut self.started, true) {
            out.push(Event::Start(Start {
                upstream: Dialect::Replicate,
                id,
                model: String::new(),
                created: None,
                usage: None,
                extra: Extra::new(),
            }));
        }
    }

    fn say(&mut self, text: String, out: &mut Vec<Event>) {
        if text.is_empty() {
            return;
        }
        if !std::mem::replace(&mut self.open, true) {
            out.push(Event::Open { choice: 0, part: 0, kind: Opening::Text });
        }
        out.push(Event::Delta { choice: 0, part: 0, delta: Delta::Text(text) });
    }

    /// `told` is the prediction, if it was asked about.
    fn finish(&mut self, told: Option<&Prediction<'_>>, out: &mut Vec<Event>) {
        self.start(String::new(), out);
        if self.open {
            out.push(Event::Close { choice: 0, part: 0 });
        }
        if let Some(usage) = told.and_then(Prediction::usage) {
            out.push(Event::Usage(usage));
        }
        let stopped = Finish { reason: Reason::Stop, stop_sequence: None };
        out.push(Event::Finish { choice: 0, finish: told.map_or(stopped, Prediction::finish) });
        self.done = true;
    }
}

/// The data of `error`: `{"detail": "…"}`, or a text.
fn error(data: &[u8]) -> Fault {
    failed(&fault_inside(data).message)
}
