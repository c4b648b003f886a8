//! `/utils/…`: counts, translations and facts, without a call that costs anything.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{Query, State},
};
use serde::Deserialize;
use tollgate_gateway::{
    Gateway, Now,
    admin::{
        inspect::{self, Counter},
        models::info,
    },
};

use super::{Admin, Answer, Known, body, flag};

type Gw = State<Arc<Gateway>>;

#[derive(Debug, Deserialize)]
pub(super) struct CountQuery {
    call_endpoint: Option<String>,
}

pub(super) async fn token_counter(
    State(gw): Gw,
    Known(caller): Known,
    Query(query): Query<CountQuery>,
    bytes: Bytes,
) -> Answer {
    let at_provider = query.call_endpoint.as_deref().is_some_and(flag);
    let counter = if at_provider { Counter::Provider } else { Counter::Here };
    Ok(Json(inspect::token_counter(&gw, &caller, body(&bytes)?, counter, Now::read()).await?))
}

pub(super) async fn transform_request(State(gw): Gw, _: Admin, bytes: Bytes) -> Answer {
    Ok(Json(inspect::transform_request(&gw, body(&bytes)?)?))
}

#[derive(Debug, Deserialize)]
pub(super) struct ModelQuery {
    model: String,
}

pub(super) async fn supported_openai_params(
    State(gw): Gw,
    Known(caller): Known,
    Query(query): Query<ModelQuery>,
) -> Answer {
    Ok(Json(info::supported_openai_params(&gw, &caller, &query.model)?))
}

pub(super) async fn model_info(
    State(gw): Gw,
    Known(caller): Known,
    Query(query): Query<ModelQuery>,
) -> Answer {
    Ok(Json(info::of_model(&gw, &caller, &query.model)?))
}
