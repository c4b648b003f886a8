//! Reads the few fields of a request body that we route, price or limit by, and remembers where
//! they stand, so that they can be replaced in the original bytes.
//!
//! One pass over the bytes; nothing but those few fields is built. A field that we decide by must
//! mean the same to every parser behind us, so it may stand there once only, and in one spelling:
//! `{"model": "a", "model": "b"}` and `{"model": "a", "Model": "b"}` are refused.

use std::ops::Range;

use bytes::Bytes;

use crate::{
    exchange::seal::Tenant,
    json::{Flaw, MAX_DEPTH, Scan, Text},
    matrix::{Dialect, Operation},
};

/// The fields of a body that the gateway itself needs. Spans are byte ranges of the body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Peek {
    /// `model`, unescaped.
    pub model: String,
    /// Where the value of `model` stands, quotes included.
    pub model_span: Range<usize>,
    /// True if the path names the model, whether or not the body does.
    pub named: bool,
    /// `stream`
    pub stream: bool,
    /// The stream is to be one JSON list and not events: Google's form of it for those who do not
    /// ask for `alt=sse`. Read from the query, not from the body.
    pub listed: bool,
    /// `stream_options.include_usage`
    pub include_usage: bool,
    /// Where the value of `stream_options` stands, if there is one.
    pub stream_options_span: Option<Range<usize>>,
    /// `max_tokens`, `max_completion_tokens` or `max_output_tokens`: the larger where both are
    /// given. `None` for a
    /// negative number, which some local servers read as "no limit".
    pub max_tokens: Option<u64>,
    /// `n`
    pub n: Option<u64>,
    /// `user` (openai) or `metadata.user_id` (anthropic): the end user.
    pub end_user: Option<String>,
    /// `metadata.tags` or `tags`
    pub tags: Vec<String>,
    /// `fallbacks`: LiteLLM's client-side fallbacks, model names only.
    pub fallbacks: Vec<String>,
    /// `num_retries`
    pub num_retries: Option<u32>,
    /// `timeout` in milliseconds.
    pub timeout_ms: Option<u64>,
    /// `disable_fallbacks`
    pub disable_fallbacks: bool,
    /// `drop_params`
    pub drop_params: Option<bool>,
    /// `additional_drop_params`: paths such as `tools[*].function.strict`.
    pub additional_drop_params: Vec<String>,
    /// `allowed_openai_params`
    pub allowed_openai_params: Vec<String>,
    /// Spans of whole members (`"key": value` with one comma) that are ours and not the
    /// upstream's (see [`is_ours`]), in order; `Relay` leaves them out.
    pub ours: Vec<Range<usize>>,
    /// Where the object's closing brace stands.
    pub close: usize,
    /// Every member of the object, in order.
    pub members: Vec<Member>,
    /// Not of the body: whose the request is, where ids of what a provider keeps are to be bound to it.
    pub tenant: Option<Tenant>,
}

/// Where a member of the body's object stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The name, quotes included.
    pub key: Range<usize>,
    /// The value.
    pub value: Range<usize>,
    /// True if it is meant for us and must not travel on.
    pub ours: bool,
}

/// Why a body cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PeekError {
    /// What was expected, in words that may be shown to a client.
    pub message: String,
    /// The field that is meant, if one is.
    pub param: Option<String>,
}

/// Reads `body`, a request of `operation` in the dialect `surface`.
pub fn peek(surface: Dialect, operation: Operation, body: &Bytes) -> Result<Peek, PeekError> {
    read(surface, operation, body, false)
}

/// The same for a request whose path names the model: the body need not.
pub fn peek_named(surface: Dialect, operation: Operation, body: &Bytes) -> Result<Peek, PeekError> {
    read(surface, operation, body, true)
}

