//! Client and upstream speak different dialects: through the hub.
//!
//! A request is read by the client's surface and written by the target's upstream; an answer goes
//! the other way, whole or event by event. The bridge itself only counts, restamps the model's
//! name and remembers how the answer ended.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    Call, CannotAsk, Exchange, Malformed, Payload, Unsupported,
    follow::{Asked, Next},
    head, thread,
};
use crate::{
    Dialect, Operation,
    dialect::{
        self, Decode, Encode, Surface, Upstream, Write, anthropic::tells_more,
        fault::says_something,
    },
    fault::{Fault, FaultKind},
    op::chat::{Delta, Event, Part, Reason, Request, Response},
    refusal::Refusal,
    target::Target,
    usage::Usage,
};

/// Most bytes that are kept of what may not be a stream.
const MAX_HEAD: usize = 64 * 1024;
/// Bytes of a request that its answer's name is made from.
const MAX_HASHED: usize = 1024;
/// Bytes of text that an estimate takes for a token.
const BYTES_A_TOKEN: u64 = 4;

/// Most features that are named as lost.
const MAX_BETAS: usize = 16;

/// An exchange between dialects.
pub struct Bridge {
    operation: Operation,
    surface: Dialect,
    upstream: Dialect,
    /// The model's name as the client is to see it.
    shown_model: Box<str>,
    stream: Option<Stream>,
    /// Writes a whole answer, where that takes knowledge of the request.
    writer: Option<Box<dyn Write>>,
    begun: bool,
    done: bool,
    finish: Option<Reason>,
    /// What the upstream said.
    usage: Option<Usage>,
    /// Bytes of the request's body.
    prompt_bytes: u64,
    /// When the request came, for an answer that does not say when it was made.
    received_s: Option<u64>,
    /// What an answer without a name of its own is called.
    name: u64,
    /// Pieces of the answer and their bytes, for an estimate.
    pieces: u64,
    answer_bytes: u64,
    dropped: Vec<String>,
    /// Answers of a job so far.
    followed: u32,
}

/// Both ends of a stream.
struct Stream {
    decoder: Box<dyn Decode>,
    encoder: Box<dyn Encode>,
    /// What came before the first event: perhaps it is no stream.
    head: Vec<u8>,
    /// Kept for its memory only.
    events: Vec<Event>,
    ended: bool,
}

impl Stream {
    /// Why there was no event at all: an error without a stream around it, or something else.
    fn no_stream(&self, fault: Fault) -> Fault {
        if fault.kind != FaultKind::Disconnected {
            return fault;
        }
        let head = self.head.trim_ascii();
        let error = serde_json::from_slice::<ErrorOnly<'_>>(head).ok().and_then(|only| only.error);
        match error {
            Some(error) if says_something(error.get().as_bytes()) => dialect::fault_inside(head),
            Some(_) | None => {
                Fault::new(FaultKind::BadResponse, "the upstream's answer is not a stream")
            }
        }
    }
}

/// An error that came instead of a stream.
#[derive(Deserialize)]
struct ErrorOnly<'a> {
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

impl Bridge {
    /// `shown_model` is the model name that the client is to see.
    pub fn new(
        operation: Operation,
        surface: Dialect,
        upstream: Dialect,
        shown_model: &str,
    ) -> Self {
        Bridge {
            operation,
            surface,
            upstream,
            shown_model: shown_model.into(),
            stream: None,
            writer: None,
            begun: false,
            done: false,
            finish: None,
            usage: None,
            prompt_bytes: 0,
            received_s: None,
            name: 0,
            pieces: 0,
            answer_bytes: 0,
            dropped: Vec::new(),
            followed: 0,
        }
    }

