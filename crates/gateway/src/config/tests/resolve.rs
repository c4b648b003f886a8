//! What single settings come to.

use std::collections::BTreeSet;

use tollgate_wire::Dialect;

use super::*;
use crate::config::{keys, section::asked};

const ONE: &str = "model_list: [{model_name: a, litellm_params: {model: openai/gpt-4o}}]\n";

fn no_file(_: &str) -> std::io::Result<String> {
    Err(std::io::ErrorKind::NotFound.into())
}

/// The table of keys must not promise what no code reads.
#[test]
fn every_exact_key_is_read_by_code() {
    asked::take();
    let text = std::fs::read_to_string(format!("{FIXTURES}/load-balancing.yaml")).unwrap();
    load_with("load-balancing.yaml", &text, Strictness::Strict);
    let text = std::fs::read_to_string(format!("{FIXTURES}/credentials.yaml")).unwrap();
    load_with("credentials.yaml", &text, Strictness::Strict);
    let text = std::fs::read_to_string(format!("{FIXTURES}/places.yaml")).unwrap();
    load_from(&PLACES, "places.yaml", &text, Strictness::Strict);
    let asked = asked::take();
    let mut unread = BTreeSet::new();
    for section in [
        "model_list",
        "litellm_params",
        "model_info",
        "router_settings",
        "litellm_settings",
        "general_settings",
        "tollgate",
        "credential_list",
    ] {
        for key in keys::read_by_code(section) {
            if !asked.contains(&(section.to_owned(), key.to_owned())) {
                unread.insert((section, key));
            }
        }
    }
    assert!(unread.is_empty(), "{unread:?}");
}

#[test]
fn nothing_but_the_environment() {
    let outcome = from_env(&env, &no_file, &CATALOGUE, &HealthMap::default());
    assert_eq!(render(&outcome, false), "");
    let config = outcome.config.unwrap();
    let names: Vec<_> = config.table.names().collect();
    assert_eq!(names, ["anthropic/*", "apertis/*", "groq/*", "openai/*"]);
    let found = config.table.group("apertis/some/model").unwrap();
    let member = &found.group.members[0];
    assert_eq!(&*member.target.model, "some/model");
    assert_eq!(&*member.target.base, "https://api.stima.tech/v1");
    assert_eq!(member.target.credential.as_ref().unwrap().expose(), "stima-secret-from-env");
    let known = config.table.group("openai/gpt-4o").unwrap();
    assert!(known.group.members[0].target.card.as_ref().unwrap().rates.is_some());
    assert!(config.general.master_key.is_some());

    let outcome = from_env(&|_| None, &no_file, &CATALOGUE, &HealthMap::default());
    assert!(outcome.config.unwrap().models.is_empty());
    assert!(outcome.problems.is_empty());
}

#[test]
fn a_wildcard_for_everything_becomes_any_provider() {
    let config = config("model_list: [{model_name: '*', litellm_params: {model: '*'}}]");
    let member = |model: &str| config.table.group(model).map(|f| f.group.members[0].clone());
    let both = member("apertis/x").unwrap();
    assert_eq!((both.target.dialect, both.also.len()), (Dialect::Openai, 1));
    assert_eq!(both.also[0].dialect, Dialect::Anthropic);
    assert_eq!(&*both.target.base, "https://api.stima.tech/v1");
    let anthropic = member("anthropic/claude-sonnet-4-5").unwrap();
    assert_eq!((anthropic.target.dialect, anthropic.also.len()), (Dialect::Anthropic, 0));
    assert_eq!(&*anthropic.target.model, "claude-sonnet-4-5");
    assert!(anthropic.target.card.is_some());
    assert_eq!(&*member("gpt-4o").unwrap().target.provider.name, "openai");
    assert!(member("keyless/x").is_none(), "its key is not set");
    assert!(member("free/x").is_some(), "it needs none");
    assert!(member("nobody/x").is_none());
    assert!(member("unknown-model").is_none());
}

