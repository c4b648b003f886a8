//! Where an answer's text is from, as the annotations of OpenAI's.
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Citation.html>

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::dialect::annotation::Cited;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CitationIn {
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    source: Option<String>,
    #[serde(default)]
    source_content: Vec<ContentIn>,
    #[serde(default)]
    location: Option<LocationIn>,
}

#[derive(Deserialize)]
struct ContentIn {
    #[serde(default)]
    text: Option<String>,
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
pub(super) fn read(raw: &RawValue, (start, end): (u64, u64)) -> Option<Cited> {
    let said: CitationIn = serde_json::from_str(raw.get()).ok()?;
    let web = said.location.and_then(|location| location.web);
    let (url, domain) = web.map(|web| (web.url, web.domain)).unwrap_or_default();
    let title = said.title.or(domain);
    let url = url.or(said.source);
    if url.is_none() && title.is_none() {
        return None;
    }
    let content = said.source_content.into_iter().filter_map(|part| part.text).collect();
    let [url, title] = [url, title].map(Option::unwrap_or_default);
    Some(Cited { start, end, url, title, content })
}
