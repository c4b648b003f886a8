//! One entry of the price map.

use std::{borrow::Cow, collections::BTreeMap};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{PriceMap, habit, mode, name, provider};
use crate::{
    card::{
        Abilities, Ability, Card, Factors, Hours, Kind, Modalities, Modality, Mode, OffPeak,
        RareRates, Rates, SearchRates, Unit, UnitRate, Variant, femto_from_usd_text,
    },
    usage::Tier,
};

type Members<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

/// An entry while it is read.
pub(super) struct Entry<'a> {
    provider: &'a str,
    name: &'a str,
    /// What was not read yet.
    rest: Members<'a>,
}

/// Rates of tokens: by threshold, by tier.
type ByVariant = BTreeMap<(u64, Tier), Vec<(Kind, i64)>>;

impl<'a> Entry<'a> {
    /// The entry's card, and whether its key names the provider.
    pub(super) fn read(
        key: &'a str,
        raw: &'a RawValue,
        map: &mut PriceMap,
    ) -> Result<(Card, bool), String> {
        let mut rest: Members<'a> =
            serde_json::from_str(raw.get()).map_err(|_| "expected an object".to_owned())?;
        let litellm: &str = rest
            .remove("litellm_provider")
            .and_then(|raw| serde_json::from_str(raw.get()).ok())
            .ok_or("expected a `litellm_provider`")?;
        let provider = provider(litellm);
        let (name, named) = name(key, litellm, provider);
        let mut entry = Entry { provider, name, rest };
        let card = entry.card(!named, map, key)?;
        for field in entry.rest.keys().filter(|field| !is_told_elsewhere(field)) {
            *map.unread.entry(field.to_string()).or_default() += 1;
        }
        Ok((card, named))
    }

    fn card(&mut self, bare: bool, map: &mut PriceMap, key: &str) -> Result<Card, String> {
        let mode = self.text("mode").map(|word| mode(&word));
        let can = self.abilities();
        let mut units = self.units()?;
        let mut rates = self.rates()?;
        let priced = |kind: Kind| {
            rates.iter().any(|((above, tier), rates)| {
                (*above, *tier) == (0, Tier::Standard) && rates.iter().any(|(k, _)| *k == kind)
            })
        };
        let steps = self.steps()?;
        let in_tokens = (priced(Kind::Input), priced(Kind::Output));
        let whole = match mode {
            Some(mode) if !mode.answers_in_tokens() => in_tokens.0 || in_tokens.1,
            Some(_) | None => in_tokens.0 && in_tokens.1 || !steps.is_empty(),
        };
        if !whole && (in_tokens.0 || in_tokens.1) {
            let half = if in_tokens.0 { "the answer" } else { "the prompt" };
            map.skipped.push((key.to_owned(), format!("no price of {half}: left without prices")));
        }
        let request = self.price("input_cost_per_request")?;
        let rare = self.rare(mode)?;
        let rates = match whole {
            true => Some(self.put_together(&mut rates, steps, rare, request.unwrap_or(0))),
            false => None,
        };
        units.sort_by(|a, b| (a.unit, &a.of).cmp(&(b.unit, &b.of)));
        Ok(Card {
            provider: self.provider.to_owned(),
            name: self.name.to_owned(),
            bare,
            mode,
            max_input: self.whole("max_input_tokens"),
            max_output: self.whole("max_output_tokens"),
            vector_size: self.whole("output_vector_size"),
            takes: self.modalities("supported_modalities"),
            gives: self.modalities("supported_output_modalities"),
            can,
            retires: self.text("deprecation_date").filter(|day| is_day(day)).map(String::into),
            rates,
            units: units.into(),
        })
    }

