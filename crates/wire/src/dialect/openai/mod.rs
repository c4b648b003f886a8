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

use bytes::{BufMut, Bytes, BytesMut};

use super::{Decode, Encode, Surface, Upstream, json};
use crate::{
    exchange::{CannotAsk, Malformed, Payload},
    op::chat::{Request, Response},
    peek::Peek,
    target::Target,
};

pub(super) use call::{effort, user};
pub(super) use chunk::{ChoiceIn, DeltaIn, FunctionIn, Prose, Sound, ToolIn};
pub(super) use decode::Choices;
pub(super) use error::{broken, refusal};
pub(super) use message::cites;
pub(super) use part::{source_of, url_of, write_cache};
pub(super) use request::{include_usage, stop};
pub(super) use usage::write as write_usage;

/// The dialect, both sides.
#[derive(Debug, Clone, Copy)]
pub struct Openai;

/// What a configuration sets, in OpenAI's names, as a request of nothing else.
pub(super) fn read_defaults(defaults: &[(String, Bytes)]) -> Result<Request, Malformed> {
    let mut body = BytesMut::from(&br#"{"model":"","messages":[]"#[..]);
    for (name, value) in defaults {
        body.put_u8(b',');
        json::string(&mut body, name);
        body.put_u8(b':');
        body.put_slice(value);
    }
    body.put_u8(b'}');
    let (body, peek) = (body.freeze(), Peek::default());
    request::read(&Payload { body, peek, headers: Vec::new(), received_s: 0 })
}

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
