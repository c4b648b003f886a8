//! Cohere's dialect: `/v2/chat`.
//! <https://docs.cohere.com/reference/chat>, <https://docs.cohere.com/reference/chat-stream>
//!
//! What a model says before it calls tools is its `tool_plan`, and text in the hub. A stream's text
//! comes before anybody knows whether calls follow: a client sees it as content there.

mod call;
mod cite;
mod decode;
mod encode;
mod error;
mod message;
mod reply;
mod request;

use bytes::Bytes;

use super::{Decode, Encode, Surface, Upstream};
use crate::{
    exchange::{CannotAsk, Malformed, Payload},
    op::chat::{Request, Response},
    target::Target,
};

pub(crate) use error::failed;
pub(super) use error::{broken, refusal};
pub(crate) use reply::finish_of;

/// The dialect, both sides.
#[derive(Debug, Clone, Copy)]
pub struct Cohere;

impl Surface for Cohere {
    fn read(&self, payload: &Payload) -> Result<Request, Malformed> {
        request::read(payload)
    }

    fn write(&self, reply: &Response) -> Bytes {
        reply::write(reply)
    }

    fn encoder(&self, _ask: &Request) -> Box<dyn Encode> {
        Box::new(encode::Encoder::default())
    }
}

impl Upstream for Cohere {
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
