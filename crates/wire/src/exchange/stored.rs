//! An answer that a provider of responses keeps: fetched, deleted, or the items that it was asked
//! with. <https://platform.openai.com/docs/api-reference/responses/get>

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;

use super::{
    Call, Exchange, Malformed, Payload, Unsupported, head,
    relay::{self, Facts, Relay, Stamp},
    seal::{Place, Tenant},
};
use crate::{Dialect, Operation, target::Target, usage::Usage};

/// How an answer in the background stands.
/// <https://platform.openai.com/docs/guides/background>
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// `queued`, `in_progress`: it is still to come.
    Running,
    /// It is there, as far as it ever will be.
    Ended(Ended),
}

/// An answer that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// How.
    pub how: How,
    /// What it consumed: the provider's figures, else an estimate marked as such.
    pub usage: Usage,
    /// Why the model stopped, in OpenAI's words, if it was the model.
    pub finish: Option<&'static str>,
    /// Whether it says that it was asked for in the background.
    pub background: bool,
}

/// How an answer has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// `completed`
    Completed,
    /// `incomplete`: a limit was reached, or a filter stopped it.
    Incomplete,
    /// `failed`
    Failed,
    /// `cancelled`
    Cancelled,
}

/// What of an answer says how it stands.
#[derive(Deserialize)]
struct State<'a> {
    #[serde(borrow)]
    status: Option<Cow<'a, str>>,
    #[serde(default)]
    background: Option<bool>,
}

/// Whether a request of responses asks for an answer in the background: one that its provider goes
/// on with by itself, and that costs what it does only then.
pub fn in_background(payload: &Payload) -> bool {
    Relay::in_background(payload)
}

/// How the answer stands that a provider shows, to a request of so many bytes. What a failure has
/// consumed is nothing, unless it says so or left something behind.
pub fn progress(body: &[u8], prompt_bytes: u64) -> Result<Progress, Malformed> {
    let none = || Malformed::at("status", "the upstream's answer does not say how it stands");
    let state: State<'_> = serde_json::from_slice(body).map_err(|_| none())?;
    let how = match state.status.as_deref() {
        Some("queued" | "in_progress") => return Ok(Progress::Running),
        Some("completed") => How::Completed,
        Some("incomplete") => How::Incomplete,
        Some("failed") => How::Failed,
        Some("cancelled") => How::Cancelled,
        Some(_) | None => return Err(none()),
    };
    let facts = Facts::read(Dialect::Responses, body)
        .map_err(|flaw| Malformed::new(format!("the upstream's answer is not JSON: {flaw}")))?;
    let (mut usage, finish) = relay::ended(&facts, body, prompt_bytes);
    if how == How::Failed && usage.estimated && facts.says_nothing(body) {
        usage = Usage { estimated: true, ..Usage::default() };
    }
    Ok(Progress::Ended(Ended { how, usage, finish, background: state.background == Some(true) }))
}

/// What passes on the events of an answer that is kept, with the ids by which the client knows it.
pub fn resumed(tenant: &Tenant, place: Place) -> Box<dyn Exchange> {
    Box::new(Relay::resumed(tenant, place))
}

/// The call for the answer that the provider calls `id`. `tail` is what follows it in the path;
/// `query` what the client asks, without its question mark; `streamed` whether that is a stream.
pub fn call(
    to: &Target,
    id: &str,
    tail: &str,
    query: &str,
    streamed: bool,
) -> Result<Call, Unsupported> {
    let path = head::path(Operation::Chat, Dialect::Responses, to, false)?;
    let headers = head::headers(Dialect::Responses, streamed, &[], to);
    // The provider's own query says the version of the API.
    let (path, own) = path.split_once('?').unwrap_or((&path, ""));
    let queries: Vec<&str> = [own, query].into_iter().filter(|query| !query.is_empty()).collect();
    let mark = if queries.is_empty() { "" } else { "?" };
    let path = [path, "/", id, tail, mark, &queries.join("&")].concat();
    Ok(Call { path, headers, body: Vec::new() })
}

/// A query with the provider's ids of items (`after`) in place of the tenant's; `None` if one is not
/// the tenant's.
pub fn query(tenant: &Tenant, place: Place, query: &str) -> Option<String> {
    let pairs = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name @ ("after" | "before"), id)) => {
            Some(format!("{name}={}", tenant.item_at(place, id)?))
        }
        Some(_) | None => Some(pair.to_owned()),
    });
    Some(pairs.collect::<Option<Vec<String>>>()?.join("&"))
}

/// What the provider says, with the ids by which the client knows its answers.
pub fn answer(tenant: &Tenant, place: Place, body: Bytes) -> Bytes {
    let Ok(facts) = Facts::read(Dialect::Responses, &body) else { return body };
    Stamp::of(tenant, place).stamped(&facts, &body).unwrap_or(body)
}

