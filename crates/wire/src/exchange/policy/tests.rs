use serde_json::{Value, json};

use super::*;
use crate::{Auth, Provider, exchange::exchange_for};

fn target(dialect: Dialect, patch: Vec<Patch>) -> Target {
    let provider = Provider {
        name: "p".into(),
        url: "https://p.example/v1".to_owned(),
        key_env: Vec::new(),
        url_env: Vec::new(),
        auth: Auth::Bearer,
        speaks: [(dialect, String::new())].into(),
        ops: vec![Operation::Chat],
        headers: std::collections::BTreeMap::new(),
        patch,
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

/// What an OpenAI client's request with these members becomes, and what was dropped of it.
fn sent(to: &Target, members: Value) -> Result<(Value, Vec<String>), String> {
    let mut body = json!({ "model": "m", "messages": [{ "role": "user", "content": "x" }] });
    let fields = body.as_object_mut().unwrap();
    fields.extend(members.as_object().unwrap().clone());
    let body = Bytes::from(body.to_string());
    let peek = peek(Dialect::Openai, Operation::Chat, &body).map_err(|why| why.message)?;
    let payload = Payload { body, peek, headers: Vec::new(), received_s: 0 };
    let mut exchange = exchange_for(Operation::Chat, Dialect::Openai, to, "m", &payload);
    let call = exchange.call(&payload, to).map_err(|why| why.to_string())?;
    let sent = serde_json::from_slice(&call.body.concat()).unwrap();
    Ok((sent, exchange.dropped().to_vec()))
}

fn drop(path: &str) -> Patch {
    Patch::Drop(path.to_owned())
}

fn allow(name: &str) -> Patch {
    Patch::Allow(name.to_owned())
}

fn strict_tool() -> Value {
    json!([
        { "type": "function", "function": { "name": "f", "strict": true, "parameters": { "type": "object" } } },
        { "type": "function", "function": { "name": "g", "strict": false } },
    ])
}

#[test]
fn what_is_dropped_is_gone_and_named_in_relay_and_bridge() {
    for dialect in [Dialect::Openai, Dialect::Anthropic] {
        let to = target(dialect, vec![drop("stop")]);
        let (body, dropped) = sent(&to, json!({ "stop": ["x"], "temperature": 0.5 })).unwrap();
        assert!(!body.to_string().contains("stop"), "{body}");
        assert_eq!(body["temperature"], 0.5);
        assert_eq!(dropped, ["stop"]);
        let (_, dropped) = sent(&to, json!({ "temperature": 0.5 })).unwrap();
        assert!(dropped.is_empty(), "nothing was there to drop");

        let to = target(dialect, Vec::new());
        let asking = json!({ "stop": ["x"], "additional_drop_params": ["stop", "seed"] });
        let (body, dropped) = sent(&to, asking).unwrap();
        assert!(!body.to_string().contains("stop"), "{body}");
        assert_eq!(dropped, ["stop"]);
    }
}

#[test]
fn a_path_leads_into_a_parameter() {
    let to = target(Dialect::Openai, vec![drop("tools[*].function.strict")]);
    let (body, dropped) = sent(&to, json!({ "tools": strict_tool(), "seed": 1.50 })).unwrap();
    assert_eq!(dropped, ["tools[*].function.strict"]);
    assert_eq!(
        body["tools"],
        json!([
            { "type": "function", "function": { "name": "f", "parameters": { "type": "object" } } },
            { "type": "function", "function": { "name": "g" } },
        ])
    );
    for (path, left) in [("tools[0]", 1), ("tools[*]", 0), ("tools[7]", 2), ("tools.x", 2)] {
        let asking = json!({ "tools": strict_tool(), "additional_drop_params": [path] });
        let (body, dropped) = sent(&target(Dialect::Openai, Vec::new()), asking).unwrap();
        assert_eq!(body["tools"].as_array().unwrap().len(), left, "{path}");
        assert_eq!(dropped.is_empty(), left == 2, "{path}");
    }
    let to = target(Dialect::Anthropic, vec![drop("tools[0].function.strict")]);
    let (body, _) = sent(&to, json!({ "tools": strict_tool() })).unwrap();
    assert!(body["tools"][0].get("strict").is_none(), "{body}");
}

#[test]
fn what_cannot_be_dropped_is_said() {
    let to = target(Dialect::Openai, Vec::new());
    for path in ["model", "messages", "stream", "", "a..b", "a[", "a[x]", ".a"] {
        let why = sent(&to, json!({ "additional_drop_params": [path] })).unwrap_err();
        assert!(why.contains("drop") || why.contains("path"), "{path}: {why}");
    }
    assert!(sent(&to, json!({ "additional_drop_params": "seed" })).is_err());
    assert!(sent(&to, json!({ "drop_params": "yes" })).is_err());
}

/// A place that has the model in its path drops it from the body: what was asked stays whole.
#[test]
fn what_a_provider_has_elsewhere_is_only_dropped_of_what_is_sent() {
    let to = target(Dialect::Openai, vec![drop("model"), drop("stream")]);
    let (body, dropped) = sent(&to, json!({ "stream": true })).unwrap();
    assert_eq!((body.get("model"), body.get("stream")), (None, None));
    assert!(body.get("messages").is_some() && dropped.is_empty());
}

#[test]
fn the_request_decides_about_drop_params() {
    let strict = target(Dialect::Anthropic, Vec::new());
    let lenient = Target { drop_params: true, ..strict.clone() };
    assert!(sent(&strict, json!({ "seed": 1 })).is_err());
    let (body, dropped) = sent(&strict, json!({ "seed": 1, "drop_params": true })).unwrap();
    assert_eq!((body.get("seed"), body.get("drop_params")), (None, None));
    assert_eq!(dropped, ["seed"]);
    assert_eq!(sent(&lenient, json!({ "seed": 1 })).unwrap().1, ["seed"]);
    assert!(sent(&lenient, json!({ "seed": 1, "drop_params": false })).is_err());
    assert_eq!(sent(&lenient, json!({ "seed": 1, "drop_params": null })).unwrap().1, ["seed"]);
}

#[test]
fn what_is_allowed_is_sent_as_it_is() {
    let members = json!({ "seed": 7, "verbosity": "low", "store": true });
    let to = target(Dialect::Anthropic, vec![allow("seed"), allow("verbosity"), allow("tools")]);
    let (body, dropped) = sent(&to, members.clone()).unwrap();
    assert_eq!((&body["seed"], &body["verbosity"]), (&json!(7), &json!("low")));
    assert_eq!(dropped, ["store"]);
    // What has a translation is translated all the same.
    let (body, _) = sent(&to, json!({ "tools": strict_tool() })).unwrap();
    assert_eq!(body["tools"][0]["name"], "f");

    let lenient = Target { drop_params: true, ..target(Dialect::Anthropic, Vec::new()) };
    let mut asking = members;
    asking["allowed_openai_params"] = json!(["seed", "store"]);
    let (body, dropped) = sent(&lenient, asking).unwrap();
    assert_eq!((&body["seed"], &body["store"]), (&json!(7), &json!(true)));
    assert_eq!(dropped, ["verbosity"]);
    assert!(body.get("allowed_openai_params").is_none());
}

/// A provider's rules about parameters cost a request without them nothing: its bytes pass.
#[test]
fn a_request_without_what_is_dropped_passes_as_it_is() {
    let to = target(
        Dialect::Openai,
        vec![drop("user"), drop("tools[*].function.strict"), allow("top_k")],
    );
    let call = |body: &'static str| {
        let body = Bytes::from_static(body.as_bytes());
        let peek = peek(Dialect::Openai, Operation::Chat, &body).unwrap();
        let payload = Payload { body, peek, headers: Vec::new(), received_s: 0 };
        let needed = is_needed(&payload, &to);
        let mut exchange = exchange_for(Operation::Chat, Dialect::Openai, &to, "m", &payload);
        (needed, payload.body.clone(), exchange.call(&payload, &to).unwrap().body)
    };
    // A name within a text or deeper down is no parameter.
    let plain = r#"{"model":"m", "messages":[{"role":"user","content":"\"user\":1"}], "n":1}"#;
    let (needed, body, sent) = call(plain);
    assert!(!needed);
    assert_eq!((sent.len(), sent[0].as_ptr()), (1, body.as_ptr()), "copied");
    assert_eq!(sent[0], body);
    for other in [
        r#"{"model":"m","messages":[],"user":"u"}"#,
        r#"{"model":"m","messages":[],"us\u0065r":"u"}"#,
        r#"{"model":"m","messages":[],"tools":[]}"#,
        r#"{"model":"m","messages":[],"top_k":1}"#,
        r#"{"model":"m","messages":[],"drop_params":true}"#,
    ] {
        assert!(call(other).0, "{other}");
    }
}

#[test]
fn a_request_stays_its_tenants_whatever_is_dropped() {
    use crate::{exchange::seal::Tenant, peek::peek_named};
    let to = target(Dialect::Responses, Vec::new());
    let tenant = Tenant::new(b"secret", "a");
    let asked = |previous: &str, named: bool| {
        let model = if named { "" } else { "\"model\":\"m\"," };
        let body = format!(
            r#"{{{model}"input":"x","temperature":1,"additional_drop_params":["temperature"],"previous_response_id":"{previous}"}}"#
        );
        let body = Bytes::from(body);
        let read = if named { peek_named } else { peek };
        let mut peek = read(Dialect::Responses, Operation::Chat, &body).unwrap();
        peek.model = "m".to_owned();
        peek.tenant = Some(tenant.clone());
        let payload = Payload { body, peek, headers: Vec::new(), received_s: 0 };
        let mut exchange = exchange_for(Operation::Chat, Dialect::Responses, &to, "m", &payload);
        let call = exchange.call(&payload, &to)?;
        Ok::<Value, CannotAsk>(serde_json::from_slice(&call.body.concat()).unwrap())
    };
    let sealed = tenant.seal(tenant.place(&to), "resp_1");
    for named in [false, true] {
        let own = json!({ "model": "m", "input": "x", "previous_response_id": "resp_1" });
        assert_eq!(asked(&sealed, named), Ok(own));
        // The provider's own id is nobody's.
        assert!(matches!(asked("resp_1", named), Err(CannotAsk::Malformed(_))));
    }
}
