//! One module a dialect. A dialect is a [`Surface`] (the client's side), an [`Upstream`] (the
//! provider's side), or both.

mod annotation;
pub mod anthropic;
pub mod bedrock;
mod body;
pub mod cohere;
pub mod completions;
mod count;
pub mod embeddings;
mod events;
pub(crate) mod fault;
mod fields;
pub(crate) mod figures;
mod foreign;
mod functions;
pub mod gemini;
mod json;
pub mod oci;
pub mod ollama;
pub mod openai;
mod preset;
pub mod replicate;
pub mod responses;
mod search;
mod sieve;
mod signature;
pub mod text;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};

use crate::{
    exchange::{
        CannotAsk, Malformed, Payload,
        follow::{Asked, Next},
    },
    fault::Fault,
    matrix::Dialect,
    op::chat::{Event, Request, Response},
    refusal::Refusal,
    target::Target,
};

/// The client's side of a dialect of the chat operation.
pub trait Surface: Sync {
    /// A client's body, into the hub.
    fn read(&self, payload: &Payload) -> Result<Request, Malformed>;
    /// Settles what of a request only a provider of this dialect can do, for a target that speaks
    /// another one: said in words that every dialect has, refused, or left out and named.
    fn elsewhere(
        &self,
        _ask: &mut Request,
        _to: &Target,
        _dropped: &mut Vec<String>,
    ) -> Result<(), CannotAsk> {
        Ok(())
    }
    /// A whole answer, out of the hub.
    fn write(&self, reply: &Response) -> Bytes;
    /// What writes a whole answer where that takes knowledge of the request; `None`: [`write`]
    /// does it.
    ///
    /// [`write`]: Surface::write
    fn writer(&self, _ask: &Request) -> Option<Box<dyn Write>> {
        None
    }
    /// A state machine that writes a stream.
    fn encoder(&self, ask: &Request) -> Box<dyn Encode>;
    /// A client's body whose tokens are to be counted, into the hub.
    fn read_count(&self, payload: &Payload) -> Result<Request, Malformed> {
        self.read(payload)
    }
    /// The answer to a count.
    fn write_count(&self, tokens: u64) -> Bytes {
        format!(r#"{{"input_tokens":{tokens}}}"#).into()
    }
}

/// The provider's side of a dialect of the chat operation.
pub trait Upstream: Sync {
    /// The hub's request as a body, the target's defaults and its provider's patches applied.
    /// Parameters that the dialect cannot say are refused, or, with [`Target::drop_params`], left
    /// out and named in `dropped`; what the answer does not depend on (a cache mark, a thought of
    /// another provider) is always left out and named.
    fn write(
        &self,
        ask: &Request,
        to: &Target,
        dropped: &mut Vec<String>,
    ) -> Result<Bytes, CannotAsk>;
    /// A whole answer, into the hub.
    fn read(&self, body: &[u8]) -> Result<Response, Malformed>;
    /// A state machine that reads a stream.
    fn decoder(&self) -> Box<dyn Decode>;
    /// What an answer says is to be asked next, where the provider answers with a job. `Err` where
    /// the job has failed.
    fn follow(&self, _body: &[u8], _asked: Asked<'_>) -> Result<Next, Fault> {
        Ok(Next::Answer)
    }
    /// The hub's request as a body whose tokens are to be counted. Only for dialects that
    /// [`crate::matrix::upstream`] gives a path for it.
    fn write_count(
        &self,
        ask: &Request,
        to: &Target,
        dropped: &mut Vec<String>,
    ) -> Result<Bytes, CannotAsk> {
        self.write(ask, to, dropped)
    }
    /// The answer to a count.
    fn read_count(&self, body: &[u8]) -> Result<u64, Malformed> {
        count::input_tokens(body)
    }
}

/// Writes a whole answer to the request that it was made for.
pub trait Write: Send {
    /// The answer, out of the hub.
    fn write(&self, reply: &Response) -> Bytes;
}

/// Bytes in, events out; any split of the bytes gives the same events.
pub trait Decode: Send {
    /// A piece of the stream. An error event of the upstream comes back as `Err`.
    fn push(&mut self, bytes: &[u8], out: &mut Vec<Event>) -> Result<(), Fault>;
    /// The stream has ended. `Err` when it was cut short.
    fn end(&mut self, out: &mut Vec<Event>) -> Result<(), Fault>;
    /// True once the stream is complete (`[DONE]`, `message_stop`).
    fn done(&self) -> bool;
}

/// Events in, bytes out.
pub trait Encode: Send {
    /// Appends the frames that say `event`.
    fn push(&mut self, event: &Event, out: &mut BytesMut);
    /// Appends what closes the stream.
    fn end(&mut self, out: &mut BytesMut);
}

/// The client's side of a dialect of chat, if clients may speak it to us.
pub fn surface(dialect: Dialect) -> Option<&'static dyn Surface> {
    Some(match dialect {
        Dialect::Openai => &openai::Openai,
        Dialect::Anthropic => &anthropic::Anthropic,
        Dialect::Gemini => &gemini::Gemini,
        Dialect::Responses => &responses::Responses,
        Dialect::Completions => &completions::Completions,
        Dialect::Cohere => &cohere::Cohere,
        _ => return None,
    })
}

