//! Whatever the upstream answers a client of another dialect.
#![no_main]

mod bridge;
mod chat;

use libfuzzer_sys::fuzz_target;
use tollgate_wire::Dialect;

fuzz_target!(|data: &[u8]| {
    bridge::answer(Dialect::Openai, Dialect::Tgi, data);
    bridge::answer(Dialect::Openai, Dialect::WatsonxText, data);
});
