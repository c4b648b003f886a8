//! Responses as OpenAI's API checks and spells them: an unknown field is refused, here as there.
//! Answers are stored unless `store` is false, and can be gone on from, fetched and deleted.
//! <https://platform.openai.com/docs/api-reference/responses>
#![expect(clippy::indexing_slicing, reason = "a member that a `Value` has not is null, or is made")]

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    CREATED_S,
    refuse::{Fields, Refuse},
    reply::Reply,
    said::{Finish, PICTURE, Prompt, SOURCE_TITLE, SOURCE_URL, Said, count_words, pieces},
};

/// All that a request may have.
const FIELDS: &[&str] = &[
    "background",
    "conversation",
    "include",
    "input",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "model",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
    "client_metadata",
];

/// The item of a picture.
const PICTURE_CALL: &str = "image_generation_call";

/// A checked request.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) model: String,
    pub(super) prompt: Prompt,
    pub(super) stream: bool,
    pub(super) store: bool,
    pub(super) background: bool,
    pub(super) previous: Option<String>,
    own: Own,
    encrypted: bool,
    body: Value,
}

/// What its tools are beside functions.
#[derive(Debug, Default)]
struct Own {
    /// Custom tools by name.
    custom: Vec<String>,
    /// Functions of namespaces: the name and the namespace.
    spaces: Vec<(String, String)>,
}

/// Checks a request as the API does.
pub(super) fn check(body: &Value) -> Result<Ask, Refuse> {
    let top = Fields::new(body, "")?;
    if let Some(unknown) = top.of.keys().find(|name| !FIELDS.contains(&name.as_str())) {
        let message = format!("Unknown parameter: '{unknown}'.");
        return Err(Refuse::bad(unknown, message, "unknown_parameter"));
    }
    let model = top.text("model")?.to_owned();
    let mut prompt = Prompt::default();
    if let Some(text) = top.maybe_text("instructions")? {
        prompt.words += count_words(text);
    }
    let mut own = Own::default();
    input(&top, &mut prompt, &mut own)?;
    tools(&top, &mut prompt, &mut own)?;
    top.number("temperature", 0.0, 2.0)?;
    top.number("top_p", 0.0, 1.0)?;
    top.count("top_logprobs", 0)?;
    prompt.max_tokens = top.count("max_output_tokens", 16)?;
    super::openai::user(&top)?;
    top.one_of("truncation", &["auto", "disabled"])?;
    top.one_of("service_tier", &["auto", "default", "flex", "priority"])?;
    let background = top.flag("background")?;
    let includes = top.list("include")?;
    let encrypted = includes.iter().any(|name| name == "reasoning.encrypted_content");
    text(&top)?;
    if let Some(reasoning) = top.object("reasoning")? {
        let efforts = ["none", "minimal", "low", "medium", "high", "xhigh"];
        let effort = reasoning.one_of("effort", &efforts)?;
        reasoning.one_of("summary", &["auto", "concise", "detailed"])?;
        prompt.thinking = effort.is_some_and(|effort| effort != "none");
    }
    Ok(Ask {
        model,
        prompt,
        stream: top.flag("stream")?,
        background,
        store: top.get("store").is_none_or(|store| store != false),
        previous: top.maybe_text("previous_response_id")?.map(str::to_owned),
        own,
        encrypted,
        body: body.clone(),
    })
}

fn text(top: &Fields<'_>) -> Result<(), Refuse> {
    let Some(text) = top.object("text")? else { return Ok(()) };
    text.one_of("verbosity", &["low", "medium", "high"])?;
    let Some(format) = text.object("format")? else { return Ok(()) };
    format.required("type")?;
    if format.one_of("type", &["text", "json_object", "json_schema"])? == Some("json_schema") {
        format.text("name")?;
        format.required("schema")?;
    }
    Ok(())
}

