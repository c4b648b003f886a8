//! A provider's stream, into the hub: each event is a piece of an answer in the answer's own form.
//! <https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent>
//!
//! Google does not say where a part ends: text ends where something else begins, and the stream has
//! no last word of its own but the reason why each candidate ended.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    candidate::{self, Recited, Said, finish_of},
    part::{self, Ids},
};
use crate::{
    dialect::{
        Decode,
        fault::says_something,
        fault_inside,
        fields::{At, Fields},
        figures::Figures,
        signature,
    },
    exchange::Malformed,
    fault::{Fault, FaultKind},
    frame::sse,
    matrix::Dialect,
    op::chat::{
        Delta, Event, Extra, Finish, MAX_BLOCKS, MAX_CHOICES, Opening, Part, Place, Raw, Reason,
        Start,
    },
};

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
        sse.push(bytes, |frame| state.frame(&frame.data, out))
    }

    fn end(&mut self, out: &mut Vec<Event>) -> Result<(), Fault> {
        let Decoder { sse, state } = self;
        sse.end(|frame| state.frame(&frame.data, out))?;
        if state.choices.is_empty() || state.choices.iter().any(|choice| !choice.finished) {
            return Err(Fault::new(
                FaultKind::Disconnected,
                "the upstream's stream ended before it was complete",
            ));
        }
        state.done = true;
        Ok(())
    }

    fn done(&self) -> bool {
        self.state.done
    }
}

#[derive(Default)]
struct State {
    id: String,
    model: String,
    ids: Option<Ids>,
    done: bool,
    figures: Figures,
    choices: Vec<Choice>,
}

#[derive(Default)]
struct Choice {
    index: u32,
    /// How many parts were opened.
    parts: u32,
    /// The open part of text: whether it is a thought, and its number.
    prose: Option<(bool, u32)>,
    called: bool,
    finished: bool,
    said: Said,
    /// Passages known by heart, those that were told.
    recited: Vec<Recited>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ChunkIn<'a> {
    #[serde(borrow, default)]
    candidates: Option<Vec<CandidateIn<'a>>>,
    #[serde(borrow, default)]
    prompt_feedback: Option<&'a RawValue>,
    #[serde(borrow, default)]
    usage_metadata: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CandidateIn<'a> {
    #[serde(default)]
    index: Option<u32>,
    #[serde(borrow, default)]
    content: Option<ContentIn<'a>>,
    #[serde(default)]
    finish_reason: Option<String>,
    #[serde(borrow, default)]
    grounding_metadata: Option<&'a RawValue>,
    #[serde(borrow, default)]
    citation_metadata: Option<&'a RawValue>,
    #[serde(borrow, default)]
    logprobs_result: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ContentIn<'a> {
    #[serde(borrow, default)]
    parts: Option<Vec<&'a RawValue>>,
}

/// The common case, read without a detour.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TextIn {
    text: String,
    #[serde(default)]
    thought: bool,
}

impl State {
    fn frame(&mut self, data: &[u8], out: &mut Vec<Event>) -> Result<(), Fault> {
        let chunk: ChunkIn<'_> = serde_json::from_slice(data).map_err(|why| bad(&why))?;
        if chunk.error.is_some_and(|raw| says_something(raw.get().as_bytes())) {
            return Err(fault_inside(data));
        }
        if self.ids.is_none() {
            self.start(data, out)?;
        }
        let candidates = chunk.candidates.unwrap_or_default();
        if candidates.is_empty() && chunk.prompt_feedback.is_some() && self.choices.is_empty() {
            // A prompt that is refused has no answer at all, only the reason.
            self.choices.push(Choice { finished: true, ..Choice::default() });
            let finish = Finish { reason: Reason::ContentFilter, stop_sequence: None };
            out.push(Event::Finish { choice: 0, finish });
        }
        for candidate in candidates {
            self.candidate(candidate, out)?;
        }
        if let Some(raw) = chunk.usage_metadata {
            let text = raw.get();
            self.figures.read(Dialect::Gemini, text.as_bytes(), &(0..text.len()));
            out.push(Event::Usage(self.figures.usage(Dialect::Gemini, (0, 0))));
        }
        Ok(())
    }

    /// The first event says what is the same in all of them.
    fn start(&mut self, data: &[u8], out: &mut Vec<Event>) -> Result<(), Fault> {
        let mut fields = Fields::of_body(data).map_err(|why| malformed(&why))?;
        let mut text = |name: &str| -> String {
            let raw = fields.take(name);
            raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
        };
        let (id, model) = (text("responseId"), text("modelVersion"));
        self.id.clone_from(&id);
        self.model.clone_from(&model);
        let usage = fields.take("usageMetadata");
        let usage = usage.map(|raw| Figures::whole(Dialect::Gemini, raw.get(), None));
        self.ids = Some(Ids::of_answer(&id));
        out.push(Event::Start(Start {
            upstream: Dialect::Gemini,
            id,
            model,
            created: None,
            usage,
            extra: Extra::new(),
        }));
        Ok(())
    }

