//! Google's dialect: `generateContent` and `streamGenerateContent`, as Google AI Studio and
//! Vertex AI have them. <https://ai.google.dev/api/generate-content>
//!
//! Google's JSON is that of protocol buffers: fields may come in camelCase or in snake_case. We read
//! both and write camelCase.

mod call;
mod candidate;
mod config;
mod contents;
mod decode;
mod encode;
mod error;
mod part;
mod reply;
mod request;
mod schema;
mod thinking;
mod usage;

use bytes::Bytes;

use super::{Decode, Encode, Surface, Upstream, sieve::Sieve};
use crate::{
    exchange::{CannotAsk, Malformed, Payload},
    op::chat::{Request, Response},
    target::Target,
};

pub(super) use error::{broken, refusal};

/// The dialect, both sides.
#[derive(Debug, Clone, Copy)]
pub struct Gemini;

impl Surface for Gemini {
    fn read(&self, payload: &Payload) -> Result<Request, Malformed> {
        request::read(payload)
    }

    fn write(&self, reply: &Response) -> Bytes {
        reply::write(reply)
    }

    fn encoder(&self, _ask: &Request) -> Box<dyn Encode> {
        Box::new(encode::Encoder::default())
    }

    fn read_count(&self, payload: &Payload) -> Result<Request, Malformed> {
        request::read_count(payload)
    }

    fn write_count(&self, tokens: u64) -> Bytes {
        format!(r#"{{"totalTokens":{tokens}}}"#).into()
    }
}

impl Upstream for Gemini {
    fn write(
        &self,
        ask: &Request,
        to: &Target,
        dropped: &mut Vec<String>,
    ) -> Result<Bytes, CannotAsk> {
        call::write(ask, to, dropped)
    }

    fn read(&self, body: &[u8]) -> Result<Response, Malformed> {
        reply::read(body)
    }

    fn decoder(&self) -> Box<dyn Decode> {
        Box::new(decode::Decoder::default())
    }

    fn write_count(
        &self,
        ask: &Request,
        to: &Target,
        dropped: &mut Vec<String>,
    ) -> Result<Bytes, CannotAsk> {
        call::write_count(ask, to, dropped)
    }

    fn read_count(&self, body: &[u8]) -> Result<u64, Malformed> {
        reply::read_count(body)
    }
}

/// The searches that Google charges for, of the queries that an answer of this model names.
pub(crate) fn searches(model: &str, queries: u64) -> u64 {
    thinking::Family::of(model).searches(queries)
}

/// What a Gemini client said of the answer that no other dialect has a place for: refused by name, or,
/// where the answer does not depend on it, named.
pub(super) fn foreign(ask: &Request, sieve: &mut Sieve<'_>) -> Result<(), CannotAsk> {
    const WHY: &str = "only gemini has this parameter";
    for (name, raw) in &ask.output_extra {
        // What all others do anyway.
        if **name == *"responseModalities" && raw.get().eq_ignore_ascii_case(r#"["text"]"#) {
            continue;
        }
        sieve.refuse(&format!("generationConfig.{name}"), WHY)?;
    }
    for (name, _) in &ask.reasoning.extra {
        sieve.hint(&format!("generationConfig.thinkingConfig.{name}"));
    }
    Ok(())
}
