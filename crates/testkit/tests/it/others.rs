use serde_json::{Value, json};
use tollgate_testkit::{ScriptedUpstream, call, scripted::oci};

const HEADERS: [(&str, &str); 2] =
    [("authorization", "Bearer k"), ("content-type", "application/json")];

async fn post(up: &ScriptedUpstream, path: &str, body: &Value) -> call::Answer {
    call::call("POST", &format!("{}{path}", up.url()), &HEADERS, body.to_string()).await
}

fn ask(model: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": "hello there" }] })
}

#[tokio::test]
async fn cohere_knows_its_fields_and_no_others() {
    let up = ScriptedUpstream::start().await;
    let mut body = ask("command-a-03-2025");
    let whole = post(&up, "/v2/chat", &body).await.json();
    assert_eq!(whole["message"]["content"][0]["text"], "You said: hello there");
    assert_eq!(whole["finish_reason"], "COMPLETE");
    body["stream"] = json!(true);
    let answer = post(&up, "/v2/chat", &body).await;
    let events = answer.events();
    assert!(events[0].contains("message-start") && events.last().unwrap() == "[DONE]");
    for (name, value) in [
        ("top_p", json!(0.5)),
        ("p", json!(1)),
        ("tool_choice", json!("AUTO")),
        ("response_format", json!({ "type": "json_schema" })),
        ("stop_sequences", json!(["a", "b", "c", "d", "e", "f"])),
    ] {
        let mut body = body.clone();
        body[name] = value;
        let answer = post(&up, "/v2/chat", &body).await;
        assert!(matches!(answer.status.as_u16(), 400 | 422), "{name}");
        assert!(answer.json()["message"].is_string(), "{name}");
    }
    let embed = json!({ "model": "embed-v4.0", "texts": ["a"] });
    assert_eq!(post(&up, "/v2/embed", &embed).await.status, 400, "`input_type` is missing");
}

#[tokio::test]
async fn ollama_streams_lines_unless_told_not_to() {
    let up = ScriptedUpstream::start().await;
    let mut body = ask("llama3.2");
    let text = post(&up, "/api/chat", &body).await.text();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let said: String = lines.iter().filter_map(|l| l["message"]["content"].as_str()).collect();
    assert_eq!(said, "You said: hello there");
    assert!(lines.iter().filter(|line| line["done"] == true).count() == 1);
    body["stream"] = json!(false);
    assert_eq!(post(&up, "/api/chat", &body).await.json()["eval_count"], 4);
    for (name, value) in [
        ("temperature", json!(0.5)),
        ("options", json!({ "stop": "x" })),
        ("format", json!("yaml")),
        ("think", json!("a lot")),
        ("messages", json!([{ "role": "user", "content": [] }])),
    ] {
        let mut body = body.clone();
        body[name] = value;
        let answer = post(&up, "/api/chat", &body).await;
        assert_eq!(answer.status, 400, "{name}");
        assert!(answer.json()["error"].is_string(), "{name}");
    }
}

#[tokio::test]
async fn oci_answers_signed_requests_alone() {
    let up = ScriptedUpstream::start().await;
    let chat = json!({
        "compartmentId": oci::COMPARTMENT,
        "servingMode": { "servingType": "ON_DEMAND", "modelId": "meta.llama-3.3-70b-instruct" },
        "chatRequest": { "apiFormat": "GENERIC", "messages": [] },
    });
    let key = format!("{}/{}/{}", oci::TENANCY, oci::USER, oci::FINGERPRINT);
    let signed = |headers: &str| {
        format!(
            "Signature version=\"1\",keyId=\"{key}\",algorithm=\"rsa-sha256\",\
             headers=\"{headers}\",signature=\"AAAA\""
        )
    };
    let all = "date (request-target) host content-length content-type x-content-sha256";
    for (authorization, why) in [
        ("Bearer k".to_owned(), "Missing or invalid Authorization header"),
        (signed("date (request-target) host"), "`content-length` is not signed"),
        (signed(all), "the date is none of HTTP's"),
    ] {
        let headers = [("authorization", &*authorization), ("content-type", "application/json")];
        let url = format!("{}/20231130/actions/chat", up.url());
        let answer = call::call("POST", &url, &headers, chat.to_string()).await;
        assert_eq!(answer.status, 401, "{}", answer.text());
        assert_eq!(answer.json(), json!({ "code": "NotAuthenticated", "message": why }));
    }
}

#[tokio::test]
async fn replicate_knows_what_each_model_takes() {
    let up = ScriptedUpstream::start().await;
    let llama = "/v1/models/meta/meta-llama-3-8b-instruct/predictions";
    let body = json!({ "input": { "prompt": "hello there" } });
    let made = post(&up, llama, &body).await;
    assert_eq!((made.status.as_u16(), &made.json()["status"]), (201, &json!("starting")));
    let urls = made.json()["urls"].clone();
    let stream = call::call("GET", urls["stream"].as_str().unwrap(), &[], "").await;
    assert!(stream.text().starts_with("event: output\n"), "{}", stream.text());
    assert!(stream.text().ends_with("data: {}\n\n"), "{}", stream.text());
    let get = urls["get"].as_str().unwrap();
    assert_eq!(call::call("GET", get, &[], "").await.status, 401);
    let told = call::get(get, "k").await.json();
    assert_eq!(told["output"], json!(["You", " said:", " hello", " there"]));
    assert_eq!(told["metrics"]["output_token_count"], 4);

    let claude = "/v1/models/anthropic/claude-4-sonnet/predictions";
    for (path, body, status) in [
        (llama, json!({ "prompt": "hi" }), 422),
        (llama, json!({ "input": { "prompt": "hi", "messages": [] } }), 422),
        (llama, json!({ "input": { "prompt": "hi", "stop_sequences": ["a"] } }), 422),
        (llama, json!({ "input": { "prompt": "hi" }, "version": "x" }), 422),
        (llama, json!({ "input": {} }), 422),
        (claude, json!({ "input": { "prompt": "hi", "max_tokens": 20 } }), 422),
        (claude, json!({ "input": { "prompt": "hi", "temperature": 1 } }), 422),
        ("/v1/predictions", json!({ "input": { "prompt": "hi" } }), 422),
        ("/v1/models/acme/nothing/predictions", json!({ "input": { "prompt": "hi" } }), 404),
    ] {
        let answer = post(&up, path, &body).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
        assert!(answer.json()["detail"].is_string());
    }
}
