//! Chat and embeddings as Ollama checks and spells them.
//! <https://docs.ollama.com/api/chat>, <https://docs.ollama.com/api/embed>

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    embeddings::vector,
    openai::set,
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
}

const CHAT: &[&str] = &[
    "format",
    "keep_alive",
    "logprobs",
    "messages",
    "model",
    "options",
    "shift",
    "stream",
    "think",
    "tools",
    "top_logprobs",
    "truncate",
];
const NUMBERS: &[&str] = &[
    "frequency_penalty",
    "min_p",
    "num_ctx",
    "num_keep",
    "num_predict",
    "presence_penalty",
    "repeat_last_n",
    "repeat_penalty",
    "seed",
    "temperature",
    "top_k",
    "top_p",
    "typical_p",
];

/// Checks a request: types as Ollama does, and names as well, which it would pass over.
pub(super) fn check(body: &Value) -> Result<Ask, Refuse> {
    let top = Fields::new(body, "")?;
    only(&top, CHAT)?;
    let model = top.text("model")?.to_owned();
    let mut prompt = Prompt::default();
    messages(&top, &mut prompt)?;
    for (i, tool) in top.list("tools")?.iter().enumerate() {
        let tool = Fields::new(tool, &format!("tools[{i}]"))?;
        only(&tool, &["type", "function"])?;
        let function = Fields::new(tool.required("function")?, &tool.path("function"))?;
        only(&function, &["name", "description", "parameters"])?;
        function.object("parameters")?;
        let schema = function.get("parameters").cloned().unwrap_or_else(|| json!({}));
        prompt.tools.push((function.text("name")?.to_owned(), schema));
    }
    options(&top, &mut prompt)?;
    match top.get("format") {
        None | Some(Value::Object(_)) => {}
        Some(Value::String(word)) if word == "json" => {}
        Some(other) => return Err(Refuse::new(400, format!("invalid format: {other}"))),
    }
    prompt.thinking = match top.get("think") {
        None => false,
        Some(Value::Bool(think)) => *think,
        Some(Value::String(word)) if ["high", "medium", "low", "max"].contains(&&**word) => true,
        Some(other) => return Err(Refuse::new(400, format!("invalid think value: {other}"))),
    };
    top.flag("logprobs")?;
    top.count("top_logprobs", 0)?;
    // It streams unless it is told not to.
    let stream = top.get("stream").is_none() || top.flag("stream")?;
    Ok(Ask { model, prompt, stream })
}

fn only(fields: &Fields<'_>, known: &[&str]) -> Result<(), Refuse> {
    match fields.of.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(Refuse::new(400, format!("unknown field `{}`", fields.path(name)))),
        None => Ok(()),
    }
}

fn options(top: &Fields<'_>, prompt: &mut Prompt) -> Result<(), Refuse> {
    let Some(options) = top.object("options")? else { return Ok(()) };
    for (name, value) in options.of {
        let fits = match name.as_str() {
            "stop" => value.as_array().is_some_and(|list| list.iter().all(Value::is_string)),
            name => NUMBERS.contains(&name) && value.is_number(),
        };
        if !fits {
            return Err(Refuse::new(400, format!("option \"{name}\" is not valid: {value}")));
        }
    }
    prompt.max_tokens = options.get("num_predict").and_then(Value::as_u64);
    let stop = options.get("stop").and_then(Value::as_array);
    prompt.stop = stop.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    Ok(())
}

fn messages(top: &Fields<'_>, prompt: &mut Prompt) -> Result<(), Refuse> {
    for (i, one) in top.list("messages")?.iter().enumerate() {
        let message = Fields::new(one, &format!("messages[{i}]"))?;
        let known =
            ["role", "content", "thinking", "images", "tool_calls", "tool_name", "tool_call_id"];
        only(&message, &known)?;
        message.required("role")?;
        let roles = ["system", "user", "assistant", "tool"];
        let role = message.one_of("role", &roles)?.unwrap_or_default();
        let text = message.text("content")?.to_owned();
        prompt.words += count_words(&text);
        if role != "system" {
            prompt.user_spoke_last = role == "user";
        }
        for image in message.list("images")? {
            let letters = |c: char| c.is_ascii_alphanumeric() || "+/=".contains(c);
            if !image.as_str().is_some_and(|data| data.chars().all(letters)) {
                return Err(Refuse::new(400, "illegal base64 data at input byte 4"));
            }
            prompt.images += 1;
        }
        for (i, call) in message.list("tool_calls")?.iter().enumerate() {
            let call = Fields::new(call, &format!("{}[{i}]", message.path("tool_calls")))?;
            let function = Fields::new(call.required("function")?, &call.path("function"))?;
            function.text("name")?;
            Fields::new(function.required("arguments")?, &function.path("arguments"))?;
        }
        match role {
            "user" => {
                prompt.results.clear();
                prompt.text = text;
            }
            "tool" => prompt.results.push(text),
            _ => prompt.results.clear(),
        }
    }
    Ok(())
}

