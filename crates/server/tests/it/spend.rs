//! Usage rows: one for each request, under LiteLLM's names.

use serde_json::json;
use tollgate_testkit::{Reply, get};

use crate::gate::{base, chat, hello, hello_streamed, key, look, rows, upstream, with_models};

#[tokio::test]
async fn every_request_leaves_one_row() {
    let upstream = upstream(&["gpt-4o"]).await;
    let gate = with_models(&base(&upstream), &["gpt-4o"]).await;
    let fields = json!({ "key_alias": "a", "user_id": "u", "team_id": "t" });
    let key = key(&gate, fields).await;
    upstream.script(Reply::auto().usage(json!({
        "prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500,
        "prompt_tokens_details": { "cached_tokens": 400 },
        "completion_tokens_details": { "reasoning_tokens": 100 },
    })));
    let mut body = hello("gpt-4o");
    body["user"] = json!("end-user-1");
    let answer = chat(&gate, &key, &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let found = rows(&gate, "", 1).await;
    let row = &found[0];
    assert_eq!(row["litellm_call_id"], answer.header("x-litellm-call-id"));
    assert_eq!(row["request_id"], answer.header("x-request-id"));
    assert_eq!(row["prompt_tokens"], 1000);
    assert_eq!(row["completion_tokens"], 500);
    // 1,000 × 1 µUSD + 500 × 2 µUSD; no cache rate is set, so cached tokens cost what others do.
    assert_eq!(row["spend"], 0.002);
    assert_eq!(answer.header("x-litellm-response-cost").parse::<f64>().unwrap(), 0.002);
    assert_eq!(answer.header("x-litellm-key-spend").parse::<f64>().unwrap(), 0.002);
    assert_eq!(row["metadata"]["tollgate"]["tokens"]["cache_read"], 400);
    assert_eq!(row["metadata"]["tollgate"]["tokens"]["reasoning"], 100);
    for (name, value) in [
        ("key_alias", "a"),
        ("user", "u"),
        ("team_id", "t"),
        ("end_user", "end-user-1"),
        ("model", "gpt-4o"),
        ("model_group", "gpt-4o"),
        ("custom_llm_provider", "openai"),
        ("status", "success"),
        ("call_type", "acompletion"),
    ] {
        assert_eq!(row[name], value, "{name}");
    }
    let info = look(&gate, &format!("/key/info?key={key}")).await.json();
    assert_eq!(info["info"]["spend"], 0.002);
}

#[tokio::test]
async fn a_refused_request_leaves_a_row_too() {
    let upstream = upstream(&["gpt-4o"]).await;
    let gate = with_models(&base(&upstream), &["gpt-4o"]).await;
    let answer = chat(&gate, gate.master_key(), &hello("nope")).await;
    let found = rows(&gate, "status_filter=failure", 1).await;
    assert_eq!(found[0]["litellm_call_id"], answer.header("x-litellm-call-id"));
    assert_eq!(found[0]["metadata"]["tollgate"]["status_code"], 404);
    assert_eq!(found[0]["metadata"]["tollgate"]["outcome"], "refused");
    assert_eq!(found[0]["spend"], 0.0);
}

#[tokio::test]
async fn a_streams_row_has_its_time_to_first_token() {
    let upstream = upstream(&["gpt-4o"]).await;
    let gate = with_models(&base(&upstream), &["gpt-4o"]).await;
    upstream.script(Reply::auto().delay_ms(100).words(3).gap_ms(20));
    assert_eq!(chat(&gate, gate.master_key(), &hello_streamed("gpt-4o")).await.status, 200);
    let found = rows(&gate, "", 1).await;
    let first = found[0]["metadata"]["tollgate"]["time_to_first_token_ms"].as_i64().unwrap();
    let whole = found[0]["request_duration_ms"].as_i64().unwrap();
    assert!((100..2_000).contains(&first), "{first}");
    assert!(whole >= first + 20, "{whole} {first}");
}

#[tokio::test]
async fn rows_are_filtered_sorted_paged_and_private() {
    let upstream = upstream(&["gpt-4o", "gpt-4o-mini"]).await;
    let gate = with_models(&base(&upstream), &["gpt-4o", "gpt-4o-mini"]).await;
    let (a, b) = (
        key(&gate, json!({ "key_alias": "a" })).await,
        key(&gate, json!({ "key_alias": "b" })).await,
    );
    for _ in 0..3 {
        chat(&gate, &a, &hello("gpt-4o")).await;
    }
    chat(&gate, &b, &hello("gpt-4o-mini")).await;
    rows(&gate, "", 4).await;
    let count = async |query: &str| {
        look(&gate, &format!("/spend/logs/v2?{query}")).await.json()["total"].clone()
    };
    assert_eq!(count("key_alias=a").await, 3);
    assert_eq!(count("model=gpt-4o-mini").await, 1);
    assert_eq!(count("start_date=2020-01-01&end_date=2020-01-02").await, 0);
    assert_eq!(count(&format!("api_key={b}")).await, 1);
    let page = look(&gate, "/spend/logs/v2?page_size=3&page=2").await.json();
    assert_eq!((page["data"].as_array().unwrap().len(), &page["total_pages"]), (1, &json!(2)));
    // A key sees its own rows, whatever it asks for.
    let own = get(&format!("{}/spend/logs/v2?api_key={b}", gate.url()), &a).await;
    assert_eq!(own.json()["total"], 3);
    let sums = look(&gate, "/spend/summary?by=model").await.json();
    assert_eq!(sums["data"].as_array().unwrap().len(), 2, "{sums}");
    let days = look(&gate, "/spend/summary?by=day").await.json();
    let day = days["data"][0]["name"].as_str().unwrap().to_owned();
    assert!(day.len() == 10 && day.starts_with("20"), "{days}");
    let bad = look(&gate, "/spend/logs/v2?start_date=yesterday").await;
    crate::gate::assert_refused(&bad, 400, "invalid_request");
}

#[tokio::test]
async fn metrics_count_what_was_served() {
    let upstream = upstream(&["gpt-4o"]).await;
    let gate = with_models(&base(&upstream), &["gpt-4o"]).await;
    chat(&gate, gate.master_key(), &hello("gpt-4o")).await;
    let text = look(&gate, "/metrics").await.text();
    let line = text
        .lines()
        .find(|line| line.starts_with("litellm_proxy_total_requests_metric_total"))
        .expect(&text);
    assert!(line.contains("requested_model=\"gpt-4o\"") && line.ends_with(" 1"), "{line}");
    assert!(text.contains("litellm_spend_metric_total"), "{text}");
}
