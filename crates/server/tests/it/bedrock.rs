//! OpenAI's and Anthropic's clients over Amazon Bedrock, whose signatures, shapes and streams the
//! scripted one takes as strictly as the service.

use std::fs;

use bytes::Bytes;
use serde_json::{Value, json};
use tollgate_testkit::{Answer, Reply, ScriptedUpstream, Tollgate, call, post};

use crate::gate::{assert_refused, binary, chat, hello, hello_streamed, rows, upstream};

const CLAUDE: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
const ROLE: &str = "arn:aws:iam::123456789012:role/scripted";
/// A key that the scripted service knows.
const KEYS: &str =
    "aws_access_key_id: AKIDSCRIPTED\n      aws_secret_access_key: scripted/secret+key";

fn config(upstream: &ScriptedUpstream, entries: &[(&str, &str, &str)]) -> String {
    let entries: String = entries
        .iter()
        .map(|(name, model, more)| {
            format!(
                "  - model_name: {name}\n    litellm_params:\n      model: bedrock/{model}\n      \
                 api_base: {}\n      aws_region_name: us-east-1\n      \
                 input_cost_per_token: 0.000001\n      output_cost_per_token: 0.000002\n      {more}\n",
                upstream.url()
            )
        })
        .collect();
    format!("model_list:\n{entries}router_settings:\n  num_retries: 0\n")
}

async fn gate(upstream: &ScriptedUpstream) -> Tollgate {
    let nova = ("nova", "amazon.nova-pro-v1:0", KEYS);
    let old = ("old", "anthropic.claude-3-haiku-20240307-v1:0", KEYS);
    binary().config(config(upstream, &[("a", CLAUDE, KEYS), nova, old])).start().await
}

async fn messages(gate: &Tollgate, body: &Value) -> Answer {
    post(&format!("{}/v1/messages", gate.url()), gate.master_key(), body).await
}

/// A gate with one entry `a`, and what it says to a greeting.
async fn greeted(
    upstream: &ScriptedUpstream,
    model: &str,
    more: &str,
    env: &[(&str, &str)],
) -> Answer {
    let mut builder = binary().config(config(upstream, &[("a", model, more)]));
    for (name, value) in env {
        builder = builder.env(*name, *value);
    }
    let gate = builder.start().await;
    let first = chat(&gate, gate.master_key(), &hello("a")).await;
    let again = chat(&gate, gate.master_key(), &hello("a")).await;
    assert_eq!(first.status, again.status, "{}", again.text());
    first
}

fn chunks(answer: &Answer) -> Vec<Value> {
    let events = answer.events();
    let (last, chunks) = events.split_last().unwrap();
    assert_eq!(last, "[DONE]");
    chunks.iter().map(|event| serde_json::from_str(event).unwrap()).collect()
}

fn said(chunks: &[Value], name: &str) -> String {
    chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"][name].as_str()).collect()
}

fn weather() -> Value {
    let schema = json!({ "type": "object", "properties": { "city": { "type": "string" } } });
    json!({ "type": "function", "function": { "name": "get_weather", "parameters": schema } })
}

#[tokio::test]
async fn both_clients_get_an_answer() {
    let upstream = upstream(&[]).await;
    let gate = gate(&upstream).await;
    upstream.script(Reply::auto().cached(1));
    let mut body = hello("a");
    body["max_tokens"] = json!(20);
    let answer = chat(&gate, gate.master_key(), &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["choices"][0]["message"]["content"], "You said: Say hello");
    assert_eq!(answer.json()["usage"]["prompt_tokens_details"]["cached_tokens"], 1);
    assert_eq!(answer.json()["model"], "a");
    assert!(answer.json()["id"].as_str().unwrap().starts_with("chatcmpl-"));
    let sent = upstream.last();
    assert_eq!(sent.path, "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse");
    assert_eq!(
        sent.json(),
        json!({
            "inferenceConfig": { "maxTokens": 20 },
            "messages": [{ "role": "user", "content": [{ "text": "Say hello" }] }],
        })
    );
    let row = &rows(&gate, "", 1).await[0];
    assert_eq!((&row["prompt_tokens"], &row["completion_tokens"]), (&json!(2), &json!(4)));
    assert_eq!(row["custom_llm_provider"], "bedrock");

    let mut body = hello("a");
    body["max_tokens"] = json!(20);
    body["system"] = json!("Be brief.");
    let answer = messages(&gate, &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["content"][0]["text"], "You said: Say hello");
    assert_eq!(answer.json()["stop_reason"], "end_turn");
    assert_eq!(upstream.last().json()["system"], json!([{ "text": "Be brief." }]));
}

