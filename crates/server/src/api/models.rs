//! `/v1/models` and `/model/info`

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use tollgate_gateway::{Gateway, admin::models};

use super::{Admin, Answer, Known};

type Gw = State<Arc<Gateway>>;

pub(super) async fn list(State(gw): Gw, Known(caller): Known) -> Answer {
    Ok(Json(models::list(&gw, &caller)))
}

pub(super) async fn one(State(gw): Gw, Known(caller): Known, Path(id): Path<String>) -> Answer {
    Ok(Json(models::one(&gw, &caller, &id)?))
}

pub(super) async fn info(State(gw): Gw, _: Admin) -> Answer {
    Ok(Json(models::info(&gw)))
}
