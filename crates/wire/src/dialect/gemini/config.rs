//! `generationConfig`, both ways. <https://ai.google.dev/api/generate-content#GenerationConfig>

use serde_json::value::RawValue;

use super::{
    schema::json_schema,
    thinking::{Depth, Family},
};
use crate::{
    dialect::{
        fields::{At, Fields},
        json::{self, Object},
        sieve::Sieve,
    },
    exchange::{CannotAsk, Malformed},
    matrix::Dialect,
    op::chat::{
        Extra, Form, Format, MaxTokens, Reasoning, Request, Sampling, Schema, Stop, Thinking,
    },
};

const CONFIG: At<'static> = At::Field(&At::Body, "generationConfig");

/// What a client's `generationConfig` says.
pub(super) struct Config {
    pub(super) max_tokens: Option<MaxTokens>,
    pub(super) sampling: Sampling,
    pub(super) stop: Option<Stop>,
    pub(super) format: Option<Format>,
    pub(super) reasoning: Reasoning,
    pub(super) extra: Extra,
}

pub(super) fn read(fields: &mut Fields<'_, '_>) -> Result<Config, Malformed> {
    let mut config = match fields.take("generationConfig") {
        Some(raw) => Fields::of(raw, CONFIG)?.camel()?,
        None => Fields::none(CONFIG),
    };
    let number = "a number";
    Ok(Config {
        max_tokens: config.get("maxOutputTokens", "a number of tokens")?.map(MaxTokens::Plain),
        sampling: Sampling {
            temperature: config.get("temperature", number)?,
            top_p: config.get("topP", number)?,
            top_k: config.get("topK", number)?,
            seed: config.get("seed", number)?,
            n: config.get("candidateCount", number)?,
            frequency_penalty: config.get("frequencyPenalty", number)?,
            presence_penalty: config.get("presencePenalty", number)?,
            logprobs: config.get("responseLogprobs", "true or false")?,
            top_logprobs: config.get("logprobs", number)?,
            logit_bias: None,
        },
        stop: config
            .get("stopSequences", "a list of strings")?
            .map(|texts| Stop { texts, form: Form::List }),
        format: read_format(&mut config)?,
        reasoning: read_thinking(&mut config)?,
        extra: config.rest(),
    })
}

