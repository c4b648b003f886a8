//! Usage rows under LiteLLM's names: `/spend/logs/v2` and `/spend/logs`.

use serde_json::{Map, Value, json};
use tollgate_ledger::Nano;
use tollgate_store::{Outcome, Page, SummaryBy, UsageFilter, UsageOrder, UsageRow};
use tollgate_wire::Refusal;

use super::{bad, iso, stored, usd};
use crate::{auth, auth::Caller, core::Gateway};

/// What `/spend/logs/v2` can be narrowed and sorted by, as texts from the query string.
#[derive(Debug, Clone, Default)]
pub struct LogQuery {
    /// A key or its hash.
    pub api_key: Option<String>,
    /// A key's alias.
    pub key_alias: Option<String>,
    /// A user.
    pub user_id: Option<String>,
    /// A team.
    pub team_id: Option<String>,
    /// An end user.
    pub end_user: Option<String>,
    /// One request, by its id.
    pub request_id: Option<String>,
    /// From this moment on: ISO 8601, or `YYYY-MM-DD`, or `YYYY-MM-DD HH:MM:SS`, in UTC.
    pub start_date: Option<String>,
    /// Before the end of this moment: the same forms; a bare date means the whole day.
    pub end_date: Option<String>,
    /// `success` or `failure`.
    pub status_filter: Option<String>,
    /// A model: the public name or the provider's.
    pub model: Option<String>,
    /// Least cost in USD.
    pub min_spend: Option<String>,
    /// Most cost in USD.
    pub max_spend: Option<String>,
    /// `startTime`, `spend` or `total_tokens`.
    pub sort_by: Option<String>,
    /// `asc` or `desc`.
    pub sort_order: Option<String>,
    /// The page, from 1.
    pub page: Option<u64>,
    /// Rows on a page, at most 1,000; 50 if not said.
    pub page_size: Option<u64>,
}

/// `GET /spend/logs/v2`: the master key sees all rows, a virtual key its own.
pub async fn logs(gw: &Gateway, caller: &Caller, query: LogQuery) -> Result<Value, Refusal> {
    let page = query.page.unwrap_or(1).max(1);
    let size = query.page_size.unwrap_or(50).clamp(1, Page::MAX_ROWS);
    let filter = filter(query, caller)?;
    let window = Page { offset: (page - 1).saturating_mul(size), limit: size };
    let (rows, total) = stored(gw.store.usage(&filter, window).await)?;
    Ok(json!({
        "data": rows.iter().map(row).collect::<Vec<_>>(),
        "total": total,
        "page": page,
        "page_size": size,
        "total_pages": total.div_ceil(size),
    }))
}

/// `GET /spend/summary?by=key|model|day`: sums over the same rows; ours, LiteLLM has no such path.
pub async fn summary(
    gw: &Gateway,
    caller: &Caller,
    query: LogQuery,
    by: &str,
) -> Result<Value, Refusal> {
    let by = match by {
        "key" => SummaryBy::Key,
        "model" | "" => SummaryBy::Model,
        "day" => SummaryBy::Day,
        _ => return Err(bad("`by` must be key, model or day").param("by")),
    };
    let sums = stored(gw.store.usage_summary(&filter(query, caller)?, by).await)?;
    let data: Vec<Value> = sums
        .into_iter()
        .map(|sum| {
            let name = if by == SummaryBy::Day { day(&sum.name) } else { sum.name };
            json!({
                "name": name,
                "alias": sum.alias,
                "requests": sum.requests,
                "failed_requests": sum.failed,
                "prompt_tokens": sum.input,
                "completion_tokens": sum.output,
                "spend": usd(sum.cost),
            })
        })
        .collect();
    Ok(json!({ "data": data }))
}

/// A day as people write it; the database has the microsecond that it begins with.
fn day(begins_us: &str) -> String {
    let begins = begins_us.parse().ok().and_then(|us| jiff::Timestamp::from_microsecond(us).ok());
    begins.map_or_else(|| begins_us.to_owned(), |at| at.strftime("%Y-%m-%d").to_string())
}

fn filter(query: LogQuery, caller: &Caller) -> Result<UsageFilter, Refusal> {
    let success = match query.status_filter.as_deref() {
        None | Some("") => None,
        Some("success") => Some(true),
        Some("failure") => Some(false),
        Some(_) => {
            return Err(bad("`status_filter` must be success or failure").param("status_filter"));
        }
    };
    let order = match query.sort_by.as_deref() {
        None | Some("" | "startTime" | "start_time") => UsageOrder::Started,
        Some("spend") => UsageOrder::Cost,
        Some("total_tokens") => UsageOrder::Tokens,
        Some(_) => {
            return Err(bad("`sort_by` must be startTime, spend or total_tokens").param("sort_by"));
        }
    };
    let id = match query.request_id {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| {
            bad("`request_id` must be a UUID: the answer's `x-litellm-call-id`").param("request_id")
        })?),
    };
    let key = match caller {
        Caller::Key(own) => Some(own.hash),
        Caller::Admin => query.api_key.map(|key| key.parse().unwrap_or_else(|_| auth::hash(&key))),
    };
    Ok(UsageFilter {
        id,
        key,
        key_alias: query.key_alias,
        user_id: query.user_id,
        team_id: query.team_id,
        end_user: query.end_user,
        model: query.model,
        success,
        from_us: query.start_date.map(|text| moment("start_date", &text, 0)).transpose()?,
        until_us: query.end_date.map(|text| moment("end_date", &text, 1)).transpose()?,
        min_cost: amount("min_spend", query.min_spend)?,
        max_cost: amount("max_spend", query.max_spend)?,
        order,
        ascending: query.sort_order.as_deref() == Some("asc"),
    })
}