fn read(
    surface: Dialect,
    operation: Operation,
    body: &Bytes,
    named: bool,
) -> Result<Peek, PeekError> {
    let mut reader =
        Reader { body, surface, seen: 0, peek: Peek::default(), max_tokens: [None; 2] };
    reader.peek.named = named;
    reader.peek.members.reserve(16);
    let mut scan = Scan::new(body);
    if scan.look() != Some(b'{') {
        return Err(PeekError::whole("the body must be a JSON object"));
    }
    scan.open_object()?;
    let mut first = true;
    while let Some(key) = scan.next_key(&mut first)? {
        let value = scan.value()?;
        let ours = match Name::of(&key)? {
            Some(name) => {
                reader.field(name, value.clone())?;
                // Google's clients repeat the model that the path names: it is ours to say.
                name.is_ours() || (name == Name::Model && surface == Dialect::Gemini)
            }
            None => false,
        };
        reader.peek.members.push(Member { key: key.span(), value, ours });
    }
    reader.peek.close = scan.position() - 1;
    scan.finish()?;
    reader.finish(operation)
}

/// Whether a top-level field of this name is meant for us, in any dialect, and goes no further:
/// what LiteLLM's clients send to its proxy alone.
pub fn is_ours(name: &str) -> bool {
    Name::exact(name.as_bytes()).is_some_and(Name::is_ours)
}

/// The fields that we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    Model,
    Messages,
    Contents,
    GenerationConfig,
    Prompt,
    Input,
    MaxOutputTokens,
    Stream,
    StreamOptions,
    MaxTokens,
    MaxCompletionTokens,
    N,
    User,
    Metadata,
    Tags,
    Fallbacks,
    NumRetries,
    Timeout,
    DisableFallbacks,
    ContextWindowFallbacks,
    ContentPolicyFallbacks,
    LitellmMetadata,
    LitellmCallId,
    LitellmTraceId,
    LitellmSessionId,
    DropParams,
    AdditionalDropParams,
    AllowedOpenaiParams,
}

impl Name {
    /// The field of this name, if we know it. A name that some parsers would take for one that we
    /// know is refused: Go's `encoding/json`, for one, does not tell `Model` from `model`.
    #[inline]
    fn of(key: &Text<'_>) -> Result<Option<Name>, PeekError> {
        if let Some(name) = Name::exact(key.raw) {
            return Ok(Some(name));
        }
        let plain = |b: &u8| b.is_ascii_lowercase() || *b == b'_';
        if key.raw.iter().all(plain) { Ok(None) } else { Name::unusual(key) }
    }

    #[inline]
    fn exact(key: &[u8]) -> Option<Name> {
        Some(match key {
            b"model" => Name::Model,
            b"messages" => Name::Messages,
            b"contents" => Name::Contents,
            b"generationConfig" | b"generation_config" => Name::GenerationConfig,
            b"prompt" => Name::Prompt,
            b"input" => Name::Input,
            b"max_output_tokens" => Name::MaxOutputTokens,
            b"stream" => Name::Stream,
            b"stream_options" => Name::StreamOptions,
            b"max_tokens" => Name::MaxTokens,
            b"max_completion_tokens" => Name::MaxCompletionTokens,
            b"n" => Name::N,
            b"user" => Name::User,
            b"metadata" => Name::Metadata,
            b"tags" => Name::Tags,
            b"fallbacks" => Name::Fallbacks,
            b"num_retries" => Name::NumRetries,
            b"timeout" => Name::Timeout,
            b"disable_fallbacks" => Name::DisableFallbacks,
            b"context_window_fallbacks" => Name::ContextWindowFallbacks,
            b"content_policy_fallbacks" => Name::ContentPolicyFallbacks,
            b"litellm_metadata" => Name::LitellmMetadata,
            b"litellm_call_id" => Name::LitellmCallId,
            b"litellm_trace_id" => Name::LitellmTraceId,
            b"litellm_session_id" => Name::LitellmSessionId,
            b"drop_params" => Name::DropParams,
            b"additional_drop_params" => Name::AdditionalDropParams,
            b"allowed_openai_params" => Name::AllowedOpenaiParams,
            _ => return None,
        })
    }

