//! A Gemini client that does not ask for events gets one JSON list.

use bytes::{Bytes, BytesMut};
use serde_json::Value;
use tollgate_wire::{Dialect, Operation, Refusal, RefusalKind, exchange::exchange};

use crate::fixtures::{SHOWN, cases, dropping, plain, target, upstreams};

/// Thoughts that another provider signed do not reach Google, though bytes pass otherwise.
#[test]
fn what_another_provider_signed_stays_here() {
    let to = target(Dialect::Gemini);
    for (case, passes) in [("thinking_history", false), ("signed_calls", true)] {
        let case = cases().into_iter().find(|it| it.name == case).unwrap();
        let payload = case.asked(Dialect::Gemini).unwrap();
        let mut exchange = exchange(Operation::Chat, Dialect::Gemini, &to, SHOWN);
        let sent = exchange.call(&payload, &to).unwrap().body.concat();
        assert_eq!(sent == payload.body, passes, "{}", case.name);
        assert!(!String::from_utf8(sent).unwrap().contains("dG9sbGdhdG"), "{}", case.name);
    }
}

/// What the client sees, and whether the stream broke.
fn listed(upstream: Dialect, pieces: &[&[u8]]) -> (String, bool) {
    let to = dropping(target(upstream));
    let mut exchange = exchange(Operation::Chat, Dialect::Gemini, &to, SHOWN);
    let mut payload = plain(Dialect::Gemini, true);
    payload.peek.listed = true;
    exchange.call(&payload, &to).unwrap();
    let mut out = BytesMut::new();
    let mut fault = None;
    for piece in pieces {
        fault = fault.or(exchange.push(&Bytes::copy_from_slice(piece), &mut out).err());
    }
    let fault = fault.or_else(|| exchange.end(&mut out).err());
    if fault.is_some() {
        exchange.broken(&Refusal::new(RefusalKind::UpstreamError, "gone"), &mut out);
    }
    (String::from_utf8(out.to_vec()).unwrap(), fault.is_some())
}

#[test]
fn every_stream_is_one_list() {
    let mut broken = 0;
    for case in cases() {
        for upstream in upstreams() {
            let Some(body) = case.stream(upstream) else { continue };
            let (text, broke) = listed(upstream, &[&body]);
            let items: Vec<Value> = serde_json::from_str(&text).unwrap_or_else(|why| {
                panic!("{} of {}: {why}: {text}", case.name, upstream.name())
            });
            let last = items.last().unwrap();
            assert_eq!(last["error"]["status"] == "UNAVAILABLE", broke, "{}", case.name);
            broken += usize::from(broke);
            if broke {
                continue;
            }
            let single: Vec<&[u8]> = body.chunks(1).collect();
            assert_eq!(listed(upstream, &single).0, text, "{}", case.name);
        }
    }
    assert!(broken > 2);
}

/// Google sends none, but what stands in for it may.
#[test]
fn the_end_of_an_event_stream_is_no_item() {
    let events = b"data: {\"candidates\":[]}\n\ndata: [DONE]\n\ndata: {\"more\":1}\n\n";
    let (text, broke) = listed(Dialect::Gemini, &[events]);
    assert_eq!((text.as_str(), broke), (r#"[{"candidates":[]}]"#, false));
    let single: Vec<&[u8]> = events.chunks(1).collect();
    assert_eq!(listed(Dialect::Gemini, &single).0, text);
}
