//! OpenAI's and Anthropic's clients over OCI Generative AI, in both of its formats.

use serde_json::{Value, json};
use tollgate_testkit::{Answer, Reply, ScriptedUpstream, Tollgate, post, scripted::oci};

use crate::gate::{assert_refused, binary, chat, hello, hello_streamed, rows};

const LLAMA: &str = "meta.llama-3.3-70b-instruct";
const COHERE: &str = "cohere.command-a-03-2025";
const ENDPOINT: &str = "ocid1.generativeaiendpoint.oc1.us-chicago-1.scripted";

/// A gateway with a model of each kind, `more` beside what they all need.
async fn gate(upstream: &ScriptedUpstream, more: &str) -> Tollgate {
    let entry = |name: &str, model: &str| {
        format!(
            "  - model_name: {name}\n    litellm_params:\n      model: oci/{model}\n      \
             api_base: {}\n      input_cost_per_token: 0.000001\n      \
             output_cost_per_token: 0.000002\n{more}",
            upstream.url()
        )
    };
    let config = format!(
        "model_list:\n{}{}{}{}{}router_settings:\n  num_retries: 0\n",
        entry("llama", LLAMA),
        entry("cohere", COHERE),
        entry("gpt", "openai.gpt-5"),
        entry("own", ENDPOINT),
        entry("embed", "cohere.embed-v4.0"),
    );
    binary()
        .config(config)
        .env("OCI_USER", oci::USER)
        .env("OCI_FINGERPRINT", oci::FINGERPRINT)
        .env("OCI_TENANCY", oci::TENANCY)
        .env("OCI_COMPARTMENT_ID", oci::COMPARTMENT)
        .env("OCI_KEY", oci::pem())
        .start()
        .await
}

async fn messages(gate: &Tollgate, body: &Value) -> Answer {
    post(&format!("{}/v1/messages", gate.url()), gate.master_key(), body).await
}

