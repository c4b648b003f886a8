//! `Bridge(d, d)` says the same as `Relay`, but for what [`LOSSES`] lists; and what it lists does
//! get lost.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use tollgate_wire::{
    Dialect, Exchange, Operation,
    exchange::{
        losses::{LOSSES, Side},
        relay::Relay,
    },
};

use crate::fixtures::{Case, SHOWN, bridge, cases, concat, streamed, target, upstreams};

/// `null` and what is not there are the same.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| (name, without_nulls(value)))
                .collect(),
        ),
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

/// The paths at which two values differ, items of lists as `*`.
fn differences(at: &str, a: &Value, b: &Value, out: &mut BTreeSet<String>) {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for name in names {
                let path = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
                let (a, b) = (a.get(name), b.get(name));
                differences(&path, a.unwrap_or(&Value::Null), b.unwrap_or(&Value::Null), out);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (a, b) in a.iter().zip(b) {
                differences(&format!("{at}.*"), a, b, out);
            }
        }
        (a, b) if a == b => {}
        _ => {
            out.insert(at.to_owned());
        }
    }
}

/// Google takes names in both spellings.
fn in_camel_case(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let camel = |name: String| {
                let mut words = name.split('_');
                let first = words.next().unwrap().to_owned();
                words.fold(first, |camel, word| {
                    let (head, tail) = word.split_at(word.len().min(1));
                    camel + &head.to_uppercase() + tail
                })
            };
            Value::Object(fields.into_iter().map(|(k, v)| (camel(k), in_camel_case(v))).collect())
        }
        Value::Array(items) => items.into_iter().map(in_camel_case).collect(),
        other => other,
    }
}

