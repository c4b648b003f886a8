//! `/spend/…`

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State},
};
use serde::Deserialize;
use serde_json::Value;
use tollgate_gateway::{
    Gateway,
    admin::spend::{self, LogQuery},
};

use super::{Answer, Known};

type Gw = State<Arc<Gateway>>;

/// The query string of the three paths.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Wanted {
    api_key: Option<String>,
    key_alias: Option<String>,
    user_id: Option<String>,
    team_id: Option<String>,
    end_user: Option<String>,
    request_id: Option<String>,
    start_date: Option<String>,
    end_date: Option<String>,
    status_filter: Option<String>,
    model: Option<String>,
    min_spend: Option<String>,
    max_spend: Option<String>,
    sort_by: Option<String>,
    sort_order: Option<String>,
    page: Option<u64>,
    page_size: Option<u64>,
    by: String,
}

impl From<Wanted> for LogQuery {
    fn from(wanted: Wanted) -> Self {
        LogQuery {
            api_key: wanted.api_key,
            key_alias: wanted.key_alias,
            user_id: wanted.user_id,
            team_id: wanted.team_id,
            end_user: wanted.end_user,
            request_id: wanted.request_id,
            start_date: wanted.start_date,
            end_date: wanted.end_date,
            status_filter: wanted.status_filter,
            model: wanted.model,
            min_spend: wanted.min_spend,
            max_spend: wanted.max_spend,
            sort_by: wanted.sort_by,
            sort_order: wanted.sort_order,
            page: wanted.page,
            page_size: wanted.page_size,
        }
    }
}

pub(super) async fn logs(
    State(gw): Gw,
    Known(caller): Known,
    Query(wanted): Query<Wanted>,
) -> Answer {
    Ok(Json(spend::logs(&gw, &caller, wanted.into()).await?))
}

/// LiteLLM's older path: the rows alone.
pub(super) async fn logs_plain(
    State(gw): Gw,
    Known(caller): Known,
    Query(wanted): Query<Wanted>,
) -> Answer {
    let wanted = Wanted { page_size: Some(wanted.page_size.unwrap_or(1_000)), ..wanted };
    let mut page = spend::logs(&gw, &caller, wanted.into()).await?;
    Ok(Json(page.get_mut("data").map_or(Value::Null, Value::take)))
}

pub(super) async fn summary(
    State(gw): Gw,
    Known(caller): Known,
    Query(mut wanted): Query<Wanted>,
) -> Answer {
    let by = std::mem::take(&mut wanted.by);
    Ok(Json(spend::summary(&gw, &caller, wanted.into(), &by).await?))
}
