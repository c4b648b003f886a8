//! Whatever a client sends.
#![no_main]

mod chat;
mod read;

use libfuzzer_sys::fuzz_target;
use tollgate_wire::Dialect;

fuzz_target!(|data: &[u8]| read::read(Dialect::Responses, data));
