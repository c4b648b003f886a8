//! OpenAI's and Anthropic's clients over Cohere.

use serde_json::{Value, json};
use tollgate_testkit::{Answer, Reply, ScriptedUpstream, Tollgate, post};

use crate::gate::{
    UPSTREAM_KEY, assert_refused, binary, chat, hello, hello_streamed, rows, upstream,
};

const MODEL: &str = "command-a-03-2025";

async fn gate(upstream: &ScriptedUpstream, more: &str) -> Tollgate {
    let config = format!(
        "model_list:\n  - model_name: a\n    litellm_params:\n      \
         model: cohere_chat/{MODEL}\n      api_base: {}/v2\n      api_key: {UPSTREAM_KEY}\n      \
         input_cost_per_token: 0.000001\n      output_cost_per_token: 0.000002\n{more}\
         router_settings:\n  num_retries: 0\n",
        upstream.url()
    );
    binary().config(config).start().await
}

async fn messages(gate: &Tollgate, body: &Value) -> Answer {
    post(&format!("{}/v1/messages", gate.url()), gate.master_key(), body).await
}

fn weather() -> Value {
    let schema = json!({ "type": "object", "properties": { "city": { "type": "string" } } });
    json!({ "type": "function", "function": { "name": "get_weather", "parameters": schema } })
}

#[tokio::test]
async fn both_clients_get_an_answer() {
    let upstream = upstream(&[]).await;
    let gate = gate(&upstream, "").await;
    let mut body = hello("a");
    body["top_p"] = json!(1);
    body["max_tokens"] = json!(20);
    body["stop"] = json!("END");
    let answer = chat(&gate, gate.master_key(), &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["choices"][0]["message"]["content"], "You said: Say hello");
    assert_eq!(answer.json()["model"], "a");
    let sent = upstream.last();
    assert_eq!(sent.path, "/v2/chat");
    assert_eq!(sent.header("authorization"), format!("Bearer {UPSTREAM_KEY}"));
    assert_eq!(
        sent.json(),
        json!({
            "model": MODEL, "messages": [{ "role": "user", "content": "Say hello" }],
            "max_tokens": 20, "p": 0.99, "stop_sequences": ["END"],
        })
    );
    let row = &rows(&gate, "", 1).await[0];
    assert_eq!((&row["prompt_tokens"], &row["completion_tokens"]), (&json!(2), &json!(4)));
    assert_eq!(row["spend"], 0.000_01);
    assert_eq!(row["custom_llm_provider"], "cohere_chat");

    let mut body = hello("a");
    body["max_tokens"] = json!(20);
    body["system"] = json!("Be brief.");
    let answer = messages(&gate, &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["content"][0]["text"], "You said: Say hello");
    assert_eq!(answer.json()["stop_reason"], "end_turn");
    assert_eq!(upstream.last().json()["messages"][0]["role"], "system");
}

#[tokio::test]
async fn both_clients_get_a_stream() {
    let upstream = upstream(&[]).await;
    let gate = gate(&upstream, "").await;
    upstream.script(Reply::auto().reasoning("Hm, so."));
    let answer = chat(&gate, gate.master_key(), &hello_streamed("a")).await;
    let mut events = answer.events();
    assert_eq!(events.pop().unwrap(), "[DONE]");
    let said = |name: &str| -> String {
        let deltas = events.iter().map(|event| serde_json::from_str::<Value>(event).unwrap());
        deltas.filter_map(|d| d["choices"][0]["delta"][name].as_str().map(str::to_owned)).collect()
    };
    assert_eq!(said("content"), "You said: Say hello");
    assert_eq!(said("reasoning_content"), "Hm, so.");
    let row = &rows(&gate, "", 1).await[0];
    assert_eq!(row["metadata"]["tollgate"]["estimated"], false);

    let mut body = hello_streamed("a");
    body["max_tokens"] = json!(20);
    let text = messages(&gate, &body).await.text();
    assert!(text.contains("\"text_delta\"") && text.contains("event: message_stop"), "{text}");
}

