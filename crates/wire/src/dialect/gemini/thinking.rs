//! How much to think, in Google's words: a level for Gemini 3 and later, a budget of tokens for what
//! came before. <https://ai.google.dev/gemini-api/docs/thinking>
//! <https://ai.google.dev/gemini-api/docs/openai#thinking>

use crate::op::chat::Thinking;

/// What `thinkingConfig` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// `thinkingLevel`
    Level(&'static str),
    /// `thinkingBudget`; -1: as much as the model likes.
    Budget(i64),
    /// Neither: the model's own way.
    Default,
}

/// What a model's name says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Family {
    /// Generation, `(2, 5)`; `None` for a name that does not say.
    generation: Option<(u32, u32)>,
    pro: bool,
}

impl Family {
    /// Of `gemini-3.1-pro-preview` and the like.
    pub(super) fn of(model: &str) -> Family {
        let rest = model.rsplit('/').next().unwrap_or(model);
        let version = rest.strip_prefix("gemini-").and_then(|rest| rest.split('-').next());
        let generation = version.and_then(|version| {
            let (major, minor) = version.split_once('.').unwrap_or((version, "0"));
            Some((major.parse().ok()?, minor.parse().ok()?))
        });
        Family { generation, pro: rest.contains("-pro") }
    }

    /// Whether it thinks by levels, signs its calls and wants the signatures back.
    pub(super) fn is_third(self) -> bool {
        self.generation.is_some_and(|generation| generation >= (3, 0))
    }

    /// The searches that Google charges for: each of the third generation's, and one a prompt
    /// before. <https://ai.google.dev/gemini-api/docs/pricing>
    pub(super) fn searches(self, queries: u64) -> u64 {
        if self.is_third() { queries } else { queries.min(1) }
    }

    /// Google's own table of OpenAI's words. `None` for a word that nobody knows.
    pub(super) fn effort(self, effort: &str) -> Option<Depth> {
        let word = match effort {
            "none" | "minimal" | "low" | "medium" | "high" => effort,
            "xhigh" | "max" => "high",
            _ => return None,
        };
        Some(if self.is_third() {
            Depth::Level(match word {
                // Pro always thinks; only Flash has the least level.
                "none" | "minimal" if !self.pro => "minimal",
                "none" | "minimal" | "low" => "low",
                // The first Pro of this generation has two levels.
                "medium" if !(self.pro && self.generation == Some((3, 0))) => "medium",
                _ => "high",
            })
        } else {
            Depth::Budget(match word {
                "none" => self.least(),
                "minimal" | "low" => 1024,
                "medium" => 8192,
                _ => 24_576,
            })
        })
    }

    /// A budget of tokens, or none.
    pub(super) fn mode(self, thinking: Thinking) -> Depth {
        match thinking {
            Thinking::Disabled if self.is_third() => {
                Depth::Level(if self.pro { "low" } else { "minimal" })
            }
            Thinking::Disabled => Depth::Budget(self.least()),
            Thinking::Adaptive if self.is_third() => Depth::Default,
            Thinking::Adaptive => Depth::Budget(-1),
            Thinking::Enabled { budget } if self.is_third() => Depth::Level(match budget {
                0..4096 => "low",
                4096..16_384 if !(self.pro && self.generation == Some((3, 0))) => "medium",
                4096.. => "high",
            }),
            Thinking::Enabled { budget } => {
                // 2.5 Pro takes up to 32,768 tokens, Flash up to 24,576.
                let most = if self.pro { 32_768 } else { 24_576 };
                Depth::Budget(i64::try_from(budget).unwrap_or(most).clamp(self.least(), most))
            }
        }
    }

    /// The least budget: 2.5 Pro cannot be kept from thinking.
    fn least(self) -> i64 {
        if self.pro { 128 } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_the_generation() {
        for (model, third) in [
            ("gemini-2.5-flash", false),
            ("gemini-3-pro-preview", true),
            ("models/gemini-3.1-flash-lite", true),
            ("gemini-flash-latest", false),
            ("gemma-3-27b-it", false),
            ("upstream-model", false),
        ] {
            assert_eq!(Family::of(model).is_third(), third, "{model}");
        }
    }

    #[test]
    fn efforts_become_budgets_and_levels() {
        for (model, effort, depth) in [
            ("gemini-2.5-flash", "none", Depth::Budget(0)),
            ("gemini-2.5-pro", "none", Depth::Budget(128)),
            ("gemini-2.5-flash", "minimal", Depth::Budget(1024)),
            ("gemini-2.5-flash", "medium", Depth::Budget(8192)),
            ("gemini-2.5-pro", "xhigh", Depth::Budget(24_576)),
            ("gemini-3-flash-preview", "none", Depth::Level("minimal")),
            ("gemini-3-flash-preview", "medium", Depth::Level("medium")),
            ("gemini-3-pro-preview", "minimal", Depth::Level("low")),
            ("gemini-3-pro-preview", "medium", Depth::Level("high")),
            ("gemini-3.1-pro-preview", "medium", Depth::Level("medium")),
        ] {
            assert_eq!(Family::of(model).effort(effort), Some(depth), "{model} {effort}");
        }
        assert_eq!(Family::of("gemini-2.5-pro").effort("much"), None);
    }

    #[test]
    fn budgets_stay_within_what_the_model_takes() {
        let enabled = |budget| Thinking::Enabled { budget };
        for (model, thinking, depth) in [
            ("gemini-2.5-flash", enabled(31_999), Depth::Budget(24_576)),
            ("gemini-2.5-pro", enabled(31_999), Depth::Budget(31_999)),
            ("gemini-2.5-pro", enabled(1), Depth::Budget(128)),
            ("gemini-2.5-flash", Thinking::Disabled, Depth::Budget(0)),
            ("gemini-2.5-flash", Thinking::Adaptive, Depth::Budget(-1)),
            ("gemini-3-pro-preview", enabled(1024), Depth::Level("low")),
            ("gemini-3-pro-preview", enabled(8192), Depth::Level("high")),
            ("gemini-3-flash-preview", enabled(8192), Depth::Level("medium")),
            ("gemini-3-flash-preview", Thinking::Adaptive, Depth::Default),
        ] {
            assert_eq!(Family::of(model).mode(thinking), depth, "{model} {thinking:?}");
        }
    }
}
