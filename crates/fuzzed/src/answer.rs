//! What an upstream answers, into the hub.

use http::{HeaderMap, HeaderValue, StatusCode, header::RETRY_AFTER};
use tollgate_wire::{
    Dialect, dialect,
    op::chat::{MAX_BLOCKS, MAX_CHOICES},
};

use crate::{
    cut,
    events::{assert_same, hear},
    frame,
    to::upstream,
};

/// Most events that one event of a stream may become, with what opens and closes it.
const MOST_EVENTS_A_BYTE: usize = 2;

/// As an answer, as a count and as a stream: any cut of a stream gives the same events, and no more
/// of them than it has bytes for. The first byte says how to cut. Bedrock's messages are framed
/// here, so that what is in them is reached.
pub(crate) fn read(dialect: Dialect, data: &[u8]) {
    let Some((&how, data)) = data.split_first() else { return };
    let upstream = upstream(dialect);
    if let Ok(reply) = upstream.read(data) {
        assert!(reply.choices.len() <= MAX_CHOICES);
        for choice in &reply.choices {
            assert!(choice.blocks.len() <= MAX_BLOCKS.min(data.len()));
        }
    }
    let _count = upstream.read_count(data);
    let framed;
    let stream = if dialect == Dialect::Bedrock {
        framed = frame::bedrock(data);
        framed.as_slice()
    } else {
        data
    };
    let whole = hear(upstream, std::iter::once(stream));
    assert!(whole.events.len() <= 64 + stream.len() * MOST_EVENTS_A_BYTE);
    assert_same(&whole, &hear(upstream, cut(how, stream)));
}

/// An error's body, as an answer and within a stream. The first byte says with which status; the
/// rest up to a zero byte, if there is one, is the value of the headers that are read.
pub(crate) fn fault(data: &[u8]) {
    let Some((&status, data)) = data.split_first() else { return };
    let mut headers = HeaderMap::new();
    let mut body = data;
    if let Some(end) = data.iter().position(|byte| *byte == 0) {
        body = &data[end + 1..];
        if let Ok(value) = HeaderValue::from_bytes(&data[..end]) {
            headers.insert("x-amzn-errortype", value.clone());
            headers.insert(RETRY_AFTER, value);
        }
    }
    let status = StatusCode::from_u16(300 + u16::from(status)).expect("a status has three digits");
    for fault in [dialect::fault(status, &headers, body), dialect::fault_inside(body)] {
        assert!(!fault.message.is_empty());
        assert!(fault.message.len() <= body.len().max(256));
        assert!(!fault.message.chars().any(char::is_control), "{}", fault.message);
    }
}
