//! Vertex AI through the real binary: a service account signs in, and each publisher's models are
//! where Google has them.

use std::io::Write as _;

use serde_json::{Value, json};
use tollgate_testkit::{Builder, Issuer, Place, Recorded, Reply, ScriptedUpstream, Trouble, post};

use crate::{
    azure::only,
    gate::{assert_refused, binary, chat, hello, hello_streamed},
};

const BASE: &str = "/v1/projects/project-of-the-file/locations/us-east5";
const TOKEN: &str = "Bearer google-token-1";

type Checked = Result<(), (u16, String)>;

/// Claude's body has no model, and names the version of its form.
fn claude(asked: &Recorded, body: &mut Value) -> Checked {
    only(asked, "authorization", TOKEN)?;
    let fields = body.as_object_mut().ok_or((400, "expected an object".to_owned()))?;
    if fields.contains_key("model") {
        return Err((400, "model: Extra inputs are not permitted".to_owned()));
    }
    match fields.remove("anthropic_version") {
        Some(version) if version == "vertex-2023-10-16" => Ok(()),
        other => Err((400, format!("anthropic_version: {other:?}"))),
    }
}

fn streamed(asked: &Recorded, wanted: bool) -> Checked {
    let stream = asked.json()["stream"].as_bool().unwrap_or(false);
    if stream == wanted { Ok(()) } else { Err((400, format!("`stream` is {stream}"))) }
}

async fn vertex() -> ScriptedUpstream {
    let upstream = ScriptedUpstream::start().await;
    for model in ["claude-sonnet-4@20250514", "meta/llama-4-maas", "mistral-small-2503"] {
        upstream.add_model(model);
    }
    // Before the models, one of which it would else be.
    upstream.place(Place {
        path: format!("{BASE}/publishers/anthropic/models/count-tokens:rawPredict"),
        own: "/v1/messages/count_tokens",
        check: Box::new(|asked, body| {
            only(asked, "authorization", TOKEN)?;
            if body["model"] != "claude-sonnet-4@20250514" {
                return Err((400, format!("model: {}", body["model"])));
            }
            match body.as_object_mut().and_then(|body| body.remove("anthropic_version")) {
                Some(version) if version == "vertex-2023-10-16" => Ok(()),
                other => Err((400, format!("anthropic_version: {other:?}"))),
            }
        }),
    });
    for (verb, stream) in [("rawPredict", false), ("streamRawPredict", true)] {
        upstream.place(Place {
            path: format!("{BASE}/publishers/anthropic/models/{{model}}:{verb}"),
            own: "/v1/messages",
            check: Box::new(move |asked, body| {
                streamed(asked, stream)?;
                claude(asked, body)
            }),
        });
        upstream.place(Place {
            path: format!("{BASE}/publishers/mistralai/models/{{model}}:{verb}"),
            own: "/v1/chat/completions",
            check: Box::new(move |asked, body| {
                streamed(asked, stream)?;
                only(asked, "authorization", TOKEN)?;
                match body.get("stream_options") {
                    None => Ok(()),
                    Some(_) => Err((422, "stream_options: extra_forbidden".to_owned())),
                }
            }),
        });
    }
    upstream.place(Place {
        path: format!("{BASE}/endpoints/openapi/chat/completions"),
        own: "/v1/chat/completions",
        check: Box::new(|asked, _| only(asked, "authorization", TOKEN)),
    });
    upstream
}

/// The binary with every model of Vertex AI as `vertex/<model>`.
fn with(upstream: &ScriptedUpstream, credentials: &str) -> Builder {
    binary().config(format!(
        "model_list:\n- model_name: vertex/*\n  litellm_params:\n    model: vertex_ai/*\n    \
         api_base: {}\n    vertex_location: us-east5\n    vertex_credentials: {credentials}\n    \
         input_cost_per_token: 0.000001\n    output_cost_per_token: 0.000002\n\
         router_settings: {{num_retries: 0}}\n",
        upstream.url()
    ))
}

fn quoted(file: &Value) -> String {
    format!("'{file}'")
}

