//! Chat completions as OpenAI's API checks and spells them.
//! <https://platform.openai.com/docs/api-reference/chat>

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    refuse::{Fields, Refuse},
    reply::{Reply, UsageSpec},
    said::{Finish, PICTURE, Prompt, SOURCE_TITLE, SOURCE_URL, Said, count_words, pieces},
};

/// A checked request.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) model: String,
    pub(super) prompt: Prompt,
    pub(super) stream: bool,
    pub(super) include_usage: bool,
    pub(super) choices: u64,
}

/// Checks a request as the API does. Unknown fields pass, as at most compatible providers.
pub(super) fn check(body: &Value) -> Result<Ask, Refuse> {
    let top = Fields::new(body, "")?;
    let model = top.text("model")?.to_owned();
    let mut prompt = Prompt::default();
    messages(&top, &mut prompt)?;
    tools(&top, &mut prompt)?;
    let stream = top.flag("stream")?;
    let options = top.object("stream_options")?;
    if options.is_some() && !stream {
        let message = "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
        return Err(Refuse::bad("stream_options", message, "invalid_value"));
    }
    let include_usage = match options {
        Some(options) => options.flag("include_usage")?,
        None => false,
    };
    top.number("temperature", 0.0, 2.0)?;
    top.number("top_p", 0.0, 1.0)?;
    top.number("frequency_penalty", -2.0, 2.0)?;
    top.number("presence_penalty", -2.0, 2.0)?;
    top.flag("logprobs")?;
    top.count("top_logprobs", 0)?;
    user(&top)?;
    top.object("logit_bias")?;
    top.object("response_format")?;
    top.one_of("reasoning_effort", &["none", "minimal", "low", "medium", "high", "xhigh"])?;
    let old = top.count("max_tokens", 1)?;
    let new = top.count("max_completion_tokens", 1)?;
    if old.is_some() && new.is_some() {
        let message =
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.";
        return Err(Refuse::bad("max_tokens", message, "invalid_parameter_combination"));
    }
    prompt.max_tokens = old.or(new);
    prompt.stop = stop(&top)?;
    let choices = top.count("n", 1)?.unwrap_or(1);
    Ok(Ask { model, prompt, stream, include_usage, choices })
}

/// The user's name, which is no longer than this.
pub(super) fn user(top: &Fields<'_>) -> Result<(), Refuse> {
    let length = top.maybe_text("user")?.map_or(0, |user| user.chars().count());
    if length <= 64 {
        return Ok(());
    }
    let message = format!(
        "Invalid 'user': string too long. Expected a string with maximum length 64, but got a string with length {length} instead."
    );
    Err(Refuse::bad("user", message, "string_above_max_length"))
}

fn stop(top: &Fields<'_>) -> Result<Vec<String>, Refuse> {
    let list = match top.get("stop") {
        None => return Ok(Vec::new()),
        Some(Value::String(one)) => return Ok(vec![one.clone()]),
        Some(Value::Array(list)) if list.len() <= 4 => list,
        Some(Value::Array(_)) => {
            let message =
                "Invalid 'stop': array too long. Expected an array with maximum length 4.";
            return Err(Refuse::bad("stop", message, "array_above_max_length"));
        }
        Some(other) => return Err(Refuse::wrong_type("stop", "a string or an array", other)),
    };
    list.iter()
        .enumerate()
        .map(|(i, one)| {
            let text = one.as_str().map(str::to_owned);
            text.ok_or_else(|| Refuse::wrong_type(&format!("stop[{i}]"), "a string", one))
        })
        .collect()
}

