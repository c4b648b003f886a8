//! `/v1/models`, `/model/info`, `/model_group/info`

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Query, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, header};
use serde::Deserialize;
use tollgate_gateway::{
    Dialect, Gateway, Refusal,
    admin::models::{
        info,
        list::{self, Form, ListQuery},
    },
    refusal,
};

use super::{Answer, Known, No, flag};

type Gw = State<Arc<Gateway>>;

/// Query parameters of a list: LiteLLM's, and pages in OpenAI's and Anthropic's words.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ModelsQuery {
    return_wildcard_routes: Option<String>,
    details: Option<String>,
    include_metadata: Option<String>,
    fallback_type: Option<String>,
    search: Option<String>,
    limit: Option<usize>,
    after: Option<String>,
    after_id: Option<String>,
    before_id: Option<String>,
}

impl From<ModelsQuery> for ListQuery {
    fn from(query: ModelsQuery) -> Self {
        ListQuery {
            return_wildcard_routes: query.return_wildcard_routes.as_deref().map(flag),
            details: query.details.as_deref().is_some_and(flag),
            include_metadata: query.include_metadata.as_deref().is_some_and(flag),
            fallback_type: query.fallback_type,
            search: query.search,
            limit: query.limit,
            after: query.after.or(query.after_id),
            before: query.before_id,
        }
    }
}

/// Anthropic's clients say which version of its API they mean; nobody else does.
fn form(headers: &HeaderMap) -> Form {
    if headers.contains_key("anthropic-version") { Form::Anthropic } else { Form::Openai }
}

pub(super) async fn list(
    State(gw): Gw,
    Known(caller): Known,
    headers: HeaderMap,
    Query(query): Query<ModelsQuery>,
) -> Answer {
    Ok(Json(list::list(&gw, &caller, &query.into(), form(&headers))))
}

pub(super) async fn one(
    State(gw): Gw,
    Known(caller): Known,
    headers: HeaderMap,
    Path(id): Path<String>,
    Query(query): Query<ModelsQuery>,
) -> Response {
    let form = form(&headers);
    match list::one(&gw, &caller, &id, &query.into(), form) {
        Ok(model) => Json(model).into_response(),
        Err(why) => no(why, form),
    }
}

/// A refusal in the client's spelling.
fn no(why: Refusal, form: Form) -> Response {
    match form {
        Form::Openai => No(why).into_response(),
        Form::Anthropic => {
            let (status, body) = refusal(Dialect::Anthropic, &why);
            (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct InfoQuery {
    litellm_model_id: Option<String>,
}

pub(super) async fn info(
    State(gw): Gw,
    Known(caller): Known,
    Query(query): Query<InfoQuery>,
) -> Answer {
    Ok(Json(info::models(&gw, &caller, query.litellm_model_id.as_deref())?))
}

#[derive(Debug, Deserialize)]
pub(super) struct GroupQuery {
    model_group: Option<String>,
}

pub(super) async fn groups(
    State(gw): Gw,
    Known(caller): Known,
    Query(query): Query<GroupQuery>,
) -> Answer {
    Ok(Json(info::groups(&gw, &caller, query.model_group.as_deref())?))
}
