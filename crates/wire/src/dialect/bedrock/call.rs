//! The hub's request as a call of Converse or ConverseStream.
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>

use bytes::{Bytes, BytesMut};
use serde::de::DeserializeOwned;
use serde_json::{Number, value::RawValue};

use super::{
    block::{Writer, is_object},
    family::Family,
    format::{self, Shape},
    message::{self, CacheMarkIn},
    reasoning, tool,
    usage::Additional as Wanted,
};
use crate::{
    dialect::{
        anthropic::SAVINGS,
        body::Body,
        fields::{At, Fields},
        foreign, json,
        search::OPTIONS,
        sieve::Sieve,
    },
    exchange::{CannotAsk, Malformed},
    matrix::Dialect,
    op::chat::{CacheMark, MaxTokens, Request, Thinking},
    target::Target,
};

/// What is left for the answer where the limit would not hold the thinking budget (LiteLLM's
/// figure).
const ANSWER_BESIDE_THINKING: u64 = 4096;

/// Members of a Converse request that a client or the configuration may say in Bedrock's own words.
const OWN: &[&str] = &[
    "additionalModelResponseFieldPaths",
    "guardrailConfig",
    "outputConfig",
    "performanceConfig",
    "promptVariables",
    "requestMetadata",
    "serviceTier",
];
/// Settings of the configuration that are read where they belong.
const DEFAULTS: &[&str] = &[
    "max_completion_tokens",
    "max_tokens",
    "reasoning_effort",
    "stop",
    "temperature",
    "thinking",
    "top_k",
    "top_p",
];
/// Features of Claude's that Bedrock can be asked to switch on; it answers 400 to others.
/// <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages-request-response.html>
const BETAS: &[&str] = &[
    "compact-2026-01-12",
    "computer-use-2025-01-24",
    "computer-use-2025-11-24",
    "context-1m-2025-08-07",
    "dev-full-thinking-2025-05-14",
    "effort-2025-11-24",
    "fine-grained-tool-streaming-2025-05-14",
    "interleaved-thinking-2025-05-14",
    "output-128k-2025-02-19",
    "structured-outputs-2025-11-13",
    "thinking-binding-controls-2026-08-01",
    "thinking-display-updates-2026-08-18",
    "token-efficient-tools-2025-02-19",
    "tool-examples-2025-10-29",
    "tool-search-tool-2025-10-19",
];
const COMPACT_EDIT: &str = "compact_20260112";
const COMPACT_BETA: &str = "compact-2026-01-12";

/// `additionalModelRequestFields`, as they come together. What comes first stays.
#[derive(Debug, Default)]
pub(super) struct Additional(Vec<(Box<str>, Bytes)>);

impl Additional {
    pub(super) fn put(&mut self, name: &str, fill: impl FnOnce(&mut BytesMut)) {
        if self.0.iter().any(|(other, _)| **other == *name) {
            return;
        }
        let mut value = BytesMut::new();
        fill(&mut value);
        self.0.push((name.into(), value.freeze()));
    }

    fn raw(&mut self, name: &str, json: &str) {
        self.put(name, |out| out.extend_from_slice(json.as_bytes()));
    }
}

pub(super) fn write(
    ask: &Request,
    to: &Target,
    dropped: &mut Vec<String>,
) -> Result<Bytes, CannotAsk> {
    Ok(written(ask, to, dropped)?.patched(to))
}

/// The members of a request that a count is made of.
/// <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseTokensRequest.html>
const COUNTED: &[&str] = &["messages", "system", "toolConfig", "additionalModelRequestFields"];

/// The same request as far as its tokens are concerned, for CountTokens.
pub(super) fn write_count(
    ask: &Request,
    to: &Target,
    dropped: &mut Vec<String>,
) -> Result<Bytes, CannotAsk> {
    let mut body = written(ask, to, dropped)?;
    body.keep(COUNTED);
    let converse = body.patched(to);
    let mut out = BytesMut::new();
    json::object(&mut out, |o| {
        o.object("input", |o| o.key("converse").extend_from_slice(&converse));
    });
    Ok(out.freeze())
}

