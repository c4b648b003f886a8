//! Edits of a request body by bytes: what is not edited is neither parsed again nor copied.

use std::{collections::BTreeMap, ops::Range};

use bytes::{Bytes, BytesMut};

use crate::{json::Scan, peek::Peek, provider::Patch, target::Target};

/// A body and what is to become of its members.
pub(super) struct Edits<'a> {
    body: &'a Bytes,
    peek: &'a Peek,
    /// By the member's place in [`Peek::members`].
    touched: BTreeMap<usize, Touch>,
    /// Members to be appended: name without quotes, value as JSON.
    added: Vec<(String, Bytes)>,
}

#[derive(Default)]
struct Touch {
    cut: bool,
    key: Option<String>,
    value: Option<Bytes>,
}

/// What [`Edits::ask_for_usage`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// The body asks for it because of us: the client must not see the answer.
    ByUs,
    /// It would have been asked for anyway, or cannot be.
    NotByUs,
}

impl<'a> Edits<'a> {
    /// Nothing is to be done but to leave out what is meant for us.
    pub(super) fn new(body: &'a Bytes, peek: &'a Peek) -> Self {
        let mut edits = Edits { body, peek, touched: BTreeMap::new(), added: Vec::new() };
        if !peek.ours.is_empty() {
            for (i, _) in peek.members.iter().enumerate().filter(|(_, m)| m.ours) {
                edits.touched.entry(i).or_default().cut = true;
            }
        }
        edits
    }

    /// The target's own name for the model.
    pub(super) fn model(&mut self, to: &Target) {
        // Named by the path, the body may say something else.
        if *self.peek.model == *to.model && !self.peek.named {
            return;
        }
        let span = &self.peek.model_span;
        if let Some(i) = self.peek.members.iter().position(|m| m.value == *span) {
            self.touched.entry(i).or_default().value = Some(json(&*to.model));
        } else if self.peek.named {
            self.added.push(("model".to_owned(), json(&*to.model)));
        }
    }

    /// What the configuration sets where the client does not.
    pub(super) fn defaults(&mut self, to: &Target) {
        for (name, value) in &to.defaults {
            if !self.has(name) {
                self.added.push((name.clone(), value.clone()));
            }
        }
    }

    /// The value of a member, if it is a string.
    pub(super) fn string(&self, name: &str) -> Option<String> {
        let member = self.named(name).next().and_then(|i| self.peek.members.get(i))?;
        serde_json::from_slice(self.text(&member.value)).ok()
    }

    /// The value of a member as it is now.
    pub(super) fn raw(&self, name: &str) -> Option<Bytes> {
        let i = self.named(name).next()?;
        let edited = self.touched.get(&i).and_then(|touch| touch.value.clone());
        edited.or_else(|| Some(self.body.slice_ref(self.text(&self.peek.members.get(i)?.value))))
    }

    /// Other texts at places of the body that stand within values, in order.
    pub(super) fn put(&mut self, spans: &[(Range<usize>, Bytes)]) {
        for (i, member) in self.peek.members.iter().enumerate() {
            let Range { start, end } = member.value;
            let within = spans.iter().filter(|(span, _)| start <= span.start && span.end <= end);
            let within: Vec<_> = within
                .map(|(span, with)| (span.start - start..span.end - start, with.clone()))
                .collect();
            if !within.is_empty() {
                let value = replaced(self.text(&member.value), within);
                self.touched.entry(i).or_default().value = Some(value);
            }
        }
    }

    /// Whether a member is there and says something.
    pub(super) fn says(&self, name: &str) -> bool {
        self.named(name)
            .filter_map(|i| self.peek.members.get(i))
            .any(|member| !matches!(self.text(&member.value), b"null" | b"false"))
    }

    /// Another text in place of a member's value.
    pub(super) fn replace(&mut self, name: &str, text: &str) {
        self.set(name, json(text));
    }

