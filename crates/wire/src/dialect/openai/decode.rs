//! A provider's stream, into the hub.
//! <https://platform.openai.com/docs/api-reference/chat-streaming>
//!
//! OpenAI does not say where a part ends, so this works it out: text ends where something else
//! begins, and a tool call where its arguments are a whole JSON value and another one begins.

use serde_json::value::RawValue;

use super::{
    chunk::{Balance, ChoiceIn, Chunk, DeltaIn, Prose, Sound, ToolIn, arguments},
    part,
    reply::finish_of,
    request::thinking_blocks,
};
use crate::{
    dialect::{
        Decode,
        annotation::{self, Found},
        fault::says_something,
        fault_inside,
        fields::{At, Fields},
        figures::Figures,
    },
    exchange::Malformed,
    fault::{Fault, FaultKind},
    frame::sse,
    matrix::Dialect,
    op::chat::{
        Delta, Event, Finish, MAX_BLOCKS, MAX_CHOICES, MAX_TOOL_CALLS, Opening, Part, Place,
        Reason, Start,
    },
};

/// Most bytes of arguments that are held while a call's name is missing.
const MAX_HELD: usize = 64 * 1024;
/// Most bytes of an answer that are kept to look for marks in.
const MAX_SAID: usize = 256 * 1024;

/// Reads a stream.
pub(super) struct Decoder {
    sse: sse::Decoder,
    state: State,
}

impl Default for Decoder {
    fn default() -> Self {
        Decoder { sse: sse::Decoder::up_to(sse::MAX_PICTURE_BYTES), state: State::default() }
    }
}

impl Decode for Decoder {
    fn push(&mut self, bytes: &[u8], out: &mut Vec<Event>) -> Result<(), Fault> {
        let Decoder { sse, state } = self;
        sse.push(bytes, |frame| state.frame(frame.event, &frame.data, out))
    }

    fn end(&mut self, out: &mut Vec<Event>) -> Result<(), Fault> {
        let Decoder { sse, state } = self;
        sse.end(|frame| state.frame(frame.event, &frame.data, out))?;
        if !state.done {
            // Some providers leave `[DONE]` out.
            if !state.choices.are_finished() {
                return Err(Fault::new(
                    FaultKind::Disconnected,
                    "the upstream's stream ended before it was complete",
                ));
            }
            state.done = true;
        }
        Ok(())
    }

    fn done(&self) -> bool {
        self.state.done
    }
}

#[derive(Default)]
struct State {
    started: bool,
    done: bool,
    figures: Figures,
    choices: Choices,
}

/// What the pieces of a stream have added up to. Other dialects whose pieces are the same under other
/// names are read with it, too.
#[derive(Default)]
pub(in crate::dialect) struct Choices {
    /// The provider's name for the answer, from which calls without a name get one.
    answer: String,
    found: Found,
    list: Vec<Choice>,
}

#[derive(Default)]
struct Choice {
    index: u32,
    /// How many parts were opened.
    parts: u32,
    prose: Option<(Kind, u32)>,
    tools: Vec<Tool>,
    /// What was said since pages were found, in which their marks stand.
    said: String,
    /// Characters of text so far.
    length: u64,
    /// Somebody said what the text cites.
    cited: bool,
    finished: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Refusal,
    /// A thought as bare text.
    Thought,
    /// A thought as a block that may be signed.
    Signed,
}

/// A tool call of which more may come.
struct Tool {
    index: Option<u32>,
    id: String,
    /// Its part's number; `None` while its name is missing.
    part: Option<u32>,
    open: bool,
    held: String,
    balance: Balance,
}

impl State {
    fn frame(&mut self, event: &[u8], data: &[u8], out: &mut Vec<Event>) -> Result<(), Fault> {
        if self.done {
            return Ok(());
        }
        if data.trim_ascii() == b"[DONE]" {
            return self.close_all(out);
        }
        if event == b"error" {
            return Err(fault_inside(data));
        }
        let chunk: Chunk<'_> = serde_json::from_slice(data).map_err(|why| bad(&why))?;
        if chunk.error.is_some_and(|raw| says_something(raw.get().as_bytes())) {
            return Err(fault_inside(data));
        }
        if !self.started {
            self.start(data, out)?;
        }
        self.choices.found.add(chunk.search_results, chunk.citations);
        for choice in chunk.choices.unwrap_or_default() {
            self.choices.hear(choice, out)?;
        }
        self.choices.cite_late(out);
        if let Some(raw) = chunk.service_tier {
            self.figures.read_tier(raw.get().as_bytes(), &(0..raw.get().len()));
        }
        if let Some(raw) = chunk.usage {
            let text = raw.get();
            self.figures.read(Dialect::Openai, text.as_bytes(), &(0..text.len()));
            out.push(Event::Usage(self.figures.usage(Dialect::Openai, (0, 0))));
        }
        Ok(())
    }

