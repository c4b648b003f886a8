//! Whole answers, parameters, tools, embeddings, cost.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};
use tollgate::{
    Nano, Part, ResponseFormat, Tollgate, Tool, ToolChoice, assistant, system, tool_result, user,
};
use tollgate_testkit::{Reply, ScriptedUpstream};

use crate::client;

fn weather() -> Tool {
    Tool::function(
        "weather",
        "The weather in a city",
        json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}),
    )
}

#[tokio::test]
async fn every_parameter_reaches_the_provider() {
    let upstream = ScriptedUpstream::start().await;
    let answer = client(&upstream)
        .completion("apertis/m", [system("Be brief."), user("hi")])
        .temperature(0.5)
        .top_p(0.9)
        .max_completion_tokens(50)
        .frequency_penalty(0.1)
        .presence_penalty(-0.1)
        .stop(["\n\n", "END"])
        .seed(7)
        .user("somebody")
        .reasoning_effort("low")
        .logit_bias(BTreeMap::from([("50256".into(), -100)]))
        .parallel_tool_calls(false)
        .response_format(ResponseFormat::Text)
        .extra_body("top_k", 40)
        .extra_body("provider_option", json!({"deep": [1, 2.50, null]}))
        .extra_header("x-trace", "abc")
        .await
        .unwrap();
    assert_eq!(answer.text(), "You said: hi");
    assert_eq!(answer.model, "m");
    assert_eq!(answer.route.provider, "apertis");
    assert_eq!(answer.route.attempts, 1);
    let asked = upstream.last();
    assert_eq!(asked.header("authorization"), "Bearer sk-upstream");
    assert_eq!(asked.header("x-trace"), "abc");
    assert_eq!(
        asked.json(),
        json!({
            "model": "m",
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}],
            "temperature": 0.5, "top_p": 0.9, "max_tokens": 50, "frequency_penalty": 0.1,
            "presence_penalty": -0.1, "stop": ["\n\n", "END"], "seed": 7, "user": "somebody",
            "reasoning_effort": "low", "logit_bias": {"50256": -100},
            "parallel_tool_calls": false, "response_format": {"type": "text"}, "top_k": 40,
            "provider_option": {"deep": [1, 2.5, null]},
        })
    );
}

#[tokio::test]
async fn a_conversation_with_tools_goes_round() {
    let upstream = ScriptedUpstream::start().await;
    let client = client(&upstream);
    let mut messages = vec![user("What is the weather in Paris?")];
    let first = client
        .completion("apertis/m", messages.clone())
        .tools([weather()])
        .tool_choice(ToolChoice::Auto)
        .await
        .unwrap();
    assert_eq!(first.finish_reason(), Some("tool_calls"));
    let call = first.tool_calls()[0].clone();
    assert_eq!(call.function.name, "weather");
    let _arguments: BTreeMap<String, String> = call.arguments().unwrap();

    messages.push(first.message().unwrap().clone());
    messages.push(tool_result(&call.id, "Sunny."));
    let second = client.completion("apertis/m", messages).tools([weather()]).await.unwrap();
    assert_eq!(second.finish_reason(), Some("stop"));
    assert!(second.text().contains("Sunny."), "{}", second.text());
    let sent = upstream.last().json();
    assert_eq!(sent["messages"][1]["tool_calls"][0]["id"], call.id.as_str());
    assert_eq!(sent["messages"][2]["tool_call_id"], call.id.as_str());
}

