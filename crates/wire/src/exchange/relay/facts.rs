//! The few things in an answer, or in an event of a stream, that concern us.

use std::ops::Range;

use crate::{
    dialect::{cohere::finish_of, fault::says_something, figures::Figures, responses},
    json::{Flaw, Scan, Text},
    matrix::Dialect,
    op::chat::Reason,
};

/// Where they stand; spans are byte ranges of the text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::exchange) struct Facts {
    /// `type`, not openai's.
    pub(super) kind: Option<Range<usize>>,
    /// `error`, unless `null`, empty or false.
    pub(super) error: bool,
    /// Whether there is a `usage` that is not `null`.
    pub(super) usage: bool,
    /// What was known before, with what `usage` says, and openai's or responses' `service_tier` beside it.
    pub(super) figures: Figures,
    /// `model`, if it is a string, quotes included.
    pub(super) model: Option<Range<usize>>,
    /// Whether a tool of the client's is called, where the reason of the end does not say so:
    /// gemini and responses.
    pub(super) called: bool,
    /// Searches that an answer names, gemini's only.
    pub(super) queries: u64,
    /// What a chat's answer consists of: `choices`, `content`, `candidates`, `output`,
    /// `message`. `None` if it is missing, `null`.
    pub(super) content: Option<Range<usize>>,
    /// Whether `choices` is `[]`.
    pub(super) empty: bool,
    /// Whether there is `data`, which an answer of embeddings consists of.
    pub(super) data: bool,
    /// `response`, of responses: what is above and below is within it, if it is there.
    pub(super) response: Option<Range<usize>>,
    /// `id` and `previous_response_id` of responses, if they are strings, quotes included.
    pub(super) ids: [Option<Range<usize>>; 2],
    /// Ids of items of responses: of the answer's, of the one that an event is about, of a list's.
    pub(super) items: Vec<Range<usize>>,
    /// `finish_reason`, `stop_reason`: the first that is not `null`, in OpenAI's words.
    pub(super) finish: Option<&'static str>,
}

impl Facts {
    /// Reads all of `text`, which must be a JSON object and nothing else.
    pub(in crate::exchange) fn read(dialect: Dialect, text: &[u8]) -> Result<Facts, Flaw> {
        Facts::read_after(Figures::default(), dialect, text)
    }

    /// The same, where `figures` is what is known of the answer already.
    pub(super) fn read_after(
        figures: Figures,
        dialect: Dialect,
        text: &[u8],
    ) -> Result<Facts, Flaw> {
        let mut facts = Facts { figures, ..Facts::default() };
        let mut scan = Scan::new(text);
        scan.open_object()?;
        let mut first = true;
        while let Some(key) = scan.next_key(&mut first)? {
            match dialect {
                Dialect::Anthropic => facts.anthropic(&key, &mut scan, text)?,
                Dialect::Cohere => facts.cohere(&key, &mut scan, text)?,
                Dialect::Gemini => facts.gemini(&key, &mut scan, text)?,
                Dialect::Responses => facts.responses(&key, &mut scan, text)?,
                _ => facts.openai(&key, &mut scan, text)?,
            }
        }
        scan.finish()?;
        if facts.called {
            facts.finish =
                facts.finish.map(|word| if word == "stop" { "tool_calls" } else { word });
        }
        Ok(facts)
    }

    /// Whether an answer of responses has no items.
    pub(in crate::exchange) fn says_nothing(&self, text: &[u8]) -> bool {
        let items = self.content.clone().and_then(|span| text.get(span)).unwrap_or_default();
        !items.contains(&b'{')
    }

    #[inline]
    fn openai(&mut self, key: &Text<'_>, scan: &mut Scan<'_>, text: &[u8]) -> Result<(), Flaw> {
        match key.raw {
            b"choices" if scan.look() == Some(b'[') => self.choices(scan, text),
            b"data" => {
                self.data = present(scan, text)?.is_some();
                Ok(())
            }
            b"service_tier" => {
                let span = scan.value()?;
                self.figures.read_tier(text, &span);
                Ok(())
            }
            _ => self.common(Dialect::Openai, key, scan, text),
        }
    }

