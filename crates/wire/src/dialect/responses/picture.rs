//! Pictures that the model made: items of the type `image_generation_call`.
//! <https://platform.openai.com/docs/guides/tools-image-generation>
//!
//! What a provider shows of one while it makes it (`partial_image`) is shown to clients of responses
//! alone, for what follows takes its place.

use super::{item, output};
use crate::{
    dialect::{fields::Fields, json::Object, openai::url_of},
    exchange::Malformed,
    op::chat::{Block, Extra, Part, Source},
};

/// The type of the item, and how the names of its events begin.
pub(super) const KIND: &str = "image_generation_call";

/// Reads an item; `None` for one without a picture, as one that is under way or failed has none.
pub(super) fn read(mut fields: Fields<'_, '_>) -> Result<Option<Block>, Malformed> {
    let Some(data) = fields.text("result")?.filter(|data| !data.is_empty()) else {
        return Ok(None);
    };
    let rest = fields.rest();
    let format = rest.iter().find(|(name, _)| **name == *"output_format");
    let media_type = match format.map(|(_, raw)| raw.get().trim_matches('"')) {
        Some(format) => format!("image/{format}"),
        None => guessed(&data).to_owned(),
    };
    let part = Part::Image { source: Source::Base64 { media_type, data }, detail: None };
    Ok(Some(item::block(part, rest)))
}

/// By how the base64 of a file begins.
fn guessed(data: &str) -> &'static str {
    match data.get(..5) {
        Some(start) if start.starts_with("/9j/") => "image/jpeg",
        Some("UklGR") => "image/webp",
        Some(_) | None => "image/png",
    }
}

/// A picture that is not in place, which such an item cannot have: as text.
pub(super) fn in_words(source: &Source) -> Option<String> {
    match source {
        Source::Base64 { .. } => None,
        other => Some(format!("![image]({})", url_of(other)?)),
    }
}

/// Writes the members of an item but for its id, which are those of its own provider first.
pub(super) fn write(o: &mut Object<'_>, source: &Source, rest: &Extra) {
    o.text("type", KIND);
    output::status(o, rest);
    o.extra(rest);
    if let Source::Base64 { media_type, data } = source {
        let format = media_type.strip_prefix("image/").unwrap_or(media_type);
        if !rest.iter().any(|(name, _)| **name == *"output_format") {
            o.text("output_format", format);
        }
        o.text("result", data);
    }
}
