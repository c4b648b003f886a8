//! Embeddings: one file a dialect. A dialect is a [`Surface`] (the client's side), an [`Upstream`]
//! (the provider's side), or both.

mod bedrock;
mod cohere;
mod cortex;
mod features;
mod gemini;
mod int8;
mod oci;
mod ollama;
mod openai;
#[cfg(test)]
mod tests;
mod vector;
mod vertex;
mod watsonx;

use bytes::Bytes;
use serde_json::value::RawValue;

use super::{
    body::Body,
    fields::{At, list},
    json,
    sieve::Sieve,
};
use crate::{
    exchange::{CannotAsk, Malformed, Payload},
    matrix::Dialect,
    op::embeddings::{Input, MAX_INPUTS, Request, Response, Vector},
    provider::Embeds,
    target::Target,
    usage::Usage,
};

/// The client's side of a dialect of embeddings.
pub trait Surface: Sync {
    /// A client's body, into the hub.
    fn read(&self, payload: &Payload) -> Result<Request, Malformed>;
    /// An answer, out of the hub, in the encoding that was asked for. `Malformed` where the
    /// upstream's numbers are none.
    fn write(&self, ask: &Request, reply: &Response) -> Result<Bytes, Malformed>;
}

/// The provider's side of a dialect of embeddings.
pub trait Upstream: Sync {
    /// The hub's request as a body, the provider's patches applied; what cannot be said is refused,
    /// or, with [`Target::drop_params`], left out and named in `dropped`.
    fn write(
        &self,
        ask: &Request,
        to: &Target,
        dropped: &mut Vec<String>,
    ) -> Result<Bytes, CannotAsk>;
    /// Most texts of a call, where a longer list takes several. `write` is then given no more.
    fn most_a_call(&self, _to: &Target) -> Option<usize> {
        None
    }
    /// An answer, into the hub.
    fn read(&self, body: &[u8]) -> Result<Response, Malformed>;
}

/// The client's side of a dialect of embeddings, if clients may speak it to us.
pub fn surface(dialect: Dialect) -> Option<&'static dyn Surface> {
    match dialect {
        Dialect::Openai => Some(&openai::Openai),
        Dialect::Cohere => Some(&cohere::Cohere),
        _ => None,
    }
}

/// The provider's side of a dialect of embeddings, if we may speak it to providers. `form` is how a
/// place spells them that does not as its dialect says.
pub fn upstream(dialect: Dialect, form: Option<Embeds>) -> Option<&'static dyn Upstream> {
    Some(match (form, dialect) {
        (Some(Embeds::Predict), _) => &vertex::Predict,
        (Some(Embeds::Content), _) => &vertex::Content,
        (Some(Embeds::Watsonx), _) => &watsonx::Watsonx,
        (Some(Embeds::Features), _) => &features::Features,
        (Some(Embeds::Cortex), _) => &cortex::Cortex,
        (Some(Embeds::Int8), _) => &int8::Int8,
        (None, Dialect::Openai) => &openai::Openai,
        (None, Dialect::Cohere) => &cohere::Cohere,
        (None, Dialect::Gemini) => &gemini::Gemini,
        (None, Dialect::Ollama) => &ollama::Ollama,
        (None, Dialect::Bedrock) => &bedrock::Bedrock,
        (None, Dialect::Anthropic | Dialect::Responses | Dialect::Completions) => return None,
        (None, Dialect::Oci | Dialect::OciCohere) => &oci::Oci,
        (None, Dialect::Tgi | Dialect::WatsonxText | Dialect::Replicate) => return None,
    })
}

/// The texts of a request, or the reason why there are none.
fn texts<'a>(ask: &'a Request, to: &Target, whose: &str) -> Result<&'a [String], CannotAsk> {
    match &ask.input {
        Input::Texts { texts, .. } => Ok(texts),
        // Without its input nothing is left of a request: it is refused whatever may be dropped.
        Input::Tokens { .. } => Err(crate::exchange::Unsupported {
            param: "input".to_owned(),
            model: to.model.to_string(),
            why: format!("{whose} embeds texts, not tokens"),
        }
        .into()),
    }
}

