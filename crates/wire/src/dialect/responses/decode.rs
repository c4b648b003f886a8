//! A provider's stream, into the hub.
//! <https://platform.openai.com/docs/api-reference/responses-streaming>
//!
//! An item is told of several times: as it is added, in its deltas, when each part is done, and
//! whole at its end and the answer's. What was told once counts; who leaves the deltas out is
//! understood by the rest.

use bytes::BytesMut;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{item, output, reply};
use crate::{
    dialect::{
        events::{self, Events},
        fault_inside,
        fields::{At, Fields},
        figures::Figures,
        json,
    },
    exchange::Malformed,
    fault::{Fault, FaultKind},
    frame::sse,
    matrix::Dialect,
    op::chat::{Block, Delta, Event, Finish, MAX_BLOCKS, Opening, Part, Place, Reason, Start},
};

/// Reads a stream.
pub(super) type Decoder = events::Decoder<State>;

#[derive(Default)]
pub(super) struct State {
    started: bool,
    done: bool,
    called: bool,
    /// How many parts were opened.
    parts: u32,
    items: Vec<Item>,
}

/// An item of which more may come.
struct Item {
    /// The provider's `output_index`.
    index: u32,
    custom: bool,
    pieces: Vec<Piece>,
    done: bool,
}

/// A part of the hub's.
struct Piece {
    /// `content_index`; the parts of a summary are one piece.
    content: u32,
    part: u32,
    open: bool,
    /// Something was said.
    said: bool,
}

/// An event as it stands on the wire: one shape for all types.
#[derive(Deserialize)]
struct FrameIn<'a> {
    #[serde(borrow)]
    r#type: std::borrow::Cow<'a, str>,
    #[serde(default)]
    output_index: Option<u32>,
    #[serde(default)]
    content_index: Option<u32>,
    #[serde(default)]
    summary_index: Option<u32>,
    #[serde(borrow, default)]
    delta: Option<&'a RawValue>,
    #[serde(borrow, default)]
    item: Option<&'a RawValue>,
    #[serde(borrow, default)]
    part: Option<&'a RawValue>,
    #[serde(borrow, default)]
    logprobs: Option<&'a RawValue>,
    #[serde(borrow, default)]
    annotation: Option<&'a RawValue>,
    #[serde(borrow, default)]
    response: Option<&'a RawValue>,
}

impl FrameIn<'_> {
    fn delta(&self) -> Result<String, Fault> {
        let Some(raw) = self.delta else { return Ok(String::new()) };
        serde_json::from_str(raw.get()).map_err(|why| bad(&why))
    }

    /// Where it belongs: item and part of it.
    fn place(&self) -> (u32, u32) {
        (self.output_index.unwrap_or(0), self.content_index.unwrap_or(0))
    }
}

#[derive(Deserialize)]
struct Typed {
    r#type: String,
}

impl Events for State {
    const MAX_BYTES: usize = sse::MAX_PICTURE_BYTES;

    fn frame(&mut self, data: &[u8], out: &mut Vec<Event>) -> Result<(), Fault> {
        // Some aggregators end every stream of theirs like this.
        if self.done || data.trim_ascii() == b"[DONE]" {
            return Ok(());
        }
        let frame: FrameIn<'_> = serde_json::from_slice(data).map_err(|why| bad(&why))?;
        let kind = &*frame.r#type;
        match kind {
            "error" => return Err(fault_inside(data)),
            "response.failed" => {
                let response = frame.response.map_or(data, |raw| raw.get().as_bytes());
                return Err(fault_inside(response));
            }
            "response.created" | "response.queued" | "response.in_progress" => {
                return self.start(frame.response, out);
            }
            _ if !kind.starts_with("response.") => return Ok(()),
            _ if !self.started => return Err(garbled("no `response.created`")),
            "response.completed" | "response.incomplete" => {
                return self.finish(kind, frame.response, out);
            }
            _ => {}
        }
        match kind {
            "response.output_item.added" => self.added(&frame, out),
            "response.output_item.done" => self.item_done(&frame, out),
            "response.content_part.added" => self.part_added(&frame, out),
            "response.output_text.delta" => {
                self.say(frame.place(), Opening::Text, frame.delta()?, out)?;
                self.logprobs(frame.logprobs, out);
                Ok(())
            }
            "response.refusal.delta" => {
                self.say(frame.place(), Opening::Refusal, frame.delta()?, out)
            }
            "response.content_part.done" => {
                self.close(frame.place(), out);
                Ok(())
            }
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                let (index, _) = frame.place();
                self.say((index, 0), Opening::Thinking { signed: true }, frame.delta()?, out)
            }
            "response.reasoning_summary_part.added" if frame.summary_index > Some(0) => {
                let (index, _) = frame.place();
                self.go_on((index, 0), Delta::Text("\n\n".to_owned()), out);
                Ok(())
            }
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                self.arguments(frame.place().0, &frame.delta()?, out);
                Ok(())
            }
            "response.output_text.annotation.added" => {
                self.annotation(frame.annotation, out);
                Ok(())
            }
            // What hosted tools do meanwhile.
            _ => Ok(()),
        }
    }

    fn is_done(&self) -> bool {
        self.done
    }
}

