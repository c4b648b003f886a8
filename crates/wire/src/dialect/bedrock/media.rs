//! Pictures, documents, video and sound: formats by name, bytes in base64 or a place in S3.

use std::collections::BTreeSet;

use base64::{Engine, prelude::BASE64_STANDARD};

use crate::{
    dialect::json::Object,
    op::chat::{Part, Source},
};

/// Most characters of a document's name.
const MAX_NAME: usize = 200;

/// Something that is neither text nor talk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Media<'a> {
    pub(super) kind: Kind,
    pub(super) format: &'static str,
    place: Place<'a>,
}

/// Which member of a content block it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Image,
    Document,
    Video,
    Audio,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place<'a> {
    Base64(&'a str),
    Text(&'a str),
    S3(&'a str),
}

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Kind::Image => "image",
            Kind::Document => "document",
            Kind::Video => "video",
            Kind::Audio => "audio",
        }
    }
}

/// What a part is as media, or why Bedrock cannot be told.
pub(super) fn of(part: &Part) -> Option<Result<Media<'_>, &'static str>> {
    Some(match part {
        Part::Image { source, .. } | Part::File { source, .. } => of_source(source),
        Part::Audio { data, format } => {
            let known = format_of(format).filter(|(kind, _)| *kind == Kind::Audio);
            known
                .map(|(kind, format)| Media { kind, format, place: Place::Base64(data) })
                .ok_or("bedrock has no such audio format")
        }
        _ => return None,
    })
}

fn of_source(source: &Source) -> Result<Media<'_>, &'static str> {
    match source {
        Source::Base64 { media_type, data } => {
            let (kind, format) =
                of_media_type(media_type).ok_or("bedrock has no such media type")?;
            Ok(Media { kind, format, place: Place::Base64(data) })
        }
        Source::Text(text) => {
            Ok(Media { kind: Kind::Document, format: "txt", place: Place::Text(text) })
        }
        Source::Url(url) if url.starts_with("s3://") => {
            let ending = url.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
            let (kind, format) = ending
                .as_deref()
                .and_then(format_of)
                .ok_or("the name of the object in S3 does not end in a format that bedrock has")?;
            Ok(Media { kind, format, place: Place::S3(url) })
        }
        Source::Url(_) => Err("bedrock fetches nothing from the web: send it in base64"),
        Source::FileId(_) => Err("the file is not at this provider"),
    }
}

/// <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_DocumentBlock.html> and
/// its neighbours.
fn of_media_type(media_type: &str) -> Option<(Kind, &'static str)> {
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    Some(match essence.as_str() {
        "text/plain" => (Kind::Document, "txt"),
        "text/markdown" => (Kind::Document, "md"),
        "application/msword" => (Kind::Document, "doc"),
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document" => {
            (Kind::Document, "docx")
        }
        "application/vnd.ms-excel" => (Kind::Document, "xls"),
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" => {
            (Kind::Document, "xlsx")
        }
        "video/quicktime" => (Kind::Video, "mov"),
        "video/x-matroska" => (Kind::Video, "mkv"),
        "video/x-flv" => (Kind::Video, "flv"),
        "video/x-ms-wmv" => (Kind::Video, "wmv"),
        "video/3gpp" => (Kind::Video, "three_gp"),
        "video/mp4" => (Kind::Video, "mp4"),
        "video/mpeg" => (Kind::Video, "mpeg"),
        "video/webm" => (Kind::Video, "webm"),
        "audio/mpeg" => (Kind::Audio, "mp3"),
        "audio/mp4" => (Kind::Audio, "m4a"),
        "audio/x-wav" => (Kind::Audio, "wav"),
        "audio/webm" => (Kind::Audio, "webm"),
        other => {
            let (class, ending) = other.split_once('/')?;
            let (kind, format) = format_of(ending)?;
            let fits = match kind {
                Kind::Image => class == "image",
                Kind::Document => class == "application" || class == "text",
                Kind::Video => class == "video",
                Kind::Audio => class == "audio",
            };
            return fits.then_some((kind, format));
        }
    })
}

