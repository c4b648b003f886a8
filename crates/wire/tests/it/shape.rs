//! Streams have the shape that the official SDKs count on.

use serde_json::Value;
use tollgate_wire::{Dialect, Exchange};

use crate::fixtures::{SHOWN, called, cases, streamed, surfaces, upstreams};

/// The data of each event of a stream that is complete.
fn events(text: &str) -> Vec<(Option<&str>, &str)> {
    text.split_terminator("\n\n")
        .inspect(|event| assert!(event.lines().count() <= 2, "data is one line: {event}"))
        .map(|event| match event.split_once('\n') {
            Some((name, data)) => {
                (Some(name.strip_prefix("event: ").unwrap()), data.strip_prefix("data: ").unwrap())
            }
            None => (None, event.strip_prefix("data: ").unwrap()),
        })
        .collect()
}

fn anthropic(text: &str) {
    let events: Vec<Value> = events(text)
        .into_iter()
        .map(|(name, data)| {
            let data: Value = serde_json::from_str(data).unwrap();
            assert_eq!(data["type"], name.unwrap());
            data
        })
        .collect();
    let kind = |event: &Value| event["type"].as_str().unwrap().to_owned();
    let start = &events[0];
    assert_eq!(kind(start), "message_start");
    assert_eq!(start["message"]["model"], SHOWN);
    assert!(start["message"]["usage"]["input_tokens"].is_u64());
    let mut open = None;
    let mut next = 0;
    for event in &events[1..events.len() - 2] {
        match kind(event).as_str() {
            "content_block_start" => {
                assert_eq!(open, None, "blocks do not overlap");
                assert_eq!(event["index"], next);
                open = Some(next);
                next += 1;
            }
            "content_block_delta" => assert_eq!(event["index"].as_u64(), open),
            "content_block_stop" => {
                assert_eq!(event["index"].as_u64(), open);
                open = None;
            }
            other => panic!("`{other}` in the middle"),
        }
    }
    assert_eq!(open, None);
    let delta = &events[events.len() - 2];
    assert_eq!(kind(delta), "message_delta");
    assert!(delta["delta"]["stop_reason"].is_string());
    assert!(delta["usage"]["output_tokens"].is_u64());
    assert_eq!(kind(&events[events.len() - 1]), "message_stop");
}

fn openai(text: &str, include_usage: bool) {
    let mut events = events(text);
    assert_eq!(events.pop(), Some((None, "[DONE]")));
    let mut chunks: Vec<Value> = events
        .into_iter()
        .map(|(name, data)| {
            assert_eq!(name, None);
            serde_json::from_str(data).unwrap()
        })
        .collect();
    if include_usage {
        let last = chunks.pop().unwrap();
        assert_eq!(last["choices"], serde_json::json!([]));
        assert!(last["usage"]["total_tokens"].is_u64());
    }
    let mut begun = Vec::new();
    let mut finished = Vec::new();
    let mut tools = Vec::new();
    for chunk in &chunks {
        assert_eq!(chunk["object"], "chat.completion.chunk");
        assert_eq!(chunk["model"], SHOWN);
        assert!(chunk.get("usage").is_none());
        let choice = &chunk["choices"][0];
        let index = choice["index"].as_u64().unwrap();
        assert!(!finished.contains(&index), "nothing follows `finish_reason`");
        if !begun.contains(&index) {
            assert_eq!(choice["delta"]["role"], "assistant");
            begun.push(index);
        }
        for call in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
            let place = (index, call["index"].as_u64().unwrap());
            if !tools.contains(&place) {
                assert!(call["id"].is_string() && call["function"]["name"].is_string());
                tools.push(place);
            }
            assert!(call["function"]["arguments"].is_string());
        }
        if choice["finish_reason"].is_string() {
            finished.push(index);
        }
    }
    assert_eq!(begun.len(), finished.len());
}

fn gemini(text: &str) {
    let mut finished = Vec::new();
    for event in text.split_terminator("\r\n\r\n") {
        let event: Value = serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(event["modelVersion"], SHOWN);
        assert!(event["responseId"].is_string());
        let candidate = &event["candidates"][0];
        let index = candidate["index"].as_u64().unwrap();
        assert!(!finished.contains(&index), "nothing follows `finishReason`");
        assert_eq!(candidate["content"]["role"], "model");
        for part in candidate["content"]["parts"].as_array().unwrap() {
            let call = &part["functionCall"];
            assert!(call.is_null() || (call["name"].is_string() && call["args"].is_object()));
        }
        if candidate["finishReason"].is_string() {
            assert!(event["usageMetadata"]["totalTokenCount"].is_u64());
            finished.push(index);
        }
    }
    assert!(!finished.is_empty());
}

