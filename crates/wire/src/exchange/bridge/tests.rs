use std::{collections::BTreeMap, sync::Arc};

use http::HeaderValue;
use serde_json::{Value, json};

use super::*;
use crate::{Auth, Card, Provider, Secret, op::chat::MAX_TOOL_CALLS, peek::Peek, provider::Patch};

fn target(dialect: Dialect) -> Target {
    let provider = Provider {
        name: "test".into(),
        url: "https://api.test/v1".to_owned(),
        key_env: Vec::new(),
        url_env: Vec::new(),
        auth: Auth::XApiKey,
        speaks: [(dialect, String::new())].into(),
        ops: vec![Operation::Chat],
        headers: BTreeMap::new(),
        patch: Vec::new(),
        ..Provider::default()
    };
    Target {
        id: "t".into(),
        provider: Arc::new(provider),
        model: "real".into(),
        dialect,
        base: "https://api.test/v1".into(),
        credential: Some(Secret::new("sk-secret")),
        login: None,
        card: None,
        defaults: Vec::new(),
        headers: Vec::new(),
        drop_params: false,
    }
}

fn payload(body: &Value) -> Payload {
    Payload {
        body: body.to_string().into(),
        peek: Peek::default(),
        headers: Vec::new(),
        received_s: 0,
    }
}

fn put(surface: Dialect, to: &Target, body: &Value) -> Result<Value, CannotAsk> {
    let mut bridge = Bridge::new(Operation::Chat, surface, to.dialect, "shown");
    let call = bridge.call(&payload(body), to)?;
    Ok(serde_json::from_slice(&call.body.concat()).unwrap())
}

fn openai(more: &Value) -> Value {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "x"}]});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn anthropic(more: &Value) -> Value {
    let mut body = openai(more);
    if body.get("max_tokens").is_none() {
        body["max_tokens"] = json!(100);
    }
    body
}

#[test]
fn a_wrong_field_is_named() {
    for (surface, body, param, message) in [
        (Dialect::Openai, json!([]), "", "expected an object"),
        (Dialect::Openai, json!({"model": "m"}), "messages", "a list of messages"),
        (Dialect::Openai, json!({"messages": []}), "model", "a string"),
        (
            Dialect::Openai,
            json!({"model": "m", "messages": [{"role": "robot", "content": "x"}]}),
            "messages[0].role",
            "`system`, `developer`, `user`, `assistant` or `tool`",
        ),
        (
            Dialect::Openai,
            json!({"model": "m", "messages": [{"role": "user", "content": 1}]}),
            "messages[0].content",
            "a string or a list of parts",
        ),
        (
            Dialect::Openai,
            json!({"model": "m", "messages": [{"role": "user",
                "content": [{"type": "image_url", "image_url": {}}]}]}),
            "messages[0].content[0].image_url.url",
            "a string",
        ),
        (
            Dialect::Openai,
            json!({"model": "m", "messages": [{"role": "tool", "content": "x"}]}),
            "messages[0].tool_call_id",
            "a string",
        ),
        (Dialect::Openai, openai(&json!({"temperature": "hot"})), "temperature", "a number"),
        (Dialect::Openai, openai(&json!({"tool_choice": "any"})), "tool_choice", "`auto`"),
        (Dialect::Openai, openai(&json!({"tools": [{}]})), "tools[0].type", "a string"),
        (
            Dialect::Anthropic,
            json!({"model": "m", "messages": []}),
            "max_tokens",
            "a number of tokens",
        ),
        (
            Dialect::Anthropic,
            anthropic(&json!({"thinking": {"type": "enabled"}})),
            "thinking.budget_tokens",
            "a number of tokens",
        ),
        (
            Dialect::Anthropic,
            anthropic(&json!({"messages": [{"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "a", "content": [
                    {"type": "tool_result", "tool_use_id": "b"}]}]}]})),
            "messages[0].content[0].content",
            "no tool result within a tool result",
        ),
    ] {
        let error = put(surface, &target(Dialect::Openai), &body).unwrap_err();
        let why = match error {
            CannotAsk::Malformed(why) => why,
            why => unreachable!("{why}"),
        };
        assert_eq!(why.param.as_deref().unwrap_or(""), param, "{body}");
        assert!(why.message.contains(message), "{}", why.message);
    }
}

