//! Whether and how much to think, which each family of models spells its own way.
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/inference-reasoning.html>,
//! <https://docs.aws.amazon.com/nova/latest/nova2-userguide/extended-thinking.html>

use serde::Deserialize;

use super::{
    call::{Additional, preset},
    family::Family,
};
use crate::{
    dialect::{anthropic::calls_without_thoughts, json, sieve::Sieve},
    exchange::CannotAsk,
    matrix::Dialect,
    op::chat::{Reasoning, Request, Thinking},
    target::Target,
};

/// What was decided.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Decided<'a> {
    /// Claude's mode.
    pub(super) thinking: Option<Thinking>,
    /// For `outputConfig.effort`.
    pub(super) effort: Option<&'a str>,
}

/// `thinking` in the configuration, in Anthropic's spelling.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Preset {
    Enabled { budget_tokens: u64 },
    Disabled,
    Adaptive,
}

/// Writes what the family wants to be told.
pub(super) fn write<'a>(
    ask: &'a Request,
    to: &Target,
    family: Family,
    sieve: &mut Sieve<'_>,
    additional: &mut Additional,
) -> Result<Decided<'a>, CannotAsk> {
    let mut asked = ask.reasoning.clone();
    if asked.effort.is_none() && asked.thinking.is_none() {
        asked.effort = preset(to, "reasoning_effort");
    }
    if ask.surface != Dialect::Anthropic {
        // Another dialect's words, which were seen to before.
        asked.extra.clear();
    }
    let asked = &asked;
    match family {
        Family::Claude { .. } | Family::Unknown => {
            let thinking = claude(ask, asked, to, sieve)?;
            if let Some(thinking) = thinking {
                additional.put("thinking", |out| {
                    json::object(out, |o| {
                        match thinking {
                            Thinking::Disabled => o.text("type", "disabled"),
                            Thinking::Adaptive => o.text("type", "adaptive"),
                            Thinking::Enabled { budget } => {
                                o.text("type", "enabled");
                                o.integer("budget_tokens", budget);
                            }
                        }
                        o.extra(&asked.extra);
                    });
                });
            }
            let effort =
                ask.reasoning.effort.as_deref().filter(|_| ask.surface == Dialect::Anthropic);
            return Ok(Decided { thinking, effort });
        }
        Family::Nova { thinks: true } => nova(asked, sieve, additional)?,
        Family::Open => {
            if let Some(effort) = word(asked) {
                additional.put("reasoning_effort", |out| json::string(out, effort));
            }
        }
        Family::Gpt => {
            if let Some(effort) = word(asked) {
                additional.put("reasoning", |out| {
                    json::object(out, |o| o.text("effort", effort));
                });
            }
        }
        Family::R1
        | Family::Nova { thinks: false }
        | Family::Llama
        | Family::Mistral
        | Family::Cohere
        | Family::Plain => {
            if word(asked).is_some_and(|effort| effort != "none") {
                let param = if asked.thinking.is_some() { "thinking" } else { "reasoning_effort" };
                sieve.refuse(param, "nobody can tell this model how much to think")?;
            }
        }
    }
    for (name, _) in &asked.extra {
        sieve.hint(&format!("thinking.{name}"));
    }
    Ok(Decided::default())
}

/// The client's own mode, the configuration's, or the budget that LiteLLM gives to an effort.
fn claude(
    ask: &Request,
    asked: &Reasoning,
    to: &Target,
    sieve: &mut Sieve<'_>,
) -> Result<Option<Thinking>, CannotAsk> {
    if asked.thinking.is_some() {
        return Ok(asked.thinking);
    }
    if ask.surface != Dialect::Anthropic
        && let Some(effort) = asked.effort.as_deref()
    {
        let budget = match effort {
            "none" => return Ok(None),
            "minimal" | "low" => 1024,
            "medium" => 2048,
            "high" => 4096,
            "xhigh" => 8192,
            "max" => 16_384,
            _ => {
                sieve
                    .refuse("reasoning_effort", "claude has no thinking budget for this effort")?;
                return Ok(None);
            }
        };
        if calls_without_thoughts(&ask.messages) {
            let why = "the last tool call in `messages` came without the thoughts that claude \
                       wants back with it";
            sieve.refuse("reasoning_effort", why)?;
            return Ok(None);
        }
        return Ok(Some(Thinking::Enabled { budget }));
    }
    Ok(preset(to, "thinking").map(|set| match set {
        Preset::Enabled { budget_tokens } => Thinking::Enabled { budget: budget_tokens },
        Preset::Disabled => Thinking::Disabled,
        Preset::Adaptive => Thinking::Adaptive,
    }))
}

fn nova(
    asked: &Reasoning,
    sieve: &mut Sieve<'_>,
    additional: &mut Additional,
) -> Result<(), CannotAsk> {
    let effort = match word(asked) {
        None => return Ok(()),
        Some("none") => None,
        Some("minimal" | "low") => Some("low"),
        Some("medium") => Some("medium"),
        Some("high") => Some("high"),
        Some(_) => return sieve.refuse("reasoning_effort", "nova has `low`, `medium` and `high`"),
    };
    additional.put("reasoningConfig", |out| {
        json::object(out, |o| {
            o.text("type", if effort.is_some() { "enabled" } else { "disabled" });
            o.some_text("maxReasoningEffort", effort);
        });
    });
    Ok(())
}

/// One word for it: the client's own, or the one whose budget at Claude is reached.
fn word(asked: &Reasoning) -> Option<&str> {
    match (asked.thinking, asked.effort.as_deref()) {
        (Some(Thinking::Disabled), _) => Some("none"),
        (_, Some(effort)) => Some(effort),
        (Some(Thinking::Enabled { budget }), None) => Some(match budget {
            0..2048 => "low",
            2048..4096 => "medium",
            4096.. => "high",
        }),
        (Some(Thinking::Adaptive), None) => Some("medium"),
        (None, None) => None,
    }
}
