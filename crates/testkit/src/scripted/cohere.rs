//! Chat and embeddings as Cohere's v2 API checks and spells them.
//! <https://docs.cohere.com/reference/chat>, <https://docs.cohere.com/reference/embed>

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    embeddings::{base64, vector},
    openai::{fragments, set},
    refuse::{Fields, Refuse},
    reply::{Reply, UsageSpec},
    said::{Finish, Prompt, Said, count_words, pieces},
};

/// A checked request.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) model: String,
    pub(super) prompt: Prompt,
    pub(super) stream: bool,
    /// The first document, which the answer cites.
    document: Option<Value>,
}

const CHAT: &[&str] = &[
    "citation_options",
    "documents",
    "frequency_penalty",
    "k",
    "logprobs",
    "max_tokens",
    "messages",
    "model",
    "p",
    "presence_penalty",
    "priority",
    "response_format",
    "safety_mode",
    "seed",
    "stop_sequences",
    "stream",
    "strict_tools",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
];

/// Checks a request as the API does: a field that it does not know is refused.
pub(super) fn check(body: &Value) -> Result<Ask, Refuse> {
    let top = Fields::new(body, "")?;
    only(&top, CHAT)?;
    let model = top.text("model")?.to_owned();
    let mut prompt = Prompt::default();
    messages(&top, &mut prompt)?;
    tools(&top, &mut prompt)?;
    top.number("temperature", 0.0, 1.0)?;
    top.number("p", 0.01, 0.99)?;
    top.number("frequency_penalty", 0.0, 1.0)?;
    top.number("presence_penalty", 0.0, 1.0)?;
    top.count("k", 0)?;
    top.count("seed", 0)?;
    top.count("priority", 0)?;
    top.flag("logprobs")?;
    top.one_of("safety_mode", &["CONTEXTUAL", "STRICT", "OFF"])?;
    prompt.max_tokens = top.count("max_tokens", 1)?;
    let stops = top.list("stop_sequences")?;
    if stops.len() > 5 {
        return Err(invalid("stop_sequences: at most 5 are allowed"));
    }
    prompt.stop = stops.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    if let Some(format) = top.object("response_format")? {
        only(&format, &["type", "json_schema"])?;
        format.required("type")?;
        format.one_of("type", &["text", "json_object"])?;
        format.object("json_schema")?;
    }
    if let Some(thinking) = top.object("thinking")? {
        only(&thinking, &["type", "token_budget"])?;
        thinking.required("type")?;
        let kind = thinking.one_of("type", &["enabled", "disabled"])?;
        thinking.count("token_budget", 1)?;
        prompt.thinking = kind == Some("enabled");
    }
    if let Some(options) = top.object("citation_options")? {
        only(&options, &["mode"])?;
        options.one_of("mode", &["ENABLED", "DISABLED", "FAST", "ACCURATE", "OFF"])?;
    }
    let document = top.list("documents")?.first().cloned();
    Ok(Ask { model, prompt, stream: top.flag("stream")?, document })
}

fn invalid(message: impl Into<String>) -> Refuse {
    Refuse::new(400, message)
}

fn only(fields: &Fields<'_>, known: &[&str]) -> Result<(), Refuse> {
    match fields.of.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => {
            let path = fields.path(name);
            Err(Refuse::new(422, format!("unknown field: parameter '{path}' is not a valid field")))
        }
        None => Ok(()),
    }
}

