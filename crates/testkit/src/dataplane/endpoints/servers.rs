//! Servers and binds of the file: objects with a name. A change to a server is made live where HAProxy can take it.

use serde_json::Value;

use super::{no_parent, parent, route};
use crate::dataplane::Version;
use crate::dataplane::config::{Line, Named, Section, ServerLine, bind, bind_body, bind_line};
use crate::dataplane::exchange::{Answer, Call, Refusal, Reply};
use crate::dataplane::routes::Route;
use crate::dataplane::state::{Api, Written};

pub(super) fn routes(version: Version, routes: &mut Vec<Route>) {
    for (kind, section) in [("servers", "backends"), ("binds", "frontends")] {
        let path = match version {
            Version::V2 => format!("~/configuration/{kind}"),
            Version::V3 | Version::V3_3 => format!("~/configuration/{section}/{{parent}}/{kind}"),
        };
        routes.extend([
            route(&path, &[("GET", list), ("POST", create)]),
            route(&format!("{path}/{{name}}"), &[("GET", get), ("PUT", replace), ("DELETE", delete)]),
        ]);
    }
}

/// One parsed body or line.
#[derive(Clone, Debug, PartialEq)]
enum Object {
    Server(ServerLine),
    Bind(Value),
}

impl Object {
    fn read(named: Named, line: &Line, version: Version) -> Option<Self> {
        match named {
            _ if !line.starts_with(named.keyword()) => None,
            Named::Server => ServerLine::read(line, version).map(Self::Server),
            Named::Bind => Some(Self::Bind(bind(line))),
        }
    }

    fn from_body(named: Named, body: &Value, version: Version) -> Result<Self, Refusal> {
        match named {
            Named::Server => ServerLine::from_body(body, version).map(Self::Server),
            Named::Bind => bind_body(body).map(Self::Bind),
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Server(server) => server.name().to_owned(),
            Self::Bind(value) => value.get("name").and_then(Value::as_str).unwrap_or_default().to_owned(),
        }
    }

    fn value(&self) -> Value {
        match self {
            Self::Server(server) => Value::Object(server.0.clone()),
            Self::Bind(value) => value.clone(),
        }
    }

    fn line(&self, version: Version) -> (String, Option<String>) {
        match self {
            Self::Server(server) => server.line(version),
            Self::Bind(value) => (bind_line(value), None),
        }
    }
}

fn place(call: &Call) -> Result<(Named, &str, &str), Refusal> {
    let named = if call.path.contains("/binds") { Named::Bind } else { Named::Server };
    let short = if named == Named::Bind { "frontend" } else { "backend" };
    let (kind, name) = parent(call, short)?;
    Ok((named, kind, name))
}

fn missing(named: Named, name: &str, kind: &str, parent: &str) -> Refusal {
    let title = match named {
        Named::Server => "server",
        Named::Bind => "Bind",
    };
    Refusal::missing(&format!("{title} {name} does not exist in {parent} {kind}"))
}

fn list(api: &Api, call: &Call) -> Answer {
    let (named, kind, parent) = place(call)?;
    let version = api.setup.version;
    let all = api.read(call, |config| {
        let lines = config.section(kind, parent).into_iter().flat_map(|section| &section.lines);
        lines.filter_map(|line| Object::read(named, line, version)).map(|object| object.value()).collect()
    })?;
    Ok(Reply::object(version, api.version_for(call), &Value::Array(all)))
}

fn find(api: &Api, call: &Call) -> Result<Object, Refusal> {
    let (named, kind, parent) = place(call)?;
    let name = call.arg("name");
    let found = api.read(call, |config| {
        let line = config.section(kind, parent)?.lines.iter().find(|line| named.is(line, name))?;
        Object::read(named, line, api.setup.version)
    })?;
    found.ok_or_else(|| missing(named, name, kind, parent))
}

fn get(api: &Api, call: &Call) -> Answer {
    let found = find(api, call)?.value();
    Ok(Reply::object(api.setup.version, api.version_for(call), &found))
}

fn create(api: &Api, call: &Call) -> Answer {
    let (named, kind, parent) = place(call)?;
    let object = Object::from_body(named, &call.json()?, api.setup.version)?;
    let name = object.name();
    let written = api.change(call, |config| {
        let section = config.section_mut(kind, parent).ok_or_else(|| no_parent(kind, parent))?;
        if section.lines.iter().any(|line| named.is(line, &name)) {
            let text = format!("{} {name} already exists in {parent} {kind}", named.keyword());
            return Err(Refusal::exists(&text));
        }
        let (text, comment) = object.line(api.setup.version);
        let mut line = Line::new("");
        line.replace(text, comment);
        section.lines.push(line);
        Ok(())
    })?;
    if added_live(api, call, &written, &object, parent)? {
        return Ok(Reply::json(201, &object.value()));
    }
    api.done(call, &written, Some(&object.value()))
}

