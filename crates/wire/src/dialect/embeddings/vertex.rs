//! Vertex AI's embeddings: `:predict` for most models, `:embedContent` for the newest.
//! <https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api>,
//! <https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/multimodal-embeddings-api>,
//! <https://docs.cloud.google.com/dotnet/docs/reference/Google.Cloud.AIPlatform.V1/latest/Google.Cloud.AIPlatform.V1.EmbedContentRequest>

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Upstream, counted, gemini, no_task, one_text, rest, texts};
use crate::{
    dialect::{body::Body, json, sieve::Sieve},
    exchange::{CannotAsk, Malformed},
    op::{
        chat::Extra,
        embeddings::{MAX_INPUTS, Request, Response, Vector},
    },
    target::Target,
};

/// Instances in, predictions out.
pub(super) struct Predict;

/// One content in, one vector out.
pub(super) struct Content;

/// Fields of a client that the API has, the title of a document aside.
const TRUNCATE: [&str; 2] = ["autoTruncate", "auto_truncate"];

/// The title of a document, and what the API itself has beside it.
fn own(ask: &Request, sieve: &mut Sieve<'_>) -> Result<(Extra, Option<Box<RawValue>>), CannotAsk> {
    let mut title = Extra::new();
    let mut truncate = None;
    rest(ask, &["title", TRUNCATE[0], TRUNCATE[1]], "vertex", sieve, |name, raw| {
        if name == "title" {
            title.push((name.into(), raw.to_owned()));
        } else {
            truncate = Some(raw.to_owned());
        }
    })?;
    Ok((title, truncate))
}

impl Upstream for Predict {
    fn write(
        &self,
        ask: &Request,
        to: &Target,
        dropped: &mut Vec<String>,
    ) -> Result<Bytes, CannotAsk> {
        let mut sieve = Sieve::new(to, dropped);
        // It embeds pictures as well, and names everything otherwise.
        let pictures = to.model.starts_with("multimodalembedding");
        let texts = texts(ask, to, "vertex")?;
        if pictures {
            no_task(ask, "this model", &mut sieve)?;
        }
        let (title, truncate) = own(ask, &mut sieve)?;
        if pictures && (!title.is_empty() || truncate.is_some()) {
            sieve.refuse("title", "this model has neither titles nor truncation")?;
        }
        let mut body = Body::default();
        body.put("instances", |out| {
            json::list(out, |list| {
                for text in texts {
                    list.object(|o| {
                        if pictures {
                            o.text("text", text);
                            return;
                        }
                        o.text("content", text);
                        o.some_text("task_type", ask.task.as_ref().map(gemini::task));
                        o.extra(&title);
                    });
                }
            });
        });
        body.put("parameters", |out| {
            json::object(out, |o| {
                if let Some(dimensions) = ask.dimensions {
                    let name = if pictures { "dimension" } else { "outputDimensionality" };
                    o.integer(name, dimensions);
                }
                if let Some(truncate) = truncate.filter(|_| !pictures) {
                    o.raw(TRUNCATE[0], truncate.get());
                }
            });
        });
        body.drop_empty("parameters");
        Ok(body.patched(to))
    }

    fn read(&self, body: &[u8]) -> Result<Response, Malformed> {
        let reply: Predictions<'_> = serde_json::from_slice(body)
            .map_err(|why| Malformed::new(format!("the answer is not what vertex sends: {why}")))?;
        if reply.predictions.len() > MAX_INPUTS {
            return Err(Malformed::new(format!("the answer has over {MAX_INPUTS} vectors")));
        }
        let mut tokens = Some(0u64);
        let mut vectors = Vec::with_capacity(reply.predictions.len());
        for one in reply.predictions {
            let (raw, count) = match (one.embeddings, one.text_embedding) {
                (Some(one), _) => (one.values, one.statistics.and_then(|it| it.token_count)),
                (None, Some(raw)) => (raw, None),
                (None, None) => return Err(Malformed::at("predictions", "expected embeddings")),
            };
            vectors.push(Vector::Floats(raw.to_owned()));
            let count = count.filter(|count| (0.0..=1e8).contains(count));
            tokens = tokens.zip(count).map(|(sum, count)| sum.saturating_add(count as u64));
        }
        let usage = counted(tokens.filter(|_| !vectors.is_empty()));
        Ok(Response { model: String::new(), vectors, usage })
    }
}

#[derive(Deserialize)]
struct Predictions<'a> {
    #[serde(borrow)]
    predictions: Vec<Prediction<'a>>,
}

#[derive(Deserialize)]
struct Prediction<'a> {
    #[serde(borrow, default)]
    embeddings: Option<Embedding<'a>>,
    /// Of the model that embeds pictures as well.
    #[serde(rename = "textEmbedding", borrow, default)]
    text_embedding: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Embedding<'a> {
    #[serde(borrow)]
    values: &'a RawValue,
    #[serde(default)]
    statistics: Option<Statistics>,
}

#[derive(Deserialize)]
struct Statistics {
    /// A double there.
    #[serde(default)]
    token_count: Option<f64>,
}

impl Upstream for Content {
    fn write(
        &self,
        ask: &Request,
        to: &Target,
        dropped: &mut Vec<String>,
    ) -> Result<Bytes, CannotAsk> {
        let mut sieve = Sieve::new(to, dropped);
        let text = one_text(ask, to, "this model")?;
        let (title, truncate) = own(ask, &mut sieve)?;
        let mut body = Body::default();
        body.put("content", |out| {
            json::object(out, |o| {
                o.list("parts", |list| list.object(|o| o.text("text", text)));
            });
        });
        if let Some(task) = &ask.task {
            body.text("taskType", gemini::task(task));
        }
        if let Some(dimensions) = ask.dimensions {
            body.integer("outputDimensionality", dimensions);
        }
        for (name, raw) in &title {
            body.raw(name, raw);
        }
        if let Some(truncate) = truncate {
            body.raw(TRUNCATE[0], &truncate);
        }
        Ok(body.patched(to))
    }

    fn most_a_call(&self, _to: &Target) -> Option<usize> {
        Some(1)
    }

    fn read(&self, body: &[u8]) -> Result<Response, Malformed> {
        let reply: Embedded<'_> = serde_json::from_slice(body)
            .map_err(|why| Malformed::new(format!("the answer is not what vertex sends: {why}")))?;
        let vectors = vec![Vector::Floats(reply.embedding.values.to_owned())];
        let usage = counted(reply.usage_metadata.and_then(|usage| usage.prompt_token_count));
        Ok(Response { model: String::new(), vectors, usage })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Embedded<'a> {
    #[serde(borrow)]
    embedding: Embedding<'a>,
    #[serde(default)]
    usage_metadata: Option<gemini::UsageMetadata>,
}
