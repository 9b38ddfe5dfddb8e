//! Servers and map entries of the running process: nothing here changes the file, unless a map is to be synced.

use std::fs;

use serde_json::{Value, json};

use super::route;
use crate::dataplane::Version;
use crate::dataplane::config::ServerLine;
use crate::dataplane::exchange::{Answer, Call, Refusal, Reply};
use crate::dataplane::routes::Route;
use crate::dataplane::state::Api;

pub(super) fn routes(version: Version, routes: &mut Vec<Route>) {
    let (servers, entries) = match version {
        Version::V2 => ("~/runtime/servers", "~/runtime/maps_entries"),
        Version::V3 | Version::V3_3 => {
            ("~/runtime/backends/{parent}/servers", "~/runtime/maps/{parent}/entries")
        }
    };
    routes.extend([
        route(servers, &[("GET", list), ("POST", add)]),
        route(&format!("{servers}/{{name}}"), &[("GET", get), ("PUT", change), ("DELETE", remove)]),
        route(entries, &[("GET", map_entries), ("POST", add_entry)]),
        route(
            &format!("{entries}/{{name}}"),
            &[("GET", map_entry), ("PUT", change_entry), ("DELETE", remove_entry)],
        ),
    ]);
}

fn backend(call: &Call) -> Result<&str, Refusal> {
    let named = call.args.get("parent").map(String::as_str).or_else(|| call.query("backend"));
    named.ok_or_else(|| Refusal::schema(602, "backend in query is required"))
}

/// The two versions differ when HAProxy gives no list: 2.9 has an empty one, 3.2 has nothing.
fn list(api: &Api, call: &Call) -> Answer {
    let backend = backend(call)?;
    let servers = match (api.runtime.servers(backend), api.setup.version) {
        (Ok(servers), _) => servers,
        (Err(_), Version::V2) => Vec::new(),
        (Err(_), Version::V3 | Version::V3_3) => {
            return Err(Refusal::new(404, format!("no data for {backend}: not found")));
        }
    };
    Ok(Reply::json(
        200,
        &Value::Array(servers.into_iter().map(|server| server.shown(api.setup.version)).collect()),
    ))
}

fn find(api: &Api, backend: &str, name: &str, status: u16) -> Result<Value, Refusal> {
    let servers = api.runtime.servers(backend).unwrap_or_default();
    let found = servers.into_iter().find(|server| server.name == name);
    let found = found.map(|server| server.shown(api.setup.version));
    found.ok_or_else(|| Refusal::new(status, format!("no data for {backend}/{name}: not found")))
}

fn get(api: &Api, call: &Call) -> Answer {
    Ok(Reply::json(200, &find(api, backend(call)?, call.arg("name"), 404)?))
}

fn change(api: &Api, call: &Call) -> Answer {
    let (backend, name) = (backend(call)?, call.arg("name"));
    let body = call.json()?;
    let word = |field: &str| body.get(field).and_then(Value::as_str).unwrap_or_default();
    for (field, known) in
        [("admin_state", ["ready", "maint", "drain"]), ("operational_state", ["up", "down", "stopping"])]
    {
        if !word(field).is_empty() && !known.contains(&word(field)) {
            let known = known.join(" ");
            return Err(Refusal::schema(606, format!("{field} in body should be one of [{known}]")));
        }
    }
    // 3.2 says 404 where 2.9, which cannot read the list, says 500.
    let status = match api.setup.version {
        Version::V2 => 500,
        Version::V3 | Version::V3_3 => 404,
    };
    let live = find(api, backend, name, status)?;
    let differs = |field: &str| !word(field).is_empty() && live.get(field) != Some(&json!(word(field)));
    let at = format!("{backend}/{name}");
    let failed = |why: String| Refusal::new(500, why);
    if differs("operational_state") {
        api.runtime
            .execute(&format!("set server {at} health {}", word("operational_state")))
            .map_err(failed)?;
    }
    if differs("admin_state") {
        api.runtime.set_state(&at, word("admin_state")).map_err(failed)?;
    }
    if api.setup.version == Version::V3_3 {
        change_from_3_3(api, &at, &body, &live).map_err(failed)?;
    }
    Ok(Reply::json(200, &find(api, backend, name, status)?))
}

/// What only 3.3 changes of a running server: its weight and where it is.
fn change_from_3_3(api: &Api, at: &str, body: &Value, live: &Value) -> Result<(), String> {
    let differs = |field: &str| body.get(field).is_some_and(|wanted| live.get(field) != Some(wanted));
    if let Some(weight) = body.get("weight").filter(|_| differs("weight")) {
        api.runtime.set_weight(at, &weight.to_string())?;
    }
    if differs("address") || differs("port") {
        let either = |field: &str| body.get(field).or_else(|| live.get(field));
        let address = either("address").and_then(Value::as_str).unwrap_or_default();
        api.runtime.set_addr(at, address, either("port").and_then(Value::as_i64))?;
    }
    Ok(())
}

