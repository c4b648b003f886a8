//! Cohere's `/v2/embed`. <https://docs.cohere.com/reference/embed>

use bytes::Bytes;
use serde_json::value::RawValue;

use super::{Upstream, counted, floats, rest, texts};
use crate::{
    dialect::{
        body::Body,
        fields::{At, Fields, is_string},
        json,
        sieve::Sieve,
    },
    exchange::{CannotAsk, Malformed},
    op::embeddings::{Encoding, MAX_INPUTS, Request, Response, Task, Vector},
    target::Target,
};

pub(super) struct Cohere;

/// What the vectors are for must be said; this is what LiteLLM says where the client does not.
const DEFAULT_TASK: &str = "search_document";

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
        write_texts(&mut body, texts(ask, to, "cohere")?);
        body.text("input_type", task(ask));
        let kind = match ask.encoding {
            Some(Encoding::Base64) => "base64",
            Some(Encoding::Float) | None => "float",
        };
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

pub(super) fn write_texts(body: &mut Body, texts: &[String]) {
    body.put("texts", |out| {
        json::list(out, |list| {
            for text in texts {
                json::string(list.item(), text);
            }
        });
    });
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
