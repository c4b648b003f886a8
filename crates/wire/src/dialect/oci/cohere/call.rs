//! The hub's request as a call of a model of Cohere's.

use bytes::Bytes;
use serde_json::value::RawValue;

use super::message::Conversation;
use crate::{
    dialect::{
        body::Body,
        fields::{At, Fields, is_string},
        functions,
        json::{self, Object},
        oci::{enveloped, extent, rest, texts},
        preset,
        sieve::Sieve,
    },
    exchange::{CannotAsk, Malformed},
    op::chat::{Format, Function, Request, Thinking, ToolChoice},
    target::Target,
};

/// Oracle's own fields, which pass from any client that knows them.
const OWN: &[&str] = &[
    "isEcho",
    "isForceSingleStep",
    "isRawPrompting",
    "maxInputTokens",
    "promptTruncation",
    "safetyMode",
];
/// Members of a schema that its definitions say, or that say nothing about the arguments.
const DEFINED: &[&str] =
    &["$schema", "additionalProperties", "properties", "required", "title", "type"];

pub(super) fn write(
    ask: &Request,
    to: &Target,
    dropped: &mut Vec<String>,
) -> Result<Bytes, CannotAsk> {
    let ask = preset::with_defaults(ask, to)?;
    let mut sieve = Sieve::new(to, dropped);
    let mut body = Body::default();
    body.text("apiFormat", "COHERE");
    let conversation = Conversation::of(&ask, &mut sieve)?;
    conversation.write(&mut body);
    extent(&ask, &mut body);
    sampling(&ask, &mut sieve, &mut body)?;
    tools(&ask, conversation.has_results(), &mut sieve, &mut body)?;
    format(&ask, &mut sieve, &mut body)?;
    thinking(&ask, &mut sieve)?;
    match ask.service_tier.as_deref() {
        None => {}
        Some("auto" | "default" | "standard_only") => sieve.hint("service_tier"),
        Some(_) => sieve.refuse("service_tier", "cohere's models at oci have no tiers")?,
    }
    if !ask.metadata.is_empty() {
        sieve.hint("metadata");
    }
    rest(&ask, &[OWN, &[]], &mut sieve, &mut body)?;
    Ok(enveloped(body, to))
}

fn sampling(ask: &Request, sieve: &mut Sieve<'_>, body: &mut Body) -> Result<(), CannotAsk> {
    let sampling = &ask.sampling;
    for (name, number) in [
        ("temperature", &sampling.temperature),
        ("topP", &sampling.top_p),
        ("topK", &sampling.top_k),
        ("seed", &sampling.seed),
        ("frequencyPenalty", &sampling.frequency_penalty),
        ("presencePenalty", &sampling.presence_penalty),
    ] {
        body.number(name, number.as_ref());
    }
    for (name, there) in [
        ("n", sampling.n.as_ref().is_some_and(|n| n.as_u64() != Some(1))),
        ("logprobs", sampling.logprobs == Some(true)),
        ("top_logprobs", sampling.top_logprobs.is_some()),
        ("logit_bias", sampling.logit_bias.is_some()),
    ] {
        if there {
            sieve.refuse(name, "cohere's models at oci have no such parameter")?;
        }
    }
    if let Some(stop) = &ask.stop {
        body.put("stopSequences", |out| texts(stop, out));
    }
    Ok(())
}

fn tools(
    ask: &Request,
    has_results: bool,
    sieve: &mut Sieve<'_>,
    body: &mut Body,
) -> Result<(), CannotAsk> {
    let mut functions = Vec::new();
    functions::each(ask, "oci", sieve, |function, index| {
        functions.push(Defined::of(function, index)?);
        Ok(())
    })?;
    if ask.parallel_tools == Some(false) && !functions.is_empty() {
        let why = "cohere's models at oci may call several tools at once";
        sieve.refuse("parallel_tool_calls", why)?;
    }
    match &ask.tool_choice {
        None | Some(ToolChoice::Auto) => {}
        // A tool that is not shown is not called, but results are nothing without their tools.
        Some(ToolChoice::None) if !has_results => return Ok(()),
        Some(_) if functions.is_empty() => {}
        Some(ToolChoice::None | ToolChoice::Required | ToolChoice::Named(_)) => {
            let why = "oci leaves it to cohere's models whether to call tools";
            sieve.refuse("tool_choice", why)?;
        }
        Some(ToolChoice::Other { .. }) => sieve.refuse("tool_choice", "oci has no such choice")?,
    }
    if !functions.is_empty() {
        body.put("tools", |out| {
            json::list(out, |list| {
                functions.iter().for_each(|function| list.object(|o| function.write(o)));
            });
        });
    }
    Ok(())
}

