//! A whole answer.
//! <https://docs.oracle.com/en-us/iaas/api/#/en/generative-ai-inference/20231130/datatypes/ChatResult>

use bytes::BytesMut;
use serde::Deserialize;
use serde_json::{Number, value::RawValue};

use super::{is_error, name_of_call};
use crate::{
    dialect::{fault_inside, figures::Figures, json},
    exchange::Malformed,
    matrix::Dialect,
    op::chat::{
        Block, Choice, Extra, Finish, MAX_BLOCKS, MAX_CHOICES, MAX_TOOL_CALLS, Part, Raw, Reason,
        Response, ToolCall,
    },
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    #[serde(default)]
    model_id: Option<String>,
    #[serde(borrow, default)]
    chat_response: Option<&'a RawValue>,
    #[serde(borrow, default)]
    code: Option<&'a RawValue>,
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ChatResponse<'a> {
    #[serde(borrow, default)]
    choices: Option<Vec<ChoiceIn<'a>>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(default)]
    service_tier: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ChoiceIn<'a> {
    #[serde(borrow)]
    message: MessageIn<'a>,
    #[serde(default)]
    finish_reason: Option<String>,
    #[serde(default)]
    logprobs: Option<Logprobs>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(default)]
    grounding_metadata: Option<Grounding>,
}

/// A message, and what a piece of a stream adds to one.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MessageIn<'a> {
    #[serde(default)]
    pub(super) content: Option<Vec<ContentIn>>,
    #[serde(default)]
    pub(super) reasoning_content: Option<String>,
    #[serde(default)]
    pub(super) refusal: Option<String>,
    #[serde(borrow, default)]
    pub(super) tool_calls: Option<Vec<CallIn<'a>>>,
    #[serde(default)]
    pub(super) annotations: Option<Vec<Annotation>>,
}

/// Of what models say, Oracle documents texts alone.
#[derive(Deserialize)]
pub(super) struct ContentIn {
    #[serde(default)]
    pub(super) text: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct CallIn<'a> {
    #[serde(default)]
    pub(super) id: Option<String>,
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(borrow, default)]
    pub(super) arguments: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Annotation {
    #[serde(default)]
    url_citation: Option<Citation>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Citation {
    #[serde(default)]
    start_index: Option<u64>,
    #[serde(default)]
    end_index: Option<u64>,
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    url: Option<String>,
}

/// What Google's models found.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Grounding {
    #[serde(default)]
    web_search_queries: Option<Vec<String>>,
    #[serde(default)]
    grounding_chunks: Option<Vec<Chunk>>,
    #[serde(default)]
    grounding_supports: Option<Vec<Support>>,
}

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    web: Option<Web>,
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
    grounding_chunk_indices: Option<Vec<usize>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Segment {
    #[serde(default)]
    start_index: Option<u64>,
    #[serde(default)]
    end_index: Option<u64>,
}

/// As OpenAI's completions once had them: lists of the same length.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Logprobs {
    #[serde(default)]
    tokens: Option<Vec<String>>,
    #[serde(default)]
    token_logprobs: Option<Vec<Option<Number>>>,
    #[serde(default)]
    top_logprobs: Option<Vec<Option<serde_json::Map<String, serde_json::Value>>>>,
}

