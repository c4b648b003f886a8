//! Ollama's `/api/embed`. <https://docs.ollama.com/api/embed>

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Upstream, begun, counted, floats, rest};
use crate::{
    dialect::{fault_inside, fields::At, sieve::Sieve},
    exchange::{CannotAsk, Malformed},
    op::embeddings::{Request, Response},
    target::Target,
};

pub(super) struct Ollama;

impl Upstream for Ollama {
    fn write(
        &self,
        ask: &Request,
        to: &Target,
        dropped: &mut Vec<String>,
    ) -> Result<Bytes, CannotAsk> {
        let mut sieve = Sieve::new(to, dropped);
        let mut body = begun(ask, to, "input", "ollama", &mut sieve)?;
        if let Some(dimensions) = ask.dimensions {
            body.integer("dimensions", dimensions);
        }
        let own = ["keep_alive", "options", "truncate"];
        rest(ask, &own, "ollama", &mut sieve, |name, raw| body.raw(name, raw))?;
        Ok(body.patched(to))
    }

    fn read(&self, body: &[u8]) -> Result<Response, Malformed> {
        let reply: Reply<'_> = serde_json::from_slice(body)
            .map_err(|why| Malformed::new(format!("the answer is not what ollama sends: {why}")))?;
        let at = At::Field(&At::Body, "embeddings");
        match reply.embeddings {
            Some(raw) if reply.error.is_none() => {
                floats(raw, &at, reply.model.unwrap_or_default(), counted(reply.prompt_eval_count))
            }
            _ if reply.error.is_some() => {
                let fault = fault_inside(body);
                let why = format!("the upstream answered an error: {}", fault.message);
                Err(Malformed::new(why))
            }
            _ => Err(at.wrong("a list of vectors")),
        }
    }
}

#[derive(Deserialize)]
struct Reply<'a> {
    #[serde(default)]
    model: Option<String>,
    #[serde(borrow, default)]
    embeddings: Option<&'a RawValue>,
    #[serde(default)]
    prompt_eval_count: Option<u64>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}
