//! What fuzzing does with bytes. Each [`Target`] is a function that must not panic, whatever it is
//! given; `fuzz/` lets libFuzzer choose the bytes, and a test here replays all that is known:
//! [`seeds`] made of the fixtures, and what fuzzing found beyond them (`fuzz/corpus`).
//!
//! Nothing here knows libFuzzer, so it builds and runs on stable Rust.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test support: a panic is what is looked for"
)]

mod answer;
mod ask;
mod events;
mod exchange;
mod frame;
pub mod seeds;
mod to;

use tollgate_wire::Dialect;

/// Something to give bytes to.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, and that of the program in `fuzz/`.
    pub name: &'static str,
    /// What it does with them. Panics where a promise is broken.
    pub run: fn(&[u8]),
}

const fn target(name: &'static str, run: fn(&[u8])) -> Target {
    Target { name, run }
}

/// All of them.
pub const TARGETS: [Target; 28] = [
    // What a client sends, and what an upstream of any dialect is sent for it.
    target("openai_ask", |data| ask::read(Dialect::Openai, data)),
    target("anthropic_ask", |data| ask::read(Dialect::Anthropic, data)),
    target("responses_ask", |data| ask::read(Dialect::Responses, data)),
    target("completions_ask", |data| ask::read(Dialect::Completions, data)),
    target("gemini_ask", |data| ask::read(Dialect::Gemini, data)),
    target("cohere_ask", |data| ask::read(Dialect::Cohere, data)),
    target("embeddings", exchange::embeddings),
    target("count", exchange::count),
    target("peek", ask::peek),
    // What an upstream answers, whole and streamed.
    target("openai_answer", |data| answer::read(Dialect::Openai, data)),
    target("anthropic_answer", |data| answer::read(Dialect::Anthropic, data)),
    target("responses_answer", |data| answer::read(Dialect::Responses, data)),
    target("gemini_answer", |data| answer::read(Dialect::Gemini, data)),
    target("bedrock_answer", |data| answer::read(Dialect::Bedrock, data)),
    target("cohere_answer", |data| answer::read(Dialect::Cohere, data)),
    target("ollama_answer", |data| answer::read(Dialect::Ollama, data)),
    target("oci_answer", |data| answer::read(Dialect::Oci, data)),
    target("oci_cohere_answer", |data| answer::read(Dialect::OciCohere, data)),
    target("tgi_answer", |data| answer::read(Dialect::Tgi, data)),
    target("watsonx_text_answer", |data| answer::read(Dialect::WatsonxText, data)),
    target("replicate_answer", |data| answer::read(Dialect::Replicate, data)),
    target("job", answer::job),
    target("fault", answer::fault),
    // The same, on its way to the client.
    target("relay", exchange::relay),
    target("bridge", exchange::bridge),
    // What streams are made of.
    target("sse", frame::sse),
    target("lines", frame::lines),
    target("aws", frame::aws),
];

/// The target of this name. Made to be called at compile time: a program then holds nothing but
/// its own target.
///
/// # Panics
///
/// If there is none.
pub const fn named(name: &str) -> Target {
    let mut at = 0;
    while at < TARGETS.len() {
        if same(TARGETS[at].name.as_bytes(), name.as_bytes()) {
            return TARGETS[at];
        }
        at += 1;
    }
    panic!("no such target");
}

/// `==`, where it cannot be called yet.
const fn same(a: &[u8], b: &[u8]) -> bool {
    let mut at = 0;
    while at < a.len() && at < b.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    a.len() == b.len()
}

/// The bytes in pieces, as their first byte says: two, or many of the same size.
fn cut(how: u8, bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let how = usize::from(how);
    let size = if how.is_multiple_of(2) { how / 2 + 1 } else { bytes.len() * how / 256 };
    let (head, tail) = if how.is_multiple_of(2) { (bytes, &[][..]) } else { bytes.split_at(size) };
    let size = if how.is_multiple_of(2) { size } else { bytes.len() };
    head.chunks(size.max(1)).chain(tail.chunks(size.max(1)))
}

/// Whether these bytes are JSON.
fn assert_json(bytes: &[u8]) {
    if let Err(why) = serde_json::from_slice::<&serde_json::value::RawValue>(bytes) {
        panic!("{why}: {}", bytes.escape_ascii());
    }
}