    /// Sets `stream_options.include_usage`.
    pub(super) fn ask_for_usage(&mut self, to: &Target) -> Asked {
        const NAME: &str = "stream_options";
        let drops = |patch: &Patch| matches!(patch, Patch::Drop(name) if name == NAME);
        if self.peek.include_usage || to.provider.patch.iter().any(drops) {
            return Asked::NotByUs;
        }
        if let Some((_, value)) = self.added.iter_mut().find(|(name, _)| name == NAME) {
            let asking = with_usage(value);
            return asking.map_or(Asked::NotByUs, |asking| {
                *value = asking;
                Asked::ByUs
            });
        }
        let found = self.named(NAME).next().and_then(|i| Some((i, self.peek.members.get(i)?)));
        let Some((i, member)) = found else {
            let value = Bytes::from_static(br#"{"include_usage":true}"#);
            self.added.push((NAME.to_owned(), value));
            return Asked::ByUs;
        };
        let Some(asking) = with_usage(self.text(&member.value)) else { return Asked::NotByUs };
        self.touched.entry(i).or_default().value = Some(asking);
        Asked::ByUs
    }

    /// The provider's quirks.
    pub(super) fn patches(&mut self, to: &Target) {
        for patch in &to.provider.patch {
            match patch {
                Patch::Drop(name) | Patch::Cut(name) => self.drop_all(name),
                Patch::CutValue(name, value) => self.drop_value(name, value),
                Patch::Rename(from, to) => self.rename(from, to),
                Patch::RenameText(from, to) if self.is_text(from) => self.rename(from, to),
                Patch::RenameText(..) => {}
                Patch::Set(name, value) => self.set(name, json(value)),
                Patch::Default(name, value) if !self.has(name) => {
                    self.added.push((name.clone(), json(value)));
                }
                // A relay sends everything as it is.
                Patch::Default(..) | Patch::Allow(_) => {}
                Patch::Clamp(name, least, most) => self.clamp(name, *least, *most),
            }
        }
    }

    /// The edited body, in pieces.
    pub(super) fn finish(self) -> Vec<Bytes> {
        if self.touched.is_empty() && self.added.is_empty() {
            return vec![self.body.clone()];
        }
        let mut pieces = Pieces { body: self.body, at: 0, done: Vec::with_capacity(4) };
        let mut cuts = 0;
        for (&i, touch) in &self.touched {
            let Some(member) = self.peek.members.get(i) else { continue };
            if touch.cut {
                pieces.put(self.cut_span(i, cuts), Bytes::new());
                cuts += 1;
                continue;
            }
            if let Some(key) = &touch.key {
                pieces.put(member.key.clone(), json(key));
            }
            if let Some(value) = &touch.value {
                pieces.put(member.value.clone(), value.clone());
            }
        }
        let mut comma = cuts < self.peek.members.len();
        let mut tail = Vec::new();
        for (name, value) in &self.added {
            if std::mem::replace(&mut comma, true) {
                tail.push(b',');
            }
            tail.extend_from_slice(&json(name));
            tail.push(b':');
            tail.extend_from_slice(value);
        }
        if !tail.is_empty() {
            pieces.put(self.peek.close..self.peek.close, tail.into());
        }
        pieces.put(self.body.len()..self.body.len(), Bytes::new());
        pieces.done
    }

    /// What to cut so that one comma goes with the member: the one before it if a member that
    /// stays stands there, else the one behind it. `cuts` members before it are cut.
    fn cut_span(&self, i: usize, cuts: usize) -> Range<usize> {
        let members = &self.peek.members;
        let member = members.get(i);
        let (start, end) = member.map_or((0, 0), |m| (m.key.start, m.value.end));
        if cuts < i {
            let before = i.checked_sub(1).and_then(|i| members.get(i));
            before.map_or(start, |m| m.value.end)..end
        } else {
            start..members.get(i + 1).map_or(self.peek.close, |m| m.key.start)
        }
    }

    fn text(&self, span: &Range<usize>) -> &'a [u8] {
        self.body.get(span.clone()).unwrap_or_default()
    }

    /// The members that are now called so.
    fn named(&self, name: &str) -> impl Iterator<Item = usize> {
        let members = self.peek.members.iter().enumerate();
        members
            .filter(move |(i, member)| match self.touched.get(i) {
                Some(Touch { cut: true, .. }) => false,
                Some(Touch { key: Some(key), .. }) => key == name,
                Some(_) | None => is_called(self.text(&member.key), name),
            })
            .map(|(i, _)| i)
    }

    fn has(&self, name: &str) -> bool {
        self.named(name).next().is_some() || self.added.iter().any(|(n, _)| n == name)
    }

    fn drop_all(&mut self, name: &str) {
        self.added.retain(|(n, _)| n != name);
        let found: Vec<usize> = self.named(name).collect();
        for i in found {
            self.touched.entry(i).or_default().cut = true;
        }
    }

    fn drop_value(&mut self, name: &str, value: &serde_json::Value) {
        self.added.retain(|(n, text)| n != name || !says(text, value));
        let found: Vec<usize> = self.named(name).collect();
        for i in found {
            let Some(member) = self.peek.members.get(i) else { continue };
            if says(self.text(&member.value), value) {
                self.touched.entry(i).or_default().cut = true;
            }
        }
    }

    fn rename(&mut self, from: &str, to: &str) {
        if self.has(to) {
            return self.drop_all(from);
        }
        let found: Vec<usize> = self.named(from).collect();
        for (i, member) in found.into_iter().enumerate() {
            let touch = self.touched.entry(member).or_default();
            touch.cut = i > 0;
            touch.key = Some(to.to_owned());
        }
        for (name, _) in self.added.iter_mut().filter(|(name, _)| name == from) {
            to.clone_into(name);
        }
    }

