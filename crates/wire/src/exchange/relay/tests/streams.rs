use super::support::{called, chat, messages, target};
use super::*;
use crate::{SearchSize, Tier};

const OPENAI_TEXT: &str = include_str!("../streams/openai_text.sse");
const OPENAI_TOOLS: &str = include_str!("../streams/openai_tools.sse");
const REASONING: &str = include_str!("../streams/reasoning.sse");
const ANTHROPIC: &str = include_str!("../streams/anthropic_thinking.sse");

const COHERE: &str =
    include_str!("../../../../../../fixtures/chat/tools_stream/upstream.cohere.sse");
const COHERE_ERROR: &str =
    include_str!("../../../../../../fixtures/chat/error_stream/upstream.cohere.sse");

const STREAMED: &str = r#"{"model":"m","messages":[],"stream":true}"#;
const STREAMED_WITH_USAGE: &str =
    r#"{"model":"m","messages":[],"stream":true,"stream_options":{"include_usage":true}}"#;
const STREAMED_MESSAGES: &str = r#"{"model":"m","messages":[],"max_tokens":9,"stream":true}"#;

/// All that can be seen of a stream that has passed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Passed {
    pub(super) out: String,
    pub(super) end: Result<(), (FaultKind, String)>,
    pub(super) usage: Usage,
    pub(super) finish: Option<&'static str>,
    pub(super) begun: bool,
    pub(super) done: bool,
}

fn pass(mut relay: Relay, pieces: &[&[u8]]) -> Passed {
    let mut out = BytesMut::new();
    let mut end = Ok(());
    for piece in pieces {
        end = relay.push(&Bytes::copy_from_slice(piece), &mut out);
        if end.is_err() {
            break;
        }
    }
    if end.is_ok() {
        end = relay.end(&mut out);
    }
    Passed {
        out: String::from_utf8(out.to_vec()).unwrap(),
        end: end.map_err(|fault| (fault.kind, fault.message)),
        usage: relay.usage(),
        finish: relay.ear.finish,
        begun: relay.begun(),
        done: relay.done(),
    }
}

/// The stream in one piece; any other cut must give the same.
#[track_caller]
pub(super) fn passes(relay: impl Fn() -> Relay, stream: &str) -> Passed {
    let bytes = stream.as_bytes();
    let whole = pass(relay(), &[bytes]);
    for cut in 0..=bytes.len() {
        assert_eq!(pass(relay(), &[&bytes[..cut], &bytes[cut..]]), whole, "cut at {cut}");
    }
    for size in [1, 2, 3, 7, 64] {
        let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
        assert_eq!(pass(relay(), &pieces), whole, "pieces of {size}");
    }
    whole
}

fn openai(shown: &'static str, body: &'static str) -> impl Fn() -> Relay {
    move || chat(shown, "m", body).0
}

/// Events of a stream in which `hidden` does not occur.
fn without(stream: &str, hidden: &str) -> String {
    stream.split_inclusive("\n\n").filter(|event| !event.contains(hidden)).collect()
}

const TEXT_USAGE: Usage = Usage {
    input: 19,
    cache_read: 4,
    cache_read_audio: 0,
    cache_write: 0,
    cache_write_1h: 0,
    cache_write_12h: 0,
    input_audio: 0,
    input_image: 0,
    input_video: 0,
    output: 10,
    reasoning: 0,
    output_audio: 0,
    output_image: 0,
    output_video: 0,
    searches: 0,
    search_size: SearchSize::Medium,
    tier: Some(Tier::Standard),
    us_only: false,
    estimated: false,
};

#[test]
fn what_was_asked_for_passes_byte_by_byte() {
    for stream in [OPENAI_TEXT, OPENAI_TOOLS, REASONING] {
        let passed = passes(openai("m", STREAMED_WITH_USAGE), stream);
        assert_eq!(passed.out, stream);
        assert_eq!(passed.end, Ok(()));
        assert!(passed.begun && passed.done);
        assert!(!passed.usage.estimated);
    }
}

