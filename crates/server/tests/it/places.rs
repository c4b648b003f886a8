//! The other places through the real binary: watsonx, Databricks, Cloudflare, Snowflake, Hugging
//! Face, and one of a user's own.

use serde_json::{Value, json};
use tollgate_testkit::{Builder, Issuer, Place, Reply, ScriptedUpstream, post, scripted::aws};

use crate::{
    azure::only,
    gate::{UPSTREAM_KEY, binary, chat, hello, hello_streamed, rows},
};

const PRICES: &str = "input_cost_per_token: 0.000001, output_cost_per_token: 0.000002";

fn with(params: &str) -> Builder {
    binary().config(format!(
        "model_list:\n- model_name: g\n  litellm_params: {{{params}, {PRICES}}}\n\
         router_settings: {{num_retries: 0}}\n"
    ))
}

/// An upstream with one path, for one credential.
async fn at(path: &str, name: &'static str, value: &str) -> ScriptedUpstream {
    let upstream = ScriptedUpstream::start().await;
    add(&upstream, path, name, value);
    upstream
}

fn add(upstream: &ScriptedUpstream, path: &str, name: &'static str, value: &str) {
    let value = value.to_owned();
    upstream.place(Place {
        path: path.to_owned(),
        own: "/v1/chat/completions",
        check: Box::new(move |asked, _| only(asked, name, &value)),
    });
}

