//! Parts of a message's content, both ways.

use serde_json::value::RawValue;

use crate::{
    dialect::{
        fields::{At, Fields, is_string, list, string},
        json::{List, Object},
        openai::source_of,
    },
    exchange::Malformed,
    matrix::Dialect,
    op::chat::{Block, Extra, Form, MAX_BLOCKS, Part, Source},
};

/// A string or a list of parts.
pub(super) fn read(raw: &RawValue, at: &At<'_>) -> Result<(Form, Vec<Block>), Malformed> {
    if is_string(raw) {
        return Ok((Form::Bare, vec![Part::Text(string(raw, at)?).into()]));
    }
    if !raw.get().starts_with('[') {
        return Err(at.wrong("a string or a list of parts"));
    }
    let blocks = list(raw, at, MAX_BLOCKS)?
        .into_iter()
        .enumerate()
        .map(|(index, raw)| part(raw, At::Item(at, index)))
        .collect::<Result<_, _>>()?;
    Ok((Form::List, blocks))
}

fn part(raw: &RawValue, at: At<'_>) -> Result<Block, Malformed> {
    let mut fields = Fields::of(raw, at)?;
    let part = match fields.need_text("type")?.as_str() {
        "input_text" | "output_text" | "text" => Some(Part::Text(fields.need_text("text")?)),
        "refusal" => Some(Part::Refusal(fields.need_text("refusal")?)),
        "input_image" => image(&mut fields)?,
        "input_file" => file(&mut fields)?,
        "input_audio" => audio(&mut fields)?,
        _ => None,
    };
    let Some(part) = part else {
        return Ok(Part::Other { dialect: Dialect::Responses, raw: raw.to_owned() }.into());
    };
    let mut extra = fields.rest();
    // What a text does not have is mostly said, too.
    let empty = |name: &str| matches!(name, "annotations" | "logprobs");
    extra.retain(|(name, raw)| !(empty(name) && raw.get() == "[]"));
    Ok(Block { part, cache: None, extra })
}

/// `None` for a picture that is nowhere.
fn image(fields: &mut Fields<'_, '_>) -> Result<Option<Part>, Malformed> {
    let detail = fields.text("detail")?;
    let source = match (fields.text("image_url")?, fields.text("file_id")?) {
        (Some(url), None) => source_of(url),
        (None, Some(id)) => Source::FileId(id),
        (Some(_), Some(_)) | (None, None) => return Ok(None),
    };
    Ok(Some(Part::Image { source, detail }))
}

fn file(fields: &mut Fields<'_, '_>) -> Result<Option<Part>, Malformed> {
    let name = fields.text("filename")?;
    let (data, url) = (fields.text("file_data")?, fields.text("file_url")?);
    let source = match (data, url, fields.text("file_id")?) {
        (Some(data), None, None) => match source_of(data) {
            Source::Url(data) => Source::Base64 { media_type: media_type(name.as_deref()), data },
            source => source,
        },
        (None, Some(url), None) => Source::Url(url),
        (None, None, Some(id)) => Source::FileId(id),
        _ => return Ok(None),
    };
    Ok(Some(Part::File { source, name }))
}

/// Of a file that comes as bare base64.
fn media_type(name: Option<&str>) -> String {
    let extension = name.and_then(|name| name.rsplit_once('.')).map(|(_, end)| end);
    match extension {
        Some("txt" | "md") => "text/plain",
        Some("csv") => "text/csv",
        Some("html") => "text/html",
        Some("json") => "application/json",
        Some(_) | None => "application/pdf",
    }
    .to_owned()
}

fn audio(fields: &mut Fields<'_, '_>) -> Result<Option<Part>, Malformed> {
    let up = fields.at();
    let at = At::Field(&up, "input_audio");
    let Some(raw) = fields.take("input_audio") else { return Err(at.wrong("an object")) };
    let mut audio = Fields::of(raw, at)?;
    Ok(Some(Part::Audio { data: audio.need_text("data")?, format: audio.need_text("format")? }))
}

/// Whose words they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Voice {
    /// The client's.
    Input,
    /// The model's.
    Output,
}

/// Writes a part of a request's message. What has no place here was refused or named before.
/// `own` if the client spoke this dialect too: then what the hub does not know goes on.
pub(super) fn write(list: &mut List<'_>, block: &Block, voice: Voice, own: bool) {
    let none = Extra::new();
    let extra = if own { &block.extra } else { &none };
    let marks = |o: &mut Object<'_>| {
        for (name, raw) in extra.iter().filter(|(name, _)| **name != *super::item::ITEM) {
            o.raw(name, raw.get());
        }
    };
    match &block.part {
        Part::Text(text) if voice == Voice::Output => {
            list.object(|o| output_text(o, text, extra, None));
        }
        Part::Text(text) => list.object(|o| {
            o.text("type", "input_text");
            o.text("text", text);
            marks(o);
        }),
        Part::Refusal(text) => list.object(|o| {
            o.text("type", "refusal");
            o.text("refusal", text);
            marks(o);
        }),
        Part::Image { source, detail } => list.object(|o| {
            o.text("type", "input_image");
            match source {
                Source::FileId(id) => o.text("file_id", id),
                source => o.some_text("image_url", address(source).as_deref()),
            }
            o.some_text("detail", detail.as_deref());
            marks(o);
        }),
        Part::File { source: Source::Text(text), name } => list.object(|o| {
            o.text("type", "input_text");
            match name {
                Some(name) => o.text("text", &format!("{name}\n\n{text}")),
                None => o.text("text", text),
            }
        }),
        Part::File { source, name } => list.object(|o| {
            o.text("type", "input_file");
            o.some_text("filename", name.as_deref());
            match source {
                Source::FileId(id) => o.text("file_id", id),
                Source::Url(url) => o.text("file_url", url),
                source => o.some_text("file_data", address(source).as_deref()),
            }
            marks(o);
        }),
        Part::Audio { data, format } => list.object(|o| {
            o.text("type", "input_audio");
            o.object("input_audio", |o| {
                o.text("data", data);
                o.text("format", format);
            });
            marks(o);
        }),
        Part::Other { dialect: Dialect::Responses, raw } => list.raw(raw.get()),
        Part::Other { .. } | Part::OtherCall { .. } | Part::ToolResult(_) => {}
        Part::Thinking { .. } | Part::RedactedThinking(_) | Part::ToolCall(_) => {}
    }
}

/// Writes the members of a text of the model's. `item` is not one of them.
pub(super) fn output_text(o: &mut Object<'_>, text: &str, extra: &Extra, logprobs: Option<&str>) {
    o.text("type", "output_text");
    o.text("text", text);
    if !extra.iter().any(|(name, _)| **name == *"annotations") {
        o.list("annotations", |_| {});
    }
    if let Some(logprobs) = logprobs {
        o.raw("logprobs", logprobs);
    }
    for (name, raw) in extra.iter().filter(|(name, _)| **name != *super::item::ITEM) {
        o.raw(name, raw.get());
    }
}

/// `None` where there is none.
fn address(source: &Source) -> Option<String> {
    match source {
        Source::Base64 { media_type, data } => Some(format!("data:{media_type};base64,{data}")),
        Source::Url(url) => Some(url.clone()),
        Source::FileId(_) | Source::Text(_) => None,
    }
}
