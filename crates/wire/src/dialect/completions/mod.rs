//! OpenAI's completions, as they were before chat: a prompt in, text out. Clients only: the prompt
//! becomes a user's message. A provider that has them itself is asked by relay.
//! <https://platform.openai.com/docs/api-reference/completions>

mod encode;
mod reply;
mod request;

use bytes::Bytes;

use super::{Encode, Surface, Write};
use crate::{
    exchange::{CannotAsk, Malformed, Payload},
    op::chat::{Request, Response},
    target::Target,
};

/// The dialect, the client's side.
#[derive(Debug, Clone, Copy)]
pub struct Completions;

impl Surface for Completions {
    fn read(&self, payload: &Payload) -> Result<Request, Malformed> {
        request::read(payload)
    }

    fn elsewhere(
        &self,
        ask: &mut Request,
        to: &Target,
        dropped: &mut Vec<String>,
    ) -> Result<(), CannotAsk> {
        request::settle(ask, to, dropped)
    }

    fn write(&self, reply: &Response) -> Bytes {
        reply::write(reply, "")
    }

    fn writer(&self, ask: &Request) -> Option<Box<dyn Write>> {
        request::echo(ask).map(|prompt| Box::new(Echo(prompt.into())) as Box<dyn Write>)
    }

    fn encoder(&self, ask: &Request) -> Box<dyn Encode> {
        let prompt = request::echo(ask).unwrap_or_default();
        Box::new(encode::Encoder::new(ask.include_usage, prompt))
    }
}

/// Writes answers that begin with their prompt.
struct Echo(Box<str>);

impl Write for Echo {
    fn write(&self, reply: &Response) -> Bytes {
        reply::write(reply, &self.0)
    }
}