    fn client(&self) -> Result<&'static dyn Surface, Malformed> {
        dialect::surface(self.surface).ok_or_else(|| no_chat(self.surface))
    }

    fn provider(&self) -> Result<&'static dyn Upstream, Malformed> {
        dialect::upstream(self.upstream).ok_or_else(|| no_chat(self.upstream))
    }

    /// Hands what was decoded to the client's side, and closes it once the upstream is done.
    fn pass(&mut self, stream: &mut Stream, out: &mut BytesMut) {
        let before = out.len();
        for mut event in stream.events.drain(..) {
            self.hear(&mut event);
            stream.encoder.push(&event, out);
        }
        self.begun |= out.len() > before;
        if stream.decoder.done() && !stream.ended {
            stream.ended = true;
            self.done = true;
            // What the upstream did not say, the client learns as an estimate.
            stream.encoder.push(&Event::Usage(self.usage()), out);
            stream.encoder.end(out);
            self.begun = true;
        }
    }

    fn hear(&mut self, event: &mut Event) {
        match event {
            Event::Start(start) => {
                start.model = self.shown_model.to_string();
                self.give_name(&mut start.id);
                start.created = start.created.or(self.received_s);
                // Of the answer it knows only what was there at the start.
                self.usage = start.usage.map(|usage| Usage { output: 0, estimated: true, ..usage });
            }
            Event::Delta { delta, .. } => {
                self.pieces = self.pieces.saturating_add(1);
                let bytes = match delta {
                    Delta::Text(text) | Delta::Arguments(text) => text.len(),
                    Delta::Signature(_) | Delta::Other { .. } => 0,
                };
                self.answer_bytes = self.answer_bytes.saturating_add(bytes as u64);
            }
            Event::Finish { finish, .. } => {
                self.finish = self.finish.or(Some(finish.reason));
            }
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Open { .. } | Event::Close { .. } | Event::Aside { .. } => {}
        }
    }

    /// Clients keep answers by their ids, and some providers give none.
    fn give_name(&self, id: &mut String) {
        if id.is_empty() {
            let kind = if self.surface == Dialect::Anthropic { "msg_" } else { "chatcmpl-" };
            *id = format!("{kind}{:016x}", self.name);
        }
    }

    fn count(&mut self, reply: &Response) {
        self.pieces = 1;
        let blocks = reply.choices.iter().flat_map(|choice| &choice.blocks);
        let bytes = blocks.map(|block| match &block.part {
            Part::Text(text) | Part::Thinking { text, .. } | Part::Refusal(text) => text.len(),
            Part::ToolCall(call) => call.name.len() + call.arguments.len(),
            Part::Image { .. } | Part::Audio { .. } | Part::File { .. } => 0,
            Part::RedactedThinking(_) | Part::ToolResult(_) => 0,
            Part::Other { .. } | Part::OtherCall { .. } => 0,
        });
        self.answer_bytes = bytes.sum::<usize>() as u64;
    }
}

impl Bridge {
    /// Features that a header asks for: Bedrock has them in the body; elsewhere those are named that
    /// nothing in the body tells of.
    fn betas(&mut self, headers: &[(HeaderName, HeaderValue)], ask: &mut Request) {
        let betas = head::betas(headers);
        match (self.surface, self.upstream) {
            (_, Dialect::Bedrock) if betas.is_empty() => {}
            (_, Dialect::Bedrock) => {
                let raw = serde_json::value::to_raw_value(&betas).ok();
                ask.extra.extend(raw.map(|raw| ("anthropic_beta".into(), raw)));
            }
            (Dialect::Anthropic, upstream) if upstream != Dialect::Anthropic => {
                for beta in betas.into_iter().filter(|beta| tells_more(beta)).take(MAX_BETAS) {
                    let name = format!("anthropic-beta: {beta}");
                    if !self.dropped.contains(&name) {
                        self.dropped.push(name);
                    }
                }
            }
            _ => {}
        }
    }
}

impl Exchange for Bridge {
    fn call(&mut self, payload: &Payload, to: &Target) -> Result<Call, CannotAsk> {
        let surface = self.client()?;
        let upstream = self.provider().map_err(|_| Unsupported {
            param: "messages".to_owned(),
            model: to.model.to_string(),
            why: format!("it is asked in {} alone", self.upstream.name()),
        })?;
        thread::refuse(self.surface, payload)?;
        let mut ask = surface.read(payload)?;
        let path = head::path(self.operation, self.upstream, to, ask.stream)?;
        self.dropped.clear();
        self.betas(&payload.headers, &mut ask);
        dialect::hears(self.surface, &ask, to, &mut self.dropped)?;
        let encoder = ask.stream.then(|| surface.encoder(&ask));
        self.writer = if ask.stream { None } else { surface.writer(&ask) };
        if self.surface != self.upstream {
            dialect::settle(&mut ask, to, &mut self.dropped)?;
            surface.elsewhere(&mut ask, to, &mut self.dropped)?;
            dialect::responses::unseal_for(self.upstream, &mut ask);
        }
        let body = upstream.write(&ask, to, &mut self.dropped)?;
        self.received_s = (payload.received_s > 0).then_some(payload.received_s);
        self.prompt_bytes = payload.body.len() as u64;
        self.name = name_of(payload);
        if let Some(encoder) = encoder {
            self.stream = Some(Stream {
                decoder: upstream.decoder(),
                encoder,
                head: Vec::new(),
                events: Vec::new(),
                ended: false,
            });
        }
        // Headers that belong to a dialect mean nothing in another one.
        let own = if self.surface == self.upstream { payload.headers.as_slice() } else { &[] };
        let headers = head::headers(self.upstream, ask.stream, own, to);
        Ok(Call { path, headers, body: vec![body] })
    }