    #[cold]
    fn unusual(key: &Text<'_>) -> Result<Option<Name>, PeekError> {
        let Some(text) = key.resolve() else { return Ok(None) };
        // Unicode's simple case folding has two letters beside ASCII's own that fold into it.
        let folded: String = text
            .chars()
            .map(|c| match c {
                '\u{17f}' => 's',
                '\u{212a}' => 'k',
                c => c.to_ascii_lowercase(),
            })
            .collect();
        match Name::exact(folded.as_bytes()) {
            Some(name) if folded == text => Ok(Some(name)),
            Some(name) => Err(PeekError::field(
                name.text(),
                format!("`{text}` may be read as `{}`: spell it so, or leave it out", name.text()),
            )),
            None => Ok(None),
        }
    }

    fn text(self) -> &'static str {
        match self {
            Name::Model => "model",
            Name::Messages => "messages",
            Name::Contents => "contents",
            Name::GenerationConfig => "generationConfig",
            Name::Prompt => "prompt",
            Name::Input => "input",
            Name::MaxOutputTokens => "max_output_tokens",
            Name::Stream => "stream",
            Name::StreamOptions => "stream_options",
            Name::MaxTokens => "max_tokens",
            Name::MaxCompletionTokens => "max_completion_tokens",
            Name::N => "n",
            Name::User => "user",
            Name::Metadata => "metadata",
            Name::Tags => "tags",
            Name::Fallbacks => "fallbacks",
            Name::NumRetries => "num_retries",
            Name::Timeout => "timeout",
            Name::DisableFallbacks => "disable_fallbacks",
            Name::ContextWindowFallbacks => "context_window_fallbacks",
            Name::ContentPolicyFallbacks => "content_policy_fallbacks",
            Name::LitellmMetadata => "litellm_metadata",
            Name::LitellmCallId => "litellm_call_id",
            Name::LitellmTraceId => "litellm_trace_id",
            Name::LitellmSessionId => "litellm_session_id",
            Name::DropParams => "drop_params",
            Name::AdditionalDropParams => "additional_drop_params",
            Name::AllowedOpenaiParams => "allowed_openai_params",
        }
    }

    fn is_ours(self) -> bool {
        use Name as N;
        match self {
            N::Model
            | N::Messages
            | N::Contents
            | N::GenerationConfig
            | N::Prompt
            | N::Input
            | N::MaxOutputTokens
            | N::Stream
            | N::StreamOptions
            | N::MaxTokens
            | N::MaxCompletionTokens
            | N::N
            | N::User
            | N::Metadata => false,
            N::Tags
            | N::Fallbacks
            | N::NumRetries
            | N::Timeout
            | N::DisableFallbacks
            | N::ContextWindowFallbacks
            | N::ContentPolicyFallbacks
            | N::LitellmMetadata
            | N::LitellmCallId
            | N::LitellmTraceId
            | N::LitellmSessionId
            | N::DropParams
            | N::AdditionalDropParams
            | N::AllowedOpenaiParams => true,
        }
    }
}

struct Reader<'a> {
    body: &'a Bytes,
    surface: Dialect,
    /// One bit for each [`Name`] that was there.
    seen: u64,
    peek: Peek,
    /// `max_tokens` and `max_completion_tokens`.
    max_tokens: [Option<u64>; 2],
}