#[tokio::test]
async fn both_clients_get_a_stream() {
    let upstream = upstream(&[]).await;
    let gate = gate(&upstream).await;
    let mut body = hello_streamed("a");
    body["stream_options"] = json!({ "include_usage": true });
    let answer = chat(&gate, gate.master_key(), &body).await;
    let chunks = chunks(&answer);
    assert_eq!(said(&chunks, "content"), "You said: Say hello");
    assert_eq!(chunks.last().unwrap()["usage"]["total_tokens"], 6);
    assert!(upstream.last().path.ends_with("/converse-stream"));
    assert_eq!(upstream.last().header("accept"), "application/vnd.amazon.eventstream");

    let mut body = hello_streamed("a");
    body["max_tokens"] = json!(2000);
    body["thinking"] = json!({ "type": "enabled", "budget_tokens": 1024 });
    let answer = messages(&gate, &body).await;
    let events: Vec<Value> =
        answer.events().iter().map(|event| serde_json::from_str(event).unwrap()).collect();
    let deltas = |name: &str| -> String {
        events.iter().filter_map(|event| event["delta"][name].as_str()).collect()
    };
    assert_eq!(deltas("thinking"), "Let me think about that.");
    assert!(deltas("signature").starts_with("sig-"));
    assert_eq!(deltas("text"), "You said: Say hello");
    assert_eq!(events.last().unwrap()["type"], "message_stop");

    // The thought goes back with its signature, and another turn follows.
    let thought = json!({
        "type": "thinking", "thinking": deltas("thinking"), "signature": deltas("signature"),
    });
    let text = json!({ "type": "text", "text": "You said: Say hello" });
    body["messages"] = json!([
        { "role": "user", "content": "Say hello" },
        { "role": "assistant", "content": [thought, text] },
        { "role": "user", "content": "Once more" },
    ]);
    body["stream"] = json!(false);
    let answer = messages(&gate, &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["content"][1]["text"], "You said: Once more");
}

