//! What a client sends.

use std::sync::LazyLock;

use bytes::{Bytes, BytesMut};
use serde_json::Value;
use tollgate_wire::{
    Dialect, Exchange as _, Operation, Provider, Target,
    exchange::{Payload, relay::Relay, seal::Tenant},
    op::chat::{Event, MAX_BLOCKS, MAX_MESSAGES, Request, Response},
    peek::{self, is_ours},
    tokens,
};

use crate::{
    assert_json,
    events::hear,
    to::{self, UPSTREAMS, one_of, payload, surface, to, upstream},
};

/// Into the hub, and from there to an upstream as JSON; what writes the answer to it writes one.
/// The first byte says for whom: the upstream, whether parameters may be dropped, and whether
/// Google's path asks for a stream.
pub(crate) fn read(dialect: Dialect, data: &[u8]) {
    let Some((&how, body)) = data.split_first() else { return };
    let surface = surface(dialect);
    let mut payload = payload(body);
    payload.peek.stream = how & 0x10 != 0;
    let Ok(mut ask) = surface.read(&payload) else {
        // What is not read as a request is not read as one to be counted by accident.
        let _counted = surface.read_count(&payload);
        return;
    };
    assert!(ask.messages.len() <= MAX_MESSAGES.min(body.len()));
    assert!(ask.messages.iter().all(|message| message.blocks.len() <= MAX_BLOCKS));
    let _tokens = tokens::of_request(&ask);
    answer(dialect, &ask);
    let other = one_of(&UPSTREAMS, how & 0x07 | (how & 0x20) >> 2);
    let to = &Target { drop_params: how & 0x08 != 0, ..to(other).clone() };
    let mut dropped = Vec::new();
    if dialect != other && surface.elsewhere(&mut ask, to, &mut dropped).is_err() {
        return;
    }
    if let Ok(body) = upstream(other).write(&ask, to, &mut dropped) {
        assert_json(&body);
    }
}

static REPLY: LazyLock<Response> = LazyLock::new(|| {
    let recorded = include_bytes!("../../../fixtures/chat/tools/upstream.openai.json");
    upstream(Dialect::Openai).read(recorded).expect("a recorded answer")
});
static EVENTS: LazyLock<Vec<Event>> = LazyLock::new(|| {
    let recorded: &[u8] = include_bytes!("../../../fixtures/chat/tools_stream/upstream.openai.sse");
    hear(upstream(Dialect::Openai), std::iter::once(recorded)).events
});

/// Writes a recorded answer for whoever asked.
fn answer(dialect: Dialect, ask: &Request) {
    if ask.stream {
        let mut encoder = surface(dialect).encoder(ask);
        let mut out = BytesMut::new();
        for event in EVENTS.iter() {
            encoder.push(event, &mut out);
        }
        encoder.end(&mut out);
        assert!(std::str::from_utf8(&out).is_ok());
    } else if let Some(writer) = surface(dialect).writer(ask) {
        assert_json(&writer.write(&REPLY));
    }
}

pub(crate) const PEEKED: [(Dialect, Operation); 6] = [
    (Dialect::Openai, Operation::Chat),
    (Dialect::Anthropic, Operation::Chat),
    (Dialect::Responses, Operation::Chat),
    (Dialect::Completions, Operation::Chat),
    (Dialect::Cohere, Operation::Chat),
    (Dialect::Openai, Operation::Embeddings),
];

static PATCHED: LazyLock<std::sync::Arc<Provider>> = LazyLock::new(|| {
    let patch = r#"[{"rename": ["max_completion_tokens", "max_tokens"]}, {"drop": "d"},
        {"set": ["s", 1]}, {"clamp": ["temperature", 0, 1]}]"#;
    let patch = serde_json::from_str(patch).expect("they are patches");
    let plain = Provider::clone(&to::to(Dialect::Openai).provider);
    std::sync::Arc::new(Provider { patch, ..plain })
});

/// The few fields that are read of every request: what is accepted is JSON to `serde_json` too, with
/// the same model; and what a relay makes of it is still JSON, all the rest the same, without
/// anything that is meant for us. The first byte says whose request it is.
pub(crate) fn peek(data: &[u8]) {
    let Some((&which, data)) = data.split_first() else { return };
    let (dialect, operation) = one_of(&PEEKED, which);
    let body = Bytes::copy_from_slice(data);
    let Ok(peek) = peek::peek(dialect, operation, &body) else { return };
    assert_json(data);
    let Ok(Value::Object(parsed)) = serde_json::from_slice(data) else {
        // Numbers and lone surrogates that `Value` cannot hold.
        return;
    };
    assert_eq!(parsed.get("model"), Some(&Value::String(peek.model.clone())));
    assert_eq!(parsed.get("stream") == Some(&Value::Bool(true)), peek.stream);
    let to = Target {
        provider: PATCHED.clone(),
        model: "real \"name\"".into(),
        defaults: vec![("seed".to_owned(), Bytes::from_static(b"7"))],
        ..to::to(dialect).clone()
    };
    let mut payload = Payload { body, peek, headers: Vec::new(), received_s: 0 };
    let call = Relay::new(operation, dialect, "shown").call(&payload, &to);
    let sent = call.expect("what was peeked at can be relayed").body.concat();
    owned(operation, dialect, &mut payload, &to, &sent);
    let sent: serde_json::Map<String, Value> =
        serde_json::from_slice(&sent).expect("what is relayed is JSON");
    assert_eq!(sent.get("model"), Some(&Value::String("real \"name\"".to_owned())));
    assert_eq!(sent.get("s"), Some(&Value::from(1)));
    assert!(!sent.contains_key("d") && sent.contains_key("seed"));
    assert!(!sent.contains_key("max_completion_tokens"));
    assert!(sent.keys().all(|name| !is_ours(name)));
    for (name, value) in &parsed {
        let edited = ["model", "s", "d", "temperature", "stream_options"];
        if edited.contains(&name.as_str()) || name.starts_with("max_") || is_ours(name) {
            continue;
        }
        assert_eq!(sent.get(name), Some(value), "{name}");
    }
}

/// The same of a tenant, none of whose ids the fuzzer can make: it is refused, or sent as it is.
fn owned(operation: Operation, dialect: Dialect, payload: &mut Payload, to: &Target, plain: &[u8]) {
    payload.peek.tenant = Some(Tenant::new(b"secret", "a"));
    if let Ok(call) = Relay::new(operation, dialect, "shown").call(payload, to) {
        assert_eq!(call.body.concat(), plain);
    }
}
