//! Embeddings at Amazon Bedrock: `InvokeModel`, each maker's models in a format of their own.
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html>,
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-embed.html>

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Upstream, cohere, counted, no_task, rest, texts};
use crate::{
    dialect::{body::Body, fields::At, json, sieve::Sieve},
    exchange::{CannotAsk, Malformed, Unsupported},
    op::embeddings::{Request, Response, Vector},
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
        let texts = texts(ask, to, "bedrock")?;
        if to.model.contains("cohere.embed") {
            cohere(ask, texts, to, &mut sieve)
        } else if to.model.contains("titan-embed") {
            titan(ask, texts, to, &mut sieve)
        } else {
            Err(cannot(to, "model", "tollgate knows the embeddings of Titan and Cohere there"))
        }
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
        let at = At::Field(&At::Body, "embeddings");
        let Some(raw) = reply.embeddings else { return Err(at.wrong("vectors")) };
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
    /// Cohere's.
    #[serde(borrow, default)]
    embeddings: Option<&'a RawValue>,
}

fn cannot(to: &Target, param: &str, why: &str) -> CannotAsk {
    let (param, model, why) = (param.to_owned(), to.model.to_string(), why.to_owned());
    Unsupported { param, model, why }.into()
}

fn cohere(
    ask: &Request,
    texts: &[String],
    to: &Target,
    sieve: &mut Sieve<'_>,
) -> Result<Bytes, CannotAsk> {
    let mut body = Body::default();
    cohere::write_texts(&mut body, texts);
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
    texts: &[String],
    to: &Target,
    sieve: &mut Sieve<'_>,
) -> Result<Bytes, CannotAsk> {
    let [text] = texts else {
        return Err(cannot(to, "input", "titan embeds one text a call"));
    };
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
