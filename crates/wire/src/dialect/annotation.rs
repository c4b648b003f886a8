//! Where an answer's text is from. The hub has it as OpenAI spells it, `annotations`, which stands in
//! a choice's [`message_extra`] and in an [`Aside`]:
//!
//! ```text
//! [{"type":"url_citation","url_citation":{"start_index":0,"end_index":9,"url":"…","title":"…"}}]
//! ```
//!
//! What else a provider says of its searches (`related_questions`, the pages' dates, the licence of a
//! passage) has no place in other dialects.
//!
//! Places count the characters of all the texts of a choice, one after another.
//! <https://platform.openai.com/docs/guides/tools-web-search?api-mode=chat>
//!
//! [`message_extra`]: crate::op::chat::Choice::message_extra
//! [`Aside`]: crate::op::chat::Event::Aside

use bytes::BytesMut;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::json;
use crate::op::chat::{Extra, Raw};

/// The member's name, and that of the aside.
pub(super) const NAME: &str = "annotations";
/// Most sources and passages of an answer.
const MAX_CITED: usize = 1024;

/// A passage and the page it is from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Cited {
    /// Its first character.
    #[serde(default, rename = "start_index")]
    pub(super) start: u64,
    /// The one behind its last.
    #[serde(default, rename = "end_index")]
    pub(super) end: u64,
    #[serde(default)]
    pub(super) url: String,
    #[serde(default)]
    pub(super) title: String,
    /// What the page says, where the provider tells: OpenRouter's name for it.
    #[serde(default)]
    pub(super) content: String,
}

/// Annotations; those that cite no page are left out.
pub(super) fn read(annotations: &str) -> Vec<Cited> {
    #[derive(Deserialize)]
    struct Annotation {
        #[serde(default)]
        url_citation: Option<Cited>,
    }
    let annotations: Vec<Annotation> = serde_json::from_str(annotations).unwrap_or_default();
    annotations.into_iter().filter_map(|it| it.url_citation).take(MAX_CITED).collect()
}

/// The annotations of a whole answer's choice.
pub(super) fn of(message_extra: &Extra) -> Vec<Cited> {
    let found = message_extra.iter().find(|(name, _)| **name == *NAME);
    found.map(|(_, raw)| read(raw.get())).unwrap_or_default()
}

/// Those that end before `end`, taken out; all of them for the last text.
pub(super) fn take(cited: &mut Vec<Cited>, end: u64, last: bool) -> Vec<Cited> {
    if last {
        return std::mem::take(cited);
    }
    cited.extract_if(.., |one| one.end <= end).collect()
}

/// Annotations of these; `None` for none at all.
pub(super) fn list(cited: &[Cited]) -> Option<Raw> {
    if cited.is_empty() {
        return None;
    }
    let mut out = BytesMut::new();
    json::list(&mut out, |list| {
        for one in cited.iter().take(MAX_CITED) {
            list.object(|o| {
                o.text("type", "url_citation");
                o.object("url_citation", |o| {
                    o.integer("start_index", one.start);
                    o.integer("end_index", one.end);
                    o.text("title", &one.title);
                    o.text("url", &one.url);
                    if !one.content.is_empty() {
                        o.text("content", &one.content);
                    }
                });
            });
        }
    });
    serde_json::from_slice(&out).ok()
}

/// What Perplexity, xAI and others found on the web, beside an answer of OpenAI's form: pages, or
/// nothing but their addresses.
/// <https://docs.perplexity.ai/api-reference/chat-completions-post>
/// <https://docs.x.ai/docs/guides/live-search>
#[derive(Debug, Default)]
pub(super) struct Found {
    pages: Option<Raw>,
    addresses: Option<Raw>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Page {
    Address(String),
    Page {
        url: String,
        #[serde(default)]
        title: Option<String>,
        #[serde(default)]
        snippet: Option<String>,
    },
}

impl Found {
    /// `search_results` and `citations`; a stream may say them in every chunk.
    pub(super) fn add(&mut self, pages: Option<&RawValue>, addresses: Option<&RawValue>) {
        for (own, said) in [(&mut self.pages, pages), (&mut self.addresses, addresses)] {
            let said = said.filter(|said| said.get().starts_with('['));
            let said = said.filter(|said| own.as_ref().is_none_or(|own| own.get() != said.get()));
            if let Some(said) = said {
                *own = Some(said.to_owned());
            }
        }
    }

