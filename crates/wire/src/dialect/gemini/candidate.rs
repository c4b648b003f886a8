//! What a candidate says beside its content: why it ended, what it cites, how likely its tokens
//! were. The hub has OpenAI's spelling of these.
//! <https://ai.google.dev/api/generate-content#candidate>

use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use crate::{
    dialect::{
        annotation::{self, Cited},
        json::Object,
    },
    op::chat::{Finish, Raw, Reason},
};

/// Most bytes of an answer that are kept to tell its characters from its bytes.
const MAX_SAID: usize = 256 * 1024;
/// Most sources and passages of an answer.
pub(super) const MAX_SOURCES: usize = 1024;

/// Google says STOP for a call, too.
pub(super) fn finish_of(word: &str, called: bool) -> Finish {
    let reason = match Reason::read(word) {
        Reason::Stop if called && word == "STOP" => Reason::ToolCalls,
        reason => reason,
    };
    Finish { reason, stop_sequence: None }
}

/// Google's word.
pub(super) fn word(reason: Reason) -> &'static str {
    match reason {
        Reason::Stop | Reason::ToolCalls => "STOP",
        Reason::Length => "MAX_TOKENS",
        Reason::ContentFilter => "SAFETY",
    }
}

/// Whether [`word`] says all that Google's own word said.
pub(super) fn is_plain(word: &str) -> bool {
    matches!(word, "STOP" | "MAX_TOKENS" | "SAFETY")
}

/// An answer's text, kept to count in it: Google counts bytes, OpenAI characters.
#[derive(Default)]
pub(super) struct Said(String);

impl Said {
    pub(super) fn push(&mut self, text: &str) {
        let mut room = MAX_SAID.saturating_sub(self.0.len()).min(text.len());
        while !text.is_char_boundary(room) {
            room -= 1;
        }
        self.0.push_str(text.get(..room).unwrap_or_default());
    }

    fn characters(&self, bytes: usize) -> usize {
        let text = self.0.get(..bytes);
        text.map_or(bytes, |text| text.chars().count())
    }

