//! What an answer says it consumed: `usage`, in the spellings of all dialects.

mod anthropic;
mod few;
mod gemini;
mod openai;

use std::ops::Range;

use crate::{
    json::{Flaw, Scan, Text},
    matrix::Dialect,
    usage::{SearchSize, Tier, Usage},
};

/// The largest count that is believed: ten times the largest context window there is. What is
/// above it is a mistake of the upstream's, and nobody is to be charged for it.
const MAX_COUNT: u64 = 100_000_000;

/// The counts of `usage` objects, as far as they were there. Reading another object replaces what
/// it names and keeps the rest: figures of a stream are cumulative.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    input: Option<u64>,
    output: Option<u64>,
    total: Option<u64>,
    cache_read: Option<u64>,
    cache_write: Option<u64>,
    cache_write_1h: Option<u64>,
    cache_write_12h: Option<u64>,
    cache_read_audio: Option<u64>,
    input_audio: Option<u64>,
    input_image: Option<u64>,
    input_video: Option<u64>,
    output_audio: Option<u64>,
    output_image: Option<u64>,
    output_video: Option<u64>,
    reasoning: Option<u64>,
    /// Tokens of the prompt that stand beside `input`: what Google's own tools brought in.
    input_beside: Option<u64>,
    searches: Option<u64>,
    search_size: SearchSize,
    tier: Option<Tier>,
    fast: bool,
    us_only: bool,
    /// Something was no count.
    flawed: bool,
}

impl Figures {
    /// Reads the `usage` object that stands at `span` of `text`.
    pub(crate) fn read(&mut self, dialect: Dialect, text: &[u8], span: &Range<usize>) {
        let text = text.get(span.clone()).unwrap_or_default();
        self.flawed |= self.read_next(dialect, &mut Scan::new(text), text).is_err();
    }

    /// Reads the `usage` object that comes next in `scan`, a scan of `text`. An error is one of the
    /// JSON.
    #[inline]
    pub(crate) fn read_next(
        &mut self,
        dialect: Dialect,
        scan: &mut Scan<'_>,
        text: &[u8],
    ) -> Result<(), Flaw> {
        match dialect {
            Dialect::Anthropic => self.anthropic(scan, text),
            Dialect::Cohere => self.cohere(scan, text),
            Dialect::Ollama => self.ollama(scan, text),
            Dialect::Gemini => self.gemini(scan, text),
            Dialect::Oci | Dialect::OciCohere => self.oci(scan, text),
            Dialect::Tgi | Dialect::WatsonxText | Dialect::Replicate => self.text(scan, text),
            _ => self.openai(scan, text),
        }
    }

    /// Reads a `service_tier` that stands beside `usage`, at `span` of `text`.
    pub(crate) fn read_tier(&mut self, text: &[u8], span: &Range<usize>) {
        self.tier =
            word(text.get(span.clone()).unwrap_or_default()).and_then(Tier::read).or(self.tier);
    }

    /// The counts of one whole `usage`; what it does not say is 0, and marked as such. `tier` is
    /// a `service_tier` that stands beside it.
    pub(crate) fn whole(dialect: Dialect, json: &str, tier: Option<&str>) -> Usage {
        let mut figures = Figures { tier: tier.and_then(Tier::read), ..Figures::default() };
        figures.read(dialect, json.as_bytes(), &(0..json.len()));
        figures.usage(dialect, (0, 0))
    }

    /// What was said of the answer's size does not hold.
    pub(crate) fn forget_output(&mut self) {
        self.output = None;
    }

    /// So many searches were made: Google says it outside its figures.
    pub(crate) fn searches_beside(&mut self, searches: u64) {
        self.searches = self.searches.max(Some(searches).filter(|n| *n > 0));
    }

    /// The operation has no tokens to answer with.
    pub(crate) fn has_no_output(&mut self) {
        self.output = self.output.or(Some(0));
        // Voyage says the total alone.
        self.input = self.input.or(self.total);
    }

