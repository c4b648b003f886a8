//! The fault matrix, F01–F24, through the real binary: what the client sees when the upstream, the
//! network or the client itself misbehaves. Each test names its fault.

use std::time::{Duration, Instant};

use serde_json::json;
use tollgate_testkit::{
    Canary, EvilUpstream, Reply, ScriptedUpstream, Tollgate, evil::acts, open, post,
};

use crate::gate::{
    UPSTREAM_KEY, assert_refused, base, binary, chat, hello, hello_streamed, key, models, rows,
    upstream, with_models,
};

async fn gate() -> (ScriptedUpstream, Tollgate) {
    let upstream = upstream(&["gpt-4o"]).await;
    let gate = with_models(&base(&upstream), &["gpt-4o"]).await;
    (upstream, gate)
}

async fn before(evil: &EvilUpstream) -> Tollgate {
    with_models(&evil.url(), &["gpt-4o"]).await
}

/// With every timeout short, so that a test need not wait for the real ones.
async fn hasty(url: &str) -> Tollgate {
    let config = models(url, &["gpt-4o"]).replace(
        "router_settings:\n",
        "tollgate:\n  connect_timeout: 0.5\n  first_byte_timeout: 0.5\n  idle_timeout: 0.5\nrouter_settings:\n",
    );
    binary().config(config).start().await
}

#[tokio::test]
async fn f01_upstream_429_is_429_with_its_retry_after() {
    let (up, gate) = gate().await;
    up.script(Reply::status(429).retry_after_s(7));
    let answer = chat(&gate, gate.master_key(), &hello("gpt-4o")).await;
    assert_refused(&answer, 429, "upstream_rate_limited");
    assert_eq!(answer.header("retry-after"), "7");
}

#[tokio::test]
async fn f02_upstream_5xx_is_502_and_another_target_is_tried_first() {
    let (up, gate) = gate().await;
    for status in [500, 502, 503, 529] {
        up.script(Reply::status(status));
        let answer = chat(&gate, gate.master_key(), &hello("gpt-4o")).await;
        assert_refused(&answer, 502, "upstream_error");
    }
    let config = models(&base(&up), &["gpt-4o"]).replace("num_retries: 0", "num_retries: 2");
    let retrying = binary().config(config).start().await;
    up.script(Reply::status(500));
    let answer = chat(&retrying, retrying.master_key(), &hello("gpt-4o")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("x-litellm-attempted-retries"), "1");
}

