//! What a model costs. The common prices are flat, because every request reads them; the rare ones
//! stand behind one pointer.

use crate::usage::{SearchSize, Tier};

/// Prices in femto-USD (10⁻¹⁵ USD): 2.5 USD for a million tokens is 2 500 000 000 a token.
///
/// A missing cache rate falls back to `input`, a missing reasoning rate to `output`, any other
/// missing rate of tokens to the rate of its side (LiteLLM's `generic_cost_per_token`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rates {
    /// A prompt token.
    pub input: i64,
    /// An answer token.
    pub output: i64,
    /// A prompt token read from the cache.
    pub cache_read: Option<i64>,
    /// A prompt token written to the cache for five minutes.
    pub cache_write: Option<i64>,
    /// A prompt token written to the cache for an hour.
    pub cache_write_1h: Option<i64>,
    /// A reasoning token.
    pub reasoning: Option<i64>,
    /// An audio token in the prompt.
    pub input_audio: Option<i64>,
    /// An audio token in the answer.
    pub output_audio: Option<i64>,
    /// One request, whatever it consumes.
    pub request: i64,
    /// What few models have.
    pub rare: Option<Box<RareRates>>,
}

/// Prices that few models have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RareRates {
    /// Rates of rare kinds of tokens.
    pub tokens: Box<[(Kind, i64)]>,
    /// Rates that take the place of others for long prompts and for service tiers, by rising
    /// threshold.
    pub variants: Box<[Variant]>,
    /// Whether a prompt of exactly as many tokens as a threshold says is above it.
    pub at_threshold: bool,
    /// Rates at certain hours.
    pub off_peak: Option<OffPeak>,
    /// A web search.
    pub search: Option<SearchRates>,
    /// What all token rates are multiplied with.
    pub factors: Factors,
}

/// A kind of tokens that has a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Of the prompt.
    Input,
    /// Of the answer.
    Output,
    /// Read from the cache.
    CacheRead,
    /// Audio read from the cache.
    CacheReadAudio,
    /// Written to the cache for five minutes.
    CacheWrite,
    /// Written to the cache for an hour.
    CacheWrite1h,
    /// Written to the cache for twelve hours.
    CacheWrite12h,
    /// Audio in the prompt.
    InputAudio,
    /// Images in the prompt.
    InputImage,
    /// Video in the prompt.
    InputVideo,
    /// Reasoning.
    Reasoning,
    /// Audio in the answer.
    OutputAudio,
    /// Images in the answer.
    OutputImage,
    /// Video in the answer.
    OutputVideo,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 14] = [
        Kind::Input,
        Kind::Output,
        Kind::CacheRead,
        Kind::CacheReadAudio,
        Kind::CacheWrite,
        Kind::CacheWrite1h,
        Kind::CacheWrite12h,
        Kind::InputAudio,
        Kind::InputImage,
        Kind::InputVideo,
        Kind::Reasoning,
        Kind::OutputAudio,
        Kind::OutputImage,
        Kind::OutputVideo,
    ];

    /// The name in the catalogue.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Input => "input",
            Kind::Output => "output",
            Kind::CacheRead => "cache_read",
            Kind::CacheReadAudio => "cache_read_audio",
            Kind::CacheWrite => "cache_write",
            Kind::CacheWrite1h => "cache_write_1h",
            Kind::CacheWrite12h => "cache_write_12h",
            Kind::InputAudio => "input_audio",
            Kind::InputImage => "input_image",
            Kind::InputVideo => "input_video",
            Kind::Reasoning => "reasoning",
            Kind::OutputAudio => "output_audio",
            Kind::OutputImage => "output_image",
            Kind::OutputVideo => "output_video",
        }
    }
}

/// Rates that replace others under a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// The tier they are for. Those of [`Tier::Standard`] are for every tier but batches, where
    /// the tier has none of its own.
    pub tier: Tier,
    /// For prompts of more tokens than this; the whole request is charged at these rates.
    pub above: u64,
    /// Whether they replace all rates, not only those that they name: a step of a price list that
    /// is nothing but steps.
    pub whole: bool,
    /// The rates.
    pub rates: Box<[(Kind, i64)]>,
}

/// Rates at certain hours of the day, in UTC.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OffPeak {
    /// When.
    pub hours: Box<[Hours]>,
    /// The rates that then replace the others.
    pub rates: Box<[(Kind, i64)]>,
}

