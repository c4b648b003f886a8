//! Replicate's predictions: created, asked about, streamed and called off.
//! <https://replicate.com/docs/reference/http#predictions.create>
//!
//! A prediction runs for as long as its reply's delay says, or for ever where that hangs. `Prefer:
//! wait=N` holds its creation back until it is done, at most that long. Its stream is at this very
//! server and takes anybody, as Replicate's does. Models of `acme` have none, but for `acme/flaky`,
//! whose streams are gone and of which every other question fails.

mod check;

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, Response};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    Recorded, Shared,
    body::{Paced, Watch},
    lock,
    openai::set,
    refuse::Refuse,
    reply::{Reply, UsageSpec, What},
    respond::{Ask, Spelling, add_headers, authorise, json_answer, perform, refusal},
    said::{Prompt, Said, pieces, say},
};

/// A prediction.
#[derive(Debug, Clone)]
pub(super) struct Prediction {
    id: String,
    model: String,
    input: Value,
    said: Arc<Said>,
    reply: Reply,
    /// When it is done.
    done: Instant,
    canceled: bool,
    /// How often it was asked about.
    asked: u32,
}

/// What a stream says.
#[derive(Debug)]
pub(super) struct Stream {
    said: Arc<Said>,
}

/// A model that is not to be relied on.
const FLAKY: &str = "acme/flaky";

