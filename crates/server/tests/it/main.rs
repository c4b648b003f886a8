//! The real binary against scripted and evil upstreams.
//!
//! Every gateway has an SQLite file of its own; with `TOLLGATE_TEST_DATABASE=postgres`, a database
//! of its own on the server of `TOLLGATE_TEST_POSTGRES` (`postgres://user@host:port/db`), so that
//! all of this runs on both. `cargo xtask test` does that.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may"
)]

mod agents;
mod azure;
mod background;
mod bedrock;
mod cohere;
mod commands;
mod count;
mod database;
mod differential;
mod docs;
mod embeddings;
mod faults;
mod gate;
mod gemini;
mod inspect;
mod keys;
mod kill;
mod lifecycle;
mod media;
mod models;
mod oci;
mod ollama;
mod places;
mod postgres;
mod proxy;
mod refusals;
mod replicate;
mod responses;
mod seed;
mod spend;
mod sync;
mod text;
mod things;
mod vertex;
