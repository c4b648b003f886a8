//! A usage row as it is stored: in the database's columns, and as a line of the journal.

use std::{borrow::Cow, sync::Arc};

use serde::Deserialize;
use serde_json::value::RawValue;
use tollgate_ledger::Nano;
use uuid::Uuid;

use crate::{
    KeyHash, Outcome, RareUsage, StoreError, UsageRow,
    db::{Row, Value},
    line::Line,
};

/// The columns, in the order of [`Record`]'s fields.
pub(crate) const COLUMNS: &str = "id, started_us, key_hash, key_alias, user_id, team_id, \
    end_user, model_group, model, status, failed, input, output, cost, detail";
/// How many they are.
pub(crate) const COLUMN_COUNT: usize = 15;

/// A usage row, divided into what rows are found, sorted and summed by, and the rest. Made once,
/// by the pen; the recorder only moves it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Record {
    pub(crate) id: Uuid,
    pub(crate) started_us: i64,
    pub(crate) key: Option<KeyHash>,
    pub(crate) key_alias: Option<Arc<str>>,
    pub(crate) user_id: Option<Arc<str>>,
    pub(crate) team_id: Option<Arc<str>>,
    pub(crate) end_user: Option<Arc<str>>,
    pub(crate) group: Arc<str>,
    pub(crate) model: Arc<str>,
    pub(crate) status: u16,
    pub(crate) failed: u64,
    pub(crate) input: u64,
    pub(crate) output: u64,
    pub(crate) cost: Option<Nano>,
    /// A [`Detail`] as JSON.
    pub(crate) detail: Arc<str>,
}

/// A line of the journal: a [`Record`] as an array.
type Elements = (
    Uuid,
    i64,
    Option<KeyHash>,
    Option<Arc<str>>,
    Option<Arc<str>>,
    Option<Arc<str>>,
    Option<Arc<str>>,
    Arc<str>,
    Arc<str>,
    u16,
    u64,
    u64,
    u64,
    Option<Nano>,
    Box<RawValue>,
);

/// What has no column of its own, as the reader sees it; [`write_detail`] writes it. Short names:
/// this is a good part of the database's size.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Detail {
    #[serde(rename = "op")]
    operation: String,
    surface: String,
    provider: Arc<str>,
    target: Arc<str>,
    #[serde(rename = "base")]
    api_base: Arc<str>,
    stream: u8,
    outcome: Outcome,
    error: Option<String>,
    cache_read: u64,
    cache_write: u64,
    cache_write_1h: u64,
    reasoning: u64,
    input_audio: u64,
    output_audio: u64,
    cache_read_audio: u64,
    cache_write_12h: u64,
    input_image: u64,
    input_video: u64,
    output_image: u64,
    output_video: u64,
    searches: u32,
    search_size: Cow<'static, str>,
    tier: Cow<'static, str>,
    us_only: u8,
    estimated: u8,
    /// Times after the start, in µs.
    #[serde(rename = "first")]
    first_byte: Option<i64>,
    #[serde(rename = "end")]
    ended: i64,
    #[serde(rename = "called")]
    upstream_started: Option<i64>,
    attempts: u32,
    fallbacks: u32,
    #[serde(rename = "finish")]
    finish_reason: Option<String>,
    tags: Arc<[Arc<str>]>,
    ip: Option<Arc<str>>,
}

