//! A provider's stream, into the hub.
//! <https://platform.claude.com/docs/en/build-with-claude/streaming>

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{block, citation, reply::finish_of};
use crate::{
    dialect::{
        annotation::{self, Cited},
        events::{self, Events},
        fault_inside,
        fields::{At, Fields},
        figures::Figures,
    },
    exchange::Malformed,
    fault::{Fault, FaultKind},
    matrix::Dialect,
    op::chat::{Delta, Event, MAX_BLOCKS, Opening, Part, Place, Raw, Start},
    usage::Usage,
};

/// Reads a stream.
pub(super) type Decoder = events::Decoder<State>;

#[derive(Default)]
pub(super) struct State {
    started: bool,
    finished: bool,
    done: bool,
    figures: Figures,
    open: Vec<Open>,
    parts: u32,
    /// Characters of text so far.
    length: u64,
}

/// A block that is open.
struct Open {
    /// Anthropic's number.
    index: u32,
    /// Ours.
    part: u32,
    /// Characters of text before it.
    before: u64,
    /// What it cites.
    cites: Vec<Raw>,
}

/// An event as it stands on the wire: one shape for all types.
#[derive(Deserialize)]
struct FrameIn<'a> {
    r#type: Kind,
    #[serde(default)]
    index: Option<u32>,
    #[serde(borrow, default)]
    delta: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content_block: Option<&'a RawValue>,
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    MessageStart,
    ContentBlockStart,
    ContentBlockDelta,
    ContentBlockStop,
    MessageDelta,
    MessageStop,
    Ping,
    Error,
    /// Anthropic reserves the right to add more.
    #[serde(other)]
    Unknown,
}

#[derive(Deserialize)]
struct DeltaIn<'a> {
    r#type: DeltaKind,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    thinking: Option<String>,
    #[serde(default)]
    signature: Option<String>,
    #[serde(default)]
    partial_json: Option<String>,
    #[serde(borrow, default)]
    citation: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum DeltaKind {
    TextDelta,
    ThinkingDelta,
    SignatureDelta,
    InputJsonDelta,
    CitationsDelta,
    #[serde(other)]
    Unknown,
}

#[derive(Deserialize)]
struct MessageDeltaIn {
    #[serde(default)]
    stop_reason: Option<String>,
    #[serde(default)]
    stop_sequence: Option<String>,
}

impl Events for State {
    fn frame(&mut self, data: &[u8], out: &mut Vec<Event>) -> Result<(), Fault> {
        if self.done {
            return Ok(());
        }
        let frame: FrameIn<'_> = serde_json::from_slice(data).map_err(|why| bad(&why))?;
        match (&frame.r#type, self.started) {
            (Kind::Ping | Kind::Unknown, _) => {}
            (Kind::Error, _) => return Err(fault_inside(data)),
            (Kind::MessageStart, false) => self.start(frame.message, out)?,
            (Kind::MessageStart, true) => return Err(garbled("a second `message_start`")),
            (Kind::ContentBlockStart, true) => self.open(&frame, out)?,
            (Kind::ContentBlockDelta, true) => self.go_on(&frame, out)?,
            (Kind::ContentBlockStop, true) => self.close(&frame, out),
            (Kind::MessageDelta, true) => self.message_delta(&frame, out)?,
            (Kind::MessageStop, true) => self.stop(out),
            (
                Kind::ContentBlockStart
                | Kind::ContentBlockDelta
                | Kind::ContentBlockStop
                | Kind::MessageDelta
                | Kind::MessageStop,
                false,
            ) => return Err(garbled("no `message_start`")),
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.done
    }
}

impl State {
    fn start(&mut self, message: Option<&RawValue>, out: &mut Vec<Event>) -> Result<(), Fault> {
        let Some(message) = message else { return Err(garbled("no `message`")) };
        let mut fields = Fields::of(message, At::Body).map_err(|why| malformed(&why))?;
        for name in ["type", "role", "content", "stop_reason", "stop_sequence"] {
            fields.take(name);
        }
        let usage = fields.take("usage").map(|raw| self.count(raw));
        // Its count of the answer is of what was there at the start.
        self.figures.forget_output();
        out.push(Event::Start(Start {
            upstream: Dialect::Anthropic,
            id: fields.text("id").map_err(|why| malformed(&why))?.unwrap_or_default(),
            model: fields.text("model").map_err(|why| malformed(&why))?.unwrap_or_default(),
            created: None,
            usage,
            extra: fields.rest(),
        }));
        self.started = true;
        Ok(())
    }

    fn count(&mut self, raw: &RawValue) -> Usage {
        let text = raw.get();
        self.figures.read(Dialect::Anthropic, text.as_bytes(), &(0..text.len()));
        self.figures.usage(Dialect::Anthropic, (0, 0))
    }

