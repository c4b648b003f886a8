//! Parts of a message's content, both ways.

use serde_json::value::RawValue;

use super::{chunk::Prose, request::thinking_blocks};
use crate::{
    dialect::{
        fields::{At, Fields, is_string, list, string},
        json::{List, Object},
        responses::ITEM,
    },
    exchange::Malformed,
    matrix::Dialect,
    op::chat::{Block, CacheMark, Extra, MAX_BLOCKS, Part, Source},
};

/// The parts of a content list.
pub(super) fn list_of(raw: &RawValue, at: &At<'_>) -> Result<Vec<Block>, Malformed> {
    list(raw, at, MAX_BLOCKS)?
        .into_iter()
        .enumerate()
        .map(|(index, raw)| read(raw, At::Item(at, index)))
        .collect()
}

fn read(raw: &RawValue, at: At<'_>) -> Result<Block, Malformed> {
    let mut fields = Fields::of(raw, at)?;
    let kind = fields.need_text("type")?;
    let part = match kind.as_str() {
        "text" => Some(Part::Text(fields.need_text("text")?)),
        "refusal" => Some(Part::Refusal(fields.need_text("refusal")?)),
        "image_url" => image(&mut fields)?,
        "input_audio" => audio(&mut fields)?,
        "file" => file(&mut fields)?,
        // Mistral's models think among their parts.
        // https://docs.mistral.ai/capabilities/reasoning/
        "thinking" => {
            let prose: Prose = fields.need("thinking", "a list of texts")?;
            Some(Part::Thinking { text: prose.text, signature: None })
        }
        _ => None,
    };
    let Some(part) = part else {
        return Ok(Part::Other { dialect: Dialect::Openai, raw: raw.to_owned() }.into());
    };
    Ok(Block { part, cache: cache(&mut fields)?, extra: fields.rest() })
}

/// `None` for a part with members that the hub does not know.
fn image(fields: &mut Fields<'_, '_>) -> Result<Option<Part>, Malformed> {
    let up = fields.at();
    let at = At::Field(&up, "image_url");
    let Some(raw) = fields.take("image_url") else { return Err(at.wrong("an object")) };
    if is_string(raw) {
        return Ok(Some(Part::Image { source: source_of(string(raw, &at)?), detail: None }));
    }
    let mut image = Fields::of(raw, at)?;
    let source = source_of(image.need_text("url")?);
    let detail = image.text("detail")?;
    Ok(image.is_empty().then_some(Part::Image { source, detail }))
}

/// The pictures of an answer, as OpenRouter and LiteLLM have them:
/// `[{"type": "image_url", "image_url": {"url": "data:image/png;base64,…"}}]`. Anything else in the
/// list stays as it is.
/// <https://openrouter.ai/docs/features/multimodal/image-generation>
pub(super) fn pictures(raw: &RawValue, at: &At<'_>) -> Result<Vec<Block>, Malformed> {
    let pictures = list(raw, at, MAX_BLOCKS)?.into_iter().enumerate();
    pictures
        .map(|(index, raw)| {
            let mut fields = Fields::of(raw, At::Item(at, index))?;
            fields.take("type");
            let part = image(&mut fields)?;
            let other = || Part::Other { dialect: Dialect::Openai, raw: raw.to_owned() };
            Ok(Block { part: part.unwrap_or_else(other), cache: None, extra: fields.rest() })
        })
        .collect()
}

/// Writes a picture of an answer.
pub(super) fn write_picture(list: &mut List<'_>, url: &str, index: u64, extra: Option<&Extra>) {
    list.object(|o| {
        o.text("type", "image_url");
        o.object("image_url", |o| o.text("url", url));
        match extra {
            Some(extra) => o.extra(extra),
            None => o.integer("index", index),
        }
    });
}

fn audio(fields: &mut Fields<'_, '_>) -> Result<Option<Part>, Malformed> {
    let up = fields.at();
    let at = At::Field(&up, "input_audio");
    let Some(raw) = fields.take("input_audio") else { return Err(at.wrong("an object")) };
    let mut audio = Fields::of(raw, at)?;
    let part = Part::Audio { data: audio.need_text("data")?, format: audio.need_text("format")? };
    Ok(audio.is_empty().then_some(part))
}

