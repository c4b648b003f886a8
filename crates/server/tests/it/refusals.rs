//! "Bad input": each line has a test that names it.

use serde_json::json;
use tollgate_testkit::{ScriptedUpstream, Tollgate, get};

use crate::gate::{admin, assert_refused, base, chat, hello, key, upstream, with_models};

async fn gate() -> (ScriptedUpstream, Tollgate) {
    let upstream = upstream(&["gpt-4o", "gpt-4o-mini"]).await;
    let gate = with_models(&base(&upstream), &["gpt-4o", "gpt-4o-mini"]).await;
    (upstream, gate)
}

#[tokio::test]
async fn unknown_key_is_401() {
    let (_up, gate) = gate().await;
    assert_refused(
        &chat(&gate, "sk-nobody-has-this", &hello("gpt-4o")).await,
        401,
        "invalid_api_key",
    );
    assert_refused(&chat(&gate, "", &hello("gpt-4o")).await, 401, "invalid_api_key");
}

#[tokio::test]
async fn blocked_key_is_401_and_says_so() {
    let (_up, gate) = gate().await;
    let key = key(&gate, json!({})).await;
    assert_eq!(admin(&gate, "/key/block", &json!({ "key": key })).await.status, 200);
    let answer = chat(&gate, &key, &hello("gpt-4o")).await;
    assert_refused(&answer, 401, "blocked_api_key");
    assert!(answer.text().contains("blocked"));
    admin(&gate, "/key/unblock", &json!({ "key": key })).await;
    assert_eq!(chat(&gate, &key, &hello("gpt-4o")).await.status, 200);
}

#[tokio::test]
async fn expired_key_is_401_and_says_so() {
    let (_up, gate) = gate().await;
    let key = key(&gate, json!({ "duration": "1s" })).await;
    assert_eq!(chat(&gate, &key, &hello("gpt-4o")).await.status, 200);
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let answer = chat(&gate, &key, &hello("gpt-4o")).await;
    assert_refused(&answer, 401, "expired_api_key");
    assert!(answer.text().contains("expired"));
}

#[tokio::test]
async fn model_not_allowed_is_403() {
    let (up, gate) = gate().await;
    let key = key(&gate, json!({ "models": ["gpt-4o-mini"] })).await;
    assert_refused(&chat(&gate, &key, &hello("gpt-4o")).await, 403, "model_not_allowed");
    assert_eq!(chat(&gate, &key, &hello("gpt-4o-mini")).await.status, 200);
    assert_eq!(up.requests().len(), 1);
}

#[tokio::test]
async fn a_fallback_of_the_clients_own_must_be_allowed_too() {
    let (up, gate) = gate().await;
    let key = key(&gate, json!({ "models": ["gpt-4o-mini"] })).await;
    let mut body = hello("gpt-4o-mini");
    body["fallbacks"] = json!(["gpt-4o"]);
    let answer = chat(&gate, &key, &body).await;
    assert_refused(&answer, 403, "model_not_allowed");
    assert_eq!(answer.json()["error"]["param"], "fallbacks");
    assert!(up.requests().is_empty());
}

#[tokio::test]
async fn unknown_model_is_404_with_near_names() {
    let (_up, gate) = gate().await;
    let answer = chat(&gate, gate.master_key(), &hello("gpt-4o-mni")).await;
    assert_refused(&answer, 404, "model_not_found");
    assert!(answer.text().contains("`gpt-4o-mini`"), "{}", answer.text());
    assert_eq!(answer.json()["error"]["param"], "model");
}

#[tokio::test]
async fn bad_bodies_are_400_and_name_the_field() {
    let (up, gate) = gate().await;
    let url = format!("{}/v1/chat/completions", gate.url());
    let cases = [
        ("", None),
        ("{", None),
        ("[]", None),
        ("{\"model\":\"gpt-4o\",\"messages\":[]} x", None),
        ("{\"model\":7,\"messages\":[]}", Some("model")),
        ("{\"messages\":[]}", Some("model")),
        ("{\"model\":\"gpt-4o\"}", Some("messages")),
        ("{\"model\":\"gpt-4o\",\"messages\":\"hi\"}", Some("messages")),
        ("{\"model\":\"gpt-4o\",\"messages\":[],\"stream\":\"yes\"}", Some("stream")),
        ("{\"model\":\"gpt-4o\",\"messages\":[],\"max_tokens\":\"many\"}", Some("max_tokens")),
        ("{\"model\":\"gpt-4o\",\"model\":\"gpt-4o-mini\",\"messages\":[]}", Some("model")),
        ("{\"model\":\"gpt-4o\",\"Model\":\"gpt-4o-mini\",\"messages\":[]}", Some("model")),
        ("{\"model\":\"gpt-4o\",\"messages\":[],\"stream\":true,\"stream\":false}", Some("stream")),
    ];
    for (body, param) in cases {
        let answer = tollgate_testkit::call(
            "POST",
            &url,
            &[("authorization", &format!("Bearer {}", gate.master_key()))],
            body.to_owned(),
        )
        .await;
        assert_refused(&answer, 400, "invalid_request");
        if let Some(param) = param {
            let named = answer.json()["error"]["param"].as_str().unwrap_or_default().to_lowercase();
            assert_eq!(named, param, "{body}: {}", answer.text());
        }
    }
    assert!(up.requests().is_empty());
}

