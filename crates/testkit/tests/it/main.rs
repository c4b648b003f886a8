//! The fixtures themselves: a fixture that is wrong makes every test that stands on it worthless.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may")]

mod anthropic;
mod evil;
mod gemini;
mod openai;
mod others;
