//! The program itself: info, health, version, reloads, and what HAProxy says of itself.

use serde_json::{Map, Value, json};

use super::route;
use crate::dataplane::Version;
use crate::dataplane::exchange::{Answer, Call, Refusal, Reply};
use crate::dataplane::routes::Route;
use crate::dataplane::state::Api;

pub(super) fn routes(routes: &mut Vec<Route>) {
    routes.extend([
        route("info", &[("GET", info)]),
        route("health", &[("GET", health)]),
        route("~/configuration/version", &[("GET", version)]),
        route("~/reloads", &[("GET", reloads)]),
        route("~/reloads/{id}", &[("GET", reload)]),
        route("~/runtime/info", &[("GET", runtime_info)]),
        route("~/stats/native", &[("GET", stats)]),
    ]);
}

#[allow(clippy::unnecessary_wraps, reason = "a handler's signature")]
fn info(api: &Api, _: &Call) -> Answer {
    let version = match api.setup.version {
        Version::V2 => "v2.9.9 stand-in",
        Version::V3 => "v3.2.13 stand-in",
        Version::V3_3 => "v3.3.4 stand-in",
    };
    let built = "2026-01-01T00:00:00.000Z";
    Ok(Reply::json(200, &json!({ "api": { "build_date": built, "version": version }, "system": {} })))
}

#[allow(clippy::unnecessary_wraps, reason = "a handler's signature")]
fn health(_: &Api, _: &Call) -> Answer {
    Ok(Reply::json(200, &json!({ "haproxy": "unknown" })))
}

fn version(api: &Api, call: &Call) -> Answer {
    api.read(call, |_| ())?;
    Ok(Reply::json(200, &json!(api.version_for(call))))
}

#[allow(clippy::unnecessary_wraps, reason = "a handler's signature")]
fn reloads(api: &Api, _: &Call) -> Answer {
    Ok(Reply::json(200, &api.reloads.list()))
}

fn reload(api: &Api, call: &Call) -> Answer {
    let id = call.arg("id");
    let digits = |part: Option<&str>, least: usize| {
        part.is_some_and(|part| part.len() >= least && part.chars().all(|c| c.is_ascii_digit()))
    };
    let mut parts = id.splitn(4, '-');
    if ![4, 2, 2, 1].into_iter().all(|least| digits(parts.next(), least)) {
        let text = r"id in path should match '^\d{4}-\d{2}-\d{2}-\d+$'";
        return Err(Refusal::schema(605, text));
    }
    let text = format!("Reload with ID {id} does not exist");
    let found = api.reloads.get(id).ok_or_else(|| Refusal::new(404, text))?;
    Ok(Reply::json(200, &found))
}

/// Names in `show info` whose JSON name is not just the lower-case one.
const INFO_NAMES: &[(&str, &str)] = &[
    ("Name", ""),
    ("Uptime", ""),
    ("Uptime_sec", "uptime"),
    ("Nbthread", "nbthread"),
    ("Maxconn", "max_conn"),
    ("Hard_maxconn", "hard_max_conn"),
    ("CurrConns", "curr_conns"),
    ("CumConns", "cum_conns"),
    ("CumReq", "cum_req"),
    ("Process_num", "process_num"),
    ("Nbproc", "processes"),
    ("Release_date", "release_date"),
    ("Idle_pct", "idle_pct"),
    ("Ulimit-n", "ulimit_n"),
    ("Maxsock", "max_sock"),
    ("Maxpipes", "max_pipes"),
    ("Run_queue", "run_queue"),
];

/// The real one reads `show info typed`; here each line of `show info` is taken under the name it has in the API.
#[allow(clippy::unnecessary_wraps, reason = "a handler's signature")]
fn runtime_info(api: &Api, _: &Call) -> Answer {
    let mut object = Map::new();
    match api.runtime.ask("show info") {
        Ok(text) => {
            object.insert("info".to_owned(), Value::Object(process_info(&text)));
        }
        Err(why) => {
            object.insert("error".to_owned(), json!(why));
        }
    }
    object.insert("runtimeAPI".to_owned(), json!(api.runtime.path().display().to_string()));
    let object = Value::Object(object);
    Ok(match api.setup.version {
        Version::V2 => Reply::json(200, &json!([object])),
        Version::V3 | Version::V3_3 => Reply::json(200, &object),
    })
}

fn process_info(text: &str) -> Map<String, Value> {
    let mut info = Map::new();
    for (name, value) in text.lines().filter_map(|line| line.split_once(": ")) {
        let known = INFO_NAMES.iter().find(|(known, _)| *known == name).map(|(_, json)| *json);
        let name = known.map_or_else(|| name.to_ascii_lowercase(), str::to_owned);
        if name.is_empty() {
            continue;
        }
        let value = match (name.as_str(), value.parse::<i64>()) {
            ("version" | "node" | "release_date", _) => json!(value.replace('/', "-")),
            (_, Ok(number)) => json!(number),
            _ => continue,
        };
        info.insert(name, value);
    }
    info
}

/// `show stat` as JSON: v2 wraps it in a list with one entry for each process.
#[allow(clippy::unnecessary_wraps, reason = "a handler's signature")]
fn stats(api: &Api, call: &Call) -> Answer {
    let mut collection = Map::new();
    match api.runtime.ask("show stat") {
        Ok(text) => {
            let rows = stat_rows(&text);
            let wanted = rows.into_iter().filter(|row| {
                let is = |query: &str, field: &str| {
                    call.query(query).is_none_or(|want| row.get(field) == Some(&json!(want)))
                };
                is("type", "type") && is("name", "name") && is("parent", "backend_name")
            });
            collection.insert("stats".to_owned(), Value::Array(wanted.collect()));
        }
        Err(why) => {
            collection.insert("error".to_owned(), json!(why));
        }
    }
    collection.insert("runtimeAPI".to_owned(), json!(api.runtime.path().display().to_string()));
    let collection = Value::Object(collection);
    Ok(match api.setup.version {
        Version::V2 => Reply::json(200, &json!([collection])),
        Version::V3 | Version::V3_3 => Reply::json(200, &collection),
    })
}

fn stat_rows(text: &str) -> Vec<Value> {
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().trim_start_matches("# ").split(',').collect();
    lines.filter_map(|line| stat_row(&names, &line.split(',').collect::<Vec<_>>())).collect()
}

fn stat_row(names: &[&str], values: &[&str]) -> Option<Value> {
    let value = |name: &str| values.get(names.iter().position(|known| *known == name)?).copied();
    let (proxy, server) = (value("pxname")?, value("svname")?);
    let mut row = match value("type")? {
        "0" | "1" => json!({ "name": proxy, "type": server.to_ascii_lowercase() }),
        "2" => json!({ "name": server, "type": "server", "backend_name": proxy }),
        _ => return None,
    };
    let stats = names.iter().zip(values).filter(|(name, value)| {
        !value.is_empty() && !name.is_empty() && !matches!(**name, "pxname" | "svname" | "type")
    });
    let stats = stats.map(|(name, value)| {
        let number = value.parse::<i64>().map_or_else(|_| json!(value), |number| json!(number));
        ((*name).to_owned(), number)
    });
    row.as_object_mut()?.insert("stats".to_owned(), Value::Object(stats.collect()));
    Some(row)
}
