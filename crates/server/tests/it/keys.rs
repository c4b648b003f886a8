//! Section D: keys.

use serde_json::{Value, json};
use tollgate_testkit::{Tollgate, get};

use crate::gate::{
    admin, assert_refused, base, binary, chat, hello, key, look, models, upstream, with_models,
};

#[tokio::test]
async fn a_key_lives_from_generate_to_delete() {
    let upstream = upstream(&["gpt-4o"]).await;
    let gate = with_models(&base(&upstream), &["gpt-4o"]).await;
    let fields = json!({
        "key_alias": "team-a", "models": ["gpt-4o"], "duration": "30d", "max_budget": 10.5,
        "budget_duration": "30d", "rpm_limit": 100, "tpm_limit": 100000, "max_parallel_requests": 5,
        "metadata": { "team": "a" }, "tags": ["x"], "user_id": "u1", "team_id": "t1",
    });
    let made = admin(&gate, "/key/generate", &fields).await.json();
    for (name, value) in fields.as_object().unwrap() {
        if name != "duration" {
            assert_eq!(&made[name], value, "{name}");
        }
    }
    let key = made["key"].as_str().unwrap().to_owned();
    assert!(key.starts_with("sk-") && key.len() >= 25, "{key}");
    assert_eq!(made["key_name"], format!("sk-...{}", &key[key.len() - 4..]));
    assert!(made["expires"].as_str().unwrap().ends_with('Z'));

    let info = look(&gate, &format!("/key/info?key={key}")).await.json();
    assert_eq!(info["key"], made["token"]);
    assert_eq!(info["info"]["key_alias"], "team-a");
    assert_eq!(info["info"]["status"], "active");
    assert!(info["info"].get("token").is_none());
    // The owner may look at it without naming it; at another, not.
    let own = get(&format!("{}/key/info", gate.url()), &key).await;
    assert_eq!(own.json()["info"]["key_alias"], "team-a");
    let other = get(&format!("{}/key/info?key=sk-somebody-else", gate.url()), &key).await;
    assert_refused(&other, 403, "admin_only");

    let updated =
        admin(&gate, "/key/update", &json!({ "key": key, "rpm_limit": 7, "key_alias": null }))
            .await
            .json();
    assert_eq!((&updated["rpm_limit"], &updated["key_alias"]), (&json!(7), &Value::Null));
    assert_eq!(updated["tpm_limit"], 100_000);

    let list = look(&gate, "/key/list?return_full_object=true").await.json();
    assert_eq!(list["total_count"], 1);
    assert_eq!(list["keys"][0]["rpm_limit"], 7);

    let again = admin(&gate, &format!("/key/{key}/regenerate"), &json!({})).await.json();
    let renewed = again["key"].as_str().unwrap().to_owned();
    assert_ne!(renewed, key);
    assert_refused(&chat(&gate, &key, &hello("gpt-4o")).await, 401, "invalid_api_key");
    assert_eq!(chat(&gate, &renewed, &hello("gpt-4o")).await.status, 200);

    let deleted = admin(&gate, "/key/delete", &json!({ "keys": [renewed] })).await.json();
    assert_eq!(deleted["deleted_keys"].as_array().unwrap().len(), 1);
    assert_refused(&chat(&gate, &renewed, &hello("gpt-4o")).await, 401, "invalid_api_key");
    let gone = admin(&gate, "/key/delete", &json!({ "keys": [renewed] })).await;
    assert_refused(&gone, 404, "not_found");
}

#[tokio::test]
async fn only_the_master_key_administers() {
    let upstream = upstream(&["gpt-4o"]).await;
    let gate = with_models(&base(&upstream), &["gpt-4o"]).await;
    let key = key(&gate, json!({})).await;
    for path in [
        "/key/generate",
        "/key/update",
        "/key/delete",
        "/key/block",
        "/key/unblock",
        "/key/regenerate",
    ] {
        let url = format!("{}{path}", gate.url());
        let answer = tollgate_testkit::post(&url, &key, &json!({ "key": key })).await;
        assert_refused(&answer, 403, "admin_only");
        let answer = tollgate_testkit::post(&url, "", &json!({})).await;
        assert_refused(&answer, 401, "invalid_api_key");
    }
    for path in ["/key/list", "/health", "/metrics"] {
        assert_refused(&get(&format!("{}{path}", gate.url()), &key).await, 403, "admin_only");
    }
    // A key's hash is no credential.
    let hash = look(&gate, "/key/list").await.json()["keys"][0].as_str().unwrap().to_owned();
    assert_refused(&chat(&gate, &hash, &hello("gpt-4o")).await, 401, "invalid_api_key");
}

