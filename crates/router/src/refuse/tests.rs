use std::sync::Arc;

use super::*;
use crate::fake;

#[test]
fn every_fault_has_its_status_and_code() {
    use FaultKind as K;
    for kind in fake::KINDS {
        let (status, code) = match kind {
            K::BadRequest => (400, "invalid_request"),
            K::ContextWindow => (400, "context_length_exceeded"),
            K::ContentPolicy => (400, "content_policy_violation"),
            K::Credential => (502, "upstream_auth_failed"),
            K::Payment => (502, "upstream_payment_required"),
            K::NotFound => (404, "invalid_request"),
            K::Timeout | K::FirstByteTimeout => (504, "upstream_timeout"),
            K::Conflict => (409, "invalid_request"),
            K::TooLarge => (413, "invalid_request"),
            K::Unprocessable => (422, "invalid_request"),
            K::RateLimit => (429, "upstream_rate_limited"),
            K::Server | K::BadGateway | K::Unavailable | K::GatewayTimeout => {
                (502, "upstream_error")
            }
            K::Redirect => (502, "upstream_redirect"),
            K::BadResponse => (502, "upstream_bad_response"),
            K::Unreachable => (502, "upstream_unreachable"),
            K::ConnectTimeout => (504, "upstream_connect_timeout"),
            K::Tls => (502, "upstream_tls_error"),
            K::IdleTimeout => (504, "upstream_idle_timeout"),
            K::Deadline => (504, "deadline"),
            K::Disconnected => (502, "upstream_disconnected"),
        };
        let refusal = refusal(&Fault::new(kind, "why"));
        let shown = refusal.code.clone().unwrap_or_else(|| refusal.kind.code().to_owned());
        assert_eq!((refusal.http_status().as_u16(), &*shown), (status, code), "{kind:?}");
    }
}

#[test]
fn a_requests_fault_keeps_the_upstreams_words_but_never_a_status_about_keys() {
    let fault = Fault {
        status: Some(451),
        code: Some("no".into()),
        error_type: Some("legal".into()),
        param: Some("messages".into()),
        ..Fault::new(FaultKind::BadRequest, "not here")
    };
    let refusal = refusal(&fault);
    assert_eq!(refusal.http_status().as_u16(), 451);
    assert_eq!(refusal.message, "not here");
    assert_eq!(refusal.code.as_deref(), Some("no"));
    assert_eq!(refusal.error_type.as_deref(), Some("legal"));
    assert_eq!(refusal.param.as_deref(), Some("messages"));
    for status in [401, 402, 403, 407, 200, 500, 999] {
        let fault = Fault { status: Some(status), ..fault.clone() };
        assert_eq!(super::refusal(&fault).http_status().as_u16(), 400, "{status}");
    }
}

#[test]
fn seconds_are_rounded_up() {
    let fault = Fault { retry_after_ms: Some(1_001), ..Fault::new(FaultKind::RateLimit, "") };
    assert_eq!(refusal(&fault).retry_after_s, Some(2));
    assert_eq!(refusal(&Fault { retry_after_ms: None, ..fault }).retry_after_s, None);
}

#[test]
fn all_cooling_says_when_and_why() {
    let policy = crate::Policy::default();
    let group = Group { name: "g".into(), members: vec![fake::member("a"), fake::member("b")] };
    let cool = |at: usize, kind, retry_after_ms| {
        let fault = Fault { retry_after_ms, ..Fault::new(kind, "") };
        let rules = crate::health::Cooling::new(&policy, None, 2);
        Arc::clone(&group.members[at].health).record_failure(&fault, rules, 0);
    };
    cool(0, FaultKind::RateLimit, Some(9_500));
    cool(1, FaultKind::RateLimit, Some(30_000));
    let limited = nobody(&group, 0);
    assert_eq!((limited.kind, limited.retry_after_s), (RefusalKind::UpstreamRateLimited, Some(10)));
    cool(1, FaultKind::Credential, Some(40_000));
    assert_eq!(nobody(&group, 0).kind, RefusalKind::NoHealthyTarget);
    assert_eq!(nobody(&group, 50_000).retry_after_s, Some(1));
}