#[test]
fn figures_that_nobody_asked_for_are_hidden() {
    let passed = passes(openai("m", STREAMED), OPENAI_TEXT);
    assert_eq!(passed.out, without(OPENAI_TEXT, "\"choices\":[]"));
    assert_eq!((passed.usage, passed.finish), (TEXT_USAGE, Some("stop")));
    let passed = passes(openai("m", STREAMED), OPENAI_TOOLS);
    assert_eq!(passed.out, without(OPENAI_TOOLS, "\"choices\":[]"));
    assert_eq!(passed.finish, Some("tool_calls"));
    // Figures that come with content stay.
    let passed = passes(openai("m", STREAMED), REASONING);
    assert_eq!(passed.out, REASONING);
    let expect = Usage { input: 11, cache_read: 8, output: 40, reasoning: 30, ..Usage::default() };
    assert_eq!((passed.usage, passed.finish), (expect, Some("length")));
}

#[test]
fn an_alias_is_put_back_at_the_top_level_only() {
    let passed = passes(openai("my-model", STREAMED_WITH_USAGE), OPENAI_TEXT);
    let expect = OPENAI_TEXT.replace("\"model\":\"gpt-4o-2024-08-06\"", "\"model\":\"my-model\"");
    assert_eq!(passed.out, expect);
    assert_eq!(passed.usage, TEXT_USAGE);
    let passed = passes(openai("my-model", STREAMED_WITH_USAGE), OPENAI_TOOLS);
    assert_eq!(passed.out, OPENAI_TOOLS.replace("\"model\":\"gpt-4o\"", "\"model\":\"my-model\""));
}

#[test]
fn anthropic_streams() {
    let relay = || messages("m", "m", STREAMED_MESSAGES).0;
    let passed = passes(relay, ANTHROPIC);
    assert_eq!(passed.out, ANTHROPIC);
    let expect = Usage {
        input: 162,
        cache_read: 100,
        cache_write: 20,
        cache_write_1h: 30,
        output: 89,
        tier: Some(Tier::Standard),
        ..Usage::default()
    };
    assert_eq!((passed.usage, passed.finish), (expect, Some("tool_calls")));
    let passed = passes(|| messages("opus", "m", STREAMED_MESSAGES).0, ANTHROPIC);
    assert_eq!(passed.out, ANTHROPIC.replace("claude-sonnet-4-5-20250929", "opus"));
}

#[test]
fn any_line_end_will_do() {
    for line_end in ["\r\n", "\r"] {
        let stream = OPENAI_TEXT.replace('\n', line_end);
        let passed = passes(openai("m", STREAMED_WITH_USAGE), &stream);
        // After a last CR, an LF is supplied: it might have been on its way.
        assert_eq!(passed.out.trim_end(), stream.trim_end());
        assert_eq!((passed.end, passed.usage), (Ok(()), TEXT_USAGE));
        let stream = ANTHROPIC.replace('\n', line_end);
        let passed = passes(|| messages("opus", "m", STREAMED_MESSAGES).0, &stream);
        let expect = stream.replace("claude-sonnet-4-5-20250929", "opus");
        assert_eq!(passed.out.trim_end(), expect.trim_end());
    }
    let stream = format!("\u{feff}{OPENAI_TEXT}");
    assert_eq!(passes(openai("m", STREAMED_WITH_USAGE), &stream).out, stream);
}

#[test]
fn data_over_several_lines() {
    let stream = "event: x\ndata: {\"model\":\"a\",\ndata: \"choices\":[{\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    assert_eq!(passes(openai("m", STREAMED_WITH_USAGE), stream).out, stream);
    let passed = passes(openai("b", STREAMED_WITH_USAGE), stream);
    assert_eq!(passed.out, stream.replace("\"a\"", "\"b\""));
    assert_eq!(passed.finish, Some("stop"));
}

#[test]
fn errors_inside_a_stream() {
    let first = OPENAI_TEXT.split_inclusive("\n\n").next().unwrap();
    let stream = format!(
        "{first}data: {{\"error\":{{\"message\":\"overloaded\",\"code\":529}}}}\n\ndata: [DONE]\n\n"
    );
    let passed = passes(openai("m", STREAMED), &stream);
    assert_eq!(passed.out, first);
    assert_eq!(passed.end, Err((FaultKind::Unavailable, "overloaded".to_owned())));
    assert!(passed.begun && passed.usage.estimated);

    let start = ANTHROPIC.split_inclusive("\n\n").next().unwrap();
    let stream = format!(
        "{start}event: error\ndata: {{\"type\":\"error\",\"error\":{{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}}}\n\n"
    );
    let passed = passes(|| messages("m", "m", STREAMED_MESSAGES).0, &stream);
    assert_eq!(passed.out, start);
    assert_eq!(passed.end, Err((FaultKind::Unavailable, "Overloaded".to_owned())));
    assert_eq!((passed.usage.input, passed.usage.estimated), (162, true));
}

