//! The orders that change something.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use roster_haproxy::name::{BackendName, ServerName, TargetName};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::live::{Live, Window};
use super::routes;
use crate::compaction::{Compacted, CompactedTarget};
use crate::keeper::Order;
use crate::orders::{Done, Refused, Want, meant, together};

/// What stands in the body of an order.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    /// All targets where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) target: Option<TargetName>,
    pub(crate) backend: BackendName,
    /// For `adopt` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) server: Option<ServerName>,
}

/// What stands in the body of a question for spare servers, or of the order to remove them.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AskedToCompact {
    /// All targets where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) target: Option<TargetName>,
    /// All backends where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) backend: Option<BackendName>,
    /// Whether they are to be removed; else nothing is changed.
    #[serde(default)]
    pub(crate) apply: bool,
}

/// What stands in the answer.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Said {
    /// What was done.
    #[serde(default)]
    pub(crate) done: Vec<Done>,
    /// Why nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

pub(super) async fn release(State(window): State<Window>, Json(asked): Json<Asked>) -> Response {
    let want = Want::Release { backend: asked.backend };
    order(&window, asked.target.as_ref(), &want).await
}

pub(super) async fn adopt(State(window): State<Window>, Json(asked): Json<Asked>) -> Response {
    let Some(server) = asked.server else {
        return answer(Err(Refused::Unknown("say which server".into())));
    };
    let want = Want::Adopt { backend: asked.backend, server };
    order(&window, asked.target.as_ref(), &want).await
}

pub(super) async fn compact(State(window): State<Window>, Json(asked): Json<AskedToCompact>) -> Response {
    let Some(live) = window.live() else { return routes::starting() };
    let targets = match meant(asked.target.as_ref(), live.targets.keys()) {
        Ok(targets) => targets,
        Err(refused) => {
            return (StatusCode::NOT_FOUND, Json(Compacted::refused(refused.to_string()))).into_response();
        }
    };
    let mut compacted = Vec::new();
    for target in targets {
        let busy = || format!("{target} is busy and did not take the order; ask again");
        let (reply, answer) = oneshot::channel();
        let order = Order::Compact { only: asked.backend.clone(), apply: asked.apply, reply };
        let taken = live.targets.get(&target).is_some_and(|kept| kept.orders.try_send(order).is_ok());
        let failed = || CompactedTarget::failed(&target, busy());
        let one = if taken { answer.await.unwrap_or_else(|_| failed()) } else { failed() };
        compacted.push(one);
    }
    Json(Compacted::new(compacted)).into_response()
}

async fn order(window: &Window, target: Option<&TargetName>, want: &Want) -> Response {
    let Some(live) = window.live() else { return routes::starting() };
    let targets = match meant(target, live.targets.keys()) {
        Ok(targets) => targets,
        Err(refused) => return answer(Err(refused)),
    };
    let mut results = Vec::new();
    for name in targets {
        results.push(give(&live, &name, want.clone()).await);
    }
    answer(together(results))
}

async fn give(live: &Live, target: &TargetName, want: Want) -> Result<Done, Refused> {
    let busy = || Refused::Busy(format!("{target} is busy and did not take the order; ask again"));
    let kept = live.targets.get(target).ok_or_else(busy)?;
    let (reply, answer) = oneshot::channel();
    kept.orders.try_send(Order::Do(want, reply)).map_err(|_| busy())?;
    answer.await.unwrap_or_else(|_| Err(busy()))
}

fn answer(result: Result<Vec<Done>, Refused>) -> Response {
    match result {
        Ok(done) => Json(Said { done, error: None }).into_response(),
        Err(refused) => {
            let status = match refused {
                Refused::Unknown(_) => StatusCode::NOT_FOUND,
                Refused::Nothing(_) => StatusCode::CONFLICT,
                Refused::Busy(_) => StatusCode::SERVICE_UNAVAILABLE,
            };
            (status, Json(Said { done: Vec::new(), error: Some(refused.to_string()) })).into_response()
        }
    }
}