    /// The first chunk says what is the same in all of them.
    fn start(&mut self, data: &[u8], out: &mut Vec<Event>) -> Result<(), Fault> {
        let mut fields = Fields::of_body(data).map_err(|why| malformed(&why))?;
        // `obfuscation` is padding, another one in each chunk.
        for name in ["object", "choices", "usage", "obfuscation"] {
            fields.take(name);
        }
        let text = |raw: Option<&RawValue>| -> String {
            raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
        };
        self.choices.answer = text(fields.take("id"));
        out.push(Event::Start(Start {
            upstream: Dialect::Openai,
            id: self.choices.answer.clone(),
            model: text(fields.take("model")),
            created: fields.take("created").and_then(|raw| serde_json::from_str(raw.get()).ok()),
            usage: None,
            extra: fields.rest(),
        }));
        self.started = true;
        Ok(())
    }

    fn close_all(&mut self, out: &mut Vec<Event>) -> Result<(), Fault> {
        if !self.started {
            return Err(Fault::new(
                FaultKind::BadResponse,
                "the upstream's stream ended before it began",
            ));
        }
        self.choices.close(out)?;
        self.done = true;
        Ok(())
    }
}

impl Choices {
    /// A piece of one choice.
    pub(in crate::dialect) fn hear(
        &mut self,
        said: ChoiceIn<'_>,
        out: &mut Vec<Event>,
    ) -> Result<(), Fault> {
        let index = said.index.unwrap_or(0);
        let at = match self.list.iter().position(|choice| choice.index == index) {
            Some(at) => at,
            None if self.list.len() == MAX_CHOICES => {
                return Err(too_many("choices", MAX_CHOICES));
            }
            None => {
                self.list.push(Choice { index, ..Choice::default() });
                self.list.len() - 1
            }
        };
        let Some(choice) = self.list.get_mut(at) else { return Ok(()) };
        if choice.finished {
            return Ok(());
        }
        if let Some(delta) = said.delta {
            let length = out.len();
            choice.delta(delta, &self.answer, out)?;
            choice.count(out.get(length..).unwrap_or_default(), self.found.any());
        }
        choice.aside(Place::Choice, "logprobs", said.logprobs, out);
        if let Some(word) = said.finish_reason {
            choice.cite(&self.found, out);
            choice.finish(finish_of(&word), out)?;
        }
        Ok(())
    }

    /// What was found is said once its choice has ended, too.
    fn cite_late(&mut self, out: &mut Vec<Event>) {
        if self.found.any() {
            for choice in self.list.iter_mut().filter(|choice| choice.finished) {
                choice.cite(&self.found, out);
            }
        }
    }

    /// The stream is complete: what did not say so has ended all the same.
    pub(in crate::dialect) fn close(&mut self, out: &mut Vec<Event>) -> Result<(), Fault> {
        for choice in self.list.iter_mut().filter(|choice| !choice.finished) {
            let finish = Finish { reason: Reason::Stop, stop_sequence: None };
            choice.cite(&self.found, out);
            choice.finish(finish, out)?;
        }
        Ok(())
    }

    /// True once every choice has said why it ended.
    pub(in crate::dialect) fn are_finished(&self) -> bool {
        !self.list.is_empty() && self.list.iter().all(|choice| choice.finished)
    }
}

impl Choice {
    fn delta(
        &mut self,
        delta: DeltaIn<'_>,
        answer: &str,
        out: &mut Vec<Event>,
    ) -> Result<(), Fault> {
        match delta.thinking_blocks {
            Some(raw) => self.thinking(raw, out)?,
            None => {
                // Two names for one thing; a provider that sends both says the same twice.
                let thought = delta.reasoning_content.or(delta.reasoning).unwrap_or_default();
                self.say(Kind::Thought, thought.text, out)?;
            }
        }
        let Prose { text, thought } = delta.content.unwrap_or_default();
        self.say(Kind::Thought, thought, out)?;
        self.say(Kind::Text, text, out)?;
        self.say(Kind::Refusal, delta.refusal.unwrap_or_default().text, out)?;
        for tool in delta.tool_calls.unwrap_or_default() {
            self.tool(tool, answer, out)?;
        }
        self.cited |= delta.annotations.is_some_and(|raw| raw.get() != "[]");
        self.aside(Place::Delta, annotation::NAME, delta.annotations, out);
        if let Some(raw) = delta.audio {
            // What is said aloud is text to clients whose dialect has no sound.
            let sound: Sound = serde_json::from_str(raw.get()).map_err(|why| bad(&why))?;
            self.say(Kind::Text, sound.transcript, out)?;
            self.aside(Place::Delta, "audio", Some(raw), out);
        }
        delta.images.map_or(Ok(()), |raw| self.pictures(raw, out))
    }

