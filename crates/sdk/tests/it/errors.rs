//! Failures, under LiteLLM's class names.

use std::time::Duration;

use tollgate::{Error, Tollgate, user};
use tollgate_testkit::{Reply, ScriptedUpstream};

use crate::client;

/// The error for this reply, whole and streamed, without retries.
async fn error(reply: Reply) -> Error {
    let upstream = ScriptedUpstream::start().await;
    let ask = || client(&upstream).completion("apertis/m", [user("hi")]).num_retries(0);
    upstream.script(reply.clone());
    let whole = ask().await.unwrap_err();
    upstream.script(reply);
    let streamed = ask().stream().await.unwrap_err();
    assert_eq!(std::mem::discriminant(&whole), std::mem::discriminant(&streamed), "{streamed}");
    assert_eq!(whole.provider(), "apertis");
    assert_eq!(whole.model(), "m");
    whole
}

#[tokio::test]
async fn statuses_have_their_classes() {
    for (status, class) in [
        (400, "BadRequestError"),
        (401, "AuthenticationError"),
        (402, "PaymentRequiredError"),
        (403, "PermissionDeniedError"),
        (404, "NotFoundError"),
        (408, "Timeout"),
        (409, "APIError"),
        (422, "UnprocessableEntityError"),
        (429, "RateLimitError"),
        (500, "InternalServerError"),
        (502, "BadGatewayError"),
        (503, "ServiceUnavailableError"),
        (529, "ServiceUnavailableError"),
    ] {
        let error = error(Reply::status(status)).await;
        assert_eq!(error.status(), status, "{error}");
        assert!(error.to_string().starts_with(&format!("{class}: apertis: ")), "{status}: {error}");
        assert!(!error.message().is_empty());
    }
}

#[tokio::test]
async fn a_rate_limit_says_when_to_try_again() {
    let error = error(Reply::status(429).retry_after_s(7)).await;
    assert!(matches!(error, Error::RateLimitError(_)));
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
}

#[tokio::test]
async fn what_the_message_means_decides() {
    let long = error(Reply::context_window()).await;
    assert!(matches!(long, Error::ContextWindowExceededError(_)), "{long}");
    let refused = error(Reply::content_policy()).await;
    assert!(matches!(refused, Error::ContentPolicyViolationError(_)), "{refused}");
}

#[tokio::test]
async fn broken_answers_and_connections_are_told_apart() {
    let html = error(Reply::html()).await;
    assert!(matches!(html, Error::APIResponseValidationError(_)), "{html}");
    let dropped = error(Reply::drop_connection()).await;
    assert!(matches!(dropped, Error::APIConnectionError(_)), "{dropped}");
}

#[tokio::test]
async fn nobody_there_is_a_connection_error() {
    let gone = ScriptedUpstream::start().await;
    let client = client(&gone);
    drop(gone);
    let error = client.completion("apertis/m", [user("hi")]).num_retries(0).await.unwrap_err();
    assert!(matches!(error, Error::APIConnectionError(_)), "{error}");
}

#[tokio::test]
async fn patience_ends() {
    let upstream = ScriptedUpstream::start().await;
    upstream.script(Reply::hang());
    let error = client(&upstream)
        .completion("apertis/m", [user("hi")])
        .timeout(Duration::from_millis(50))
        .num_retries(0)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Timeout(_)), "{error}");
    assert_eq!(error.status(), 408);
}

#[tokio::test]
async fn failures_that_may_pass_are_tried_again() {
    let upstream = ScriptedUpstream::start().await;
    upstream.script(Reply::status(503));
    upstream.script(Reply::status(500));
    let answer = client(&upstream).completion("apertis/m", [user("hi")]).await.unwrap();
    assert_eq!(answer.route.attempts, 3);

    upstream.forget();
    upstream.script(Reply::status(400));
    let error = client(&upstream).completion("apertis/m", [user("hi")]).await.unwrap_err();
    assert_eq!(error.details().attempts, 1);
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn another_model_stands_in() {
    let upstream = ScriptedUpstream::start().await;
    upstream.script(Reply::status(500));
    let answer = client(&upstream)
        .completion("apertis/m", [user("hi")])
        .num_retries(0)
        .fallbacks(["apertis/m2"])
        .await
        .unwrap();
    assert_eq!(answer.route.model, "m2");
    assert_eq!(answer.model, "m2");
    assert_eq!(answer.route.fallbacks, 1);
    assert_eq!(upstream.last().json()["model"], "m2");
}

#[tokio::test]
async fn a_longer_model_takes_a_prompt_that_is_too_long() {
    let upstream = ScriptedUpstream::start().await;
    upstream.script(Reply::context_window());
    let answer = client(&upstream)
        .completion("apertis/m", [user("hi")])
        .fallbacks(["apertis/m2"])
        .context_window_fallbacks(["apertis/m3"])
        .await
        .unwrap();
    assert_eq!(answer.model, "m3");
}

#[tokio::test]
async fn mistakes_are_found_before_anybody_is_asked() {
    let client = Tollgate::builder().env(|_| None).build();
    let unknown = client.completion("no-such-model", [user("hi")]).await.unwrap_err();
    assert!(matches!(unknown, Error::BadRequestError(_)));
    assert!(unknown.message().starts_with("LLM Provider NOT provided."), "{unknown}");
    let keyless = client.completion("apertis/m", [user("hi")]).await.unwrap_err();
    assert!(matches!(keyless, Error::AuthenticationError(_)));
    assert!(keyless.message().contains("STIMA_API_KEY"), "{keyless}");
    let ask = client.completion("apertis/m", [user("hi")]).api_key("k");
    let nan = ask.clone().temperature(f64::NAN).await.unwrap_err();
    assert!(nan.message().contains("temperature"), "{nan}");
    let header = ask.extra_header("bad name", "x").await.unwrap_err();
    assert!(header.message().contains("bad name"), "{header}");
}

#[tokio::test]
async fn no_error_shows_a_key() {
    let upstream = ScriptedUpstream::start().await;
    upstream.require_key("sk-another");
    let error = client(&upstream).completion("apertis/m", [user("hi")]).await.unwrap_err();
    assert!(matches!(error, Error::AuthenticationError(_)));
    assert!(!format!("{error} {error:?}").contains("sk-upstream"), "{error:?}");
}
