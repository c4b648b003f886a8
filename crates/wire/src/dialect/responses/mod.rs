//! OpenAI's responses: `/responses`. A request is a list of items, an answer is one, and a stream
//! tells of each item how it grows.
//! <https://platform.openai.com/docs/api-reference/responses>

mod call;
mod content;
mod decode;
mod echo;
mod elsewhere;
mod encode;
mod error;
mod input;
mod item;
mod namespace;
mod output;
mod picture;
mod reply;
mod request;
mod thought;
mod tool;
mod usage;

use bytes::Bytes;

use self::echo::Told;
use super::{Decode, Encode, Surface, Upstream, Write};
use crate::{
    exchange::{CannotAsk, Malformed, Payload},
    op::chat::{Request, Response},
    target::Target,
};

pub(super) use elsewhere::allow;
pub(super) use error::broken;
pub(super) use item::ITEM;
pub(crate) use thought::unseal_for;
pub(crate) use tool::is_call;

/// The dialect, both sides.
#[derive(Debug, Clone, Copy)]
pub struct Responses;

impl Surface for Responses {
    fn read(&self, payload: &Payload) -> Result<Request, Malformed> {
        request::read(payload)
    }

    fn elsewhere(
        &self,
        ask: &mut Request,
        to: &Target,
        dropped: &mut Vec<String>,
    ) -> Result<(), CannotAsk> {
        elsewhere::settle(ask, to, dropped)
    }

    fn write(&self, reply: &Response) -> Bytes {
        reply::write(reply, &Told::default())
    }

    fn writer(&self, ask: &Request) -> Option<Box<dyn Write>> {
        Some(Box::new(Told::of(ask)))
    }

    fn encoder(&self, ask: &Request) -> Box<dyn Encode> {
        Box::new(encode::Encoder::new(Told::of(ask)))
    }
}

impl Upstream for Responses {
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
