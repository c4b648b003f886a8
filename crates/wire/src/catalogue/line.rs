//! A model card as one line of `models.jsonl`. The fields are described in `docs/catalogue.md`.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{
    card::{
        Abilities, Card, Factors, Hours, Kind, Modalities, Mode, OffPeak, RareRates, Rates,
        SearchRates, Unit, UnitRate, Usd, Variant,
    },
    usage::Tier,
};

/// Reads a line.
pub fn read(line: &str) -> Result<Card, String> {
    let line: Line = serde_json::from_str(line).map_err(|why| {
        // Where in the line it stands helps nobody.
        let why = why.to_string();
        why.split_once(" at line 1 ").map_or(why.clone(), |(what, _)| what.to_owned())
    })?;
    line.card()
}

/// Writes a line, without its end.
pub fn write(card: &Card) -> String {
    // Strings and numbers in structs of ours: this cannot fail.
    serde_json::to_string(&Line::of(card)).unwrap_or_default()
}

/// One line. Provider and name come first: lines are sorted by them, and found by them.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Line {
    provider: String,
    name: String,
    #[serde(skip_serializing_if = "is_false")]
    bare: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<Mode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_input: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vector_size: Option<u64>,
    #[serde(skip_serializing_if = "Modalities::is_empty")]
    takes: Modalities,
    #[serde(skip_serializing_if = "Modalities::is_empty")]
    gives: Modalities,
    #[serde(skip_serializing_if = "Abilities::is_empty")]
    can: Abilities,
    #[serde(skip_serializing_if = "Option::is_none")]
    retires: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<Usd>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<Usd>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_read: Option<Usd>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_write: Option<Usd>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_write_1h: Option<Usd>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<Usd>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_audio: Option<Usd>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_audio: Option<Usd>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<Usd>,
    /// Rare kinds of tokens.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tokens: BTreeMap<Kind, Usd>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    variants: Vec<VariantLine>,
    #[serde(skip_serializing_if = "is_false")]
    at_threshold: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    off_peak: Option<OffPeakLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    search: Option<SearchLine>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    factors: BTreeMap<FactorName, Factor>,
    /// `image_out`, `image_out@1024x1024`, …
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    units: BTreeMap<String, Usd>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct VariantLine {
    #[serde(default, skip_serializing_if = "is_standard")]
    tier: Tier,
    #[serde(default, skip_serializing_if = "is_zero")]
    above: u64,
    #[serde(default, skip_serializing_if = "is_false")]
    whole: bool,
    rates: BTreeMap<Kind, Usd>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OffPeakLine {
    /// `1-5 00:30-16:30`: days of the week from Monday, hours in UTC.
    hours: Vec<HoursText>,
    rates: BTreeMap<Kind, Usd>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SearchLine {
    low: Usd,
    medium: Usd,
    high: Usd,
    #[serde(default, skip_serializing_if = "is_false")]
    once: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FactorName {
    Fast,
    UsOnly,
    AtEu,
    AtUs,
    Regional,
}

/// A factor in millionths, written as a decimal number.
struct Factor(u32);

struct HoursText(Hours);

impl Line {
    fn card(self) -> Result<Card, String> {
        if self.provider.is_empty() || self.name.is_empty() {
            return Err("expected a `provider` and a `name`".to_owned());
        }
        let rates = self.rates()?;
        Ok(Card {
            provider: self.provider,
            name: self.name,
            bare: self.bare,
            mode: self.mode,
            max_input: self.max_input,
            max_output: self.max_output,
            vector_size: self.vector_size,
            takes: self.takes,
            gives: self.gives,
            can: self.can,
            retires: self.retires,
            rates,
            units: self
                .units
                .iter()
                .map(|(name, rate)| unit(name, *rate))
                .collect::<Result<_, _>>()?,
        })
    }

    fn rates(&self) -> Result<Option<Rates>, String> {
        let femto = |usd: Option<Usd>| usd.map(|usd| usd.0);
        match (self.input, self.output, self.mode) {
            (Some(_), Some(_), _) => {}
            // What has no answer of tokens has no price of them.
            (Some(_), None, Some(mode)) if !mode.answers_in_tokens() => {}
            (None, Some(_), Some(mode)) if !mode.answers_in_tokens() => {}
            (None, None, _) => {
                let priced = self.cache_read.is_some() || !self.variants.is_empty();
                return match priced {
                    true => Err("expected `input` and `output`, or no rates at all".to_owned()),
                    false => Ok(None),
                };
            }
            _ => return Err("expected both `input` and `output`, or neither".to_owned()),
        }
        let variants: Box<[Variant]> = self.variants.iter().map(VariantLine::variant).collect();
        if !variants.is_sorted_by_key(|variant| variant.above) {
            return Err("`variants`: expected rising thresholds".to_owned());
        }
        let rare = RareRates {
            tokens: pairs(&self.tokens),
            variants,
            at_threshold: self.at_threshold,
            off_peak: self.off_peak.as_ref().map(|off_peak| OffPeak {
                hours: off_peak.hours.iter().map(|hours| hours.0).collect(),
                rates: pairs(&off_peak.rates),
            }),
            search: self.search.as_ref().map(|search| SearchRates {
                low: search.low.0,
                medium: search.medium.0,
                high: search.high.0,
                once: search.once,
            }),
            factors: self.factors(),
        };
        Ok(Some(Rates {
            input: femto(self.input).unwrap_or(0),
            output: femto(self.output).unwrap_or(0),
            cache_read: femto(self.cache_read),
            cache_write: femto(self.cache_write),
            cache_write_1h: femto(self.cache_write_1h),
            reasoning: femto(self.reasoning),
            input_audio: femto(self.input_audio),
            output_audio: femto(self.output_audio),
            request: femto(self.request).unwrap_or(0),
            rare: (rare != RareRates::default()).then(|| Box::new(rare)),
        }))
    }

    fn factors(&self) -> Factors {
        let of = |name: FactorName| self.factors.get(&name).map(|factor| factor.0);
        Factors {
            fast: of(FactorName::Fast),
            us_only: of(FactorName::UsOnly),
            at_eu: of(FactorName::AtEu),
            at_us: of(FactorName::AtUs),
            regional: of(FactorName::Regional),
            always: None,
        }
    }

    fn of(card: &Card) -> Line {
        let mut line = Line {
            provider: card.provider.clone(),
            name: card.name.clone(),
            bare: card.bare,
            mode: card.mode,
            max_input: card.max_input,
            max_output: card.max_output,
            vector_size: card.vector_size,
            takes: card.takes,
            gives: card.gives,
            can: card.can,
            retires: card.retires.clone(),
            units: card.units.iter().map(unit_entry).collect(),
            ..Line::default()
        };
        let Some(rates) = &card.rates else { return line };
        let answers = card.mode.is_none_or(Mode::answers_in_tokens);
        line.input = Some(Usd(rates.input));
        line.output = (answers || rates.output != 0).then_some(Usd(rates.output));
        line.cache_read = rates.cache_read.map(Usd);
        line.cache_write = rates.cache_write.map(Usd);
        line.cache_write_1h = rates.cache_write_1h.map(Usd);
        line.reasoning = rates.reasoning.map(Usd);
        line.input_audio = rates.input_audio.map(Usd);
        line.output_audio = rates.output_audio.map(Usd);
        line.request = (rates.request != 0).then_some(Usd(rates.request));
        if let Some(rare) = &rates.rare {
            line.rare(rare);
        }
        line
    }

    fn rare(&mut self, rare: &RareRates) {
        self.tokens = map(&rare.tokens);
        self.variants = rare
            .variants
            .iter()
            .map(|variant| VariantLine {
                tier: variant.tier,
                above: variant.above,
                whole: variant.whole,
                rates: map(&variant.rates),
            })
            .collect();
        self.at_threshold = rare.at_threshold;
        self.off_peak = rare.off_peak.as_ref().map(|off_peak| OffPeakLine {
            hours: off_peak.hours.iter().copied().map(HoursText).collect(),
            rates: map(&off_peak.rates),
        });
        self.search = rare.search.map(|search| SearchLine {
            low: Usd(search.low),
            medium: Usd(search.medium),
            high: Usd(search.high),
            once: search.once,
        });
        let factors = [
            (FactorName::Fast, rare.factors.fast),
            (FactorName::UsOnly, rare.factors.us_only),
            (FactorName::AtEu, rare.factors.at_eu),
            (FactorName::AtUs, rare.factors.at_us),
            (FactorName::Regional, rare.factors.regional),
        ];
        self.factors = factors
            .into_iter()
            .filter_map(|(name, factor)| factor.map(|factor| (name, Factor(factor))))
            .collect();
    }
}

impl VariantLine {
    fn variant(&self) -> Variant {
        Variant { tier: self.tier, above: self.above, whole: self.whole, rates: pairs(&self.rates) }
    }
}

fn pairs(rates: &BTreeMap<Kind, Usd>) -> Box<[(Kind, i64)]> {
    rates.iter().map(|(kind, usd)| (*kind, usd.0)).collect()
}

fn map(rates: &[(Kind, i64)]) -> BTreeMap<Kind, Usd> {
    rates.iter().map(|(kind, femto)| (*kind, Usd(*femto))).collect()
}

fn unit(name: &str, rate: Usd) -> Result<UnitRate, String> {
    let (unit, of) = name.split_once('@').unwrap_or((name, ""));
    let found = Unit::ALL.into_iter().find(|known| known.name() == unit);
    let unit = found.ok_or_else(|| format!("`units`: `{unit}` is no unit"))?;
    Ok(UnitRate { unit, of: of.into(), rate: rate.0 })
}

fn unit_entry(rate: &UnitRate) -> (String, Usd) {
    let name = rate.unit.name();
    let name = if rate.of.is_empty() { name.to_owned() } else { format!("{name}@{}", rate.of) };
    (name, Usd(rate.rate))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_standard(tier: &Tier) -> bool {
    *tier == Tier::Standard
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let found = Kind::ALL.into_iter().find(|kind| kind.name() == name);
        found.ok_or_else(|| D::Error::custom(format!("`{name}` is no kind of tokens")))
    }
}

impl Serialize for Factor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let millionths = i64::from(self.0).saturating_mul(1_000_000_000);
        serializer.serialize_str(&crate::card::usd_text(millionths))
    }
}

impl<'de> Deserialize<'de> for Factor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Usd(femto) = Usd::deserialize(deserializer)?;
        let factor = u32::try_from(femto / 1_000_000_000).map_err(D::Error::custom)?;
        Ok(Factor(factor))
    }
}

