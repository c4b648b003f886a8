//! Azure OpenAI and Foundry through the real binary, against an upstream that looks at path, query
//! and headers as strictly as Azure.

use serde_json::{Value, json};
use tollgate_testkit::{
    Builder, Issuer, Place, Recorded, Reply, ScriptedUpstream, Tollgate, Trouble, call, post,
};

use crate::{
    gate::{UPSTREAM_KEY, assert_refused, binary, chat, hello, hello_streamed, rows},
    lifecycle::wait_for,
};

const VERSION: &str = "2024-10-21";
const PRICES: &str = "input_cost_per_token: 0.000001, output_cost_per_token: 0.000002";

/// Exactly one credential: this one.
pub(crate) fn only(asked: &Recorded, name: &str, value: &str) -> Result<(), (u16, String)> {
    let all = ["authorization", "api-key", "x-api-key", "x-goog-api-key"];
    let others = all.iter().any(|other| *other != name && asked.headers.contains_key(*other));
    if others || asked.header(name) != value {
        return Err((401, format!("expected `{name}: {value}` alone, got {:?}", asked.headers)));
    }
    Ok(())
}

/// Azure OpenAI with deployments, for this credential.
async fn azure(name: &'static str, value: &str) -> ScriptedUpstream {
    let upstream = ScriptedUpstream::start().await;
    for model in ["my-gpt", "my-embeddings"] {
        upstream.add_model(model);
    }
    for (path, own) in
        [("chat/completions", "/v1/chat/completions"), ("embeddings", "/v1/embeddings")]
    {
        let value = value.to_owned();
        upstream.place(Place {
            path: format!("/openai/deployments/{{model}}/{path}?api-version={VERSION}"),
            own,
            check: Box::new(move |asked, _| only(asked, name, &value)),
        });
    }
    upstream
}

/// The binary with a group `gpt` of these `litellm_params`.
fn with(params: &str) -> Builder {
    binary().config(format!(
        "model_list:\n- model_name: gpt\n  litellm_params: {{{params}, {PRICES}}}\n\
         router_settings: {{num_retries: 0}}\n"
    ))
}

fn deployment(upstream: &ScriptedUpstream, more: &str) -> String {
    format!(
        "model: azure/my-gpt, api_base: \"{}/\", api_version: \"{VERSION}\"{more}",
        upstream.url()
    )
}

async fn keyed() -> (ScriptedUpstream, Tollgate) {
    let upstream = azure("api-key", UPSTREAM_KEY).await;
    let params = deployment(&upstream, &format!(", api_key: {UPSTREAM_KEY}"));
    let gate = with(&params).start().await;
    (upstream, gate)
}

#[tokio::test]
async fn a_deployment_is_called_with_its_key() {
    let (upstream, gate) = keyed().await;
    let answer = chat(&gate, gate.master_key(), &hello("gpt")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["model"], "gpt");
    let sent = upstream.last();
    assert_eq!(sent.path, "/openai/deployments/my-gpt/chat/completions");
    assert_eq!(sent.query.as_deref(), Some("api-version=2024-10-21"));
    let streamed = chat(&gate, gate.master_key(), &hello_streamed("gpt")).await;
    assert_eq!(streamed.events().last().map(String::as_str), Some("[DONE]"));
    let found = rows(&gate, "", 2).await;
    assert_eq!(found[1]["custom_llm_provider"], "azure");
    assert!(found[1]["spend"].as_f64().unwrap() > 0.0, "{found:?}");
}

#[tokio::test]
async fn other_dialects_reach_it() {
    let (upstream, gate) = keyed().await;
    let body =
        json!({"model": "gpt", "max_tokens": 20, "messages": [{"role": "user", "content": "hi"}]});
    let answer = post(&format!("{}/v1/messages", gate.url()), gate.master_key(), &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["type"], "message");
    assert_eq!(upstream.last().path, "/openai/deployments/my-gpt/chat/completions");
}

#[tokio::test]
async fn responses_are_asked_as_such() {
    let upstream = azure("api-key", UPSTREAM_KEY).await;
    upstream.place(Place {
        path: "/openai/v1/responses".to_owned(),
        own: "/v1/responses",
        check: Box::new(|asked, _| only(asked, "api-key", UPSTREAM_KEY)),
    });
    let params = deployment(&upstream, &format!(", api_key: {UPSTREAM_KEY}"));
    let gate = with(&params).start().await;
    let url = format!("{}/v1/responses", gate.url());
    let answer = post(&url, gate.master_key(), &json!({"model": "gpt", "input": "hi"})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["object"], "response");
    assert_eq!(upstream.last().path, "/openai/v1/responses");
    assert_eq!(upstream.last().json()["model"], "my-gpt");
}

