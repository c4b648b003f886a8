use super::streams::passes;
use super::support::{target, text};
use super::*;
use crate::{
    exchange::{Payload, seal::Tenant},
    peek::{peek, peek_named},
    usage::Tier,
};

const STREAM: &str =
    include_str!("../../../../../../fixtures/chat/tools_stream/upstream.responses.sse");
const THOUGHTS: &str =
    include_str!("../../../../../../fixtures/chat/thinking_stream/upstream.responses.sse");
const CUT: &str = include_str!("../../../../../../fixtures/chat/cut_stream/upstream.responses.sse");
const FAILED: &str =
    include_str!("../../../../../../fixtures/chat/failed_stream/upstream.responses.sse");
const WHOLE: &str = include_str!("../../../../../../fixtures/chat/hello/upstream.responses.json");
const ID: &str = "resp_67ccd2bed1ec8190b14f964abc0542670bb6a6b452d3795b";

fn tenant(name: &str) -> Tenant {
    Tenant::new(b"secret", name)
}

fn payload(body: &str, owner: Option<&str>) -> Payload {
    let body = Bytes::copy_from_slice(body.as_bytes());
    let mut peek = peek(Dialect::Responses, Operation::Chat, &body).unwrap();
    peek.tenant = owner.map(tenant);
    Payload { body, peek, headers: Vec::new(), received_s: 0 }
}

fn to() -> Target {
    target(Dialect::Responses, "gpt-4.1")
}

fn asked(shown: &str, body: &str, owner: Option<&str>) -> Result<(Relay, Call), CannotAsk> {
    let mut relay = Relay::new(Operation::Chat, Dialect::Responses, shown);
    let call = relay.call(&payload(body, owner), &to())?;
    Ok((relay, call))
}