#[tokio::test]
async fn pictures_go_as_parts() {
    let upstream = ScriptedUpstream::start().await;
    let parts = [Part::text("What is this?"), Part::image("data:image/png;base64,AAAA")];
    let messages = [user(parts), assistant("A dot."), user("Sure?")];
    client(&upstream).completion("apertis/m", messages).await.unwrap();
    let sent = upstream.last().json();
    assert_eq!(
        sent["messages"][0]["content"],
        json!([{"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}])
    );
}

#[tokio::test]
async fn the_cost_is_exact_where_a_price_is_known_and_nothing_where_it_is_not() {
    let upstream = ScriptedUpstream::start().await;
    let usage = json!({"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500});
    for _ in 0..3 {
        upstream.script(Reply::text("x").usage(usage.clone()));
    }
    let client = client(&upstream);
    let unknown = client.completion("apertis/m", [user("hi")]).await.unwrap();
    assert_eq!(unknown.cost(), None);
    let priced = || {
        client
            .completion("apertis/m", [user("hi")])
            .input_cost_per_token("2.5e-06")
            .output_cost_per_token(0.00001)
    };
    let whole = priced().await.unwrap();
    assert_eq!(whole.cost(), Some(Nano(7_500_000)));
    assert_eq!(tollgate::completion_cost(&whole), Some(Nano(7_500_000)));
    let mut stream = priced().stream().await.unwrap();
    while let Some(chunk) = stream.next().await {
        assert!(chunk.unwrap().usage.is_none(), "nobody asked for usage in the stream");
    }
    assert_eq!(stream.cost(), Some(Nano(7_500_000)));
}

#[tokio::test]
async fn embeddings() {
    let upstream = ScriptedUpstream::start().await;
    let client = client(&upstream);
    let answer = client
        .embedding("apertis/text-embedding-3-small", ["one", "two"])
        .dimensions(8)
        .await
        .unwrap();
    assert_eq!(answer.data.len(), 2);
    assert_eq!(answer.data[0].embedding.floats().unwrap().len(), 8);
    assert_eq!(upstream.last().path, "/v1/embeddings");
    assert_eq!(upstream.last().json()["input"], json!(["one", "two"]));
}

#[tokio::test]
async fn a_gateway_is_asked_for_any_model_with_its_own_key() {
    let upstream = ScriptedUpstream::start().await;
    upstream.require_key("sk-virtual");
    upstream.add_model("anything/at-all");
    let client = Tollgate::gateway(upstream.url(), "sk-virtual");
    let answer = client.completion("anything/at-all", [user("hi")]).await.unwrap();
    assert_eq!(answer.text(), "You said: hi");
    assert_eq!(upstream.last().path, "/v1/chat/completions");
    assert_eq!(upstream.last().json()["model"], "anything/at-all");
}

#[tokio::test]
async fn a_mock_asks_nobody() {
    let client = Tollgate::builder().env(|_| None).build();
    let ask = || client.completion("apertis/m", [user("hi")]).mock_response("It is a mock.");
    assert_eq!(ask().await.unwrap().text(), "It is a mock.");
    let whole = ask().stream().await.unwrap().collect().await.unwrap();
    assert_eq!(whole.text(), "It is a mock.");
}

#[tokio::test]
async fn connections_are_kept() {
    let upstream = ScriptedUpstream::start().await;
    let client = client(&upstream);
    for _ in 0..5 {
        client.completion("apertis/m", [user("hi")]).await.unwrap();
    }
    assert_eq!(upstream.accepted(), 1);
}

/// What a caller needs to run calls on any tokio runtime.
#[test]
fn calls_may_move_between_threads() {
    fn can_move<T: Send>(value: T) -> T {
        value
    }
    let client = Tollgate::builder().env(|_| None).timeout(Duration::from_secs(1)).build();
    drop(can_move(client.completion("apertis/m", [user("hi")]).into_future()));
    drop(can_move(client.completion("apertis/m", [user("hi")]).stream()));
    drop(can_move(client.embedding("apertis/m", "hi").into_future()));
}

#[tokio::test]
async fn unknown_fields_of_an_answer_are_kept() {
    let upstream = ScriptedUpstream::start().await;
    let body = json!({"id": "x", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop",
            "message": {"role": "assistant", "content": "hi", "mood": "good"}}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        "credits_left": 12});
    upstream.script(Reply::raw(200, "application/json", body.to_string()));
    let answer = client(&upstream).completion("apertis/m", [user("hi")]).await.unwrap();
    assert_eq!(answer.extra["credits_left"], 12);
    assert_eq!(answer.message().unwrap().extra["mood"], Value::from("good"));
}
