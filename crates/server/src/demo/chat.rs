//! The demo provider's chat: a request in, an answer out, as a whole or in frames. Pure.

use std::collections::VecDeque;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{script, tool};

/// What the provider reads of a request; it ignores the rest.
#[derive(Debug, Deserialize)]
pub(super) struct ChatRequest {
    pub(super) model: String,
    messages: Vec<Message>,
    #[serde(default)]
    pub(super) stream: bool,
    pub(super) stream_options: Option<StreamOptions>,
    #[serde(default)]
    tools: Vec<Tool>,
    tool_choice: Option<Value>,
    response_format: Option<Value>,
    max_tokens: Option<usize>,
    max_completion_tokens: Option<usize>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct StreamOptions {
    #[serde(default)]
    pub(super) include_usage: bool,
}

#[derive(Debug, Deserialize)]
struct Message {
    role: String,
    #[serde(default)]
    content: Value,
}

#[derive(Debug, Deserialize)]
struct Tool {
    function: Option<Function>,
}

#[derive(Debug, Deserialize)]
struct Function {
    name: String,
    #[serde(default)]
    parameters: Value,
}

/// An answer, before it is spelled.
#[derive(Debug)]
pub(super) struct Answer {
    id: String,
    model: String,
    reasoning: String,
    says: Says,
    finish_reason: &'static str,
    prompt_tokens: u64,
}

#[derive(Debug)]
enum Says {
    Text(String),
    Call { id: String, name: String, arguments: String },
}

/// Decides what is said.
pub(super) fn answer(request: &ChatRequest) -> Answer {
    let texts: Vec<String> =
        request.messages.iter().map(|message| text(&message.content)).collect();
    let asked =
        request.messages.iter().zip(&texts).rev().find(|(message, _)| message.role == "user");
    let prompt = asked.map(|(_, text)| text.as_str()).unwrap_or_default();
    let id = format!("chatcmpl-demo-{:016x}", script::seed(&texts.join("\n")));
    let (says, finish_reason) = says(request, prompt, &texts, &id);
    Answer {
        reasoning: match request.model.as_str() {
            "demo-reasoner" => script::reasoning(prompt),
            _ => String::new(),
        },
        prompt_tokens: texts.iter().map(|text| script::tokens(text) + 3).sum(),
        model: request.model.clone(),
        id,
        says,
        finish_reason,
    }
}

fn says(request: &ChatRequest, prompt: &str, texts: &[String], id: &str) -> (Says, &'static str) {
    let last = request.messages.last().map(|message| message.role.as_str());
    if last != Some("tool")
        && let Some(function) = wanted(request)
    {
        let call = Says::Call {
            id: id.replace("chatcmpl-demo", "call"),
            name: function.name.clone(),
            arguments: tool::arguments(&function.parameters, prompt).to_string(),
        };
        return (call, "tool_calls");
    }
    let format = request.response_format.as_ref();
    let text = match format.and_then(|format| format.get("type")?.as_str()) {
        Some("json_schema") => {
            let schema = format.and_then(|format| format.pointer("/json_schema/schema"));
            tool::shaped(schema.unwrap_or(&Value::Null), prompt).to_string()
        }
        Some("json_object") => json!({"answer": script::answer(prompt)}).to_string(),
        _ if last == Some("tool") => {
            script::answer_to_tool(texts.last().map(String::as_str).unwrap_or_default())
        }
        _ => script::answer(prompt),
    };
    let limit = request.max_completion_tokens.or(request.max_tokens).unwrap_or(usize::MAX);
    let words = script::words(&text);
    if words.len() > limit {
        (Says::Text(words.iter().take(limit).copied().collect()), "length")
    } else {
        (Says::Text(text), "stop")
    }
}

/// The tool to call: the one that `tool_choice` names, else the first.
fn wanted(request: &ChatRequest) -> Option<&Function> {
    let choice = request.tool_choice.as_ref();
    if choice.and_then(Value::as_str) == Some("none") {
        return None;
    }
    let named = choice.and_then(|choice| choice.pointer("/function/name")?.as_str());
    let mut functions = request.tools.iter().filter_map(|tool| tool.function.as_ref());
    functions.find(|function| named.is_none_or(|name| function.name == name))
}

/// A message's text, parts and all.
fn text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            parts.iter().filter_map(|part| part.get("text")?.as_str()).collect::<Vec<_>>().join(" ")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => String::new(),
    }
}

/// The answer as one object.
pub(super) fn whole(answer: &Answer) -> Value {
    let mut message = json!({"role": "assistant", "content": null});
    match &answer.says {
        Says::Text(text) => set(&mut message, "content", json!(text)),
        Says::Call { id, name, arguments } => set(
            &mut message,
            "tool_calls",
            json!([{"id": id, "type": "function",
                "function": {"name": name, "arguments": arguments}}]),
        ),
    }
    if !answer.reasoning.is_empty() {
        set(&mut message, "reasoning_content", json!(answer.reasoning));
    }
    json!({
        "id": answer.id, "object": "chat.completion", "created": 0, "model": answer.model,
        "choices": [{"index": 0, "message": message, "finish_reason": answer.finish_reason}],
        "usage": usage(answer),
    })
}

