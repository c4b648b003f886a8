//! Overhears an answer: what it consumed, how it ended, what went wrong.

use std::{borrow::Cow, ops::Range, sync::LazyLock};

use bytes::{Bytes, BytesMut};
use memchr::memmem::Finder;

use super::{facts::Facts, stamp::Stamp};
use crate::{
    Dialect, Operation,
    dialect::{cohere, fault_inside, figures::Figures, gemini},
    fault::{Fault, FaultKind},
    frame::sse::{Frame, next_line},
    json::Scan,
    op::chat::Reason,
    usage::Usage,
};

/// What was heard so far.
#[derive(Debug)]
pub(super) struct Ear {
    dialect: Dialect,
    /// What an answer's own names are replaced by, of responses.
    pub(super) stamp: Stamp,
    /// The client did not ask for the event that holds nothing but `usage`: we did.
    pub(super) hide_usage: bool,
    /// Bytes of the request's body.
    pub(super) prompt_bytes: u64,
    /// An event that the client is to see, or the end, has come.
    pub(super) begun: bool,
    /// The stream is complete.
    pub(super) done: bool,
    /// In OpenAI's words.
    pub(super) finish: Option<&'static str>,
    /// The answer was asked for in the background.
    pub(super) background: bool,
    /// The provider's id of such an answer, unless it came whole.
    pub(super) unfinished: Option<String>,
    /// A tool was called, where the last event does not say so.
    called: bool,
    figures: Figures,
    /// Something came, be it only a comment.
    heard: bool,
    content: Content,
}

/// How much content there was, for an estimate.
#[derive(Debug, Default)]
struct Content {
    events: u64,
    bytes: u64,
    /// The shortest event: what an event costs without content.
    shortest: Option<u64>,
}

/// What is to become of an event.
#[derive(Debug)]
pub(super) enum Verdict {
    Pass,
    Hide,
    /// The model's name, quotes included, stands at this place of the event's bytes.
    Restamp(Range<usize>),
    /// The same for an event whose data is spread over lines: the data joined, and the place in
    /// it.
    Rewrite(Vec<u8>, Range<usize>),
    /// Something else, which stands at this place of the event's bytes, by these.
    Splice(Range<usize>, Bytes),
    /// Another event in its place.
    Replace(Bytes),
}

/// Boxed: it is returned once for every event, and hardly ever there.
type Heard<T> = Result<T, Box<Fault>>;

impl Ear {
    pub(super) fn new(dialect: Dialect) -> Self {
        Ear {
            dialect,
            stamp: Stamp::default(),
            hide_usage: false,
            prompt_bytes: 0,
            begun: false,
            done: false,
            finish: None,
            background: false,
            unfinished: None,
            called: false,
            figures: Figures::default(),
            heard: false,
            content: Content::default(),
        }
    }

    /// Listens to one event: `raw` is all of its bytes. `restamp` if the model's name is to be
    /// replaced.
    #[inline]
    pub(super) fn event(&mut self, raw: &[u8], restamp: bool) -> Heard<Verdict> {
        match self.dialect {
            Dialect::Anthropic => {
                const DELTA: &[u8] = b"event: content_block_delta\ndata: ";
                // Of deltas, citations alone name a file, and it is one of the request's.
                if let Some(data) = single_line(raw, DELTA)
                    && self.begun
                    && is_braced(data)
                    && !self.stamp.has_opened()
                {
                    self.content.add(data);
                    return Ok(Verdict::Pass);
                }
            }
            Dialect::Cohere => {
                const DELTA: &[u8] = b"event: content-delta\ndata: ";
                if let Some(data) = single_line(raw, DELTA)
                    && self.begun
                    && is_braced(data)
                {
                    self.content.add(data);
                    return Ok(Verdict::Pass);
                }
            }
            // Each event may hold the last figures, and most do.
            Dialect::Gemini => {}
            Dialect::Responses => {
                if self.begun
                    && let Some((name, data)) = named_line(raw)
                    && is_braced(data)
                    && !tells_of_answer(name)
                {
                    let delta = name.ends_with(b".delta");
                    let item = if self.stamp.seals() { item_of(data) } else { None };
                    if !self.stamp.seals() || (delta && item.is_some()) {
                        if delta {
                            self.content.add(data);
                        }
                        let marked = item.and_then(|span| {
                            let marked = self.stamp.item(data.get(span.clone())?)?;
                            Some(Verdict::Splice(shift(span, raw, data), marked))
                        });
                        return Ok(marked.unwrap_or(Verdict::Pass));
                    }
                }
            }
            _ => {
                if let Some(data) = single_line(raw, b"data: ")
                    && self.begun
                    && is_quiet(data)
                {
                    self.content.add(data);
                    return Ok(if restamp { restamp_early(raw, data) } else { Verdict::Pass });
                }
            }
        }
        self.closely(raw, restamp)
    }

