//! The commands that talk to a person: demo, chat, usage. Run as a person would run them.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Output, Stdio},
};

use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_tollgate");

fn tollgate(args: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(args).env_clear().stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The demo, running; killed when dropped.
struct Demo {
    child: Child,
    url: String,
    key: String,
    master_key: String,
}

impl Demo {
    /// Starts it and reads what it prints until it serves.
    fn start() -> Self {
        let mut child = tollgate(&["demo", "--port", "0", "Hello"]).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (mut url, mut key, mut master_key) = (String::new(), String::new(), String::new());
        for line in lines {
            let line = line.unwrap();
            let mut words = line.split_whitespace();
            match (words.next(), words.next(), words.next()) {
                (Some("gateway"), Some(at), None) => at.clone_into(&mut url),
                (Some("key"), Some(made), None) => made.clone_into(&mut key),
                (Some("master"), Some("key"), Some(made)) => made.clone_into(&mut master_key),
                (Some("Serving."), ..) => break,
                _ => {}
            }
        }
        assert!(key.starts_with("sk-") && master_key.starts_with("sk-"), "{key} {master_key}");
        Demo { child, url, key, master_key }
    }

    fn run(&self, key: &str, args: &[&str]) -> Output {
        let mut command = tollgate(args);
        command.env("TOLLGATE_URL", &self.url).env("TOLLGATE_API_KEY", key);
        command.output().unwrap()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _waited = self.child.wait();
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn the_demo_shows_an_answer_its_figures_and_what_to_paste_next() {
    let ran = tollgate(&["demo", "--once", "--port", "0"]).output().unwrap();
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    assert_eq!(text(&ran.stderr), "");
    let out = text(&ran.stdout);
    assert!(out.contains("> Write a short poem about AI"), "{out}");
    assert!(out.contains("(scripted: the demo provider answered"), "{out}");
    let figures = out.lines().find(|line| line.starts_with("demo/chat · ")).unwrap();
    assert!(figures.contains(" tokens · $0.0000"), "{figures}");
    assert!(out.contains("curl -N http://127.0.0.1:"), "{out}");
    assert!(out.contains("OpenAI(base_url=\"http://127.0.0.1:"), "{out}");
    assert!(!out.contains('\u{1b}'), "no colours where nobody looks: {out}");
}

#[test]
fn chat_and_usage_talk_to_a_gateway() {
    let demo = Demo::start();
    let once = demo.run(&demo.key, &["chat", "-m", "demo/chat", "--stats", "Hello"]);
    assert!(once.status.success(), "{}", text(&once.stderr));
    assert!(text(&once.stdout).contains("the demo provider answered"));
    assert!(text(&once.stderr).starts_with("demo/chat · 5 + "), "{}", text(&once.stderr));
    assert!(text(&once.stderr).contains(" tokens · $0.0000"), "{}", text(&once.stderr));

    let unknown = demo.run(&demo.key, &["chat", "-m", "demo/nobody", "Hello"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(text(&unknown.stderr).contains("demo/nobody"), "{}", text(&unknown.stderr));

    let table = demo.run(&demo.master_key, &["usage", "--by", "key"]);
    assert!(table.status.success(), "{}", text(&table.stderr));
    let table = text(&table.stdout);
    assert!(table.starts_with("key ") && table.contains("\ndemo "), "{table}");
    let json = demo.run(&demo.key, &["usage", "--json"]);
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert!(json["data"][0]["requests"].as_u64().unwrap() >= 2, "{json}");
    let stranger = demo.run("sk-nobody", &["usage"]);
    assert_eq!(stranger.status.code(), Some(1));
    assert!(text(&stranger.stderr).contains("AuthenticationError"), "{}", text(&stranger.stderr));
}

#[test]
fn a_conversation_is_kept_until_it_is_ended() {
    let demo = Demo::start();
    let mut command = tollgate(&["chat", "-m", "demo/chat", "-i"]);
    command.env("TOLLGATE_URL", &demo.url).env("TOLLGATE_API_KEY", &demo.key);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"Hello\n/model demo/reasoner\nWhy is that?\n/exit\nunread\n").unwrap();
    drop(input);
    let ran = child.wait_with_output().unwrap();
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    assert_eq!(text(&ran.stdout).matches("the demo provider answered").count(), 2);
    assert!(text(&ran.stderr).contains("now asking demo/reasoner"), "{}", text(&ran.stderr));
}

#[test]
fn a_provider_is_asked_without_a_gateway() {
    let demo = Demo::start();
    let mut command = tollgate(&["chat", "-m", "apertis/demo/chat", "-"]);
    command.env("STIMA_API_BASE", format!("{}/v1", demo.url)).env("STIMA_API_KEY", &demo.key);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"Hello\n").unwrap();
    let ran = child.wait_with_output().unwrap();
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    assert!(text(&ran.stdout).contains("the demo provider answered"));

    let keyless = tollgate(&["chat", "-m", "apertis/model-name", "Hello"]).output().unwrap();
    assert_eq!(keyless.status.code(), Some(1));
    let told = text(&keyless.stderr);
    assert!(told.starts_with("error: STIMA_API_KEY (or APERTIS_API_KEY) is not set"), "{told}");
}

/// `tollgate models list | head`
#[test]
fn a_reader_may_leave_before_the_end() {
    for args in [["models", "list"].as_slice(), &["models", "list", "--json"]] {
        let mut child = tollgate(args).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.next().is_some(), "{args:?}");
        // More is to come than a pipe holds.
        drop(lines);
        let ended = child.wait_with_output().unwrap();
        assert!(ended.status.success(), "{args:?}: {}", text(&ended.stderr));
        assert_eq!(text(&ended.stderr), "", "{args:?}");
    }
}