/// Whether an id of a provider's can stand in a path as it is.
pub fn is_plain(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::seal::Thing;

    #[test]
    fn ids_are_the_clients() {
        let tenant = Tenant::new(b"secret", "a");
        let sealed = tenant.seal(Place::default(), "resp_1");
        let kept = r#"{"id":"resp_1","previous_response_id":"resp_1","output":[]}"#;
        let answer = answer(&tenant, Place::default(), Bytes::from_static(kept.as_bytes()));
        assert_eq!(answer, kept.replace("resp_1", &sealed));
        let list =
            r#"{"object":"list","data":[{"id":"msg_1"}],"last_id":"msg_1","has_more":false}"#;
        let items = super::answer(&tenant, Place::default(), Bytes::from_static(list.as_bytes()));
        let mark = |id: &str| tenant.mark_item(Place::default(), id);
        let item = mark("msg_1");
        assert_eq!(items, list.replace("msg_1", &item));
        // A container that it ran code in, and a file that it was asked with.
        let ran =
            r#"{"data":[{"id":"ci_1","container_id":"cntr_1"},{"content":[{"file_id":"f"}]}]}"#;
        let ran = super::answer(&tenant, Place::default(), Bytes::from_static(ran.as_bytes()));
        let hidden = |thing, id| tenant.hide(thing, Place::default(), id);
        let (container, file) = (hidden(Thing::Container, "cntr_1"), hidden(Thing::File, "f"));
        let call = format!(r#"{{"id":"{}","container_id":"{container}"}}"#, mark("ci_1"));
        assert_eq!(ran, format!(r#"{{"data":[{call},{{"content":[{{"file_id":"{file}"}}]}}]}}"#));
        let asked = |query: &str| super::query(&tenant, Place::default(), query);
        assert_eq!(asked(&format!("limit=2&after={item}")).unwrap(), "limit=2&after=msg_1");
        assert_eq!(asked("limit=2&order=asc").unwrap(), "limit=2&order=asc");
        assert_eq!((asked("").unwrap(), asked("after=msg_1")), (String::new(), None));
    }

    #[test]
    fn an_answer_says_how_it_stands() {
        let progress = |body: &str| super::progress(body.as_bytes(), 400);
        for status in ["queued", "in_progress"] {
            let body = format!(r#"{{"id":"resp_1","status":"{status}","output":[],"usage":null}}"#);
            assert_eq!(progress(&body), Ok(Progress::Running));
        }
        let usage = r#""usage":{"input_tokens":7,"output_tokens":9,"total_tokens":16}"#;
        let said = Usage { input: 7, output: 9, ..Usage::default() };
        let guess = |output| Usage { input: 100, output, estimated: true, ..Usage::default() };
        let item = format!(r#"[{{"type":"message","text":"{}"}}]"#, "x".repeat(370));
        for (status, output, rest, expect) in [
            ("completed", "[{}]", usage, (How::Completed, said, Some("stop"))),
            (
                "incomplete",
                "[]",
                &format!(r#""incomplete_details":{{"reason":"max_output_tokens"}},{usage}"#),
                (How::Incomplete, said, Some("length")),
            ),
            ("cancelled", "[]", usage, (How::Cancelled, said, None)),
            ("cancelled", "[]", r#""usage":null"#, (How::Cancelled, guess(1), None)),
            ("cancelled", &item, r#""usage":null"#, (How::Cancelled, guess(100), None)),
            ("failed", "[]", usage, (How::Failed, said, None)),
            (
                "failed",
                "[]",
                r#""error":{"code":"server_error","message":"x"},"usage":null"#,
                (How::Failed, Usage { estimated: true, ..Usage::default() }, None),
            ),
            ("failed", &item, r#""usage":null"#, (How::Failed, guess(100), None)),
        ] {
            let body = format!(
                r#"{{"id":"resp_1","background":true,"status":"{status}","output":{output},{rest}}}"#
            );
            let (how, usage, finish) = expect;
            let ended = Progress::Ended(Ended { how, usage, finish, background: true });
            assert_eq!(progress(&body), Ok(ended), "{body}");
        }
        for body in ["", "[]", "{}", r#"{"status":"odd"}"#, r#"{"status":null}"#, "<html>"] {
            assert!(progress(body).is_err(), "{body}");
        }
    }

    #[test]
    fn an_id_is_no_path() {
        assert!(is_plain("resp_67ccd2bed1ec8190b14f964abc"));
        for id in ["", "../models", "a/b", "a?b", "a%2fb", "a b"] {
            assert!(!is_plain(id), "{id}");
        }
    }
}