pub(super) fn read(body: &[u8]) -> Result<Response, Malformed> {
    let answer: Answer<'_> = serde_json::from_slice(body).map_err(|why| bad(&why))?;
    let Some(raw) = answer.chat_response else {
        return Err(match is_error(answer.code, answer.message) {
            true => failed(body),
            false => Malformed::at("chatResponse", "`chatResponse`: expected an object"),
        });
    };
    let answer_of = answer.model_id.unwrap_or_default();
    let said: ChatResponse<'_> = serde_json::from_str(raw.get()).map_err(|why| bad(&why))?;
    let choices = said.choices.unwrap_or_default();
    if choices.is_empty() || choices.len() > MAX_CHOICES {
        let why = format!("`chatResponse.choices`: expected up to {MAX_CHOICES} answers");
        return Err(Malformed::at("chatResponse.choices", why));
    }
    // Older versions of the service say it in the choice.
    let of_choice = choices.first().and_then(|choice| choice.usage);
    let tier = said.service_tier.map(|tier| tier.to_ascii_lowercase());
    let usage = said.usage.or(of_choice);
    let mut usage = usage.map(|raw| Figures::whole(Dialect::Oci, raw.get(), tier.as_deref()));
    let searches = choices.iter().filter_map(|choice| choice.grounding_metadata.as_ref());
    let searches: u32 = searches.map(Grounding::searches).sum();
    if let Some(usage) = &mut usage {
        usage.searches = usage.searches.max(searches);
    }
    Ok(Response {
        upstream: Dialect::Oci,
        id: String::new(),
        model: answer_of,
        created: None,
        choices: choices.into_iter().map(choice).collect::<Result<_, _>>()?,
        usage,
        extra: Extra::new(),
    })
}

fn choice(said: ChoiceIn<'_>) -> Result<Choice, Malformed> {
    let message = said.message;
    let mut blocks: Vec<Block> = Vec::new();
    if let Some(text) = message.reasoning_content.filter(|text| !text.is_empty()) {
        blocks.push(Part::Thinking { text, signature: None }.into());
    }
    let calls = message.tool_calls.unwrap_or_default();
    let texts = message.content.unwrap_or_default();
    if calls.len() > MAX_TOOL_CALLS || texts.len() > MAX_BLOCKS {
        return Err(Malformed::new("the answer has too many parts"));
    }
    let texts = texts.into_iter().filter_map(|part| part.text.filter(|text| !text.is_empty()));
    blocks.extend(texts.map(|text| Block::from(Part::Text(text))));
    if let Some(text) = message.refusal.filter(|text| !text.is_empty()) {
        blocks.push(Part::Refusal(text).into());
    }
    let called = !calls.is_empty();
    for (place, call) in calls.into_iter().enumerate() {
        blocks.push(Part::ToolCall(call.read(place)?).into());
    }
    let mut message_extra = Extra::new();
    let found = annotations(message.annotations.as_deref(), said.grounding_metadata.as_ref());
    message_extra.extend(found.map(|raw| ("annotations".into(), raw)));
    let mut extra = Extra::new();
    let told = said.logprobs.and_then(|logprobs| logprobs.openai());
    extra.extend(told.map(|raw| ("logprobs".into(), raw)));
    let finish = said.finish_reason.map(|word| finish_of(&word, called));
    Ok(Choice { blocks, finish, message_extra, extra })
}

impl CallIn<'_> {
    fn read(self, place: usize) -> Result<ToolCall, Malformed> {
        let arguments = match self.arguments.map(RawValue::get) {
            None => String::new(),
            Some(text) if text.starts_with('"') => {
                serde_json::from_str(text).map_err(|why| bad(&why))?
            }
            Some(json) => json.to_owned(),
        };
        let name = self.name.unwrap_or_default();
        let id = self.id.filter(|id| !id.is_empty());
        let id = id.unwrap_or_else(|| name_of_call(place, &name, &arguments));
        Ok(ToolCall { id, name, arguments })
    }
}

/// The reason why an answer ended, in whichever case the model's vendor writes it.
pub(super) fn finish_of(word: &str, called: bool) -> Finish {
    let reason = match Reason::read(&word.to_ascii_lowercase()) {
        Reason::Stop if called => Reason::ToolCalls,
        reason => reason,
    };
    Finish { reason, stop_sequence: None }
}