fn input(top: &Fields<'_>, prompt: &mut Prompt, own: &mut Own) -> Result<(), Refuse> {
    let items = match top.get("input") {
        None if top.get("previous_response_id").is_some() || top.get("prompt").is_some() => {
            return Ok(());
        }
        None => return Err(Refuse::missing("input")),
        Some(Value::String(text)) => {
            prompt.text.clone_from(text);
            prompt.words += count_words(text);
            prompt.user_spoke_last = true;
            return Ok(());
        }
        Some(Value::Array(items)) => items,
        Some(other) => return Err(Refuse::wrong_type("input", "a string or an array", other)),
    };
    let mut calls: Vec<String> = Vec::new();
    let kept = top.get("previous_response_id").is_some();
    for (i, one) in items.iter().enumerate() {
        let item = Fields::new(one, &format!("input[{i}]"))?;
        let kind = item.maybe_text("type")?.unwrap_or("message");
        match kind {
            "message" => message(&item, prompt)?,
            "function_call" | "custom_tool_call" => {
                calls.push(item.text("call_id")?.to_owned());
                item.text("name")?;
                item.text(if kind == "function_call" { "arguments" } else { "input" })?;
                prompt.results.clear();
            }
            "function_call_output" | "custom_tool_call_output" => {
                let id = item.text("call_id")?;
                if !kept && !calls.iter().any(|call| call == id) {
                    let message =
                        format!("No tool call found for function call output with call_id {id}.");
                    return Err(Refuse {
                        param: Some("input".to_owned()),
                        ..Refuse::new(400, message)
                    });
                }
                let said = said(&item, "output", false, prompt)?;
                prompt.words += count_words(&said);
                prompt.results.push(said);
                prompt.user_spoke_last = false;
            }
            "reasoning" => {
                item.required("summary")?;
                let foreign = |text: &str| !text.starts_with("gAAAA");
                if item.maybe_text("encrypted_content")?.is_some_and(foreign) {
                    let message = "The encrypted content could not be verified.";
                    return Err(Refuse::bad("input", message, "invalid_encrypted_content"));
                }
            }
            "additional_tools" => {
                item.one_of("role", &["developer"])?;
                offered(&item, prompt, own)?;
            }
            "item_reference"
            | "local_shell_call"
            | "local_shell_call_output"
            | "web_search_call" => {}
            other => {
                let at = item.path("type");
                let message = format!("Invalid value: '{other}'.");
                return Err(Refuse::bad(&at, message, "invalid_value"));
            }
        }
    }
    Ok(())
}

fn message(item: &Fields<'_>, prompt: &mut Prompt) -> Result<(), Refuse> {
    item.required("role")?;
    let role = item.one_of("role", &["assistant", "system", "developer", "user"])?;
    let assistant = role == Some("assistant");
    let said = said(item, "content", assistant, prompt)?;
    prompt.words += count_words(&said);
    if !matches!(role, Some("system" | "developer")) {
        prompt.user_spoke_last = role == Some("user");
    }
    if role == Some("user") {
        prompt.results.clear();
        prompt.text = said;
    }
    Ok(())
}

fn said(
    item: &Fields<'_>,
    name: &str,
    assistant: bool,
    prompt: &mut Prompt,
) -> Result<String, Refuse> {
    let path = item.path(name);
    let parts = match item.required(name)? {
        Value::String(text) => return Ok(text.clone()),
        Value::Array(parts) => parts,
        other => return Err(Refuse::wrong_type(&path, "a string or an array", other)),
    };
    let mut text = Vec::new();
    for (i, part) in parts.iter().enumerate() {
        let part = Fields::new(part, &format!("{path}[{i}]"))?;
        part.required("type")?;
        let kinds: &[&str] = match assistant {
            true => &["output_text", "refusal"],
            false => &["input_text", "input_image", "input_file", "input_audio"],
        };
        match part.one_of("type", kinds)?.unwrap_or_default() {
            "input_image" => {
                if part.get("image_url").is_none() && part.get("file_id").is_none() {
                    return Err(Refuse::missing(&part.path("image_url")));
                }
                part.one_of("detail", &["auto", "low", "high"])?;
                prompt.images += 1;
            }
            "input_text" | "output_text" => text.push(part.text("text")?.to_owned()),
            "refusal" => text.push(part.text("refusal")?.to_owned()),
            _ => {}
        }
    }
    Ok(text.join(" "))
}

