//! Answers of responses in the background: given, fetched, cancelled, streamed, and paid for once,
//! whatever happens meanwhile.

use std::{
    collections::{BTreeMap, HashSet},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tollgate_testkit::{Answer, Builder, Reply, ScriptedUpstream, Tollgate, call, open, post};

use crate::{
    gate::{UPSTREAM_KEY, admin, assert_refused, binary, key, look, on_sqlite, rows, upstream},
    postgres::{self, Database},
    proxy::{Proxy, Way},
};

/// An answer that ends when the test says so.
const FOR_EVER: u64 = 1_000_000_000;

fn config(up: &ScriptedUpstream) -> String {
    let entry = |name: &str, model: &str, more: &str| {
        format!(
            "  - model_name: {name}\n    litellm_params:\n      model: {model}\n      api_base: \
             {}/v1\n      api_key: {UPSTREAM_KEY}\n      input_cost_per_token: 0.000001\n      \
             output_cost_per_token: 0.000002\n{more}",
            up.url()
        )
    };
    format!(
        "model_list:\n{}{}{}router_settings:\n  num_retries: 0\n",
        entry("native", "openai/gpt-5", ""),
        entry("chat", "cerebras/gpt-4o", ""),
        entry("lenient", "cerebras/gpt-4o", "      drop_params: true\n"),
    )
}

fn builder(up: &ScriptedUpstream) -> Builder {
    binary().config(config(up))
}

async fn gate() -> (ScriptedUpstream, Tollgate) {
    let up = upstream(&[]).await;
    let gate = builder(&up).start().await;
    (up, gate)
}

fn request(more: Value) -> Value {
    let mut body = json!({"model": "native", "input": "Say hello", "background": true});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

async fn ask(gate: &Tollgate, key: &str, more: Value) -> Answer {
    post(&format!("{}/v1/responses", gate.url()), key, &request(more)).await
}

/// Asks for an answer that is not there yet: its id and the request's.
async fn begin(gate: &Tollgate, key: &str, more: Value) -> (String, String) {
    let answer = ask(gate, key, more).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let body = answer.json();
    assert_eq!((&body["status"], &body["background"]), (&json!("queued"), &json!(true)), "{body}");
    assert_eq!(body["usage"], Value::Null);
    let request = answer.header("x-litellm-call-id").to_owned();
    (body["id"].as_str().unwrap().to_owned(), request)
}

async fn stored(gate: &Tollgate, key: &str, method: &str, id: &str, tail: &str) -> Answer {
    let auth = format!("Bearer {key}");
    let url = format!("{}/v1/responses/{id}{tail}", gate.url());
    call(method, &url, &[("authorization", &auth)], "").await
}

/// Fetches an answer until it has ended.
async fn fetched(gate: &Tollgate, key: &str, id: &str) -> Value {
    for _ in 0..20 {
        let answer = stored(gate, key, "GET", id, "").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let body = answer.json();
        if !["queued", "in_progress"].contains(&body["status"].as_str().unwrap()) {
            return body;
        }
    }
    panic!("it does not end")
}

fn nano(spend: &Value) -> i64 {
    (spend.as_f64().unwrap() * 1e9).round() as i64
}

/// What the same answer costs at once, in nano-USD.
const COST: i64 = 2 * 1_000 + 4 * 2_000;

async fn spend_of(gate: &Tollgate, key: &str) -> i64 {
    nano(&look(gate, &format!("/key/info?key={key}")).await.json()["info"]["spend"])
}

async fn metric(gate: &Tollgate, name: &str) -> String {
    let text = look(gate, "/metrics").await.text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} is not in\n{text}")).to_owned()
}

/// Waits until nothing is to be paid for.
async fn all_paid(gate: &Tollgate, within: Duration) {
    let begin = Instant::now();
    while metric(gate, "tollgate_background_pending").await != "0" {
        assert!(begin.elapsed() < within, "answers are not paid for");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

const SOON: Duration = Duration::from_secs(10);
/// A node that is killed may have been asking for an answer: nobody else does for half a minute.
const AFTER_A_KILL: Duration = Duration::from_secs(50);

/// Runs a statement on the gateway's database.
fn sql(gate: &Tollgate, text: &str) {
    let url = gate.database_url();
    let done = match url.strip_prefix("sqlite://") {
        Some(path) => {
            let script = "import sqlite3,sys
c=sqlite3.connect(sys.argv[1],timeout=10)
c.execute(sys.argv[2])
c.commit()";
            Command::new("python3").args(["-c", script, path, text]).output().unwrap()
        }
        None => postgres::run(&url, text),
    };
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[tokio::test]
async fn an_answer_is_given_fetched_and_paid_for_once() {
    let (up, gate) = gate().await;
    let mine = key(&gate, json!({"user_id": "me"})).await;
    let theirs = key(&gate, json!({"user_id": "you"})).await;
    up.script(Reply::auto().looks(FOR_EVER));
    let answer = ask(&gate, &mine, json!({"metadata": {"a": "b"}})).await;
    assert_eq!(answer.header("x-litellm-response-cost"), "", "nobody knows yet");
    assert_eq!(nano(&json!(answer.header("x-litellm-key-spend").parse::<f64>().unwrap())), 0);
    let body = answer.json();
    let id = body["id"].as_str().unwrap();
    assert_eq!((&body["status"], &body["model"]), (&json!("queued"), &json!("native")));
    assert_eq!(up.last().json()["background"], true);
    let running = stored(&gate, &mine, "GET", id, "").await.json();
    assert_eq!((&running["status"], &running["id"]), (&json!("in_progress"), &json!(id)));
    assert_eq!(metric(&gate, "tollgate_background_pending").await, "1");
    for (method, tail) in
        [("GET", ""), ("GET", "?stream=true"), ("POST", "/cancel"), ("DELETE", "")]
    {
        assert_refused(&stored(&gate, &theirs, method, id, tail).await, 404, "not_found");
    }
    up.finish();
    let whole = fetched(&gate, &mine, id).await;
    assert_eq!((&whole["status"], &whole["id"]), (&json!("completed"), &json!(id)));
    assert_eq!(whole["output"][0]["content"][0]["text"], "You said: Say hello");
    let found = rows(&gate, "", 1).await;
    all_paid(&gate, SOON).await;
    let [row] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(row["litellm_call_id"], answer.header("x-litellm-call-id"));
    assert_eq!((nano(&row["spend"]), &row["completion_tokens"]), (COST, &json!(4)), "{row}");
    assert_eq!((&row["status"], &row["model_group"]), (&json!("success"), &json!("native")));
    assert_eq!(spend_of(&gate, &mine).await, COST);
    // Fetched again and again, it costs nothing more.
    for _ in 0..3 {
        assert_eq!(fetched(&gate, &mine, id).await["status"], "completed");
    }
    // The same answer at once costs the same.
    let at_once = ask(&gate, &mine, json!({"background": false})).await;
    assert_eq!(at_once.json()["status"], "completed");
    let found = rows(&gate, "", 2).await;
    assert_eq!((found.len(), nano(&found[1]["spend"])), (2, COST), "{found:?}");
    let next = json!({"previous_response_id": id, "background": null});
    assert_eq!(ask(&gate, &mine, next).await.status, 200);
}

#[tokio::test]
async fn an_answer_that_nobody_fetches_is_paid_for() {
    let (up, gate) = gate().await;
    let mine = key(&gate, json!({})).await;
    let (_, request) = begin(&gate, &mine, json!({})).await;
    let found = rows(&gate, "", 1).await;
    assert_eq!((nano(&found[0]["spend"]), &found[0]["litellm_call_id"]), (COST, &json!(request)));
    let asked = up.requests();
    assert!(asked.iter().filter(|asked| asked.method == "GET").count() >= 3, "{}", asked.len());
    assert_eq!(spend_of(&gate, &mine).await, COST);
    all_paid(&gate, SOON).await;
    let usage = Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(["usage", "--url", gate.url(), "--key", gate.master_key()])
        .output()
        .unwrap();
    let usage = String::from_utf8_lossy(&usage.stdout).into_owned();
    assert!(usage.contains("native"), "{usage}");
}

/// What may have to be paid for counts, also after a restart, and is given back exactly once.
#[tokio::test]
async fn limits_are_held_until_the_answer_has_ended() {
    let (up, mut gate) = gate().await;
    let mut poor = key(&gate, json!({"max_budget": 0.002})).await;
    let single = key(&gate, json!({"max_parallel_requests": 1})).await;
    let much = json!({"max_output_tokens": 1_000});
    for key in [&poor, &single] {
        up.script(Reply::auto().looks(FOR_EVER));
        begin(&gate, key, much.clone()).await;
    }
    for round in 0..2 {
        assert_refused(&ask(&gate, &poor, much.clone()).await, 422, "budget_exceeded");
        assert_refused(&ask(&gate, &single, json!({})).await, 429, "rate_limit_exceeded");
        if round == 0 {
            // What is held goes with a key that is made anew.
            let path = format!("/key/{poor}/regenerate");
            poor = admin(&gate, &path, &json!({})).await.json()["key"].as_str().unwrap().to_owned();
            gate.kill9();
            gate = gate.start_again().await;
        }
    }
    up.finish();
    all_paid(&gate, AFTER_A_KILL).await;
    for key in [&poor, &single] {
        assert_eq!(spend_of(&gate, key).await, COST);
        begin(&gate, key, much.clone()).await;
    }
    rows(&gate, "status_filter=success", 4).await;
    all_paid(&gate, SOON).await;
    for key in [&poor, &single] {
        assert_eq!(spend_of(&gate, key).await, 2 * COST);
    }
}

/// Each of these requests has one row, there are no others, and the keys' spend is their sum.
async fn assert_paid(gate: &Tollgate, requests: &[String]) {
    let found = rows(gate, "", requests.len()).await;
    let mut spent: BTreeMap<String, i64> = BTreeMap::new();
    let ids: Vec<&str> = found.iter().map(|row| row["litellm_call_id"].as_str().unwrap()).collect();
    for row in &found {
        assert_eq!(nano(&row["spend"]), COST, "{row}");
        *spent.entry(row["api_key"].as_str().unwrap().to_owned()).or_default() += COST;
    }
    assert_eq!(ids.len(), requests.len(), "a row is there twice, or one is missing");
    let wanted: HashSet<&str> = requests.iter().map(String::as_str).collect();
    assert_eq!(ids.into_iter().collect::<HashSet<_>>(), wanted);
    let keys = look(gate, "/key/list?return_full_object=true").await.json();
    for key in keys["keys"].as_array().unwrap() {
        let hash = key["token"].as_str().unwrap();
        assert_eq!(nano(&key["spend"]), spent.get(hash).copied().unwrap_or(0), "{key}");
    }
}

#[tokio::test]
async fn kill_9_at_any_moment_loses_none_and_pays_for_none_twice() {
    let (up, mut gate) = gate().await;
    let mine = key(&gate, json!({})).await;
    let mut requests = Vec::new();
    for round in 0..6 {
        for nth in 0..3 {
            up.script(Reply::auto().looks(if nth == 0 { FOR_EVER } else { nth }));
            let (id, request) = begin(&gate, &mine, json!({})).await;
            requests.push(request);
            if nth == 2 {
                stored(&gate, &mine, "GET", &id, "").await;
            }
        }
        // A different moment each time: before, while and after the provider is asked.
        tokio::time::sleep(Duration::from_millis([0, 980, 1_020, 1_060, 2_100, 300][round])).await;
        gate.kill9();
        gate = gate.start_again().await;
    }
    up.finish();
    all_paid(&gate, AFTER_A_KILL).await;
    assert_paid(&gate, &requests).await;
    // What is in the database is the same.
    let again = gate.start_again().await;
    assert_paid(&again, &requests).await;
}

#[tokio::test]
async fn two_nodes_on_one_database_pay_once() {
    let up = upstream(&[]).await;
    let one = builder(&up).start().await;
    let two = Tollgate::binary(env!("CARGO_BIN_EXE_tollgate"))
        .config(config(&up))
        .database(one.database_url())
        .start()
        .await;
    let keys = [key(&one, json!({})).await, key(&one, json!({})).await];
    let mut requests = Vec::new();
    for nth in 0..24 {
        let (gate, key) = ([&one, &two][nth % 2], &keys[nth / 2 % 2]);
        up.script(Reply::auto().looks(nth as u64 % 5));
        let (id, request) = begin(gate, key, json!({})).await;
        requests.push(request);
        // Whoever is faster: the one who asks, or either node by itself.
        if nth % 3 == 0 {
            fetched([&two, &one][nth % 2], key, &id).await;
        }
    }
    all_paid(&one, SOON).await;
    all_paid(&two, SOON).await;
    // What a node that dies has begun, the other one pays for.
    up.script(Reply::auto().looks(FOR_EVER));
    let (_, request) = begin(&two, &keys[0], json!({})).await;
    requests.push(request);
    drop(two);
    up.finish();
    all_paid(&one, AFTER_A_KILL).await;
    let one = one.start_again().await;
    assert_paid(&one, &requests).await;
}

#[tokio::test]
async fn an_answer_is_cancelled_and_paid_for_by_an_estimate() {
    let (up, gate) = gate().await;
    let mine = key(&gate, json!({})).await;
    up.script(Reply::auto().looks(FOR_EVER));
    let (id, _) = begin(&gate, &mine, json!({})).await;
    for _ in 0..2 {
        let cancelled = stored(&gate, &mine, "POST", &id, "/cancel").await;
        assert_eq!(cancelled.status, 200, "{}", cancelled.text());
        let body = cancelled.json();
        assert_eq!((&body["status"], &body["id"]), (&json!("cancelled"), &json!(id)));
    }
    let row = &rows(&gate, "", 1).await[0];
    let prompt = request(json!({})).to_string().len() as i64 / 4;
    assert_eq!(nano(&row["spend"]), prompt * 1_000 + 2_000, "{row}");
    assert_eq!(
        (&row["status"], &row["metadata"]["tollgate"]["estimated"]),
        (&json!("failure"), &json!(true)),
        "{row}"
    );
    assert_eq!(fetched(&gate, &mine, &id).await["status"], "cancelled");
    all_paid(&gate, SOON).await;
    assert_eq!(rows(&gate, "", 1).await.len(), 1);
}

/// What becomes of an answer, and what is paid for it.
#[tokio::test]
async fn every_end_is_written_down() {
    let (up, gate) = gate().await;
    let prompt = |body: &Value| request(body.clone()).to_string().len() as i64 / 4;
    let (plain, cut) = (json!({}), json!({"max_output_tokens": 16}));
    let long = Reply::text("word ".repeat(40));
    for (nth, (reply, more, cost, status, error)) in [
        (long.looks(1), &cut, 2 * 1_000 + 16 * 2_000, "success", ""),
        (Reply::auto().looks(1).fails(), &plain, 0, "failure", "answer_failed"),
        // Nobody knows what these came to: the prompt, and as much as it might have been.
        (
            Reply::auto().looks(1).forgets(),
            &cut,
            prompt(&cut) * 1_000 + 16 * 2_000,
            "failure",
            "answer_lost",
        ),
        (
            Reply::auto().looks(FOR_EVER),
            &cut,
            prompt(&cut) * 1_000 + 16 * 2_000,
            "failure",
            "answer_overdue",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        up.script(reply);
        let (_, request) = begin(&gate, gate.master_key(), more.clone()).await;
        if error == "answer_overdue" {
            sql(&gate, "UPDATE pending SET deadline_us = 0");
        }
        let found = rows(&gate, "", nth + 1).await;
        let row = found.iter().find(|row| row["litellm_call_id"] == *request).unwrap();
        assert_eq!((nano(&row["spend"]), &row["status"]), (cost, &json!(status)), "{row}");
        assert!(row.to_string().contains(error), "{row}");
    }
    all_paid(&gate, SOON).await;
}

#[tokio::test]
async fn a_provider_in_trouble_is_asked_again() {
    let (up, gate) = gate().await;
    up.script(Reply::auto().looks(FOR_EVER));
    begin(&gate, gate.master_key(), json!({})).await;
    // Another account there: what it kept is not found, nor anything else.
    up.require_key("sk-another");
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(metric(&gate, "tollgate_background_pending").await, "1");
    up.require_key(UPSTREAM_KEY);
    up.finish();
    assert_eq!(nano(&rows(&gate, "", 1).await[0]["spend"]), COST);
}

/// An answer that is deleted is paid for before; what still runs is ended.
#[tokio::test]
async fn an_answer_that_is_deleted_is_paid_for() {
    let (up, gate) = gate().await;
    let prompt = request(json!({})).to_string().len() as i64 / 4;
    for (nth, (looks, cost)) in
        [(0, COST), (FOR_EVER, prompt * 1_000 + 2_000)].into_iter().enumerate()
    {
        up.script(Reply::auto().looks(looks));
        let (id, _) = begin(&gate, gate.master_key(), json!({})).await;
        let deleted = stored(&gate, gate.master_key(), "DELETE", &id, "").await;
        assert_eq!(deleted.json(), json!({"id": id, "object": "response", "deleted": true}));
        let found = rows(&gate, "", nth + 1).await;
        assert_eq!(nano(&found[nth]["spend"]), cost, "{found:?}");
        assert_eq!(stored(&gate, gate.master_key(), "GET", &id, "").await.status, 404);
    }
}

/// A database that is away is noticed before the provider is asked; one that takes nothing, before
/// the client has an id, and then the provider is told to stop.
#[tokio::test]
async fn what_cannot_be_written_down_is_not_begun() {
    let up = upstream(&[]).await;
    if let Some(server) = postgres::server() {
        let database = Database::create(server);
        let proxy = Proxy::start(database.address()).await;
        let url = database.url_by(&proxy.address());
        let gate = on_sqlite().config(config(&up)).database(url).keep(database).start().await;
        let mine = key(&gate, json!({})).await;
        assert_eq!(ask(&gate, &mine, json!({"background": false})).await.status, 200);
        up.forget();
        proxy.set(Way::Cut);
        assert_refused(&ask(&gate, &mine, json!({})).await, 503, "storage_unavailable");
        assert!(up.requests().is_empty());
        // Others are not disturbed.
        assert_eq!(ask(&gate, &mine, json!({"background": false})).await.status, 200);
    }
    up.forget();
    let gate = on_sqlite().config(config(&up)).start().await;
    let mine = key(&gate, json!({"max_parallel_requests": 1})).await;
    assert_eq!(ask(&gate, &mine, json!({"background": false})).await.status, 200);
    rows(&gate, "", 1).await;
    let hold = "import sqlite3,sys
c=sqlite3.connect(sys.argv[1],isolation_level=None)
c.execute('BEGIN EXCLUSIVE')
print('locked',flush=True)
sys.stdin.read()";
    let path = gate.database_url().trim_start_matches("sqlite://").to_owned();
    let mut lock = Command::new("python3");
    lock.args(["-c", hold, &path]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut lock = lock.spawn().unwrap();
    let mut said = [0; 6];
    std::io::Read::read_exact(lock.stdout.as_mut().unwrap(), &mut said).unwrap();
    up.script(Reply::auto().looks(FOR_EVER));
    assert_refused(&ask(&gate, &mine, json!({})).await, 503, "storage_unavailable");
    assert!(up.last().path.ends_with("/cancel"), "{}", up.last().path);
    drop(lock.stdin.take());
    lock.wait().unwrap();
    let found = rows(&gate, "", 2).await;
    assert_eq!((nano(&found[1]["spend"]), &found[1]["status"]), (0, &json!("failure")));
    // Its place was given back.
    begin(&gate, &mine, json!({})).await;
    assert_eq!(nano(&rows(&gate, "", 3).await[2]["spend"]), COST);
}

fn events(answer: &Answer) -> Vec<Value> {
    answer.events().iter().map(|data| serde_json::from_str(data).unwrap()).collect()
}

#[tokio::test]
async fn a_stream_in_the_background_is_paid_for_at_its_end() {
    let (up, gate) = gate().await;
    let mine = key(&gate, json!({})).await;
    let answer = ask(&gate, &mine, json!({"stream": true})).await;
    let all = events(&answer);
    for (number, event) in all.iter().enumerate() {
        assert_eq!(event["sequence_number"], number, "{event}");
    }
    assert_eq!(all[0]["type"], "response.queued");
    let last = all.last().unwrap();
    assert_eq!(last["type"], "response.completed");
    let found = rows(&gate, "", 1).await;
    assert_eq!((nano(&found[0]["spend"]), found.len()), (COST, 1));
    assert_eq!(spend_of(&gate, &mine).await, COST);
    all_paid(&gate, SOON).await;
    // Nobody had to ask.
    assert_eq!(up.requests().len(), 1);

    // Any part of it can be had again, by whom it was given to, as it was.
    let id = last["response"]["id"].as_str().unwrap();
    for after in [0, 3, all.len() - 2, all.len() - 1] {
        let tail = format!("?stream=true&starting_after={after}");
        let again = stored(&gate, &mine, "GET", id, &tail).await;
        assert_eq!(again.status, 200, "{}", again.text());
        assert!(again.header("content-type").starts_with("text/event-stream"));
        let shown: Vec<Value> = events(&again)
            .into_iter()
            .map(|mut event| {
                // As with every answer that is fetched, the model is the provider's.
                if event["response"]["model"] == "gpt-5" {
                    event["response"]["model"] = json!("native");
                }
                event
            })
            .collect();
        assert_eq!(shown, all[after + 1..], "after {after}");
    }
    assert_eq!(rows(&gate, "", 1).await.len(), 1);
    // One that was not asked for so has no stream, and its provider says why.
    let (id, _) = begin(&gate, &mine, json!({})).await;
    let none = stored(&gate, &mine, "GET", &id, "?stream=true").await;
    assert_eq!(none.status, 400, "{}", none.text());
    assert!(none.text().contains("cannot be streamed"), "{}", none.text());
}

#[tokio::test]
async fn a_client_that_leaves_ends_nothing() {
    let (up, gate) = gate().await;
    let mine = key(&gate, json!({})).await;
    // In the middle of the stream, and before there is anything to see.
    for (nth, reply) in [Reply::auto().gap_ms(300).looks(1), Reply::auto().delay_ms(700).looks(1)]
        .into_iter()
        .enumerate()
    {
        up.script(reply);
        let auth = format!("Bearer {mine}");
        let headers = [("authorization", auth.as_str()), ("content-type", "application/json")];
        let body = request(json!({"stream": true})).to_string();
        let url = format!("{}/v1/responses", gate.url());
        let asked = tokio::time::timeout(Duration::from_millis(350), async {
            let mut open = open("POST", &url, &headers, body).await.unwrap();
            while open.chunk().await.is_some() {}
        });
        assert!(asked.await.is_err(), "it was to be left in the middle");
        let found = rows(&gate, "", nth + 1).await;
        assert_eq!(nano(&found[nth]["spend"]), COST, "{found:?}");
        assert_eq!(found[nth]["status"], "success", "{found:?}");
    }
    assert_eq!(spend_of(&gate, &mine).await, 2 * COST);
}

#[tokio::test]
async fn a_target_that_keeps_nothing_says_so() {
    let (up, gate) = gate().await;
    let answer = ask(&gate, gate.master_key(), json!({"model": "chat"})).await;
    assert_refused(&answer, 400, "unsupported_parameter");
    assert_eq!(answer.json()["error"]["param"], "background", "{}", answer.text());
    assert!(up.requests().is_empty());
    let answer = ask(&gate, gate.master_key(), json!({"model": "lenient"})).await;
    assert_eq!(answer.json()["status"], "completed", "{}", answer.text());
    assert_eq!(answer.header("x-tollgate-dropped"), "background");
    let found = rows(&gate, "status_filter=success", 1).await;
    assert_eq!(nano(&found[0]["spend"]), COST);
    assert_eq!(metric(&gate, "tollgate_background_pending").await, "0");
}
