//! The items of an answer, both ways.

use bytes::BytesMut;
use serde_json::value::RawValue;

use super::{
    content,
    echo::Told,
    input,
    item::{self, ITEM},
    picture, thought,
    tool::{self, Kind},
};
use crate::{
    dialect::{
        annotation::{self, Cited},
        fields::{At, Fields, list},
        json::{self, List, Object},
        signature,
    },
    exchange::Malformed,
    matrix::Dialect,
    op::chat::{Block, Extra, MAX_BLOCKS, Part, Raw, ToolCall},
};

/// Reads an item of `output`: a message is as many blocks as it has parts.
pub(super) fn read(raw: &RawValue, at: At<'_>) -> Result<Vec<Block>, Malformed> {
    let mut fields = Fields::of(raw, at)?;
    let kind = fields.need_text("type")?;
    Ok(match kind.as_str() {
        "message" => message(fields)?,
        "reasoning" => {
            let (part, rest) = item::thinking(fields)?;
            vec![item::block(part, rest)]
        }
        kind if kind == "function_call" || Kind::of_call(kind).is_some() => {
            let (call, rest) = item::call(fields, kind)?;
            vec![item::block(Part::ToolCall(call), rest)]
        }
        picture::KIND => match picture::read(fields)? {
            Some(block) => vec![block],
            None => vec![Part::Other { dialect: Dialect::Responses, raw: raw.to_owned() }.into()],
        },
        _ => vec![Part::Other { dialect: Dialect::Responses, raw: raw.to_owned() }.into()],
    })
}

fn message(mut fields: Fields<'_, '_>) -> Result<Vec<Block>, Malformed> {
    let at = fields.at();
    fields.take("role");
    let content = fields.take("content");
    let rest = tool::object_of(fields.rest());
    let Some(raw) = content else { return Ok(Vec::new()) };
    let (_, mut blocks) = content::read(raw, &At::Field(&at, "content"))?;
    for block in &mut blocks {
        block.extra.extend(rest.clone().map(|raw| (ITEM.into(), raw)));
    }
    Ok(blocks)
}

/// An answer's items, as they are written.
pub(super) struct Writer<'a> {
    /// Whether its provider spoke this dialect too.
    pub(super) own: bool,
    /// What the items' own ids end in.
    pub(super) stem: &'a str,
    /// What is known of its calls' tools.
    pub(super) told: &'a Told,
    /// What the text's tokens were, as a list.
    pub(super) logprobs: Option<Raw>,
    /// What the texts cite, if it is not with them.
    pub(super) cited: Vec<Cited>,
    /// Characters of text so far.
    pub(super) length: u64,
    /// Texts that are still to be written.
    pub(super) texts: usize,
    pub(super) written: u64,
}

impl Writer<'_> {
    pub(super) fn write(&mut self, list: &mut List<'_>, blocks: &[Block]) {
        self.texts = blocks.iter().filter(|block| matches!(block.part, Part::Text(_))).count();
        let mut said: Vec<&Block> = Vec::new();
        for block in blocks {
            let speech = matches!(block.part, Part::Text(_) | Part::Refusal(_));
            if let Some(last) = said.last()
                && (!speech || (self.own && input::mark(last) != input::mark(block)))
            {
                self.message(list, &said);
                said.clear();
            }
            if speech {
                said.push(block);
            } else {
                self.item(list, block);
            }
        }
        if !said.is_empty() {
            self.message(list, &said);
        }
    }

    fn rest(&self, block: &Block) -> Extra {
        if self.own { item::rest_of(block) } else { Extra::new() }
    }

    /// The item's own id, if its provider did not give it one.
    fn id(&mut self, o: &mut Object<'_>, prefix: &str, rest: &Extra) {
        if !rest.iter().any(|(name, _)| **name == *"id") {
            o.text("id", &format!("{prefix}_{}_{}", self.stem, self.written));
        }
        self.written += 1;
    }

    fn message(&mut self, list: &mut List<'_>, said: &[&Block]) {
        let rest = said.first().map(|block| self.rest(block)).unwrap_or_default();
        list.object(|o| {
            self.id(o, "msg", &rest);
            o.text("type", "message");
            status(o, &rest);
            o.text("role", "assistant");
            o.extra(&rest);
            o.list("content", |list| {
                for block in said {
                    list.object(|o| self.speech(o, block));
                }
            });
        });
    }

    fn speech(&mut self, o: &mut Object<'_>, block: &Block) {
        let none = Extra::new();
        let extra = if self.own { &block.extra } else { &none };
        match &block.part {
            Part::Text(text) if self.own => content::output_text(o, text, extra, None),
            Part::Text(text) => {
                let logprobs = self.logprobs.take();
                let before = self.length;
                self.length += text.chars().count() as u64;
                self.texts = self.texts.saturating_sub(1);
                let cited = annotation::take(&mut self.cited, self.length, self.texts == 0);
                let cited: Vec<Raw> =
                    cited.iter().filter_map(|one| url_citation(one, before)).collect();
                let (text, logprobs) = (text.as_str(), logprobs.as_deref().map(RawValue::get));
                write_text(o, text, cited.iter().map(AsRef::as_ref), logprobs);
            }
            Part::Refusal(text) => {
                o.text("type", "refusal");
                o.text("refusal", text);
            }
            _ => {}
        }
    }

    fn item(&mut self, list: &mut List<'_>, block: &Block) {
        let rest = self.rest(block);
        match &block.part {
            Part::Thinking { text, signature } => {
                if text.is_empty() && signature.is_none() && rest.is_empty() {
                    return;
                }
                let encrypted = signature.as_deref().map(thought::encrypted);
                list.object(|o| {
                    self.id(o, "rs", &rest);
                    input::reasoning(o, text, encrypted.as_deref(), &rest);
                });
            }
            Part::RedactedThinking(data) => list.object(|o| {
                self.id(o, "rs", &rest);
                input::reasoning(o, "", Some(&thought::redacted(data)), &rest);
            }),
            Part::ToolCall(call) => {
                if let Some(signature) = signature::in_extra(&block.extra).filter(|_| !self.own) {
                    let encrypted = thought::encrypted(&signature::marked(&signature));
                    list.object(|o| {
                        self.id(o, "rs", &rest);
                        input::reasoning(o, "", Some(&encrypted), &rest);
                    });
                }
                let (kind, (name, rest)) = match self.own {
                    true => (item::kind_of(&rest).and_then(Kind::of_call), (&*call.name, rest)),
                    false => (self.told.kind(&call.name), self.told.named(&call.name)),
                };
                let call = ToolCall { name: name.to_owned(), ..call.clone() };
                list.object(|o| {
                    self.id(o, prefix(kind), &rest);
                    status(o, &rest);
                    input::write_call(o, &call, kind, &rest);
                });
            }
            Part::Image { source, .. } => match picture::in_words(source) {
                Some(text) => self.message(list, &[&Part::Text(text).into()]),
                None => list.object(|o| {
                    self.id(o, "ig", &rest);
                    picture::write(o, source, &rest);
                }),
            },
            Part::Other { dialect: Dialect::Responses, raw } => {
                self.written += 1;
                list.raw(raw.get());
            }
            _ => {}
        }
    }
}

