//! Google's dialect through the real binary: its clients over upstreams of three dialects, and other
//! clients over an upstream that is as strict as Google.

use serde_json::{Value, json};
use tollgate_testkit::{Answer, Reply, ScriptedUpstream, Tollgate, call, post};

use crate::gate::{self, UPSTREAM_KEY, rows};

/// Models of three dialects, of two generations of Google's, and one with settings of its own.
const MODELS: [&str; 3] = ["gemini", "gpt", "claude"];

fn config(url: &str) -> String {
    let gemini = |name: &str, model: &str, more: &str| {
        format!(
            "- model_name: {name}
  litellm_params: {{model: gemini/{model}, api_base: '{url}', api_key: {UPSTREAM_KEY}{more}}}\n"
        )
    };
    let set = ", temperature: 0.25, max_tokens: 50, reasoning_effort: low, \
               safety_settings: [{category: HARM_CATEGORY_HARASSMENT, threshold: BLOCK_NONE}]";
    [
        "model_list:\n".to_owned(),
        gemini(
            "gemini",
            "gemini-2.5-flash",
            ", input_cost_per_token: 0.001, output_cost_per_token: 0.002",
        ),
        gemini("third", "gemini-3-pro-preview", ""),
        gemini("set", "gemini-2.5-flash", set),
        gemini("odd/*", "*", ""),
        format!(
            "- model_name: gpt
  litellm_params: {{model: openai/m, api_base: '{url}/v1', api_key: {UPSTREAM_KEY}}}
- model_name: claude
  litellm_params: {{model: anthropic/claude-sonnet-4-5, api_base: '{url}', api_key: {UPSTREAM_KEY}}}
router_settings: {{num_retries: 0, disable_cooldowns: true}}\n"
        ),
    ]
    .concat()
}

async fn start() -> (ScriptedUpstream, Tollgate) {
    let upstream = gate::upstream(&[]).await;
    let gate = gate::binary().config(config(&upstream.url())).start().await;
    (upstream, gate)
}

/// As Google's own SDK asks.
async fn google(gate: &Tollgate, what: &str, body: &Value) -> Answer {
    let url = format!("{}/v1beta/models/{what}", gate.url());
    let headers = [("x-goog-api-key", gate.master_key()), ("content-type", "application/json")];
    call("POST", &url, &headers, body.to_string()).await
}

fn hello() -> Value {
    json!({ "contents": [{ "role": "user", "parts": [{ "text": "Say hello to Bern" }] }] })
}

fn first_part(answer: &Value) -> &Value {
    &answer["candidates"][0]["content"]["parts"][0]
}

fn pieces(answer: &Answer) -> Vec<Value> {
    answer.events().iter().map(|event| serde_json::from_str(event).unwrap()).collect()
}

fn said(pieces: &[Value]) -> String {
    let parts = pieces.iter().flat_map(|it| it["candidates"][0]["content"]["parts"].as_array());
    parts.flatten().filter_map(|part| part["text"].as_str()).collect()
}

#[tokio::test]
async fn answers_over_three_dialects() {
    let (upstream, gate) = start().await;
    for model in MODELS {
        let mut body = hello();
        body["systemInstruction"] = json!({ "parts": [{ "text": "be brief" }] });
        body["generationConfig"] = json!({ "maxOutputTokens": 4, "temperature": 0.5 });
        let answer = google(&gate, &format!("{model}:generateContent"), &body).await;
        assert_eq!(answer.status, 200, "{model}: {}", answer.text());
        let answer = answer.json();
        assert_eq!(first_part(&answer)["text"], "You said: Say hello", "{model}");
        assert_eq!(answer["candidates"][0]["finishReason"], "MAX_TOKENS");
        assert_eq!(answer["candidates"][0]["content"]["role"], "model");
        assert_eq!(answer["usageMetadata"]["promptTokenCount"], 6);
        assert_eq!(answer["usageMetadata"]["candidatesTokenCount"], 4);
        assert_eq!(answer["modelVersion"], model);
    }
    let paths: Vec<String> = upstream.requests().into_iter().map(|it| it.path).collect();
    let expect =
        ["/v1beta/models/gemini-2.5-flash:generateContent", "/v1/chat/completions", "/v1/messages"];
    assert_eq!(paths, expect);
    let row = &rows(&gate, "", 3).await[0];
    assert_eq!(row["spend"], 0.014, "6 tokens in and 4 out: {row}");
}

