//! OpenAI's responses and old completions through the real binary: over a provider that speaks
//! responses, over one that speaks chat completions, and over Anthropic.

use serde_json::{Value, json};
use tollgate_testkit::{Answer, Reply, ScriptedUpstream, Tollgate, call, post};

use crate::gate::{UPSTREAM_KEY, assert_refused, binary, key, rows, upstream};

const MODELS: &[(&str, &str, &str)] = &[
    ("native", "openai/gpt-5", "/v1"),
    ("chat", "cerebras/gpt-4o", "/v1"),
    ("claude", "anthropic/claude-sonnet-4-5", ""),
    ("old", "text-completion-openai/gpt-4.1", "/v1"),
    ("google", "gemini/gemini-3-pro-preview", ""),
];

async fn gate() -> (ScriptedUpstream, Tollgate) {
    let upstream = upstream(&[]).await;
    let entries: String = MODELS
        .iter()
        .map(|(name, model, path)| {
            format!(
                "  - model_name: {name}\n    litellm_params:\n      model: {model}\n      api_base: \
                 {}{path}\n      api_key: {UPSTREAM_KEY}\n      input_cost_per_token: 0.000001\n      \
                 output_cost_per_token: 0.000002\n",
                upstream.url()
            )
        })
        .collect();
    let amazon = format!(
        "  - model_name: amazon\n    litellm_params:\n      model: \
         bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0\n      api_base: {}\n      \
         aws_region_name: us-east-1\n      aws_access_key_id: AKIDSCRIPTED\n      \
         aws_secret_access_key: scripted/secret+key\n",
        upstream.url()
    );
    let config = format!("model_list:\n{entries}{amazon}router_settings:\n  num_retries: 0\n");
    let gate = binary().config(config).start().await;
    (upstream, gate)
}

async fn ask(gate: &Tollgate, key: &str, body: Value) -> Answer {
    post(&format!("{}/v1/responses", gate.url()), key, &body).await
}

/// The text of an answer, as the SDKs' `output_text` has it.
fn text(answer: &Value) -> String {
    let items = answer["output"].as_array().unwrap();
    let parts = items.iter().flat_map(|item| item["content"].as_array().into_iter().flatten());
    parts.filter_map(|part| part["text"].as_str()).collect()
}

fn last_event(answer: &Answer) -> Value {
    serde_json::from_str(answer.events().last().unwrap()).unwrap()
}

#[tokio::test]
async fn an_answer_over_every_kind_of_upstream() {
    let (up, gate) = gate().await;
    for (model, path) in
        [("native", "/v1/responses"), ("chat", "/v1/chat/completions"), ("claude", "/v1/messages")]
    {
        for url in ["/v1/responses", "/responses", "/openai/v1/responses"] {
            let body = json!({"model": model, "input": "Say hello", "instructions": "Be brief"});
            let answer = post(&format!("{}{url}", gate.url()), gate.master_key(), &body).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            let body = answer.json();
            assert_eq!(text(&body), "You said: Say hello");
            assert_eq!(
                (&body["object"], &body["status"]),
                (&json!("response"), &json!("completed"))
            );
            assert_eq!(body["model"], model);
            assert!(body["usage"]["input_tokens"].as_u64().unwrap() > 0);
            assert!(body["id"].as_str().unwrap().starts_with("resp_"));
            assert_eq!(up.last().path, path);
        }
    }
    let rows = rows(&gate, "", 9).await;
    assert!(rows.iter().all(|row| row["spend"].as_f64().unwrap() > 0.0), "{rows:?}");
}

