//! A stream out of the hub, for a Gemini client: `data: {…}` events, each a piece of an answer in
//! the answer's own form. A call of a tool comes whole, as Google sends it, and the last event says
//! why the answer ended. <https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent>

use bytes::{BufMut, Bytes, BytesMut};

use super::{
    candidate::{self, Said},
    part::{self, SOUND, Spelling, write_arguments},
    usage,
};
use crate::{
    dialect::{
        Encode,
        json::{self, List, Object},
        openai::Sound,
        signature,
    },
    matrix::Dialect,
    op::chat::{Block, Delta, Event, Extra, Finish, Opening, Part, Raw, Reason, Source, Start},
    usage::Usage,
};

/// Most bytes of a call's arguments.
const MAX_ARGUMENTS: usize = 8 << 20;
/// Most lists of annotations of one choice.
const MAX_ANNOTATIONS: usize = 1024;

/// Writes a stream.
#[derive(Default)]
pub(super) struct Encoder {
    /// `"modelVersion":…,"responseId":…}`, as each event ends.
    tail: Bytes,
    usage: Option<Usage>,
    /// The upstream speaks Google's dialect, too.
    native: bool,
    /// An event is out.
    begun: bool,
    open: Vec<Open>,
    choices: Vec<Choice>,
}

struct Open {
    choice: u32,
    part: u32,
    kind: Kind,
}

enum Kind {
    Text,
    Thought,
    Call {
        id: String,
        name: String,
        arguments: String,
        signature: Option<String>,
    },
    /// What is out already, or has no place.
    Done,
}

#[derive(Default)]
struct Choice {
    index: u32,
    /// The signature of the part that opens next.
    ahead: Option<String>,
    annotations: Vec<Raw>,
    said: Said,
    finish: Option<Finish>,
}

impl Encoder {
    fn start(&mut self, start: &Start) {
        let mut tail = BytesMut::new();
        json::object(&mut tail, |o| {
            o.text("modelVersion", &start.model);
            o.text("responseId", &start.id);
        });
        // Without its opening brace.
        self.tail = tail.freeze().split_off(1);
        self.usage = start.usage;
        self.native = start.upstream == Dialect::Gemini;
    }

