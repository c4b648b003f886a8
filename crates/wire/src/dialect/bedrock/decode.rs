//! A stream of ConverseStream, into the hub.
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html>
//!
//! The event's name is in the message's headers. Only tool calls say that they begin; text and
//! thoughts begin with their first delta.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    citation,
    format::ANSWER_TOOL,
    picture::{Picture, PictureIn},
    reply::{Called, finish_of},
    usage::{self, Additional},
};
use crate::{
    dialect::{Decode, annotation, fault_named},
    fault::{Fault, FaultKind},
    frame::aws::{self, Frame},
    matrix::Dialect,
    op::chat::{Delta, Event, Extra, MAX_BLOCKS, Opening, Place, Start},
};

/// Reads a stream.
#[derive(Default)]
pub(super) struct Decoder {
    frames: aws::Decoder,
    state: State,
}

impl Decode for Decoder {
    fn push(&mut self, bytes: &[u8], out: &mut Vec<Event>) -> Result<(), Fault> {
        let Decoder { frames, state } = self;
        frames.push(bytes, |frame| state.frame(frame, out))
    }

    fn end(&mut self, _out: &mut Vec<Event>) -> Result<(), Fault> {
        let Decoder { frames, state } = self;
        if state.done {
            return Ok(());
        }
        if state.finished && frames.is_between() {
            // The answer is complete; what it consumed was not said.
            state.done = true;
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
    finished: bool,
    done: bool,
    open: Vec<Open>,
    /// Pictures that are not complete yet.
    pictures: Vec<(u32, Picture)>,
    parts: u32,
    called: Called,
    additional: Additional,
    /// Characters of text so far.
    length: u64,
}

/// A block that is open.
struct Open {
    /// Bedrock's number.
    index: u32,
    /// Ours.
    part: u32,
    kind: Kind,
    /// Characters of text before it.
    before: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Thought,
    Redacted,
    Call,
    /// A call of [`ANSWER_TOOL`].
    Answer,
    Picture,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StartIn<'a> {
    #[serde(default)]
    content_block_index: u32,
    #[serde(borrow)]
    start: OpeningIn<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OpeningIn<'a> {
    #[serde(borrow, default)]
    tool_use: Option<&'a RawValue>,
    #[serde(default)]
    image: Option<ImageIn>,
}

/// <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ImageBlockStart.html>
#[derive(Deserialize)]
struct ImageIn {
    format: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolUseIn {
    tool_use_id: String,
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DeltaIn<'a> {
    #[serde(default)]
    content_block_index: u32,
    #[serde(borrow)]
    delta: Said<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Said<'a> {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    tool_use: Option<InputIn>,
    #[serde(default)]
    reasoning_content: Option<ThoughtIn>,
    #[serde(borrow, default)]
    citation: Option<&'a RawValue>,
    #[serde(default)]
    image: Option<PictureIn>,
}

#[derive(Deserialize)]
struct InputIn {
    input: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ThoughtIn {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    signature: Option<String>,
    #[serde(default)]
    redacted_content: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StopIn {
    #[serde(default)]
    content_block_index: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MessageStopIn<'a> {
    stop_reason: String,
    #[serde(borrow, default)]
    additional_model_response_fields: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MetadataIn<'a> {
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    service_tier: Option<&'a RawValue>,
}

impl State {
    fn frame(&mut self, frame: Frame<'_>, out: &mut Vec<Event>) -> Result<(), Fault> {
        if self.done {
            return Ok(());
        }
        match frame.text(":message-type") {
            Some("event") => {}
            Some("exception") => {
                return Err(fault_named(
                    frame.text(":exception-type").unwrap_or_default(),
                    frame.payload,
                ));
            }
            Some("error") => {
                let message = frame.text(":error-message").unwrap_or_default();
                let code = frame.text(":error-code").unwrap_or_default();
                return Err(fault_named(code, message.as_bytes()));
            }
            Some(_) | None => return Err(garbled("a message of an unknown type")),
        }
        let event = frame.text(":event-type").unwrap_or_default();
        match (event, self.started) {
            ("messageStart", false) => self.start(out),
            ("messageStart", true) => return Err(garbled("a second `messageStart`")),
            ("contentBlockStart", true) => self.open(&read(frame.payload)?, out)?,
            ("contentBlockDelta", true) => self.go_on(read(frame.payload)?, out)?,
            ("contentBlockStop", true) => {
                let stop: StopIn = read(frame.payload)?;
                self.show(Some(stop.content_block_index), out)?;
                self.close(stop.content_block_index, out);
            }
            ("messageStop", true) => self.message_stop(&read(frame.payload)?, out)?,
            ("metadata", true) => {
                let said: MetadataIn<'_> = read(frame.payload)?;
                if let Some(raw) = said.usage {
                    out.push(Event::Usage(
                        self.additional.add_to(usage::read(raw, said.service_tier)),
                    ));
                }
                self.done = self.finished;
            }
            (
                "contentBlockStart" | "contentBlockDelta" | "contentBlockStop" | "messageStop"
                | "metadata",
                false,
            ) => return Err(garbled("no `messageStart`")),
            // More may come some day.
            _ => {}
        }
        Ok(())
    }

    fn start(&mut self, out: &mut Vec<Event>) {
        self.started = true;
        out.push(Event::Start(Start {
            upstream: Dialect::Bedrock,
            id: String::new(),
            model: String::new(),
            created: None,
            usage: None,
            extra: Extra::new(),
        }));
    }

    fn open(&mut self, said: &StartIn<'_>, out: &mut Vec<Event>) -> Result<(), Fault> {
        if let Some(image) = &said.start.image {
            return self.picture(said.content_block_index, &image.format);
        }
        let Some(raw) = said.start.tool_use else { return Ok(()) };
        let call: ToolUseIn = read(raw.get().as_bytes())?;
        let (kind, opening) = if call.name == ANSWER_TOOL {
            self.called.answer = true;
            (Kind::Answer, Opening::Text)
        } else {
            self.called.other = true;
            (Kind::Call, Opening::ToolCall { id: call.tool_use_id, name: call.name })
        };
        self.begin(said.content_block_index, kind, opening, out)?;
        Ok(())
    }

    fn picture(&mut self, index: u32, format: &str) -> Result<(), Fault> {
        if self.finished || self.pictures.len() == MAX_BLOCKS {
            return Err(garbled("too many content blocks"));
        }
        self.pictures.push((index, Picture::new(format)));
        Ok(())
    }

    /// Tells of a picture that is complete, or of all there are.
    fn show(&mut self, index: Option<u32>, out: &mut Vec<Event>) -> Result<(), Fault> {
        while let Some(at) =
            self.pictures.iter().position(|(own, _)| index.is_none_or(|index| *own == index))
        {
            let (index, picture) = self.pictures.remove(at);
            for (opening, delta) in picture.finish() {
                let part = self.begin(index, Kind::Picture, opening, out)?;
                out.extend(delta.map(|delta| Event::Delta { choice: 0, part, delta }));
                self.close(index, out);
            }
        }
        Ok(())
    }

    /// Opens a part; one that is open under the same number ends with it.
    fn begin(
        &mut self,
        index: u32,
        kind: Kind,
        opening: Opening,
        out: &mut Vec<Event>,
    ) -> Result<u32, Fault> {
        if self.finished || self.parts as usize == MAX_BLOCKS {
            return Err(garbled("too many content blocks"));
        }
        self.close(index, out);
        let part = self.parts;
        self.parts += 1;
        self.open.push(Open { index, part, kind, before: self.length });
        out.push(Event::Open { choice: 0, part, kind: opening });
        Ok(part)
    }

    /// The part that a delta of this kind belongs to; text and thoughts begin here.
    fn part(&mut self, index: u32, kind: Kind, out: &mut Vec<Event>) -> Result<u32, Fault> {
        let open = self.open.iter().rfind(|open| open.index == index);
        match (open, kind) {
            (Some(open), _) if open.kind == kind => Ok(open.part),
            (Some(open), Kind::Call) if open.kind == Kind::Answer => Ok(open.part),
            (_, Kind::Text) => self.begin(index, kind, Opening::Text, out),
            (_, Kind::Thought) => self.begin(index, kind, Opening::Thinking { signed: true }, out),
            (_, Kind::Call | Kind::Answer | Kind::Redacted | Kind::Picture) => {
                Err(garbled("a delta of no open block"))
            }
        }
    }

    fn go_on(&mut self, said: DeltaIn<'_>, out: &mut Vec<Event>) -> Result<(), Fault> {
        let index = said.content_block_index;
        if let Some(InputIn { input }) = said.delta.tool_use {
            let part = self.part(index, Kind::Call, out)?;
            let answer = self.open.iter().any(|o| o.part == part && o.kind == Kind::Answer);
            if answer {
                self.length += input.chars().count() as u64;
            }
            let delta = if answer { Delta::Text(input) } else { Delta::Arguments(input) };
            out.push(Event::Delta { choice: 0, part, delta });
        } else if let Some(text) = said.delta.text {
            let part = self.part(index, Kind::Text, out)?;
            self.length += text.chars().count() as u64;
            out.push(Event::Delta { choice: 0, part, delta: Delta::Text(text) });
        } else if let Some(thought) = said.delta.reasoning_content {
            self.think(index, thought, out)?;
        } else if let Some(image) = said.delta.image {
            let found = self.pictures.iter_mut().rfind(|(own, _)| *own == index);
            let Some((_, picture)) = found else { return Err(garbled("a delta of no picture")) };
            picture.add(image)?;
        } else if let Some(raw) = said.delta.citation {
            let open = self.open.iter().rfind(|open| open.index == index);
            let start = open.map_or(self.length, |open| open.before);
            let cited = citation::read(raw, (start, self.length));
            if let Some(value) = cited.and_then(|cited| annotation::list(&[cited])) {
                let name = annotation::NAME;
                out.push(Event::Aside { choice: 0, place: Place::Delta, name, value });
            }
        }
        Ok(())
    }

    fn think(&mut self, index: u32, thought: ThoughtIn, out: &mut Vec<Event>) -> Result<(), Fault> {
        if let Some(data) = thought.redacted_content {
            self.begin(index, Kind::Redacted, Opening::RedactedThinking(data), out)?;
            return Ok(());
        }
        let text = thought.text.map(Delta::Text);
        let signature = thought.signature.map(Delta::Signature);
        for delta in text.into_iter().chain(signature) {
            let part = self.part(index, Kind::Thought, out)?;
            out.push(Event::Delta { choice: 0, part, delta });
        }
        Ok(())
    }

    fn close(&mut self, index: u32, out: &mut Vec<Event>) {
        if let Some(at) = self.open.iter().rposition(|open| open.index == index) {
            let open = self.open.remove(at);
            out.push(Event::Close { choice: 0, part: open.part });
        }
    }

    fn close_all(&mut self, out: &mut Vec<Event>) {
        for open in self.open.drain(..) {
            out.push(Event::Close { choice: 0, part: open.part });
        }
    }

    fn message_stop(
        &mut self,
        said: &MessageStopIn<'_>,
        out: &mut Vec<Event>,
    ) -> Result<(), Fault> {
        if self.finished {
            return Ok(());
        }
        self.show(None, out)?;
        self.close_all(out);
        self.finished = true;
        self.additional = Additional::read(said.additional_model_response_fields);
        let stop_sequence = self.additional.stop_sequence.clone();
        let finish = finish_of(&said.stop_reason, self.called, stop_sequence);
        out.push(Event::Finish { choice: 0, finish });
        Ok(())
    }
}

fn read<'a, T: Deserialize<'a>>(payload: &'a [u8]) -> Result<T, Fault> {
    serde_json::from_slice(payload).map_err(|why| {
        let why = format!("the upstream's stream is not what bedrock sends: {why}");
        Fault::new(FaultKind::BadResponse, why)
    })
}

pub(super) fn garbled(what: &str) -> Fault {
    Fault::new(FaultKind::BadResponse, format!("the upstream's stream is garbled: {what}"))
}
