//! What the operator and the client say about parameters: `drop_params`, `additional_drop_params`,
//! `allowed_openai_params`. An exchange around an exchange, made only where one of them says
//! something.
//!
//! What is to be dropped is taken out of the client's own body, so it means what the client calls
//! so, whatever the target speaks, and is named among what was dropped. What is allowed and has no
//! translation is sent as it is, under its own name.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};

use super::{Call, CannotAsk, Exchange, Malformed, Payload, follow::Next};
use crate::{
    Dialect, Operation,
    fault::Fault,
    json::Scan,
    peek::{peek, peek_named},
    provider::Patch,
    refusal::Refusal,
    target::Target,
    usage::Usage,
};

/// Most paths of one request.
const MAX_PATHS: usize = 64;
/// What a request is nothing without, or is decided by before it comes here.
const NEEDED: [&str; 4] = ["model", "messages", "input", "stream"];

/// An exchange with rules about parameters.
pub(super) struct Ruled {
    inner: Box<dyn Exchange>,
    operation: Operation,
    surface: Dialect,
    dropped: Vec<String>,
}

/// Whether anybody says something about the parameters of this request beyond
/// `Target::drop_params`. What it does not have can neither be dropped nor allowed.
pub(super) fn is_needed(payload: &Payload, to: &Target) -> bool {
    let peek = &payload.peek;
    let there =
        |path: &str| Path::read(path).is_none_or(|path| member(payload, path.top).is_some());
    peek.drop_params.is_some()
        || !peek.additional_drop_params.is_empty()
        || !peek.allowed_openai_params.is_empty()
        || to.provider.patch.iter().any(|patch| match patch {
            Patch::Drop(path) | Patch::Allow(path) => there(path),
            Patch::Cut(_) | Patch::CutValue(..) => false,
            Patch::Rename(..) | Patch::RenameText(..) => false,
            Patch::Set(..) | Patch::Default(..) | Patch::Clamp(..) => false,
        })
}

impl Ruled {
    pub(super) fn new(inner: Box<dyn Exchange>, operation: Operation, surface: Dialect) -> Self {
        Ruled { inner, operation, surface, dropped: Vec::new() }
    }

    /// The payload without what is to be dropped.
    fn pruned<'p>(
        &mut self,
        payload: &'p Payload,
        to: &Target,
        allowed: &[&str],
    ) -> Result<Cow<'p, Payload>, Malformed> {
        let configured = to.provider.patch.iter().filter_map(|patch| match patch {
            // Without these a request is none: they are dropped of what is sent, not of what is asked.
            Patch::Drop(path) => Some(path.as_str()).filter(|path| !NEEDED.contains(path)),
            Patch::Rename(..) | Patch::Set(..) | Patch::Default(..) | Patch::Clamp(..) => None,
            Patch::Allow(_) | Patch::Cut(_) | Patch::CutValue(..) => None,
            Patch::RenameText(..) => None,
        });
        let asked = payload.peek.additional_drop_params.iter().map(String::as_str);
        let mut paths: Vec<Path<'_>> = Vec::new();
        for text in configured.chain(asked).take(MAX_PATHS) {
            let path = Path::read(text).ok_or_else(|| not_a_path(text))?;
            if NEEDED.contains(&path.top) && path.rest.is_empty() {
                let message =
                    format!("`{text}` cannot be dropped: a request is nothing without it");
                return Err(Malformed::at("additional_drop_params", message));
            }
            if !allowed.contains(&path.top) {
                paths.push(path);
            }
        }
        let there = |path: &Path<'_>| member(payload, path.top).is_some();
        paths.retain(there);
        if paths.is_empty() {
            return Ok(Cow::Borrowed(payload));
        }
        let mut named = Vec::new();
        let body = rewritten(payload, |key, value| {
            let mut value = Cow::Borrowed(value);
            for path in paths.iter().filter(|path| path.top == key) {
                if path.rest.is_empty() {
                    named.push(path.text.to_owned());
                    return None;
                }
                if let Some(less) = path.cut(&value) {
                    named.push(path.text.to_owned());
                    value = Cow::Owned(less);
                }
            }
            Some(value)
        });
        self.dropped.append(&mut named);
        self.payload(payload, body).map(Cow::Owned)
    }

    /// The payload with another body.
    fn payload(&self, old: &Payload, body: Bytes) -> Result<Payload, Malformed> {
        let read = if old.peek.named { peek_named } else { peek };
        let mut peek = read(self.surface, self.operation, &body)
            .map_err(|why| Malformed { message: why.message, param: why.param })?;
        // Some dialects say these in the path.
        peek.model.clone_from(&old.peek.model);
        peek.stream = old.peek.stream;
        peek.listed = old.peek.listed;
        // It is not of the body.
        peek.tenant.clone_from(&old.peek.tenant);
        Ok(Payload { body, peek, headers: old.headers.clone(), received_s: old.received_s })
    }

    /// Asks with what can be translated, and adds what is allowed and cannot.
    fn asked(
        &mut self,
        payload: &Payload,
        to: &Target,
        allowed: &[&str],
    ) -> Result<Call, CannotAsk> {
        let mut payload = Cow::Borrowed(payload);
        let mut passed: Vec<(String, Bytes)> = Vec::new();
        let mut call = loop {
            let refused = match self.inner.call(&payload, to) {
                Ok(call) => break call,
                Err(CannotAsk::Unsupported(why)) => why,
                Err(why) => return Err(why),
            };
            let top = Path::read(&refused.param).map_or("", |path| path.top);
            let found = Some(top).filter(|top| allowed.contains(top));
            let Some(value) = found.and_then(|top| member(&payload, top)) else {
                return Err(refused.into());
            };
            passed.push((top.to_owned(), value));
            payload = Cow::Owned(self.without(&payload, top)?);
        };
        // What would be left out in silence or for `drop_params` is sent, too.
        for name in self.inner.dropped() {
            if allowed.contains(&&**name)
                && let Some(value) = member(&payload, name)
            {
                passed.push((name.clone(), value));
            }
        }
        let left_out = self.inner.dropped().iter();
        let left_out = left_out.filter(|name| passed.iter().all(|(other, _)| other != *name));
        self.dropped.extend(left_out.cloned());
        if !passed.is_empty() {
            call.body = vec![with(&call.body.concat(), &passed)];
        }
        Ok(call)
    }

    fn without(&self, payload: &Payload, name: &str) -> Result<Payload, Malformed> {
        let body = rewritten(payload, |key, value| (key != name).then_some(Cow::Borrowed(value)));
        self.payload(payload, body)
    }
}

