//! ACLs, switching rules and HTTP checks: objects with a place in a list.

use serde_json::{Value, json};

use super::{no_parent, parent, route};
use crate::dataplane::Version;
use crate::dataplane::config::{Indexed, Section};
use crate::dataplane::exchange::{Answer, Call, Refusal, Reply};
use crate::dataplane::routes::Route;
use crate::dataplane::state::Api;

pub(super) fn routes(version: Version, routes: &mut Vec<Route>) {
    let lists = [
        ("acls", "frontends"),
        ("acls", "backends"),
        ("backend_switching_rules", "frontends"),
        ("http_checks", "backends"),
    ];
    for (kind, section) in lists {
        match version {
            Version::V2 => {
                let path = format!("~/configuration/{kind}");
                routes.push(route(&path, &[("GET", list), ("POST", insert)]));
                routes.push(one(&path, &[]));
            }
            Version::V3 | Version::V3_3 => {
                let path = format!("~/configuration/{section}/{{parent}}/{kind}");
                routes.push(route(&path, &[("GET", list), ("PUT", replace_all)]));
                routes.push(one(&path, &[("POST", insert)]));
            }
        }
    }
}

fn one(path: &str, more: &[(&'static str, super::Handler)]) -> Route {
    let mut made = route(&format!("{path}/{{index}}"), &[("GET", get), ("PUT", replace), ("DELETE", delete)]);
    made.methods.extend(more);
    made
}

fn place(call: &Call) -> Result<(Indexed, &str, &str), Refusal> {
    let indexed = if call.path.contains("/acls") {
        Indexed::Acl
    } else if call.path.contains("/http_checks") {
        Indexed::HttpCheck
    } else {
        Indexed::SwitchingRule
    };
    let (kind, name) = parent(call, "frontend")?;
    Ok((indexed, kind, name))
}

fn index_of(text: &str) -> Result<i64, Refusal> {
    text.parse().map_err(|_| Refusal::schema(601, format!("index in path must be of type int64: \"{text}\"")))
}

fn missing(index: i64, kind: &str, parent: &str) -> Refusal {
    Refusal::missing(&format!("Object {index} does not exist in {kind} {parent}"))
}

/// The objects; in v2 each has its index.
fn objects(indexed: Indexed, section: &Section, version: Version) -> Vec<Value> {
    let mut all = indexed.read(section);
    if version == Version::V2 {
        for (at, object) in all.iter_mut().enumerate() {
            if let Some(object) = object.as_object_mut() {
                object.insert("index".to_owned(), json!(at));
            }
        }
    }
    all
}

fn list(api: &Api, call: &Call) -> Answer {
    let (indexed, kind, parent) = place(call)?;
    let mut all = api.read(call, |config| {
        config.section(kind, parent).map(|section| objects(indexed, section, api.setup.version))
    })?;
    if let (Some(name), Some(all)) = (call.query("acl_name"), &mut all) {
        all.retain(|object| object.get("acl_name") == Some(&json!(name)));
    }
    let all = Value::Array(all.unwrap_or_default());
    Ok(Reply::object(api.setup.version, api.version_for(call), &all))
}

fn get(api: &Api, call: &Call) -> Answer {
    let (indexed, kind, parent) = place(call)?;
    let index = index_of(call.arg("index"))?;
    let all = api.read(call, |config| {
        config.section(kind, parent).map(|section| objects(indexed, section, api.setup.version))
    })?;
    let mut all = all.ok_or_else(|| no_parent(kind, parent))?.into_iter();
    let found = usize::try_from(index).ok().and_then(|at| all.nth(at));
    let found = found.ok_or_else(|| missing(index, kind, parent))?;
    Ok(Reply::object(api.setup.version, api.version_for(call), &found))
}

fn insert(api: &Api, call: &Call) -> Answer {
    let (indexed, kind, parent) = place(call)?;
    let object = indexed.checked(&call.json()?, api.setup.version)?;
    let index = match api.setup.version {
        Version::V2 => object.get("index").and_then(Value::as_i64).unwrap_or_default(),
        Version::V3 | Version::V3_3 => index_of(call.arg("index"))?,
    };
    let written = api.change(call, |config| {
        let section = config.section_mut(kind, parent).ok_or_else(|| no_parent(kind, parent))?;
        let places = indexed.places(section);
        let line = indexed.line(&object);
        match usize::try_from(index) {
            // -1 appends.
            Err(_) => section.lines.push(line),
            Ok(at) if at == places.len() => section.lines.push(line),
            Ok(at) => {
                let text =
                    format!("index out of range: Object with id {index} in {kind} {parent} out of range");
                let at = places.get(at).ok_or_else(|| Refusal::new(400, text))?;
                section.lines.insert(*at, line);
            }
        }
        Ok(())
    })?;
    api.done(call, &written, Some(&object))
}

fn replace(api: &Api, call: &Call) -> Answer {
    let (indexed, kind, parent) = place(call)?;
    let index = index_of(call.arg("index"))?;
    let object = indexed.checked(&call.json()?, api.setup.version)?;
    let written = api.change(call, |config| {
        let gone = || missing(index, kind, parent);
        let section = config.section_mut(kind, parent).ok_or_else(gone)?;
        let at = usize::try_from(index).ok().and_then(|at| indexed.places(section).get(at).copied());
        let line = at.and_then(|at| section.lines.get_mut(at)).ok_or_else(gone)?;
        *line = indexed.line(&object);
        Ok(())
    })?;
    api.done(call, &written, Some(&object))
}

fn replace_all(api: &Api, call: &Call) -> Answer {
    let (indexed, kind, parent) = place(call)?;
    let Value::Array(bodies) = call.json()? else {
        return Err(Refusal::unparsable("json: cannot unmarshal object into Go value of type models.List"));
    };
    let all: Vec<Value> =
        bodies.iter().map(|body| indexed.checked(body, api.setup.version)).collect::<Result<_, _>>()?;
    let written = api.change(call, |config| {
        let section = config.section_mut(kind, parent).ok_or_else(|| no_parent(kind, parent))?;
        section.lines.retain(|line| !line.starts_with(indexed.keyword()));
        section.lines.extend(all.iter().map(|object| indexed.line(object)));
        Ok(())
    })?;
    api.done(call, &written, Some(&Value::Array(all)))
}

fn delete(api: &Api, call: &Call) -> Answer {
    let (indexed, kind, parent) = place(call)?;
    let index = index_of(call.arg("index"))?;
    let written = api.change(call, |config| {
        let gone = || missing(index, kind, parent);
        let section = config.section_mut(kind, parent).ok_or_else(gone)?;
        let at = usize::try_from(index).ok().and_then(|at| indexed.places(section).get(at).copied());
        section.lines.remove(at.ok_or_else(gone)?);
        Ok(())
    })?;
    api.done(call, &written, None)
}