#[test]
fn a_field_given_twice_is_refused() {
    let body = br#"{"model":"m","messages":[{"role":"user","content":"a","content":"b"}]}"#;
    let payload = Payload {
        body: Bytes::from_static(body),
        peek: Peek::default(),
        headers: Vec::new(),
        received_s: 0,
    };
    let error = dialect::surface(Dialect::Openai).unwrap().read(&payload).unwrap_err();
    assert_eq!(error.param.as_deref(), Some("messages[0]"));
    assert!(error.message.contains("none of them given twice"), "{}", error.message);
}

#[test]
fn what_is_meant_for_us_stays_here() {
    let body = br#"{"model":"m","messages":[],"num_retries":3,"max_tokens":1,"x":1}"#;
    let body = Bytes::from_static(body);
    let peek = crate::peek::peek(Dialect::Openai, Operation::Chat, &body).unwrap();
    let payload = Payload { body, peek, headers: Vec::new(), received_s: 0 };
    let mut bridge = Bridge::new(Operation::Chat, Dialect::Openai, Dialect::Openai, "shown");
    let call = bridge.call(&payload, &target(Dialect::Openai)).unwrap();
    let expect: &[u8] = br#"{"model":"real","messages":[],"max_tokens":1,"x":1}"#;
    assert_eq!(call.body.concat(), expect);
}

#[test]
fn efforts_become_budgets_and_back() {
    for (effort, budget, back) in
        [("low", 1024, "low"), ("medium", 2048, "medium"), ("high", 4096, "high")]
    {
        let body = openai(&json!({"reasoning_effort": effort}));
        let sent = put(Dialect::Openai, &target(Dialect::Anthropic), &body).unwrap();
        assert_eq!(sent["thinking"], json!({"type": "enabled", "budget_tokens": budget}));
        let thinking = anthropic(&json!({"thinking": sent["thinking"]}));
        let sent = put(Dialect::Anthropic, &target(Dialect::Openai), &thinking).unwrap();
        assert_eq!(sent["reasoning_effort"], back);
    }
    let none = openai(&json!({"reasoning_effort": "none"}));
    let sent = put(Dialect::Openai, &target(Dialect::Anthropic), &none).unwrap();
    assert_eq!(sent.get("thinking"), None);
}

#[test]
fn anthropic_is_told_a_limit() {
    let mut to = target(Dialect::Anthropic);
    let limit = |to: &Target, more: &Value| {
        put(Dialect::Openai, to, &openai(more)).unwrap()["max_tokens"].clone()
    };
    assert_eq!(limit(&to, &json!({})), 4096);
    assert_eq!(limit(&to, &json!({"max_tokens": 7})), 7);
    assert_eq!(limit(&to, &json!({"max_completion_tokens": 8})), 8);
    assert_eq!(limit(&to, &json!({"max_tokens": 7, "reasoning_effort": "low"})), 5120);
    assert_eq!(limit(&to, &json!({"reasoning_effort": "high"})), 8192);
    to.card = Some(Arc::new(Card { max_output: Some(6000), ..Card::default() }));
    assert_eq!(limit(&to, &json!({})), 6000);
    assert_eq!(limit(&to, &json!({"max_tokens": 9, "reasoning_effort": "high"})), 6000);
}

#[test]
fn defaults_and_patches_apply_to_what_is_written() {
    let mut to = target(Dialect::Openai);
    to.defaults = vec![
        ("temperature".to_owned(), Bytes::from_static(b"9")),
        ("max_tokens".to_owned(), Bytes::from_static(b"1")),
    ];
    let mut provider = (*to.provider).clone();
    provider.patch = vec![
        Patch::Rename("max_tokens".to_owned(), "max_completion_tokens".to_owned()),
        Patch::Drop("user".to_owned()),
        Patch::Set("store".to_owned(), json!(false)),
        Patch::Default("top_p".to_owned(), json!(0.5)),
        Patch::Clamp("temperature".to_owned(), 0.0, 2.0),
    ];
    to.provider = Arc::new(provider);
    let body = anthropic(&json!({"metadata": {"user_id": "u"}}));
    let sent = put(Dialect::Anthropic, &to, &body).unwrap();
    let expect = json!({"model": "real", "messages": [{"role": "user", "content": "x"}],
        "max_completion_tokens": 100, "temperature": 2, "store": false, "top_p": 0.5});
    assert_eq!(sent, expect);
}