/// A format by the ending of a file's name.
fn format_of(ending: &str) -> Option<(Kind, &'static str)> {
    Some(match ending {
        "png" => (Kind::Image, "png"),
        "jpeg" | "jpg" => (Kind::Image, "jpeg"),
        "gif" => (Kind::Image, "gif"),
        "webp" => (Kind::Image, "webp"),
        "pdf" => (Kind::Document, "pdf"),
        "csv" => (Kind::Document, "csv"),
        "doc" => (Kind::Document, "doc"),
        "docx" => (Kind::Document, "docx"),
        "xls" => (Kind::Document, "xls"),
        "xlsx" => (Kind::Document, "xlsx"),
        "html" => (Kind::Document, "html"),
        "txt" => (Kind::Document, "txt"),
        "md" => (Kind::Document, "md"),
        "mkv" => (Kind::Video, "mkv"),
        "mov" => (Kind::Video, "mov"),
        "mp4" => (Kind::Video, "mp4"),
        "webm" => (Kind::Video, "webm"),
        "flv" => (Kind::Video, "flv"),
        "mpeg" => (Kind::Video, "mpeg"),
        "mpg" => (Kind::Video, "mpg"),
        "wmv" => (Kind::Video, "wmv"),
        "3gp" => (Kind::Video, "three_gp"),
        "mp3" => (Kind::Audio, "mp3"),
        "opus" => (Kind::Audio, "opus"),
        "wav" => (Kind::Audio, "wav"),
        "aac" => (Kind::Audio, "aac"),
        "flac" => (Kind::Audio, "flac"),
        "ogg" => (Kind::Audio, "ogg"),
        "m4a" => (Kind::Audio, "m4a"),
        "pcm" | "pcm16" => (Kind::Audio, "pcm"),
        _ => return None,
    })
}

impl Media<'_> {
    /// Writes `source`.
    pub(super) fn write_source(&self, o: &mut Object<'_>) {
        o.object("source", |o| match self.place {
            Place::Base64(data) => o.text("bytes", data),
            Place::Text(text) => o.text("bytes", &BASE64_STANDARD.encode(text)),
            Place::S3(uri) => o.object("s3Location", |o| o.text("uri", uri)),
        });
    }
}

/// Whether this can be a blob.
pub(super) fn is_base64(text: &str) -> bool {
    BASE64_STANDARD.decode(text).is_ok()
}

/// The names of a request's documents: each may occur once.
#[derive(Debug, Default)]
pub(super) struct Names {
    taken: BTreeSet<String>,
}

impl Names {
    /// A name as Bedrock allows it: letters, digits, hyphens, brackets, parentheses, and single
    /// white space; not yet taken.
    pub(super) fn take(&mut self, wanted: Option<&str>) -> String {
        let name = clean(wanted.unwrap_or_default());
        let name = if name.is_empty() { "document".to_owned() } else { name };
        let mut free = name.clone();
        let mut number = 1;
        while !self.taken.insert(free.clone()) {
            number += 1;
            free = format!("{name} {number}");
        }
        free
    }
}

fn clean(wanted: &str) -> String {
    let mut name = String::new();
    for character in wanted.chars() {
        let allowed = character.is_ascii_alphanumeric() || "-()[]".contains(character);
        let fits = if allowed {
            character
        } else if character.is_whitespace() {
            ' '
        } else {
            '-'
        };
        if fits != ' ' || !name.ends_with(' ') {
            name.push(fits);
        }
        // Room for a number.
        if name.len() + 8 > MAX_NAME {
            break;
        }
    }
    name.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_clean_and_taken_once() {
        let mut names = Names::default();
        assert_eq!(names.take(Some("q3 report.pdf")), "q3 report-pdf");
        assert_eq!(names.take(Some("q3  report.pdf")), "q3 report-pdf 2");
        assert_eq!(names.take(None), "document");
        assert_eq!(names.take(Some(" \t")), "document 2");
        assert_eq!(names.take(Some("Größe (1) [a]")), "Gr--e (1) [a]");
        assert!(names.take(Some(&"x".repeat(500))).len() <= MAX_NAME);
    }

    #[test]
    fn media_types() {
        for (media_type, expect) in [
            ("image/jpg", Some((Kind::Image, "jpeg"))),
            ("image/WEBP", Some((Kind::Image, "webp"))),
            ("application/pdf", Some((Kind::Document, "pdf"))),
            ("text/csv; charset=utf-8", Some((Kind::Document, "csv"))),
            ("text/html", Some((Kind::Document, "html"))),
            ("video/mp4", Some((Kind::Video, "mp4"))),
            ("audio/flac", Some((Kind::Audio, "flac"))),
            ("image/pdf", None),
            ("image/svg+xml", None),
            ("pdf", None),
        ] {
            assert_eq!(of_media_type(media_type), expect, "{media_type}");
        }
    }
}
