//! What Claude Code sends, through the real binary to every kind of upstream. Codex' conversation is
//! in `responses.rs`; both go through the official SDKs in `tests/clients`.

use bytes::Bytes;
use serde_json::{Value, json};
use tollgate_testkit::{Answer, Reply, ScriptedUpstream, Tollgate, call};

use crate::gate::{UPSTREAM_KEY, binary, upstream};

/// What it asks for in 2.1, and one that nobody knows yet.
const BETAS: &str = "claude-code-20250219,interleaved-thinking-2025-05-14,\
    thinking-token-count-2026-05-13,context-management-2025-06-27,\
    prompt-caching-scope-2026-01-05,mid-conversation-system-2026-04-07,effort-2025-11-24,\
    a-beta-of-tomorrow-2027-01-01";
const PICTURE: &str = "iVBORw0KGgo=";

async fn start() -> (ScriptedUpstream, Tollgate) {
    let upstream = upstream(&[]).await;
    let url = upstream.url();
    let entries: String = [
        ("chat", "cerebras/gpt-4o", "/v1"),
        ("responses", "only-responses/gpt-5", "/v1"),
        ("claude", "anthropic/claude-sonnet-4-5", ""),
        ("google", "gemini/gemini-3-pro-preview", ""),
    ]
    .iter()
    .map(|(name, model, path)| {
        format!(
            "  - model_name: {name}\n    litellm_params: {{model: {model}, api_base: '{url}{path}', \
             api_key: {UPSTREAM_KEY}}}\n"
        )
    })
    .collect();
    let config = format!(
        "model_list:\n{entries}  - model_name: amazon\n    litellm_params:\n      model: \
         bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0\n      api_base: {url}\n      \
         aws_region_name: us-east-1\n      aws_access_key_id: AKIDSCRIPTED\n      \
         aws_secret_access_key: scripted/secret+key\nrouter_settings: {{num_retries: 0}}\n\
         tollgate:\n  providers:\n    only-responses: {{url: '{url}/v1', speaks: {{responses: ''}}}}\n"
    );
    let gate = binary().config(config).start().await;
    (upstream, gate)
}

async fn ask(gate: &Tollgate, path: &str, body: &Value) -> Answer {
    let bearer = format!("Bearer {}", gate.master_key());
    let headers = [
        ("authorization", bearer.as_str()),
        ("anthropic-version", "2023-06-01"),
        ("anthropic-beta", BETAS),
        ("anthropic-dangerous-direct-browser-access", "true"),
        ("user-agent", "claude-cli/2.1.197 (external, cli)"),
        ("x-app", "cli"),
        ("x-claude-code-session-id", "8cd34a22-f6d6-40cf-8242-b10ed84b4277"),
        ("x-stainless-lang", "js"),
    ];
    let url = format!("{}{path}?beta=true", gate.url());
    let answer = call("POST", &url, &headers, Bytes::from(body.to_string())).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer
}

/// A request as the agent begins with it: many tools, marks, a picture, instructions between.
fn first(model: &str) -> Value {
    let tools: Vec<Value> = (0..80)
        .map(|n| {
            json!({ "name": format!("mcp__server__tool_{n}"), "description": "d".repeat(900),
                "input_schema": {
                    "$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
                    "properties": {
                        "path": { "type": "string", "minLength": 1, "pattern": "^/", "format": "uri" },
                        "status": { "anyOf": [{ "type": "string", "enum": ["a"] },
                            { "type": "string", "const": "b" }, { "type": "null" }], "default": null },
                        "meta": { "type": "object", "propertyNames": { "type": "string" },
                            "additionalProperties": {} },
                        "limit": { "type": "integer", "exclusiveMinimum": 0, "maximum": 9_007_199_254_740_991_u64 },
                    },
                    "required": ["path"], "additionalProperties": false,
                } })
        })
        .collect();
    json!({
        "model": model, "max_tokens": 32_000, "stream": true, "tools": tools,
        "system": [
            { "type": "text", "text": "x-anthropic-billing-header: cc_version=2.1; cc_entrypoint=cli;" },
            { "type": "text", "text": "You are an agent.",
                "cache_control": { "type": "ephemeral", "ttl": "1h" } },
        ],
        "thinking": { "type": "adaptive" }, "output_config": { "effort": "high" },
        "context_management": { "edits": [{ "type": "clear_thinking_20251015", "keep": "all" }] },
        "metadata": { "user_id": format!("{{\"device_id\":\"{}\",\"session_id\":\"s\"}}", "a".repeat(64)) },
        "messages": [
            { "role": "user", "content": [
                { "type": "text", "text": "<system-reminder>context</system-reminder>" },
                { "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": PICTURE } },
                { "type": "text", "text": "Mend it", "cache_control": { "type": "ephemeral" } },
            ] },
            { "role": "system", "content": "Agents: general-purpose." },
        ],
    })
}

/// The blocks of a streamed answer, as the agent puts them together.
fn blocks(answer: &Answer) -> Vec<Value> {
    let mut blocks: Vec<Value> = Vec::new();
    for event in answer.events() {
        let event: Value = serde_json::from_str(&event).unwrap();
        let index = usize::try_from(event["index"].as_u64().unwrap_or(0)).unwrap();
        if event["type"] == "content_block_start" {
            assert_eq!(index, blocks.len());
            blocks.push(event["content_block"].clone());
            blocks[index]["json"] = json!("");
        }
        let delta = &event["delta"];
        for (from, to) in [
            ("text", "text"),
            ("thinking", "thinking"),
            ("signature", "signature"),
            ("partial_json", "json"),
        ] {
            if let Some(piece) = delta[from].as_str() {
                let whole = format!("{}{piece}", blocks[index][to].as_str().unwrap_or_default());
                blocks[index][to] = json!(whole);
            }
        }
    }
    for block in &mut blocks {
        let text = block.as_object_mut().unwrap().remove("json").unwrap();
        if block["type"] == "tool_use" {
            block["input"] = serde_json::from_str(text.as_str().unwrap()).unwrap();
        }
    }
    blocks
}