/// The one text of a request to a place that embeds one a call.
fn one_text<'a>(ask: &'a Request, to: &Target, whose: &str) -> Result<&'a str, CannotAsk> {
    match texts(ask, to, whose)? {
        [text] => Ok(text),
        _ => Err(crate::exchange::Unsupported {
            param: "input".to_owned(),
            model: to.model.to_string(),
            why: format!("{whose} embeds one text a call"),
        }
        .into()),
    }
}

/// A list of texts as a field.
fn write_texts(body: &mut Body, name: &'static str, texts: &[String]) {
    body.put(name, |out| {
        json::list(out, |list| {
            for text in texts {
                json::string(list.item(), text);
            }
        });
    });
}

/// A body with the model and the texts, as `name`, of a place that embeds all texts alike.
fn begun(
    ask: &Request,
    to: &Target,
    name: &'static str,
    whose: &str,
    sieve: &mut Sieve<'_>,
) -> Result<Body, CannotAsk> {
    let mut body = Body::default();
    body.text("model", &to.model);
    write_texts(&mut body, name, texts(ask, to, whose)?);
    no_task(ask, whose, sieve)?;
    Ok(body)
}

/// Refuses a size of vectors where there is one only.
fn one_size(ask: &Request, whose: &str, sieve: &mut Sieve<'_>) -> Result<(), CannotAsk> {
    if ask.dimensions.is_none() {
        return Ok(());
    }
    sieve.refuse("dimensions", &format!("{whose} has one size of vectors"))
}

/// What no upstream of these has a place for: the end user, and fields that are not `own`.
fn rest(
    ask: &Request,
    own: &[&str],
    whose: &str,
    sieve: &mut Sieve<'_>,
    mut take: impl FnMut(&str, &RawValue),
) -> Result<(), CannotAsk> {
    if ask.user.is_some() {
        sieve.hint("user");
    }
    for (name, raw) in &ask.extra {
        if own.contains(&&**name) {
            take(name, raw);
        } else if **name == *"metadata" {
            sieve.hint(name);
        } else {
            sieve.refuse(name, &format!("{whose} has no such parameter"))?;
        }
    }
    Ok(())
}

/// Refuses what the vectors are for where a model embeds all texts alike. Cohere's clients must say
/// it: of theirs it is only named.
fn no_task(ask: &Request, whose: &str, sieve: &mut Sieve<'_>) -> Result<(), CannotAsk> {
    match (&ask.task, ask.surface) {
        (None, _) => {}
        (Some(_), Dialect::Cohere) => sieve.hint("input_type"),
        (Some(_), _) => sieve.refuse("input_type", &format!("{whose} embeds all texts alike"))?,
    }
    Ok(())
}

/// An answer of lists of numbers.
fn floats(
    raw: &RawValue,
    at: &At<'_>,
    model: String,
    usage: Option<Usage>,
) -> Result<Response, Malformed> {
    let vectors = list(raw, at, MAX_INPUTS)?;
    let vectors = vectors.into_iter().map(|raw| Vector::Floats(raw.to_owned())).collect();
    Ok(Response { model, vectors, usage })
}

/// Of a prompt that was counted.
fn counted(input: Option<u64>) -> Option<Usage> {
    input.map(|input| Usage { input, ..Usage::default() })
}

impl Request {
    /// Fills in what the configuration sets where the client does not.
    pub(crate) fn fill(&mut self, defaults: &[(String, Bytes)]) -> Result<(), Malformed> {
        for (name, value) in defaults {
            let Ok(raw) = serde_json::from_slice::<&RawValue>(value) else { continue };
            let mut fields = vec![(name.as_str().into(), raw.to_owned())];
            openai::fill(self, &mut fields)?;
            let said = self.extra.iter().any(|(other, _)| **other == **name);
            if !said && !openai::is_known(name) {
                self.extra.append(&mut fields);
            }
        }
        Ok(())
    }
}
