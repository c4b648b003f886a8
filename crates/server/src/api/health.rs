//! `/health…` and `/metrics`

use std::sync::Arc;

use axum::{
    Json,
    extract::{FromRequestParts, State},
    response::{IntoResponse, Response},
};
use http::StatusCode;
use tollgate_gateway::{Gateway, Now, admin::health, background};

use super::{Admin, Answer, No, page};

type Gw = State<Arc<Gateway>>;

pub(super) async fn targets(State(gw): Gw, _: Admin) -> Answer {
    Ok(Json(health::targets(&gw, Now::read().unix_ms())))
}

/// No key needed: it says that the process is there and nothing else.
pub(super) async fn liveness() -> Json<&'static str> {
    Json("I'm alive!")
}

/// No key needed: load balancers ask.
pub(super) async fn readiness(State(gw): Gw) -> Response {
    let (ready, body) = health::readiness(&gw).await;
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(body)).into_response()
}

/// The master key reads it, or anybody where `require_auth_for_metrics_endpoint` is false. LiteLLM
/// lets any key read it; here keys belong to customers who are none of each other's business.
pub(super) async fn metrics(
    State(gw): Gw,
    mut parts: http::request::Parts,
) -> Result<Response, No> {
    if gw.snapshot.load().general.metrics_need_key {
        Admin::from_request_parts(&mut parts, &gw).await?;
    }
    gw.metrics.in_flight.set(i64::from(gw.in_flight()));
    gw.metrics.journal_pending.set(i64::try_from(gw.recorder.pending()).unwrap_or(i64::MAX));
    background::count(&gw).await;
    let format = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(page(format, gw.metrics.render()))
}
