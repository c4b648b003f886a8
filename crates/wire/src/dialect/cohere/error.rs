//! `{"message"}`. <https://docs.cohere.com/reference/errors>

use bytes::{BufMut, Bytes, BytesMut};

use crate::{dialect::json, refusal::Refusal};

pub(in crate::dialect) fn refusal(why: &Refusal) -> Bytes {
    let mut out = BytesMut::new();
    json::object(&mut out, |o| o.text("message", &why.message));
    out.freeze()
}

/// A stream that failed ends with `ERROR`.
pub(in crate::dialect) fn broken(why: &Refusal, out: &mut BytesMut) {
    out.put_slice(b"event: message-end\ndata: ");
    json::object(out, |o| {
        o.text("type", "message-end");
        o.object("delta", |o| {
            o.text("finish_reason", "ERROR");
            o.text("error", &why.message);
        });
    });
    out.put_slice(b"\n\n");
}
