//! What a prediction says of itself, and what is asked next.

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    dialect::{fault, figures::Figures, json},
    exchange::follow::{Asked, Ends, Follow, Next, Tail, at_base, is_id, stream_at},
    fault::{Fault, FaultKind},
    frame::sse,
    matrix::Dialect,
    op::chat::{Finish, Reason},
    usage::Usage,
};

/// Most bytes of an event that tells of a whole prediction.
pub(super) const MAX_TOLD: usize = 4 << 20;
/// The first wait before a prediction is asked about again, and the longest, in milliseconds.
/// Replicate's own clients wait half a second each time.
const WAIT_MS: (u64, u64) = (250, 500);

/// What is read of a prediction.
#[derive(Deserialize)]
pub(super) struct Prediction<'a> {
    #[serde(default)]
    pub(super) id: Option<String>,
    #[serde(default)]
    status: Option<String>,
    #[serde(borrow, default)]
    pub(super) output: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    metrics: Option<&'a RawValue>,
    #[serde(default)]
    urls: Option<Urls>,
    /// As it was sent.
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
}

/// Most tokens of the answer, by the names that models have for it.
#[derive(Deserialize)]
struct Limit {
    #[serde(
        alias = "max_new_tokens",
        alias = "max_completion_tokens",
        alias = "max_output_tokens"
    )]
    max_tokens: u64,
}

#[derive(Deserialize)]
struct Urls {
    #[serde(default)]
    stream: Option<String>,
}

/// How far a prediction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// `starting`, `processing`
    Running,
    Succeeded,
    /// `failed`, `canceled`, `aborted`
    Over,
    /// None of Replicate's words.
    Unknown,
}

impl<'a> Prediction<'a> {
    pub(super) fn read(body: &'a [u8]) -> Result<Self, Fault> {
        serde_json::from_slice(body)
            .map_err(|why| bad(format!("the answer is not what replicate sends: {why}")))
    }

    pub(super) fn status(&self) -> Status {
        match self.status.as_deref() {
            Some("starting" | "processing") => Status::Running,
            Some("succeeded") => Status::Succeeded,
            Some("failed" | "canceled" | "aborted") => Status::Over,
            _ => Status::Unknown,
        }
    }

    /// What it consumed, as far as it says.
    pub(super) fn usage(&self) -> Option<Usage> {
        let metrics = self.metrics.map(RawValue::get);
        metrics.map(|json| Figures::whole(Dialect::Replicate, json, None))
    }

    fn limit(&self) -> Option<u64> {
        let limit = serde_json::from_str::<Limit>(self.input?.get());
        limit.ok().map(|limit| limit.max_tokens)
    }

    /// Why the answer ended. Replicate does not say: one of as many tokens as it might have was
    /// cut off there.
    pub(super) fn finish(&self) -> Finish {
        let counted = self.usage().filter(|usage| !usage.estimated).map(|usage| usage.output);
        let full = counted.is_some() && counted == self.limit();
        let reason = if full { Reason::Length } else { Reason::Stop };
        Finish { reason, stop_sequence: None }
    }

    /// The output: a text, or pieces of one.
    pub(super) fn text(&self) -> Result<String, Fault> {
        let Some(output) = self.output else { return Ok(String::new()) };
        if let Ok(text) = serde_json::from_str::<Option<String>>(output.get()) {
            return Ok(text.unwrap_or_default());
        }
        let pieces = serde_json::from_str::<Vec<String>>(output.get());
        pieces.map(|pieces| pieces.concat()).map_err(|_| Fault {
            param: Some("output".to_owned()),
            ..bad("`output`: expected a text or pieces of one: this is no language model")
        })
    }

