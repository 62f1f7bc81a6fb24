//! What is served over plain HTTP, beside gRPC on the same port.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use reseed_results::Disk;

use super::calls::Clock;
use super::metrics::Metrics;
use crate::service::Service;

/// What the pages show.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    pub(crate) service: Arc<Service<Disk>>,
    pub(crate) clock: Clock,
    pub(crate) metrics: Arc<Metrics>,
}

pub(crate) fn router(shown: Shown) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/status.json", get(status))
        .with_state(shown)
}

/// Ready as long as parts can be committed.
async fn ready(State(shown): State<Shown>) -> Response {
    match shown.service.problem() {
        None => "ready\n".into_response(),
        Some(problem) => (StatusCode::SERVICE_UNAVAILABLE, problem + "\n").into_response(),
    }
}

async fn metrics(State(shown): State<Shown>) -> Response {
    match shown.metrics.text(&shown.service, shown.clock.now()) {
        Ok(text) => typed(
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            text,
        ),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn status(State(shown): State<Shown>) -> Response {
    match serde_json::to_string(&shown.service.report(shown.clock.now())) {
        Ok(text) => typed("application/json", text),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

fn typed(kind: &'static str, text: String) -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static(kind))], text).into_response()
}
