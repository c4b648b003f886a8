//! Content blocks, both ways. A block is an object with one member that says what it is.
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html>

use bytes::BufMut;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    family::Family,
    media::{self, Names},
};
use crate::{
    dialect::{
        json::object_of,
        json::{List, Object},
    },
    matrix::Dialect,
    op::chat::{Block, CacheMark, Part, ToolCall, ToolResult},
};

/// Most characters of a tool call's name.
const MAX_ID: usize = 64;

/// Writes the blocks of one request.
pub(super) struct Writer {
    pub(super) family: Family,
    names: Names,
    /// Whether a mark was written last: two in a row mean no more than one.
    marked: bool,
}

/// Text that a guardrail is to look at, as LiteLLM's clients mark it.
#[derive(Deserialize)]
pub(super) struct Guarded {
    r#type: GuardedText,
    pub(super) text: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum GuardedText {
    GuardedText,
}

/// The text of a part that a guardrail is to look at.
pub(super) fn guarded(part: &Part) -> Option<Guarded> {
    let Part::Other { dialect: Dialect::Openai, raw } = part else { return None };
    let Guarded { r#type: GuardedText::GuardedText, text } =
        serde_json::from_str(raw.get()).ok()?;
    Some(Guarded { r#type: GuardedText::GuardedText, text })
}

impl Writer {
    pub(super) fn new(family: Family) -> Self {
        Writer { family, names: Names::default(), marked: false }
    }

    /// Whether a part has a place. What has none was refused or named before. Bedrock takes no
    /// empty text.
    pub(super) fn is_written(&self, part: &Part) -> bool {
        match part {
            Part::Text(text) | Part::Refusal(text) => !text.trim().is_empty(),
            Part::Image { .. } | Part::File { .. } | Part::Audio { .. } => {
                media::of(part).is_some_and(|media| media.is_ok())
            }
            Part::Thinking { signature, .. } => signature.is_some() && self.family.is_claude(),
            Part::RedactedThinking(data) => media::is_base64(data),
            Part::ToolCall(_) | Part::ToolResult(_) => true,
            Part::Other { .. } => guarded(part).is_some(),
            Part::OtherCall { .. } => false,
        }
    }

    /// Writes a block and the mark after it.
    pub(super) fn write(&mut self, list: &mut List<'_>, block: &Block) {
        if !self.is_written(&block.part) {
            return;
        }
        self.write_part(list, block);
        self.marked = false;
        let within = match &block.part {
            // A result's content has no room for a mark: it goes behind the result.
            Part::ToolResult(result) => result.blocks.iter().find_map(|block| block.cache.as_ref()),
            _ => None,
        };
        // A thought cannot be marked; what follows it can.
        if !matches!(block.part, Part::Thinking { .. } | Part::RedactedThinking(_)) {
            self.write_mark(list, block.cache.as_ref().or(within));
        }
    }

    fn write_part(&mut self, list: &mut List<'_>, block: &Block) {
        match &block.part {
            Part::Text(text) | Part::Refusal(text) => list.object(|o| o.text("text", text)),
            Part::Image { .. } | Part::File { .. } | Part::Audio { .. } => {
                self.write_media(list, block);
            }
            Part::Thinking { text, signature } => reasoning(list, |o| {
                o.object("reasoningText", |o| {
                    o.text("text", text);
                    o.some_text("signature", signature.as_deref());
                });
            }),
            Part::RedactedThinking(data) => reasoning(list, |o| o.text("redactedContent", data)),
            Part::ToolCall(call) => list.object(|o| o.object("toolUse", |o| write_call(o, call))),
            Part::ToolResult(result) => {
                list.object(|o| o.object("toolResult", |o| self.write_result(o, result)));
            }
            Part::Other { .. } => {
                if let Some(guarded) = guarded(&block.part) {
                    list.object(|o| {
                        o.object("guardContent", |o| {
                            o.object("text", |o| o.text("text", &guarded.text));
                        });
                    });
                }
            }
            Part::OtherCall { .. } => {}
        }
    }

    fn write_media(&mut self, list: &mut List<'_>, block: &Block) {
        let Some(Ok(media)) = media::of(&block.part) else { return };
        list.object(|o| {
            o.object(media.kind.name(), |o| {
                o.text("format", media.format);
                if media.kind == media::Kind::Document {
                    let name = match &block.part {
                        Part::File { name, .. } => name.as_deref(),
                        _ => None,
                    };
                    o.text("name", &self.names.take(name));
                }
                media.write_source(o);
                if media.kind == media::Kind::Document {
                    // Anthropic's words, which are Bedrock's as well.
                    for (name, raw) in &block.extra {
                        if matches!(&**name, "citations" | "context") {
                            o.raw(name, raw.get());
                        }
                    }
                }
            });
        });
    }

    fn write_result(&mut self, o: &mut Object<'_>, result: &ToolResult) {
        write_id(o, &result.id);
        o.list("content", |list| {
            for block in result.blocks.iter().filter(|block| is_in_result(&block.part)) {
                if self.is_written(&block.part) {
                    self.write_part(list, block);
                }
            }
        });
        if result.is_error == Some(true) {
            o.text("status", "error");
        }
    }

    /// Something else was written, or another list begins.
    pub(super) fn forget_mark(&mut self) {
        self.marked = false;
    }

    /// Writes `cachePoint`, where the model knows it.
    pub(super) fn write_mark(&mut self, list: &mut List<'_>, mark: Option<&CacheMark>) {
        let wanted = self.family.caches() && !self.marked;
        let Some(mark) = mark.filter(|_| wanted) else { return };
        self.marked = true;
        list.object(|o| {
            o.object("cachePoint", |o| {
                o.text("type", "default");
                // Five minutes is what all models do anyway.
                if mark.ttl.as_deref() == Some("1h") && self.family.is_claude() {
                    o.text("ttl", "1h");
                }
            });
        });
    }
}

/// Whether a part may stand within a tool's result.
pub(super) fn is_in_result(part: &Part) -> bool {
    matches!(part, Part::Text(_) | Part::Refusal(_) | Part::Image { .. } | Part::File { .. })
}

fn reasoning(list: &mut List<'_>, fill: impl FnOnce(&mut Object<'_>)) {
    list.object(|o| o.object("reasoningContent", fill));
}

fn write_call(o: &mut Object<'_>, call: &ToolCall) {
    write_id(o, &call.id);
    o.text("name", &call.name);
    match object_of(&call.arguments) {
        Some(input) => o.raw("input", input),
        // What a model wrote badly is still shown to it.
        None => o.object("input", |o| o.text("invalid_json", &call.arguments)),
    }
}

/// Bedrock takes ids of 64 letters, digits and `_.:-`. Longer ones keep their beginning and end in
/// a hash of the whole; a call and its result are changed alike.
fn write_id(o: &mut Object<'_>, id: &str) {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"_.:-".contains(&b);
    let out = o.key("toolUseId");
    out.put_u8(b'"');
    let whole = id.len() <= MAX_ID;
    for byte in id.bytes().take(if whole { MAX_ID } else { MAX_ID - 17 }) {
        out.put_u8(if fits(byte) { byte } else { b'_' });
    }
    if !whole {
        out.put_slice(format!("-{:016x}", fnv(id)).as_bytes());
    }
    if id.is_empty() {
        out.put_u8(b'_');
    }
    out.put_u8(b'"');
}

/// FNV-1a: the same everywhere and always.
fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A raw value that is a JSON object.
pub(super) fn is_object(raw: &RawValue) -> bool {
    raw.get().starts_with('{')
}