#[test]
fn bases_come_from_the_nearest_place() {
    let base = |params: &str| {
        let text = format!("model_list: [{{model_name: a, litellm_params: {{{params}}}}}]");
        config(&text).models[0].base.to_string()
    };
    assert_eq!(base("model: openai/x"), "https://api.openai.com/v1");
    assert_eq!(base("model: openai/x, api_base: 'http://h:1/v1/'"), "http://h:1/v1");
    assert_eq!(base("model: openai/x, base_url: 'http://h/v1'"), "http://h/v1");
    assert_eq!(base("model: openai/x, api_base: 'http://h/v1/chat/completions'"), "http://h/v1");
    assert_eq!(base("model: anthropic/x, api_base: 'https://h'"), "https://h/v1");
    assert_eq!(base("model: anthropic/x, api_base: 'https://h/v1/messages'"), "https://h/v1");
    assert_eq!(base("model: cohere/x, api_key: k"), "https://api.cohere.com/v2");
    assert_eq!(base("model: cohere/x, api_base: 'http://h/v2/chat'"), "http://h/v2");
    assert_eq!(base("model: cohere/x, api_base: 'http://h'"), "http://h/v2");
    // Ollama is on this machine, and needs no key there.
    assert_eq!(base("model: ollama_chat/x"), "http://localhost:11434");
    assert_eq!(base("model: ollama_chat/x, api_base: 'http://h:1/api/chat'"), "http://h:1");
    let outcome = load(&Input {
        file: "c",
        text: ONE,
        env: &|name| match name {
            "OPENAI_BASE_URL" => Some("http://env/v1/".to_owned()),
            name => env(name),
        },
        read: &|_| Err(std::io::ErrorKind::NotFound.into()),
        catalogue: &CATALOGUE,
        health: &HealthMap::default(),
        strictness: Strictness::Strict,
    });
    assert_eq!(&*outcome.config.unwrap().models[0].base, "http://env/v1");
}

#[test]
fn ids_depend_on_settings_alone() {
    let id = |params: &str| {
        let text = format!("model_list: [{{model_name: a, litellm_params: {{{params}}}}}]");
        config(&text).models[0].id.to_string()
    };
    let plain = id("model: openai/gpt-4o, rpm: 5");
    assert_eq!(plain.len(), 32);
    assert_eq!(plain, id("rpm: 5, model: openai/gpt-4o"));
    assert_ne!(plain, id("model: openai/gpt-4o, rpm: 6"));
    assert_ne!(plain, id("model: openai/gpt-4o, rpm: 5, api_key: x"));
}

#[test]
fn time_limits_come_from_the_nearest_place() {
    let timeouts = |params: &str, rest: &str| {
        let text = format!(
            "model_list: [{{model_name: a, litellm_params: {{model: openai/x{params}}}}}]\n{rest}"
        );
        let config = config(&text);
        let t = config.table.group("a").unwrap().group.members[0].timeouts;
        (t.first_byte_ms, t.idle_ms, t.total_ms)
    };
    assert_eq!(timeouts("", ""), (600_000, 300_000, 6_000_000));
    assert_eq!(
        timeouts("", "litellm_settings: {request_timeout: 10}"),
        (10_000, 10_000, 6_000_000)
    );
    assert_eq!(
        timeouts("", "litellm_settings: {request_timeout: 10}\nrouter_settings: {timeout: 20}"),
        (20_000, 20_000, 6_000_000)
    );
    assert_eq!(
        timeouts(", timeout: 5", "router_settings: {timeout: 20}"),
        (5_000, 5_000, 6_000_000)
    );
    assert_eq!(
        timeouts(", timeout: 5, stream_timeout: 1", "router_settings: {timeout: 20}"),
        (5_000, 1_000, 6_000_000)
    );
    assert_eq!(
        timeouts(", timeout: 5", "router_settings: {stream_timeout: 2}"),
        (5_000, 2_000, 6_000_000)
    );
    assert_eq!(timeouts("", "tollgate: {total_timeout: 30}").2, 600_000);
    assert_eq!(timeouts(", timeout: os.environ/A_NUMBER", "").0, 12_000);
}

