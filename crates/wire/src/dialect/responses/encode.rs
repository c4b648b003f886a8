//! A stream out of the hub, for a client of responses: each item is added, grows, and is done; the
//! first events have the answer as it begins, the last one all of it.
//! <https://platform.openai.com/docs/api-reference/responses-streaming>
//!
//! Texts that follow one another are parts of one message. The events at an item's end say all of
//! it once more, so what was said is kept, up to [`MAX_KEPT`] bytes.

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::value::RawValue;

use super::{
    echo::Told,
    input, output, picture, reply, thought,
    tool::{self, Kind},
    usage,
};
use crate::{
    dialect::{
        Encode, annotation,
        fields::{At, list},
        json::{self, List, Object},
        signature,
    },
    matrix::Dialect,
    op::chat::{
        Delta, Event, Extra, MAX_BLOCKS, Opening, Place, Raw, Reason, Source, Start, ToolCall,
    },
    usage::Usage,
};

/// Most bytes of an answer that are kept to be said again at its end. Beyond, the deltas go on, and
/// what is said again is cut.
const MAX_KEPT: usize = 32 << 20;

/// The part that a signature of a call is: the hub numbers parts from 0.
const SIGNED: u32 = u32::MAX;

/// Members of a picture's item that are ours to write.
const MADE_ANEW: &[&str] = &["id", "type", "status"];

/// Writes a stream.
pub(super) struct Encoder {
    told: Told,
    /// What the answer's provider says of its settings, if it speaks responses too.
    own: Option<Extra>,
    id: String,
    model: String,
    created: Option<u64>,
    /// The number of the next event.
    next: u64,
    /// Items that are under way.
    items: Vec<Item>,
    /// Items that are done, at their place.
    done: Vec<Option<Bytes>>,
    kept: usize,
    /// Characters of text so far.
    length: u64,
    finish: Option<Reason>,
    usage: Option<Usage>,
}

struct Item {
    /// Its place in `output`.
    index: usize,
    id: String,
    shape: Shape,
    /// The hub's parts that are still open.
    open: Vec<u32>,
    /// No more parts are to be added.
    last: bool,
}

enum Shape {
    Message(Vec<Speech>),
    Thought { part: bool, text: String, encrypted: Option<String> },
    Call { call: ToolCall, kind: Option<Kind>, rest: Extra },
    Picture { source: Source, rest: Extra },
    Other(Raw),
}

/// A part of a message.
struct Speech {
    part: u32,
    refusal: bool,
    text: String,
    /// Characters of text before it.
    before: u64,
    cited: Vec<Raw>,
    logprobs: Vec<Raw>,
}

impl Encoder {
    pub(super) fn new(told: Told) -> Self {
        Encoder {
            told,
            own: None,
            id: String::new(),
            model: String::new(),
            created: None,
            next: 0,
            items: Vec::new(),
            done: Vec::new(),
            kept: 0,
            length: 0,
            finish: None,
            usage: None,
        }
    }

    fn start(&mut self, start: &Start, out: &mut BytesMut) {
        self.id = reply::id_of(start.upstream, &start.id);
        self.model.clone_from(&start.model);
        self.created = start.created;
        self.own = (start.upstream == Dialect::Responses).then(|| start.extra.clone());
        for kind in ["response.created", "response.in_progress"] {
            let next = self.number();
            event(out, kind, next, |o| {
                o.object("response", |o| {
                    reply::head(o, &self.id, self.created, &self.model);
                    o.text("status", "in_progress");
                    o.null("error");
                    o.null("incomplete_details");
                    o.list("output", |_| {});
                    self.settings(o);
                    o.null("usage");
                });
            });
        }
    }

    fn settings(&self, o: &mut Object<'_>) {
        match &self.own {
            Some(own) => o.extra(own),
            None => self.told.write(o),
        }
    }

    fn number(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        number
    }