fn messages(top: &Fields<'_>, prompt: &mut Prompt) -> Result<(), Refuse> {
    top.required("messages")?;
    let list = top.list("messages")?;
    if list.is_empty() {
        return Err(invalid("messages must contain at least one message"));
    }
    let mut open_calls: Vec<String> = Vec::new();
    for (i, one) in list.iter().enumerate() {
        let message = Fields::new(one, &format!("messages[{i}]"))?;
        message.required("role")?;
        let roles = ["system", "user", "assistant", "tool"];
        let role = message.one_of("role", &roles)?.unwrap_or_default();
        let text = content(&message, role, prompt)?;
        prompt.words += count_words(&text);
        if role != "system" {
            prompt.user_spoke_last = role == "user";
        }
        match role {
            "user" => {
                only(&message, &["role", "content"])?;
                prompt.results.clear();
                prompt.text = text;
            }
            "assistant" => {
                only(&message, &["role", "content", "tool_calls", "tool_plan", "citations"])?;
                message.maybe_text("tool_plan")?;
                prompt.results.clear();
                open_calls = calls(&message)?;
                if open_calls.is_empty() && text.is_empty() {
                    return Err(invalid("an assistant message needs content or tool calls"));
                }
            }
            "tool" => {
                only(&message, &["role", "content", "tool_call_id"])?;
                let id = message.text("tool_call_id")?;
                let Some(at) = open_calls.iter().position(|open| open == id) else {
                    return Err(invalid(format!("tool_call_id '{id}' was not called before")));
                };
                open_calls.remove(at);
                prompt.results.push(text);
            }
            _ => only(&message, &["role", "content"])?,
        }
    }
    Ok(())
}

fn calls(message: &Fields<'_>) -> Result<Vec<String>, Refuse> {
    let mut ids = Vec::new();
    for (i, call) in message.list("tool_calls")?.iter().enumerate() {
        let call = Fields::new(call, &format!("{}[{i}]", message.path("tool_calls")))?;
        only(&call, &["id", "type", "function"])?;
        ids.push(call.text("id")?.to_owned());
        call.one_of("type", &["function"])?;
        let function = Fields::new(call.required("function")?, &call.path("function"))?;
        function.text("name")?;
        let arguments = function.text("arguments")?;
        if serde_json::from_str::<Value>(arguments).is_err() {
            return Err(invalid(format!("{} is not JSON", function.path("arguments"))));
        }
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
        let kinds: &[&str] = match role {
            "user" => &["text", "image_url"],
            "assistant" => &["text", "thinking"],
            "tool" => &["text", "document"],
            _ => &["text"],
        };
        match part.one_of("type", kinds)?.unwrap_or_default() {
            "text" => text.push(part.text("text")?.to_owned()),
            "thinking" => text.push(part.text("thinking")?.to_owned()),
            "image_url" => {
                let image = Fields::new(part.required("image_url")?, &part.path("image_url"))?;
                only(&image, &["url", "detail"])?;
                image.text("url")?;
                image.one_of("detail", &["auto", "low", "high"])?;
                prompt.images += 1;
            }
            _ => text.push(part.required("document")?.to_string()),
        }
    }
    Ok(text.join(" "))
}

fn tools(top: &Fields<'_>, prompt: &mut Prompt) -> Result<(), Refuse> {
    for (i, tool) in top.list("tools")?.iter().enumerate() {
        let tool = Fields::new(tool, &format!("tools[{i}]"))?;
        only(&tool, &["type", "function"])?;
        tool.one_of("type", &["function"])?;
        let function = Fields::new(tool.required("function")?, &tool.path("function"))?;
        only(&function, &["name", "description", "parameters"])?;
        function.maybe_text("description")?;
        let schema = function.required("parameters")?.clone();
        prompt.tools.push((function.text("name")?.to_owned(), schema));
    }
    top.flag("strict_tools")?;
    match top.one_of("tool_choice", &["REQUIRED", "NONE"])? {
        Some(_) if prompt.tools.is_empty() => {
            Err(invalid("tool_choice is only allowed where tools are given"))
        }
        choice => {
            prompt.tools_off = choice == Some("NONE");
            Ok(())
        }
    }
}

fn finish(said: &Said) -> &'static str {
    match said.finish {
        Finish::Stop => "COMPLETE",
        Finish::StopSequence(_) => "STOP_SEQUENCE",
        Finish::Length => "MAX_TOKENS",
        Finish::Calls => "TOOL_CALL",
    }
}

