//! Snowflake Cortex' `inference:embed`: OpenAI's answer, each vector in a list of its own.
//! <https://docs.snowflake.com/en/developer-guide/snowflake-rest-api/reference/cortex-embed>

use bytes::Bytes;

use super::{Upstream, begun, one_size, openai, rest};
use crate::{
    dialect::{
        fields::{At, list},
        sieve::Sieve,
    },
    exchange::{CannotAsk, Malformed},
    op::embeddings::{MAX_INPUTS, Request, Response, Vector},
    target::Target,
};

pub(super) struct Cortex;

impl Upstream for Cortex {
    fn write(
        &self,
        ask: &Request,
        to: &Target,
        dropped: &mut Vec<String>,
    ) -> Result<Bytes, CannotAsk> {
        let mut sieve = Sieve::new(to, dropped);
        let body = begun(ask, to, "text", "snowflake", &mut sieve)?;
        one_size(ask, "snowflake", &mut sieve)?;
        rest(ask, &[], "snowflake", &mut sieve, |_, _| {})?;
        Ok(body.patched(to))
    }

    fn read(&self, body: &[u8]) -> Result<Response, Malformed> {
        let mut reply = openai::Openai.read(body)?;
        for vector in &mut reply.vectors {
            let Vector::Floats(raw) = vector else { continue };
            let within = raw.get().strip_prefix('[').map(str::trim_start);
            if !within.is_some_and(|within| within.starts_with('[')) {
                continue;
            }
            match list(raw, &At::Field(&At::Body, "data"), MAX_INPUTS)?.as_slice() {
                [one] => *vector = Vector::Floats((*one).to_owned()),
                _ => return Err(Malformed::at("data", "expected one vector for each text")),
            }
        }
        Ok(reply)
    }
}
