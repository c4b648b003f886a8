//! A client's request, into the hub.

use serde_json::value::RawValue;

use super::{item, tool};
use crate::{
    dialect::fields::{At, Fields},
    exchange::{Malformed, Payload},
    matrix::Dialect,
    op::chat::{
        Block, Extra, Form, Format, MaxTokens, Message, Part, Reasoning, Request, Role, Sampling,
        Schema,
    },
};

/// What may stand in for `input`: the provider has the conversation already.
const KEPT: &[&str] = &["previous_response_id", "conversation", "prompt"];

pub(super) fn read(payload: &Payload) -> Result<Request, Malformed> {
    let mut fields = Fields::of_body(&payload.body)?;
    fields.leave_out(&payload.body, &payload.peek.ours);
    let mut extra = Extra::new();
    let messages = messages(&mut fields)?;
    let reasoning = reasoning(&mut fields, &mut extra)?;
    let format = text(&mut fields, &mut extra)?;
    let logprobs = include(&mut fields, &mut extra)?;
    let read = Request {
        surface: Dialect::Responses,
        model: fields.model(payload)?,
        messages,
        stream: fields.get("stream", "true or false")?.unwrap_or(false),
        include_usage: true,
        max_tokens: fields
            .get("max_output_tokens", "a number of tokens")?
            .map(MaxTokens::Completion),
        sampling: Sampling {
            temperature: fields.get("temperature", "a number")?,
            top_p: fields.get("top_p", "a number")?,
            logprobs: logprobs.then_some(true),
            top_logprobs: fields.get("top_logprobs", "a number")?,
            ..Sampling::default()
        },
        stop: None,
        tools: tool::read_all(&mut fields)?,
        tool_choice: tool::read_choice(&mut fields)?,
        parallel_tools: fields.get("parallel_tool_calls", "true or false")?,
        format,
        reasoning,
        user: fields.text("user")?,
        metadata: match fields.take("metadata") {
            Some(raw) => Fields::of(raw, At::Field(&At::Body, "metadata"))?.rest(),
            None => Extra::new(),
        },
        service_tier: fields.text("service_tier")?,
        output_extra: Extra::new(),
        extra: Extra::new(),
    };
    // How the stream is padded is about the transport, which is ours.
    fields.take("stream_options");
    extra.extend(fields.rest());
    let kept = extra.iter().any(|(name, _)| KEPT.contains(&&**name));
    if !kept && !read.messages.iter().any(|message| message.role != Role::System) {
        return Err(At::Field(&At::Body, "input").wrong("a string or a list of items"));
    }
    Ok(Request { extra, ..read })
}

/// `instructions` are the first message of the hub, as Anthropic's `system` is.
fn messages(fields: &mut Fields<'_, '_>) -> Result<Vec<Message>, Malformed> {
    let instructions = fields.text("instructions")?.map(|text| Message {
        role: Role::System,
        blocks: vec![Block::from(Part::Text(text))],
        form: Form::Bare,
        extra: Extra::new(),
    });
    let mut messages: Vec<Message> = instructions.into_iter().collect();
    if let Some(raw) = fields.take("input") {
        item::read_input(raw, &At::Field(&At::Body, "input"), &mut messages)?;
    }
    Ok(messages)
}

/// What is said beside the effort stays under the name `reasoning`.
fn reasoning(fields: &mut Fields<'_, '_>, extra: &mut Extra) -> Result<Reasoning, Malformed> {
    let Some(raw) = fields.take("reasoning") else { return Ok(Reasoning::default()) };
    let mut reasoning = Fields::of(raw, At::Field(&At::Body, "reasoning"))?;
    let effort = reasoning.text("effort")?;
    extra.extend(tool::object_of(reasoning.rest()).map(|raw| ("reasoning".into(), raw)));
    Ok(Reasoning { effort, ..Reasoning::default() })
}

/// `text`: its `verbosity` goes by the name that chat completions have for it.
fn text(fields: &mut Fields<'_, '_>, extra: &mut Extra) -> Result<Option<Format>, Malformed> {
    let at = At::Field(&At::Body, "text");
    let Some(raw) = fields.take("text") else { return Ok(None) };
    let mut text = Fields::of(raw, at)?;
    extra.extend(text.raw("verbosity").map(|raw| ("verbosity".into(), raw)));
    let format = match text.take("format") {
        Some(raw) => Some(format(raw, At::Field(&at, "format"))?),
        None => None,
    };
    extra.extend(tool::object_of(text.rest()).map(|raw| ("text".into(), raw)));
    Ok(format)
}

fn format(raw: &RawValue, at: At<'_>) -> Result<Format, Malformed> {
    let mut format = Fields::of(raw, at)?;
    Ok(match format.need_text("type")?.as_str() {
        "text" => Format::Text,
        "json_object" => Format::JsonObject,
        "json_schema" => Format::JsonSchema(Schema {
            name: format.text("name")?,
            description: format.text("description")?,
            schema: format.raw("schema"),
            strict: format.get("strict", "true or false")?,
        }),
        _ => Format::Other { dialect: Dialect::Responses, raw: raw.to_owned() },
    })
}

/// True if `include` asks for logprobs.
fn include(fields: &mut Fields<'_, '_>, extra: &mut Extra) -> Result<bool, Malformed> {
    let Some(raw) = fields.take("include") else { return Ok(false) };
    let names: Vec<String> = serde_json::from_str(raw.get())
        .map_err(|_| At::Field(&At::Body, "include").wrong("a list of strings"))?;
    extra.push(("include".into(), raw.to_owned()));
    Ok(names.iter().any(|name| name == "message.output_text.logprobs"))
}
