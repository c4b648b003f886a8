//! One request against one target, bytes to bytes: all that the pipeline ever sees.
//!
//! [`relay::Relay`] serves a client and an upstream of the same dialect, [`bridge::Bridge`] any
//! other pair, for embeddings [`embed::Embed`]. Neither does I/O.

pub mod bridge;
pub mod count;
pub mod embed;
pub mod follow;
mod framed;
mod head;
pub mod listed;
pub mod losses;
pub mod policy;
pub mod relay;
pub mod seal;
pub mod stored;
pub(crate) mod thread;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::{fault::Fault, peek::Peek, refusal::Refusal, target::Target, usage::Usage};

/// What is to be sent to an upstream. The credential's header is among `headers`, marked
/// sensitive.
#[derive(Debug, Clone)]
pub struct Call {
    /// Path below the scheme and authority of [`Target::base`], the base's own path included.
    pub path: String,
    /// Headers beside `host` and `content-length`.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body, in as many pieces as its edits left; their concatenation is the body.
    pub body: Vec<Bytes>,
}

/// A client's request as it came, with what was read of it.
#[derive(Debug, Clone)]
pub struct Payload {
    /// The whole body.
    pub body: Bytes,
    /// The few fields that we route, price or limit by.
    pub peek: Peek,
    /// Headers that belong to the dialect and travel on (`anthropic-version`, `anthropic-beta`,
    /// `openai-organization`, …); never a credential.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// When it came, in seconds since 1970, for answers whose upstream does not say when they were
    /// made; 0 where nobody knows.
    pub received_s: u64,
}

/// Bytes that are not what the dialect says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Malformed {
    /// What was expected, in words that may be shown to a client.
    pub message: String,
    /// The field that is meant, as a path such as `messages[2].content`, if one is.
    pub param: Option<String>,
}

impl Malformed {
    /// Without a field.
    pub fn new(message: impl Into<String>) -> Self {
        Malformed { message: message.into(), param: None }
    }

    /// With a field.
    pub fn at(param: impl Into<String>, message: impl Into<String>) -> Self {
        Malformed { message: message.into(), param: Some(param.into()) }
    }
}

/// A target cannot do what a parameter asks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{param}` is not supported by {model}: {why}{}", self.way_out())]
pub struct Unsupported {
    /// The parameter, as the client spelled it.
    pub param: String,
    /// The model asked for, as the provider knows it.
    pub model: String,
    /// Why, in a few words.
    pub why: String,
}

impl Unsupported {
    /// What the provider would have to remember is part of the question: without it, it is another
    /// one.
    fn way_out(&self) -> &'static str {
        match self.param.as_str() {
            "previous_response_id" | "conversation" | "prompt" | "container" | "file_id" => "",
            _ => "; set `drop_params: true` to send without it",
        }
    }
}

/// Why a request cannot be put to a target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CannotAsk {
    /// The client's body is wrong; no other target would do better.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// This target cannot; another might.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// The body names something that is not the client's, or is not at all.
    #[error(transparent)]
    NotFound(Malformed),
}

/// One request against one target. Made anew for every attempt.
///
/// The order of calls is: `call` once, then `others`; `follow` while there is a job; then `reply`
/// once, or `join` where there were others, or `push` any number of times and `end` once. `usage`,
/// `done` and `dropped` are true at any moment.
pub trait Exchange: Send {
    /// The request for the upstream.
    fn call(&mut self, payload: &Payload, to: &Target) -> Result<Call, CannotAsk>;

    /// What is to be asked beside `call`, in any order: a list for a provider that takes one item a
    /// call. Each has an answer of its own, and all are given to `join`.
    fn others(&mut self) -> Vec<Call> {
        Vec::new()
    }

    /// [`Exchange::reply`] for the answers to `call` and to all `others`, in their order.
    fn join(&mut self, bodies: &[Bytes]) -> Result<Bytes, Malformed> {
        match bodies {
            [body] => self.reply(body.clone()),
            _ => Err(Malformed::new("several answers to one call")),
        }
    }

    /// A whole answer (status 2xx, not streamed) from the upstream's dialect into the client's.
    /// `Malformed` when it is not what the upstream's dialect says, an error object with status
    /// 200 included.
    fn reply(&mut self, body: Bytes) -> Result<Bytes, Malformed>;