#[test]
fn headers_of_the_clients_dialect_do_not_travel_to_another() {
    let to = target(Dialect::Anthropic);
    let mut payload = payload(&anthropic(&json!({})));
    payload.headers = vec![("anthropic-beta".parse().unwrap(), HeaderValue::from_static("fast"))];
    for (surface, sent) in [(Dialect::Openai, false), (Dialect::Anthropic, true)] {
        let mut bridge = Bridge::new(Operation::Chat, surface, Dialect::Anthropic, "shown");
        let call = bridge.call(&payload, &to).unwrap();
        assert_eq!(call.path, "/v1/messages");
        let value = |name: &str| call.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v);
        assert_eq!(value("anthropic-beta").is_some(), sent);
        assert_eq!(value("anthropic-version").unwrap(), "2023-06-01");
        assert_eq!(value("x-api-key").unwrap(), "sk-secret");
        assert!(value("x-api-key").unwrap().is_sensitive());
    }
}

#[test]
fn features_that_a_header_alone_asks_for_are_named_once_where_they_are_lost() {
    let mut payload = payload(&anthropic(&json!({})));
    payload.headers = ["claude-code-20250219, context-1m-2025-08-07", "new,context-1m-2025-08-07"]
        .map(|value| ("anthropic-beta".parse().unwrap(), HeaderValue::from_static(value)))
        .to_vec();
    for (surface, to, lost) in [
        (Dialect::Anthropic, Dialect::Openai, 2),
        (Dialect::Anthropic, Dialect::Gemini, 2),
        (Dialect::Anthropic, Dialect::Anthropic, 0),
        (Dialect::Openai, Dialect::Gemini, 0),
    ] {
        let mut bridge = Bridge::new(Operation::Chat, surface, to, "shown");
        bridge.call(&payload, &target(to)).unwrap();
        let named = ["anthropic-beta: context-1m-2025-08-07", "anthropic-beta: new"];
        let dropped: Vec<_> =
            bridge.dropped().iter().filter(|name| name.starts_with("anthropic-beta")).collect();
        assert_eq!(dropped, named[..lost], "{to:?}");
    }
}

#[test]
fn addresses_and_numbers_are_not_sent_as_users() {
    let to = target(Dialect::Anthropic);
    for (user, sent) in [("user-1", true), ("anna@example.com", false), ("+49 30 1234", false)] {
        let mut bridge = Bridge::new(Operation::Chat, Dialect::Openai, to.dialect, "shown");
        let call = bridge.call(&payload(&openai(&json!({"user": user}))), &to).unwrap();
        let body: Value = serde_json::from_slice(&call.body.concat()).unwrap();
        assert_eq!(body.get("metadata").is_some(), sent);
        assert_eq!(bridge.dropped().is_empty(), sent);
    }
}

fn streaming(surface: Dialect, upstream: Dialect) -> Bridge {
    let mut bridge = Bridge::new(Operation::Chat, surface, upstream, "shown");
    bridge.call(&payload(&anthropic(&json!({"stream": true}))), &target(upstream)).unwrap();
    bridge
}

fn chunk(delta: &Value) -> Bytes {
    let chunk = json!({"id": "x", "model": "m", "choices": [{"index": 0, "delta": delta}]});
    format!("data: {chunk}\n\n").into()
}

