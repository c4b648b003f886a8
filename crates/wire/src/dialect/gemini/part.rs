//! Parts of a content, both ways. <https://ai.google.dev/api/caching#Part>

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::value::RawValue;

use crate::{
    dialect::{
        fields::{At, Fields},
        json::{self, Object},
        signature::{self, Shown},
    },
    exchange::Malformed,
    matrix::Dialect,
    op::chat::{
        Block, Extra, Form, MAX_BLOCKS, MAX_TOOL_CALLS, Part, Source, ToolCall, ToolResult,
    },
};

/// What a result says that is nothing but a picture, which stands beside it.
const PICTURE_BESIDE: &str = "(see the picture beside this)";

/// What sound without a file around it is, OpenAI's and Google's alike.
/// <https://ai.google.dev/gemini-api/docs/speech-generation>
pub(super) const SOUND: &str = "audio/L16;codec=pcm;rate=24000";

/// How an id begins that a Gemini client did not give and that is not to be sent.
const UNSAID: &str = "gemini_call_";

/// Names for the calls that have none, as all others need one: Google tells calls apart by their
/// order.
pub(super) struct Ids {
    prefix: String,
    next: u64,
    /// Calls of a request that no result has answered yet: name, id.
    waiting: Vec<(String, String)>,
}

impl Ids {
    /// Of a request.
    pub(super) fn of_request() -> Self {
        Ids { prefix: UNSAID.to_owned(), next: 0, waiting: Vec::new() }
    }

    /// Of an answer.
    pub(super) fn of_answer(id: &str) -> Self {
        let id: String = id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
        Ids { prefix: format!("call_{id}_"), next: 0, waiting: Vec::new() }
    }

    pub(super) fn call(&mut self, id: Option<String>, name: &str) -> String {
        let id = id.filter(|id| !id.is_empty()).unwrap_or_else(|| {
            self.next += 1;
            format!("{}{}", self.prefix, self.next - 1)
        });
        if self.waiting.len() == MAX_TOOL_CALLS {
            self.waiting.remove(0);
        }
        self.waiting.push((name.to_owned(), id.clone()));
        id
    }

    fn result(&mut self, id: Option<String>, name: &str) -> String {
        let said = id.filter(|id| !id.is_empty());
        let found = self.waiting.iter().position(|(called, id)| match &said {
            Some(said) => id == said,
            None => called == name,
        });
        let waited = found.map(|at| self.waiting.remove(at).1);
        // A result of a call that is not there says at least whose it is.
        said.or(waited).unwrap_or_else(|| format!("{UNSAID}{name}"))
    }
}

/// One part. Parts of kinds that the hub does not know stay as they are.
pub(super) fn read(raw: &RawValue, at: At<'_>, ids: &mut Ids) -> Result<Block, Malformed> {
    let mut fields = Fields::of(raw, at)?.camel()?;
    let other = || Block::from(Part::Other { dialect: Dialect::Gemini, raw: raw.to_owned() });
    let thought = fields.get("thought", "true or false")?.unwrap_or(false);
    let signature = fields.text("thoughtSignature")?.filter(|text| !text.is_empty());
    if let Some(text) = fields.text("text")? {
        let block = if thought { thinking(text, signature) } else { said(text, signature) };
        return Ok(Block { extra: [block.extra, fields.rest()].concat(), ..block });
    }
    let mut extra = signature.as_deref().map(signature::extra).unwrap_or_default();
    let part = if thought {
        None
    } else if let Some(blob) = fields.take("inlineData") {
        let mut blob = Fields::of(blob, At::Field(&at, "inlineData"))?.camel()?;
        let part = inline(&mut blob)?;
        extra.extend(blob.rest());
        Some(part)
    } else if let Some(data) = fields.take("fileData") {
        let mut data = Fields::of(data, At::Field(&at, "fileData"))?.camel()?;
        let part = file(&mut data, &mut extra)?;
        extra.extend(data.rest());
        Some(part)
    } else if let Some(call) = fields.take("functionCall") {
        let mut call = Fields::of(call, At::Field(&at, "functionCall"))?.camel()?;
        let (id, name) = (call.text("id")?, call.need_text("name")?);
        let arguments = call.take("args").map_or("{}", RawValue::get);
        let call = ToolCall { id: ids.call(id, &name), name, arguments: json::compact(arguments) };
        Some(Part::ToolCall(call))
    } else if let Some(response) = fields.take("functionResponse") {
        let response = Fields::of(response, At::Field(&at, "functionResponse"))?.camel()?;
        Some(Part::ToolResult(result(response, ids)?))
    } else {
        None
    };
    let Some(part) = part else { return Ok(other()) };
    extra.extend(fields.rest());
    Ok(Block { part, cache: None, extra })
}