/// What the answer cites, as OpenAI has it.
pub(super) fn annotations(own: Option<&[Annotation]>, found: Option<&Grounding>) -> Option<Raw> {
    let own = own.unwrap_or_default().iter().filter_map(|annotation| {
        let citation = annotation.url_citation.as_ref()?;
        let place = (citation.start_index.unwrap_or(0), citation.end_index.unwrap_or(0));
        Some((place, citation.title.as_deref(), citation.url.as_deref()?))
    });
    let supports = found.and_then(|found| found.grounding_supports.as_deref());
    let chunks = found.and_then(|found| found.grounding_chunks.as_deref()).unwrap_or_default();
    let found = supports.unwrap_or_default().iter().flat_map(|support| {
        let segment = support.segment.as_ref();
        let index = |of: fn(&Segment) -> Option<u64>| segment.and_then(of).unwrap_or(0);
        let place = (index(|segment| segment.start_index), index(|segment| segment.end_index));
        support.grounding_chunk_indices.iter().flatten().filter_map(move |index| {
            let web = chunks.get(*index)?.web.as_ref()?;
            Some((place, web.title.as_deref(), web.uri.as_deref()?))
        })
    });
    let all: Vec<_> = own.chain(found).take(MAX_BLOCKS).collect();
    if all.is_empty() {
        return None;
    }
    let mut out = BytesMut::new();
    json::list(&mut out, |list| {
        for ((start, end), title, url) in all {
            list.object(|o| {
                o.text("type", "url_citation");
                o.object("url_citation", |o| {
                    o.integer("start_index", start);
                    o.integer("end_index", end);
                    o.text("title", title.unwrap_or_default());
                    o.text("url", url);
                });
            });
        }
    });
    raw(out)
}

impl Grounding {
    /// How often the web was searched.
    pub(super) fn searches(&self) -> u32 {
        let queries = self.web_search_queries.as_ref().map_or(0, Vec::len);
        u32::try_from(queries).unwrap_or(u32::MAX)
    }
}

impl Logprobs {
    /// As OpenAI's chat completions have them.
    pub(super) fn openai(&self) -> Option<Raw> {
        let tokens = self.tokens.as_ref().filter(|tokens| !tokens.is_empty())?;
        let logprobs = self.token_logprobs.as_deref().unwrap_or_default();
        let none = Number::from(0);
        let mut out = BytesMut::new();
        json::object(&mut out, |o| {
            o.list("content", |list| {
                for (at, token) in tokens.iter().enumerate().take(MAX_BLOCKS) {
                    let logprob = logprobs.get(at).and_then(Option::as_ref);
                    let top = self.top_logprobs.as_ref().and_then(|top| top.get(at)?.as_ref());
                    list.object(|o| {
                        o.text("token", token);
                        o.raw("logprob", &logprob.unwrap_or(&none).to_string());
                        o.null("bytes");
                        o.list("top_logprobs", |list| {
                            for (token, logprob) in top.into_iter().flatten() {
                                let Some(logprob) = number(logprob) else { continue };
                                list.object(|o| {
                                    o.text("token", token);
                                    o.raw("logprob", &logprob.to_string());
                                    o.null("bytes");
                                });
                            }
                        });
                    });
                }
            });
        });
        raw(out)
    }
}

/// A number, which the documentation has as a text.
fn number(value: &serde_json::Value) -> Option<Number> {
    match value {
        serde_json::Value::Number(number) => Some(number.clone()),
        serde_json::Value::String(text) => serde_json::from_str(text).ok(),
        _ => None,
    }
}

fn raw(out: BytesMut) -> Option<Raw> {
    String::from_utf8(out.into()).ok().and_then(|json| RawValue::from_string(json).ok())
}

pub(super) fn failed(body: &[u8]) -> Malformed {
    let fault = fault_inside(body);
    Malformed::new(format!("the upstream answered an error: {}", fault.message))
}

pub(super) fn bad(why: &serde_json::Error) -> Malformed {
    Malformed::new(format!("the answer is not what oci sends: {why}"))
}
