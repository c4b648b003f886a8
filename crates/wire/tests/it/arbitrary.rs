//! Nothing panics, whatever comes.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use tollgate_wire::{Dialect, Exchange, Peek, dialect, exchange::Payload, frame::aws};

use crate::fixtures::{called, cases, dropping, plain, surfaces, target, upstreams};

fn payload(body: Vec<u8>) -> Payload {
    Payload { body: body.into(), peek: Peek::default(), headers: Vec::new(), received_s: 0 }
}

fn read_and_write(body: Vec<u8>) {
    let payload = payload(body);
    for surface in surfaces().filter_map(dialect::surface) {
        let Ok(ask) = surface.read(&payload) else { continue };
        for other in upstreams() {
            let mut dropped = Vec::new();
            let to = dropping(target(other));
            let upstream = dialect::upstream(other).unwrap();
            if let Ok(body) = upstream.write(&ask, &to, &mut dropped) {
                serde_json::from_slice::<serde::de::IgnoredAny>(&body).unwrap();
            }
        }
    }
}

fn decode(bytes: &[u8]) {
    for to in surfaces() {
        for from in upstreams() {
            let mut exchange = called(to, from, plain(to, true));
            let mut out = BytesMut::new();
            let _ = exchange.push(&Bytes::copy_from_slice(bytes), &mut out);
            let _ = exchange.end(&mut out);
            let _ = exchange.reply(Bytes::copy_from_slice(bytes));
            let _ = exchange.usage();
            std::str::from_utf8(&out).unwrap();
        }
    }
}

/// A recorded body with some of its bytes changed.
fn damaged(streams: bool) -> impl Strategy<Value = Vec<u8>> {
    let bodies: Vec<Bytes> = cases()
        .iter()
        .flat_map(|case| {
            Dialect::ALL.into_iter().flat_map(move |dialect: Dialect| match streams {
                true => [case.stream(dialect), case.reply(dialect)],
                false => [case.request(dialect), None],
            })
        })
        .flatten()
        .collect();
    let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    (prop::sample::select(bodies), edits).prop_map(|(body, edits)| {
        let mut body = body.to_vec();
        for (at, byte) in edits {
            let at = at.index(body.len());
            body[at] = byte;
        }
        body
    })
}

proptest! {
    #[test]
    fn any_bytes_as_a_request(body in prop::collection::vec(any::<u8>(), 0..256)) {
        read_and_write(body);
    }

    #[test]
    fn damaged_requests(body in damaged(false)) {
        read_and_write(body);
    }

    #[test]
    fn any_bytes_as_an_answer(body in prop::collection::vec(any::<u8>(), 0..256)) {
        decode(&body);
    }

    #[test]
    fn damaged_answers(body in damaged(true)) {
        decode(&body);
    }
}

#[test]
fn an_endless_line_is_cut_off() {
    for from in upstreams() {
        let mut exchange = called(Dialect::Openai, from, plain(Dialect::Openai, true));
        let mut out = BytesMut::new();
        let piece = Bytes::from(vec![b'x'; 1 << 16]);
        let failed = (0..1024).find_map(|_| exchange.push(&piece, &mut out).err());
        let message = failed.unwrap().message;
        let most = [1 << 20, 4 << 20, 32 << 20, aws::MAX_MESSAGE_BYTES];
        assert!(most.iter().any(|most| message.contains(&format!("over {most} bytes"))));
    }
}
