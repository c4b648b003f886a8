//! One function for every model of every provider.
//!
//! ```no_run
//! use tollgate::{completion, user};
//!
//! # async fn example() -> Result<(), tollgate::Error> {
//! let answer = completion("apertis/model-name", [user("Write a short poem about AI")])
//!     .temperature(0.7)
//!     .max_tokens(200)
//!     .await?;
//! println!("{}", answer.text());
//! println!("{:?}", answer.cost());
//! # Ok(())
//! # }
//! ```
//!
//! The same core as the gateway's runs in this process: model strings (`provider/model`), key
//! variables (`STIMA_API_KEY`, …), parameter names, answers and error classes are LiteLLM's.
//! Anthropic's models are called through the same function and answer in the same shape.
//!
//! * [`completion()`] returns a [`Completion`]: set parameters, then `.await` it, or
//!   [`stream`](Completion::stream) it.
//! * [`embedding()`] returns an [`Embedding`]: set parameters, then `.await` it.
//! * [`Error`] has a variant for each of LiteLLM's exception classes.
//! * [`completion_cost`] and `.cost()` say what an answer cost.
//! * [`Tollgate`] is a client with settings of its own; [`Tollgate::gateway`] talks to a running
//!   gateway instead of a provider.
//!
//! It runs on tokio.

#![cfg_attr(test, expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may"))]

mod call;
mod chunk;
mod client;
mod completion;
mod cost;
mod embedding;
mod error;
mod frames;
mod gateway;
mod message;
mod mock;
mod model;
mod options;
mod response;
mod stream;
mod target;
mod tool;

use std::sync::LazyLock;

pub use chunk::{Chunk, ChunkChoice, Delta, ToolCallDelta, stream_chunk_builder};
pub use client::{Builder, Tollgate};
pub use completion::Completion;
pub use cost::completion_cost;
pub use embedding::{Embedding, Embeddings, Input, Numbers, Vector};
pub use error::{Details, Error};
pub use gateway::Gateway;
pub use message::{
    Content, FunctionCall, ImageUrl, Message, Part, ToolCall, assistant, system, tool_result, user,
};
pub use model::{LlmProvider, get_llm_provider};
pub use response::{ChatCompletion, Choice, CompletionTokens, PromptTokens, Route, Usage};
pub use stream::CompletionStream;
pub use tollgate_ledger::Nano;
pub use tool::{Function, ResponseFormat, Tool, ToolChoice};

/// The client of the free functions: one for the process, made at the first call.
static DEFAULT: LazyLock<Tollgate> = LazyLock::new(Tollgate::new);

/// A chat with a model (`provider/model`): set parameters on what this returns, then `.await` it
/// for a whole answer or [`stream`](Completion::stream) it for pieces.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let answer = tollgate::completion("apertis/model-name", [tollgate::user("Hello")])
///     .mock_response("Hello yourself")
///     .await?;
/// assert_eq!(answer.text(), "Hello yourself");
/// # Ok::<(), tollgate::Error>(())
/// # }).unwrap();
/// ```
pub fn completion(
    model: impl Into<String>,
    messages: impl IntoIterator<Item = Message>,
) -> Completion {
    DEFAULT.completion(model, messages)
}

/// Vectors for one text or several: set parameters on what this returns, then `.await` it.
pub fn embedding(model: impl Into<String>, input: impl Into<Input>) -> Embedding {
    DEFAULT.embedding(model, input)
}
