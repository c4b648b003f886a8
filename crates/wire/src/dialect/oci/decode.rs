//! A model's stream, into the hub. Its pieces are OpenAI's under other names.
//!
//! `{"index":0,"message":{"role":"ASSISTANT","content":[{"type":"TEXT","text":"Hello"}]},"pad":"aaa"}`,
//! one with `finishReason`, one with `usage`, and `[DONE]`.
//! <https://docs.oracle.com/en-us/iaas/api/#/en/generative-ai-inference/20231130/datatypes/StreamOptions>

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    is_error, name_of_call,
    reply::{CallIn, Grounding, Logprobs, MessageIn, annotations},
};
use crate::{
    dialect::{
        Decode, fault_inside,
        figures::Figures,
        openai::{ChoiceIn, Choices, DeltaIn, FunctionIn, Prose, ToolIn},
    },
    fault::{Fault, FaultKind},
    frame::sse,
    matrix::Dialect,
    op::chat::{Event, Extra, Raw, Start},
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
    done: bool,
    figures: Figures,
    choices: Choices,
    /// Calls that came without a name of their own.
    unnamed: usize,
    /// A choice has called tools.
    called: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Piece<'a> {
    #[serde(default)]
    index: Option<u32>,
    /// An object; a text in an error.
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
    #[serde(default)]
    finish_reason: Option<String>,
    #[serde(default)]
    logprobs: Option<Logprobs>,
    #[serde(default)]
    grounding_metadata: Option<Grounding>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(default)]
    service_tier: Option<String>,
    #[serde(borrow, default)]
    code: Option<&'a RawValue>,
}

impl Decode for Decoder {
    fn push(&mut self, bytes: &[u8], out: &mut Vec<Event>) -> Result<(), Fault> {
        let Decoder { sse, state } = self;
        sse.push(bytes, |frame| each_line(&frame.data, |line| state.piece(line, out)))
    }

    fn end(&mut self, out: &mut Vec<Event>) -> Result<(), Fault> {
        let Decoder { sse, state } = self;
        sse.end(|frame| each_line(&frame.data, |line| state.piece(line, out)))?;
        if state.done || state.choices.are_finished() {
            state.done = true;
            return Ok(());
        }
        Err(cut())
    }

    fn done(&self) -> bool {
        self.state.done
    }
}

/// The service does not always leave a line empty between two events.
pub(super) fn each_line(
    data: &[u8],
    mut read: impl FnMut(&[u8]) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let lines = data.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    lines.filter(|line| !line.is_empty()).try_for_each(&mut read)
}

impl State {
    fn piece(&mut self, line: &[u8], out: &mut Vec<Event>) -> Result<(), Fault> {
        if self.done {
            return Ok(());
        }
        if line == b"[DONE]" {
            if !self.started {
                return Err(cut());
            }
            self.choices.close(out)?;
            self.done = true;
            return Ok(());
        }
        let piece: Piece<'_> = serde_json::from_slice(line).map_err(|why| bad(&why))?;
        if is_error(piece.code, piece.message) {
            return Err(fault_inside(line));
        }
        if !self.started {
            self.started = true;
            out.push(start(Dialect::Oci));
        }
        if let Some(tier) = &piece.service_tier {
            let tier = format!("\"{}\"", tier.to_ascii_lowercase());
            self.figures.read_tier(tier.as_bytes(), &(0..tier.len()));
        }
        if let Some(grounding) = &piece.grounding_metadata {
            self.figures.searches_beside(grounding.searches().into());
        }
        let usage = piece.usage;
        if piece.message.is_some() || piece.finish_reason.is_some() {
            self.choice(piece, out)?;
        }
        if let Some(raw) = usage {
            let text = raw.get();
            self.figures.read(Dialect::Oci, text.as_bytes(), &(0..text.len()));
            out.push(Event::Usage(self.figures.usage(Dialect::Oci, (0, 0))));
        }
        Ok(())
    }

    fn choice(&mut self, piece: Piece<'_>, out: &mut Vec<Event>) -> Result<(), Fault> {
        let message: MessageIn<'_> = match piece.message {
            Some(raw) => serde_json::from_str(raw.get()).map_err(|why| bad(&why))?,
            None => MessageIn::default(),
        };
        let cited = annotations(message.annotations.as_deref(), piece.grounding_metadata.as_ref());
        let logprobs = piece.logprobs.and_then(|logprobs| logprobs.openai());
        let texts = message.content.unwrap_or_default().into_iter().filter_map(|part| part.text);
        let calls = message.tool_calls.unwrap_or_default();
        self.called |= !calls.is_empty();
        let finish_reason = piece
            .finish_reason
            .map(|word| super::reply::finish_of(&word, self.called).reason.openai().to_owned());
        let delta = DeltaIn {
            content: Some(plain(texts.collect())),
            reasoning_content: message.reasoning_content.map(plain),
            refusal: message.refusal.map(plain),
            tool_calls: Some(calls.into_iter().map(|call| self.call(call)).collect()),
            annotations: cited.as_deref(),
            ..DeltaIn::default()
        };
        self.choices.hear(
            ChoiceIn {
                index: piece.index,
                delta: Some(delta),
                finish_reason,
                logprobs: logprobs.as_ref().map(Raw::as_ref),
            },
            out,
        )
    }

    fn call<'a>(&mut self, call: CallIn<'a>) -> ToolIn<'a> {
        let (id, name) = (call.id.filter(|id| !id.is_empty()), call.name);
        let named = name.as_ref().filter(|name| !name.is_empty());
        let id = match (id, named) {
            (Some(id), _) => Some(id),
            (None, Some(name)) => {
                let arguments = call.arguments.map_or("", RawValue::get);
                self.unnamed += 1;
                Some(name_of_call(self.unnamed, name, arguments))
            }
            // More of the call before.
            (None, None) => None,
        };
        let function = Some(FunctionIn { name, arguments: call.arguments });
        ToolIn { index: None, id, function }
    }
}

fn plain(text: String) -> Prose {
    Prose { text, thought: String::new() }
}

/// Oracle names no answer in its stream, nor the model that answers.
pub(super) fn start(upstream: Dialect) -> Event {
    Event::Start(Start {
        upstream,
        id: String::new(),
        model: String::new(),
        created: None,
        usage: None,
        extra: Extra::new(),
    })
}

pub(super) fn cut() -> Fault {
    let why = "the upstream's stream ended before it was complete";
    Fault::new(FaultKind::Disconnected, why)
}

pub(super) fn bad(why: &serde_json::Error) -> Fault {
    let why = format!("the upstream's stream is not what oci sends: {why}");
    Fault::new(FaultKind::BadResponse, why)
}
