//! What a model can do, and what goes in and comes out, as small sets.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Something that a model can do, or that may be asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Ability {
    /// Calls tools.
    Tools,
    /// Calls several tools at once.
    ParallelTools,
    /// Obeys `tool_choice`.
    ToolChoice,
    /// Answers by a JSON schema.
    ResponseSchema,
    /// Takes system messages.
    SystemMessages,
    /// Goes on from the beginning of an answer.
    Prefill,
    /// Looks at images.
    Vision,
    /// Reads PDF files.
    PdfInput,
    /// Listens to audio.
    AudioInput,
    /// Speaks.
    AudioOutput,
    /// Watches video.
    VideoInput,
    /// Keeps a prompt for the next request.
    PromptCaching,
    /// Thinks before it answers.
    Reasoning,
    /// Decides by itself how much to think: takes no budget.
    AdaptiveThinking,
    /// Knows the effort `none`.
    EffortNone,
    /// Knows the effort `minimal`.
    EffortMinimal,
    /// Knows the effort `xhigh`.
    EffortXhigh,
    /// Knows the effort `max`.
    EffortMax,
    /// Searches the web.
    WebSearch,
    /// Reads pages by their URL.
    UrlContext,
    /// Uses a computer.
    ComputerUse,
    /// Searches for tools among many.
    ToolSearch,
    /// Streams by itself.
    Streaming,
    /// Obeys `temperature`, `top_p` and the like.
    Sampling,
}

impl Ability {
    /// All of them.
    pub const ALL: [Ability; 24] = [
        Ability::Tools,
        Ability::ParallelTools,
        Ability::ToolChoice,
        Ability::ResponseSchema,
        Ability::SystemMessages,
        Ability::Prefill,
        Ability::Vision,
        Ability::PdfInput,
        Ability::AudioInput,
        Ability::AudioOutput,
        Ability::VideoInput,
        Ability::PromptCaching,
        Ability::Reasoning,
        Ability::AdaptiveThinking,
        Ability::EffortNone,
        Ability::EffortMinimal,
        Ability::EffortXhigh,
        Ability::EffortMax,
        Ability::WebSearch,
        Ability::UrlContext,
        Ability::ComputerUse,
        Ability::ToolSearch,
        Ability::Streaming,
        Ability::Sampling,
    ];

    /// The name in the catalogue.
    pub const fn name(self) -> &'static str {
        match self {
            Ability::Tools => "tools",
            Ability::ParallelTools => "parallel_tools",
            Ability::ToolChoice => "tool_choice",
            Ability::ResponseSchema => "response_schema",
            Ability::SystemMessages => "system_messages",
            Ability::Prefill => "prefill",
            Ability::Vision => "vision",
            Ability::PdfInput => "pdf_input",
            Ability::AudioInput => "audio_input",
            Ability::AudioOutput => "audio_output",
            Ability::VideoInput => "video_input",
            Ability::PromptCaching => "prompt_caching",
            Ability::Reasoning => "reasoning",
            Ability::AdaptiveThinking => "adaptive_thinking",
            Ability::EffortNone => "effort_none",
            Ability::EffortMinimal => "effort_minimal",
            Ability::EffortXhigh => "effort_xhigh",
            Ability::EffortMax => "effort_max",
            Ability::WebSearch => "web_search",
            Ability::UrlContext => "url_context",
            Ability::ComputerUse => "computer_use",
            Ability::ToolSearch => "tool_search",
            Ability::Streaming => "streaming",
            Ability::Sampling => "sampling",
        }
    }

    /// LiteLLM's name for it: `supports_function_calling`, …
    pub const fn litellm(self) -> &'static str {
        match self {
            Ability::Tools => "supports_function_calling",
            Ability::ParallelTools => "supports_parallel_function_calling",
            Ability::ToolChoice => "supports_tool_choice",
            Ability::ResponseSchema => "supports_response_schema",
            Ability::SystemMessages => "supports_system_messages",
            Ability::Prefill => "supports_assistant_prefill",
            Ability::Vision => "supports_vision",
            Ability::PdfInput => "supports_pdf_input",
            Ability::AudioInput => "supports_audio_input",
            Ability::AudioOutput => "supports_audio_output",
            Ability::VideoInput => "supports_video_input",
            Ability::PromptCaching => "supports_prompt_caching",
            Ability::Reasoning => "supports_reasoning",
            Ability::AdaptiveThinking => "supports_adaptive_thinking",
            Ability::EffortNone => "supports_none_reasoning_effort",
            Ability::EffortMinimal => "supports_minimal_reasoning_effort",
            Ability::EffortXhigh => "supports_xhigh_reasoning_effort",
            Ability::EffortMax => "supports_max_reasoning_effort",
            Ability::WebSearch => "supports_web_search",
            Ability::UrlContext => "supports_url_context",
            Ability::ComputerUse => "supports_computer_use",
            Ability::ToolSearch => "supports_tool_search",
            Ability::Streaming => "supports_native_streaming",
            Ability::Sampling => "supports_sampling_params",
        }
    }
}

