//! Anthropic's models through the same functions, in the same shape.

use serde_json::json;
use tollgate::{Error, Nano, Tollgate, Tool, system, user};
use tollgate_testkit::{Reply, ScriptedUpstream};

fn client(upstream: &ScriptedUpstream) -> Tollgate {
    Tollgate::builder()
        .env(|_| None)
        .api_base("anthropic", format!("{}/v1", upstream.url()))
        .api_key("anthropic", "sk-ant")
        .build()
}

const MODEL: &str = "anthropic/claude-sonnet-4-5";

#[tokio::test]
async fn a_chat_is_translated_both_ways() {
    let upstream = ScriptedUpstream::start().await;
    let answer = client(&upstream)
        .completion(MODEL, [system("Be brief."), user("hi")])
        .max_tokens(100)
        .stop(["END"])
        .await
        .unwrap();
    assert_eq!(answer.text(), "You said: hi");
    assert_eq!(answer.finish_reason(), Some("stop"));
    assert_eq!(answer.object, "chat.completion");
    assert!(answer.cost().is_some_and(|cost| cost > Nano::ZERO));
    let asked = upstream.last();
    assert_eq!(asked.path, "/v1/messages");
    assert_eq!(asked.header("x-api-key"), "sk-ant");
    let body = asked.json();
    assert_eq!(body["model"], "claude-sonnet-4-5");
    assert_eq!(body["max_tokens"], 100);
    assert_eq!(body["stop_sequences"], json!(["END"]));
    assert_eq!(body["messages"][0]["role"], "user");
}

#[tokio::test]
async fn a_stream_is_translated_piece_by_piece() {
    let upstream = ScriptedUpstream::start().await;
    upstream.script(Reply::text("One two three.").reasoning("Count."));
    let ask = client(&upstream).completion(MODEL, [user("count")]).max_tokens(100);
    let mut stream = ask.stream().await.unwrap();
    let (mut text, mut thought, mut pieces) = (String::new(), String::new(), 0);
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.unwrap();
        text.push_str(chunk.text());
        thought.push_str(chunk.reasoning());
        pieces += 1;
    }
    assert_eq!((text.as_str(), thought.as_str()), ("One two three.", "Count."));
    assert!(pieces > 3);
    assert!(stream.cost().is_some());
}

#[tokio::test]
async fn tools_are_called() {
    let upstream = ScriptedUpstream::start().await;
    upstream.script(Reply::tool_call("weather", json!({"city": "Paris"})));
    let tool = Tool::function("weather", "The weather", json!({"type": "object"}));
    let ask = client(&upstream).completion(MODEL, [user("?")]).tools([tool]).max_tokens(50);
    let answer = ask.await.unwrap();
    assert_eq!(answer.finish_reason(), Some("tool_calls"));
    let arguments: serde_json::Value = answer.tool_calls()[0].arguments().unwrap();
    assert_eq!(arguments, json!({"city": "Paris"}));
}

#[tokio::test]
async fn what_it_cannot_do_is_named_or_dropped() {
    let upstream = ScriptedUpstream::start().await;
    let ask = || {
        client(&upstream)
            .completion(MODEL, [user("hi")])
            .max_tokens(50)
            .frequency_penalty(0.5)
            .num_retries(0)
    };
    let refused = ask().await.unwrap_err();
    assert!(matches!(refused, Error::UnsupportedParamsError(_)), "{refused}");
    assert!(refused.message().contains("frequency_penalty"), "{refused}");
    let answer = ask().drop_params(true).await.unwrap();
    assert_eq!(answer.route.dropped_params, ["frequency_penalty"]);
}

#[tokio::test]
async fn its_errors_have_the_same_classes() {
    let upstream = ScriptedUpstream::start().await;
    upstream.script(Reply::status(429).retry_after_s(3));
    let ask = client(&upstream).completion(MODEL, [user("hi")]).max_tokens(5).num_retries(0);
    let error = ask.await.unwrap_err();
    assert!(matches!(error, Error::RateLimitError(_)), "{error}");
    upstream.script(Reply::context_window());
    let ask = client(&upstream).completion(MODEL, [user("hi")]).max_tokens(5).num_retries(0);
    let error = ask.await.unwrap_err();
    assert!(matches!(error, Error::ContextWindowExceededError(_)), "{error}");
}
