//! Gives libFuzzer's bytes to the target that this program is named after.
#![no_main]

mod memory;
mod mutate;

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use tollgate_fuzzed::{Target, named};

const TARGET: Target = named(env!("CARGO_BIN_NAME"));

#[global_allocator]
static MEMORY: memory::Counted = memory::Counted;

fuzz_target!(|bytes: &[u8]| memory::bounded(bytes.len(), || (TARGET.run)(bytes)));

fuzz_mutator!(|bytes: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate::mutate(bytes, size, max_size, seed)
});