    fn anthropic(&mut self, key: &Text<'_>, scan: &mut Scan<'_>, text: &[u8]) -> Result<(), Flaw> {
        match key.raw {
            b"type" => self.kind = Some(scan.value()?),
            b"content" => self.content = present(scan, text)?,
            b"stop_reason" => self.finish(scan, text)?,
            b"message" | b"delta" if scan.look() == Some(b'{') => {
                scan.open_object()?;
                let mut first = true;
                while let Some(key) = scan.next_key(&mut first)? {
                    match key.raw {
                        b"stop_reason" => self.finish(scan, text)?,
                        b"error" => scan.skip()?,
                        _ => self.common(Dialect::Anthropic, &key, scan, text)?,
                    }
                }
            }
            _ => return self.common(Dialect::Anthropic, key, scan, text),
        }
        Ok(())
    }

    /// The `message` of an error is a string, that of an answer an object.
    fn cohere(&mut self, key: &Text<'_>, scan: &mut Scan<'_>, text: &[u8]) -> Result<(), Flaw> {
        match key.raw {
            b"type" => self.kind = Some(scan.value()?),
            b"message" => {
                let span = present(scan, text)?;
                let is_text = |span: &Range<usize>| text.get(span.start) == Some(&b'"');
                self.error |= span.as_ref().is_some_and(is_text);
                self.content = span;
            }
            b"finish_reason" => self.cohere_finish(scan, text)?,
            b"delta" if scan.look() == Some(b'{') => {
                scan.open_object()?;
                let mut first = true;
                while let Some(key) = scan.next_key(&mut first)? {
                    match key.raw {
                        b"finish_reason" => self.cohere_finish(scan, text)?,
                        b"usage" => self.common(Dialect::Cohere, &key, scan, text)?,
                        _ => scan.skip()?,
                    }
                }
            }
            _ => return self.common(Dialect::Cohere, key, scan, text),
        }
        Ok(())
    }

    fn cohere_finish(&mut self, scan: &mut Scan<'_>, text: &[u8]) -> Result<(), Flaw> {
        let span = scan.value()?;
        let word = text.get(span).and_then(|word| std::str::from_utf8(word).ok());
        if let Some(word) = word.and_then(|word| word.strip_prefix('"')?.strip_suffix('"')) {
            match finish_of(word) {
                Some(finish) => self.finish = self.finish.or(Some(finish.reason.openai())),
                None => self.error = true,
            }
        }
        Ok(())
    }

    /// An answer without candidates is the refusal of a prompt, and says why.
    fn gemini(&mut self, key: &Text<'_>, scan: &mut Scan<'_>, text: &[u8]) -> Result<(), Flaw> {
        match key.raw {
            b"candidates" if scan.look() == Some(b'[') => self.candidates(scan, text)?,
            b"promptFeedback" => {
                if let Some(span) = present(scan, text)?
                    && self.content.is_none()
                {
                    self.content = Some(span);
                    self.finish = Some(Reason::ContentFilter.openai());
                }
            }
            b"usageMetadata" => self.usage(Dialect::Gemini, scan, text)?,
            b"modelVersion" if scan.look() == Some(b'"') => {
                self.model = Some(scan.string()?.span());
            }
            b"error" => return self.common(Dialect::Gemini, key, scan, text),
            _ => scan.skip()?,
        }
        Ok(())
    }

    fn candidates(&mut self, scan: &mut Scan<'_>, text: &[u8]) -> Result<(), Flaw> {
        let start = scan.position();
        let mut finish = None;
        each_object(scan, |key, scan| match key.raw {
            b"finishReason" => {
                let said = self.finish.take();
                self.finish(scan, text)?;
                finish = finish.or(self.finish);
                self.finish = said;
                Ok(())
            }
            b"content" if scan.look() == Some(b'{') => {
                self.called |= calls(scan)?;
                Ok(())
            }
            b"groundingMetadata" if scan.look() == Some(b'{') => {
                self.queries = self.queries.saturating_add(queries(scan)?);
                Ok(())
            }
            _ => scan.skip(),
        })?;
        if text.get(start..scan.position()) != Some(b"[]") {
            // Also where the prompt's feedback came first.
            self.finish = finish;
            if self.called && finish == Some(Reason::Stop.openai()) {
                self.finish = Some(Reason::ToolCalls.openai());
            }
            self.content = Some(start..scan.position());
        }
        Ok(())
    }

    fn usage(&mut self, dialect: Dialect, scan: &mut Scan<'_>, text: &[u8]) -> Result<(), Flaw> {
        if scan.look() == Some(b'n') {
            return scan.skip();
        }
        self.usage = true;
        self.figures.read_next(dialect, scan, text)
    }

