//! Everything that is not a hot route: administration, health, models, documentation. Routes on
//! one screen; one file a resource. Handlers are thin: what they do stands in
//! `tollgate_gateway::admin`.

mod docs;
mod health;
mod inspect;
mod keys;
mod models;
mod openapi;
mod spend;

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{FromRequestParts, Request},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::{HeaderValue, StatusCode, header, request};
use serde_json::{Value, json};
use tollgate_gateway::{
    Gateway, Now, Refusal, RefusalKind,
    admin::keys as admin_keys,
    auth::{self, Caller},
};

/// Largest body of an administration request.
const BODY_BYTES: usize = 1024 * 1024;
/// Largest body of a request that holds a conversation.
const LARGE_BODY_BYTES: usize = 64 * 1024 * 1024;

/// The cold routes.
pub(crate) fn router(gw: Arc<Gateway>) -> Router {
    Router::new()
        .route("/key/generate", post(keys::generate))
        .route("/key/update", post(keys::update))
        .route("/key/delete", post(keys::delete))
        .route("/key/block", post(keys::block))
        .route("/key/unblock", post(keys::unblock))
        .route("/key/regenerate", post(keys::regenerate))
        .route("/key/{key}/regenerate", post(keys::regenerate_named))
        .route("/key/info", get(keys::info))
        .route("/key/list", get(keys::list))
        .route("/spend/logs/v2", get(spend::logs))
        .route("/spend/logs", get(spend::logs_plain))
        .route("/spend/summary", get(spend::summary))
        .route("/v1/models", get(models::list))
        .route("/models", get(models::list))
        .route("/v1/models/{*id}", get(models::one))
        .route("/models/{*id}", get(models::one))
        .route("/v1beta/models", get(models::google))
        .route("/v1beta/models/{*id}", get(models::google_one))
        .route("/gemini/v1beta/models", get(models::google))
        .route("/gemini/v1beta/models/{*id}", get(models::google_one))
        .route("/model/info", get(models::info))
        .route("/v1/model/info", get(models::info))
        .route("/model_group/info", get(models::groups))
        .route("/utils/token_counter", post(inspect::token_counter).layer(large()))
        .route("/utils/transform_request", post(inspect::transform_request).layer(large()))
        .route("/utils/supported_openai_params", get(inspect::supported_openai_params))
        .route("/utils/model_info", get(inspect::model_info))
        .route("/health", get(health::targets))
        .route("/health/liveliness", get(health::liveness))
        .route("/health/liveness", get(health::liveness))
        .route("/health/readiness", get(health::readiness))
        .route("/metrics", get(health::metrics))
        .route("/openapi.json", get(openapi::json))
        .route("/docs", get(docs::page_html))
        .route("/docs/docs.js", get(docs::script))
        .route("/docs/docs.css", get(docs::style))
        .route("/", get(docs::root))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(axum::extract::DefaultBodyLimit::max(BODY_BYTES))
        .layer(axum::middleware::map_response(no_store))
        .with_state(gw)
}

/// Bodies that hold a whole conversation.
fn large() -> axum::extract::DefaultBodyLimit {
    axum::extract::DefaultBodyLimit::max(LARGE_BODY_BYTES)
}

/// A query parameter that is on or off, in the words that LiteLLM takes.
fn flag(text: &str) -> bool {
    ["true", "1", "yes", "on", "t", "y"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// What an administration handler gives: JSON, or a refusal in OpenAI's envelope.
type Answer = Result<Json<Value>, No>;

/// A refusal as a response.
struct No(Refusal);

impl From<Refusal> for No {
    fn from(why: Refusal) -> Self {
        No(why)
    }
}

impl IntoResponse for No {
    fn into_response(self) -> Response {
        let No(why) = self;
        let error = json!({
            "message": why.message,
            "type": why.error_type.as_deref().unwrap_or(why.kind.error_type()),
            "param": why.param,
            "code": why.code.as_deref().unwrap_or(why.kind.code()),
        });
        let mut response = (why.http_status(), Json(json!({ "error": error }))).into_response();
        if let Some(seconds) = why.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// The caller of an administration request: any key that is known.
struct Known(Caller);

/// The holder of the master key.
struct Admin;

impl FromRequestParts<Arc<Gateway>> for Known {
    type Rejection = No;

    async fn from_request_parts(parts: &mut request::Parts, gw: &Arc<Gateway>) -> Result<Self, No> {
        let snapshot = gw.snapshot.load_full();
        Ok(Known(auth::identify(gw, &snapshot, &parts.headers, Now::read()).await?))
    }
}

impl FromRequestParts<Arc<Gateway>> for Admin {
    type Rejection = No;

    async fn from_request_parts(parts: &mut request::Parts, gw: &Arc<Gateway>) -> Result<Self, No> {
        let Known(caller) = Known::from_request_parts(parts, gw).await?;
        admin_keys::require_admin(&caller)?;
        Ok(Admin)
    }
}

/// A JSON body; an empty one is `null`.
fn body(bytes: &Bytes) -> Result<Value, No> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Value::Null);
    }
    serde_json::from_slice(bytes).map_err(|error| {
        No(Refusal::new(RefusalKind::InvalidRequest, format!("the body is not JSON: {error}")))
    })
}

async fn not_found(request: Request) -> No {
    if tollgate_gateway::surface(request.uri().path()).is_some() {
        return method_not_allowed().await;
    }
    let path: String = request.uri().path().chars().take(200).collect();
    No(Refusal::new(RefusalKind::NotFound, format!("there is nothing at {path}; see /docs")))
}

async fn method_not_allowed() -> No {
    No(Refusal::new(
        RefusalKind::MethodNotAllowed,
        "this path does not take that method; see /docs",
    ))
}

/// Answers of this router are about keys and money, or change with the process: not for caches.
async fn no_store(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}

/// The status of a page that is not JSON.
fn page(content_type: &'static str, text: impl Into<axum::body::Body>) -> Response {
    let mut response = Response::new(text.into());
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
             img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    );
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}