    fn put_together(
        &self,
        rates: &mut ByVariant,
        steps: Vec<Variant>,
        mut rare: RareRates,
        request: i64,
    ) -> Rates {
        let mut base: BTreeMap<Kind, i64> =
            rates.remove(&(0, Tier::Standard)).unwrap_or_default().into_iter().collect();
        if let Some(first) = steps.first() {
            // The first step stands for what is asked without a size.
            for (kind, rate) in &first.rates {
                base.entry(*kind).or_insert(*rate);
            }
        }
        let fallback = base.get(&Kind::Input).copied().unwrap_or(0);
        let habit = habit(self.provider, self.name);
        if habit.halves_cache {
            base.entry(Kind::CacheRead).or_insert(fallback / 2);
        }
        let mut take = |kind: Kind| base.remove(&kind);
        let rates_of = std::mem::take(rates);
        let mut out = Rates {
            input: take(Kind::Input).unwrap_or(0),
            output: take(Kind::Output).unwrap_or(0),
            cache_read: take(Kind::CacheRead),
            cache_write: take(Kind::CacheWrite),
            cache_write_1h: take(Kind::CacheWrite1h),
            reasoning: take(Kind::Reasoning),
            input_audio: take(Kind::InputAudio),
            output_audio: take(Kind::OutputAudio),
            request,
            rare: None,
        };
        rare.tokens = base.into_iter().collect();
        rare.variants = if steps.is_empty() {
            let variant = |((above, tier), mut rates): (_, Vec<_>)| {
                rates.sort_unstable();
                Variant { tier, above, whole: false, rates: rates.into() }
            };
            rates_of.into_iter().map(variant).collect()
        } else {
            steps.into()
        };
        rare.at_threshold = habit.at_threshold && rare.variants.iter().any(|v| v.above > 0);
        if rare != RareRates::default() {
            out.rare = Some(Box::new(rare));
        }
        out
    }

    fn rates(&mut self) -> Result<ByVariant, String> {
        let mut rates = ByVariant::new();
        let fields: Vec<_> = self.rest.keys().cloned().collect();
        for field in fields {
            let Some((kind, above, tier)) = token_field(&field) else { continue };
            if let Some(rate) = self.price(&field)? {
                rates.entry((above, tier)).or_default().push((kind, rate));
            }
        }
        Ok(rates)
    }