fn relay(shown: &str, owner: Option<&str>) -> Relay {
    asked(shown, r#"{"model":"gpt-4.1","input":"x","stream":true}"#, owner).unwrap().0
}

/// An item's id as the tenant `a` knows it.
fn mark(id: &str) -> String {
    tenant("a").mark_item(tenant("a").place(&to()), id)
}

fn id_of(answer: &str) -> String {
    let answer: serde_json::Value = serde_json::from_str(answer).unwrap();
    answer["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_stream_passes_untouched() {
    for (stream, finish) in [(STREAM, "tool_calls"), (THOUGHTS, "stop")] {
        let seen = passes(|| relay("gpt-4.1", None), stream);
        assert_eq!(seen.out, stream);
        assert_eq!((seen.end, seen.finish, seen.done), (Ok(()), Some(finish), true));
        assert_eq!((seen.usage.input, seen.usage.output), (36, 87));
        assert!(!seen.usage.estimated);
    }
}

#[test]
fn the_model_and_the_ids_are_the_clients() {
    let seen = passes(|| relay("alias", Some("a")), STREAM);
    let sealed = tenant("a").seal(tenant("a").place(&to()), ID);
    let mut expected = STREAM
        .replace(r#""model":"gpt-4.1-2025-04-14""#, r#""model":"alias""#)
        .replace(ID, &sealed);
    for item in ["fc_67ca09c6bedc8190a7abfec07b1a1332", "fc_2"] {
        expected = expected.replace(&format!("\"{item}\""), &format!("\"{}\"", mark(item)));
    }
    assert_eq!(seen.out, expected);
    assert!(seen.out.contains("\"alias\"") && seen.out.contains(&sealed));
}

#[test]
fn a_stream_that_breaks_is_a_fault() {
    let seen = passes(|| relay("gpt-4.1", None), CUT);
    assert_eq!(seen.end.unwrap_err().0, FaultKind::Disconnected);
    assert_eq!(seen.out, CUT);
    assert!(seen.usage.estimated && seen.usage.output > 0);
    let seen = passes(|| relay("gpt-4.1", None), FAILED);
    let (kind, message) = seen.end.unwrap_err();
    assert_eq!(kind, FaultKind::Server);
    assert_eq!(message, "The model failed to generate a response.");
    let limited = "event: error\ndata: {\"type\":\"error\",\"code\":\"rate_limit_exceeded\",\
                   \"message\":\"slow down\",\"param\":null,\"sequence_number\":2}\n\n";
    let seen = passes(|| relay("gpt-4.1", None), limited);
    assert_eq!(seen.end, Err((FaultKind::RateLimit, "slow down".to_owned())));
    assert!(!seen.begun);
}

#[test]
fn an_answer_is_found_again_by_whom_it_was_given_to() {
    let (mut first, call) = asked("alias", r#"{"model":"alias","input":"x"}"#, Some("a")).unwrap();
    assert_eq!(call.path, "/v1/responses");
    assert_eq!(text(&call.body), r#"{"model":"gpt-4.1","input":"x"}"#);
    let answer = first.reply(Bytes::from_static(WHOLE.as_bytes())).unwrap();
    let answer = std::str::from_utf8(&answer).unwrap();
    let id = id_of(answer);
    let item = "msg_67ccd2bf17f0819081ff3bb2cf6508e6";
    let expected = WHOLE.replace(ID, &id).replace("gpt-4.1-2025-04-14", "alias");
    assert_eq!(answer, expected.replace(item, &mark(item)));
    assert_eq!(first.finish_reason(), Some("stop"));

    let next = format!(r#"{{"model":"gpt-4.1","previous_response_id":"{id}","input":"y"}}"#);
    let (mut second, call) = asked("gpt-4.1", &next, Some("a")).unwrap();
    assert_eq!(text(&call.body), next.replace(&id, ID));
    let answer = WHOLE.replace("_id\": null", &format!("_id\": \"{ID}\""));
    let answer = second.reply(answer.into()).unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(answer["previous_response_id"], id);

    // Another tenant's id, and the provider's own.
    for (id, owner) in [(id.as_str(), "b"), (ID, "a"), ("resp_nonsense", "a")] {
        let body = format!(r#"{{"model":"m","previous_response_id":"{id}","input":"y"}}"#);
        let why = Malformed::at(
            "previous_response_id",
            format!("Previous response with id '{id}' not found."),
        );
        assert_eq!(asked("m", &body, Some(owner)).err(), Some(why.into()));
    }
    // Our own, but of another place: another target may have it.
    let place = tenant("a").place(&Target { base: "https://other.test".into(), ..to() });
    let body = format!(
        r#"{{"model":"m","previous_response_id":"{}","input":"y"}}"#,
        tenant("a").seal(place, ID)
    );
    let elsewhere = asked("m", &body, Some("a")).err();
    assert!(matches!(elsewhere, Some(CannotAsk::Unsupported(_))), "{elsewhere:?}");
    // Alone with the provider, ids are the provider's.
    let body = format!(r#"{{"model":"gpt-4.1","previous_response_id":"{ID}","input":"y"}}"#);
    assert_eq!(text(&asked("m", &body, None).unwrap().1.body), body);
}

#[test]
fn an_item_is_named_by_whom_it_was_given_to() {
    let body = |input: &str| format!(r#"{{"model":"gpt-4.1","input":{input}}}"#);
    let sent = |input: &str| asked("m", &body(input), Some("a")).map(|it| text(&it.1.body));
    // What names an item has the provider's id; so has what only bears one.
    for (input, own) in [
        (r#"[{"type":"item_reference","id":"ID"}]"#, "rs_1"),
        (r#"[ {"id" : "ID"} , {"role":"user","content":"x"}]"#, "msg_1"),
        (r#"[{"type":"reasoning","id":"ID","summary":[]}]"#, "rs_2"),
        (r#"[{"type":"image_generation_call","id":"ID"}]"#, "ig_1"),
        (r#"[{"type":"mcp_approval_response","approval_request_id":"ID","approve":true}]"#, "m_1"),
        (
            r#"[{"type":"function_call","id":"ID","call_id":"c","name":"f","arguments":"{}"}]"#,
            "f_1",
        ),
        (r#"[{"type":"item_reference","\u0069d":"ID"}]"#, "rs_1"),
    ] {
        assert_eq!(
            sent(&input.replace("ID", &mark(own))).unwrap(),
            body(&input.replace("ID", own))
        );
    }
    // What says all there is to it is what it was.
    for input in [
        r#"[{"type":"message","id":"msg_1","role":"assistant","content":[]}]"#,
        r#"[{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"x"}]"#,
        r#"[{"type":"function_call_output","id":"fc_1","call_id":"c","output":"{\"id\":\"x\"}"}]"#,
        r#"[{"role":"user","content":"x","id":null}]"#,
        r#"[{"type":"additional_tools","id":"at_1","role":"developer","tools":[]}]"#,
        r#""text""#,
    ] {
        assert_eq!(sent(input).unwrap(), body(input));
    }
    let others = Tenant::new(b"secret", "b");
    let theirs = others.mark_item(others.place(&to()), "rs_1");
    for input in [
        r#"[{"type":"item_reference","id":"ID"}]"#,
        r#"[{"id":"ID"}]"#,
        r#"[{"type":null,"id":"ID"}]"#,
        r#"[{"type":"item\u005freference","id":"ID"}]"#,
        r#"[{"type":"reasoning","id":"ID","summary":[],"encrypted_content":null}]"#,
        r#"[{"type":"web_search_call","id":"ID","status":"completed"}]"#,
        r#"[{"type":"something_new","id":"ID"}]"#,
        r#"[{"type":"mcp_approval_response","approval_request_id":"ID","approve":true}]"#,
    ] {
        for id in [theirs.as_str(), "rs_1"] {
            let why = Malformed::at("input", format!("Item with id '{id}' not found."));
            assert_eq!(sent(&input.replace("ID", id)).err(), Some(why.into()), "{input}");
        }
    }
    let twice =
        format!(r#"[{{"type":"message","role":"user","type":"item_reference","id":"{ID}"}}]"#);
    assert!(matches!(sent(&twice), Err(CannotAsk::Malformed(_))));
    // Our own, but of another place: another target may have it.
    let place = tenant("a").place(&Target { base: "https://other.test".into(), ..to() });
    let input = format!(r#"[{{"id":"{}"}}]"#, tenant("a").mark_item(place, "rs_1"));
    assert!(matches!(sent(&input), Err(CannotAsk::Unsupported(why)) if why.param == "input"));
    // Alone with the provider, ids are the provider's.
    let reference = body(r#"[{"type":"item_reference","id":"rs_1"}]"#);
    assert_eq!(text(&asked("m", &reference, None).unwrap().1.body), reference);
}

#[test]
fn what_would_not_be_metered_or_kept_apart_is_refused() {
    let body = r#"{"model":"m","input":"x","conversation":"conv_1"}"#;
    assert!(matches!(asked("m", body, Some("a")), Err(CannotAsk::Malformed(_))));
    // The client would be answered otherwise than it asked.
    let sent = |body: &str, default: &'static str| {
        let defaults = vec![("background".to_owned(), Bytes::from_static(default.as_bytes()))];
        let mut relay = Relay::new(Operation::Chat, Dialect::Responses, "m");
        relay.call(&payload(body, Some("a")), &Target { defaults, ..to() }).map(drop)
    };
    let body = r#"{"model":"m","input":"x"}"#;
    assert!(matches!(sent(body, "true"), Err(CannotAsk::Malformed(_))));
    assert!(sent(body, "false").is_ok());
    assert!(sent(r#"{"model":"m","input":"x","background":true}"#, "true").is_ok());
    let plain = r#"{"model":"gpt-4.1","input":"x","background":false,"conversation":null}"#;
    assert!(asked("m", plain, Some("a")).is_ok());
}

/// What was asked for is a wish; what it was served at is in the answer, and in a stream's last event.
#[test]
fn the_tier_that_an_answer_was_served_at_is_heard() {
    let tier = |word: &str| format!(r#""service_tier":"{word}","usage":{{"input_tokens":3,"#);
    for (word, expect) in [
        ("flex", Some(Tier::Flex)),
        ("priority", Some(Tier::Priority)),
        ("default", Some(Tier::Standard)),
        ("auto", None),
    ] {
        let answer = format!(r#"{{"output":[],{}"output_tokens":1}}}}"#, tier(word));
        let mut whole = relay("m", Some("a"));
        whole.reply(answer.clone().into()).unwrap();
        assert_eq!(whole.usage().tier, expect, "{word}");
        let created = r#"{"type":"response.created","response":{"service_tier":"auto"}}"#;
        let completed = format!(r#"{{"type":"response.completed","response":{answer}}}"#);
        let (mut stream, mut out) = (relay("m", Some("a")), BytesMut::new());
        for event in [created, &completed] {
            stream.push(&format!("data: {event}\n\n").into(), &mut out).unwrap();
        }
        assert_eq!((stream.usage().tier, stream.usage().input), (expect, 3), "{word}");
    }
}

/// Its provider goes on with it by itself until it says that it has ended.
#[test]
fn an_answer_in_the_background_is_unfinished() {
    let ask = |more: &str| {
        let body = format!(r#"{{"model":"gpt-4.1","input":"x"{more}}}"#);
        asked("gpt-4.1", &body, Some("a")).unwrap().0
    };
    let answer = |status: &str| {
        format!(r#"{{"id":"{ID}","status":"{status}","error":null,"output":[],"usage":null}}"#)
    };
    for (more, status, expect) in [
        (r#","background":true"#, "queued", Some(ID)),
        (r#","background":true"#, "in_progress", Some(ID)),
        (r#","background":true"#, "completed", None),
        (r#","background":true"#, "incomplete", None),
        (r#","background":false"#, "in_progress", None),
        ("", "in_progress", None),
    ] {
        let mut relay = ask(more);
        relay.reply(answer(status).into()).unwrap();
        assert_eq!(relay.unfinished(), expect, "{more} {status}");
    }
    let mut relay = ask(r#","stream":true,"background":true"#);
    let (mut out, mut running) = (BytesMut::new(), 0);
    for event in STREAM.split_inclusive("\n\n") {
        relay.push(&Bytes::copy_from_slice(event.as_bytes()), &mut out).unwrap();
        running += u32::from(relay.unfinished() == Some(ID));
        assert_eq!(relay.unfinished().is_none(), relay.done());
    }
    assert!(running > 2 && relay.done());
}

#[test]
fn what_is_no_answer_is_refused() {
    for body in [
        r#"{"id":"resp_1","object":"response"}"#,
        r#"{"id":"resp_1","output":[],"error":{"code":"server_error","message":"x"}}"#,
        "<html>",
    ] {
        assert!(relay("m", Some("a")).reply(Bytes::from_static(body.as_bytes())).is_err());
    }
}

#[test]
fn completions_pass_where_the_provider_has_them() {
    let to = target(Dialect::Completions, "davinci-002");
    let body = r#"{"model":"davinci-002","prompt":[1,2],"stream":true}"#;
    let body = Bytes::copy_from_slice(body.as_bytes());
    let peek = peek(Dialect::Completions, Operation::Chat, &body).unwrap();
    let payload = Payload { body, peek, headers: Vec::new(), received_s: 0 };
    let mut relay = Relay::new(Operation::Chat, Dialect::Completions, "davinci-002");
    let call = relay.call(&payload, &to).unwrap();
    assert_eq!(call.path, "/v1/completions");
    assert!(text(&call.body).contains(r#""stream_options":{"include_usage":true}"#));
    let stream = "data: {\"object\":\"text_completion\",\"choices\":[{\"text\":\"Hi\",\"index\":0,\
                  \"finish_reason\":\"stop\"}],\"model\":\"davinci-002\"}\n\ndata: [DONE]\n\n";
    let mut out = BytesMut::new();
    relay.push(&Bytes::from_static(stream.as_bytes()), &mut out).unwrap();
    relay.end(&mut out).unwrap();
    assert_eq!(out, stream);
    assert_eq!(relay.finish_reason(), Some("stop"));
}

#[test]
fn a_model_that_the_path_names_is_put_into_the_body() {
    for (body, expected) in [
        (r#"{"messages":[]}"#, r#"{"messages":[],"model":"real"}"#),
        (r#"{"model":"x","messages":[]}"#, r#"{"model":"real","messages":[]}"#),
    ] {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let mut peek = peek_named(Dialect::Openai, Operation::Chat, &body).unwrap();
        peek.model = "real".to_owned();
        let payload = Payload { body, peek, headers: Vec::new(), received_s: 0 };
        let mut relay = Relay::new(Operation::Chat, Dialect::Openai, "real");
        let call = relay.call(&payload, &target(Dialect::Openai, "real")).unwrap();
        assert_eq!(text(&call.body), expected);
    }
}
