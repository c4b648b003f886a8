//! Frames of a stream, whatever is in them.

pub mod aws;
pub mod lines;
pub mod sse;