/// Writes a [`Detail`]. What is zero, empty or usual is left out.
fn write_detail(row: &UsageRow, line: &mut Line<'_>) {
    let after_start = |time_us: i64| time_us.saturating_sub(row.started_us);
    line.raw(b"{");
    let texts = [
        ("op", &*row.operation),
        ("surface", &*row.surface),
        ("provider", &*row.provider),
        ("target", &*row.target),
        ("base", &*row.api_base),
        ("outcome", if row.outcome == Outcome::Ok { "" } else { row.outcome.as_str() }),
        ("error", row.error.as_deref().unwrap_or_default()),
        ("finish", row.finish_reason.as_deref().unwrap_or_default()),
        ("ip", row.ip.as_deref().unwrap_or_default()),
        ("search_size", &*row.rare.search_size),
        ("tier", &*row.rare.tier),
    ];
    for (name, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
        line.name(name).text(text);
    }
    let counts = [
        ("stream", u64::from(row.stream)),
        ("cache_read", row.cache_read),
        ("cache_write", row.cache_write),
        ("cache_write_1h", row.cache_write_1h),
        ("reasoning", row.reasoning),
        ("input_audio", row.input_audio),
        ("output_audio", row.output_audio),
        ("cache_read_audio", row.rare.cache_read_audio),
        ("cache_write_12h", row.rare.cache_write_12h),
        ("input_image", row.rare.input_image),
        ("input_video", row.rare.input_video),
        ("output_image", row.rare.output_image),
        ("output_video", row.rare.output_video),
        ("searches", u64::from(row.rare.searches)),
        ("us_only", u64::from(row.rare.us_only)),
        ("estimated", u64::from(row.estimated)),
        ("attempts", u64::from(row.attempts)),
        ("fallbacks", u64::from(row.fallbacks)),
    ];
    for (name, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        line.name(name).int(count);
    }
    let times = [
        ("first", row.first_byte_us),
        ("end", Some(row.ended_us)),
        ("called", row.upstream_started_us),
    ];
    for (name, time) in times {
        if let Some(time) = time {
            line.name(name).int(after_start(time));
        }
    }
    if !row.tags.is_empty() {
        line.name("tags").raw(b"[");
        for tag in row.tags.iter() {
            line.comma();
            line.text(tag);
        }
        line.raw(b"]");
    }
    line.raw(b"}");
}

impl Record {
    /// Divides a row, and appends it to `line` as a line of the journal.
    pub(crate) fn write_line(row: UsageRow, line: &mut Vec<u8>) -> Self {
        let mut line = Line::new(line);
        line.raw(b"[\"");
        line.raw(row.id.simple().encode_lower(&mut [0; 32]).as_bytes());
        line.raw(b"\",");
        line.int(row.started_us);
        line.comma();
        line.opt(row.key, |line, key| line.text(&key.hex()));
        for text in [&row.key_alias, &row.user_id, &row.team_id, &row.end_user] {
            line.comma();
            line.opt(text.as_deref(), Line::text);
        }
        line.comma();
        line.text(&row.group);
        line.comma();
        line.text(&row.model);
        for count in [u64::from(row.status), failed(&row), row.input, row.output] {
            line.comma();
            line.int(count);
        }
        line.comma();
        line.opt(row.cost, |line, cost| line.int(cost.0));
        line.comma();
        let start = line.len();
        write_detail(&row, &mut line);
        let detail = line.text_from(start).into();
        line.raw(b"]\n");
        Self::of(row, detail)
    }

    /// Reads a line of the journal, without its line break.
    pub(crate) fn read_line(line: &[u8]) -> serde_json::Result<Self> {
        let line: Elements = serde_json::from_slice(line)?;
        Ok(Self {
            id: line.0,
            started_us: line.1,
            key: line.2,
            key_alias: line.3,
            user_id: line.4,
            team_id: line.5,
            end_user: line.6,
            group: line.7,
            model: line.8,
            status: line.9,
            failed: line.10,
            input: line.11,
            output: line.12,
            cost: line.13,
            detail: line.14.get().into(),
        })
    }

    fn of(row: UsageRow, detail: Arc<str>) -> Self {
        let failed = failed(&row);
        Self {
            id: row.id,
            started_us: row.started_us,
            key: row.key,
            key_alias: row.key_alias,
            user_id: row.user_id,
            team_id: row.team_id,
            end_user: row.end_user,
            group: row.group,
            model: row.model,
            status: row.status,
            failed,
            input: row.input,
            output: row.output,
            cost: row.cost,
            detail,
        }
    }