    /// What is to be asked after a whole answer (status 2xx) of a provider that answers with jobs
    /// ([`crate::Dialect::answers_with_jobs`]); asked for each of its answers before `reply` or
    /// `push`. `Err` where the job has failed.
    fn follow(&mut self, _body: &[u8], _to: &Target) -> Result<follow::Next, Fault> {
        Ok(follow::Next::Answer)
    }

    /// A piece of a stream, cut anywhere; appends what the client is to see to `out`. An error
    /// event inside the stream comes back as the `Err`, after what preceded it was appended.
    fn push(&mut self, chunk: &Bytes, out: &mut BytesMut) -> Result<(), Fault>;

    /// The upstream's stream has ended. Appends what is still owed, such as `data: [DONE]`.
    /// `Err` when the stream was cut before it was complete.
    fn end(&mut self, out: &mut BytesMut) -> Result<(), Fault>;

    /// True once `push` has seen a whole event that the client is to see, or that ends the answer:
    /// until then another target may still be tried.
    fn begun(&self) -> bool;

    /// True once the stream is complete in the upstream's dialect (`[DONE]`, `message_stop`).
    fn done(&self) -> bool;

    /// What the answer consumed, as far as is known: the upstream's own figures, else an estimate
    /// marked as such.
    fn usage(&self) -> Usage;

    /// Why the answer ended, in OpenAI's words (`stop`, `length`, `tool_calls`,
    /// `content_filter`), once known.
    fn finish_reason(&self) -> Option<&str>;

    /// The provider's own id of an answer that it goes on with by itself, whoever listens: one that
    /// was asked for in the background and has not ended as far as is known.
    fn unfinished(&self) -> Option<&str> {
        None
    }

    /// Parameters that were left out because the target cannot do them and `drop_params` is set.
    fn dropped(&self) -> &[String];

    /// What an upstream's answer with an error status means.
    fn fault(&self, status: StatusCode, headers: &HeaderMap, body: Bytes) -> Fault;

    /// The stream broke after its first byte: appends the error in the client's dialect and the
    /// end of the stream.
    fn broken(&self, why: &Refusal, out: &mut BytesMut);
}

/// The exchange for a client of one dialect and a target of another, or of the same.
///
/// `shown_model` is the model name that the client asked for and is to see in the answer.
pub fn exchange(
    operation: crate::Operation,
    surface: crate::Dialect,
    to: &Target,
    shown_model: &str,
) -> Box<dyn Exchange> {
    let embeds = operation == crate::Operation::Embeddings;
    let counts = operation == crate::Operation::CountTokens;
    // What the configuration sets goes deep into Google's body, where no splice reaches; and its
    // count may name the model within it.
    let gemini = surface == crate::Dialect::Gemini;
    let deep = gemini && (counts || !to.defaults.is_empty());
    let same = surface == to.dialect && relay::Relay::serves(surface) && !deep;
    // Of embeddings, only OpenAI's have one.
    let as_openai = surface == crate::Dialect::Openai && to.provider.embeds.is_none();
    let same = same && (!embeds || as_openai);
    let exchange: Box<dyn Exchange> = if counts && !same {
        Box::new(count::Counting::new(surface, to.dialect))
    } else if same {
        Box::new(relay::Relay::new(operation, surface, shown_model))
    } else if embeds {
        Box::new(embed::Embed::new(surface, to, shown_model))
    } else {
        Box::new(bridge::Bridge::new(operation, surface, to.dialect, shown_model))
    };
    let exchange = match to.provider.frames {
        crate::provider::Frames::Plain => exchange,
        crate::provider::Frames::Aws => Box::new(framed::Framed::new(exchange)),
    };
    if !gemini {
        return exchange;
    }
    // What another provider signed must not reach Google.
    let instead =
        (same && !counts).then(|| bridge::Bridge::new(operation, surface, to.dialect, shown_model));
    Box::new(listed::Listed::new(exchange, instead))
}

/// The same for one request, which may have wishes of its own about its parameters.
pub fn exchange_for(
    operation: crate::Operation,
    surface: crate::Dialect,
    to: &Target,
    shown_model: &str,
    payload: &Payload,
) -> Box<dyn Exchange> {
    let exchange = exchange(operation, surface, to, shown_model);
    if policy::is_needed(payload, to) {
        return Box::new(policy::Ruled::new(exchange, operation, surface));
    }
    exchange
}

/// An error answer of ours in a client's dialect: status and JSON body.
pub fn refusal(surface: crate::Dialect, why: &Refusal) -> (StatusCode, Bytes) {
    (why.http_status(), crate::dialect::refusal(surface, why))
}