fn line(ask: &Ask, message: &Value) -> Value {
    json!({
        "model": ask.model, "created_at": "2026-08-20T19:22:45.499127Z",
        "message": message, "done": false,
    })
}

fn last(said: &Said, ask: &Ask, reply: &Reply, message: &Value) -> Value {
    let mut line = line(ask, message);
    set(&mut line, "done", json!(true));
    let reason = if said.finish == Finish::Length { "length" } else { "stop" };
    set(&mut line, "done_reason", json!(reason));
    set(&mut line, "total_duration", json!(4_883_583_458_u64));
    match &reply.usage {
        UsageSpec::Missing => {}
        UsageSpec::Exactly(value) => {
            for (name, value) in value.as_object().into_iter().flatten() {
                set(&mut line, name, value.clone());
            }
        }
        UsageSpec::Counted => {
            set(&mut line, "prompt_eval_count", json!(said.input));
            set(&mut line, "eval_count", json!(said.output));
        }
    }
    line
}

fn call(said: &Said, serial: u64, index: usize) -> Option<Value> {
    let call = said.calls.get(index)?;
    Some(json!({
        "id": format!("call_{serial:06}_{index}"),
        "function": {"index": index, "name": call.name, "arguments": call.arguments},
    }))
}

/// The answer as one JSON document.
pub(super) fn whole(said: &Said, ask: &Ask, reply: &Reply, serial: u64) -> Value {
    let text = said.text.as_deref().unwrap_or_default();
    let mut message = json!({"role": "assistant", "content": text});
    if let Some(thinking) = &said.reasoning {
        set(&mut message, "thinking", json!(thinking));
    }
    let calls: Vec<Value> = (0..).map_while(|index| call(said, serial, index)).collect();
    if !calls.is_empty() {
        set(&mut message, "tool_calls", json!(calls));
    }
    last(said, ask, reply, &message)
}

/// The answer as lines.
pub(super) fn lines(said: &Said, ask: &Ask, reply: &Reply, serial: u64) -> Vec<Bytes> {
    let mut out = Vec::new();
    let mut say = |message: Value| out.push(line(ask, &message));
    for piece in pieces(said.reasoning.as_deref().unwrap_or_default()) {
        say(json!({"role": "assistant", "content": "", "thinking": piece}));
    }
    for piece in pieces(said.text.as_deref().unwrap_or_default()) {
        say(json!({"role": "assistant", "content": piece}));
    }
    for call in (0..).map_while(|index| call(said, serial, index)) {
        say(json!({"role": "assistant", "content": "", "tool_calls": [call]}));
    }
    if reply.error_event {
        out.truncate(out.len() / 2);
        out.push(json!({"error": "an error was encountered while running the model"}));
    } else {
        out.push(last(said, ask, reply, &json!({"role": "assistant", "content": ""})));
    }
    out.iter().map(|line| Bytes::from(format!("{line}\n"))).collect()
}

/// An error in Ollama's envelope.
pub(super) fn error(refuse: &Refuse) -> Value {
    json!({"error": refuse.message})
}

/// Checks a request for embeddings and gives the model and the answer.
pub(super) fn embed(body: &Value) -> Result<(String, Value), Refuse> {
    let top = Fields::new(body, "")?;
    only(&top, &["model", "input", "truncate", "options", "keep_alive", "dimensions"])?;
    let model = top.text("model")?.to_owned();
    let dimensions = top.count("dimensions", 1)?.unwrap_or(8);
    let inputs: Vec<&str> = match top.required("input")? {
        Value::String(one) => vec![one],
        Value::Array(list) if list.iter().all(Value::is_string) => {
            list.iter().filter_map(Value::as_str).collect()
        }
        _ => return Err(Refuse::new(400, "invalid input type")),
    };
    let vectors: Vec<Vec<f32>> = inputs.iter().map(|text| vector(text, dimensions)).collect();
    let tokens: u64 = inputs.iter().map(|text| count_words(text).max(1)).sum();
    let answer = json!({
        "model": model, "embeddings": vectors, "total_duration": 14_143_917_u64,
        "load_duration": 1_019_500_u64, "prompt_eval_count": tokens,
    });
    Ok((model, answer))
}