#[test]
fn an_error_before_anything_else() {
    for (stream, kind) in [
        (
            "data: {\"error\":{\"message\":\"x\",\"type\":\"rate_limit_error\"}}\n\n",
            FaultKind::RateLimit,
        ),
        ("{\"error\":{\"message\":\"x\",\"code\":401}}", FaultKind::Credential),
        ("{\"id\":1,\"choices\":[]}", FaultKind::BadResponse),
        ("<!DOCTYPE html><html>\n<body>\n\nx</body>", FaultKind::BadResponse),
        ("data: <html></html>\n\n", FaultKind::BadResponse),
        ("data: {\"id\":\n\n", FaultKind::BadResponse),
        ("data: {\"id\":1}x\n\n", FaultKind::BadResponse),
        ("", FaultKind::BadResponse),
        (": ping\n\n", FaultKind::Disconnected),
        ("data: {\"id\":", FaultKind::Disconnected),
    ] {
        let passed = passes(openai("m", STREAMED), stream);
        assert_eq!(passed.end.unwrap_err().0, kind, "{stream}");
        assert!(!passed.begun && !passed.done, "{stream}");
        assert!(!passed.out.contains("data"), "{stream}");
    }
}

#[test]
fn a_cut_stream_ends_with_whole_events_and_a_fault() {
    for stream in [OPENAI_TEXT, ANTHROPIC] {
        // Wherever it is cut, the client has whole events only.
        for cut in 1..stream.len() {
            let Some(part) = stream.get(..cut) else { continue };
            let relay = if stream == ANTHROPIC {
                messages("m", "m", STREAMED_MESSAGES).0
            } else {
                chat("m", "m", STREAMED_WITH_USAGE).0
            };
            let passed = pass(relay, &[part.as_bytes()]);
            assert!(passed.out.is_empty() || passed.out.ends_with("\n\n"), "{:?}", passed.out);
            assert_eq!(passed.end.is_ok(), passed.done, "cut at {cut}");
            if let Err((kind, _)) = passed.end {
                assert_eq!(kind, FaultKind::Disconnected);
                assert!(stream.starts_with(passed.out.trim_end()), "cut at {cut}");
                assert!(passed.usage.estimated);
            }
        }
    }
}

#[test]
fn a_missing_end_is_supplied() {
    let stream = without(OPENAI_TEXT, "[DONE]");
    let passed = passes(openai("m", STREAMED_WITH_USAGE), &stream);
    assert_eq!((passed.out.as_str(), passed.end), (OPENAI_TEXT, Ok(())));
    let stream = without(ANTHROPIC, "event: message_stop");
    let passed = passes(|| messages("m", "m", STREAMED_MESSAGES).0, &stream);
    assert_eq!((passed.out.as_str(), passed.end), (ANTHROPIC, Ok(())));
    for missing in [1, 2] {
        let stream = &OPENAI_TEXT[..OPENAI_TEXT.len() - missing];
        let passed = passes(openai("m", STREAMED_WITH_USAGE), stream);
        assert_eq!((passed.out.as_str(), passed.end), (OPENAI_TEXT, Ok(())));
    }
}

#[test]
fn keep_alives_do_not_begin_a_stream() {
    let mut relay = chat("m", "m", STREAMED).0;
    let mut out = BytesMut::new();
    for chunk in [
        ": ping\n\n",
        "\n\n",
        "event: x\n\n",
        "data:\n\n",
        "data: {\"choices\":[],\"usage\":{}}\n\n",
    ] {
        relay.push(&Bytes::from_static(chunk.as_bytes()), &mut out).unwrap();
        assert!(!relay.begun(), "{chunk}");
    }
    relay.push(&Bytes::from_static(b"data: {\"choices\":[{\"delta\":{}}]}\n\n"), &mut out).unwrap();
    assert!(relay.begun());
}

