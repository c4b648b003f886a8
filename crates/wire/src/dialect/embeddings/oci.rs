//! OCI Generative AI's `embedText`, of Cohere's models. Who pays and where it is served comes from the
//! provider's table, as for chat.
//! <https://docs.oracle.com/en-us/iaas/api/#/en/generative-ai-inference/20231130/EmbedTextResult/EmbedText>

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Upstream, cohere, counted, floats, rest, texts, write_texts};
use crate::{
    dialect::{body::Body, fields::At, oci::envelope, sieve::Sieve},
    exchange::{CannotAsk, Malformed},
    op::embeddings::{Request, Response},
    target::Target,
};

pub(super) struct Oci;

impl Upstream for Oci {
    fn write(
        &self,
        ask: &Request,
        to: &Target,
        dropped: &mut Vec<String>,
    ) -> Result<Bytes, CannotAsk> {
        let mut sieve = Sieve::new(to, dropped);
        let mut request = Body::default();
        write_texts(&mut request, "inputs", texts(ask, to, "oci")?);
        request.text("inputType", &cohere::task(ask).to_ascii_uppercase());
        if let Some(dimensions) = ask.dimensions {
            // What is behind an endpoint of one's own, its name does not say.
            if to.model.contains("-v3") {
                sieve.refuse("dimensions", "this model has one size of vectors")?;
            } else {
                request.integer("outputDimensions", dimensions);
            }
        }
        rest(ask, &["truncate"], "oci", &mut sieve, |name, raw| request.raw(name, raw))?;
        request.apply_patches(to);
        // The table's default of answers that are written.
        request.take("maxTokens");
        let mut body = envelope(&mut request, to);
        body.append(request);
        Ok(body.written())
    }

    fn most_a_call(&self, _to: &Target) -> Option<usize> {
        Some(cohere::MOST_A_CALL)
    }

    fn read(&self, body: &[u8]) -> Result<Response, Malformed> {
        let reply: Reply<'_> = serde_json::from_slice(body)
            .map_err(|why| Malformed::new(format!("the answer is not what oci sends: {why}")))?;
        let each =
            reply.input_text_token_counts.map(|each| each.into_iter().fold(0, u64::saturating_add));
        let input = each.or(reply.usage.map(|usage| usage.prompt_tokens));
        let at = At::Field(&At::Body, "embeddings");
        floats(reply.embeddings, &at, reply.model_id.unwrap_or_default(), counted(input))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reply<'a> {
    #[serde(borrow)]
    embeddings: &'a RawValue,
    #[serde(default)]
    model_id: Option<String>,
    #[serde(default)]
    input_text_token_counts: Option<Vec<u64>>,
    #[serde(default)]
    usage: Option<Figures>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Figures {
    prompt_tokens: u64,
}
