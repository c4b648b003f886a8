//! F01 to F04 and F19: what an upstream's status leads to.

use std::time::Duration;

use tollgate_testkit::{
    canary::Canary,
    evil::{EvilUpstream, acts},
};

use crate::rig::{ERROR, KEY, OK, Rig, whole};

fn limited(retry_after: &str) -> Vec<tollgate_testkit::evil::Step> {
    let body = r#"{"error":{"message":"slow down"}}"#;
    acts::answer(format!(
        "HTTP/1.1 429 Too Many Requests\r\nretry-after: {retry_after}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    ))
}

fn fails(status: &str) -> Vec<tollgate_testkit::evil::Step> {
    acts::answer(acts::whole(status, "application/json", ERROR))
}

fn answers() -> Vec<tollgate_testkit::evil::Step> {
    acts::answer(acts::whole("200 OK", "application/json", OK))
}

#[tokio::test]
async fn f01_a_rate_limited_target_is_left_for_the_next_and_cools() {
    let (a, b) = (EvilUpstream::start(limited("7")).await, EvilUpstream::start(answers()).await);
    let mut rig = Rig::new(&[a.url(), b.url()]);
    let (id, live) = rig.answered().await;
    assert_eq!((&*id, live.attempts, live.retries, live.fallbacks), ("b", 2, 1, 0));
    let (id, live) = rig.answered().await;
    assert_eq!((&*id, live.attempts), ("b", 1), "the first one cools down");
}

#[tokio::test]
async fn f01_all_rate_limited_is_429_with_the_least_retry_after() {
    let (a, b) = (EvilUpstream::start(limited("7")).await, EvilUpstream::start(limited("3")).await);
    let mut rig = Rig::new(&[a.url(), b.url()]);
    let (status, code, failed) = rig.refused().await;
    assert_eq!((status, &*code), (429, "upstream_rate_limited"));
    assert_eq!((failed.attempts, failed.refusal.retry_after_s), (2, Some(3)));
    let (status, code, failed) = rig.refused().await;
    assert_eq!((status, &*code, failed.attempts), (429, "upstream_rate_limited", 0));
    assert_eq!(failed.refusal.retry_after_s, Some(3));
}

#[tokio::test]
async fn f01_a_retry_after_that_is_too_long_is_not_waited_for() {
    let a = EvilUpstream::start(limited("3600")).await;
    let (status, _, failed) = Rig::new(&[a.url()]).refused().await;
    assert_eq!((status, failed.attempts, failed.refusal.retry_after_s), (429, 1, Some(3_600)));
}

#[tokio::test]
async fn f02_a_failing_target_is_left_for_the_next() {
    for status in ["500 No", "502 Bad Gateway", "503 Unavailable", "529 Overloaded", "408 Slow"] {
        let (a, b) =
            (EvilUpstream::start(fails(status)).await, EvilUpstream::start(answers()).await);
        let (id, live) = Rig::new(&[a.url(), b.url()]).answered().await;
        assert_eq!((&*id, live.attempts), ("b", 2), "{status}");
        assert!(whole(&live).starts_with(b"{\"id\":\"c1\""));
    }
}

#[tokio::test]
async fn f02_when_all_fail_the_answer_is_502() {
    for status in ["500 No", "502 Bad Gateway", "503 Unavailable", "504 Late", "529 Overloaded"] {
        let a = EvilUpstream::start(fails(status)).await;
        let b = EvilUpstream::start(fails(status)).await;
        let (shown, code, failed) = Rig::new(&[a.url(), b.url()]).retries(1).refused().await;
        assert_eq!((shown, &*code, failed.attempts), (502, "upstream_error", 2), "{status}");
        assert!(failed.refusal.message.contains("no such thing"));
    }
}

#[tokio::test]
async fn f02_when_all_cool_down_the_answer_is_503_without_a_call() {
    let a = EvilUpstream::start(fails("500 No")).await;
    let mut rig =
        Rig::new(&[a.url()]).retries(0).rules(|rules| rules.policy.allowed_fails = Some(0));
    assert_eq!(rig.refused().await.0, 502);
    let (status, code, failed) = rig.refused().await;
    assert_eq!((status, &*code), (503, "no_healthy_target"));
    assert_eq!((failed.attempts, failed.refusal.retry_after_s), (0, Some(5)));
    assert_eq!(a.accepted(), 1);
}

#[tokio::test]
async fn f02_the_only_target_is_asked_again_after_a_wait() {
    let a = EvilUpstream::sequence(vec![fails("500 No"), answers()]).await;
    let started = std::time::Instant::now();
    let (_, live) = Rig::new(&[a.url()]).answered().await;
    assert_eq!((live.attempts, live.retries), (2, 1));
    assert!(started.elapsed() >= Duration::from_millis(500));
}

#[tokio::test]
async fn f03_a_fault_of_the_request_is_passed_on_without_retry_or_cooldown() {
    for (line, status) in [
        ("400 Bad Request", 400),
        ("404 Not Found", 404),
        ("409 Conflict", 409),
        ("413 Too Large", 413),
        ("422 Unprocessable", 422),
    ] {
        let (a, b) = (EvilUpstream::start(fails(line)).await, EvilUpstream::start(answers()).await);
        let mut rig = Rig::new(&[a.url(), b.url()]);
        if status == 409 {
            continue; // LiteLLM retries it: see `decide`.
        }
        for _ in 0..6 {
            let (shown, _, failed) = rig.refused().await;
            assert_eq!((shown, failed.attempts), (status, 1), "{line}");
            assert_eq!(failed.refusal.message, "no such thing");
            assert_eq!(failed.refusal.error_type.as_deref(), Some("teapot_error"));
        }
        assert_eq!(b.accepted(), 0);
    }
}

#[tokio::test]
async fn f03_a_prompt_that_is_too_long_goes_to_the_larger_model() {
    let body = r#"{"error":{"message":"This model's maximum context length is 10 tokens","type":"invalid_request_error","code":"context_length_exceeded"}}"#;
    let a =
        EvilUpstream::start(acts::answer(acts::whole("400 No", "application/json", body))).await;
    let b = EvilUpstream::start(answers()).await;
    let mut rig = Rig::new(&[a.url()]).rules(|rules| {
        rules.members.push(("large".into(), crate::rig::member("large", &b.url())));
        rules.context_window_fallbacks.insert("g".into(), vec!["large".into()]);
    });
    let (id, live) = rig.answered().await;
    assert_eq!((&*id, live.fallbacks, live.retries), ("large", 1, 0));
    assert_eq!(&*live.group.name, "large");
    let shown = std::str::from_utf8(whole(&live)).unwrap();
    assert!(shown.contains(r#""model":"large""#), "the client sees who answered: {shown}");
}

#[tokio::test]
async fn f04_a_bad_credential_of_ours_is_502_and_stays_secret() {
    let body = format!(r#"{{"error":{{"message":"Incorrect key: {KEY}","code":"{KEY}"}}}}"#);
    for (line, code, shown) in [
        ("401 Unauthorized", "upstream_auth_failed", "credential"),
        ("403 Forbidden", "upstream_auth_failed", "credential"),
        ("402 Payment Required", "upstream_payment_required", "money"),
    ] {
        let act = acts::answer(acts::whole(line, "application/json", &body));
        let a = EvilUpstream::start(act).await;
        let (status, got, failed) = Rig::new(&[a.url()]).refused().await;
        assert_eq!((status, &*got, failed.attempts), (502, code, 1), "{line}");
        assert!(failed.refusal.message.contains(shown), "{}", failed.refusal.message);
    }
}

#[tokio::test]
async fn f04_a_target_with_a_bad_credential_is_left_and_cools() {
    let (a, b) = (
        EvilUpstream::start(fails("401 Unauthorized")).await,
        EvilUpstream::start(answers()).await,
    );
    let mut rig = Rig::new(&[a.url(), b.url()]);
    assert_eq!(rig.answered().await.0, "b");
    assert_eq!(rig.answered().await.1.attempts, 1);
    assert_eq!(a.accepted(), 1);
}

#[tokio::test]
async fn f19_a_redirect_is_not_followed() {
    for status in [301, 302, 303, 307, 308, 300, 304] {
        let canary = Canary::start().await;
        let a = EvilUpstream::start(acts::redirect(status, &canary.url())).await;
        let (shown, code, failed) = Rig::new(&[a.url()]).refused().await;
        assert_eq!((shown, &*code, failed.attempts), (502, "upstream_redirect", 1));
        assert_eq!(canary.connects(), 0, "{status}");
        assert!(!failed.refusal.message.contains(&canary.url()));
    }
}
