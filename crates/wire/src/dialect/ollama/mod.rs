//! Ollama's own dialect: `/api/chat`. A stream is a line of JSON for each piece.
//! <https://docs.ollama.com/api/chat>

mod call;
mod decode;
mod message;
mod reply;

use bytes::Bytes;

use super::{Decode, Upstream};
use crate::{
    exchange::{CannotAsk, Malformed},
    op::chat::{Request, Response},
    target::Target,
};

/// The dialect.
#[derive(Debug, Clone, Copy)]
pub struct Ollama;

impl Upstream for Ollama {
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