    /// The counts as usage. `estimate` stands in for what was not said: input, output.
    pub(crate) fn usage(&self, dialect: Dialect, estimate: (u64, u64)) -> Usage {
        let cache_read = self.cache_read.unwrap_or(0);
        let cache_write_1h = self.cache_write_1h.unwrap_or(0);
        let cache_write_12h = self.cache_write_12h.unwrap_or(0);
        let mut cache_write = self.cache_write.unwrap_or(0);
        let mut input = self.input;
        let mut output = self.output;
        let mut reasoning = self.reasoning.unwrap_or(0);
        match dialect {
            // `input_tokens` is what neither came from the cache nor went into it.
            Dialect::Anthropic => {
                let cached = cache_read.saturating_add(cache_write).saturating_add(cache_write_1h);
                input = input.map(|n| n.saturating_add(cached));
            }
            // Google leaves out what is 0, and counts thoughts beside the candidates.
            Dialect::Gemini => {
                input = input.map(|n| n.saturating_add(self.input_beside.unwrap_or(0)));
                if input.is_some() {
                    output = Some(output.unwrap_or(0).saturating_add(reasoning));
                }
            }
            _ => {
                // Where the kinds are told apart, the count of all of them is told, too.
                cache_write = cache_write.saturating_sub(cache_write_1h + cache_write_12h);
                // xAI and Gemini leave reasoning out of `completion_tokens`, not out of the total.
                if let (Some(sent), Some(answered), Some(total)) = (input, output, self.total) {
                    let hidden = total.saturating_sub(sent.saturating_add(answered));
                    output = Some(answered.saturating_add(hidden));
                    reasoning = reasoning.max(hidden);
                } else if let (Some(sent), None, Some(total)) = (input, output, self.total) {
                    output = Some(total.saturating_sub(sent));
                }
            }
        }
        let searches = self.searches.unwrap_or(0);
        Usage {
            input: input.unwrap_or(estimate.0),
            cache_read,
            cache_read_audio: self.cache_read_audio.unwrap_or(0),
            cache_write,
            cache_write_1h,
            cache_write_12h,
            input_audio: self.input_audio.unwrap_or(0),
            input_image: self.input_image.unwrap_or(0),
            input_video: self.input_video.unwrap_or(0),
            output: output.unwrap_or(estimate.1),
            reasoning,
            output_audio: self.output_audio.unwrap_or(0),
            output_image: self.output_image.unwrap_or(0),
            output_video: self.output_video.unwrap_or(0),
            searches: u32::try_from(searches).unwrap_or(u32::MAX),
            search_size: self.search_size,
            tier: if self.fast { Some(Tier::Fast) } else { self.tier },
            us_only: self.us_only,
            estimated: self.flawed || input.is_none() || output.is_none(),
        }
    }

    /// Searches among a provider's own tools: Anthropic's and LiteLLM's spelling, and xAI's.
    fn searched(&mut self, scan: &mut Scan<'_>, text: &[u8]) -> Result<(), Flaw> {
        self.members(scan, text, |figures, key, scan| match key.raw {
            b"web_search_requests" | b"web_search_calls" => {
                figures.count(scan, text, |f| &mut f.searches)
            }
            _ => scan.skip(),
        })
    }

    fn served(&mut self, scan: &mut Scan<'_>, text: &[u8]) -> Result<(), Flaw> {
        let span = scan.value()?;
        self.read_tier(text, &span);
        Ok(())
    }

    /// A string without escapes; anything else is none.
    fn said<'t>(&self, scan: &mut Scan<'_>, text: &'t [u8]) -> Result<Option<&'t str>, Flaw> {
        let span = scan.value()?;
        Ok(word(text.get(span).unwrap_or_default()))
    }

    /// Walks the object that comes next; `null` is an empty one, anything else a flaw.
    fn members(
        &mut self,
        scan: &mut Scan<'_>,
        text: &[u8],
        mut each: impl FnMut(&mut Self, Text<'_>, &mut Scan<'_>) -> Result<(), Flaw>,
    ) -> Result<(), Flaw> {
        if scan.look() != Some(b'{') {
            let value = scan.value()?;
            self.flawed |= text.get(value) != Some(b"null");
            return Ok(());
        }
        scan.open_object()?;
        let mut first = true;
        while let Some(key) = scan.next_key(&mut first)? {
            each(self, key, scan)?;
        }
        Ok(())
    }

    fn count(
        &mut self,
        scan: &mut Scan<'_>,
        text: &[u8],
        place: impl Fn(&mut Self) -> &mut Option<u64>,
    ) -> Result<(), Flaw> {
        if let Some(number) = self.number(scan, text)? {
            *place(self) = Some(number);
        }
        Ok(())
    }

    /// For counts that have several names.
    fn larger(
        &mut self,
        scan: &mut Scan<'_>,
        text: &[u8],
        place: impl Fn(&mut Self) -> &mut Option<u64>,
    ) -> Result<(), Flaw> {
        let number = self.number(scan, text)?;
        let place = place(self);
        *place = (*place).max(number);
        Ok(())
    }

    /// A whole number; `null` is none. Anything else is none too, and so is a number that is too
    /// large; both make the figures flawed.
    fn number(&mut self, scan: &mut Scan<'_>, text: &[u8]) -> Result<Option<u64>, Flaw> {
        let value = scan.value()?;
        let value = text.get(value).unwrap_or_default();
        if value == b"null" {
            return Ok(None);
        }
        let number = whole(value).filter(|n| *n <= MAX_COUNT);
        self.flawed |= number.is_none();
        Ok(number)
    }
}

/// The inside of a JSON string that has no escapes.
fn word(text: &[u8]) -> Option<&str> {
    let inside = text.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    std::str::from_utf8(inside).ok().filter(|word| !word.contains('\\'))
}

fn whole(text: &[u8]) -> Option<u64> {
    if text.iter().all(u8::is_ascii_digit) {
        let digit = |n: u64, b: &u8| n.saturating_mul(10).saturating_add(u64::from(b - b'0'));
        return Some(text.iter().fold(0, digit));
    }
    // `12.0`
    let number: f64 = std::str::from_utf8(text).ok().filter(|t| t.len() <= 32)?.parse().ok()?;
    (number >= 0.0 && number.fract() == 0.0).then_some(number as u64)
}

#[cfg(test)]
mod tests;