/// A tool whose arguments are told one by one: name, Python type, description.
struct Defined<'a> {
    function: &'a Function,
    arguments: Vec<Argument>,
    /// Whether the schema says more than that.
    has_more: bool,
}

struct Argument {
    name: Box<str>,
    kind: &'static str,
    description: Option<String>,
    required: bool,
}

impl<'a> Defined<'a> {
    fn of(function: &'a Function, index: usize) -> Result<Self, Malformed> {
        let mut defined = Defined { function, arguments: Vec::new(), has_more: false };
        let Some(schema) = &function.parameters else { return Ok(defined) };
        let tools = At::Field(&At::Body, "tools");
        let tool = At::Item(&tools, index);
        let at = At::Field(&tool, "parameters");
        let mut fields = Fields::of(schema, at)?;
        let required: Vec<String> = fields.get("required", "a list of names")?.unwrap_or_default();
        if let Some(raw) = fields.take("properties") {
            for (name, raw) in Fields::of(raw, At::Field(&at, "properties"))?.rest() {
                let required = required.iter().any(|other| **other == *name);
                let (argument, has_more) = Argument::of(name, &raw, required)?;
                defined.arguments.push(argument);
                defined.has_more |= has_more;
            }
        }
        let more = fields.rest().iter().any(|(name, _)| !DEFINED.contains(&&**name));
        defined.has_more |= more;
        Ok(defined)
    }

    fn write(&self, o: &mut Object<'_>) {
        o.text("name", &self.function.name);
        let description = self.function.description.as_deref().unwrap_or_default();
        match self.function.parameters.as_ref().filter(|_| self.has_more) {
            Some(schema) => {
                let between = if description.is_empty() { "" } else { "\n\n" };
                let schema = json::compact(schema.get());
                o.text(
                    "description",
                    &format!("{description}{between}JSON Schema of the arguments: {schema}"),
                );
            }
            None => o.text("description", description),
        }
        if self.arguments.is_empty() {
            return;
        }
        o.object("parameterDefinitions", |o| {
            for argument in &self.arguments {
                o.object(&argument.name, |o| {
                    o.some_text("description", argument.description.as_deref());
                    o.text("type", argument.kind);
                    o.flag("isRequired", argument.required);
                });
            }
        });
    }
}

impl Argument {
    /// And whether its schema says more than a type and a description.
    fn of(name: Box<str>, raw: &RawValue, required: bool) -> Result<(Self, bool), Malformed> {
        // `true` is a schema, too.
        if !raw.get().starts_with('{') {
            let plain = Argument { name, kind: "object", description: None, required };
            return Ok((plain, false));
        }
        let mut fields = Fields::of(raw, At::Body)?;
        let description = fields.text("description").unwrap_or_default();
        let kind = match fields.take("type") {
            Some(raw) if is_string(raw) => python(raw.get().trim_matches('"')),
            // Several types, and `null` may be one of them.
            Some(_) | None => None,
        };
        let more = kind.is_none() || fields.rest().iter().any(|(name, _)| **name != *"title");
        Ok((Argument { name, kind: kind.unwrap_or("object"), description, required }, more))
    }
}

/// "Must be a valid Python type."
fn python(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "string" => "str",
        "integer" => "int",
        "number" => "float",
        "boolean" => "bool",
        "array" => "list",
        "object" => "dict",
        _ => return None,
    })
}

fn format(ask: &Request, sieve: &mut Sieve<'_>, body: &mut Body) -> Result<(), CannotAsk> {
    let mut put = |kind: &str, schema: Option<&RawValue>| {
        body.put("responseFormat", |out| {
            json::object(out, |o| {
                o.text("type", kind);
                if let Some(schema) = schema {
                    o.raw("schema", schema.get());
                }
            });
        });
    };
    match &ask.format {
        None => {}
        Some(Format::Text) => put("TEXT", None),
        Some(Format::JsonObject) => put("JSON_OBJECT", None),
        Some(Format::JsonSchema(schema)) => {
            if schema.name.is_some() || schema.description.is_some() {
                sieve.hint("response_format.json_schema.name");
            }
            put("JSON_OBJECT", schema.schema.as_deref());
        }
        Some(Format::Other { .. }) => {
            sieve.refuse("response_format", "oci has no such format")?;
        }
    }
    Ok(())
}

fn thinking(ask: &Request, sieve: &mut Sieve<'_>) -> Result<(), CannotAsk> {
    let why = "oci has no thinking for cohere's models in this format";
    match (ask.reasoning.thinking, ask.reasoning.effort.as_deref()) {
        (None, None | Some("none")) | (Some(Thinking::Disabled), _) => Ok(()),
        (Some(Thinking::Enabled { .. } | Thinking::Adaptive), _) => sieve.refuse("thinking", why),
        (None, Some(_)) => sieve.refuse("reasoning_effort", why),
    }
}
