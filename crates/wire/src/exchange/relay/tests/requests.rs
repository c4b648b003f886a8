use proptest::prelude::*;
use serde_json::{Map, Value};

use super::support::{called, chat, messages, payload, target, text, with_patches};
use super::*;
use crate::exchange::{
    bridge::Bridge,
    head::{ANTHROPIC_BETA, ANTHROPIC_VERSION},
};
use http::HeaderValue;

/// What the provider gets for `body` with these patches.
fn sent(patch: &str, body: &str) -> String {
    let to = with_patches(Dialect::Openai, "m", patch);
    text(&called(Operation::Chat, Dialect::Openai, "m", &to, body).1.body)
}

#[test]
fn threads_are_refused_however_they_are_spelled() {
    for (members, refused) in [
        (r#""stream":true"#, false),
        (r#""thread":null"#, false),
        (r#""thread":{"type":"create"}"#, true),
        (r#""thr\u0065ad":{"type":"continue","previous_message_id":"msg_1"}"#, true),
        (r#""thread":null,"thread":{}"#, true),
    ] {
        let body = format!(r#"{{"model":"m","messages":[],"max_tokens":1,{members}}}"#);
        let payload = payload(Operation::Chat, Dialect::Anthropic, &body);
        let to = Target { drop_params: true, ..target(Dialect::Anthropic, "m") };
        let mut exchanges: [Box<dyn Exchange>; 2] = [
            Box::new(Relay::new(Operation::Chat, Dialect::Anthropic, "m")),
            Box::new(Bridge::new(Operation::Chat, Dialect::Anthropic, Dialect::Openai, "m")),
        ];
        for exchange in &mut exchanges {
            let called = exchange.call(&payload, &to);
            let param = match &called {
                Err(CannotAsk::Malformed(why)) => why.param.as_deref(),
                Err(CannotAsk::Unsupported(_) | CannotAsk::NotFound(_)) | Ok(_) => None,
            };
            assert_eq!(param == Some("thread"), refused, "{members}: {called:?}");
        }
    }
}

#[test]
fn only_the_model_is_replaced() {
    let body = r#" { "messages" : [ {"role":"user","content":"é \u00e9 \"model\":\"x\""} ],
        "temperature": 0.70, "model" : "alias", "x_unknown":{"b":1,"a":2}, "top_p":1e0 } "#;
    let (_, call) = chat("alias", "gpt-\"4o\"", body);
    assert_eq!(text(&call.body), body.replace("\"alias\"", r#""gpt-\"4o\"""#));
    assert_eq!(call.body.len(), 3);
    let (_, call) = chat("alias", "alias", body);
    assert_eq!(text(&call.body), body);
    assert_eq!(call.body.len(), 1);
}

#[test]
fn what_is_ours_stays_here() {
    let body = r#"{"tags":["a"],"model":"m","fallbacks":["x"],"messages":[],"timeout":5}"#;
    let (_, call) = chat("m", "n", body);
    assert_eq!(text(&call.body), r#"{"model":"n","messages":[]}"#);
}

#[test]
fn streams_are_asked_for_usage() {
    for (options, expect) in [
        ("", r#","stream_options":{"include_usage":true}"#),
        (r#","stream_options":null"#, r#","stream_options":{"include_usage":true}"#),
        (r#","stream_options":{}"#, r#","stream_options":{"include_usage":true}"#),
        (
            r#","stream_options":{ "include_obfuscation":false }"#,
            r#","stream_options":{"include_usage":true, "include_obfuscation":false }"#,
        ),
        (
            r#","stream_options":{"include_usage": false,"x":1}"#,
            r#","stream_options":{"include_usage": true,"x":1}"#,
        ),
    ] {
        let body = |options| format!(r#"{{"model":"m","messages":[],"stream":true{options}}}"#);
        let (relay, call) = chat("m", "m", &body(options));
        assert_eq!(text(&call.body), body(expect));
        assert!(relay.ear.hide_usage);
    }
    let asked =
        r#"{"model":"m","messages":[],"stream":true,"stream_options":{"include_usage":true}}"#;
    let (relay, call) = chat("m", "m", asked);
    assert_eq!(text(&call.body), asked);
    assert!(!relay.ear.hide_usage);
    let whole = r#"{"model":"m","messages":[],"stream":false}"#;
    assert_eq!(text(&chat("m", "m", whole).1.body), whole);
    let anthropic = r#"{"model":"m","messages":[],"max_tokens":1,"stream":true}"#;
    assert_eq!(text(&messages("m", "m", anthropic).1.body), anthropic);
}

#[test]
fn providers_that_do_not_know_stream_options_are_not_asked() {
    let body = r#"{"model":"m","messages":[],"stream":true,"stream_options":{"x":1}}"#;
    assert_eq!(
        sent(r#"[{ drop = "stream_options" }]"#, body),
        r#"{"model":"m","messages":[],"stream":true}"#
    );
}

#[test]
fn patches() {
    let chat = |more: &str| format!(r#"{{"model":"m","messages":[]{more}}}"#);
    for (patch, body, expect) in [
        (r#"{ drop = "user" }"#, r#","user":"u","n":1"#, r#","n":1"#),
        (r#"{ drop = "user" }"#, "", ""),
        (
            r#"{ rename = ["max_completion_tokens", "max_tokens"] }"#,
            r#","max_completion_tokens" : 5,"n":1"#,
            r#","max_tokens" : 5,"n":1"#,
        ),
        (
            r#"{ rename = ["max_completion_tokens", "max_tokens"] }"#,
            r#","max_completion_tokens":5,"max_tokens":6"#,
            r#","max_tokens":6"#,
        ),
        (r#"{ set = ["store", false] }"#, r#","store":true"#, r#","store":false"#),
        (r#"{ set = ["store", false] }"#, "", r#","store":false"#),
        (r#"{ default = ["seed", 7] }"#, r#","seed":1"#, r#","seed":1"#),
        (r#"{ default = ["x", {a=[1]}] }"#, "", r#","x":{"a":[1]}"#),
        (r#"{ clamp = ["temperature", 0, 1] }"#, r#","temperature":1.7"#, r#","temperature":1"#),
        (r#"{ clamp = ["temperature", 0.1, 1] }"#, r#","temperature":0"#, r#","temperature":0.1"#),
        (
            r#"{ clamp = ["temperature", 0, 1] }"#,
            r#","temperature":0.70"#,
            r#","temperature":0.70"#,
        ),
        (
            r#"{ clamp = ["temperature", 0, 1] }"#,
            r#","temperature":null"#,
            r#","temperature":null"#,
        ),
        (
            r#"{ clamp = ["temperature", 0, 1] }"#,
            r#","temperature":2,"temperature":3"#,
            r#","temperature":1,"temperature":1"#,
        ),
        (
            r#"{ rename = ["a", "b"] }, { set = ["b", 2] }, { default = ["c", 3] }, { drop = "c" }"#,
            r#","a":1"#,
            r#","b":2"#,
        ),
    ] {
        assert_eq!(sent(&format!("[{patch}]"), &chat(body)), chat(expect), "{patch} {body}");
    }
}

#[test]
fn defaults_fill_gaps_and_are_patched_like_the_rest() {
    let mut to = with_patches(
        Dialect::Openai,
        "m",
        r#"[{ rename = ["max_completion_tokens", "max_tokens"] }]"#,
    );
    to.defaults = vec![
        ("temperature".to_owned(), Bytes::from_static(b"0.5")),
        ("max_completion_tokens".to_owned(), Bytes::from_static(b"9")),
    ];
    let body = r#"{"model":"m","messages":[],"temperature":1}"#;
    let (_, call) = called(Operation::Chat, Dialect::Openai, "m", &to, body);
    assert_eq!(text(&call.body), r#"{"model":"m","messages":[],"temperature":1,"max_tokens":9}"#);
}

#[test]
fn headers_carry_the_key_and_what_the_client_sent() {
    let header = |call: &Call, name: &str| -> Vec<String> {
        let all = call.headers.iter().filter(|(n, _)| n == name);
        all.map(|(_, v)| v.to_str().unwrap().to_owned()).collect()
    };
    let mut to = target(Dialect::Anthropic, "m");
    to.headers = vec![(ANTHROPIC_BETA, HeaderValue::from_static("b"))];
    let body = r#"{"model":"m","messages":[],"max_tokens":1,"stream":true}"#;
    let mut payload = payload(Operation::Chat, Dialect::Anthropic, body);
    payload.headers = vec![
        (ANTHROPIC_VERSION, HeaderValue::from_static("2024-01-01")),
        (ANTHROPIC_BETA, HeaderValue::from_static("a")),
    ];
    let mut relay = Relay::new(Operation::Chat, Dialect::Anthropic, "m");
    let call = relay.call(&payload, &to).unwrap();
    assert_eq!(header(&call, "anthropic-version"), ["2024-01-01"]);
    assert_eq!(header(&call, "anthropic-beta"), ["a", "b"]);
    assert_eq!(header(&call, "accept"), ["text/event-stream"]);
    assert_eq!(header(&call, "authorization"), ["Bearer sk-secret"]);
    assert!(call.headers.iter().any(|(n, v)| n == "authorization" && v.is_sensitive()));
    assert!(!format!("{call:?}").contains("sk-secret"));
    let (_, call) = messages("m", "m", body);
    assert_eq!(header(&call, "anthropic-version"), ["2023-06-01"]);
}

/// Values of a body, small, with everything that JSON has.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((".{0,6}", inner), 0..4)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

/// A chat body with unknown fields before, between and behind the known ones, some of them ours.
fn body() -> impl Strategy<Value = Map<String, Value>> {
    let field = prop_oneof![
        ("[a-m]{1,3}", value()),
        Just(("tags".to_owned(), Value::from(vec!["t"]))),
        Just(("timeout".to_owned(), Value::from(3))),
        Just(("num_retries".to_owned(), Value::from(1))),
        Just(("model".to_owned(), Value::from("alias"))),
        Just(("messages".to_owned(), Value::from(Vec::<Value>::new()))),
        any::<bool>().prop_map(|b| ("stream".to_owned(), Value::from(b))),
        Just(("max_completion_tokens".to_owned(), Value::from(4))),
        Just(("max_tokens".to_owned(), Value::from(5))),
    ];
    prop::collection::vec(field, 0..12).prop_map(|fields| {
        let mut body: Map<String, Value> = fields.into_iter().collect();
        body.entry("model").or_insert("alias".into());
        body.entry("messages").or_insert(Vec::<Value>::new().into());
        body.remove("n");
        body
    })
}

proptest! {
    /// The edits as bytes give the same as the edits of a parsed body, in the same order of
    /// fields, and what lies outside of them is the client's very bytes.
    #[test]
    fn relay_changes_only_what_it_must(body in body(), pretty: bool) {
        let source = if pretty {
            serde_json::to_string_pretty(&body).unwrap()
        } else {
            serde_json::to_string(&body).unwrap()
        };
        let to = with_patches(
            Dialect::Openai,
            "real",
            r#"[{ rename = ["max_completion_tokens", "max_tokens"] }]"#,
        );
        let (_, call) = called(Operation::Chat, Dialect::Openai, "alias", &to, &source);

        let mut expect = Map::new();
        for (name, value) in &body {
            match name.as_str() {
                "tags" | "timeout" | "num_retries" => {}
                "model" => drop(expect.insert(name.clone(), Value::from("real"))),
                "max_completion_tokens" if body.contains_key("max_tokens") => {}
                "max_completion_tokens" => {
                    expect.insert("max_tokens".to_owned(), value.clone());
                }
                _ => drop(expect.insert(name.clone(), value.clone())),
            }
        }
        if body.get("stream") == Some(&Value::Bool(true)) {
            expect.insert("stream_options".to_owned(), serde_json::json!({"include_usage": true}));
        }
        let sent: Map<String, Value> = serde_json::from_str(&text(&call.body)).unwrap();
        prop_assert_eq!(
            sent.iter().collect::<Vec<_>>(),
            expect.iter().collect::<Vec<_>>()
        );

        // Pieces that lie within the client's bytes stand there in order.
        let mut rest = source.as_str();
        for piece in &call.body {
            let piece = std::str::from_utf8(piece).unwrap();
            if ["\"real\"", "\"max_tokens\""].contains(&piece) || piece.contains("include_usage") {
                continue;
            }
            let at = rest.find(piece);
            prop_assert!(at.is_some(), "{} in {}", piece, rest);
            rest = &rest[at.unwrap() + piece.len()..];
        }
    }
}
