//! A provider's stream, into the hub.
//! <https://docs.cohere.com/docs/streaming>

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{cite, error::failed, reply::finish_of};
use crate::{
    dialect::{
        events::{self, Events},
        fault_inside,
        figures::Figures,
    },
    fault::{Fault, FaultKind},
    matrix::Dialect,
    op::chat::{
        Delta, Event, Extra, Finish, MAX_BLOCKS, MAX_TOOL_CALLS, Opening, Place, Reason, Start,
    },
};

/// Reads a stream.
pub(super) type Decoder = events::Decoder<State>;

#[derive(Default)]
pub(super) struct State {
    started: bool,
    done: bool,
    figures: Figures,
    parts: u32,
    /// What is being said.
    prose: Option<(Kind, u32)>,
    /// Calls that are open: Cohere's index and our part.
    calls: Vec<(u32, u32)>,
    called: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Thought,
}

/// An event as it stands on the wire: one shape for all types.
#[derive(Deserialize)]
struct FrameIn<'a> {
    r#type: Option<Type>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    index: Option<u32>,
    #[serde(borrow, default)]
    delta: Option<DeltaIn<'a>>,
    #[serde(borrow, default)]
    logprobs: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Type {
    MessageStart,
    ContentStart,
    ContentDelta,
    ContentEnd,
    ToolPlanDelta,
    ToolCallStart,
    ToolCallDelta,
    ToolCallEnd,
    CitationStart,
    CitationEnd,
    MessageEnd,
    /// `debug`, and what is yet to come.
    #[serde(other)]
    Unknown,
}

#[derive(Deserialize)]
struct DeltaIn<'a> {
    #[serde(borrow, default)]
    message: Option<MessageIn<'a>>,
    #[serde(default)]
    finish_reason: Option<String>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
}

/// `content` and the like are one object in a delta, and empty lists at the start.
#[derive(Deserialize)]
struct MessageIn<'a> {
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(default)]
    tool_plan: Option<String>,
    #[serde(borrow, default)]
    tool_calls: Option<&'a RawValue>,
    #[serde(borrow, default)]
    citations: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct ContentIn {
    #[serde(default)]
    r#type: Option<String>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    thinking: Option<String>,
}

#[derive(Default, Deserialize)]
struct CallIn {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    function: Option<FunctionIn>,
}

#[derive(Default, Deserialize)]
struct FunctionIn {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    arguments: Option<String>,
}

impl Events for State {
    fn frame(&mut self, data: &[u8], out: &mut Vec<Event>) -> Result<(), Fault> {
        if self.done || data.trim_ascii() == b"[DONE]" {
            return Ok(());
        }
        let frame: FrameIn<'_> = serde_json::from_slice(data).map_err(|why| bad(&why))?;
        let Some(kind) = frame.r#type else { return Err(fault_inside(data)) };
        if !self.started && !matches!(kind, Type::MessageStart | Type::Unknown) {
            return Err(garbled("no `message-start`"));
        }
        let message = frame.delta.as_ref().and_then(|delta| delta.message.as_ref());
        match kind {
            Type::MessageStart if self.started => return Err(garbled("a second `message-start`")),
            Type::MessageStart => self.start(frame.id.unwrap_or_default(), out),
            Type::ContentStart | Type::ContentDelta => {
                let content: ContentIn = inner(message.and_then(|message| message.content))?;
                self.content(content, out)?;
                if let Some(logprobs) = frame.logprobs.and_then(|raw| cite::logprobs([raw])) {
                    aside(Place::Choice, "logprobs", logprobs, out);
                }
            }
            Type::ToolPlanDelta => {
                let plan = message.and_then(|message| message.tool_plan.clone());
                self.say(Kind::Text, plan.unwrap_or_default(), out)?;
            }
            Type::ContentEnd => self.close_prose(out),
            Type::ToolCallStart => {
                let call: CallIn = inner(message.and_then(|message| message.tool_calls))?;
                self.open_call(frame.index.unwrap_or(0), call, out)?;
            }
            Type::ToolCallDelta => {
                let call: CallIn = inner(message.and_then(|message| message.tool_calls))?;
                self.go_on(frame.index.unwrap_or(0), call, out)?;
            }
            Type::ToolCallEnd => self.close_call(frame.index.unwrap_or(0), out),
            Type::CitationStart => {
                let citation = message.and_then(|message| message.citations);
                if let Some(annotations) = cite::annotations(citation) {
                    aside(Place::Delta, "annotations", annotations, out);
                }
            }
            Type::MessageEnd => self.end(frame.delta, data, out)?,
            Type::CitationEnd | Type::Unknown => {}
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.done
    }
}

impl State {
    fn start(&mut self, id: String, out: &mut Vec<Event>) {
        self.started = true;
        out.push(Event::Start(Start {
            upstream: Dialect::Cohere,
            id,
            model: String::new(),
            created: None,
            usage: None,
            extra: Extra::new(),
        }));
    }

