//! What each request left behind.

use std::{borrow::Cow, sync::Arc};

use serde::{Deserialize, Serialize};
use tollgate_ledger::Nano;
use uuid::Uuid;

use crate::KeyHash;

/// How a request ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The client got the whole answer.
    #[default]
    Ok,
    /// We said no before any upstream was asked.
    Refused,
    /// No answer: the client got an error.
    Failed,
    /// The client left before the end.
    Aborted,
    /// The upstream broke off in the middle.
    Cut,
}

impl Outcome {
    /// `ok`, `failed`, `aborted`, `cut`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Aborted => "aborted",
            Self::Cut => "cut",
        }
    }
}

/// What few answers consumed, and how they were served: whatever else a price may depend on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RareUsage {
    /// Part of `cache_read` that is audio.
    pub cache_read_audio: u64,
    /// Part of `input` written to the cache for twelve hours.
    pub cache_write_12h: u64,
    /// Part of `input` that is images.
    pub input_image: u64,
    /// Part of `input` that is video.
    pub input_video: u64,
    /// Part of `output` that is images.
    pub output_image: u64,
    /// Part of `output` that is video.
    pub output_video: u64,
    /// Web searches.
    pub searches: u32,
    /// How much of what was found was read: `low`, `high`; empty: the usual.
    pub search_size: Cow<'static, str>,
    /// The service tier that the answer was served at; empty if the upstream did not say.
    pub tier: Cow<'static, str>,
    /// Served in the United States alone, at the client's wish.
    pub us_only: bool,
}

/// One request: who asked what of whom, how it ended, what it took and what it cost.
///
/// Texts that repeat are shared or static, so that building a row costs no copy of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct UsageRow {
    /// The request's id, version 7: what the answer's `x-litellm-call-id` says.
    pub id: Uuid,
    /// The caller's key; `None`: the master key, or no known key.
    pub key: Option<KeyHash>,
    /// The key's alias at that time.
    pub key_alias: Option<Arc<str>>,
    /// The key's user.
    pub user_id: Option<Arc<str>>,
    /// The key's team.
    pub team_id: Option<Arc<str>>,
    /// The end user that the request named.
    pub end_user: Option<Arc<str>>,
    /// What was asked for: `chat`, `embeddings`, …
    pub operation: Cow<'static, str>,
    /// The client's dialect: `openai`, `anthropic`, …
    pub surface: Cow<'static, str>,
    /// The public model name asked for.
    pub group: Arc<str>,
    /// The provider's name for the model that answered; empty if none was called.
    pub model: Arc<str>,
    /// The provider that answered; empty if none was called.
    pub provider: Arc<str>,
    /// The target's id; empty if none was called.
    pub target: Arc<str>,
    /// The base of the upstream's URL; empty if none was called.
    pub api_base: Arc<str>,
    /// Whether the client asked for a stream.
    pub stream: bool,
    /// The status the client saw; 499 if it left first.
    pub status: u16,
    /// How it ended.
    pub outcome: Outcome,
    /// The kind of the last fault or the refusal's code; never a message.
    pub error: Option<Cow<'static, str>>,
    /// Prompt tokens, cached ones included.
    pub input: u64,
    /// Part of `input` read from the cache.
    pub cache_read: u64,
    /// Part of `input` written to the cache.
    pub cache_write: u64,
    /// Part of `input` written to the cache for an hour.
    pub cache_write_1h: u64,
    /// Answer tokens, reasoning included.
    pub output: u64,
    /// Part of `output` that is reasoning.
    pub reasoning: u64,
    /// Part of `input` that is audio.
    pub input_audio: u64,
    /// Part of `output` that is audio.
    pub output_audio: u64,
    /// Counts that few answers have, and how the answer was served.
    pub rare: RareUsage,
    /// Whether the counts are our estimate, because the upstream did not say.
    pub estimated: bool,
    /// What it cost; `None`: the price is not known.
    pub cost: Option<Nano>,
    /// When the request arrived.
    pub started_us: i64,
    /// When the first byte of the answer left for the client.
    pub first_byte_us: Option<i64>,
    /// When the last byte left, or the client did.
    pub ended_us: i64,
    /// When the upstream that answered was called.
    pub upstream_started_us: Option<i64>,
    /// Upstream calls made.
    pub attempts: u32,
    /// How many of them went to another group than the one asked for.
    pub fallbacks: u32,
    /// Why the model stopped, as the client was told.
    pub finish_reason: Option<Cow<'static, str>>,
    /// Tags of the key and of the request.
    pub tags: Arc<[Arc<str>]>,
    /// The client's address.
    pub ip: Option<Arc<str>>,
}

/// Which usage rows to list; every field that is set must match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsageFilter {
    /// This request alone.
    pub id: Option<Uuid>,
    /// Of this key.
    pub key: Option<KeyHash>,
    /// Of keys with this alias.
    pub key_alias: Option<String>,
    /// Of this user's keys.
    pub user_id: Option<String>,
    /// Of this team's keys.
    pub team_id: Option<String>,
    /// Of this end user.
    pub end_user: Option<String>,
    /// The public name or the provider's name of the model.
    pub model: Option<String>,
    /// `true`: those that ended [`Outcome::Ok`]; `false`: all others.
    pub success: Option<bool>,
    /// Started at or after.
    pub from_us: Option<i64>,
    /// Started before.
    pub until_us: Option<i64>,
    /// Cost at least.
    pub min_cost: Option<Nano>,
    /// Cost at most.
    pub max_cost: Option<Nano>,
    /// In which order.
    pub order: UsageOrder,
    /// Smallest first; the default is newest, dearest, largest first.
    pub ascending: bool,
}

/// What usage rows are sorted by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UsageOrder {
    /// When the request arrived.
    #[default]
    Started,
    /// What it cost.
    Cost,
    /// Input and output tokens.
    Tokens,
}

/// What sums of usage are made by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SummaryBy {
    /// The key: `name` is its hash in hexadecimal, empty for no key.
    Key,
    /// The public model name.
    Model,
    /// The UTC day: `name` is the day's first µs as a number.
    Day,
}

/// A sum over usage rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsageSum {
    /// What it is the sum of, see [`SummaryBy`].
    pub name: String,
    /// The newest alias of the key, when summed by key.
    pub alias: Option<String>,
    /// How many requests.
    pub requests: u64,
    /// How many of them did not end [`Outcome::Ok`].
    pub failed: u64,
    /// Prompt tokens.
    pub input: u64,
    /// Answer tokens.
    pub output: u64,
    /// What they cost.
    pub cost: Nano,
}
