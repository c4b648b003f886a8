//! `{"message"}`. <https://docs.cohere.com/reference/errors>

use bytes::{BufMut, Bytes, BytesMut};

use serde::Deserialize;

use crate::{
    dialect::{fault_inside, json},
    fault::Fault,
    refusal::Refusal,
};

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

/// What the end of a stream that failed means: `{"delta": {"error": "…"}}`, or an error's own words.
pub(crate) fn failed(data: &[u8]) -> Fault {
    #[derive(Deserialize)]
    struct End {
        delta: Delta,
    }
    #[derive(Deserialize)]
    struct Delta {
        error: String,
    }
    let fault = fault_inside(data);
    match serde_json::from_slice::<End>(data) {
        Ok(End { delta: Delta { error } }) if !error.is_empty() => {
            Fault { message: error, ..fault }
        }
        Ok(_) | Err(_) => fault,
    }
}