    /// Cuts what is to be kept of a text.
    fn keep<'a>(&mut self, text: &'a str) -> &'a str {
        let room = MAX_KEPT.saturating_sub(self.kept);
        let mut end = text.len().min(room);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        self.kept += end;
        text.get(..end).unwrap_or_default()
    }

    fn open(&mut self, part: u32, kind: &Opening, out: &mut BytesMut) {
        let refusal = matches!(kind, Opening::Refusal);
        if refusal || matches!(kind, Opening::Text) {
            return self.open_speech(part, refusal, out);
        }
        self.end_message(out);
        let (prefix, shape) = match kind {
            Opening::Thinking { .. } => {
                ("rs", Shape::Thought { part: false, text: String::new(), encrypted: None })
            }
            Opening::RedactedThinking(data) => {
                let encrypted = Some(thought::redacted(data));
                ("rs", Shape::Thought { part: false, text: String::new(), encrypted })
            }
            Opening::ToolCall { id, name } => {
                let kind = self.told.kind(name);
                let (name, rest) = self.told.named(name);
                let (id, name) = (id.clone(), name.to_owned());
                let call = ToolCall { id, name, arguments: String::new() };
                (output::prefix(kind), Shape::Call { call, kind, rest })
            }
            Opening::Image { source, extra } => {
                if let Some(text) = picture::in_words(source) {
                    self.open_speech(part, false, out);
                    return self.go_on(part, &Delta::Text(text), out);
                }
                let rest = if self.own.is_some() { extra.clone() } else { Extra::new() };
                let rest = rest.into_iter().filter(|(name, _)| !MADE_ANEW.contains(&&**name));
                ("ig", Shape::Picture { source: source.clone(), rest: rest.collect() })
            }
            Opening::Other { dialect: Dialect::Responses, raw } => {
                ("item", Shape::Other(raw.clone()))
            }
            Opening::Text | Opening::Refusal | Opening::Other { .. } => return,
        };
        self.add(prefix, shape, part, out);
    }

    /// Google's signature of the call that comes next: a thought of its own without text, so that
    /// the client sends it back where it stood.
    fn signed(&mut self, value: &RawValue, out: &mut BytesMut) {
        let Ok(signature) = serde_json::from_str::<String>(value.get()) else { return };
        self.end_message(out);
        let encrypted = Some(thought::encrypted(&signature::marked(&signature)));
        let shape = Shape::Thought { part: false, text: String::new(), encrypted };
        self.add("rs", shape, SIGNED, out);
        self.close(SIGNED, out);
    }

    /// A new item. One that is shown only when it is whole is added then.
    fn add(&mut self, prefix: &str, shape: Shape, part: u32, out: &mut BytesMut) {
        let index = self.done.len();
        if index >= MAX_BLOCKS {
            return;
        }
        self.done.push(None);
        let id = format!("{prefix}_{}_{index}", reply::stem_of(&self.id));
        let item = Item { index, id, shape, open: vec![part], last: true };
        if !item.is_late() {
            let next = self.number();
            event(out, "response.output_item.added", next, |o| {
                o.integer("output_index", index as u64);
                o.object("item", |o| item.begin(o));
            });
        }
        if matches!(item.shape, Shape::Picture { .. }) {
            let next = self.number();
            let kind = format!("response.{}.in_progress", picture::KIND);
            event(out, &kind, next, |o| place(o, &item.id, index));
        }
        self.items.push(item);
    }

    fn open_speech(&mut self, part: u32, refusal: bool, out: &mut BytesMut) {
        let speech = Speech {
            part,
            refusal,
            text: String::new(),
            before: self.length,
            cited: Vec::new(),
            logprobs: Vec::new(),
        };
        let found = self.items.iter_mut().position(|item| item.is_message() && !item.last);
        let at = match found {
            Some(at) => at,
            None => {
                let before = self.items.len();
                self.add("msg", Shape::Message(Vec::new()), part, out);
                if self.items.len() == before {
                    return;
                }
                before
            }
        };
        let next = self.number();
        let Some(item) = self.items.get_mut(at) else { return };
        item.last = false;
        let Shape::Message(parts) = &mut item.shape else { return };
        let content = parts.len() as u64;
        event(out, "response.content_part.added", next, |o| {
            place(o, &item.id, item.index);
            o.integer("content_index", content);
            o.object("part", |o| speech.write(o));
        });
        parts.push(speech);
        if !item.open.contains(&part) {
            item.open.push(part);
        }
    }

    /// The message under way gets no more parts.
    fn end_message(&mut self, out: &mut BytesMut) {
        let found = self.items.iter_mut().position(|item| item.is_message() && !item.last);
        let Some(at) = found else { return };
        let Some(item) = self.items.get_mut(at) else { return };
        item.last = true;
        if item.open.is_empty() {
            self.item_done(at, out);
        }
    }

    fn item_of(&mut self, part: u32) -> Option<usize> {
        self.items.iter().position(|item| item.open.contains(&part))
    }

    fn go_on(&mut self, part: u32, delta: &Delta, out: &mut BytesMut) {
        let Some(at) = self.item_of(part) else { return };
        let text = match delta {
            Delta::Text(text) | Delta::Arguments(text) => text.as_str(),
            Delta::Signature(signature) => {
                let found = self.items.get_mut(at).map(|item| &mut item.shape);
                if let Some(Shape::Thought { encrypted, .. }) = found {
                    *encrypted = Some(thought::encrypted(signature));
                }
                return;
            }
            Delta::Other { .. } => return,
        };
        let kept = self.keep(text);
        let mut next = self.number();
        let Some(item) = self.items.get_mut(at) else { return };
        let (id, index) = (item.id.as_str(), item.index);
        match &mut item.shape {
            Shape::Message(parts) => {
                let found = (0..).zip(parts.iter_mut()).find(|(_, speech)| speech.part == part);
                let Some((content, speech)) = found else { return };
                if !speech.refusal {
                    self.length += text.chars().count() as u64;
                }
                speech.text.push_str(kept);
                event(out, speech.name("delta"), next, |o| {
                    place(o, id, index);
                    o.integer("content_index", content);
                    o.text("delta", text);
                    if !speech.refusal {
                        o.list("logprobs", |_| {});
                    }
                });
            }
            Shape::Thought { part: begun, text: thought, .. } => {
                if !*begun {
                    *begun = true;
                    summary_part(out, "added", next, (id, index), "");
                    next += 1;
                    self.next += 1;
                }
                thought.push_str(kept);
                event(out, "response.reasoning_summary_text.delta", next, |o| {
                    place(o, id, index);
                    o.integer("summary_index", 0);
                    o.text("delta", text);
                });
            }
            Shape::Call { call, kind, .. } => {
                call.arguments.push_str(kept);
                match kind {
                    // Told when it is whole: until then it is JSON around what it will be.
                    Some(_) => self.next -= 1,
                    None => event(out, "response.function_call_arguments.delta", next, |o| {
                        place(o, id, index);
                        o.text("delta", text);
                    }),
                }
            }
            Shape::Picture { .. } | Shape::Other(_) => self.next -= 1,
        }
    }

    fn close(&mut self, part: u32, out: &mut BytesMut) {
        let Some(at) = self.item_of(part) else { return };
        let next = self.next;
        let Some(item) = self.items.get_mut(at) else { return };
        item.open.retain(|open| *open != part);
        let (id, index) = (item.id.as_str(), item.index);
        if let Shape::Message(parts) = &item.shape
            && let Some((content, speech)) =
                (0..).zip(parts).find(|(_, speech)| speech.part == part)
        {
            event(out, speech.name("done"), next, |o| {
                place(o, id, index);
                o.integer("content_index", content);
                speech.write_done(o);
            });
            event(out, "response.content_part.done", next + 1, |o| {
                place(o, id, index);
                o.integer("content_index", content);
                o.object("part", |o| speech.write(o));
            });
            self.next += 2;
        }
        if item.last && item.open.is_empty() {
            self.item_done(at, out);
        }
    }

    /// The last events of an item.
    fn item_done(&mut self, at: usize, out: &mut BytesMut) {
        let item = self.items.remove(at);
        let (id, index) = (item.id.as_str(), item.index);
        let mut next = self.next;
        let mut number = || {
            next += 1;
            next - 1
        };
        match &item.shape {
            Shape::Thought { part: true, text, .. } => {
                event(out, "response.reasoning_summary_text.done", number(), |o| {
                    place(o, id, index);
                    o.integer("summary_index", 0);
                    o.text("text", text);
                });
                summary_part(out, "done", number(), (id, index), text);
            }
            Shape::Call { call, kind: None, .. } => {
                event(out, "response.function_call_arguments.done", number(), |o| {
                    place(o, id, index);
                    o.text("name", &call.name);
                    o.text("arguments", &call.arguments);
                });
            }
            Shape::Call { call, kind: Some(Kind::Custom), .. } => {
                let input = tool::input_of(&call.arguments);
                for (kind, name) in [("delta", "delta"), ("done", "input")] {
                    let kind = format!("response.custom_tool_call_input.{kind}");
                    event(out, &kind, number(), |o| {
                        place(o, id, index);
                        o.text(name, &input);
                    });
                }
            }
            Shape::Picture { .. } => {
                let kind = format!("response.{}.completed", picture::KIND);
                event(out, &kind, number(), |o| place(o, id, index));
            }
            Shape::Call { .. } | Shape::Other(_) => {
                event(out, "response.output_item.added", number(), |o| {
                    o.integer("output_index", index as u64);
                    item.write(o.key("item"));
                });
            }
            Shape::Message(_) | Shape::Thought { part: false, .. } => {}
        }
        let mut whole = BytesMut::new();
        item.write(&mut whole);
        event(out, "response.output_item.done", number(), |o| {
            o.integer("output_index", index as u64);
            o.key("item").put_slice(&whole);
        });
        self.next = next;
        if let Shape::Picture { source: Source::Base64 { data, .. }, rest } = &item.shape {
            self.kept = self.kept.saturating_add(data.len());
            if self.kept > MAX_KEPT {
                let (source, rest) = (Source::Text(String::new()), rest.clone());
                let shape = Shape::Picture { source, rest };
                whole.clear();
                Item { shape, id: item.id.clone(), open: Vec::new(), ..item }.write(&mut whole);
            }
        }
        if let Some(place) = self.done.get_mut(index) {
            *place = Some(whole.freeze());
        }
    }

    /// What a text cites, and what its tokens were: of the last text there is.
    fn aside(&mut self, name: &str, value: &RawValue, out: &mut BytesMut) {
        let next = self.next;
        let Some(item) = self.items.iter_mut().rfind(|item| item.is_message()) else { return };
        let (id, index) = (item.id.as_str(), item.index);
        let Shape::Message(parts) = &mut item.shape else { return };
        let content = parts.len().saturating_sub(1) as u64;
        let Some(speech) = parts.last_mut() else { return };
        if name == "logprobs" {
            let tokens = reply::tokens_of(value);
            let tokens = tokens.as_deref().and_then(|raw| list(raw, &At::Body, usize::MAX).ok());
            for raw in tokens.unwrap_or_default() {
                self.kept = self.kept.saturating_add(raw.get().len());
                if self.kept < MAX_KEPT {
                    speech.logprobs.push(raw.to_owned());
                }
            }
            return;
        }
        let flat = match &self.own {
            Some(_) => output::flat_annotations(value),
            None => {
                let cited = annotation::read(value.get());
                let flat = cited.iter().filter_map(|one| output::url_citation(one, speech.before));
                flat.collect()
            }
        };
        for (place_of, raw) in (next..).zip(flat) {
            event(out, "response.output_text.annotation.added", place_of, |o| {
                place(o, id, index);
                o.integer("content_index", content);
                o.integer("annotation_index", speech.cited.len() as u64);
                o.raw("annotation", raw.get());
            });
            self.next += 1;
            if speech.cited.len() < MAX_BLOCKS {
                speech.cited.push(raw);
            }
        }
    }
}

