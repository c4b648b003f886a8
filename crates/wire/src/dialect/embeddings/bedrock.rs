//! Embeddings at Amazon Bedrock: `InvokeModel`, each maker's models in a format of their own.
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html>,
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-embed.html>,
//! <https://docs.aws.amazon.com/nova/latest/userguide/embeddings-schema.html>,
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-marengo.html>

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Upstream, cohere, counted, no_task, one_text, rest, texts, write_texts};
use crate::{
    dialect::{
        body::Body,
        fields::{At, list},
        json,
        sieve::Sieve,
    },
    exchange::{CannotAsk, Malformed, Unsupported},
    op::embeddings::{MAX_INPUTS, Request, Response, Task, Vector},
    target::Target,
};

pub(super) struct Bedrock;

impl Upstream for Bedrock {
    fn write(
        &self,
        ask: &Request,
        to: &Target,
        dropped: &mut Vec<String>,
    ) -> Result<Bytes, CannotAsk> {
        let mut sieve = Sieve::new(to, dropped);
        if to.model.contains("cohere.embed") {
            cohere(ask, texts(ask, to, "bedrock")?, to, &mut sieve)
        } else if to.model.contains("titan-embed") {
            titan(ask, one_text(ask, to, "titan")?, to, &mut sieve)
        } else if to.model.contains("amazon.nova") {
            nova(ask, one_text(ask, to, "nova")?, to, &mut sieve)
        } else if to.model.contains("twelvelabs.marengo") {
            marengo(ask, one_text(ask, to, "marengo")?, to, &mut sieve)
        } else {
            let why = "tollgate knows the embeddings of Titan, Nova, Cohere and Marengo there";
            let (param, model) = ("model".to_owned(), to.model.to_string());
            Err(Unsupported { param, model, why: why.to_owned() }.into())
        }
    }

    fn most_a_call(&self, to: &Target) -> Option<usize> {
        Some(if to.model.contains("cohere.embed") { cohere::MOST_A_CALL } else { 1 })
    }

    fn read(&self, body: &[u8]) -> Result<Response, Malformed> {
        let reply: Reply<'_> = serde_json::from_slice(body).map_err(|why| {
            Malformed::new(format!("the answer is not what bedrock sends: {why}"))
        })?;
        let usage = counted(reply.input_text_token_count);
        if let Some(raw) = reply.embedding {
            let vectors = vec![Vector::Floats(raw.to_owned())];
            return Ok(Response { model: String::new(), vectors, usage });
        }
        if let Some(raw) = reply.data {
            return described(raw, &At::Field(&At::Body, "data"));
        }
        let at = At::Field(&At::Body, "embeddings");
        let Some(raw) = reply.embeddings else { return Err(at.wrong("vectors")) };
        if is_described(raw) {
            return described(raw, &at);
        }
        cohere::by_type(raw, at)
    }
}

#[derive(Deserialize)]
struct Reply<'a> {
    /// Titan's.
    #[serde(borrow, default)]
    embedding: Option<&'a RawValue>,
    #[serde(rename = "inputTextTokenCount", default)]
    input_text_token_count: Option<u64>,
    /// Cohere's and Nova's.
    #[serde(borrow, default)]
    embeddings: Option<&'a RawValue>,
    /// Marengo's.
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

/// A vector and what is said of it.
#[derive(Deserialize)]
struct Described<'a> {
    #[serde(borrow)]
    embedding: &'a RawValue,
}

/// Whether it is a list of objects.
fn is_described(raw: &RawValue) -> bool {
    raw.get().strip_prefix('[').is_some_and(|rest| rest.trim_start().starts_with('{'))
}

fn described(raw: &RawValue, at: &At<'_>) -> Result<Response, Malformed> {
    let list = if raw.get().starts_with('[') { list(raw, at, MAX_INPUTS)? } else { vec![raw] };
    let vectors = list.into_iter().map(|raw| {
        let one = serde_json::from_str::<Described<'_>>(raw.get());
        one.map(|one| Vector::Floats(one.embedding.to_owned())).map_err(|_| at.wrong("vectors"))
    });
    Ok(Response { model: String::new(), vectors: vectors.collect::<Result<_, _>>()?, usage: None })
}