#[tokio::test]
async fn embeddings_have_a_path_of_their_own() {
    let upstream = azure("api-key", UPSTREAM_KEY).await;
    let params = deployment(&upstream, &format!(", api_key: {UPSTREAM_KEY}"));
    let gate = with(&params.replace("my-gpt", "my-embeddings")).start().await;
    let url = format!("{}/v1/embeddings", gate.url());
    let answer = post(&url, gate.master_key(), &json!({"model": "gpt", "input": "hi"})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(upstream.last().path, "/openai/deployments/my-embeddings/embeddings");
}

/// <https://learn.microsoft.com/en-us/azure/ai-foundry/openai/concepts/content-filter>
const FILTERED: &str = r#"{"error":{"message":"The response was filtered due to the prompt triggering Azure OpenAI's content management policy. Please modify your prompt and retry.","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation","content_filter_result":{"hate":{"filtered":true,"severity":"high"},"violence":{"filtered":false,"severity":"safe"}}}}}"#;

#[tokio::test]
async fn a_filtered_prompt_is_a_refusal_of_the_content() {
    let (upstream, gate) = keyed().await;
    upstream.script(Reply::raw(400, "application/json", FILTERED));
    let answer = chat(&gate, gate.master_key(), &hello("gpt")).await;
    assert_refused(&answer, 400, "content_policy_violation");
    assert!(answer.text().contains("content management policy"), "{}", answer.text());
}

/// Azure begins streams with the verdict on the prompt: no choice, no model.
const VERDICT_FIRST: &str = concat!(
    r#"data: {"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0,"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}}}]}"#,
    "\n\n",
    r#"data: {"choices":[{"content_filter_results":{},"delta":{"content":"","refusal":null,"role":"assistant"},"finish_reason":null,"index":0,"logprobs":null}],"created":1,"id":"chatcmpl-1","model":"gpt-4o-2024-11-20","object":"chat.completion.chunk","system_fingerprint":"fp"}"#,
    "\n\n",
    r#"data: {"choices":[{"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}},"delta":{"content":"Hello"},"finish_reason":null,"index":0,"logprobs":null}],"created":1,"id":"chatcmpl-1","model":"gpt-4o-2024-11-20","object":"chat.completion.chunk","system_fingerprint":"fp"}"#,
    "\n\n",
    r#"data: {"choices":[{"content_filter_results":{},"delta":{},"finish_reason":"stop","index":0,"logprobs":null}],"created":1,"id":"chatcmpl-1","model":"gpt-4o-2024-11-20","object":"chat.completion.chunk","system_fingerprint":"fp"}"#,
    "\n\n",
    r#"data: {"choices":[],"created":1,"id":"chatcmpl-1","model":"gpt-4o-2024-11-20","object":"chat.completion.chunk","usage":{"completion_tokens":3,"prompt_tokens":9,"total_tokens":12}}"#,
    "\n\ndata: [DONE]\n\n",
);

#[tokio::test]
async fn a_stream_may_begin_with_the_verdict_on_the_prompt() {
    let (upstream, gate) = keyed().await;
    upstream.script(Reply::sse(VERDICT_FIRST));
    let answer = chat(&gate, gate.master_key(), &hello_streamed("gpt")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let events = answer.events();
    let first: Value = serde_json::from_str(&events[0]).unwrap();
    assert_eq!(first["choices"], json!([]));
    assert_eq!(first["prompt_filter_results"][0]["prompt_index"], 0);
    assert!(answer.text().contains(r#""content":"Hello""#));
    assert_eq!(events.last().map(String::as_str), Some("[DONE]"));

    upstream.script(Reply::sse(VERDICT_FIRST));
    let body = json!({"model": "gpt", "max_tokens": 20, "stream": true, "messages": [{"role": "user", "content": "hi"}]});
    let answer = post(&format!("{}/v1/messages", gate.url()), gate.master_key(), &body).await;
    assert_eq!(answer.text().matches("event: message_start").count(), 1, "{}", answer.text());
    assert!(answer.text().contains(r#""text":"Hello""#), "{}", answer.text());
    assert!(answer.text().contains(r#""output_tokens":3"#), "{}", answer.text());
    let found = rows(&gate, "", 2).await;
    assert_eq!(found[1]["completion_tokens"], 3);
}

#[tokio::test]
async fn reasoning_models_get_their_own_limit() {
    let (upstream, gate) = keyed().await;
    let mut body = hello("gpt");
    body["max_tokens"] = json!(7);
    chat(&gate, gate.master_key(), &body).await;
    assert_eq!(upstream.last().json()["max_tokens"], 7);
    drop(gate);
    let params = deployment(&upstream, &format!(", api_key: {UPSTREAM_KEY}, base_model: azure/o3"));
    let gate = with(&params).start().await;
    chat(&gate, gate.master_key(), &body).await;
    let sent = upstream.last().json();
    assert_eq!((&sent["max_tokens"], &sent["max_completion_tokens"]), (&Value::Null, &json!(7)));
}

#[tokio::test]
async fn a_principal_signs_in_with_entra() {
    let issuer = Issuer::start().await;
    let upstream = azure("authorization", "Bearer entra-token-1").await;
    let who = ", tenant_id: tenant-1, client_id: client-1, client_secret: secret of the tests";
    let gate = with(&deployment(&upstream, who))
        .env("AZURE_AUTHORITY_HOST", issuer.url())
        // What the entry says counts before the environment.
        .env("AZURE_API_KEY", "another")
        .start()
        .await;
    for _ in 0..3 {
        let answer = chat(&gate, gate.master_key(), &hello("gpt")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert_eq!(issuer.asked().len(), 1);
}

#[tokio::test]
async fn a_stored_answer_is_fetched_with_a_token_too() {
    let issuer = Issuer::start().await;
    let upstream = ScriptedUpstream::start().await;
    upstream.add_model("my-gpt");
    for (path, own) in [
        ("/openai/v1/responses?api-version=preview", "/v1/responses"),
        (
            "/openai/v1/responses/resp_scripted000001?api-version=preview",
            "/v1/responses/resp_scripted000001",
        ),
        (
            "/openai/v1/responses/resp_scripted000001/input_items?api-version=preview&limit=2",
            "/v1/responses/resp_scripted000001/input_items",
        ),
    ] {
        upstream.place(Place {
            path: path.to_owned(),
            own,
            check: Box::new(|asked, _| only(asked, "authorization", "Bearer entra-token-1")),
        });
    }
    let params = format!(
        "model: azure/my-gpt, api_base: \"{}/\", api_version: preview, tenant_id: tenant-1, \
         client_id: client-1, client_secret: secret of the tests",
        upstream.url()
    );
    let gate = with(&params).env("AZURE_AUTHORITY_HOST", issuer.url()).start().await;
    let asked = json!({"model": "gpt", "input": "One"});
    let made = post(&format!("{}/v1/responses", gate.url()), gate.master_key(), &asked).await;
    assert_eq!(made.status, 200, "{}", made.text());
    let me = format!("Bearer {}", gate.master_key());
    let at = format!("{}/v1/responses/{}", gate.url(), made.json()["id"].as_str().unwrap());
    let found = call("GET", &at, &[("authorization", &me)], "").await;
    assert_eq!(found.status, 200, "{}", found.text());
    assert_eq!(found.json()["id"], made.json()["id"]);
    let items = format!("{at}/input_items?limit=2");
    let items = call("GET", &items, &[("authorization", &me)], "").await;
    assert_eq!(items.json()["object"], "list", "{}", items.text());
}

#[tokio::test]
async fn a_machine_signs_in_with_its_identity() {
    let issuer = Issuer::start().await;
    let upstream = azure("authorization", "Bearer machine-token-1").await;
    let gate = with(&deployment(&upstream, ""))
        .env("AZURE_CREDENTIAL", "ManagedIdentityCredential")
        .env("AZURE_POD_IDENTITY_AUTHORITY_HOST", issuer.url())
        .start()
        .await;
    let answer = chat(&gate, gate.master_key(), &hello("gpt")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test]
async fn entra_in_trouble_is_no_401_and_another_target_answers() {
    let issuer = Issuer::start().await;
    let upstream = azure("authorization", "Bearer entra-token-1").await;
    let who = ", tenant_id: tenant-1, client_id: client-1, client_secret: secret of the tests";
    let gate =
        with(&deployment(&upstream, who)).env("AZURE_AUTHORITY_HOST", issuer.url()).start().await;
    issuer.trouble(Trouble::Status(401));
    let answer = chat(&gate, gate.master_key(), &hello("gpt")).await;
    assert_refused(&answer, 502, "upstream_auth_failed");
    wait_for(async || gate.stderr().contains("no Entra token")).await;
    assert!(!gate.stderr().contains("secret of the tests"));
}

#[tokio::test]
async fn the_environment_alone_is_enough() {
    let upstream = ScriptedUpstream::start().await;
    upstream.add_model("my-gpt");
    upstream.place(Place {
        path: "/openai/v1/chat/completions".to_owned(),
        own: "/v1/chat/completions",
        check: Box::new(|asked, _| only(asked, "api-key", UPSTREAM_KEY)),
    });
    let gate = binary()
        .env("AZURE_API_KEY", UPSTREAM_KEY)
        .env("AZURE_API_BASE", format!("{}/openai/v1/", upstream.url()))
        .start()
        .await;
    let answer = chat(&gate, gate.master_key(), &hello("azure/my-gpt")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(upstream.last().json()["model"], "my-gpt");
}

#[tokio::test]
async fn claude_at_foundry() {
    let upstream = ScriptedUpstream::start().await;
    upstream.place(Place {
        path: "/anthropic/v1/messages".to_owned(),
        own: "/v1/messages",
        check: Box::new(|asked, _| only(asked, "x-api-key", UPSTREAM_KEY)),
    });
    let params = format!(
        "model: azure_ai/claude-sonnet-4-5, api_base: \"{}/anthropic\", api_key: {UPSTREAM_KEY}",
        upstream.url()
    );
    let gate = with(&params).start().await;
    let answer = chat(&gate, gate.master_key(), &hello("gpt")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["object"], "chat.completion");
    assert_eq!(upstream.last().header("anthropic-version"), "2023-06-01");
}