    #[inline]
    fn common(
        &mut self,
        dialect: Dialect,
        key: &Text<'_>,
        scan: &mut Scan<'_>,
        text: &[u8],
    ) -> Result<(), Flaw> {
        match key.raw {
            b"error" => {
                let value = scan.value()?;
                self.error |= says_something(text.get(value).unwrap_or_default());
            }
            b"usage" => self.usage(dialect, scan, text)?,
            b"model" if scan.look() == Some(b'"') => self.model = Some(scan.string()?.span()),
            _ => scan.skip()?,
        }
        Ok(())
    }

    fn responses(&mut self, key: &Text<'_>, scan: &mut Scan<'_>, text: &[u8]) -> Result<(), Flaw> {
        match key.raw {
            b"type" => self.kind = Some(scan.value()?),
            b"response" if scan.look() == Some(b'{') => {
                let start = scan.position();
                scan.open_object()?;
                let mut first = true;
                while let Some(key) = scan.next_key(&mut first)? {
                    self.response(&key, scan, text)?;
                }
                self.response = Some(start..scan.position());
            }
            b"item_id" | b"first_id" | b"last_id" => self.item_id(scan)?,
            b"item" if scan.look() == Some(b'{') => {
                scan.open_object()?;
                let mut first = true;
                while let Some(key) = scan.next_key(&mut first)? {
                    match key.raw {
                        b"id" => self.item_id(scan)?,
                        _ => scan.skip()?,
                    }
                }
            }
            b"data" if scan.look() == Some(b'[') => each_object(scan, |key, scan| match key.raw {
                b"id" => self.item_id(scan),
                _ => scan.skip(),
            })?,
            _ => return self.response(key, scan, text),
        }
        Ok(())
    }

    fn response(&mut self, key: &Text<'_>, scan: &mut Scan<'_>, text: &[u8]) -> Result<(), Flaw> {
        let [id, previous] = &mut self.ids;
        match key.raw {
            b"id" if scan.look() == Some(b'"') => *id = Some(scan.string()?.span()),
            b"previous_response_id" if scan.look() == Some(b'"') => {
                *previous = Some(scan.string()?.span());
            }
            b"status" => {
                let span = scan.value()?;
                self.finish = match text.get(span) {
                    Some(b"\"completed\"") => Some("stop"),
                    Some(b"\"incomplete\"") => self.finish.or(Some("length")),
                    _ => self.finish,
                };
            }
            b"incomplete_details" if scan.look() == Some(b'{') => {
                let span = scan.value()?;
                let details = text.get(span).unwrap_or_default();
                let filtered = memchr::memmem::find(details, b"\"content_filter\"").is_some();
                self.finish = Some(if filtered { "content_filter" } else { "length" });
            }
            b"output" if scan.look() == Some(b'[') => self.output(scan, text)?,
            b"service_tier" => {
                let span = scan.value()?;
                self.figures.read_tier(text, &span);
            }
            _ => return self.common(Dialect::Responses, key, scan, text),
        }
        Ok(())
    }

    fn output(&mut self, scan: &mut Scan<'_>, text: &[u8]) -> Result<(), Flaw> {
        let start = scan.position();
        scan.open_array()?;
        let mut first = true;
        while scan.next_item(&mut first)? {
            if scan.look() != Some(b'{') {
                scan.skip()?;
                continue;
            }
            scan.open_object()?;
            let mut first = true;
            while let Some(key) = scan.next_key(&mut first)? {
                if key.raw == b"id" {
                    self.item_id(scan)?;
                    continue;
                }
                let span = scan.value()?;
                if key.raw == b"type" {
                    let kind = text.get(span).unwrap_or_default();
                    self.called |= responses::is_call(kind);
                }
            }
        }
        self.content = Some(start..scan.position());
        Ok(())
    }

    fn item_id(&mut self, scan: &mut Scan<'_>) -> Result<(), Flaw> {
        if scan.look() != Some(b'"') {
            return scan.skip();
        }
        self.items.push(scan.string()?.span());
        Ok(())
    }

    fn choices(&mut self, scan: &mut Scan<'_>, text: &[u8]) -> Result<(), Flaw> {
        let start = scan.position();
        self.empty = true;
        scan.open_array()?;
        let mut first = true;
        while scan.next_item(&mut first)? {
            self.empty = false;
            if scan.look() != Some(b'{') {
                scan.skip()?;
                continue;
            }
            scan.open_object()?;
            let mut first = true;
            while let Some(key) = scan.next_key(&mut first)? {
                match key.raw {
                    b"finish_reason" => self.finish(scan, text)?,
                    _ => scan.skip()?,
                }
            }
        }
        self.content = Some(start..scan.position());
        Ok(())
    }

