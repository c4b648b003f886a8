//! The demo provider: an upstream in this process that speaks OpenAI's dialect on the loopback
//! address, so that a newcomer needs no key and no network. Only `demo` starts it.

use std::{collections::VecDeque, convert::Infallible, net::SocketAddr, time::Duration};

use axum::{
    Json, Router,
    body::Body,
    extract::{DefaultBodyLimit, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use http::{StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use super::{
    chat::{self, ChatRequest},
    embedding, script,
};

/// The models that the provider has.
pub(super) const MODELS: [&str; 3] = ["demo-chat", "demo-reasoner", "demo-embed"];
/// The pause between two words.
const PACE: Duration = Duration::from_millis(25);
/// Most bytes of a request.
const MOST_BYTES: usize = 8 << 20;
/// Most texts of one embeddings request.
const MOST_TEXTS: usize = 2048;

/// A demo provider that runs. Dropping it stops it.
#[derive(Debug)]
pub(crate) struct Demo {
    /// Its base URL, version segment included.
    pub(crate) base_url: String,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Demo {
    /// Stops taking requests and waits until the last one is answered.
    pub(crate) async fn shutdown(self) {
        drop(self.stop);
        // The task has no result; it can only have ended.
        let _ended = self.task.await;
    }
}

/// Starts the provider on a free port of 127.0.0.1.
pub(crate) async fn start() -> anyhow::Result<Demo> {
    start_paced(PACE).await
}

/// The same, with a pace of one's own.
pub(crate) async fn start_paced(pace: Duration) -> anyhow::Result<Demo> {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let base_url = format!("http://{}/v1", listener.local_addr()?);
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(async move {
        let stopped = async {
            let _dropped = stopped.await;
        };
        let served = axum::serve(listener, router(pace)).with_graceful_shutdown(stopped).await;
        if let Err(error) = served {
            tracing::error!(%error, "the demo provider ended: {error}");
        }
    });
    Ok(Demo { base_url, stop, task })
}

pub(super) fn router(pace: Duration) -> Router {
    Router::new()
        .route("/v1/models", get(models))
        .route("/v1/chat/completions", post(chat_completions))
        .route("/v1/embeddings", post(embeddings))
        .fallback(async || refusal(StatusCode::NOT_FOUND, "not_found", "no such path"))
        .layer(DefaultBodyLimit::max(MOST_BYTES))
        .with_state(pace)
}

async fn models() -> Json<Value> {
    let model = |id: &&str| json!({"id": id, "object": "model", "created": 0, "owned_by": "demo"});
    Json(json!({"object": "list", "data": MODELS.iter().map(model).collect::<Vec<_>>()}))
}

async fn chat_completions(State(pace): State<Duration>, body: Bytes) -> Response {
    let request: ChatRequest = match serde_json::from_slice(&body) {
        Ok(request) => request,
        Err(error) => return bad_request(&error),
    };
    if !matches!(request.model.as_str(), "demo-chat" | "demo-reasoner") {
        return unknown_model(&request.model);
    }
    let answer = chat::answer(&request);
    if request.stream {
        let include_usage = request.stream_options.is_some_and(|options| options.include_usage);
        stream(chat::frames(&answer, include_usage), pace)
    } else {
        Json(chat::whole(&answer)).into_response()
    }
}

/// The frames, one by one, with a pause between them. When the client leaves, the body is dropped
/// and nothing more happens.
fn stream(frames: VecDeque<String>, pace: Duration) -> Response {
    let frames =
        futures_util::stream::unfold((frames, false), move |(mut rest, paused)| async move {
            let frame = rest.pop_front()?;
            if paused {
                tokio::time::sleep(pace).await;
            }
            Some((Ok::<_, Infallible>(Bytes::from(frame)), (rest, true)))
        });
    let headers =
        [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")];
    (headers, Body::from_stream(frames)).into_response()
}

#[derive(Debug, Deserialize)]
struct EmbeddingsRequest {
    model: String,
    input: Input,
    dimensions: Option<usize>,
    encoding_format: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Input {
    Text(String),
    Texts(Vec<String>),
}

async fn embeddings(body: Bytes) -> Response {
    let request: EmbeddingsRequest = match serde_json::from_slice(&body) {
        Ok(request) => request,
        Err(error) => return bad_request(&error),
    };
    if request.model != "demo-embed" {
        return unknown_model(&request.model);
    }
    let texts = match request.input {
        Input::Text(text) => vec![text],
        Input::Texts(texts) => texts,
    };
    let dimensions = request.dimensions.unwrap_or(embedding::DIMENSIONS);
    if dimensions == 0 || dimensions > embedding::MOST_DIMENSIONS || texts.len() > MOST_TEXTS {
        let message = format!(
            "at most {MOST_TEXTS} texts, and 1 to {} dimensions",
            embedding::MOST_DIMENSIONS
        );
        return refusal(StatusCode::BAD_REQUEST, "invalid_request", &message);
    }
    let base64 = request.encoding_format.as_deref() == Some("base64");
    let one = |(index, text): (usize, &String)| {
        let vector = embedding::vector(text, dimensions);
        let vector = if base64 { json!(embedding::base64(&vector)) } else { json!(vector) };
        json!({"object": "embedding", "index": index, "embedding": vector})
    };
    let tokens: u64 = texts.iter().map(|text| script::tokens(text)).sum();
    Json(json!({
        "object": "list",
        "data": texts.iter().enumerate().map(one).collect::<Vec<_>>(),
        "model": request.model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }))
    .into_response()
}

fn bad_request(error: &serde_json::Error) -> Response {
    refusal(StatusCode::BAD_REQUEST, "invalid_request", &format!("cannot read the body: {error}"))
}

fn unknown_model(name: &str) -> Response {
    let message = format!("the demo provider has no model `{name}` for this; it has {MODELS:?}");
    refusal(StatusCode::NOT_FOUND, "model_not_found", &message)
}

fn refusal(status: StatusCode, code: &str, message: &str) -> Response {
    let body = json!({"error": {"message": message, "type": "invalid_request_error", "param": null,
        "code": code}});
    (status, Json(body)).into_response()
}