    fn open(&mut self, frame: &FrameIn<'_>, out: &mut Vec<Event>) -> Result<(), Fault> {
        let Some(raw) = frame.content_block else { return Err(garbled("no `content_block`")) };
        let part = self.parts;
        if part as usize == MAX_BLOCKS {
            return Err(garbled("too many content blocks"));
        }
        let block = block::read(raw, At::Field(&At::Body, "content_block"))
            .map_err(|why| malformed(&why))?;
        // What a block begins with is nothing, but the protocol lets it be something.
        let mut first = None;
        let kind = match block.part {
            Part::Text(text) => {
                first = Some(text).filter(|text| !text.is_empty()).map(Delta::Text);
                Opening::Text
            }
            Part::Thinking { text, .. } => {
                first = Some(text).filter(|text| !text.is_empty()).map(Delta::Text);
                Opening::Thinking { signed: true }
            }
            Part::RedactedThinking(data) => Opening::RedactedThinking(data),
            Part::ToolCall(call) => {
                first = (call.arguments != "{}").then_some(Delta::Arguments(call.arguments));
                Opening::ToolCall { id: call.id, name: call.name }
            }
            Part::Image { .. } | Part::Audio { .. } | Part::File { .. } => other(raw),
            Part::ToolResult(_) | Part::Refusal(_) => other(raw),
            Part::Other { .. } | Part::OtherCall { .. } => other(raw),
        };
        self.parts += 1;
        let index = frame.index.unwrap_or(part);
        self.open.push(Open { index, part, before: self.length, cites: Vec::new() });
        out.push(Event::Open { choice: 0, part, kind });
        out.extend(first.map(|delta| Event::Delta { choice: 0, part, delta }));
        Ok(())
    }

    fn go_on(&mut self, frame: &FrameIn<'_>, out: &mut Vec<Event>) -> Result<(), Fault> {
        let found = self.open.iter_mut().rfind(|open| Some(open.index) == frame.index);
        let (Some(open), Some(raw)) = (found, frame.delta) else {
            return Err(garbled("a delta of no open block"));
        };
        let said: DeltaIn<'_> = serde_json::from_str(raw.get()).map_err(|why| bad(&why))?;
        let delta = match said.r#type {
            DeltaKind::TextDelta => {
                let text = said.text.unwrap_or_default();
                self.length += text.chars().count() as u64;
                Delta::Text(text)
            }
            DeltaKind::ThinkingDelta => Delta::Text(said.thinking.unwrap_or_default()),
            DeltaKind::SignatureDelta => Delta::Signature(said.signature.unwrap_or_default()),
            DeltaKind::InputJsonDelta => Delta::Arguments(said.partial_json.unwrap_or_default()),
            DeltaKind::CitationsDelta | DeltaKind::Unknown => {
                if let Some(citation) = said.citation.filter(|_| open.cites.len() < MAX_BLOCKS) {
                    open.cites.push(citation.to_owned());
                }
                Delta::Other { dialect: Dialect::Anthropic, raw: raw.to_owned() }
            }
        };
        out.push(Event::Delta { choice: 0, part: open.part, delta });
        Ok(())
    }

    fn close(&mut self, frame: &FrameIn<'_>, out: &mut Vec<Event>) {
        if let Some(at) = self.open.iter().rposition(|open| Some(open.index) == frame.index) {
            let open = self.open.remove(at);
            open.close(self.length, out);
        }
    }

    fn message_delta(&mut self, frame: &FrameIn<'_>, out: &mut Vec<Event>) -> Result<(), Fault> {
        if let Some(raw) = frame.usage {
            let usage = self.count(raw);
            out.push(Event::Usage(usage));
        }
        let Some(raw) = frame.delta else { return Ok(()) };
        let said: MessageDeltaIn = serde_json::from_str(raw.get()).map_err(|why| bad(&why))?;
        if let Some(word) = said.stop_reason
            && !self.finished
        {
            self.close_all(out);
            self.finished = true;
            out.push(Event::Finish { choice: 0, finish: finish_of(&word, said.stop_sequence) });
        }
        Ok(())
    }

    fn close_all(&mut self, out: &mut Vec<Event>) {
        for open in self.open.drain(..) {
            open.close(self.length, out);
        }
    }

    fn stop(&mut self, out: &mut Vec<Event>) {
        self.close_all(out);
        if !self.finished {
            self.finished = true;
            out.push(Event::Finish { choice: 0, finish: finish_of("end_turn", None) });
        }
        self.done = true;
    }
}

impl Open {
    fn close(self, length: u64, out: &mut Vec<Event>) {
        let cites = self.cites.iter();
        let cited: Vec<Cited> =
            cites.filter_map(|raw| citation::read(raw, self.before, length)).collect();
        if let Some(value) = annotation::list(&cited) {
            let name = annotation::NAME;
            out.push(Event::Aside { choice: 0, place: Place::Delta, name, value });
        }
        out.push(Event::Close { choice: 0, part: self.part });
    }
}

fn other(raw: &RawValue) -> Opening {
    Opening::Other { dialect: Dialect::Anthropic, raw: raw.to_owned() }
}

fn garbled(what: &str) -> Fault {
    Fault::new(FaultKind::BadResponse, format!("the upstream's stream is garbled: {what}"))
}

fn malformed(why: &Malformed) -> Fault {
    garbled(&why.message)
}

fn bad(why: &serde_json::Error) -> Fault {
    let name = Dialect::Anthropic.name();
    let why = format!("the upstream's stream is not what {name} sends: {why}");
    Fault::new(FaultKind::BadResponse, why)
}
