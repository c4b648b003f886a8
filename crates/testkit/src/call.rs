//! A small HTTP client for tests: sends one request, keeps the chunks of the answer apart and says
//! when each came.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{net::TcpStream, task::AbortHandle};

/// Longest wait for a whole answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, in the pieces it came in, with the time since the request was sent.
    pub chunks: Vec<(Duration, Bytes)>,
    /// The body broke off without its proper end.
    pub broken: bool,
}

impl Answer {
    /// The whole body.
    pub fn body(&self) -> Bytes {
        self.chunks.iter().flat_map(|(_, chunk)| chunk.iter().copied()).collect()
    }

    /// The whole body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body()).into_owned()
    }

    /// The whole body as JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body()).unwrap_or_default()
    }

    /// A header's text; empty where it is missing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The `data:` of every SSE event of the body.
    pub fn events(&self) -> Vec<String> {
        let text = self.text();
        text.lines().filter_map(|line| line.strip_prefix("data: ")).map(str::to_owned).collect()
    }
}

/// An answer whose body is still coming. Dropping it closes the connection.
#[derive(Debug)]
pub struct Open {
    /// Status and headers, and the body.
    pub response: Response<Incoming>,
    connection: AbortHandle,
    sent: Instant,
}

impl Open {
    /// The next piece of the body; `None` at its end.
    pub async fn chunk(&mut self) -> Option<Result<Bytes, hyper::Error>> {
        loop {
            match self.response.body_mut().frame().await? {
                Err(why) => return Some(Err(why)),
                Ok(frame) => {
                    if let Ok(data) = frame.into_data() {
                        return Some(Ok(data));
                    }
                }
            }
        }
    }

    /// Reads the rest.
    pub async fn finish(mut self) -> Answer {
        let mut chunks = Vec::new();
        let mut broken = false;
        while let Some(chunk) = self.chunk().await {
            match chunk {
                Ok(bytes) => chunks.push((self.sent.elapsed(), bytes)),
                Err(_) => {
                    broken = true;
                    break;
                }
            }
        }
        let status = self.response.status();
        let headers = self.response.headers().clone();
        Answer { status, headers, chunks, broken }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// Sends a request to `http://HOST:PORT/path` on a connection of its own and gives the answer once
/// its head is there. An error is a connection that was refused, or closed without an answer.
pub async fn open(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> std::io::Result<Open> {
    let rest = url.strip_prefix("http://").expect("a plain http URL");
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let socket = TcpStream::connect(host).await?;
    let _ = socket.set_nodelay(true);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(socket))
        .await
        .map_err(std::io::Error::other)?;
    let connection = tokio::spawn(async move {
        // An error shows in the body or in the answer.
        let _ = connection.await;
    });
    let mut request =
        Request::builder().method(method).uri(format!("/{path}")).header(header::HOST, host);
    for &(name, value) in headers {
        request = request.header(name, value);
    }
    let request = request.body(Full::new(body.into())).expect("a well-formed request");
    let sent = Instant::now();
    let response = sender.send_request(request).await.map_err(std::io::Error::other)?;
    Ok(Open { response, connection: connection.abort_handle(), sent })
}

/// Sends a request and reads the whole answer.
///
/// # Panics
/// Where no answer comes, or it takes more than a minute.
pub async fn call(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Answer {
    let body = body.into();
    let whole = async {
        let open = open(method, url, headers, body).await.expect("an answer, not a closed door");
        open.finish().await
    };
    tokio::time::timeout(PATIENCE, whole).await.expect("an answer within a minute")
}

/// GETs a URL with a bearer key (none where it is empty).
pub async fn get(url: &str, key: &str) -> Answer {
    call("GET", url, &bearer(&format!("Bearer {key}")), Bytes::new()).await
}

/// POSTs JSON with a bearer key (none where it is empty).
pub async fn post(url: &str, key: &str, body: &Value) -> Answer {
    let bearer_key = format!("Bearer {key}");
    let mut headers = bearer(&bearer_key);
    headers.push(("content-type", "application/json"));
    call("POST", url, &headers, body.to_string()).await
}

fn bearer(value: &str) -> Vec<(&str, &str)> {
    if value == "Bearer " { Vec::new() } else { vec![("authorization", value)] }
}