impl State {
    fn start(&mut self, response: Option<&RawValue>, out: &mut Vec<Event>) -> Result<(), Fault> {
        if self.started {
            return Ok(());
        }
        let Some(response) = response else { return Err(garbled("no `response`")) };
        let mut fields = Fields::of(response, At::Body).map_err(|why| malformed(&why))?;
        for name in ["object", "status", "error", "incomplete_details", "output", "usage"] {
            fields.take(name);
        }
        out.push(Event::Start(Start {
            upstream: Dialect::Responses,
            id: fields.text("id").map_err(|why| malformed(&why))?.unwrap_or_default(),
            model: fields.text("model").map_err(|why| malformed(&why))?.unwrap_or_default(),
            created: fields.take("created_at").and_then(|raw| reply::seconds(raw.get())),
            usage: None,
            extra: fields.rest(),
        }));
        self.started = true;
        Ok(())
    }

    fn item(&mut self, index: u32) -> Result<&mut Item, Fault> {
        let at = match self.items.iter().rposition(|item| item.index == index) {
            Some(at) => at,
            None if self.items.len() == MAX_BLOCKS => return Err(garbled("too many items")),
            None => {
                self.items.push(Item { index, custom: false, pieces: Vec::new(), done: false });
                self.items.len() - 1
            }
        };
        self.items.get_mut(at).ok_or_else(|| garbled("no such item"))
    }

    /// The piece at a place, if it is open.
    fn piece(&mut self, (index, content): (u32, u32)) -> Option<&mut Piece> {
        let item = self.items.iter_mut().rfind(|item| item.index == index)?;
        item.pieces.iter_mut().rfind(|piece| piece.content == content && piece.open)
    }

    fn open(
        &mut self,
        (index, content): (u32, u32),
        kind: Opening,
        out: &mut Vec<Event>,
    ) -> Result<(), Fault> {
        if self.piece((index, content)).is_some() {
            return Ok(());
        }
        let part = self.parts;
        if part as usize == MAX_BLOCKS {
            return Err(garbled("too many parts"));
        }
        self.item(index)?.pieces.push(Piece { content, part, open: true, said: false });
        self.parts += 1;
        out.push(Event::Open { choice: 0, part, kind });
        Ok(())
    }

    fn go_on(&mut self, place: (u32, u32), delta: Delta, out: &mut Vec<Event>) {
        if let Some(piece) = self.piece(place) {
            piece.said = true;
            out.push(Event::Delta { choice: 0, part: piece.part, delta });
        }
    }

    fn say(
        &mut self,
        place: (u32, u32),
        kind: Opening,
        text: String,
        out: &mut Vec<Event>,
    ) -> Result<(), Fault> {
        if text.is_empty() || self.item(place.0)?.done {
            return Ok(());
        }
        self.open(place, kind, out)?;
        self.go_on(place, Delta::Text(text), out);
        Ok(())
    }

    fn close(&mut self, place: (u32, u32), out: &mut Vec<Event>) {
        if let Some(piece) = self.piece(place) {
            piece.open = false;
            out.push(Event::Close { choice: 0, part: piece.part });
        }
    }