fn usage(said: &Said, reply: &Reply) -> Option<Value> {
    match &reply.usage {
        UsageSpec::Missing => None,
        UsageSpec::Exactly(value) => Some(value.clone()),
        UsageSpec::Counted => Some(json!({
            "billed_units": {"input_tokens": said.input, "output_tokens": said.output},
            "tokens": {"input_tokens": said.input + 60, "output_tokens": said.output},
            "cached_tokens": said.cached,
        })),
    }
}

/// The id of an answer.
fn answer_id(serial: u64) -> String {
    format!("00000000-0000-4000-8000-{serial:012}")
}

fn call_id(name: &str, serial: u64, index: usize) -> String {
    format!("{name}_{serial:06}{index}")
}

/// A plan goes before calls.
fn plan(said: &Said) -> Option<String> {
    let first = said.calls.first()?;
    Some(format!("I will call {}.", first.name))
}

/// The first word is cited, if there is a document to cite.
fn citation(said: &Said, ask: &Ask) -> Option<Value> {
    let document = ask.document.as_ref()?;
    let text = said.text.as_deref()?.split_whitespace().next()?;
    let mut shown = document.get("data").cloned().unwrap_or_else(|| json!({"text": document}));
    let id = document.get("id").cloned().unwrap_or_else(|| json!("doc:0"));
    set(&mut shown, "id", id.clone());
    Some(json!({
        "start": 0, "end": text.chars().count(), "text": text, "type": "TEXT_CONTENT",
        "sources": [{"type": "document", "id": id, "document": shown}],
    }))
}

/// The answer as one JSON document.
pub(super) fn whole(said: &Said, ask: &Ask, reply: &Reply, serial: u64) -> Value {
    let mut message = json!({"role": "assistant"});
    let mut content = Vec::new();
    if let Some(thinking) = &said.reasoning {
        content.push(json!({"type": "thinking", "thinking": thinking}));
    }
    if let Some(text) = &said.text {
        content.push(json!({"type": "text", "text": text}));
    }
    if !content.is_empty() {
        set(&mut message, "content", json!(content));
    }
    if let Some(plan) = plan(said) {
        set(&mut message, "tool_plan", json!(plan));
        let calls: Vec<Value> = said
            .calls
            .iter()
            .enumerate()
            .map(|(i, call)| {
                json!({
                    "id": call_id(&call.name, serial, i), "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments.to_string()},
                })
            })
            .collect();
        set(&mut message, "tool_calls", json!(calls));
    }
    if let Some(citation) = citation(said, ask) {
        set(&mut message, "citations", json!([citation]));
    }
    let mut body = json!({
        "id": answer_id(serial), "message": message, "finish_reason": finish(said),
    });
    if let Some(usage) = usage(said, reply) {
        set(&mut body, "usage", usage);
    }
    body
}

/// The answer as SSE events.
pub(super) fn events(said: &Said, ask: &Ask, reply: &Reply, serial: u64) -> Vec<Bytes> {
    let mut out = vec![event(&json!({
        "type": "message-start", "id": answer_id(serial),
        "delta": {"message": {
            "role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": [],
        }},
    }))];
    let mut index = 0;
    let mut content = |kind: &str, text: &str, out: &mut Vec<Bytes>| {
        let delta = |event_type: &str, content: Value| {
            event(&json!({
                "type": event_type, "index": index, "delta": {"message": {"content": content}},
            }))
        };
        let mut opening = json!({"type": kind});
        set(&mut opening, kind, json!(""));
        out.push(delta("content-start", opening));
        for piece in pieces(text) {
            let mut content = json!({});
            set(&mut content, kind, json!(piece));
            out.push(delta("content-delta", content));
        }
        if kind == "text"
            && let Some(citation) = citation(said, ask)
        {
            let start = json!({
                "type": "citation-start", "index": 0, "delta": {"message": {"citations": citation}},
            });
            out.push(event(&start));
            out.push(event(&json!({"type": "citation-end", "index": 0})));
        }
        out.push(event(&json!({"type": "content-end", "index": index})));
        index += 1;
    };
    if let Some(thinking) = &said.reasoning {
        content("thinking", thinking, &mut out);
    }
    if let Some(text) = &said.text {
        content("text", text, &mut out);
    }
    calls_events(said, serial, &mut out);
    if reply.error_event {
        out.truncate(out.len() / 2);
        out.push(event(&json!({
            "type": "message-end",
            "delta": {"finish_reason": "ERROR", "error": "the model failed, as scripted"},
        })));
        return out;
    }
    let mut end = json!({"finish_reason": finish(said)});
    if let Some(usage) = usage(said, reply) {
        set(&mut end, "usage", usage);
    }
    out.push(event(&json!({"type": "message-end", "delta": end})));
    out.push(Bytes::from_static(b"data: [DONE]\n\n"));
    out
}

