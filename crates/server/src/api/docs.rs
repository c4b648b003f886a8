//! `/docs`: the API to browse. A page of our own, part of the binary; it fetches nothing but
//! `/openapi.json`.

use axum::response::{IntoResponse, Redirect, Response};

use super::page;

pub(super) async fn root() -> Redirect {
    Redirect::temporary("/docs")
}

pub(super) async fn page_html() -> Response {
    page("text/html; charset=utf-8", include_str!("docs.html"))
}

pub(super) async fn script() -> Response {
    page("text/javascript; charset=utf-8", include_str!("docs.js"))
}

pub(super) async fn style() -> impl IntoResponse {
    page("text/css; charset=utf-8", include_str!("docs.css"))
}
