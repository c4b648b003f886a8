use super::*;

mod readers;

const ALL: [Name; 21] = [
    Name::Model,
    Name::Messages,
    Name::Input,
    Name::Stream,
    Name::StreamOptions,
    Name::MaxTokens,
    Name::MaxCompletionTokens,
    Name::N,
    Name::User,
    Name::Metadata,
    Name::Tags,
    Name::Fallbacks,
    Name::NumRetries,
    Name::Timeout,
    Name::DisableFallbacks,
    Name::ContextWindowFallbacks,
    Name::ContentPolicyFallbacks,
    Name::LitellmMetadata,
    Name::LitellmCallId,
    Name::LitellmTraceId,
    Name::LitellmSessionId,
];

fn read(body: &str) -> Result<Peek, PeekError> {
    peek(Dialect::Openai, Operation::Chat, &Bytes::copy_from_slice(body.as_bytes()))
}

fn anthropic(body: &str) -> Result<Peek, PeekError> {
    peek(Dialect::Anthropic, Operation::Chat, &Bytes::copy_from_slice(body.as_bytes()))
}

/// A whole chat body with `more` in it.
fn chat(more: &str) -> String {
    format!(r#"{{"model":"m","messages":[]{}{more}}}"#, if more.is_empty() { "" } else { "," })
}

#[track_caller]
fn refused(body: &str, param: Option<&str>, message: &str) {
    let error = read(body).unwrap_err();
    assert_eq!((error.param.as_deref(), error.message.as_str()), (param, message), "{body}");
}

#[test]
fn reads_what_it_needs() {
    let body = r#" { "messages" : [{"role":"user","content":"{\"model\":1}"}], "model": "gpt\u002d4o",
        "stream":true,"stream_options":{"x":1,"include_usage":true}, "max_tokens":10,
        "max_completion_tokens":20,"n":2,"user":"u-1","metadata":{"tags":["a"],"k":"v"},
        "tags":["b"],"fallbacks":["x",{"model":"y","temperature":0}],"num_retries":3,
        "timeout":1.5,"disable_fallbacks":true, "temperature": 0.10 } "#;
    let peek = read(body).unwrap();
    assert_eq!(peek.model, "gpt-4o");
    assert_eq!(&body[peek.model_span.clone()], r#""gpt\u002d4o""#);
    assert!(peek.stream && peek.include_usage && peek.disable_fallbacks);
    assert_eq!(&body[peek.stream_options_span.clone().unwrap()], r#"{"x":1,"include_usage":true}"#);
    assert_eq!((peek.max_tokens, peek.n), (Some(20), Some(2)));
    assert_eq!(peek.end_user.as_deref(), Some("u-1"));
    assert_eq!(peek.tags, ["a", "b"]);
    assert_eq!(peek.fallbacks, ["x", "y"]);
    assert_eq!((peek.num_retries, peek.timeout_ms), (Some(3), Some(1500)));
    assert_eq!(&body[peek.close..=peek.close], "}");
    assert_eq!(peek.members.len(), 15);
}

#[test]
fn ours_can_be_cut_wherever_they_stand() {
    for (body, left) in [
        (r#"{"tags":[],"timeout":1,"model":"m","messages":[]}"#, r#"{"model":"m","messages":[]}"#),
        (r#"{"model":"m" , "tags":[] ,"messages":[]}"#, r#"{"model":"m" ,"messages":[]}"#),
        (
            r#"{"model":"m","messages":[],"tags":[], "num_retries":1 }"#,
            r#"{"model":"m","messages":[] }"#,
        ),
        (r#"{"model":"m","messages":[]}"#, r#"{"model":"m","messages":[]}"#),
    ] {
        let peek = read(body).unwrap();
        let mut rest = body.to_owned();
        for span in peek.ours.iter().rev() {
            rest.replace_range(span.clone(), "");
        }
        assert_eq!(rest, left);
        serde_json::from_str::<serde_json::Value>(&rest).unwrap();
    }
}

#[test]
fn every_routed_field_may_stand_there_once() {
    for name in ALL {
        let text = name.text();
        assert_eq!(Name::exact(text.as_bytes()), Some(name));
        let value = match text {
            "model" | "user" => "\"m\"",
            "messages" | "input" | "tags" | "fallbacks" => "[]",
            "stream" | "disable_fallbacks" => "true",
            "stream_options" | "metadata" => "{}",
            _ => "1",
        };
        let twice = format!("{{\"{text}\":{value},\"a\":0,\"{text}\":{value}}}");
        refused(&twice, Some(text), &format!("`{text}` is given twice: send it once"));
        let upper = text.to_uppercase();
        refused(
            &format!("{{\"{upper}\":{value}}}"),
            Some(text),
            &format!("`{upper}` may be read as `{text}`: spell it so, or leave it out"),
        );
    }
    refused(
        r#"{"model":"a","m\u006fdel":"b"}"#,
        Some("model"),
        "`model` is given twice: send it once",
    );
    refused(
        "{\"\u{17f}tream\":true}",
        Some("stream"),
        "`\u{17f}tream` may be read as `stream`: spell it so, or leave it out",
    );
    refused(
        &chat(r#""stream_options":{"include_usage":true,"include_usage":false}"#),
        Some("stream_options.include_usage"),
        "`stream_options.include_usage` is given twice: send it once",
    );
}

#[test]
fn wrong_types_are_named() {
    for (field, value, be) in [
        ("model", "1", "a string"),
        ("model", "null", "a string"),
        ("messages", "{}", "an array"),
        ("messages", "null", "an array"),
        ("stream", "\"true\"", "true or false"),
        ("stream", "1", "true or false"),
        ("stream_options", "[]", "an object"),
        ("max_tokens", "\"10\"", "a whole number"),
        ("max_tokens", "1.5", "a whole number"),
        ("n", "true", "a whole number"),
        ("user", "7", "a string"),
        ("metadata", "\"x\"", "an object"),
        ("tags", "\"x\"", "an array"),
        ("fallbacks", "{}", "an array"),
        ("num_retries", "[]", "a whole number"),
        ("timeout", "\"1\"", "a number of seconds"),
        ("timeout", "-1", "a number of seconds"),
        ("disable_fallbacks", "0", "true or false"),
    ] {
        refused(
            &format!("{{\"{field}\":{value}}}"),
            Some(field),
            &format!("`{field}` must be {be}"),
        );
    }
    refused(&chat(r#""tags":["a",1]"#), Some("tags"), "`tags[1]` must be a string");
    refused(
        &chat(r#""fallbacks":[{}]"#),
        Some("fallbacks"),
        "`fallbacks[0]` must be a model's name",
    );
    refused(
        r#"{"model":"\ud800"}"#,
        Some("model"),
        "`model` must be a string of Unicode characters",
    );
    refused(r#"{"model":"","messages":[]}"#, Some("model"), "`model` must be the name of a model");
}

#[test]
fn missing_fields_are_named() {
    refused("{}", Some("model"), "`model` is missing");
    refused(r#"{"model":"m"}"#, Some("messages"), "`messages` is missing");
    let missing = anthropic(r#"{"model":"m","messages":[]}"#).unwrap_err();
    assert_eq!(missing.message, "`max_tokens` is missing");
    let body = Bytes::from_static(br#"{"model":"m"}"#);
    let missing = peek(Dialect::Openai, Operation::Embeddings, &body).unwrap_err();
    assert_eq!(missing.message, "`input` is missing");
}

#[test]
fn what_is_not_json_is_refused() {
    refused("", None, "the body must be a JSON object");
    refused("[]", None, "the body must be a JSON object");
    refused("{", None, "the body is not valid JSON: expected a field's name at byte 1");
    refused(
        &format!("{}x", chat("")),
        None,
        "the body is not valid JSON: expected the end at byte 27",
    );
    let deep = chat(&format!("\"x\":{}", "[".repeat(100_000)));
    refused(&deep, None, "the body is nested deeper than 127 levels");
    let body = Bytes::from_static(b"{\"model\":\"m\",\"messages\":[\"\xff\"]}");
    let error = peek(Dialect::Openai, Operation::Chat, &body).unwrap_err();
    assert_eq!(error.message, "the body is not valid UTF-8: invalid UTF-8 at byte 26");
}

#[test]
fn odd_numbers() {
    for (text, max_tokens) in [
        ("10.0", Some(10)),
        ("1e3", Some(1000)),
        ("-1", None),
        ("null", None),
        ("0", Some(0)),
        ("99999999999999999999999", Some(u64::MAX)),
    ] {
        assert_eq!(read(&chat(&format!("\"max_tokens\":{text}"))).unwrap().max_tokens, max_tokens);
    }
}

#[test]
fn large_bodies_stay_linear() {
    let keys: String = (0..1_000_000).map(|i| format!("\"k{i}\":0,")).collect();
    read(&chat(&format!("{keys}\"z\":1"))).unwrap();
    let number = "9".repeat(10_000_000);
    read(&chat(&format!("\"x\":{number}"))).unwrap();
    assert_eq!(read(&chat(&format!("\"n\":{number}"))).unwrap().n, Some(u64::MAX));
}

#[test]
fn anthropic_names_the_end_user_in_metadata() {
    let peek = anthropic(
        r#"{"model":"m","max_tokens":5,"messages":[],"metadata":{"user_id":"u"},"user":1}"#,
    )
    .unwrap();
    assert_eq!(peek.end_user.as_deref(), Some("u"));
    assert_eq!(peek.max_tokens, Some(5));
}