#[test]
fn the_environment_gives_booleans_and_numbers() {
    let text = format!(
        "{ONE}litellm_settings: {{drop_params: os.environ/A_SWITCH, num_retries: os.environ/A_NUMBER}}"
    );
    let outcome = load_with("c", &text, Strictness::Strict);
    let config = outcome.config.unwrap();
    assert!(config.table.group("a").unwrap().group.members[0].target.drop_params);
    // Twelve is more than is ever made.
    assert_eq!(config.table.policy.num_retries, 10);
    assert_eq!(outcome.problems.len(), 1);
}

#[test]
fn master_keys_are_judged() {
    let with = |key: &str| format!("{ONE}general_settings: {{master_key: {key}}}");
    assert_eq!(
        messages(&with("hello")),
        ["the master key must begin with `sk-` (general_settings.master_key, config.yaml, line 2)"]
    );
    for weak in ["sk-1234", "sk-aaaaaaaaaaaaaaaaaaaaaaaa"] {
        let outcome = load_with("c", &with(weak), Strictness::Strict);
        assert_eq!(outcome.problems.len(), 1, "{weak}");
        assert_eq!(outcome.problems[0].severity, Severity::Warning);
        assert!(!outcome.problems[0].source.contains("1234"), "{}", outcome.problems[0].source);
        assert!(outcome.config.unwrap().general.master_key_is_weak);
    }
    let permitted = with("sk-1234, dangerously_permit_weak_or_unset_master_key: true");
    assert!(config(&permitted).general.weak_master_key_permitted);
    let ours = load(&Input {
        file: "c",
        text: ONE,
        env: &|name| match name {
            "TOLLGATE_MASTER_KEY" => Some("sk-ours-0123456789abcdef".to_owned()),
            name => env(name),
        },
        read: &|_| Err(std::io::ErrorKind::NotFound.into()),
        catalogue: &CATALOGUE,
        health: &HealthMap::default(),
        strictness: Strictness::Strict,
    });
    let key = ours.config.unwrap().general.master_key.unwrap();
    assert_eq!(key.expose(), "sk-ours-0123456789abcdef");
}

#[test]
fn a_missing_variable_is_named_with_its_line() {
    let text = std::fs::read_to_string(format!("{FIXTURES}/seed.yaml")).unwrap();
    let outcome = load(&Input {
        file: "config.yaml",
        text: &text,
        env: &|_| None,
        read: &|_| Err(std::io::ErrorKind::NotFound.into()),
        catalogue: &CATALOGUE,
        health: &HealthMap::default(),
        strictness: Strictness::Strict,
    });
    let messages: Vec<_> = outcome.problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        messages,
        [
            "environment variable `STIMA_API_KEY` is not set (model_list[0].litellm_params.api_key, config.yaml, line 5)"
        ]
    );
}

#[test]
fn an_unreadable_price_list_is_never_free() {
    let price = |params: &str| {
        let text = format!(
            "model_list: [{{model_name: a, litellm_params: {{model: groq/unknown{params}}}}}]"
        );
        let outcome = load_with("c", &text, Strictness::Strict);
        let warnings = outcome.problems.len();
        let card = outcome.config.unwrap().models[0].card.clone();
        (card.and_then(|card| card.rates.clone()), warnings)
    };
    assert_eq!(price(""), (None, 0));
    let (rates, warnings) = price(", input_cost_per_token: 0.0000025");
    let rates = rates.unwrap();
    assert_eq!((rates.input, rates.output, warnings), (2_500_000_000, 0, 1));
    let (rates, warnings) = price(", input_cost_per_token: 1e-6, output_cost_per_token: 0");
    assert_eq!((rates.unwrap().input, warnings), (1_000_000_000, 0));
}

#[test]
fn the_health_of_a_target_outlives_a_reload() {
    let health = HealthMap::default();
    let load = || {
        let outcome = load(&Input {
            file: "c",
            text: ONE,
            env: &env,
            read: &|_| Err(std::io::ErrorKind::NotFound.into()),
            catalogue: &CATALOGUE,
            health: &health,
            strictness: Strictness::Strict,
        });
        outcome.config.unwrap().table.group("a").unwrap().group.members[0].health.clone()
    };
    assert!(Arc::ptr_eq(&load(), &load()));
}