fn offered(top: &Fields<'_>, prompt: &mut Prompt, own: &mut Own) -> Result<(), Refuse> {
    for (i, tool) in top.list("tools")?.iter().enumerate() {
        let tool = Fields::new(tool, &format!("{}[{i}]", top.path("tools")))?;
        tool.required("type")?;
        let kinds = [
            "function",
            "custom",
            "namespace",
            "web_search",
            "file_search",
            "code_interpreter",
            "local_shell",
            "mcp",
        ];
        match tool.one_of("type", &kinds)?.unwrap_or_default() {
            "function" => {
                let name = tool.text("name")?;
                if tool.get("function").is_some() {
                    let at = tool.path("function");
                    let message = format!("Unknown parameter: '{at}'.");
                    return Err(Refuse::bad(&at, message, "unknown_parameter"));
                }
                let schema = tool.get("parameters").cloned().unwrap_or_else(|| json!({}));
                prompt.tools.push((name.to_owned(), schema));
            }
            "namespace" => {
                let space = tool.text("name")?;
                for (j, one) in tool.list("tools")?.iter().enumerate() {
                    let one = Fields::new(one, &format!("{}[{j}]", tool.path("tools")))?;
                    one.required("type")?;
                    let custom = one.one_of("type", &["function", "custom"])? == Some("custom");
                    let name = one.text("name")?.to_owned();
                    let schema = one.get("parameters").cloned().unwrap_or_else(|| json!({}));
                    let text = json!({"type": "string"});
                    prompt.tools.push((name.clone(), if custom { text } else { schema }));
                    if custom {
                        own.custom.push(name.clone());
                    }
                    own.spaces.push((name, space.to_owned()));
                }
            }
            "custom" => {
                let name = tool.text("name")?.to_owned();
                prompt.tools.push((name.clone(), json!({"type": "string"})));
                own.custom.push(name);
            }
            _ => {}
        }
    }
    Ok(())
}

fn tools(top: &Fields<'_>, prompt: &mut Prompt, own: &mut Own) -> Result<(), Refuse> {
    offered(top, prompt, own)?;
    top.flag("parallel_tool_calls")?;
    match top.get("tool_choice") {
        None => {}
        Some(Value::String(_)) => {
            let word = top.one_of("tool_choice", &["none", "auto", "required"])?;
            prompt.tools_off = word == Some("none");
        }
        Some(choice) => {
            let choice = Fields::new(choice, "tool_choice")?;
            choice.required("type")?;
            if let Some(name) = choice.maybe_text("name")? {
                if !prompt.tools.iter().any(|(tool, _)| tool == name) {
                    let message = format!("Tool choice '{name}' not found in 'tools' parameter.");
                    return Err(Refuse::bad("tool_choice", message, "invalid_value"));
                }
                prompt.forced = Some(name.to_owned());
            }
        }
    }
    Ok(())
}

/// The id of the answer to the request of this number.
pub(super) fn id_of(serial: u64) -> String {
    format!("resp_scripted{serial:06}")
}

/// What nobody has stored.
pub(super) fn not_found(id: &str) -> Refuse {
    Refuse {
        param: Some("previous_response_id".to_owned()),
        code: Some("previous_response_not_found"),
        ..Refuse::new(400, format!("Previous response with id '{id}' not found."))
    }
}

/// The answer.
pub(super) fn whole(said: &Said, ask: &Ask, serial: u64) -> Value {
    let cut = said.finish == Finish::Length;
    let mut answer = begun(ask, serial);
    answer["status"] = json!(if cut { "incomplete" } else { "completed" });
    if cut {
        answer["incomplete_details"] = json!({"reason": "max_output_tokens"});
    }
    answer["output"] = output(said, ask, serial).into();
    answer["usage"] = json!({
        "input_tokens": said.input,
        "input_tokens_details": {"cached_tokens": said.cached, "cache_write_tokens": said.cache_write},
        "output_tokens": said.output,
        "output_tokens_details": {"reasoning_tokens": said.reasoning_tokens},
        "total_tokens": said.input + said.output,
    });
    answer
}