/// A set of abilities.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Abilities(u32);

impl Abilities {
    /// Whether it is in the set.
    pub const fn has(self, ability: Ability) -> bool {
        self.0 & (1 << ability as u8) != 0
    }

    /// Puts it into the set.
    pub const fn add(&mut self, ability: Ability) {
        self.0 |= 1 << ability as u8;
    }

    /// Whether nothing is in the set.
    pub const fn is_empty(&self) -> bool {
        self.0 == 0
    }

    /// All that is in the set.
    pub fn iter(self) -> impl Iterator<Item = Ability> {
        Ability::ALL.into_iter().filter(move |ability| self.has(*ability))
    }
}

impl FromIterator<Ability> for Abilities {
    fn from_iter<I: IntoIterator<Item = Ability>>(iter: I) -> Self {
        let mut set = Abilities::default();
        iter.into_iter().for_each(|ability| set.add(ability));
        set
    }
}

/// What a prompt or an answer may have in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Modality {
    /// Text.
    Text,
    /// Images.
    Image,
    /// Audio.
    Audio,
    /// Video.
    Video,
    /// Files, PDF above all.
    File,
    /// Vectors.
    Vector,
}

impl Modality {
    /// All of them.
    pub const ALL: [Modality; 6] = [
        Modality::Text,
        Modality::Image,
        Modality::Audio,
        Modality::Video,
        Modality::File,
        Modality::Vector,
    ];

    /// The name in the catalogue, OpenRouter's.
    pub const fn name(self) -> &'static str {
        match self {
            Modality::Text => "text",
            Modality::Image => "image",
            Modality::Audio => "audio",
            Modality::Video => "video",
            Modality::File => "file",
            Modality::Vector => "vector",
        }
    }
}

/// A set of modalities.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Modalities(u8);

impl Modalities {
    /// Whether it is in the set.
    pub const fn has(self, modality: Modality) -> bool {
        self.0 & (1 << modality as u8) != 0
    }

    /// Puts it into the set.
    pub const fn add(&mut self, modality: Modality) {
        self.0 |= 1 << modality as u8;
    }

    /// Whether nothing is in the set.
    pub const fn is_empty(&self) -> bool {
        self.0 == 0
    }

    /// All that is in the set.
    pub fn iter(self) -> impl Iterator<Item = Modality> {
        Modality::ALL.into_iter().filter(move |modality| self.has(*modality))
    }
}

impl FromIterator<Modality> for Modalities {
    fn from_iter<I: IntoIterator<Item = Modality>>(iter: I) -> Self {
        let mut set = Modalities::default();
        iter.into_iter().for_each(|modality| set.add(modality));
        set
    }
}

impl Serialize for Abilities {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(Ability::name))
    }
}

impl<'de> Deserialize<'de> for Abilities {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let find = |name: &&str| Ability::ALL.into_iter().find(|ability| ability.name() == *name);
        <Vec<&str>>::deserialize(deserializer)?
            .iter()
            .map(|name| find(name).ok_or_else(|| D::Error::custom(unknown("ability", name))))
            .collect()
    }
}

impl Serialize for Modalities {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(Modality::name))
    }
}

impl<'de> Deserialize<'de> for Modalities {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let find = |name: &&str| Modality::ALL.into_iter().find(|kind| kind.name() == *name);
        <Vec<&str>>::deserialize(deserializer)?
            .iter()
            .map(|name| find(name).ok_or_else(|| D::Error::custom(unknown("modality", name))))
            .collect()
    }
}

fn unknown(what: &str, name: &str) -> String {
    format!("`{name}` is no {what}")
}
