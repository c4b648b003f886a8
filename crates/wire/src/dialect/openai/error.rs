//! `{"error": {"message", "type", "param", "code"}}`
//! <https://platform.openai.com/docs/guides/error-codes>

use bytes::{Bytes, BytesMut};
use serde::Serialize;

use crate::refusal::Refusal;

#[derive(Serialize)]
struct Envelope<'a> {
    error: Body<'a>,
}

#[derive(Serialize)]
struct Body<'a> {
    message: &'a str,
    r#type: &'a str,
    param: Option<&'a str>,
    code: &'a str,
}

pub(in crate::dialect) fn refusal(why: &Refusal) -> Bytes {
    let envelope = Envelope {
        error: Body {
            message: &why.message,
            r#type: why.error_type.as_deref().unwrap_or_else(|| why.kind.error_type()),
            param: why.param.as_deref(),
            code: why.code.as_deref().unwrap_or_else(|| why.kind.code()),
        },
    };
    serde_json::to_vec(&envelope).unwrap_or_default().into()
}

/// The official SDKs raise on a `data:` with an `error` object, and stop at `[DONE]`.
pub(in crate::dialect) fn broken(why: &Refusal, out: &mut BytesMut) {
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(&refusal(why));
    out.extend_from_slice(b"\n\ndata: [DONE]\n\n");
}
