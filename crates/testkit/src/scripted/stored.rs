//! Answers of responses that are stored: fetched, deleted, the items that they were asked with; and
//! those that go on in the background, which end after so many looks at them.
//! <https://platform.openai.com/docs/guides/background>
#![expect(clippy::indexing_slicing, reason = "a member that a `Value` has not is made")]

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use super::{
    Recorded, Shared, lock,
    refuse::Refuse,
    reply::Reply,
    responses::{self, Ask},
    said::say,
};

/// Looks at an answer in the background before it has ended, where the script does not say.
const LOOKS: u64 = 2;

/// An answer.
#[derive(Debug)]
pub(super) struct Stored {
    /// As it will be in the end.
    whole: Value,
    /// As it is until then, if it was asked for in the background.
    running: Option<Value>,
    /// Looks that still show it so.
    looks: u64,
    /// Its events, if it was asked for as a stream in the background.
    events: Vec<Bytes>,
    /// In the end nobody knows it.
    forgotten: bool,
}

/// What there is to say about one.
pub(super) enum Found {
    Whole(Value),
    Events(Vec<Bytes>),
}

/// Stores the answer to a request.
pub(super) fn store(shared: &Shared, ask: &Ask, reply: &Reply, serial: u64) {
    let said = say(&ask.prompt, reply);
    let mut whole = responses::whole(&said, ask, serial);
    if reply.fails {
        whole["status"] = json!("failed");
        whole["error"] = json!({"code": "server_error", "message": "The model failed."});
        (whole["output"], whole["usage"]) = (json!([]), Value::Null);
    }
    let background = ask.background;
    let stored = Stored {
        whole,
        running: background.then(|| responses::queued(ask, serial)),
        looks: if background { reply.looks.unwrap_or(LOOKS) } else { 0 },
        events: match background && ask.stream {
            true => responses::events(&said, ask, reply, serial),
            false => Vec::new(),
        },
        forgotten: reply.forgets,
    };
    lock(&shared.stored).insert(responses::id_of(serial), stored);
}

/// Ends all that go on in the background.
pub(super) fn finish(shared: &Shared) {
    lock(&shared.stored).values_mut().for_each(|stored| stored.looks = 0);
}

pub(super) fn find(shared: &Shared, path: &str, recorded: &Recorded) -> Result<Found, Refuse> {
    let rest = path.strip_prefix("/responses/").unwrap_or_default();
    let (id, tail) = rest.split_once('/').unwrap_or((rest, ""));
    let known = match tail {
        "" => recorded.method != Method::POST,
        "cancel" => recorded.method == Method::POST,
        "input_items" => recorded.method == Method::GET,
        _ => false,
    };
    if !known {
        return Err(Refuse::new(404, format!("Invalid URL ({} {path})", recorded.method)));
    }
    let not_found = || Refuse::new(404, format!("Response with id '{id}' not found."));
    let mut all = lock(&shared.stored);
    let stored = all.get_mut(id).ok_or_else(not_found)?;
    if stored.forgotten && stored.looks == 0 {
        return Err(not_found());
    }
    if tail == "input_items" {
        return Ok(Found::Whole(json!({"object": "list", "data": [], "has_more": false})));
    }
    if tail == "cancel" {
        return stored.cancel().map(Found::Whole);
    }
    if recorded.method == Method::DELETE {
        all.remove(id);
        return Ok(Found::Whole(json!({"id": id, "object": "response", "deleted": true})));
    }
    let query = recorded.query.as_deref().unwrap_or_default();
    if query.split('&').any(|pair| pair == "stream=true") {
        let after = query.split('&').find_map(|pair| pair.strip_prefix("starting_after="));
        let skip = after.and_then(|n| n.parse::<usize>().ok()).map_or(0, |n| n + 1);
        if stored.events.is_empty() {
            let why = "This response cannot be streamed: it was not created with background=true \
                       and stream=true.";
            return Err(Refuse::new(400, why));
        }
        return Ok(Found::Events(stored.events.iter().skip(skip).cloned().collect()));
    }
    Ok(Found::Whole(stored.look()))
}

impl Stored {
    fn look(&mut self) -> Value {
        let Some(running) = self.running.as_ref().filter(|_| self.looks > 0) else {
            return self.whole.clone();
        };
        self.looks -= 1;
        let mut running = running.clone();
        running["status"] = json!("in_progress");
        running
    }

    fn cancel(&mut self) -> Result<Value, Refuse> {
        let Some(running) = &self.running else {
            return Err(Refuse::new(400, "Cannot cancel a synchronous response."));
        };
        if self.looks > 0 {
            self.looks = 0;
            self.whole = running.clone();
            self.whole["status"] = json!("cancelled");
        }
        Ok(self.whole.clone())
    }
}
