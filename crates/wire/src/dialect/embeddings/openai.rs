//! OpenAI's `/embeddings`.
//! <https://platform.openai.com/docs/api-reference/embeddings>

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::value::RawValue;

use super::{Surface, Upstream, counted, vector};
use crate::{
    dialect::{
        body::Body,
        fault::says_something,
        fault_inside,
        fields::{At, Fields, is_string, list, string},
        json,
        sieve::Sieve,
    },
    exchange::{CannotAsk, Malformed, Payload},
    matrix::Dialect,
    op::{
        chat::{Extra, Form},
        embeddings::{Encoding, Input, MAX_INPUTS, Request, Response, Task, Vector},
    },
    target::Target,
};

pub(super) struct Openai;

/// Names under which clients say what the vectors are for: Cohere's and Voyage's, Gemini's, Jina's.
const TASKS: &[&str] = &["input_type", "task_type", "taskType", "task"];

impl Surface for Openai {
    fn read(&self, payload: &Payload) -> Result<Request, Malformed> {
        let mut fields = Fields::of_body(&payload.body)?;
        fields.leave_out(&payload.body, &payload.peek.ours);
        let at = At::Field(&At::Body, "input");
        let Some(raw) = fields.take("input") else { return Err(wrong_input(&at)) };
        let mut ask = Request {
            surface: Dialect::Openai,
            model: fields.need_text("model")?,
            input: input(raw, &at)?,
            dimensions: None,
            encoding: None,
            task: None,
            user: None,
            extra: Extra::new(),
        };
        let mut rest = fields.rest();
        fill(&mut ask, &mut rest)?;
        ask.extra = rest;
        Ok(ask)
    }

    fn write(&self, ask: &Request, reply: &Response) -> Result<Bytes, Malformed> {
        let encoding = ask.encoding.unwrap_or(Encoding::Float);
        let mut out = BytesMut::new();
        let mut done = Ok(());
        json::object(&mut out, |o| {
            o.text("object", "list");
            o.list("data", |list| {
                for (index, vector) in (0u64..).zip(&reply.vectors) {
                    list.object(|o| {
                        o.text("object", "embedding");
                        o.integer("index", index);
                        let out = o.key("embedding");
                        if let Err(why) = vector::write(out, vector, encoding) {
                            out.put_slice(b"null");
                            done = Err(why);
                        }
                    });
                }
            });
            o.text("model", &reply.model);
            let usage = reply.usage.unwrap_or_default();
            o.object("usage", |o| {
                o.integer("prompt_tokens", usage.input);
                o.integer("total_tokens", usage.input);
            });
        });
        done.map(|()| out.freeze())
    }
}

impl Upstream for Openai {
    fn write(
        &self,
        ask: &Request,
        to: &Target,
        dropped: &mut Vec<String>,
    ) -> Result<Bytes, CannotAsk> {
        let mut sieve = Sieve::new(to, dropped);
        let mut body = Body::default();
        body.text("model", &to.model);
        match &ask.input {
            Input::Texts { texts, form } => body.put("input", |out| {
                if let (Form::Bare, [text]) = (form, texts.as_slice()) {
                    json::string(out, text);
                    return;
                }
                json::list(out, |list| {
                    for text in texts {
                        json::string(list.item(), text);
                    }
                });
            }),
            Input::Tokens { raw, .. } => body.raw("input", raw),
        }
        if let Some(dimensions) = ask.dimensions {
            body.integer("dimensions", dimensions);
        }
        if ask.encoding == Some(Encoding::Base64) {
            body.text("encoding_format", "base64");
        }
        super::no_task(ask, "openai", &mut sieve)?;
        if let Some(user) = &ask.user {
            body.text("user", user);
        }
        super::rest(ask, &[], "openai", &mut sieve, |_, _| {})?;
        Ok(body.patched(to))
    }