impl Serialize for HoursText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Hours { days, from, until } = self.0;
        let days: String =
            (0..7).filter(|day| days & (1 << day) != 0).map(|day| (b'1' + day) as char).collect();
        let time = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
        serializer.collect_str(&format_args!("{days} {}-{}", time(from), time(until)))
    }
}

impl<'de> Deserialize<'de> for HoursText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        hours(&text).map(HoursText).ok_or_else(|| {
            D::Error::custom(format!(
                "`{text}`: expected days and hours, as in `12345 00:30-16:00`"
            ))
        })
    }
}

fn hours(text: &str) -> Option<Hours> {
    let (days, times) = text.split_once(' ')?;
    let days = days.bytes().try_fold(0_u8, |set, day| {
        (b'1'..=b'7').contains(&day).then(|| set | (1 << (day - b'1')))
    })?;
    let (from, until) = times.split_once('-')?;
    let minute = |time: &str| {
        let (hour, minute) = time.split_once(':')?;
        let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
        (hour < 24 && minute < 60).then_some(hour * 60 + minute)
    };
    Some(Hours { days, from: minute(from)?, until: minute(until)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_all_of_a_card() {
        for text in [
            r#"{"provider":"p","name":"m"}"#,
            r#"{"provider":"p","name":"m","mode":"chat","max_input":1,"max_output":2,"takes":["text","image"],"gives":["text"],"can":["tools","vision"],"retires":"2026-10-01","input":"1e-06","output":"2e-06","cache_read":"1e-07","cache_write":"1.25e-06","cache_write_1h":"2e-06","reasoning":"3e-06","input_audio":"4e-06","output_audio":"5e-06","request":"0.005","tokens":{"cache_write_12h":"3e-06","output_image":"3e-05"},"variants":[{"tier":"priority","rates":{"input":"2e-06"}},{"above":200000,"rates":{"input":"3e-06"}},{"tier":"flex","above":200000,"rates":{"output":"1e-06"}}],"at_threshold":true,"off_peak":{"hours":["12345 10:00-00:00","67 00:00-00:00"],"rates":{"input":"5e-07"}},"search":{"low":"0.01","medium":"0.01","high":"0.02","once":true},"factors":{"fast":"6","us_only":"1.1"}}"#,
            r#"{"provider":"p","name":"m","mode":"embeddings","vector_size":1536,"input":"2e-08"}"#,
            r#"{"provider":"p","name":"m","mode":"images","units":{"image_out":"0.04","image_out@1024x1024:hd":"0.08"}}"#,
            r#"{"provider":"p","name":"m","mode":"chat","input":"0","output":"0","variants":[{"whole":true,"rates":{"input":"1e-06"}},{"above":32000,"whole":true,"rates":{"input":"2e-06"}}]}"#,
        ] {
            let card = read(text).unwrap();
            assert_eq!(write(&card), text);
        }
    }

    #[test]
    fn what_is_no_card_is_refused() {
        let wrong =
            |rest: &str| read(&format!(r#"{{"provider":"p","name":"m",{rest}}}"#)).unwrap_err();
        assert_eq!(read("{}").unwrap_err(), "expected a `provider` and a `name`");
        assert_eq!(
            wrong(r#""mode":"chat","input":"1""#),
            "expected both `input` and `output`, or neither"
        );
        assert_eq!(wrong(r#""can":["fly"]"#), "`fly` is no ability");
        assert_eq!(wrong(r#""units":{"ounce":"1"}"#), "`units`: `ounce` is no unit");
        assert_eq!(wrong(r#""input":"-1","output":"0""#), "a price cannot be negative");
        assert!(wrong(r#""colour":1"#).contains("unknown field `colour`"));
        let variants =
            r#""input":"1","output":"1","variants":[{"above":2,"rates":{}},{"rates":{}}]"#;
        assert_eq!(wrong(variants), "`variants`: expected rising thresholds");
        let hours = r#""off_peak":{"hours":["8 1:00-2:00"],"rates":{}}"#;
        assert!(wrong(hours).starts_with("`8 1:00-2:00`: expected days and hours"));
    }
}
