use super::*;
use crate::demo;

/// Runs the command against the demo provider, as if it were a gateway.
async fn run(args: ChatArgs) -> (anyhow::Result<Ended>, String, String) {
    let demo = demo::start_paced(Duration::ZERO).await.unwrap();
    let args = ChatArgs { url: Some(demo.base_url.clone()), key: Some("sk-test".into()), ..args };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut terminal =
        Terminal { out: &mut out, err: &mut err, out_paint: Paint::Plain, err_paint: Paint::Plain };
    let ended = Session::new(&args).unwrap().once(&mut terminal).await;
    demo.shutdown().await;
    (ended, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

fn ask(model: &str) -> ChatArgs {
    ChatArgs {
        model: model.into(),
        prompt: vec!["Write a short poem".into(), "about AI".into()],
        ..ChatArgs::default()
    }
}

#[tokio::test]
async fn the_answer_and_nothing_else_is_on_standard_output() {
    let (ended, out, err) = run(ask("demo-reasoner")).await;
    assert_eq!(ended.unwrap(), Ended::Whole);
    assert!(
        out.contains("AI")
            && out.ends_with("(scripted: the demo provider answered, no model was asked)\n"),
        "{out}"
    );
    assert!(!out.contains("The user wants"), "{out}");
    assert_eq!(err, "");
}

#[tokio::test]
async fn streamed_or_not_the_answer_is_the_same() {
    let (_, streamed, _) = run(ask("demo-chat")).await;
    let (_, whole, _) = run(ChatArgs { no_stream: true, ..ask("demo-chat") }).await;
    assert_eq!(streamed, whole);
    let (_, json, _) = run(ChatArgs { json: true, ..ask("demo-chat") }).await;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let text = json.pointer("/choices/0/message/content").unwrap().as_str().unwrap();
    assert_eq!(text, streamed.trim_end_matches('\n'));
}

#[tokio::test]
async fn figures_are_shown_where_they_are_wanted() {
    let (_, _, err) = run(ChatArgs { stats: true, ..ask("demo-chat") }).await;
    assert!(err.contains("demo-chat · ") && err.contains(" tokens · price unknown · "), "{err}");
}

#[tokio::test]
async fn an_unknown_model_is_named() {
    let (ended, out, _) = run(ask("nothing-like-it")).await;
    let error = ended.unwrap_err().to_string();
    assert!(error.starts_with("NotFoundError: ") && error.contains("nothing-like-it"), "{error}");
    assert_eq!(out, "");
}

#[test]
fn a_missing_key_is_named() {
    let args = ChatArgs { url: Some("http://127.0.0.1:1".into()), ..ask("m") };
    let error = Session::new(&args).err().unwrap().to_string();
    assert!(error.starts_with("TOLLGATE_API_KEY is not set"), "{error}");
}

#[test]
fn a_prompt_comes_from_words_and_standard_input() {
    let read = |words: &[&str], input: &str| {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        prompt(&words, &mut input.as_bytes()).ok()
    };
    assert_eq!(read(&["two", "words"], "unread"), Some("two words".into()));
    assert_eq!(read(&[], "piped\n"), Some("piped".into()));
    assert_eq!(read(&["-"], "piped"), Some("piped".into()));
    assert_eq!(read(&["Review:", "-"], "diff\r\n"), Some("Review:\n\ndiff".into()));
    assert_eq!(read(&[], " \n"), None);
}

#[test]
fn lines_of_a_conversation_are_understood() {
    assert_eq!(Said::of("  "), Said::Nothing);
    assert_eq!(Said::of("hello"), Said::Prompt("hello".into()));
    assert_eq!(Said::of("/exit"), Said::Exit);
    assert_eq!(Said::of("/clear"), Said::Clear);
    assert_eq!(Said::of("/model demo/chat"), Said::Model("demo/chat".into()));
    assert_eq!(Said::of("/model"), Said::Unknown("/model".into()));
    assert_eq!(Said::of("/what ever"), Said::Unknown("/what".into()));
}
