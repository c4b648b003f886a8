//! Oracle's dialect, OCI Generative AI's `chat`, in the format `GENERIC` that serves the models of
//! all vendors but Cohere; [`cohere`] has theirs.
//! <https://docs.oracle.com/en-us/iaas/api/#/en/generative-ai-inference/20231130/ChatResult/Chat>
//!
//! The request of the model, `chatRequest`, stands in an envelope that says who pays for it
//! (`compartmentId`) and where it is served (`servingMode`). Both come from the provider's table as
//! patches: `compartmentId`, `servingType`, `endpointId`. A client cannot say them.

mod call;
pub mod cohere;
mod decode;
mod message;
mod reply;

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::value::RawValue;

use super::{Decode, Upstream, body::Body, json, openai::cites, sieve::Sieve, text};
use crate::{
    exchange::{CannotAsk, Malformed},
    op::chat::{Block, Part, Request, Response, Stop},
    target::Target,
};

/// The dialect, for the models of all vendors but Cohere.
#[derive(Debug, Clone, Copy)]
pub struct Oci;

impl Upstream for Oci {
    fn write(
        &self,
        ask: &Request,
        to: &Target,
        dropped: &mut Vec<String>,
    ) -> Result<Bytes, CannotAsk> {
        call::write(ask, to, dropped)
    }

    fn read(&self, body: &[u8]) -> Result<Response, Malformed> {
        reply::read(body)
    }

    fn decoder(&self) -> Box<dyn Decode> {
        Box::new(decode::Decoder::default())
    }
}

/// The whole body around a model's request.
fn enveloped(mut request: Body, to: &Target) -> Bytes {
    request.apply_patches(to);
    let mut body = envelope(&mut request, to);
    body.fill("chatRequest", request.written());
    body.written()
}

/// Who pays and where it is served, out of a request whose patches are applied.
pub(super) fn envelope(request: &mut Body, to: &Target) -> Body {
    let mut body = Body::default();
    let endpoint = request.take("endpointId");
    let serving = request.take("servingType");
    if let Some(compartment) = request.take("compartmentId") {
        body.fill("compartmentId", compartment);
    }
    body.put("servingMode", |out| {
        json::object(out, |o| {
            if serving.as_deref() == Some(br#""DEDICATED""#) {
                o.text("servingType", "DEDICATED");
                match endpoint {
                    Some(endpoint) => o.key("endpointId").put_slice(&endpoint),
                    None => o.text("endpointId", &to.model),
                }
            } else {
                o.text("servingType", "ON_DEMAND");
                o.text("modelId", &to.model);
            }
        });
    });
    body
}

/// Asks for a stream that ends with its figures, and for so many tokens.
fn extent(ask: &Request, body: &mut Body) {
    if ask.stream {
        body.flag("isStream", true);
        body.put("streamOptions", |out| out.put_slice(br#"{"isIncludeUsage":true}"#));
    }
    if let Some(limit) = ask.max_tokens {
        body.integer("maxTokens", limit.get());
    }
}

fn texts(stop: &Stop, out: &mut BytesMut) {
    json::list(out, |list| {
        for text in &stop.texts {
            json::string(list.item(), text);
        }
    });
}

/// Refuses or names what neither format has a place for in a block.
fn check_block(block: &Block, at: &str, sieve: &mut Sieve<'_>) -> Result<(), CannotAsk> {
    if block.cache.is_some() {
        sieve.hint("cache_control");
    }
    for (name, value) in &block.extra {
        if **name == *"citations" && cites(value) {
            sieve.refuse(&format!("{at}.citations"), "oci does not cite documents")?;
            continue;
        }
        sieve.hint(&format!("messages[].content[].{name}"));
    }
    if let Part::Other { dialect, .. } | Part::OtherCall { dialect, .. } = &block.part {
        let why = format!("only {} has this kind of content", dialect.name());
        sieve.refuse(at, &why)?;
    }
    Ok(())
}

/// The request's fields that have no place anywhere. Of the names in `own`, the first list's pass as
/// they are, and the second's have been said already.
fn rest(
    ask: &Request,
    [own, said]: &[&[&str]; 2],
    sieve: &mut Sieve<'_>,
    body: &mut Body,
) -> Result<(), CannotAsk> {
    if ask.user.is_some() {
        sieve.hint("user");
    }
    for (name, _) in &ask.output_extra {
        sieve.refuse(&format!("output_config.{name}"), "only anthropic has this parameter")?;
    }
    for (name, raw) in &ask.extra {
        if text::HINTS.contains(&&**name) {
            sieve.hint(name);
        } else if said.contains(&&**name) {
            // Said, refused or dropped by name.
        } else if own.contains(&&**name) && !body.has(name) {
            body.raw(name, raw);
        } else {
            sieve.refuse(name, "oci has no such parameter")?;
        }
    }
    Ok(())
}

/// Oracle names no calls of some vendors' tools, and results need a name to refer to: a hash (FNV-1a)
/// of what is called and its place in the answer. An answer that calls the same again in another turn
/// gives it the same name; the last one counts.
fn name_of_call(place: usize, name: &str, arguments: &str) -> String {
    let place = place.to_be_bytes();
    let bytes = place.iter().chain(name.as_bytes()).chain(b"\0").chain(arguments.as_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("call_{hash:016x}")
}

/// What is an answer of an error: `{"code": "…", "message": "…"}`, where an answer has an object as
/// its `message`, or none.
/// <https://docs.oracle.com/en-us/iaas/Content/API/References/apierrors.htm>
fn is_error(code: Option<&RawValue>, message: Option<&RawValue>) -> bool {
    code.is_some() && message.is_none_or(|message| message.get().starts_with('"'))
}
