//! OpenAI's and Anthropic's clients over Ollama.

use serde_json::{Value, json};
use tollgate_testkit::{Answer, Reply, ScriptedUpstream, Tollgate, post};

use crate::gate::{
    UPSTREAM_KEY, assert_refused, binary, chat, hello, hello_streamed, rows, upstream,
};

async fn gate(upstream: &ScriptedUpstream, more: &str) -> Tollgate {
    let config = format!(
        "model_list:\n  - model_name: a\n    litellm_params:\n      \
         model: ollama_chat/llama3.2\n      api_base: {}\n      api_key: {UPSTREAM_KEY}\n      \
         num_ctx: 8192\n      keep_alive: 10m\n      max_tokens: 50\n\
         {more}router_settings:\n  num_retries: 0\n",
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
    body["temperature"] = json!(0.5);
    body["stop"] = json!(["END"]);
    body["response_format"] = json!({ "type": "json_object" });
    let answer = chat(&gate, gate.master_key(), &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["choices"][0]["message"]["content"], "You said: Say hello");
    let sent = upstream.last();
    assert_eq!(sent.path, "/api/chat");
    assert_eq!(sent.header("authorization"), format!("Bearer {UPSTREAM_KEY}"));
    // The configuration's options are among the client's.
    assert_eq!(
        sent.json(),
        json!({
            "model": "llama3.2", "messages": [{ "role": "user", "content": "Say hello" }],
            "stream": false, "format": "json", "keep_alive": "10m",
            "options": { "temperature": 0.5, "stop": ["END"], "num_ctx": 8192, "num_predict": 50 },
        })
    );
    let row = &rows(&gate, "", 1).await[0];
    assert_eq!((&row["prompt_tokens"], &row["completion_tokens"]), (&json!(2), &json!(4)));

    let mut body = hello("a");
    body["max_tokens"] = json!(20);
    let answer = messages(&gate, &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["content"][0]["text"], "You said: Say hello");
    assert_eq!(upstream.last().json()["options"]["num_predict"], 20);
}

#[tokio::test]
async fn both_clients_get_a_stream() {
    let upstream = upstream(&[]).await;
    let gate = gate(&upstream, "").await;
    let mut body = hello_streamed("a");
    body["reasoning_effort"] = json!("low");
    upstream.script(Reply::auto().gap_ms(30));
    let answer = chat(&gate, gate.master_key(), &body).await;
    let mut events = answer.events();
    assert_eq!(events.pop().unwrap(), "[DONE]", "{}", answer.text());
    assert_eq!(upstream.last().json()["think"], "low");
    assert_eq!(upstream.last().header("accept"), "application/x-ndjson");
    let said = |name: &str| -> String {
        let deltas = events.iter().map(|event| serde_json::from_str::<Value>(event).unwrap());
        deltas.filter_map(|d| d["choices"][0]["delta"][name].as_str().map(str::to_owned)).collect()
    };
    assert_eq!(said("content"), "You said: Say hello");
    assert_eq!(said("reasoning_content"), "Let me think about that.");
    let (first, last) = (answer.chunks.first().unwrap().0, answer.chunks.last().unwrap().0);
    assert!((last - first).as_millis() >= 60, "all came at once: {first:?} {last:?}");
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
    let answer = chat(&gate, gate.master_key(), &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let choice = answer.json()["choices"][0].clone();
    assert_eq!(choice["finish_reason"], "tool_calls");
    let call = &choice["message"]["tool_calls"][0];
    assert_eq!(call["function"]["arguments"], r#"{"city":"Paris"}"#);
    let result = json!({ "role": "tool", "tool_call_id": call["id"], "content": "sunny" });
    body["messages"].as_array_mut().unwrap().extend([choice["message"].clone(), result]);
    body["stream"] = json!(true);
    let answer = chat(&gate, gate.master_key(), &body).await;
    assert!(answer.text().contains("sunny"), "{}", answer.text());
    let sent = upstream.last().json();
    assert_eq!(sent["messages"][1]["tool_calls"][0]["function"]["arguments"]["city"], "Paris");
    assert_eq!(sent["messages"][2]["tool_name"], "get_weather");
}

#[tokio::test]
async fn what_ollama_cannot_is_refused_or_named() {
    let upstream = upstream(&[]).await;
    let mut body = hello("a");
    body["tools"] = json!([weather()]);
    body["tool_choice"] = json!("required");
    let strict = gate(&upstream, "").await;
    let answer = chat(&strict, strict.master_key(), &body).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_eq!(answer.json()["error"]["param"], "tool_choice");
    assert!(upstream.requests().is_empty());
    let lenient = gate(&upstream, "litellm_settings:\n  drop_params: true\n").await;
    let answer = chat(&lenient, lenient.master_key(), &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("x-tollgate-dropped"), "tool_choice");
}

#[tokio::test]
async fn errors_before_and_within_a_stream() {
    let upstream = upstream(&[]).await;
    let gate = gate(&upstream, "").await;
    upstream.script(Reply::status(404));
    let answer = chat(&gate, gate.master_key(), &hello("a")).await;
    assert_eq!(answer.status, 404, "{}", answer.text());
    assert!(answer.text().contains("scripted 404"), "{}", answer.text());
    upstream.script(Reply::raw(
        200,
        "application/x-ndjson",
        "{\"error\":\"the model is loading\"}\n",
    ));
    let answer = chat(&gate, gate.master_key(), &hello_streamed("a")).await;
    assert_refused(&answer, 502, "upstream_error");
    upstream.script(Reply::auto().error_event());
    let answer = chat(&gate, gate.master_key(), &hello_streamed("a")).await;
    let events = answer.events();
    let last = &events[events.len() - 2];
    assert!(last.contains("an error was encountered"), "{events:?}");
    upstream.script(Reply::auto().cut_at(300));
    let answer = chat(&gate, gate.master_key(), &hello_streamed("a")).await;
    let events = answer.events();
    assert!(events[events.len() - 2].contains("\"error\""), "{events:?}");
}