    /// Listens to a whole answer.
    pub(super) fn whole(&mut self, facts: &Facts, body: &[u8], operation: Operation) {
        self.begun = true;
        self.done = true;
        self.finish = facts.finish;
        self.figures = facts.figures;
        self.searched(facts, body);
        self.goes_on(facts, body);
        match operation {
            Operation::Chat => {
                let content = facts.content.as_ref().map_or(0, ExactSizeIterator::len);
                self.content = Content { events: 1, bytes: content as u64, shortest: Some(0) };
            }
            Operation::Embeddings => self.figures.has_no_output(),
            Operation::CountTokens => {}
        }
    }

    pub(super) fn heard_nothing(&self) -> bool {
        !self.heard
    }

    /// Whether `last`, the bytes of an event whose blank line is missing, are all of the event.
    pub(super) fn is_whole(&mut self, last: &[u8]) -> Heard<bool> {
        self.heard = true;
        let frame = Frame::read(last);
        if frame.data.is_empty() {
            self.is_stream(last)?;
            return Ok(false);
        }
        Ok(frame.data.trim_ascii() == b"[DONE]" || Facts::read(self.dialect, &frame.data).is_ok())
    }

    /// Fails as soon as `pending`, the first bytes of a stream, can only be a page of markup: be
    /// they all of an event or not.
    #[inline]
    pub(super) fn is_no_page(&self, pending: &[u8]) -> Heard<()> {
        if self.begun || !pending.trim_ascii_start().starts_with(b"<") {
            return Ok(());
        }
        Err(garbled("the upstream's stream is a page of markup"))
    }

    /// The upstream's figures, else an estimate: four bytes a token, and a token at least for each
    /// event with content.
    pub(super) fn usage(&self) -> Usage {
        if !self.begun {
            return Usage { estimated: true, ..Usage::default() };
        }
        let Content { events, bytes, shortest } = self.content;
        let content = bytes.saturating_sub(events.saturating_mul(shortest.unwrap_or(0)));
        self.figures.usage(self.dialect, (self.prompt_bytes / 4, events.max(content / 4)))
    }

    /// Reads all of an event.
    #[cold]
    fn closely(&mut self, raw: &[u8], restamp: bool) -> Heard<Verdict> {
        self.heard = true;
        self.is_no_page(raw)?;
        let frame = Frame::read(raw);
        let data: &[u8] = &frame.data;
        if data.is_empty() {
            self.is_stream(raw)?;
            return Ok(Verdict::Pass);
        }
        if self.done {
            return Ok(Verdict::Pass);
        }
        if data.trim_ascii() == b"[DONE]" {
            (self.begun, self.done) = (true, true);
            return Ok(Verdict::Pass);
        }
        let facts = Facts::read_after(self.figures, self.dialect, data).map_err(|flaw| {
            garbled(&format!("an event of the upstream's stream is no JSON: {flaw}"))
        })?;
        let hide = match self.dialect {
            Dialect::Anthropic => self.anthropic(&facts, &frame)?,
            Dialect::Cohere => self.cohere(&facts, data)?,
            Dialect::Gemini => self.gemini(&facts, data)?,
            Dialect::Responses => return self.responses(&facts, &frame, raw),
            _ => self.openai(&facts, data)?,
        };
        if hide {
            return Ok(Verdict::Hide);
        }
        if let Some(hidden) = self.stamp.hidden(&facts, data) {
            return Ok(replacing(raw, &hidden));
        }
        let Some(span) = facts.model.filter(|_| restamp) else { return Ok(Verdict::Pass) };
        Ok(match frame.data {
            Cow::Borrowed(data) => Verdict::Restamp(shift(span, raw, data)),
            Cow::Owned(data) => Verdict::Rewrite(data, span),
        })
    }