type Found = BTreeSet<(String, &'static str, String)>;

struct Finder {
    found: Found,
}

impl Finder {
    fn compare(&mut self, dialect: Dialect, side: Side, relayed: Value, bridged: Value) {
        let mut paths = BTreeSet::new();
        let (relayed, bridged) = match (dialect, side) {
            (Dialect::Gemini, Side::Request) => (in_camel_case(relayed), in_camel_case(bridged)),
            _ => (relayed, bridged),
        };
        differences("", &without_nulls(relayed), &without_nulls(bridged), &mut paths);
        for path in paths {
            self.found.insert((dialect.name().to_owned(), side_name(side), path));
        }
    }

    fn request(&mut self, case: &Case, dialect: Dialect) {
        let Some(payload) = case.asked(dialect) else { return };
        let to = target(dialect);
        let body = |exchange: &mut dyn Exchange| -> Value {
            let call = exchange.call(&payload, &to).unwrap();
            serde_json::from_slice(&concat(&call.body)).unwrap()
        };
        let relayed = body(&mut Relay::new(Operation::Chat, dialect, SHOWN));
        let bridged = body(&mut bridge(dialect, dialect));
        self.compare(dialect, Side::Request, relayed, bridged);
    }

    fn reply(&mut self, case: &Case, dialect: Dialect) {
        let Some(reply) = case.reply(dialect) else { return };
        let payload = case.asked_or_plain(dialect, false);
        let to = target(dialect);
        let seen = |exchange: &mut dyn Exchange| -> Option<Value> {
            exchange.call(&payload, &to).unwrap();
            let reply = exchange.reply(reply.clone()).ok()?;
            Some(serde_json::from_slice(&reply).unwrap())
        };
        let relayed = seen(&mut Relay::new(Operation::Chat, dialect, SHOWN));
        let bridged = seen(&mut bridge(dialect, dialect));
        assert_eq!(relayed.is_some(), bridged.is_some(), "{}", case.name);
        if let (Some(relayed), Some(bridged)) = (relayed, bridged) {
            self.compare(dialect, Side::Reply, relayed, bridged);
        }
    }

    fn stream(&mut self, case: &Case, dialect: Dialect) {
        let Some(body) = case.stream(dialect) else { return };
        let payload = case.asked_or_plain(dialect, true);
        let to = target(dialect);
        let seen = |exchange: &mut dyn Exchange| {
            exchange.call(&payload, &to).unwrap();
            let (text, fault) = streamed(exchange, &[&body]);
            let usage = exchange.usage();
            (
                sum(dialect, &text),
                fault.is_some(),
                usage,
                exchange.finish_reason().map(str::to_owned),
            )
        };
        let relayed = seen(&mut Relay::new(Operation::Chat, dialect, SHOWN));
        let bridged = seen(&mut bridge(dialect, dialect));
        assert_eq!(relayed.1, bridged.1, "{}", case.name);
        if !relayed.1 {
            // Estimates are made of different things: of bytes here, of text there.
            assert_eq!(relayed.2.estimated, bridged.2.estimated, "{}", case.name);
            assert!(relayed.2.estimated || relayed.2 == bridged.2, "{}", case.name);
            assert_eq!(relayed.3, bridged.3, "{}", case.name);
        }
        self.compare(dialect, Side::Stream, relayed.0, bridged.0);
    }
}

/// A stream as one value, by the rules of the dialect's own SDK and not by ours.
fn sum(dialect: Dialect, text: &str) -> Value {
    let mut total = json!({});
    for line in text.lines() {
        let Some(data) = line.strip_prefix("data:") else { continue };
        let Ok(event) = serde_json::from_str::<Value>(data) else { continue };
        match dialect {
            Dialect::Anthropic => add_event(&mut total, event),
            Dialect::Cohere => add_cohere(&mut total, &event),
            Dialect::Gemini => add_piece(&mut total, event),
            Dialect::Responses => add_item_event(&mut total, event),
            _ => add_chunk(&mut total, event),
        }
    }
    total
}

fn add_chunk(total: &mut Value, chunk: Value) {
    let Value::Object(fields) = chunk else { return };
    for (name, value) in fields {
        match value {
            Value::Null => {}
            Value::Array(choices) if name == "choices" => {
                for choice in choices {
                    let index = choice.get("index").and_then(Value::as_u64).unwrap_or(0);
                    let mut choice = choice;
                    choice["index"] = index.into();
                    grow(&mut total["choices"][index.to_string()], choice);
                }
            }
            value => total[name] = value,
        }
    }
}

/// OpenAI's rule: texts and lists grow, items with an index by their index, all else is replaced.
fn grow(total: &mut Value, delta: Value) {
    match (total, delta) {
        (_, Value::Null) => {}
        (Value::String(total), Value::String(delta)) => total.push_str(&delta),
        (total @ (Value::Null | Value::Object(_)), Value::Object(fields)) => {
            for (name, value) in fields {
                match name.as_str() {
                    "index" | "type" | "role" | "id" | "finish_reason" => {
                        if !value.is_null() {
                            total[name] = value;
                        }
                    }
                    _ => grow(&mut total[name], value),
                }
            }
        }
        (total @ (Value::Null | Value::Object(_)), Value::Array(items))
            if items.iter().any(|item| item.get("index").is_some()) =>
        {
            for item in items {
                let index = item["index"].to_string();
                grow(&mut total[index], item);
            }
        }
        (Value::Array(total), Value::Array(items)) => total.extend(items),
        (total, delta) => *total = delta,
    }
}

/// Google's: what stands beside the candidates is replaced, texts of one kind grow, other parts
/// follow.
fn add_piece(total: &mut Value, piece: Value) {
    let Value::Object(fields) = piece else { return };
    for (name, value) in fields {
        if name != "candidates" {
            total[name] = value;
            continue;
        }
        for candidate in value.as_array().unwrap() {
            let index = candidate["index"].as_u64().unwrap_or(0).to_string();
            let sum = &mut total["candidates"][index];
            for (name, value) in candidate.as_object().unwrap() {
                match name.as_str() {
                    "index" => {}
                    "content" => add_parts(&mut sum["parts"], value),
                    _ => sum[name] = value.clone(),
                }
            }
        }
    }
}

fn add_parts(sum: &mut Value, content: &Value) {
    if sum.is_null() {
        *sum = json!([]);
    }
    let sum = sum.as_array_mut().unwrap();
    for part in content["parts"].as_array().into_iter().flatten() {
        let part = part.as_object().unwrap();
        let text = part.get("text").and_then(Value::as_str);
        let last = sum.last_mut().filter(|last| {
            text.is_some() && last["text"].is_string() && last.get("thought") == part.get("thought")
        });
        match (last, text) {
            (_, Some("")) if part.len() == 1 => {}
            (Some(last), Some(text)) => {
                let grown = [last["text"].as_str().unwrap(), text].concat();
                last["text"] = grown.into();
                for (name, value) in part.iter().filter(|(name, _)| *name != "text") {
                    last[name] = value.clone();
                }
            }
            _ => sum.push(part.clone().into()),
        }
    }
}

fn add_event(total: &mut Value, event: Value) {
    let index = event["index"].to_string();
    match event["type"].as_str().unwrap() {
        "message_start" => *total = event["message"].clone(),
        "content_block_start" => {
            total["blocks"][&index] = event["content_block"].clone();
        }
        "content_block_delta" => {
            let block = &mut total["blocks"][&index];
            let delta = event["delta"].as_object().cloned().unwrap_or_default();
            add_delta(block, delta);
        }
        "message_delta" => {
            for (name, value) in event["delta"].as_object().unwrap() {
                total[name] = value.clone();
            }
            for (name, value) in event["usage"].as_object().unwrap() {
                total["usage"][name] = value.clone();
            }
        }
        _ => {}
    }
}

/// Contents, calls and citations by their index, which a lone one may lack.
fn add_cohere(total: &mut Value, event: &Value) {
    let index = event["index"].as_u64().unwrap_or(0).to_string();
    let message = &event["delta"]["message"];
    match event["type"].as_str().unwrap_or_default() {
        "message-start" => total["id"] = event["id"].clone(),
        "content-start" | "content-delta" => {
            grow(&mut total["content"][&index], message["content"].clone());
            grow(&mut total["logprobs"], event["logprobs"].clone());
        }
        "tool-plan-delta" => grow(&mut total["tool_plan"], message["tool_plan"].clone()),
        "tool-call-start" | "tool-call-delta" => {
            grow(&mut total["tool_calls"][&index], message["tool_calls"].clone());
        }
        "citation-start" => total["citations"][&index] = message["citations"].clone(),
        "message-end" => total["end"] = event["delta"].clone(),
        _ => {}
    }
}

/// The answer as the last event has it, and the texts that the deltas add up to.
fn add_item_event(total: &mut Value, event: Value) {
    let delta = event["delta"].clone();
    match event["type"].as_str().unwrap() {
        "response.created" | "response.completed" | "response.incomplete" => {
            total["response"] = event["response"].clone();
        }
        kind if delta.is_string() => {
            let place = format!("{}.{}", event["output_index"], event["content_index"]);
            grow(&mut total["deltas"][kind.replace('.', "_")][place.replace('.', "_")], delta);
        }
        "error" => total["error"] = event,
        _ => {}
    }
}

fn add_delta(block: &mut Value, delta: Map<String, Value>) {
    for (name, value) in delta {
        match name.as_str() {
            "type" => {}
            "citation" => {
                if block["citations"].is_null() {
                    block["citations"] = json!([]);
                }
                block["citations"].as_array_mut().unwrap().push(value);
            }
            _ => grow(&mut block[name], value),
        }
    }
}

fn side_name(side: Side) -> &'static str {
    match side {
        Side::Request => "request",
        Side::Reply => "reply",
        Side::Stream => "stream",
    }
}

