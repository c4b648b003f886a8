//! Reads the list of models.dev into model cards, for providers that neither LiteLLM's map nor
//! `genai-prices` has prices of. <https://models.dev/api.json>
//!
//! One object: providers by their id, each with its models by name; prices are USD for a million
//! tokens. Both of them zero is how a subscription and a trial are written as well as what is free,
//! so it is no price here; a zero of another kind is no price of its own.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Number, Value};

use super::genai::{PriceList, femto_of, put};
use crate::{
    card::{Abilities, Ability, Card, Kind, Modalities, Modality, Mode, RareRates, Rates, Variant},
    usage::Tier,
};

/// Its names of providers that have another one here; all others have the same.
const NAMES: [(&str, &str); 24] = [
    ("abliteration-ai", "abliteration"),
    ("alibaba", "qwencloud"),
    ("alibaba-cn", "qwen_ai_platform"),
    ("amazon-bedrock", "bedrock"),
    ("cloudflare-workers-ai", "cloudflare"),
    ("digitalocean", "gradient_ai"),
    ("fireworks-ai", "fireworks_ai"),
    ("friendli", "friendliai"),
    ("gmicloud", "gmi"),
    ("google", "gemini"),
    ("google-vertex", "vertex_ai"),
    ("inference", "inference_net"),
    ("llama", "meta_llama"),
    ("moonshotai", "moonshot"),
    ("nova", "amazon_nova"),
    ("novita-ai", "novita"),
    ("nvidia", "nvidia_nim"),
    ("opencode", "opencode_zen"),
    ("opencode-go", "opencode_go"),
    ("togetherai", "together_ai"),
    ("venice", "veniceai"),
    ("vercel", "vercel_ai_gateway"),
    ("xiaomi", "xiaomi_mimo"),
    ("zhipuai", "bigmodel"),
];

/// Its names of prices.
const KINDS: [(&str, Kind); 7] = [
    ("input", Kind::Input),
    ("output", Kind::Output),
    ("cache_read", Kind::CacheRead),
    ("cache_write", Kind::CacheWrite),
    ("reasoning", Kind::Reasoning),
    ("input_audio", Kind::InputAudio),
    ("output_audio", Kind::OutputAudio),
];

#[derive(Deserialize)]
struct Listed {
    models: BTreeMap<String, Model>,
}

#[derive(Deserialize)]
struct Model {
    #[serde(default)]
    tool_call: bool,
    #[serde(default)]
    structured_output: bool,
    #[serde(default)]
    reasoning: bool,
    #[serde(default)]
    reasoning_options: Vec<Thinking>,
    modalities: Directions,
    limit: Limit,
    #[serde(default)]
    cost: BTreeMap<String, Value>,
}

/// How much thinking can be asked for: `{"type": "effort", "values": ["none", "low", …]}`.
#[derive(Deserialize)]
struct Thinking {
    #[serde(default)]
    values: Vec<Value>,
}

#[derive(Deserialize)]
struct Directions {
    input: Vec<String>,
    output: Vec<String>,
}

/// In tokens; 0 is not known.
#[derive(Deserialize)]
struct Limit {
    context: u64,
    input: Option<u64>,
    output: u64,
}

/// `{"input": 4, "output": 18, "tier": {"type": "context", "size": 200000}}`
#[derive(Deserialize)]
struct Step {
    tier: Above,
    #[serde(flatten)]
    rates: BTreeMap<String, Number>,
}

/// Tokens of the prompt above which the whole request is charged so.
#[derive(Deserialize)]
struct Above {
    r#type: String,
    size: u64,
}

/// Reads the list's providers that are `known` by our names of them. Models that make no sense are
/// skipped and named.
pub fn read(text: &str, known: impl Fn(&str) -> bool) -> Result<PriceList, String> {
    let all: BTreeMap<String, Listed> = serde_json::from_str(text)
        .map_err(|why| format!("expected the providers of models.dev: {why}"))?;
    let mut list = PriceList::default();
    for (theirs, listed) in all {
        let renamed = NAMES.iter().find(|(id, _)| *id == theirs).map(|(_, ours)| *ours);
        let provider = renamed.unwrap_or(&theirs);
        if !known(provider) {
            continue;
        }
        for (name, model) in listed.models {
            match card(provider, &name, &model) {
                Ok(card) => list.cards.push(card),
                Err(why) => list.skipped.push((format!("{provider}/{name}"), why)),
            }
        }
    }
    Ok(list)
}