impl Exchange for Ruled {
    fn call(&mut self, payload: &Payload, to: &Target) -> Result<Call, CannotAsk> {
        self.dropped.clear();
        let configured = to.provider.patch.iter().filter_map(|patch| match patch {
            Patch::Allow(name) => Some(name.as_str()),
            Patch::Drop(_) | Patch::Cut(_) | Patch::CutValue(..) => None,
            Patch::Rename(..) | Patch::RenameText(..) => None,
            Patch::Set(..) | Patch::Default(..) | Patch::Clamp(..) => None,
        });
        let asked = payload.peek.allowed_openai_params.iter().map(String::as_str);
        let allowed: Vec<&str> = configured.chain(asked).take(MAX_PATHS).collect();
        let pruned = self.pruned(payload, to, &allowed)?;
        match payload.peek.drop_params.filter(|drop| *drop != to.drop_params) {
            None => self.asked(&pruned, to, &allowed),
            Some(drop_params) => {
                self.asked(&pruned, &Target { drop_params, ..to.clone() }, &allowed)
            }
        }
    }

    fn reply(&mut self, body: Bytes) -> Result<Bytes, Malformed> {
        self.inner.reply(body)
    }

    fn others(&mut self) -> Vec<Call> {
        self.inner.others()
    }

    fn join(&mut self, bodies: &[Bytes]) -> Result<Bytes, Malformed> {
        self.inner.join(bodies)
    }

    fn follow(&mut self, body: &[u8], to: &Target) -> Result<Next, Fault> {
        self.inner.follow(body, to)
    }

    fn push(&mut self, chunk: &Bytes, out: &mut BytesMut) -> Result<(), Fault> {
        self.inner.push(chunk, out)
    }

    fn end(&mut self, out: &mut BytesMut) -> Result<(), Fault> {
        self.inner.end(out)
    }

    fn begun(&self) -> bool {
        self.inner.begun()
    }

    fn done(&self) -> bool {
        self.inner.done()
    }

    fn usage(&self) -> Usage {
        self.inner.usage()
    }

    fn finish_reason(&self) -> Option<&str> {
        self.inner.finish_reason()
    }

    fn unfinished(&self) -> Option<&str> {
        self.inner.unfinished()
    }

    fn dropped(&self) -> &[String] {
        &self.dropped
    }

    fn fault(&self, status: StatusCode, headers: &HeaderMap, body: Bytes) -> Fault {
        self.inner.fault(status, headers, body)
    }

    fn broken(&self, why: &Refusal, out: &mut BytesMut) {
        self.inner.broken(why, out);
    }
}

/// `tools[*].function.strict`: a top-level parameter, and where in it.
struct Path<'a> {
    text: &'a str,
    top: &'a str,
    rest: Vec<Step<'a>>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Member(&'a str),
    Item(usize),
    Each,
}

/// Whether `text` is a path that can be dropped, such as `tools[*].function.strict`.
pub fn is_path(text: &str) -> bool {
    Path::read(text).is_some()
}

