//! Amazon Bedrock's dialect: `/model/{model}/converse` and `/model/{model}/converse-stream`.
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>
//!
//! One form for all models of the service, and for each family of models some settings of its own
//! in `additionalModelRequestFields`. Providers' side only: no client speaks it to us.

mod block;
mod call;
mod citation;
mod decode;
mod family;
mod format;
mod media;
mod message;
mod picture;
mod reasoning;
mod reply;
mod tool;
mod usage;

use bytes::Bytes;

use super::{Decode, Upstream};
use crate::{
    exchange::{CannotAsk, Malformed},
    op::chat::{Request, Response},
    target::Target,
};

/// The dialect, providers' side.
#[derive(Debug, Clone, Copy)]
pub struct Bedrock;

impl Upstream for Bedrock {
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

    /// <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_CountTokens.html>
    fn write_count(
        &self,
        ask: &Request,
        to: &Target,
        dropped: &mut Vec<String>,
    ) -> Result<Bytes, CannotAsk> {
        call::write_count(ask, to, dropped)
    }
}

/// Whether a model searches the web.
pub(super) fn searches(model: &str) -> bool {
    matches!(family::Family::of(model), family::Family::Nova { .. })
}

#[cfg(test)]
mod tests;