impl Reader<'_> {
    fn field(&mut self, name: Name, at: Range<usize>) -> Result<(), PeekError> {
        let bit = 1u64 << name as u32;
        if self.seen & bit != 0 {
            return Err(twice(name.text()));
        }
        self.seen |= bit;
        let value =
            Value { name: name.text(), text: self.body.get(at.clone()).unwrap_or_default() };
        let responses = self.surface == Dialect::Responses;
        let openai = matches!(self.surface, Dialect::Openai | Dialect::Completions);
        match name {
            Name::Contents if self.surface == Dialect::Gemini => {
                value.must(value.starts(b"[{"), "an array")?;
            }
            Name::GenerationConfig if self.surface == Dialect::Gemini => self.config(&value)?,
            Name::Contents | Name::GenerationConfig => {}
            Name::Model | Name::Messages | Name::Input | Name::Stream | Name::MaxTokens
                if self.surface == Dialect::Gemini => {}
            Name::Metadata if self.surface == Dialect::Gemini => {}
            Name::Model => {
                self.peek.model = value.string()?.unwrap_or_default();
                self.peek.model_span = at;
            }
            Name::Messages => value.must(value.starts(b"["), "an array")?,
            Name::Input => value.must(value.starts(b"\"["), "a string or an array")?,
            Name::Stream => self.peek.stream = value.bool()?,
            Name::StreamOptions if openai => {
                self.peek.include_usage = value.include_usage()?;
                self.peek.stream_options_span = Some(at);
            }
            Name::MaxTokens if !responses => self.max_tokens[0] = value.count()?,
            Name::MaxCompletionTokens if openai => self.max_tokens[1] = value.count()?,
            Name::N if openai => self.peek.n = value.count()?,
            Name::MaxOutputTokens if responses => self.max_tokens[1] = value.count()?,
            Name::User if openai || responses => self.peek.end_user = value.string()?,
            Name::Metadata => self.metadata(&value)?,
            Name::Tags => self.peek.tags.extend(value.names("tags")?),
            Name::Fallbacks => self.peek.fallbacks = value.names("fallbacks")?,
            Name::NumRetries => {
                let count = value.count()?;
                self.peek.num_retries = count.map(|n| u32::try_from(n).unwrap_or(u32::MAX));
            }
            Name::Timeout => self.peek.timeout_ms = value.seconds()?,
            Name::DisableFallbacks => self.peek.disable_fallbacks = value.bool()?,
            Name::DropParams => {
                self.peek.drop_params = Some(value.bool()?).filter(|_| !value.is_null());
            }
            Name::AdditionalDropParams => {
                self.peek.additional_drop_params = value.names("additional_drop_params")?;
            }
            Name::AllowedOpenaiParams => {
                self.peek.allowed_openai_params = value.names("allowed_openai_params")?;
            }
            Name::StreamOptions
            | Name::Prompt
            | Name::MaxOutputTokens
            | Name::MaxTokens
            | Name::MaxCompletionTokens
            | Name::N
            | Name::User
            | Name::ContextWindowFallbacks
            | Name::ContentPolicyFallbacks
            | Name::LitellmMetadata
            | Name::LitellmCallId
            | Name::LitellmTraceId
            | Name::LitellmSessionId => {}
        }
        Ok(())
    }

    /// Google's `generationConfig`: how much may be answered, and how often.
    fn config(&mut self, value: &Value<'_>) -> Result<(), PeekError> {
        if value.is_null() {
            return Ok(());
        }
        value.must(value.starts(b"{"), "an object")?;
        let (mut tokens, mut candidates) = (false, false);
        let mut scan = Scan::new(value.text);
        scan.open_object()?;
        let mut first = true;
        while let Some(key) = scan.next_key(&mut first)? {
            let text = value.text.get(scan.value()?).unwrap_or_default();
            if key.is(b"maxOutputTokens") || key.is(b"max_output_tokens") {
                let value = Value { name: "generationConfig.maxOutputTokens", text };
                if std::mem::replace(&mut tokens, true) {
                    return Err(twice(value.name));
                }
                self.max_tokens[0] = value.count()?;
            } else if key.is(b"candidateCount") || key.is(b"candidate_count") {
                let value = Value { name: "generationConfig.candidateCount", text };
                if std::mem::replace(&mut candidates, true) {
                    return Err(twice(value.name));
                }
                self.peek.n = value.count()?;
            }
        }
        Ok(())
    }

    /// `metadata` is a field of the dialect and travels on; we only read it.
    fn metadata(&mut self, value: &Value<'_>) -> Result<(), PeekError> {
        if value.is_null() {
            return Ok(());
        }
        value.must(value.starts(b"{"), "an object")?;
        let (mut tags, mut user) = (false, false);
        let mut scan = Scan::new(value.text);
        scan.open_object()?;
        let mut first = true;
        while let Some(key) = scan.next_key(&mut first)? {
            let text = value.text.get(scan.value()?).unwrap_or_default();
            if key.is(b"tags") && text.starts_with(b"[") {
                if std::mem::replace(&mut tags, true) {
                    return Err(twice("metadata.tags"));
                }
                self.peek
                    .tags
                    .extend(Value { name: "metadata.tags", text }.names("metadata.tags")?);
            } else if self.surface == Dialect::Anthropic && key.is(b"user_id") {
                if std::mem::replace(&mut user, true) {
                    return Err(twice("metadata.user_id"));
                }
                self.peek.end_user = Value { name: "metadata.user_id", text }.string()?;
            }
        }
        Ok(())
    }

    fn finish(mut self, operation: Operation) -> Result<Peek, PeekError> {
        let need = |name: Name| {
            if self.seen & (1u64 << name as u32) == 0 {
                let text = name.text();
                Err(PeekError::field(text, format!("`{text}` is missing")))
            } else {
                Ok(())
            }
        };
        // Google's paths name the model.
        let gemini = self.surface == Dialect::Gemini;
        if !gemini && !self.peek.named {
            need(Name::Model)?;
        }
        match operation {
            // Google's count also takes a whole request within its body.
            Operation::CountTokens if gemini => {}
            Operation::Chat if gemini => need(Name::Contents)?,
            // A conversation may be one that the provider has already: the surface knows.
            Operation::Chat if self.surface == Dialect::Responses => {}
            Operation::Chat if self.surface == Dialect::Completions => need(Name::Prompt)?,
            Operation::Chat | Operation::CountTokens => need(Name::Messages)?,
            // Cohere has `texts`, of which nothing is decided here.
            Operation::Embeddings if self.surface == Dialect::Cohere => {}
            Operation::Embeddings => need(Name::Input)?,
        }
        if self.surface == Dialect::Anthropic && operation == Operation::Chat {
            need(Name::MaxTokens)?;
        }
        if self.peek.model.is_empty() && !gemini && !self.peek.named {
            return Err(PeekError::field("model", "`model` must be the name of a model"));
        }
        let [a, b] = self.max_tokens;
        self.peek.max_tokens = a.max(b);
        self.peek.ours = ours(&self.peek.members, self.peek.close);
        Ok(self.peek)
    }
}