/// Hours of some days of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours {
    /// Bit 0 is Monday. Which day it is, is asked at the moment itself, not at the start.
    pub days: u8,
    /// Minutes after midnight. If it is not less than `until`, midnight lies between them.
    pub from: u16,
    /// Minutes after midnight, not included.
    pub until: u16,
}

impl OffPeak {
    /// Whether the hours are these.
    pub fn is_on(&self, unix_s: i64) -> bool {
        let minute = unix_s.div_euclid(60);
        let now = minute.rem_euclid(24 * 60);
        // The first day of 1970 was a Thursday.
        let weekday = (minute.div_euclid(24 * 60) + 3).rem_euclid(7);
        self.hours.iter().any(|hours| {
            let (from, until) = (i64::from(hours.from), i64::from(hours.until));
            let within = if from < until {
                (from..until).contains(&now)
            } else {
                now >= from || now < until
            };
            within && hours.days & (1 << weekday) != 0
        })
    }
}

/// A web search, by how much of what it finds is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SearchRates {
    /// Little.
    pub low: i64,
    /// What is usual.
    pub medium: i64,
    /// Much.
    pub high: i64,
    /// Charged once for a request that searches, however often it does.
    pub once: bool,
}

impl SearchRates {
    /// The rate for a size.
    pub const fn of(&self, size: SearchSize) -> i64 {
        match size {
            SearchSize::Low => self.low,
            SearchSize::Medium => self.medium,
            SearchSize::High => self.high,
        }
    }
}

/// What all token rates are multiplied with, in millionths; `None`: the same as 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Factors {
    /// In Anthropic's fast mode.
    pub fast: Option<u32>,
    /// Where the answer was made in the United States alone, as asked ([`crate::Usage::us_only`]).
    pub us_only: Option<u32>,
    /// At OpenAI's address for Europe.
    pub at_eu: Option<u32>,
    /// At OpenAI's address for the United States.
    pub at_us: Option<u32>,
    /// At the address of a region, not the global one: Vertex AI's.
    pub regional: Option<u32>,
    /// In any case: whoever made these rates knows that the address is one of those.
    pub always: Option<u32>,
}

/// The price of something that is not counted in tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitRate {
    /// Of what.
    pub unit: Unit,
    /// For which size, quality or resolution; empty: for all others.
    pub of: Box<str>,
    /// Femto-USD.
    pub rate: i64,
}

/// Something that is sold and is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unit {
    /// An image in the prompt.
    ImageIn,
    /// An image in the answer.
    ImageOut,
    /// A pixel in the prompt.
    PixelIn,
    /// A pixel in the answer.
    PixelOut,
    /// A second of what is put in; of time, where neither audio nor video is.
    SecondIn,
    /// A second of what comes out.
    SecondOut,
    /// A second of audio put in.
    AudioSecondIn,
    /// A second of video put in.
    VideoSecondIn,
    /// A character put in.
    CharacterIn,
    /// A character that comes out.
    CharacterOut,
    /// A query: a search, a reranking.
    Query,
    /// A page that is read.
    Page,
    /// A page that is annotated.
    AnnotatedPage,
    /// A credit of the provider's.
    Credit,
    /// A search on a map.
    MapsQuery,
    /// A token that is cited.
    Citation,
    /// A session of a code interpreter.
    CodeSession,
    /// A search in files.
    FileSearch,
    /// A gigabyte of files kept for a day.
    FileGbDay,
}

impl Unit {
    /// All of them.
    pub const ALL: [Unit; 19] = [
        Unit::ImageIn,
        Unit::ImageOut,
        Unit::PixelIn,
        Unit::PixelOut,
        Unit::SecondIn,
        Unit::SecondOut,
        Unit::AudioSecondIn,
        Unit::VideoSecondIn,
        Unit::CharacterIn,
        Unit::CharacterOut,
        Unit::Query,
        Unit::Page,
        Unit::AnnotatedPage,
        Unit::Credit,
        Unit::MapsQuery,
        Unit::Citation,
        Unit::CodeSession,
        Unit::FileSearch,
        Unit::FileGbDay,
    ];

