use serde_json::{Value, json};
use tollgate_testkit::{ScriptedUpstream, call};

const HEADERS: [(&str, &str); 3] = [
    ("x-api-key", "sk-ant"),
    ("anthropic-version", "2023-06-01"),
    ("content-type", "application/json"),
];

fn ask() -> Value {
    json!({
        "model": "claude-sonnet-4-5", "max_tokens": 100,
        "messages": [{"role": "user", "content": "hello there"}],
    })
}

async fn post(up: &ScriptedUpstream, body: &Value) -> call::Answer {
    call::call("POST", &format!("{}/v1/messages", up.url()), &HEADERS, body.to_string()).await
}

#[tokio::test]
async fn answers_and_streams_the_same_text() {
    let up = ScriptedUpstream::start().await;
    let whole = post(&up, &ask()).await.json();
    assert_eq!(whole["content"][0]["text"], "You said: hello there");
    assert_eq!(whole["usage"]["input_tokens"], 2);
    assert_eq!(whole["usage"]["output_tokens"], 4);
    let mut body = ask();
    body["stream"] = json!(true);
    let answer = post(&up, &body).await;
    let events: Vec<Value> =
        answer.events().iter().map(|event| serde_json::from_str(event).unwrap()).collect();
    let names: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(names[..3], ["message_start", "content_block_start", "ping"]);
    assert_eq!(names[names.len() - 2..], ["message_delta", "message_stop"]);
    let text: String = events.iter().filter_map(|event| event["delta"]["text"].as_str()).collect();
    assert_eq!(text, "You said: hello there");
    assert_eq!(answer.chunks.len(), events.len());
}

#[tokio::test]
async fn thinks_signs_and_wants_its_signature_back() {
    let up = ScriptedUpstream::start().await;
    let mut body = ask();
    body["max_tokens"] = json!(2000);
    body["thinking"] = json!({"type": "enabled", "budget_tokens": 1024});
    let first = post(&up, &body).await.json();
    assert_eq!(first["content"][0]["type"], "thinking");
    let messages = body["messages"].as_array_mut().unwrap();
    messages.push(json!({"role": "assistant", "content": first["content"]}));
    messages.push(json!({"role": "user", "content": "go on"}));
    assert_eq!(post(&up, &body).await.status, 200);
    body["messages"][1]["content"][0]["signature"] = json!("forged");
    assert_eq!(post(&up, &body).await.status, 400);
}

#[tokio::test]
async fn calls_a_tool_and_takes_its_result() {
    let up = ScriptedUpstream::start().await;
    let mut body = ask();
    body["tools"] = json!([{"name": "look", "input_schema": {
        "type": "object", "properties": {"at": {"type": "string"}},
    }}]);
    let first = post(&up, &body).await.json();
    assert_eq!(first["stop_reason"], "tool_use");
    assert_eq!(first["content"][0]["input"], json!({"at": "there"}));
    let id = first["content"][0]["id"].clone();
    let messages = body["messages"].as_array_mut().unwrap();
    messages.push(json!({"role": "assistant", "content": first["content"]}));
    messages.push(json!({"role": "user", "content": "no result"}));
    assert_eq!(post(&up, &body).await.status, 400);
    body["messages"][2]["content"] =
        json!([{"type": "tool_result", "tool_use_id": id, "content": "a cat"}]);
    let second = post(&up, &body).await.json();
    assert_eq!(second["content"][0]["text"], "The tool said: a cat");
}

#[tokio::test]
async fn refuses_what_the_api_refuses() {
    let up = ScriptedUpstream::start().await;
    let with = |name: &str, value: Value| {
        let mut body = ask();
        body[name] = value;
        body
    };
    let cases = [
        (with("model", json!("nope")), 404, "not_found_error"),
        (with("max_tokens", Value::Null), 400, "invalid_request_error"),
        (with("frequency_penalty", json!(1)), 400, "invalid_request_error"),
        (with("temperature", json!(1.5)), 400, "invalid_request_error"),
        (
            with("messages", json!([{"role": "system", "content": "x"}])),
            400,
            "invalid_request_error",
        ),
        (with("messages", json!([{"role": "user", "content": ""}])), 400, "invalid_request_error"),
        (with("model", json!("claude-sonnet-4-5+status-529")), 529, "overloaded_error"),
        (with("model", json!("claude-sonnet-4-5+status-403")), 403, "permission_error"),
    ];
    for (body, status, kind) in cases {
        let answer = post(&up, &body).await;
        assert_eq!(answer.status, status, "{body}");
        assert_eq!(answer.json()["error"]["type"], kind, "{body}");
    }
    let url = format!("{}/v1/messages", up.url());
    let text = ask().to_string();
    assert_eq!(call::call("POST", &url, &HEADERS[1..], text.clone()).await.status, 401);
    let headers = [HEADERS[0], HEADERS[2]];
    assert_eq!(call::call("POST", &url, &headers, text).await.status, 400);
}