    fn content(&mut self, content: ContentIn, out: &mut Vec<Event>) -> Result<(), Fault> {
        let thought = content.thinking.is_some() || content.r#type.as_deref() == Some("thinking");
        let kind = if thought { Kind::Thought } else { Kind::Text };
        let text = if thought { content.thinking } else { content.text };
        self.say(kind, text.unwrap_or_default(), out)
    }

    fn say(&mut self, kind: Kind, text: String, out: &mut Vec<Event>) -> Result<(), Fault> {
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
        if !text.is_empty() {
            out.push(Event::Delta { choice: 0, part, delta: Delta::Text(text) });
        }
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

    fn open_call(&mut self, index: u32, call: CallIn, out: &mut Vec<Event>) -> Result<(), Fault> {
        self.close_prose(out);
        self.close_call(index, out);
        if self.called == MAX_TOOL_CALLS {
            return Err(garbled("too many tool calls"));
        }
        self.called += 1;
        let CallIn { id, function } = call;
        let FunctionIn { name, arguments } = function.unwrap_or_default();
        let kind = Opening::ToolCall { id: id.unwrap_or_default(), name: name.unwrap_or_default() };
        let part = self.open(kind, out)?;
        self.calls.push((index, part));
        arguments_of(part, arguments, out);
        Ok(())
    }

    fn go_on(&mut self, index: u32, call: CallIn, out: &mut Vec<Event>) -> Result<(), Fault> {
        let found = self.calls.iter().rfind(|(open, _)| *open == index);
        let Some((_, part)) = found else { return Err(garbled("a delta of no open tool call")) };
        arguments_of(*part, call.function.and_then(|function| function.arguments), out);
        Ok(())
    }

    fn close_call(&mut self, index: u32, out: &mut Vec<Event>) {
        if let Some(at) = self.calls.iter().position(|(open, _)| *open == index) {
            let (_, part) = self.calls.remove(at);
            out.push(Event::Close { choice: 0, part });
        }
    }

    fn end(
        &mut self,
        delta: Option<DeltaIn<'_>>,
        data: &[u8],
        out: &mut Vec<Event>,
    ) -> Result<(), Fault> {
        self.close_prose(out);
        for (_, part) in std::mem::take(&mut self.calls) {
            out.push(Event::Close { choice: 0, part });
        }
        let delta = delta.unwrap_or(DeltaIn { message: None, finish_reason: None, usage: None });
        if let Some(raw) = delta.usage {
            let text = raw.get();
            self.figures.read(Dialect::Cohere, text.as_bytes(), &(0..text.len()));
            out.push(Event::Usage(self.figures.usage(Dialect::Cohere, (0, 0))));
        }
        let finish = match delta.finish_reason.as_deref() {
            None => Some(Finish { reason: Reason::Stop, stop_sequence: None }),
            Some(word) => finish_of(word),
        };
        let Some(finish) = finish else {
            return Err(failed(data));
        };
        out.push(Event::Finish { choice: 0, finish });
        self.done = true;
        Ok(())
    }
}

fn arguments_of(part: u32, arguments: Option<String>, out: &mut Vec<Event>) {
    if let Some(text) = arguments.filter(|text| !text.is_empty()) {
        out.push(Event::Delta { choice: 0, part, delta: Delta::Arguments(text) });
    }
}

fn aside(place: Place, name: &'static str, value: Box<RawValue>, out: &mut Vec<Event>) {
    out.push(Event::Aside { choice: 0, place, name, value });
}

/// An object of a delta; a list there is an empty one.
fn inner<T: Default + for<'de> Deserialize<'de>>(raw: Option<&RawValue>) -> Result<T, Fault> {
    match raw {
        Some(raw) if raw.get().starts_with('{') => {
            serde_json::from_str(raw.get()).map_err(|why| bad(&why))
        }
        Some(_) | None => Ok(T::default()),
    }
}

fn garbled(what: &str) -> Fault {
    Fault::new(FaultKind::BadResponse, format!("the upstream's stream is garbled: {what}"))
}

fn bad(why: &serde_json::Error) -> Fault {
    let name = Dialect::Cohere.name();
    let why = format!("the upstream's stream is not what {name} sends: {why}");
    Fault::new(FaultKind::BadResponse, why)
}