#[test]
fn cumulative_figures_the_last_ones_count() {
    let chunk = |n: u64| {
        format!(
            "data: {{\"choices\":[{{\"delta\":{{\"content\":\"x\"}}}}],\"usage\":{{\"prompt_tokens\":5,\"completion_tokens\":{n}}}}}\n\n"
        )
    };
    let stream = [chunk(1), chunk(2), chunk(3)].concat();
    let passed = passes(openai("m", STREAMED), &stream);
    assert_eq!(passed.usage, Usage { input: 5, output: 3, ..Usage::default() });
    assert_eq!(passed.end.unwrap_err().0, FaultKind::Disconnected);
}

#[test]
fn without_figures_the_content_is_counted() {
    let chunk = |text: &str| {
        format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n")
    };
    let stream = [chunk(""), chunk(&"x".repeat(400)), chunk("y")].concat() + "data: [DONE]\n\n";
    let passed = passes(openai("m", STREAMED), &stream);
    let expect = Usage {
        input: STREAMED.len() as u64 / 4,
        output: 100,
        estimated: true,
        ..Usage::default()
    };
    assert_eq!(passed.usage, expect);
    let stream = chunk("a").repeat(7) + "data: [DONE]\n\n";
    assert_eq!(passes(openai("m", STREAMED), &stream).usage.output, 7);
}

#[test]
fn an_endless_event_is_cut_off() {
    let mut relay = chat("m", "m", STREAMED).0;
    let mut out = BytesMut::new();
    let piece = Bytes::from(vec![b'x'; 64 * 1024]);
    let fault = (0..600).find_map(|_| relay.push(&piece, &mut out).err()).unwrap();
    assert_eq!(fault.kind, FaultKind::BadResponse);
    assert!(out.is_empty());
}

#[test]
fn a_picture_is_a_long_event() {
    let picture = "A".repeat(3 << 20);
    let stream = format!(
        "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"images\":[{{\"type\":\"image_url\",\
         \"image_url\":{{\"url\":\"data:image/png;base64,{picture}\"}}}}]}},\
         \"finish_reason\":\"stop\"}}]}}\n\ndata: [DONE]\n\n"
    );
    let mut relay = chat("m", "m", STREAMED).0;
    let mut out = BytesMut::new();
    for piece in Bytes::from(stream.clone()).chunks(64 * 1024) {
        relay.push(&Bytes::copy_from_slice(piece), &mut out).unwrap();
    }
    relay.end(&mut out).unwrap();
    assert!(out == stream, "changed");
}

#[test]
fn garbage_in_the_middle_is_a_fault() {
    let first = OPENAI_TEXT.split_inclusive("\n\n").next().unwrap();
    let passed = passes(openai("m", STREAMED), &format!("{first}data: oops\n\n"));
    assert_eq!(passed.out, first);
    assert_eq!(passed.end.unwrap_err().0, FaultKind::BadResponse);
}

#[test]
fn markup_is_no_stream_wherever_it_is_cut() {
    let page = format!("<html>{ANTHROPIC}");
    let passed = passes(|| messages("m", "m", STREAMED_MESSAGES).0, &page);
    assert_eq!(passed.end.unwrap_err().0, FaultKind::BadResponse);
    assert!(!passed.begun && passed.out.is_empty());
}

#[test]
fn coheres_streams_pass_and_are_heard() {
    let relay = || {
        let to = target(Dialect::Cohere, "m");
        called(Operation::Chat, Dialect::Cohere, "a", &to, STREAMED).0
    };
    let passed = passes(relay, COHERE);
    assert_eq!(passed.out, COHERE);
    assert_eq!(passed.usage, Usage { input: 37, output: 28, ..Usage::default() });
    assert_eq!((passed.finish, passed.done), (Some("tool_calls"), true));

    let failed = passes(relay, COHERE_ERROR);
    let (kind, message) = failed.end.unwrap_err();
    assert_eq!((kind, message.as_str()), (FaultKind::Server, "the model is overloaded"));
    assert!(failed.out.ends_with("data: {\"type\":\"content-end\",\"index\":0}\n\n"));

    let cut = passes(relay, &without(&without(COHERE, "message-end"), "[DONE]"));
    assert_eq!(cut.end.unwrap_err().0, FaultKind::Disconnected);
    assert!(cut.usage.estimated && cut.begun);
}