fn file(fields: &mut Fields<'_, '_>) -> Result<Option<Part>, Malformed> {
    let up = fields.at();
    let at = At::Field(&up, "file");
    let Some(raw) = fields.take("file") else { return Err(at.wrong("an object")) };
    let mut file = Fields::of(raw, at)?;
    let name = file.text("filename")?;
    let source = match (file.text("file_data")?, file.text("file_id")?) {
        (Some(data), None) => source_of(data),
        (None, Some(id)) => Source::FileId(id),
        (Some(_), Some(_)) | (None, None) => return Ok(None),
    };
    Ok(file.is_empty().then_some(Part::File { source, name }))
}

/// `data:image/png;base64,iVBOR…` is in place; anything else is an address.
pub(in crate::dialect) fn source_of(url: String) -> Source {
    let parts = url
        .strip_prefix("data:")
        .and_then(|rest| rest.split_once(";base64,"))
        .filter(|(media_type, _)| !media_type.is_empty() && !media_type.contains([';', ',']));
    match parts {
        Some((media_type, data)) => {
            Source::Base64 { media_type: media_type.to_owned(), data: data.to_owned() }
        }
        None => Source::Url(url),
    }
}

/// The address of a source; `None` where OpenAI has no way to say it.
pub(in crate::dialect) fn url_of(source: &Source) -> Option<String> {
    match source {
        Source::Base64 { media_type, data } => Some(format!("data:{media_type};base64,{data}")),
        Source::Url(url) => Some(url.clone()),
        Source::FileId(_) | Source::Text(_) => None,
    }
}

/// Takes `cache_control` out. LiteLLM's clients mark OpenAI-shaped parts with it.
pub(super) fn cache(fields: &mut Fields<'_, '_>) -> Result<Option<CacheMark>, Malformed> {
    let up = fields.at();
    let Some(raw) = fields.take("cache_control") else { return Ok(None) };
    let mut mark = Fields::of(raw, At::Field(&up, "cache_control"))?;
    mark.text("type")?;
    Ok(Some(CacheMark { ttl: mark.text("ttl")? }))
}

/// Writes `cache_control`.
pub(in crate::dialect) fn write_cache(o: &mut Object<'_>, mark: Option<&CacheMark>) {
    if let Some(mark) = mark {
        o.object("cache_control", |o| {
            o.text("type", "ephemeral");
            o.some_text("ttl", mark.ttl.as_deref());
        });
    }
}

/// Takes `thinking_blocks` and `reasoning_content` out of an assistant's message. The second only
/// repeats the first where both are there.
pub(super) fn thoughts(fields: &mut Fields<'_, '_>) -> Result<Vec<Block>, Malformed> {
    let up = fields.at();
    let text = fields.text("reasoning_content")?;
    let signed = match fields.take("thinking_blocks") {
        Some(raw) => thinking_blocks(raw, &At::Field(&up, "thinking_blocks"))?,
        None => Vec::new(),
    };
    if !signed.is_empty() {
        return Ok(signed);
    }
    Ok(match text {
        Some(text) if !text.is_empty() => vec![Part::Thinking { text, signature: None }.into()],
        Some(_) | None => Vec::new(),
    })
}

/// Writes `reasoning_content`, and `thinking_blocks` where there is more to them than text.
pub(super) fn write_thoughts(o: &mut Object<'_>, blocks: &[Block]) {
    let mut text = String::new();
    let mut signed = false;
    for block in blocks {
        if let Part::Thinking { text: thought, signature } = &block.part {
            text.push_str(thought);
            signed |= signature.is_some();
        }
        signed |= matches!(block.part, Part::RedactedThinking(_));
    }
    if !text.is_empty() {
        o.text("reasoning_content", &text);
    }
    if signed {
        o.list("thinking_blocks", |list| {
            for block in blocks {
                write_thought(list, block);
            }
        });
    }
}

fn write_thought(list: &mut List<'_>, block: &Block) {
    let marks = |o: &mut Object<'_>| {
        write_cache(o, block.cache.as_ref());
        for (name, raw) in block.extra.iter().filter(|(name, _)| **name != *ITEM) {
            o.raw(name, raw.get());
        }
    };
    if let Part::Thinking { text, signature } = &block.part {
        list.object(|o| {
            o.text("type", "thinking");
            o.text("thinking", text);
            o.some_text("signature", signature.as_deref());
            marks(o);
        });
    } else if let Part::RedactedThinking(data) = &block.part {
        list.object(|o| {
            o.text("type", "redacted_thinking");
            o.text("data", data);
            marks(o);
        });
    }
}