#[tokio::test]
async fn claude_is_asked_in_its_own_dialect() {
    let (upstream, issuer) = (vertex().await, Issuer::start().await);
    let gate = with(&upstream, &quoted(&issuer.service_account())).start().await;
    let model = "vertex/claude-sonnet-4@20250514";
    for path in ["/v1/chat/completions", "/v1/messages"] {
        for stream in [false, true] {
            let mut body = json!({"model": model, "max_tokens": 30, "messages": [{"role": "user", "content": "hi"}]});
            if stream {
                body["stream"] = json!(true);
            }
            let url = format!("{}{path}", gate.url());
            let answer = post(&url, gate.master_key(), &body).await;
            assert_eq!(answer.status, 200, "{path} {stream}: {}", answer.text());
            assert!(answer.text().contains("hi"), "{}", answer.text());
        }
    }
    let sent = upstream.last();
    assert!(sent.path.ends_with("/claude-sonnet-4@20250514:streamRawPredict"), "{}", sent.path);
    assert_eq!(issuer.asked().len(), 1, "one token for all");
}

#[tokio::test]
async fn claude_is_counted_for_in_its_own_dialect_and_in_googles() {
    let (upstream, issuer) = (vertex().await, Issuer::start().await);
    let gate = with(&upstream, &quoted(&issuer.service_account())).start().await;
    let model = "vertex/claude-sonnet-4@20250514";
    let said = "Say hello to Bern";
    let body = json!({"model": model, "messages": [{"role": "user", "content": said}]});
    let url = format!("{}/v1/messages/count_tokens", gate.url());
    let answer = post(&url, gate.master_key(), &body).await;
    assert_eq!(answer.json(), json!({"input_tokens": 4}), "{}", answer.text());
    let body = json!({"contents": [{"role": "user", "parts": [{"text": said}]}]});
    let url = format!("{}/v1beta/models/{model}:countTokens", gate.url());
    let answer = post(&url, gate.master_key(), &body).await;
    assert_eq!(answer.json(), json!({"totalTokens": 4}), "{}", answer.text());
    assert_eq!(upstream.requests().len(), 2);
}