    /// Counts the characters of what was said, and keeps it to look for marks in.
    fn count(&mut self, events: &[Event], keep: bool) {
        let Some((Kind::Text, open)) = self.prose else { return };
        for event in events {
            if let Event::Delta { part, delta: Delta::Text(text), .. } = event
                && *part == open
            {
                self.length += text.chars().count() as u64;
                if keep && self.said.len() < MAX_SAID {
                    self.said.push_str(text);
                }
            }
        }
    }

    /// What was found, as what the text cites, unless that was said.
    fn cite(&mut self, found: &Found, out: &mut Vec<Event>) {
        if !found.any() || std::mem::replace(&mut self.cited, true) {
            return;
        }
        let annotations = found.annotations(&self.said, self.length);
        self.aside(Place::Delta, annotation::NAME, annotations.as_deref(), out);
    }

    /// Pictures come whole, each a part of its own.
    fn pictures(&mut self, raw: &RawValue, out: &mut Vec<Event>) -> Result<(), Fault> {
        let at = At::Field(&At::Body, "images");
        for block in part::pictures(raw, &at).map_err(|why| malformed(&why))? {
            let Part::Image { source, .. } = block.part else { continue };
            self.close_prose(out);
            let part = self.open(Opening::Image { source, extra: block.extra }, out)?;
            out.push(Event::Close { choice: self.index, part });
        }
        Ok(())
    }

    fn say(&mut self, kind: Kind, text: String, out: &mut Vec<Event>) -> Result<(), Fault> {
        if text.is_empty() {
            return Ok(());
        }
        let part = self.prose(kind, out)?;
        out.push(Event::Delta { choice: self.index, part, delta: Delta::Text(text) });
        Ok(())
    }

    /// The open part of this kind; opens one if there is none.
    fn prose(&mut self, kind: Kind, out: &mut Vec<Event>) -> Result<u32, Fault> {
        if let Some((open, part)) = self.prose
            && open == kind
        {
            return Ok(part);
        }
        self.close_prose(out);
        self.close_complete(out);
        let opening = match kind {
            Kind::Text => Opening::Text,
            Kind::Refusal => Opening::Refusal,
            Kind::Thought => Opening::Thinking { signed: false },
            Kind::Signed => Opening::Thinking { signed: true },
        };
        let part = self.open(opening, out)?;
        self.prose = Some((kind, part));
        Ok(part)
    }

    fn open(&mut self, kind: Opening, out: &mut Vec<Event>) -> Result<u32, Fault> {
        let part = self.parts;
        if part as usize == MAX_BLOCKS {
            return Err(too_many("parts", MAX_BLOCKS));
        }
        self.parts += 1;
        out.push(Event::Open { choice: self.index, part, kind });
        Ok(part)
    }

    fn close_prose(&mut self, out: &mut Vec<Event>) {
        if let Some((_, part)) = self.prose.take() {
            out.push(Event::Close { choice: self.index, part });
        }
    }

    /// Closes the tool calls whose arguments are complete.
    fn close_complete(&mut self, out: &mut Vec<Event>) {
        for tool in self.tools.iter_mut().filter(|tool| tool.open && tool.balance.complete()) {
            tool.open = false;
            if let Some(part) = tool.part {
                out.push(Event::Close { choice: self.index, part });
            }
        }
    }

    /// LiteLLM's thinking blocks in pieces: a signature ends a block.
    fn thinking(&mut self, raw: &RawValue, out: &mut Vec<Event>) -> Result<(), Fault> {
        let blocks = thinking_blocks(raw, &At::Field(&At::Body, "thinking_blocks"))
            .map_err(|why| malformed(&why))?;
        for block in blocks {
            if let Part::Thinking { text, signature } = block.part {
                self.say(Kind::Signed, text, out)?;
                if let Some(signature) = signature {
                    let part = self.prose(Kind::Signed, out)?;
                    let delta = Delta::Signature(signature);
                    out.push(Event::Delta { choice: self.index, part, delta });
                    self.close_prose(out);
                }
            } else if let Part::RedactedThinking(data) = block.part {
                self.close_prose(out);
                let part = self.open(Opening::RedactedThinking(data), out)?;
                out.push(Event::Close { choice: self.index, part });
            }
        }
        Ok(())
    }