pub(super) fn status(o: &mut Object<'_>, rest: &Extra) {
    if !rest.iter().any(|(name, _)| **name == *"status") {
        o.text("status", "completed");
    }
}

/// What the own id of a call's item begins with.
pub(super) const fn prefix(kind: Option<Kind>) -> &'static str {
    match kind {
        None => "fc",
        Some(Kind::Custom) => "ctc",
        Some(Kind::LocalShell) => "lsh",
        Some(Kind::Shell) => "sh",
        Some(Kind::ApplyPatch) => "apc",
    }
}

/// Writes the members of a text with what it cites.
pub(super) fn write_text<'a>(
    o: &mut Object<'_>,
    text: &str,
    cited: impl Iterator<Item = &'a RawValue>,
    logprobs: Option<&str>,
) {
    o.text("type", "output_text");
    o.text("text", text);
    o.list("annotations", |list| cited.for_each(|raw| list.raw(raw.get())));
    if let Some(logprobs) = logprobs {
        o.raw("logprobs", logprobs);
    }
}

/// Writes a call's item.
pub(super) fn write_call(
    o: &mut Object<'_>,
    id: &str,
    call: &ToolCall,
    kind: Option<Kind>,
    rest: &Extra,
) {
    o.text("id", id);
    o.text("status", "completed");
    input::write_call(o, call, kind, rest);
}

/// A citation as responses have it: flat, its place counted from the beginning of its part, before
/// which there are so many characters.
pub(super) fn url_citation(cited: &Cited, before: u64) -> Option<Raw> {
    let mut out = BytesMut::new();
    json::object(&mut out, |o| {
        o.text("type", "url_citation");
        o.integer("start_index", cited.start.saturating_sub(before));
        o.integer("end_index", cited.end.saturating_sub(before));
        o.text("title", &cited.title);
        o.text("url", &cited.url);
        if !cited.content.is_empty() {
            o.text("content", &cited.content);
        }
    });
    serde_json::from_slice(&out).ok()
}

/// Annotations of chat completions as those of responses, which are flat.
pub(super) fn flat_annotations(raw: &RawValue) -> Vec<Raw> {
    let items = list(raw, &At::Body, MAX_BLOCKS).unwrap_or_default();
    items.into_iter().filter_map(flat_annotation).collect()
}

fn flat_annotation(raw: &RawValue) -> Option<Raw> {
    let mut fields = Fields::of(raw, At::Body).ok()?;
    let kind = fields.text("type").ok()??;
    let Some(inner) = fields.take(&kind) else { return Some(raw.to_owned()) };
    let mut flat = Extra::new();
    flat.push(("type".into(), tool::raw(format!("\"{kind}\""))?));
    flat.extend(Fields::of(inner, At::Body).ok()?.rest());
    tool::object_of(flat)
}

/// The other way; `None` for what chat completions do not cite.
pub(super) fn nested_annotation(raw: &RawValue) -> Option<Raw> {
    let mut fields = Fields::of(raw, At::Body).ok()?;
    let kind = fields.text("type").ok()?.filter(|kind| kind == "url_citation")?;
    let inner = tool::object_of(fields.rest())?;
    tool::raw(format!("{{\"type\":\"{kind}\",\"{kind}\":{}}}", inner.get()))
}
