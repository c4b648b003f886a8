//! OpenAI's embeddings whose numbers are signed bytes in base64: Perplexity's, which has no others.
//! <https://docs.perplexity.ai/docs/embeddings/best-practices>

use bytes::Bytes;

use super::{Upstream, begun, openai, rest};
use crate::{
    dialect::sieve::Sieve,
    exchange::{CannotAsk, Malformed},
    op::embeddings::{Request, Response, Vector},
    target::Target,
};

pub(super) struct Int8;

impl Upstream for Int8 {
    fn write(
        &self,
        ask: &Request,
        to: &Target,
        dropped: &mut Vec<String>,
    ) -> Result<Bytes, CannotAsk> {
        let mut sieve = Sieve::new(to, dropped);
        let mut body = begun(ask, to, "input", "perplexity", &mut sieve)?;
        if let Some(dimensions) = ask.dimensions {
            body.integer("dimensions", dimensions);
        }
        body.text("encoding_format", "base64_int8");
        rest(ask, &[], "perplexity", &mut sieve, |_, _| {})?;
        Ok(body.patched(to))
    }

    fn read(&self, body: &[u8]) -> Result<Response, Malformed> {
        let mut reply = openai::Openai.read(body)?;
        for vector in &mut reply.vectors {
            if let Vector::Base64(text) = vector {
                *vector = Vector::Bytes(std::mem::take(text));
            }
        }
        Ok(reply)
    }
}
