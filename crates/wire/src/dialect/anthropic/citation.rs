//! What a text cites: a member of its block here, annotations in the hub.
//! <https://platform.claude.com/docs/en/build-with-claude/citations>
//! <https://platform.claude.com/docs/en/agents-and-tools/tool-use/web-search-tool>

use std::borrow::Cow;

use bytes::BytesMut;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    dialect::{
        annotation::{self, Cited},
        json::{self, Object},
    },
    op::chat::{Block, Extra, Part, Raw},
};

/// The member's name.
pub(super) const NAME: &str = "citations";

/// A page has an address, a search result of the client's a source, a document a title alone.
#[derive(Deserialize)]
struct CitationIn {
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    source: Option<String>,
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    document_title: Option<String>,
    #[serde(default)]
    cited_text: Option<String>,
}

/// Reads a citation of the passage from `start` to `end`; `None` where it names nothing.
pub(super) fn read(raw: &RawValue, start: u64, end: u64) -> Option<Cited> {
    let said: CitationIn = serde_json::from_str(raw.get()).ok()?;
    let (url, title) = (said.url.or(said.source), said.title.or(said.document_title));
    if url.is_none() && title.is_none() {
        return None;
    }
    let [url, title, content] = [url, title, said.cited_text].map(Option::unwrap_or_default);
    Some(Cited { start, end, url, title, content })
}

/// What an answer's texts cite, as `annotations`.
pub(super) fn annotations(blocks: &[Block]) -> Extra {
    let mut cited = Vec::new();
    let mut start = 0;
    for block in blocks {
        let Part::Text(text) = &block.part else { continue };
        let end = start + text.chars().count() as u64;
        let found = block.extra.iter().filter(|(name, _)| **name == *NAME);
        for (_, raw) in found {
            let list: Vec<&RawValue> = serde_json::from_str(raw.get()).unwrap_or_default();
            cited.extend(list.into_iter().filter_map(|raw| read(raw, start, end)));
        }
        start = end;
    }
    annotation::list(&cited).map(|raw| (annotation::NAME.into(), raw)).into_iter().collect()
}

/// The blocks of another provider's answer with what each text cites: a passage belongs to the text
/// that it ends in.
pub(super) fn cited(blocks: &[Block], mut cited: Vec<Cited>) -> Cow<'_, [Block]> {
    if cited.is_empty() {
        return Cow::Borrowed(blocks);
    }
    let mut blocks = blocks.to_vec();
    let texts = blocks.iter().filter(|block| matches!(block.part, Part::Text(_))).count();
    let mut end = 0;
    let mut seen = 0;
    for block in &mut blocks {
        let Part::Text(text) = &block.part else { continue };
        seen += 1;
        end += text.chars().count() as u64;
        let own = annotation::take(&mut cited, end, seen == texts);
        let mut out = BytesMut::new();
        json::list(&mut out, |list| own.iter().for_each(|one| list.object(|o| write(o, one))));
        block.extra = Extra::new();
        if let Some(raw) = serde_json::from_slice(&out).ok().filter(|_| !own.is_empty()) {
            block.extra.push((NAME.into(), raw));
        }
    }
    Cow::Owned(blocks)
}

/// The deltas of a text that cites these.
pub(super) fn deltas(annotations: &RawValue) -> impl Iterator<Item = Raw> {
    annotation::read(annotations.get()).into_iter().filter_map(|one| {
        let mut out = BytesMut::new();
        json::object(&mut out, |o| {
            o.text("type", "citations_delta");
            o.object("citation", |o| write(o, &one));
        });
        serde_json::from_slice(&out).ok()
    })
}

/// A page that was found on the web, or else a document of the client's. Only Anthropic has the
/// index by which it would find the page again, and which document it was, nobody says.
fn write(o: &mut Object<'_>, cited: &Cited) {
    if cited.url.is_empty() {
        o.text("type", "search_result_location");
        o.text("source", &cited.title);
        for name in ["search_result_index", "start_block_index", "end_block_index"] {
            o.integer(name, 0);
        }
    } else {
        o.text("type", "web_search_result_location");
        o.text("url", &cited.url);
        o.text("encrypted_index", "");
    }
    o.text("title", &cited.title);
    o.text("cited_text", &cited.content);
}
