//! Starting, reloading, draining: F38, F39, F43, F44.

use std::time::{Duration, Instant};

use tollgate_testkit::{Reply, get, open};

use crate::gate::{
    UPSTREAM_KEY, admin, base, binary, chat, hello, hello_streamed, look, models, upstream,
    with_models,
};

#[tokio::test]
async fn f43_a_reload_serves_the_new_file_and_keeps_the_old_on_a_mistake() {
    let upstream = upstream(&["gpt-4o", "gpt-4o-mini"]).await;
    let gate = with_models(&base(&upstream), &["gpt-4o"]).await;
    let served =
        async |model: &str| chat(&gate, gate.master_key(), &hello(model)).await.status.as_u16();
    assert_eq!((served("gpt-4o").await, served("gpt-4o-mini").await), (200, 404));

    // By a changed file.
    std::fs::write(gate.config_path(), models(&base(&upstream), &["gpt-4o-mini"])).unwrap();
    wait_for(async || served("gpt-4o-mini").await == 200).await;
    assert_eq!(served("gpt-4o").await, 404);

    // A broken file changes nothing, and says so.
    std::fs::write(gate.config_path(), "model_list:\n  - model_name: [\n").unwrap();
    wait_for(async || look(&gate, "/metrics").await.text().contains("tollgate_config_ok 0")).await;
    assert_eq!(served("gpt-4o-mini").await, 200);
    assert!(gate.stderr().contains("config.yaml"), "{}", gate.stderr());

    // By SIGHUP.
    std::fs::write(gate.config_path(), models(&base(&upstream), &["gpt-4o"])).unwrap();
    gate.hangup();
    wait_for(async || served("gpt-4o").await == 200).await;
}

/// A provider is one table: a user's own file adds one while the binary runs.
#[tokio::test]
async fn a_provider_is_added_while_it_runs() {
    let upstream = upstream(&["our-model"]).await;
    let folder = tempfile::tempdir().unwrap();
    let table = |name: &str| {
        let base = base(&upstream);
        format!(
            "[{name}]\nurl = \"{base}\"\nkey_env = [\"INHOUSE_KEY\"]\nspeaks = {{ openai = \"\" }}\n"
        )
    };
    let file = folder.path().join("providers.toml");
    std::fs::write(&file, table("first")).unwrap();
    let config = |provider: &str, file: &std::path::Path| {
        format!(
            "model_list:\n  - model_name: ours\n    litellm_params:\n      \
             model: {provider}/our-model\n      api_key: {UPSTREAM_KEY}\n\
             tollgate:\n  providers_file: {}\n",
            file.display()
        )
    };
    let gate = binary().config(config("first", &file)).start().await;
    let served = async || chat(&gate, gate.master_key(), &hello("ours")).await.status.as_u16();
    assert_eq!(served().await, 200);

    // Another one, which the running binary has never heard of.
    std::fs::write(&file, table("second")).unwrap();
    std::fs::write(gate.config_path(), config("second", &file)).unwrap();
    wait_for(async || {
        let told = look(&gate, "/model/info").await.text();
        told.contains("second/our-model")
    })
    .await;
    assert_eq!(served().await, 200);

    // A table that is wrong is named, and changes nothing.
    std::fs::write(&file, "[second]\nurl = \"\"\n").unwrap();
    wait_for(async || gate.stderr().contains("providers.toml")).await;
    assert_eq!(served().await, 200);

    // The same in LiteLLM's schema.
    let json = folder.path().join("providers.json");
    let third = serde_json::json!({ "third": {
        "base_url": base(&upstream), "api_key_env": "INHOUSE_KEY" } });
    std::fs::write(&json, third.to_string()).unwrap();
    std::fs::write(gate.config_path(), config("third", &json)).unwrap();
    wait_for(async || look(&gate, "/model/info").await.text().contains("third/our-model")).await;
    assert_eq!(served().await, 200);
}

