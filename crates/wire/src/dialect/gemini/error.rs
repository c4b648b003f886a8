//! `{"error": {"code", "message", "status", "details"}}`: Google's envelope.
//! <https://cloud.google.com/apis/design/errors#http_mapping>

use bytes::{Bytes, BytesMut};
use http::StatusCode;

use crate::{
    dialect::json::{self, Object},
    refusal::Refusal,
};

/// Google's words for statuses.
const WORDS: &[&str] = &[
    "ABORTED",
    "ALREADY_EXISTS",
    "CANCELLED",
    "DATA_LOSS",
    "DEADLINE_EXCEEDED",
    "FAILED_PRECONDITION",
    "INTERNAL",
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "OUT_OF_RANGE",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "UNAUTHENTICATED",
    "UNAVAILABLE",
    "UNIMPLEMENTED",
    "UNKNOWN",
];

pub(in crate::dialect) fn refusal(why: &Refusal) -> Bytes {
    let mut out = BytesMut::new();
    write(&mut out, why);
    out.freeze()
}

pub(in crate::dialect) fn broken(why: &Refusal, out: &mut BytesMut) {
    out.extend_from_slice(b"data: ");
    write(out, why);
    out.extend_from_slice(b"\r\n\r\n");
}

fn write(out: &mut BytesMut, why: &Refusal) {
    let code = why.code.as_deref().unwrap_or_else(|| why.kind.code());
    json::object(out, |o| {
        o.object("error", |o| {
            o.integer("code", u64::from(why.http_status().as_u16()));
            o.text("message", &why.message);
            o.text("status", word(why));
            o.list("details", |list| {
                list.object(|o| {
                    kind(o, "ErrorInfo");
                    o.text("reason", &code.to_ascii_uppercase());
                    o.text("domain", "tollgate");
                });
                if let Some(param) = &why.param {
                    list.object(|o| {
                        kind(o, "BadRequest");
                        o.list("fieldViolations", |list| {
                            list.object(|o| {
                                o.text("field", param);
                                o.text("description", &why.message);
                            });
                        });
                    });
                }
                if let Some(seconds) = why.retry_after_s {
                    list.object(|o| {
                        kind(o, "RetryInfo");
                        o.text("retryDelay", &format!("{seconds}s"));
                    });
                }
            });
        });
    });
}

fn kind(o: &mut Object<'_>, name: &str) {
    o.text("@type", &format!("type.googleapis.com/google.rpc.{name}"));
}

/// The refusal's own word if it is one of Google's, else the one of its status.
fn word(why: &Refusal) -> &'static str {
    let own = why.error_type.as_deref().and_then(|own| WORDS.iter().find(|word| **word == own));
    if let Some(own) = own {
        return own;
    }
    match why.http_status() {
        StatusCode::UNAUTHORIZED => "UNAUTHENTICATED",
        StatusCode::PAYMENT_REQUIRED => "FAILED_PRECONDITION",
        StatusCode::FORBIDDEN => "PERMISSION_DENIED",
        StatusCode::NOT_FOUND => "NOT_FOUND",
        StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => "UNIMPLEMENTED",
        StatusCode::CONFLICT => "ABORTED",
        StatusCode::TOO_MANY_REQUESTS => "RESOURCE_EXHAUSTED",
        StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => "DEADLINE_EXCEEDED",
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE => "UNAVAILABLE",
        status if status.is_server_error() => "INTERNAL",
        _ => "INVALID_ARGUMENT",
    }
}