    /// Whether there was anything.
    pub(super) fn any(&self) -> bool {
        self.pages.is_some() || self.addresses.is_some()
    }

    /// Annotations of a text of `length` characters, in which `[1]` stands for the first page. One
    /// that the text does not name is cited for all of it.
    pub(super) fn annotations(&self, text: &str, length: u64) -> Option<Raw> {
        let read = |raw: &Option<Raw>| -> Vec<Page> {
            raw.as_ref().and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
        };
        let mut pages = read(&self.pages);
        if pages.is_empty() {
            pages = read(&self.addresses);
        }
        let pages: Vec<Cited> = pages.into_iter().take(MAX_CITED).map(Page::cited).collect();
        let mut named = vec![false; pages.len()];
        let mut cited = Vec::new();
        for (number, start, end) in marks(text).take(MAX_CITED) {
            let Some(at) = number.checked_sub(1) else { continue };
            let (Some(page), Some(named)) = (pages.get(at), named.get_mut(at)) else { continue };
            *named = true;
            cited.push(Cited { start, end, ..page.clone() });
        }
        let rest = pages.into_iter().zip(named).filter(|(_, named)| !named);
        cited.extend(rest.map(|(page, _)| Cited { start: 0, end: length, ..page }));
        list(&cited)
    }
}

impl Page {
    fn cited(self) -> Cited {
        let (url, title, content) = match self {
            Page::Address(url) => (url, None, None),
            Page::Page { url, title, snippet } => (url, title, snippet),
        };
        let [title, content] = [title, content].map(Option::unwrap_or_default);
        Cited { start: 0, end: 0, url, title, content }
    }
}

/// The marks of a text, such as `[12]`: number, first character, the one behind its last.
fn marks(text: &str) -> impl Iterator<Item = (usize, u64, u64)> {
    let (mut seen, mut at) = (0, 0);
    text.match_indices('[').filter_map(move |(open, _)| {
        let rest = text.get(open + 1..)?;
        let digits =
            rest.find(|c: char| !c.is_ascii_digit()).filter(|end| (1..=4).contains(end))?;
        rest.get(digits..)?.strip_prefix(']')?;
        at += text.get(seen..open)?.chars().count() as u64;
        seen = open;
        let number = rest.get(..digits)?.parse().ok()?;
        Some((number, at, at + digits as u64 + 2))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Raw {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    #[test]
    fn a_mark_is_the_place_of_its_page() {
        let mut found = Found::default();
        let pages = raw(r#"[{"title":"A","url":"https://a","date":null},{"url":"https://b"}]"#);
        found.add(Some(&pages), Some(&raw(r#"["https://a","https://b"]"#)));
        let text = "Größe [1]. [x] [99] [1]";
        let annotations = found.annotations(text, text.chars().count() as u64).unwrap();
        let cited = read(annotations.get());
        let places: Vec<_> = cited.iter().map(|c| (c.url.as_str(), c.start, c.end)).collect();
        assert_eq!(places, [("https://a", 6, 9), ("https://a", 20, 23), ("https://b", 0, 23)]);
        assert_eq!(cited[0].title, "A");
    }

    #[test]
    fn addresses_will_do() {
        let mut found = Found::default();
        found.add(None, Some(&raw(r#"["https://a"]"#)));
        assert!(found.any());
        let cited = read(found.annotations("", 7).unwrap().get());
        assert_eq!(cited, [Cited { end: 7, url: "https://a".to_owned(), ..Cited::default() }]);
        for other in [r#"[{"no":"url"}]"#, "[]", "{}", "null"] {
            let mut found = Found::default();
            found.add(Some(&raw(other)), Some(&raw(other)));
            assert!(found.annotations("[1]", 3).is_none(), "{other}");
        }
    }
}
