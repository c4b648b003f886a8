//! What the scripted upstream is to answer.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

/// One answer. Built by hand ([`Reply::text`], [`Reply::status`], …) or from a word
/// ([`Reply::named`]), which is also how a model name asks for one: `m+gap-20+cut-300`.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    pub(super) what: What,
    pub(super) headers: Vec<(String, String)>,
    pub(super) delay: Duration,
    pub(super) gap: Duration,
    pub(super) cut_at: Option<usize>,
    pub(super) stall_after: Option<usize>,
    pub(super) usage: UsageSpec,
    pub(super) cached: u64,
    pub(super) cache_write: u64,
    pub(super) reasoning: Option<String>,
    pub(super) words: Option<usize>,
    pub(super) parallel_calls: usize,
    pub(super) no_tools: bool,
    pub(super) picture: bool,
    pub(super) cites: bool,
    pub(super) error_event: bool,
    pub(super) looks: Option<u64>,
    pub(super) fails: bool,
    pub(super) forgets: bool,
}

/// The substance of a reply.
#[derive(Debug, Clone, Default)]
pub(super) enum What {
    /// The deterministic answer to the prompt, or a tool call where tools are offered.
    #[default]
    Auto,
    /// This text.
    Text(String),
    /// These tool calls: name and arguments.
    Calls(Vec<(String, Value)>),
    /// An error in the envelope of the dialect that was asked.
    Error { status: u16, flavour: Flavour },
    /// Any bytes at all.
    Raw { status: u16, content_type: String, frames: Vec<Bytes> },
    /// No answer, ever.
    Hang,
    /// The connection is closed instead of an answer.
    Drop,
}

/// What an error is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Flavour {
    /// What the status says.
    #[default]
    Plain,
    /// The prompt is too long.
    ContextWindow,
    /// The content is refused.
    ContentPolicy,
    /// The account is out of money.
    Quota,
}

/// Which usage the answer reports.
#[derive(Debug, Clone, Default)]
pub(super) enum UsageSpec {
    /// What the deterministic count gives.
    #[default]
    Counted,
    /// None at all.
    Missing,
    /// This value, however odd, in the dialect's own spelling.
    Exactly(Value),
}

impl Reply {
    /// The deterministic answer: `You said: <the user's last words>`, or a call of the first tool
    /// where tools are offered and the user spoke last.
    pub fn auto() -> Self {
        Reply::default()
    }

    /// This text, streamed word by word.
    pub fn text(text: impl Into<String>) -> Self {
        Reply { what: What::Text(text.into()), ..Reply::default() }
    }

    /// One tool call.
    pub fn tool_call(name: impl Into<String>, arguments: Value) -> Self {
        Reply { what: What::Calls(vec![(name.into(), arguments)]), ..Reply::default() }
    }

    /// Several tool calls in one turn.
    pub fn tool_calls(calls: Vec<(String, Value)>) -> Self {
        Reply { what: What::Calls(calls), ..Reply::default() }
    }

    /// An error of this status, in the dialect's own envelope.
    pub fn status(status: u16) -> Self {
        Reply { what: What::Error { status, flavour: Flavour::Plain }, ..Reply::default() }
    }

    /// The 400 that says the prompt is too long.
    pub fn context_window() -> Self {
        Self::error(400, Flavour::ContextWindow)
    }

    /// The 400 that says the content is refused.
    pub fn content_policy() -> Self {
        Self::error(400, Flavour::ContentPolicy)
    }

    /// The 429 that says the account's quota is used up.
    pub fn quota() -> Self {
        Self::error(429, Flavour::Quota)
    }

    fn error(status: u16, flavour: Flavour) -> Self {
        Reply { what: What::Error { status, flavour }, ..Reply::default() }
    }

    /// Exactly these bytes as one body.
    pub fn raw(status: u16, content_type: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self::frames(status, content_type, vec![body.into()])
    }

    /// Exactly these bytes, each frame its own write.
    pub fn frames(status: u16, content_type: impl Into<String>, frames: Vec<Bytes>) -> Self {
        Reply {
            what: What::Raw { status, content_type: content_type.into(), frames },
            ..Reply::default()
        }
    }

    /// A recorded SSE stream, one event per write.
    pub fn sse(recorded: &str) -> Self {
        let frames = recorded
            .split_inclusive("\n\n")
            .map(|event| Bytes::copy_from_slice(event.as_bytes()))
            .collect();
        Self::frames(200, "text/event-stream", frames)
    }

    /// 200 with a page of HTML, as a broken load balancer gives.
    pub fn html() -> Self {
        Self::raw(200, "text/html", "<html><body><h1>It works!</h1></body></html>")
    }

    /// The request is read and never answered.
    pub fn hang() -> Self {
        Reply { what: What::Hang, ..Reply::default() }
    }

    /// The request is read and the connection closed.
    pub fn drop_connection() -> Self {
        Reply { what: What::Drop, ..Reply::default() }
    }

    /// The same, with a pause before the response head.
    pub fn delay_ms(mut self, delay_ms: u64) -> Self {
        self.delay = Duration::from_millis(delay_ms);
        self
    }

    /// The same, with a pause between events.
    pub fn gap_ms(mut self, gap_ms: u64) -> Self {
        self.gap = Duration::from_millis(gap_ms);
        self
    }

