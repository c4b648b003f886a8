//! Ready-made misbehaviour. Each is a list of [`Step`]s for one connection.

use std::{io::Write as _, time::Duration};

use bytes::Bytes;

use super::Step;

/// The head of an SSE answer without a length: it ends when the connection does.
pub const SSE_HEAD: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

/// Reads one whole request, then writes these bytes.
pub fn answer(bytes: impl Into<Bytes>) -> Vec<Step> {
    vec![Step::ReadHead, Step::ReadBody, Step::Write(bytes.into())]
}

/// A well-formed answer with this body and a right length; the connection stays usable.
pub fn whole(status: &str, content_type: &str, body: &str) -> Bytes {
    let length = body.len();
    Bytes::from(format!(
        "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\r\n{body}"
    ))
}

/// An SSE answer whose bytes are cut after `at` of the body, by FIN or by RST.
pub fn cut_stream(body: &[u8], at: usize, how: Step) -> Vec<Step> {
    let kept = body.get(..at).unwrap_or(body);
    // A reset can overtake bytes that are still in the victim's receive queue: let them arrive.
    let mut steps = answer([SSE_HEAD.as_bytes(), kept].concat());
    steps.extend([Step::Sleep(Duration::from_millis(20)), how]);
    steps
}

/// A chunked SSE answer cut in the middle of a chunk: not a clean end by any reading.
pub fn cut_chunk(event: &str) -> Vec<Step> {
    let length = event.len() + 100;
    answer(format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n{length:x}\r\n{event}"
    ))
}

/// Accepts and says nothing, not even to a request: also a TLS handshake that never ends.
pub fn accept_and_sleep() -> Vec<Step> {
    vec![Step::Stall]
}

/// Reads the request and never answers.
pub fn read_and_sleep() -> Vec<Step> {
    vec![Step::ReadHead, Step::ReadBody, Step::Stall]
}

/// Closes without reading anything.
pub fn slam() -> Vec<Step> {
    vec![Step::Rst]
}

/// These SSE events, then silence on an open connection.
pub fn stall_after(events: &str) -> Vec<Step> {
    let mut steps = answer([SSE_HEAD, events].concat());
    steps.push(Step::Stall);
    steps
}

/// An SSE stream that comes byte by byte.
pub fn drip(events: &str, gap: Duration) -> Vec<Step> {
    let mut steps = answer(SSE_HEAD);
    steps.push(Step::Drip(Bytes::copy_from_slice(events.as_bytes()), gap));
    steps
}

/// An SSE line of this many MiB without a newline.
pub fn endless_line(mib: usize) -> Vec<Step> {
    let mut steps = answer([SSE_HEAD, "data: "].concat());
    steps.push(Step::Repeat(Bytes::from(vec![b'x'; 1 << 20]), mib));
    steps
}

/// A JSON answer of this many MiB without a length.
pub fn endless_body(mib: usize) -> Vec<Step> {
    let mut steps = answer(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n{\"id\": \"",
    );
    steps.push(Step::Repeat(Bytes::from(vec![b'x'; 1 << 20]), mib));
    steps
}

/// A gzip body that unpacks to this many MiB of spaces, sent although nobody asked for gzip.
pub fn gzip_bomb(mib: usize) -> Vec<Step> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let block = vec![b' '; 1 << 20];
    for _ in 0..mib {
        packer.write_all(&block).expect("packing into memory");
    }
    let packed = packer.finish().expect("packing into memory");
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
        packed.len()
    );
    answer([head.as_bytes(), packed.as_slice()].concat())
}

/// Response headers of this many bytes in all.
pub fn huge_headers(bytes: usize) -> Vec<Step> {
    let line = format!("x-filler: {}\r\n", "h".repeat(1012));
    let mut steps = answer("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n");
    steps.push(Step::Repeat(Bytes::from(line), bytes / 1024));
    steps.push(Step::Write(Bytes::from_static(b"content-length: 2\r\n\r\n{}")));
    steps
}

/// This many informational answers and never a final one.
pub fn info_flood(times: usize) -> Vec<Step> {
    let mut steps = answer("");
    let info = "HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n";
    steps.push(Step::Repeat(Bytes::from(info), times));
    steps.push(Step::Stall);
    steps
}

/// A redirect to somewhere else.
pub fn redirect(status: u16, to: &str) -> Vec<Step> {
    answer(format!("HTTP/1.1 {status} Elsewhere\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n"))
}

/// A JSON answer that announces `extra` bytes more than it sends.
pub fn short_body(body: &str, extra: usize) -> Vec<Step> {
    let length = body.len() + extra;
    answer(format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    ))
}

/// Two lengths that disagree.
pub fn two_lengths(body: &str) -> Vec<Step> {
    answer(format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\ncontent-length: 1\r\n\r\n{body}",
        body.len()
    ))
}

/// 200 with a page of HTML.
pub fn html() -> Vec<Step> {
    answer(whole("200 OK", "text/html", "<html><body>It works!</body></html>"))
}

/// 200 with nothing in it.
pub fn empty_200() -> Vec<Step> {
    answer("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
}

/// 204.
pub fn no_content() -> Vec<Step> {
    answer("HTTP/1.1 204 No Content\r\n\r\n")
}

/// Bytes that are no HTTP.
pub fn not_http() -> Vec<Step> {
    answer("SSH-2.0-OpenSSH_9.2\r\n")
}

/// Answers the first request well, then closes the connection: it is dead when it is used again.
pub fn close_when_idle(answer_bytes: Bytes) -> Vec<Step> {
    let mut steps = answer(answer_bytes);
    steps.push(Step::Fin);
    steps
}

/// Answers the first request well, reads the head of the second and resets: the second request
/// may have run.
pub fn reset_on_reuse(answer_bytes: Bytes) -> Vec<Step> {
    let mut steps = answer(answer_bytes);
    steps.extend([Step::ReadHead, Step::ReadBody, Step::Rst]);
    steps
}