#[tokio::test]
async fn partners_are_at_googles_openai_endpoint_or_under_their_own_name() {
    let (upstream, issuer) = (vertex().await, Issuer::start().await);
    let gate = with(&upstream, &quoted(&issuer.service_account())).start().await;
    for body in [hello("vertex/meta/llama-4-maas"), hello_streamed("vertex/meta/llama-4-maas")] {
        let answer = chat(&gate, gate.master_key(), &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(upstream.last().json()["model"], "meta/llama-4-maas");
    }
    for body in [hello("vertex/mistral-small-2503"), hello_streamed("vertex/mistral-small-2503")] {
        let answer = chat(&gate, gate.master_key(), &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert!(upstream.last().path.ends_with("/mistral-small-2503:streamRawPredict"));
}

#[tokio::test]
async fn credentials_come_from_files_and_machines() {
    let (upstream, issuer) = (vertex().await, Issuer::start().await);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    write!(file, "{}", issuer.service_account()).unwrap();
    let path = file.path().to_str().unwrap();
    let gate = with(&upstream, path).env("GOOGLE_CLOUD_QUOTA_PROJECT", "payer").start().await;
    let answer = chat(&gate, gate.master_key(), &hello("vertex/meta/llama-4-maas")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(upstream.last().header("x-goog-user-project"), "payer");
    drop(gate);

    // No configuration at all.
    let issuer = Issuer::start().await;
    std::fs::write(path, issuer.service_account().to_string()).unwrap();
    let gate = binary()
        .env("GOOGLE_APPLICATION_CREDENTIALS", path)
        .env("VERTEXAI_LOCATION", "us-east5")
        .env("VERTEXAI_API_BASE", upstream.url())
        .start()
        .await;
    let answer = chat(&gate, gate.master_key(), &hello("vertex_ai/meta/llama-4-maas")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test]
async fn a_token_that_does_not_come_is_the_targets_fault() {
    let (upstream, issuer) = (vertex().await, Issuer::start().await);
    let gate = with(&upstream, &quoted(&issuer.service_account())).start().await;
    issuer.trouble(Trouble::Garbage);
    let answer = chat(&gate, gate.master_key(), &hello("vertex/meta/llama-4-maas")).await;
    assert_refused(&answer, 502, "upstream_bad_response");
    let answer = chat(&gate, gate.master_key(), &hello("vertex/meta/llama-4-maas")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// <https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference#response>
fn gemini(last: bool) -> String {
    json!({
        "candidates": [{
            "content": {"role": "model", "parts": [{"text": "hello"}]},
            "finishReason": if last { json!("STOP") } else { Value::Null },
        }],
        "usageMetadata": {
            "promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 7,
            "trafficType": "ON_DEMAND",
        },
        "modelVersion": "gemini-2.5-flash", "createTime": "2025-05-06T17:20:00.000000Z",
        "responseId": "r-1",
    })
    .to_string()
}

/// Gemini at Vertex AI: every content has a role, and the body is Google's.
async fn with_gemini(
    issuer: &Issuer,
    path: &str,
) -> (ScriptedUpstream, tollgate_testkit::Tollgate) {
    let upstream = ScriptedUpstream::start().await;
    for method in ["generateContent", "streamGenerateContent?alt=sse"] {
        upstream.place(Place {
            path: format!("{BASE}/{path}:{method}"),
            own: "/v1/chat/completions",
            check: Box::new(|asked, body| {
                only(asked, "authorization", TOKEN)?;
                let said = &body["contents"][0];
                if said["role"] != "user" || said["parts"][0]["text"] != "Say hello" {
                    return Err((400, format!("Please use a valid role: {body}")));
                }
                if body.get("model").is_some() || body.get("stream").is_some() {
                    return Err((400, "Invalid JSON payload received. Unknown name".to_owned()));
                }
                *body = hello("m");
                Ok(())
            }),
        });
    }
    let gate = with(&upstream, &quoted(&issuer.service_account())).start().await;
    (upstream, gate)
}

#[tokio::test]
async fn gemini_is_asked_in_its_own_dialect() {
    let issuer = Issuer::start().await;
    let path = "publishers/google/models/gemini-2.5-flash";
    let (upstream, gate) = with_gemini(&issuer, path).await;
    upstream.script(Reply::raw(200, "application/json", gemini(true)));
    let answer = chat(&gate, gate.master_key(), &hello("vertex/gemini-2.5-flash")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["choices"][0]["message"]["content"], "hello");
    assert_eq!(answer.json()["usage"]["total_tokens"], 7);

    let stream = format!("data: {}\r\n\r\ndata: {}\r\n\r\n", gemini(false), gemini(true));
    upstream.script(Reply::raw(200, "text/event-stream", stream));
    let answer = chat(&gate, gate.master_key(), &hello_streamed("vertex/gemini-2.5-flash")).await;
    assert_eq!(answer.events().last().map(String::as_str), Some("[DONE]"), "{}", answer.text());
    assert_eq!(upstream.last().query.as_deref(), Some("alt=sse"));

    // Google's own clients: the model is in our path, too.
    upstream.script(Reply::raw(200, "application/json", gemini(true)));
    let url = format!("{}/v1beta/models/vertex/gemini-2.5-flash:generateContent", gate.url());
    let body = json!({"contents": [{"role": "user", "parts": [{"text": "Say hello"}]}]});
    let answer = post(&url, gate.master_key(), &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["candidates"][0]["content"]["parts"][0]["text"], "hello");
}

#[tokio::test]
async fn a_tuned_gemini_is_at_an_endpoint_of_its_own() {
    let issuer = Issuer::start().await;
    let (upstream, gate) = with_gemini(&issuer, "endpoints/4965075652664360960").await;
    upstream.script(Reply::raw(200, "application/json", gemini(true)));
    let model = "vertex/gemini/4965075652664360960";
    let answer = chat(&gate, gate.master_key(), &hello(model)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}