/// What a path is about.
enum At<'p> {
    /// A model's path: its kind and name.
    Create(&'p str, &'p str),
    Get(&'p str),
    Cancel(&'p str),
    Stream(&'p str),
}

impl<'p> At<'p> {
    fn of(method: &Method, path: &'p str) -> Option<Self> {
        let path = path.strip_prefix("/v1/")?;
        match (method.as_str(), path) {
            ("POST", "predictions") => return Some(At::Create("version", "")),
            ("GET", path) if path.starts_with("streams/") => {
                return Some(At::Stream(path.strip_prefix("streams/")?));
            }
            ("POST", path) if path.ends_with("/predictions") => {
                let (kind, name) = path.strip_suffix("/predictions")?.split_once('/')?;
                return ["models", "deployments"].contains(&kind).then_some(At::Create(kind, name));
            }
            _ => {}
        }
        let rest = path.strip_prefix("predictions/")?;
        match (method.as_str(), rest.strip_suffix("/cancel")) {
            ("GET", None) => Some(At::Get(rest)),
            ("POST", Some(id)) => Some(At::Cancel(id)),
            _ => None,
        }
    }
}

/// Answers, if the path is one of Replicate's.
pub(super) async fn respond(
    shared: &Shared,
    recorded: &Recorded,
    serial: u64,
    watch: Watch,
) -> Result<io::Result<Response<Paced>>, Watch> {
    let Some(at) = At::of(&recorded.method, &recorded.path) else { return Err(watch) };
    let done = match at {
        At::Stream(id) => match found(shared, id) {
            Ok(prediction) if prediction.model == FLAKY => Err(gone()),
            Ok(prediction) => return Ok(stream(prediction, serial, watch).await),
            Err(refuse) => Err(refuse),
        },
        At::Get(id) => known(shared, recorded, id).and_then(|mut it| {
            it.asked += 1;
            lock(&shared.predictions).insert(it.id.clone(), it.clone());
            match it.model == FLAKY && it.asked % 2 == 1 {
                true => Err(Refuse::new(502, "Bad gateway")),
                false => Ok(told(&it, recorded)),
            }
        }),
        At::Cancel(id) => known(shared, recorded, id).map(|mut it| {
            it.canceled = Instant::now() < it.done;
            lock(&shared.predictions).insert(it.id.clone(), it.clone());
            told(&it, recorded)
        }),
        At::Create(kind, name) => match create(shared, recorded, (kind, name), serial) {
            Ok(Created::Runs(prediction)) => {
                let waited = patience(&prediction, recorded).await;
                let value = if waited {
                    told(&prediction, recorded)
                } else {
                    starting(&prediction, recorded)
                };
                let mut answer = json_answer(201, &value, watch);
                add_headers(&mut answer, &prediction.reply);
                return Ok(Ok(answer));
            }
            Ok(Created::Scripted(reply)) => {
                let ask =
                    Ask::Replicate(Stream { said: Arc::new(say(&Prompt::default(), &reply)) });
                return Ok(perform(ask, *reply, Spelling::Replicate, serial, watch).await);
            }
            Err(refuse) => Err(refuse),
        },
    };
    Ok(Ok(match done {
        Ok(value) => json_answer(200, &value, watch),
        Err(refuse) => refusal(&refuse, Spelling::Replicate, serial, watch),
    }))
}

fn found(shared: &Shared, id: &str) -> Result<Prediction, Refuse> {
    let found = lock(&shared.predictions).get(id).cloned();
    found.ok_or_else(gone)
}

fn gone() -> Refuse {
    Refuse::new(404, "The requested resource could not be found.")
}

fn known(shared: &Shared, recorded: &Recorded, id: &str) -> Result<Prediction, Refuse> {
    authorise(shared, recorded, Spelling::Replicate)?;
    found(shared, id)
}

enum Created {
    Runs(Box<Prediction>),
    /// No prediction: what the script says instead.
    Scripted(Box<Reply>),
}

fn create(
    shared: &Shared,
    recorded: &Recorded,
    path: (&str, &str),
    serial: u64,
) -> Result<Created, Refuse> {
    authorise(shared, recorded, Spelling::Replicate)?;
    if !recorded.header("content-type").starts_with("application/json") {
        return Err(Refuse::new(415, "Unsupported media type"));
    }
    let body: Value = serde_json::from_slice(&recorded.body)
        .map_err(|why| Refuse::new(400, format!("The request body is not JSON: {why}")))?;
    let checked = check::check(path, &body).map_err(|why| match why.status {
        // Whatever is wrong with a body is this.
        400 => Refuse { status: 422, ..why },
        _ => why,
    });
    let check::Checked { model, words, prompt } = checked?;
    let reply = Reply::named(&words);
    let reply = reply.ok_or_else(|| Refuse::new(404, format!("no script is called `{words}`")))?;
    let reply = lock(&shared.queue).pop_front().unwrap_or(reply);
    if matches!(reply.what, What::Error { .. } | What::Raw { .. } | What::Drop) {
        return Ok(Created::Scripted(Box::new(reply)));
    }
    let hangs = matches!(reply.what, What::Hang);
    let prediction = Prediction {
        id: format!("p{serial:025}"),
        model,
        input: body.get("input").cloned().unwrap_or_default(),
        said: Arc::new(say(&prompt, &reply)),
        done: Instant::now() + if hangs { Duration::from_secs(3_600) } else { reply.delay },
        reply,
        canceled: false,
        asked: 0,
    };
    lock(&shared.predictions).insert(prediction.id.clone(), prediction.clone());
    Ok(Created::Runs(Box::new(prediction)))
}

/// `Prefer: wait=N`, if it was asked for.
async fn patience(prediction: &Prediction, recorded: &Recorded) -> bool {
    let seconds = recorded.header("prefer").strip_prefix("wait=").and_then(|n| n.parse().ok());
    let Some(seconds) = seconds else { return false };
    let until = Instant::now() + Duration::from_secs(seconds);
    tokio::time::sleep_until(until.min(prediction.done)).await;
    true
}

/// A prediction as it is now.
fn told(it: &Prediction, recorded: &Recorded) -> Value {
    let fails = it.reply.error_event;
    let status = match (it.canceled, Instant::now() >= it.done) {
        (true, _) => "canceled",
        (false, false) => return starting(it, recorded),
        (false, true) if fails => "failed",
        (false, true) => "succeeded",
    };
    let mut value = starting(it, recorded);
    set(&mut value, "status", json!(status));
    match status {
        "failed" => set(&mut value, "error", json!("the model failed, as scripted")),
        "succeeded" => {
            set(&mut value, "output", json!(pieces(it.said.text.as_deref().unwrap_or_default())));
            set(&mut value, "metrics", metrics(it));
        }
        _ => {}
    }
    value
}

/// A prediction that has just been made.
fn starting(it: &Prediction, recorded: &Recorded) -> Value {
    let at = format!("http://{}/v1", recorded.header("host"));
    let id = &it.id;
    let mut urls = json!({
        "cancel": format!("{at}/predictions/{id}/cancel"),
        "get": format!("{at}/predictions/{id}"),
        "web": format!("https://replicate.com/p/{id}"),
    });
    if !it.model.starts_with("acme/") || it.model == FLAKY {
        set(&mut urls, "stream", json!(format!("{at}/streams/{id}")));
    }
    json!({
        "id": id, "model": it.model, "version": "hidden", "input": it.input, "logs": "",
        "output": null, "data_removed": false, "error": null, "source": "api", "status": "starting",
        "created_at": "2023-11-14T22:13:20.000Z", "urls": urls,
    })
}

fn metrics(it: &Prediction) -> Value {
    match &it.reply.usage {
        UsageSpec::Missing => json!({"predict_time": 0.5, "total_time": 0.6}),
        UsageSpec::Exactly(value) => value.clone(),
        UsageSpec::Counted => json!({
            "input_token_count": it.said.input, "output_token_count": it.said.output,
            "predict_time": 0.5, "time_to_first_token": 0.1, "tokens_per_second": 40.5,
            "total_time": 0.6,
        }),
    }
}

async fn stream(prediction: Prediction, serial: u64, watch: Watch) -> io::Result<Response<Paced>> {
    let left = prediction.done.saturating_duration_since(Instant::now());
    let reply = Reply { delay: left, ..prediction.reply };
    perform(
        Ask::Replicate(Stream { said: prediction.said }),
        reply,
        Spelling::Replicate,
        serial,
        watch,
    )
    .await
}

/// A prediction's stream as events.
pub(super) fn events(stream: &Stream, reply: &Reply) -> Vec<Bytes> {
    let event = |name: &str, n: usize, data: &str| {
        let lines: String = data.split('\n').map(|line| format!("data: {line}\n")).collect();
        Bytes::from(format!("event: {name}\nid: 1690212292:{n}\n{lines}\n"))
    };
    let said = pieces(stream.said.text.as_deref().unwrap_or_default());
    let mut out: Vec<Bytes> =
        said.iter().enumerate().map(|(n, piece)| event("output", n, piece)).collect();
    if reply.error_event {
        out.truncate(out.len() / 2);
        let error = json!({"detail": "the model failed, as scripted"}).to_string();
        out.push(event("error", out.len(), &error));
        out.push(event("done", out.len(), &json!({"reason": "error"}).to_string()));
    } else {
        out.push(event("done", out.len(), "{}"));
    }
    out
}

/// An error in Replicate's envelope.
pub(super) fn error(refuse: &Refuse) -> Value {
    let title = match refuse.status {
        401 => "Unauthenticated",
        404 => "Not found",
        422 => "Input validation failed",
        _ => "Error",
    };
    json!({"title": title, "detail": refuse.message, "status": refuse.status})
}