async fn answered(gate: &tollgate_testkit::Tollgate) {
    for body in [hello("g"), hello_streamed("g")] {
        let answer = chat(gate, gate.master_key(), &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(answer.text().contains("hello"), "{}", answer.text());
    }
}

/// <https://cloud.ibm.com/apidocs/watsonx-ai#text-chat>
fn watsonx(stream: bool) -> Place {
    let verb = if stream { "chat_stream" } else { "chat" };
    Place {
        path: format!("/ml/v1/text/{verb}?version=2025-02-11"),
        own: "/v1/chat/completions",
        check: Box::new(move |asked, body| {
            only(asked, "authorization", "Bearer ibm-token-1")?;
            let fields = body.as_object_mut().ok_or((400, "expected an object".to_owned()))?;
            let model = fields.remove("model_id").ok_or((400, "model_id is missing".to_owned()))?;
            if fields.remove("project_id") != Some(json!("p-1")) {
                return Err((400, "one of project_id and space_id".to_owned()));
            }
            if fields.get("tool_choice").is_some_and(Value::is_string) {
                return Err((400, "tool_choice: expected an object".to_owned()));
            }
            if let Some(option) = fields.remove("tool_choice_option") {
                fields.insert("tool_choice".to_owned(), option);
            }
            let known = ["messages", "max_tokens", "temperature", "tools", "tool_choice"];
            if let Some(name) = fields.keys().find(|name| !known.contains(&name.as_str())) {
                return Err((400, format!("json: unknown field `{name}`")));
            }
            fields.insert("model".to_owned(), model);
            if stream {
                fields.insert("stream".to_owned(), true.into());
            }
            Ok(())
        }),
    }
}

/// As watsonx streams: events have ids and names, the last one has the usage, nothing says `[DONE]`.
const WATSONX: &str = "id: 1\nevent: message\ndata: {\"id\":\"chat-1\",\"model_id\":\"m\",\"created\":1,\"choices\":[{\"index\":0,\"finish_reason\":null,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n\
id: 2\nevent: message\ndata: {\"id\":\"chat-1\",\"model_id\":\"m\",\"created\":1,\"choices\":[{\"index\":0,\"finish_reason\":null,\"delta\":{\"content\":\"hello\"}}]}\n\n\
id: 3\nevent: message\ndata: {\"id\":\"chat-1\",\"model_id\":\"m\",\"created\":1,\"choices\":[{\"index\":0,\"finish_reason\":\"stop\",\"delta\":{\"content\":\"\"}}]}\n\n\
id: 4\nevent: message\ndata: {\"id\":\"chat-1\",\"model_id\":\"m\",\"created\":1,\"choices\":[],\"usage\":{\"completion_tokens\":4,\"prompt_tokens\":7,\"total_tokens\":11}}\n\n";

#[tokio::test]
async fn watsonx_takes_an_exchanged_key_and_a_project() {
    let (upstream, issuer) = (ScriptedUpstream::start().await, Issuer::start().await);
    upstream.place(watsonx(false));
    upstream.place(watsonx(true));
    let base = upstream.url();
    let params = format!(
        "model: watsonx/m, api_base: \"{base}\", api_key: secret of the tests, project_id: p-1"
    );
    let gate = with(&params)
        .env("WATSONX_IAM_URL", format!("{}/identity/token", issuer.url()))
        .start()
        .await;
    let mut body = hello("g");
    body["max_completion_tokens"] = json!(9);
    let answer = chat(&gate, gate.master_key(), &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(upstream.last().json()["max_tokens"], 9);
    let tool = json!({"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}});
    body["tools"] = json!([tool]);
    for (choice, option) in [
        (json!("required"), json!("required")),
        (json!({"type": "function", "function": {"name": "f"}}), Value::Null),
    ] {
        body["tool_choice"] = choice;
        let answer = chat(&gate, gate.master_key(), &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(upstream.last().json()["tool_choice_option"], option);
    }
    let tool = json!({"name": "f", "input_schema": {"type": "object", "properties": {}}});
    let asked = json!({"model": "g", "max_tokens": 9, "tools": [tool], "tool_choice": {"type": "any"}, "messages": [{"role": "user", "content": "hi"}]});
    let answer = post(&format!("{}/v1/messages", gate.url()), gate.master_key(), &asked).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(upstream.last().json()["tool_choice_option"], "required");

    upstream.script(Reply::sse(WATSONX));
    let answer = chat(&gate, gate.master_key(), &hello_streamed("g")).await;
    assert!(answer.text().contains("hello"), "{}", answer.text());
    assert_eq!(answer.events().last().map(String::as_str), Some("[DONE]"));
    upstream.script(Reply::sse(WATSONX));
    let body = json!({"model": "g", "max_tokens": 20, "stream": true, "messages": [{"role": "user", "content": "hi"}]});
    let answer = post(&format!("{}/v1/messages", gate.url()), gate.master_key(), &body).await;
    assert!(answer.text().contains("event: message_stop"), "{}", answer.text());
    let found = rows(&gate, "", 6).await;
    for row in &found[4..] {
        assert_eq!(row["completion_tokens"], 4, "{row}");
    }
}

#[tokio::test]
async fn databricks_gives_tokens_to_its_own_principals() {
    // Tokens come from where the API is.
    let issuer = Issuer::start().await;
    let base = issuer.url();
    let params = format!(
        "model: databricks/m, api_base: \"{base}\", client_id: client-1, \
         client_secret: secret of the tests"
    );
    let gate = with(&params).start().await;
    let answer = chat(&gate, gate.master_key(), &hello("g")).await;
    assert_ne!(answer.status, 401);
    let asked = issuer.asked();
    assert_eq!(asked[0].path, "/oidc/v1/token");
    assert_eq!(asked[1].path, "/serving-endpoints/chat/completions");
    assert_eq!(asked[1].header("authorization"), "Bearer databricks-token-1");

    let path = "/serving-endpoints/chat/completions";
    let upstream = at(path, "authorization", &format!("Bearer {UPSTREAM_KEY}")).await;
    let params = format!("model: databricks/m, api_base: \"{}\"", upstream.url());
    answered(&with(&params).env("DATABRICKS_TOKEN", UPSTREAM_KEY).start().await).await;
}

#[tokio::test]
async fn cloudflare_has_the_account_in_its_path() {
    let path = "/client/v4/accounts/abc/ai/v1/chat/completions";
    let upstream = at(path, "authorization", &format!("Bearer {UPSTREAM_KEY}")).await;
    upstream.add_model("@cf/meta/llama");
    let params = format!(
        "model: cloudflare/@cf/meta/llama, api_base: \"{}\", api_key: {UPSTREAM_KEY}, \
         account_id: abc",
        upstream.url()
    );
    answered(&with(&params).start().await).await;
    assert_eq!(upstream.last().json()["model"], "@cf/meta/llama");
    assert_eq!(upstream.last().json().get("account_id"), None);
}

#[tokio::test]
async fn snowflake_is_told_what_kind_of_token_it_gets() {
    let path = "/api/v2/cortex/v1/chat/completions";
    let upstream = at(path, "authorization", &format!("Bearer {UPSTREAM_KEY}")).await;
    let base = upstream.url();
    let params = format!("model: snowflake/m, api_base: \"{base}\", api_key: pat/{UPSTREAM_KEY}");
    answered(&with(&params).env("SNOWFLAKE_ACCOUNT_ID", "org-acct").start().await).await;
    let kind = "x-snowflake-authorization-token-type";
    assert_eq!(upstream.last().header(kind), "PROGRAMMATIC_ACCESS_TOKEN");

    let (upstream, issuer) = (ScriptedUpstream::start().await, Issuer::start().await);
    let params = format!("model: snowflake/m, api_base: \"{}/v1\"", upstream.url());
    let gate = with(&params)
        .env("SNOWFLAKE_ACCOUNT_ID", "org-acct")
        .env("SNOWFLAKE_USER", "me")
        .env("SNOWFLAKE_PRIVATE_KEY", issuer.pem())
        .start()
        .await;
    answered(&gate).await;
    let sent = upstream.last();
    assert_eq!(sent.header(kind), "KEYPAIR_JWT");
    let jwt = sent.header("authorization").strip_prefix("Bearer ").unwrap();
    assert_eq!(issuer.claims(jwt).expect("it is signed")["sub"], "ORG-ACCT.ME");
}

#[tokio::test]
async fn hugging_faces_router_is_told_the_provider_behind_it() {
    let path = "/v1/chat/completions";
    let upstream = at(path, "authorization", &format!("Bearer {UPSTREAM_KEY}")).await;
    upstream.add_model("deepseek-ai/DeepSeek-R1");
    let params = format!(
        "model: huggingface/deepseek-ai/DeepSeek-R1, api_base: \"{}/v1\", api_key: {UPSTREAM_KEY}",
        upstream.url()
    );
    answered(&with(&params).start().await).await;
}

#[tokio::test]
async fn a_user_writes_a_table_with_a_template() {
    let path = "/tenants/t-1/models/m/invoke?v=3";
    let upstream = at(path, "api-key", UPSTREAM_KEY).await;
    let config = format!(
        r#"
model_list:
- model_name: g
  litellm_params: {{model: corner/fast/m, api_key: {UPSTREAM_KEY}, tenant: t-1, {PRICES}}}
tollgate:
  providers:
    corner:
      url: "http://{host}/tenants/{{tenant}}"
      auth: api-key
      speaks: {{openai: ""}}
      vars: {{tenant: {{param: [tenant]}}, version: {{env: [CORNER_VERSION], default: "2"}}}}
      paths: {{openai: {{chat: "/models/{{model}}/invoke?v={{version}}"}}}}
      families: [{{models: ["fast/*"], model: "$1"}}]
"#,
        host = upstream.addr()
    );
    let gate = binary().config(config).env("CORNER_VERSION", "3").start().await;
    answered(&gate).await;
    let sent: Value = upstream.last().json();
    assert_eq!(sent.get("tenant"), None, "a variable is no field of the body: {sent}");
}

/// <https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpointWithResponseStream.html>
#[tokio::test]
async fn sagemaker_is_signed_for_and_streams_in_messages() {
    let upstream = ScriptedUpstream::start().await;
    for verb in ["invocations", "invocations-response-stream"] {
        upstream.place(Place {
            path: format!("/endpoints/{{model}}/{verb}"),
            own: "/v1/chat/completions",
            check: Box::new(|asked, _| aws::signed(asked, "sagemaker")),
        });
    }
    let params = format!(
        "model: sagemaker_chat/m, api_base: \"{}\", aws_region_name: eu-central-1, \
         aws_access_key_id: {}, aws_secret_access_key: {}",
        upstream.url(),
        aws::ACCESS_KEY,
        aws::SECRET_KEY,
    );
    let gate = with(&params).start().await;
    let answer = chat(&gate, gate.master_key(), &hello("g")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(upstream.last().path, "/endpoints/m/invocations");

    let event = |delta: Value, finish: Value| {
        json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
    };
    let text = format!(
        "data: {}\n\ndata: {}\n\ndata: [DONE]\n\n",
        event(json!({"role": "assistant", "content": "hello"}), Value::Null),
        event(json!({}), json!("stop")),
    );
    let (a, b) = text.split_at(70);
    let frames = [a, b].map(|part| aws::payload_part(part.as_bytes())).to_vec();
    upstream.script(Reply::frames(200, "application/vnd.amazon.eventstream", frames));
    let answer = chat(&gate, gate.master_key(), &hello_streamed("g")).await;
    assert!(answer.text().contains("hello"), "{}", answer.text());
    assert_eq!(answer.events().last().map(String::as_str), Some("[DONE]"));
    assert_eq!(upstream.last().path, "/endpoints/m/invocations-response-stream");
}
