//! What the families of models are told, each in its own way.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use serde_json::{Value, json};

use crate::{
    CannotAsk, Dialect, Exchange, Operation, Provider, Target,
    exchange::{Payload, bridge::Bridge},
    peek::peek,
};

const CLAUDE: &str = "anthropic.claude-sonnet-4-5-20250929-v1:0";
const OLD: &str = "anthropic.claude-3-haiku-20240307-v1:0";
const NOVA: &str = "amazon.nova-pro-v1:0";
const NOVA_2: &str = "us.amazon.nova-2-lite-v1:0";
const OSS: &str = "openai.gpt-oss-120b-1:0";
const LLAMA: &str = "meta.llama3-3-70b-instruct-v1:0";

fn target(model: &str) -> Target {
    let provider = "url = \"https://a.test\"\nspeaks = { bedrock = \"\" }";
    Target {
        id: "t".into(),
        provider: Arc::new(toml::from_str::<Provider>(provider).unwrap()),
        model: model.into(),
        dialect: Dialect::Bedrock,
        base: "https://a.test".into(),
        credential: None,
        login: None,
        card: None,
        defaults: Vec::new(),
        headers: Vec::new(),
        drop_params: false,
    }
}

/// The body, and what was left out; or which parameter was refused.
fn asked(
    surface: Dialect,
    to: &Target,
    body: &Value,
    headers: &[(&'static str, &'static str)],
) -> Result<(Value, Vec<String>), String> {
    let body = Bytes::from(body.to_string());
    let peek = peek(surface, Operation::Chat, &body).unwrap();
    let header = |(name, value): &(&'static str, &'static str)| {
        (HeaderName::from_static(name), HeaderValue::from_static(value))
    };
    let headers = headers.iter().map(header).collect();
    let mut bridge = Bridge::new(Operation::Chat, surface, Dialect::Bedrock, "m");
    let payload = Payload { body, peek, headers, received_s: 0 };
    match bridge.call(&payload, to) {
        Ok(call) => {
            let body = serde_json::from_slice(&call.body.concat()).unwrap();
            Ok((body, bridge.dropped().to_vec()))
        }
        Err(CannotAsk::Unsupported(why)) => Err(why.param),
        Err(CannotAsk::Malformed(why) | CannotAsk::NotFound(why)) => Err(why.message),
    }
}

/// An OpenAI client's greeting with these fields.
fn openai(model: &str, fields: Value) -> Result<(Value, Vec<String>), String> {
    let mut body = json!({ "model": "m", "messages": [{ "role": "user", "content": "x" }] });
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    asked(Dialect::Openai, &target(model), &body, &[])
}

/// The same of an Anthropic client.
fn anthropic(model: &str, fields: Value) -> Result<(Value, Vec<String>), String> {
    let mut body =
        json!({ "model": "m", "max_tokens": 9, "messages": [{ "role": "user", "content": "x" }] });
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    asked(Dialect::Anthropic, &target(model), &body, &[])
}

#[track_caller]
fn own(answer: Result<(Value, Vec<String>), String>, expect: Value) {
    assert_eq!(answer.unwrap().0["additionalModelRequestFields"], expect);
}