fn written(ask: &Request, to: &Target, dropped: &mut Vec<String>) -> Result<Body, CannotAsk> {
    let family = Family::of(&to.model);
    let mut sieve = Sieve::new(to, dropped);
    let mut rest = Rest::default();
    rest.sort(ask, to, family, &mut sieve)?;
    let Rest { mut body, mut additional, betas, last_mark, grounding } = rest;

    let mut writer = Writer::new(family);
    let mut turns = message::turns(ask, &writer, &mut sieve)?;
    turns.last_mark = last_mark;
    if turns.is_empty() && !body.has("promptVariables") {
        sieve.refuse("messages", "bedrock wants at least one message of the user")?;
    }
    let decided = reasoning::write(ask, to, family, &mut sieve, &mut additional)?;
    let shape = format::shape(ask, family, decided.thinking, &mut sieve)?;
    inference(ask, to, decided.thinking, &mut sieve, &mut body)?;
    top_k(ask, to, family, &mut sieve, &mut additional)?;
    let asked = tool::Asked { ask, turns: &turns, shape: &shape, grounding };
    tool::write(asked, &mut writer, &mut sieve, &mut body, &mut additional)?;
    let output = matches!(shape, Shape::Told(_)) || decided.effort.is_some();
    if output && !body.has("outputConfig") {
        body.put("outputConfig", |out| {
            json::object(out, |o| {
                if let Shape::Told(schema) = &shape {
                    format::write(o, schema);
                }
                o.some_text("effort", decided.effort);
            });
        });
    }
    if !betas.is_empty() {
        additional.put("anthropic_beta", |out| {
            json::list(out, |list| {
                betas.iter().for_each(|beta| json::string(list.item(), beta));
            });
        });
    }
    if family.is_claude() && !body.has("additionalModelResponseFieldPaths") {
        response_paths(ask, decided.thinking, &mut body);
    }
    if !additional.0.is_empty() {
        body.put("additionalModelRequestFields", |out| {
            json::object(out, |o| {
                for (name, value) in &additional.0 {
                    o.key(name).extend_from_slice(value);
                }
            });
        });
    }
    if turns.has_system() {
        body.put("system", |out| turns.write_system(&mut writer, out));
    }
    body.put("messages", |out| turns.write_messages(&mut writer, out));
    Ok(body)
}

/// Asks for what Converse itself does not tell. A path that the model does not know is no error.
fn response_paths(ask: &Request, thinking: Option<Thinking>, body: &mut Body) {
    let thinks = matches!(thinking, Some(Thinking::Enabled { .. } | Thinking::Adaptive));
    let wanted = [ask.stop.is_some(), thinks];
    if wanted.contains(&true) {
        body.put("additionalModelResponseFieldPaths", |out| {
            json::list(out, |list| {
                for (path, _) in Wanted::PATHS.iter().zip(wanted).filter(|(_, wanted)| *wanted) {
                    json::string(list.item(), path);
                }
            });
        });
    }
}

/// A setting of the configuration.
pub(super) fn preset<T: DeserializeOwned>(to: &Target, name: &str) -> Option<T> {
    let (_, json) = to.defaults.iter().find(|(other, _)| other == name)?;
    serde_json::from_slice(json).ok()
}

/// `inferenceConfig`, and the refusal of what has no place in it.
fn inference(
    ask: &Request,
    to: &Target,
    thinking: Option<Thinking>,
    sieve: &mut Sieve<'_>,
    body: &mut Body,
) -> Result<(), CannotAsk> {
    let sampling = &ask.sampling;
    let several = sampling.n.as_ref().is_some_and(|n| n.as_u64() != Some(1));
    for (name, there) in [
        ("n", several),
        ("seed", sampling.seed.is_some()),
        ("frequency_penalty", sampling.frequency_penalty.is_some()),
        ("presence_penalty", sampling.presence_penalty.is_some()),
        ("logprobs", sampling.logprobs == Some(true)),
        ("top_logprobs", sampling.top_logprobs.is_some()),
        ("logit_bias", sampling.logit_bias.is_some()),
    ] {
        if there {
            let why = "bedrock has no such parameter for all its models; what one model has can be \
                       said in `additionalModelRequestFields`";
            sieve.refuse(name, why)?;
        }
    }
    let stop = match &ask.stop {
        Some(stop) => Some(stop.texts.clone()),
        None => preset::<Vec<String>>(to, "stop"),
    };
    let stop = stop.filter(|texts| !texts.is_empty());
    if stop.as_ref().is_some_and(|texts| texts.iter().any(String::is_empty)) {
        sieve.refuse("stop", "bedrock takes no empty stop text")?;
    }
    let most = max_tokens(ask, to, thinking);
    let temperature = sampling.temperature.clone().or_else(|| preset(to, "temperature"));
    let top_p = sampling.top_p.clone().or_else(|| preset(to, "top_p"));
    if most.is_none() && temperature.is_none() && top_p.is_none() && stop.is_none() {
        return Ok(());
    }
    body.put("inferenceConfig", |out| {
        json::object(out, |o| {
            if let Some(most) = most {
                o.integer("maxTokens", most);
            }
            for (name, number) in [("temperature", temperature), ("topP", top_p)] {
                if let Some(number) = number {
                    o.raw(name, &number.to_string());
                }
            }
            let texts = stop.iter().flatten().filter(|text| !text.is_empty());
            let texts: Vec<&String> = texts.collect();
            if !texts.is_empty() {
                o.list("stopSequences", |list| {
                    texts.iter().for_each(|text| json::string(list.item(), text));
                });
            }
        });
    });
    Ok(())
}

