//! `/v1/models` and its relatives.

use serde_json::{Value, json};
use tollgate_testkit::{Tollgate, call, get};

use crate::gate::{self, UPSTREAM_KEY, assert_refused, look};

/// A model with a price of its own, one with an odd name and a fallback, one of the catalogue, and
/// a whole provider.
const CONFIG: &str = "
model_list:
- model_name: priced
  litellm_params:
    model: openai/m
    api_base: http://127.0.0.1:9/v1
    api_key: sk-upstream-canary-7f3a
    input_cost_per_token: 0.0000025
    output_cost_per_token: 0.00001
    rpm: 7
  model_info: {max_input_tokens: 1000, max_output_tokens: 100, id: its-id, note: mine}
- model_name: priced
  litellm_params: {model: groq/other, api_key: sk-upstream-canary-7f3a, rpm: 5}
- model_name: team/sub/model
  litellm_params: {model: openai/m2, api_base: http://127.0.0.1:9/v1, api_key: sk-upstream-canary-7f3a}
- model_name: claude
  litellm_params: {model: anthropic/claude-sonnet-4-5, api_key: sk-upstream-canary-7f3a}
- model_name: openai/*
  litellm_params: {model: openai/*, api_key: sk-upstream-canary-7f3a}
router_settings:
  fallbacks: [{priced: [claude]}]
";

async fn started() -> Tollgate {
    gate::binary().config(CONFIG).start().await
}

fn ids(list: &Value) -> Vec<String> {
    let data = list["data"].as_array().expect("a list");
    data.iter().map(|model| model["id"].as_str().expect("an id").to_owned()).collect()
}

fn row<'a>(list: &'a Value, id: &str) -> &'a Value {
    list["data"].as_array().unwrap().iter().find(|row| row["id"] == id).expect(id)
}

#[tokio::test]
async fn a_wildcard_is_spelled_out_in_few_bytes() {
    let gate = started().await;
    let answer = look(&gate, "/v1/models").await;
    let list = answer.json();
    let found = ids(&list);
    assert_eq!(found[..3], ["priced", "team/sub/model", "claude"]);
    assert!(found.iter().any(|id| id == "openai/gpt-4o"), "{found:?}");
    assert!(found.iter().skip(3).all(|id| id.starts_with("openai/") && id != "openai/*"));
    let bytes = answer.text().len();
    assert!(bytes / found.len() < 150, "{bytes} for {}", found.len());
    assert_eq!(row(&list, "priced")["max_input_tokens"], 1000);
    assert_eq!(row(&list, "openai/gpt-4o")["owned_by"], "openai");
    assert_eq!(row(&list, "claude")["owned_by"], "anthropic");
    assert_eq!(look(&gate, "/models").await.json(), list);

    let both = ids(&look(&gate, "/v1/models?return_wildcard_routes=true").await.json());
    assert_eq!(both.len(), found.len() + 1);
    assert_eq!(both[3], "openai/*");
    let some = ids(&look(&gate, "/v1/models?search=GPT-4o").await.json());
    assert!(!some.is_empty() && some.iter().all(|id| id.contains("gpt-4o")), "{some:?}");
}

#[tokio::test]
async fn a_list_comes_in_pages() {
    let gate = started().await;
    let whole = ids(&look(&gate, "/v1/models").await.json());
    let mut paged = Vec::new();
    let mut after = String::new();
    loop {
        let page = look(&gate, &format!("/v1/models?limit=2{after}")).await.json();
        let found = ids(&page);
        assert!(found.len() <= 2);
        after = format!("&after={}", found.last().expect("no page is empty"));
        paged.extend(found);
        if page["has_more"] == false {
            break;
        }
    }
    assert_eq!(paged, whole);
}

#[tokio::test]
async fn anthropics_clients_get_anthropics_form() {
    let gate = started().await;
    let headers = [("x-api-key", gate.master_key()), ("anthropic-version", "2023-06-01")];
    let page = async |query: &str| {
        let url = format!("{}/v1/models{query}", gate.url());
        call("GET", &url, &headers, "").await.json()
    };
    let first = page("?limit=2").await;
    assert_eq!(ids(&first), ["priced", "team/sub/model"]);
    assert_eq!(first["has_more"], true);
    assert_eq!(
        (&first["first_id"], &first["last_id"]),
        (&json!("priced"), &json!("team/sub/model"))
    );
    assert_eq!(
        first["data"][0],
        json!({ "type": "model", "id": "priced", "display_name": "priced", "created_at": "2023-02-28T18:56:42Z" })
    );
    let next = page("?limit=1&after_id=team/sub/model").await;
    assert_eq!(ids(&next), ["claude"]);
    let back = page("?limit=1&before_id=claude").await;
    assert_eq!((ids(&back), &back["has_more"]), (vec!["team/sub/model".to_owned()], &json!(true)));
    assert_eq!(
        page("").await["data"].as_array().unwrap().len().min(20),
        page("").await["data"].as_array().unwrap().len()
    );
    assert_eq!(page("/claude").await["display_name"], "claude");
    let none = page("/nothing").await;
    assert_eq!(
        (&none["type"], &none["error"]["type"]),
        (&json!("error"), &json!("not_found_error"))
    );
}

#[tokio::test]
async fn details_are_openrouters() {
    let gate = started().await;
    let list = look(&gate, "/v1/models?details=true").await.json();
    let priced = row(&list, "priced");
    assert_eq!(priced["pricing"]["prompt"], "0.0000025");
    assert_eq!(priced["pricing"]["completion"], "0.00001");
    assert_eq!(priced["context_length"], 1000);
    assert_eq!(priced["top_provider"]["max_completion_tokens"], 100);
    assert_eq!(priced["architecture"]["output_modalities"], json!(["text"]));
    let params = |row: &Value| row["supported_parameters"].as_array().unwrap().clone();
    assert!(params(priced).contains(&json!("seed")));
    let claude = row(&list, "claude");
    assert!(!params(claude).contains(&json!("seed")), "anthropic has none");
    assert!(params(claude).contains(&json!("tools")));
    assert!(params(row(&list, "openai/gpt-4o")).contains(&json!("seed")));
    let one = look(&gate, "/v1/models/priced?details=true").await.json();
    assert_eq!(&one, priced);
    let plain = look(&gate, "/v1/models/priced?include_metadata=true").await.json();
    assert_eq!(plain["metadata"]["fallbacks"], json!(["claude"]));
    assert!(plain.get("pricing").is_none());
}

#[tokio::test]
async fn a_key_sees_what_it_may_use() {
    let gate = started().await;
    let key =
        gate::key(&gate, json!({ "models": ["claude", "openai/gpt-4o*", "openai/newest"] })).await;
    let url = |path: &str| format!("{}{path}", gate.url());
    let found = ids(&get(&url("/v1/models"), &key).await.json());
    assert_eq!(found[0], "claude");
    assert!(found.contains(&"openai/gpt-4o".to_owned()));
    assert!(found.contains(&"openai/newest".to_owned()), "newer than the catalogue: {found:?}");
    assert!(!found.iter().any(|id| id == "priced" || id == "openai/o3"), "{found:?}");
    assert_eq!(get(&url("/v1/models/team/sub/model"), &key).await.status, 404);
    assert_eq!(get(&url("/v1/models/openai/gpt-4o"), &key).await.json()["id"], "openai/gpt-4o");
    assert_eq!(look(&gate, "/v1/models/team/sub/model").await.json()["id"], "team/sub/model");

    let info = get(&url("/model/info"), &key).await.json();
    let names: Vec<&Value> =
        info["data"].as_array().unwrap().iter().map(|row| &row["model_name"]).collect();
    assert_eq!(names, ["claude", "openai/*"]);
    assert!(!info.to_string().contains("api_base"), "{info}");
    let groups = get(&url("/model_group/info?model_group=priced"), &key).await;
    assert_refused(&groups, 404, "model_not_found");
    assert_refused(
        &get(&url("/utils/model_info?model=priced"), &key).await,
        404,
        "model_not_found",
    );
}

#[tokio::test]
async fn model_info_is_litellms_without_its_size() {
    let gate = started().await;
    for path in ["/model/info", "/v1/model/info"] {
        let answer = look(&gate, path).await;
        assert!(answer.text().len() < 20_000, "{}", answer.text().len());
        assert!(!answer.text().contains(UPSTREAM_KEY));
        let data = answer.json()["data"].as_array().unwrap().clone();
        assert_eq!(data.len(), 5, "one for each entry");
        let first = &data[0];
        assert_eq!(first["model_name"], "priced");
        assert_eq!(first["litellm_params"]["model"], "openai/m");
        assert_eq!(first["litellm_params"]["api_base"], "http://127.0.0.1:9/v1");
        let info = &first["model_info"];
        assert_eq!(info["id"], "its-id");
        assert_eq!(info["note"], "mine");
        assert_eq!(info["mode"], "chat");
        assert_eq!(info["input_cost_per_token"], 0.000_002_5);
        assert_eq!(info["max_tokens"], 100);
        assert!(info["supported_openai_params"].as_array().unwrap().contains(&json!("tools")));
    }
    let one = look(&gate, "/model/info?litellm_model_id=its-id").await.json();
    assert_eq!(one["data"].as_array().unwrap().len(), 1);
    let none = look(&gate, "/model/info?litellm_model_id=nobody").await;
    assert_refused(&none, 404, "model_not_found");
}

#[tokio::test]
async fn a_group_is_what_its_targets_are_together() {
    let gate = started().await;
    let all = look(&gate, "/model_group/info").await.json();
    let names: Vec<&Value> =
        all["data"].as_array().unwrap().iter().map(|row| &row["model_group"]).collect();
    assert_eq!(names, ["priced", "team/sub/model", "claude", "openai/*"]);
    let priced = &look(&gate, "/model_group/info?model_group=priced").await.json()["data"][0];
    assert_eq!(priced, &all["data"][0]);
    assert_eq!(priced["providers"], json!(["groq", "openai"]));
    assert_eq!(priced["rpm"], 12);
    assert_eq!(priced["output_cost_per_token"], 0.000_01);
    assert_eq!(priced["max_input_tokens"], 1000);
    assert_eq!(priced["supports_vision"], false);
    let claude = &look(&gate, "/model_group/info?model_group=claude").await.json()["data"][0];
    assert_eq!(claude["supports_function_calling"], true);
}