#[test]
fn thinking_by_family() {
    let enabled = json!({ "thinking": { "type": "enabled", "budget_tokens": 2048 } });
    own(openai(CLAUDE, json!({ "reasoning_effort": "medium" })), enabled.clone());
    let (body, _) =
        openai(CLAUDE, json!({ "reasoning_effort": "medium", "max_tokens": 5 })).unwrap();
    assert_eq!(body["inferenceConfig"]["maxTokens"], 6144);
    let nova = |effort: &str| json!({ "reasoningConfig": { "type": "enabled", "maxReasoningEffort": effort } });
    own(openai(NOVA_2, json!({ "reasoning_effort": "minimal" })), nova("low"));
    own(anthropic(NOVA_2, enabled.clone()), nova("medium"));
    own(
        anthropic(NOVA_2, json!({ "thinking": { "type": "disabled" } })),
        json!({ "reasoningConfig": { "type": "disabled" } }),
    );
    own(openai(OSS, json!({ "reasoning_effort": "high" })), json!({ "reasoning_effort": "high" }));
    own(anthropic(OSS, enabled.clone()), json!({ "reasoning_effort": "medium" }));
    own(
        openai("openai.gpt-5.4", json!({ "reasoning_effort": "low" })),
        json!({ "reasoning": { "effort": "low" } }),
    );
    for model in [NOVA, LLAMA, "us.deepseek.r1-v1:0"] {
        assert_eq!(
            openai(model, json!({ "reasoning_effort": "low" })),
            Err("reasoning_effort".into())
        );
        assert_eq!(anthropic(model, enabled.clone()), Err("thinking".into()));
        own(openai(model, json!({ "reasoning_effort": "none" })), Value::Null);
    }
    assert_eq!(
        openai(NOVA_2, json!({ "reasoning_effort": "max" })),
        Err("reasoning_effort".into())
    );
    let (body, _) = anthropic(CLAUDE, json!({ "output_config": { "effort": "high" } })).unwrap();
    assert_eq!(body["outputConfig"], json!({ "effort": "high" }));
}

#[test]
fn top_k_by_family() {
    let five = json!({ "top_k": 5 });
    own(openai(CLAUDE, five.clone()), five.clone());
    own(openai(NOVA, five.clone()), json!({ "inferenceConfig": { "topK": 5 } }));
    own(openai("cohere.command-r-v1:0", five.clone()), json!({ "k": 5 }));
    assert_eq!(openai(LLAMA, five), Err("top_k".into()));
}

