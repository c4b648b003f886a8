//! Replicate's predictions: a request is a job, and its output is fetched.
//! <https://replicate.com/docs/reference/http#models.predictions.create>
//!
//! The answer to a request is a prediction, mostly one that only starts. A stream is read where the
//! prediction says (`urls.stream`), which needs no token:
//! <https://replicate.com/docs/topics/predictions/streaming>. A whole answer is asked for until the
//! prediction has come to an end. Both at addresses that are made here of the prediction's name and
//! not taken from the answer, but for the stream's, which has to be one that the table allows.
//!
//! Each model has parameters of its own. Which they are, and how it is told of a conversation, the
//! provider's table says as `inputs`; what it does not list is refused, for a model says nothing of
//! what it does not know. Where it lists nothing the names are those of Replicate's own Llamas:
//! <https://replicate.com/meta/meta-llama-3-70b-instruct/api/schema>.

mod call;
mod decode;
mod job;
mod reply;

use bytes::Bytes;

use super::{Decode, Upstream};
use crate::{
    exchange::{
        CannotAsk, Malformed,
        follow::{Asked, Next},
    },
    fault::Fault,
    op::chat::{Request, Response},
    target::Target,
};

/// How long a request for a whole answer waits for it (`Prefer`), in seconds: short answers are
/// there by then. As long cannot be called off what nobody waits for any more, so it is less than
/// the 60 that are allowed.
pub(crate) const PATIENCE: &str = "wait=5";

/// The dialect.
#[derive(Debug, Clone, Copy)]
pub struct Replicate;

impl Upstream for Replicate {
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

    fn follow(&self, body: &[u8], asked: Asked<'_>) -> Result<Next, Fault> {
        job::follow(body, asked)
    }
}

/// Where a model is asked: official ones and deployments by name, all others by version. `None`
/// where the name would lead elsewhere.
pub(crate) fn path(model: &str) -> Option<String> {
    if version(model).is_some() {
        return Some("/predictions".to_owned());
    }
    let (kind, name) = match model.strip_prefix("deployments/") {
        Some(name) => ("deployments", name),
        None => ("models", model),
    };
    let leads_on = name.split('/').all(|part| !part.trim_matches('.').is_empty());
    leads_on.then(|| format!("/{kind}/{}/predictions", in_path(name)))
}

/// `owner/name:version`, or a version alone: 64 digits.
fn version(model: &str) -> Option<&str> {
    let bare = model.len() == 64 && model.bytes().all(|byte| byte.is_ascii_hexdigit());
    if bare { Some(model) } else { model.split_once(':').map(|(_, version)| version) }
}

/// A name in a path, its slashes as they are.
fn in_path(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests;
