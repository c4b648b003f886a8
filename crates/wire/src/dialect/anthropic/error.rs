//! `{"type": "error", "error": {"type", "message"}}`
//! <https://platform.claude.com/docs/en/api/errors>

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use serde::Serialize;

use crate::{
    exchange::thread::THREAD,
    refusal::{Refusal, RefusalKind},
};

#[derive(Serialize)]
struct Envelope<'a> {
    r#type: &'static str,
    error: Body<'a>,
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Details>,
}

/// What SDKs branch on.
#[derive(Serialize)]
struct Details {
    error_code: &'static str,
}

/// The error types that Anthropic documents.
const TYPES: &[&str] = &[
    "invalid_request_error",
    "authentication_error",
    "billing_error",
    "permission_error",
    "not_found_error",
    "request_too_large",
    "rate_limit_error",
    "api_error",
    "timeout_error",
    "overloaded_error",
];

pub(in crate::dialect) fn refusal(why: &Refusal) -> Bytes {
    // Anthropic's SDKs go on without a thread when they are told so.
    let threaded = why.kind == RefusalKind::InvalidRequest && why.param.as_deref() == Some(THREAD);
    let details = threaded.then_some(Details { error_code: "thread_unsupported_request" });
    let error = Body { r#type: type_of(why), message: &why.message, details };
    let envelope = Envelope { r#type: "error", error };
    serde_json::to_vec(&envelope).unwrap_or_default().into()
}

pub(in crate::dialect) fn broken(why: &Refusal, out: &mut BytesMut) {
    out.extend_from_slice(b"event: error\ndata: ");
    out.extend_from_slice(&refusal(why));
    out.extend_from_slice(b"\n\n");
}

/// The refusal's own type if Anthropic has it, else the one of its status. OpenAI says
/// `invalid_request_error` where Anthropic has more to say.
fn type_of(why: &Refusal) -> &'static str {
    let own = why.error_type.as_deref().filter(|own| *own != "invalid_request_error");
    if let Some(own) = own.and_then(|own| TYPES.iter().find(|name| **name == own)) {
        return own;
    }
    if why.kind == RefusalKind::BudgetExceeded {
        return "billing_error";
    }
    match why.http_status() {
        StatusCode::UNAUTHORIZED => "authentication_error",
        StatusCode::PAYMENT_REQUIRED => "billing_error",
        StatusCode::FORBIDDEN => "permission_error",
        StatusCode::NOT_FOUND => "not_found_error",
        StatusCode::PAYLOAD_TOO_LARGE => "request_too_large",
        StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
        StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => "timeout_error",
        StatusCode::SERVICE_UNAVAILABLE => "overloaded_error",
        status if status.as_u16() == 529 => "overloaded_error",
        status if status.is_server_error() => "api_error",
        _ => "invalid_request_error",
    }
}
