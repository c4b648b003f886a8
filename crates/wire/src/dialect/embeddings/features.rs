//! Hugging Face's feature extraction, which Text Embeddings Inference has as `/embed`: a list of
//! vectors and nothing else. The path names the model.
//! <https://huggingface.co/docs/inference-providers/tasks/feature-extraction>,
//! <https://huggingface.github.io/text-embeddings-inference/>

use bytes::Bytes;

use super::{Upstream, floats, no_task, rest, texts, write_texts};
use crate::{
    dialect::{
        body::Body,
        fault_inside,
        fields::{At, Fields},
        sieve::Sieve,
    },
    exchange::{CannotAsk, Malformed},
    op::embeddings::{Request, Response},
    target::Target,
};

pub(super) struct Features;

impl Upstream for Features {
    fn write(
        &self,
        ask: &Request,
        to: &Target,
        dropped: &mut Vec<String>,
    ) -> Result<Bytes, CannotAsk> {
        let mut sieve = Sieve::new(to, dropped);
        let mut body = Body::default();
        write_texts(&mut body, "inputs", texts(ask, to, "huggingface")?);
        if let Some(dimensions) = ask.dimensions {
            body.integer("dimensions", dimensions);
        }
        no_task(ask, "huggingface", &mut sieve)?;
        let own = ["normalize", "truncate", "truncation_direction", "prompt_name"];
        rest(ask, &own, "huggingface", &mut sieve, |name, raw| body.raw(name, raw))?;
        Ok(body.patched(to))
    }

    /// A list of vectors; an object that has it, where a container at SageMaker answers so.
    fn read(&self, body: &[u8]) -> Result<Response, Malformed> {
        let body = body.trim_ascii();
        if !body.starts_with(b"[") {
            let mut fields = Fields::of_body(body)?;
            let at = At::Field(&At::Body, "embedding");
            return match fields.take("embedding") {
                Some(raw) => floats(raw, &at, String::new(), None),
                None => Err(Malformed::new(format!(
                    "the upstream answered no vectors: {}",
                    fault_inside(body).message
                ))),
            };
        }
        let raw = serde_json::from_slice(body).map_err(|why| {
            Malformed::new(format!("the answer is not what huggingface sends: {why}"))
        })?;
        floats(raw, &At::Body, String::new(), None)
    }
}