impl Encode for Encoder {
    fn push(&mut self, event: &Event, out: &mut BytesMut) {
        match event {
            Event::Start(start) => self.start(start, out),
            // There is one answer: the first.
            Event::Open { choice: 1.., .. }
            | Event::Delta { choice: 1.., .. }
            | Event::Close { choice: 1.., .. }
            | Event::Aside { choice: 1.., .. }
            | Event::Finish { choice: 1.., .. } => {}
            Event::Open { part, kind, .. } => self.open(*part, kind, out),
            Event::Delta { part, delta, .. } => self.go_on(*part, delta, out),
            Event::Close { part, .. } => self.close(*part, out),
            Event::Aside { place: Place::Delta, name: name @ "annotations", value, .. }
            | Event::Aside { place: Place::Choice, name: name @ "logprobs", value, .. } => {
                self.aside(name, value, out);
            }
            Event::Aside { place: Place::Part, name: signature::ASIDE, value, .. } => {
                self.signed(value, out);
            }
            Event::Aside { .. } => {}
            Event::Finish { finish, .. } => self.finish = Some(finish.reason),
            Event::Usage(usage) => self.usage = Some(*usage),
        }
    }

    fn end(&mut self, out: &mut BytesMut) {
        while !self.items.is_empty() {
            let open = self.items.first().map(|item| item.open.clone()).unwrap_or_default();
            if let Some(item) = self.items.first_mut() {
                item.last = true;
            }
            let before = self.items.len();
            open.into_iter().for_each(|part| self.close(part, out));
            if self.items.len() == before {
                self.item_done(0, out);
            }
        }
        let cut = matches!(self.finish, Some(Reason::Length | Reason::ContentFilter));
        let kind = if cut { "response.incomplete" } else { "response.completed" };
        let next = self.number();
        event(out, kind, next, |o| {
            o.object("response", |o| {
                reply::head(o, &self.id, self.created, &self.model);
                reply::status(o, self.finish);
                o.list("output", |list| self.output(list));
                self.settings(o);
                o.object("usage", |o| usage::write(o, &self.usage.unwrap_or_default()));
            });
        });
    }
}