#[tokio::test]
async fn every_model_is_asked_in_its_format() {
    let upstream = ScriptedUpstream::start().await;
    let gate = gate(&upstream, "").await;
    for (name, limit) in
        [("llama", "maxTokens"), ("cohere", "maxTokens"), ("gpt", "maxCompletionTokens")]
    {
        let answer = chat(&gate, gate.master_key(), &hello(name)).await;
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        assert_eq!(answer.json()["choices"][0]["message"]["content"], "You said: Say hello");
        assert_eq!(answer.json()["model"], name);
        let sent = upstream.last();
        assert_eq!(sent.path, "/20231130/actions/chat");
        assert_eq!(sent.json()["chatRequest"][limit], 4000, "{name}");
        let mut body = hello(name);
        body["max_completion_tokens"] = json!(20);
        body["system"] = json!("Be brief.");
        body["max_tokens"] = json!(20);
        let answer = messages(&gate, &json!({
            "model": name, "max_tokens": 20, "system": "Be brief.", "messages": body["messages"],
        }))
        .await;
        assert_eq!(answer.json()["content"][0]["text"], "You said: Say hello", "{}", answer.text());
        assert_eq!(upstream.last().json()["chatRequest"][limit], 20);
    }
    let answer = chat(&gate, gate.master_key(), &hello("own")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let mode = json!({ "servingType": "DEDICATED", "endpointId": ENDPOINT });
    assert_eq!(upstream.last().json()["servingMode"], mode);
    let row = &rows(&gate, "", 7).await[0];
    assert_eq!((&row["prompt_tokens"], &row["completion_tokens"]), (&json!(2), &json!(4)));
    assert_eq!(row["spend"], 0.000_01);
    assert_eq!(row["custom_llm_provider"], "oci");
}

#[tokio::test]
async fn every_model_streams() {
    let upstream = ScriptedUpstream::start().await;
    let gate = gate(&upstream, "").await;
    for name in ["llama", "cohere"] {
        upstream.script(Reply::auto().reasoning("Hm, so."));
        let answer = chat(&gate, gate.master_key(), &hello_streamed(name)).await;
        let mut events = answer.events();
        assert_eq!(events.pop().unwrap(), "[DONE]");
        let said = |name: &str| -> String {
            let deltas = events.iter().map(|e| serde_json::from_str::<Value>(e).unwrap());
            deltas
                .filter_map(|d| d["choices"][0]["delta"][name].as_str().map(str::to_owned))
                .collect()
        };
        assert_eq!(said("content"), "You said: Say hello");
        assert_eq!(said("reasoning_content"), if name == "llama" { "Hm, so." } else { "" });
        let mut body = hello_streamed(name);
        body["max_tokens"] = json!(20);
        let text = messages(&gate, &body).await.text();
        assert!(text.contains("\"text_delta\"") && text.contains("event: message_stop"), "{text}");
    }
    for row in rows(&gate, "", 4).await {
        assert_eq!(row["metadata"]["tollgate"]["estimated"], false, "{row}");
    }
}

#[tokio::test]
async fn tools_go_there_and_back() {
    let upstream = ScriptedUpstream::start().await;
    let gate = gate(&upstream, "").await;
    let schema = json!({ "type": "object", "properties": { "city": { "type": "string" } } });
    let tool =
        json!({ "type": "function", "function": { "name": "get_weather", "parameters": schema } });
    for (name, stream) in [("llama", false), ("llama", true), ("cohere", false), ("cohere", true)] {
        let mut body = hello(name);
        body["tools"] = json!([tool]);
        body["stream"] = json!(stream);
        body["messages"][0]["content"] = json!("Weather in Paris");
        let answer = chat(&gate, gate.master_key(), &body).await;
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        let call = match stream {
            false => answer.json()["choices"][0]["message"]["tool_calls"][0].clone(),
            true => added_up(&answer),
        };
        assert_eq!(call["function"]["arguments"], r#"{"city":"Paris"}"#, "{}", answer.text());
        body["stream"] = json!(false);
        let said = json!({ "role": "assistant", "content": null, "tool_calls": [call] });
        let result = json!({ "role": "tool", "tool_call_id": call["id"], "content": "sunny" });
        body["messages"].as_array_mut().unwrap().extend([said, result]);
        let answer = chat(&gate, gate.master_key(), &body).await;
        let text = &answer.json()["choices"][0]["message"]["content"];
        assert_eq!(*text, "The tool said: sunny", "{}", answer.text());
    }
    let mut body = hello("llama");
    body["tools"] = json!([tool]);
    body["tool_choice"] = json!({ "type": "function", "function": { "name": "get_weather" } });
    let answer = chat(&gate, gate.master_key(), &body).await;
    assert_eq!(answer.json()["choices"][0]["finish_reason"], "tool_calls", "{}", answer.text());
    body["model"] = json!("cohere");
    let answer = chat(&gate, gate.master_key(), &body).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_eq!(answer.json()["error"]["param"], "tool_choice");
}

/// The call that a stream has made.
fn added_up(answer: &Answer) -> Value {
    let mut call = json!({ "type": "function", "function": { "name": "", "arguments": "" } });
    for event in answer.events() {
        let Ok(event) = serde_json::from_str::<Value>(&event) else { continue };
        let part = &event["choices"][0]["delta"]["tool_calls"][0];
        if part["id"].is_string() {
            call["id"] = part["id"].clone();
            call["function"]["name"] = part["function"]["name"].clone();
        }
        let more = part["function"]["arguments"].as_str().unwrap_or_default();
        let so_far = call["function"]["arguments"].as_str().unwrap_or_default();
        call["function"]["arguments"] = json!(format!("{so_far}{more}"));
    }
    call
}

#[tokio::test]
async fn errors_before_and_within_a_stream() {
    let upstream = ScriptedUpstream::start().await;
    let gate = gate(&upstream, "").await;
    for name in ["llama", "cohere"] {
        upstream.script(Reply::status(429));
        let answer = chat(&gate, gate.master_key(), &hello(name)).await;
        assert_eq!(answer.status, 429, "{}", answer.text());
        assert!(answer.text().contains("scripted 429"), "{}", answer.text());
        upstream.script(Reply::status(500));
        let answer = chat(&gate, gate.master_key(), &hello_streamed(name)).await;
        assert_refused(&answer, 502, "upstream_error");
        let blocked = json!({ "code": "400", "message": "Inappropriate content detected!!!" });
        upstream.script(Reply::raw(400, "application/json", blocked.to_string()));
        let answer = chat(&gate, gate.master_key(), &hello(name)).await;
        assert_refused(&answer, 400, "content_policy_violation");
        upstream.script(Reply::auto().error_event());
        let answer = chat(&gate, gate.master_key(), &hello_streamed(name)).await;
        let events = answer.events();
        assert!(events[events.len() - 2].contains("the model failed, as scripted"), "{events:?}");
        upstream.script(Reply::auto().cut_at(300));
        let answer = chat(&gate, gate.master_key(), &hello_streamed(name)).await;
        let events = answer.events();
        assert!(events[events.len() - 2].contains("\"error\""), "{events:?}");
    }
}

#[tokio::test]
async fn texts_are_embedded() {
    let upstream = ScriptedUpstream::start().await;
    let gate = gate(&upstream, "").await;
    let url = format!("{}/v1/embeddings", gate.url());
    for (model, texts, calls) in [("embed", 3, 1), ("embed", 100, 2), ("own", 2, 1)] {
        let texts: Vec<String> = (0..texts).map(|n| format!("text {n}")).collect();
        let body = json!({ "model": model, "input": texts, "dimensions": 4 });
        let before = upstream.requests().len();
        let answer = post(&url, gate.master_key(), &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["data"].as_array().unwrap().len(), texts.len());
        assert_eq!(answer.json()["usage"]["prompt_tokens"], 2 * texts.len());
        assert_eq!(upstream.requests().len() - before, calls);
        assert_eq!(upstream.last().path, "/20231130/actions/embedText");
        assert_eq!(upstream.last().json()["inputType"], "SEARCH_DOCUMENT");
    }
    let row = &rows(&gate, "", 3).await[0];
    assert_eq!(row["spend"], 0.000_006, "{row}");
}

#[tokio::test]
async fn a_key_that_is_not_known_is_no_fault_of_the_client() {
    let upstream = ScriptedUpstream::start().await;
    let gate = gate(&upstream, "      oci_fingerprint: \"00:00\"\n").await;
    let answer = chat(&gate, gate.master_key(), &hello("llama")).await;
    assert_refused(&answer, 502, "upstream_auth_failed");
}

/// <https://docs.oracle.com/en-us/iaas/Content/API/Concepts/sdkconfig.htm>
#[tokio::test]
async fn keys_come_from_oracles_file_too() {
    let upstream = ScriptedUpstream::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("key.pem"), oci::pem()).unwrap();
    let profile = format!(
        "[DEFAULT]\nuser={}\nfingerprint={}\ntenancy={}\nregion=eu-frankfurt-1\nkey_file={}\n",
        oci::USER,
        oci::FINGERPRINT,
        oci::TENANCY,
        path("key.pem"),
    );
    std::fs::write(path("config"), profile).unwrap();
    let config = format!(
        "model_list:\n  - model_name: a\n    litellm_params:\n      model: oci/{LLAMA}\n      \
         api_base: {}\n      oci_compartment_id: {}\n",
        upstream.url(),
        oci::COMPARTMENT,
    );
    let gate = binary().config(config).env("OCI_CONFIG_FILE", path("config")).start().await;
    let answer = chat(&gate, gate.master_key(), &hello("a")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let authorization = upstream.last().header("authorization").to_owned();
    assert!(
        authorization.starts_with("Signature version=\"1\",keyId=\"ocid1.tenancy"),
        "{authorization}"
    );
}
