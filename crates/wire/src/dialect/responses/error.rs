//! A stream's last words: `{"type": "error", "code", "message", "param", "sequence_number"}`.
//! <https://platform.openai.com/docs/api-reference/responses-streaming/error>
//! A refusal is spelled as in OpenAI's other APIs.

use bytes::BytesMut;

use crate::{dialect::json, refusal::Refusal};

/// The official SDKs hand this event on as it is. Its number is not known here: 0, which no event
/// after the first has.
pub(in crate::dialect) fn broken(why: &Refusal, out: &mut BytesMut) {
    out.extend_from_slice(b"event: error\ndata: ");
    json::object(out, |o| {
        o.text("type", "error");
        o.text("code", why.code.as_deref().unwrap_or_else(|| why.kind.code()));
        o.text("message", &why.message);
        match &why.param {
            Some(param) => o.text("param", param),
            None => o.null("param"),
        }
        o.integer("sequence_number", 0);
    });
    out.extend_from_slice(b"\n\n");
}