#[tokio::test]
async fn streams_over_three_dialects_as_events_and_as_a_list() {
    let (upstream, gate) = start().await;
    for model in MODELS {
        let method = format!("{model}:streamGenerateContent");
        let events = google(&gate, &format!("{method}?alt=sse"), &hello()).await;
        assert_eq!(events.status, 200, "{}", events.text());
        assert_eq!(events.header("content-type"), "text/event-stream; charset=utf-8");
        let list = google(&gate, &method, &hello()).await;
        assert_eq!(list.header("content-type"), "application/json");
        let list = list.json().as_array().unwrap().clone();
        for pieces in [pieces(&events), list] {
            assert!(pieces.len() > 3, "{model}: {pieces:?}");
            assert_eq!(said(&pieces), "You said: Say hello to Bern");
            let last = pieces.last().unwrap();
            assert_eq!(last["candidates"][0]["finishReason"], "STOP");
            assert_eq!(last["usageMetadata"]["totalTokenCount"], 10, "{model}");
            assert!(pieces.iter().all(|piece| piece["modelVersion"] == model));
        }
    }
    let asked = upstream.requests();
    assert!(asked[..2].iter().all(|it| it.query.as_deref() == Some("alt=sse")));
}

#[tokio::test]
async fn equals_pass_byte_for_byte() {
    let (upstream, gate) = start().await;
    // Odd spelling and order survive; the model that is repeated in the body does not.
    let body = r#"{ "generation_config" : {"max_output_tokens": 3e0,"top_k":1} ,"model":"models/x",
        "contents":{"parts":{"text":"a  b"}} }"#;
    let url = format!("{}/v1/models/gemini:generateContent?key={}", gate.url(), gate.master_key());
    let answer = call("POST", &url, &[("content-type", "application/json")], body).await;
    // The upstream is strict, as Google is: three is no whole number when it is spelled so.
    assert_eq!(answer.status, 400, "{}", answer.text());
    let sent = upstream.last();
    assert_eq!(
        sent.body,
        "{ \"generation_config\" : {\"max_output_tokens\": 3e0,\"top_k\":1},\n        \
         \"contents\":{\"parts\":{\"text\":\"a  b\"}} }"
    );
    assert_eq!(sent.header("x-goog-api-key"), UPSTREAM_KEY);
    assert_eq!(sent.query, None, "the client's key goes no further");
}

#[tokio::test]
async fn keys_are_taken_where_google_takes_them() {
    let (_upstream, gate) = start().await;
    let url = format!("{}/v1beta/models/gemini:generateContent", gate.url());
    let plain = ("content-type", "application/json");
    for (url, headers) in [
        (url.clone(), vec![plain, ("x-goog-api-key", gate.master_key())]),
        (format!("{url}?key={}", gate.master_key()), vec![plain]),
        (
            url.replace("/v1beta", "/gemini/v1beta"),
            vec![plain, ("x-goog-api-key", gate.master_key())],
        ),
    ] {
        let answer = call("POST", &url, &headers, hello().to_string()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    for (url, status) in
        [(url.clone(), "UNAUTHENTICATED"), (format!("{url}?key=sk-x"), "UNAUTHENTICATED")]
    {
        let answer = call("POST", &url, &[plain], hello().to_string()).await;
        assert_eq!(answer.status, 401);
        assert_eq!(answer.json()["error"]["status"], status);
    }
}

const TOOL: &str = r#"{"name": "get_weather", "description": "The weather in a city",
    "parameters": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}, "required": ["city"]}}"#;

