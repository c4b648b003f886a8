//! What a client is told when an upstream failed. Pure.
//!
//! A fault of the request is passed on with the upstream's status and words. A fault of ours or of
//! the upstream's never looks like a fault of the client's: a bad credential of ours is 502, not
//! 401.

use http::StatusCode;
use tollgate_wire::{Fault, FaultKind, Refusal, RefusalKind};

use crate::table::Group;

/// The refusal for a fault that no other target could mend, or that broke a stream.
pub fn refusal(fault: &Fault) -> Refusal {
    use FaultKind as K;
    use RefusalKind as R;
    match fault.kind {
        K::BadRequest => passed_on(fault, StatusCode::BAD_REQUEST),
        K::NotFound => passed_on(fault, StatusCode::NOT_FOUND),
        K::Conflict => passed_on(fault, StatusCode::CONFLICT),
        K::TooLarge => passed_on(fault, StatusCode::PAYLOAD_TOO_LARGE),
        K::Unprocessable => passed_on(fault, StatusCode::UNPROCESSABLE_ENTITY),
        K::ContextWindow => {
            passed_on(fault, StatusCode::BAD_REQUEST).code("context_length_exceeded")
        }
        K::ContentPolicy => {
            passed_on(fault, StatusCode::BAD_REQUEST).code("content_policy_violation")
        }
        K::Credential => ours(
            R::UpstreamError,
            "upstream_auth_failed",
            "the upstream refuses this gateway's credential; its operator has to mend it",
        ),
        K::Payment => ours(
            R::UpstreamError,
            "upstream_payment_required",
            "this gateway's account at the upstream is out of money; its operator has to mend it",
        ),
        K::RateLimit => {
            retry_after(of_upstream(R::UpstreamRateLimited, "upstream_rate_limited", fault), fault)
        }
        K::Server | K::BadGateway | K::Unavailable | K::GatewayTimeout => {
            retry_after(of_upstream(R::UpstreamError, "upstream_error", fault), fault)
        }
        K::Timeout | K::FirstByteTimeout => {
            of_upstream(R::UpstreamTimeout, "upstream_timeout", fault)
        }
        K::Redirect => of_upstream(R::UpstreamError, "upstream_redirect", fault),
        K::BadResponse => of_upstream(R::UpstreamError, "upstream_bad_response", fault),
        K::Unreachable => {
            let code = fault.code.as_deref().unwrap_or("upstream_unreachable");
            of_upstream(R::UpstreamError, code, fault)
        }
        K::ConnectTimeout => of_upstream(R::UpstreamTimeout, "upstream_connect_timeout", fault),
        K::Tls => of_upstream(R::UpstreamError, "upstream_tls_error", fault),
        K::IdleTimeout => of_upstream(R::UpstreamTimeout, "upstream_idle_timeout", fault),
        K::Deadline => of_upstream(R::UpstreamTimeout, "deadline", fault),
        K::Disconnected => of_upstream(R::UpstreamError, "upstream_disconnected", fault),
    }
}

/// The refusal where nobody could be asked, because all of `group` cools down or is full.
pub(crate) fn nobody(group: &Group, now_ms: u64) -> Refusal {
    let cooling = || group.members.iter().filter_map(|m| Some((m, m.health.cooling(now_ms)?)));
    let wait_s = cooling().map(|(_, left)| left).min().unwrap_or(0).div_ceil(1_000).max(1);
    let limited = cooling().count() == group.members.len()
        && cooling().all(|(member, _)| member.health.rate_limited());
    let kind =
        if limited { RefusalKind::UpstreamRateLimited } else { RefusalKind::NoHealthyTarget };
    let message = format!("no target of `{}` is free; try again in {wait_s} s", group.name);
    Refusal::new(kind, message).retry_after_s(wait_s)
}

/// `usual` is the status where the upstream gave none, or one that would mislead.
fn passed_on(fault: &Fault, usual: StatusCode) -> Refusal {
    // A status of 401 to 403 would speak of the client's own key with us.
    let own = fault
        .status
        .and_then(|status| StatusCode::from_u16(status).ok())
        .filter(|status| status.is_client_error() && !matches!(status.as_u16(), 401..=403 | 407));
    Refusal {
        param: fault.param.clone(),
        status: Some(own.unwrap_or(usual)),
        error_type: fault.error_type.clone(),
        code: fault.code.clone(),
        ..Refusal::new(RefusalKind::Upstream, fault.message.clone())
    }
}

fn ours(kind: RefusalKind, code: &str, message: &str) -> Refusal {
    Refusal::new(kind, message).code(code)
}

fn of_upstream(kind: RefusalKind, code: &str, fault: &Fault) -> Refusal {
    let what = match fault.status {
        Some(status) => format!("the upstream failed with status {status}"),
        None => "the upstream failed".to_owned(),
    };
    let why = if fault.message.is_empty() { "" } else { ": " };
    Refusal::new(kind, format!("{what}{why}{}", fault.message)).code(code)
}

fn retry_after(refusal: Refusal, fault: &Fault) -> Refusal {
    match fault.retry_after_ms {
        Some(wait_ms) => refusal.retry_after_s(wait_ms.div_ceil(1_000).max(1)),
        None => refusal,
    }
}

#[cfg(test)]
mod tests;