/// The client's limit, or the configuration's. It must be over the thinking budget; without one the
/// model gives as much as it has.
fn max_tokens(ask: &Request, to: &Target, thinking: Option<Thinking>) -> Option<u64> {
    let most = to.card.as_ref().and_then(|card| card.max_output);
    let limit = ask
        .max_tokens
        .map(MaxTokens::get)
        .or_else(|| preset(to, "max_tokens"))
        .or_else(|| preset(to, "max_completion_tokens"));
    match (thinking, limit) {
        (Some(Thinking::Enabled { budget }), limit)
            if ask.surface != Dialect::Anthropic && limit.or(most).is_none_or(|n| n <= budget) =>
        {
            let raised = budget.saturating_add(ANSWER_BESIDE_THINKING);
            Some(most.map_or(raised, |most| raised.min(most)))
        }
        (_, limit) => limit,
    }
}

fn top_k(
    ask: &Request,
    to: &Target,
    family: Family,
    sieve: &mut Sieve<'_>,
    additional: &mut Additional,
) -> Result<(), CannotAsk> {
    let top_k: Option<Number> = ask.sampling.top_k.clone().or_else(|| preset(to, "top_k"));
    let Some(top_k) = top_k.map(|top_k| top_k.to_string()) else { return Ok(()) };
    match family {
        Family::Nova { .. } => additional.put("inferenceConfig", |out| {
            json::object(out, |o| o.raw("topK", &top_k));
        }),
        Family::Cohere => additional.raw("k", &top_k),
        Family::Llama | Family::Plain | Family::Gpt | Family::R1 => {
            sieve.refuse("top_k", "this model has no such parameter")?;
        }
        Family::Claude { .. } | Family::Mistral | Family::Open | Family::Unknown => {
            additional.raw("top_k", &top_k);
        }
    }
    Ok(())
}

/// What the request has beside its conversation.
#[derive(Default)]
struct Rest {
    body: Body,
    additional: Additional,
    betas: Vec<String>,
    last_mark: Option<CacheMark>,
    grounding: bool,
}

impl Rest {
    /// Members in Bedrock's own words first; then those of the model, of the client, and of the
    /// configuration.
    fn sort(
        &mut self,
        ask: &Request,
        to: &Target,
        family: Family,
        sieve: &mut Sieve<'_>,
    ) -> Result<(), CannotAsk> {
        if ask.user.is_some() {
            sieve.hint("user");
        }
        if !ask.metadata.is_empty() {
            sieve.hint("metadata");
        }
        self.tier(ask, sieve)?;
        foreign::output(ask, sieve)?;
        for (name, raw) in &ask.extra {
            if !self.own(name, raw)? {
                self.foreign(name, raw, ask.surface, family, sieve)?;
            }
        }
        for (name, json) in &to.defaults {
            let Ok(raw) = serde_json::from_slice::<&RawValue>(json) else { continue };
            if !DEFAULTS.contains(&name.as_str()) && !self.own(name, raw)? {
                self.additional.raw(name, raw.get());
            }
        }
        Ok(())
    }

    /// <https://docs.aws.amazon.com/bedrock/latest/userguide/service-tiers-inference.html>
    fn tier(&mut self, ask: &Request, sieve: &mut Sieve<'_>) -> Result<(), CannotAsk> {
        let tier = match ask.service_tier.as_deref() {
            None | Some("auto") => return Ok(()),
            Some("standard_only") => "default",
            Some(tier @ ("default" | "flex" | "priority" | "reserved")) => tier,
            Some(_) => return sieve.refuse("service_tier", "bedrock has no such tier"),
        };
        self.body.put("serviceTier", |out| json::object(out, |o| o.text("type", tier)));
        Ok(())
    }