fn read_format(config: &mut Fields<'_, '_>) -> Result<Option<Format>, Malformed> {
    let kind = config.text("responseMimeType")?;
    let own = config.take("responseSchema");
    let schema = match (config.raw("responseJsonSchema"), own) {
        (Some(schema), _) => Some(schema),
        (None, Some(schema)) => Some(json_schema(schema, &At::Field(&CONFIG, "responseSchema"))?),
        (None, None) => None,
    };
    Ok(match (kind.as_deref(), schema) {
        (None, None) => None,
        (Some("text/plain"), None) => Some(Format::Text),
        (Some("application/json"), None) => Some(Format::JsonObject),
        (Some("application/json") | None, schema) => {
            Some(Format::JsonSchema(Schema { schema, ..Schema::default() }))
        }
        (Some(kind), _) => {
            let kind = serde_json::Value::from(kind);
            let schema = own.map_or("null", RawValue::get);
            let text = format!(r#"{{"responseMimeType":{kind},"responseSchema":{schema}}}"#);
            let raw = RawValue::from_string(text).map_err(|_| CONFIG.wrong("a format"))?;
            Some(Format::Other { dialect: Dialect::Gemini, raw })
        }
    })
}

fn read_thinking(config: &mut Fields<'_, '_>) -> Result<Reasoning, Malformed> {
    let Some(raw) = config.take("thinkingConfig") else { return Ok(Reasoning::default()) };
    let mut thinking = Fields::of(raw, At::Field(&CONFIG, "thinkingConfig"))?.camel()?;
    let budget: Option<i64> = thinking.get("thinkingBudget", "a number of tokens")?;
    let level = thinking.text("thinkingLevel")?.map(|level| level.to_ascii_lowercase());
    Ok(Reasoning {
        effort: level.filter(|level| level != "thinking_level_unspecified"),
        thinking: budget.map(|budget| match u64::try_from(budget) {
            Ok(0) => Thinking::Disabled,
            Ok(budget) => Thinking::Enabled { budget },
            Err(_) => Thinking::Adaptive,
        }),
        extra: thinking.rest(),
    })
}

/// Refuses or names what Google has no place for.
pub(super) fn check(ask: &Request, family: Family, sieve: &mut Sieve<'_>) -> Result<(), CannotAsk> {
    if ask.sampling.logit_bias.is_some() {
        sieve.refuse("logit_bias", "gemini has no such parameter")?;
    }
    match &ask.format {
        Some(Format::JsonSchema(schema)) if schema.name.is_some() => {
            sieve.hint("response_format.json_schema.name");
        }
        Some(Format::Other { dialect, .. }) if *dialect != Dialect::Gemini => {
            sieve.refuse("response_format", "gemini has no such format")?;
        }
        _ => {}
    }
    if let Some(effort) = ask.reasoning.effort.as_deref()
        && ask.surface != Dialect::Gemini
        && family.effort(effort).is_none()
    {
        sieve.refuse("reasoning_effort", "gemini has no thinking level for this effort")?;
    }
    if ask.surface != Dialect::Gemini {
        for (name, _) in &ask.output_extra {
            sieve.refuse(&format!("output_config.{name}"), "only anthropic has this parameter")?;
        }
        for (name, _) in &ask.reasoning.extra {
            sieve.hint(&format!("thinking.{name}"));
        }
    }
    Ok(())
}

/// Writes the members of `generationConfig`. `extra` are Google's own that have no place in the
/// hub.
pub(super) fn write(o: &mut Object<'_>, ask: &Request, family: Family, extra: &Extra) {
    let sampling = &ask.sampling;
    let native = ask.surface == Dialect::Gemini;
    for (name, number) in [
        ("temperature", &sampling.temperature),
        ("topP", &sampling.top_p),
        ("topK", &sampling.top_k),
        ("seed", &sampling.seed),
        ("candidateCount", &sampling.n),
        ("frequencyPenalty", &sampling.frequency_penalty),
        ("presencePenalty", &sampling.presence_penalty),
        ("logprobs", &sampling.top_logprobs),
    ] {
        if let Some(number) = number {
            o.raw(name, &number.to_string());
        }
    }
    if let Some(logprobs) = sampling.logprobs.filter(|logprobs| *logprobs || native) {
        o.flag("responseLogprobs", logprobs);
    }
    if let Some(tokens) = ask.max_tokens {
        o.integer("maxOutputTokens", tokens.get());
    }
    if let Some(stop) = &ask.stop {
        o.list("stopSequences", |list| {
            for text in &stop.texts {
                json::string(list.item(), text);
            }
        });
    }
    write_format(o, ask.format.as_ref(), native);
    write_thinking(o, ask, family);
    o.extra(extra);
}

/// JSON Schema goes as it is: Google reads the part of it that its models know, references
/// included. <https://ai.google.dev/gemini-api/docs/structured-output#json-schema-support>
fn write_format(o: &mut Object<'_>, format: Option<&Format>, native: bool) {
    match format {
        Some(Format::Text) if native => o.text("responseMimeType", "text/plain"),
        Some(Format::JsonObject) => o.text("responseMimeType", "application/json"),
        Some(Format::JsonSchema(schema)) => {
            o.text("responseMimeType", "application/json");
            if let Some(schema) = &schema.schema {
                o.raw("responseJsonSchema", schema.get());
            }
        }
        Some(Format::Other { dialect: Dialect::Gemini, raw }) => {
            if let Ok(fields) = Fields::of(raw, CONFIG) {
                o.extra(&fields.rest());
            }
        }
        Some(Format::Text | Format::Other { .. }) | None => {}
    }
}

/// What others say of an effort, as a Gemini client would say it.
pub(super) fn own_reasoning(said: &Reasoning, family: Family) -> Reasoning {
    let mut own = Reasoning::default();
    match said.effort.as_deref().and_then(|effort| family.effort(effort)) {
        Some(Depth::Level(level)) => own.effort = Some(level.to_owned()),
        Some(Depth::Budget(budget)) => {
            own.thinking = Some(match u64::try_from(budget) {
                Ok(0) => Thinking::Disabled,
                Ok(budget) => Thinking::Enabled { budget },
                Err(_) => Thinking::Adaptive,
            });
        }
        Some(Depth::Default) | None => {}
    }
    own
}

fn write_thinking(o: &mut Object<'_>, ask: &Request, family: Family) {
    let Reasoning { effort, thinking, extra } = &ask.reasoning;
    if ask.surface == Dialect::Gemini {
        if effort.is_some() || thinking.is_some() || !extra.is_empty() {
            o.object("thinkingConfig", |o| {
                o.some_text("thinkingLevel", effort.as_deref());
                match thinking {
                    Some(Thinking::Disabled) => o.integer("thinkingBudget", 0),
                    Some(Thinking::Adaptive) => o.raw("thinkingBudget", "-1"),
                    Some(Thinking::Enabled { budget }) => o.integer("thinkingBudget", *budget),
                    None => {}
                }
                o.extra(extra);
            });
        }
        return;
    }
    let by_effort = effort.as_deref().and_then(|effort| family.effort(effort));
    let (depth, shown) = match (thinking, by_effort) {
        (None, None) => return,
        (Some(Thinking::Disabled), _) => (family.mode(Thinking::Disabled), false),
        // Anthropic's effort says how much of what the mode allows.
        (Some(Thinking::Adaptive) | None, Some(depth)) => {
            (depth, effort.as_deref() != Some("none"))
        }
        (Some(thinking), _) => (family.mode(*thinking), true),
    };
    o.object("thinkingConfig", |o| {
        match depth {
            Depth::Level(level) => o.text("thinkingLevel", level),
            Depth::Budget(budget) => o.raw("thinkingBudget", &budget.to_string()),
            Depth::Default => {}
        }
        if shown {
            o.flag("includeThoughts", true);
        }
    });
}
