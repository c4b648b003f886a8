//! Containers and files of one tenant are not found by another, in messages and in responses,
//! through the real binary.

use serde_json::{Value, json};
use tollgate_testkit::{Answer, Reply, ScriptedUpstream, Tollgate, post};

use crate::gate::{UPSTREAM_KEY, binary, key, upstream};

/// What a provider says that ran code: in a container of its own, which wrote a file.
const MESSAGE: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-4-5",
    "content":[{"type":"bash_code_execution_tool_result","tool_use_id":"srvtoolu_1","content":
        {"type":"bash_code_execution_result","stdout":"","stderr":"","return_code":0,"content":
        [{"type":"bash_code_execution_output","file_id":"file_1"}]}}],
    "container":{"id":"container_1","expires_at":"2025-08-25T00:00:00Z"},
    "stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":9,"output_tokens":3}}"#;
const RESPONSE: &str = r#"{"id":"resp_1","object":"response","status":"completed","model":"gpt-5","output":[
    {"id":"ci_1","type":"code_interpreter_call","status":"completed","container_id":"cntr_1","code":"1","outputs":[]},
    {"id":"msg_1","type":"message","role":"assistant","status":"completed","content":[
        {"type":"output_text","text":"See.","annotations":[{"type":"container_file_citation",
        "container_id":"cntr_1","file_id":"cfile_1","filename":"a.png","start_index":0,"end_index":4}]}]}],
    "usage":{"input_tokens":9,"output_tokens":3,"total_tokens":12}}"#;

async fn start() -> (ScriptedUpstream, Tollgate) {
    let upstream = upstream(&[]).await;
    let url = upstream.url();
    let config = format!(
        "model_list:
- model_name: claude
  litellm_params: {{model: anthropic/claude-sonnet-4-5, api_base: '{url}', api_key: {UPSTREAM_KEY}}}
- model_name: gpt
  litellm_params: {{model: openai/gpt-5, api_base: '{url}/v1', api_key: {UPSTREAM_KEY}}}
router_settings: {{num_retries: 0}}\n"
    );
    (upstream, binary().config(config).start().await)
}

async fn messages(gate: &Tollgate, key: &str, more: Value) -> Answer {
    let mut body = json!({
        "model": "claude", "max_tokens": 9, "messages": [{ "role": "user", "content": "Run it" }],
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    post(&format!("{}/v1/messages", gate.url()), key, &body).await
}

async fn responses(gate: &Tollgate, key: &str, more: Value) -> Answer {
    let mut body = json!({ "model": "gpt", "input": "Run it" });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    post(&format!("{}/v1/responses", gate.url()), key, &body).await
}

fn raw(body: &'static str) -> Reply {
    Reply::raw(200, "application/json", body)
}

#[tokio::test]
async fn a_container_of_messages_is_its_tenants() {
    let (upstream, gate) = start().await;
    let [ours, mates] =
        [key(&gate, json!({ "team_id": "a" })).await, key(&gate, json!({ "team_id": "a" })).await];
    let theirs = key(&gate, json!({ "team_id": "b" })).await;
    upstream.script(raw(MESSAGE));
    let said = messages(&gate, &ours, json!({})).await;
    assert_eq!(said.status, 200, "{}", said.text());
    let (text, said) = (said.text(), said.json());
    assert!(!text.contains("container_1") && !text.contains("file_1"), "{text}");
    let container = &said["container"]["id"];
    let file = &said["content"][0]["content"]["content"][0]["file_id"];
    assert_eq!(said["container"]["expires_at"], "2025-08-25T00:00:00Z");

    let upload = |file: &Value| {
        let parts = json!([{ "type": "text", "text": "Again" }, { "type": "container_upload", "file_id": file }]);
        json!({ "messages": [{ "role": "user", "content": parts }] })
    };
    for key in [&ours, &mates] {
        upstream.script(raw(MESSAGE));
        let again = messages(&gate, key, json!({ "container": container })).await;
        assert_eq!(again.status, 200, "{}", again.text());
        assert_eq!(upstream.last().json()["container"], "container_1");
        assert_eq!(again.json()["container"]["id"], *container);
    }
    let asked = upstream.requests().len();
    let forged = json!("file_sealed_AAAA");
    for (key, more) in [
        (&theirs, json!({ "container": container })),
        (&theirs, json!({ "container": { "id": container } })),
        (&theirs, json!({ "container": "container_1" })),
        (&ours, json!({ "container": "container_1" })),
        (&theirs, upload(file)),
        (&ours, upload(&forged)),
    ] {
        let refused = messages(&gate, key, more.clone()).await;
        assert_eq!(refused.status, 404, "{more}: {}", refused.text());
        let error = &refused.json()["error"];
        assert_eq!(error["type"], "not_found_error");
        assert!(error["message"].as_str().unwrap().ends_with("' not found."), "{error}");
    }
    assert_eq!(upstream.requests().len(), asked, "the provider is not asked");
}

#[tokio::test]
async fn a_container_of_responses_is_its_tenants() {
    let (upstream, gate) = start().await;
    let ours = key(&gate, json!({ "team_id": "a" })).await;
    let theirs = key(&gate, json!({ "user_id": "b" })).await;
    upstream.script(raw(RESPONSE));
    let said = responses(&gate, &ours, json!({})).await;
    assert_eq!(said.status, 200, "{}", said.text());
    let (text, said) = (said.text(), said.json());
    assert!(!text.contains("cntr_1") && !text.contains("cfile_1"), "{text}");
    let container = &said["output"][0]["container_id"];
    let cited = &said["output"][1]["content"][0]["annotations"][0];
    assert_eq!((&cited["container_id"], &cited["end_index"]), (container, &json!(4)));

    let tools = |container: &Value| json!({ "tools": [{ "type": "code_interpreter", "container": container }] });
    let file = |file: &Value| {
        let parts = json!([{ "type": "input_file", "file_id": file }]);
        json!({ "input": [{ "role": "user", "content": parts }] })
    };
    let again = responses(&gate, &ours, tools(container)).await;
    assert_eq!(again.status, 200, "{}", again.text());
    assert_eq!(upstream.last().json()["tools"][0]["container"], "cntr_1");
    // The provider says again what it was asked with.
    assert_eq!(again.json()["tools"][0]["container"], *container);
    responses(&gate, &ours, file(&cited["file_id"])).await;
    assert_eq!(upstream.last().json()["input"][0]["content"][0]["file_id"], "cfile_1");
    // The operator's own.
    responses(&gate, &theirs, file(&json!("file-1"))).await;
    assert_eq!(upstream.last().json()["input"][0]["content"][0]["file_id"], "file-1");

    let asked = upstream.requests().len();
    for (key, more) in [
        (&theirs, tools(container)),
        (&theirs, tools(&json!("cntr_1"))),
        (&theirs, file(&cited["file_id"])),
        // What is dropped of a request does not change whose it is.
        (
            &ours,
            json!({
                "tools": [{ "type": "code_interpreter", "container": "cntr_1" }],
                "temperature": 1, "additional_drop_params": ["temperature"],
            }),
        ),
    ] {
        let refused = responses(&gate, key, more.clone()).await;
        assert_eq!(refused.status, 404, "{more}: {}", refused.text());
        assert_eq!(refused.json()["error"]["code"], "not_found");
    }
    assert_eq!(upstream.requests().len(), asked, "the provider is not asked");
}
