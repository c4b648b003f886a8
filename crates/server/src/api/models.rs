//! `/v1/models`, `/v1beta/models`, `/model/info`, `/model_group/info`

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Query, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, header};
use serde::Deserialize;
use tollgate_gateway::{
    Dialect, Gateway, Now, Refusal,
    admin::models::{
        info,
        list::{self, Form, ListQuery},
    },
    auth::{self, Caller},
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
    #[serde(rename = "pageSize")]
    page_size: Option<usize>,
    #[serde(rename = "pageToken")]
    page_token: Option<String>,
}

impl From<ModelsQuery> for ListQuery {
    fn from(query: ModelsQuery) -> Self {
        ListQuery {
            return_wildcard_routes: query.return_wildcard_routes.as_deref().map(flag),
            details: query.details.as_deref().is_some_and(flag),
            include_metadata: query.include_metadata.as_deref().is_some_and(flag),
            fallback_type: query.fallback_type,
            search: query.search,
            limit: query.limit.or(query.page_size),
            after: query.after.or(query.after_id).or(query.page_token),
            before: query.before_id,
        }
    }
}

/// Anthropic's clients say which version of its API they mean, and Google's have a header of their
/// own for the key, below `/v1` too.
fn form(headers: &HeaderMap) -> Form {
    if headers.contains_key("anthropic-version") {
        Form::Anthropic
    } else if headers.contains_key("x-goog-api-key") {
        Form::Gemini
    } else {
        Form::Openai
    }
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

/// Google's pages.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct GoogleQuery {
    page_size: Option<usize>,
    page_token: Option<String>,
}

pub(super) async fn google(
    State(gw): Gw,
    headers: HeaderMap,
    Query(query): Query<GoogleQuery>,
) -> Response {
    let query =
        ListQuery { limit: query.page_size, after: query.page_token, ..ListQuery::default() };
    match known(&gw, &headers).await {
        Ok(caller) => Json(list::list(&gw, &caller, &query, Form::Gemini)).into_response(),
        Err(why) => no(why, Form::Gemini),
    }
}

pub(super) async fn google_one(
    State(gw): Gw,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Response {
    let one = known(&gw, &headers)
        .await
        .and_then(|caller| list::one(&gw, &caller, &id, &ListQuery::default(), Form::Gemini));
    match one {
        Ok(model) => Json(model).into_response(),
        Err(why) => no(why, Form::Gemini),
    }
}

/// The caller; what is wrong with its key is said in its own spelling.
async fn known(gw: &Arc<Gateway>, headers: &HeaderMap) -> Result<Caller, Refusal> {
    let snapshot = gw.snapshot.load_full();
    auth::identify(gw, &snapshot, headers, Now::read()).await
}

/// A refusal in the client's spelling.
fn no(why: Refusal, form: Form) -> Response {
    match form {
        Form::Openai => No(why).into_response(),
        Form::Anthropic => spelled(Dialect::Anthropic, &why),
        Form::Gemini => spelled(Dialect::Gemini, &why),
    }
}

fn spelled(dialect: Dialect, why: &Refusal) -> Response {
    let (status, body) = refusal(dialect, why);
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
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
