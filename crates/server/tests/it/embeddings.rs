//! OpenAI's embeddings over upstreams that spell them otherwise.

use serde_json::{Value, json};
use tollgate_testkit::{Answer, Reply, ScriptedUpstream, Tollgate, post};

use crate::gate::{UPSTREAM_KEY, binary, key, rows, upstream};

async fn gate(upstream: &ScriptedUpstream) -> Tollgate {
    let entry = |name: &str, model: &str, base: &str| {
        format!(
            "  - model_name: {name}\n    litellm_params:\n      model: {model}\n      \
             api_base: {}{base}\n      api_key: {UPSTREAM_KEY}\n      \
             input_cost_per_token: 0.000001\n      output_cost_per_token: 0\n",
            upstream.url()
        )
    };
    let config = format!(
        "router_settings:\n  num_retries: 0\nmodel_list:\n{}{}{}",
        entry("openai", "openai/text-embedding-3-small", "/v1"),
        entry("cohere", "cohere/embed-v4.0", "/v2"),
        entry("ollama", "ollama/nomic-embed-text", ""),
    ) + &format!(
        "  - model_name: titan\n    litellm_params:\n      \
         model: bedrock/amazon.titan-embed-text-v2:0\n      api_base: {}\n      \
         aws_region_name: us-east-1\n      aws_access_key_id: AKIDSCRIPTED\n      \
         aws_secret_access_key: scripted/secret+key\n      \
         input_cost_per_token: 0.000001\n      output_cost_per_token: 0\n",
        upstream.url()
    );
    binary().config(config).start().await
}

async fn embed(gate: &Tollgate, key: &str, body: &Value) -> Answer {
    post(&format!("{}/v1/embeddings", gate.url()), key, body).await
}

fn vectors(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let data = answer.json()["data"].as_array().cloned().unwrap();
    data.into_iter().map(|one| one["embedding"].clone()).collect()
}

#[tokio::test]
async fn every_upstream_gives_the_same_vectors() {
    let upstream = upstream(&[]).await;
    let gate = gate(&upstream).await;
    for encoding in ["float", "base64"] {
        let ask = |model: &str| {
            json!({
                "model": model, "input": ["one", "two and three"], "dimensions": 4,
                "encoding_format": encoding,
            })
        };
        let openai = embed(&gate, gate.master_key(), &ask("openai")).await;
        let expected = vectors(&openai);
        assert_eq!(expected.len(), 2);
        assert_eq!(expected[0].is_string(), encoding == "base64");
        for model in ["cohere", "ollama", "titan"] {
            let answer = embed(&gate, gate.master_key(), &ask(model)).await;
            assert_eq!(vectors(&answer), expected, "{model}");
            assert_eq!(answer.json()["usage"], openai.json()["usage"], "{model}");
            assert_eq!(answer.json()["model"], model);
        }
    }
}

#[tokio::test]
async fn what_was_embedded_is_billed() {
    let upstream = upstream(&[]).await;
    let gate = gate(&upstream).await;
    let key = key(&gate, json!({ "key_alias": "e" })).await;
    for model in ["cohere", "ollama"] {
        embed(&gate, &key, &json!({ "model": model, "input": "one two three" })).await;
    }
    let rows = rows(&gate, "", 2).await;
    for row in &rows {
        assert_eq!(row["prompt_tokens"], 3, "{row}");
        assert_eq!(row["completion_tokens"], 0, "{row}");
        assert_eq!(row["spend"], 0.000_003, "{row}");
        assert_eq!(row["call_type"], "aembedding", "{row}");
        assert_eq!(row["metadata"]["tollgate"]["estimated"], false, "{row}");
    }
}