fn thinking(text: String, signature: Option<String>) -> Block {
    match signature.as_deref().map(signature::from_client) {
        Some(Shown::Redacted(data)) => Part::RedactedThinking(data).into(),
        Some(Shown::Signature(signature)) => {
            Part::Thinking { text, signature: Some(signature) }.into()
        }
        None => Part::Thinking { text, signature: None }.into(),
    }
}

fn said(text: String, signature: Option<String>) -> Block {
    let extra = signature.as_deref().map(signature::extra).unwrap_or_default();
    Block { part: Part::Text(text), cache: None, extra }
}

fn inline(blob: &mut Fields<'_, '_>) -> Result<Part, Malformed> {
    let media_type = blob.need_text("mimeType")?;
    let data = blob.need_text("data")?;
    Ok(match media_type.split_once('/') {
        Some(("image", _)) => {
            Part::Image { source: Source::Base64 { media_type, data }, detail: None }
        }
        Some(("audio", kind)) => Part::Audio { data, format: audio_format(kind).to_owned() },
        _ => Part::File {
            source: Source::Base64 { media_type, data },
            name: blob.text("displayName")?,
        },
    })
}

fn file(data: &mut Fields<'_, '_>, extra: &mut Extra) -> Result<Part, Malformed> {
    let media_type = data.raw("mimeType");
    let uri = data.need_text("fileUri")?;
    let image = media_type.as_ref().is_some_and(|kind| kind.get().starts_with("\"image/"));
    extra.extend(media_type.map(|kind| ("mimeType".into(), kind)));
    let source = if is_at_google(&uri) { Source::FileId(uri) } else { Source::Url(uri) };
    Ok(if image {
        Part::Image { source, detail: None }
    } else {
        Part::File { source, name: data.text("displayName")? }
    })
}

/// The JSON of the response is the text of the result; pictures and the like follow.
fn result(mut response: Fields<'_, '_>, ids: &mut Ids) -> Result<ToolResult, Malformed> {
    let up = response.at();
    let (id, name) = (response.text("id")?, response.need_text("name")?);
    let said = response.take("response").map_or("{}", RawValue::get);
    let mut blocks = vec![Part::Text(json::compact(said)).into()];
    let parts_at = At::Field(&up, "parts");
    for (index, raw) in response.list("parts", MAX_BLOCKS)?.unwrap_or_default().iter().enumerate() {
        let block = read(raw, At::Item(&parts_at, index), ids)?;
        // A result within a result would be without end.
        if matches!(block.part, Part::ToolResult(_) | Part::ToolCall(_)) {
            return Err(parts_at.wrong("no functions within a function's response"));
        }
        blocks.push(block);
    }
    let is_error = said.trim_start_matches('{').trim_start().starts_with("\"error\"");
    let id = ids.result(id, &name);
    let form = if blocks.len() > 1 { Form::List } else { Form::Bare };
    Ok(ToolResult { id, blocks, form: Some(form), is_error: is_error.then_some(true) })
}

/// Files that were uploaded to Google, or lie in its storage.
pub(super) fn is_at_google(uri: &str) -> bool {
    uri.starts_with("gs://")
        || uri.starts_with("files/")
        || uri.starts_with("https://generativelanguage.googleapis.com/")
}

/// `wav` and `mp3` are OpenAI's words.
fn audio_format(kind: &str) -> &str {
    match kind {
        "mpeg" => "mp3",
        "x-wav" | "wave" => "wav",
        other => other,
    }
}