#[tokio::test]
async fn deep_json_is_400_without_a_stack_overflow() {
    let (_up, gate) = gate().await;
    let deep = "[".repeat(100_000);
    let body = format!("{{\"model\":\"gpt-4o\",\"messages\":{deep}");
    let url = format!("{}/v1/chat/completions", gate.url());
    let auth = format!("Bearer {}", gate.master_key());
    let headers = [("authorization", auth.as_str())];
    let answer = tollgate_testkit::call("POST", &url, &headers, body).await;
    assert_refused(&answer, 400, "invalid_request");
    assert_eq!(chat(&gate, gate.master_key(), &hello("gpt-4o")).await.status, 200);
}

#[tokio::test]
async fn a_body_over_the_limit_is_413() {
    let upstream = upstream(&["gpt-4o"]).await;
    let config = crate::gate::models(&base(&upstream), &["gpt-4o"]);
    let config = format!("{config}general_settings:\n  max_request_size_mb: 1\n");
    let gate = crate::gate::binary().config(config).start().await;
    let mut body = hello("gpt-4o");
    body["padding"] = json!("x".repeat(1_100_000));
    assert_refused(&chat(&gate, gate.master_key(), &body).await, 413, "request_too_large");
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn over_rpm_is_429_with_retry_after_and_the_limits_name() {
    let (_up, gate) = gate().await;
    let key = key(&gate, json!({ "rpm_limit": 2 })).await;
    // A window may end between two requests; then the count starts anew.
    let mut refused = None;
    for _ in 0..6 {
        let answer = chat(&gate, &key, &hello("gpt-4o")).await;
        if answer.status != 200 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("six requests within two windows of two");
    assert_refused(&refused, 429, "rate_limit_exceeded");
    assert!(refused.text().contains("requests"), "{}", refused.text());
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
}

#[tokio::test]
async fn over_tpm_is_429_and_names_tokens() {
    let (_up, gate) = gate().await;
    let key = key(&gate, json!({ "tpm_limit": 5 })).await;
    let mut refused = None;
    for _ in 0..6 {
        let answer = chat(&gate, &key, &hello("gpt-4o")).await;
        if answer.status != 200 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("five tokens are soon used");
    assert_refused(&refused, 429, "rate_limit_exceeded");
    assert!(refused.text().contains("Limit type: tokens"), "{}", refused.text());
}

#[tokio::test]
async fn over_parallel_is_429_and_the_place_comes_back() {
    let (up, gate) = gate().await;
    let key = key(&gate, json!({ "max_parallel_requests": 1 })).await;
    up.script(tollgate_testkit::Reply::auto().delay_ms(600));
    let body = hello("gpt-4o");
    let (first, second) = tokio::join!(chat(&gate, &key, &body), async {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        chat(&gate, &key, &body).await
    });
    assert_eq!(first.status, 200, "{}", first.text());
    assert_refused(&second, 429, "rate_limit_exceeded");
    assert!(second.text().contains("max_parallel_requests"));
    assert_eq!(chat(&gate, &key, &body).await.status, 200);
}

#[tokio::test]
async fn over_budget_is_litellms_422() {
    let (_up, gate) = gate().await;
    let key = key(&gate, json!({ "max_budget": 0.000001 })).await;
    assert_eq!(chat(&gate, &key, &hello("gpt-4o")).await.status, 200);
    let answer = chat(&gate, &key, &hello("gpt-4o")).await;
    assert_refused(&answer, 422, "budget_exceeded");
    assert_eq!(answer.json()["error"]["type"], "budget_exceeded");
    assert!(answer.text().contains("Budget has been exceeded!"), "{}", answer.text());
}

#[tokio::test]
async fn a_budget_on_a_model_without_a_price_is_refused() {
    let upstream = upstream(&["model-name"]).await;
    let gate = crate::gate::seed(&base(&upstream)).await;
    let key = key(&gate, json!({ "max_budget": 1 })).await;
    let answer = chat(&gate, &key, &hello("apertis-model")).await;
    assert_refused(&answer, 400, "unsupported_parameter");
    assert!(answer.text().contains("input_cost_per_token"), "{}", answer.text());
}

#[tokio::test]
async fn a_concurrent_race_does_not_overrun_a_budget() {
    let (up, gate) = gate().await;
    // Each answer costs more than the budget; all but the first must find it held.
    let key = key(&gate, json!({ "max_budget": 0.00001 })).await;
    (0..20).for_each(|_| up.script(tollgate_testkit::Reply::auto().delay_ms(300)));
    let mut body = hello("gpt-4o");
    body["max_tokens"] = json!(100);
    let asked = (0..20).map(|_| chat(&gate, &key, &body));
    let answers = futures_util::future::join_all(asked).await;
    let admitted = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(admitted, 1, "{:?}", answers.iter().map(|a| a.status).collect::<Vec<_>>());
}

#[tokio::test]
async fn refusals_speak_the_clients_dialect() {
    let (_up, gate) = gate().await;
    let url = format!("{}/v1/messages", gate.url());
    let body = json!({ "model": "nope", "max_tokens": 5, "messages": [{ "role": "user", "content": "hi" }] });
    let answer = tollgate_testkit::post(&url, gate.master_key(), &body).await;
    assert_eq!(answer.status, 404, "{}", answer.text());
    assert_eq!(answer.json()["type"], "error");
    assert_eq!(answer.json()["error"]["type"], "not_found_error");
}

#[tokio::test]
async fn nothing_at_a_path_is_404_and_a_wrong_method_405() {
    let (_up, gate) = gate().await;
    assert_refused(
        &get(&format!("{}/v2/nothing", gate.url()), gate.master_key()).await,
        404,
        "not_found",
    );
    let answer = get(&format!("{}/key/generate", gate.url()), gate.master_key()).await;
    assert_refused(&answer, 405, "method_not_allowed");
    let answer = get(&format!("{}/v1/chat/completions", gate.url()), gate.master_key()).await;
    assert_refused(&answer, 405, "method_not_allowed");
}
