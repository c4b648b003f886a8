//! Streamed answers.

use std::{pin::Pin, time::Duration};

use futures_util::StreamExt;
use serde_json::json;
use tollgate::{Error, user};
use tollgate_testkit::{Reply, ScriptedUpstream};
use tollgate_wire::Tier;

use crate::client;

#[tokio::test]
async fn pieces_are_the_whole() {
    let upstream = ScriptedUpstream::start().await;
    let ask = || client(&upstream).completion("apertis/m", [user("one two three")]);
    let whole = ask().await.unwrap();
    let mut stream = ask().stream().await.unwrap();
    let mut text = String::new();
    let mut pieces = 0;
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.unwrap();
        text.push_str(chunk.text());
        pieces += 1;
    }
    assert!(pieces > 3, "{pieces} pieces");
    assert_eq!(text, whole.text());
    let usage = whole.usage.unwrap();
    assert_eq!(stream.usage().input, usage.prompt_tokens);
    assert_eq!(stream.usage().output, usage.completion_tokens);
    assert!(!stream.usage().estimated);
}

#[tokio::test]
async fn a_collected_stream_has_everything() {
    let upstream = ScriptedUpstream::start().await;
    upstream.script(Reply::text("Because.").reasoning("Hm, why?"));
    let stream = client(&upstream).completion("apertis/m", [user("why?")]).stream().await.unwrap();
    let whole = stream.collect().await.unwrap();
    assert_eq!(whole.text(), "Because.");
    assert_eq!(whole.message().unwrap().reasoning_content.as_deref(), Some("Hm, why?"));
    assert_eq!(whole.finish_reason(), Some("stop"));
    assert!(whole.usage.unwrap().completion_tokens > 0);
}

#[tokio::test]
async fn tool_calls_come_together() {
    let upstream = ScriptedUpstream::start().await;
    upstream.script(Reply::tool_call("weather", json!({"city": "Paris"})));
    let stream = client(&upstream).completion("apertis/m", [user("?")]).stream().await.unwrap();
    let whole = stream.collect().await.unwrap();
    let arguments: serde_json::Value = whole.tool_calls()[0].arguments().unwrap();
    assert_eq!(arguments, json!({"city": "Paris"}));
}

#[tokio::test]
async fn it_is_a_stream_as_others_know_it() {
    let upstream = ScriptedUpstream::start().await;
    let stream = client(&upstream).completion("apertis/m", [user("hi")]).stream().await.unwrap();
    let texts = StreamExt::map(stream, |chunk| chunk.unwrap().text().to_owned());
    let text: String = StreamExt::collect(texts).await;
    assert_eq!(text, "You said: hi");
}

#[tokio::test]
async fn usage_is_in_the_stream_if_it_was_asked_for() {
    let upstream = ScriptedUpstream::start().await;
    let ask = client(&upstream).completion("apertis/m", [user("hi")]);
    let mut stream = ask.stream_options(json!({"include_usage": true})).stream().await.unwrap();
    let mut seen = None;
    while let Some(chunk) = stream.next().await {
        seen = chunk.unwrap().usage.or(seen);
    }
    // The tier stands beside the usage, in each chunk.
    let counts = tollgate_wire::Usage { tier: Some(Tier::Standard), ..seen.unwrap().counts() };
    assert_eq!(counts, *stream.usage());
}

#[tokio::test]
async fn a_cut_stream_is_an_error_after_its_pieces() {
    let upstream = ScriptedUpstream::start().await;
    upstream.script(Reply::auto().words(50).cut_at(2_000));
    let ask = client(&upstream).completion("apertis/m", [user("hi")]);
    let mut stream = ask.stream().await.unwrap();
    let (mut pieces, mut error) = (0, None);
    while let Some(chunk) = stream.next().await {
        match chunk {
            Ok(_) => pieces += 1,
            Err(why) => error = Some(why),
        }
    }
    assert!(pieces > 0);
    assert!(matches!(error, Some(Error::APIConnectionError(_))), "{error:?}");
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn an_error_in_the_stream_is_an_error() {
    let upstream = ScriptedUpstream::start().await;
    upstream.script(Reply::auto().words(10).error_event());
    let ask = client(&upstream).completion("apertis/m", [user("hi")]);
    let error = ask.stream().await.unwrap().collect().await.unwrap_err();
    assert!(!error.message().is_empty(), "{error}");
}

#[tokio::test]
async fn letting_go_hangs_up() {
    let upstream = ScriptedUpstream::start().await;
    upstream.script(Reply::auto().words(1_000).gap_ms(20));
    let ask = client(&upstream).completion("apertis/m", [user("hi")]);
    let mut stream = ask.stream().await.unwrap();
    stream.next().await.unwrap().unwrap();
    drop(stream);
    let gone = async {
        while upstream.hangups() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), gone).await.unwrap();
}

/// A stream must not be pinned to the stack by its readers.
#[test]
fn streams_are_unpin() {
    fn unpin<T: Unpin>() {}
    unpin::<tollgate::CompletionStream>();
    unpin::<Pin<Box<tollgate::CompletionStream>>>();
}