    fn added(&mut self, frame: &FrameIn<'_>, out: &mut Vec<Event>) -> Result<(), Fault> {
        let Some(raw) = frame.item else { return Ok(()) };
        let (index, _) = frame.place();
        let kind: Typed = serde_json::from_str(raw.get()).map_err(|why| bad(&why))?;
        // Others are told of when something is said, or when they are whole.
        if !matches!(kind.r#type.as_str(), "function_call" | "custom_tool_call") {
            self.item(index)?;
            return Ok(());
        }
        self.item(index)?.custom = kind.r#type == "custom_tool_call";
        let blocks = output::read(raw, At::Body).map_err(|why| malformed(&why))?;
        if let Some(Block { part: Part::ToolCall(call), .. }) = blocks.into_iter().next() {
            self.called = true;
            let kind = Opening::ToolCall { id: call.id, name: call.name };
            self.open((index, 0), kind, out)?;
        }
        Ok(())
    }

    /// A custom tool's input comes as it is; the hub's arguments are JSON around it.
    fn arguments(&mut self, index: u32, text: &str, out: &mut Vec<Event>) {
        if text.is_empty() {
            return;
        }
        let custom = self.items.iter().rfind(|item| item.index == index).map(|item| item.custom);
        let text = match custom {
            Some(true) => {
                let first = self.piece((index, 0)).is_some_and(|piece| !piece.said);
                let mut escaped = BytesMut::new();
                json::escape(&mut escaped, text);
                let escaped = String::from_utf8(escaped.to_vec()).unwrap_or_default();
                let start = if first { "{\"input\":\"" } else { "" };
                [start, &escaped].concat()
            }
            Some(false) | None => text.to_owned(),
        };
        self.go_on((index, 0), Delta::Arguments(text), out);
    }