#[tokio::test]
async fn tools_go_there_and_back() {
    let upstream = upstream(&[]).await;
    let gate = gate(&upstream, "").await;
    let mut body = hello("a");
    body["tools"] = json!([weather()]);
    body["messages"][0]["content"] = json!("Weather in Paris");
    body["tool_choice"] = json!({ "type": "function", "function": { "name": "get_weather" } });
    let answer = chat(&gate, gate.master_key(), &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(upstream.last().json()["tool_choice"], "REQUIRED");
    let choice = answer.json()["choices"][0].clone();
    assert_eq!(choice["finish_reason"], "tool_calls");
    let call = &choice["message"]["tool_calls"][0];
    assert_eq!(call["function"]["arguments"], r#"{"city":"Paris"}"#);
    // What it says before the call is Cohere's plan, and goes back as one.
    assert_eq!(choice["message"]["content"], "I will call get_weather.");
    let result = json!({ "role": "tool", "tool_call_id": call["id"], "content": "sunny" });
    body["messages"].as_array_mut().unwrap().extend([choice["message"].clone(), result]);
    body["tool_choice"] = json!("none");
    let answer = chat(&gate, gate.master_key(), &body).await;
    assert_eq!(answer.json()["choices"][0]["message"]["content"], "The tool said: sunny");
    let sent = upstream.last().json();
    assert_eq!(sent["messages"][1]["tool_plan"], "I will call get_weather.");
    assert_eq!(sent["tool_choice"], "NONE");
}

#[tokio::test]
async fn what_cohere_cannot_is_refused() {
    let upstream = upstream(&[]).await;
    let gate = gate(&upstream, "").await;
    let mut body = hello("a");
    let mut other = weather();
    other["function"]["name"] = json!("get_time");
    body["tools"] = json!([weather(), other]);
    body["tool_choice"] = json!({ "type": "function", "function": { "name": "get_weather" } });
    let answer = chat(&gate, gate.master_key(), &body).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_eq!(answer.json()["error"]["param"], "tool_choice");
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn documents_are_cited_as_annotations() {
    let upstream = upstream(&[]).await;
    let gate = gate(&upstream, "").await;
    let mut body = hello("a");
    let data = json!({ "title": "Facts", "url": "https://example.com/facts" });
    body["documents"] = json!([{ "id": "doc:0", "data": data }]);
    let answer = chat(&gate, gate.master_key(), &body).await;
    let message = &answer.json()["choices"][0]["message"];
    assert_eq!(
        message["annotations"],
        json!([{ "type": "url_citation", "url_citation": {
            "start_index": 0, "end_index": 3, "title": "Facts", "url": "https://example.com/facts",
        }}])
    );
}

#[tokio::test]
async fn errors_before_and_within_a_stream() {
    let upstream = upstream(&[]).await;
    let gate = gate(&upstream, "").await;
    upstream.script(Reply::status(429));
    let answer = chat(&gate, gate.master_key(), &hello("a")).await;
    assert_eq!(answer.status, 429, "{}", answer.text());
    assert!(answer.text().contains("scripted 429"), "{}", answer.text());
    upstream.script(Reply::status(500));
    let answer = chat(&gate, gate.master_key(), &hello_streamed("a")).await;
    assert_refused(&answer, 502, "upstream_error");
    upstream.script(Reply::auto().error_event());
    let answer = chat(&gate, gate.master_key(), &hello_streamed("a")).await;
    let events = answer.events();
    assert!(events[events.len() - 2].contains("the model failed, as scripted"), "{events:?}");
    upstream.script(Reply::auto().cut_at(400));
    let answer = chat(&gate, gate.master_key(), &hello_streamed("a")).await;
    let events = answer.events();
    assert!(events[events.len() - 2].contains("\"error\""), "{events:?}");
}

async fn as_cohere(gate: &Tollgate, body: &Value) -> Answer {
    post(&format!("{}/v2/chat", gate.url()), gate.master_key(), body).await
}

/// A gateway with a model of each dialect.
async fn many(upstream: &ScriptedUpstream) -> Tollgate {
    let entry = |name: &str, model: &str, base: &str| {
        format!(
            "  - model_name: {name}\n    litellm_params:\n      model: {model}\n      \
             api_base: {}{base}\n      api_key: {UPSTREAM_KEY}\n",
            upstream.url()
        )
    };
    let config = format!(
        "model_list:\n{}{}{}{}router_settings:\n  num_retries: 0\n",
        entry("openai", "openai/gpt-4o", "/v1"),
        entry("anthropic", "anthropic/claude-sonnet-4-5", ""),
        entry("cohere", "cohere/command-a-03-2025", "/v2"),
        entry("ollama", "ollama/llama3.2", ""),
    );
    binary().config(config).start().await
}

#[tokio::test]
async fn a_cohere_client_speaks_to_every_upstream() {
    let upstream = upstream(&[]).await;
    let gate = many(&upstream).await;
    for model in ["openai", "anthropic", "cohere", "ollama"] {
        let mut body = json!({ "model": model, "max_tokens": 20, "messages": [
            { "role": "system", "content": "Be brief." },
            { "role": "user", "content": "Say hello" },
        ]});
        let answer = as_cohere(&gate, &body).await;
        assert_eq!(answer.status, 200, "{model}: {}", answer.text());
        let said = answer.json();
        assert_eq!(said["message"]["content"][0]["text"], "You said: Say hello", "{model}");
        assert_eq!(said["finish_reason"], "COMPLETE", "{model}");
        assert!(said["usage"]["tokens"]["output_tokens"].as_u64().unwrap() > 0, "{model}");
        body["stream"] = json!(true);
        let answer = as_cohere(&gate, &body).await;
        assert!(answer.header("content-type").starts_with("text/event-stream"));
        let events = answer.events();
        // Cohere's own stream passes as it is, with what follows its last event.
        let events = events.iter().filter(|event| *event != "[DONE]");
        let events: Vec<Value> = events.map(|e| serde_json::from_str(e).unwrap()).collect();
        assert_eq!(events[0]["type"], "message-start", "{model}");
        assert_eq!(events.last().unwrap()["delta"]["finish_reason"], "COMPLETE", "{model}");
        let deltas =
            events.iter().filter_map(|e| e["delta"]["message"]["content"]["text"].as_str());
        assert_eq!(deltas.collect::<String>(), "You said: Say hello", "{model}");
    }
}

#[tokio::test]
async fn a_cohere_client_calls_tools_everywhere() {
    let upstream = upstream(&[]).await;
    let gate = many(&upstream).await;
    for model in ["openai", "anthropic", "cohere", "ollama"] {
        let mut body = json!({ "model": model, "tools": [weather()], "messages": [
            { "role": "user", "content": "Weather in Paris" },
        ]});
        let said = as_cohere(&gate, &body).await.json();
        assert_eq!(said["finish_reason"], "TOOL_CALL", "{model}: {said}");
        let call = &said["message"]["tool_calls"][0];
        assert_eq!(call["function"]["arguments"], r#"{"city":"Paris"}"#, "{model}");
        let result = json!({
            "role": "tool", "tool_call_id": call["id"],
            "content": [{ "type": "text", "text": "sunny" }],
        });
        body["messages"].as_array_mut().unwrap().extend([said["message"].clone(), result]);
        let said = as_cohere(&gate, &body).await.json();
        let text = &said["message"]["content"][0]["text"];
        assert_eq!(text, "The tool said: sunny", "{model}: {said}");
    }
}

#[tokio::test]
async fn a_cohere_client_is_refused_in_its_own_words() {
    let upstream = upstream(&[]).await;
    let gate = many(&upstream).await;
    let hello =
        |model: &str| json!({ "model": model, "messages": [{ "role": "user", "content": "x" }] });
    for (path, key, body, status) in [
        ("/v2/chat", "sk-wrong", hello("openai"), 401),
        ("/cohere/v2/chat", gate.master_key(), hello("nope"), 404),
        ("/v2/chat", gate.master_key(), json!({ "model": "openai" }), 400),
    ] {
        let answer = post(&format!("{}{path}", gate.url()), key, &body).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        assert!(answer.json()["message"].is_string(), "{}", answer.text());
    }
    let mut body = hello("openai");
    body["safety_mode"] = json!("STRICT");
    let answer = as_cohere(&gate, &body).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert!(answer.text().contains("safety_mode"), "{}", answer.text());
    upstream.script(Reply::auto().error_event());
    let mut body = hello("openai");
    body["stream"] = json!(true);
    let events = as_cohere(&gate, &body).await.events();
    let last: Value = serde_json::from_str(events.last().unwrap()).unwrap();
    assert_eq!(last["delta"]["finish_reason"], "ERROR");
    assert!(last["delta"]["error"].is_string());
}

/// The prices of `cohere/…` are those of `cohere_chat/…`, LiteLLM's other name of it.
#[tokio::test]
async fn what_has_no_price_of_its_own_is_priced_by_the_catalogue() {
    let upstream = upstream(&[]).await;
    let config = format!(
        "model_list:\n  - model_name: a\n    litellm_params:\n      \
         model: cohere_chat/{MODEL}\n      api_base: {}/v2\n      api_key: {UPSTREAM_KEY}\n",
        upstream.url()
    );
    let gate = binary().config(config).start().await;
    let answer = chat(&gate, gate.master_key(), &hello("a")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    // 2 tokens in at $2.50 and 4 out at $10 a million.
    assert_eq!(rows(&gate, "", 1).await[0]["spend"], 0.000_045);
}
