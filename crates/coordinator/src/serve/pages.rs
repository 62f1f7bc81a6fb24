//! What is served over plain HTTP, beside gRPC on the same port.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use reseed_protocol::status::StatusReport;
use reseed_results::Disk;
use tokio::task::spawn_blocking;

use super::auth::{METRICS, Peer};
use super::calls::Clock;
use super::metrics::Metrics;
use super::page;
use super::watching::{Pace, Watching};
use crate::service::Service;

/// Between two reports to a browser.
const PAGE_INTERVAL: Duration = Duration::from_secs(1);

/// For everything that is served here. A page may use what comes from this coordinator and
/// nothing else, and nobody may show it within a page of their own.
const HEADERS: [(HeaderName, HeaderValue); 5] = [
    (
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
             img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    ),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// What the pages show.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    pub(crate) service: Arc<Service<Disk>>,
    pub(crate) clock: Clock,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) watching: Watching,
}

pub(crate) fn router(shown: Shown) -> Router {
    Router::new()
        .route("/", get(whole_page))
        .route("/events", get(events))
        .route("/page.js", get(|| async { page::SCRIPT.into_response() }))
        .route("/style.css", get(|| async { page::STYLE.into_response() }))
        .route("/icon.svg", get(|| async { page::ICON.into_response() }))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route(METRICS, get(metrics))
        .route("/status.json", get(status))
        .layer(map_response(with_headers))
        .with_state(shown)
}

async fn with_headers(mut response: Response) -> Response {
    response.headers_mut().extend(HeaderMap::from_iter(HEADERS));
    response
}

/// Ready as long as parts can be committed. Why they cannot is told to those who are known: it
/// names files.
async fn ready(State(shown): State<Shown>, Extension(peer): Extension<Peer>) -> Response {
    let Some(problem) = shown.service.problem() else {
        return "ready\n".into_response();
    };
    let told = match peer.role {
        Some(_) => problem,
        None => "parts cannot be committed at present".into(),
    };
    (StatusCode::SERVICE_UNAVAILABLE, told + "\n").into_response()
}

async fn metrics(State(shown): State<Shown>) -> Response {
    match shown.metrics.text(&shown.service, shown.clock.now()) {
        Ok(text) => typed(
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            text,
        ),
        Err(error) => failed(&error),
    }
}

async fn status(State(shown): State<Shown>) -> Response {
    respond(shown, "application/json", serde_json::to_string).await
}

async fn whole_page(State(shown): State<Shown>) -> Response {
    respond(shown, "text/html; charset=utf-8", page::whole).await
}

/// The changing part of the page, again and again.
async fn events(State(shown): State<Shown>, Extension(peer): Extension<Peer>) -> Response {
    let form = |report| Ok::<_, Infallible>(event(&report));
    match shown
        .watching
        .reports(peer.role, Pace::Every(PAGE_INTERVAL), form)
    {
        Ok(events) => typed("text/event-stream", Body::from_stream(events)),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string() + "\n").into_response(),
    }
}

/// A message of a stream for browsers. As JSON the HTML is one line, which such a stream needs.
fn event(report: &StatusReport) -> String {
    let html = page::changing(report).unwrap_or_else(|error| error.to_string());
    format!("data: {}\n\n", serde_json::Value::from(html))
}

/// Answers with a report. To make one may have to wait for a commit, which keeps nobody else
/// waiting.
async fn respond<E: std::error::Error + Send + 'static>(
    shown: Shown,
    kind: &'static str,
    form: fn(&StatusReport) -> Result<String, E>,
) -> Response {
    let text = spawn_blocking(move || form(&shown.service.report(shown.clock.now()))).await;
    match text {
        Ok(Ok(text)) => typed(kind, text),
        Ok(Err(error)) => failed(&error),
        Err(error) => failed(&error),
    }
}

fn failed(error: &dyn std::error::Error) -> Response {
    tracing::error!("a page failed: {error}");
    (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response()
}

fn typed(kind: &'static str, body: impl Into<Body>) -> Response {
    (
        [(CONTENT_TYPE, HeaderValue::from_static(kind))],
        body.into(),
    )
        .into_response()
}
