//! Formats, translation and the catalogue: everything Tollgate knows about what travels on the
//! wire. This crate does no I/O: no async, no clock, no environment, no files, no sockets.
//!
//! Read [`matrix`] first: it is the whole picture on one screen.

#![cfg_attr(test, expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may"))]

pub mod card;
pub mod catalogue;
pub mod dialect;
pub mod exchange;
pub mod fault;
pub mod frame;
mod json;
pub mod login;
pub mod matrix;
pub mod op;
pub mod params;
pub mod peek;
pub mod place;
pub mod provider;
pub mod refusal;
pub mod secret;
pub mod target;
pub mod tokens;
pub mod usage;

pub use card::{Card, Mode, Rates};
pub use exchange::{Call, CannotAsk, Exchange, Malformed, Unsupported};
pub use fault::{Fault, FaultKind};
pub use login::Login;
pub use matrix::{Dialect, Operation};
pub use peek::{Peek, PeekError};
pub use provider::{Auth, Provider};
pub use refusal::{Refusal, RefusalKind};
pub use secret::Secret;
pub use target::Target;
pub use usage::{SearchSize, Tier, Usage};
