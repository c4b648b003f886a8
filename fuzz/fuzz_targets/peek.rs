//! Whatever the body: no panic; what is accepted is JSON to `serde_json`, with the same model; and
//! what `Relay` makes of it is still JSON, without anything that is meant for us.
#![no_main]

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tollgate_wire::{
    Dialect, Operation, Provider, Target,
    exchange::{self, Payload},
    peek,
};

static PROVIDER: LazyLock<Arc<Provider>> = LazyLock::new(|| {
    let text = "url = \"https://a.test/v1\"\nspeaks = { openai = \"\", anthropic = \"\" }\n\
        patch = [{ rename = [\"max_completion_tokens\", \"max_tokens\"] },\
        { drop = \"d\" }, { set = [\"s\", 1] }, { clamp = [\"temperature\", 0, 1] }]";
    Arc::new(toml::from_str(text).unwrap())
});

fuzz_target!(|data: &[u8]| {
    let body = Bytes::copy_from_slice(data);
    for (dialect, operation) in [
        (Dialect::Openai, Operation::Chat),
        (Dialect::Anthropic, Operation::Chat),
        (Dialect::Responses, Operation::Chat),
        (Dialect::Completions, Operation::Chat),
        (Dialect::Openai, Operation::Embeddings),
    ] {
        let Ok(peek) = peek::peek(dialect, operation, &body) else { continue };
        let Ok(Value::Object(parsed)) = serde_json::from_slice(data) else {
            // Numbers and lone surrogates that `Value` cannot hold.
            continue;
        };
        assert_eq!(parsed.get("model"), Some(&Value::String(peek.model.clone())));
        assert_eq!(parsed.get("stream") == Some(&Value::Bool(true)), peek.stream);

        let to = Target {
            id: "t".into(),
            provider: PROVIDER.clone(),
            model: "real \"name\"".into(),
            dialect,
            base: "https://a.test/v1".into(),
            credential: None,
            login: None,
            card: None,
            defaults: vec![("seed".to_owned(), Bytes::from_static(b"7"))],
            headers: Vec::new(),
            drop_params: false,
        };
        let payload = Payload { body: body.clone(), peek, headers: Vec::new(), received_s: 0 };
        let mut exchange = exchange::exchange(operation, dialect, &to, "shown");
        let call = exchange.call(&payload, &to).unwrap();
        let sent: serde_json::Map<String, Value> =
            serde_json::from_slice(&call.body.concat()).unwrap();
        assert_eq!(sent.get("model"), Some(&Value::String("real \"name\"".to_owned())));
        assert_eq!(sent.get("s"), Some(&Value::from(1)));
        assert!(!sent.contains_key("d") && sent.contains_key("seed"));
        assert!(!sent.contains_key("max_completion_tokens"));
        assert!(sent.keys().all(|name| !peek::is_ours(name)));
        for (name, value) in &parsed {
            let edited = ["model", "s", "d", "temperature", "stream_options"];
            if edited.contains(&name.as_str()) || name.starts_with("max_") || peek::is_ours(name) {
                continue;
            }
            assert_eq!(sent.get(name), Some(value), "{name}");
        }
    }
});
