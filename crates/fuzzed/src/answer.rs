//! What an upstream answers, into the hub.

use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{AUTHORIZATION, RETRY_AFTER},
};
use tollgate_wire::{
    Dialect, Secret, Target, dialect,
    exchange::follow::{Asked, Next},
    op::chat::{MAX_BLOCKS, MAX_CHOICES},
};

use crate::{
    cut,
    events::{assert_same, hear},
    frame,
    to::{to, upstream},
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

/// What an answer says is to be asked next: nothing but the target's base and the hosts that its
/// provider's table names, and the credential at the base alone. The first byte says who asks.
pub(crate) fn job(data: &[u8]) {
    let Some((&how, data)) = data.split_first() else { return };
    let to = &Target { credential: Some(Secret::new("secret")), ..to(Dialect::Replicate).clone() };
    let asked = Asked { to, stream: how & 1 == 0, times: u32::from(how & 2) };
    let Ok(Next::Ask(follow)) = upstream(Dialect::Replicate).follow(data, asked) else { return };
    let own = *follow.base == *to.base;
    let listed = follow.base.strip_prefix("https://").and_then(|host| host.strip_suffix(".b.test"));
    assert!(own || listed.is_some_and(|host| !host.is_empty() && !host.contains(['/', '@', ':'])));
    for call in [&follow.call, &follow.cancel] {
        assert!(
            call.path.starts_with('/') && call.path.bytes().all(|byte| byte.is_ascii_graphic())
        );
    }
    assert!(follow.cancel.path.starts_with("/predictions/") && !follow.cancel.path.contains(".."));
    let shown = follow.call.headers.iter().any(|(name, _)| name == AUTHORIZATION);
    assert_eq!(shown, own, "a credential went to {}", follow.base);
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
