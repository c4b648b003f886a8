//! Hub types, one file an operation.

pub mod chat;
