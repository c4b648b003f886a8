mod requests;
mod responses;
mod streams;
mod support;
mod things;

use self::support::{chat, embeddings, messages, target};
use super::*;

fn answered(relay: &mut Relay, body: &str) -> Result<String, String> {
    let body = Bytes::copy_from_slice(body.as_bytes());
    let reply = relay.reply(body).map_err(|e| e.message)?;
    Ok(String::from_utf8(reply.to_vec()).unwrap())
}

const ANSWER: &str = r#"{"id":"x", "error":{}, "model":"gpt-4o-2024-08-06","choices":[{"index":0,
    "message":{"role":"assistant","content":"hi \"model\""},"finish_reason":"stop"}],
    "usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12},"extra":1.50}"#;

#[test]
fn an_answer_passes_untouched() {
    let (mut relay, _) = chat("gpt-4o", "gpt-4o", r#"{"model":"gpt-4o","messages":[]}"#);
    assert_eq!(answered(&mut relay, ANSWER).unwrap(), ANSWER);
    assert_eq!(relay.usage(), Usage { input: 9, output: 3, ..Usage::default() });
    assert_eq!(relay.finish_reason(), Some("stop"));
    assert!(relay.done());
}

#[test]
fn an_aliased_answer_bears_the_name_that_the_client_knows() {
    let (mut relay, _) = chat("my \"m\"", "gpt-4o", r#"{"model":"my","messages":[]}"#);
    let expect = ANSWER.replace("\"gpt-4o-2024-08-06\"", r#""my \"m\"""#);
    assert_eq!(answered(&mut relay, ANSWER).unwrap(), expect);
}

#[test]
fn what_is_no_answer_is_refused() {
    for (body, message) in [
        ("", "the upstream's answer is not JSON: expected an object at byte 0"),
        ("<html></html>", "the upstream's answer is not JSON: expected an object at byte 0"),
        ("[1]", "the upstream's answer is not JSON: expected an object at byte 0"),
        (r#"{"choices":["#, "the upstream's answer is not JSON: expected a value at byte 12"),
        ("{}", "the upstream's answer has no `choices`"),
        (r#"{"choices":null,"base_resp":{}}"#, "the upstream's answer has no `choices`"),
        (
            r#"{"error":{"message":"no luck","code":500}}"#,
            "the upstream answered with an error: no luck",
        ),
    ] {
        let (mut relay, _) = chat("m", "m", r#"{"model":"m","messages":[]}"#);
        assert_eq!(answered(&mut relay, body).unwrap_err(), message);
    }
}

#[test]
fn an_answer_without_figures_is_estimated() {
    let request = format!(r#"{{"model":"m","messages":["{}"]}}"#, "x".repeat(400));
    let (mut relay, _) = chat("m", "m", &request);
    let content = "y".repeat(396);
    answered(&mut relay, &format!(r#"{{"choices":["{content}"]}}"#)).unwrap();
    let expect =
        Usage { input: request.len() as u64 / 4, output: 100, estimated: true, ..Usage::default() };
    assert_eq!(relay.usage(), expect);
}

#[test]
fn anthropic_and_embeddings_answers() {
    let (mut relay, _) =
        messages("claude", "claude", r#"{"model":"claude","max_tokens":5,"messages":[]}"#);
    let body = r#"{"id":"m","type":"message","model":"claude","content":[{"type":"text","text":"x"}],
        "stop_reason":"end_turn","usage":{"input_tokens":3,"cache_read_input_tokens":4,
        "cache_creation_input_tokens":0,"output_tokens":2}}"#;
    assert_eq!(answered(&mut relay, body).unwrap(), body);
    let expect = Usage { input: 7, cache_read: 4, output: 2, ..Usage::default() };
    assert_eq!(relay.usage(), expect);
    assert_eq!(relay.finish_reason(), Some("stop"));

    let (mut relay, _) = embeddings("e", "e", r#"{"model":"e","input":"x"}"#);
    let body = r#"{"object":"list","data":[],"model":"e","usage":{"prompt_tokens":8}}"#;
    assert_eq!(answered(&mut relay, body).unwrap(), body);
    assert_eq!(relay.usage(), Usage { input: 8, ..Usage::default() });
}

#[test]
fn paths_are_joined() {
    for (base, path) in [
        ("https://a.b/v1", "/v1/chat/completions"),
        ("http://a.b:80", "/chat/completions"),
        ("https://a.b/x/y/", "/x/y/chat/completions"),
    ] {
        let mut to = target(Dialect::Openai, "m");
        to.base = base.into();
        let (_, call) = support::called(
            Operation::Chat,
            Dialect::Openai,
            "m",
            &to,
            r#"{"model":"m","messages":[]}"#,
        );
        assert_eq!(call.path, path);
    }
}