/// The spans to cut: a member that has a kept one before it goes with the comma before it, any
/// other with the comma behind it.
fn ours(members: &[Member], close: usize) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    let mut kept = None;
    for (i, member) in members.iter().enumerate() {
        if member.ours {
            spans.push(match kept {
                Some(()) => {
                    let before = i.checked_sub(1).and_then(|i| members.get(i));
                    before.map_or(member.key.start, |m| m.value.end)..member.value.end
                }
                None => member.key.start..members.get(i + 1).map_or(close, |m| m.key.start),
            });
        } else {
            kept = Some(());
        }
    }
    spans
}

/// The text of a field's value.
struct Value<'a> {
    name: &'static str,
    text: &'a [u8],
}

impl Value<'_> {
    fn is_null(&self) -> bool {
        self.text == b"null"
    }

    fn starts(&self, any: &[u8]) -> bool {
        self.text.first().is_some_and(|b| any.contains(b))
    }

    fn must(&self, holds: bool, be: &str) -> Result<(), PeekError> {
        if holds {
            return Ok(());
        }
        Err(PeekError::field(self.name, format!("`{}` must be {be}", self.name)))
    }

    /// `null` is `None`, except for `model`.
    fn string(&self) -> Result<Option<String>, PeekError> {
        if self.is_null() && self.name != "model" {
            return Ok(None);
        }
        self.must(self.starts(b"\""), "a string")?;
        let text = Scan::new(self.text).string()?;
        let text = text.resolve().map(std::borrow::Cow::into_owned);
        self.must(text.is_some(), "a string of Unicode characters")?;
        Ok(text)
    }

    fn bool(&self) -> Result<bool, PeekError> {
        self.must(matches!(self.text, b"true" | b"false" | b"null"), "true or false")?;
        Ok(self.text == b"true")
    }

    /// A number of things, `null` or negative being none. A fraction of zero is let pass, as
    /// upstreams do.
    fn count(&self) -> Result<Option<u64>, PeekError> {
        if self.is_null() {
            return Ok(None);
        }
        let what = "a whole number";
        self.must(self.starts(b"-0123456789"), what)?;
        if self.text.iter().all(u8::is_ascii_digit) {
            let digit = |n: u64, b: &u8| n.saturating_mul(10).saturating_add(u64::from(b - b'0'));
            return Ok(Some(self.text.iter().fold(0, digit)));
        }
        let number = self.number();
        self.must(number.is_some_and(|n| n.fract() == 0.0), what)?;
        Ok(number.filter(|n| *n >= 0.0).map(|n| n as u64))
    }

    /// Seconds, as milliseconds.
    fn seconds(&self) -> Result<Option<u64>, PeekError> {
        if self.is_null() {
            return Ok(None);
        }
        let number = self.number().filter(|n| *n >= 0.0);
        self.must(number.is_some(), "a number of seconds")?;
        Ok(number.map(|n| (n * 1000.0).ceil() as u64))
    }

    fn number(&self) -> Option<f64> {
        // Longer ones are no number that anyone means, and slow to read.
        let text = std::str::from_utf8(self.text).ok().filter(|t| t.len() <= 64)?;
        if !self.starts(b"-0123456789") {
            return None;
        }
        text.parse().ok().filter(|n: &f64| n.is_finite())
    }

    fn include_usage(&self) -> Result<bool, PeekError> {
        if self.is_null() {
            return Ok(false);
        }
        self.must(self.starts(b"{"), "an object")?;
        let mut found = None;
        let mut scan = Scan::new(self.text);
        scan.open_object()?;
        let mut first = true;
        while let Some(key) = scan.next_key(&mut first)? {
            let text = self.text.get(scan.value()?).unwrap_or_default();
            if key.is(b"include_usage") {
                let value = Value { name: "stream_options.include_usage", text };
                if found.replace(value.bool()?).is_some() {
                    return Err(twice(value.name));
                }
            }
        }
        Ok(found.unwrap_or(false))
    }

    /// Strings, or objects with a `model`.
    fn names(&self, field: &str) -> Result<Vec<String>, PeekError> {
        if self.is_null() {
            return Ok(Vec::new());
        }
        self.must(self.starts(b"["), "an array")?;
        let mut names = Vec::new();
        let mut scan = Scan::new(self.text);
        scan.open_array()?;
        let mut first = true;
        while scan.next_item(&mut first)? {
            let name = match scan.look() {
                Some(b'"') => scan.string()?.resolve().map(std::borrow::Cow::into_owned),
                Some(b'{') if self.name == "fallbacks" => model_of(&mut scan)?,
                _ => None,
            };
            let Some(name) = name else {
                let i = names.len();
                let what = if field == "fallbacks" { "a model's name" } else { "a string" };
                return Err(PeekError::field(field, format!("`{field}[{i}]` must be {what}")));
            };
            names.push(name);
        }
        Ok(names)
    }
}

