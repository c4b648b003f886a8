//! Section B: the seed page, word for word.

use serde_json::json;
use tollgate_testkit::{Reply, post};

use crate::gate::{SEED, UPSTREAM_KEY, base, binary, chat, hello, hello_streamed, seed, upstream};

#[tokio::test]
async fn the_seed_file_serves_apertis() {
    let upstream = upstream(&["model-name"]).await;
    let gate = seed(&base(&upstream)).await;
    for path in ["/chat/completions", "/v1/chat/completions"] {
        let url = format!("{}{path}", gate.url());
        let answer = post(&url, gate.master_key(), &hello("apertis-model")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["model"], "apertis-model");
        let sent = upstream.last();
        assert_eq!(sent.path, "/v1/chat/completions");
        assert_eq!(sent.header("authorization"), format!("Bearer {UPSTREAM_KEY}"));
        assert_eq!(sent.json()["model"], "model-name");
    }
}

#[tokio::test]
async fn every_field_passes_through_intact() {
    let upstream = upstream(&["model-name"]).await;
    let gate = seed(&base(&upstream)).await;
    let body = json!({
        "messages": [{ "role": "user", "content": "Say “hello” \u{1F44B}" }],
        "model": "apertis-model",
        "temperature": 0.10,
        "top_p": 1.0,
        "max_completion_tokens": 17,
        "frequency_penalty": -0.5,
        "presence_penalty": 0.25,
        "stop": ["\n", "END"],
        "tools": [{ "type": "function", "function": { "name": "f", "parameters": { "type": "object", "properties": {} } } }],
        "tool_choice": "auto",
        "a_field_that_nobody_knows": { "deep": [1, 2.50, "three"] },
    });
    let answer = chat(&gate, gate.master_key(), &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let mut expected = body.clone();
    expected["model"] = json!("model-name");
    let limit = expected.as_object_mut().unwrap().remove("max_completion_tokens").unwrap();
    expected["max_tokens"] = limit;
    assert_eq!(upstream.last().json(), expected);

    let mut one_stop = hello("apertis-model");
    one_stop["stop"] = json!("END");
    assert_eq!(chat(&gate, gate.master_key(), &one_stop).await.status, 200);
    assert_eq!(upstream.last().json()["stop"], "END");
}

#[tokio::test]
async fn a_stream_arrives_chunk_by_chunk_and_as_it_was_sent() {
    let upstream = upstream(&["model-name"]).await;
    let gate = binary()
        .config(SEED.replace("apertis-model", "model-name"))
        .env("STIMA_API_KEY", UPSTREAM_KEY)
        .env("STIMA_API_BASE", base(&upstream))
        .start()
        .await;
    let mut body = hello_streamed("model-name");
    body["stream_options"] = json!({ "include_usage": true });
    upstream.script(Reply::auto().words(6).gap_ms(60));
    let through = chat(&gate, gate.master_key(), &body).await;
    upstream.script(Reply::auto().words(6));
    let direct = post(&format!("{}/chat/completions", base(&upstream)), UPSTREAM_KEY, &body).await;
    // The upstream numbers its answers; nothing else differs.
    assert_eq!(through.text(), direct.text().replace("chatcmpl-000002", "chatcmpl-000001"));
    let first = through.chunks.first().unwrap().0;
    let last = through.chunks.last().unwrap().0;
    assert!(through.chunks.len() >= 6, "{} chunks", through.chunks.len());
    assert!((last - first).as_millis() >= 200, "all came at once: {first:?} {last:?}");
}

#[tokio::test]
async fn an_aliased_stream_differs_in_its_model_alone() {
    let upstream = upstream(&["model-name"]).await;
    let gate = seed(&base(&upstream)).await;
    let mut aliased = hello_streamed("apertis-model");
    aliased["stream_options"] = json!({ "include_usage": true });
    let through = chat(&gate, gate.master_key(), &aliased).await.text();
    let mut plain = aliased.clone();
    plain["model"] = json!("model-name");
    let url = format!("{}/chat/completions", base(&upstream));
    let direct = post(&url, UPSTREAM_KEY, &plain).await.text();
    let direct = direct.replace("chatcmpl-000002", "chatcmpl-000001");
    assert_eq!(through, direct.replace("\"model-name\"", "\"apertis-model\""));
}

#[tokio::test]
async fn usage_that_the_client_did_not_ask_for_is_metered_and_hidden() {
    let upstream = upstream(&["model-name"]).await;
    let gate = seed(&base(&upstream)).await;
    let answer = chat(&gate, gate.master_key(), &hello_streamed("apertis-model")).await;
    assert_eq!(upstream.last().json()["stream_options"]["include_usage"], true);
    let events = answer.events();
    assert!(events.iter().all(|event| !event.contains("\"usage\":{")), "{events:?}");
    assert_eq!(events.last().map(String::as_str), Some("[DONE]"));
    let rows = crate::gate::rows(&gate, "", 1).await;
    assert!(rows[0]["prompt_tokens"].as_u64().unwrap() > 0, "{rows:?}");
    assert_eq!(rows[0]["metadata"]["tollgate"]["estimated"], false);
}

#[tokio::test]
async fn without_a_file_every_provider_with_a_key_is_served() {
    let upstream = upstream(&["m"]).await;
    let gate = binary()
        .env("STIMA_API_KEY", UPSTREAM_KEY)
        .env("STIMA_API_BASE", base(&upstream))
        .start()
        .await;
    let answer = chat(&gate, gate.master_key(), &hello("apertis/m")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["model"], "apertis/m");
    let none = chat(&gate, gate.master_key(), &hello("openai/gpt-4o")).await;
    assert_eq!(none.status, 404, "{}", none.text());
}

#[tokio::test]
async fn embeddings_pass() {
    let upstream = upstream(&["text-embedding-3-small"]).await;
    let gate = crate::gate::with_models(&base(&upstream), &["text-embedding-3-small"]).await;
    let body = json!({ "model": "text-embedding-3-small", "input": ["one", "two"] });
    let answer = post(&format!("{}/v1/embeddings", gate.url()), gate.master_key(), &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["data"].as_array().unwrap().len(), 2);
    let rows = crate::gate::rows(&gate, "", 1).await;
    assert_eq!(rows[0]["call_type"], "aembedding");
}