#[test]
fn a_bridge_between_equals_loses_what_is_listed_and_nothing_else() {
    let mut finder = Finder { found: Found::new() };
    for case in cases() {
        for dialect in upstreams().filter(|dialect| Relay::serves(*dialect)) {
            finder.request(&case, dialect);
            finder.reply(&case, dialect);
            finder.stream(&case, dialect);
        }
    }
    let listed: Found = LOSSES
        .iter()
        .map(|loss| (loss.dialect.name().to_owned(), side_name(loss.side), loss.path.to_owned()))
        .collect();
    let unlisted: Vec<_> = finder.found.difference(&listed).collect();
    let gone: Vec<_> = listed.difference(&finder.found).collect();
    assert!(unlisted.is_empty(), "lost but not listed: {unlisted:#?}");
    assert!(gone.is_empty(), "listed but no longer lost: {gone:#?}");
    assert!(LOSSES.iter().all(|loss| !loss.why.is_empty()));
}

#[test]
fn a_whole_event_a_byte_at_a_time_is_the_same_sum() {
    let body = Bytes::from_static(
        b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n",
    );
    let total = sum(Dialect::Openai, std::str::from_utf8(&body).unwrap());
    assert_eq!(total, json!({"choices": {"0": {"index": 0, "delta": {"content": "a"}}}}));
}
