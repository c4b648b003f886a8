//! Models and providers in the terminal, and models that are read at run time.

use std::{
    path::Path,
    process::{Command, Output, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use tollgate_testkit::{Reply, Tollgate};

use crate::gate::{self, UPSTREAM_KEY, look};

fn run(args: &[&str], env: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command.args(args).env_clear().envs(env.iter().copied()).stdin(Stdio::null());
    command.output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn lines(output: &Output) -> Vec<Value> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    out(output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn models_are_listed_and_shown() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().to_str().unwrap();
    let list = |args: &[&str]| {
        let mut all = vec!["models", "list", "--data-dir", dir];
        all.extend(args);
        run(&all, &[])
    };
    let claude = lines(&list(&["sonnet-4-5", "-p", "anthropic", "--json"]));
    assert!(claude.iter().all(|card| card["provider"] == "anthropic"), "{claude:?}");
    let one = claude.iter().find(|card| card["name"] == "claude-sonnet-4-5").unwrap();
    assert_eq!(one["usd_per_million"], json!({ "input": "3", "output": "15" }));
    let embeddings = lines(&list(&["-m", "embeddings", "-p", "openai", "--json"]));
    assert!(embeddings.len() > 2 && embeddings.iter().all(|card| card["mode"] == "embeddings"));
    let table = out(&list(&["sonnet-4-5", "-p", "anthropic"]));
    assert!(table.contains("IN $/M") && table.contains("anthropic/claude-sonnet-4-5"), "{table}");
    assert!(!list(&["-p", "nobody"]).status.success());
    assert!(!list(&["-c", "nothing"]).status.success());

    let show = run(&["models", "show", "anthropic/claude-sonnet-4-5", "--data-dir", dir], &[]);
    assert!(
        out(&show).contains("usd_per_million") && out(&show).contains("200000"),
        "{}",
        out(&show)
    );
    assert_eq!(run(&["models", "show", "nobody", "--data-dir", dir], &[]).status.code(), Some(1));
}

#[test]
fn providers_are_listed_with_their_keys() {
    let list = run(&["providers", "list", "--json"], &[("GROQ_API_KEY", "sk-canary")]);
    assert!(!out(&list).contains("sk-canary"));
    let all = lines(&list);
    assert!(all.len() > 20, "{}", all.len());
    let groq = all.iter().find(|one| one["name"] == "groq").unwrap();
    assert_eq!((&groq["key_set"], &groq["speaks"][0]), (&json!("GROQ_API_KEY"), &json!("openai")));
    let apertis = all.iter().find(|one| one["name"] == "apertis").unwrap();
    assert_eq!(apertis["key_set"], Value::Null);
    assert_eq!(apertis["key_env"], json!(["STIMA_API_KEY", "APERTIS_API_KEY"]));
    let ready = run(&["providers", "list", "--ready", "--json"], &[("GROQ_API_KEY", "x")]);
    let names: Vec<Value> = lines(&ready).iter().map(|one| one["name"].clone()).collect();
    assert_eq!(names, ["groq"]);
    assert!(out(&run(&["providers"], &[])).contains("GROQ_API_KEY"), "no word more is needed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_is_tried_out() {
    let upstream = gate::upstream(&["served"]).await;
    let base = gate::base(&upstream);
    let try_it = |key: &str, args: &[&str]| {
        let mut all = vec!["providers", "test", "apertis"];
        all.extend(args);
        run(&all, &[("STIMA_API_KEY", key), ("STIMA_API_BASE", &base)])
    };
    let good = try_it(UPSTREAM_KEY, &["--model", "served"]);
    assert!(good.status.success(), "{}", out(&good));
    assert!(out(&good).contains("status 200") && out(&good).contains("it said:"), "{}", out(&good));
    assert_eq!(upstream.requests().len(), 1, "one call");

    let wrong = try_it("sk-wrong", &["--model", "served"]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(out(&wrong).contains("status 401"), "{}", out(&wrong));
    assert!(
        out(&wrong).contains("what to do: check the key in `STIMA_API_KEY`"),
        "{}",
        out(&wrong)
    );
    assert!(!out(&wrong).contains("sk-wrong"));

    let missing = try_it(UPSTREAM_KEY, &["--model", "nothing", "--json"]);
    assert_eq!(missing.status.code(), Some(1));
    let said: Value = serde_json::from_str(&out(&missing)).unwrap();
    assert_eq!((&said["status"], &said["error"]), (&json!(404), &json!("NotFoundError")));
    assert!(said["advice"].as_str().unwrap().contains("--model"), "{said}");

    upstream.script(Reply::status(500));
    assert!(out(&try_it(UPSTREAM_KEY, &["-m", "served"])).contains("try again later"));
    assert_eq!(try_it("", &["-m", "served"]).status.code(), Some(78), "there is no key");
    assert_eq!(run(&["providers", "test", "nobody"], &[]).status.code(), Some(1));
    let nowhere = run(
        &["providers", "test", "apertis", "-m", "m"],
        &[("STIMA_API_KEY", "x"), ("STIMA_API_BASE", "http://127.0.0.1:9/v1")],
    );
    assert!(out(&nowhere).contains("nobody answers there"), "{}", out(&nowhere));
}

/// A price map of LiteLLM's with these models of OpenAI's, each at this price.
fn price_map(names: &[&str], price: f64) -> String {
    let entries = names.iter().map(|name| {
        let entry = json!({
            "litellm_provider": "openai", "mode": "chat", "max_input_tokens": 1000,
            "input_cost_per_token": price, "output_cost_per_token": price * 2.0,
        });
        ((*name).to_owned(), entry)
    });
    Value::Object(entries.collect()).to_string()
}

fn sync(dir: &Path, from: &str, more: &[&str], env: &[(&str, &str)]) -> Output {
    let mut args = vec!["models", "sync", "--data-dir", dir.to_str().unwrap(), "--from", from];
    args.extend(more);
    run(&args, env)
}

#[test]
fn a_price_map_is_taken_over_and_compared() {
    let folder = tempfile::tempdir().unwrap();
    let map = folder.path().join("map.json");
    let from = map.to_str().unwrap();
    let write = |text: String| std::fs::write(&map, text).unwrap();
    let names: Vec<String> = (0..40).map(|i| format!("new-{i:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();

    write(price_map(&names, 1e-6));
    let refused = sync(folder.path(), from, &[], &[]);
    assert_eq!(refused.status.code(), Some(1));
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    let dir = folder.path().to_str().unwrap();
    let list = ["models", "list", "-p", "openai", "--json", "--data-dir", dir];
    let openai = lines(&run(&list, &[])).len();
    let compared = format!("40 models where {openai} were known");
    assert!(why.contains(&compared) && why.contains("--force"), "{why}");

    let taken = sync(folder.path(), from, &["--force"], &[]);
    assert!(taken.status.success());
    assert!(out(&taken).contains("40 models: 40 new, 0 retired"), "{}", out(&taken));
    let show = |name: &str| {
        let dir = folder.path().to_str().unwrap();
        run(&["models", "show", name, "--json", "--data-dir", dir], &[])
    };
    let card: Value = serde_json::from_str(&out(&show("openai/new-00"))).unwrap();
    assert_eq!(card["usd_per_million"], json!({ "input": "1", "output": "2" }));

    // One new, five gone, the rest dearer.
    let mut next: Vec<&str> = names[5..].to_vec();
    next.push("newest");
    write(price_map(&next, 2e-6));
    let changed = out(&sync(folder.path(), from, &[], &[]));
    assert!(changed.contains("36 models: 1 new, 5 retired, 35 with another price"), "{changed}");
    assert!(changed.contains("openai/new-10: $1 in, $2 out → $2 in, $4 out"), "{changed}");
    assert!(changed.contains("retired openai/new-00"), "{changed}");

    // What is halved, broken or gone changes nothing.
    write(price_map(&names[..10], 1e-6));
    assert_eq!(sync(folder.path(), from, &[], &[]).status.code(), Some(1));
    write("<html>".to_owned());
    assert_eq!(sync(folder.path(), from, &["--force"], &[]).status.code(), Some(1));
    std::fs::remove_file(&map).unwrap();
    assert_eq!(sync(folder.path(), from, &[], &[]).status.code(), Some(1));
    assert!(out(&show("openai/newest")).contains("usd_per_million"));
    assert!(out(&show("anthropic/claude-sonnet-4-5")).contains("\"3\""), "the rest is still there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_providers_list_is_read_with_its_key_and_nobody_elses() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = gate::upstream(&["brand-new-model"]).await;
    let base = gate::base(&upstream);
    let from = format!("{base}/models");
    let env = [("STIMA_API_KEY", UPSTREAM_KEY), ("STIMA_API_BASE", base.as_str())];
    let taken = sync(folder.path(), &from, &["--provider", "apertis", "--force"], &env);
    assert!(taken.status.success(), "{}", String::from_utf8_lossy(&taken.stderr));
    assert!(out(&taken).contains("apertis/brand-new-model"), "{}", out(&taken));
    assert_eq!(upstream.last().header("authorization"), format!("Bearer {UPSTREAM_KEY}"));
    // The same address under another name gets no key, and says so.
    let other = sync(folder.path(), &from, &["--provider", "groq"], &[("GROQ_API_KEY", "sk-groq")]);
    assert_eq!(other.status.code(), Some(1));
    assert_eq!(upstream.last().header("authorization"), "");
    let nobody = sync(folder.path(), &from, &[], &[]);
    assert_eq!(nobody.status.code(), Some(1));
}

async fn listed(gate: &Tollgate, name: &str) -> bool {
    let list = look(gate, &format!("/v1/models?search={name}")).await.json();
    list["data"].as_array().is_some_and(|data| data.iter().any(|row| row["id"] == name))
}

/// The schedule reads it, and the running gateway takes it over: no restart, no delay at the start.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_takes_new_models_over_while_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let map = folder.path().join("map.json");
    let names: Vec<String> = (0..3_000).map(|i| format!("synced-{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    std::fs::write(&map, price_map(&names, 1e-6)).unwrap();
    let config = format!(
        "model_list: [{{model_name: 'openai/*', litellm_params: {{model: 'openai/*', api_key: {UPSTREAM_KEY}}}}}]
tollgate: {{models_sync: [{{from: '{}', every: 3600}}, {{from: 'http://127.0.0.1:9/models', provider: groq}}]}}
",
        map.display()
    );
    let gate = gate::binary().config(config).start().await;
    for attempt in 0.. {
        if listed(&gate, "openai/synced-7").await {
            break;
        }
        assert!(attempt < 200, "the models did not come");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let info = look(&gate, "/utils/model_info?model=openai/synced-7").await.json();
    assert_eq!(info["model_info"]["input_cost_per_token"], 0.000_001);
    assert!(listed(&gate, "openai/gpt-4o").await, "the catalogue is still there");
}

#[test]
fn a_schedule_that_makes_no_sense_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.yaml");
    std::fs::write(&file, "tollgate: {models_sync: [{every: 60}, {from: x, nope: 1}]}\n").unwrap();
    let checked = run(&["config", "check", file.to_str().unwrap()], &[]);
    assert_eq!(checked.status.code(), Some(78), "{}", out(&checked));
    assert!(out(&checked).contains("expected `from`"), "{}", out(&checked));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_of_the_configuration_is_listed_and_tried() {
    let upstream = gate::upstream(&[]).await;
    let folder = tempfile::tempdir().unwrap();
    let mine = folder.path().join("mine.toml");
    std::fs::write(
        &mine,
        "[mine]\nurl = \"https://mine.test/v1\"\nurl_env = [\"MINE_URL\"]\n\
        key_env = [\"MINE_KEY\"]\nspeaks = { openai = \"\" }\n",
    )
    .unwrap();
    let file = folder.path().join("config.yaml");
    std::fs::write(&file, format!("tollgate:\n  providers_file: {}\n", mine.display())).unwrap();
    let file = file.to_str().unwrap();
    let base = format!("{}/v1", upstream.url());
    let env = [("MINE_URL", &*base), ("MINE_KEY", UPSTREAM_KEY)];

    let listed = lines(&run(&["providers", "list", "mine", "--json", "--config", file], &env));
    assert_eq!((listed.len(), &listed[0]["key_set"]), (1, &json!("MINE_KEY")));
    let args = ["providers", "test", "mine", "--model", "m", "--json", "--config", file];
    // The upstream answers on this thread.
    let tried = tokio::task::block_in_place(|| lines(&run(&args, &env)));
    assert_eq!(tried[0]["ok"], true, "{tried:?}");
    assert_eq!(upstream.last().header("authorization"), format!("Bearer {UPSTREAM_KEY}"));
    // Without the file nobody knows it; a file that is none is said to be.
    assert_eq!(run(&args[..6], &env).status.code(), Some(1));
    std::fs::write(&mine, "nonsense").unwrap();
    assert_eq!(run(&args, &env).status.code(), Some(78));
}