    /// `tiered_pricing`: all rates by the size of the prompt.
    fn steps(&mut self) -> Result<Vec<Variant>, String> {
        let Some(raw) = self.rest.get("tiered_pricing") else { return Ok(Vec::new()) };
        let Ok(list) = serde_json::from_str::<Vec<Members<'_>>>(raw.get()) else {
            return Ok(Vec::new());
        };
        let mut steps = Vec::new();
        for members in &list {
            let range = members.get("range").and_then(|raw| serde_json::from_str(raw.get()).ok());
            let Some([from, _]): Option<[f64; 2]> = range else { continue };
            let mut rates: Vec<(Kind, i64)> = Vec::new();
            for (field, raw) in members {
                if let Some((kind, 0, Tier::Standard)) = token_field(field)
                    && let Some(rate) = price(field, raw)?
                {
                    rates.push((kind, rate));
                }
            }
            if rates.iter().any(|(kind, _)| *kind == Kind::Input) {
                rates.sort_unstable();
                let above = from.max(0.0) as u64;
                steps.push(Variant {
                    tier: Tier::Standard,
                    above,
                    whole: true,
                    rates: rates.into(),
                });
            }
        }
        steps.sort_by_key(|step| step.above);
        if !steps.is_empty() {
            self.rest.remove("tiered_pricing");
        }
        Ok(steps)
    }

    fn rare(&mut self, mode: Option<Mode>) -> Result<RareRates, String> {
        Ok(RareRates {
            off_peak: self.off_peak()?,
            search: self.search(mode)?,
            factors: self.factors()?,
            ..RareRates::default()
        })
    }

    /// `{"hours_utc": "16:30-00:30", "windows": [{"hours_utc": […], "weekdays": [1, …, 7]}], …}`
    fn off_peak(&mut self) -> Result<Option<OffPeak>, String> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Times {
            One(String),
            Many(Vec<String>),
        }
        #[derive(Deserialize)]
        struct Window {
            hours_utc: Times,
            weekdays: Option<Vec<u8>>,
        }
        let Some(raw) = self.rest.remove("off_peak_pricing") else { return Ok(None) };
        let members: Members<'_> = serde_json::from_str(raw.get())
            .map_err(|_| "`off_peak_pricing`: expected an object")?;
        let bad = |_| "`off_peak_pricing`: expected hours".to_owned();
        let mut windows: Vec<Window> = match members.get("windows") {
            Some(raw) => serde_json::from_str(raw.get()).map_err(bad)?,
            None => Vec::new(),
        };
        if let Some(raw) = members.get("hours_utc") {
            let hours_utc = serde_json::from_str(raw.get()).map_err(bad)?;
            windows.push(Window { hours_utc, weekdays: None });
        }
        let mut hours = Vec::new();
        for window in windows {
            let days = window.weekdays.map_or(0b111_1111, |days| {
                let known = days.into_iter().filter(|day| (1..=7).contains(day));
                known.fold(0, |set, day| set | 1 << (day - 1))
            });
            let times = match window.hours_utc {
                Times::One(times) => vec![times],
                Times::Many(times) => times,
            };
            hours.extend(times.iter().filter_map(|times| {
                let (from, until) = times.split_once('-')?;
                Some(Hours { days, from: minute(from)?, until: minute(until)? })
            }));
        }
        let mut rates = Vec::new();
        for (field, raw) in &members {
            if let Some((kind, 0, Tier::Standard)) = token_field(field)
                && let Some(rate) = price(field, raw)?
            {
                rates.push((kind, rate));
            }
        }
        rates.sort_unstable();
        Ok(Some(OffPeak { hours: hours.into(), rates: rates.into() }))
    }

    fn search(&mut self, mode: Option<Mode>) -> Result<Option<SearchRates>, String> {
        let habit = habit(self.provider, self.name);
        let once = habit.searches_once
            && self.text("web_search_billing_unit").as_deref() != Some("per_query");
        let sizes: Option<Members<'_>> = self
            .rest
            .remove("search_context_cost_per_query")
            .and_then(|raw| serde_json::from_str(raw.get()).ok());
        let Some(sizes) = sizes else {
            let searches = mode.is_some_and(Mode::answers_in_tokens);
            let Some(usual) = habit.search.filter(|_| searches) else { return Ok(None) };
            return Ok(Some(SearchRates { low: usual, medium: usual, high: usual, once }));
        };
        let of = |size: &str| match sizes.get(size) {
            Some(raw) => price("search_context_cost_per_query", raw),
            None => Ok(None),
        };
        let low = of("search_context_size_low")?;
        let high = of("search_context_size_high")?;
        let medium = of("search_context_size_medium")?.or(low).or(high).unwrap_or(0);
        Ok(Some(SearchRates {
            low: low.unwrap_or(medium),
            medium,
            high: high.unwrap_or(medium),
            once,
        }))
    }

    fn factors(&mut self) -> Result<Factors, String> {
        let own: Members<'_> = self
            .rest
            .get("provider_specific_entry")
            .and_then(|raw| serde_json::from_str(raw.get()).ok())
            .unwrap_or_default();
        let of = |members: &Members<'_>, name: &str| -> Result<Option<u32>, String> {
            let Some(raw) = members.get(name) else { return Ok(None) };
            let Some(femto) = price(name, raw)? else { return Ok(None) };
            // As a price of 1.1 USD is 1 100 000 millionths of one.
            let factor = u32::try_from(femto / 1_000_000_000).map_err(|why| why.to_string())?;
            Ok((factor != 1_000_000).then_some(factor))
        };
        let factors = Factors {
            fast: of(&own, "fast")?,
            us_only: of(&own, "us")?,
            at_eu: of(&self.rest, "regional_processing_uplift_multiplier_eu")?,
            at_us: of(&self.rest, "regional_processing_uplift_multiplier_us")?,
            regional: of(&self.rest, "regional_endpoint_uplift_multiplier")?,
            always: None,
        };
        for name in [
            "regional_processing_uplift_multiplier_eu",
            "regional_processing_uplift_multiplier_us",
            "regional_endpoint_uplift_multiplier",
        ] {
            self.rest.remove(name);
        }
        if factors.fast.or(factors.us_only).is_some() {
            self.rest.remove("provider_specific_entry");
        }
        Ok(factors)
    }

    fn units(&mut self) -> Result<Vec<UnitRate>, String> {
        let mut units: Vec<UnitRate> = Vec::new();
        let fields: Vec<_> = self.rest.keys().cloned().collect();
        for field in fields {
            let Some((unit, of, each)) = unit_field(&field) else { continue };
            if let Some(rate) = self.price(&field)? {
                let known = units.iter().any(|known| known.unit == unit && *known.of == *of);
                if !known {
                    units.push(UnitRate { unit, of: of.into(), rate: rate / each });
                }
            }
        }
        Ok(units)
    }

    fn abilities(&mut self) -> Abilities {
        let has = |ability: &Ability| {
            self.rest.remove(ability.litellm()).is_some_and(|raw| raw.get() == "true")
        };
        Ability::ALL.into_iter().filter(has).collect()
    }

    fn modalities(&mut self, field: &str) -> Modalities {
        let Some(raw) = self.rest.remove(field) else { return Modalities::default() };
        let words: Vec<String> = serde_json::from_str(raw.get()).unwrap_or_default();
        let known = words.iter().filter_map(|word| match word.as_str() {
            "text" | "code" => Some(Modality::Text),
            "image" => Some(Modality::Image),
            "audio" | "speech" => Some(Modality::Audio),
            "video" => Some(Modality::Video),
            "file" | "pdf" | "document" => Some(Modality::File),
            "embedding" | "embeddings" => Some(Modality::Vector),
            _ => None,
        });
        known.collect()
    }

    fn text(&mut self, field: &str) -> Option<String> {
        serde_json::from_str(self.rest.remove(field)?.get()).ok()
    }

    fn whole(&mut self, field: &str) -> Option<u64> {
        let raw = self.rest.remove(field)?;
        let number: f64 = raw.get().trim_matches('"').parse().ok()?;
        (number >= 1.0 && number.fract() == 0.0 && number < 1e15).then_some(number as u64)
    }

    fn price(&mut self, field: &str) -> Result<Option<i64>, String> {
        match self.rest.remove(field) {
            Some(raw) => price(field, raw),
            None => Ok(None),
        }
    }
}

