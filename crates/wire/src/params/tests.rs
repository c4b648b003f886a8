use super::*;
use crate::{Auth, Provider, provider::Patch};

/// A target of each dialect that may be called for chat.
fn targets() -> Vec<Target> {
    Dialect::ALL
        .iter()
        .filter(|dialect| {
            crate::dialect::upstream(**dialect).is_some()
                && crate::matrix::has(Operation::Chat, **dialect)
        })
        .map(|dialect| target(*dialect))
        .collect()
}

fn target(dialect: Dialect) -> Target {
    let provider = Provider {
        name: "p".into(),
        url: "https://p.example/v1".to_owned(),
        key_env: Vec::new(),
        url_env: Vec::new(),
        auth: Auth::Bearer,
        speaks: [(dialect, String::new())].into(),
        ops: vec![Operation::Chat],
        headers: std::collections::BTreeMap::new(),
        patch: Vec::new(),
        ..Provider::default()
    };
    Target {
        id: "t".into(),
        provider: std::sync::Arc::new(provider),
        model: "m".into(),
        dialect,
        base: "https://p.example/v1".into(),
        login: None,
        credential: None,
        card: None,
        defaults: Vec::new(),
        headers: Vec::new(),
        drop_params: false,
    }
}

/// What LiteLLM drops without a word in 29 of 608 translations, and what stands beside it: nothing
/// of it may be lost on the way to any dialect that we have.
#[test]
fn nothing_is_lost_in_silence() {
    let png = "data:image/png;base64,iVBORw0KGgo=";
    let content = |part: Value| json!([{ "role": "user", "content": [part] }]);
    let mut cases: Vec<(&str, Value, Value)> = CHAT
        .iter()
        .filter(|sample| sample.name != "stream_options")
        .map(|sample| (sample.name, (sample.beside)(), (sample.value)()))
        .collect();
    let named = json!({ "type": "function", "function": { "name": "f" } });
    cases.extend([
        ("tool_choice", with_tools(), json!("none")),
        ("tool_choice", with_tools(), named),
        ("response_format", json!({}), json!({ "type": "json_object" })),
        ("reasoning_effort", json!({}), json!("high")),
        ("reasoning_effort", json!({}), json!("minimal")),
        ("web_search_options", json!({}), json!({ "search_context_size": "high" })),
        ("messages", json!({}), content(json!({ "type": "image_url", "image_url": { "url": png } }))),
        (
            "messages",
            json!({}),
            content(json!({ "type": "image_url", "image_url": { "url": "https://x.example/a.png" } })),
        ),
        (
            "messages",
            json!({}),
            content(json!({ "type": "input_audio", "input_audio": { "data": "UklGRg==", "format": "wav" } })),
        ),
        (
            "messages",
            json!({}),
            content(json!({ "type": "file", "file": { "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0=" } })),
        ),
        ("nobody_knows_this", json!({}), json!(1)),
    ]);
    for target in targets() {
        for (name, beside, value) in &cases {
            let fate = fate(Operation::Chat, &target, beside.clone(), name, value.clone());
            assert_ne!(fate, Fate::Lost, "{} {name}: {value}", target.dialect.name());
        }
    }
}

#[test]
fn what_anthropic_lacks_is_refused_and_what_does_not_matter_is_named() {
    let to = target(Dialect::Anthropic);
    let fate = |name: &str, value| fate(Operation::Chat, &to, with_tools(), name, value);
    assert_eq!(fate("response_format", json!({ "type": "json_object" })), Fate::Refused);
    assert_eq!(fate("tool_choice", json!("none")), Fate::Sent);
    assert_eq!(fate("prompt_cache_key", json!("k")), Fate::Named);
    assert_eq!(
        fate("stream_options", json!({ "include_usage": true })),
        Fate::Lost,
        "and needless"
    );
}

/// What is refused is left out and named where that is allowed, and then nothing is left of it.
#[test]
fn what_is_refused_can_be_dropped_and_is_named() {
    let mut seen = 0;
    for target in targets() {
        let lenient = Target { drop_params: true, ..target.clone() };
        for sample in CHAT {
            let beside = (sample.beside)();
            let value = (sample.value)();
            let fate = fate(Operation::Chat, &target, beside.clone(), sample.name, value.clone());
            if fate != Fate::Refused {
                continue;
            }
            seen += 1;
            let mut asking = fields(Operation::Chat, beside);
            asking.insert(sample.name.to_owned(), value);
            let (_, dropped) = call(Operation::Chat, &lenient, asking).unwrap();
            assert!(!dropped.is_empty(), "{} {}", target.dialect.name(), sample.name);
        }
    }
    assert!(seen > 0, "some dialect lacks something");
}

#[test]
fn an_openai_upstream_takes_everything_but_what_its_provider_drops() {
    let mut to = target(Dialect::Openai);
    assert_eq!(supported(Operation::Chat, &to).len(), CHAT.len());
    let mut provider = Provider::clone(&to.provider);
    provider.patch.push(Patch::Drop("seed".to_owned()));
    to.provider = std::sync::Arc::new(provider);
    let left = supported(Operation::Chat, &to);
    assert_eq!(left.len(), CHAT.len() - 1);
    assert!(!left.contains(&"seed"));
    assert_eq!(supported(Operation::Embeddings, &to).len(), EMBEDDINGS.len());
}

#[test]
fn anthropic_has_no_seed() {
    let left = supported(Operation::Chat, &target(Dialect::Anthropic));
    assert!(left.contains(&"temperature") && left.contains(&"tools") && left.contains(&"stop"));
    for lacking in ["seed", "n", "logprobs", "logit_bias", "prediction"] {
        assert!(!left.contains(&lacking), "{lacking}");
    }
}