#[tokio::test]
async fn f02_a_fallback_answers_where_the_group_cannot() {
    let up = upstream(&["gpt-4o", "gpt-4o-mini"]).await;
    let config = models(&base(&up), &["gpt-4o", "gpt-4o-mini"]);
    let config = format!("{config}  fallbacks:\n    - gpt-4o: [gpt-4o-mini]\n");
    let gate = binary().config(config).start().await;
    up.script(Reply::status(500));
    let started = Instant::now();
    let answer = chat(&gate, gate.master_key(), &hello("gpt-4o")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(started.elapsed() < Duration::from_secs(1), "it waited: {:?}", started.elapsed());
    assert_eq!(answer.header("x-litellm-attempted-fallbacks"), "1");
    assert_eq!(up.last().json()["model"], "gpt-4o-mini");
    let found = rows(&gate, "", 1).await;
    assert_eq!(found[0]["metadata"]["tollgate"]["fallbacks"], 1);
    assert_eq!(found[0]["model"], "gpt-4o-mini");
}

#[tokio::test]
async fn f03_upstream_4xx_is_passed_on_with_its_message() {
    let (up, gate) = gate().await;
    for status in [400, 404, 422] {
        up.forget();
        up.script(Reply::status(status));
        let answer = chat(&gate, gate.master_key(), &hello("gpt-4o")).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        assert!(!answer.json()["error"]["message"].as_str().unwrap().is_empty());
        assert_eq!(up.requests().len(), 1, "a {status} was tried again");
    }
    up.script(Reply::context_window());
    let answer = chat(&gate, gate.master_key(), &hello("gpt-4o")).await;
    assert_refused(&answer, 400, "context_length_exceeded");
}

#[tokio::test]
async fn f04_a_401_for_our_credential_is_502_and_never_the_clients_401() {
    let (up, gate) = gate().await;
    for status in [401, 403] {
        up.script(Reply::status(status));
        let answer = chat(&gate, gate.master_key(), &hello("gpt-4o")).await;
        assert_refused(&answer, 502, "upstream_auth_failed");
    }
    assert!(!gate.stderr().contains(UPSTREAM_KEY));
}

#[tokio::test]
async fn f05_a_refused_connection_is_502_at_once() {
    let gate = with_models("http://127.0.0.1:9", &["gpt-4o"]).await;
    let started = Instant::now();
    let answer = chat(&gate, gate.master_key(), &hello("gpt-4o")).await;
    assert_refused(&answer, 502, "upstream_unreachable");
    assert!(started.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn f08_f09_no_answer_is_504() {
    let evil = EvilUpstream::start(acts::read_and_sleep()).await;
    let gate = hasty(&evil.url()).await;
    for body in [hello("gpt-4o"), hello_streamed("gpt-4o")] {
        let answer = chat(&gate, gate.master_key(), &body).await;
        assert_refused(&answer, 504, "upstream_timeout");
    }
    assert_eq!(evil.accepted(), 2, "a request that may have run was sent again");
}

#[tokio::test]
async fn f10_a_connection_that_closed_while_idle_is_replaced() {
    let (up, gate) = gate().await;
    assert_eq!(chat(&gate, gate.master_key(), &hello("gpt-4o")).await.status, 200);
    let body = json!({ "id": "x", "object": "chat.completion", "model": "gpt-4o", "created": 1,
        "choices": [{ "index": 0, "finish_reason": "stop", "message": { "role": "assistant", "content": "hi" } }],
        "usage": { "prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2 } });
    let whole = acts::whole("200 OK", "application/json", &body.to_string());
    let evil = EvilUpstream::start(acts::close_when_idle(whole)).await;
    let gate = before(&evil).await;
    for _ in 0..5 {
        let answer = chat(&gate, gate.master_key(), &hello("gpt-4o")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(up);
}

#[tokio::test]
async fn f11_a_cut_stream_ends_with_an_error_event_and_is_charged_so_far() {
    let (up, gate) = gate().await;
    for n in 1..=3 {
        up.script(Reply::auto().words(20).cut_at(900 + n * 41));
        let answer = chat(&gate, gate.master_key(), &hello_streamed("gpt-4o")).await;
        assert_eq!(answer.status, 200);
        assert!(!answer.broken, "the client's own connection was cut");
        let events = answer.events();
        let error =
            events.iter().find(|event| event.contains("\"error\"")).expect("an error event");
        assert!(error.contains("upstream_disconnected"), "{error}");
        let found = rows(&gate, "", n).await;
        let row = &found[n - 1];
        assert_eq!(row["metadata"]["tollgate"]["outcome"], "cut");
        assert_eq!(row["metadata"]["tollgate"]["estimated"], true);
        assert!(row["completion_tokens"].as_u64().unwrap() > 0, "{row}");
    }
}

#[tokio::test]
async fn f12_a_stalled_stream_ends_with_an_error_event() {
    let up = upstream(&["gpt-4o"]).await;
    let gate = hasty(&base(&up)).await;
    up.script(Reply::auto().words(20).stall_after(3));
    let answer = chat(&gate, gate.master_key(), &hello_streamed("gpt-4o")).await;
    assert!(answer.text().contains("upstream_idle_timeout"), "{}", answer.text());
    assert_eq!(answer.events().last().map(String::as_str), Some("[DONE]"));
}

#[tokio::test]
async fn f13_f17_garbage_is_502() {
    let (up, gate) = gate().await;
    for reply in [
        || Reply::html(),
        || Reply::raw(200, "application/json", ""),
        || Reply::raw(200, "application/json", "{\"id\": \"x\", "),
        || Reply::raw(200, "application/json", "[1, 2]"),
    ] {
        for body in [hello("gpt-4o"), hello_streamed("gpt-4o")] {
            up.script(reply());
            let answer = chat(&gate, gate.master_key(), &body).await;
            assert_refused(&answer, 502, "upstream_bad_response");
        }
    }
    for act in [
        acts::no_content(),
        acts::not_http(),
        acts::info_flood(2_000),
        acts::huge_headers(2_000_000),
    ] {
        let evil = EvilUpstream::start(act).await;
        let gate = hasty(&evil.url()).await;
        let answer = chat(&gate, gate.master_key(), &hello("gpt-4o")).await;
        assert!(answer.status == 502 || answer.status == 504, "{}", answer.text());
    }
}

#[tokio::test]
async fn f14_an_endless_line_is_cut_off_within_bounds() {
    let evil = EvilUpstream::start(acts::endless_line(64)).await;
    let gate = before(&evil).await;
    let rest = gate.rss_kib();
    let answer = chat(&gate, gate.master_key(), &hello_streamed("gpt-4o")).await;
    assert!(
        answer.status == 502 || answer.text().contains("upstream_bad_response"),
        "{}",
        answer.status
    );
    let grown = gate.rss_kib().saturating_sub(rest);
    assert!(grown < 16 * 1024, "{grown} KiB more");
}

#[tokio::test]
async fn f15_a_gzip_bomb_is_not_inflated() {
    let evil = EvilUpstream::start(acts::gzip_bomb(64)).await;
    let gate = before(&evil).await;
    let answer = chat(&gate, gate.master_key(), &hello("gpt-4o")).await;
    assert_refused(&answer, 502, "upstream_bad_response");
}

#[tokio::test]
async fn f18_mad_usage_is_never_a_credit() {
    let (up, gate) = gate().await;
    let key = key(&gate, json!({})).await;
    let mad = [
        json!({ "prompt_tokens": -5, "completion_tokens": -7, "total_tokens": -12 }),
        json!({ "prompt_tokens": "many", "completion_tokens": null }),
        json!({ "prompt_tokens": 1e300, "completion_tokens": 1 }),
        json!({ "prompt_tokens": 9_223_372_036_854_775_807u64, "completion_tokens": 1 }),
        json!("none"),
    ];
    for (n, usage) in mad.into_iter().enumerate() {
        up.script(Reply::auto().usage(usage.clone()));
        let answer = chat(&gate, &key, &hello("gpt-4o")).await;
        assert_eq!(answer.status, 200, "{usage}: {}", answer.text());
        let found = rows(&gate, "", n + 1).await;
        let row = &found[n];
        assert!(row["spend"].as_f64().unwrap() >= 0.0, "{row}");
        assert!(row["spend"].as_f64().unwrap() < 1.0e6, "{usage}: {row}");
    }
}

#[tokio::test]
async fn f19_a_redirect_is_not_followed() {
    let canary = Canary::start().await;
    let evil = EvilUpstream::start(acts::redirect(307, &canary.url())).await;
    let gate = before(&evil).await;
    let answer = chat(&gate, gate.master_key(), &hello("gpt-4o")).await;
    assert_refused(&answer, 502, "upstream_redirect");
    assert_eq!(canary.connects(), 0);
}

#[tokio::test]
async fn f20_an_error_event_in_a_stream_is_passed_on_in_the_clients_dialect() {
    let (up, gate) = gate().await;
    up.script(Reply::auto().words(5).error_event());
    let answer = chat(&gate, gate.master_key(), &hello_streamed("gpt-4o")).await;
    let events = answer.events();
    assert!(events.iter().any(|event| event.contains("\"error\"")), "{events:?}");
    assert_eq!(events.last().map(String::as_str), Some("[DONE]"));
}

#[tokio::test]
async fn f21_f22_the_upstream_is_left_when_the_client_leaves() {
    let (up, gate) = gate().await;
    let url = format!("{}/v1/chat/completions", gate.url());
    let auth = format!("Bearer {}", gate.master_key());
    let headers = [("authorization", auth.as_str())];
    let before = up.hangups();
    // Before the first byte.
    up.script(Reply::hang());
    let waiting = open("POST", &url, &headers, hello("gpt-4o").to_string());
    assert!(tokio::time::timeout(Duration::from_millis(300), waiting).await.is_err());
    // In the middle.
    up.script(Reply::auto().words(200).gap_ms(30));
    let mut stream =
        open("POST", &url, &headers, hello_streamed("gpt-4o").to_string()).await.unwrap();
    for _ in 0..5 {
        stream.chunk().await.unwrap().unwrap();
    }
    drop(stream);
    for _ in 0..100 {
        if up.hangups() >= before + 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(up.hangups(), before + 2, "the upstream went on");
    let found = rows(&gate, "", 2).await;
    for row in &found {
        assert_eq!(row["metadata"]["tollgate"]["outcome"], "aborted", "{row}");
        assert_eq!(row["metadata"]["tollgate"]["status_code"], 499, "{row}");
    }
    assert!(found.iter().any(|row| row["completion_tokens"].as_u64().unwrap() > 0), "{found:?}");
}

#[tokio::test]
async fn f23_a_client_that_stops_reading_holds_the_upstream_back() {
    let evil = EvilUpstream::start(acts::drip("data: {\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-4o\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\n", Duration::from_millis(1))).await;
    let gate = before(&evil).await;
    let rest = gate.rss_kib();
    let url = format!("{}/v1/chat/completions", gate.url());
    let auth = format!("Bearer {}", gate.master_key());
    let stream =
        open("POST", &url, &[("authorization", &auth)], hello_streamed("gpt-4o").to_string()).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(gate.rss_kib().saturating_sub(rest) < 8 * 1024);
    drop(stream);
}

#[tokio::test]
async fn f24_an_oversize_body_never_reaches_the_upstream() {
    let up = upstream(&["gpt-4o"]).await;
    let config =
        format!("{}general_settings:\n  max_request_size_mb: 1\n", models(&base(&up), &["gpt-4o"]));
    let gate = binary().config(config).start().await;
    let mut body = hello("gpt-4o");
    body["padding"] = json!("x".repeat(3_000_000));
    assert_refused(&chat(&gate, gate.master_key(), &body).await, 413, "request_too_large");
    assert!(up.requests().is_empty());
}

#[tokio::test]
async fn f31_slow_headers_are_closed_after_ten_seconds() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (_up, gate) = gate().await;
    let address = gate.url().trim_start_matches("http://").to_owned();
    let mut slow = tokio::net::TcpStream::connect(&address).await.unwrap();
    slow.write_all(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n").await.unwrap();
    let started = Instant::now();
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(15), slow.read_to_end(&mut rest)).await;
    assert!(closed.is_ok(), "it was held open");
    assert!((8..13).contains(&started.elapsed().as_secs()), "{:?}", started.elapsed());
}

#[tokio::test]
async fn no_secret_prompt_or_path_shows_in_a_log_or_an_error() {
    let (up, gate) = gate().await;
    let key = key(&gate, json!({})).await;
    let mut body = hello("gpt-4o");
    body["messages"][0]["content"] = json!("a-prompt-canary-93b1");
    let mut seen = String::new();
    for reply in [
        Reply::auto(),
        Reply::status(500),
        Reply::status(401),
        Reply::html(),
        Reply::drop_connection(),
    ] {
        up.script(reply);
        let answer = chat(&gate, &key, &body).await;
        if answer.status != 200 {
            seen.push_str(&answer.text());
        }
    }
    seen.push_str(
        &post(&format!("{}/v1/chat/completions", gate.url()), "sk-wrong-canary-1", &body)
            .await
            .text(),
    );
    seen.push_str(&gate.stderr());
    seen.push_str(&gate.stdout());
    for canary in [
        UPSTREAM_KEY,
        "a-prompt-canary-93b1",
        "sk-wrong-canary-1",
        key.as_str(),
        gate.master_key(),
        "/src/",
        "panicked",
    ] {
        assert!(!seen.contains(canary), "`{canary}` shows in: {seen}");
    }
}
