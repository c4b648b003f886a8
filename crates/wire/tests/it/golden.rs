//! A snapshot for each case and each pair of dialects: the call, and what the client sees of the
//! answer and of the stream.

use std::fmt::Write as _;

use serde_json::Value;
use tollgate_wire::{CannotAsk, Dialect, Exchange, Usage};

use crate::fixtures::{
    Case, bridge, called, cases, concat, dropping, streamed, surfaces, target, upstreams,
};

fn pretty(json: &[u8]) -> String {
    let value: Value = serde_json::from_slice(json).unwrap();
    serde_json::to_string_pretty(&value).unwrap()
}

fn call(case: &Case, surface: Dialect, upstream: Dialect, out: &mut String) {
    let Some(payload) = case.asked(surface) else { return };
    let mut exchange = bridge(surface, upstream);
    let mut called = exchange.call(&payload, &target(upstream));
    if let Err(CannotAsk::Unsupported(why)) = &called {
        writeln!(out, "== refused\n{why}").unwrap();
        called = exchange.call(&payload, &dropping(target(upstream)));
    }
    if let Err(CannotAsk::Unsupported(why)) = &called {
        writeln!(out, "== refused all the same\n{why}").unwrap();
        return;
    }
    let called = called.unwrap();
    writeln!(out, "== call {}\n{}", called.path, pretty(&concat(&called.body))).unwrap();
    if !exchange.dropped().is_empty() {
        writeln!(out, "== dropped {}", exchange.dropped().join(", ")).unwrap();
    }
}

fn outcome(exchange: &dyn Exchange, out: &mut String) {
    let usage = exchange.usage();
    let finish = exchange.finish_reason().unwrap_or("-");
    writeln!(out, "== finish {finish}, begun {}, done {}", exchange.begun(), exchange.done())
        .unwrap();
    writeln!(out, "== {}", counts(&usage)).unwrap();
}

/// The usual counts, and of the rare ones those that are there: a new kind of count is to change
/// only what has it.
pub(crate) fn counts(usage: &Usage) -> String {
    const RARE: [&str; 10] = [
        "cache_read_audio: 0, ",
        "cache_write_12h: 0, ",
        "input_image: 0, ",
        "input_video: 0, ",
        "output_image: 0, ",
        "output_video: 0, ",
        "searches: 0, ",
        "search_size: Medium, ",
        "tier: None, ",
        "us_only: false, ",
    ];
    RARE.iter().fold(format!("{usage:?}"), |text, rare| text.replace(rare, ""))
}

fn snapshot(case: &Case, surface: Dialect, upstream: Dialect) -> String {
    let mut out = String::new();
    call(case, surface, upstream, &mut out);
    if let Some(body) = case.reply(upstream) {
        let mut exchange = called(surface, upstream, case.asked_or_plain(surface, false));
        match exchange.reply(body) {
            Ok(reply) => {
                writeln!(out, "== reply\n{}", pretty(&reply)).unwrap();
                outcome(&exchange, &mut out);
            }
            Err(why) => writeln!(out, "== reply malformed: {why}").unwrap(),
        }
    }
    if let Some(body) = case.stream(upstream) {
        let mut exchange = called(surface, upstream, case.asked_or_plain(surface, true));
        let (text, fault) = streamed(&mut exchange, &[&body]);
        writeln!(out, "== stream\n{text}").unwrap();
        if let Some(fault) = fault {
            writeln!(out, "== {fault}").unwrap();
        }
        outcome(&exchange, &mut out);
    }
    out
}

#[test]
fn every_case_through_every_pair() {
    for case in cases() {
        for surface in surfaces() {
            for upstream in upstreams() {
                let text = snapshot(&case, surface, upstream);
                if !text.is_empty() {
                    let name = format!("{}@{}-{}", case.name, surface.name(), upstream.name());
                    insta::assert_snapshot!(name, text);
                }
            }
        }
    }
}
