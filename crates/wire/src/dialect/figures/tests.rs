use super::*;

fn usage(dialect: Dialect, texts: &[&str]) -> Usage {
    let mut figures = Figures::default();
    for text in texts {
        figures.read(dialect, text.as_bytes(), &(0..text.len()));
    }
    figures.usage(dialect, (7, 9))
}

#[test]
fn openai_and_its_relatives() {
    let plain = Usage { input: 10, output: 5, ..Usage::default() };
    for (text, expect) in [
        (r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}"#, plain),
        (r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":null}"#, plain),
        (r#"{"prompt_tokens":10,"total_tokens":10}"#, Usage { output: 0, ..plain }),
        (
            r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":
                {"cached_tokens":4,"audio_tokens":2,"cache_creation_tokens":3},
                "completion_tokens_details":{"reasoning_tokens":3,"audio_tokens":1}}"#,
            Usage {
                cache_read: 4,
                cache_write: 3,
                input_audio: 2,
                reasoning: 3,
                output_audio: 1,
                ..plain
            },
        ),
        // Images, and what was read from the cache of it is audio.
        (
            r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{
                "image_tokens":4,"video_tokens":1,"cached_tokens":3,"cached_tokens_details":
                {"audio_tokens":2,"text_tokens":1}},
                "completion_tokens_details":{"image_tokens":3,"video_tokens":2}}"#,
            Usage {
                input_image: 4,
                input_video: 1,
                cache_read: 3,
                cache_read_audio: 2,
                output_image: 3,
                output_video: 2,
                ..plain
            },
        ),
        // LiteLLM: written to the cache, by time.
        (
            r#"{"prompt_tokens":10,"completion_tokens":5,"cache_creation_input_tokens":9,
                "prompt_tokens_details":{"cache_creation_tokens":9,
                "cache_creation_token_details":{"ephemeral_5m_input_tokens":4,
                "ephemeral_1h_input_tokens":3,"ephemeral_12h_input_tokens":2}}}"#,
            Usage { cache_write: 4, cache_write_1h: 3, cache_write_12h: 2, ..plain },
        ),
        // Perplexity, xAI, LiteLLM: searches.
        (
            r#"{"prompt_tokens":10,"completion_tokens":5,"num_search_queries":3,
                "search_context_size":"high","citation_tokens":7}"#,
            Usage { searches: 3, search_size: SearchSize::High, ..plain },
        ),
        (
            r#"{"prompt_tokens":10,"completion_tokens":5,
                "server_side_tool_usage_details":{"web_search_calls":2,"x_search_calls":0}}"#,
            Usage { searches: 2, ..plain },
        ),
        (
            r#"{"prompt_tokens":10,"completion_tokens":5,"service_tier":"flex",
                "server_tool_use":{"web_search_requests":4}}"#,
            Usage { searches: 4, tier: Some(Tier::Flex), ..plain },
        ),
        // DeepSeek
        (
            r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_cache_hit_tokens":6,
                "prompt_cache_miss_tokens":4,"prompt_tokens_details":{"cached_tokens":6}}"#,
            Usage { cache_read: 6, ..plain },
        ),
        // xAI: reasoning stands beside `completion_tokens`.
        (
            r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":45,
                "completion_tokens_details":{"reasoning_tokens":30}}"#,
            Usage { output: 35, reasoning: 30, ..plain },
        ),
    ] {
        assert_eq!(usage(Dialect::Openai, &[text]), expect, "{text}");
    }
}

#[test]
fn anthropic_counts_cached_tokens_beside_the_others() {
    let start = r#"{"input_tokens":10,"cache_read_input_tokens":100,
        "cache_creation_input_tokens":50,"output_tokens":1,
        "cache_creation":{"ephemeral_5m_input_tokens":20,"ephemeral_1h_input_tokens":30}}"#;
    let expect = Usage {
        input: 160,
        cache_read: 100,
        cache_write: 20,
        cache_write_1h: 30,
        output: 1,
        ..Usage::default()
    };
    assert_eq!(usage(Dialect::Anthropic, &[start]), expect);
    let last = r#"{"output_tokens":42}"#;
    assert_eq!(usage(Dialect::Anthropic, &[start, last]), Usage { output: 42, ..expect });
    let old = r#"{"input_tokens":10,"cache_creation_input_tokens":50,"output_tokens":1}"#;
    assert_eq!(
        usage(Dialect::Anthropic, &[old]),
        Usage { input: 60, cache_write: 50, output: 1, ..Usage::default() }
    );
}

