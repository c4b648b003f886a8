//! The store, as the gateway uses it: every test on SQLite, and on PostgreSQL too where
//! `TOLLGATE_TEST_POSTGRES` is the URL of a server on which databases may be made.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests may")]

mod database;
mod journal;
mod keys;
mod open;
mod pending;
mod usage;
