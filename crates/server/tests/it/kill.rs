//! F36, "Done when" 4: kill -9 under load. Whoever saw the last byte of an answer has its row, and
//! no row is there twice.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use tollgate_testkit::{Tollgate, open};

use crate::gate::{base, hello, hello_streamed, key, look, rows, upstream, with_models};

/// How often it is killed. The issue asks for fifty.
const KILLS: u64 = 50;
const CLIENTS: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f36_kill_9_under_load_loses_no_row_and_doubles_none() {
    let upstream = upstream(&["gpt-4o"]).await;
    let mut gate = with_models(&base(&upstream), &["gpt-4o"]).await;
    let key = key(&gate, json!({ "key_alias": "load" })).await;
    let seen = Arc::new(Mutex::new(HashSet::new()));
    for round in 0..KILLS {
        let stop = Arc::new(AtomicBool::new(false));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|n| {
                let client = Client {
                    url: format!("{}/v1/chat/completions", gate.url()),
                    auth: format!("Bearer {key}"),
                    streamed: n % 2 == 0,
                    stop: Arc::clone(&stop),
                    seen: Arc::clone(&seen),
                };
                tokio::spawn(client.run())
            })
            .collect();
        // A different moment each time, without chance: what fails can be run again.
        tokio::time::sleep(Duration::from_millis(40 + round * 37 % 90)).await;
        gate.kill9();
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            client.await.unwrap();
        }
        gate = gate.start_again().await;
    }
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    assert!(seen.len() > 500, "too little load: {}", seen.len());
    check(&gate, &seen).await;
}

async fn check(gate: &Tollgate, seen: &HashSet<String>) {
    rows(gate, "", 1).await;
    settled(gate).await;
    let mut ids = HashSet::new();
    let mut cost_nano = 0;
    for page in 1.. {
        let page = look(gate, &format!("/spend/logs/v2?page_size=1000&page={page}")).await.json();
        let data = page["data"].as_array().unwrap().clone();
        if data.is_empty() {
            break;
        }
        for row in data {
            let id = row["litellm_call_id"].as_str().unwrap().to_owned();
            assert!(ids.insert(id.clone()), "row {id} is there twice");
            cost_nano += (row["spend"].as_f64().unwrap() * 1e9).round() as i64;
        }
    }
    let lost: Vec<_> = seen.difference(&ids).collect();
    assert!(lost.is_empty(), "{} of {} answers have no row", lost.len(), seen.len());
    // The key's spend is the sum of its rows: nothing was charged twice, nothing forgotten.
    let info = look(gate, "/key/list?return_full_object=true").await.json();
    let spend = (info["keys"][0]["spend"].as_f64().unwrap() * 1e9).round() as i64;
    assert_eq!(spend, cost_nano);
}

async fn settled(gate: &Tollgate) {
    for _ in 0..400 {
        let ready = look(gate, "/health/readiness").await.json();
        if ready["journal_pending"] == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the journal was not emptied: {}", look(gate, "/health/readiness").await.text());
}

struct Client {
    url: String,
    auth: String,
    streamed: bool,
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<HashSet<String>>>,
}

impl Client {
    async fn run(self) {
        let body =
            if self.streamed { hello_streamed("gpt-4o") } else { hello("gpt-4o") }.to_string();
        while !self.stop.load(Ordering::Relaxed) {
            let headers = [("authorization", self.auth.as_str())];
            let Ok(open) = open("POST", &self.url, &headers, body.clone()).await else { continue };
            let answer = open.finish().await;
            let complete = match self.streamed {
                true => answer.text().contains("data: [DONE]"),
                false => !answer.broken && answer.json()["choices"].is_array(),
            };
            if complete {
                assert_eq!(answer.status, 200, "{}", answer.text());
                let id = answer.header("x-litellm-call-id").to_owned();
                self.seen.lock().unwrap().insert(id);
            }
        }
    }
}