fn card(provider: &str, name: &str, model: &Model) -> Result<Card, String> {
    let (takes, gives) = (&model.modalities.input, &model.modalities.output);
    if !modalities(takes).has(Modality::Text) || !modalities(gives).has(Modality::Text) {
        return Err("is not asked or does not answer in text".to_owned());
    }
    let rates = rates(&model.cost)?;
    let lower = name.to_ascii_lowercase();
    let mode = match &rates {
        _ if lower.contains("embed") => Mode::Embeddings,
        _ if lower.contains("rerank") => Mode::Rerank,
        Some(rates) if rates.input == 0 => return Err("no price of the prompt".to_owned()),
        Some(rates) if rates.output == 0 => return Err("no price of the answer".to_owned()),
        Some(_) | None => Mode::Chat,
    };
    let said = |tokens: u64| (tokens > 0).then_some(tokens);
    let chats = mode == Mode::Chat;
    Ok(Card {
        provider: provider.to_owned(),
        name: name.to_owned(),
        mode: Some(mode),
        max_input: said(model.limit.input.unwrap_or(model.limit.context)),
        max_output: said(model.limit.output).filter(|_| chats),
        can: if chats { abilities(model, rates.as_ref()) } else { Abilities::default() },
        rates,
        ..Card::default()
    })
}

fn rates(cost: &BTreeMap<String, Value>) -> Result<Option<Rates>, String> {
    let mut rates = Rates::default();
    let mut variants = Vec::new();
    for (field, value) in cost {
        match field.as_str() {
            "tiers" => {
                let steps: Vec<Step> = Vec::deserialize(value)
                    .map_err(|why| format!("expected prices by length in `tiers`: {why}"))?;
                variants = steps.into_iter().map(variant).collect::<Result<_, _>>()?;
            }
            // The first of the tiers once more, in an older form.
            "context_over_200k" => {
                if !cost.contains_key("tiers") {
                    return Err("no place for `context_over_200k` alone".to_owned());
                }
            }
            _ => {
                let (kind, rate) = rate(field, value)?;
                if rate > 0 {
                    put(&mut rates, &mut Vec::new(), kind, rate);
                }
            }
        }
    }
    if rates.input == 0 && rates.output == 0 {
        return Ok(None);
    }
    if !variants.is_empty() {
        variants.sort_by_key(|variant| variant.above);
        rates.rare =
            Some(Box::new(RareRates { variants: variants.into(), ..RareRates::default() }));
    }
    Ok(Some(rates))
}