    fn read(&self, body: &[u8]) -> Result<Response, Malformed> {
        let mut fields = Fields::of_body(body)?;
        if fields.take("error").is_some_and(|raw| says_something(raw.get().as_bytes())) {
            let why = fault_inside(body).message;
            return Err(Malformed::new(format!("the upstream answered an error: {why}")));
        }
        let at = At::Field(&At::Body, "data");
        let data = fields.list("data", MAX_INPUTS)?.ok_or_else(|| at.wrong("a list"))?;
        let mut vectors = Vec::with_capacity(data.len());
        for (place, raw) in data.into_iter().enumerate() {
            let mut one = Fields::of(raw, At::Item(&at, place))?;
            let index = one.get::<usize>("index", "a number")?.unwrap_or(place);
            let Some(raw) = one.take("embedding") else {
                return Err(one.wrong("embedding", "a vector"));
            };
            let vector = match is_string(raw) {
                true => Vector::Base64(string(raw, &At::Item(&at, place))?),
                false => Vector::Floats(raw.to_owned()),
            };
            vectors.push((index, vector));
        }
        vectors.sort_by_key(|(index, _)| *index);
        let usage = fields.take("usage");
        let usage = usage.and_then(|raw| Fields::of(raw, At::Field(&At::Body, "usage")).ok());
        // Some say the total alone.
        let tokens = usage.and_then(|mut usage| {
            let [sent, total] =
                ["prompt_tokens", "total_tokens"].map(|it| usage.get(it, "a number"));
            sent.ok().flatten().or(total.ok().flatten())
        });
        Ok(Response {
            model: fields.text("model")?.unwrap_or_default(),
            vectors: vectors.into_iter().map(|(_, vector)| vector).collect(),
            usage: counted(tokens),
        })
    }
}

/// Whether the hub has a place for a field of this name.
pub(super) fn is_known(name: &str) -> bool {
    TASKS.contains(&name) || matches!(name, "dimensions" | "encoding_format" | "user")
}

/// Takes the fields that the hub knows out of `from`, where `ask` does not have them yet.
pub(super) fn fill(ask: &mut Request, from: &mut Extra) -> Result<(), Malformed> {
    if ask.dimensions.is_none() {
        ask.dimensions = take(from, "dimensions", "a number of dimensions")?;
    }
    if ask.encoding.is_none()
        && let Some(word) = take::<String>(from, "encoding_format", "`float` or `base64`")?
    {
        ask.encoding = Some(match word.as_str() {
            "float" => Encoding::Float,
            "base64" => Encoding::Base64,
            _ => return Err(At::Field(&At::Body, "encoding_format").wrong("`float` or `base64`")),
        });
    }
    if ask.user.is_none() {
        ask.user = take(from, "user", "a string")?;
    }
    for name in TASKS {
        if ask.task.is_none()
            && let Some(word) = take::<String>(from, name, "a string")?
        {
            ask.task = Some(Task::read(&word));
        }
    }
    Ok(())
}

fn take<T: serde::de::DeserializeOwned>(
    from: &mut Extra,
    name: &str,
    expected: &str,
) -> Result<Option<T>, Malformed> {
    let Some(at) = from.iter().position(|(other, _)| **other == *name) else { return Ok(None) };
    let (_, raw) = from.remove(at);
    let read = serde_json::from_str(raw.get());
    read.map(Some).map_err(|_| At::Field(&At::Body, name).wrong(expected))
}

/// A string, a list of strings, a list of tokens or a list of such lists.
fn input(raw: &RawValue, at: &At<'_>) -> Result<Input, Malformed> {
    if is_string(raw) {
        return Ok(Input::Texts { texts: vec![string(raw, at)?], form: Form::Bare });
    }
    if !raw.get().starts_with('[') {
        return Err(wrong_input(at));
    }
    if let Ok(tokens) = serde_json::from_str::<Vec<u64>>(raw.get())
        && !tokens.is_empty()
    {
        return Ok(Input::Tokens { raw: raw.to_owned(), count: 1 });
    }
    let items = list(raw, at, MAX_INPUTS)?;
    match items.first() {
        None => Err(wrong_input(at)),
        Some(first) if first.get().starts_with('[') => {
            for (index, item) in items.iter().enumerate() {
                let tokens = serde_json::from_str::<Vec<u64>>(item.get());
                tokens.map_err(|_| At::Item(at, index).wrong("a list of tokens"))?;
            }
            Ok(Input::Tokens { raw: raw.to_owned(), count: items.len() })
        }
        Some(_) => {
            let texts = items.into_iter().enumerate();
            let texts = texts.map(|(index, raw)| string(raw, &At::Item(at, index)));
            Ok(Input::Texts { texts: texts.collect::<Result<_, _>>()?, form: Form::List })
        }
    }
}

fn wrong_input(at: &At<'_>) -> Malformed {
    at.wrong("a text, a list of texts, or tokens")
}