    /// The name in the catalogue.
    pub const fn name(self) -> &'static str {
        match self {
            Unit::ImageIn => "image_in",
            Unit::ImageOut => "image_out",
            Unit::PixelIn => "pixel_in",
            Unit::PixelOut => "pixel_out",
            Unit::SecondIn => "second_in",
            Unit::SecondOut => "second_out",
            Unit::AudioSecondIn => "audio_second_in",
            Unit::VideoSecondIn => "video_second_in",
            Unit::CharacterIn => "character_in",
            Unit::CharacterOut => "character_out",
            Unit::Query => "query",
            Unit::Page => "page",
            Unit::AnnotatedPage => "annotated_page",
            Unit::Credit => "credit",
            Unit::MapsQuery => "maps_query",
            Unit::Citation => "citation",
            Unit::CodeSession => "code_session",
            Unit::FileSearch => "file_search",
            Unit::FileGbDay => "file_gb_day",
        }
    }
}

/// The rates of tokens by kind, as far as they are known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TokenRates {
    /// Of the prompt.
    pub input: Option<i64>,
    /// Of the answer.
    pub output: Option<i64>,
    /// Read from the cache.
    pub cache_read: Option<i64>,
    /// Audio read from the cache.
    pub cache_read_audio: Option<i64>,
    /// Written to the cache for five minutes.
    pub cache_write: Option<i64>,
    /// Written to the cache for an hour.
    pub cache_write_1h: Option<i64>,
    /// Written to the cache for twelve hours.
    pub cache_write_12h: Option<i64>,
    /// Audio in the prompt.
    pub input_audio: Option<i64>,
    /// Images in the prompt.
    pub input_image: Option<i64>,
    /// Video in the prompt.
    pub input_video: Option<i64>,
    /// Reasoning.
    pub reasoning: Option<i64>,
    /// Audio in the answer.
    pub output_audio: Option<i64>,
    /// Images in the answer.
    pub output_image: Option<i64>,
    /// Video in the answer.
    pub output_video: Option<i64>,
}

impl TokenRates {
    /// The rate's place.
    pub const fn place(&mut self, kind: Kind) -> &mut Option<i64> {
        match kind {
            Kind::Input => &mut self.input,
            Kind::Output => &mut self.output,
            Kind::CacheRead => &mut self.cache_read,
            Kind::CacheReadAudio => &mut self.cache_read_audio,
            Kind::CacheWrite => &mut self.cache_write,
            Kind::CacheWrite1h => &mut self.cache_write_1h,
            Kind::CacheWrite12h => &mut self.cache_write_12h,
            Kind::InputAudio => &mut self.input_audio,
            Kind::InputImage => &mut self.input_image,
            Kind::InputVideo => &mut self.input_video,
            Kind::Reasoning => &mut self.reasoning,
            Kind::OutputAudio => &mut self.output_audio,
            Kind::OutputImage => &mut self.output_image,
            Kind::OutputVideo => &mut self.output_video,
        }
    }

    /// Lays rates over these.
    pub fn lay(&mut self, rates: &[(Kind, i64)]) {
        for (kind, rate) in rates {
            *self.place(*kind) = Some(*rate);
        }
    }
}

impl Rates {
    /// The rates by kind, as they stand: no variant is chosen.
    pub fn tokens(&self) -> TokenRates {
        let mut rates = TokenRates {
            input: Some(self.input),
            output: Some(self.output),
            cache_read: self.cache_read,
            cache_write: self.cache_write,
            cache_write_1h: self.cache_write_1h,
            reasoning: self.reasoning,
            input_audio: self.input_audio,
            output_audio: self.output_audio,
            ..TokenRates::default()
        };
        if let Some(rare) = &self.rare {
            rates.lay(&rare.tokens);
        }
        rates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_of_days() {
        let off_peak = OffPeak {
            hours: Box::new([
                Hours { days: 0b001_1111, from: 600, until: 660 },
                Hours { days: 0b110_0000, from: 0, until: 0 },
                Hours { days: 0b111_1111, from: 1_410, until: 30 },
            ]),
            rates: Box::default(),
        };
        // Thursday, the first of January 1970, and the days after it.
        let at = |day: i64, hour: i64, minute: i64| ((day * 24 + hour) * 60 + minute) * 60;
        for (day, hour, minute, on) in [
            (0, 9, 59, false),
            (0, 10, 0, true),
            (0, 10, 59, true),
            (0, 11, 0, false),
            (0, 23, 30, true),
            (0, 0, 29, true),
            (0, 0, 30, false),
            (2, 12, 0, true),
            (3, 23, 59, true),
            (4, 12, 0, false),
            (4 - 7 * 52, 12, 0, false),
            (3 - 7 * 52, 12, 0, true),
        ] {
            assert_eq!(off_peak.is_on(at(day, hour, minute)), on, "{day} {hour}:{minute}");
        }
    }
}
