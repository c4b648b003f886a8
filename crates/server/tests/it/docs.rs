//! The tables in `docs/` say what the code says.

use serde_json::json;
use tollgate_gateway::RefusalKind as K;
use tollgate_testkit::Reply;

use crate::gate::{base, chat, hello, hello_streamed, look, upstream, with_models};

/// Every kind of refusal; a new one does not compile until it stands here.
const KINDS: [K; 23] = [
    K::InvalidRequest,
    K::Unsupported,
    K::NoKey,
    K::UnknownKey,
    K::ExpiredKey,
    K::BlockedKey,
    K::NotAllowed,
    K::UnknownModel,
    K::NotFound,
    K::MethodNotAllowed,
    K::SlowClient,
    K::TooLarge,
    K::BudgetExceeded,
    K::RateLimited,
    K::Upstream,
    K::UpstreamRateLimited,
    K::UpstreamError,
    K::UpstreamTimeout,
    K::NoHealthyTarget,
    K::AuthUnavailable,
    K::StorageUnavailable,
    K::Overloaded,
    K::Internal,
];

const fn is_listed(kind: K) -> bool {
    match kind {
        K::InvalidRequest
        | K::Unsupported
        | K::NoKey
        | K::UnknownKey
        | K::ExpiredKey
        | K::BlockedKey
        | K::NotAllowed
        | K::UnknownModel
        | K::NotFound
        | K::MethodNotAllowed
        | K::SlowClient
        | K::TooLarge
        | K::BudgetExceeded
        | K::RateLimited
        | K::Upstream
        | K::UpstreamRateLimited
        | K::UpstreamError
        | K::UpstreamTimeout
        | K::NoHealthyTarget
        | K::AuthUnavailable
        | K::StorageUnavailable
        | K::Overloaded
        | K::Internal => true,
    }
}

#[test]
fn every_refusal_is_documented() {
    let page = include_str!("../../../../docs/errors.md");
    for kind in KINDS {
        assert!(is_listed(kind));
        // An upstream's own words have no row of their own.
        if kind == K::Upstream {
            continue;
        }
        let row =
            format!("| {} | {} | {} |", kind.status().as_u16(), kind.error_type(), kind.code());
        assert!(page.contains(&row), "docs/errors.md has no row {row}");
    }
}

#[tokio::test]
async fn every_metric_is_documented() {
    let page = include_str!("../../../../docs/metrics.md");
    let upstream = upstream(&["gpt-4o"]).await;
    let gate = with_models(&base(&upstream), &["gpt-4o"]).await;
    // A metric is shown once it has counted something.
    upstream.script(Reply::auto().usage(json!({
        "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 1},
    })));
    chat(&gate, gate.master_key(), &hello_streamed("gpt-4o")).await;
    chat(&gate, gate.master_key(), &hello("nobody")).await;
    let text = look(&gate, "/metrics").await.text();
    let names: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    assert_eq!(names.len(), 13, "{text}");
    for name in names {
        assert!(page.contains(&format!("| {name} |")), "docs/metrics.md has no row for {name}");
    }
}