#[tokio::test]
async fn tools_go_round() {
    let upstream = upstream(&[]).await;
    let gate = gate(&upstream).await;
    let mut body = hello_streamed("a");
    body["tools"] = json!([weather()]);
    body["tool_choice"] = json!("required");
    body["parallel_tool_calls"] = json!(false);
    upstream.script(Reply::named("calls-2").unwrap());
    let answer = chat(&gate, gate.master_key(), &body).await;
    let chunks = chunks(&answer);
    let calls: Vec<&Value> = chunks
        .iter()
        .flat_map(|c| c["choices"][0]["delta"]["tool_calls"].as_array())
        .flatten()
        .collect();
    let ids: Vec<&str> = calls.iter().filter_map(|call| call["id"].as_str()).collect();
    assert_eq!(ids.len(), 2, "{calls:?}");
    let arguments = |index: u64| -> String {
        let of = calls.iter().filter(|call| call["index"] == index);
        of.filter_map(|call| call["function"]["arguments"].as_str()).collect()
    };
    assert_eq!(arguments(0), r#"{"city":"hello"}"#);
    assert_eq!(chunks.last().unwrap()["choices"][0]["finish_reason"], "tool_calls");
    let sent = upstream.last().json();
    assert_eq!(sent["toolConfig"]["toolChoice"], json!({ "any": {} }));

    let call = |id: &str| {
        let function = json!({ "name": "get_weather", "arguments": arguments(0) });
        json!({ "id": id, "type": "function", "function": function })
    };
    body["messages"] = json!([
        { "role": "user", "content": "Say hello" },
        { "role": "assistant", "content": null, "tool_calls": [call(ids[0]), call(ids[1])] },
        { "role": "tool", "tool_call_id": ids[0], "content": "sunny" },
        { "role": "tool", "tool_call_id": ids[1], "content": "rainy" },
    ]);
    body["stream"] = json!(false);
    body["tool_choice"] = json!("auto");
    let answer = chat(&gate, gate.master_key(), &body).await;
    let text = &answer.json()["choices"][0]["message"]["content"];
    assert_eq!(text, "The tool said: sunny and rainy", "{}", answer.text());

    // Nobody offers the tools any more: Claude is told not to call them, and knows them all the same.
    body["tools"].take();
    body["tool_choice"].take();
    body["parallel_tool_calls"].take();
    let answer = chat(&gate, gate.master_key(), &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let sent = upstream.last().json();
    assert_eq!(sent["additionalModelRequestFields"]["tool_choice"], json!({ "type": "none" }));
}

#[tokio::test]
async fn pictures_documents_and_schemas() {
    let upstream = upstream(&[]).await;
    let gate = gate(&upstream).await;
    let picture =
        json!({ "type": "image_url", "image_url": { "url": "data:image/png;base64,iVBORw0K" } });
    let document = json!({ "type": "file", "file": {
        "filename": "a.b.pdf", "file_data": "data:application/pdf;base64,JVBERi0x" } });
    let content = json!([{ "type": "text", "text": "Look" }, picture, document, document]);
    let mut body = hello("nova");
    body["messages"][0]["content"] = content;
    let answer = chat(&gate, gate.master_key(), &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let text = &answer.json()["choices"][0]["message"]["content"];
    assert_eq!(text, "You said: Look (with 1 image)");
    let blocks = &upstream.last().json()["messages"][0]["content"];
    assert_eq!(blocks[2]["document"]["name"], "a-b-pdf");
    assert_eq!(blocks[3]["document"]["name"], "a-b-pdf 2");

    body["messages"][0]["content"][1]["image_url"]["url"] = json!("https://example.com/a.png");
    let refused = chat(&gate, gate.master_key(), &body).await;
    assert_refused(&refused, 400, "unsupported_parameter");
    assert!(refused.text().contains("bedrock fetches nothing from the web"), "{}", refused.text());

    // One model holds to a schema itself; another is made to, by a tool that nobody sees.
    let schema = json!({ "type": "object", "properties": { "city": { "type": "string" } } });
    let mut body = hello("a");
    body["response_format"] =
        json!({ "type": "json_schema", "json_schema": { "name": "place", "schema": schema } });
    let answer = chat(&gate, gate.master_key(), &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let sent = upstream.last().json();
    let told = sent["outputConfig"]["textFormat"]["structure"]["jsonSchema"]["schema"].as_str();
    assert!(told.unwrap().contains("additionalProperties"), "{sent}");
    for (model, stream) in [("old", false), ("old", true), ("nova", true)] {
        body["model"] = json!(model);
        body["stream"] = json!(stream);
        let answer = chat(&gate, gate.master_key(), &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let (text, finish) = if stream {
            let chunks = chunks(&answer);
            (
                said(&chunks, "content"),
                chunks.last().unwrap()["choices"][0]["finish_reason"].clone(),
            )
        } else {
            let choice = &answer.json()["choices"][0];
            assert_eq!(choice["message"]["tool_calls"], Value::Null);
            let text = choice["message"]["content"].as_str().unwrap().to_owned();
            (text, choice["finish_reason"].clone())
        };
        assert_eq!((text.as_str(), finish), (r#"{"city":"hello"}"#, json!("stop")));
    }
}

/// What Claude Code sends: <https://docs.claude.com/en/docs/claude-code/llm-gateway>
#[tokio::test]
async fn a_coding_agents_requests_survive() {
    let upstream = upstream(&[]).await;
    let gate = gate(&upstream).await;
    let tools: Vec<Value> = (0..60)
        .map(|n| {
            let schema = json!({
                "$schema": "http://json-schema.org/draft-07/schema#", "type": "object",
                "properties": { "path": { "type": "string", "description": "x".repeat(200) } },
                "required": ["path"], "additionalProperties": false,
            });
            json!({ "name": format!("mcp__server__tool_{n}"), "description": "d".repeat(500), "input_schema": schema })
        })
        .collect();
    let ephemeral = json!({ "type": "ephemeral" });
    let mut body = json!({
        "model": "a", "max_tokens": 32_000, "stream": true,
        "system": [
            { "type": "text", "text": "You are a coding agent." },
            { "type": "text", "text": "Rules.", "cache_control": ephemeral },
        ],
        "tools": tools,
        "thinking": { "type": "enabled", "budget_tokens": 31_999 },
        "metadata": { "user_id": "user_1_account__session_2" },
        "context_management": { "edits": [{ "type": "clear_thinking_20251015", "keep": "all" }] },
        "messages": [{ "role": "user", "content": [
            { "type": "text", "text": "<system-reminder>context</system-reminder>" },
            { "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "iVBORw0K" } },
            { "type": "text", "text": "Mend it", "cache_control": ephemeral },
        ] }],
    });
    body["tools"][59]["cache_control"] = json!({ "type": "ephemeral", "ttl": "1h" });
    let ask = async |body: &Value| {
        let betas =
            "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27";
        let key = format!("Bearer {}", gate.master_key());
        let headers = [
            ("authorization", key.as_str()),
            ("anthropic-version", "2023-06-01"),
            ("anthropic-beta", betas),
        ];
        let url = format!("{}/v1/messages?beta=true", gate.url());
        let answer = call("POST", &url, &headers, Bytes::from(body.to_string())).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer
    };
    upstream.script(Reply::named("calls-2").unwrap().cached(7).cache_write(5));
    let answer = ask(&body).await;
    let events: Vec<Value> =
        answer.events().iter().map(|event| serde_json::from_str(event).unwrap()).collect();
    let starts = events.iter().filter(|event| event["type"] == "content_block_start");
    let kinds: Vec<&str> = starts.filter_map(|e| e["content_block"]["type"].as_str()).collect();
    assert_eq!(kinds, ["thinking", "tool_use", "tool_use"]);
    let sent = upstream.last().json();
    assert_eq!(sent["toolConfig"]["tools"].as_array().unwrap().len(), 61);
    assert_eq!(
        sent["toolConfig"]["tools"][60],
        json!({ "cachePoint": { "type": "default", "ttl": "1h" } })
    );
    assert_eq!(
        sent["additionalModelRequestFields"],
        json!({
            "thinking": { "type": "enabled", "budget_tokens": 31_999 },
            "anthropic_beta": ["interleaved-thinking-2025-05-14"],
        })
    );
    let dropped = answer.header("x-tollgate-dropped");
    assert!(dropped.contains("context_management"), "{dropped}");
    assert!(dropped.contains("anthropic-beta: claude-code-20250219"), "{dropped}");

    // The agent answers both calls at once, one with a picture, one with an error.
    let at = |index: u64, name: &str| -> String {
        let of = events.iter().filter(|event| event["index"] == index);
        of.filter_map(|event| event["delta"][name].as_str()).collect()
    };
    let id = |index: usize| {
        let mut starts = events.iter().filter(|event| event["type"] == "content_block_start");
        starts.nth(index).unwrap()["content_block"]["id"].clone()
    };
    let call = |index: usize| {
        let input: Value = serde_json::from_str(&at(index as u64, "partial_json")).unwrap();
        json!({ "type": "tool_use", "id": id(index), "name": "mcp__server__tool_0", "input": input })
    };
    let turns = body["messages"].as_array_mut().unwrap();
    turns.push(json!({ "role": "assistant", "content": [
        { "type": "thinking", "thinking": at(0, "thinking"), "signature": at(0, "signature") },
        call(1), call(2),
    ] }));
    let picture = json!({ "type": "image", "source": { "type": "base64", "media_type": "image/jpeg", "data": "/9j/4AAA" } });
    turns.push(json!({ "role": "user", "content": [
        { "type": "tool_result", "tool_use_id": id(1), "content": [{ "type": "text", "text": "one" }, picture] },
        { "type": "tool_result", "tool_use_id": id(2), "content": "two", "is_error": true, "cache_control": ephemeral },
    ] }));
    let answer = ask(&body).await;
    assert!(answer.text().contains("message_stop"), "{}", answer.text());
    let sent = upstream.last().json();
    let last = &sent["messages"][2]["content"];
    assert_eq!(last[0]["toolResult"]["content"][1]["image"]["format"], "jpeg");
    assert_eq!(last[1]["toolResult"]["status"], "error");
    assert_eq!(last[2], json!({ "cachePoint": { "type": "default" } }));
}

#[tokio::test]
async fn failures_before_and_within_streams() {
    let upstream = upstream(&[]).await;
    let gate = gate(&upstream).await;
    for (reply, status, code) in [
        (Reply::status(429), 429, "rate_limit_exceeded"),
        (Reply::status(424), 502, "upstream_error"),
        (Reply::status(404), 404, "model_not_found"),
        (Reply::context_window(), 400, "context_length_exceeded"),
    ] {
        for body in [hello("a"), hello_streamed("a")] {
            upstream.script(reply.clone());
            let answer = chat(&gate, gate.master_key(), &body).await;
            assert_eq!(answer.status, status, "{code}: {}", answer.text());
        }
    }
    upstream.script(Reply::status(403));
    let answer = messages(
        &gate,
        &json!({
            "model": "a", "max_tokens": 5, "messages": [{ "role": "user", "content": "x" }],
        }),
    )
    .await;
    assert!(answer.status.is_server_error(), "ours, not the client's: {}", answer.text());

    upstream.script(Reply::auto().error_event());
    let answer = chat(&gate, gate.master_key(), &hello_streamed("a")).await;
    assert_eq!(answer.status, 200);
    assert!(answer.text().contains("Bedrock is unable to process your request."));
    assert!(answer.text().ends_with("data: [DONE]\n\n"), "{}", answer.text());

    upstream.script(Reply::auto().cut_at(400));
    let mut body = hello_streamed("a");
    body["max_tokens"] = json!(20);
    let answer = messages(&gate, &body).await;
    assert!(answer.text().contains("event: error"), "{}", answer.text());
}

#[tokio::test]
async fn keys_come_from_where_amazons_sdks_look() {
    let upstream = upstream(&[]).await;
    let sts = format!("aws_sts_endpoint: {}/sts/", upstream.url());
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("token"), "a.web.token\n").unwrap();
    let credentials = "[default]\naws_access_key_id = AKIDSCRIPTED\naws_secret_access_key = scripted/secret+key\n\
        [s]\naws_access_key_id = ASIDSESSION\naws_secret_access_key = session/secret\naws_session_token = session-token==\n";
    fs::write(path("credentials"), credentials).unwrap();
    fs::write(
        path("config"),
        format!("[profile r]\nrole_arn = {ROLE}\nsource_profile = default\n"),
    )
    .unwrap();
    let file = path("credentials");
    let file = ("AWS_SHARED_CREDENTIALS_FILE", file.as_str());
    let container = format!("{}/container/keys", upstream.url());
    let role = format!("aws_role_name: {ROLE}\n      {sts}");
    let web = format!("{role}\n      aws_web_identity_token: {}", path("token"));
    let assumed = format!("{role}\n      {KEYS}");
    let profile = format!("aws_profile_name: r\n      {sts}");
    let session = "aws_access_key_id: ASIDSESSION\n      aws_secret_access_key: session/secret\n      aws_session_token: session-token==";
    let url = upstream.url();
    // What it is, settings, environment, and who signs.
    type Found<'a> = (&'a str, &'a str, Vec<(&'a str, &'a str)>, &'a str);
    let cases: [Found<'_>; 11] = [
        ("keys", KEYS, vec![], "AKIDSCRIPTED"),
        ("a session", session, vec![], "ASIDSESSION"),
        (
            "the environment",
            "",
            vec![
                ("AWS_ACCESS_KEY_ID", "AKIDSCRIPTED"),
                ("AWS_SECRET_ACCESS_KEY", "scripted/secret+key"),
            ],
            "AKIDSCRIPTED",
        ),
        ("the default profile", "", vec![file], "AKIDSCRIPTED"),
        ("a profile", "aws_profile_name: s", vec![file], "ASIDSESSION"),
        ("a profile with a role", &profile, vec![file], "ASIDROLE"),
        ("a role", &assumed, vec![], "ASIDROLE"),
        ("a role of the default profile", &role, vec![file], "ASIDROLE"),
        ("a web identity", &web, vec![], "ASIDWEB"),
        (
            "the container",
            "",
            vec![
                ("AWS_CONTAINER_CREDENTIALS_FULL_URI", container.as_str()),
                ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "container-door"),
            ],
            "ASIDCONTAINER",
        ),
        (
            "the machine",
            "",
            vec![("AWS_EC2_METADATA_SERVICE_ENDPOINT", url.as_str())],
            "ASIDMACHINE",
        ),
    ];
    for (what, more, env, access) in cases {
        upstream.forget();
        let answer = greeted(&upstream, CLAUDE, more, &env).await;
        assert_eq!(answer.status, 200, "{what}: {}", answer.text());
        let sent = upstream.last();
        let wanted = format!("AWS4-HMAC-SHA256 Credential={access}/");
        assert!(sent.header("authorization").starts_with(&wanted), "{what}");
        // Two requests, one fetch.
        let asked = upstream.requests().iter().filter(|r| r.path.starts_with("/model/")).count();
        let fetched = upstream.requests().len() - asked;
        assert_eq!(asked, 2, "{what}");
        assert!(fetched <= 3, "{what}: {fetched} requests for keys");
    }
}

#[tokio::test]
async fn bearer_keys_regions_and_refused_signatures() {
    let upstream = upstream(&[]).await;
    let bearer = [("AWS_BEARER_TOKEN_BEDROCK", "bedrock-api-key-1")];
    let answer = greeted(&upstream, CLAUDE, "", &bearer).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(upstream.last().header("authorization"), "Bearer bedrock-api-key-1");

    for (model, region) in [
        ("eu-central-1/anthropic.claude-sonnet-4-5-20250929-v1:0", "eu-central-1"),
        ("converse/us-west-2/anthropic.claude-sonnet-4-5-20250929-v1:0", "us-west-2"),
        (
            "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3d4e5f6",
            "us-east-1",
        ),
    ] {
        let answer = greeted(&upstream, model, KEYS, &[]).await;
        assert_eq!(answer.status, 200, "{model}: {}", answer.text());
        let sent = upstream.last();
        assert!(sent.header("authorization").contains(&format!("/{region}/bedrock/")), "{model}");
    }
    assert!(upstream.last().path.contains("application-inference-profile%2Fa1b2c3d4e5f6"));

    // A wrong secret: the service says which string it has signed, with what is secret in it.
    let wrong = "aws_access_key_id: ASIDSESSION\n      aws_secret_access_key: nonsense\n      aws_session_token: session-token==";
    let answer = greeted(&upstream, CLAUDE, wrong, &[]).await;
    assert!(answer.status.is_server_error(), "{}", answer.text());
    assert!(!answer.text().contains("session-token=="), "{}", answer.text());
}
