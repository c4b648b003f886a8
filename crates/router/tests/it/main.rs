//! Attempts against upstreams that behave, and that do not. Tests of a fault of the fault matrix
//! (F01 …) are named after it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may"
)]

mod answers;
mod hangups;
mod pool;
mod rig;
mod statuses;
mod streams;
mod tls;
mod tokens;
mod unreachable;