    /// True if the event is to be hidden.
    fn openai(&mut self, facts: &Facts, data: &[u8]) -> Heard<bool> {
        if facts.error {
            return Err(Box::new(fault_inside(data)));
        }
        self.finish = self.finish.or(facts.finish);
        self.figures = facts.figures;
        let figures_only = facts.usage && (facts.empty || facts.content.is_none());
        if figures_only && self.hide_usage {
            return Ok(true);
        }
        self.begun = true;
        if !figures_only {
            self.content.add(data);
        }
        Ok(false)
    }

    /// A stream that goes on after a call has ended in a call, whatever its last event says.
    fn gemini(&mut self, facts: &Facts, data: &[u8]) -> Heard<bool> {
        if facts.error {
            return Err(Box::new(fault_inside(data)));
        }
        self.called |= facts.called;
        self.finish = self.finish.or(match facts.finish {
            Some("stop") if self.called => Some(Reason::ToolCalls.openai()),
            finish => finish,
        });
        self.figures = facts.figures;
        self.searched(facts, data);
        self.begun = true;
        self.content.add(data);
        Ok(false)
    }

    /// Searches are no figure of Google's, but they have a price, which depends on the model.
    fn searched(&mut self, facts: &Facts, text: &[u8]) {
        let model = facts.model.clone().filter(|_| facts.queries > 0);
        let model = model.and_then(|span| std::str::from_utf8(text.get(span)?).ok());
        if let Some(model) = model {
            self.figures.searches_beside(gemini::searches(model.trim_matches('"'), facts.queries));
        }
    }

    /// <https://docs.claude.com/en/docs/build-with-claude/streaming#event-types>
    fn anthropic(&mut self, facts: &Facts, frame: &Frame<'_>) -> Heard<bool> {
        let data: &[u8] = &frame.data;
        let kind = match frame.event {
            b"" => facts.kind.clone().and_then(|span| data.get(span)).unwrap_or_default(),
            event => event,
        };
        match kind.trim_ascii() {
            b"error" | b"\"error\"" => return Err(Box::new(fault_inside(data))),
            b"ping" | b"\"ping\"" => return Ok(false),
            b"message_stop" | b"\"message_stop\"" => self.done = true,
            b"content_block_delta" | b"\"content_block_delta\"" => self.content.add(data),
            _ if facts.error => return Err(Box::new(fault_inside(data))),
            kind => {
                self.figures = facts.figures;
                // Its count of the answer is of what was there at the start.
                if matches!(kind, b"message_start" | b"\"message_start\"") {
                    self.figures.forget_output();
                }
                self.finish = self.finish.or(facts.finish);
            }
        }
        self.begun = true;
        Ok(false)
    }

    /// <https://docs.cohere.com/docs/streaming>
    fn cohere(&mut self, facts: &Facts, data: &[u8]) -> Heard<bool> {
        if facts.error {
            return Err(Box::new(cohere::failed(data)));
        }
        let kind = facts.kind.clone().and_then(|span| data.get(span)).unwrap_or_default();
        self.figures = facts.figures;
        match kind {
            b"\"message-end\"" => {
                self.done = true;
                self.finish = self.finish.or(facts.finish).or(Some(Reason::Stop.openai()));
            }
            b"\"content-delta\"" | b"\"tool-plan-delta\"" | b"\"tool-call-delta\"" => {
                self.content.add(data);
            }
            _ => {}
        }
        self.begun = true;
        Ok(false)
    }