    fn tool(&mut self, said: ToolIn<'_>, answer: &str, out: &mut Vec<Event>) -> Result<(), Fault> {
        let function = said.function.unwrap_or_default();
        let id = said.id.unwrap_or_default();
        let name = function.name.unwrap_or_default();
        let at = match self.find(said.index, &id, &name) {
            Some(at) => at,
            None if self.tools.len() == MAX_TOOL_CALLS => {
                return Err(too_many("tool calls", MAX_TOOL_CALLS));
            }
            None => {
                let id = match id.is_empty() {
                    // Ids are needed to answer; a provider that gives none gets one of ours.
                    true => format!("call_{answer}_{}", self.tools.len()),
                    false => id,
                };
                self.close_prose(out);
                self.close_complete(out);
                self.tools.push(Tool::new(said.index, id));
                self.tools.len() - 1
            }
        };
        let choice = self.index;
        let unnamed = self.tools.get(at).is_some_and(|tool| tool.part.is_none());
        let opened = match unnamed && !name.is_empty() {
            true => {
                let id = self.tools.get(at).map(|tool| tool.id.clone()).unwrap_or_default();
                Some(self.open(Opening::ToolCall { id, name }, out)?)
            }
            false => None,
        };
        let last = at + 1 == self.tools.len();
        let Some(tool) = self.tools.get_mut(at) else { return Ok(()) };
        if opened.is_some() {
            tool.part = opened;
        }
        let text = arguments(function.arguments).map_err(|why| bad(&why))?;
        tool.go_on(choice, text, out)?;
        if !last && tool.open && tool.balance.complete() {
            tool.open = false;
            if let Some(part) = tool.part {
                out.push(Event::Close { choice, part });
            }
        }
        Ok(())
    }

    /// The call that a delta belongs to: by index, else by id, else the last one. A new id under a
    /// known index is another call: some providers number all of them 0.
    fn find(&self, index: Option<u32>, id: &str, name: &str) -> Option<usize> {
        let found = match index {
            Some(_) => self.tools.iter().rposition(|tool| tool.index == index),
            None if id.is_empty() && name.is_empty() => self.tools.len().checked_sub(1),
            None => self.tools.iter().rposition(|tool| !id.is_empty() && tool.id == id),
        }?;
        let tool = self.tools.get(found)?;
        let another = !id.is_empty() && !name.is_empty() && tool.id != id && tool.part.is_some();
        (!another).then_some(found)
    }

    fn aside(
        &self,
        place: Place,
        name: &'static str,
        value: Option<&RawValue>,
        out: &mut Vec<Event>,
    ) {
        if let Some(value) = value {
            out.push(Event::Aside { choice: self.index, place, name, value: value.to_owned() });
        }
    }

    fn finish(&mut self, finish: Finish, out: &mut Vec<Event>) -> Result<(), Fault> {
        self.close_prose(out);
        let choice = self.index;
        for at in 0..self.tools.len() {
            let Some(tool) = self.tools.get(at) else { break };
            let (id, part) = (tool.id.clone(), tool.part);
            let part = match part {
                Some(part) => part,
                None => self.open(Opening::ToolCall { id, name: String::new() }, out)?,
            };
            let Some(tool) = self.tools.get_mut(at) else { break };
            tool.part = Some(part);
            tool.go_on(choice, String::new(), out)?;
            if tool.open {
                tool.open = false;
                out.push(Event::Close { choice, part });
            }
        }
        self.finished = true;
        out.push(Event::Finish { choice, finish });
        Ok(())
    }
}

impl Tool {
    fn new(index: Option<u32>, id: String) -> Self {
        Tool { index, id, part: None, open: true, held: String::new(), balance: Balance::default() }
    }

    /// More arguments. Held back until the call's name is known.
    fn go_on(&mut self, choice: u32, text: String, out: &mut Vec<Event>) -> Result<(), Fault> {
        let Some(part) = self.part.filter(|_| self.open) else {
            self.held.push_str(&text);
            if self.held.len() > MAX_HELD {
                return Err(Fault::new(FaultKind::BadResponse, "a tool call without a name"));
            }
            return Ok(());
        };
        let text = match self.held.is_empty() {
            true => text,
            false => std::mem::take(&mut self.held) + &text,
        };
        if !text.is_empty() {
            self.balance.feed(text.as_bytes());
            out.push(Event::Delta { choice, part, delta: Delta::Arguments(text) });
        }
        Ok(())
    }
}

fn bad(why: &serde_json::Error) -> Fault {
    let why = format!("the upstream's stream is not what {} sends: {why}", Dialect::Openai.name());
    Fault::new(FaultKind::BadResponse, why)
}

fn malformed(why: &Malformed) -> Fault {
    Fault::new(FaultKind::BadResponse, format!("the upstream's stream is garbled: {why}"))
}

fn too_many(what: &str, most: usize) -> Fault {
    Fault::new(FaultKind::BadResponse, format!("the upstream's answer has over {most} {what}"))
}