pub(crate) async fn wait_for(mut holds: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !holds().await {
        assert!(start.elapsed() < Duration::from_secs(10), "it did not come");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn f44_a_file_that_cannot_be_served_is_refused_with_its_line() {
    let cases = [
        (
            "model_list:\n  - model_name: a\n    litellm_params:\n      model: apertis/m\n      api_key: os.environ/NO_SUCH_VARIABLE\n",
            "NO_SUCH_VARIABLE",
            ":5",
        ),
        ("model_lst: []\n", "model_lst", ":1"),
        ("model_list: [\n", "config.yaml", ""),
    ];
    for (config, word, line) in cases {
        let (status, _, stderr) = binary().config(config).run_to_end();
        assert_eq!(status.code(), Some(78), "{stderr}");
        assert!(stderr.contains(word) && stderr.contains(line), "{stderr}");
    }
}

#[tokio::test]
async fn f38_what_is_under_way_finishes_after_sigterm() {
    let upstream = upstream(&["gpt-4o"]).await;
    let mut gate = with_models(&base(&upstream), &["gpt-4o"]).await;
    upstream.script(Reply::auto().words(10).gap_ms(100));
    upstream.script(Reply::auto().delay_ms(700));
    let url = format!("{}/v1/chat/completions", gate.url());
    let auth = format!("Bearer {}", gate.master_key());
    let headers = [("authorization", auth.as_str()), ("content-type", "application/json")];
    let mut stream =
        open("POST", &url, &headers, hello_streamed("gpt-4o").to_string()).await.unwrap();
    stream.chunk().await.unwrap().unwrap();
    let (plain, ()) = tokio::join!(
        tollgate_testkit::call("POST", &url, &headers, hello("gpt-4o").to_string()),
        async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            gate.ask_to_stop();
        }
    );
    assert_eq!(plain.status, 200, "{}", plain.text());
    let rest = stream.finish().await;
    assert!(!rest.broken);
    assert_eq!(rest.events().last().map(String::as_str), Some("[DONE]"));
    assert!(gate.wait(Duration::from_secs(5)).success());
    // Nobody new is let in, and both rows are in the database.
    let gate = gate.start_again().await;
    assert_eq!(crate::gate::rows(&gate, "", 2).await.len(), 2);
}

#[tokio::test]
async fn f39_a_second_signal_ends_it_within_a_second() {
    let upstream = upstream(&["gpt-4o"]).await;
    let mut gate = with_models(&base(&upstream), &["gpt-4o"]).await;
    upstream.script(Reply::auto().words(100).gap_ms(200));
    let url = format!("{}/v1/chat/completions", gate.url());
    let auth = format!("Bearer {}", gate.master_key());
    let headers = [("authorization", auth.as_str())];
    let mut stream =
        open("POST", &url, &headers, hello_streamed("gpt-4o").to_string()).await.unwrap();
    stream.chunk().await.unwrap().unwrap();
    gate.ask_to_stop();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(gate.ended().is_none(), "it did not wait for the stream");
    let asked = Instant::now();
    gate.interrupt();
    gate.wait(Duration::from_secs(4));
    assert!(asked.elapsed() < Duration::from_millis(2_500), "{:?}", asked.elapsed());
    let gate = gate.start_again().await;
    let rows = crate::gate::rows(&gate, "", 1).await;
    assert_eq!(rows[0]["metadata"]["tollgate"]["outcome"], "aborted", "{rows:?}");
}

#[tokio::test]
async fn the_doors_that_need_no_key_tell_nothing() {
    let upstream = upstream(&["gpt-4o"]).await;
    let gate = with_models(&base(&upstream), &["gpt-4o"]).await;
    let url = |path: &str| format!("{}{path}", gate.url());
    assert_eq!(get(&url("/health/liveliness"), "").await.json(), "I'm alive!");
    let ready = get(&url("/health/readiness"), "").await.json();
    assert_eq!((&ready["status"], &ready["db"]), (&"healthy".into(), &"connected".into()));
    assert_eq!(get(&url("/openapi.json"), "").await.json()["openapi"], "3.1.0");
    let page = get(&url("/docs"), "").await;
    assert!(page.text().contains("Tollgate"));
    assert!(page.header("content-security-policy").starts_with("default-src 'none'"));
    for path in [
        "/v1/models",
        "/model/info",
        "/model_group/info",
        "/utils/model_info?model=m",
        "/health",
        "/metrics",
        "/key/list",
        "/spend/logs/v2",
    ] {
        assert_eq!(get(&url(path), "").await.status, 401, "{path}");
    }
}

#[tokio::test]
async fn models_are_listed_as_the_key_may_use_them() {
    let upstream = upstream(&["gpt-4o", "gpt-4o-mini"]).await;
    let gate = with_models(&base(&upstream), &["gpt-4o", "gpt-4o-mini"]).await;
    let ids = async |key: &str| {
        let list = get(&format!("{}/v1/models", gate.url()), key).await.json();
        let data = list["data"].as_array().unwrap().clone();
        data.iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids(gate.master_key()).await, ["gpt-4o", "gpt-4o-mini"]);
    let key = crate::gate::key(&gate, serde_json::json!({ "models": ["gpt-4o"] })).await;
    assert_eq!(ids(&key).await, ["gpt-4o"]);
    let one = get(&format!("{}/v1/models/gpt-4o-mini", gate.url()), &key).await;
    assert_eq!(one.status, 404);
    let info = look(&gate, "/model/info").await.text();
    assert!(info.contains("gpt-4o") && !info.contains(crate::gate::UPSTREAM_KEY), "{info}");
    assert_eq!(admin(&gate, "/model/info", &serde_json::json!({})).await.status, 405);
}

#[tokio::test]
async fn config_check_prints_a_verdict_for_every_key() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.yaml");
    std::fs::write(&file, crate::gate::SEED).unwrap();
    let check = |key: Option<&str>| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tollgate"));
        command.args(["config", "check"]).arg(&file).env_remove("STIMA_API_KEY");
        if let Some(key) = key {
            command.env("STIMA_API_KEY", key);
        }
        command.output().unwrap()
    };
    let good = check(Some("sk-x"));
    let text = String::from_utf8_lossy(&good.stdout).into_owned();
    assert!(good.status.success(), "{text}");
    assert!(text.contains("api_key") && text.contains("exact"), "{text}");
    let bad = check(None);
    assert_eq!(bad.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&bad.stdout).contains("STIMA_API_KEY"));
}
