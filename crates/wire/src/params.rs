//! Which of OpenAI's parameters a target can be asked with.
//!
//! There is no table to keep: each parameter is put to the target's own translation with a sample
//! value, and what becomes of it is looked at. So the answer is true of any dialect, with the
//! provider's patches and the target's settings in it.

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use serde_json::{Map, Value, json};

use crate::{
    CannotAsk, Dialect, Operation,
    exchange::{Call, Payload, exchange_for},
    peek::peek,
    target::Target,
};

/// What becomes of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The upstream learns of it.
    Sent,
    /// It is left out, and named among what was dropped.
    Named,
    /// The request is refused; with `drop_params`, it is left out and named.
    Refused,
    /// Nobody learns of it.
    Lost,
}

/// A parameter with a value, and what must stand beside it to make sense.
struct Sample {
    name: &'static str,
    value: fn() -> Value,
    beside: fn() -> Value,
}

const fn alone(name: &'static str, value: fn() -> Value) -> Sample {
    Sample { name, value, beside: || json!({}) }
}

/// OpenAI's parameters of a chat, in the order of LiteLLM's list, which also has `thinking`.
const CHAT: &[Sample] = &[
    alone("frequency_penalty", || json!(0.5)),
    alone("logit_bias", || json!({ "50256": -100 })),
    alone("logprobs", || json!(true)),
    Sample { beside: || json!({ "logprobs": true }), ..alone("top_logprobs", || json!(2)) },
    alone("max_tokens", || json!(77)),
    alone("max_completion_tokens", || json!(77)),
    Sample {
        beside: || json!({ "audio": { "voice": "alloy", "format": "wav" } }),
        ..alone("modalities", || json!(["text", "audio"]))
    },
    alone("prediction", || json!({ "type": "content", "content": "x" })),
    alone("n", || json!(2)),
    alone("presence_penalty", || json!(0.5)),
    alone("seed", || json!(7)),
    alone("stop", || json!(["END"])),
    alone("stream", || json!(true)),
    Sample {
        beside: || json!({ "stream": true }),
        ..alone("stream_options", || json!({ "include_usage": true }))
    },
    alone("temperature", || json!(0.5)),
    alone("top_p", || json!(0.5)),
    alone("tools", tools),
    Sample { beside: with_tools, ..alone("tool_choice", || json!("required")) },
    Sample { beside: with_tools, ..alone("parallel_tool_calls", || json!(false)) },
    Sample {
        beside: || json!({ "function_call": "auto" }),
        ..alone("functions", || json!([{ "name": "f", "parameters": { "type": "object" } }]))
    },
    alone("audio", || json!({ "voice": "alloy", "format": "wav" })),
    alone("web_search_options", || json!({})),
    alone("service_tier", || json!("default")),
    alone("safety_identifier", || json!("u-1")),
    alone("prompt_cache_key", || json!("k")),
    alone("prompt_cache_retention", || json!("24h")),
    alone("store", || json!(true)),
    alone("response_format", || {
        let schema = json!({ "type": "object", "properties": {}, "additionalProperties": false });
        json!({ "type": "json_schema", "json_schema": { "name": "s", "schema": schema } })
    }),
    alone("reasoning_effort", || json!("low")),
    alone("verbosity", || json!("low")),
    alone("thinking", || json!({ "type": "enabled", "budget_tokens": 1024 })),
    alone("user", || json!("u-1")),
];

/// OpenAI's parameters of embeddings.
const EMBEDDINGS: &[Sample] = &[
    alone("dimensions", || json!(8)),
    alone("encoding_format", || json!("base64")),
    alone("user", || json!("u-1")),
];

fn tools() -> Value {
    json!([{ "type": "function", "function": { "name": "f", "parameters": { "type": "object" } } }])
}

fn with_tools() -> Value {
    json!({ "tools": tools() })
}

/// The parameters of `operation` that reach `to`, as OpenAI spells them.
pub fn supported(operation: Operation, to: &Target) -> Vec<&'static str> {
    let samples = match operation {
        Operation::Embeddings => EMBEDDINGS,
        _ => CHAT,
    };
    let fate = |sample: &&Sample| {
        // A stream ends with its usage wherever it comes from.
        let always = sample.name == "stream_options";
        always
            || fate(operation, to, (sample.beside)(), sample.name, (sample.value)()) == Fate::Sent
    };
    samples.iter().filter(fate).map(|sample| sample.name).collect()
}

/// What becomes of the parameter `name` with this value in a request of OpenAI's that has the
/// members of `beside`.
pub fn fate(operation: Operation, to: &Target, beside: Value, name: &str, value: Value) -> Fate {
    // A value of the configuration may be the same as the sample.
    let strict = Target { drop_params: false, defaults: Vec::new(), ..to.clone() };
    let plain = fields(operation, beside);
    let mut asking = plain.clone();
    asking.insert(name.to_owned(), value);
    let (before, _) = match call(operation, &strict, plain) {
        Ok(before) => before,
        Err(CannotAsk::Malformed(_) | CannotAsk::Unsupported(_) | CannotAsk::NotFound(_)) => {
            return Fate::Refused;
        }
    };
    match call(operation, &strict, asking) {
        Err(_) => Fate::Refused,
        Ok((after, _)) if said(&after) != said(&before) => Fate::Sent,
        Ok((_, dropped)) if dropped.iter().any(|param| is_of(param, name)) => Fate::Named,
        Ok(_) => Fate::Lost,
    }
}

/// Whether `param`, a path such as `tools[0].strict`, is of the parameter `name`.
fn is_of(param: &str, name: &str) -> bool {
    param.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

fn fields(operation: Operation, beside: Value) -> Map<String, Value> {
    let input = match operation {
        Operation::Embeddings => json!({ "model": "m", "input": "x" }),
        _ => json!({ "model": "m", "messages": [{ "role": "user", "content": "x" }] }),
    };
    let members = |value| match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    let mut fields = members(input);
    fields.extend(members(beside));
    fields
}

fn call(
    operation: Operation,
    to: &Target,
    fields: Map<String, Value>,
) -> Result<(Call, Vec<String>), CannotAsk> {
    let body = Bytes::from(Value::Object(fields).to_string());
    let peek = peek(Dialect::Openai, operation, &body)
        .map_err(|why| crate::Malformed { message: why.message, param: why.param })?;
    let payload = Payload { body, peek, headers: Vec::new(), received_s: 0 };
    let mut exchange = exchange_for(operation, Dialect::Openai, to, "m", &payload);
    let call = exchange.call(&payload, to)?;
    Ok((call, exchange.dropped().to_vec()))
}

/// Path, headers and body, in which a parameter may be told.
fn said(call: &Call) -> (&str, &[(HeaderName, HeaderValue)], Vec<u8>) {
    (&call.path, &call.headers, call.body.concat())
}

#[cfg(test)]
mod tests;
