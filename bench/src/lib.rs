//! What the benchmarks are made of: a scripted upstream's answers, a load generator that checks
//! every one of them, and a proxy that does nothing else, as the floor to compare with.
//!
//! `cargo xtask bench` starts the binaries of this crate; `docs/benchmarks.md` says what the
//! figures mean. Nothing here is part of Tollgate itself.

#![cfg_attr(
    test,
    expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may end by panic")
)]

pub mod answers;
pub mod ask;
pub mod check;
pub mod listen;
pub mod load;
pub mod reply;
pub mod script;
pub mod timing;

pub use tollgate_wire::Dialect;