#[tokio::test]
async fn tools_go_round_over_four_models() {
    let (_upstream, gate) = start().await;
    let tool: Value = serde_json::from_str(TOOL).unwrap();
    for model in [MODELS.as_slice(), &["third"]].concat() {
        for method in ["generateContent", "streamGenerateContent?alt=sse"] {
            let mut body = hello();
            body["tools"] = json!([{ "functionDeclarations": [tool] }]);
            body["toolConfig"] = json!({ "functionCallingConfig": { "mode": "ANY" } });
            let answer = google(&gate, &format!("{model}:{method}"), &body).await;
            assert_eq!(answer.status, 200, "{model}: {}", answer.text());
            let content = match method {
                "generateContent" => answer.json()["candidates"][0]["content"].clone(),
                _ => pieces(&answer)[0]["candidates"][0]["content"].clone(),
            };
            let called = &content["parts"][0]["functionCall"];
            assert_eq!(called["name"], "get_weather", "{model}: {content}");
            assert_eq!(called["args"], json!({ "city": "Bern" }));
            let response = json!({ "id": called["id"], "name": "get_weather", "response": { "output": "sunny" } });
            let contents = body["contents"].as_array_mut().unwrap();
            contents.push(content);
            contents.push(json!({ "role": "user", "parts": [{ "functionResponse": response }] }));
            body.as_object_mut().unwrap().remove("toolConfig");
            let answer = google(&gate, &format!("{model}:generateContent"), &body).await;
            assert_eq!(answer.status, 200, "{model}: {}", answer.text());
            let text = first_part(&answer.json())["text"].as_str().unwrap().to_owned();
            assert!(
                text.starts_with("The tool said: ") && text.contains("sunny"),
                "{model}: {text}"
            );
        }
    }
}

