//! Refusals and broken streams, as the official SDKs want them.

use super::*;
use crate::refusal::RefusalKind;

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn thoughts_among_mistrals_parts_are_thoughts() {
    let body = br#"{"id":"1","model":"magistral","choices":[{"index":0,"finish_reason":"stop",
        "message":{"role":"assistant","content":[{"type":"thinking","thinking":[
            {"type":"text","text":"Hm, "},{"type":"text","text":"so."}]},
            {"type":"text","text":"Yes."}]}}]}"#;
    let reply = upstream(Dialect::Openai).unwrap().read(body).unwrap();
    let said = surface(Dialect::Anthropic).unwrap().write(&reply);
    let said = String::from_utf8(said.to_vec()).unwrap();
    assert!(said.contains(r#"{"type":"thinking","thinking":"Hm, so.""#), "{said}");
    assert!(said.contains(r#"{"type":"text","text":"Yes."}"#), "{said}");
}

#[test]
fn refusals_in_both_spellings() {
    let why = Refusal::new(RefusalKind::UnknownModel, "no model `x`").param("model");
    assert_eq!(
        text(&refusal(Dialect::Openai, &why)),
        r#"{"error":{"message":"no model `x`","type":"invalid_request_error","param":"model","code":"model_not_found"}}"#
    );
    assert_eq!(
        text(&refusal(Dialect::Anthropic, &why)),
        r#"{"type":"error","error":{"type":"not_found_error","message":"no model `x`"}}"#
    );
}

#[test]
fn anthropics_sdks_are_told_to_go_on_without_a_thread() {
    let why = Refusal::new(RefusalKind::InvalidRequest, "no").param("thread");
    assert_eq!(
        text(&refusal(Dialect::Anthropic, &why)),
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"no","details":{"error_code":"thread_unsupported_request"}}}"#
    );
}

#[test]
fn what_openai_says_of_every_fault_is_less_than_anthropic_says() {
    for (status, expect) in [
        (StatusCode::NOT_FOUND, "not_found_error"),
        (StatusCode::PAYLOAD_TOO_LARGE, "request_too_large"),
        (StatusCode::CONFLICT, "invalid_request_error"),
    ] {
        let why = Refusal {
            status: Some(status),
            error_type: Some("invalid_request_error".to_owned()),
            ..Refusal::new(RefusalKind::Upstream, "no")
        };
        let said = refusal(Dialect::Anthropic, &why);
        assert!(text(&said).contains(&format!(r#""type":"{expect}","message""#)), "{status}");
    }
}

#[test]
fn an_upstreams_own_type_and_code_are_passed_on() {
    let why = Refusal {
        status: Some(StatusCode::BAD_REQUEST),
        error_type: Some("image_error".to_owned()),
        code: Some("too_blurry".to_owned()),
        ..Refusal::new(RefusalKind::Upstream, "no")
    };
    assert_eq!(
        text(&refusal(Dialect::Openai, &why)),
        r#"{"error":{"message":"no","type":"image_error","param":null,"code":"too_blurry"}}"#
    );
    assert_eq!(
        text(&refusal(Dialect::Anthropic, &why)),
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"no"}}"#
    );
}

#[test]
fn every_kind_has_an_anthropic_type_for_its_status() {
    use RefusalKind as K;
    for (kind, error_type) in [
        (K::InvalidRequest, "invalid_request_error"),
        (K::NoKey, "authentication_error"),
        (K::NotAllowed, "permission_error"),
        (K::NotFound, "not_found_error"),
        (K::TooLarge, "request_too_large"),
        (K::BudgetExceeded, "billing_error"),
        (K::RateLimited, "rate_limit_error"),
        (K::UpstreamError, "api_error"),
        (K::UpstreamTimeout, "timeout_error"),
        (K::Overloaded, "overloaded_error"),
        (K::Internal, "api_error"),
    ] {
        let body = refusal(Dialect::Anthropic, &Refusal::new(kind, "no"));
        assert!(text(&body).contains(&format!("{{\"type\":\"{error_type}\"")), "{kind:?}");
    }
}

#[test]
fn a_gemini_client_gets_googles_envelope() {
    let why =
        Refusal::new(RefusalKind::RateLimited, "slow down").param("contents").retry_after_s(7);
    assert_eq!(
        text(&refusal(Dialect::Gemini, &why)),
        r#"{"error":{"code":429,"message":"slow down","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"RATE_LIMIT_EXCEEDED","domain":"tollgate"},{"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{"field":"contents","description":"slow down"}]},{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"7s"}]}}"#
    );
    use RefusalKind as K;
    for (kind, status) in [
        (K::InvalidRequest, "INVALID_ARGUMENT"),
        (K::NoKey, "UNAUTHENTICATED"),
        (K::NotAllowed, "PERMISSION_DENIED"),
        (K::UnknownModel, "NOT_FOUND"),
        (K::TooLarge, "INVALID_ARGUMENT"),
        (K::UpstreamError, "UNAVAILABLE"),
        (K::UpstreamTimeout, "DEADLINE_EXCEEDED"),
        (K::Internal, "INTERNAL"),
    ] {
        let body = refusal(Dialect::Gemini, &Refusal::new(kind, "no"));
        assert!(text(&body).contains(&format!("\"status\":\"{status}\"")), "{kind:?}");
    }
}

#[test]
fn broken_streams_end_as_the_sdks_expect() {
    let why = Refusal::new(RefusalKind::UpstreamError, "gone").code("upstream_disconnected");
    let mut out = BytesMut::new();
    broken(Dialect::Openai, &why, &mut out);
    assert_eq!(
        text(&out),
        "data: {\"error\":{\"message\":\"gone\",\"type\":\"internal_server_error\",\"param\":null,\"code\":\"upstream_disconnected\"}}\n\ndata: [DONE]\n\n"
    );
    out.clear();
    broken(Dialect::Anthropic, &why, &mut out);
    assert_eq!(
        text(&out),
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"gone\"}}\n\n"
    );
}