    /// One event of one choice: `parts` writes its parts, `rest` what stands beside the content.
    fn event(
        &self,
        choice: u32,
        out: &mut BytesMut,
        parts: impl FnOnce(&mut List<'_>),
        rest: impl FnOnce(&mut Object<'_>),
    ) {
        out.put_slice(b"data: ");
        json::object(out, |o| {
            o.list("candidates", |list| {
                list.object(|o| {
                    o.object("content", |o| {
                        o.list("parts", parts);
                        o.text("role", "model");
                    });
                    rest(o);
                    o.integer("index", u64::from(choice));
                });
            });
            if let Some(usage) = &self.usage {
                o.object("usageMetadata", |o| usage::write(o, usage));
            }
        });
        // The tail goes within the object.
        out.truncate(out.len() - 1);
        out.put_u8(b',');
        out.put_slice(&self.tail);
        out.put_slice(b"\r\n\r\n");
    }

    fn part(&self, choice: u32, out: &mut BytesMut, fill: impl FnOnce(&mut Object<'_>)) {
        self.event(choice, out, |list| list.object(fill), |_| {});
    }

    fn choice(&mut self, index: u32) -> &mut Choice {
        let at = self.choices.iter().position(|choice| choice.index == index);
        let at = at.unwrap_or_else(|| {
            self.choices.push(Choice { index, ..Choice::default() });
            self.choices.len() - 1
        });
        #[expect(clippy::indexing_slicing, reason = "found or pushed above")]
        &mut self.choices[at]
    }

    fn open(&mut self, choice: u32, part: u32, kind: &Opening, out: &mut BytesMut) {
        let kind = match kind {
            Opening::Text | Opening::Refusal => Kind::Text,
            Opening::Thinking { .. } => Kind::Thought,
            Opening::RedactedThinking(data) => {
                let held = signature::redacted_to_client(data);
                self.part(choice, out, |o| thought(o, "", Some(&held)));
                Kind::Done
            }
            Opening::ToolCall { id, name } => Kind::Call {
                id: id.clone(),
                name: name.clone(),
                arguments: String::new(),
                signature: self.choice(choice).ahead.take(),
            },
            Opening::Image { source, extra } => {
                self.picture(choice, source, extra, out);
                Kind::Done
            }
            Opening::Other { dialect: Dialect::Gemini, raw } => {
                self.event(choice, out, |list| list.raw(raw.get()), |_| {});
                Kind::Done
            }
            Opening::Other { .. } => Kind::Done,
        };
        self.open.push(Open { choice, part, kind });
    }

    fn go_on(&mut self, choice: u32, part: u32, delta: &Delta, out: &mut BytesMut) {
        let found = self.open.iter_mut().rfind(|open| (open.choice, open.part) == (choice, part));
        match (found.map(|open| &mut open.kind), delta) {
            (Some(Kind::Text), Delta::Text(text)) => {
                self.choice(choice).said.push(text);
                self.part(choice, out, |o| o.text("text", text));
            }
            (Some(Kind::Thought), Delta::Text(text)) => {
                self.part(choice, out, |o| thought(o, text, None));
            }
            (Some(Kind::Thought), Delta::Signature(signature)) => {
                let held = signature::to_client(signature);
                self.part(choice, out, |o| thought(o, "", Some(&held)));
            }
            (Some(Kind::Call { arguments, .. }), Delta::Arguments(text))
                if arguments.len().saturating_add(text.len()) <= MAX_ARGUMENTS =>
            {
                arguments.push_str(text);
            }
            // A delta that does not fit its part, or that Google has no place for.
            _ => {}
        }
    }

    fn close(&mut self, choice: u32, part: u32, out: &mut BytesMut) {
        let at = self.open.iter().rposition(|open| (open.choice, open.part) == (choice, part));
        let Some(at) = at else { return };
        if let Kind::Call { id, name, arguments, signature } = self.open.remove(at).kind {
            self.part(choice, out, |o| {
                o.object("functionCall", |o| {
                    o.text("id", &id);
                    o.text("name", &name);
                    write_arguments(o, &arguments);
                });
                o.some_text("thoughtSignature", signature.as_deref());
            });
        }
    }

    fn picture(&self, choice: u32, source: &Source, extra: &Extra, out: &mut BytesMut) {
        let part = Part::Image { source: source.clone(), detail: None };
        let block = Block { part, cache: None, extra: extra.clone() };
        let (native, signature, resolution) = (self.native, None, None);
        let how = Spelling { native, client: true, signature, resolution };
        if let Some(written) = part::write(&block, how) {
            self.event(choice, out, |list| list.item().put_slice(&written), |_| {});
        }
    }

    fn aside(&mut self, choice: u32, name: &'static str, value: &Raw, out: &mut BytesMut) {
        match name {
            signature::ASIDE => {
                self.choice(choice).ahead = serde_json::from_str(value.get()).ok();
            }
            signature::EXTRA_CONTENT => {
                let extra: Extra = vec![(signature::EXTRA_CONTENT.into(), value.clone())];
                if let Some(signature) = signature::in_extra(&extra) {
                    self.part(choice, out, |o| {
                        o.text("text", "");
                        o.text("thoughtSignature", &signature);
                    });
                }
            }
            "audio" => {
                let sound: Sound = serde_json::from_str(value.get()).unwrap_or_default();
                if !sound.data.is_empty() {
                    self.part(choice, out, |o| {
                        o.object("inlineData", |o| {
                            o.text("mimeType", SOUND);
                            o.text("data", &sound.data);
                        });
                    });
                }
            }
            "annotations" => {
                let annotations = &mut self.choice(choice).annotations;
                if annotations.len() < MAX_ANNOTATIONS {
                    annotations.push(value.clone());
                }
            }
            "logprobs" => {
                if let Some(result) = candidate::logprobs_result(value) {
                    let empty = |list: &mut List<'_>| list.object(|o| o.text("text", ""));
                    self.event(choice, out, empty, |o| o.raw("logprobsResult", result.get()));
                }
            }
            _ => {}
        }
    }
}

impl Encode for Encoder {
    fn push(&mut self, event: &Event, out: &mut BytesMut) {
        let before = out.len();
        match event {
            Event::Start(start) => self.start(start),
            Event::Open { choice, part, kind } => self.open(*choice, *part, kind, out),
            Event::Delta { choice, part, delta } => self.go_on(*choice, *part, delta, out),
            Event::Close { choice, part } => self.close(*choice, *part, out),
            Event::Aside { choice, name, value, .. } => self.aside(*choice, name, value, out),
            Event::Finish { choice, finish } => {
                if !self.begun {
                    // An answer without content begins here: its figures may yet come.
                    self.part(*choice, out, |o| o.text("text", ""));
                }
                self.choice(*choice).finish = Some(finish.clone());
            }
            Event::Usage(usage) => self.usage = Some(*usage),
        }
        self.begun |= out.len() > before;
    }

    fn end(&mut self, out: &mut BytesMut) {
        while let Some(Open { choice, part, .. }) = self.open.first() {
            self.close(*choice, *part, out);
        }
        if self.choices.is_empty() {
            self.choices.push(Choice::default());
        }
        for choice in std::mem::take(&mut self.choices) {
            let reason = choice.finish.map_or(Reason::Stop, |finish| finish.reason);
            let empty = |list: &mut List<'_>| list.object(|o| o.text("text", ""));
            self.event(choice.index, out, empty, |o| {
                o.text("finishReason", candidate::word(reason));
                candidate::write_grounding(o, &choice.annotations, &choice.said);
            });
        }
    }
}

fn thought(o: &mut Object<'_>, text: &str, signature: Option<&str>) {
    o.text("text", text);
    o.flag("thought", true);
    o.some_text("thoughtSignature", signature);
}