    fn bytes(&self, characters: u64) -> u64 {
        let nth = usize::try_from(characters).unwrap_or(usize::MAX);
        let found = self.0.char_indices().nth(nth).map(|(at, _)| at as u64);
        found.unwrap_or_else(|| (self.0.len() as u64).max(characters))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Grounding {
    #[serde(default)]
    grounding_chunks: Vec<Chunk>,
    #[serde(default)]
    grounding_supports: Vec<Support>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Chunk {
    #[serde(default)]
    web: Option<Web>,
    #[serde(default)]
    retrieved_context: Option<Web>,
    #[serde(default)]
    maps: Option<Web>,
}

#[derive(Deserialize)]
struct Web {
    #[serde(default)]
    uri: Option<String>,
    #[serde(default)]
    title: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Support {
    #[serde(default)]
    segment: Option<Segment>,
    #[serde(default)]
    grounding_chunk_indices: Vec<usize>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Segment {
    #[serde(default)]
    start_index: usize,
    #[serde(default)]
    end_index: usize,
}

/// A passage that the model knows by heart, and where from. The API of Gemini and that of Vertex AI
/// have other names for the list. <https://ai.google.dev/api/generate-content#citationmetadata>
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Recited {
    #[serde(default)]
    start_index: usize,
    #[serde(default)]
    end_index: Option<usize>,
    #[serde(default)]
    uri: String,
    #[serde(default)]
    title: String,
}

/// The passages of a `citationMetadata` that have an address.
pub(super) fn recited(metadata: &RawValue) -> Vec<Recited> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Metadata {
        #[serde(default, alias = "citations")]
        citation_sources: Vec<Recited>,
    }
    let read: Result<Metadata, _> = serde_json::from_str(metadata.get());
    let all = read.map(|read| read.citation_sources).unwrap_or_default();
    all.into_iter().filter(|one| !one.uri.is_empty()).take(MAX_SOURCES).collect()
}

/// `groundingMetadata` and passages known by heart as OpenAI's `annotations`.
pub(super) fn annotations(
    grounding: Option<&RawValue>,
    recited: &[Recited],
    said: &Said,
) -> Option<Raw> {
    let mut cited = grounding.and_then(|grounding| grounded(grounding, said)).unwrap_or_default();
    for one in recited.iter().take(MAX_SOURCES) {
        let start = said.characters(one.start_index);
        let end = said.characters(one.end_index.unwrap_or(said.0.len()));
        cited.push(url_citation(&one.uri, &one.title, start, end));
    }
    if cited.is_empty() {
        return None;
    }
    RawValue::from_string(Value::Array(cited).to_string()).ok()
}

/// One citation for each passage and source of it. A source of no passage is of the whole text.
fn grounded(grounding: &RawValue, said: &Said) -> Option<Vec<Value>> {
    let grounding: Grounding = serde_json::from_str(grounding.get()).ok()?;
    let mut cited = Vec::new();
    let mut used = Vec::new();
    for support in &grounding.grounding_supports {
        let Some(segment) = &support.segment else { continue };
        let (start, end) = (segment.start_index, segment.end_index);
        for index in support.grounding_chunk_indices.iter().take(MAX_SOURCES) {
            used.push(*index);
            let source = grounding.grounding_chunks.get(*index);
            cited.extend(
                source.and_then(|source| {
                    citation(source, said.characters(start), said.characters(end))
                }),
            );
            if cited.len() == MAX_SOURCES {
                break;
            }
        }
    }
    let all = said.0.chars().count();
    for (index, source) in grounding.grounding_chunks.iter().enumerate().take(MAX_SOURCES) {
        if cited.len() < MAX_SOURCES && !used.contains(&index) {
            cited.extend(citation(source, 0, all));
        }
    }
    Some(cited)
}

/// How many searches were made for a candidate.
pub(super) fn queries(grounding: &RawValue) -> u64 {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Queries {
        #[serde(default)]
        web_search_queries: Vec<serde::de::IgnoredAny>,
    }
    let read: Result<Queries, _> = serde_json::from_str(grounding.get());
    read.map_or(0, |read| read.web_search_queries.len() as u64)
}

fn citation(source: &Chunk, start: usize, end: usize) -> Option<Value> {
    let web = source.web.as_ref().or(source.retrieved_context.as_ref()).or(source.maps.as_ref())?;
    let uri = web.uri.as_deref()?;
    Some(url_citation(uri, web.title.as_deref().unwrap_or_default(), start, end))
}

fn url_citation(url: &str, title: &str, start: usize, end: usize) -> Value {
    json!({
        "type": "url_citation",
        "url_citation": { "start_index": start, "end_index": end, "url": url, "title": title },
    })
}

/// Writes OpenAI's `annotations` as `groundingMetadata`.
pub(super) fn write_grounding(o: &mut Object<'_>, annotations: &[Raw], said: &Said) {
    let lists = annotations.iter().map(|raw| annotation::read(raw.get()));
    let mut cited: Vec<Cited> = lists.flatten().collect();
    cited.truncate(MAX_SOURCES);
    if cited.is_empty() {
        return;
    }
    let mut sources: Vec<(&str, &str)> = Vec::new();
    for citation in &cited {
        if !sources.iter().any(|(url, _)| *url == citation.url) {
            sources.push((&citation.url, &citation.title));
        }
    }
    o.object("groundingMetadata", |o| {
        o.list("groundingChunks", |list| {
            for (url, title) in &sources {
                list.object(|o| {
                    o.object("web", |o| {
                        o.text("uri", url);
                        o.text("title", title);
                    });
                });
            }
        });
        o.list("groundingSupports", |list| {
            for citation in &cited {
                list.object(|o| {
                    o.object("segment", |o| {
                        o.integer("startIndex", said.bytes(citation.start));
                        o.integer("endIndex", said.bytes(citation.end));
                    });
                    o.list("groundingChunkIndices", |list| {
                        let at = sources.iter().position(|(url, _)| *url == citation.url);
                        list.raw(&at.unwrap_or(0).to_string());
                    });
                });
            }
        });
    });
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Likely {
    #[serde(default)]
    chosen_candidates: Vec<Token>,
    #[serde(default)]
    top_candidates: Vec<Top>,
}

#[derive(Deserialize)]
struct Top {
    #[serde(default)]
    candidates: Vec<Token>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Token {
    #[serde(default)]
    token: String,
    #[serde(default)]
    log_probability: f64,
}

/// `logprobsResult` as OpenAI's `logprobs`.
pub(super) fn logprobs(result: &RawValue) -> Option<Raw> {
    let result: Likely = serde_json::from_str(result.get()).ok()?;
    let plain = |token: &Token| {
        json!({
            "token": token.token,
            "logprob": token.log_probability,
            "bytes": token.token.as_bytes(),
        })
    };
    let tokens = result.chosen_candidates.iter().enumerate().map(|(index, token)| {
        let top = result.top_candidates.get(index).map(|top| top.candidates.as_slice());
        let top: Vec<Value> = top.unwrap_or_default().iter().map(plain).collect();
        let mut said = plain(token);
        if let Some(fields) = said.as_object_mut() {
            fields.insert("top_logprobs".to_owned(), Value::Array(top));
        }
        said
    });
    let content: Vec<Value> = tokens.collect();
    RawValue::from_string(json!({ "content": content, "refusal": null }).to_string()).ok()
}

#[derive(Deserialize)]
struct OpenaiLikely {
    #[serde(default)]
    content: Option<Vec<OpenaiToken>>,
}

#[derive(Deserialize)]
struct OpenaiToken {
    #[serde(default)]
    token: String,
    #[serde(default)]
    logprob: f64,
    #[serde(default)]
    top_logprobs: Vec<OpenaiToken>,
}

/// OpenAI's `logprobs` as `logprobsResult`.
pub(super) fn logprobs_result(openai: &RawValue) -> Option<Raw> {
    let openai: OpenaiLikely = serde_json::from_str(openai.get()).ok()?;
    let plain =
        |token: &OpenaiToken| json!({ "token": token.token, "logProbability": token.logprob });
    let content = openai.content?;
    let chosen: Vec<Value> = content.iter().map(plain).collect();
    let top: Vec<Value> = content
        .iter()
        .map(|token| {
            json!({ "candidates": token.top_logprobs.iter().map(plain).collect::<Vec<_>>() })
        })
        .collect();
    let result = json!({ "topCandidates": top, "chosenCandidates": chosen });
    RawValue::from_string(result.to_string()).ok()
}
