//! Content blocks, both ways.

use bytes::BufMut;
use serde_json::value::RawValue;

use crate::{
    dialect::{
        fields::{At, Fields, is_string, list, string},
        json::{self, List, Object},
        openai::write_cache,
    },
    exchange::Malformed,
    matrix::Dialect,
    op::chat::{Block, CacheMark, Form, MAX_BLOCKS, Part, Source, ToolCall, ToolResult},
};

/// A string or a list of blocks.
pub(super) fn content(raw: &RawValue, at: &At<'_>) -> Result<(Form, Vec<Block>), Malformed> {
    if is_string(raw) {
        return Ok((Form::Bare, vec![Part::Text(string(raw, at)?).into()]));
    }
    if !raw.get().starts_with('[') {
        return Err(at.wrong("a string or a list of blocks"));
    }
    let blocks = list(raw, at, MAX_BLOCKS)?
        .into_iter()
        .enumerate()
        .map(|(index, raw)| read(raw, At::Item(at, index)))
        .collect::<Result<_, _>>()?;
    Ok((Form::List, blocks))
}

/// One block. Blocks of kinds that the hub does not know stay as they are.
pub(super) fn read(raw: &RawValue, at: At<'_>) -> Result<Block, Malformed> {
    let mut fields = Fields::of(raw, at)?;
    let kind = fields.need_text("type")?;
    let part = match kind.as_str() {
        "text" => Some(Part::Text(fields.need_text("text")?)),
        "image" => source(&mut fields)?.map(|source| Part::Image { source, detail: None }),
        "document" => match source(&mut fields)? {
            Some(source) => Some(Part::File { source, name: fields.text("title")? }),
            None => None,
        },
        "thinking" => Some(Part::Thinking {
            text: fields.need_text("thinking")?,
            // Ours, where a provider does not sign: see `reply::write`.
            signature: fields.text("signature")?.filter(|signature| !signature.is_empty()),
        }),
        "redacted_thinking" => Some(Part::RedactedThinking(fields.need_text("data")?)),
        "tool_use" => Some(Part::ToolCall(ToolCall {
            id: fields.need_text("id")?,
            name: fields.need_text("name")?,
            arguments: json::compact(fields.take("input").map_or("{}", RawValue::get)),
        })),
        "tool_result" => Some(Part::ToolResult(tool_result(&mut fields)?)),
        _ => None,
    };
    let Some(part) = part else {
        return Ok(Part::Other { dialect: Dialect::Anthropic, raw: raw.to_owned() }.into());
    };
    Ok(Block { part, cache: cache(&mut fields)?, extra: fields.rest() })
}

fn tool_result(fields: &mut Fields<'_, '_>) -> Result<ToolResult, Malformed> {
    let up = fields.at();
    let id = fields.need_text("tool_use_id")?;
    let is_error = fields.get("is_error", "true or false")?;
    let Some(raw) = fields.take("content") else {
        return Ok(ToolResult { id, blocks: Vec::new(), form: None, is_error });
    };
    let at = At::Field(&up, "content");
    let (form, blocks) = content(raw, &at)?;
    // A result within a result would be without end.
    if blocks.iter().any(|block| matches!(block.part, Part::ToolResult(_))) {
        return Err(at.wrong("no tool result within a tool result"));
    }
    Ok(ToolResult { id, blocks, form: Some(form), is_error })
}

/// `None` for a source that the hub does not know.
fn source(fields: &mut Fields<'_, '_>) -> Result<Option<Source>, Malformed> {
    let up = fields.at();
    let at = At::Field(&up, "source");
    let Some(raw) = fields.take("source") else { return Err(at.wrong("an object")) };
    let mut source = Fields::of(raw, at)?;
    let read = match source.need_text("type")?.as_str() {
        "base64" => Source::Base64 {
            media_type: source.need_text("media_type")?,
            data: source.need_text("data")?,
        },
        "url" => Source::Url(source.need_text("url")?),
        "file" => Source::FileId(source.need_text("file_id")?),
        "text" => {
            source.take("media_type");
            Source::Text(source.need_text("data")?)
        }
        _ => return Ok(None),
    };
    Ok(source.is_empty().then_some(read))
}

/// Takes `cache_control` out.
pub(super) fn cache(fields: &mut Fields<'_, '_>) -> Result<Option<CacheMark>, Malformed> {
    let up = fields.at();
    let Some(raw) = fields.take("cache_control") else { return Ok(None) };
    let mut mark = Fields::of(raw, At::Field(&up, "cache_control"))?;
    mark.text("type")?;
    Ok(Some(CacheMark { ttl: mark.text("ttl")? }))
}

