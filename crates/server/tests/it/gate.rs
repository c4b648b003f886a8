//! What all tests here share: the binary with an upstream behind it.

use serde_json::{Value, json};
use tollgate_testkit::{Answer, Builder, ScriptedUpstream, Tollgate, get, post};

use crate::postgres;

/// The seed page's file, word for word.
pub(crate) const SEED: &str = "\
model_list:
  - model_name: apertis-model
    litellm_params:
      model: apertis/model-name  # Replace with actual model name
      api_key: os.environ/STIMA_API_KEY
";

/// The upstream's key in all tests. It must never be seen by a client or in a log.
pub(crate) const UPSTREAM_KEY: &str = "sk-upstream-canary-7f3a";

/// The binary, not started, with an empty database: an SQLite file, or a PostgreSQL database of its
/// own where the run asks for that.
pub(crate) fn binary() -> Builder {
    let builder = on_sqlite();
    if !postgres::wanted() {
        return builder;
    }
    let server = postgres::server();
    let server = server.expect("TOLLGATE_TEST_DATABASE=postgres needs TOLLGATE_TEST_POSTGRES");
    let database = postgres::Database::create(server);
    builder.database(database.url()).keep(database)
}

/// The binary, not started, for tests that are about the SQLite file itself.
pub(crate) fn on_sqlite() -> Builder {
    Tollgate::binary(env!("CARGO_BIN_EXE_tollgate"))
}

/// The binary serving the seed page's file from `upstream`.
pub(crate) async fn seed(upstream: &str) -> Tollgate {
    binary()
        .config(SEED)
        .env("STIMA_API_KEY", UPSTREAM_KEY)
        .env("STIMA_API_BASE", upstream)
        .start()
        .await
}

/// The binary serving `group`s, each an openai model of that name at `upstream`, with prices.
pub(crate) async fn with_models(upstream: &str, names: &[&str]) -> Tollgate {
    binary().config(models(upstream, names)).start().await
}

/// A configuration with these models at `upstream`.
pub(crate) fn models(upstream: &str, names: &[&str]) -> String {
    let entries: String = names
        .iter()
        .map(|name| {
            format!(
                "  - model_name: {name}\n    litellm_params:\n      model: openai/{name}\n      \
                 api_base: {upstream}\n      api_key: {UPSTREAM_KEY}\n      \
                 input_cost_per_token: 0.000001\n      output_cost_per_token: 0.000002\n"
            )
        })
        .collect();
    format!("model_list:\n{entries}router_settings:\n  num_retries: 0\n")
}

/// A request for one word from `model`.
pub(crate) fn hello(model: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": "Say hello" }] })
}

/// The same, streamed.
pub(crate) fn hello_streamed(model: &str) -> Value {
    json!({ "model": model, "stream": true, "messages": [{ "role": "user", "content": "Say hello" }] })
}

/// Asks `/v1/chat/completions`.
pub(crate) async fn chat(gate: &Tollgate, key: &str, body: &Value) -> Answer {
    post(&format!("{}/v1/chat/completions", gate.url()), key, body).await
}

/// Makes a key.
pub(crate) async fn key(gate: &Tollgate, fields: Value) -> String {
    let made = admin(gate, "/key/generate", &fields).await;
    assert_eq!(made.status, 200, "{}", made.text());
    made.json()["key"].as_str().expect("a key").to_owned()
}

/// Posts to an administration path with the master key.
pub(crate) async fn admin(gate: &Tollgate, path: &str, body: &Value) -> Answer {
    post(&format!("{}{path}", gate.url()), gate.master_key(), body).await
}

/// Gets an administration path with the master key.
pub(crate) async fn look(gate: &Tollgate, path: &str) -> Answer {
    get(&format!("{}{path}", gate.url()), gate.master_key()).await
}

/// Asserts status and `error.code`, and that no secret shows.
pub(crate) fn assert_refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.json()["error"]["code"], code, "{}", answer.text());
    assert!(!answer.text().contains(UPSTREAM_KEY), "the upstream's key shows: {}", answer.text());
}

/// The usage rows once there are `count` of them.
pub(crate) async fn rows(gate: &Tollgate, query: &str, count: usize) -> Vec<Value> {
    let path = format!("/spend/logs/v2?page_size=1000&sort_order=asc&{query}");
    for _ in 0..200 {
        let found = look(gate, &path).await.json()["data"].as_array().cloned().unwrap_or_default();
        if found.len() >= count {
            return found;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("{count} rows did not come: {}", look(gate, &path).await.text());
}

/// A scripted upstream that wants [`UPSTREAM_KEY`] and knows `names`.
pub(crate) async fn upstream(names: &[&str]) -> ScriptedUpstream {
    let upstream = ScriptedUpstream::start().await;
    upstream.require_key(UPSTREAM_KEY);
    names.iter().for_each(|name| upstream.add_model(*name));
    upstream
}

/// The base URL with `/v1`.
pub(crate) fn base(upstream: &ScriptedUpstream) -> String {
    format!("{}/v1", upstream.url())
}