    fn finish(&mut self, scan: &mut Scan<'_>, text: &[u8]) -> Result<(), Flaw> {
        let span = scan.value()?;
        let word = text.get(span).unwrap_or_default();
        if let Some(word) = word.strip_prefix(b"\"").and_then(|w| w.strip_suffix(b"\"")) {
            let word = std::str::from_utf8(word).unwrap_or_default();
            self.finish = self.finish.or(Some(Reason::read(word).openai()));
        }
        Ok(())
    }
}

/// Whether a part of the content that comes next is a call.
fn calls(scan: &mut Scan<'_>) -> Result<bool, Flaw> {
    let mut called = false;
    scan.open_object()?;
    let mut first = true;
    while let Some(key) = scan.next_key(&mut first)? {
        if key.raw != b"parts" || scan.look() != Some(b'[') {
            scan.skip()?;
            continue;
        }
        each_object(scan, |key, scan| {
            called |= key.raw == b"functionCall";
            scan.skip()
        })?;
    }
    Ok(called)
}

/// How many searches the grounding that comes next names.
fn queries(scan: &mut Scan<'_>) -> Result<u64, Flaw> {
    let mut count = 0;
    scan.open_object()?;
    let mut first = true;
    while let Some(key) = scan.next_key(&mut first)? {
        if key.raw != b"webSearchQueries" || scan.look() != Some(b'[') {
            scan.skip()?;
            continue;
        }
        scan.open_array()?;
        let mut first = true;
        while scan.next_item(&mut first)? {
            scan.skip()?;
            count += 1;
        }
    }
    Ok(count)
}

/// Walks the members of each object of the list that comes next.
fn each_object(
    scan: &mut Scan<'_>,
    mut each: impl FnMut(&Text<'_>, &mut Scan<'_>) -> Result<(), Flaw>,
) -> Result<(), Flaw> {
    scan.open_array()?;
    let mut first = true;
    while scan.next_item(&mut first)? {
        if scan.look() != Some(b'{') {
            scan.skip()?;
            continue;
        }
        scan.open_object()?;
        let mut first = true;
        while let Some(key) = scan.next_key(&mut first)? {
            each(&key, scan)?;
        }
    }
    Ok(())
}

/// The value that comes next, unless it is `null`.
fn present(scan: &mut Scan<'_>, text: &[u8]) -> Result<Option<Range<usize>>, Flaw> {
    let span = scan.value()?;
    Ok((text.get(span.clone()) != Some(b"null")).then_some(span))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_must_say_something() {
        for (value, error) in [
            ("null", false),
            ("{}", false),
            ("{ }", false),
            ("\"\"", false),
            ("[]", false),
            ("false", false),
            ("{\"message\":\"x\"}", true),
            ("\"x\"", true),
        ] {
            let text = format!("{{\"error\":{value}}}");
            assert_eq!(Facts::read(Dialect::Openai, text.as_bytes()).unwrap().error, error);
        }
    }

    #[test]
    fn only_the_right_level_counts() {
        let text = br#"{"choices":[{"delta":{"content":"\"usage\"","usage":{"a":1},"error":{"a":1},
            "finish_reason":"length","model":"x"},"finish_reason":null}],"x":{"model":"y"}}"#;
        let facts = Facts::read(Dialect::Openai, text).unwrap();
        assert_eq!((facts.usage, facts.model, facts.finish), (false, None, None));
        assert!(!facts.error && !facts.empty);
    }

    #[test]
    fn anthropic_nests_in_message_and_delta() {
        let text =
            br#"{"type":"message_start","message":{"model":"m","usage":{"input_tokens":1}}}"#;
        let facts = Facts::read(Dialect::Anthropic, text).unwrap();
        assert_eq!(text.get(facts.model.unwrap()), Some(&b"\"m\""[..]));
        assert!(facts.usage);
        assert_eq!(facts.figures.usage(Dialect::Anthropic, (9, 9)).input, 1);
        let text = br#"{"type":"message_delta","delta":{"stop_reason":"tool_use"}}"#;
        let facts = Facts::read(Dialect::Anthropic, text).unwrap();
        assert_eq!(facts.finish, Some("tool_calls"));
    }
}