/// Writes a block. What Anthropic has no block for was refused or named before: it is left out.
pub(super) fn write(list: &mut List<'_>, block: &Block, native: bool) {
    let marks = |o: &mut Object<'_>| {
        write_cache(o, block.cache.as_ref());
        if native {
            o.extra(&block.extra);
        }
    };
    match &block.part {
        Part::Text(text) | Part::Refusal(text) => list.object(|o| {
            o.text("type", "text");
            o.text("text", text);
            marks(o);
        }),
        Part::Image { source, .. } => list.object(|o| {
            write_image(o, source);
            marks(o);
        }),
        Part::File { source, name } => list.object(|o| {
            o.text("type", "document");
            write_source(o, source);
            o.some_text("title", name.as_deref());
            marks(o);
        }),
        Part::Thinking { text, signature } => list.object(|o| {
            o.text("type", "thinking");
            o.text("thinking", text);
            o.text("signature", signature.as_deref().unwrap_or_default());
            marks(o);
        }),
        Part::RedactedThinking(data) => list.object(|o| {
            o.text("type", "redacted_thinking");
            o.text("data", data);
            marks(o);
        }),
        Part::ToolCall(call) => list.object(|o| {
            write_call(o, call, native);
            marks(o);
        }),
        Part::ToolResult(result) => list.object(|o| {
            write_result(o, result, native);
            marks(o);
        }),
        Part::Other { dialect: Dialect::Anthropic, raw } => list.raw(raw.get()),
        Part::Other { .. } | Part::Audio { .. } | Part::OtherCall { .. } => {}
    }
}

/// Writes a picture. Anthropic's own answers have none: in those of others it is what it is in a
/// request, where the client can send it back.
pub(super) fn write_image(o: &mut Object<'_>, source: &Source) {
    o.text("type", "image");
    write_source(o, source);
}

fn write_source(o: &mut Object<'_>, source: &Source) {
    o.object("source", |o| match source {
        Source::Base64 { media_type, data } => {
            o.text("type", "base64");
            o.text("media_type", media_type);
            o.text("data", data);
        }
        Source::Url(url) => {
            o.text("type", "url");
            o.text("url", url);
        }
        Source::FileId(id) => {
            o.text("type", "file");
            o.text("file_id", id);
        }
        Source::Text(text) => {
            o.text("type", "text");
            o.text("media_type", "text/plain");
            o.text("data", text);
        }
    });
}

fn write_call(o: &mut Object<'_>, call: &ToolCall, native: bool) {
    o.text("type", "tool_use");
    write_id(o, "id", &call.id, native);
    o.text("name", &call.name);
    match json::object_of(&call.arguments) {
        Some(input) => o.raw("input", input),
        // What a model wrote badly is still shown to whoever is to run the tool.
        None => o.object("input", |o| o.text("invalid_json", &call.arguments)),
    }
}

fn write_result(o: &mut Object<'_>, result: &ToolResult, native: bool) {
    o.text("type", "tool_result");
    write_id(o, "tool_use_id", &result.id, native);
    if let Some(form) = result.form {
        write_content(o, &result.blocks, form, native);
    }
    if let Some(is_error) = result.is_error {
        o.flag("is_error", is_error);
    }
}

/// Writes `content` as it was: one string, or a list.
pub(super) fn write_content(o: &mut Object<'_>, blocks: &[Block], form: Form, native: bool) {
    if let (Form::Bare, [Block { part: Part::Text(text), cache: None, .. }]) = (form, blocks) {
        o.text("content", text);
        return;
    }
    o.list("content", |list| {
        for block in blocks {
            write(list, block, native);
        }
    });
}

/// Anthropic takes ids of letters, digits, `_` and `-`; other providers make others, such as
/// `functions.search:0`. The call and its result are changed alike.
fn write_id(o: &mut Object<'_>, name: &str, id: &str, native: bool) {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if native || id.chars().all(fits) {
        o.text(name, id);
        return;
    }
    let out = o.key(name);
    out.put_u8(b'"');
    for character in id.chars() {
        out.put_u8(u8::try_from(character).ok().filter(|_| fits(character)).unwrap_or(b'_'));
    }
    out.put_u8(b'"');
}
