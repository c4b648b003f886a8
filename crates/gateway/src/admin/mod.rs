//! What an administrator does: functions that the HTTP API, the command line and the dashboard
//! call alike. Each takes plain values and gives JSON in LiteLLM's field names.

pub mod health;
pub mod inspect;
pub mod keys;
pub mod models;
pub mod providers;
pub mod spend;

use jiff::Timestamp;
use serde_json::Value;
use tollgate_ledger::Nano;
use tollgate_router::{Member, Table};
use tollgate_store::StoreError;
use tollgate_wire::{Refusal, RefusalKind};

/// An amount as a JSON number of USD.
pub(crate) fn usd(amount: Nano) -> Value {
    serde_json::from_str(&amount.usd_text()).unwrap_or(Value::Null)
}

/// A moment in µs since the epoch as ISO 8601 in UTC.
pub(crate) fn iso(us: i64) -> Value {
    Timestamp::from_microsecond(us).map_or(Value::Null, |at| Value::String(at.to_string()))
}

/// Trouble with the database, as an answer.
pub(crate) fn stored<T>(result: Result<T, StoreError>) -> Result<T, Refusal> {
    result.map_err(|error| match error {
        StoreError::Conflict { what } => bad(&format!("another key has the same {what}")),
        error @ (StoreError::Unavailable(_)
        | StoreError::Refused(_)
        | StoreError::NewerSchema { .. }
        | StoreError::Corrupt(_)
        | StoreError::Other(_)) => {
            tracing::warn!(%error, "the database failed");
            Refusal::new(RefusalKind::StorageUnavailable, "the database does not answer")
                .retry_after_s(5)
        }
    })
}

/// A 400.
pub(crate) fn bad(message: &str) -> Refusal {
    Refusal::new(RefusalKind::InvalidRequest, message)
}

/// A rate in femto-USD for a token as a JSON number of USD.
pub(crate) fn usd_per_token(femto: i64) -> Value {
    // Sixteen digits hold every price there is; this is for people to read, nothing is charged by it.
    serde_json::Number::from_f64(femto as f64 / 1e15).map_or(Value::Null, Value::Number)
}

/// Every target with the name of its group.
pub(crate) fn members(table: &Table) -> impl Iterator<Item = (&str, &Member)> {
    table.groups().flat_map(|group| group.members.iter().map(move |member| (&*group.name, member)))
}
