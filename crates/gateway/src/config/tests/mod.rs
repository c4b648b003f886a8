//! Golden outcomes of the files in `fixtures/config`, and properties of any text.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may")]

mod golden;
mod pages;
mod properties;
mod resolve;

use std::sync::LazyLock;

use tollgate_router::HealthMap;
use tollgate_wire::catalogue::Catalogue;

use super::*;

/// The folder of the fixtures.
const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/config");

/// A catalogue of the tests' own, so that a new provider changes no snapshot.
static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
    Catalogue::default()
        .overlay(include_str!("catalogue.toml"))
        .unwrap()
        .overlay_models(include_str!("models.jsonl"))
        .unwrap()
});

fn env(name: &str) -> Option<String> {
    let value = match name {
        "STIMA_API_KEY" => "stima-secret-from-env",
        "OPENAI_API_KEY" => "openai-secret-from-env",
        "ANTHROPIC_API_KEY" => "anthropic-secret-from-env",
        "GROQ_API_KEY" => "groq-secret-from-env",
        "LITELLM_MASTER_KEY" => "sk-0123456789abcdef0123456789abcdef",
        "DATABASE_URL" => "postgres://tollgate:db-secret-from-env@db/tollgate",
        "REDIS_HOST" => "redis",
        "A_NUMBER" => "12",
        "A_SWITCH" => "True",
        "EMPTY" => "",
        _ => return None,
    };
    Some(value.to_owned())
}

/// The built-in providers, without models.
static PLACES: LazyLock<Catalogue> = LazyLock::new(|| {
    let text = include_str!("../../../../../catalog/providers.toml");
    Catalogue::default().overlay(text).unwrap()
});

fn load_with(file: &str, text: &str, strictness: Strictness) -> Outcome {
    load_from(&CATALOGUE, file, text, strictness)
}

fn load_from(catalogue: &Catalogue, file: &str, text: &str, strictness: Strictness) -> Outcome {
    load(&Input {
        file,
        text,
        env: &env,
        read: &|name| std::fs::read_to_string(format!("{FIXTURES}/{name}")),
        catalogue,
        health: &HealthMap::default(),
        strictness,
    })
}

/// A text that must be fine.
#[track_caller]
fn config(text: &str) -> Config {
    let outcome = load_with("config.yaml", text, Strictness::Strict);
    assert_eq!(render(&outcome, false), "");
    outcome.config.unwrap()
}

/// The messages of a text's problems.
fn messages(text: &str) -> Vec<String> {
    let outcome = load_with("config.yaml", text, Strictness::Strict);
    outcome.problems.iter().map(ToString::to_string).collect()
}
