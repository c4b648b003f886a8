//! Cohere's `/v2/embed`. <https://docs.cohere.com/reference/embed>

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::value::RawValue;

use super::{Surface, Upstream, counted, floats, rest, texts, vector, write_texts};
use crate::{
    dialect::{
        body::Body,
        fields::{At, Fields, is_string, string},
        json,
        sieve::Sieve,
    },
    exchange::{CannotAsk, Malformed, Payload},
    matrix::Dialect,
    op::{
        chat::Form,
        embeddings::{Encoding, Input, MAX_INPUTS, Request, Response, Task, Vector},
    },
    target::Target,
};

pub(super) struct Cohere;

/// Most texts of a call. <https://docs.cohere.com/reference/embed>
pub(super) const MOST_A_CALL: usize = 96;
/// What the vectors are for must be said; this is what LiteLLM says where the client does not.
const DEFAULT_TASK: &str = "search_document";

impl Surface for Cohere {
    fn read(&self, payload: &Payload) -> Result<Request, Malformed> {
        let mut fields = Fields::of_body(&payload.body)?;
        fields.leave_out(&payload.body, &payload.peek.ours);
        let at = At::Field(&At::Body, "texts");
        let texts = fields.list("texts", MAX_INPUTS)?.unwrap_or_default();
        if texts.is_empty() {
            return Err(at.wrong("a list of texts"));
        }
        let texts = texts.into_iter().enumerate();
        let texts = texts.map(|(index, raw)| string(raw, &At::Item(&at, index)));
        let types: Option<Vec<String>> = fields.get("embedding_types", "a list of types")?;
        let types: Vec<&str> = types.iter().flatten().map(String::as_str).collect();
        let encoding = match types.as_slice() {
            [] | ["float"] => Encoding::Float,
            ["base64"] => Encoding::Base64,
            _ => return Err(fields.wrong("embedding_types", "`float` or `base64`")),
        };
        Ok(Request {
            surface: Dialect::Cohere,
            model: fields.need_text("model")?,
            input: Input::Texts { texts: texts.collect::<Result<_, _>>()?, form: Form::List },
            dimensions: fields.get("output_dimension", "a number of dimensions")?,
            encoding: Some(encoding),
            task: Some(Task::read(&fields.need_text("input_type")?)),
            user: None,
            extra: fields.rest(),
        })
    }

    fn write(&self, ask: &Request, reply: &Response) -> Result<Bytes, Malformed> {
        let encoding = ask.encoding.unwrap_or(Encoding::Float);
        let mut out = BytesMut::new();
        let mut done = Ok(());
        json::object(&mut out, |o| {
            o.text("id", "");
            o.object("embeddings", |o| {
                o.list(word(encoding), |list| {
                    for one in &reply.vectors {
                        let out = list.item();
                        if let Err(why) = vector::write(out, one, encoding) {
                            out.put_slice(b"null");
                            done = Err(why);
                        }
                    }
                });
            });
            if let Input::Texts { texts, .. } = &ask.input {
                o.list("texts", |list| {
                    for text in texts {
                        json::string(list.item(), text);
                    }
                });
            }
            o.object("meta", |o| {
                o.object("api_version", |o| o.text("version", "2"));
                let usage = reply.usage.unwrap_or_default();
                o.object("billed_units", |o| o.integer("input_tokens", usage.input));
            });
            o.text("response_type", "embeddings_by_type");
        });
        done.map(|()| out.freeze())
    }
}

/// Cohere's name of an encoding.
fn word(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Float => "float",
        Encoding::Base64 => "base64",
    }
}

impl Upstream for Cohere {
    fn write(
        &self,
        ask: &Request,
        to: &Target,
        dropped: &mut Vec<String>,
    ) -> Result<Bytes, CannotAsk> {
        let mut sieve = Sieve::new(to, dropped);
        let mut body = Body::default();
        body.text("model", &to.model);
        write_texts(&mut body, "texts", texts(ask, to, "cohere")?);
        body.text("input_type", task(ask));
        let kind = word(ask.encoding.unwrap_or(Encoding::Float));
        body.put("embedding_types", |out| {
            json::list(out, |list| json::string(list.item(), kind));
        });
        if let Some(dimensions) = ask.dimensions {
            body.integer("output_dimension", dimensions);
        }
        let own = ["truncate", "max_tokens", "priority"];
        rest(ask, &own, "cohere", &mut sieve, |name, raw| body.raw(name, raw))?;
        Ok(body.patched(to))
    }

    fn most_a_call(&self, _to: &Target) -> Option<usize> {
        Some(MOST_A_CALL)
    }

    fn read(&self, body: &[u8]) -> Result<Response, Malformed> {
        let mut fields = Fields::of_body(body)?;
        if let Some(why) = fields.take("message").filter(|raw| is_string(raw)) {
            return Err(Malformed::new(format!("the upstream answered an error: {}", why.get())));
        }
        let mut input = None;
        if let Some(raw) = fields.take("meta") {
            let mut meta = Fields::of(raw, At::Field(&At::Body, "meta"))?;
            if let Some(raw) = meta.take("billed_units") {
                let at = At::Field(&At::Body, "meta.billed_units");
                let number: Option<f64> = Fields::of(raw, at)?.get("input_tokens", "a number")?;
                input = number.filter(|n| (0.0..=1e8).contains(n)).map(|n| n as u64);
            }
        }
        let at = At::Field(&At::Body, "embeddings");
        let Some(raw) = fields.take("embeddings") else { return Err(at.wrong("an object")) };
        let mut reply = by_type(raw, at)?;
        reply.usage = counted(input);
        Ok(reply)
    }
}

/// A list, or lists by the type of their numbers.
pub(super) fn by_type(raw: &RawValue, at: At<'_>) -> Result<Response, Malformed> {
    if raw.get().starts_with('[') {
        return floats(raw, &at, String::new(), None);
    }
    let mut types = Fields::of(raw, at)?;
    if let Some(texts) = types.get::<Vec<String>>("base64", "a list of strings")? {
        if texts.len() > MAX_INPUTS {
            return Err(types.wrong("base64", &format!("at most {MAX_INPUTS} items")));
        }
        let vectors = texts.into_iter().map(Vector::Base64).collect();
        return Ok(Response { model: String::new(), vectors, usage: None });
    }
    match types.take("float") {
        Some(raw) => floats(raw, &At::Field(&at, "float"), String::new(), None),
        None => Err(types.wrong("float", "a list of vectors")),
    }
}

pub(super) fn task(ask: &Request) -> &str {
    match &ask.task {
        None => DEFAULT_TASK,
        Some(Task::Document) => "search_document",
        Some(Task::Query) => "search_query",
        Some(Task::Classification) => "classification",
        Some(Task::Clustering) => "clustering",
        Some(Task::Other(word)) => word,
    }
}
