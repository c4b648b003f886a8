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

/// Each client's dialect over each provider's: counted where the provider counts, else estimated.
#[tokio::test]
async fn every_dialect_is_counted_or_estimated() {
    let upstream = gate::upstream(&[]).await;
    upstream.add_model("gemini-2.5-flash");
    let base = upstream.url();
    let aws = "aws_region_name: us-east-1, aws_access_key_id: AKIDSCRIPTED, \
               aws_secret_access_key: scripted/secret+key";
    let entry = |name: &str, model: &str, below: &str, more: &str| {
        format!(
            "- model_name: {name}\n  litellm_params: {{model: '{model}', api_base: '{base}{below}', {more}}}\n"
        )
    };
    let key = format!("api_key: {UPSTREAM_KEY}");
    let profile = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
    let entries = [
        entry("claude", "anthropic/claude-sonnet-4-5", "", &key),
        entry("gemini", "gemini/gemini-2.5-flash", "/v1beta", &key),
        entry("bedrock", &format!("bedrock/{profile}"), "", aws),
        entry("old", "bedrock/anthropic.claude-3-haiku-20240307-v1:0", "", aws),
        entry("nova", "bedrock/amazon.nova-pro-v1:0", "", aws),
        entry("gpt", "openai/m", "/v1", &key),
        entry("cohere", "cohere/m", "/v2", &key),
        entry("ollama", "ollama/m", "", &key),
    ];
    let config = format!("model_list:\n{}router_settings: {{num_retries: 0}}\n", entries.concat());
    let gate = gate::binary().config(config).start().await;
    for (model, exact) in [
        ("claude", true),
        ("gemini", true),
        ("bedrock", true),
        ("old", false),
        ("nova", false),
        ("gpt", false),
        ("cohere", false),
        ("ollama", false),
    ] {
        let anthropic = count(&gate, gate.master_key(), &hello(model)).await;
        let url = format!("{}/v1beta/models/{model}:countTokens", gate.url());
        let contents = json!([{ "role": "user", "parts": [{ "text": "Say hello to Bern" }] }]);
        let body = json!({ "contents": contents }).to_string();
        let google = call("POST", &url, &[("x-goog-api-key", gate.master_key())], body).await;
        for (answer, field) in [(anthropic, "input_tokens"), (google, "totalTokens")] {
            assert_eq!(answer.status, 200, "{model}: {}", answer.text());
            let tokens = answer.json()[field].as_u64().unwrap();
            let how = answer.header("x-tollgate-tokenizer");
            assert_eq!(how, if exact { "" } else { "estimate" }, "{model} {field}");
            assert!(if exact { tokens == 4 } else { tokens > 3 }, "{model}: {tokens}");
        }
    }
    let asked = upstream.requests();
    let bedrock = asked.iter().find(|asked| asked.path.ends_with("/count-tokens")).unwrap();
    let name = "anthropic.claude-sonnet-4-5-20250929-v1%3A0";
    assert_eq!(
        bedrock.path,
        format!("/model/{name}/count-tokens"),
        "a profile cannot be counted for"
    );
    let told =
        json!({ "messages": [{ "role": "user", "content": [{ "text": "Say hello to Bern" }] }] });
    assert_eq!(bedrock.json(), json!({ "input": { "converse": told } }));
}

#[tokio::test]
async fn what_bedrock_finds_wrong_is_said() {
    let upstream = gate::upstream(&[]).await;
    let config = format!(
        "model_list:
- model_name: claude
  litellm_params:
    {{model: bedrock/anthropic.claude-sonnet-4-5-20250929-v1:0, api_base: '{}', aws_region_name: us-east-1,
     aws_access_key_id: AKIDSCRIPTED, aws_secret_access_key: scripted/secret+key}}
router_settings: {{num_retries: 0}}
",
        upstream.url()
    );
    let gate = gate::binary().config(config).start().await;
    let wrong = json!({ "message": "messages.0.content: too many pictures" });
    upstream.script(Reply::raw(400, "application/json", wrong.to_string()));
    let answer = count(&gate, gate.master_key(), &hello("claude")).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert!(answer.text().contains("too many pictures"), "{}", answer.text());
}
