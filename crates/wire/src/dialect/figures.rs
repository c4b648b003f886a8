//! What an answer says it consumed: `usage`, in the spellings of both dialects.

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
        let mut scan = Scan::new(text);
        let read = match dialect {
            Dialect::Anthropic => self.anthropic(&mut scan, text),
            Dialect::Cohere => self.cohere(&mut scan, text),
            Dialect::Ollama => self.ollama(&mut scan, text),
            Dialect::Gemini => self.gemini(&mut scan, text),
            Dialect::Oci | Dialect::OciCohere => self.oci(&mut scan, text),
            Dialect::Tgi | Dialect::WatsonxText | Dialect::Replicate => self.text(&mut scan, text),
            _ => self.openai(&mut scan, text),
        };
        self.flawed |= read.is_err();
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

    /// <https://platform.openai.com/docs/api-reference/chat/object#chat/object-usage>, and what
    /// others add to it: DeepSeek `prompt_cache_hit_tokens`, Moonshot `cached_tokens`, OpenRouter
    /// `cache_write_tokens`, LiteLLM `cache_read_input_tokens`, `cache_creation_input_tokens`,
    /// Perplexity `num_search_queries`, xAI `server_side_tool_usage_details`.
    fn openai(&mut self, scan: &mut Scan<'_>, text: &[u8]) -> Result<(), Flaw> {
        self.members(scan, text, |figures, key, scan| match key.raw {
            b"prompt_tokens" | b"input_tokens" => figures.count(scan, text, |f| &mut f.input),
            b"completion_tokens" | b"output_tokens" => figures.count(scan, text, |f| &mut f.output),
            b"total_tokens" => figures.count(scan, text, |f| &mut f.total),
            b"prompt_cache_hit_tokens" | b"cached_tokens" | b"cache_read_input_tokens" => {
                figures.larger(scan, text, |f| &mut f.cache_read)
            }
            b"cache_creation_input_tokens" => figures.larger(scan, text, |f| &mut f.cache_write),
            b"prompt_tokens_details" | b"input_tokens_details" => figures.openai_input(scan, text),
            b"completion_tokens_details" | b"output_tokens_details" => {
                figures.openai_output(scan, text)
            }
            b"num_search_queries" => figures.count(scan, text, |f| &mut f.searches),
            b"server_side_tool_usage_details" | b"server_tool_use" => figures.searched(scan, text),
            b"search_context_size" => {
                figures.search_size = match figures.said(scan, text)? {
                    Some("low") => SearchSize::Low,
                    Some("high") => SearchSize::High,
                    Some(_) | None => SearchSize::Medium,
                };
                Ok(())
            }
            b"service_tier" => figures.served(scan, text),
            _ => scan.skip(),
        })
    }

    fn openai_input(&mut self, scan: &mut Scan<'_>, text: &[u8]) -> Result<(), Flaw> {
        self.members(scan, text, |figures, key, scan| match key.raw {
            b"cached_tokens" => figures.larger(scan, text, |f| &mut f.cache_read),
            b"cache_creation_tokens" | b"cache_write_tokens" => {
                figures.larger(scan, text, |f| &mut f.cache_write)
            }
            b"cache_creation_token_details" => {
                figures.members(scan, text, |figures, key, scan| match key.raw {
                    b"ephemeral_1h_input_tokens" => {
                        figures.count(scan, text, |f| &mut f.cache_write_1h)
                    }
                    b"ephemeral_12h_input_tokens" => {
                        figures.count(scan, text, |f| &mut f.cache_write_12h)
                    }
                    _ => scan.skip(),
                })
            }
            b"cached_tokens_details" => {
                figures.members(scan, text, |figures, key, scan| match key.raw {
                    b"audio_tokens" => figures.count(scan, text, |f| &mut f.cache_read_audio),
                    _ => scan.skip(),
                })
            }
            b"audio_tokens" => figures.count(scan, text, |f| &mut f.input_audio),
            b"image_tokens" => figures.count(scan, text, |f| &mut f.input_image),
            b"video_tokens" => figures.count(scan, text, |f| &mut f.input_video),
            b"web_search_requests" => figures.larger(scan, text, |f| &mut f.searches),
            _ => scan.skip(),
        })
    }

    fn openai_output(&mut self, scan: &mut Scan<'_>, text: &[u8]) -> Result<(), Flaw> {
        self.members(scan, text, |figures, key, scan| match key.raw {
            b"reasoning_tokens" => figures.count(scan, text, |f| &mut f.reasoning),
            b"audio_tokens" => figures.count(scan, text, |f| &mut f.output_audio),
            b"image_tokens" => figures.count(scan, text, |f| &mut f.output_image),
            b"video_tokens" => figures.count(scan, text, |f| &mut f.output_video),
            _ => scan.skip(),
        })
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

    /// <https://docs.claude.com/en/docs/build-with-claude/prompt-caching#tracking-cache-performance>
    fn anthropic(&mut self, scan: &mut Scan<'_>, text: &[u8]) -> Result<(), Flaw> {
        let mut written = None;
        let mut by_age = false;
        self.members(scan, text, |figures, key, scan| match key.raw {
            b"input_tokens" => figures.count(scan, text, |f| &mut f.input),
            b"output_tokens" => figures.count(scan, text, |f| &mut f.output),
            b"cache_read_input_tokens" => figures.count(scan, text, |f| &mut f.cache_read),
            b"cache_creation_input_tokens" => {
                written = figures.number(scan, text)?;
                Ok(())
            }
            b"cache_creation" => {
                by_age = scan.look() == Some(b'{');
                figures.anthropic_by_age(scan, text)
            }
            b"server_tool_use" => figures.searched(scan, text),
            b"service_tier" => figures.served(scan, text),
            // https://platform.claude.com/docs/en/build-with-claude/data-residency
            b"inference_geo" => {
                figures.us_only = figures.said(scan, text)? == Some("us");
                Ok(())
            }
            // https://platform.claude.com/docs/en/build-with-claude/fast-mode
            b"speed" => {
                figures.fast = figures.said(scan, text)? == Some("fast");
                Ok(())
            }
            _ => scan.skip(),
        })?;
        if let Some(written) = written {
            // What is not known to be kept for an hour is kept for five minutes.
            let hour = if by_age { self.cache_write_1h.unwrap_or(0) } else { 0 };
            if !by_age {
                self.cache_write_1h = None;
            }
            self.cache_write = Some(written.saturating_sub(hour));
        }
        Ok(())
    }

    /// What is billed, where that is said: `tokens` counts Cohere's own preamble, too. <https://docs.cohere.com/docs/how-does-cohere-pricing-work>
    fn cohere(&mut self, scan: &mut Scan<'_>, text: &[u8]) -> Result<(), Flaw> {
        let mut all = Figures::default();
        self.members(scan, text, |figures, key, scan| match key.raw {
            b"billed_units" => figures.cohere_tokens(scan, text),
            b"tokens" => all.cohere_tokens(scan, text),
            b"cached_tokens" => figures.count(scan, text, |f| &mut f.cache_read),
            _ => scan.skip(),
        })?;
        self.input = self.input.or(all.input);
        self.output = self.output.or(all.output);
        self.flawed |= all.flawed;
        // More than what is billed: it was counted with the preamble.
        self.cache_read = self.cache_read.filter(|read| Some(*read) <= self.input);
        Ok(())
    }

    fn cohere_tokens(&mut self, scan: &mut Scan<'_>, text: &[u8]) -> Result<(), Flaw> {
        self.members(scan, text, |figures, key, scan| match key.raw {
            b"input_tokens" => figures.count(scan, text, |f| &mut f.input),
            b"output_tokens" => figures.count(scan, text, |f| &mut f.output),
            _ => scan.skip(),
        })
    }

    /// Of the whole answer. <https://docs.ollama.com/api/usage>
    fn ollama(&mut self, scan: &mut Scan<'_>, text: &[u8]) -> Result<(), Flaw> {
        self.members(scan, text, |figures, key, scan| match key.raw {
            b"prompt_eval_count" => figures.count(scan, text, |f| &mut f.input),
            b"eval_count" => figures.count(scan, text, |f| &mut f.output),
            _ => scan.skip(),
        })
    }

    /// Hugging Face's and watsonx's. Those of a stream are cumulative, and later ones leave out what
    /// was said of the prompt.
    fn text(&mut self, scan: &mut Scan<'_>, text: &[u8]) -> Result<(), Flaw> {
        self.members(scan, text, |figures, key, scan| match key.raw {
            b"input_length" | b"input_token_count" => figures.larger(scan, text, |f| &mut f.input),
            b"generated_tokens" if scan.look() == Some(b'[') => scan.skip(),
            b"generated_tokens" | b"generated_token_count" | b"output_token_count" => {
                figures.larger(scan, text, |f| &mut f.output)
            }
            _ => scan.skip(),
        })
    }

    /// OpenAI's, in camelCase.
    /// <https://docs.oracle.com/en-us/iaas/api/#/en/generative-ai-inference/20231130/datatypes/Usage>
    fn oci(&mut self, scan: &mut Scan<'_>, text: &[u8]) -> Result<(), Flaw> {
        self.members(scan, text, |figures, key, scan| match key.raw {
            b"promptTokens" => figures.count(scan, text, |f| &mut f.input),
            b"completionTokens" => figures.count(scan, text, |f| &mut f.output),
            b"totalTokens" => figures.count(scan, text, |f| &mut f.total),
            b"promptTokensDetails" => {
                figures.members(scan, text, |figures, key, scan| match key.raw {
                    b"cachedTokens" => figures.count(scan, text, |f| &mut f.cache_read),
                    _ => scan.skip(),
                })
            }
            b"completionTokensDetails" => {
                figures.members(scan, text, |figures, key, scan| match key.raw {
                    b"reasoningTokens" => figures.count(scan, text, |f| &mut f.reasoning),
                    _ => scan.skip(),
                })
            }
            _ => scan.skip(),
        })
    }

    fn anthropic_by_age(&mut self, scan: &mut Scan<'_>, text: &[u8]) -> Result<(), Flaw> {
        self.members(scan, text, |figures, key, scan| match key.raw {
            b"ephemeral_5m_input_tokens" => figures.count(scan, text, |f| &mut f.cache_write),
            b"ephemeral_1h_input_tokens" => figures.count(scan, text, |f| &mut f.cache_write_1h),
            _ => scan.skip(),
        })
    }

    /// <https://ai.google.dev/api/generate-content#UsageMetadata>
    fn gemini(&mut self, scan: &mut Scan<'_>, text: &[u8]) -> Result<(), Flaw> {
        self.members(scan, text, |figures, key, scan| match key.raw {
            b"promptTokenCount" => figures.count(scan, text, |f| &mut f.input),
            b"candidatesTokenCount" => figures.count(scan, text, |f| &mut f.output),
            b"cachedContentTokenCount" => figures.count(scan, text, |f| &mut f.cache_read),
            b"thoughtsTokenCount" => figures.count(scan, text, |f| &mut f.reasoning),
            b"toolUsePromptTokenCount" => figures.count(scan, text, |f| &mut f.input_beside),
            b"promptTokensDetails" => {
                figures.gemini_modalities(scan, text, |f, modality| match modality {
                    Modality::Audio => Some(&mut f.input_audio),
                    Modality::Image => Some(&mut f.input_image),
                    Modality::Video => Some(&mut f.input_video),
                })
            }
            b"candidatesTokensDetails" => {
                figures.gemini_modalities(scan, text, |f, modality| match modality {
                    Modality::Audio => Some(&mut f.output_audio),
                    Modality::Image => Some(&mut f.output_image),
                    Modality::Video => Some(&mut f.output_video),
                })
            }
            b"cacheTokensDetails" => {
                figures.gemini_modalities(scan, text, |f, modality| match modality {
                    Modality::Audio => Some(&mut f.cache_read_audio),
                    Modality::Image | Modality::Video => None,
                })
            }
            b"serviceTier" | b"trafficType" => {
                let word = scan.value()?;
                let word = text.get(word).unwrap_or_default().trim_ascii();
                let word = std::str::from_utf8(word).unwrap_or_default().trim_matches('"');
                let word = word.to_ascii_lowercase();
                let tier = Tier::read(word.strip_prefix("on_demand_").unwrap_or(&word));
                figures.tier = tier.or(figures.tier);
                Ok(())
            }
            _ => scan.skip(),
        })
    }

    /// `[{"modality": "AUDIO", "tokenCount": 9}]`
    fn gemini_modalities(
        &mut self,
        scan: &mut Scan<'_>,
        text: &[u8],
        place: impl Fn(&mut Self, Modality) -> Option<&mut Option<u64>>,
    ) -> Result<(), Flaw> {
        if scan.look() != Some(b'[') {
            return scan.skip();
        }
        scan.open_array()?;
        let mut first = true;
        while scan.next_item(&mut first)? {
            let (mut count, mut modality) = (None, None);
            self.members(scan, text, |figures, key, scan| match key.raw {
                b"modality" => {
                    let word = scan.value()?;
                    modality = Modality::read(text.get(word).unwrap_or_default());
                    Ok(())
                }
                b"tokenCount" => {
                    count = figures.number(scan, text)?;
                    Ok(())
                }
                _ => scan.skip(),
            })?;
            let place = modality.and_then(|modality| place(self, modality));
            if let (Some(place), Some(_)) = (place, count) {
                *place = count;
            }
        }
        Ok(())
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

/// Google's kinds of tokens beside text.
#[derive(Debug, Clone, Copy)]
enum Modality {
    Audio,
    Image,
    Video,
}

impl Modality {
    /// Of a word with its quotes.
    fn read(word: &[u8]) -> Option<Modality> {
        Some(match word {
            b"\"AUDIO\"" => Modality::Audio,
            b"\"IMAGE\"" => Modality::Image,
            b"\"VIDEO\"" => Modality::Video,
            _ => return None,
        })
    }
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
mod tests {
    use super::*;

    fn usage(dialect: Dialect, texts: &[&str]) -> Usage {
        let mut figures = Figures::default();
        for text in texts {
            figures.read(dialect, text.as_bytes(), &(0..text.len()));
        }
        figures.usage(dialect, (7, 9))
    }

    #[test]
    fn openai_and_its_relatives() {
        let plain = Usage { input: 10, output: 5, ..Usage::default() };
        for (text, expect) in [
            (r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}"#, plain),
            (r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":null}"#, plain),
            (r#"{"prompt_tokens":10,"total_tokens":10}"#, Usage { output: 0, ..plain }),
            (
                r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":
                    {"cached_tokens":4,"audio_tokens":2,"cache_creation_tokens":3},
                    "completion_tokens_details":{"reasoning_tokens":3,"audio_tokens":1}}"#,
                Usage {
                    cache_read: 4,
                    cache_write: 3,
                    input_audio: 2,
                    reasoning: 3,
                    output_audio: 1,
                    ..plain
                },
            ),
            // Images, and what was read from the cache of it is audio.
            (
                r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{
                    "image_tokens":4,"video_tokens":1,"cached_tokens":3,"cached_tokens_details":
                    {"audio_tokens":2,"text_tokens":1}},
                    "completion_tokens_details":{"image_tokens":3,"video_tokens":2}}"#,
                Usage {
                    input_image: 4,
                    input_video: 1,
                    cache_read: 3,
                    cache_read_audio: 2,
                    output_image: 3,
                    output_video: 2,
                    ..plain
                },
            ),
            // LiteLLM: written to the cache, by time.
            (
                r#"{"prompt_tokens":10,"completion_tokens":5,"cache_creation_input_tokens":9,
                    "prompt_tokens_details":{"cache_creation_tokens":9,
                    "cache_creation_token_details":{"ephemeral_5m_input_tokens":4,
                    "ephemeral_1h_input_tokens":3,"ephemeral_12h_input_tokens":2}}}"#,
                Usage { cache_write: 4, cache_write_1h: 3, cache_write_12h: 2, ..plain },
            ),
            // Perplexity, xAI, LiteLLM: searches.
            (
                r#"{"prompt_tokens":10,"completion_tokens":5,"num_search_queries":3,
                    "search_context_size":"high","citation_tokens":7}"#,
                Usage { searches: 3, search_size: SearchSize::High, ..plain },
            ),
            (
                r#"{"prompt_tokens":10,"completion_tokens":5,
                    "server_side_tool_usage_details":{"web_search_calls":2,"x_search_calls":0}}"#,
                Usage { searches: 2, ..plain },
            ),
            (
                r#"{"prompt_tokens":10,"completion_tokens":5,"service_tier":"flex",
                    "server_tool_use":{"web_search_requests":4}}"#,
                Usage { searches: 4, tier: Some(Tier::Flex), ..plain },
            ),
            // DeepSeek
            (
                r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_cache_hit_tokens":6,
                    "prompt_cache_miss_tokens":4,"prompt_tokens_details":{"cached_tokens":6}}"#,
                Usage { cache_read: 6, ..plain },
            ),
            // xAI: reasoning stands beside `completion_tokens`.
            (
                r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":45,
                    "completion_tokens_details":{"reasoning_tokens":30}}"#,
                Usage { output: 35, reasoning: 30, ..plain },
            ),
        ] {
            assert_eq!(usage(Dialect::Openai, &[text]), expect, "{text}");
        }
    }

    #[test]
    fn anthropic_counts_cached_tokens_beside_the_others() {
        let start = r#"{"input_tokens":10,"cache_read_input_tokens":100,
            "cache_creation_input_tokens":50,"output_tokens":1,
            "cache_creation":{"ephemeral_5m_input_tokens":20,"ephemeral_1h_input_tokens":30}}"#;
        let expect = Usage {
            input: 160,
            cache_read: 100,
            cache_write: 20,
            cache_write_1h: 30,
            output: 1,
            ..Usage::default()
        };
        assert_eq!(usage(Dialect::Anthropic, &[start]), expect);
        let last = r#"{"output_tokens":42}"#;
        assert_eq!(usage(Dialect::Anthropic, &[start, last]), Usage { output: 42, ..expect });
        let old = r#"{"input_tokens":10,"cache_creation_input_tokens":50,"output_tokens":1}"#;
        assert_eq!(
            usage(Dialect::Anthropic, &[old]),
            Usage { input: 60, cache_write: 50, output: 1, ..Usage::default() }
        );
    }

    #[test]
    fn cohere_bills_less_than_it_reads() {
        let text = r#"{"billed_units":{"input_tokens":5.0,"output_tokens":7.0,"search_units":1},
            "tokens":{"input_tokens":71.0,"output_tokens":9.0},"cached_tokens":64}"#;
        assert_eq!(
            usage(Dialect::Cohere, &[text]),
            Usage { input: 5, output: 7, ..Usage::default() }
        );
        let text = r#"{"tokens":{"input_tokens":71,"output_tokens":9},"cached_tokens":64}"#;
        assert_eq!(
            usage(Dialect::Cohere, &[text]),
            Usage { input: 71, cache_read: 64, output: 9, ..Usage::default() }
        );
    }

    #[test]
    fn ollama_counts_beside_the_message() {
        let text = r#"{"model":"m","message":{"content":"x"},"done":true,
            "prompt_eval_count":26,"eval_count":298}"#;
        assert_eq!(
            usage(Dialect::Ollama, &[text]),
            Usage { input: 26, output: 298, ..Usage::default() }
        );
        // What the prompt's cache holds is not counted by older versions.
        let cached = usage(Dialect::Ollama, &[r#"{"done":true,"eval_count":298}"#]);
        assert_eq!(cached, Usage { input: 7, output: 298, estimated: true, ..Usage::default() });
    }

    #[test]
    fn gemini_counts_thoughts_and_tools_beside_the_others() {
        let text = r#"{"promptTokenCount":10,"cachedContentTokenCount":4,"candidatesTokenCount":5,
            "thoughtsTokenCount":30,"toolUsePromptTokenCount":7,"totalTokenCount":52,
            "promptTokensDetails":[{"modality":"TEXT","tokenCount":8},
                {"modality":"AUDIO","tokenCount":2},{"modality":"IMAGE","tokenCount":1}],
            "cacheTokensDetails":[{"modality":"AUDIO","tokenCount":1}],"trafficType":"ON_DEMAND",
            "candidatesTokensDetails":[{"modality":"AUDIO","tokenCount":3},
                {"modality":"IMAGE","tokenCount":2}]}"#;
        let expect = Usage {
            input: 17,
            cache_read: 4,
            cache_read_audio: 1,
            input_audio: 2,
            input_image: 1,
            output: 35,
            reasoning: 30,
            output_audio: 3,
            output_image: 2,
            tier: Some(Tier::Standard),
            ..Usage::default()
        };
        assert_eq!(usage(Dialect::Gemini, &[text]), expect);
        // Without an answer there is no count of it.
        let blocked = r#"{"promptTokenCount":10,"totalTokenCount":10}"#;
        assert_eq!(usage(Dialect::Gemini, &[blocked]), Usage { input: 10, ..Usage::default() });
    }

    #[test]
    fn anthropic_says_how_it_served() {
        let text = |rest: &str| format!(r#"{{"input_tokens":10,"output_tokens":1,{rest}}}"#);
        let plain = Usage { input: 10, output: 1, ..Usage::default() };
        for (rest, expect) in [
            (
                r#""server_tool_use":{"web_search_requests":2,"web_fetch_requests":1}"#,
                Usage { searches: 2, ..plain },
            ),
            (r#""service_tier":"priority""#, Usage { tier: Some(Tier::Priority), ..plain }),
            (r#""service_tier":"batch""#, Usage { tier: Some(Tier::Batch), ..plain }),
            (r#""service_tier":null,"server_tool_use":null"#, plain),
            (r#""service_tier":"so\"on","inference_geo":"not_available""#, plain),
            (
                r#""service_tier":"standard","speed":"fast","inference_geo":"us""#,
                Usage { tier: Some(Tier::Fast), us_only: true, ..plain },
            ),
        ] {
            assert_eq!(usage(Dialect::Anthropic, &[&text(rest)]), expect, "{rest}");
        }
    }

    #[test]
    fn the_last_figures_count() {
        let texts = [
            r#"{"prompt_tokens":10,"completion_tokens":1}"#,
            r#"{"prompt_tokens":10,"completion_tokens":2}"#,
        ];
        assert_eq!(
            usage(Dialect::Openai, &texts),
            Usage { input: 10, output: 2, ..Usage::default() }
        );
    }

    #[test]
    fn nonsense_is_ignored_and_flagged() {
        for (text, input, output) in [
            (r#"{"prompt_tokens":-10,"completion_tokens":5}"#, 7, 5),
            (r#"{"prompt_tokens":"10","completion_tokens":5}"#, 7, 5),
            (r#"{"prompt_tokens":10,"completion_tokens":99999999999999999999}"#, 10, 9),
            (r#"{"prompt_tokens":1.5,"completion_tokens":5.0}"#, 7, 5),
            (r#"{"prompt_tokens":10,"completion_tokens":{}}"#, 10, 9),
            (r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":[]}"#, 10, 5),
            (r#"{}"#, 7, 9),
            (r#"[]"#, 7, 9),
        ] {
            let usage = usage(Dialect::Openai, &[text]);
            assert_eq!((usage.input, usage.output), (input, output), "{text}");
            assert!(usage.estimated, "{text}");
        }
    }
}
