//! Anthropic's dialect: `/v1/messages`.
//! <https://platform.claude.com/docs/en/api/messages>

mod beta;
mod block;
mod call;
mod citation;
mod decode;
mod encode;
mod error;
mod message;
mod reply;
mod request;
mod usage;

use bytes::Bytes;

use super::{Decode, Encode, Surface, Upstream, sieve::Sieve};
use crate::{
    exchange::{CannotAsk, Malformed, Payload},
    matrix::Dialect,
    op::chat::{Request, Response},
    target::Target,
};

pub(crate) use beta::tells_more;
pub(super) use call::calls_without_thoughts;
pub(super) use error::{broken, refusal};

/// Fields that only save tokens: marks of a cache, a question about them, and what of a conversation
/// the model need not see again. An upstream that has no such thing answers as well without them, so that they are named
/// among what was dropped and never refused: coding agents send them with every request.
/// <https://platform.claude.com/docs/en/build-with-claude/context-editing>
pub(super) const SAVINGS: &[&str] = &["cache_control", "context_management", "diagnostics"];

/// What a client says of thinking beside how much (`display`) has no place elsewhere.
pub(super) fn foreign(ask: &Request, sieve: &mut Sieve<'_>) {
    if ask.surface == Dialect::Anthropic {
        for (name, _) in &ask.reasoning.extra {
            sieve.hint(&format!("thinking.{name}"));
        }
    }
}

/// The dialect, both sides.
#[derive(Debug, Clone, Copy)]
pub struct Anthropic;

impl Surface for Anthropic {
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
        request::read_prompt(payload)
    }
}

impl Upstream for Anthropic {
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
}