/// Titan embeds one text a call.
#[tokio::test]
async fn a_list_is_asked_for_one_by_one_and_billed_as_one() {
    let upstream = upstream(&[]).await;
    let gate = gate(&upstream).await;
    let key = key(&gate, json!({ "key_alias": "e" })).await;
    let texts: Vec<String> = (0..40).map(|n| format!("text number {n}")).collect();
    let listed = json!({ "model": "titan", "input": texts });
    let answer = embed(&gate, &key, &listed).await;
    let found = vectors(&answer);
    assert_eq!(upstream.requests().len(), 40);
    assert!(upstream.accepted() <= 8, "{} at a time", upstream.accepted());
    let openai = json!({ "model": "openai", "input": texts });
    assert_eq!(found, vectors(&embed(&gate, gate.master_key(), &openai).await));
    assert_eq!(answer.json()["usage"]["prompt_tokens"], 120);
    let rows = rows(&gate, "", 2).await;
    let row = rows.iter().find(|row| row["model_group"] == "titan").unwrap();
    assert_eq!((&row["prompt_tokens"], &row["spend"]), (&json!(120), &json!(0.000_12)), "{row}");

    // One that fails fails all at once, as what it is, and the others are hung up on.
    for _ in 0..7 {
        upstream.script(Reply::hang());
    }
    upstream.script(Reply::status(429));
    let before = upstream.hangups();
    let refused = embed(&gate, &key, &listed).await;
    assert_eq!(refused.status, 429, "{}", refused.text());
    for _ in 0..200 {
        if upstream.hangups() == before + 7 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(upstream.hangups(), before + 7);
    let rows = crate::gate::rows(&gate, "", 3).await;
    assert!(rows.iter().any(|row| row["status"] == "failure" && row["spend"] == 0.0), "{rows:?}");

    // What one text comes to is small, and so is all of it.
    for (length, texts) in [(9 << 20, 2), (7 << 20, 10)] {
        for _ in 0..texts {
            upstream.script(Reply::raw(200, "application/json", vec![b' '; length]));
        }
        let body = json!({ "model": "titan", "input": vec!["x"; texts] });
        let refused = embed(&gate, &key, &body).await;
        assert_eq!(refused.status, 502, "{}", refused.text());
        assert!(refused.text().contains("has more than"), "{}", refused.text());
    }
}

#[tokio::test]
async fn what_an_upstream_has_not_is_refused() {
    let upstream = upstream(&[]).await;
    let gate = gate(&upstream).await;
    for (model, field, value) in [
        ("cohere", "input", json!([1, 2, 3])),
        ("ollama", "input", json!([[1], [2]])),
        ("ollama", "input_type", json!("search_query")),
        ("titan", "input", json!([[1], [2]])),
        ("cohere", "nonsense", json!(1)),
    ] {
        let mut body = json!({ "model": model, "input": "x" });
        body[field] = value;
        let answer = embed(&gate, gate.master_key(), &body).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert_eq!(answer.json()["error"]["param"], field, "{}", answer.text());
    }
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn errors_pass_on() {
    let upstream = upstream(&[]).await;
    let gate = gate(&upstream).await;
    for model in ["cohere", "ollama"] {
        let body = json!({ "model": model, "input": "x" });
        upstream.script(Reply::status(429));
        let answer = embed(&gate, gate.master_key(), &body).await;
        assert_eq!(answer.status, 429, "{}", answer.text());
        upstream.script(Reply::named("garbage").unwrap());
        let answer = embed(&gate, gate.master_key(), &body).await;
        assert_eq!(answer.status, 502, "{}", answer.text());
    }
}

#[tokio::test]
async fn a_cohere_client_gets_vectors_from_everywhere() {
    let upstream = upstream(&[]).await;
    let gate = gate(&upstream).await;
    let url = format!("{}/v2/embed", gate.url());
    for kind in ["float", "base64"] {
        let ask = |model: &str| {
            json!({
                "model": model, "texts": ["one", "two and three"], "input_type": "search_query",
                "embedding_types": [kind], "output_dimension": 4,
            })
        };
        let cohere = post(&url, gate.master_key(), &ask("cohere")).await;
        assert_eq!(cohere.status, 200, "{}", cohere.text());
        for model in ["openai", "ollama"] {
            let answer = post(&url, gate.master_key(), &ask(model)).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(answer.json()["embeddings"], cohere.json()["embeddings"], "{model}");
            assert_eq!(answer.json()["meta"], cohere.json()["meta"], "{model}");
            assert_eq!(answer.header("x-tollgate-dropped"), "input_type", "{model}");
        }
    }
    let body = json!({ "model": "openai", "texts": [], "input_type": "search_query" });
    let answer = post(&url, gate.master_key(), &body).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert!(answer.json()["message"].as_str().unwrap().contains("texts"), "{}", answer.text());
}
