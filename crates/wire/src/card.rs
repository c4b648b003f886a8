//! Model cards: what a model at a provider can do, and what it costs. Data.

mod ability;
mod rates;
mod usd;

use serde::{Deserialize, Serialize};

pub(crate) use self::usd::Usd;
pub use self::{
    ability::{Abilities, Ability, Modalities, Modality},
    rates::{
        Factors, Hours, Kind, OffPeak, RareRates, Rates, SearchRates, TokenRates, Unit, UnitRate,
        Variant,
    },
    usd::{PriceError, femto_from_usd_text, usd_text},
};
use crate::matrix::Operation;

/// A model at a provider. Prices are list prices of the provider.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Card {
    /// The provider's name in the catalogue.
    pub provider: String,
    /// The model's name at the provider.
    pub name: String,
    /// Whether the name alone, without a provider's, means this one of all that are called so.
    pub bare: bool,
    /// What the model is for, if known.
    pub mode: Option<Mode>,
    /// Most tokens a prompt may have, if known.
    pub max_input: Option<u64>,
    /// Most tokens an answer may have, if known.
    pub max_output: Option<u64>,
    /// How many numbers a vector of its has, if that is fixed.
    pub vector_size: Option<u64>,
    /// What a prompt may have in it; empty: not known.
    pub takes: Modalities,
    /// What an answer may have in it; empty: not known.
    pub gives: Modalities,
    /// What it can do. What is not listed may be possible all the same: lists have gaps.
    pub can: Abilities,
    /// The day it is switched off, `2026-10-01`, if that is announced.
    pub retires: Option<Box<str>>,
    /// Prices of tokens and requests, if known. `None` is "we do not know", never "free".
    pub rates: Option<Rates>,
    /// Prices of what is not counted in tokens.
    pub units: Box<[UnitRate]>,
}

impl Card {
    /// Whether it is known to have this ability.
    pub fn can(&self, ability: Ability) -> bool {
        self.can.has(ability)
    }

    /// The price of something that is no token: of this size or quality, else of any.
    pub fn unit(&self, unit: Unit, of: &str) -> Option<i64> {
        let all = self.units.iter().filter(|rate| rate.unit == unit);
        let find = |of: &str| all.clone().find(|rate| *rate.of == *of).map(|rate| rate.rate);
        find(of).or_else(|| find(""))
    }

    /// What a prompt may have in it: what the provider lists, else what the abilities say.
    pub fn inputs(&self) -> Modalities {
        if !self.takes.is_empty() {
            return self.takes;
        }
        let of = [
            (Ability::Vision, Modality::Image),
            (Ability::AudioInput, Modality::Audio),
            (Ability::VideoInput, Modality::Video),
            (Ability::PdfInput, Modality::File),
        ];
        let known = of.into_iter().filter(|(ability, _)| self.can(*ability));
        std::iter::once(Modality::Text).chain(known.map(|(_, modality)| modality)).collect()
    }

    /// What an answer may have in it: what the provider lists, else what the mode and the abilities
    /// say.
    pub fn outputs(&self) -> Modalities {
        if !self.gives.is_empty() {
            return self.gives;
        }
        let main = match self.mode {
            Some(Mode::Embeddings) => Modality::Vector,
            Some(Mode::Images | Mode::ImageEdits) => Modality::Image,
            Some(Mode::Video) => Modality::Video,
            Some(Mode::Speech) => Modality::Audio,
            Some(_) | None => Modality::Text,
        };
        let spoken = self.can(Ability::AudioOutput).then_some(Modality::Audio);
        std::iter::once(main).chain(spoken).collect()
    }

    /// Whether anything about it has a price.
    pub fn is_priced(&self) -> bool {
        self.rates.is_some() || !self.units.is_empty()
    }
}

