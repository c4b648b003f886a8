//! OpenAI's dialect: `/chat/completions` and what is beside it.
//! <https://platform.openai.com/docs/api-reference/chat>

mod call;
mod chunk;
mod decode;
mod encode;
mod error;
mod message;
mod part;
mod reply;
mod request;
mod usage;

use bytes::Bytes;

use super::{Decode, Encode, Surface, Upstream};
use crate::{
    exchange::{CannotAsk, Malformed, Payload},
    op::chat::{Request, Response},
    target::Target,
};

pub(super) use error::{broken, refusal};
pub(super) use part::{source_of, url_of, write_cache};

/// The dialect, both sides.
#[derive(Debug, Clone, Copy)]
pub struct Openai;

impl Surface for Openai {
    fn read(&self, payload: &Payload) -> Result<Request, Malformed> {
        request::read(payload)
    }

    fn write(&self, reply: &Response) -> Bytes {
        reply::write(reply)
    }

    fn encoder(&self, ask: &Request) -> Box<dyn Encode> {
        Box::new(encode::Encoder::new(ask.include_usage))
    }
}

impl Upstream for Openai {
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
}
