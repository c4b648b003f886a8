//! Everything that is tested by data: each case of `fixtures/chat` through every pair of dialects.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "tests may"
)]

mod arbitrary;
mod embeddings;
mod events;
mod fixtures;
mod golden;
mod listed;
mod losses;
mod matrix;
mod shape;
mod split;