fn amount(name: &str, text: Option<String>) -> Result<Option<Nano>, Refusal> {
    let Some(text) = text else { return Ok(None) };
    Nano::from_usd_text(&text)
        .map(Some)
        .map_err(|_| bad(&format!("`{name}` must be an amount of USD")).param(name))
}

/// A moment of a query; a bare date is the start of the day `days` later.
fn moment(name: &str, text: &str, days: i64) -> Result<i64, Refusal> {
    use jiff::{Timestamp, ToSpan, civil, tz::TimeZone};
    let at = |day: civil::DateTime| {
        day.to_zoned(TimeZone::UTC).ok().map(|at| at.timestamp().as_microsecond())
    };
    let bare = || {
        let date = text.parse::<civil::Date>().ok().filter(|_| text.len() == 10)?;
        at(date.checked_add(days.days()).ok()?.at(0, 0, 0, 0))
    };
    let exact = || Some(text.parse::<Timestamp>().ok()?.as_microsecond());
    let civil = || at(text.parse::<civil::DateTime>().ok()?);
    bare().or_else(exact).or_else(civil).ok_or_else(|| {
        bad(&format!("`{name}` must be a date such as 2026-11-22 or 2026-11-22T10:00:00Z"))
            .param(name)
    })
}

/// A usage row as LiteLLM's `SpendLogs` row; what only we have stands under `metadata.tollgate`.
fn row(row: &UsageRow) -> Value {
    let success = row.outcome == Outcome::Ok;
    let id = row.id.to_string();
    let call_type = match (&*row.operation, &*row.surface) {
        ("chat", "anthropic") => "anthropic_messages",
        ("chat", _) => "acompletion",
        ("embeddings", _) => "aembedding",
        (other, _) => other,
    };
    let details = json!({
        "status_code": row.status,
        "outcome": row.outcome.as_str(),
        "error": row.error,
        "finish_reason": row.finish_reason,
        "stream": row.stream,
        "attempts": row.attempts,
        "fallbacks": row.fallbacks,
        "estimated": row.estimated,
        "cost_known": row.cost.is_some(),
        "time_to_first_token_ms": row.first_byte_us.map(|at| ms(at - row.started_us)),
        "tokens": tokens(row),
    });
    json!({
        "request_id": id,
        "litellm_call_id": id,
        "call_type": call_type,
        "api_key": row.key.map(|key| key.to_string()).unwrap_or_default(),
        "key_alias": row.key_alias,
        "spend": row.cost.map_or(json!(0.0), usd),
        "total_tokens": row.input.saturating_add(row.output),
        "prompt_tokens": row.input,
        "completion_tokens": row.output,
        "startTime": iso(row.started_us),
        "endTime": iso(row.ended_us),
        "completionStartTime": row.first_byte_us.map(iso),
        "request_duration_ms": ms(row.ended_us - row.started_us),
        "model": row.model,
        "model_id": row.target,
        "model_group": row.group,
        "custom_llm_provider": row.provider,
        "api_base": row.api_base,
        "user": row.user_id.as_deref().unwrap_or_default(),
        "team_id": row.team_id,
        "end_user": row.end_user,
        "requester_ip_address": row.ip,
        "request_tags": row.tags,
        "cache_hit": "False",
        "status": if success { "success" } else { "failure" },
        "metadata": { "tollgate": details },
    })
}

fn tokens(row: &UsageRow) -> Map<String, Value> {
    let kinds = [
        ("input", row.input),
        ("cache_read", row.cache_read),
        ("cache_write", row.cache_write),
        ("cache_write_1h", row.cache_write_1h),
        ("input_audio", row.input_audio),
        ("output", row.output),
        ("reasoning", row.reasoning),
        ("output_audio", row.output_audio),
        ("cache_read_audio", row.rare.cache_read_audio),
        ("cache_write_12h", row.rare.cache_write_12h),
        ("input_image", row.rare.input_image),
        ("input_video", row.rare.input_video),
        ("output_image", row.rare.output_image),
        ("output_video", row.rare.output_video),
        ("searches", row.rare.searches.into()),
    ];
    kinds
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(kind, count)| (kind.to_owned(), json!(count)))
        .collect()
}

fn ms(us: i64) -> i64 {
    us / 1_000
}
