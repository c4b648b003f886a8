//! From configuration to a running gateway: the life of a request.
//!
//! Read [`handle`] first. Every stage that it names is one function in the file of the same name.

#![cfg_attr(test, expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may"))]

pub mod admin;
pub mod ask;
pub mod attempt;
pub mod auth;
pub mod background;
pub mod boot;
pub mod budget;
pub mod config;
pub mod count;
pub mod handle;
pub mod keys;
pub mod limits;
mod lines;
pub mod metrics;
pub mod now;
pub mod reply;
mod resumed;
pub mod route;
pub mod settle;
pub mod stored;
pub mod sync;
pub mod tab;
mod tally;

mod core;

pub use core::{Core, Gateway, Snapshot};
pub use now::Now;
pub use tollgate_router::{Client, HealthMap, Tls};
pub use tollgate_wire::{
    Dialect, Refusal, RefusalKind, card, catalogue,
    exchange::refusal,
    matrix::{Route, surface},
};