#[tokio::test]
async fn what_would_not_be_enforced_is_refused() {
    let upstream = upstream(&["gpt-4o"]).await;
    let gate = with_models(&base(&upstream), &["gpt-4o"]).await;
    for (name, value) in [
        ("guardrails", json!(["pii"])),
        ("model_max_budget", json!({ "gpt-4o": { "budget_limit": 1 } })),
        ("allowed_routes", json!(["/chat/completions"])),
    ] {
        let answer = admin(&gate, "/key/generate", &json!({ name: value })).await;
        assert_refused(&answer, 400, "unsupported_parameter");
        assert_eq!(answer.json()["error"]["param"], name);
    }
    // Empty, they restrict nothing; what only describes is stored and returned.
    let made =
        admin(&gate, "/key/generate", &json!({ "guardrails": [], "project_id": "p1" })).await;
    assert_eq!(made.json()["project_id"], "p1", "{}", made.text());
    for fields in [
        json!({ "max_budget": -1 }),
        json!({ "max_budget": "much" }),
        json!({ "rpm_limit": 1.5 }),
        json!({ "duration": "soon" }),
        json!({ "models": "gpt-4o" }),
        json!({ "key": "short" }),
        json!({ "no_such_field": 1 }),
    ] {
        let answer = admin(&gate, "/key/generate", &fields).await;
        assert_refused(&answer, 400, "invalid_request");
    }
}

#[tokio::test]
async fn litellms_hashes_can_be_imported() {
    let upstream = upstream(&["gpt-4o"]).await;
    let gate = with_models(&base(&upstream), &["gpt-4o"]).await;
    // hashlib.sha256(b"sk-imported-from-litellm").hexdigest()
    let hash = "7b75a7e07bf8d38caf2ac102c9842291e57f06c79630ccf443c14b38bb3f12a7";
    let file = gate.dir().join("keys.jsonl");
    let lines = format!(
        "{{\"token\": \"{hash}\", \"key_alias\": \"old\", \"spend\": 1.25}}\n{{\"key\": \"sk-imported-as-it-is-1\"}}\n"
    );
    std::fs::write(&file, lines).unwrap();
    let done = std::process::Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(["keys", "import", file.to_str().unwrap(), "--database", &gate.database_url()])
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(chat(&gate, "sk-imported-as-it-is-1", &hello("gpt-4o")).await.status, 200);
    let info = look(&gate, &format!("/key/info?key={hash}")).await.json();
    assert_eq!(info["info"]["spend"], 1.25);
    assert_eq!(info["info"]["key_alias"], "old");
}

#[tokio::test]
async fn the_first_start_makes_a_master_key_and_keeps_it_hashed() {
    let upstream = upstream(&["gpt-4o"]).await;
    let gate = binary().config(models(&base(&upstream), &["gpt-4o"])).no_master_key().start().await;
    let stdout = gate.stdout();
    let line = stdout.lines().find(|line| line.starts_with("master key")).expect("it is shown");
    let key = line.split_whitespace().last().unwrap().to_owned();
    assert!(key.starts_with("sk-") && key.len() > 25);
    assert_eq!(chat(&gate, &key, &hello("gpt-4o")).await.status, 200);
    let gate = gate.start_again().await;
    assert!(!gate.stdout().contains("master key"), "shown a second time");
    assert_eq!(chat(&gate, &key, &hello("gpt-4o")).await.status, 200);
    for entry in std::fs::read_dir(gate.dir()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            let found = bytes.windows(key.len()).any(|window| window == key.as_bytes());
            assert!(!found, "the key itself is in {}", path.display());
        }
    }
}