    fn reply(&mut self, body: Bytes) -> Result<Bytes, Malformed> {
        let mut reply = self.provider()?.read(&body)?;
        reply.model = self.shown_model.to_string();
        self.give_name(&mut reply.id);
        reply.created = reply.created.or(self.received_s);
        self.count(&reply);
        self.begun = true;
        self.done = true;
        let first = reply.choices.first();
        self.finish = first.and_then(|choice| choice.finish.as_ref()).map(|f| f.reason);
        self.usage = reply.usage;
        reply.usage = Some(self.usage());
        Ok(match &self.writer {
            Some(writer) => writer.write(&reply),
            None => self.client()?.write(&reply),
        })
    }

    fn follow(&mut self, body: &[u8], to: &Target) -> Result<Next, Fault> {
        let asked = Asked { to, stream: self.stream.is_some(), times: self.followed };
        self.followed = self.followed.saturating_add(1);
        let upstream = self.provider();
        let upstream = upstream.map_err(|why| Fault::new(FaultKind::BadResponse, why.message))?;
        upstream.follow(body, asked)
    }

    fn push(&mut self, chunk: &Bytes, out: &mut BytesMut) -> Result<(), Fault> {
        let Some(mut stream) = self.stream.take() else { return Err(not_asked()) };
        if !self.begun && stream.head.len() < MAX_HEAD {
            stream.head.extend(chunk.iter().take(MAX_HEAD - stream.head.len()));
        }
        let pushed = stream.decoder.push(chunk, &mut stream.events);
        self.pass(&mut stream, out);
        self.stream = Some(stream);
        pushed
    }

    fn end(&mut self, out: &mut BytesMut) -> Result<(), Fault> {
        let Some(mut stream) = self.stream.take() else { return Err(not_asked()) };
        let ended = stream.decoder.end(&mut stream.events);
        self.pass(&mut stream, out);
        let ended = ended.map_err(|fault| if self.begun { fault } else { stream.no_stream(fault) });
        self.stream = Some(stream);
        ended
    }

    fn begun(&self) -> bool {
        self.begun
    }

    fn done(&self) -> bool {
        self.done
    }

    fn usage(&self) -> Usage {
        let said = self.usage.unwrap_or(Usage { estimated: true, ..Usage::default() });
        if !said.estimated {
            return said;
        }
        if !self.begun && self.pieces == 0 && self.usage.is_none() {
            return said;
        }
        // Four bytes a token, and a token at least for each piece.
        let output = self.pieces.max(self.answer_bytes / BYTES_A_TOKEN);
        let input = self.prompt_bytes / BYTES_A_TOKEN;
        Usage {
            input: if said.input == 0 { input } else { said.input },
            output: if said.output == 0 { output } else { said.output },
            estimated: true,
            ..said
        }
    }

    fn finish_reason(&self) -> Option<&str> {
        self.finish.map(Reason::openai)
    }

    fn dropped(&self) -> &[String] {
        &self.dropped
    }

    fn fault(&self, status: StatusCode, headers: &HeaderMap, body: Bytes) -> Fault {
        dialect::fault(status, headers, &body)
    }

    fn broken(&self, why: &Refusal, out: &mut BytesMut) {
        dialect::broken(self.surface, why, out);
    }
}

/// A hash (FNV-1a) of the end of the request, its length and its time.
fn name_of(payload: &Payload) -> u64 {
    let end = payload.body.len().saturating_sub(MAX_HASHED);
    let time = payload.received_s.to_be_bytes();
    let length = payload.body.len().to_be_bytes();
    let bytes = payload.body.get(end..).unwrap_or_default().iter().chain(&time).chain(&length);
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn no_chat(dialect: Dialect) -> Malformed {
    Malformed::new(format!("{} is not a dialect of chat on this side", dialect.name()))
}

fn not_asked() -> Fault {
    Fault::new(FaultKind::BadResponse, "the upstream streams what was not asked for as a stream")
}

#[cfg(test)]
mod tests;