/// A price as a number or a string, exactly as it is written.
fn price(field: &str, raw: &RawValue) -> Result<Option<i64>, String> {
    let text = raw.get();
    if text == "null" {
        return Ok(None);
    }
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    femto_from_usd_text(text).map(Some).map_err(|why| format!("`{field}`: {why}"))
}

/// What a rate of tokens is for: kind, threshold, tier.
fn token_field(field: &str) -> Option<(Kind, u64, Tier)> {
    const TIERS: [(&str, Tier); 5] = [
        ("_priority", Tier::Priority),
        ("_flex", Tier::Flex),
        ("_batches", Tier::Batch),
        ("_balanced", Tier::Balanced),
        ("_ultrafast", Tier::Ultrafast),
    ];
    let tier = |field: &'_ str| {
        let found = TIERS
            .iter()
            .find_map(|(suffix, tier)| Some((field.strip_suffix(suffix)?.len(), *tier)));
        found.unwrap_or((field.len(), Tier::Standard))
    };
    let (end, tier) = tier(field);
    let field = field.get(..end)?;
    let (stem, above) = match field.strip_suffix("_tokens").and_then(|f| f.rsplit_once("_above_")) {
        Some((stem, size)) => {
            let thousands = size.strip_suffix('k');
            let size: u64 = thousands.unwrap_or(size).parse().ok()?;
            (stem, if thousands.is_some() { size.checked_mul(1_000)? } else { size })
        }
        None => (field, 0),
    };
    let kind = match stem {
        "input_cost_per_token" => Kind::Input,
        "output_cost_per_token" => Kind::Output,
        "cache_read_input_token_cost" => Kind::CacheRead,
        "cache_read_input_audio_token_cost" => Kind::CacheReadAudio,
        "cache_creation_input_token_cost" => Kind::CacheWrite,
        "cache_creation_input_token_cost_above_1hr" => Kind::CacheWrite1h,
        "cache_creation_input_token_cost_above_12hr" => Kind::CacheWrite12h,
        "input_cost_per_audio_token" => Kind::InputAudio,
        "input_cost_per_image_token" => Kind::InputImage,
        "input_cost_per_video_token" => Kind::InputVideo,
        "output_cost_per_reasoning_token" => Kind::Reasoning,
        "output_cost_per_audio_token" => Kind::OutputAudio,
        "output_cost_per_image_token" => Kind::OutputImage,
        "output_cost_per_video_token" => Kind::OutputVideo,
        _ => return None,
    };
    Some((kind, above, tier))
}