    /// Binds the columns. Texts are shared with the statement, not copied.
    pub(crate) fn bind(&self, values: &mut Vec<Value>) {
        let shared = |text: &Arc<str>| Value::from(Some(Arc::clone(text)));
        values.extend([
            self.id.as_bytes().as_slice().into(),
            self.started_us.into(),
            Value::Bytes(self.key.map(|hash| hash.0.to_vec())),
            self.key_alias.clone().into(),
            self.user_id.clone().into(),
            self.team_id.clone().into(),
            self.end_user.clone().into(),
            shared(&self.group),
            shared(&self.model),
            i64::from(self.status).into(),
            self.failed.into(),
            self.input.into(),
            self.output.into(),
            self.cost.map(|cost| cost.0).into(),
            // JSON has no NUL that would have to be replaced.
            Value::Text(Some(Arc::clone(&self.detail))),
        ]);
    }

    /// Reads the columns.
    pub(crate) fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        let shared = |column| -> Result<Option<Arc<str>>, StoreError> {
            Ok(row.opt_text(column)?.map(Arc::from))
        };
        let key = row.opt_bytes(2)?.map(KeyHash::from_slice).transpose();
        Ok(Self {
            id: Uuid::from_slice(row.bytes(0)?).map_err(StoreError::corrupt)?,
            started_us: row.int(1)?,
            key: key.map_err(StoreError::corrupt)?,
            key_alias: shared(3)?,
            user_id: shared(4)?,
            team_id: shared(5)?,
            end_user: shared(6)?,
            group: row.text(7)?.into(),
            model: row.text(8)?.into(),
            status: u16::try_from(row.int(9)?).map_err(StoreError::corrupt)?,
            failed: row.count(10)?,
            input: row.count(11)?,
            output: row.count(12)?,
            cost: row.opt_int(13)?.map(Nano),
            detail: row.text(14)?.into(),
        })
    }

    /// Puts the row together again.
    pub(crate) fn into_usage(self) -> Result<UsageRow, StoreError> {
        let detail: Detail = serde_json::from_str(&self.detail).map_err(StoreError::corrupt)?;
        let at = |after: i64| self.started_us.saturating_add(after);
        Ok(UsageRow {
            id: self.id,
            key: self.key,
            key_alias: self.key_alias,
            user_id: self.user_id,
            team_id: self.team_id,
            end_user: self.end_user,
            operation: detail.operation.into(),
            surface: detail.surface.into(),
            group: self.group,
            model: self.model,
            provider: detail.provider,
            target: detail.target,
            api_base: detail.api_base,
            stream: detail.stream != 0,
            status: self.status,
            outcome: detail.outcome,
            error: detail.error.map(Cow::Owned),
            input: self.input,
            cache_read: detail.cache_read,
            cache_write: detail.cache_write,
            cache_write_1h: detail.cache_write_1h,
            output: self.output,
            reasoning: detail.reasoning,
            input_audio: detail.input_audio,
            output_audio: detail.output_audio,
            rare: RareUsage {
                cache_read_audio: detail.cache_read_audio,
                cache_write_12h: detail.cache_write_12h,
                input_image: detail.input_image,
                input_video: detail.input_video,
                output_image: detail.output_image,
                output_video: detail.output_video,
                searches: detail.searches,
                search_size: detail.search_size,
                tier: detail.tier,
                us_only: detail.us_only != 0,
            },
            estimated: detail.estimated != 0,
            cost: self.cost,
            started_us: self.started_us,
            first_byte_us: detail.first_byte.map(at),
            ended_us: at(detail.ended),
            upstream_started_us: detail.upstream_started.map(at),
            attempts: detail.attempts,
            fallbacks: detail.fallbacks,
            finish_reason: detail.finish_reason.map(Cow::Owned),
            tags: detail.tags,
            ip: detail.ip,
        })
    }
}

fn failed(row: &UsageRow) -> u64 {
    u64::from(row.outcome != Outcome::Ok)
}

#[cfg(test)]
pub(crate) mod tests;