/// An answer in the background that nobody has begun with.
pub(super) fn queued(ask: &Ask, serial: u64) -> Value {
    let mut answer = begun(ask, serial);
    answer["status"] = json!("queued");
    answer
}

fn begun(ask: &Ask, serial: u64) -> Value {
    let given = |name: &str, default: Value| {
        ask.body.get(name).filter(|value| !value.is_null()).cloned().unwrap_or(default)
    };
    json!({
        "id": id_of(serial), "object": "response", "created_at": CREATED_S,
        "status": "in_progress", "background": ask.background, "error": null, "incomplete_details": null,
        "instructions": given("instructions", Value::Null),
        "max_output_tokens": given("max_output_tokens", Value::Null),
        "model": ask.model, "output": [],
        "parallel_tool_calls": given("parallel_tool_calls", json!(true)),
        "previous_response_id": given("previous_response_id", Value::Null),
        "reasoning": given("reasoning", json!({"effort": null, "summary": null})),
        "store": ask.store, "temperature": given("temperature", json!(1.0)),
        "text": given("text", json!({"format": {"type": "text"}})),
        "tool_choice": given("tool_choice", json!("auto")), "tools": given("tools", json!([])),
        "top_p": given("top_p", json!(1.0)), "truncation": "disabled", "usage": null,
        "user": null, "metadata": given("metadata", json!({})),
    })
}

fn output(said: &Said, ask: &Ask, serial: u64) -> Vec<Value> {
    let mut items = Vec::new();
    if let Some(thought) = &said.reasoning {
        let mut item = json!({
            "id": format!("rs_{serial:06}"), "type": "reasoning",
            "summary": [{"type": "summary_text", "text": thought}],
        });
        if ask.encrypted {
            item["encrypted_content"] = json!(format!("gAAAA{serial:06}"));
        }
        items.push(item);
    }
    for (n, call) in said.calls.iter().enumerate() {
        let call_id = format!("call_{serial:06}_{n}");
        let mut item = match ask.own.custom.contains(&call.name) {
            true => json!({
                "id": format!("ctc_{serial:06}_{n}"), "type": "custom_tool_call",
                "status": "completed", "call_id": call_id, "name": call.name,
                "input": call.arguments.as_str().unwrap_or_default(),
            }),
            false => json!({
                "id": format!("fc_{serial:06}_{n}"), "type": "function_call",
                "status": "completed", "call_id": call_id, "name": call.name,
                "arguments": call.arguments.to_string(),
            }),
        };
        if let Some((_, space)) = ask.own.spaces.iter().find(|(name, _)| *name == call.name) {
            item["namespace"] = json!(space);
        }
        items.push(item);
    }
    if let Some(text) = &said.text {
        let mut annotations = Vec::new();
        if said.cites {
            annotations.push(json!({
                "type": "url_citation", "start_index": 0, "end_index": text.chars().count(),
                "url": SOURCE_URL, "title": SOURCE_TITLE,
            }));
        }
        items.push(json!({
            "id": format!("msg_{serial:06}"), "type": "message", "status": "completed",
            "role": "assistant",
            "content": [{
                "type": "output_text", "text": text, "annotations": annotations, "logprobs": [],
            }],
        }));
    }
    if said.picture {
        items.push(json!({
            "id": format!("ig_{serial:06}"), "type": PICTURE_CALL, "status": "completed",
            "background": "opaque", "output_format": "png", "quality": "low",
            "result": PICTURE, "revised_prompt": "A pixel.", "size": "1024x1024",
        }));
    }
    items
}

/// The answer as a stream.
pub(super) fn events(said: &Said, ask: &Ask, reply: &Reply, serial: u64) -> Vec<Bytes> {
    let mut stream = Stream::default();
    let begun = begun(ask, serial);
    if ask.background {
        stream.push("response.queued", json!({"response": queued(ask, serial)}));
    }
    stream.push("response.created", json!({"response": begun}));
    stream.push("response.in_progress", json!({"response": begun}));
    for (index, item) in output(said, ask, serial).iter().enumerate() {
        stream.item(index, item);
    }
    if reply.error_event {
        stream.push(
            "error",
            json!({"code": "server_error", "message": "The server had an error", "param": null}),
        );
        return stream.frames;
    }
    let whole = whole(said, ask, serial);
    let kind = format!("response.{}", whole["status"].as_str().unwrap_or_default());
    stream.push(&kind, json!({"response": whole}));
    stream.frames
}

