//! The hub's request as a call of a model of any vendor but Cohere.
//! <https://docs.oracle.com/en-us/iaas/api/#/en/generative-ai-inference/20231130/datatypes/GenericChatRequest>

use bytes::{Bytes, BytesMut};
use serde_json::value::RawValue;

use super::{
    enveloped, extent,
    message::{self, say},
    rest, texts,
};
use crate::{
    dialect::{
        body::Body,
        fields::{At, Fields, is_string, list, string},
        functions, json, openai, preset,
        sieve::Sieve,
    },
    exchange::{CannotAsk, Malformed},
    matrix::Dialect,
    op::chat::{Format, MAX_BLOCKS, Request, Schema, Thinking, ToolChoice},
    target::Target,
};

/// Oracle's own fields, which pass from any client that knows them.
const OWN: &[&str] = &["isEcho", "webSearchOptions"];
/// Parameters of OpenAI's that the hub does not know and Oracle spells otherwise.
const RESPELLED: &[&str] = &["prediction", "verbosity", "web_search_options"];

pub(super) fn write(
    ask: &Request,
    to: &Target,
    dropped: &mut Vec<String>,
) -> Result<Bytes, CannotAsk> {
    let ask = preset::with_defaults(ask, to)?;
    let mut sieve = Sieve::new(to, dropped);
    let mut body = Body::default();
    body.text("apiFormat", "GENERIC");
    let mut messages = BytesMut::new();
    message::write_all(&ask, &mut sieve, &mut messages)?;
    body.put("messages", |out| *out = messages);
    extent(&ask, &mut body);
    sampling(&ask, &mut body);
    tools(&ask, &mut sieve, &mut body)?;
    format(&ask, &mut sieve, &mut body)?;
    reasoning(&ask, &mut sieve, &mut body)?;
    tier(&ask, &mut sieve, &mut body)?;
    if !ask.metadata.is_empty() {
        body.put("metadata", |out| json::object(out, |o| o.extra(&ask.metadata)));
    }
    respelled(&ask, &mut sieve, &mut body)?;
    rest(&ask, &[OWN, RESPELLED], &mut sieve, &mut body)?;
    Ok(enveloped(body, to))
}

fn sampling(ask: &Request, body: &mut Body) {
    let sampling = &ask.sampling;
    for (name, number) in [
        ("temperature", &sampling.temperature),
        ("topP", &sampling.top_p),
        ("topK", &sampling.top_k),
        ("seed", &sampling.seed),
        ("numGenerations", &sampling.n),
        ("frequencyPenalty", &sampling.frequency_penalty),
        ("presencePenalty", &sampling.presence_penalty),
    ] {
        body.number(name, number.as_ref());
    }
    if sampling.logprobs == Some(true) {
        // So many of the likeliest tokens beside the one that was taken.
        let most = sampling.top_logprobs.as_ref().and_then(serde_json::Number::as_u64);
        body.integer("logProbs", most.unwrap_or(1));
    }
    if let Some(bias) = &sampling.logit_bias {
        body.raw("logitBias", bias);
    }
    if let Some(stop) = &ask.stop {
        body.put("stop", |out| texts(stop, out));
    }
}

fn tools(ask: &Request, sieve: &mut Sieve<'_>, body: &mut Body) -> Result<(), CannotAsk> {
    let mut functions = Vec::new();
    functions::each(ask, "oci", sieve, |function, _| {
        functions.push(function);
        Ok(())
    })?;
    if !functions.is_empty() {
        body.put("tools", |out| {
            json::list(out, |list| {
                for function in &functions {
                    list.object(|o| {
                        o.text("type", "FUNCTION");
                        o.text("name", &function.name);
                        o.some_text("description", function.description.as_deref());
                        if let Some(schema) = &function.parameters {
                            o.raw("parameters", schema.get());
                        }
                    });
                }
            });
        });
    }
    let (word, name) = match &ask.tool_choice {
        None => (None, None),
        Some(ToolChoice::Auto) => (Some("AUTO"), None),
        Some(ToolChoice::None) => (Some("NONE"), None),
        Some(ToolChoice::Required) => (Some("REQUIRED"), None),
        Some(ToolChoice::Named(name)) => (Some("FUNCTION"), Some(name.as_str())),
        Some(ToolChoice::Other { .. }) => {
            sieve.refuse("tool_choice", "oci has no such choice")?;
            (None, None)
        }
    };
    if let Some(word) = word {
        body.put("toolChoice", |out| {
            json::object(out, |o| {
                o.text("type", word);
                o.some_text("name", name);
            });
        });
    }
    if let Some(parallel) = ask.parallel_tools {
        body.flag("isParallelToolCalls", parallel);
    }
    Ok(())
}