    /// <https://platform.openai.com/docs/api-reference/responses-streaming>
    fn responses(&mut self, facts: &Facts, frame: &Frame<'_>, raw: &[u8]) -> Heard<Verdict> {
        let data: &[u8] = &frame.data;
        let kind = facts.kind.clone().and_then(|span| data.get(span)).unwrap_or(frame.event);
        let kind = kind.strip_prefix(b"\"").and_then(|k| k.strip_suffix(b"\"")).unwrap_or(kind);
        match kind {
            b"error" => return Err(Box::new(fault_inside(data))),
            b"response.failed" => {
                let response = facts.response.clone().and_then(|span| data.get(span));
                return Err(Box::new(fault_inside(response.unwrap_or(data))));
            }
            b"response.completed" | b"response.incomplete" => {
                self.done = true;
                self.finish = facts.finish.or(Some("stop"));
            }
            _ if facts.error => return Err(Box::new(fault_inside(data))),
            _ if kind.ends_with(b".delta") => self.content.add(data),
            _ => {}
        }
        self.figures = facts.figures;
        if !kind.starts_with(b"response.") {
            return Ok(Verdict::Pass);
        }
        self.begun = true;
        self.goes_on(facts, data);
        if !tells_of_answer(kind) && !self.stamp.seals() {
            return Ok(Verdict::Pass);
        }
        Ok(match self.stamp.stamped(facts, data) {
            None => Verdict::Pass,
            Some(stamped) => replacing(raw, &stamped),
        })
    }

    /// Remembers the id of an answer in the background, which has one from the first.
    fn goes_on(&mut self, facts: &Facts, data: &[u8]) {
        if self.background && self.unfinished.is_none() {
            let [id, _] = &facts.ids;
            let id = id.clone().and_then(|span| serde_json::from_slice(data.get(span)?).ok());
            self.unfinished = id;
        }
    }

    /// An event without data is a comment and the like; before the stream has begun it may also be
    /// something else altogether.
    fn is_stream(&self, raw: &[u8]) -> Heard<()> {
        if self.begun {
            return Ok(());
        }
        match raw.trim_ascii_start().first() {
            Some(b'{' | b'[') => Err(match Facts::read(self.dialect, raw) {
                Ok(facts) if facts.error => Box::new(fault_inside(raw)),
                Ok(_) | Err(_) => garbled("the upstream answered with JSON, not with a stream"),
            }),
            _ => Ok(()),
        }
    }
}

/// What an answer of responses that has ended says it consumed, and why it ended. Where it does not
/// say what it consumed, it is estimated by what there is of it, as for a stream that was cut.
pub(in crate::exchange) fn ended(
    facts: &Facts,
    body: &[u8],
    prompt_bytes: u64,
) -> (Usage, Option<&'static str>) {
    let mut ear = Ear::new(Dialect::Responses);
    ear.prompt_bytes = prompt_bytes;
    ear.whole(facts, body, Operation::Chat);
    (ear.usage(), ear.finish)
}

impl Content {
    #[inline]
    fn add(&mut self, data: &[u8]) {
        let length = data.len() as u64;
        self.events += 1;
        self.bytes += length;
        self.shortest = Some(self.shortest.map_or(length, |shortest| shortest.min(length)));
    }
}

fn replacing(raw: &[u8], data: &[u8]) -> Verdict {
    let mut event = BytesMut::with_capacity(raw.len() + 256);
    write_event(raw, data, &mut event);
    Verdict::Replace(event.freeze())
}

/// Writes the event `raw` anew with other data.
pub(super) fn write_event(raw: &[u8], data: &[u8], out: &mut BytesMut) {
    let event = Frame::read(raw).event;
    if !event.is_empty() {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(event);
        out.extend_from_slice(b"\n");
    }
    let mut rest = data;
    while let Some((line, after)) = next_line(rest) {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line);
        out.extend_from_slice(b"\n");
        rest = after;
    }
    out.extend_from_slice(b"\n");
}

