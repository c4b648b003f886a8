//! The examples, run as a reader would run them.

use std::{path::PathBuf, process::Command};

use serde_json::json;
use tollgate_testkit::ScriptedUpstream;

/// Runs an example in an environment of two variables; returns what it printed.
async fn run(name: &'static str, upstream: &ScriptedUpstream) -> String {
    let mut path: PathBuf = std::env::current_exe().unwrap();
    path.pop();
    path.set_file_name("examples");
    let path = path.join(name);
    assert!(path.exists(), "{} is not built: cargo build --examples", path.display());
    let base = format!("{}/v1", upstream.url());
    let ran = tokio::task::spawn_blocking(move || {
        Command::new(path)
            .env_clear()
            .env("STIMA_API_KEY", "sk-from-the-environment")
            .env("STIMA_API_BASE", base)
            .output()
    });
    let output = ran.await.unwrap().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} failed: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn completion() {
    let upstream = ScriptedUpstream::start().await;
    upstream.require_key("sk-from-the-environment");
    let printed = run("completion", &upstream).await;
    assert!(printed.starts_with("You said: Hello, how are you?\n"), "{printed}");
    let asked = upstream.last();
    assert_eq!(asked.path, "/v1/chat/completions");
    assert_eq!(asked.header("authorization"), "Bearer sk-from-the-environment");
    assert_eq!(
        asked.json(),
        json!({"model": "model-name",
            "messages": [{"role": "user", "content": "Hello, how are you?"}]})
    );
}

#[tokio::test]
async fn streaming() {
    let upstream = ScriptedUpstream::start().await;
    let printed = run("streaming", &upstream).await;
    assert!(printed.starts_with("You said: Write a short poem about AI\n"), "{printed}");
    let asked = upstream.last().json();
    assert_eq!(asked["stream"], true);
    assert_eq!(asked["temperature"], 0.7);
}