/// `model` of the object that comes next.
fn model_of(scan: &mut Scan<'_>) -> Result<Option<String>, Flaw> {
    let mut model = None;
    scan.open_object()?;
    let mut first = true;
    while let Some(key) = scan.next_key(&mut first)? {
        if key.is(b"model") && scan.look() == Some(b'"') {
            model = scan.string()?.resolve().map(std::borrow::Cow::into_owned);
        } else {
            scan.value()?;
        }
    }
    Ok(model)
}

fn twice(field: &str) -> PeekError {
    PeekError::field(field, format!("`{field}` is given twice: send it once"))
}

impl PeekError {
    fn whole(message: impl Into<String>) -> Self {
        PeekError { message: message.into(), param: None }
    }

    fn field(param: &str, message: impl Into<String>) -> Self {
        PeekError { message: message.into(), param: Some(param.to_owned()) }
    }
}

impl From<Flaw> for PeekError {
    #[cold]
    fn from(flaw: Flaw) -> Self {
        PeekError::whole(match flaw {
            Flaw::Syntax { .. } => format!("the body is not valid JSON: {flaw}"),
            Flaw::Deep => format!("the body is nested deeper than {MAX_DEPTH} levels"),
            Flaw::Utf8(_) => format!("the body is not valid UTF-8: {flaw}"),
        })
    }
}

#[cfg(test)]
mod tests;