    /// Takes what is said in Bedrock's own words; `false` for anything else.
    fn own(&mut self, name: &str, raw: &RawValue) -> Result<bool, Malformed> {
        let at = At::Field(&At::Body, name);
        match OWN.iter().find(|own| **own == name) {
            Some(own) if self.body.has(own) => {}
            Some(own) => self.body.raw(own, raw),
            None if name == "additionalModelRequestFields" => {
                if !is_object(raw) {
                    return Err(at.wrong("an object"));
                }
                for (name, raw) in Fields::of(raw, at)?.rest() {
                    self.additional.raw(&name, raw.get());
                }
            }
            None => return Ok(false),
        }
        Ok(true)
    }

    fn foreign(
        &mut self,
        name: &str,
        raw: &RawValue,
        surface: Dialect,
        family: Family,
        sieve: &mut Sieve<'_>,
    ) -> Result<(), CannotAsk> {
        let grounded = matches!(family, Family::Nova { .. });
        match name {
            "anthropic_beta" => self.betas(raw, family, sieve)?,
            OPTIONS if grounded => self.grounding = true,
            OPTIONS => {
                sieve.refuse(name, "only nova searches the web at bedrock")?;
            }
            "cache_control" if family.caches() => {
                self.last_mark = CacheMarkIn::read(raw);
            }
            "context_management" if family.is_claude() => self.edits(raw, sieve),
            _ if SAVINGS.contains(&name) => sieve.hint(name),
            _ if foreign::HINTS.contains(&name) => sieve.hint(name),
            // For Google's bills.
            "labels" if surface == Dialect::Gemini => sieve.hint(name),
            _ if foreign::is_own(surface, name) => {
                sieve.refuse(name, "bedrock has no such parameter")?;
            }
            _ => self.additional.raw(name, raw.get()),
        }
        Ok(())
    }

    /// The features that the client's `anthropic-beta` header asks for.
    fn betas(
        &mut self,
        raw: &RawValue,
        family: Family,
        sieve: &mut Sieve<'_>,
    ) -> Result<(), Malformed> {
        let at = At::Field(&At::Body, "anthropic_beta");
        let asked: Vec<String> =
            serde_json::from_str(raw.get()).map_err(|_| at.wrong("a list of strings"))?;
        for beta in asked {
            let known = match beta.as_str() {
                // One name at Anthropic, another one here.
                "advanced-tool-use-2025-11-20" => "tool-search-tool-2025-10-19",
                other => other,
            };
            if !family.is_claude() || !BETAS.contains(&known) {
                sieve.hint(&format!("anthropic-beta: {beta}"));
            } else if !self.betas.iter().any(|other| other == known) {
                self.betas.push(known.to_owned());
            }
        }
        Ok(())
    }

    /// Converse edits a conversation in one way only; the other ways save tokens, which is all that
    /// is lost without them.
    fn edits(&mut self, raw: &RawValue, sieve: &mut Sieve<'_>) {
        let edits = serde_json::from_str::<Edits<'_>>(raw.get()).map(|it| it.edits);
        let edits = edits.unwrap_or_default();
        let compact = |edit: &&&RawValue| {
            serde_json::from_str::<Edit>(edit.get()).is_ok_and(|edit| edit.r#type == COMPACT_EDIT)
        };
        let kept: Vec<&&RawValue> = edits.iter().filter(compact).collect();
        if kept.is_empty() || kept.len() < edits.len() {
            sieve.hint("context_management");
        }
        if !kept.is_empty() {
            self.additional.put("context_management", |out| {
                json::object(out, |o| {
                    o.list("edits", |list| kept.iter().for_each(|edit| list.raw(edit.get())));
                });
            });
            if !self.betas.iter().any(|beta| beta == COMPACT_BETA) {
                self.betas.push(COMPACT_BETA.to_owned());
            }
        }
    }
}

#[derive(serde::Deserialize)]
struct Edits<'a> {
    #[serde(borrow, default)]
    edits: Vec<&'a RawValue>,
}

#[derive(serde::Deserialize)]
struct Edit {
    r#type: String,
}