fn cohere(
    ask: &Request,
    texts: &[String],
    to: &Target,
    sieve: &mut Sieve<'_>,
) -> Result<Bytes, CannotAsk> {
    let mut body = Body::default();
    write_texts(&mut body, "texts", texts);
    body.text("input_type", cohere::task(ask));
    if let Some(dimensions) = ask.dimensions {
        // The third generation has one size.
        if to.model.contains("embed-v4") {
            body.integer("output_dimension", dimensions);
            body.put("embedding_types", |out| {
                json::list(out, |list| json::string(list.item(), "float"));
            });
        } else {
            sieve.refuse("dimensions", "this model has one size of vectors")?;
        }
    }
    rest(ask, &["truncate"], "bedrock", sieve, |name, raw| body.raw(name, raw))?;
    Ok(body.patched(to))
}

fn titan(
    ask: &Request,
    text: &str,
    to: &Target,
    sieve: &mut Sieve<'_>,
) -> Result<Bytes, CannotAsk> {
    no_task(ask, "titan", sieve)?;
    let mut body = Body::default();
    body.text("inputText", text);
    if let Some(dimensions) = ask.dimensions {
        if to.model.contains("titan-embed-text-v2") {
            body.integer("dimensions", dimensions);
        } else if to.model.contains("titan-embed-image") {
            body.put("embeddingConfig", |out| {
                json::object(out, |o| o.integer("outputEmbeddingLength", dimensions));
            });
        } else {
            sieve.refuse("dimensions", "this model has one size of vectors")?;
        }
    }
    rest(ask, &["normalize"], "bedrock", sieve, |name, raw| body.raw(name, raw))?;
    Ok(body.patched(to))
}

fn nova(ask: &Request, text: &str, to: &Target, sieve: &mut Sieve<'_>) -> Result<Bytes, CannotAsk> {
    let mut cut = None;
    rest(ask, &["truncate"], "nova", sieve, |_, raw| {
        cut = serde_json::from_str::<String>(raw.get()).ok();
    })?;
    let mut body = Body::default();
    body.text("schemaVersion", "nova-multimodal-embed-v1");
    body.text("taskType", "SINGLE_EMBEDDING");
    body.put("singleEmbeddingParams", |out| {
        json::object(out, |o| {
            o.text(
                "embeddingPurpose",
                match &ask.task {
                    None | Some(Task::Document) => "GENERIC_INDEX",
                    Some(Task::Query) => "GENERIC_RETRIEVAL",
                    Some(Task::Classification) => "CLASSIFICATION",
                    Some(Task::Clustering) => "CLUSTERING",
                    Some(Task::Other(word)) => word,
                },
            );
            if let Some(dimensions) = ask.dimensions {
                o.integer("embeddingDimension", dimensions);
            }
            o.object("text", |o| {
                // It must be said; a text that is too long is refused, as OpenAI does.
                o.text("truncationMode", cut.as_deref().unwrap_or("NONE"));
                o.text("value", text);
            });
        });
    });
    Ok(body.patched(to))
}

fn marengo(
    ask: &Request,
    text: &str,
    to: &Target,
    sieve: &mut Sieve<'_>,
) -> Result<Bytes, CannotAsk> {
    no_task(ask, "marengo", sieve)?;
    if ask.dimensions.is_some() {
        sieve.refuse("dimensions", "this model has one size of vectors")?;
    }
    let mut body = Body::default();
    body.text("inputType", "text");
    // The third generation has an object for each kind of input.
    if to.model.contains("marengo-embed-2") {
        body.text("inputText", text);
        rest(ask, &["textTruncate"], "marengo", sieve, |name, raw| body.raw(name, raw))?;
    } else {
        body.put("text", |out| json::object(out, |o| o.text("inputText", text)));
        rest(ask, &[], "marengo", sieve, |_, _| {})?;
    }
    Ok(body.patched(to))
}
