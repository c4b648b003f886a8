//! Counting tokens: by the upstream that can, else here.

use serde_json::{Value, json};
use tollgate_testkit::{Answer, Reply, Tollgate, call};

use crate::gate::{self, UPSTREAM_KEY, rows};

/// A model of Anthropic's, one of OpenAI's, and one of a place that speaks as Anthropic does and
/// does not count.
fn config(upstream: &str) -> String {
    format!(
        "model_list:
- model_name: claude
  litellm_params:
    {{model: anthropic/claude-sonnet-4-5, api_base: {upstream}, api_key: {UPSTREAM_KEY}, max_tokens: 7}}
- model_name: gpt
  litellm_params: {{model: openai/m, api_base: '{upstream}/v1', api_key: {UPSTREAM_KEY}}}
- model_name: elsewhere
  litellm_params: {{model: apertis/claude-sonnet-4-5, api_base: '{upstream}/apertis/v1', api_key: {UPSTREAM_KEY}}}
router_settings: {{num_retries: 0, fallbacks: [{{gpt: [claude]}}]}}
"
    )
}

async fn count(gate: &Tollgate, key: &str, body: &Value) -> Answer {
    let url = format!("{}/v1/messages/count_tokens", gate.url());
    let headers = [
        ("x-api-key", key),
        ("anthropic-version", "2023-06-01"),
        ("anthropic-beta", "token-counting-2024-11-01"),
    ];
    call("POST", &url, &headers, body.to_string()).await
}

fn hello(model: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": "Say hello to Bern" }] })
}

#[tokio::test]
async fn the_upstream_counts_where_it_can() {
    let upstream = gate::upstream(&[]).await;
    let gate = gate::binary().config(config(&upstream.url())).start().await;
    let body =
        r#"{"messages": [{"role": "user", "content": "Say hello to Bern"}], "model": "claude"}"#;
    let url = format!("{}/v1/messages/count_tokens", gate.url());
    let headers =
        [("x-api-key", gate.master_key()), ("anthropic-beta", "token-counting-2024-11-01")];
    let answer = call("POST", &url, &headers, body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json(), json!({ "input_tokens": 4 }), "the upstream counts words");
    assert_eq!(answer.header("x-tollgate-tokenizer"), "");
    let sent = upstream.last();
    assert_eq!(sent.path, "/v1/messages/count_tokens");
    assert_eq!(sent.header("anthropic-beta"), "token-counting-2024-11-01");
    // Byte for byte but for the model; the configured `max_tokens` would be refused there.
    assert_eq!(sent.body, body.replace("claude", "claude-sonnet-4-5"));
    let row = &rows(&gate, "", 1).await[0];
    assert_eq!(row["call_type"], "count_tokens");
    assert_eq!(row["spend"], 0.0, "{row}");
    assert_eq!(row["total_tokens"], 0, "{row}");
}

#[tokio::test]
async fn the_gateway_counts_where_nobody_can() {
    let upstream = gate::upstream(&[]).await;
    let gate = gate::binary().config(config(&upstream.url())).start().await;
    // The fallback to `claude` would count with another model's tokenizer.
    for model in ["gpt", "elsewhere"] {
        let answer = count(&gate, gate.master_key(), &hello(model)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json(), json!({ "input_tokens": 11 }));
        assert_eq!(answer.header("x-tollgate-tokenizer"), "estimate");
    }
    assert_eq!(upstream.requests().len(), 0, "nobody was asked");
}

#[tokio::test]
async fn a_count_survives_trouble_upstream_and_does_none() {
    let upstream = gate::upstream(&[]).await;
    let gate = gate::binary().config(config(&upstream.url())).start().await;
    for status in [500, 404, 401, 429] {
        upstream.script(Reply::status(status));
        let answer = count(&gate, gate.master_key(), &hello("claude")).await;
        assert_eq!(answer.status, 200, "{status}: {}", answer.text());
        assert_eq!(answer.header("x-tollgate-tokenizer"), "estimate", "{status}");
    }
    // Nothing of this cools the target down.
    let answer = count(&gate, gate.master_key(), &hello("claude")).await;
    assert_eq!(answer.json(), json!({ "input_tokens": 4 }));
}

#[tokio::test]
async fn what_is_wrong_with_the_request_is_said() {
    let upstream = gate::upstream(&[]).await;
    let gate = gate::binary().config(config(&upstream.url())).start().await;
    let mut wrong = hello("claude");
    wrong["messages"][0]["role"] = json!("nobody");
    let answer = count(&gate, gate.master_key(), &wrong).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_eq!(answer.json()["type"], "error");
    wrong["model"] = json!("gpt");
    let answer = count(&gate, gate.master_key(), &wrong).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert!(answer.text().contains("messages[0].role"), "{}", answer.text());
    let answer = count(&gate, gate.master_key(), &json!({ "model": "gpt" })).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    let answer = count(&gate, gate.master_key(), &hello("nothing")).await;
    assert_eq!(answer.status, 404, "{}", answer.text());
}

/// A key's models hold for counts too, a spent budget does too, and a price nobody knows does not
/// matter.
#[tokio::test]
async fn a_count_obeys_the_key() {
    let upstream = gate::upstream(&[]).await;
    let gate = gate::binary().config(config(&upstream.url())).start().await;
    let key = gate::key(&gate, json!({ "models": ["gpt"], "max_budget": 1.0 })).await;
    assert_eq!(count(&gate, &key, &hello("gpt")).await.status, 200);
    assert_eq!(count(&gate, &key, &hello("claude")).await.status, 403);
}