#[tokio::test]
async fn claude_code_goes_on_over_every_kind_of_upstream() {
    let (upstream, gate) = start().await;
    for model in ["chat", "responses", "claude", "google", "amazon"] {
        let mut body = first(model);
        let mut counted = body.clone();
        for member in ["max_tokens", "stream", "metadata", "context_management", "output_config"] {
            counted.as_object_mut().unwrap().remove(member);
        }
        let count = ask(&gate, "/v1/messages/count_tokens", &counted).await.json();
        assert!(count["input_tokens"].as_u64().unwrap() > 3, "{model}: {count}");

        upstream.script(Reply::named("calls-2+reasoning").unwrap());
        let answer = ask(&gate, "/v1/messages", &body).await;
        let said = blocks(&answer);
        let calls: Vec<&Value> = said.iter().filter(|block| block["type"] == "tool_use").collect();
        assert_eq!(calls.len(), 2, "{model}: {said:?}");
        assert_eq!(calls[0]["input"]["path"], "it", "{model}");
        assert_ne!(calls[0]["id"], calls[1]["id"], "{model}");
        assert_eq!(said[0]["thinking"], "Let me think about that.", "{model}: {said:?}");
        let lost = answer.header("x-tollgate-dropped").contains("context_management");
        assert_eq!(lost, model != "claude", "{model}: {}", answer.header("x-tollgate-dropped"));
        // What the header alone asks for is named; who asks, and what the body tells, is not.
        let dropped = answer.header("x-tollgate-dropped").to_owned();
        let lost = dropped.contains("anthropic-beta: a-beta-of-tomorrow-2027-01-01");
        assert_eq!(lost, model != "claude", "{model}: {dropped}");
        let noise = dropped.contains("effort-2025") || dropped.contains("claude-code-");
        assert!(!noise || model == "amazon", "{model}: {dropped}");
        let sent = upstream.last();
        assert!(
            sent.header("user-agent").starts_with("tollgate/"),
            "{}",
            sent.header("user-agent")
        );
        if model == "claude" {
            assert_eq!(sent.header("anthropic-beta"), BETAS);
        }

        let results = json!([
            { "type": "tool_result", "tool_use_id": calls[0]["id"], "content": [
                { "type": "text", "text": "one" },
                { "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": PICTURE } },
            ] },
            { "type": "tool_result", "tool_use_id": calls[1]["id"], "content": "two", "is_error": true,
                "cache_control": { "type": "ephemeral" } },
        ]);
        let turns = body["messages"].as_array_mut().unwrap();
        turns.push(json!({ "role": "assistant", "content": said }));
        turns.push(json!({ "role": "user", "content": results }));
        upstream.script(Reply::named("no-tools").unwrap());
        let answer = ask(&gate, "/v1/messages", &body).await;
        assert!(answer.text().contains("message_stop"), "{model}: {}", answer.text());
        let sent = upstream.last().json();
        assert_eq!(sent.to_string().matches(PICTURE).count(), 2, "{model}: {sent}");
        if model == "chat" {
            assert_is_chat(&sent);
        }
    }
}

/// What an OpenAI upstream gets in the second turn.
fn assert_is_chat(sent: &Value) {
    let messages = sent["messages"].as_array().unwrap();
    let roles: Vec<&str> = messages.iter().map(|one| one["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["system", "user", "system", "assistant", "tool", "tool", "user"]);
    assert_eq!(messages[3]["reasoning_content"], "Let me think about that.");
    assert_eq!(messages[3]["tool_calls"][1]["id"], messages[5]["tool_call_id"]);
    assert_eq!(
        (&messages[5]["content"], &messages[6]["content"][0]["type"]),
        (&json!("two"), &json!("image_url"))
    );
    let tools = sent["tools"].as_array().unwrap();
    assert_eq!(tools.len(), 80);
    let schema = &tools[79]["function"]["parameters"];
    assert_eq!(
        *schema,
        first("chat")["tools"][79]["input_schema"],
        "a schema is nobody's to change"
    );
    assert_eq!((&sent["reasoning_effort"], &sent["max_tokens"]), (&json!("high"), &json!(32_000)));
    for gone in ["user", "metadata", "context_management", "thinking", "cache_control"] {
        assert!(!sent.to_string().contains(&format!("\"{gone}\":")), "{gone}");
    }
}

/// What Anthropic's SDKs ask for first in a loop with tools, and what they go on by.
#[tokio::test]
async fn threads_are_refused_for_everybody_alike() {
    let (upstream, gate) = start().await;
    for model in ["chat", "claude", "google", "amazon"] {
        for thread in [
            json!({ "type": "create" }),
            json!({ "type": "continue", "previous_message_id": "msg_of_another_tenant" }),
        ] {
            let body = json!({ "model": model, "max_tokens": 5, "thread": thread, "drop_params": true,
                "allowed_openai_params": ["thread"],
                "messages": [{ "role": "user", "content": "x" }] });
            let url = format!("{}/v1/messages?beta=true", gate.url());
            let answer = tollgate_testkit::post(&url, gate.master_key(), &body).await;
            assert_eq!(answer.status, 400, "{model}: {}", answer.text());
            let error = &answer.json()["error"];
            assert_eq!(error["details"]["error_code"], "thread_unsupported_request", "{error}");
        }
    }
    assert!(upstream.requests().is_empty());
}