impl Encoder {
    fn output(&self, list: &mut List<'_>) {
        for item in self.done.iter().flatten() {
            list.item().put_slice(item);
        }
    }
}

impl Item {
    fn is_message(&self) -> bool {
        matches!(self.shape, Shape::Message(_))
    }

    /// Whether it is added only when it is whole.
    fn is_late(&self) -> bool {
        match &self.shape {
            Shape::Call { kind, .. } => kind.is_some_and(|kind| kind != Kind::Custom),
            Shape::Other(_) => true,
            Shape::Message(_) | Shape::Thought { .. } | Shape::Picture { .. } => false,
        }
    }

    /// Writes its members as they are at its beginning.
    fn begin(&self, o: &mut Object<'_>) {
        o.text("id", &self.id);
        match &self.shape {
            Shape::Message(_) => {
                o.text("type", "message");
                o.text("status", "in_progress");
                o.text("role", "assistant");
                o.list("content", |_| {});
            }
            Shape::Thought { .. } => {
                o.text("type", "reasoning");
                o.list("summary", |_| {});
            }
            Shape::Call { call, kind, rest } => {
                o.text("type", kind.map_or("function_call", Kind::call));
                o.text("status", "in_progress");
                o.extra(rest);
                o.text("call_id", &call.id);
                o.text("name", &call.name);
                o.text(if kind.is_some() { "input" } else { "arguments" }, "");
            }
            Shape::Picture { .. } => {
                o.text("type", picture::KIND);
                o.text("status", "in_progress");
                o.null("result");
            }
            Shape::Other(_) => {}
        }
    }