/// How a part is to be written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spelling<'a> {
    /// Whether the other side speaks Google's dialect too.
    pub(super) native: bool,
    /// Whether it is an answer for a client: then signatures of other providers are held.
    pub(super) client: bool,
    /// The signature that goes with the part, if its block does not say.
    pub(super) signature: Option<&'a str>,
    /// `mediaResolution` of a picture.
    pub(super) resolution: Option<&'a str>,
}

/// A part's JSON; `None` for what Google has no part for, which was refused or named before.
pub(super) fn write(block: &Block, how: Spelling<'_>) -> Option<Bytes> {
    let mut out = BytesMut::new();
    if let Part::Other { dialect: Dialect::Gemini, raw } = &block.part {
        out.put_slice(raw.get().as_bytes());
        return Some(out.freeze());
    }
    let mut written = true;
    json::object(&mut out, |o| {
        written = write_part(o, block, how);
        if let Some(level) = how.resolution {
            o.object("mediaResolution", |o| o.text("level", level));
        }
        let own = signature::in_extra(&block.extra);
        o.some_text("thoughtSignature", own.as_deref().or(how.signature));
        if how.native && !matches!(block.part, Part::File { .. } | Part::Image { .. }) {
            write_extra(o, &block.extra);
        }
    });
    written.then(|| out.freeze())
}

fn write_extra(o: &mut Object<'_>, extra: &Extra) {
    for (name, raw) in extra {
        if **name != *signature::EXTRA_CONTENT && **name != *"mimeType" {
            o.raw(name, raw.get());
        }
    }
}

fn write_part(o: &mut Object<'_>, block: &Block, how: Spelling<'_>) -> bool {
    match &block.part {
        Part::Text(text) | Part::Refusal(text) => o.text("text", text),
        Part::Thinking { text, signature } => {
            o.text("text", text);
            o.flag("thought", true);
            if how.client {
                let held = signature.as_deref().map(signature::to_client);
                o.some_text("thoughtSignature", held.as_deref());
            } else {
                let signature = signature.as_deref().and_then(signature::of_google);
                o.some_text("thoughtSignature", signature);
            }
        }
        Part::RedactedThinking(data) if how.client => {
            o.text("text", "");
            o.flag("thought", true);
            o.text("thoughtSignature", &signature::redacted_to_client(data));
        }
        Part::Image { source, .. } => return write_source(o, source, block, how.native, true),
        Part::File { source, name } => {
            if let Source::Text(text) = source {
                match name {
                    Some(name) => o.text("text", &format!("{name}\n\n{text}")),
                    None => o.text("text", text),
                }
                return true;
            }
            return write_source(o, source, block, how.native, false);
        }
        Part::Audio { data, format } => o.object("inlineData", |o| {
            match format.as_str() {
                "pcm16" => o.text("mimeType", SOUND),
                format => o.text("mimeType", &format!("audio/{format}")),
            }
            o.text("data", data);
        }),
        Part::ToolCall(call) => o.object("functionCall", |o| {
            if !call.id.starts_with(UNSAID) {
                o.text("id", &call.id);
            }
            o.text("name", &call.name);
            write_arguments(o, &call.arguments);
        }),
        Part::ToolResult(_) | Part::RedactedThinking(_) => return false,
        Part::Other { .. } | Part::OtherCall { .. } => return false,
    }
    true
}

/// Arguments as the object that Google wants. What a model wrote badly is still shown to whoever
/// is to run the tool.
pub(super) fn write_arguments(o: &mut Object<'_>, arguments: &str) {
    match json::object_of(arguments) {
        Some(arguments) => o.raw("args", arguments),
        None => o.object("args", |o| o.text("invalid_json", arguments)),
    }
}

