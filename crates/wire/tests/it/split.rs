//! Any cut of a stream gives the same bytes, the same usage and the same end.

use tollgate_wire::{Dialect, Exchange};

use crate::fixtures::{Case, called, cases, streamed};

type Seen = (String, Option<String>, String, bool, bool);

fn pass(case: &Case, surface: Dialect, upstream: Dialect, pieces: &[&[u8]]) -> Seen {
    let mut exchange = called(surface, upstream, case.request_or_plain(surface, true));
    let (text, fault) = streamed(&mut exchange, pieces);
    let usage = format!("{:?} {:?}", exchange.usage(), exchange.finish_reason());
    (text, fault, usage, exchange.begun(), exchange.done())
}

fn cut_at_every_byte(surface: Dialect, upstream: Dialect) {
    for case in cases() {
        let Some(body) = case.stream(upstream) else { continue };
        let whole = pass(&case, surface, upstream, &[&body]);
        for cut in 0..body.len() {
            let (head, tail) = body.split_at(cut);
            let cut_up = pass(&case, surface, upstream, &[head, tail]);
            assert_eq!(cut_up, whole, "{} cut at {cut}", case.name);
        }
        let bytes: Vec<&[u8]> = body.chunks(1).collect();
        assert_eq!(pass(&case, surface, upstream, &bytes), whole, "{}", case.name);
    }
}

#[test]
fn openai_to_openai() {
    cut_at_every_byte(Dialect::Openai, Dialect::Openai);
}

#[test]
fn openai_to_anthropic() {
    cut_at_every_byte(Dialect::Openai, Dialect::Anthropic);
}

#[test]
fn anthropic_to_openai() {
    cut_at_every_byte(Dialect::Anthropic, Dialect::Openai);
}

#[test]
fn anthropic_to_anthropic() {
    cut_at_every_byte(Dialect::Anthropic, Dialect::Anthropic);
}