/// What a model is for: the operations that models are sold for, served here or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Messages in, a message out.
    Chat,
    /// The same, by OpenAI's Responses alone.
    Responses,
    /// A text in, its continuation out.
    Completions,
    /// Texts in, vectors out.
    Embeddings,
    /// Texts in, images out.
    Images,
    /// Images in, images out.
    ImageEdits,
    /// Texts or images in, video out.
    Video,
    /// Text in, speech out.
    Speech,
    /// Speech in, text out.
    Transcription,
    /// Documents in, their order out.
    Rerank,
    /// Texts in, what is wrong with them out.
    Moderation,
    /// Documents in, text out.
    Ocr,
    /// A query in, pages out.
    Search,
    /// Speech and text in both directions over one connection.
    Realtime,
    /// Anything else.
    Other,
}

impl Mode {
    /// The name in files, configuration and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Mode::Chat => "chat",
            Mode::Responses => "responses",
            Mode::Completions => "completions",
            Mode::Embeddings => "embeddings",
            Mode::Images => "images",
            Mode::ImageEdits => "image_edits",
            Mode::Video => "video",
            Mode::Speech => "speech",
            Mode::Transcription => "transcription",
            Mode::Rerank => "rerank",
            Mode::Moderation => "moderation",
            Mode::Ocr => "ocr",
            Mode::Search => "search",
            Mode::Realtime => "realtime",
            Mode::Other => "other",
        }
    }

    /// Whether an answer consists of tokens, so that a price without their price is half a price.
    pub const fn answers_in_tokens(self) -> bool {
        matches!(self, Mode::Chat | Mode::Responses | Mode::Completions | Mode::Realtime)
    }

    /// The operation that is served for it, if one is. Responses and completions are chats in
    /// another spelling.
    pub const fn operation(self) -> Option<Operation> {
        match self {
            Mode::Chat | Mode::Responses | Mode::Completions => Some(Operation::Chat),
            Mode::Embeddings => Some(Operation::Embeddings),
            Mode::Images
            | Mode::ImageEdits
            | Mode::Video
            | Mode::Speech
            | Mode::Transcription
            | Mode::Rerank
            | Mode::Moderation
            | Mode::Ocr
            | Mode::Search
            | Mode::Realtime
            | Mode::Other => None,
        }
    }

    /// LiteLLM's word for it.
    pub const fn litellm(self) -> &'static str {
        match self {
            Mode::Chat | Mode::Other => "chat",
            Mode::Responses => "responses",
            Mode::Completions => "completion",
            Mode::Embeddings => "embedding",
            Mode::Images => "image_generation",
            Mode::ImageEdits => "image_edit",
            Mode::Video => "video_generation",
            Mode::Speech => "audio_speech",
            Mode::Transcription => "audio_transcription",
            Mode::Rerank => "rerank",
            Mode::Moderation => "moderation",
            Mode::Ocr => "ocr",
            Mode::Search => "search",
            Mode::Realtime => "realtime",
        }
    }

    /// LiteLLM's `mode` of a model, also in its configurations.
    pub fn of_litellm(word: &str) -> Option<Mode> {
        Some(match word {
            "chat" => Mode::Chat,
            "responses" => Mode::Responses,
            "completion" => Mode::Completions,
            "embedding" => Mode::Embeddings,
            "image_generation" => Mode::Images,
            "image_edit" => Mode::ImageEdits,
            "video_generation" => Mode::Video,
            "audio_speech" => Mode::Speech,
            "audio_transcription" => Mode::Transcription,
            "rerank" => Mode::Rerank,
            "moderation" => Mode::Moderation,
            "ocr" => Mode::Ocr,
            "search" => Mode::Search,
            "realtime" => Mode::Realtime,
            _ => return None,
        })
    }
}

impl From<Operation> for Mode {
    fn from(operation: Operation) -> Mode {
        match operation {
            Operation::Chat => Mode::Chat,
            Operation::Embeddings => Mode::Embeddings,
            // Of what a model for messages is asked.
            Operation::CountTokens => Mode::Chat,
        }
    }
}