    fn is_text(&self, name: &str) -> bool {
        let added = self.added.iter().find(|(n, _)| n == name).map(|(_, value)| &**value);
        let member = || self.named(name).next().and_then(|i| self.peek.members.get(i));
        let value = added.or_else(|| Some(self.text(&member()?.value)));
        value.is_some_and(|value| value.starts_with(b"\""))
    }

    pub(super) fn set(&mut self, name: &str, value: Bytes) {
        self.added.retain(|(n, _)| n != name);
        let found: Vec<usize> = self.named(name).collect();
        if found.is_empty() {
            self.added.push((name.to_owned(), value));
            return;
        }
        for (i, member) in found.into_iter().enumerate() {
            let touch = self.touched.entry(member).or_default();
            touch.cut = i > 0;
            touch.value = Some(value.clone());
        }
    }

    fn clamp(&mut self, name: &str, least: f64, most: f64) {
        for (_, value) in self.added.iter_mut().filter(|(n, _)| n == name) {
            if let Some(clamped) = clamped(value, least, most) {
                *value = clamped;
            }
        }
        let found: Vec<usize> = self.named(name).collect();
        for i in found {
            let Some(member) = self.peek.members.get(i) else { continue };
            let now = self.touched.get(&i).and_then(|touch| touch.value.as_deref());
            let now = now.unwrap_or_else(|| self.text(&member.value));
            if let Some(clamped) = clamped(now, least, most) {
                self.touched.entry(i).or_default().value = Some(clamped);
            }
        }
    }
}

/// A body in the making.
struct Pieces<'a> {
    body: &'a Bytes,
    at: usize,
    done: Vec<Bytes>,
}

impl Pieces<'_> {
    /// What lies before `span` stays, `span` becomes `with`.
    fn put(&mut self, span: Range<usize>, with: Bytes) {
        if let Some(stays) = self.body.get(self.at..span.start)
            && !stays.is_empty()
        {
            self.done.push(self.body.slice_ref(stays));
        }
        if !with.is_empty() {
            self.done.push(with);
        }
        self.at = span.end;
    }
}

/// A text with others at these places, which do not overlap.
pub(super) fn replaced(text: &[u8], mut spans: Vec<(Range<usize>, Bytes)>) -> Bytes {
    spans.sort_by_key(|(span, _)| span.start);
    let mut out = BytesMut::with_capacity(text.len() + 256);
    let mut at = 0;
    for (span, with) in spans {
        out.extend_from_slice(text.get(at..span.start).unwrap_or_default());
        out.extend_from_slice(&with);
        at = span.end;
    }
    out.extend_from_slice(text.get(at..).unwrap_or_default());
    out.freeze()
}

/// Whether a JSON text is this value.
pub(crate) fn says(text: &[u8], value: &serde_json::Value) -> bool {
    serde_json::from_slice::<serde_json::Value>(text).is_ok_and(|said| said == *value)
}

fn json<T: serde::Serialize + ?Sized>(value: &T) -> Bytes {
    serde_json::to_vec(value).unwrap_or_default().into()
}

/// Whether a member's name, quotes included, says `name`.
fn is_called(key: &[u8], name: &str) -> bool {
    let raw = key.get(1..key.len().saturating_sub(1)).unwrap_or_default();
    if raw == name.as_bytes() {
        return true;
    }
    memchr::memchr(b'\\', raw).is_some()
        && Scan::new(key).string().is_ok_and(|text| text.is(name.as_bytes()))
}

/// The value of `stream_options` with `include_usage` set; `None` if it is already.
fn with_usage(value: &[u8]) -> Option<Bytes> {
    const MEMBER: &[u8] = br#""include_usage":true"#;
    let mut scan = Scan::new(value);
    if scan.look() != Some(b'{') {
        return Some(Bytes::from_static(br#"{"include_usage":true}"#));
    }
    scan.open_object().ok()?;
    let inside = scan.position();
    let mut first = true;
    while let Some(key) = scan.next_key(&mut first).ok()? {
        let span = scan.value().ok()?;
        if key.is(b"include_usage") {
            if value.get(span.clone()) == Some(b"true") {
                return None;
            }
            let (before, after) = (value.get(..span.start)?, value.get(span.end..)?);
            return Some([before, b"true", after].concat().into());
        }
    }
    let (before, after) = value.split_at_checked(inside)?;
    let comma: &[u8] = if first { b"" } else { b"," };
    Some([before, MEMBER, comma, after].concat().into())
}

/// The number brought within bounds; `None` if it is within, or is no number.
pub(crate) fn clamped(value: &[u8], least: f64, most: f64) -> Option<Bytes> {
    let number: f64 = std::str::from_utf8(value).ok().filter(|t| t.len() <= 64)?.parse().ok()?;
    let bound = if number < least {
        least
    } else if number > most {
        most
    } else {
        return None;
    };
    // Whole numbers without a point: a count may be among them.
    Some(if bound.fract() == 0.0 { json(&(bound as i64)) } else { json(&bound) })
}