fn format(ask: &Request, sieve: &mut Sieve<'_>, body: &mut Body) -> Result<(), CannotAsk> {
    let mut put = |kind: &str, schema: Option<&Schema>| {
        body.put("responseFormat", |out| {
            json::object(out, |o| {
                o.text("type", kind);
                if let Some(schema) = schema {
                    o.object("jsonSchema", |o| write_schema(o, schema, ask.surface));
                }
            });
        });
    };
    match &ask.format {
        None => {}
        Some(Format::Text) => put("TEXT", None),
        Some(Format::JsonObject) => put("JSON_OBJECT", None),
        Some(Format::JsonSchema(schema)) => put("JSON_SCHEMA", Some(schema)),
        Some(Format::Other { .. }) => {
            sieve.refuse("response_format", "oci has no such format")?;
        }
    }
    Ok(())
}

/// A name is wanted. Clients of dialects without `strict` mean that the answer is to fit.
fn write_schema(o: &mut json::Object<'_>, schema: &Schema, surface: Dialect) {
    o.text("name", schema.name.as_deref().unwrap_or("answer"));
    o.some_text("description", schema.description.as_deref());
    if let Some(raw) = &schema.schema {
        o.raw("schema", raw.get());
    }
    let strict = match surface {
        Dialect::Openai | Dialect::Responses => schema.strict,
        _ => Some(true),
    };
    if let Some(strict) = strict {
        o.flag("isStrict", strict);
    }
}

fn reasoning(ask: &Request, sieve: &mut Sieve<'_>, body: &mut Body) -> Result<(), CannotAsk> {
    for (name, _) in &ask.reasoning.extra {
        sieve.hint(&format!("thinking.{name}"));
    }
    let effort = match ask.reasoning.thinking {
        Some(Thinking::Disabled) => Some("none"),
        Some(Thinking::Enabled { .. } | Thinking::Adaptive) | None => {
            openai::effort(&ask.reasoning)
        }
    };
    let word = match effort {
        None => return Ok(()),
        Some("none" | "disable") => "NONE",
        Some("minimal") => "MINIMAL",
        Some("low") => "LOW",
        Some("medium") => "MEDIUM",
        Some("high") => "HIGH",
        Some(_) => return sieve.refuse("reasoning_effort", "oci has no such effort"),
    };
    body.text("reasoningEffort", word);
    Ok(())
}

fn tier(ask: &Request, sieve: &mut Sieve<'_>, body: &mut Body) -> Result<(), CannotAsk> {
    match ask.service_tier.as_deref() {
        None => {}
        Some("auto") => body.text("serviceTier", "AUTO"),
        Some("default" | "standard_only") => body.text("serviceTier", "DEFAULT"),
        Some("priority") => body.text("serviceTier", "PRIORITY"),
        Some(_) => sieve.refuse("service_tier", "oci has no such tier")?,
    }
    Ok(())
}

fn respelled(ask: &Request, sieve: &mut Sieve<'_>, body: &mut Body) -> Result<(), CannotAsk> {
    for (name, raw) in &ask.extra {
        match &**name {
            "verbosity" => match raw.get() {
                r#""low""# => body.text("verbosity", "LOW"),
                r#""medium""# => body.text("verbosity", "MEDIUM"),
                r#""high""# => body.text("verbosity", "HIGH"),
                _ => sieve.refuse("verbosity", "oci has no such verbosity")?,
            },
            "prediction" => {
                let texts = predicted(raw)?;
                body.put("prediction", |out| {
                    json::object(out, |o| {
                        o.text("type", "CONTENT");
                        o.list("content", |list| texts.iter().for_each(|text| say(list, text)));
                    });
                });
            }
            "web_search_options" => search(raw, sieve, body)?,
            _ => {}
        }
    }
    Ok(())
}

/// The texts of `{"type": "content", "content": …}`: a string, or a list of parts.
fn predicted(raw: &RawValue) -> Result<Vec<String>, Malformed> {
    let at = At::Field(&At::Body, "prediction");
    let mut fields = Fields::of(raw, at)?;
    let content_at = At::Field(&at, "content");
    let Some(content) = fields.take("content") else {
        return Err(content_at.wrong("a string or a list of parts"));
    };
    if is_string(content) {
        return Ok(vec![string(content, &content_at)?]);
    }
    let parts = list(content, &content_at, MAX_BLOCKS)?.into_iter().enumerate();
    parts.map(|(i, raw)| Fields::of(raw, At::Item(&content_at, i))?.need_text("text")).collect()
}

/// `{"search_context_size": "low", "user_location": {"type": "approximate", "approximate": {…}}}`
fn search(raw: &RawValue, sieve: &mut Sieve<'_>, body: &mut Body) -> Result<(), CannotAsk> {
    let at = At::Field(&At::Body, "web_search_options");
    let mut fields = Fields::of(raw, at)?;
    let size = fields.text("search_context_size")?.map(|size| size.to_ascii_uppercase());
    let place_at = At::Field(&at, "user_location");
    let place = match fields.take("user_location") {
        Some(raw) => Fields::of(raw, place_at)?.raw("approximate"),
        None => None,
    };
    for (name, _) in fields.rest() {
        let why = "oci has no such parameter";
        sieve.refuse(&format!("web_search_options.{name}"), why)?;
    }
    body.put("webSearchOptions", |out| {
        json::object(out, |o| {
            o.some_text("searchContextSize", size.as_deref());
            if let Some(place) = &place {
                o.raw("userLocation", place.get());
            }
        });
    });
    Ok(())
}
