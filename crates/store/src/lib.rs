//! What outlives a restart: keys, usage rows and settings in SQLite or PostgreSQL, and the
//! journal that makes usage rows durable before an answer's last byte.
//!
//! One SQL text serves both databases; the few differences are named functions in `portable.rs`.
//! [`Store`] holds no cache: whoever asks often keeps a snapshot of its own.

#![cfg_attr(test, expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may"))]

mod bulk;
mod db;
mod error;
mod filter;
mod hash;
pub mod journal;
mod key;
mod line;
mod migrate;
mod pending;
mod portable;
mod record;
mod report;
mod spend;
mod store;
mod usage;

pub use error::StoreError;
pub use hash::{KeyHash, NotAHash};
pub use journal::{Pen, Recorder, Replay, Told};
pub use key::{KeyChunks, KeyFilter, KeyRow};
pub use pending::{Holding, Pending};
pub use store::{Page, Store};
pub use usage::{Outcome, RareUsage, SummaryBy, UsageFilter, UsageOrder, UsageRow, UsageSum};
