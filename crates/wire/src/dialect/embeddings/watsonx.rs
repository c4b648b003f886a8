//! watsonx' `/ml/v1/text/embeddings`. The patches of its place name model and project.
//! <https://cloud.ibm.com/apidocs/watsonx-ai#text-embeddings>

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Upstream, begun, counted, one_size, rest};
use crate::{
    dialect::{json, sieve::Sieve},
    exchange::{CannotAsk, Malformed},
    op::{
        chat::Extra,
        embeddings::{MAX_INPUTS, Request, Response, Vector},
    },
    target::Target,
};

pub(super) struct Watsonx;

impl Upstream for Watsonx {
    fn write(
        &self,
        ask: &Request,
        to: &Target,
        dropped: &mut Vec<String>,
    ) -> Result<Bytes, CannotAsk> {
        let mut sieve = Sieve::new(to, dropped);
        let mut body = begun(ask, to, "inputs", "watsonx", &mut sieve)?;
        one_size(ask, "watsonx", &mut sieve)?;
        let mut own = Extra::new();
        rest(ask, &["truncate_input_tokens", "parameters"], "watsonx", &mut sieve, |name, raw| {
            own.push((name.into(), raw.to_owned()));
        })?;
        match own.iter().position(|(name, _)| **name == *"parameters") {
            Some(at) => body.raw("parameters", &own.remove(at).1),
            None if own.is_empty() => {}
            None => body.put("parameters", |out| json::object(out, |o| o.extra(&own))),
        }
        Ok(body.patched(to))
    }

    fn read(&self, body: &[u8]) -> Result<Response, Malformed> {
        let reply: Reply<'_> = serde_json::from_slice(body).map_err(|why| {
            Malformed::new(format!("the answer is not what watsonx sends: {why}"))
        })?;
        if reply.results.len() > MAX_INPUTS {
            return Err(Malformed::new(format!("the answer has over {MAX_INPUTS} vectors")));
        }
        let vectors = reply.results.into_iter();
        let vectors = vectors.map(|one| Vector::Floats(one.embedding.to_owned())).collect();
        let model = reply.model_id.unwrap_or_default();
        Ok(Response { model, vectors, usage: counted(reply.input_token_count) })
    }
}

#[derive(Deserialize)]
struct Reply<'a> {
    #[serde(default)]
    model_id: Option<String>,
    #[serde(borrow)]
    results: Vec<Embedding<'a>>,
    #[serde(default)]
    input_token_count: Option<u64>,
}

#[derive(Deserialize)]
struct Embedding<'a> {
    #[serde(borrow)]
    embedding: &'a RawValue,
}