fn messages(top: &Fields<'_>, prompt: &mut Prompt) -> Result<(), Refuse> {
    top.required("messages")?;
    let list = top.list("messages")?;
    if list.is_empty() {
        let message = "Invalid 'messages': empty array. Expected an array with minimum length 1.";
        return Err(Refuse::bad("messages", message, "empty_array"));
    }
    let mut open_calls: Vec<String> = Vec::new();
    for (i, one) in list.iter().enumerate() {
        let message = Fields::new(one, &format!("messages[{i}]"))?;
        message.required("role")?;
        let roles = ["system", "developer", "user", "assistant", "tool", "function"];
        let role = message.one_of("role", &roles)?.unwrap_or_default();
        if role != "tool" && !open_calls.is_empty() {
            let message = format!(
                "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. \
                 The following tool_call_ids did not have response messages: {}",
                open_calls.join(", ")
            );
            return Err(Refuse::bad(&format!("messages[{i}].role"), message, "invalid_value"));
        }
        let text = content(&message, role, prompt)?;
        prompt.words += count_words(&text);
        if !matches!(role, "system" | "developer") {
            prompt.user_spoke_last = role == "user";
        }
        match role {
            "user" => {
                prompt.results.clear();
                prompt.text = text;
            }
            "assistant" => {
                prompt.results.clear();
                open_calls = assistant_calls(&message)?;
            }
            "tool" => {
                let id = message.text("tool_call_id")?;
                let Some(at) = open_calls.iter().position(|open| open == id) else {
                    let message = "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.";
                    return Err(Refuse::bad(
                        &format!("messages[{i}].role"),
                        message,
                        "invalid_value",
                    ));
                };
                open_calls.remove(at);
                prompt.results.push(text);
            }
            _ => {}
        }
    }
    Ok(())
}

fn assistant_calls(message: &Fields<'_>) -> Result<Vec<String>, Refuse> {
    let calls = message.list("tool_calls")?;
    if calls.is_empty() && message.get("content").is_none() && message.get("refusal").is_none() {
        let at = message.path("content");
        let text = format!("Invalid value for '{at}': expected a string, got null.");
        return Err(Refuse::bad(&at, text, "invalid_type"));
    }
    let mut ids = Vec::new();
    for (i, call) in calls.iter().enumerate() {
        let call = Fields::new(call, &format!("{}[{i}]", message.path("tool_calls")))?;
        ids.push(call.text("id")?.to_owned());
        call.required("type")?;
        call.one_of("type", &["function", "custom"])?;
        let function = Fields::new(call.required("function")?, &call.path("function"))?;
        function.text("name")?;
        function.text("arguments")?;
    }
    Ok(ids)
}

fn content(message: &Fields<'_>, role: &str, prompt: &mut Prompt) -> Result<String, Refuse> {
    let path = message.path("content");
    let parts = match message.get("content") {
        None if role == "assistant" => return Ok(String::new()),
        None => return Err(Refuse::missing(&path)),
        Some(Value::String(text)) => return Ok(text.clone()),
        Some(Value::Array(parts)) => parts,
        Some(other) => return Err(Refuse::wrong_type(&path, "a string or an array", other)),
    };
    let mut text = Vec::new();
    for (i, part) in parts.iter().enumerate() {
        let part = Fields::new(part, &format!("{path}[{i}]"))?;
        part.required("type")?;
        let kinds = ["text", "image_url", "input_audio", "file", "refusal"];
        match part.one_of("type", &kinds)?.unwrap_or_default() {
            "text" => text.push(part.text("text")?.to_owned()),
            "image_url" if role == "user" => {
                let image = Fields::new(part.required("image_url")?, &part.path("image_url"))?;
                let url = image.text("url")?;
                if !url.starts_with("http") && !url.starts_with("data:image/") {
                    let at = image.path("url");
                    return Err(Refuse::bad(
                        &at,
                        format!("Invalid '{at}': not an image URL."),
                        "invalid_image_url",
                    ));
                }
                image.one_of("detail", &["auto", "low", "high"])?;
                prompt.images += 1;
            }
            "image_url" | "input_audio" | "file" if role != "user" => {
                let at = part.path("type");
                let message =
                    format!("Invalid '{at}': only messages with role 'user' can hold this type.");
                return Err(Refuse::bad(&at, message, "invalid_value"));
            }
            _ => {}
        }
    }
    Ok(text.join(" "))
}