fn variant(step: Step) -> Result<Variant, String> {
    if step.tier.r#type != "context" {
        return Err(format!("no place for a tier by `{}`", step.tier.r#type));
    }
    let mut rates = Vec::new();
    for (field, number) in &step.rates {
        let (kind, rate) = rate(field, &Value::Number(number.clone()))?;
        if rate > 0 {
            rates.push((kind, rate));
        }
    }
    rates.sort_unstable();
    Ok(Variant { tier: Tier::Standard, above: step.tier.size, whole: false, rates: rates.into() })
}

fn rate(field: &str, value: &Value) -> Result<(Kind, i64), String> {
    let known = KINDS.iter().find(|(theirs, _)| *theirs == field);
    let Some((_, kind)) = known else { return Err(format!("no place for `{field}`")) };
    let Value::Number(number) = value else { return Err(format!("`{field}` is no number")) };
    Ok((*kind, femto_of(&number.to_string(), 6)?))
}

fn abilities(model: &Model, rates: Option<&Rates>) -> Abilities {
    let takes = modalities(&model.modalities.input);
    let gives = modalities(&model.modalities.output);
    let effort = |word: &str| {
        model.reasoning_options.iter().any(|way| way.values.iter().any(|value| value == word))
    };
    let caches = rates.is_some_and(|rates| rates.cache_read.is_some());
    [
        (Ability::Tools, model.tool_call),
        (Ability::ResponseSchema, model.structured_output),
        (Ability::Vision, takes.has(Modality::Image)),
        (Ability::PdfInput, takes.has(Modality::File)),
        (Ability::AudioInput, takes.has(Modality::Audio)),
        (Ability::AudioOutput, gives.has(Modality::Audio)),
        (Ability::VideoInput, takes.has(Modality::Video)),
        (Ability::PromptCaching, caches),
        (Ability::Reasoning, model.reasoning),
        (Ability::EffortNone, effort("none")),
        (Ability::EffortMinimal, effort("minimal")),
        (Ability::EffortXhigh, effort("xhigh")),
        (Ability::EffortMax, effort("max")),
    ]
    .into_iter()
    .filter_map(|(ability, has)| has.then_some(ability))
    .collect()
}

fn modalities(words: &[String]) -> Modalities {
    let known = words.iter().filter_map(|word| match word.as_str() {
        "text" => Some(Modality::Text),
        "image" => Some(Modality::Image),
        "audio" => Some(Modality::Audio),
        "video" => Some(Modality::Video),
        "pdf" => Some(Modality::File),
        _ => None,
    });
    known.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::line;

    fn lines(models: &str) -> (Vec<String>, Vec<(String, String)>) {
        let text = format!(
            r#"{{"venice":{{"models":{models}}},"unheard-of":{{"id":"x","models":{{}}}}}}"#
        );
        let list = read(&text, |name| name == "veniceai").unwrap();
        (list.cards.iter().map(line::write).collect(), list.skipped)
    }

    #[test]
    fn models_are_read() {
        let (lines, skipped) = lines(
            r#"{
            "a":{"id":"a","name":"A","attachment":true,"reasoning":true,"tool_call":true,
                "reasoning_options":[{"type":"toggle"},{"type":"effort","values":["none",null,"max"]}],
                "modalities":{"input":["text","image","pdf"],"output":["text"]},
                "limit":{"context":200000,"input":180000,"output":64000},
                "cost":{"input":0.049999999999999996,"output":18,"cache_read":0.4,"cache_write":0,
                    "context_over_200k":{"input":4,"output":20},
                    "tiers":[{"input":6,"output":30,"tier":{"type":"context","size":272000}},
                        {"input":4,"output":20,"cache_read":0,"tier":{"type":"context","size":200000}}]}},
            "b-embed":{"modalities":{"input":["text"],"output":["text"]},
                "limit":{"context":8192,"output":1024},"cost":{"input":0.02,"output":0}},
            "c:free":{"tool_call":true,"modalities":{"input":["text"],"output":["text"]},
                "limit":{"context":0,"output":0},"cost":{"input":0,"output":0}}}"#,
        );
        assert!(skipped.is_empty(), "{skipped:?}");
        assert_eq!(
            lines,
            [
                r#"{"provider":"veniceai","name":"a","mode":"chat","max_input":180000,"max_output":64000,"can":["tools","vision","pdf_input","prompt_caching","reasoning","effort_none","effort_max"],"input":"5e-08","output":"1.8e-05","cache_read":"4e-07","variants":[{"above":200000,"rates":{"input":"4e-06","output":"2e-05"}},{"above":272000,"rates":{"input":"6e-06","output":"3e-05"}}]}"#,
                r#"{"provider":"veniceai","name":"b-embed","mode":"embeddings","max_input":8192,"input":"2e-08"}"#,
                r#"{"provider":"veniceai","name":"c:free","mode":"chat","can":["tools"]}"#,
            ]
        );
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let model = |gives: &str, cost: &str| {
            format!(
                r#"{{"modalities":{{"input":["text"],"output":["{gives}"]}},
                    "limit":{{"context":1,"output":1}},"cost":{cost}}}"#
            )
        };
        let wrong = [
            model("video", "{}"),
            r#"{"modalities":{"input":["audio"],"output":["text"]},"limit":{"context":1,"output":1}}"#
                .to_owned(),
            model("text", r#"{"input":1,"output":0}"#),
            model("text", r#"{"input":0,"output":1}"#),
            model("text", r#"{"input":1,"output":1,"per_hour":1}"#),
            model("text", r#"{"input":-1,"output":1}"#),
            model("text", r#"{"input":1,"output":1,"context_over_200k":{"input":2}}"#),
            model("text", r#"{"input":1,"output":1,"tiers":[{"tier":{"type":"time","size":1}}]}"#),
        ];
        let named: Vec<String> =
            wrong.iter().enumerate().map(|(i, model)| format!(r#""{i}":{model}"#)).collect();
        let (lines, skipped) = lines(&format!("{{{}}}", named.join(",")));
        assert!(lines.is_empty(), "{lines:?}");
        assert_eq!(skipped.len(), wrong.len(), "{skipped:?}");
        assert!(read("[]", |_| true).is_err());
    }
}