/// What `client.responses.stream()` of the official SDKs takes for granted: numbers that count up,
/// items that are added before they grow and done at their end, and the same ids throughout.
fn responses(text: &str) {
    let events: Vec<Value> = events(text)
        .into_iter()
        .enumerate()
        .map(|(number, (name, data))| {
            let data: Value = serde_json::from_str(data).unwrap();
            assert_eq!(data["type"], name.unwrap());
            assert_eq!(data["sequence_number"], number);
            data
        })
        .collect();
    let [first, second, middle @ .., last] = events.as_slice() else { panic!("too few events") };
    assert_eq!(first["type"], "response.created");
    assert_eq!(second["type"], "response.in_progress");
    assert!(
        ["response.completed", "response.incomplete"].contains(&last["type"].as_str().unwrap())
    );
    for event in [first, second, last] {
        let response = &event["response"];
        assert_eq!(response["id"], first["response"]["id"]);
        assert_eq!(response["model"], SHOWN);
        assert!(response["tools"].is_array() && response["tool_choice"].is_string());
        assert!(response["parallel_tool_calls"].is_boolean() && response["text"].is_object());
    }
    let output = last["response"]["output"].as_array().unwrap();
    let mut added: Vec<(Value, String)> = Vec::new();
    let mut texts = std::collections::BTreeMap::<(usize, u64), String>::new();
    for event in middle {
        let index = event["output_index"].as_u64().unwrap() as usize;
        let kind = event["type"].as_str().unwrap();
        if kind == "response.output_item.added" {
            assert_eq!(index, added.len());
            added.push((event["item"]["id"].clone(), String::new()));
            continue;
        }
        let (id, grown) = &mut added[index];
        let item = event.get("item").map_or(&event["item_id"], |item| &item["id"]);
        assert_eq!(item, id);
        match kind {
            "response.output_item.done" => assert_eq!(event["item"], output[index]),
            "response.output_text.delta" => {
                assert!(event["logprobs"].is_array());
                let place = (index, event["content_index"].as_u64().unwrap());
                texts.entry(place).or_default().push_str(event["delta"].as_str().unwrap());
            }
            "response.output_text.done" => {
                let place = (index, event["content_index"].as_u64().unwrap());
                assert_eq!(event["text"], texts.get(&place).cloned().unwrap_or_default());
            }
            "response.function_call_arguments.delta" => {
                grown.push_str(event["delta"].as_str().unwrap());
            }
            "response.function_call_arguments.done" => assert_eq!(event["arguments"], *grown),
            "response.custom_tool_call_input.done" => {
                assert_eq!(event["input"], output[index]["input"]);
            }
            _ => {}
        }
    }
    assert_eq!(added.len(), output.len());
    assert!(last["response"]["usage"]["total_tokens"].is_u64());
}

fn completions(text: &str, include_usage: bool) {
    let mut events = events(text);
    assert_eq!(events.pop(), Some((None, "[DONE]")));
    let mut finished = Vec::new();
    let mut usage = 0;
    for (name, data) in events {
        assert_eq!(name, None);
        let chunk: Value = serde_json::from_str(data).unwrap();
        assert_eq!(chunk["object"], "text_completion");
        assert_eq!(chunk["model"], SHOWN);
        usage += usize::from(chunk["usage"]["total_tokens"].is_u64());
        let Some(choice) = chunk["choices"].get(0) else { continue };
        assert!(choice["text"].is_string());
        let index = choice["index"].as_u64().unwrap();
        assert!(!finished.contains(&index), "nothing follows `finish_reason`");
        if choice["finish_reason"].is_string() {
            finished.push(index);
        }
    }
    assert!(!finished.is_empty());
    assert_eq!(usage, usize::from(include_usage));
}

fn cohere(text: &str) {
    let mut events: Vec<Value> = events(text)
        .into_iter()
        .map(|(name, data)| {
            let data: Value = serde_json::from_str(data).unwrap();
            assert_eq!(data["type"], name.unwrap());
            data
        })
        .collect();
    let end = events.pop().unwrap();
    assert_eq!(end["type"], "message-end");
    let reasons = ["COMPLETE", "STOP_SEQUENCE", "MAX_TOKENS", "TOOL_CALL", "ERROR"];
    assert!(reasons.contains(&end["delta"]["finish_reason"].as_str().unwrap()));
    assert!(end["delta"]["usage"]["tokens"]["output_tokens"].is_u64());
    let start = events.remove(0);
    assert_eq!(start["type"], "message-start");
    assert!(start["id"].is_string());
    let mut open: Vec<(String, u64)> = Vec::new();
    for event in &events {
        let kind = event["type"].as_str().unwrap();
        let index = event["index"].as_u64().unwrap();
        let (what, step) = kind.rsplit_once('-').unwrap();
        let place = (what.to_owned(), index);
        match step {
            "start" => open.push(place),
            "delta" if event["logprobs"].is_object() => {}
            "delta" => assert!(open.contains(&place), "{kind} of nothing open"),
            "end" => {
                let at = open.iter().position(|other| *other == place).unwrap();
                open.remove(at);
            }
            other => panic!("`{other}` in the middle"),
        }
        if kind == "tool-call-start" {
            let call = &event["delta"]["message"]["tool_calls"];
            assert!(call["id"].is_string() && call["function"]["name"].is_string());
        }
    }
    assert!(open.is_empty());
}

#[test]
fn streams_are_as_the_sdks_expect() {
    let mut checked = 0;
    for case in cases() {
        for upstream in upstreams() {
            let Some(body) = case.stream(upstream) else { continue };
            for surface in surfaces() {
                let request = case.asked_or_plain(surface, true);
                let include_usage = request.peek.include_usage;
                let mut exchange = called(surface, upstream, request);
                let (text, fault) = streamed(&mut exchange, &[&body]);
                if fault.is_some() {
                    continue;
                }
                assert!(exchange.done() && exchange.begun());
                match surface {
                    Dialect::Openai => openai(&text, include_usage),
                    Dialect::Anthropic => anthropic(&text),
                    Dialect::Gemini => gemini(&text),
                    Dialect::Responses => responses(&text),
                    Dialect::Completions => completions(&text, include_usage),
                    Dialect::Cohere => cohere(&text),
                    other => panic!("{} needs a check here", other.name()),
                }
                checked += 1;
            }
        }
    }
    assert!(checked > 20);
}
