//! `/utils/…`

use serde_json::{Value, json};
use tollgate_testkit::{Reply, Tollgate, post};

use crate::gate::{self, UPSTREAM_KEY, admin, assert_refused, look};

fn config(upstream: &str) -> String {
    format!(
        "model_list:
- model_name: claude
  litellm_params: {{model: anthropic/claude-sonnet-4-5, api_base: {upstream}, api_key: {UPSTREAM_KEY}}}
- model_name: gpt
  litellm_params:
    model: openai/m
    api_base: '{upstream}/v1'
    api_key: {UPSTREAM_KEY}
    extra_headers: {{x-team: blue, x-secret-token: {UPSTREAM_KEY}}}
    seed: 7
router_settings: {{num_retries: 0}}
"
    )
}

async fn started() -> (tollgate_testkit::ScriptedUpstream, Tollgate) {
    let upstream = gate::upstream(&[]).await;
    let gate = gate::binary().config(config(&upstream.url())).start().await;
    (upstream, gate)
}

fn hello(model: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": "Say hello to Bern" }] })
}

#[tokio::test]
async fn a_prompt_is_counted_here() {
    let (upstream, gate) = started().await;
    let count = async |body: Value| admin(&gate, "/utils/token_counter", &body).await;
    let answer = count(hello("gpt")).await.json();
    assert_eq!(
        answer,
        json!({
            "total_tokens": 11, "request_model": "gpt", "model_used": "m",
            "tokenizer_type": "estimate", "count_source": "local_estimate",
            "original_response": null, "error": false, "error_message": null, "status_code": null,
        })
    );
    let prompt = count(json!({ "model": "gpt", "prompt": "Say hello to Bern" })).await.json();
    assert_eq!(prompt["total_tokens"], 5);
    let tools = json!([{ "type": "function", "function": { "name": "weather", "parameters": { "type": "object" } } }]);
    let mut with_tools = hello("gpt");
    with_tools["tools"] = tools;
    assert!(count(with_tools).await.json()["total_tokens"].as_u64() > Some(15));
    let mut with_system = hello("claude");
    with_system["system"] = json!("Be brief.");
    assert!(count(with_system).await.json()["total_tokens"].as_u64() > Some(13));
    // A model that nobody knows is counted all the same.
    assert_eq!(count(hello("new/model")).await.json()["model_used"], "new/model");
    assert_eq!(upstream.requests().len(), 0);

    for wrong in [
        json!({ "model": "gpt" }),
        json!({ "model": "gpt", "prompt": "a", "messages": [] }),
        json!({ "messages": [] }),
        json!({ "model": "gpt", "messages": [{ "role": 1 }] }),
    ] {
        assert_refused(&count(wrong).await, 400, "invalid_request");
    }
}

#[tokio::test]
async fn a_prompt_is_counted_by_the_provider_where_it_can() {
    let (upstream, gate) = started().await;
    let count = async |body: Value| {
        admin(&gate, "/utils/token_counter?call_endpoint=true", &body).await.json()
    };
    // OpenAI's spelling to Anthropic: through the hub.
    let mut asked = hello("claude");
    asked["messages"]
        .as_array_mut()
        .unwrap()
        .insert(0, json!({ "role": "system", "content": "Be brief." }));
    let answer = count(asked).await;
    assert_eq!(answer["tokenizer_type"], "anthropic_api");
    assert_eq!(answer["total_tokens"], 6, "{answer}");
    assert_eq!(answer["original_response"], json!({ "input_tokens": 6 }));
    let sent = upstream.last();
    assert_eq!(sent.path, "/v1/messages/count_tokens");
    assert_eq!(
        sent.json(),
        json!({
            "model": "claude-sonnet-4-5",
            "system": "Be brief.",
            "messages": [{ "role": "user", "content": "Say hello to Bern" }],
        })
    );
    let openai = count(hello("gpt")).await;
    assert_eq!((&openai["tokenizer_type"], &openai["error"]), (&json!("estimate"), &json!(false)));
    upstream.script(Reply::status(500));
    let failed = count(hello("claude")).await;
    assert_eq!((&failed["error"], &failed["total_tokens"]), (&json!(true), &json!(11)), "{failed}");
    // A key asks the provider only for what it may use.
    let key = gate::key(&gate, json!({ "models": ["gpt"] })).await;
    let url = format!("{}/utils/token_counter?call_endpoint=true", gate.url());
    assert_refused(&post(&url, &key, &hello("claude")).await, 404, "model_not_found");
}

