//! What the targets that read an upstream's bytes share.

use bytes::{Bytes, BytesMut};
use tollgate_wire::{
    Dialect, Exchange, FaultKind, Operation, Usage,
    exchange::{Payload, bridge::Bridge},
    peek,
};

use crate::chat::target;

type Passed = (BytesMut, Result<(), FaultKind>, Usage, Option<String>, bool, bool);

fn bridge(from: Dialect, to: Dialect) -> Bridge {
    let body: &[u8] = match from {
        Dialect::Responses => br#"{"model":"m","input":"x","stream":true}"#,
        Dialect::Completions => br#"{"model":"m","prompt":"x","echo":true,"stream":true}"#,
        Dialect::Gemini => br#"{"contents":[{"parts":[{"text":"x"}]}]}"#,
        _ => {
            br#"{"model":"m","messages":[{"role":"user","content":"x"}],"max_tokens":1,"stream":true}"#
        }
    };
    let body = Bytes::from_static(body);
    let mut peek = peek::peek(from, Operation::Chat, &body).unwrap();
    // Google's path says so.
    peek.stream = true;
    let mut bridge = Bridge::new(Operation::Chat, from, to, "alias");
    bridge.call(&Payload { body, peek, headers: Vec::new(), received_s: 0 }, &target(to)).unwrap();
    bridge
}

fn pass<'a>(from: Dialect, to: Dialect, pieces: impl Iterator<Item = &'a [u8]>) -> Passed {
    let mut bridge = bridge(from, to);
    let mut out = BytesMut::new();
    let mut end = Ok(());
    for piece in pieces {
        end = bridge.push(&Bytes::copy_from_slice(piece), &mut out);
        if end.is_err() {
            break;
        }
    }
    if end.is_ok() {
        end = bridge.end(&mut out);
    }
    let finish = bridge.finish_reason().map(str::to_owned);
    (out, end.map_err(|fault| fault.kind), bridge.usage(), finish, bridge.begun(), bridge.done())
}

/// An upstream's bytes: no panic, any split gives the same, and each event comes out as text.
pub fn answer(from: Dialect, to: Dialect, data: &[u8]) {
    let Some((&size, data)) = data.split_first() else { return };
    let whole = pass(from, to, std::iter::once(data));
    std::str::from_utf8(&whole.0).unwrap();
    assert_eq!(whole, pass(from, to, data.chunks(usize::from(size).max(1))));
    if let Ok(reply) = bridge(from, to).reply(Bytes::copy_from_slice(data)) {
        serde_json::from_slice::<&serde_json::value::RawValue>(&reply).unwrap();
    }
}
