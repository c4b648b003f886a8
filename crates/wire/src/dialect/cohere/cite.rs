//! Citations and log probabilities, into OpenAI's form and out of it.
//! <https://docs.cohere.com/docs/rag-citations>

use bytes::BytesMut;
use serde::Deserialize;
use serde_json::{Number, value::RawValue};

use crate::{
    dialect::{
        annotation,
        json::{self, List, Object},
    },
    op::chat::{MAX_BLOCKS, Raw},
};

#[derive(Deserialize)]
struct Citation<'a> {
    #[serde(default)]
    start: u64,
    #[serde(default)]
    end: u64,
    #[serde(borrow, default)]
    sources: Option<Vec<Source<'a>>>,
    #[serde(default)]
    r#type: Option<String>,
}

#[derive(Deserialize)]
struct Source<'a> {
    #[serde(default)]
    id: Option<String>,
    #[serde(borrow, default)]
    document: Option<&'a RawValue>,
}

/// What a document is called and where it is: the caller's own members, so of any type.
#[derive(Default, Deserialize)]
struct Document {
    #[serde(default)]
    title: Option<serde_json::Value>,
    #[serde(default)]
    url: Option<serde_json::Value>,
}

/// One annotation for each source of each citation. Places count characters of the text, in both
/// dialects. `None` where there is nothing that can be said.
pub(super) fn annotations<'a>(citations: impl IntoIterator<Item = &'a RawValue>) -> Option<Raw> {
    let mut any = false;
    let mut out = BytesMut::new();
    json::list(&mut out, |list| {
        for raw in citations.into_iter().take(MAX_BLOCKS) {
            let Ok(citation) = serde_json::from_str::<Citation<'_>>(raw.get()) else { continue };
            // A place in a thought is no place in the text.
            if citation.r#type.as_deref() == Some("THINKING_CONTENT") {
                continue;
            }
            for source in citation.sources.iter().flatten() {
                any = true;
                annotation(list, &citation, source);
            }
        }
    });
    let text = String::from_utf8(out.into()).ok().filter(|_| any)?;
    RawValue::from_string(text).ok()
}

fn annotation(list: &mut List<'_>, citation: &Citation<'_>, source: &Source<'_>) {
    let raw = source.document.map(RawValue::get).unwrap_or_default();
    let document: Document = serde_json::from_str(raw).unwrap_or_default();
    let title = document.title.as_ref().and_then(serde_json::Value::as_str);
    let url = document.url.as_ref().and_then(serde_json::Value::as_str);
    list.object(|o| {
        o.text("type", "url_citation");
        o.object("url_citation", |o| {
            o.integer("start_index", citation.start);
            o.integer("end_index", citation.end);
            o.text("title", title.or(source.id.as_deref()).unwrap_or_default());
            o.text("url", url.unwrap_or_default());
        });
    });
}

#[derive(Deserialize)]
struct LogprobItem {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    logprobs: Option<Vec<Number>>,
}

/// `{"content": […]}`, an entry for each piece of text: of a piece that is several tokens, the
/// first one's.
pub(super) fn logprobs<'a>(items: impl IntoIterator<Item = &'a RawValue>) -> Option<Raw> {
    let mut out = BytesMut::new();
    json::object(&mut out, |o| {
        o.list("content", |list| {
            for raw in items.into_iter().take(MAX_BLOCKS) {
                let Ok(item) = serde_json::from_str::<LogprobItem>(raw.get()) else { continue };
                list.object(|o| logprob(o, &item));
            }
        });
    });
    String::from_utf8(out.into()).ok().and_then(|text| RawValue::from_string(text).ok())
}

fn logprob(o: &mut Object<'_>, item: &LogprobItem) {
    o.text("token", item.text.as_deref().unwrap_or_default());
    let first = item.logprobs.iter().flatten().next();
    match first {
        Some(number) => o.raw("logprob", &number.to_string()),
        None => o.null("logprob"),
    }
    o.null("bytes");
    o.list("top_logprobs", |_| {});
}

/// A place in the text and where it comes from.
pub(super) struct Cited {
    start: u64,
    end: u64,
    text: String,
    title: String,
    url: String,
}

impl Cited {
    pub(super) fn write(&self, o: &mut Object<'_>) {
        o.integer("start", self.start);
        o.integer("end", self.end);
        o.text("text", &self.text);
        o.list("sources", |list| {
            list.object(|o| {
                o.text("type", "document");
                o.text("id", if self.url.is_empty() { &self.title } else { &self.url });
                o.object("document", |o| {
                    o.text("title", &self.title);
                    o.text("url", &self.url);
                });
            });
        });
        o.text("type", "TEXT_CONTENT");
    }
}

/// Most characters that a citation quotes.
const MAX_QUOTE: usize = 4_096;

/// Annotations as citations of `text`.
pub(super) fn citations(annotations: &str, text: &str) -> Vec<Cited> {
    let text: Vec<char> = text.chars().collect();
    let cited = annotation::read(annotations).into_iter();
    cited
        .map(|one| {
            let place = |index: u64| usize::try_from(index).unwrap_or(usize::MAX);
            let (start, end) = (place(one.start), place(one.end));
            let quote = text.get(start..end.min(text.len())).unwrap_or_default();
            Cited {
                start: one.start,
                end: one.end,
                text: quote.iter().take(MAX_QUOTE).collect(),
                title: one.title,
                url: one.url,
            }
        })
        .collect()
}

/// A token and its log probability.
pub(super) struct Token {
    text: String,
    logprob: Option<Number>,
}

impl Token {
    pub(super) fn write(&self, o: &mut Object<'_>) {
        o.text("text", &self.text);
        o.list("token_ids", |_| {});
        o.list("logprobs", |list| {
            if let Some(number) = &self.logprob {
                list.raw(&number.to_string());
            }
        });
    }
}

/// The entries of OpenAI's `logprobs`.
pub(super) fn logprob_items(logprobs: &str) -> Vec<Token> {
    #[derive(Default, Deserialize)]
    struct Logprobs {
        #[serde(default)]
        content: Option<Vec<Entry>>,
    }
    #[derive(Deserialize)]
    struct Entry {
        #[serde(default)]
        token: String,
        #[serde(default)]
        logprob: Option<Number>,
    }
    let logprobs: Logprobs = serde_json::from_str(logprobs).unwrap_or_default();
    let entries = logprobs.content.unwrap_or_default().into_iter().take(MAX_BLOCKS);
    entries.map(|entry| Token { text: entry.token, logprob: entry.logprob }).collect()
}