/// The answer as the frames of a stream.
pub(super) fn frames(answer: &Answer, include_usage: bool) -> VecDeque<String> {
    let mut frames = VecDeque::new();
    let mut delta = |delta: Value| frames.push_back(frame(answer, &delta, None));
    delta(json!({"role": "assistant", "content": ""}));
    for word in script::words(&answer.reasoning) {
        delta(json!({"reasoning_content": word}));
    }
    match &answer.says {
        Says::Text(text) => {
            for word in script::words(text) {
                delta(json!({"content": word}));
            }
        }
        Says::Call { id, name, arguments } => {
            delta(json!({"tool_calls": [{"index": 0, "id": id, "type": "function",
                "function": {"name": name, "arguments": ""}}]}));
            for piece in script::words(arguments) {
                delta(json!({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}));
            }
        }
    }
    frames.push_back(frame(answer, &json!({}), Some(answer.finish_reason)));
    if include_usage {
        let mut last = envelope(answer, json!([]));
        set(&mut last, "usage", usage(answer));
        frames.push_back(format!("data: {last}\n\n"));
    }
    frames.push_back("data: [DONE]\n\n".to_owned());
    frames
}

fn frame(answer: &Answer, delta: &Value, finish_reason: Option<&str>) -> String {
    let choice = json!({"index": 0, "delta": delta, "finish_reason": finish_reason});
    format!("data: {}\n\n", envelope(answer, json!([choice])))
}

fn envelope(answer: &Answer, choices: Value) -> Value {
    json!({"id": answer.id, "object": "chat.completion.chunk", "created": 0,
        "model": answer.model, "choices": choices})
}

fn usage(answer: &Answer) -> Value {
    let said = match &answer.says {
        Says::Text(text) => script::tokens(text),
        Says::Call { name, arguments, .. } => script::tokens(name) + script::tokens(arguments),
    };
    let reasoning = script::tokens(&answer.reasoning);
    let output = said + reasoning;
    json!({
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": output,
        "total_tokens": answer.prompt_tokens + output,
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    })
}

fn set(object: &mut Value, name: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(name.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(body: Value) -> Answer {
        answer(&serde_json::from_value(body).unwrap())
    }

    fn weather() -> Value {
        json!([{"type": "function", "function": {"name": "weather", "parameters":
            {"type": "object", "properties": {"city": {"type": "string"}}}}}])
    }

    /// The texts of a stream's frames, joined.
    fn streamed(answer: &Answer, field: &str) -> String {
        frames(answer, false)
            .iter()
            .filter_map(|frame| frame.strip_prefix("data: "))
            .filter_map(|json| serde_json::from_str::<Value>(json).ok())
            .filter_map(|chunk| {
                Some(chunk.pointer(&format!("/choices/0/delta/{field}"))?.as_str()?.to_owned())
            })
            .collect()
    }

    #[test]
    fn a_stream_says_what_the_whole_says() {
        for model in ["demo-chat", "demo-reasoner"] {
            let answer = ask(json!({"model": model, "messages": [
                {"role": "user", "content": "Write a poem about tolls"}]}));
            let whole = whole(&answer);
            let content = whole.pointer("/choices/0/message/content").unwrap();
            assert_eq!(streamed(&answer, "content"), content.as_str().unwrap());
            let thought = whole.pointer("/choices/0/message/reasoning_content");
            let thought = thought.and_then(Value::as_str).unwrap_or_default();
            assert_eq!(streamed(&answer, "reasoning_content"), thought);
            assert_eq!(thought.is_empty(), model == "demo-chat");
        }
    }

    #[test]
    fn tools_are_called_and_their_answers_used() {
        let user = json!({"role": "user", "content": "Is it raining in Oslo?"});
        let answer = ask(json!({"model": "demo-chat", "messages": [user], "tools": weather()}));
        let whole_answer = whole(&answer);
        let call = whole_answer.pointer("/choices/0/message/tool_calls/0/function").unwrap();
        assert_eq!(call, &json!({"name": "weather", "arguments": "{\"city\":\"Oslo\"}"}));
        assert_eq!(streamed(&answer, "tool_calls/0/function/arguments"), "{\"city\":\"Oslo\"}");
        assert_eq!(answer.finish_reason, "tool_calls");

        let tool = json!({"role": "tool", "tool_call_id": "call_1", "content": "Heavy rain."});
        let answer =
            ask(json!({"model": "demo-chat", "messages": [user, tool], "tools": weather()}));
        let said = whole(&answer);
        let text = said.pointer("/choices/0/message/content").unwrap().as_str().unwrap();
        assert!(text.contains("Heavy rain."), "{text}");
    }

    #[test]
    fn limits_and_formats_are_honoured() {
        let messages = json!([{"role": "user", "content": [{"type": "text", "text": "hello"}]}]);
        let short = ask(json!({"model": "demo-chat", "messages": messages, "max_tokens": 3}));
        assert_eq!(short.finish_reason, "length");
        let none = ask(json!({"model": "demo-chat", "messages": messages, "tools": weather(),
            "tool_choice": "none"}));
        assert_eq!(none.finish_reason, "stop");
        let shaped = ask(json!({"model": "demo-chat", "messages": messages, "response_format":
            {"type": "json_schema", "json_schema": {"name": "n", "schema":
                {"type": "object", "properties": {"ok": {"type": "boolean"}}}}}}));
        assert_eq!(streamed(&shaped, "content"), "{\"ok\":true}");
    }

    #[test]
    fn usage_comes_last_and_only_if_asked_for() {
        let answer = ask(json!({"model": "demo-chat", "messages": [
            {"role": "user", "content": "hello"}]}));
        let count = |include| {
            frames(&answer, include).iter().filter(|frame| frame.contains("\"usage\"")).count()
        };
        assert_eq!((count(false), count(true)), (0, 1));
    }
}
