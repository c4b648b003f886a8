use serde_json::{Value, json};
use std::time::Duration;
use tollgate_testkit::{Reply, ScriptedUpstream, call};

fn ask(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "hello there world"}]})
}

fn tools() -> Value {
    json!([{"type": "function", "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    }}])
}

async fn post(up: &ScriptedUpstream, body: &Value) -> call::Answer {
    call::post(&format!("{}/v1/chat/completions", up.url()), "sk-x", body).await
}

#[tokio::test]
async fn answers_with_an_echo_and_counts_words() {
    let up = ScriptedUpstream::start().await;
    let answer = post(&up, &ask("m")).await;
    assert_eq!(answer.status, 200);
    let body = answer.json();
    assert_eq!(body["choices"][0]["message"]["content"], "You said: hello there world");
    assert_eq!(body["usage"]["prompt_tokens"], 3);
    assert_eq!(body["usage"]["completion_tokens"], 5);
    assert_eq!(up.last().json(), ask("m"));
    assert_eq!(up.last().header("authorization"), "Bearer sk-x");
}

#[tokio::test]
async fn streams_each_event_as_a_chunk_of_its_own() {
    let up = ScriptedUpstream::start().await;
    let mut body = ask("m+gap-5");
    body["stream"] = json!(true);
    body["stream_options"] = json!({"include_usage": true});
    let answer = post(&up, &body).await;
    let events = answer.events();
    assert_eq!(answer.chunks.len(), events.len());
    assert_eq!(events.last().unwrap(), "[DONE]");
    let parsed: Vec<Value> =
        events.iter().filter_map(|event| serde_json::from_str(event).ok()).collect();
    let text: String = parsed
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str())
        .collect();
    assert_eq!(text, "You said: hello there world");
    assert_eq!(parsed.last().unwrap()["usage"]["total_tokens"], 8);
    let spread = answer.chunks.last().unwrap().0 - answer.chunks[0].0;
    assert!(spread >= Duration::from_millis(5 * (events.len() as u64 - 1)), "{spread:?}");
}

#[tokio::test]
async fn calls_a_tool_and_takes_its_result() {
    let up = ScriptedUpstream::start().await;
    let mut body = ask("m");
    body["tools"] = tools();
    let first = post(&up, &body).await.json();
    let message = first["choices"][0]["message"].clone();
    assert_eq!(message["tool_calls"][0]["function"]["arguments"], r#"{"city":"world"}"#);
    assert_eq!(first["choices"][0]["finish_reason"], "tool_calls");
    let id = message["tool_calls"][0]["id"].clone();
    let messages = body["messages"].as_array_mut().unwrap();
    messages.push(message);
    messages.push(json!({"role": "tool", "tool_call_id": id, "content": "21 C"}));
    let second = post(&up, &body).await.json();
    assert_eq!(second["choices"][0]["message"]["content"], "The tool said: 21 C");
    body["messages"][2]["tool_call_id"] = json!("call_unknown");
    assert_eq!(post(&up, &body).await.status, 400);
}

#[tokio::test]
async fn streams_tool_arguments_in_fragments() {
    let up = ScriptedUpstream::start().await;
    let mut body = ask("m+calls-2");
    body["tools"] = tools();
    body["stream"] = json!(true);
    let events = post(&up, &body).await.events();
    let mut arguments = [String::new(), String::new()];
    for event in &events {
        let Ok(chunk) = serde_json::from_str::<Value>(event) else { continue };
        let call = &chunk["choices"][0]["delta"]["tool_calls"][0];
        if let Some(part) = call["function"]["arguments"].as_str() {
            arguments[usize::try_from(call["index"].as_u64().unwrap()).unwrap()].push_str(part);
        }
    }
    assert_eq!(arguments, [r#"{"city":"world"}"#, r#"{"city":"world"}"#]);
}

#[tokio::test]
async fn refuses_what_the_api_refuses() {
    let up = ScriptedUpstream::start().await;
    let with = |name: &str, value: Value| {
        let mut body = ask("m");
        body[name] = value;
        body
    };
    let cases = [
        (with("model", json!("nope")), 404, "model_not_found"),
        (with("model", json!(1)), 400, "invalid_type"),
        (with("model", json!("m+unknown-word")), 404, "model_not_found"),
        (with("messages", json!([])), 400, "empty_array"),
        (with("messages", Value::Null), 400, "missing_required_parameter"),
        (with("temperature", json!("hot")), 400, "invalid_type"),
        (with("temperature", json!(3)), 400, "decimal_out_of_range"),
        (with("stream", json!("yes")), 400, "invalid_type"),
        (with("stream_options", json!({"include_usage": true})), 400, "invalid_value"),
        (with("tool_choice", json!("auto")), 400, "invalid_value"),
        (with("max_tokens", json!(0)), 400, "integer_below_min_value"),
        (with("stop", json!(["a", "b", "c", "d", "e"])), 400, "array_above_max_length"),
        (with("messages", json!([{"role": "king", "content": "x"}])), 400, "invalid_value"),
    ];
    for (body, status, code) in cases {
        let answer = post(&up, &body).await;
        assert_eq!(answer.status, status, "{body}");
        assert_eq!(answer.json()["error"]["code"], code, "{body}");
    }
    let url = format!("{}/chat/completions", up.url());
    assert_eq!(call::post(&url, "", &ask("m")).await.status, 401);
    up.require_key("right");
    assert_eq!(call::post(&url, "wrong", &ask("m")).await.status, 401);
    assert_eq!(call::post(&url, "right", &ask("m")).await.status, 200);
}

#[tokio::test]
async fn follows_the_queue_and_the_name() {
    let up = ScriptedUpstream::start().await;
    up.script(Reply::status(500));
    up.script(Reply::text("second"));
    assert_eq!(post(&up, &ask("m")).await.status, 500);
    assert_eq!(post(&up, &ask("m")).await.json()["choices"][0]["message"]["content"], "second");
    let limited = post(&up, &ask("m+status-429+retry-7")).await;
    assert_eq!((limited.status.as_u16(), limited.header("retry-after")), (429, "7"));
    let reasoned = post(&up, &ask("m+reasoning+cached-2")).await.json();
    assert_eq!(reasoned["usage"]["completion_tokens_details"]["reasoning_tokens"], 5);
    assert_eq!(reasoned["usage"]["prompt_tokens_details"]["cached_tokens"], 2);
    let window = post(&up, &ask("m+context-window")).await;
    assert_eq!(window.json()["error"]["code"], "context_length_exceeded");
    assert!(post(&up, &ask("m+cut-10")).await.broken);
    assert_eq!(post(&up, &ask("m+html")).await.header("content-type"), "text/html");
}

#[tokio::test]
async fn notices_a_client_that_leaves() {
    let up = ScriptedUpstream::start().await;
    let mut body = ask("m+stall-2");
    body["stream"] = json!(true);
    let url = format!("{}/v1/chat/completions", up.url());
    let headers = [("authorization", "Bearer k"), ("content-type", "application/json")];
    let mut open = call::open("POST", &url, &headers, body.to_string()).await.unwrap();
    open.chunk().await.unwrap().unwrap();
    assert_eq!((up.hangups(), up.open()), (0, 1));
    drop(open);
    tokio::time::timeout(Duration::from_secs(5), async {
        while up.hangups() == 0 || up.open() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn embeds_as_floats_and_as_base64() {
    let up = ScriptedUpstream::start().await;
    let url = format!("{}/v1/embeddings", up.url());
    let mut body = json!({"model": "text-embedding-3-small", "input": ["a", "b c"]});
    let floats = call::post(&url, "k", &body).await.json();
    assert_eq!(floats["data"][1]["embedding"].as_array().unwrap().len(), 8);
    assert_eq!(floats["usage"]["prompt_tokens"], 3);
    body["encoding_format"] = json!("base64");
    body["dimensions"] = json!(2);
    let packed = call::post(&url, "k", &body).await.json();
    // Two 32-bit floats are 8 bytes, 12 characters.
    assert_eq!(packed["data"][0]["embedding"].as_str().unwrap().len(), 12);
    body["input"] = json!({"a": 1});
    assert_eq!(call::post(&url, "k", &body).await.status, 400);
}

#[tokio::test]
async fn lists_its_models() {
    let up = ScriptedUpstream::start().await;
    up.add_model("extra");
    let all = call::get(&format!("{}/v1/models", up.url()), "k").await.json();
    assert!(all["data"].as_array().unwrap().iter().any(|model| model["id"] == "extra"));
    let one = call::get(&format!("{}/v1/models/extra", up.url()), "k").await;
    assert_eq!(one.json()["id"], "extra");
}