fn add(api: &Api, call: &Call) -> Answer {
    let backend = backend(call)?;
    let server = ServerLine::from_body(&call.json()?, api.setup.version)?;
    let command =
        format!("add server {backend}/{} {}", server.name(), server.runtime_attributes(api.setup.version));
    match api.runtime.execute(&command) {
        Ok(()) => Ok(Reply::json(201, &Value::Object(server.0))),
        Err(why) if why.contains("No such backend") => Err(Refusal::new(404, why)),
        Err(why) if why.contains("Already exists") => Err(Refusal::new(409, why)),
        Err(why) => Err(Refusal::new(500, why)),
    }
}

fn remove(api: &Api, call: &Call) -> Answer {
    let (backend, name) = (backend(call)?, call.arg("name"));
    let live = find(api, backend, name, 404)?;
    let at = format!("{backend}/{name}");
    let failed = |why: String| Refusal::new(500, why);
    if live.get("admin_state") != Some(&json!("maint")) {
        api.runtime.execute(&format!("disable server {at}")).map_err(failed)?;
    }
    api.runtime.execute(&format!("del server {at}")).map_err(failed)?;
    Ok(Reply::empty(204))
}

/// The path of the map that a request names.
fn map(api: &Api, call: &Call) -> Result<String, Refusal> {
    let name = call.args.get("parent").map(String::as_str).or_else(|| call.query("map"));
    let name = name.ok_or_else(|| Refusal::schema(602, "map in query is required"))?;
    if name.contains(['/', ';', ' ']) {
        return Err(Refusal::new(404, format!("map {name} not found")));
    }
    Ok(api.setup.storage.join("maps").join(name).display().to_string())
}

fn entries(api: &Api, path: &str) -> Result<Vec<Value>, Refusal> {
    let text = api
        .runtime
        .ask(&format!("show map {path}"))
        .map_err(|why| Refusal::new(404, format!("{why} not found")))?;
    let rows = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let (id, key, value) = (words.next()?, words.next()?, words.next()?);
        Some(json!({ "id": id, "key": key, "value": value }))
    });
    Ok(rows.collect())
}

fn map_entries(api: &Api, call: &Call) -> Answer {
    Ok(Reply::json(200, &Value::Array(entries(api, &map(api, call)?)?)))
}

fn map_entry(api: &Api, call: &Call) -> Answer {
    let key = call.arg("name");
    let found = entries(api, &map(api, call)?)?.into_iter().find(|row| row.get("key") == Some(&json!(key)));
    Ok(Reply::json(200, &found.ok_or_else(|| Refusal::new(404, format!("entry {key} not found")))?))
}

fn add_entry(api: &Api, call: &Call) -> Answer {
    let path = map(api, call)?;
    let body = call.json()?;
    let word = |field: &str| body.get(field).and_then(Value::as_str).unwrap_or_default();
    if entries(api, &path)?.iter().any(|row| row.get("key") == Some(&json!(word("key")))) {
        return Err(Refusal::exists(&format!("map entry {} already exists", word("key"))));
    }
    let command = format!("add map {path} {} {}", word("key"), word("value"));
    api.runtime.execute(&command).map_err(|why| Refusal::new(500, why))?;
    sync(api, call, &path)?;
    Ok(Reply::json(201, &json!({ "key": word("key"), "value": word("value") })))
}

fn change_entry(api: &Api, call: &Call) -> Answer {
    let (path, key) = (map(api, call)?, call.arg("name"));
    let body = call.json()?;
    let value = body.get("value").and_then(Value::as_str).unwrap_or_default();
    // HAProxy does not tell when it has no such key, on 2.6 not even with the severity in front.
    let known = entries(api, &path)?.into_iter().any(|row| row.get("key") == Some(&json!(key)));
    if !known && api.setup.version == Version::V2 {
        return Ok(Reply::empty(404).with("Content-Type", "application/json"));
    }
    let command = format!("set map {path} {key} {value}");
    api.runtime.execute(&command).map_err(|why| Refusal::new(404, format!("{why} not found")))?;
    sync(api, call, &path)?;
    Ok(Reply::json(200, &json!({ "key": key, "value": value })))
}

fn remove_entry(api: &Api, call: &Call) -> Answer {
    let (path, key) = (map(api, call)?, call.arg("name"));
    if let (Err(why), Version::V3 | Version::V3_3) =
        (api.runtime.execute(&format!("del map {path} {key}")), api.setup.version)
    {
        return Err(Refusal::new(404, why));
    }
    sync(api, call, &path)?;
    Ok(Reply::empty(204))
}

/// With `force_sync` the live entries are written to the map's file, whatever they were read as.
fn sync(api: &Api, call: &Call, path: &str) -> Result<(), Refusal> {
    if !call.flag("force_sync") {
        return Ok(());
    }
    let mut text = String::new();
    for row in entries(api, path)? {
        let word = |field: &str| row.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        text.extend([&word("key"), " ", &word("value"), "\n"]);
    }
    fs::write(path, text).map_err(|error| Refusal::new(500, format!("cannot write {path}: {error}")))
}
