//! Clients of every dialect over Replicate, whose answers have to be fetched.

use std::time::{Duration, Instant};

use http::Method;
use serde_json::{Value, json};
use tollgate_testkit::{Answer, Recorded, Reply, ScriptedUpstream, Tollgate, open, post};

use crate::{
    gate::{UPSTREAM_KEY, assert_refused, binary, chat, hello, hello_streamed, rows, upstream},
    lifecycle::wait_for,
};

const LLAMA: &str = "meta/meta-llama-3-8b-instruct";
const VERSION: &str = "02e509c789964a7ea8736978a43525956ef40397be9033abf9fd2badfe68c9e3";
/// What "Say hello" and its answer count and cost: two words and four.
const COST: f64 = 0.000_01;

async fn replicate() -> ScriptedUpstream {
    upstream(&[]).await
}

/// A gateway with a model of each kind, `more` beside what they all need.
async fn gate(upstream: &ScriptedUpstream, more: &str) -> Tollgate {
    let version = format!("meta/llama-2-70b-chat:{VERSION}");
    let models = [
        ("llama", LLAMA),
        ("llama-2", "meta/llama-2-70b-chat"),
        ("version", version.as_str()),
        ("batch", "acme/batch"),
        ("bot", "deployments/acme/bot"),
        ("gpt-4", "openai/gpt-4.1-mini"),
        ("gpt-5", "openai/gpt-5"),
        ("claude", "anthropic/claude-4-sonnet"),
        ("gemini", "google/gemini-2.5-flash"),
        ("flaky", "acme/flaky"),
        ("nowhere", "acme/nothing"),
    ];
    let entry = |(name, model): &(&str, &str)| {
        format!(
            "  - model_name: {name}\n    litellm_params:\n      model: replicate/{model}\n      \
             api_base: {}/v1\n      api_key: {UPSTREAM_KEY}\n      \
             input_cost_per_token: 0.000001\n      output_cost_per_token: 0.000002\n{more}",
            upstream.url()
        )
    };
    let entries: String = models.iter().map(entry).collect();
    binary()
        .config(format!("model_list:\n{entries}router_settings:\n  num_retries: 0\n"))
        .start()
        .await
}

async fn ask(gate: &Tollgate, body: &Value) -> Answer {
    chat(gate, gate.master_key(), body).await
}