#[test]
fn tool_calls_and_waiting_bytes_are_bounded() {
    let mut bridge = streaming(Dialect::Anthropic, Dialect::Openai);
    let mut out = BytesMut::new();
    let call = |index: usize, arguments: &str| {
        chunk(&json!({"tool_calls": [{"index": index, "id": format!("c{index}"),
            "function": {"name": "f", "arguments": arguments}}]}))
    };
    bridge.push(&call(0, "{"), &mut out).unwrap();
    let first = out.len();
    // The first call is not complete: the second one waits, until too much waits.
    let piece = "1".repeat(1 << 16);
    bridge.push(&call(1, &piece), &mut out).unwrap();
    assert_eq!(out.len(), first);
    for _ in 0..16 {
        bridge.push(&call(1, &piece), &mut out).unwrap();
    }
    assert!(out.len() > 1 << 20);
    for index in 2..MAX_TOOL_CALLS {
        bridge.push(&call(index, "{}"), &mut out).unwrap();
    }
    let fault = bridge.push(&call(MAX_TOOL_CALLS, "{}"), &mut out).unwrap_err();
    assert_eq!(fault.kind, FaultKind::BadResponse);
    assert_eq!(fault.message, "the upstream's answer has over 128 tool calls");
}

#[test]
fn an_upstream_that_counts_nothing_is_estimated() {
    let mut bridge = streaming(Dialect::Anthropic, Dialect::Openai);
    assert_eq!(bridge.usage(), Usage { estimated: true, ..Usage::default() });
    let mut out = BytesMut::new();
    bridge.push(&chunk(&json!({"content": "x".repeat(400)})), &mut out).unwrap();
    assert_eq!((bridge.usage().output, bridge.usage().estimated), (100, true));
    bridge.push(&Bytes::from_static(b"data: [DONE]\n\n"), &mut out).unwrap();
    assert!(bridge.done());
    bridge.end(&mut out).unwrap();
    let text = std::str::from_utf8(&out).unwrap();
    assert!(text.contains(r#""output_tokens":100}"#), "{text}");
    assert_eq!(text.matches("message_stop").count(), 2, "once, in name and data");
}

#[test]
fn an_empty_answer_in_one_piece_is_counted_as_in_many() {
    let stream: &[u8] = b"data: {\"choices\":[]}\n\ndata: [DONE]\n\n";
    let pass = |pieces: std::slice::Chunks<'_, u8>| {
        let mut bridge = streaming(Dialect::Anthropic, Dialect::Openai);
        let mut out = BytesMut::new();
        for piece in pieces {
            bridge.push(&Bytes::copy_from_slice(piece), &mut out).unwrap();
        }
        (out, bridge.usage())
    };
    let (text, usage) = pass(stream.chunks(stream.len()));
    assert!(usage.input > 0 && usage.estimated);
    assert_eq!((text, usage), pass(stream.chunks(7)));
}

#[test]
fn a_stream_that_never_began_is_a_fault() {
    for (bytes, kind) in [
        ("", FaultKind::BadResponse),
        (": still there\n\n", FaultKind::BadResponse),
        ("<html>busy</html>", FaultKind::BadResponse),
        ("{\"error\":{\"message\":\"slow down\",\"code\":429}}", FaultKind::RateLimit),
        ("{\"choices\":[]}", FaultKind::BadResponse),
        ("data: [DONE]\n\n", FaultKind::BadResponse),
        ("data: nonsense\n\n", FaultKind::BadResponse),
        ("data: {\"error\":{\"message\":\"slow down\",\"code\":429}}\n\n", FaultKind::RateLimit),
    ] {
        let mut bridge = streaming(Dialect::Anthropic, Dialect::Openai);
        let mut out = BytesMut::new();
        let pushed = bridge.push(&Bytes::from_static(bytes.as_bytes()), &mut out);
        let ended = pushed.and_then(|()| bridge.end(&mut out));
        assert_eq!(ended.unwrap_err().kind, kind, "{bytes}");
        assert!(!bridge.begun() && out.is_empty());
    }
}

#[test]
fn a_stream_breaks_in_the_clients_dialect() {
    let bridge = streaming(Dialect::Anthropic, Dialect::Openai);
    let mut out = BytesMut::new();
    bridge.broken(&Refusal::new(crate::RefusalKind::UpstreamError, "gone"), &mut out);
    assert!(out.starts_with(b"event: error\n"));
    let headers = HeaderMap::new();
    let fault = bridge.fault(StatusCode::TOO_MANY_REQUESTS, &headers, Bytes::new());
    assert_eq!(fault.kind, FaultKind::RateLimit);
}

#[test]
fn sound_is_for_clients_that_can_be_given_it() {
    let mut to = target(Dialect::Openai);
    to.defaults = vec![
        ("modalities".to_owned(), Bytes::from_static(br#"["text","audio"]"#)),
        ("audio".to_owned(), Bytes::from_static(br#"{"voice":"alloy","format":"wav"}"#)),
    ];
    let refused = put(Dialect::Anthropic, &to, &anthropic(&json!({}))).unwrap_err();
    let why = Unsupported {
        param: "modalities".to_owned(),
        model: "real".to_owned(),
        why: "answers in anthropic have no sound".to_owned(),
    };
    assert_eq!(refused, why.into());
    let contents = json!({"contents": [{"parts": [{"text": "x"}]}]});
    assert!(put(Dialect::Gemini, &to, &contents).is_ok());
    to.drop_params = true;
    let mut bridge = Bridge::new(Operation::Chat, Dialect::Anthropic, to.dialect, "shown");
    bridge.call(&payload(&anthropic(&json!({}))), &to).unwrap();
    assert_eq!(bridge.dropped(), ["modalities"]);
}

#[test]
fn a_search_is_asked_for_in_the_targets_words() {
    let near = json!({"type": "approximate", "city": "Bern", "country": "CH"});
    let tool = json!({"type": "web_search_20250305", "name": "web_search", "max_uses": 3,
        "allowed_domains": ["example.com"], "user_location": near});
    let plain = json!({"type": "web_search_20250305", "name": "web_search"});
    let by_tool = |tool: &Value| anthropic(&json!({"tools": [tool]}));
    let responses = |tool: &Value| json!({"model": "m", "input": "x", "tools": [tool]});
    let gemini = |tool: &Value| json!({"contents": [{"parts": [{"text": "x"}]}], "tools": [tool]});
    let said = |surface, dialect, body: &Value, field: &str| {
        let sent = put(surface, &target(dialect), body).unwrap();
        sent[field].clone()
    };
    let (a, r, g, o) = (Dialect::Anthropic, Dialect::Responses, Dialect::Gemini, Dialect::Openai);
    assert_eq!(
        said(a, r, &by_tool(&tool), "tools"),
        json!([{"type": "web_search", "filters": {"allowed_domains": ["example.com"]},
            "user_location": near}])
    );
    assert_eq!(said(a, g, &by_tool(&plain), "tools"), json!([{"googleSearch": {}}]));
    let hosted = json!({"type": "web_search", "search_context_size": "low", "user_location": near,
        "filters": {"allowed_domains": ["example.com"]}});
    assert_eq!(
        said(r, a, &responses(&hosted), "tools"),
        json!([{"type": "web_search_20250305", "name": "web_search",
            "allowed_domains": ["example.com"], "user_location": near}])
    );
    let google = gemini(&json!({"google_search": {"exclude_domains": ["example.com"]}}));
    assert_eq!(
        said(g, a, &google, "tools"),
        json!([{"type": "web_search_20250305", "name": "web_search",
            "blocked_domains": ["example.com"]}])
    );
    let options = json!({"web_search_options": {"search_context_size": "high",
        "user_location": {"type": "approximate", "approximate": {"city": "Bern"}}}});
    assert_eq!(
        said(o, r, &openai(&options), "tools"),
        json!([{"type": "web_search", "search_context_size": "high",
            "user_location": {"type": "approximate", "city": "Bern"}}])
    );
    assert_eq!(
        said(o, a, &openai(&options), "tools"),
        json!([{"type": "web_search_20250305", "name": "web_search",
            "user_location": {"type": "approximate", "city": "Bern"}}])
    );
    // Of chat completions only some models search.
    let mut to = target(o);
    let why = put(a, &to, &by_tool(&plain)).unwrap_err();
    assert!(matches!(&why, CannotAsk::Unsupported(why) if why.param == "tools[0]"), "{why}");
    to.model = "gpt-5-search-api".into();
    for (surface, body) in [
        (a, by_tool(&plain)),
        (r, responses(&json!({"type": "web_search"}))),
        (g, gemini(&json!({"googleSearch": {}}))),
    ] {
        let sent = put(surface, &to, &body).unwrap();
        assert_eq!((&sent["web_search_options"], &sent["tools"]), (&json!({}), &Value::Null));
    }
}

#[test]
fn what_a_search_cannot_be_told_is_refused() {
    let tool = json!({"type": "web_search_20250305", "name": "web_search"});
    let with = |name: &str, value: Value| {
        let mut tool = tool.clone();
        tool[name] = value;
        anthropic(&json!({"tools": [tool]}))
    };
    let google = target(Dialect::Gemini);
    let function = json!({"name": "f", "input_schema": {"type": "object"}});
    for (body, to, param) in [
        (with("allowed_domains", json!(["a"])), &google, "tools[0].allowed_domains"),
        (with("depth", json!(1)), &google, "tools[0].depth"),
        (
            with("blocked_domains", json!(["a"])),
            &target(Dialect::Responses),
            "tools[0].blocked_domains",
        ),
        (anthropic(&json!({"tools": [function, tool]})), &google, "tools[1]"),
        (
            anthropic(&json!({"tools": [tool],
                "tool_choice": {"type": "tool", "name": "web_search"}})),
            &google,
            "tool_choice",
        ),
        (anthropic(&json!({"tools": [tool]})), &target(Dialect::Cohere), "tools[0]"),
    ] {
        let why = put(Dialect::Anthropic, to, &body).unwrap_err();
        assert!(matches!(&why, CannotAsk::Unsupported(why) if why.param == param), "{why}");
    }
}

/// The rule of `dialect/foreign.rs`, for every pair of dialects.
#[test]
fn a_field_of_no_dialect_is_for_the_provider_and_one_of_another_is_refused() {
    let surfaces = [
        (Dialect::Openai, openai(&json!({})), "functions"),
        (Dialect::Completions, json!({"model": "m", "prompt": "x"}), "functions"),
        (Dialect::Anthropic, anthropic(&json!({})), "mcp_servers"),
        (Dialect::Responses, json!({"model": "m", "input": "x"}), "truncation"),
        (Dialect::Gemini, json!({"contents": [{"parts": [{"text": "x"}]}]}), "cachedContent"),
        (Dialect::Cohere, openai(&json!({})), "safety_mode"),
    ];
    for (surface, body, own) in surfaces {
        for dialect in Dialect::ALL {
            let like = matches!(surface, Dialect::Openai | Dialect::Completions);
            let same = surface == dialect || (like && dialect == Dialect::Openai);
            if same || dialect::upstream(dialect).is_none() {
                continue;
            }
            let pair = format!("{} to {}", surface.name(), dialect.name());
            let with = |name: &str, value: Value| {
                let mut body = body.clone();
                body[name] = value;
                put(surface, &target(dialect), &body)
            };
            let sent = with("xCustom", json!({"a": [1]}));
            let refused = |sent: &Result<Value, CannotAsk>, name: &str| matches!(sent, Err(CannotAsk::Unsupported(why)) if why.param == name);
            match dialect {
                Dialect::Gemini
                | Dialect::Cohere
                | Dialect::Ollama
                | Dialect::Oci
                | Dialect::OciCohere
                | Dialect::Tgi
                | Dialect::WatsonxText => {
                    assert!(refused(&sent, "xCustom"), "{pair}: {sent:?}");
                }
                Dialect::Bedrock => {
                    let sent = sent.unwrap();
                    let there = &sent["additionalModelRequestFields"]["xCustom"];
                    assert_eq!(*there, json!({"a": [1]}), "{pair}");
                }
                Dialect::Replicate => {
                    assert_eq!(sent.unwrap()["input"]["xCustom"], json!({"a": [1]}), "{pair}");
                }
                _ => assert_eq!(sent.unwrap()["xCustom"], json!({"a": [1]}), "{pair}"),
            }
            let sent = with(own, json!("auto"));
            assert!(refused(&sent, own), "{pair}: {sent:?}");
        }
    }
}
