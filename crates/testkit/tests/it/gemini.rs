use serde_json::{Value, json};
use tollgate_testkit::{ScriptedUpstream, call};

const HEADERS: [(&str, &str); 2] =
    [("x-goog-api-key", "AIza"), ("content-type", "application/json")];

fn ask() -> Value {
    json!({"contents": [{"role": "user", "parts": [{"text": "hello there"}]}]})
}

async fn post(up: &ScriptedUpstream, what: &str, body: &Value) -> call::Answer {
    let url = format!("{}/v1beta/models/{what}", up.url());
    call::call("POST", &url, &HEADERS, body.to_string()).await
}

#[tokio::test]
async fn answers_and_streams_the_same_text() {
    let up = ScriptedUpstream::start().await;
    let whole = post(&up, "gemini-2.5-flash:generateContent", &ask()).await.json();
    assert_eq!(whole["candidates"][0]["content"]["parts"][0]["text"], "You said: hello there");
    assert_eq!(whole["usageMetadata"]["totalTokenCount"], 6);
    let text = |events: &[Value]| -> String {
        let parts = events.iter().map(|event| &event["candidates"][0]["content"]["parts"][0]);
        parts.filter_map(|part| part["text"].as_str()).collect()
    };
    let answer = post(&up, "gemini-2.5-flash:streamGenerateContent?alt=sse", &ask()).await;
    let events: Vec<Value> =
        answer.events().iter().map(|event| serde_json::from_str(event).unwrap()).collect();
    assert_eq!(text(&events), "You said: hello there");
    assert_eq!(events.last().unwrap()["candidates"][0]["finishReason"], "STOP");
    let list = post(&up, "gemini-2.5-flash:streamGenerateContent", &ask()).await.json();
    assert_eq!(text(list.as_array().unwrap()), "You said: hello there");
}

#[tokio::test]
async fn refuses_what_google_refuses() {
    let up = ScriptedUpstream::start().await;
    for (path, change, message) in [
        ("generationConfig", json!({"max_tokens": 1}), "Unknown name \"max_tokens\""),
        ("temperature", json!(1), "Unknown name \"temperature\""),
        ("generationConfig", json!({"temperature": 3}), "temperature must be"),
        ("generationConfig", json!({"responseMimeType": "x"}), "Invalid value"),
        ("contents", json!([]), "contents is not specified"),
        ("contents", json!([{"role": "assistant", "parts": [{"text": "x"}]}]), "valid role"),
        ("contents", json!([{"parts": [{}]}]), "oneof field 'data'"),
        (
            "tools",
            json!([{"functionDeclarations": [{"name": "f", "parameters": {"$ref": "x"}}]}]),
            "Unknown name \"$ref\"",
        ),
        ("toolConfig", json!({"functionCallingConfig": {"mode": "MUST"}}), "Invalid value"),
    ] {
        let mut body = ask();
        body[path] = change;
        let answer = post(&up, "gemini-2.5-flash:generateContent", &body).await;
        assert_eq!(answer.status, 400, "{body}");
        let error = &answer.json()["error"];
        assert_eq!(error["status"], "INVALID_ARGUMENT");
        assert!(error["message"].as_str().unwrap().contains(message), "{error}");
    }
    let url = format!("{}/v1beta/models/gemini-2.5-flash:generateContent", up.url());
    let plain = [("content-type", "application/json")];
    assert_eq!(call::call("POST", &url, &plain, ask().to_string()).await.status, 403);
    assert_eq!(post(&up, "gemini-9:generateContent", &ask()).await.status, 404);
}

#[tokio::test]
async fn the_third_generation_wants_its_signatures_back() {
    let up = ScriptedUpstream::start().await;
    let mut body = ask();
    body["tools"] = json!([{"functionDeclarations": [
        {"name": "f", "parametersJsonSchema": {"type": "object", "properties": {}}}]}]);
    let first = post(&up, "gemini-3-pro-preview:generateContent", &body).await.json();
    let content = first["candidates"][0]["content"].clone();
    assert!(content["parts"][0]["thoughtSignature"].is_string());
    let id = content["parts"][0]["functionCall"]["id"].clone();
    let contents = body["contents"].as_array_mut().unwrap();
    contents.push(content);
    contents.push(json!({"role": "user", "parts": [
        {"functionResponse": {"id": id, "name": "f", "response": {"output": "fine"}}}]}));
    let second = post(&up, "gemini-3-pro-preview:generateContent", &body).await.json();
    assert_eq!(second["candidates"][0]["content"]["parts"][0]["text"], "The tool said: fine");
    for wrong in [json!("forged"), Value::Null] {
        body["contents"][1]["parts"][0]["thoughtSignature"] = wrong;
        assert_eq!(post(&up, "gemini-3-pro-preview:generateContent", &body).await.status, 400);
    }
    body["contents"][2]["parts"] = json!([{"text": "never mind"}]);
    assert_eq!(post(&up, "gemini-2.5-flash:generateContent", &body).await.status, 400);
}

#[tokio::test]
async fn counts() {
    let up = ScriptedUpstream::start().await;
    let answer = post(&up, "gemini-2.5-flash:countTokens", &ask()).await.json();
    assert_eq!(answer, json!({"totalTokens": 2}));
    let mut whole = ask();
    whole["model"] = json!("models/gemini-2.5-flash");
    let body = json!({"generateContentRequest": whole});
    assert_eq!(post(&up, "gemini-2.5-flash:countTokens", &body).await.json()["totalTokens"], 2);
    assert_eq!(post(&up, "gemini-2.5-pro:countTokens", &body).await.status, 400);
}
