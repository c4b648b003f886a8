//! A count of tokens by an upstream of another dialect: only what is counted is translated.
//!
//! An upstream of the client's own dialect is relayed to, as ever. Where no upstream can count, the
//! gateway answers with [`locally`].

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};

use super::{Call, CannotAsk, Exchange, Malformed, Payload, head};
use crate::{
    Dialect, Operation,
    dialect::{self, Surface, Upstream},
    fault::{Fault, FaultKind},
    provider::{Patch, Provider},
    refusal::Refusal,
    target::Target,
    tokens,
    usage::Usage,
};

/// What Bedrock says of a model that it does not count for.
const CANNOT_COUNT: &str = "support counting tokens";

/// A count between dialects.
pub struct Counting {
    surface: Dialect,
    upstream: Dialect,
    dropped: Vec<String>,
    done: bool,
}

impl Counting {
    /// For a client of `surface` and a target of `upstream`.
    pub fn new(surface: Dialect, upstream: Dialect) -> Self {
        Counting { surface, upstream, dropped: Vec::new(), done: false }
    }
}

/// The answer to a client of `surface` without an upstream: the tokens of its request, estimated.
pub fn locally(surface: Dialect, payload: &Payload) -> Result<Bytes, Malformed> {
    Ok(client(surface)?.write_count(estimate(surface, payload)?))
}

/// The tokens of a request, estimated.
pub fn estimate(surface: Dialect, payload: &Payload) -> Result<u64, Malformed> {
    Ok(tokens::of_request(&client(surface)?.read_count(payload)?))
}

fn client(dialect: Dialect) -> Result<&'static dyn Surface, Malformed> {
    dialect::surface(dialect).ok_or_else(|| no_chat(dialect))
}

/// The upstream's side of a dialect, to write and read a count with.
pub(super) fn provider(dialect: Dialect) -> Result<&'static dyn Upstream, Malformed> {
    dialect::upstream(dialect).ok_or_else(|| no_chat(dialect))
}

/// The target as it is asked for a count: the model is said in the body where the path does not
/// name it, as Vertex AI's for Claude's models.
pub(super) fn target(dialect: Dialect, to: &Target) -> Target {
    let own = to.provider.paths.get(&dialect);
    let path = own.and_then(|paths| paths.get(&Operation::CountTokens));
    let unnamed = path.is_some_and(|path| !path.of(false).contains("model}"));
    let mut to = to.clone();
    if unnamed {
        let mut provider = Provider::clone(&to.provider);
        provider.patch.retain(|patch| !matches!(patch, Patch::Cut(name) if name == "model"));
        to.provider = Arc::new(provider);
    }
    to
}

fn no_chat(dialect: Dialect) -> Malformed {
    Malformed::new(format!("{} is not a dialect of chat on this side", dialect.name()))
}

impl Exchange for Counting {
    fn call(&mut self, payload: &Payload, to: &Target) -> Result<Call, CannotAsk> {
        let path = head::path(Operation::CountTokens, self.upstream, to, false)?;
        let mut ask = client(self.surface)?.read_count(payload)?;
        self.dropped.clear();
        // What cannot be counted is no reason not to count the rest.
        let to = &Target { drop_params: true, ..target(self.upstream, to) };
        if self.surface != self.upstream {
            dialect::settle(&mut ask, to, &mut self.dropped)?;
        }
        let body = provider(self.upstream)?.write_count(&ask, to, &mut self.dropped)?;
        let headers = head::headers(self.upstream, false, &[], to);
        Ok(Call { path, headers, body: vec![body] })
    }

    fn reply(&mut self, body: Bytes) -> Result<Bytes, Malformed> {
        let tokens = provider(self.upstream)?.read_count(&body)?;
        self.done = true;
        Ok(client(self.surface)?.write_count(tokens))
    }

    fn push(&mut self, _: &Bytes, _: &mut BytesMut) -> Result<(), Fault> {
        Err(no_stream())
    }

    fn end(&mut self, _: &mut BytesMut) -> Result<(), Fault> {
        Err(no_stream())
    }

    fn begun(&self) -> bool {
        self.done
    }

    fn done(&self) -> bool {
        self.done
    }

    /// Nothing: a count is free.
    fn usage(&self) -> Usage {
        Usage::default()
    }

    fn finish_reason(&self) -> Option<&str> {
        None
    }

    fn dropped(&self) -> &[String] {
        &self.dropped
    }

    fn fault(&self, status: StatusCode, headers: &HeaderMap, body: Bytes) -> Fault {
        let fault = dialect::fault(status, headers, &body);
        // Nothing is wrong with what was asked: the model is one that cannot be counted for.
        let unable = fault.message.contains(CANNOT_COUNT);
        if unable { Fault { kind: FaultKind::NotFound, ..fault } } else { fault }
    }

    fn broken(&self, why: &Refusal, out: &mut BytesMut) {
        dialect::broken(self.surface, why, out);
    }
}

fn no_stream() -> Fault {
    Fault::new(FaultKind::BadResponse, "a count of tokens is never a stream")
}
