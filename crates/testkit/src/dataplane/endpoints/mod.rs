//! What answers to each path.

mod lists;
mod process;
mod proxies;
mod raw;
mod runtime;
mod servers;
mod storage;
mod transactions;

use std::time::Duration;

use serde_json::Value;

use super::Version;
use super::exchange::{Answer, Call, Refusal, Reply};
use super::faults::Fault;
use super::routes::Route;
use super::state::{Api, Written};

/// Answers one kind of request.
pub(super) type Handler = fn(&Api, &Call) -> Answer;

/// All paths of a version.
pub(super) fn table(version: Version) -> Vec<Route> {
    let mut routes = Vec::new();
    process::routes(&mut routes);
    raw::routes(&mut routes);
    transactions::routes(&mut routes);
    proxies::routes(&mut routes);
    servers::routes(version, &mut routes);
    lists::routes(version, &mut routes);
    runtime::routes(version, &mut routes);
    storage::routes(&mut routes);
    for route in &mut routes {
        let path = route.path.replace('~', "services/haproxy");
        route.path = format!("/{}/{path}", version.word());
    }
    routes
}

fn route(path: &str, methods: &[(&'static str, Handler)]) -> Route {
    Route { path: path.to_owned(), methods: methods.to_vec() }
}

/// The least time of a call.
impl Api {
    pub(super) fn latency(&self, kind: &str, call: &Call) -> Duration {
        if self.setup.latency == super::latency::Latency::default() {
            return Duration::ZERO;
        }
        let count = |config: &super::config::Config| {
            config
                .sections
                .iter()
                .map(|s| s.lines.iter().filter(|line| line.starts_with("server")).count())
                .sum()
        };
        let cost = &self.setup.latency;
        let servers = self.read(call, count).unwrap_or_default();
        if call.method != "GET" && call.query("transaction_id").is_some() {
            return cost.transaction.of(servers);
        }
        cost.of(kind, servers)
    }

    /// The text of a reload that is to fail, when the test asked for it.
    pub(super) fn injected_reload_failure(&self) -> Option<String> {
        self.faults.take(|fault| match fault {
            Fault::ReloadFails(text) => Some(text.clone()),
            _ => None,
        })
    }

    /// The answer to a change that HAProxy needs a reload for. `object` is echoed; a deletion has none.
    fn done(&self, call: &Call, written: &Written, object: Option<&Value>) -> Answer {
        let body =
            |status: u16| object.map_or_else(|| Reply::empty(status), |value| Reply::json(status, value));
        if *written == Written::Transaction {
            return Ok(body(202));
        }
        if call.flag("force_reload") {
            self.reloads.force(self.injected_reload_failure()).map_err(|why| Refusal::new(400, why))?;
            return Ok(match call.method.as_str() {
                "POST" => body(201),
                "DELETE" => Reply::empty(204),
                _ => body(200),
            });
        }
        Ok(body(202).with("Reload-ID", self.reloads.schedule()))
    }
}

/// The section that a list or a server belongs to, as kind and name: in v3 from the path, in v2 from the query.
fn parent<'a>(call: &'a Call, short: &'static str) -> Result<(&'a str, &'a str), Refusal> {
    if let Some(name) = call.args.get("parent") {
        return Ok((if call.path.contains("/frontends/") { "frontend" } else { "backend" }, name));
    }
    if let Some(name) = call.query(short) {
        return Ok((short, name));
    }
    let kind = call.query("parent_type").ok_or_else(|| Refusal::new(500, "parentType empty"))?;
    let name = call.query("parent_name").ok_or_else(|| Refusal::new(500, "parentName empty"))?;
    Ok((kind, name))
}

fn no_parent(kind: &str, name: &str) -> Refusal {
    Refusal::new(400, format!("missing parent: {kind} {name} does not exist"))
}
