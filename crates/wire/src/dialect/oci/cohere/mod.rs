//! OCI's format `COHERE`: Cohere's first chat API, in camelCase. A conversation is a message, what
//! went before it, and the results of tools; there are no pictures, no thoughts and no ids of calls.
//! <https://docs.oracle.com/en-us/iaas/api/#/en/generative-ai-inference/20231130/datatypes/CohereChatRequest>

mod call;
mod decode;
mod message;
mod reply;

use bytes::Bytes;

use crate::{
    dialect::{Decode, Upstream},
    exchange::{CannotAsk, Malformed},
    op::chat::{Request, Response},
    target::Target,
};

/// The dialect, for Cohere's models.
#[derive(Debug, Clone, Copy)]
pub struct OciCohere;

impl Upstream for OciCohere {
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
