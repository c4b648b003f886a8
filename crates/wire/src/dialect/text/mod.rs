//! Models that only go on from a text: no messages, no tools, no pictures.
//!
//! * [`Tgi`]: Hugging Face's text generation, which many containers at SageMaker speak.
//!   <https://huggingface.co/docs/text-generation-inference/reference/api_reference>
//! * [`WatsonxText`]: watsonx's. <https://cloud.ibm.com/apidocs/watsonx-ai#text-generation>
//!
//! A conversation becomes a text in the form that the model was trained on. Which one that is, the
//! provider's table says as a patch, `chat_template`; see [`prompt`].
//!
//! What watsonx' moderation took out of an answer is not in its text any more; where that stood
//! (`results.*.moderations`) no client's dialect has a place for.
//! <https://ibm.github.io/watsonx-ai-node-sdk/interfaces/1_5_x.WatsonXAI.ModerationResults.html>

mod call;
mod decode;
mod prompt;
mod reply;

pub(super) use call::{HINTS, refused};
pub(crate) use prompt::is_form;
pub(super) use prompt::{Turn, UNKNOWN_FORM, formed, text_of, turns};

use bytes::Bytes;

use super::{Decode, Upstream};
use crate::{
    exchange::{CannotAsk, Malformed},
    op::chat::{Request, Response},
    target::Target,
};

/// Hugging Face's text generation.
#[derive(Debug, Clone, Copy)]
pub struct Tgi;

/// watsonx's text generation.
#[derive(Debug, Clone, Copy)]
pub struct WatsonxText;

impl Upstream for Tgi {
    fn write(
        &self,
        ask: &Request,
        to: &Target,
        dropped: &mut Vec<String>,
    ) -> Result<Bytes, CannotAsk> {
        call::tgi(ask, to, dropped)
    }

    fn read(&self, body: &[u8]) -> Result<Response, Malformed> {
        reply::tgi(body)
    }

    fn decoder(&self) -> Box<dyn Decode> {
        Box::new(decode::Decoder::<reply::Token>::default())
    }
}

impl Upstream for WatsonxText {
    fn write(
        &self,
        ask: &Request,
        to: &Target,
        dropped: &mut Vec<String>,
    ) -> Result<Bytes, CannotAsk> {
        call::watsonx(ask, to, dropped)
    }

    fn read(&self, body: &[u8]) -> Result<Response, Malformed> {
        reply::watsonx(body)
    }

    fn decoder(&self) -> Box<dyn Decode> {
        Box::new(decode::Decoder::<reply::Results>::default())
    }
}