/// The provider's side of a dialect of chat, if we may speak it to providers.
pub fn upstream(dialect: Dialect) -> Option<&'static dyn Upstream> {
    Some(match dialect {
        Dialect::Openai => &openai::Openai,
        Dialect::Anthropic => &anthropic::Anthropic,
        Dialect::Bedrock => &bedrock::Bedrock,
        Dialect::Cohere => &cohere::Cohere,
        Dialect::Ollama => &ollama::Ollama,
        Dialect::Oci => &oci::Oci,
        Dialect::OciCohere => &oci::cohere::OciCohere,
        Dialect::Tgi => &text::Tgi,
        Dialect::WatsonxText => &text::WatsonxText,
        Dialect::Replicate => &replicate::Replicate,
        Dialect::Gemini => &gemini::Gemini,
        Dialect::Responses => &responses::Responses,
        _ => return None,
    })
}

/// Says in the target's words what the dialects of client and target call differently.
pub(crate) fn settle(
    ask: &mut Request,
    to: &Target,
    dropped: &mut Vec<String>,
) -> Result<(), CannotAsk> {
    responses::allow(ask);
    search::settle(ask, to, dropped)
}

/// Refuses sound where the client's dialect has none in its answers: what is said aloud would be
/// left of it as text.
pub(crate) fn hears(
    surface: Dialect,
    ask: &Request,
    to: &Target,
    dropped: &mut Vec<String>,
) -> Result<(), CannotAsk> {
    const NAME: &str = "modalities";
    if matches!(surface, Dialect::Openai | Dialect::Gemini) {
        return Ok(());
    }
    let aloud = |json: &[u8]| {
        serde_json::from_slice::<Vec<String>>(json)
            .is_ok_and(|words| words.iter().any(|word| word.eq_ignore_ascii_case("audio")))
    };
    let asked = ask.extra.iter().any(|(name, raw)| **name == *NAME && aloud(raw.get().as_bytes()));
    if asked || to.defaults.iter().any(|(name, json)| name == NAME && aloud(json)) {
        let why = format!("answers in {} have no sound", surface.name());
        sieve::Sieve::new(to, dropped).refuse(NAME, &why)?;
    }
    Ok(())
}

/// An error of ours as a JSON body in `surface`'s spelling.
pub fn refusal(surface: Dialect, why: &Refusal) -> Bytes {
    match surface {
        Dialect::Anthropic => anthropic::refusal(why),
        Dialect::Gemini => gemini::refusal(why),
        Dialect::Cohere => cohere::refusal(why),
        _ => openai::refusal(why),
    }
}

/// What an upstream's error answer means. One reader for all dialects: aggregators answer one
/// dialect's requests with another's errors.
pub fn fault(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Fault {
    fault::read(status, headers, body)
}

/// What an exception that Amazon's services name inside a stream means.
pub(crate) fn fault_named(name: &str, body: &[u8]) -> Fault {
    fault::named(name, body)
}

/// What an error object inside a stream, or in an answer with status 200, means.
pub fn fault_inside(body: &[u8]) -> Fault {
    fault::inside(body)
}

/// Whether a Gemini client's body holds signatures of providers that are not Google.
pub(crate) fn holds_signatures(body: &[u8]) -> bool {
    signature::are_held(body)
}

/// A broken stream's last words in `surface`'s spelling.
pub fn broken(surface: Dialect, why: &Refusal, out: &mut BytesMut) {
    match surface {
        Dialect::Anthropic => anthropic::broken(why, out),
        Dialect::Gemini => gemini::broken(why, out),
        Dialect::Responses => responses::broken(why, out),
        Dialect::Cohere => cohere::broken(why, out),
        _ => openai::broken(why, out),
    }
}

#[cfg(test)]
mod tests;