#[test]
fn cohere_bills_less_than_it_reads() {
    let text = r#"{"billed_units":{"input_tokens":5.0,"output_tokens":7.0,"search_units":1},
        "tokens":{"input_tokens":71.0,"output_tokens":9.0},"cached_tokens":64}"#;
    assert_eq!(usage(Dialect::Cohere, &[text]), Usage { input: 5, output: 7, ..Usage::default() });
    let text = r#"{"tokens":{"input_tokens":71,"output_tokens":9},"cached_tokens":64}"#;
    assert_eq!(
        usage(Dialect::Cohere, &[text]),
        Usage { input: 71, cache_read: 64, output: 9, ..Usage::default() }
    );
}

#[test]
fn ollama_counts_beside_the_message() {
    let text = r#"{"model":"m","message":{"content":"x"},"done":true,
        "prompt_eval_count":26,"eval_count":298}"#;
    assert_eq!(
        usage(Dialect::Ollama, &[text]),
        Usage { input: 26, output: 298, ..Usage::default() }
    );
    // What the prompt's cache holds is not counted by older versions.
    let cached = usage(Dialect::Ollama, &[r#"{"done":true,"eval_count":298}"#]);
    assert_eq!(cached, Usage { input: 7, output: 298, estimated: true, ..Usage::default() });
}

#[test]
fn gemini_counts_thoughts_and_tools_beside_the_others() {
    let text = r#"{"promptTokenCount":10,"cachedContentTokenCount":4,"candidatesTokenCount":5,
        "thoughtsTokenCount":30,"toolUsePromptTokenCount":7,"totalTokenCount":52,
        "promptTokensDetails":[{"modality":"TEXT","tokenCount":8},
            {"modality":"AUDIO","tokenCount":2},{"modality":"IMAGE","tokenCount":1}],
        "cacheTokensDetails":[{"modality":"AUDIO","tokenCount":1}],"trafficType":"ON_DEMAND",
        "candidatesTokensDetails":[{"modality":"AUDIO","tokenCount":3},
            {"modality":"IMAGE","tokenCount":2}]}"#;
    let expect = Usage {
        input: 17,
        cache_read: 4,
        cache_read_audio: 1,
        input_audio: 2,
        input_image: 1,
        output: 35,
        reasoning: 30,
        output_audio: 3,
        output_image: 2,
        tier: Some(Tier::Standard),
        ..Usage::default()
    };
    assert_eq!(usage(Dialect::Gemini, &[text]), expect);
    // Without an answer there is no count of it.
    let blocked = r#"{"promptTokenCount":10,"totalTokenCount":10}"#;
    assert_eq!(usage(Dialect::Gemini, &[blocked]), Usage { input: 10, ..Usage::default() });
}

#[test]
fn anthropic_says_how_it_served() {
    let text = |rest: &str| format!(r#"{{"input_tokens":10,"output_tokens":1,{rest}}}"#);
    let plain = Usage { input: 10, output: 1, ..Usage::default() };
    for (rest, expect) in [
        (
            r#""server_tool_use":{"web_search_requests":2,"web_fetch_requests":1}"#,
            Usage { searches: 2, ..plain },
        ),
        (r#""service_tier":"priority""#, Usage { tier: Some(Tier::Priority), ..plain }),
        (r#""service_tier":"batch""#, Usage { tier: Some(Tier::Batch), ..plain }),
        (r#""service_tier":null,"server_tool_use":null"#, plain),
        (r#""service_tier":"so\"on","inference_geo":"not_available""#, plain),
        (
            r#""service_tier":"standard","speed":"fast","inference_geo":"us""#,
            Usage { tier: Some(Tier::Fast), us_only: true, ..plain },
        ),
    ] {
        assert_eq!(usage(Dialect::Anthropic, &[&text(rest)]), expect, "{rest}");
    }
}

#[test]
fn the_last_figures_count() {
    let texts = [
        r#"{"prompt_tokens":10,"completion_tokens":1}"#,
        r#"{"prompt_tokens":10,"completion_tokens":2}"#,
    ];
    assert_eq!(usage(Dialect::Openai, &texts), Usage { input: 10, output: 2, ..Usage::default() });
}

#[test]
fn nonsense_is_ignored_and_flagged() {
    for (text, input, output) in [
        (r#"{"prompt_tokens":-10,"completion_tokens":5}"#, 7, 5),
        (r#"{"prompt_tokens":"10","completion_tokens":5}"#, 7, 5),
        (r#"{"prompt_tokens":10,"completion_tokens":99999999999999999999}"#, 10, 9),
        (r#"{"prompt_tokens":1.5,"completion_tokens":5.0}"#, 7, 5),
        (r#"{"prompt_tokens":10,"completion_tokens":{}}"#, 10, 9),
        (r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":[]}"#, 10, 5),
        (r#"{}"#, 7, 9),
        (r#"[]"#, 7, 9),
    ] {
        let usage = usage(Dialect::Openai, &[text]);
        assert_eq!((usage.input, usage.output), (input, output), "{text}");
        assert!(usage.estimated, "{text}");
    }
}