/// The upstream takes a call of the third generation back only with the signature that it gave.
#[tokio::test]
async fn signatures_survive_openais_clients() {
    let (upstream, gate) = start().await;
    let parameters = json!({ "type": "object", "properties": { "city": { "type": "string" } } });
    let function = json!({ "name": "get_weather", "parameters": parameters });
    let mut body = gate::hello("third");
    body["tools"] = json!([{ "type": "function", "function": function }]);
    for stream in [false, true] {
        let mut body = body.clone();
        body["stream"] = json!(stream);
        let answer = gate::chat(&gate, gate.master_key(), &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let call = match stream {
            false => answer.json()["choices"][0]["message"]["tool_calls"][0].clone(),
            true => {
                let events = answer.events();
                let chunk: Value = serde_json::from_str(&events[0]).unwrap();
                let mut call = chunk["choices"][0]["delta"]["tool_calls"][0].clone();
                call["function"]["arguments"] = json!(r#"{"city":"hello"}"#);
                call
            }
        };
        assert!(call["extra_content"]["google"]["thought_signature"].is_string(), "{call}");
        let messages = body["messages"].as_array_mut().unwrap();
        messages.push(json!({ "role": "assistant", "content": null, "tool_calls": [call] }));
        messages.push(json!({ "role": "tool", "tool_call_id": call["id"], "content": "sunny" }));
        body["stream"] = json!(false);
        let answer = gate::chat(&gate, gate.master_key(), &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["choices"][0]["message"]["content"], "The tool said: sunny");
        let sent = upstream.last().json();
        let part = &sent["contents"][1]["parts"][0];
        assert_eq!(part["thoughtSignature"], call["extra_content"]["google"]["thought_signature"]);
    }
}

#[tokio::test]
async fn signatures_survive_responses_clients() {
    let (upstream, gate) = start().await;
    let url = format!("{}/v1/responses", gate.url());
    let parameters = json!({ "type": "object", "properties": { "city": { "type": "string" } } });
    let tool = json!({ "type": "function", "name": "get_weather", "parameters": parameters });
    for stream in [false, true] {
        let mut input = vec![json!({ "role": "user", "content": "Weather in Bern" })];
        let mut body = json!({ "model": "third", "input": input, "tools": [tool], "stream": stream,
            "store": false, "include": ["reasoning.encrypted_content"] });
        let answer = post(&url, gate.master_key(), &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let response = match stream {
            false => answer.json(),
            true => pieces(&answer).pop().unwrap()["response"].clone(),
        };
        let output = response["output"].as_array().unwrap();
        let kinds: Vec<&Value> = output.iter().map(|item| &item["type"]).collect();
        assert_eq!(kinds, ["reasoning", "function_call"], "{response}");
        input.extend(output.iter().cloned());
        input.push(json!({ "type": "function_call_output", "call_id": output[1]["call_id"],
            "output": "sunny" }));
        body["input"] = json!(input);
        body["stream"] = json!(false);
        let answer = post(&url, gate.master_key(), &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let said = &answer.json()["output"][0]["content"][0]["text"];
        assert_eq!(said, "The tool said: sunny");
        let sent = upstream.last().json();
        let signature = sent["contents"][1]["parts"][0]["thoughtSignature"].as_str().unwrap();
        let held = format!("signature:google#{signature}");
        assert_eq!(output[0]["encrypted_content"], held);
    }
}

async fn messages(gate: &Tollgate, body: &Value) -> Answer {
    let headers = [
        ("x-api-key", gate.master_key()),
        ("anthropic-version", "2023-06-01"),
        (
            "anthropic-beta",
            "interleaved-thinking-2025-05-14,fine-grained-tool-streaming-2025-05-14",
        ),
    ];
    call("POST", &format!("{}/v1/messages", gate.url()), &headers, body.to_string()).await
}

/// What a stream of Anthropic's adds up to, as its SDK adds it up.
fn blocks(answer: &Answer) -> Vec<Value> {
    let mut blocks: Vec<Value> = Vec::new();
    for event in pieces(answer) {
        match event["type"].as_str().unwrap() {
            "content_block_start" => blocks.push(event["content_block"].clone()),
            "content_block_delta" => {
                let block = blocks.last_mut().unwrap();
                let delta = &event["delta"];
                for (from, to) in
                    [("thinking", "thinking"), ("signature", "signature"), ("text", "text")]
                {
                    if let Some(text) = delta[from].as_str() {
                        block[to] = json!([block[to].as_str().unwrap(), text].concat());
                    }
                }
                if let Some(text) = delta["partial_json"].as_str().filter(|text| !text.is_empty()) {
                    block["input"] = serde_json::from_str(text).unwrap();
                }
            }
            _ => {}
        }
    }
    blocks
}

/// A coding agent's session: long system prompt in blocks with cache marks, many tools with schemas
/// of every kind, thinking, pictures, several calls at once, results that are pictures or errors.
#[tokio::test]
async fn a_coding_agent_works_on_google() {
    let (upstream, gate) = start().await;
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../fixtures/chat/coding_agent_stream/request.anthropic.json"
    );
    let mut body: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    for (model, signed) in [("gemini", false), ("third", true)] {
        body["model"] = json!(model);
        // The recorded signature is of another session; without one the call still passes.
        let turns = body["messages"].as_array_mut().unwrap();
        turns.truncate(5);
        turns[1]["content"].as_array_mut().unwrap().retain(|block| block["type"] != "thinking");
        turns.push(
            json!({ "role": "assistant", "content": [{ "type": "text", "text": "I see." }] }),
        );
        turns.push(json!({ "role": "user", "content": "Run ls" }));
        upstream.script(Reply::named("calls-2").unwrap());
        let answer = messages(&gate, &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let dropped: Vec<&str> = answer.header("x-tollgate-dropped").split(',').collect();
        let (betas, rest) = dropped.split_at(2);
        assert_eq!(rest, ["cache_control", "user"]);
        assert!(betas.iter().all(|beta| beta.starts_with("anthropic-beta: ")), "{betas:?}");
        let blocks = blocks(&answer);
        let kinds: Vec<&str> = blocks.iter().map(|block| block["type"].as_str().unwrap()).collect();
        // The thought, the signature of the call, and the calls.
        assert!(kinds.contains(&"tool_use"), "{kinds:?}");
        let marked = blocks.iter().any(|block| {
            block["signature"].as_str().is_some_and(|signature| signature.starts_with("google#"))
        });
        assert_eq!(marked, signed, "{blocks:?}");
        let results: Vec<Value> = blocks
            .iter()
            .filter(|block| block["type"] == "tool_use")
            .map(|call| json!({ "type": "tool_result", "tool_use_id": call["id"], "content": "done" }))
            .collect();
        assert_eq!(results.len(), 2, "{blocks:?}");
        let turns = body["messages"].as_array_mut().unwrap();
        turns.push(json!({ "role": "assistant", "content": blocks }));
        turns.push(json!({ "role": "user", "content": results }));
        let answer = messages(&gate, &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let sent = upstream.last().json();
        assert_eq!(sent["tools"][0]["functionDeclarations"].as_array().unwrap().len(), 3);
        assert_eq!(sent["generationConfig"]["maxOutputTokens"], 32_000);
        let part = sent["contents"].as_array().unwrap().iter().rev().nth(1).unwrap();
        assert_eq!(part["parts"][0]["thoughtSignature"].is_string(), signed, "{part}");
    }
}

#[tokio::test]
async fn a_configured_model_has_its_settings_in_googles_places() {
    let (upstream, gate) = start().await;
    let thinking = json!({ "thinkingBudget": 1024, "includeThoughts": true });
    let answer = google(&gate, "set:generateContent", &hello()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let sent = upstream.last().json();
    let expect = json!({ "temperature": 0.25, "maxOutputTokens": 50 });
    assert_eq!(sent["generationConfig"]["temperature"], expect["temperature"]);
    assert_eq!(sent["generationConfig"]["maxOutputTokens"], expect["maxOutputTokens"]);
    assert_eq!(sent["safetySettings"][0]["threshold"], "BLOCK_NONE");
    let answer = gate::chat(&gate, gate.master_key(), &gate::hello("set")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let sent = upstream.last().json();
    assert_eq!(sent["generationConfig"]["thinkingConfig"], thinking);
    assert_eq!(
        answer.json()["choices"][0]["message"]["reasoning_content"],
        "Let me think about that."
    );
    // What the client says counts for more.
    let mut own = gate::hello("set");
    own["temperature"] = json!(1);
    gate::chat(&gate, gate.master_key(), &own).await;
    assert_eq!(upstream.last().json()["generationConfig"]["temperature"], 1);
}

#[tokio::test]
async fn errors_are_googles_on_both_sides() {
    let (upstream, gate) = start().await;
    let answer = google(&gate, "nothing:generateContent", &hello()).await;
    assert_eq!(answer.status, 404);
    assert_eq!(answer.json()["error"]["status"], "NOT_FOUND");
    for model in MODELS {
        for (status, seen, word) in [
            (429, 429, "RESOURCE_EXHAUSTED"),
            (503, 502, "UNAVAILABLE"),
            (400, 400, "INVALID_ARGUMENT"),
        ] {
            upstream.script(Reply::status(status));
            let answer = google(&gate, &format!("{model}:generateContent"), &hello()).await;
            assert_eq!(answer.status, seen, "{model}: {}", answer.text());
            assert_eq!(answer.json()["error"]["status"], word, "{model}: {}", answer.text());
            assert_eq!(answer.json()["error"]["code"], seen);
        }
        let broken = ["error-event", "cut-900"];
        for (word, method) in broken.iter().flat_map(|word| {
            ["streamGenerateContent?alt=sse", "streamGenerateContent"].map(|method| (word, method))
        }) {
            upstream.script(Reply::named(word).unwrap());
            let answer = google(&gate, &format!("{model}:{method}"), &hello()).await;
            let pieces = match method.contains("sse") {
                true => pieces(&answer),
                false => answer.json().as_array().unwrap().clone(),
            };
            assert!(!said(&pieces).is_empty(), "{model} {word}: {pieces:?}");
            let last = pieces.last().unwrap();
            assert!(last["error"]["message"].is_string(), "{model} {word}: {last}");
        }
    }
    // Google's own words reach OpenAI's clients.
    upstream.script(Reply::status(429));
    let answer = gate::chat(&gate, gate.master_key(), &gate::hello("gemini")).await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.header("retry-after"), "1", "from `RetryInfo`");
    let mut wrong = hello();
    wrong["generationConfig"] = json!({ "speed": 1 });
    let answer = google(&gate, "gemini:generateContent", &wrong).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("Unknown name \\\"speed\\\""), "{}", answer.text());
    let answer = google(&gate, "claude:generateContent", &wrong).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("generationConfig.speed"), "{}", answer.text());
}

#[tokio::test]
async fn models_are_listed_in_googles_spelling() {
    let (_upstream, gate) = start().await;
    let url = format!("{}/v1beta/models", gate.url());
    let headers = [("x-goog-api-key", gate.master_key())];
    let page = call("GET", &format!("{url}?pageSize=2"), &headers, "").await.json();
    assert_eq!(page["models"].as_array().unwrap().len(), 2, "{page}");
    let token = page["nextPageToken"].as_str().unwrap();
    let rest = format!("{url}?pageToken={token}&key={}", gate.master_key());
    let next = call("GET", &rest, &[], "").await.json();
    let names: Vec<&Value> = [&page, &next]
        .iter()
        .flat_map(|page| page["models"].as_array().unwrap())
        .map(|model| &model["name"])
        .collect();
    for model in MODELS {
        let name = json!(format!("models/{model}"));
        assert_eq!(names.iter().filter(|other| ***other == name).count(), 1, "{names:?}");
    }
    let one = call("GET", &format!("{url}/gemini"), &headers, "").await.json();
    assert_eq!(one["supportedGenerationMethods"][0], "generateContent", "{one}");
    let none = call("GET", &format!("{url}/nothing"), &headers, "").await;
    assert_eq!(none.json()["error"]["status"], "NOT_FOUND");
    let nobody = call("GET", &url, &[], "").await;
    assert_eq!(nobody.json()["error"]["status"], "UNAUTHENTICATED");
}

#[tokio::test]
async fn tokens_are_counted_by_whoever_can() {
    let (upstream, gate) = start().await;
    let mut whole = hello();
    whole["model"] = json!("models/gemini");
    whole["systemInstruction"] = json!({ "parts": [{ "text": "be brief" }] });
    for (model, body, tokens) in [
        ("gemini", hello(), 4),
        ("gemini", json!({ "generateContentRequest": whole }), 6),
        ("claude", json!({ "generateContentRequest": whole }), 6),
    ] {
        let answer = google(&gate, &format!("{model}:countTokens"), &body).await;
        assert_eq!(answer.status, 200, "{model}: {}", answer.text());
        assert_eq!(answer.json(), json!({ "totalTokens": tokens }), "{model}");
        assert_eq!(answer.header("x-tollgate-tokenizer"), "");
    }
    let answer = google(&gate, "gpt:countTokens", &hello()).await;
    assert_eq!(answer.header("x-tollgate-tokenizer"), "estimate");
    assert!(answer.json()["totalTokens"].as_u64().unwrap() > 3);
    let body = json!({ "model": "gemini", "system": "be brief",
        "messages": [{ "role": "user", "content": "Say hello to Bern" }] });
    let url = format!("{}/v1/messages/count_tokens", gate.url());
    let answer = post(&url, gate.master_key(), &body).await;
    assert_eq!(answer.json(), json!({ "input_tokens": 6 }), "{}", answer.text());
    assert_eq!(upstream.last().path, "/v1beta/models/gemini-2.5-flash:countTokens");
}
