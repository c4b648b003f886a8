//! `/key/…`

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{Path, Query, State},
};
use serde::Deserialize;
use tollgate_gateway::{
    Gateway, Now,
    admin::keys::{self, ListQuery},
};

use super::{Admin, Answer, Known, body};

type Gw = State<Arc<Gateway>>;

pub(super) async fn generate(State(gw): Gw, _: Admin, bytes: Bytes) -> Answer {
    Ok(Json(keys::generate(&gw, body(&bytes)?, Now::read()).await?))
}

pub(super) async fn update(State(gw): Gw, _: Admin, bytes: Bytes) -> Answer {
    Ok(Json(keys::update(&gw, body(&bytes)?, Now::read()).await?))
}

pub(super) async fn delete(State(gw): Gw, _: Admin, bytes: Bytes) -> Answer {
    Ok(Json(keys::delete(&gw, body(&bytes)?).await?))
}

pub(super) async fn block(State(gw): Gw, _: Admin, bytes: Bytes) -> Answer {
    Ok(Json(keys::set_blocked(&gw, body(&bytes)?, true, Now::read()).await?))
}

pub(super) async fn unblock(State(gw): Gw, _: Admin, bytes: Bytes) -> Answer {
    Ok(Json(keys::set_blocked(&gw, body(&bytes)?, false, Now::read()).await?))
}

pub(super) async fn regenerate(State(gw): Gw, _: Admin, bytes: Bytes) -> Answer {
    Ok(Json(keys::regenerate(&gw, None, body(&bytes)?, Now::read()).await?))
}

pub(super) async fn regenerate_named(
    State(gw): Gw,
    _: Admin,
    Path(key): Path<String>,
    bytes: Bytes,
) -> Answer {
    Ok(Json(keys::regenerate(&gw, Some(key), body(&bytes)?, Now::read()).await?))
}

#[derive(Deserialize)]
pub(super) struct InfoQuery {
    key: Option<String>,
}

pub(super) async fn info(
    State(gw): Gw,
    Known(caller): Known,
    Query(query): Query<InfoQuery>,
) -> Answer {
    Ok(Json(keys::info(&gw, &caller, query.key, Now::read()).await?))
}

#[derive(Deserialize)]
#[serde(default)]
pub(super) struct KeysQuery {
    page: u64,
    size: u64,
    user_id: Option<String>,
    team_id: Option<String>,
    key_hash: Option<String>,
    key_alias: Option<String>,
    return_full_object: bool,
}

impl Default for KeysQuery {
    fn default() -> Self {
        KeysQuery {
            page: 1,
            size: 10,
            user_id: None,
            team_id: None,
            key_hash: None,
            key_alias: None,
            return_full_object: false,
        }
    }
}

pub(super) async fn list(State(gw): Gw, _: Admin, Query(query): Query<KeysQuery>) -> Answer {
    let query = ListQuery {
        key_hash: query.key_hash,
        key_alias: query.key_alias,
        user_id: query.user_id,
        team_id: query.team_id,
        page: query.page,
        size: query.size,
        return_full_object: query.return_full_object,
    };
    Ok(Json(keys::list(&gw, query, Now::read()).await?))
}