#[test]
fn schemas_by_family() {
    let schema = json!({ "type": "object", "properties": { "a": { "type": "string" } } });
    let format = json!({ "response_format":
        { "type": "json_schema", "json_schema": { "name": "n", "schema": schema } } });
    let (body, _) = openai(CLAUDE, format.clone()).unwrap();
    let told = &body["outputConfig"]["textFormat"]["structure"]["jsonSchema"];
    assert_eq!(told["name"], "n");
    assert!(told["schema"].as_str().unwrap().ends_with(r#""additionalProperties":false}"#));
    let function = json!({ "type": "function", "function": { "name": "f" } });
    for model in [OLD, NOVA, LLAMA] {
        let (body, _) = openai(model, format.clone()).unwrap();
        let config = &body["toolConfig"];
        assert_eq!(config["tools"][0]["toolSpec"]["inputSchema"]["json"], schema);
        assert_eq!(config["toolChoice"], json!({ "tool": { "name": "json_tool_call" } }));
        assert_eq!(body["outputConfig"], Value::Null);
        let mut beside = format.clone();
        beside["tools"] = json!([function]);
        let (body, _) = openai(model, beside).unwrap();
        assert_eq!(body["toolConfig"]["toolChoice"], json!({ "any": {} }));
    }
    let mut thinking = format.clone();
    thinking["reasoning_effort"] = json!("low");
    assert_eq!(openai(OLD, thinking), Err("response_format".into()));
    let taken = json!({ "type": "function", "function": { "name": "json_tool_call" } });
    assert_eq!(openai(NOVA, json!({ "tools": [taken] })), Err("tools[0].name".into()));
    let object = json!({ "response_format": { "type": "json_object" } });
    assert_eq!(openai(CLAUDE, object), Err("response_format".into()));
}

#[test]
fn cache_marks_by_family() {
    let mark = json!({ "type": "ephemeral", "ttl": "1h" });
    let content = json!([{ "type": "text", "text": "x", "cache_control": mark }]);
    let fields = json!({
        "messages": [{ "role": "user", "content": content }],
        "tools": [{ "name": "f", "input_schema": { "type": "object" }, "cache_control": mark }],
        "cache_control": { "type": "ephemeral" },
    });
    let points = |body: &Value| body.to_string().matches("cachePoint").count();
    let (body, dropped) = anthropic(CLAUDE, fields.clone()).unwrap();
    assert_eq!((points(&body), dropped), (2, vec![]));
    assert_eq!(body["messages"][0]["content"][1]["cachePoint"]["ttl"], "1h");
    let (body, dropped) = anthropic(NOVA, fields.clone()).unwrap();
    assert_eq!(points(&body), 1);
    assert_eq!(body["messages"][0]["content"][1], json!({ "cachePoint": { "type": "default" } }));
    assert_eq!(dropped, ["cache_control.ttl", "tools[].cache_control"]);
    let (body, dropped) = anthropic(LLAMA, fields).unwrap();
    assert_eq!(points(&body), 0);
    assert_eq!(dropped, ["cache_control", "tools[].cache_control"]);
}

#[test]
fn tool_choices() {
    let call =
        json!({ "id": "c", "type": "function", "function": { "name": "f", "arguments": "{}" } });
    let history = json!([
        { "role": "user", "content": "x" },
        { "role": "assistant", "tool_calls": [call] },
        { "role": "tool", "tool_call_id": "c", "content": "1" },
    ]);
    let tools = json!([{ "type": "function", "function": { "name": "f" } }]);
    // Without calls in it a conversation needs no tools that must not be called.
    for model in [CLAUDE, NOVA] {
        let (body, _) = openai(model, json!({ "tools": tools, "tool_choice": "none" })).unwrap();
        assert_eq!(body["toolConfig"], Value::Null);
    }
    let none = json!({ "messages": history, "tools": tools, "tool_choice": "none" });
    own(openai(CLAUDE, none.clone()), json!({ "tool_choice": { "type": "none" } }));
    assert_eq!(openai(NOVA, none), Err("tool_choice".into()));
    // Tools that are no longer offered are declared from the conversation.
    let (body, _) = openai(NOVA, json!({ "messages": history })).unwrap();
    assert_eq!(body["toolConfig"]["tools"][0]["toolSpec"]["name"], "f");
    let one = json!({ "tools": tools, "parallel_tool_calls": false });
    own(
        openai(CLAUDE, one.clone()),
        json!({ "tool_choice": { "type": "auto", "disable_parallel_tool_use": true } }),
    );
    assert_eq!(openai(NOVA, one), Err("parallel_tool_calls".into()));
    let long = json!([{ "type": "function", "function": { "name": "f".repeat(65) } }]);
    assert_eq!(openai(CLAUDE, json!({ "tools": long })), Err("tools[0].name".into()));
    let search = json!({ "web_search_options": {} });
    let (body, _) = openai(NOVA, search.clone()).unwrap();
    assert_eq!(
        body["toolConfig"]["tools"],
        json!([{ "systemTool": { "name": "nova_grounding" } }])
    );
    assert_eq!(openai(CLAUDE, search), Err("web_search_options".into()));
    let bash = json!({ "tools": [{ "type": "bash_20250124", "name": "bash" }] });
    own(anthropic(CLAUDE, bash.clone()), bash.clone());
    assert_eq!(anthropic(NOVA, bash), Err("tools[0]".into()));
}

#[test]
fn long_ids_of_calls_and_results_stay_the_same() {
    let id = format!("call é {}", "x".repeat(200));
    let call =
        json!({ "id": id, "type": "function", "function": { "name": "f", "arguments": "{}" } });
    let (body, _) = openai(
        CLAUDE,
        json!({ "messages": [
            { "role": "user", "content": "x" },
            { "role": "assistant", "tool_calls": [call] },
            { "role": "tool", "tool_call_id": id, "content": "1" },
        ] }),
    )
    .unwrap();
    let called = body["messages"][1]["content"][0]["toolUse"]["toolUseId"].as_str().unwrap();
    let answered = body["messages"][2]["content"][0]["toolResult"]["toolUseId"].as_str().unwrap();
    assert_eq!(called, answered);
    assert_eq!(called.len(), 64);
    assert!(called.starts_with("call____xxx"), "{called}");
}

#[test]
fn beta_headers_become_a_field() {
    let body =
        json!({ "model": "m", "max_tokens": 9, "messages": [{ "role": "user", "content": "x" }] });
    let headers = [
        ("anthropic-beta", "claude-code-20250219, interleaved-thinking-2025-05-14"),
        ("anthropic-beta", "advanced-tool-use-2025-11-20,interleaved-thinking-2025-05-14"),
    ];
    let (sent, dropped) = asked(Dialect::Anthropic, &target(CLAUDE), &body, &headers).unwrap();
    assert_eq!(
        sent["additionalModelRequestFields"]["anthropic_beta"],
        json!(["interleaved-thinking-2025-05-14", "tool-search-tool-2025-10-19"])
    );
    assert_eq!(dropped, ["anthropic-beta: claude-code-20250219"]);
    let (sent, dropped) = asked(Dialect::Anthropic, &target(NOVA), &body, &headers).unwrap();
    assert_eq!(sent["additionalModelRequestFields"], Value::Null);
    assert_eq!(dropped.len(), 3);
}

#[test]
fn conversations_are_compacted_and_not_edited_otherwise() {
    let compact = json!({ "type": "compact_20260112" });
    let clear = json!({ "type": "clear_tool_uses_20250919" });
    let (body, dropped) =
        anthropic(CLAUDE, json!({ "context_management": { "edits": [clear, compact] } })).unwrap();
    assert_eq!(
        body["additionalModelRequestFields"],
        json!({ "context_management": { "edits": [compact] }, "anthropic_beta": ["compact-2026-01-12"] })
    );
    assert_eq!(dropped, ["context_management"]);
    let (_, dropped) =
        anthropic(NOVA, json!({ "context_management": { "edits": [compact] } })).unwrap();
    assert_eq!(dropped, ["context_management"]);
}

#[test]
fn settings_of_the_configuration_stand_where_they_belong() {
    let mut to = target(CLAUDE);
    to.defaults = [
        ("temperature", "0.5"),
        ("max_tokens", "3000"),
        ("top_k", "7"),
        ("stop", "[\"END\"]"),
        ("thinking", r#"{"type":"enabled","budget_tokens":1024}"#),
        ("guardrailConfig", r#"{"guardrailIdentifier":"g"}"#),
        ("min_p", "0.1"),
    ]
    .map(|(name, json)| (name.to_owned(), Bytes::from_static(json.as_bytes())))
    .to_vec();
    let body =
        json!({ "model": "m", "temperature": 1, "messages": [{ "role": "user", "content": "x" }] });
    let (sent, _) = asked(Dialect::Openai, &to, &body, &[]).unwrap();
    assert_eq!(
        sent["inferenceConfig"],
        json!({ "maxTokens": 3000, "temperature": 1, "stopSequences": ["END"] })
    );
    assert_eq!(sent["guardrailConfig"], json!({ "guardrailIdentifier": "g" }));
    assert_eq!(
        sent["additionalModelRequestFields"],
        json!({ "min_p": 0.1, "thinking": { "type": "enabled", "budget_tokens": 1024 }, "top_k": 7 })
    );
}

#[test]
fn results_stand_before_words_and_empty_words_fall_away() {
    let call = |id: &str| json!({ "type": "tool_use", "id": id, "name": "f", "input": {} });
    let result = |id: &str| json!({ "type": "tool_result", "tool_use_id": id, "content": "" });
    let (body, _) = anthropic(
        CLAUDE,
        json!({ "messages": [
            { "role": "user", "content": "x" },
            { "role": "assistant", "content": [{ "type": "text", "text": " " }, call("a"), call("b")] },
            { "role": "user", "content": [{ "type": "text", "text": "so" }, result("a")] },
            { "role": "user", "content": [result("b"), { "type": "text", "text": "" }] },
        ] }),
    )
    .unwrap();
    let kinds = |message: usize| -> Vec<String> {
        let blocks = body["messages"][message]["content"].as_array().unwrap();
        blocks.iter().flat_map(|b| b.as_object().unwrap().keys().cloned()).collect()
    };
    assert_eq!(body["messages"].as_array().unwrap().len(), 3);
    assert_eq!(kinds(1), ["toolUse", "toolUse"]);
    assert_eq!(kinds(2), ["toolResult", "toolResult", "text"]);
}
