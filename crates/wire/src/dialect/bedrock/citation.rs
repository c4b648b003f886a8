//! Where an answer's text is from, as the annotations of OpenAI's.
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Citation.html>

use bytes::BytesMut;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{dialect::json, op::chat::Raw};

/// A passage and its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Citation {
    url: String,
    title: String,
    /// First character of the passage, and the one behind its last.
    span: (u64, u64),
}

#[derive(Deserialize)]
struct CitationIn {
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    source: Option<String>,
    #[serde(default)]
    location: Option<LocationIn>,
}

#[derive(Deserialize)]
struct LocationIn {
    #[serde(default)]
    web: Option<WebIn>,
}

#[derive(Deserialize)]
struct WebIn {
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    domain: Option<String>,
}

/// Reads a citation. `None` where it names no source at all.
pub(super) fn read(raw: &RawValue, span: (u64, u64)) -> Option<Citation> {
    let said: CitationIn = serde_json::from_str(raw.get()).ok()?;
    let web = said.location.and_then(|location| location.web);
    let (url, domain) = web.map(|web| (web.url, web.domain)).unwrap_or_default();
    let title = said.title.or(domain);
    let url = url.or(said.source);
    if url.is_none() && title.is_none() {
        return None;
    }
    Some(Citation { url: url.unwrap_or_default(), title: title.unwrap_or_default(), span })
}

/// `annotations`; `None` for none at all.
pub(super) fn list(citations: &[Citation]) -> Option<Raw> {
    if citations.is_empty() {
        return None;
    }
    let mut out = BytesMut::new();
    json::list(&mut out, |list| {
        for citation in citations {
            list.object(|o| {
                o.text("type", "url_citation");
                o.object("url_citation", |o| {
                    o.integer("start_index", citation.span.0);
                    o.integer("end_index", citation.span.1);
                    o.text("title", &citation.title);
                    o.text("url", &citation.url);
                });
            });
        }
    });
    serde_json::from_slice(&out).ok()
}