#[derive(Default)]
struct Stream {
    frames: Vec<Bytes>,
}

impl Stream {
    fn push(&mut self, kind: &str, mut data: Value) {
        data["type"] = json!(kind);
        data["sequence_number"] = json!(self.frames.len());
        self.frames.push(format!("event: {kind}\ndata: {data}\n\n").into());
    }

    /// The events of an item, from its beginning to its end.
    fn item(&mut self, index: usize, item: &Value) {
        if item["type"] == PICTURE_CALL {
            return self.picture(index, item);
        }
        let id = &item["id"];
        let mut first = item.clone();
        first["status"] = json!("in_progress");
        let (member, kind) = match item["type"].as_str().unwrap_or_default() {
            "message" => ("content", "output_text"),
            "reasoning" => ("summary", "reasoning_summary_text"),
            "custom_tool_call" => ("input", "custom_tool_call_input"),
            _ => ("arguments", "function_call_arguments"),
        };
        first[member] = if item[member].is_array() { json!([]) } else { json!("") };
        self.push("response.output_item.added", json!({"output_index": index, "item": first}));
        let (text, part, at) = match &item[member] {
            Value::Array(parts) => {
                let part = parts.first().cloned().unwrap_or_default();
                let place = if member == "content" { "content_index" } else { "summary_index" };
                (part["text"].as_str().unwrap_or_default().to_owned(), Some(part), Some(place))
            }
            text => (text.as_str().unwrap_or_default().to_owned(), None, None),
        };
        let placed = |mut data: Value| {
            data["item_id"] = id.clone();
            data["output_index"] = json!(index);
            if let Some(at) = at {
                data[at] = json!(0);
            }
            data
        };
        let parts = if member == "content" { "content_part" } else { "reasoning_summary_part" };
        if let Some(mut part) = part.clone() {
            part["text"] = json!("");
            if member == "content" {
                part["annotations"] = json!([]);
            }
            self.push(&format!("response.{parts}.added"), placed(json!({"part": part})));
        }
        for piece in pieces(&text) {
            let mut data = json!({"delta": piece});
            if member == "content" {
                data["logprobs"] = json!([]);
            }
            self.push(&format!("response.{kind}.delta"), placed(data));
        }
        let cited = part.as_ref().and_then(|part| part["annotations"].as_array());
        for (n, annotation) in cited.into_iter().flatten().enumerate() {
            let data = placed(json!({"annotation_index": n, "annotation": annotation}));
            self.push("response.output_text.annotation.added", data);
        }
        let name = if at.is_some() { "text" } else { member };
        let mut data = json!({name: text});
        if member == "content" {
            data["logprobs"] = json!([]);
        }
        if member == "arguments" {
            data["name"] = item["name"].clone();
        }
        self.push(&format!("response.{kind}.done"), placed(data));
        if let Some(part) = part {
            self.push(&format!("response.{parts}.done"), placed(json!({"part": part})));
        }
        self.push("response.output_item.done", json!({"output_index": index, "item": item}));
    }

    /// <https://platform.openai.com/docs/api-reference/responses-streaming/response/image_generation_call>
    fn picture(&mut self, index: usize, item: &Value) {
        let id = &item["id"];
        let first =
            json!({"id": id, "type": PICTURE_CALL, "status": "in_progress", "result": null});
        self.push("response.output_item.added", json!({"output_index": index, "item": first}));
        for step in ["in_progress", "generating", "completed"] {
            let data = json!({"output_index": index, "item_id": id});
            self.push(&format!("response.{PICTURE_CALL}.{step}"), data);
        }
        self.push("response.output_item.done", json!({"output_index": index, "item": item}));
    }
}
