//! What the families of models differ in. A model's name at Bedrock begins with its maker's
//! (`us.anthropic.claude-…`, `arn:…/amazon.nova-…`); that of a profile or of an imported model says
//! nothing, and is taken for a model that takes what Claude takes.
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference-supported-models-features.html>

/// A family of models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// Anthropic's.
    Claude {
        /// Whether it holds its answers to a schema itself: 4.5 and later.
        formats: bool,
    },
    /// Amazon's.
    Nova {
        /// Whether it can think: the second generation.
        thinks: bool,
    },
    /// OpenAI's that are named by a number.
    Gpt,
    /// DeepSeek's R1, which always thinks.
    R1,
    /// Models whose weights are public and that take `reasoning_effort`.
    Open,
    /// Meta's.
    Llama,
    /// Mistral's.
    Mistral,
    /// Cohere's.
    Cohere,
    /// Amazon's Titan and AI21's.
    Plain,
    /// The name does not say.
    Unknown,
}

/// Claude models that hold no answer to a schema.
const CLAUDE_WITHOUT_FORMATS: &[&str] = &[
    "claude-v",
    "claude-instant",
    "claude-3",
    "claude-sonnet-4-2025",
    "claude-opus-4-2025",
    "claude-opus-4-1-",
];

const OPEN: &[&str] = &[
    "openai.gpt-oss",
    "deepseek.",
    "qwen.",
    "moonshot.",
    "moonshotai.",
    "minimax.",
    "zai.",
    "google.",
    "nvidia.",
];

impl Family {
    /// Of a model's name.
    pub(super) fn of(model: &str) -> Family {
        let has = |parts: &[&str]| parts.iter().any(|part| model.contains(part));
        if model.contains("claude") || model.contains("anthropic.") {
            Family::Claude { formats: !has(CLAUDE_WITHOUT_FORMATS) }
        } else if model.contains("amazon.nova") {
            Family::Nova { thinks: model.contains("amazon.nova-2") }
        } else if model.contains("deepseek.r1") {
            Family::R1
        } else if has(OPEN) {
            Family::Open
        } else if model.contains("openai.gpt-") {
            Family::Gpt
        } else if model.contains("meta.") {
            Family::Llama
        } else if model.contains("mistral.") {
            Family::Mistral
        } else if model.contains("cohere.") {
            Family::Cohere
        } else if model.contains("amazon.titan") || model.contains("ai21.") {
            Family::Plain
        } else {
            Family::Unknown
        }
    }

    /// Whether it takes what Anthropic's own API takes, in `additionalModelRequestFields`.
    pub(super) const fn is_claude(self) -> bool {
        matches!(self, Family::Claude { .. } | Family::Unknown)
    }

    /// Whether a prompt can be cached up to a mark.
    /// <https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html>
    pub(super) const fn caches(self) -> bool {
        matches!(self, Family::Claude { .. } | Family::Nova { .. } | Family::Unknown)
    }

    /// Whether it holds its answers to a schema by `outputConfig.textFormat`. Others are made to
    /// answer by a tool.
    /// <https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html>
    pub(super) const fn formats(self) -> bool {
        match self {
            Family::Claude { formats } => formats,
            Family::Gpt | Family::Open | Family::Unknown | Family::R1 | Family::Mistral => true,
            Family::Nova { .. } | Family::Llama | Family::Cohere | Family::Plain => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_models_profiles_and_arns() {
        let new = Family::Claude { formats: true };
        let old = Family::Claude { formats: false };
        for (model, family) in [
            ("anthropic.claude-sonnet-4-5-20250929-v1:0", new),
            ("us.anthropic.claude-opus-4-6-v1", new),
            ("global.anthropic.claude-haiku-4-5-20251001-v1:0", new),
            ("eu.anthropic.claude-sonnet-4-20250514-v1:0", old),
            ("anthropic.claude-opus-4-1-20250805-v1:0", old),
            ("anthropic.claude-3-7-sonnet-20250219-v1:0", old),
            ("anthropic.claude-v2:1", old),
            ("amazon.nova-pro-v1:0", Family::Nova { thinks: false }),
            ("us.amazon.nova-2-lite-v1:0", Family::Nova { thinks: true }),
            ("openai.gpt-oss-120b-1:0", Family::Open),
            ("openai.gpt-5.4", Family::Gpt),
            ("us.deepseek.r1-v1:0", Family::R1),
            ("deepseek.v3-v1:0", Family::Open),
            ("meta.llama3-3-70b-instruct-v1:0", Family::Llama),
            ("mistral.mistral-large-2407-v1:0", Family::Mistral),
            ("cohere.command-r-plus-v1:0", Family::Cohere),
            (
                "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-lite-v1:0",
                Family::Nova { thinks: false },
            ),
            (
                "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3d4e5f6",
                Family::Unknown,
            ),
        ] {
            assert_eq!(Family::of(model), family, "{model}");
        }
    }
}
