//! Reads the price list of Pydantic's `genai-prices` into model cards, for providers that LiteLLM's
//! map has no prices of. <https://github.com/pydantic/genai-prices>
//!
//! A list of providers, each with its models; prices are for a million tokens or a thousand
//! requests, some with tiers by the length of the prompt, some from a day on.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{
    card::{Card, Kind, Mode, RareRates, Rates, SearchRates, Variant, femto_from_usd_text},
    usage::Tier,
};

/// What a list says.
#[derive(Debug, Default)]
pub struct PriceList {
    /// The models, by provider and name.
    pub cards: Vec<Card>,
    /// What could not be used, and why.
    pub skipped: Vec<(String, String)>,
}

/// Its providers whose models it calls as their API does, our names of them, and what comes before
/// a model's name at ours.
const PROVIDERS: [(&str, &str, &str); 16] = [
    ("arcee", "arcee", ""),
    ("avian", "avian", ""),
    ("doubleword", "doubleword", ""),
    ("openrouter", "openrouter", ""),
    ("quicksilverpro", "quicksilverpro", ""),
    ("huggingface_cerebras", "huggingface", "cerebras/"),
    ("huggingface_fireworks-ai", "huggingface", "fireworks-ai/"),
    ("huggingface_groq", "huggingface", "groq/"),
    ("huggingface_hyperbolic", "huggingface", "hyperbolic/"),
    ("huggingface_nebius", "huggingface", "nebius/"),
    ("huggingface_novita", "huggingface", "novita/"),
    ("huggingface_nscale", "huggingface", "nscale/"),
    ("huggingface_ovhcloud", "huggingface", "ovhcloud/"),
    ("huggingface_publicai", "huggingface", "publicai/"),
    ("huggingface_sambanova", "huggingface", "sambanova/"),
    ("huggingface_together", "huggingface", "together/"),
];

/// Its names of prices a million tokens.
const KINDS: [(&str, Kind); 13] = [
    ("input_mtok", Kind::Input),
    ("output_mtok", Kind::Output),
    ("cache_read_mtok", Kind::CacheRead),
    ("cache_audio_read_mtok", Kind::CacheReadAudio),
    ("cache_write_mtok", Kind::CacheWrite),
    ("cache_write_1h_mtok", Kind::CacheWrite1h),
    ("input_audio_mtok", Kind::InputAudio),
    ("input_image_mtok", Kind::InputImage),
    ("input_video_mtok", Kind::InputVideo),
    ("output_reasoning_mtok", Kind::Reasoning),
    ("output_audio_mtok", Kind::OutputAudio),
    ("output_image_mtok", Kind::OutputImage),
    ("output_video_mtok", Kind::OutputVideo),
];

