//! Pictures and citations of answers, whole and streamed, from every upstream that has them to
//! clients of every other dialect, through the real binary.

use serde_json::{Value, json};
use tollgate_testkit::{Answer, ScriptedUpstream, Tollgate, call};

use crate::gate::{self, UPSTREAM_KEY};

/// The pixel that the scripted upstreams answer with, and the page that they cite.
const PIXEL: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const PAGE: &str = "https://example.com/source";
const SAID: &str = "You said: Say hello";

/// A client's dialect: where it says what, in a whole answer and in a stream.
struct Client {
    name: &'static str,
    pictures: [&'static str; 2],
    pages: [&'static str; 2],
    texts: [&'static str; 2],
}

const CLIENTS: [Client; 4] = [
    Client {
        name: "openai",
        pictures: [
            "choices.*.message.images.*.image_url.url",
            "choices.*.delta.images.*.image_url.url",
        ],
        pages: [
            "choices.*.message.annotations.*.url_citation.url",
            "choices.*.delta.annotations.*.url_citation.url",
        ],
        texts: ["choices.*.message.content", "choices.*.delta.content"],
    },
    Client {
        name: "responses",
        pictures: ["output.*.result", "item.result"],
        pages: ["output.*.content.*.annotations.*.url", "annotation.url"],
        texts: ["output.*.content.*.text", "delta"],
    },
    Client {
        name: "gemini",
        pictures: ["candidates.*.content.parts.*.inlineData.data"; 2],
        pages: ["candidates.*.groundingMetadata.groundingChunks.*.web.uri"; 2],
        texts: ["candidates.*.content.parts.*.text"; 2],
    },
    Client {
        name: "anthropic",
        pictures: ["content.*.source.data", "content_block.source.data"],
        pages: ["content.*.citations.*.url", "delta.citation.url"],
        texts: ["content.*.text", "delta.text"],
    },
];

/// Models whose names tell the scripted upstream what to answer with.
fn config(url: &str) -> String {
    let mut models = String::new();
    for what in ["picture", "cites"] {
        for (name, model, more) in [
            ("openai", "cerebras/m", format!("api_base: '{url}/v1', api_key: {UPSTREAM_KEY}")),
            ("responses", "alone/m", format!("api_base: '{url}/v1', api_key: {UPSTREAM_KEY}")),
            (
                "gemini",
                "gemini/gemini-2.5-flash",
                format!("api_base: '{url}', api_key: {UPSTREAM_KEY}"),
            ),
            ("anthropic", "anthropic/m", format!("api_base: '{url}', api_key: {UPSTREAM_KEY}")),
            (
                "bedrock",
                "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
                format!(
                    "api_base: '{url}', aws_region_name: us-east-1, \
                     aws_access_key_id: AKIDSCRIPTED, aws_secret_access_key: scripted/secret+key"
                ),
            ),
        ] {
            models += &format!(
                "- model_name: {name}-{what}\n  litellm_params: {{model: '{model}+{what}', {more}}}\n"
            );
        }
    }
    format!(
        "model_list:\n{models}router_settings: {{num_retries: 0, disable_cooldowns: true}}\n\
         tollgate:\n  providers:\n    alone:\n      url: {url}/v1\n      speaks: {{responses: \"\"}}\n"
    )
}

async fn start() -> (ScriptedUpstream, Tollgate) {
    let upstream = gate::upstream(&[]).await;
    let gate = gate::binary().config(config(&upstream.url())).start().await;
    (upstream, gate)
}

async fn ask(gate: &Tollgate, client: &str, model: &str, stream: bool) -> Answer {
    let text = "Say hello";
    let (path, body) = match client {
        "openai" => (
            "/v1/chat/completions".to_owned(),
            json!({ "messages": [{ "role": "user", "content": text }] }),
        ),
        "responses" => ("/v1/responses".to_owned(), json!({ "input": text })),
        "anthropic" => (
            "/v1/messages".to_owned(),
            json!({ "max_tokens": 100, "messages": [{ "role": "user", "content": text }] }),
        ),
        _ => {
            let what = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
            (
                format!("/v1beta/models/{model}:{what}"),
                json!({ "contents": [{ "role": "user", "parts": [{ "text": text }] }] }),
            )
        }
    };
    let mut body = body;
    if client != "gemini" {
        body["model"] = json!(model);
        body["stream"] = json!(stream);
    }
    let bearer = format!("Bearer {}", gate.master_key());
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let answer = call("POST", &format!("{}{path}", gate.url()), &headers, body.to_string()).await;
    assert_eq!(answer.status, 200, "{client} over {model}: {}", answer.text());
    answer
}

/// What an answer consists of: itself, or the events of a stream.
fn documents(answer: &Answer, stream: bool) -> Vec<Value> {
    if !stream {
        return vec![answer.json()];
    }
    let events = answer.events();
    events.iter().filter(|e| *e != "[DONE]").map(|e| serde_json::from_str(e).unwrap()).collect()
}

/// The texts that stand at a path, items of lists as `*`.
fn found<'v>(value: &'v Value, path: &str, out: &mut Vec<&'v str>) {
    let Some((name, rest)) = path.split_once('.') else {
        out.extend(value[path].as_str());
        return;
    };
    match name {
        "*" => value.as_array().into_iter().flatten().for_each(|item| found(item, rest, out)),
        name => found(&value[name], rest, out),
    }
}

fn all<'v>(documents: &'v [Value], path: &str) -> Vec<&'v str> {
    let mut out = Vec::new();
    documents.iter().for_each(|document| found(document, path, &mut out));
    out
}

#[tokio::test]
async fn pictures_reach_clients_of_every_dialect() {
    let (_upstream, gate) = start().await;
    for upstream in ["openai", "responses", "gemini", "bedrock"] {
        for client in CLIENTS.iter().filter(|client| client.name != upstream) {
            for stream in [false, true] {
                let answer = ask(&gate, client.name, &format!("{upstream}-picture"), stream).await;
                let documents = documents(&answer, stream);
                let why = format!("{} over {upstream}, {stream}: {}", client.name, answer.text());
                let at = usize::from(stream);
                let pictures = all(&documents, client.pictures[at]).concat();
                assert_eq!(pictures.matches(PIXEL).count(), 1, "{why}");
                let text = all(&documents, client.texts[at]).concat();
                assert!(text.starts_with(SAID), "{why}");
            }
        }
    }
}

#[tokio::test]
async fn citations_reach_clients_of_every_dialect() {
    let (_upstream, gate) = start().await;
    for upstream in ["openai", "responses", "gemini", "anthropic", "bedrock"] {
        for client in CLIENTS.iter().filter(|client| client.name != upstream) {
            for stream in [false, true] {
                let answer = ask(&gate, client.name, &format!("{upstream}-cites"), stream).await;
                let documents = documents(&answer, stream);
                let why = format!("{} over {upstream}, {stream}: {}", client.name, answer.text());
                let at = usize::from(stream);
                assert_eq!(all(&documents, client.pages[at]), [PAGE], "{why}");
                assert_eq!(all(&documents, client.texts[at]).concat(), SAID, "{why}");
            }
        }
    }
}