/// The data of an event that is `prefix`, one line, and a blank one.
#[inline]
fn single_line<'a>(raw: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let data = raw.strip_prefix(prefix)?;
    let data = data.strip_suffix(b"\n\n").or_else(|| data.strip_suffix(b"\r\n\r\n"))?;
    memchr::memchr2(b'\n', b'\r', data).is_none().then_some(data)
}

/// Name and data of an event that has both, each on a line.
#[inline]
fn named_line(raw: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = raw.strip_prefix(b"event: ")?;
    let (name, rest) = rest.split_at_checked(memchr::memchr(b'\n', rest)?)?;
    let data = single_line(rest.get(1..)?, b"data: ")?;
    Some((name.strip_suffix(b"\r").unwrap_or(name), data))
}

/// Whether an event has the answer in it, or may end it.
#[inline]
fn tells_of_answer(kind: &[u8]) -> bool {
    match kind.strip_prefix(b"response.") {
        Some(rest) => !rest.contains(&b'.') && !rest.contains(&b'_') || rest == b"in_progress",
        None => true,
    }
}

/// Where an event of responses says which item it is about. A quote inside a string is escaped, so
/// that the name with its quotes and a colon is a name indeed.
#[inline]
fn item_of(data: &[u8]) -> Option<Range<usize>> {
    static NAME: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(r#""item_id""#));
    let at = NAME.find(data)? + NAME.needle().len();
    let rest = data.get(at..)?.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    let start = data.len() - rest.len();
    let text = rest.strip_prefix(b"\"")?;
    let length = memchr::memchr2(b'"', b'\\', text)?;
    (text.get(length) == Some(&b'"')).then_some(start..start + length + 2)
}

#[inline]
fn is_braced(data: &[u8]) -> bool {
    data.first() == Some(&b'{') && data.last() == Some(&b'}')
}

/// Whether an event of OpenAI's can only be more content: nothing in it is called `usage`, `error`
/// or `finish_reason`, unless it is `null`. A quote inside a string is escaped, so these names with
/// their quotes and a colon are names indeed, of whatever level.
#[inline]
fn is_quiet(data: &[u8]) -> bool {
    static NAMES: LazyLock<[Finder<'static>; 3]> =
        LazyLock::new(|| [r#""finish_reason""#, r#""usage""#, r#""error""#].map(Finder::new));
    is_braced(data) && NAMES.iter().all(|name| !is_said(name, data))
}

#[inline]
fn is_said(name: &Finder<'_>, data: &[u8]) -> bool {
    name.find_iter(data).any(|at| {
        let after = data.get(at + name.needle().len()..).unwrap_or_default().trim_ascii_start();
        let value = after.strip_prefix(b":").map(<[u8]>::trim_ascii_start);
        value.is_some_and(|value| !value.starts_with(b"null"))
    })
}

/// Reads up to the model's name, and no further.
#[inline]
fn restamp_early(raw: &[u8], data: &[u8]) -> Verdict {
    let find = || {
        let mut scan = Scan::new(data);
        scan.open_object()?;
        let mut first = true;
        while let Some(key) = scan.next_key(&mut first)? {
            if key.raw == b"model" && scan.look() == Some(b'"') {
                return scan.string().map(|model| Some(model.span()));
            }
            scan.skip()?;
        }
        Ok(None)
    };
    match find() {
        Ok(Some(span)) => Verdict::Restamp(shift(span, raw, data)),
        Ok(None) | Err(_) => Verdict::Pass,
    }
}

/// A place in `part` as a place in `whole`, of which it is a part.
#[inline]
fn shift(span: Range<usize>, whole: &[u8], part: &[u8]) -> Range<usize> {
    let offset = part.as_ptr().addr() - whole.as_ptr().addr();
    span.start + offset..span.end + offset
}

fn garbled(message: &str) -> Box<Fault> {
    Box::new(Fault::new(FaultKind::BadResponse, message))
}