fn write_source(
    o: &mut Object<'_>,
    source: &Source,
    block: &Block,
    native: bool,
    image: bool,
) -> bool {
    // Members of the blob, and members beside it.
    let beside = |name: &str| matches!(name, "videoMetadata" | "mediaResolution" | "partMetadata");
    let within = |o: &mut Object<'_>, within: bool| {
        let extra = block.extra.iter().filter(|_| native);
        for (name, raw) in extra.filter(|(name, _)| beside(name) != within) {
            if **name != *signature::EXTRA_CONTENT && **name != *"mimeType" {
                o.raw(name, raw.get());
            }
        }
    };
    match source {
        Source::Base64 { media_type, data } => o.object("inlineData", |o| {
            o.text("mimeType", media_type);
            o.text("data", data);
            if native && let Part::File { name, .. } = &block.part {
                o.some_text("displayName", name.as_deref());
            }
            within(o, true);
        }),
        Source::FileId(uri) if !native && !is_at_google(uri) => return false,
        Source::Url(uri) | Source::FileId(uri) => o.object("fileData", |o| {
            let said = block.extra.iter().find(|(name, _)| **name == *"mimeType");
            match said {
                Some((name, raw)) => o.raw(name, raw.get()),
                None => o.some_text("mimeType", guessed(uri, image)),
            }
            o.text("fileUri", uri);
            within(o, true);
        }),
        Source::Text(_) => return false,
    }
    within(o, false);
    true
}

/// The media type by a file's ending: Google wants to be told.
fn guessed(uri: &str, image: bool) -> Option<&'static str> {
    let path = uri.split(['?', '#']).next().unwrap_or(uri);
    let ending = path.rsplit('/').next().and_then(|file| file.rsplit_once('.'));
    Some(match ending.map(|(_, ending)| ending.to_ascii_lowercase()).as_deref() {
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("webp") => "image/webp",
        Some("gif") => "image/gif",
        Some("heic") => "image/heic",
        Some("heif") => "image/heif",
        Some("pdf") => "application/pdf",
        Some("txt") => "text/plain",
        Some("mp4") => "video/mp4",
        Some("mov") => "video/mov",
        Some("webm") => "video/webm",
        Some("mp3") => "audio/mp3",
        Some("wav") => "audio/wav",
        _ if image => "image/jpeg",
        _ => return None,
    })
}

/// Writes a tool's result as a `functionResponse`. Pictures stay within it only between equals;
/// else they stand beside it.
pub(super) fn write_result(result: &ToolResult, name: &str, native: bool) -> Bytes {
    let mut out = BytesMut::new();
    json::object(&mut out, |o| {
        o.object("functionResponse", |o| {
            if !result.id.starts_with(UNSAID) {
                o.text("id", &result.id);
            }
            o.text("name", name);
            write_response(o, result);
            let parts = result.blocks.iter().filter(|block| !is_text(block));
            let how = Spelling { native, client: false, signature: None, resolution: None };
            let parts: Vec<Bytes> =
                parts.filter(|_| native).filter_map(|block| write(block, how)).collect();
            if !parts.is_empty() {
                o.list("parts", |list| {
                    for part in &parts {
                        list.item().put_slice(part);
                    }
                });
            }
        });
    });
    out.freeze()
}

pub(super) fn is_text(block: &Block) -> bool {
    matches!(block.part, Part::Text(_))
}

/// An object goes as it is; any other text as Google's `output` or `error`.
/// <https://ai.google.dev/api/caching#FunctionResponse>
fn write_response(o: &mut Object<'_>, result: &ToolResult) {
    let texts = result.blocks.iter().filter_map(|block| match &block.part {
        Part::Text(text) => Some(text.as_str()),
        _ => None,
    });
    let mut text = texts.collect::<Vec<_>>().join("\n\n");
    if text.is_empty() && !result.blocks.is_empty() {
        PICTURE_BESIDE.clone_into(&mut text);
    }
    let object = json::object_of(&text).filter(|_| !text.trim().is_empty());
    match object {
        Some(object) => o.raw("response", object),
        None => o.object("response", |o| {
            o.text(if result.is_error == Some(true) { "error" } else { "output" }, &text);
        }),
    }
}

/// The name within an id that [`Ids::result`] made for a call that is not there.
pub(super) fn name_in(id: &str) -> Option<&str> {
    id.strip_prefix(UNSAID)
}