fn tools(top: &Fields<'_>, prompt: &mut Prompt) -> Result<(), Refuse> {
    for (i, tool) in top.list("tools")?.iter().enumerate() {
        let tool = Fields::new(tool, &format!("tools[{i}]"))?;
        tool.required("type")?;
        tool.one_of("type", &["function"])?;
        let function = Fields::new(tool.required("function")?, &tool.path("function"))?;
        let name = function.text("name")?;
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
            let at = function.path("name");
            let message =
                format!("Invalid '{at}': string does not match pattern '^[a-zA-Z0-9_-]{{1,64}}$'.");
            return Err(Refuse::bad(&at, message, "invalid_value"));
        }
        function.object("parameters")?;
        let schema = function.get("parameters").cloned().unwrap_or_else(|| json!({}));
        prompt.tools.push((name.to_owned(), schema));
    }
    top.flag("parallel_tool_calls")?;
    let Some(choice) = top.get("tool_choice") else { return Ok(()) };
    if prompt.tools.is_empty() {
        let message = "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.";
        return Err(Refuse::bad("tool_choice", message, "invalid_value"));
    }
    if choice.is_string() {
        let word = top.one_of("tool_choice", &["none", "auto", "required"])?;
        prompt.tools_off = word == Some("none");
        return Ok(());
    }
    let choice = Fields::new(choice, "tool_choice")?;
    let function = Fields::new(choice.required("function")?, "tool_choice.function")?;
    let name = function.text("name")?;
    if !prompt.tools.iter().any(|(tool, _)| tool == name) {
        let message = format!("Tool choice '{name}' not found in 'tools' parameter.");
        return Err(Refuse::bad("tool_choice", message, "invalid_value"));
    }
    prompt.forced = Some(name.to_owned());
    Ok(())
}

fn finish(said: &Said) -> &'static str {
    match said.finish {
        Finish::Stop | Finish::StopSequence(_) => "stop",
        Finish::Length => "length",
        Finish::Calls => "tool_calls",
    }
}

/// The id of a tool call.
fn call_id(serial: u64, index: usize) -> String {
    format!("call_{serial:06}_{index}")
}

fn usage(said: &Said, ask: &Ask, reply: &Reply) -> Option<Value> {
    match &reply.usage {
        UsageSpec::Missing => None,
        UsageSpec::Exactly(value) => Some(value.clone()),
        UsageSpec::Counted => {
            let output = said.output * ask.choices;
            Some(json!({
                "prompt_tokens": said.input,
                "completion_tokens": output,
                "total_tokens": said.input + output,
                "prompt_tokens_details": {"cached_tokens": said.cached, "audio_tokens": 0},
                "completion_tokens_details": {
                    "reasoning_tokens": said.reasoning_tokens * ask.choices,
                    "audio_tokens": 0,
                    "accepted_prediction_tokens": 0,
                    "rejected_prediction_tokens": 0,
                },
            }))
        }
    }
}

/// The answer as one JSON document.
pub(super) fn whole(said: &Said, ask: &Ask, reply: &Reply, serial: u64) -> Value {
    let mut message = json!({"role": "assistant", "content": said.text, "refusal": null});
    if let Some(reasoning) = &said.reasoning {
        set(&mut message, "reasoning_content", json!(reasoning));
    }
    if !said.calls.is_empty() {
        let calls: Vec<Value> = said
            .calls
            .iter()
            .enumerate()
            .map(|(i, call)| {
                json!({
                    "id": call_id(serial, i),
                    "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments.to_string()},
                })
            })
            .collect();
        set(&mut message, "tool_calls", json!(calls));
    }
    if said.picture {
        set(&mut message, "images", images());
    }
    if said.cites {
        set(&mut message, "annotations", annotations(said));
    }
    let choices: Vec<Value> = (0..ask.choices)
        .map(|index| {
            json!({"index": index, "message": message, "logprobs": null, "finish_reason": finish(said)})
        })
        .collect();
    let mut body = json!({
        "id": format!("chatcmpl-{serial:06}"),
        "object": "chat.completion",
        "created": super::CREATED_S,
        "model": ask.model,
        "choices": choices,
    });
    if let Some(usage) = usage(said, ask, reply) {
        set(&mut body, "usage", usage);
    }
    set(&mut body, "service_tier", json!("default"));
    set(&mut body, "system_fingerprint", json!("fp_scripted"));
    body
}

