//! Answers that nobody gave: LiteLLM's `mock_response`, for tests.

use std::collections::VecDeque;

use crate::{
    chunk::{Chunk, ChunkChoice, Delta},
    message::assistant,
    response::{ChatCompletion, Choice, Route, Usage},
    stream::CompletionStream,
};

pub(crate) fn whole(model: &str, text: &str) -> ChatCompletion {
    let choice = Choice {
        message: assistant(text),
        finish_reason: Some("stop".to_owned()),
        ..Choice::default()
    };
    ChatCompletion {
        id: "chatcmpl-mock".to_owned(),
        object: "chat.completion".to_owned(),
        model: model.to_owned(),
        choices: vec![choice],
        usage: Some(usage()),
        route: route(model),
        ..ChatCompletion::default()
    }
}

pub(crate) fn stream(model: &str, text: &str) -> CompletionStream {
    let first = Delta { role: Some("assistant".to_owned()), ..Delta::default() };
    let words = text
        .split_inclusive(' ')
        .map(|word| Delta { content: Some(word.to_owned()), ..Delta::default() });
    let mut chunks: VecDeque<Chunk> =
        std::iter::once(first).chain(words).map(|delta| chunk(model, delta, None)).collect();
    chunks.push_back(chunk(model, Delta::default(), Some("stop".to_owned())));
    CompletionStream::mock(chunks, route(model))
}

fn chunk(model: &str, delta: Delta, finish_reason: Option<String>) -> Chunk {
    Chunk {
        id: "chatcmpl-mock".to_owned(),
        object: "chat.completion.chunk".to_owned(),
        model: model.to_owned(),
        choices: vec![ChunkChoice { delta, finish_reason, ..ChunkChoice::default() }],
        ..Chunk::default()
    }
}

/// LiteLLM's figures for a mock: 10 tokens asked, 20 answered.
fn usage() -> Usage {
    Usage { prompt_tokens: 10, completion_tokens: 20, total_tokens: 30, ..Usage::default() }
}

fn route(model: &str) -> Route {
    Route {
        provider: "mock".to_owned(),
        model: model.to_owned(),
        usage: usage().counts(),
        ..Route::default()
    }
}
