//! What can be asked, and the answers.

use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Query, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::live::Window;
use super::{control, host, page, stream};
use crate::clock;
use crate::keeper::Order;
use crate::planned::{Planned, PlannedTarget};

/// The longest that an answer may take. HAProxy itself may be asked for it.
pub(super) const ANSWER: Duration = Duration::from_secs(20);
/// How long a status waits for a look.
const LOOK: Duration = Duration::from_secs(3);
/// The longest body of a request, in bytes.
const BODY: usize = 16 * 1024;
/// What a scraper expects of the text format (`OpenMetrics` 1.0, "Content Type").
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// For everybody who can connect: nothing can be changed here.
pub(super) fn open(window: Window) -> Router {
    common().layer(middleware::from_fn(host::check)).with_state(window)
}

/// For the owner of the socket.
pub(super) fn control(window: Window) -> Router {
    let orders = Router::new()
        .route("/api/v1/release", post(control::release))
        .route("/api/v1/adopt", post(control::adopt))
        .route("/api/v1/compact", post(control::compact));
    common().merge(bounded(orders)).layer(DefaultBodyLimit::max(BODY)).with_state(window)
}

fn common() -> Router<Window> {
    let quick = Router::new()
        .route("/", get(page::page))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/api/v1/status", get(status))
        .route("/api/v1/plan", get(plan))
        .fallback(unknown);
    bounded(quick).route("/api/v1/events", get(stream::events)).layer(middleware::map_response(guarded))
}

/// Answers that come to an end.
fn bounded(router: Router<Window>) -> Router<Window> {
    router.layer(middleware::from_fn(in_time))
}

async fn in_time(request: Request, next: Next) -> Response {
    let late = (StatusCode::SERVICE_UNAVAILABLE, "no answer in time; see the log, and ask again\n");
    tokio::time::timeout(ANSWER, next.run(request)).await.unwrap_or_else(|_| late.into_response())
}

/// No browser is to take an answer for anything else than it is.
async fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    response
}

async fn unknown() -> (StatusCode, &'static str) {
    (StatusCode::NOT_FOUND, "nothing is here; / /healthz /readyz /metrics /api/v1/{status,plan,events} are\n")
}

/// Whether the process lives: that it answers at all.
async fn healthz() -> &'static str {
    "alive\n"
}

#[derive(Deserialize)]
struct Readyz {
    verbose: Option<String>,
}

/// Whether every source has been heard and every target brought to what is wanted, once.
async fn readyz(State(window): State<Window>, Query(Readyz { verbose }): Query<Readyz>) -> Response {
    let parts = match window.live() {
        Some(_) => window.overview().readiness(),
        None => vec![("roster".to_owned(), Some("is starting".to_owned()))],
    };
    let ready = parts.iter().all(|(_, lacking)| lacking.is_none());
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let line = |(who, lacking): &(String, Option<String>)| match lacking {
        Some(lacking) => Some(format!("{who}: {lacking}\n")),
        None => verbose.as_ref().map(|_| format!("{who}: ready\n")),
    };
    let mut text: String = parts.iter().filter_map(line).collect();
    text.push_str(if ready { "ready\n" } else { "not ready\n" });
    (status, text).into_response()
}

async fn metrics(State(window): State<Window>) -> Response {
    match window.reporter.metrics().scrape(&window.overview(), clock::wall()) {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

#[derive(Deserialize)]
struct Status {
    look: Option<String>,
}

/// How everything was when it was last looked at; with `?look` that is now, as far as it is quick. Nothing is changed.
async fn status(State(window): State<Window>, Query(Status { look }): Query<Status>) -> Response {
    let mut overview = window.overview();
    if let (Some(live), Some(_)) = (window.live(), look) {
        let looks = live.targets.iter().filter_map(|(name, kept)| {
            let (reply, answer) = oneshot::channel();
            // A keeper that is full of orders leaves the status as it was.
            kept.orders.try_send(Order::Look(reply)).ok()?;
            Some((name, answer))
        });
        let (looks, end): (Vec<_>, _) = (looks.collect(), Instant::now() + LOOK);
        for (name, answer) in looks {
            if let Ok(Ok(status)) = timeout_at(end, answer).await {
                overview.targets.insert(name.clone(), clock::to_wall(status));
            }
        }
    }
    Json(overview).into_response()
}

/// What would be done now, by a fresh look at every target. Nothing is changed.
async fn plan(State(window): State<Window>) -> Response {
    let Some(live) = window.live() else { return starting() };
    let mut waiting = Vec::new();
    for (name, kept) in &live.targets {
        let (reply, answer) = oneshot::channel();
        // A keeper that is full of orders, or gone, does not answer either.
        kept.orders.try_send(Order::Plan(reply)).ok();
        waiting.push((name, answer));
    }
    let mut targets = Vec::new();
    for (name, answer) in waiting {
        let failed = |_| PlannedTarget::failed(name, "it is busy; ask again".into());
        targets.push(answer.await.unwrap_or_else(failed));
    }
    Json(Planned::new(targets, &live.sources()).by(window.roster(&live))).into_response()
}

pub(super) fn starting() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, "roster is starting; ask again\n").into_response()
}