/// 3.2 adds a server to the process when no `default-server` applies. It comes up in maintenance, unchecked. One with a
/// number is not added: the runtime's object has a text there, and the conversion fails.
fn added_live(
    api: &Api,
    call: &Call,
    written: &Written,
    object: &Object,
    backend: &str,
) -> Result<bool, Refusal> {
    let Object::Server(server) = object else { return Ok(false) };
    if api.setup.version == Version::V2 || *written != Written::File || call.flag("force_reload") {
        return Ok(false);
    }
    if server.number("id").is_some() || api.read(call, |config| config.has_default_server(backend))? {
        return Ok(false);
    }
    let command =
        format!("add server {backend}/{} {}", server.name(), server.runtime_attributes(api.setup.version));
    Ok(api.runtime.execute(&command).is_ok())
}

fn replace(api: &Api, call: &Call) -> Answer {
    let (named, kind, parent) = place(call)?;
    let object = Object::from_body(named, &call.json()?, api.setup.version)?;
    // The real one looks for the object before it looks at the version.
    let old = find(api, call)?;
    let name = call.arg("name");
    let written = api.change(call, |config| {
        let line = config.section_mut(kind, parent).and_then(|section| line_mut(section, named, name));
        let (text, comment) = object.line(api.setup.version);
        line.ok_or_else(|| missing(named, name, kind, parent))?.replace(text, comment);
        Ok(())
    })?;
    if let (Object::Server(new), Object::Server(old), Written::File) = (&object, &old, &written)
        && changed_live(api, parent, new, old)
    {
        return Ok(Reply::json(200, &object.value()));
    }
    api.done(call, &written, Some(&object.value()))
}

fn line_mut<'a>(section: &'a mut Section, named: Named, name: &str) -> Option<&'a mut Line> {
    section.lines.iter_mut().find(|line| named.is(line, name))
}

/// Brings a change to the process. It is measured against the file: what drifted live is not seen. `false` when a
/// reload is needed.
fn changed_live(api: &Api, backend: &str, new: &ServerLine, old: &ServerLine) -> bool {
    let changes = new.differences(old);
    if !changes.iter().all(|name| ServerLine::is_live(name)) {
        return false;
    }
    let at = format!("{backend}/{}", new.name());
    let mut moved = false;
    for change in changes {
        let outcome = match change {
            "weight" | "health_check_port" | "port" if new.number(change).is_none() => return false,
            "weight" => api.runtime.set_weight(&at, &new.number("weight").unwrap_or_default().to_string()),
            "health_check_port" => {
                api.runtime.set_check_port(&at, new.number("health_check_port").unwrap_or_default())
            }
            "address" | "port" if std::mem::replace(&mut moved, true) => Ok(()),
            "address" | "port" if new.number("port").is_none() => return false,
            "address" | "port" => api.runtime.set_addr(&at, new.text("address"), new.number("port")),
            "maintenance" if new.text("maintenance") == "enabled" => api.runtime.set_state(&at, "maint"),
            "maintenance" => api.runtime.set_state(&at, "ready"),
            "agent-check" => match new.text("agent-check") {
                "enabled" => api.runtime.execute(&format!("enable agent {at}")),
                "disabled" => api.runtime.execute(&format!("disable agent {at}")),
                _ => Ok(()),
            },
            agent => api.runtime.execute(&format!("set server {at} {agent} {}", new.text(agent))),
        };
        if outcome.is_err() {
            return false;
        }
    }
    true
}

fn delete(api: &Api, call: &Call) -> Answer {
    let (named, kind, parent) = place(call)?;
    let name = call.arg("name");
    let written = api.change(call, |config| {
        let section = config.section_mut(kind, parent).ok_or_else(|| missing(named, name, kind, parent))?;
        let before = section.lines.len();
        section.lines.retain(|line| !named.is(line, name));
        if section.lines.len() == before {
            return Err(missing(named, name, kind, parent));
        }
        Ok(())
    })?;
    api.done(call, &written, None)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_and_its_body_are_the_same_object() {
        let line = Line::new("server s1 127.0.0.1:80 check weight 3");
        let read = Object::read(Named::Server, &line, Version::V2).unwrap();
        let body =
            json!({ "name": "s1", "address": "127.0.0.1", "port": 80, "check": "enabled", "weight": 3 });
        assert_eq!(read, Object::from_body(Named::Server, &body, Version::V2).unwrap());
    }
}