/// The answer as SSE events, `data: [DONE]` last.
pub(super) fn events(said: &Said, ask: &Ask, reply: &Reply, serial: u64) -> Vec<Bytes> {
    let chunk = |choices: Value, usage: Option<Value>| {
        let mut chunk = json!({
            "id": format!("chatcmpl-{serial:06}"),
            "object": "chat.completion.chunk",
            "created": super::CREATED_S,
            "model": ask.model,
            "service_tier": "default",
            "system_fingerprint": "fp_scripted",
            "choices": choices,
        });
        if ask.include_usage {
            set(&mut chunk, "usage", usage.unwrap_or(Value::Null));
        }
        event(&chunk)
    };
    let mut out = Vec::new();
    for index in 0..ask.choices {
        for (delta, reason) in deltas(said, serial) {
            let choice = json!([{
                "index": index, "delta": delta, "logprobs": null, "finish_reason": reason,
            }]);
            out.push(chunk(choice, None));
        }
    }
    if reply.error_event {
        out.truncate(out.len() / 2);
        out.push(event(&json!({"error": {
            "message": "The server had an error while processing your request. Sorry about that!",
            "type": "server_error", "param": null, "code": null,
        }})));
        return out;
    }
    if ask.include_usage
        && let Some(usage) = usage(said, ask, reply)
    {
        out.push(chunk(json!([]), Some(usage)));
    }
    out.push(Bytes::from_static(b"data: [DONE]\n\n"));
    out
}

fn deltas(said: &Said, serial: u64) -> Vec<(Value, Option<&'static str>)> {
    let opening = if said.text.is_some() { json!("") } else { Value::Null };
    let mut out = vec![(json!({"role": "assistant", "content": opening, "refusal": null}), None)];
    for piece in pieces(said.reasoning.as_deref().unwrap_or_default()) {
        out.push((json!({"reasoning_content": piece}), None));
    }
    for piece in pieces(said.text.as_deref().unwrap_or_default()) {
        out.push((json!({"content": piece}), None));
    }
    if said.picture {
        out.push((json!({"content": "", "images": images()}), None));
    }
    if said.cites {
        out.push((json!({"annotations": annotations(said)}), None));
    }
    for (i, call) in said.calls.iter().enumerate() {
        out.push((
            json!({"tool_calls": [{
                "index": i, "id": call_id(serial, i), "type": "function",
                "function": {"name": call.name, "arguments": ""},
            }]}),
            None,
        ));
        for fragment in fragments(&call.arguments.to_string()) {
            out.push((
                json!({"tool_calls": [{"index": i, "function": {"arguments": fragment}}]}),
                None,
            ));
        }
    }
    out.push((json!({}), Some(finish(said))));
    out
}

/// As OpenRouter and others that speak OpenAI's chat have pictures in answers.
/// <https://openrouter.ai/docs/guides/overview/multimodal/image-generation>
fn images() -> Value {
    let url = format!("data:image/png;base64,{PICTURE}");
    json!([{"type": "image_url", "image_url": {"url": url}, "index": 0}])
}

/// <https://platform.openai.com/docs/guides/tools-web-search?api-mode=chat>
fn annotations(said: &Said) -> Value {
    let end = said.text.as_deref().unwrap_or_default().chars().count();
    json!([{"type": "url_citation", "url_citation": {
        "start_index": 0, "end_index": end, "url": SOURCE_URL, "title": SOURCE_TITLE,
    }}])
}

/// A string in pieces of seven characters, so that JSON is cut where it hurts.
pub(super) fn fragments(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    chars.chunks(7).map(|part| part.iter().collect()).collect()
}

fn event(value: &Value) -> Bytes {
    Bytes::from(format!("data: {value}\n\n"))
}

pub(super) fn set(object: &mut Value, name: &str, value: Value) {
    if let Some(map) = object.as_object_mut() {
        map.insert(name.to_owned(), value);
    }
}

/// An error in OpenAI's envelope.
pub(super) fn error(refuse: &Refuse) -> Value {
    let kind = match refuse.status {
        429 => "requests",
        500.. => "server_error",
        _ => "invalid_request_error",
    };
    let code = refuse.code.or(match refuse.status {
        401 => Some("invalid_api_key"),
        404 => Some("model_not_found"),
        429 => Some("rate_limit_exceeded"),
        _ => None,
    });
    let kind = if code == Some("insufficient_quota") { "insufficient_quota" } else { kind };
    json!({"error": {
        "message": refuse.message, "type": kind, "param": refuse.param, "code": code,
    }})
}