    /// Why there is no answer.
    pub(super) fn fault(&self) -> Fault {
        let said = match self.status() {
            Status::Unknown => {
                let status = self.status.as_deref().unwrap_or_default();
                let shown: String =
                    status.chars().filter(|c| c.is_ascii_alphanumeric()).take(32).collect();
                return bad(format!(
                    "the prediction has the status `{shown}`, which is none of replicate's"
                ));
            }
            Status::Running => return bad("the prediction is not at its end"),
            Status::Succeeded | Status::Over => self.error.map(RawValue::get),
        };
        let why = said.and_then(|error| serde_json::from_str::<String>(error).ok());
        let status = self.status.as_deref().unwrap_or_default();
        failed(why.unwrap_or_else(|| format!("the prediction was {status}")).as_str())
    }
}

/// A prediction that failed, in the model's own words.
pub(super) fn failed(why: &str) -> Fault {
    let mut body = BytesMut::new();
    json::object(&mut body, |o| o.text("detail", why));
    // Some words blame the request: they do if this is its status.
    let fault = fault::read(StatusCode::UNPROCESSABLE_ENTITY, &HeaderMap::new(), &body);
    let kind = match fault.kind {
        kind @ (FaultKind::ContextWindow | FaultKind::ContentPolicy) => kind,
        _ => FaultKind::Server,
    };
    Fault { kind, status: None, ..fault }
}

fn bad(why: impl Into<String>) -> Fault {
    Fault::new(FaultKind::BadResponse, why)
}

pub(super) fn follow(body: &[u8], asked: Asked<'_>) -> Result<Next, Fault> {
    let told = Prediction::read(body)?;
    match told.status() {
        Status::Succeeded if asked.stream => return Ok(Next::Stream(event(&told))),
        Status::Succeeded => return Ok(Next::Answer),
        Status::Over | Status::Unknown => return Err(told.fault()),
        Status::Running => {}
    }
    let id = told.id.as_deref().filter(|id| is_id(id));
    let id = id.ok_or_else(|| bad("the prediction has no name to ask for it by"))?;
    let get = format!("/predictions/{id}");
    let cancel = at_base(asked.to, &format!("{get}/cancel"));
    let call = at_base(asked.to, &get);
    let url = told.urls.as_ref().and_then(|urls| urls.stream.as_deref());
    let stream = url.filter(|_| asked.stream && asked.times == 0);
    // A stream at an unknown place is no loss: the output is asked for instead.
    let follow = match stream.and_then(|url| stream_at(asked.to, url)) {
        Some((base, stream)) => Follow {
            base,
            call: stream,
            after_ms: 0,
            cancel,
            stream: Some(Tail { ends: ends(), call, read: finished }),
        },
        None => {
            let (first, longest) = WAIT_MS;
            let after_ms = if asked.times == 0 { first } else { longest };
            Follow { base: asked.to.base.clone(), call, after_ms, cancel, stream: None }
        }
    };
    Ok(Next::Ask(Box::new(follow)))
}

/// Finds the event after which a stream says nothing more: its server need not close it.
fn ends() -> Ends {
    let mut events = sse::Decoder::up_to(MAX_TOLD);
    let mut ended = false;
    Box::new(move |bytes| {
        let read = events.push(bytes, |frame| {
            ended |= matches!(frame.event, b"done" | b"error");
            Ok::<(), Fault>(())
        });
        ended |= read.is_err();
        ended
    })
}

/// A prediction that is at its end, as an event of its stream.
fn finished(body: &[u8]) -> Option<Bytes> {
    let told = Prediction::read(body).ok()?;
    (told.status() != Status::Running).then(|| event(&told))
}

/// A prediction as an event, which no stream of Replicate's has: what polling found.
fn event(told: &Prediction<'_>) -> Bytes {
    let mut out = BytesMut::new();
    out.put_slice(b"event: prediction\ndata: ");
    json::object(&mut out, |o| {
        o.some_text("id", told.id.as_deref());
        o.some_text("status", told.status.as_deref());
        for (name, value) in
            [("output", told.output), ("error", told.error), ("metrics", told.metrics)]
        {
            if let Some(value) = value {
                o.raw(name, value.get());
            }
        }
        if let Some(limit) = told.limit() {
            o.object("input", |o| o.integer("max_tokens", limit));
        }
    });
    out.put_slice(b"\n\n");
    out.freeze()
}