impl<'a> Path<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let end = text.find(['.', '[']).unwrap_or(text.len());
        let (top, mut left) = text.split_at_checked(end).filter(|(top, _)| !top.is_empty())?;
        let mut rest = Vec::new();
        while !left.is_empty() {
            if let Some(after) = left.strip_prefix('[') {
                let (index, after) = after.split_once(']')?;
                rest.push(if index == "*" { Step::Each } else { Step::Item(index.parse().ok()?) });
                left = after;
            } else {
                let after = left.strip_prefix('.')?;
                let end = after.find(['.', '[']).unwrap_or(after.len());
                let (name, after) =
                    after.split_at_checked(end).filter(|(name, _)| !name.is_empty())?;
                rest.push(Step::Member(name));
                left = after;
            }
        }
        Some(Path { text, top, rest })
    }

    /// The value without what the path leads to; `None` if it leads nowhere.
    fn cut(&self, value: &str) -> Option<String> {
        let mut tree = serde_json::from_str(value).ok()?;
        cut(&mut tree, &self.rest).then(|| tree.to_string())
    }
}

/// Steps are as many as somebody wrote into a path, so this goes no deeper.
fn cut(tree: &mut serde_json::Value, steps: &[Step<'_>]) -> bool {
    let Some((step, rest)) = steps.split_first() else { return false };
    let last = rest.is_empty();
    match (step, tree) {
        (Step::Member(name), serde_json::Value::Object(members)) if last => {
            members.remove(*name).is_some()
        }
        (Step::Member(name), serde_json::Value::Object(members)) => {
            members.get_mut(*name).is_some_and(|inner| cut(inner, rest))
        }
        (Step::Item(index), serde_json::Value::Array(items)) if last => {
            let there = *index < items.len();
            if there {
                items.remove(*index);
            }
            there
        }
        (Step::Item(index), serde_json::Value::Array(items)) => {
            items.get_mut(*index).is_some_and(|inner| cut(inner, rest))
        }
        (Step::Each, serde_json::Value::Array(items)) if last => {
            let there = !items.is_empty();
            items.clear();
            there
        }
        (Step::Each, serde_json::Value::Array(items)) => {
            items.iter_mut().fold(false, |any, inner| cut(inner, rest) | any)
        }
        (Step::Member(_) | Step::Item(_) | Step::Each, _) => false,
    }
}

fn not_a_path(text: &str) -> Malformed {
    let shown: String = text.chars().filter(|c| !c.is_control()).take(60).collect();
    Malformed::at(
        "additional_drop_params",
        format!("`{shown}` is no path: expected one such as `seed` or `tools[*].function.strict`"),
    )
}

/// The value of the client's top-level member of this name.
fn member(payload: &Payload, name: &str) -> Option<Bytes> {
    let found = payload.peek.members.iter().filter(|member| !member.ours);
    let mut found = found.filter(|member| key(payload, &member.key).is_some_and(|key| key == name));
    let span = found.next()?.value.clone();
    payload.body.get(span).map(|value| payload.body.slice_ref(value))
}

fn key<'p>(payload: &'p Payload, span: &std::ops::Range<usize>) -> Option<Cow<'p, str>> {
    Scan::new(payload.body.get(span.clone())?).string().ok()?.resolve()
}

/// The body member by member: `change` gives each value anew, or leaves the member out.
fn rewritten(
    payload: &Payload,
    mut change: impl for<'v> FnMut(&str, &'v str) -> Option<Cow<'v, str>>,
) -> Bytes {
    let mut out = BytesMut::with_capacity(payload.body.len());
    let mut before: &[u8] = b"{";
    for member in &payload.peek.members {
        let text =
            |span: &std::ops::Range<usize>| payload.body.get(span.clone()).unwrap_or(b"\"\"");
        let Ok(value) = std::str::from_utf8(text(&member.value)) else { continue };
        let name = key(payload, &member.key).unwrap_or_default();
        if let Some(value) = change(&name, value) {
            out.extend_from_slice(before);
            out.extend_from_slice(text(&member.key));
            out.extend_from_slice(b":");
            out.extend_from_slice(value.as_bytes());
            before = b",";
        }
    }
    if out.is_empty() {
        out.extend_from_slice(b"{");
    }
    out.extend_from_slice(b"}");
    out.freeze()
}

/// The body of a call with further members, where it does not have them already.
fn with(body: &[u8], members: &[(String, Bytes)]) -> Bytes {
    let had = names(body).unwrap_or_default();
    let end = body.iter().rposition(|byte| *byte == b'}').unwrap_or(body.len());
    let (before, after) = body.split_at_checked(end).unwrap_or((body, &[]));
    let mut out = BytesMut::from(before);
    let mut comma = !had.is_empty();
    for (name, value) in members.iter().filter(|(name, _)| !had.contains(name)) {
        if std::mem::replace(&mut comma, true) {
            out.extend_from_slice(b",");
        }
        out.extend_from_slice(&serde_json::to_vec(name).unwrap_or_default());
        out.extend_from_slice(b":");
        out.extend_from_slice(value);
    }
    out.extend_from_slice(after);
    out.freeze()
}

fn names(body: &[u8]) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut scan = Scan::new(body);
    scan.open_object().ok()?;
    let mut first = true;
    while let Some(key) = scan.next_key(&mut first).ok()? {
        names.push(key.resolve()?.into_owned());
        scan.skip().ok()?;
    }
    Some(names)
}

#[cfg(test)]
mod tests;
