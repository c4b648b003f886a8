//! Google's `:batchEmbedContents`. <https://ai.google.dev/api/embeddings>

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Upstream, counted, rest, texts};
use crate::{
    dialect::{body::Body, fault_inside, json, sieve::Sieve},
    exchange::{CannotAsk, Malformed},
    op::{
        chat::Extra,
        embeddings::{MAX_INPUTS, Request, Response, Task, Vector},
    },
    target::Target,
};

pub(super) struct Gemini;

impl Upstream for Gemini {
    fn write(
        &self,
        ask: &Request,
        to: &Target,
        dropped: &mut Vec<String>,
    ) -> Result<Bytes, CannotAsk> {
        let mut sieve = Sieve::new(to, dropped);
        let texts = texts(ask, to, "gemini")?;
        let mut own = Extra::new();
        rest(ask, &["title"], "gemini", &mut sieve, |name, raw| {
            own.push((name.into(), raw.to_owned()));
        })?;
        let model = match to.model.starts_with("models/") {
            true => to.model.to_string(),
            false => format!("models/{}", to.model),
        };
        let mut body = Body::default();
        body.put("requests", |out| {
            json::list(out, |list| {
                for text in texts {
                    list.object(|o| {
                        o.text("model", &model);
                        o.object("content", |o| {
                            o.list("parts", |list| list.object(|o| o.text("text", text)));
                        });
                        o.some_text("taskType", ask.task.as_ref().map(task));
                        if let Some(dimensions) = ask.dimensions {
                            o.integer("outputDimensionality", dimensions);
                        }
                        o.extra(&own);
                    });
                }
            });
        });
        Ok(body.patched(to))
    }

    /// Google answers 400 to more: "at most 100 requests can be in one batch".
    fn most_a_call(&self, _to: &Target) -> Option<usize> {
        Some(100)
    }

    fn read(&self, body: &[u8]) -> Result<Response, Malformed> {
        let reply: Reply<'_> = serde_json::from_slice(body)
            .map_err(|why| Malformed::new(format!("the answer is not what gemini sends: {why}")))?;
        if reply.error.is_some() {
            let fault = fault_inside(body);
            let why = format!("the upstream answered an error: {}", fault.message);
            return Err(Malformed::new(why));
        }
        if reply.embeddings.len() > MAX_INPUTS {
            return Err(Malformed::new(format!("the answer has over {MAX_INPUTS} vectors")));
        }
        let usage = counted(reply.usage_metadata.and_then(|usage| usage.prompt_token_count));
        let vectors = reply.embeddings.into_iter();
        let vectors = vectors.map(|one| Vector::Floats(one.values.to_owned())).collect();
        Ok(Response { model: String::new(), vectors, usage })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reply<'a> {
    #[serde(borrow, default)]
    embeddings: Vec<Embedding<'a>>,
    #[serde(default)]
    usage_metadata: Option<UsageMetadata>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Embedding<'a> {
    #[serde(borrow)]
    values: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UsageMetadata {
    #[serde(default)]
    pub(super) prompt_token_count: Option<u64>,
}

pub(super) fn task(task: &Task) -> &str {
    match task {
        Task::Document => "RETRIEVAL_DOCUMENT",
        Task::Query => "RETRIEVAL_QUERY",
        Task::Classification => "CLASSIFICATION",
        Task::Clustering => "CLUSTERING",
        Task::Other(word) => word,
    }
}