#[derive(Deserialize)]
struct Listed {
    id: String,
    models: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    id: String,
    #[serde(default)]
    context_window: Option<u64>,
    prices: Prices,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Prices {
    /// One list; the last of those whose day has come counts.
    Dated(Vec<Dated>),
    Plain(BTreeMap<String, Price>),
}

#[derive(Deserialize)]
struct Dated {
    #[serde(default)]
    constraint: Option<Constraint>,
    prices: BTreeMap<String, Price>,
}

#[derive(Deserialize)]
struct Constraint {
    /// `2026-10-18`
    #[serde(default)]
    start_date: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Price {
    Text(String),
    Number(serde_json::Number),
    Tiered { base: Box<Price>, tiers: Vec<Step> },
}

#[derive(Deserialize)]
struct Step {
    /// Tokens of the prompt above which the whole request is charged so.
    start: u64,
    price: Box<Price>,
}

/// Reads a list as of a day (`2026-11-22`). Models that make no sense are skipped and named.
pub fn read(text: &str, day: &str) -> Result<PriceList, String> {
    let all: Vec<Listed> =
        serde_json::from_str(text).map_err(|why| format!("expected a list of providers: {why}"))?;
    let mut list = PriceList::default();
    for listed in all {
        let known = PROVIDERS.iter().find(|(theirs, ..)| *theirs == listed.id);
        let Some((_, provider, before)) = known else { continue };
        for model in listed.models {
            let name = [before, &*model.id].concat();
            match card(provider, name.clone(), model, day) {
                Ok(card) => list.cards.push(card),
                Err(why) => list.skipped.push((format!("{provider}/{name}"), why)),
            }
        }
    }
    Ok(list)
}

fn card(provider: &str, name: String, model: Model, day: &str) -> Result<Card, String> {
    let prices = match model.prices {
        Prices::Plain(prices) => prices,
        Prices::Dated(dated) => as_of(dated, day)?,
    };
    let mut rates = Rates::default();
    let mut variants: BTreeMap<u64, Vec<(Kind, i64)>> = BTreeMap::new();
    let mut rare = RareRates::default();
    let mut tokens = Vec::new();
    let (mut asks, mut answers) = (false, false);
    for (field, price) in &prices {
        if let Some((_, kind)) = KINDS.iter().find(|(theirs, _)| theirs == field) {
            let (base, steps) = match price {
                Price::Tiered { base, tiers } => (&**base, tiers.as_slice()),
                Price::Text(_) | Price::Number(_) => (price, [].as_slice()),
            };
            for step in steps {
                variants.entry(step.start).or_default().push((*kind, femto(&step.price, 6)?));
            }
            asks |= *kind == Kind::Input;
            answers |= *kind == Kind::Output;
            put(&mut rates, &mut tokens, *kind, femto(base, 6)?);
            continue;
        }
        match field.as_str() {
            "requests_kcount" => rates.request = femto(price, 3)?,
            "web_searches_kcount" => {
                let rate = femto(price, 3)?;
                rare.search =
                    Some(SearchRates { low: rate, medium: rate, high: rate, once: false });
            }
            other => return Err(format!("no place for `{other}`")),
        }
    }
    let lower = name.to_ascii_lowercase();
    let mode = match (asks, answers) {
        (true, true) => Mode::Chat,
        (true, false) if lower.contains("embed") => Mode::Embeddings,
        (true, false) if lower.contains("rerank") => Mode::Rerank,
        (true, false) => return Err("no price of the answer".to_owned()),
        (false, _) => return Err("no price of the prompt".to_owned()),
    };
    rare.tokens = tokens.into();
    rare.variants = variants
        .into_iter()
        .map(|(above, mut rates)| {
            rates.sort_unstable();
            Variant { tier: Tier::Standard, above, whole: false, rates: rates.into() }
        })
        .collect();
    rates.rare = (rare != RareRates::default()).then(|| Box::new(rare));
    Ok(Card {
        provider: provider.to_owned(),
        name,
        mode: Some(mode),
        max_input: model.context_window,
        rates: Some(rates),
        ..Card::default()
    })
}

/// The prices of a day: later ones replace earlier ones.
fn as_of(dated: Vec<Dated>, day: &str) -> Result<BTreeMap<String, Price>, String> {
    let mut found = None;
    for one in dated {
        let begins = match one.constraint {
            None => String::new(),
            Some(Constraint { start_date: Some(date) }) => date,
            Some(Constraint { start_date: None }) => {
                return Err("its price depends on the hour".to_owned());
            }
        };
        if *begins <= *day {
            found = Some(one.prices);
        }
    }
    found.ok_or_else(|| "no price on that day yet".to_owned())
}

pub(super) fn put(rates: &mut Rates, rare: &mut Vec<(Kind, i64)>, kind: Kind, rate: i64) {
    match kind {
        Kind::Input => rates.input = rate,
        Kind::Output => rates.output = rate,
        Kind::CacheRead => rates.cache_read = Some(rate),
        Kind::CacheWrite => rates.cache_write = Some(rate),
        Kind::CacheWrite1h => rates.cache_write_1h = Some(rate),
        Kind::Reasoning => rates.reasoning = Some(rate),
        Kind::InputAudio => rates.input_audio = Some(rate),
        Kind::OutputAudio => rates.output_audio = Some(rate),
        Kind::CacheReadAudio
        | Kind::CacheWrite12h
        | Kind::InputImage
        | Kind::InputVideo
        | Kind::OutputImage
        | Kind::OutputVideo => rare.push((kind, rate)),
    }
}

/// A price for so many powers of ten, for one.
fn femto(price: &Price, power: u8) -> Result<i64, String> {
    let text = match price {
        Price::Text(text) => text.clone(),
        Price::Number(number) => number.to_string(),
        Price::Tiered { .. } => return Err("a tier has no tiers".to_owned()),
    };
    femto_of(&text, power)
}

/// The same of a decimal text.
pub(super) fn femto_of(text: &str, power: u8) -> Result<i64, String> {
    let rate = femto_from_usd_text(&format!("{text}e-{power}"));
    rate.map_err(|why| format!("price `{text}`: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::line;

    fn lines(models: &str, day: &str) -> (Vec<String>, Vec<(String, String)>) {
        let text = format!(r#"[{{"id":"arcee","models":{models}}},{{"id":"cursor","models":[]}}]"#);
        let list = read(&text, day).unwrap();
        (list.cards.iter().map(line::write).collect(), list.skipped)
    }

    #[test]
    fn prices_are_read() {
        let models = r#"[
            {"id":"a","context_window":1000,"prices":{"input_mtok":"0.14","cache_read_mtok":0.028,
                "output_mtok":"0.28","web_searches_kcount":"10","requests_kcount":"5"}},
            {"id":"t","context_window":null,"prices":{"output_mtok":"2",
                "input_mtok":{"base":"1.25","tiers":[{"start":200000,"price":"2.5"}]}}},
            {"id":"x-embed","prices":{"input_mtok":"0.04"}}]"#;
        let (lines, skipped) = lines(models, "2026-11-22");
        assert!(skipped.is_empty(), "{skipped:?}");
        assert_eq!(
            lines,
            [
                r#"{"provider":"arcee","name":"a","mode":"chat","max_input":1000,"input":"1.4e-07","output":"2.8e-07","cache_read":"2.8e-08","request":"0.005","search":{"low":"0.01","medium":"0.01","high":"0.01"}}"#,
                r#"{"provider":"arcee","name":"t","mode":"chat","input":"1.25e-06","output":"2e-06","variants":[{"above":200000,"rates":{"input":"2.5e-06"}}]}"#,
                r#"{"provider":"arcee","name":"x-embed","mode":"embeddings","input":"4e-08"}"#,
            ]
        );
    }

    #[test]
    fn prices_change_on_their_day() {
        let models = r#"[{"id":"a","prices":[
            {"prices":{"input_mtok":"1","output_mtok":"1"}},
            {"constraint":{"start_date":"2026-10-18"},"prices":{"input_mtok":"2","output_mtok":"3"}}]}]"#;
        for (day, input) in [("2026-10-17", "1e-06"), ("2026-10-18", "2e-06")] {
            let (lines, _) = lines(models, day);
            assert!(lines[0].contains(&format!(r#""input":"{input}""#)), "{lines:?}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let models = r#"[
            {"id":"free","prices":{}},
            {"id":"half","prices":{"input_mtok":"1"}},
            {"id":"sound","prices":{"audio_hours":"1"}},
            {"id":"word","prices":{"input_mtok":"cheap","output_mtok":"1"}},
            {"id":"hours","prices":[{"constraint":{"start_time":"00:30:00","end_time":"16:30:00"},
                "prices":{"input_mtok":"1"}}]},
            {"id":"later","prices":[{"constraint":{"start_date":"2027-01-01"},"prices":{}}]}]"#;
        let (lines, skipped) = lines(models, "2026-11-22");
        assert!(lines.is_empty(), "{lines:?}");
        assert_eq!(skipped.len(), 6, "{skipped:?}");
        assert!(read("{}", "2026-11-22").is_err());
    }
}