#[tokio::test]
async fn a_public_address_without_a_master_key_is_refused() {
    for (key, word) in [(None, "no master key"), (Some("sk-1234"), "weak")] {
        let mut builder =
            binary().config("model_list: []\n").no_master_key().arg("--host").arg("0.0.0.0");
        if let Some(key) = key {
            builder = builder.master_key(key);
        }
        let (status, _, stderr) = builder.run_to_end();
        assert!(!status.success());
        assert!(stderr.contains(word), "{stderr}");
    }
}

/// `tollgate keys …` with the gateway's address and a key in its environment.
fn keys(gate: &Tollgate, key: &str, args: &[&str]) -> std::process::Output {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command.arg("keys").args(args).env_clear();
    command.env("TOLLGATE_URL", gate.url()).env("TOLLGATE_API_KEY", key);
    command.output().unwrap()
}

fn said(output: &std::process::Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[tokio::test]
async fn keys_are_managed_in_the_terminal() {
    let upstream = upstream(&["gpt-4o"]).await;
    let gate = with_models(&base(&upstream), &["gpt-4o"]).await;
    let master = gate.master_key().to_owned();
    let limits = [
        "generate",
        "--key-alias",
        "ci & co",
        "--models",
        "gpt-4o,gpt-5",
        "--max-budget",
        "2.5",
        "--budget-duration",
        "30d",
        "--rpm-limit",
        "7",
        "--duration",
        "7d",
        "--tags",
        "a,b",
        "--metadata",
        r#"{"who":"ci"}"#,
        "--set",
        "tpm_limit=900",
    ];
    let made = keys(&gate, &master, &limits);
    let key = said(&made).trim().to_owned();
    assert!(key.starts_with("sk-") && !key.contains(char::is_whitespace), "{key}");
    assert_eq!(chat(&gate, &key, &hello("gpt-4o")).await.status, 200);

    let info = said(&keys(&gate, &master, &["info", &key]));
    for line in ["key_alias ", "ci & co", "$2.50", "rpm_limit ", "900", r#"["gpt-4o","gpt-5"]"#] {
        assert!(info.contains(line), "{line}: {info}");
    }
    assert!(!info.contains(&key), "a key is shown once");
    let own: Value = serde_json::from_str(&said(&keys(&gate, &key, &["info", "--json"]))).unwrap();
    assert_eq!(own["info"]["tags"], json!(["a", "b"]));
    let hash = own["key"].as_str().unwrap().to_owned();

    let list = said(&keys(&gate, &master, &["list", "--key-alias", "ci & co"]));
    let row = list.lines().nth(1).unwrap();
    assert!(row.starts_with("ci & co") && row.contains(&hash[..12]), "{list}");
    assert!(row.contains("$2.50") && row.ends_with("active"), "{list}");
    assert_eq!(said(&keys(&gate, &master, &["list", "--user-id", "nobody"])).lines().count(), 1);
    let json = said(&keys(&gate, &master, &["list", "--json"]));
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["total_count"], 1);

    // Only the master key may; and what is wrong is said.
    let refused = keys(&gate, &key, &["list"]);
    assert_eq!(refused.status.code(), Some(1));
    let wrong = keys(&gate, &master, &["generate", "--set", "allowed_routes=[\"/x\"]"]);
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("allowed_routes"), "{wrong:?}");
    assert_eq!(keys(&gate, &master, &["delete"]).status.code(), Some(2));

    let other = keys(&gate, &master, &["generate", "--key-alias", "b", "--json"]);
    let other: Value = serde_json::from_str(&said(&other)).unwrap();
    let gone = keys(&gate, &master, &["delete", &key, "--key-alias", "b"]);
    assert_eq!(said(&gone).lines().count(), 2, "{}", said(&gone));
    for key in [&*key, other["key"].as_str().unwrap()] {
        assert_refused(&chat(&gate, key, &hello("gpt-4o")).await, 401, "invalid_api_key");
    }
}
