//! Hub types, one file an operation.

pub mod chat;
pub mod embeddings;