    fn part_added(&mut self, frame: &FrameIn<'_>, out: &mut Vec<Event>) -> Result<(), Fault> {
        let Some(raw) = frame.part else { return Ok(()) };
        let part: Typed = serde_json::from_str(raw.get()).map_err(|why| bad(&why))?;
        match part.r#type.as_str() {
            "output_text" => self.open(frame.place(), Opening::Text, out),
            "refusal" => self.open(frame.place(), Opening::Refusal, out),
            _ => Ok(()),
        }
    }

    /// The whole item: what its deltas did not say is said now.
    fn item_done(&mut self, frame: &FrameIn<'_>, out: &mut Vec<Event>) -> Result<(), Fault> {
        let Some(raw) = frame.item else { return Ok(()) };
        let (index, _) = frame.place();
        if self.item(index)?.done {
            return Ok(());
        }
        let custom = self.item(index)?.custom;
        let blocks = output::read(raw, At::Body).map_err(|why| malformed(&why))?;
        for (content, block) in (0..).zip(blocks) {
            let place = (index, content);
            let told = self.items.iter().rfind(|item| item.index == index);
            let told = told.and_then(|item| item.pieces.iter().find(|p| p.content == content));
            let (opened, said) = told.map_or((false, false), |piece| (true, piece.said));
            match block.part {
                Part::Text(text) if !said => self.say(place, Opening::Text, text, out)?,
                Part::Refusal(text) if !said => self.say(place, Opening::Refusal, text, out)?,
                Part::Thinking { text, signature } => {
                    let kind = Opening::Thinking { signed: true };
                    if !said {
                        self.say(place, kind.clone(), text, out)?;
                    }
                    if let Some(signature) = signature {
                        self.open(place, kind, out)?;
                        self.go_on(place, Delta::Signature(signature), out);
                    }
                }
                Part::RedactedThinking(data) => {
                    let kind = Opening::RedactedThinking(data);
                    self.open(place, kind, out)?;
                }
                Part::ToolCall(call) => {
                    self.called = true;
                    if !opened {
                        let kind = Opening::ToolCall { id: call.id, name: call.name };
                        self.open(place, kind, out)?;
                    }
                    if !said {
                        self.go_on(place, Delta::Arguments(call.arguments), out);
                    } else if custom {
                        self.go_on(place, Delta::Arguments("\"}".to_owned()), out);
                    }
                }
                Part::Image { ref source, .. } => {
                    let (source, extra) = (source.clone(), item::rest_of(&block));
                    self.open(place, Opening::Image { source, extra }, out)?;
                }
                Part::Other { dialect, raw } => {
                    self.open(place, Opening::Other { dialect, raw }, out)?;
                }
                _ => {}
            }
            self.close(place, out);
        }
        self.item_closed(index, out)
    }

    fn item_closed(&mut self, index: u32, out: &mut Vec<Event>) -> Result<(), Fault> {
        let item = self.item(index)?;
        item.done = true;
        for piece in item.pieces.iter_mut().filter(|piece| piece.open) {
            piece.open = false;
            out.push(Event::Close { choice: 0, part: piece.part });
        }
        Ok(())
    }

    fn logprobs(&self, raw: Option<&RawValue>, out: &mut Vec<Event>) {
        if let Some(raw) = raw.filter(|raw| raw.get().trim() != "[]" && raw.get() != "null") {
            let text = format!("{{\"content\":{},\"refusal\":null}}", raw.get());
            out.extend(super::tool::raw(text).map(|value| Event::Aside {
                choice: 0,
                place: Place::Choice,
                name: "logprobs",
                value,
            }));
        }
    }

    /// Chat completions know only addresses. Others are told to clients of responses alone.
    fn annotation(&self, raw: Option<&RawValue>, out: &mut Vec<Event>) {
        let Some(raw) = raw else { return };
        let nested = output::nested_annotation(raw).unwrap_or_else(|| raw.to_owned());
        out.extend(super::tool::raw(format!("[{}]", nested.get())).map(|value| Event::Aside {
            choice: 0,
            place: Place::Delta,
            name: "annotations",
            value,
        }));
    }

    fn finish(
        &mut self,
        kind: &str,
        response: Option<&RawValue>,
        out: &mut Vec<Event>,
    ) -> Result<(), Fault> {
        let Some(response) = response else { return Err(garbled("no `response`")) };
        let mut fields = Fields::of(response, At::Body).map_err(|why| malformed(&why))?;
        // An answer whose items were not told of one by one.
        let whole = fields.list("output", MAX_BLOCKS).map_err(|why| malformed(&why))?;
        for (index, raw) in (0..).zip(whole.unwrap_or_default()) {
            if self.items.iter().any(|item| item.index == index && item.done) {
                continue;
            }
            self.item_done(&FrameIn::of_item(index, raw), out)?;
        }
        let open: Vec<u32> = self.items.iter().map(|item| item.index).collect();
        for index in open {
            self.item_closed(index, out)?;
        }
        let tier = fields.peek("service_tier").map(|raw| raw.get().trim_matches('"'));
        if let Some(raw) = fields.take("usage") {
            out.push(Event::Usage(Figures::whole(Dialect::Responses, raw.get(), tier)));
        }
        let reason = match kind {
            "response.incomplete" => reply::incomplete(fields.take("incomplete_details")),
            _ if self.called => Reason::ToolCalls,
            _ => Reason::Stop,
        };
        let finish = Finish { reason, stop_sequence: None };
        out.push(Event::Finish { choice: 0, finish });
        self.done = true;
        Ok(())
    }
}

impl<'a> FrameIn<'a> {
    fn of_item(index: u32, item: &'a RawValue) -> Self {
        FrameIn {
            r#type: "response.output_item.done".into(),
            output_index: Some(index),
            content_index: None,
            summary_index: None,
            delta: None,
            item: Some(item),
            part: None,
            logprobs: None,
            annotation: None,
            response: None,
        }
    }
}

fn garbled(what: &str) -> Fault {
    Fault::new(FaultKind::BadResponse, format!("the upstream's stream is garbled: {what}"))
}

fn malformed(why: &Malformed) -> Fault {
    garbled(&why.message)
}

fn bad(why: &serde_json::Error) -> Fault {
    let name = Dialect::Responses.name();
    let why = format!("the upstream's stream is not what {name} sends: {why}");
    Fault::new(FaultKind::BadResponse, why)
}