    /// Writes it whole.
    fn write(&self, out: &mut BytesMut) {
        if let Shape::Other(raw) = &self.shape {
            return out.put_slice(json::compact(raw.get()).as_bytes());
        }
        json::object(out, |o| match &self.shape {
            Shape::Message(parts) => {
                o.text("id", &self.id);
                o.text("type", "message");
                o.text("status", "completed");
                o.text("role", "assistant");
                o.list("content", |list| {
                    for speech in parts {
                        list.object(|o| speech.write(o));
                    }
                });
            }
            Shape::Thought { text, encrypted, .. } => {
                o.text("id", &self.id);
                input::reasoning(o, text, encrypted.as_deref(), &Extra::new());
            }
            Shape::Call { call, kind, rest } => {
                output::write_call(o, &self.id, call, *kind, rest);
            }
            Shape::Picture { source, rest } => {
                o.text("id", &self.id);
                picture::write(o, source, rest);
            }
            Shape::Other(_) => {}
        });
    }
}

impl Speech {
    /// The name of an event of this kind of text.
    fn name(&self, kind: &str) -> &'static str {
        match (self.refusal, kind) {
            (false, "delta") => "response.output_text.delta",
            (false, _) => "response.output_text.done",
            (true, "delta") => "response.refusal.delta",
            (true, _) => "response.refusal.done",
        }
    }

    fn write(&self, o: &mut Object<'_>) {
        if self.refusal {
            o.text("type", "refusal");
            o.text("refusal", &self.text);
            return;
        }
        output::write_text(o, &self.text, self.cited.iter().map(AsRef::as_ref), None);
        o.list("logprobs", |list| self.logprobs.iter().for_each(|raw| list.raw(raw.get())));
    }

    fn write_done(&self, o: &mut Object<'_>) {
        if self.refusal {
            return o.text("refusal", &self.text);
        }
        o.text("text", &self.text);
        o.list("logprobs", |list| self.logprobs.iter().for_each(|raw| list.raw(raw.get())));
    }
}

/// Writes which item an event is about.
fn place(o: &mut Object<'_>, id: &str, index: usize) {
    o.text("item_id", id);
    o.integer("output_index", index as u64);
}

fn summary_part(out: &mut BytesMut, kind: &str, next: u64, item: (&str, usize), text: &str) {
    event(out, &format!("response.reasoning_summary_part.{kind}"), next, |o| {
        place(o, item.0, item.1);
        o.integer("summary_index", 0);
        o.object("part", |o| {
            o.text("type", "summary_text");
            o.text("text", text);
        });
    });
}

/// One event: its type is both its name and a member of its data.
fn event(out: &mut BytesMut, kind: &str, number: u64, fill: impl FnOnce(&mut Object<'_>)) {
    out.put_slice(b"event: ");
    out.put_slice(kind.as_bytes());
    out.put_slice(b"\ndata: ");
    json::object(out, |o| {
        o.text("type", kind);
        o.integer("sequence_number", number);
        fill(o);
    });
    out.put_slice(b"\n\n");
}