fn said(answer: &Answer) -> String {
    answer.json()["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned()
}

/// The text of a stream, which must be whole.
fn streamed(answer: &Answer) -> String {
    let mut events = answer.events();
    assert_eq!(events.pop().as_deref(), Some("[DONE]"), "{}", answer.text());
    let deltas = events.iter().map(|event| serde_json::from_str::<Value>(event).unwrap());
    let text = |event: Value| event["choices"][0]["delta"]["content"].as_str().map(str::to_owned);
    deltas.filter_map(text).collect()
}

/// Method and path of each request, names of predictions as `ID`.
fn paths(upstream: &ScriptedUpstream) -> Vec<String> {
    let told = |recorded: &Recorded| {
        let path = recorded
            .path
            .split('/')
            .map(|part| if part.len() == 26 && part.starts_with('p') { "ID" } else { part });
        format!("{} {}", recorded.method, path.collect::<Vec<_>>().join("/"))
    };
    upstream.requests().iter().map(told).collect()
}

fn canceled(upstream: &ScriptedUpstream) -> bool {
    upstream.requests().iter().any(|it| it.method == Method::POST && it.path.ends_with("/cancel"))
}

#[tokio::test]
async fn a_short_answer_comes_with_its_prediction() {
    let upstream = replicate().await;
    let gate = gate(&upstream, "").await;
    let answer = ask(&gate, &hello("llama")).await;
    assert_eq!((answer.status.as_u16(), said(&answer).as_str()), (200, "You said: Say hello"));
    assert_eq!(answer.json()["choices"][0]["finish_reason"], "stop");
    assert_eq!(answer.json()["model"], "llama");
    assert_eq!(paths(&upstream), [format!("POST /v1/models/{LLAMA}/predictions")]);
    let sent = upstream.last();
    assert_eq!(sent.json(), json!({ "input": { "prompt": "Say hello" } }));
    assert_eq!(sent.header("prefer"), "wait=5");
    let row = &rows(&gate, "", 1).await[0];
    assert_eq!((&row["prompt_tokens"], &row["completion_tokens"]), (&json!(2), &json!(4)));
    assert_eq!((&row["spend"], &row["custom_llm_provider"]), (&json!(COST), &json!("replicate")));
    assert_eq!(row["metadata"]["tollgate"]["estimated"], false);

    let answer = ask(&gate, &hello("version")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(
        (upstream.last().path.as_str(), &upstream.last().json()["version"]),
        ("/v1/predictions", &json!(VERSION))
    );
    let answer = ask(&gate, &hello("bot")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(upstream.last().path, "/v1/deployments/acme/bot/predictions");
}

#[tokio::test]
async fn a_long_answer_is_asked_for_until_it_is_there() {
    let upstream = replicate().await;
    let gate = gate(&upstream, "      extra_headers: {prefer: wait=1}\n").await;
    upstream.script(Reply::auto().delay_ms(1_300));
    let answer = ask(&gate, &hello("llama")).await;
    assert_eq!(said(&answer), "You said: Say hello", "{}", answer.text());
    let asked = paths(&upstream);
    assert_eq!(asked[1], "GET /v1/predictions/ID", "{asked:?}");
    assert!(asked.len() <= 4 && !canceled(&upstream), "{asked:?}");
    assert_eq!(rows(&gate, "", 1).await[0]["spend"], COST);

    // No figures: an estimate, and marked so.
    upstream.script(Reply::auto().no_usage());
    let answer = ask(&gate, &hello("llama")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(rows(&gate, "", 2).await[1]["metadata"]["tollgate"]["estimated"], true);
}

#[tokio::test]
async fn a_stream_is_read_where_the_prediction_says_and_its_figures_are_asked_for() {
    let upstream = replicate().await;
    let gate = gate(&upstream, "").await;
    upstream.script(Reply::auto().gap_ms(30));
    let answer = ask(&gate, &hello_streamed("llama")).await;
    assert_eq!(streamed(&answer), "You said: Say hello");
    let create = format!("POST /v1/models/{LLAMA}/predictions");
    let stream = "GET /v1/streams/ID".to_owned();
    assert_eq!(paths(&upstream), [create, stream, "GET /v1/predictions/ID".to_owned()]);
    let requests = upstream.requests();
    assert_eq!(requests[0].header("prefer"), "");
    assert_eq!(requests[1].header("accept"), "text/event-stream");
    assert_eq!(requests[1].header("cache-control"), "no-store");
    assert_eq!(requests[2].header("authorization"), format!("Bearer {UPSTREAM_KEY}"));
    let row = &rows(&gate, "", 1).await[0];
    assert_eq!((&row["spend"], &row["completion_tokens"]), (&json!(COST), &json!(4)));
    assert_eq!(row["metadata"]["tollgate"]["estimated"], false);

    // A model that has no stream: its output comes at once.
    upstream.forget();
    upstream.script(Reply::auto().delay_ms(400));
    let answer = ask(&gate, &hello_streamed("batch")).await;
    assert_eq!(streamed(&answer), "You said: Say hello");
    let asked = paths(&upstream);
    assert!(asked[1..].iter().all(|path| path == "GET /v1/predictions/ID"), "{asked:?}");
    assert_eq!(rows(&gate, "", 2).await[1]["spend"], COST);

    // The same for clients of other dialects.
    let body = json!({ "model": "llama", "max_tokens": 9, "stream": true,
        "messages": [{ "role": "user", "content": "Say hello" }] });
    let url = format!("{}/v1/messages", gate.url());
    let text = post(&url, gate.master_key(), &body).await.text();
    assert!(text.contains("hello") && text.contains("event: message_stop"), "{text}");
    let body = json!({ "model": "llama", "stream": true, "prompt": "Say hello" });
    let url = format!("{}/v1/completions", gate.url());
    let text = post(&url, gate.master_key(), &body).await.text();
    assert!(text.contains("hello") && text.contains("[DONE]"), "{text}");
    let template = &upstream.requests()[upstream.requests().len() - 3].json()["input"];
    assert_eq!(template["prompt_template"], "{prompt}");
}

#[tokio::test]
async fn a_question_that_fails_is_put_again() {
    let upstream = replicate().await;
    let gate = gate(&upstream, "").await;
    let answer = ask(&gate, &hello_streamed("flaky")).await;
    assert_eq!(streamed(&answer), "You said: Say hello");
    let told = "GET /v1/predictions/ID".to_owned();
    assert_eq!(paths(&upstream)[1..], ["GET /v1/streams/ID".to_owned(), told.clone(), told]);
    assert!(!canceled(&upstream));
    assert_eq!(rows(&gate, "", 1).await[0]["spend"], COST);
}

#[tokio::test]
async fn what_nobody_waits_for_is_called_off() {
    let upstream = replicate().await;
    let patient = gate(&upstream, "      extra_headers: {prefer: wait=1}\n").await;
    let gate = gate(&upstream, "").await;
    let url = format!("{}/v1/chat/completions", gate.url());
    let auth = format!("Bearer {}", gate.master_key());
    let headers = [("authorization", auth.as_str()), ("content-type", "application/json")];
    // In the middle of a stream.
    upstream.script(Reply::auto().words(50).gap_ms(100));
    let body = hello_streamed("llama").to_string();
    let mut stream = open("POST", &url, &headers, body).await.unwrap();
    assert!(stream.chunk().await.is_some());
    assert!(!canceled(&upstream));
    drop(stream);
    wait_for(async || canceled(&upstream)).await;
    let cancel = upstream.last();
    assert_eq!(cancel.header("authorization"), format!("Bearer {UPSTREAM_KEY}"));
    let row = &rows(&gate, "", 1).await[0];
    assert_eq!(row["metadata"]["tollgate"]["outcome"], "aborted", "{row}");

    // While it is asked for, and before it has said its name.
    for (gate, model, stream, wait_ms) in
        [(&gate, "batch", true, 400), (&patient, "llama", false, 300)]
    {
        upstream.forget();
        upstream.script(Reply::hang());
        let mut body = hello(model);
        body["stream"] = json!(stream);
        let asked = ask(gate, &body);
        let left = tokio::time::timeout(Duration::from_millis(wait_ms), asked).await;
        assert!(left.is_err());
        wait_for(async || canceled(&upstream)).await;
    }
}

#[tokio::test]
async fn a_prediction_without_an_end_is_called_off_when_time_is_over() {
    let upstream = replicate().await;
    let gate = gate(&upstream, "      timeout: 2\n").await;
    for body in [hello_streamed("llama"), hello_streamed("batch")] {
        upstream.forget();
        upstream.script(Reply::hang());
        let start = Instant::now();
        let answer = ask(&gate, &body).await;
        assert_refused(&answer, 504, "upstream_timeout");
        assert!(start.elapsed() < Duration::from_secs(4));
        wait_for(async || canceled(&upstream)).await;
    }
}

#[tokio::test]
async fn failures_are_the_upstreams() {
    let upstream = replicate().await;
    let gate = gate(&upstream, "").await;
    // Whole, in the middle of a stream, and where the output is asked for.
    upstream.script(Reply::auto().error_event());
    let answer = ask(&gate, &hello("llama")).await;
    assert_refused(&answer, 502, "upstream_error");
    assert!(answer.text().contains("the model failed, as scripted"), "{}", answer.text());
    upstream.script(Reply::auto().words(6).error_event());
    let answer = ask(&gate, &hello_streamed("llama")).await;
    let text = answer.text();
    assert!(text.contains("w1") && text.contains("as scripted"), "{text}");
    upstream.script(Reply::auto().delay_ms(200).error_event());
    let answer = ask(&gate, &hello_streamed("batch")).await;
    assert_refused(&answer, 502, "upstream_error");
    let found = rows(&gate, "", 3).await;
    assert_eq!(found[1]["metadata"]["tollgate"]["outcome"], "cut", "{}", found[1]);
    assert!(!canceled(&upstream), "{:?}", paths(&upstream));

    // Before there is a prediction.
    upstream.script(Reply::drop_connection());
    assert_refused(&ask(&gate, &hello("llama")).await, 502, "upstream_disconnected");
    upstream.script(Reply::status(429).retry_after_s(7));
    let answer = ask(&gate, &hello("gpt-4")).await;
    assert_refused(&answer, 429, "upstream_rate_limited");
    let answer = ask(&gate, &hello("nowhere")).await;
    assert_eq!(answer.status, 404, "{}", answer.text());
    let mut body = hello("claude");
    body["max_tokens"] = json!(20);
    let answer = ask(&gate, &body).await;
    assert_eq!(answer.status, 422, "{}", answer.text());
    upstream.require_key("another");
    let answer = ask(&gate, &hello("gemini")).await;
    assert_eq!(answer.status, 502, "{}", answer.text());
}

#[tokio::test]
async fn a_cut_stream_is_one_and_its_prediction_is_called_off() {
    let upstream = replicate().await;
    let gate = gate(&upstream, "").await;
    upstream.script(Reply::auto().words(20).delay_ms(100).cut_at(300));
    let answer = ask(&gate, &hello_streamed("llama")).await;
    assert!(answer.text().contains("w1") && answer.text().contains("error"), "{}", answer.text());
    assert_eq!(rows(&gate, "", 1).await[0]["metadata"]["tollgate"]["outcome"], "cut");
    wait_for(async || canceled(&upstream)).await;
}

#[tokio::test]
async fn an_answer_sends_nobody_astray() {
    let (upstream, other) = (replicate().await, replicate().await);
    let gate = gate(&upstream, "").await;
    let told = |id: &str, status: &str, urls: Value| {
        let value = json!({ "id": id, "status": status, "output": null, "urls": urls });
        upstream.forget();
        upstream.script(Reply::raw(201, "application/json", value.to_string()));
    };
    let away = |path: &str| format!("{}{path}", other.url());
    let at = |host: &str| format!("http://{host}@{}/v1/streams/x", other.addr());
    // A stream at another host is not read: the prediction is asked about at the base.
    for url in [
        away("/v1/streams/x"),
        at(&upstream.addr().to_string()),
        "http://169.254.169.254/latest/meta-data".to_owned(),
        "https://stream.replicate.com.evil.test/x".to_owned(),
        "file:///etc/passwd".to_owned(),
        "x".repeat(100_000),
    ] {
        let urls = json!({ "stream": url, "get": away("/v1/predictions/x"), "cancel": away("/c") });
        told("abc", "starting", urls);
        let answer = ask(&gate, &hello_streamed("llama")).await;
        assert_eq!(answer.status, 404, "{url}: {}", answer.text());
        assert_eq!(paths(&upstream)[1], "GET /v1/predictions/abc");
        wait_for(async || canceled(&upstream)).await;
    }
    // Nor is anything asked for by a name that is none, or in a state that is none.
    for (id, status) in [
        ("../account", "starting"),
        ("a/b", "processing"),
        ("", "starting"),
        ("abc", "queued"),
        ("abc", "canceled"),
        ("abc", "failed"),
    ] {
        for body in [hello("llama"), hello_streamed("llama")] {
            told(id, status, json!({ "get": away("/v1/predictions/x") }));
            let answer = ask(&gate, &body).await;
            assert_eq!(answer.status, 502, "{id} {status}: {}", answer.text());
            assert_eq!(paths(&upstream).len(), 1, "{id} {status}: {:?}", paths(&upstream));
        }
    }
    // What is no text is no answer.
    let pictures = json!({ "id": "abc", "status": "succeeded", "output": [{ "url": "x" }] });
    upstream.script(Reply::raw(201, "application/json", pictures.to_string()));
    assert_eq!(ask(&gate, &hello("llama")).await.status, 502);
    upstream.script(Reply::raw(201, "application/json", "[]"));
    assert_eq!(ask(&gate, &hello("llama")).await.status, 502);
    assert!(other.requests().is_empty() && other.accepted() == 0);
}

#[tokio::test]
async fn each_model_is_told_of_a_conversation_in_its_way() {
    let upstream = replicate().await;
    let gate = gate(&upstream, "").await;
    let turns = json!([
        { "role": "system", "content": "Be brief." },
        { "role": "user", "content": "2+2?" },
        { "role": "assistant", "content": "4" },
        { "role": "user", "content": "3+3?" },
    ]);
    let words = "Human: 2+2?\n\nAssistant: 4\n\nHuman: 3+3?\n\nAssistant:";
    let inst = "[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\n2+2? [/INST] 4 </s><s>[INST] 3+3? [/INST]";
    for (model, limit, expect) in [
        ("gpt-4", "max_completion_tokens", json!({ "messages": turns })),
        ("gpt-5", "max_completion_tokens", json!({ "messages": turns })),
        ("claude", "max_tokens", json!({ "prompt": words, "system_prompt": "Be brief." })),
        (
            "gemini",
            "max_output_tokens",
            json!({ "prompt": words, "system_instruction": "Be brief." }),
        ),
        ("llama-2", "max_new_tokens", json!({ "prompt": inst, "prompt_template": "{prompt}" })),
        ("version", "max_new_tokens", json!({ "prompt": inst, "prompt_template": "{prompt}" })),
    ] {
        let body = json!({ "model": model, "messages": turns, "max_tokens": 2_000 });
        let answer = ask(&gate, &body).await;
        assert_eq!(answer.status, 200, "{model}: {}", answer.text());
        let mut expect = expect;
        expect[limit] = json!(2_000);
        assert_eq!(upstream.last().json()["input"], expect, "{model}");
    }
    let answer = ask(&gate, &json!({ "model": "llama", "messages": turns })).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let sent = upstream.last().json()["input"].clone();
    assert!(sent["prompt"].as_str().unwrap().starts_with("<|start_header_id|>system"), "{sent}");
    assert_eq!(sent["prompt_template"], "{prompt}");

    // A picture, a thought, and words of the model's own.
    let picture =
        json!({ "type": "image_url", "image_url": { "url": "data:image/png;base64,iVBO" } });
    let seen =
        json!([{ "role": "user", "content": [{ "type": "text", "text": "What?" }, picture] }]);
    for (model, expect) in [
        ("gpt-4", json!({ "prompt": "What?", "image_input": ["data:image/png;base64,iVBO"] })),
        ("claude", json!({ "prompt": "What?", "image": "data:image/png;base64,iVBO" })),
        ("gemini", json!({ "prompt": "What?", "images": ["data:image/png;base64,iVBO"] })),
    ] {
        let answer = ask(&gate, &json!({ "model": model, "messages": seen })).await;
        assert_eq!(said(&answer), "You said: What? (with 1 image)", "{model}: {}", answer.text());
        assert_eq!(upstream.last().json()["input"], expect, "{model}");
    }
    let mut body = hello("gpt-5");
    body["reasoning_effort"] = json!("low");
    body["verbosity"] = json!("low");
    ask(&gate, &body).await;
    let expect = json!({ "prompt": "Say hello", "reasoning_effort": "low", "verbosity": "low" });
    assert_eq!(upstream.last().json()["input"], expect);
    let url = format!("{}/v1/messages", gate.url());
    let mut body = hello("claude");
    body["max_tokens"] = json!(4_000);
    body["thinking"] = json!({ "type": "enabled", "budget_tokens": 2_000 });
    let answer = post(&url, gate.master_key(), &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let sent = upstream.last().json()["input"].clone();
    let thinks = (&sent["extended_thinking"], &sent["thinking_budget_tokens"]);
    assert_eq!(thinks, (&json!(true), &json!(2_000)), "{sent}");
}

#[tokio::test]
async fn what_a_model_does_not_have_is_refused_by_name() {
    let upstream = replicate().await;
    let gate = gate(&upstream, "").await;
    let tool = json!([{ "type": "function", "function": { "name": "f", "parameters": { "type": "object" } } }]);
    let picture = json!([{ "role": "user", "content": [
        { "type": "text", "text": "?" },
        { "type": "image_url", "image_url": { "url": "https://example.com/a.png" } },
    ] }]);
    for (model, name, value) in [
        ("llama", "tools", tool),
        ("llama", "n", json!(2)),
        ("llama", "logprobs", json!(true)),
        ("llama", "logit_bias", json!({ "1": 2 })),
        ("llama", "response_format", json!({ "type": "json_object" })),
        ("llama", "stop", json!(["a,b"])),
        ("llama", "seed", json!(1)),
        ("llama", "reasoning_effort", json!("high")),
        ("llama", "messages", picture),
        ("gpt-5", "temperature", json!(0.5)),
        ("gpt-4", "stop", json!("x")),
        ("claude", "top_p", json!(0.5)),
        ("gemini", "own_word", json!(1)),
    ] {
        let mut body = hello(model);
        body[name] = value;
        let answer = ask(&gate, &body).await;
        assert_refused(&answer, 400, "unsupported_parameter");
        assert!(answer.text().contains(name), "{model} {name}: {}", answer.text());
    }
    assert!(upstream.requests().is_empty());
    // A model whose schema nobody knows takes any word.
    let mut body = hello("bot");
    body["min_tokens"] = json!(1);
    assert_eq!(ask(&gate, &body).await.status, 200);
    assert_eq!(upstream.last().json()["input"]["min_tokens"], 1);
}