    /// The same, but the connection is closed after this many bytes of the body.
    pub fn cut_at(mut self, bytes: usize) -> Self {
        self.cut_at = Some(bytes);
        self
    }

    /// The same, but nothing comes any more after this many events.
    pub fn stall_after(mut self, events: usize) -> Self {
        self.stall_after = Some(events);
        self
    }

    /// The same, with this response header.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The same, with `Retry-After`.
    pub fn retry_after_s(self, seconds: u64) -> Self {
        self.header("retry-after", seconds.to_string())
    }

    /// The same, with reasoning before the answer.
    pub fn reasoning(mut self, reasoning: impl Into<String>) -> Self {
        self.reasoning = Some(reasoning.into());
        self
    }

    /// The same, with this many input tokens read from a cache.
    pub fn cached(mut self, tokens: u64) -> Self {
        self.cached = tokens;
        self
    }

    /// The same, with this many input tokens written to a cache.
    pub fn cache_write(mut self, tokens: u64) -> Self {
        self.cache_write = tokens;
        self
    }

    /// The same, without usage.
    pub fn no_usage(mut self) -> Self {
        self.usage = UsageSpec::Missing;
        self
    }

    /// The same, with this value as `usage`, in the dialect's own spelling, however odd.
    pub fn usage(mut self, usage: Value) -> Self {
        self.usage = UsageSpec::Exactly(usage);
        self
    }

    /// The same, with a picture behind the text, where the API has pictures in answers.
    pub fn picture(mut self) -> Self {
        self.picture = true;
        self
    }

    /// The same, where all of the text is from a page of the web: Cohere's cites documents alone, and
    /// does so by itself.
    pub fn cites(mut self) -> Self {
        self.cites = true;
        self
    }

    /// The same, with a text of this many words.
    pub fn words(mut self, words: usize) -> Self {
        self.words = Some(words);
        self
    }

    /// The same, but an error event comes in the middle of the stream, after status 200.
    pub fn error_event(mut self) -> Self {
        self.error_event = true;
        self
    }

    /// The same, but in the background the answer has ended only after so many looks at it.
    pub fn looks(mut self, looks: u64) -> Self {
        self.looks = Some(looks);
        self
    }

    /// The same, but in the background the answer ends in a failure.
    pub fn fails(mut self) -> Self {
        self.fails = true;
        self
    }

    /// The same, but in the background the answer is not found in the end.
    pub fn forgets(mut self) -> Self {
        self.forgets = true;
        self
    }

    /// The reply that a word describes: modifiers joined by `+`, empty for [`Reply::auto`].
    /// Gives `None` for a word it does not know. The words: `status-N`, `retry-S`,
    /// `context-window`, `content-policy`, `quota`, `html`, `empty`, `garbage`, `hang`, `drop`,
    /// `delay-MS`, `gap-MS`, `cut-BYTES`, `stall-EVENTS`, `reasoning`, `cached-N`,
    /// `cache-write-N`, `no-usage`, `words-N`, `calls-N`, `no-tools`, `picture`, `cites`,
    /// `error-event`, `looks-N`, `fails`, `forgets`.
    pub fn named(words: &str) -> Option<Self> {
        words
            .split('+')
            .filter(|word| !word.is_empty())
            .try_fold(Reply::default(), |reply, word| reply.with(word))
    }

    fn with(self, word: &str) -> Option<Self> {
        let headers = self.headers.clone();
        let replace = |reply: Reply| Some(Reply { what: reply.what, ..self.clone() });
        match word {
            "context-window" => return replace(Self::context_window()),
            "content-policy" => return replace(Self::content_policy()),
            "quota" => return replace(Self::quota()),
            "html" => return replace(Self::html()),
            "empty" => return replace(Self::raw(200, "application/json", "")),
            "garbage" => return replace(Self::raw(200, "application/json", "{\"id\": \"x\", ")),
            "hang" => return replace(Self::hang()),
            "drop" => return replace(Self::drop_connection()),
            "reasoning" => return Some(self.reasoning("Let me think about that.")),
            "no-usage" => return Some(self.no_usage()),
            "no-tools" => return Some(Reply { no_tools: true, ..self }),
            "picture" => return Some(self.picture()),
            "cites" => return Some(self.cites()),
            "error-event" => return Some(self.error_event()),
            "fails" => return Some(self.fails()),
            "forgets" => return Some(self.forgets()),
            _ => {}
        }
        let (verb, number) = word.rsplit_once('-')?;
        let n: u64 = number.parse().ok()?;
        let size = usize::try_from(n).ok()?;
        match verb {
            "status" => replace(Self::status(u16::try_from(n).ok()?)),
            "retry" => Some(Reply { headers, ..self }.retry_after_s(n)),
            "delay" => Some(self.delay_ms(n)),
            "gap" => Some(self.gap_ms(n)),
            "cut" => Some(self.cut_at(size)),
            "stall" => Some(self.stall_after(size)),
            "cached" => Some(self.cached(n)),
            "cache-write" => Some(self.cache_write(n)),
            "words" => Some(self.words(size)),
            "looks" => Some(self.looks(n)),
            "calls" => Some(Reply { parallel_calls: size, ..self }),
            _ => None,
        }
    }
}