/// What else a price is for: the unit, its size or resolution, and how many the price is of.
fn unit_field(field: &str) -> Option<(Unit, &str, i64)> {
    let (unit, each) = match field {
        "input_cost_per_image" => (Unit::ImageIn, 1),
        "output_cost_per_image" => (Unit::ImageOut, 1),
        "input_cost_per_pixel" => (Unit::PixelIn, 1),
        "output_cost_per_pixel" => (Unit::PixelOut, 1),
        "input_cost_per_second" | "cost_per_second" => (Unit::SecondIn, 1),
        "output_cost_per_second" | "output_cost_per_video_per_second" => (Unit::SecondOut, 1),
        "input_cost_per_audio_per_second" => (Unit::AudioSecondIn, 1),
        "input_cost_per_video_per_second" => (Unit::VideoSecondIn, 1),
        "input_cost_per_character" => (Unit::CharacterIn, 1),
        "output_cost_per_character" => (Unit::CharacterOut, 1),
        "input_cost_per_query" => (Unit::Query, 1),
        "ocr_cost_per_page" => (Unit::Page, 1),
        "ocr_cost_per_page_batches" => return Some((Unit::Page, "batch", 1)),
        "annotation_cost_per_page" => (Unit::AnnotatedPage, 1),
        "annotation_cost_per_page_batches" => return Some((Unit::AnnotatedPage, "batch", 1)),
        "ocr_cost_per_credit" => (Unit::Credit, 1),
        "google_maps_grounding_cost_per_query" => (Unit::MapsQuery, 1),
        "citation_cost_per_token" => (Unit::Citation, 1),
        "code_interpreter_cost_per_session" => (Unit::CodeSession, 1),
        "file_search_cost_per_1k_calls" => (Unit::FileSearch, 1_000),
        "file_search_cost_per_gb_per_day" | "vector_store_cost_per_gb_per_day" => {
            (Unit::FileGbDay, 1)
        }
        _ => {
            let resolution = field.strip_prefix("output_cost_per_second_");
            let size = field.strip_prefix("output_cost_per_image_");
            return match (resolution, size) {
                (Some(resolution), _) => Some((Unit::SecondOut, resolution, 1)),
                (None, Some(size)) if !size.starts_with("token") => Some((Unit::ImageOut, size, 1)),
                (None, Some(_) | None) => None,
            };
        }
    };
    Some((unit, "", each))
}

/// What says nothing about a model, or what another field says, too.
fn is_told_elsewhere(field: &str) -> bool {
    matches!(
        field,
        "source" | "metadata" | "comment" | "max_tokens" | "supported_endpoints" | "rpm" | "tpm"
    )
}

fn is_day(text: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<&str> = text.split('-').collect();
    matches!(parts.as_slice(), [year, month, day]
        if [year, month, day].iter().all(|part| digits(part))
            && (year.len(), month.len(), day.len()) == (4, 2, 2))
}

fn minute(time: &str) -> Option<u16> {
    let (hour, minute) = time.trim().split_once(':')?;
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    (hour < 24 && minute < 60).then_some(hour * 60 + minute)
}