fn calls_events(said: &Said, serial: u64, out: &mut Vec<Bytes>) {
    for piece in pieces(&plan(said).unwrap_or_default()) {
        let delta = json!({"message": {"tool_plan": piece}});
        out.push(event(&json!({"type": "tool-plan-delta", "delta": delta})));
    }
    for (i, call) in said.calls.iter().enumerate() {
        let tool = |event_type: &str, call: Value| {
            event(&json!({
                "type": event_type, "index": i, "delta": {"message": {"tool_calls": call}},
            }))
        };
        out.push(tool(
            "tool-call-start",
            json!({
                "id": call_id(&call.name, serial, i), "type": "function",
                "function": {"name": call.name, "arguments": ""},
            }),
        ));
        for fragment in fragments(&call.arguments.to_string()) {
            out.push(tool("tool-call-delta", json!({"function": {"arguments": fragment}})));
        }
        out.push(event(&json!({"type": "tool-call-end", "index": i})));
    }
}

fn event(value: &Value) -> Bytes {
    let kind = value.get("type").and_then(Value::as_str).unwrap_or_default();
    Bytes::from(format!("event: {kind}\ndata: {value}\n\n"))
}

/// An error in Cohere's envelope.
pub(super) fn error(refuse: &Refuse, serial: u64) -> Value {
    json!({"id": answer_id(serial), "message": refuse.message})
}

/// Checks a request for embeddings and gives the model and the answer.
pub(super) fn embed(body: &Value, serial: u64) -> Result<(String, Value), Refuse> {
    let top = Fields::new(body, "")?;
    let known = [
        "model",
        "input_type",
        "texts",
        "embedding_types",
        "output_dimension",
        "truncate",
        "max_tokens",
    ];
    only(&top, &known)?;
    let model = top.text("model")?.to_owned();
    top.required("input_type")?;
    let kinds = ["search_document", "search_query", "classification", "clustering", "image"];
    top.one_of("input_type", &kinds)?;
    top.one_of("truncate", &["NONE", "START", "END"])?;
    let dimensions = top.count("output_dimension", 1)?.unwrap_or(8);
    let texts = top.list("texts")?;
    if texts.is_empty() || texts.len() > 96 {
        return Err(invalid("texts: expected 1 to 96 texts"));
    }
    let mut inputs = Vec::new();
    for text in texts {
        inputs.push(text.as_str().ok_or_else(|| Refuse::wrong_type("texts", "a string", text))?);
    }
    let asked = top.list("embedding_types")?;
    let asked: Vec<&str> = asked.iter().filter_map(Value::as_str).collect();
    let mut embeddings = json!({});
    for kind in if asked.is_empty() { vec!["float"] } else { asked } {
        let vectors = inputs.iter().map(|text| vector(text, dimensions));
        let list: Vec<Value> = match kind {
            "float" => vectors.map(|vector| json!(vector)).collect(),
            "base64" => vectors.map(|vector| json!(base64(&vector))).collect(),
            other => return Err(invalid(format!("embedding_types: unknown type '{other}'"))),
        };
        set(&mut embeddings, kind, json!(list));
    }
    let tokens: u64 = inputs.iter().map(|text| count_words(text).max(1)).sum();
    let answer = json!({
        "id": answer_id(serial),
        "embeddings": embeddings,
        "texts": inputs,
        "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": tokens}},
        "response_type": "embeddings_by_type",
    });
    Ok((model, answer))
}
