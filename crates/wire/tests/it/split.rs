//! Any cut of a stream gives the same bytes, the same usage and the same end.

use tollgate_wire::{Dialect, Exchange};

use crate::fixtures::{Case, called, cases, streamed, surfaces, upstreams};

type Seen = (String, Option<String>, String, bool, bool);

fn pass(case: &Case, surface: Dialect, upstream: Dialect, pieces: &[&[u8]]) -> Seen {
    let mut exchange = called(surface, upstream, case.asked_or_plain(surface, true));
    let (text, fault) = streamed(&mut exchange, pieces);
    let usage = format!("{:?} {:?}", exchange.usage(), exchange.finish_reason());
    (text, fault, usage, exchange.begun(), exchange.done())
}

fn in_single_bytes(case: &Case, surface: Dialect, upstream: Dialect, body: &[u8], whole: &Seen) {
    let bytes: Vec<&[u8]> = body.chunks(1).collect();
    assert_eq!(pass(case, surface, upstream, &bytes), *whole, "{}", case.name);
}

/// What a cut changes is the decoder's: one surface sees it all.
#[test]
fn each_upstream_cut_at_every_byte() {
    for upstream in upstreams() {
        for case in cases() {
            let Some(body) = case.stream(upstream) else { continue };
            let whole = pass(&case, Dialect::Openai, upstream, &[&body]);
            for cut in 0..body.len() {
                let (head, tail) = body.split_at(cut);
                let cut_up = pass(&case, Dialect::Openai, upstream, &[head, tail]);
                assert_eq!(cut_up, whole, "{} of {} cut at {cut}", case.name, upstream.name());
            }
        }
    }
}

#[test]
fn each_pair_in_single_bytes() {
    for upstream in upstreams() {
        for surface in surfaces() {
            for case in cases() {
                let Some(body) = case.stream(upstream) else { continue };
                let whole = pass(&case, surface, upstream, &[&body]);
                in_single_bytes(&case, surface, upstream, &body, &whole);
            }
        }
    }
}
