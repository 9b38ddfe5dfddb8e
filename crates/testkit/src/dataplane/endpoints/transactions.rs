//! Opening, listing, committing and deleting transactions.

use super::route;
use crate::dataplane::Version;
use crate::dataplane::exchange::{Answer, Call, Refusal, Reply};
use crate::dataplane::routes::Route;
use crate::dataplane::state::Api;

pub(super) fn routes(routes: &mut Vec<Route>) {
    routes.extend([
        route("~/transactions", &[("GET", list), ("POST", begin)]),
        route("~/transactions/{id}", &[("GET", get), ("PUT", commit), ("DELETE", discard)]),
    ]);
}

fn list(api: &Api, call: &Call) -> Answer {
    let status = call.query("status");
    let known: &[&str] = match api.setup.version {
        Version::V2 => &["failed", "in_progress"],
        Version::V3 | Version::V3_3 => &["failed", "outdated", "in_progress"],
    };
    if status.is_some_and(|status| !known.contains(&status)) {
        let text = format!("status in query should be one of [{}]", known.join(" "));
        return Err(Refusal::schema(606, text));
    }
    Ok(Reply::json(200, &api.transactions(status)))
}

fn begin(api: &Api, call: &Call) -> Answer {
    let version = call.version()?.ok_or_else(|| Refusal::schema(602, "version in query is required"))?;
    Ok(Reply::json(201, &api.begin(version)?))
}

fn get(api: &Api, call: &Call) -> Answer {
    let id = call.arg("id");
    let text = format!("transaction does not exist: transaction {id} does not exist");
    let found = api.transaction(id).ok_or_else(|| Refusal::new(404, text))?;
    Ok(Reply::json(200, &found))
}

/// Reloads always, also when nothing was changed.
fn commit(api: &Api, call: &Call) -> Answer {
    let force = call.flag("force_reload");
    let object = api.commit(call.arg("id"))?;
    if force {
        api.reloads.force(api.injected_reload_failure()).map_err(|why| Refusal::new(400, why))?;
        return Ok(Reply::json(200, &object));
    }
    Ok(Reply::json(202, &object).with("Reload-ID", api.reloads.schedule()))
}

fn discard(api: &Api, call: &Call) -> Answer {
    let id = call.arg("id");
    if api.discard(id) {
        return Ok(Reply::empty(204));
    }
    let text = format!("transaction does not exist: transaction file {id} does not exist");
    Err(Refusal::new(404, text))
}
