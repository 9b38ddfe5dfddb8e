//! Frontends and backends.

use serde_json::{Map, Value, json};

use super::route;
use crate::dataplane::Version;
use crate::dataplane::config::{Proxy, Section, ServerLine};
use crate::dataplane::exchange::{Answer, Call, Refusal, Reply};
use crate::dataplane::routes::Route;
use crate::dataplane::state::Api;

pub(super) fn routes(routes: &mut Vec<Route>) {
    routes.extend([
        route("~/configuration/backends", &[("GET", list), ("POST", create)]),
        route("~/configuration/backends/{name}", &[("GET", get), ("PUT", replace), ("DELETE", delete)]),
        route("~/configuration/frontends", &[("GET", list), ("POST", create)]),
        route("~/configuration/frontends/{name}", &[("GET", get), ("PUT", replace), ("DELETE", delete)]),
    ]);
}

fn proxy(call: &Call) -> Proxy {
    if call.path.contains("/frontends") { Proxy::Frontend } else { Proxy::Backend }
}

fn title(proxy: Proxy) -> &'static str {
    match proxy {
        Proxy::Frontend => "Frontend",
        Proxy::Backend => "Backend",
    }
}

fn list(api: &Api, call: &Call) -> Answer {
    let proxy = proxy(call);
    let all = api.read(call, |config| {
        config.of_kind(proxy.kind()).into_iter().map(|section| object(api, call, proxy, section)).collect()
    })?;
    Ok(Reply::object(api.setup.version, api.version_for(call), &Value::Array(all)))
}

fn get(api: &Api, call: &Call) -> Answer {
    let (proxy, name) = (proxy(call), call.arg("name"));
    let found =
        api.read(call, |config| Some(object(api, call, proxy, config.section(proxy.kind(), name)?)))?;
    let missing = || Refusal::missing(&format!("{} {name} does not exist", title(proxy)));
    Ok(Reply::object(api.setup.version, api.version_for(call), &found.ok_or_else(missing)?))
}

/// The object of a section; v3 gives its servers too when asked for the full section.
fn object(api: &Api, call: &Call, proxy: Proxy, section: &Section) -> Value {
    let mut value = proxy.read(section);
    let metadata = section.comment.as_deref().and_then(|comment| serde_json::from_str::<Value>(comment).ok());
    add_metadata(api, &mut value, metadata.as_ref());
    let full = call.flag("full_section");
    if let (Version::V3 | Version::V3_3, true, Proxy::Backend, Some(object)) =
        (api.setup.version, full, proxy, value.as_object_mut())
    {
        let servers: Map<String, Value> = section
            .lines
            .iter()
            .filter(|line| line.starts_with("server"))
            .filter_map(|line| ServerLine::read(line, Version::V3))
            .map(|server| (server.name().to_owned(), Value::Object(server.0)))
            .collect();
        if !servers.is_empty() {
            object.insert("servers".to_owned(), json!(servers));
        }
    }
    value
}

/// Version 2 passes over metadata.
fn add_metadata(api: &Api, object: &mut Value, metadata: Option<&Value>) {
    let metadata = metadata.filter(|metadata| metadata.is_object() && api.setup.version != Version::V2);
    if let (Some(metadata), Some(object)) = (metadata, object.as_object_mut()) {
        object.insert("metadata".to_owned(), metadata.clone());
    }
}

/// The body, checked, and what it leaves behind the section's title.
fn body(api: &Api, call: &Call, proxy: Proxy) -> Result<(Value, Option<String>), Refusal> {
    let body = call.json()?;
    let mut object = proxy.checked(&body)?;
    add_metadata(api, &mut object, body.get("metadata"));
    let comment = object.get("metadata").map(Value::to_string);
    Ok((object, comment))
}

fn create(api: &Api, call: &Call) -> Answer {
    let proxy = proxy(call);
    let (object, comment) = body(api, call, proxy)?;
    let name = object.get("name").and_then(Value::as_str).unwrap_or_default();
    let written = api.change(call, |config| {
        if config.section(proxy.kind(), name).is_some() {
            return Err(Refusal::exists(&format!("{} {name} already exists", proxy.kind())));
        }
        let mut section = Section::new(proxy.kind(), name);
        section.comment = comment;
        proxy.write(&mut section, &object, api.setup.version);
        config.sections.push(section);
        Ok(())
    })?;
    api.done(call, &written, Some(&object))
}

/// The name in the body is echoed, but does not rename.
fn replace(api: &Api, call: &Call) -> Answer {
    let (proxy, name) = (proxy(call), call.arg("name"));
    let (object, comment) = body(api, call, proxy)?;
    let old = api.read(call, |config| config.section(proxy.kind(), name).map(|known| proxy.read(known)))?;
    let written = api.change(call, |config| {
        let missing = || Refusal::missing(&format!("{} {name} does not exist", proxy.kind()));
        let section = config.section_mut(proxy.kind(), name).ok_or_else(missing)?;
        proxy.write(section, &object, api.setup.version);
        section.comment = comment;
        Ok(())
    })?;
    let is_live = call.query("transaction_id").is_none()
        && proxy == Proxy::Frontend
        && only_maxconn(api, name, old.as_ref(), &object);
    if is_live { Ok(Reply::json(200, &object)) } else { api.done(call, &written, Some(&object)) }
}

/// A frontend's `maxconn` is the one thing that is set live.
fn only_maxconn(api: &Api, name: &str, old: Option<&Value>, new: &Value) -> bool {
    let without = |value: &Value| {
        let mut value = value.clone();
        value.as_object_mut().map(|object| object.remove("maxconn"));
        value
    };
    let Some(old) = old.filter(|old| without(old) == without(new)) else { return false };
    if old == new {
        return true;
    }
    let Some(most) = new.get("maxconn").and_then(Value::as_i64) else { return false };
    api.runtime.execute(&format!("set maxconn frontend {name} {most}")).is_ok()
}

fn delete(api: &Api, call: &Call) -> Answer {
    let (proxy, name) = (proxy(call), call.arg("name"));
    let written = api.change(call, |config| {
        if config.section(proxy.kind(), name).is_none() {
            return Err(Refusal::missing(&format!("{} {name} does not exist", proxy.kind())));
        }
        config.sections.retain(|section| section.kind != proxy.kind() || section.name != name);
        Ok(())
    })?;
    api.done(call, &written, None)
}