#[tokio::test]
async fn a_stream_over_every_kind_of_upstream() {
    let (_up, gate) = gate().await;
    for model in ["native", "chat", "claude"] {
        let body = json!({"model": model, "input": "Say hello", "stream": true});
        let answer = ask(&gate, gate.master_key(), body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(answer.header("content-type").starts_with("text/event-stream"));
        let events: Vec<Value> =
            answer.events().iter().map(|data| serde_json::from_str(data).unwrap()).collect();
        for (number, event) in events.iter().enumerate() {
            assert_eq!(event["sequence_number"], number, "{event}");
        }
        assert_eq!(events[0]["type"], "response.created");
        let deltas: String = events.iter().filter_map(|event| event["delta"].as_str()).collect();
        assert_eq!(deltas, "You said: Say hello");
        let last = last_event(&answer);
        assert_eq!(last["type"], "response.completed");
        assert_eq!(text(&last["response"]), "You said: Say hello");
        assert_eq!(last["response"]["id"], events[0]["response"]["id"]);
    }
    let rows = rows(&gate, "", 3).await;
    assert!(rows.iter().all(|row| row["completion_tokens"] == 4), "{rows:?}");
}

/// Functions and custom tools, called and answered.
#[tokio::test]
async fn tools_over_every_kind_of_upstream() {
    let (up, gate) = gate().await;
    let tools = json!([
        {"type": "function", "name": "get_weather", "parameters":
            {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}},
        {"type": "custom", "name": "apply_patch", "description": "Edits files",
            "format": {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"}},
    ]);
    for model in ["native", "chat", "claude"] {
        for (tool, kind, member) in [
            ("get_weather", "function_call", "arguments"),
            ("apply_patch", "custom_tool_call", "input"),
        ] {
            let choice = if kind == "function_call" { "function" } else { "custom" };
            let body = json!({"model": model, "input": "Weather in Paris", "tools": tools,
                "tool_choice": {"type": choice, "name": tool}});
            let answer = ask(&gate, gate.master_key(), body).await.json();
            let item = answer["output"][0].clone();
            assert_eq!((&item["type"], &item["name"]), (&json!(kind), &json!(tool)), "{answer}");
            let said = item[member].as_str().unwrap();
            assert_eq!(said, if tool == "get_weather" { r#"{"city":"Paris"}"# } else { "Paris" });
            let output = format!("{kind}_output");
            let body = json!({"model": model, "tools": tools, "input": [
                {"role": "user", "content": "Weather in Paris"}, item,
                {"type": output, "call_id": item["call_id"], "output": "sunny"}]});
            let answer = ask(&gate, gate.master_key(), body).await;
            assert_eq!(text(&answer.json()), "The tool said: sunny", "{}", answer.text());
        }
    }
    let asked = up.requests();
    let chat = asked.iter().find(|asked| asked.path.ends_with("/chat/completions")).unwrap();
    assert_eq!(chat.json()["tools"][1]["function"]["name"], "apply_patch");
}

/// What the Codex CLI sends, turn after turn.
#[tokio::test]
async fn a_coding_agents_conversation() {
    let (up, gate) = gate().await;
    let fixture = include_str!("../../../../fixtures/chat/codex/request.responses.json");
    let first: Value = serde_json::from_str(fixture).unwrap();
    for model in ["chat", "claude", "native", "google", "amazon"] {
        let mut body = first.clone();
        body["model"] = json!(model);
        up.script(Reply::tool_calls(vec![
            ("exec_command".to_owned(), json!({"cmd": "ls"})),
            (
                "apply_patch".to_owned(),
                match model {
                    "native" => json!("*** Begin Patch"),
                    _ => json!({"input": "*** Begin Patch"}),
                },
            ),
        ]));
        let answer = ask(&gate, gate.master_key(), body.clone()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let last = last_event(&answer);
        let output = last["response"]["output"].as_array().unwrap().clone();
        let of = |kind: &str| output.iter().filter(|item| item["type"] == kind).count();
        assert_eq!((of("function_call"), of("custom_tool_call")), (1, 1), "{output:?}");
        // Thoughts come back with what their provider wants to see again.
        let sealed = output.iter().any(|item| item["encrypted_content"].is_string());
        assert_eq!(sealed, model != "chat", "{output:?}");

        let input = body["input"].as_array_mut().unwrap();
        input.extend(output.clone());
        for item in &output {
            let kind = item["type"].as_str().unwrap();
            if kind != "reasoning" {
                input.push(json!({"type": format!("{kind}_output"), "call_id": item["call_id"],
                    "output": format!("done {kind}")}));
            }
        }
        let answer = ask(&gate, gate.master_key(), body).await;
        let last = last_event(&answer);
        let said = "The tool said: done function_call and done custom_tool_call";
        assert_eq!(text(&last["response"]), said, "{}", answer.text());
    }
}

#[tokio::test]
async fn a_stored_answer_is_gone_on_from_by_whom_it_was_given_to() {
    let (up, gate) = gate().await;
    let (mine, theirs) =
        (key(&gate, json!({"user_id": "me"})).await, key(&gate, json!({"user_id": "you"})).await);
    let first = ask(&gate, &mine, json!({"model": "native", "input": "One"})).await.json();
    let id = first["id"].as_str().unwrap();
    let next = json!({"model": "native", "input": "Two", "previous_response_id": id});
    let answer = ask(&gate, &mine, next.clone()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["previous_response_id"], id);
    let asked = up.last().json()["previous_response_id"].as_str().unwrap().to_owned();
    assert!(asked != id && asked.starts_with("resp_scripted"), "{asked}");
    // A key of the same user finds it, another's does not, nor does the provider's own id.
    let second = key(&gate, json!({"user_id": "me"})).await;
    assert_eq!(ask(&gate, &second, next.clone()).await.status, 200);
    let before = up.requests().len();
    for (key, id) in [(&theirs, id), (&mine, asked.as_str())] {
        let body = json!({"model": "native", "input": "Two", "previous_response_id": id});
        let answer = ask(&gate, key, body).await;
        assert_eq!(answer.status, 400);
        assert!(answer.text().contains("not found"), "{}", answer.text());
    }
    // A target that keeps nothing says so.
    for model in ["chat", "claude"] {
        let body = json!({"model": model, "input": "Two", "previous_response_id": id});
        let answer = ask(&gate, &mine, body).await;
        assert_refused(&answer, 400, "unsupported_parameter");
        assert!(answer.text().contains("keeps no answers"), "{}", answer.text());
    }
    assert_eq!(up.requests().len(), before);
}

/// Of several accounts behind one name, the one that has the answer is asked to go on from it.
#[tokio::test]
async fn a_stored_answer_is_gone_on_from_where_it_is() {
    let (one, two) = (upstream(&[]).await, upstream(&[]).await);
    let entries: String = [(&one, 1), (&two, 100)]
        .iter()
        .map(|(up, weight)| {
            format!(
                "  - model_name: group\n    litellm_params: {{model: openai/gpt-5, api_base: \
                 \"{}/v1\", api_key: {UPSTREAM_KEY}, weight: {weight}}}\n",
                up.url()
            )
        })
        .collect();
    let gate = binary().config(format!("model_list:\n{entries}")).start().await;
    let mut there = 0;
    for _ in 0..6 {
        let first = ask(&gate, gate.master_key(), json!({"model": "group", "input": "One"})).await;
        let id = first.json()["id"].clone();
        let at_two = two.requests().len() > there;
        for _ in 0..4 {
            let next = json!({"model": "group", "input": "Two", "previous_response_id": id});
            let answer = ask(&gate, gate.master_key(), next).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        let asked = two.requests().len() - there;
        assert_eq!(asked, if at_two { 5 } else { 0 });
        there = two.requests().len();
    }
    assert!(there > 0);
    let away = two.requests().len();
    drop(two);
    let first = json!({"model": "group", "input": "One"});
    assert_eq!(ask(&gate, gate.master_key(), first).await.status, 200);
    assert!(!one.requests().is_empty() && away == there);
}

#[tokio::test]
async fn a_stored_answer_is_fetched_and_deleted_by_whom_it_was_given_to() {
    let (up, gate) = gate().await;
    let (mine, theirs) = (key(&gate, json!({})).await, key(&gate, json!({})).await);
    let made = ask(&gate, &mine, json!({"model": "native", "input": "One"})).await.json();
    let id = made["id"].as_str().unwrap().to_owned();
    let at = |tail: &str| format!("{}/v1/responses/{id}{tail}", gate.url());
    let as_key = |key: &str| format!("Bearer {key}");
    let (me, you) = (as_key(&mine), as_key(&theirs));

    let found = call("GET", &at("?include[]=x"), &[("authorization", &me)], "").await;
    assert_eq!(found.status, 200, "{}", found.text());
    assert_eq!((&found.json()["id"], &found.json()["output"]), (&made["id"], &made["output"]));
    assert_eq!(up.last().query.as_deref(), Some("include[]=x"));
    assert_eq!(up.last().header("authorization"), format!("Bearer {UPSTREAM_KEY}"));
    let items = call("GET", &at("/input_items"), &[("authorization", &me)], "").await;
    assert_eq!(items.json()["object"], "list", "{}", items.text());

    let cancelled = call("POST", &at("/cancel"), &[("authorization", &me)], "").await;
    assert_eq!(cancelled.status, 400, "{}", cancelled.text());
    assert!(cancelled.text().contains("Cannot cancel a synchronous"), "{}", cancelled.text());
    assert!(up.last().path.ends_with("/cancel"), "{}", up.last().path);

    let before = up.requests().len();
    let other = call("POST", &at("/cancel"), &[("authorization", &you)], "").await;
    assert_refused(&other, 404, "not_found");
    let other = call("GET", &at(""), &[("authorization", &you)], "").await;
    assert_refused(&other, 404, "not_found");
    assert_refused(
        &call("DELETE", &at(""), &[("authorization", &you)], "").await,
        404,
        "not_found",
    );
    assert_refused(&call("GET", &at(""), &[], "").await, 401, "invalid_api_key");
    let raw = format!("{}/v1/responses/resp_scripted000001", gate.url());
    assert_refused(&call("GET", &raw, &[("authorization", &me)], "").await, 404, "not_found");
    assert_eq!(up.requests().len(), before);
    let streamed = call("GET", &at("?stream=true"), &[("authorization", &me)], "").await;
    assert_refused(&streamed, 400, "invalid_request");
    assert!(streamed.text().contains("cannot be streamed"), "{}", streamed.text());

    let deleted = call("DELETE", &at(""), &[("authorization", &me)], "").await;
    assert_eq!(deleted.json(), json!({"id": id, "object": "response", "deleted": true}));
    let gone = call("GET", &at(""), &[("authorization", &me)], "").await;
    assert_eq!(gone.status, 404);
    assert!(gone.text().contains(&id) && !gone.text().contains("scripted"), "{}", gone.text());
}

#[tokio::test]
async fn an_item_is_named_by_whom_it_was_given_to() {
    let (up, gate) = gate().await;
    let (mine, theirs) = (key(&gate, json!({})).await, key(&gate, json!({})).await);
    let first = json!({"model": "native", "input": "One", "stream": true});
    let answer = ask(&gate, &mine, first).await;
    let item = last_event(&answer)["response"]["output"][0]["id"].clone();
    let said = answer
        .events()
        .iter()
        .filter(|event| event.contains("response.output_text.delta"))
        .map(|event| serde_json::from_str::<Value>(event).unwrap()["item_id"].clone())
        .collect::<Vec<_>>();
    assert!(!said.is_empty() && said.iter().all(|id| *id == item), "{said:?} of {item}");
    let next = |id: &Value| {
        json!({"model": "native", "input": [{"type": "item_reference", "id": id},
            {"role": "user", "content": "Two"}]})
    };
    let answer = ask(&gate, &mine, next(&item)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let own = up.last().json()["input"][0]["id"].clone();
    assert!(item.as_str().unwrap().starts_with(own.as_str().unwrap()) && item != own, "{own}");
    let before = up.requests().len();
    for (key, id) in [(&theirs, &item), (&mine, &own)] {
        let answer = ask(&gate, key, next(id)).await;
        assert_refused(&answer, 400, "invalid_request");
        assert!(answer.text().contains("not found"), "{}", answer.text());
    }
    assert_eq!(up.requests().len(), before);
}

/// A wildcard's provider and place are known only when a model is named; its answers are found all
/// the same, also after a restart.
#[tokio::test]
async fn behind_wildcards_answers_are_fetched_too() {
    let up = upstream(&[]).await;
    let entry = |name: &str, model: &str, more: &str| {
        format!(
            "model_list:\n- model_name: \"{name}\"\n  litellm_params: {{model: \"{model}\"{more}}}\n"
        )
    };
    let own = format!(", api_base: \"{}/v1\", api_key: {UPSTREAM_KEY}", up.url());
    for config in [entry("openai/*", "openai/*", &own), entry("*", "*", "")] {
        let gate = || {
            binary()
                .config(&config)
                .env("OPENAI_API_KEY", UPSTREAM_KEY)
                .env("OPENAI_BASE_URL", format!("{}/v1", up.url()))
        };
        let first = gate().start().await;
        let made =
            ask(&first, first.master_key(), json!({"model": "openai/gpt-5", "input": "One"}));
        let made = made.await.json();
        let me = format!("Bearer {}", first.master_key());
        let id = made["id"].as_str().unwrap();
        let found = call(
            "GET",
            &format!("{}/v1/responses/{id}", first.url()),
            &[("authorization", &me)],
            "",
        )
        .await;
        assert_eq!(found.status, 200, "{}", found.text());
        assert_eq!(found.json()["id"], made["id"]);
        drop(first);
        let second = gate().start().await;
        let me = format!("Bearer {}", second.master_key());
        let found = call(
            "GET",
            &format!("{}/v1/responses/{id}", second.url()),
            &[("authorization", &me)],
            "",
        )
        .await;
        assert_eq!(found.status, 200, "{}", found.text());
    }
}

#[tokio::test]
async fn errors_are_in_openais_envelope() {
    let (up, gate) = gate().await;
    let missing = ask(&gate, gate.master_key(), json!({"model": "chat"})).await;
    assert_refused(&missing, 400, "invalid_request");
    assert_eq!(missing.json()["error"]["param"], "input");
    assert_refused(
        &ask(&gate, gate.master_key(), json!({"model": "nobody", "input": "x"})).await,
        404,
        "model_not_found",
    );
    let unknown = json!({"model": "native", "input": "x", "messages": []});
    let answer = ask(&gate, gate.master_key(), unknown).await;
    assert_refused(&answer, 400, "unknown_parameter");
    assert_eq!(answer.json()["error"]["param"], "messages");
    for model in ["native", "chat", "claude"] {
        up.script(Reply::status(429).retry_after_s(7));
        let answer = ask(&gate, gate.master_key(), json!({"model": model, "input": "x"})).await;
        assert_refused(&answer, 429, "upstream_rate_limited");
        assert_eq!(answer.header("retry-after"), "7");
    }
    let hosted = json!({"model": "chat", "input": "x", "tools": [{"type": "web_search"}]});
    let answer = ask(&gate, gate.master_key(), hosted).await;
    assert_refused(&answer, 400, "unsupported_parameter");
    assert_eq!(answer.json()["error"]["param"], "tools[0]");
}

#[tokio::test]
async fn a_broken_stream_ends_in_an_error_event() {
    let (up, gate) = gate().await;
    for model in ["native", "chat", "claude"] {
        up.script(Reply::auto().error_event());
        let body = json!({"model": model, "input": "x", "stream": true});
        let answer = ask(&gate, gate.master_key(), body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let last = last_event(&answer);
        assert_eq!(last["type"], "error", "{}", answer.text());
        assert!(last["message"].is_string() && last["sequence_number"].is_u64());
    }
}

#[tokio::test]
async fn completions_over_every_kind_of_upstream() {
    let (up, gate) = gate().await;
    for model in ["native", "chat", "claude"] {
        let body = json!({"model": model, "prompt": "Say hello", "max_tokens": 50});
        for url in ["/v1/completions", "/completions", &format!("/engines/{model}/completions")] {
            let answer = post(&format!("{}{url}", gate.url()), gate.master_key(), &body).await;
            let body = answer.json();
            assert_eq!(body["object"], "text_completion", "{}", answer.text());
            assert_eq!(body["choices"][0]["text"], "You said: Say hello");
            assert_eq!(body["choices"][0]["finish_reason"], "stop");
            assert_eq!(body["model"], model);
        }
        let body = json!({"model": model, "prompt": ["Say hello"], "stream": true,
            "stream_options": {"include_usage": true}});
        let url = format!("{}/v1/completions", gate.url());
        let answer = post(&url, gate.master_key(), &body).await;
        let events = answer.events();
        assert_eq!(events.last().unwrap(), "[DONE]");
        let chunks: Vec<Value> =
            events[..events.len() - 1].iter().map(|it| serde_json::from_str(it).unwrap()).collect();
        let said: String =
            chunks.iter().filter_map(|it| it["choices"][0]["text"].as_str()).collect();
        assert_eq!(said, "You said: Say hello");
        assert_eq!(chunks.last().unwrap()["usage"]["completion_tokens"], 4);
    }
    let tokens = json!({"model": "chat", "prompt": [1, 2, 3]});
    let answer = post(&format!("{}/v1/completions", gate.url()), gate.master_key(), &tokens).await;
    assert_refused(&answer, 400, "invalid_request");
    assert_eq!(answer.json()["error"]["param"], "prompt");
    // A provider that has completions itself is asked for them.
    up.forget();
    let body = json!({"model": "old", "prompt": [1, 2, 3]});
    post(&format!("{}/v1/completions", gate.url()), gate.master_key(), &body).await;
    assert_eq!(up.last().path, "/v1/completions");
    assert_eq!(up.last().json(), json!({"model": "gpt-4.1", "prompt": [1, 2, 3]}));
    let chat = json!({"model": "old", "messages": [{"role": "user", "content": "x"}]});
    let url = format!("{}/v1/chat/completions", gate.url());
    assert_refused(&post(&url, gate.master_key(), &chat).await, 400, "unsupported_parameter");
}

#[tokio::test]
async fn a_path_may_name_the_model() {
    let (up, gate) = gate().await;
    let messages = json!([{"role": "user", "content": "Say hello"}]);
    for prefix in ["/openai/deployments", "/engines"] {
        for (body, stream) in [
            (json!({"messages": messages}), false),
            (json!({"messages": messages, "model": "nobody", "stream": true}), true),
        ] {
            let url =
                format!("{}{prefix}/chat/chat/completions?api-version=2024-10-21", gate.url());
            let headers = [("api-key", gate.master_key()), ("content-type", "application/json")];
            let answer = call("POST", &url, &headers, body.to_string()).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(answer.header("content-type").starts_with("text/event-stream"), stream);
            assert_eq!(up.last().json()["model"], "gpt-4o");
        }
    }
}