#[tokio::test]
async fn what_would_be_sent_is_shown_without_its_secrets() {
    let (upstream, gate) = started().await;
    let transform = async |call_type: &str, body: Value| {
        let ask = json!({ "call_type": call_type, "request_body": body });
        admin(&gate, "/utils/transform_request", &ask).await
    };
    let answer = transform("completion", hello("gpt")).await;
    assert!(!answer.text().contains(UPSTREAM_KEY), "{}", answer.text());
    let shown = answer.json();
    assert_eq!(shown["raw_request_api_base"], format!("{}/v1/chat/completions", upstream.url()));
    assert_eq!(shown["raw_request_body"]["model"], "m");
    assert_eq!(shown["raw_request_body"]["seed"], 7, "the configured default");
    assert_eq!(shown["raw_request_headers"]["authorization"], "Bearer ****");
    assert_eq!(shown["raw_request_headers"]["x-secret-token"], "****");
    assert_eq!(shown["raw_request_headers"]["x-team"], "blue");
    assert_eq!(shown["error"], Value::Null);

    let bridged = transform("acompletion", hello("claude")).await.json();
    assert_eq!(bridged["raw_request_api_base"], format!("{}/v1/messages", upstream.url()));
    assert_eq!(bridged["raw_request_body"]["max_tokens"], 64_000);
    assert_eq!(bridged["raw_request_headers"]["x-api-key"], "****");
    assert_eq!(bridged["dialect"], "anthropic");

    let mut messages = hello("gpt");
    messages["max_tokens"] = json!(5);
    for call_type in ["anthropic_messages", "/v1/messages"] {
        let shown = transform(call_type, messages.clone()).await.json();
        assert_eq!(shown["dialect"], "openai");
        assert_eq!(shown["raw_request_body"]["max_tokens"], 5, "{shown}");
    }
    let embedding = transform("embedding", json!({ "model": "gpt", "input": "a" })).await.json();
    assert_eq!(embedding["raw_request_api_base"], format!("{}/v1/embeddings", upstream.url()));

    // What the target cannot do is said as the request would be refused.
    let mut seeded = hello("claude");
    seeded["seed"] = json!(1);
    let refused = transform("completion", seeded).await.json();
    assert!(refused["error"].as_str().unwrap().contains("`seed` is not supported"), "{refused}");
    // What is not configured is shown by the catalogue, without a credential.
    let other = transform("completion", hello("groq/some-model")).await.json();
    assert_eq!(other["raw_request_api_base"], "https://api.groq.com/openai/v1/chat/completions");

    assert_refused(&transform("moderation", hello("gpt")).await, 400, "invalid_request");
    assert_refused(&transform("completion", json!({})).await, 400, "invalid_request");
    assert_refused(&transform("completion", hello("nothing")).await, 404, "model_not_found");
    assert_eq!(upstream.requests().len(), 0, "nothing was sent");
    let key = gate::key(&gate, json!({})).await;
    let url = format!("{}/utils/transform_request", gate.url());
    let ask = json!({ "call_type": "completion", "request_body": hello("gpt") });
    assert_refused(&post(&url, &key, &ask).await, 403, "admin_only");
}

#[tokio::test]
async fn facts_about_models_are_told() {
    let (_upstream, gate) = started().await;
    let params = async |model: &str| {
        let path = format!("/utils/supported_openai_params?model={model}");
        look(&gate, &path).await.json()["supported_openai_params"].clone()
    };
    let gpt = params("gpt").await;
    let claude = params("claude").await;
    assert!(gpt.as_array().unwrap().contains(&json!("seed")));
    assert!(!claude.as_array().unwrap().contains(&json!("seed")));
    assert_eq!(params("anthropic/claude-sonnet-4-5").await, claude);
    let info = look(&gate, "/utils/model_info?model=claude-sonnet-4-5").await.json();
    assert_eq!(info["custom_llm_provider"], "anthropic");
    assert_eq!(info["model_info"]["input_cost_per_token"], 0.000_003);
    assert_eq!(info["model_info"]["key"], "anthropic/claude-sonnet-4-5");
    let none = look(&gate, "/utils/model_info?model=nobody-knows").await;
    assert_refused(&none, 404, "model_not_found");
}

/// What a target cannot do and what is dropped on purpose is named in the header, of a whole
/// answer and of a stream, relayed or translated.
#[tokio::test]
async fn what_was_dropped_is_named() {
    let upstream = gate::upstream(&[]).await;
    let url = upstream.url();
    let config = format!(
        "model_list:
- model_name: claude
  litellm_params: {{model: anthropic/claude-sonnet-4-5, api_base: {url}, api_key: {UPSTREAM_KEY}, drop_params: true}}
- model_name: gpt
  litellm_params: {{model: openai/m, api_base: '{url}/v1', api_key: {UPSTREAM_KEY}, additional_drop_params: [seed, 'tools[*].function.strict']}}
"
    );
    let gate = gate::binary().config(config).start().await;
    for (model, stream) in [("claude", false), ("claude", true), ("gpt", false), ("gpt", true)] {
        let mut body = hello(model);
        body["seed"] = json!(7);
        body["stream"] = json!(stream);
        body["max_tokens"] = json!(9);
        let answer = gate::chat(&gate, gate.master_key(), &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("x-tollgate-dropped"), "seed", "{model} {stream}");
        assert!(upstream.last().json().get("seed").is_none());
        body["additional_drop_params"] = json!(["max_tokens"]);
        body["drop_params"] = json!(false);
        let answer = gate::chat(&gate, gate.master_key(), &body).await;
        if model == "claude" {
            assert_refused(&answer, 400, "unsupported_parameter");
        } else {
            assert_eq!(answer.header("x-tollgate-dropped"), "seed,max_tokens");
            assert!(upstream.last().json().get("max_tokens").is_none());
        }
    }
}