    fn candidate(&mut self, said: CandidateIn<'_>, out: &mut Vec<Event>) -> Result<(), Fault> {
        let index = said.index.unwrap_or(0);
        let at = match self.choices.iter().position(|choice| choice.index == index) {
            Some(at) => at,
            None if self.choices.len() == MAX_CHOICES => {
                return Err(too_many("candidates", MAX_CHOICES));
            }
            None => {
                self.choices.push(Choice { index, ..Choice::default() });
                self.choices.len() - 1
            }
        };
        let (Some(choice), Some(ids)) = (self.choices.get_mut(at), self.ids.as_mut()) else {
            return Ok(());
        };
        if choice.finished {
            return Ok(());
        }
        let parts = said.content.and_then(|content| content.parts).unwrap_or_default();
        for raw in parts {
            choice.part(raw, &self.id, ids, out)?;
        }
        if let Some(grounding) = said.grounding_metadata {
            let queries = candidate::queries(grounding);
            self.figures.searches_beside(super::searches(&self.model, queries));
        }
        // An event may say again what another one has said.
        let mut recited = said.citation_metadata.map(candidate::recited).unwrap_or_default();
        recited.retain(|one| !choice.recited.contains(one));
        let annotations = candidate::annotations(said.grounding_metadata, &recited, &choice.said);
        choice.aside(Place::Delta, "annotations", annotations, out);
        choice.recited.extend(recited);
        choice.recited.truncate(candidate::MAX_SOURCES);
        if let Some(result) = said.logprobs_result {
            choice.aside(Place::Choice, "logprobs", candidate::logprobs(result), out);
        }
        if let Some(word) = said.finish_reason {
            choice.close_prose(out);
            choice.finished = true;
            out.push(Event::Finish { choice: index, finish: finish_of(&word, choice.called) });
        }
        Ok(())
    }
}

impl Choice {
    fn part(
        &mut self,
        raw: &RawValue,
        answer: &str,
        ids: &mut Ids,
        out: &mut Vec<Event>,
    ) -> Result<(), Fault> {
        if let Ok(TextIn { text, thought }) = serde_json::from_str(raw.get()) {
            return self.say(thought, text, out);
        }
        let block =
            part::read(raw, At::Field(&At::Body, "part"), ids).map_err(|why| malformed(&why))?;
        let signature = signature::in_extra(&block.extra);
        match block.part {
            Part::Text(text) => {
                self.say(false, text, out)?;
                let value = signature.as_deref().and_then(signature::extra_content);
                self.aside(Place::Delta, signature::EXTRA_CONTENT, value, out);
            }
            Part::Thinking { text, signature } => {
                self.say(true, text, out)?;
                if let Some(signature) = signature {
                    let part = self.prose(true, out)?;
                    let delta = Delta::Signature(signature);
                    out.push(Event::Delta { choice: self.index, part, delta });
                    self.close_prose(out);
                }
            }
            Part::ToolCall(call) => {
                self.called = true;
                let value = signature.and_then(|raw| serde_json::value::to_raw_value(&raw).ok());
                self.aside(Place::Part, signature::ASIDE, value, out);
                let opening = Opening::ToolCall { id: call.id, name: call.name };
                self.whole(opening, Some(Delta::Arguments(call.arguments)), out)?;
            }
            Part::Image { source, .. } => {
                self.whole(Opening::Image { source, extra: block.extra }, None, out)?;
            }
            Part::Audio { data, .. } => {
                let sound = serde_json::json!({ "id": format!("audio_{answer}"), "data": data });
                let sound = RawValue::from_string(sound.to_string()).ok();
                self.aside(Place::Delta, "audio", sound, out);
            }
            _ => {
                let opening = Opening::Other { dialect: Dialect::Gemini, raw: raw.to_owned() };
                self.whole(opening, None, out)?;
            }
        }
        Ok(())
    }

    fn say(&mut self, thought: bool, text: String, out: &mut Vec<Event>) -> Result<(), Fault> {
        if text.is_empty() {
            return Ok(());
        }
        let part = self.prose(thought, out)?;
        if !thought {
            self.said.push(&text);
        }
        out.push(Event::Delta { choice: self.index, part, delta: Delta::Text(text) });
        Ok(())
    }

    /// The open part of text; opens one if there is none.
    fn prose(&mut self, thought: bool, out: &mut Vec<Event>) -> Result<u32, Fault> {
        if let Some((open, part)) = self.prose
            && open == thought
        {
            return Ok(part);
        }
        self.close_prose(out);
        let opening = match thought {
            true => Opening::Thinking { signed: false },
            false => Opening::Text,
        };
        let part = self.open(opening, out)?;
        self.prose = Some((thought, part));
        Ok(part)
    }

    /// A part that comes at once.
    fn whole(
        &mut self,
        opening: Opening,
        delta: Option<Delta>,
        out: &mut Vec<Event>,
    ) -> Result<(), Fault> {
        self.close_prose(out);
        let (choice, part) = (self.index, self.open(opening, out)?);
        out.extend(delta.map(|delta| Event::Delta { choice, part, delta }));
        out.push(Event::Close { choice, part });
        Ok(())
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

    fn aside(
        &mut self,
        place: Place,
        name: &'static str,
        value: Option<Raw>,
        out: &mut Vec<Event>,
    ) {
        if let Some(value) = value {
            if place == Place::Part {
                self.close_prose(out);
            }
            out.push(Event::Aside { choice: self.index, place, name, value });
        }
    }
}

fn bad(why: &serde_json::Error) -> Fault {
    let why = format!("the upstream's stream is not what {} sends: {why}", Dialect::Gemini.name());
    Fault::new(FaultKind::BadResponse, why)
}

fn malformed(why: &Malformed) -> Fault {
    Fault::new(FaultKind::BadResponse, format!("the upstream's stream is garbled: {why}"))
}

fn too_many(what: &str, most: usize) -> Fault {
    Fault::new(FaultKind::BadResponse, format!("the upstream's answer has over {most} {what}"))
}
