//! The same edits as calls on the API's objects, for a transaction, which always reloads HAProxy.
//!
//! The bodies are the same for version 2 and 3 but for an element's `index`, which version 2 has in the body and version
//! 3 in the path; it is told apart here. Version 2 passes over `metadata`, so that a backend made by it carries no
//! [`Mark`].

mod fields;

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use thiserror::Error;

use super::alike;
use super::edit::{
    Edit, EditError, ServerChange, WeightChange, apply, check_text, independent, is_of_checks, route_changes,
};
use super::mark::Mark;
use super::scan::{Line, lines};
use super::view::{BackendView, FileView, SectionView, ServerView};
use crate::name::{BackendName, ServerName};
use crate::render::{Backend, FrontendName, HttpCheck, Route, ServerLine, backend_text, server_text};
use crate::version::Version;

/// The fields of an object, by the names of the API's specification.
pub type Fields = Map<String, Value>;

/// One call on an object. They are to be made in their order.
#[derive(Clone, Debug, PartialEq)]
pub enum ObjectCall {
    /// Make a backend.
    PostBackend {
        /// Its name.
        backend: BackendName,
        /// The whole object.
        body: Fields,
    },
    /// Read a backend, [merge](merged) the change into it and write it back.
    PutBackend {
        /// Its name.
        backend: BackendName,
        /// What of it changes.
        change: Fields,
    },
    /// Remove a backend.
    DeleteBackend {
        /// Its name.
        backend: BackendName,
    },
    /// Make a server.
    PostServer {
        /// The backend.
        backend: BackendName,
        /// Its name.
        server: ServerName,
        /// The whole object.
        body: Fields,
    },
    /// Read a server, [merge](merged) the change into it and write it back.
    PutServer {
        /// The backend.
        backend: BackendName,
        /// Its name.
        server: ServerName,
        /// What of it changes.
        change: Fields,
    },
    /// Remove a server.
    DeleteServer {
        /// The backend.
        backend: BackendName,
        /// Its name.
        server: ServerName,
    },
    /// Insert an `http-check` line.
    PostHttpCheck {
        /// The backend.
        backend: BackendName,
        /// How many stand before it.
        index: usize,
        /// The whole object.
        body: Fields,
    },
    /// Remove an `http-check` line.
    DeleteHttpCheck {
        /// The backend.
        backend: BackendName,
        /// How many stand before it.
        index: usize,
    },
    /// Insert an ACL.
    PostAcl {
        /// The frontend.
        frontend: FrontendName,
        /// How many stand before it.
        index: usize,
        /// The whole object.
        body: Fields,
    },
    /// Remove an ACL.
    DeleteAcl {
        /// The frontend.
        frontend: FrontendName,
        /// How many stand before it.
        index: usize,
    },
    /// Insert a `use_backend` line.
    PostRule {
        /// The frontend.
        frontend: FrontendName,
        /// How many stand before it.
        index: usize,
        /// The whole object.
        body: Fields,
    },
    /// Remove a `use_backend` line.
    DeleteRule {
        /// The frontend.
        frontend: FrontendName,
        /// How many stand before it.
        index: usize,
    },
}

/// Why edits cannot be made as calls on objects.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum ObjectError {
    /// They cannot be made at all.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// A backend has lines that no field stands for.
    #[error(
        "backend {0} has option lines or takes a prefix off the path, which Roster cannot write as objects: leave them \
         out, put them into backend_options, or let the target write without transactions"
    )]
    Lines(BackendName),
}

/// An object with a change in it: what is `null` in the change goes.
pub fn merged(mut object: Fields, change: &Fields) -> Fields {
    for (field, value) in change {
        if value.is_null() {
            object.remove(field);
        } else {
            object.insert(field.clone(), value.clone());
        }
    }
    object
}

/// The object of a server that is to be added live. It has no number: the API reads one as a text there, fails, and reloads
/// HAProxy instead (measured on 3.2 and 3.3).
pub fn server_object(server: &ServerLine, version: Version) -> Fields {
    let mut object = fields::server(server, version);
    object.remove("id");
    object
}

/// The edits as calls. `options` are fields for each backend that is made, beside those that Roster gives it; its name is
/// none of them.
pub fn object_calls(
    before: &str,
    edits: &[Edit],
    options: &BTreeMap<BackendName, Fields>,
    version: Version,
) -> Result<Vec<ObjectCall>, ObjectError> {
    let (mut text, mut calls, mut rest) = (before.to_owned(), Vec::new(), edits);
    while !rest.is_empty() {
        let (now, later) = rest.split_at(independent(rest));
        let after = apply(&text, now, version)?;
        let view = FileView::read(&text);
        let backends =
            view.backends.iter().map(|backend| (backend.name.as_ref(), Known::new(&view, backend)));
        let mut caller = Caller { view: &view, backends: backends.collect(), options, version, calls };
        for edit in now {
            caller.call(edit)?;
        }
        calls = caller.calls;
        (text, rest) = (after, later);
    }
    Ok(calls)
}

struct Known<'v> {
    section: Option<&'v SectionView<'v>>,
    servers: BTreeMap<&'v str, &'v ServerView<'v>>,
}

impl<'v> Known<'v> {
    fn new(view: &'v FileView<'v>, backend: &'v BackendView<'v>) -> Self {
        let servers = backend.servers.iter().map(|server| (server.name.as_ref(), server)).collect();
        Self { section: view.sections.get(backend.section), servers }
    }
}

struct Caller<'v> {
    view: &'v FileView<'v>,
    backends: BTreeMap<&'v str, Known<'v>>,
    options: &'v BTreeMap<BackendName, Fields>,
    version: Version,
    calls: Vec<ObjectCall>,
}

impl Caller<'_> {
    fn call(&mut self, edit: &Edit) -> Result<(), ObjectError> {
        match edit {
            Edit::Server { backend, server, change } => self.change(backend, server, *change),
            Edit::Shape { backend, server, shape } => {
                if self.server(backend, server).is_some() {
                    let change = fields::shape(shape);
                    let (backend, server) = (backend.clone(), server.clone());
                    self.calls.push(ObjectCall::PutServer { backend, server, change });
                }
            }
            Edit::AddServer { backend, server } if self.server(backend, &server.name).is_none() => {
                self.post_server(backend, server);
            }
            Edit::RemoveServer { backend, server } if self.server(backend, server).is_some() => {
                let (backend, server) = (backend.clone(), server.clone());
                self.calls.push(ObjectCall::DeleteServer { backend, server });
            }
            Edit::RemoveBackend { backend, .. } if self.backends.contains_key(backend.as_str()) => {
                self.calls.push(ObjectCall::DeleteBackend { backend: backend.clone() });
            }
            // Nothing is there to remove, or it is there as wanted; and a comment is no object.
            Edit::AddServer { .. }
            | Edit::RemoveServer { .. }
            | Edit::RemoveBackend { .. }
            | Edit::Mark { .. } => {}
            Edit::PutBackend { mark, backend } => return self.put_backend(mark, backend),
            Edit::Checks { backend, check } => self.checks(backend, check.as_ref()),
            Edit::Routes { frontend, routes } => self.routes(frontend, routes),
        }
        Ok(())
    }

    fn server(&self, backend: &BackendName, server: &ServerName) -> Option<&ServerView<'_>> {
        self.backends.get(backend.as_str())?.servers.get(server.as_str()).copied()
    }

    fn post_server(&mut self, backend: &BackendName, server: &ServerLine) {
        let body = fields::server(server, self.version);
        let (backend, server) = (backend.clone(), server.name.clone());
        self.calls.push(ObjectCall::PostServer { backend, server, body });
    }

    fn change(&mut self, backend: &BackendName, server: &ServerName, change: ServerChange) {
        let Some(there) = self.server(backend, server) else { return };
        let change = changed(there, change);
        if !change.is_empty() {
            let (backend, server) = (backend.clone(), server.clone());
            self.calls.push(ObjectCall::PutServer { backend, server, change });
        }
    }

    fn put_backend(&mut self, mark: &Mark, backend: &Backend) -> Result<(), ObjectError> {
        let (text, _) = backend_text(backend, self.version);
        let wanted: Vec<Line<'_>> = lines(&text).collect();
        let head =
            |line: &&Line<'_>| !line.words.is_empty() && !matches!(line.word(0), Some("server" | "backend"));
        let section = self.backends.get(backend.name.as_str()).and_then(|known| known.section);
        let there = section.map(|section| section.lines.get(section.header..).unwrap_or_default());
        let is_alike =
            there.is_some_and(|there| alike::are(there.iter().filter(head), wanted.iter().filter(head)));
        let has_lines = !backend.lines.is_empty() || backend.strip_prefix.is_some();
        if !is_alike && has_lines {
            return Err(ObjectError::Lines(backend.name.clone()));
        }
        let name = backend.name.clone();
        if there.is_none() {
            let options = self.options.get(&name);
            let body = fields::new_backend(mark, backend, options);
            self.calls.push(ObjectCall::PostBackend { backend: name, body });
        } else if !is_alike {
            let change = fields::changed_backend(backend);
            self.calls.push(ObjectCall::PutBackend { backend: name, change });
        }
        if !is_alike {
            self.check_lines(&backend.name, backend.pool.check.as_ref());
        }
        self.servers(backend);
        Ok(())
    }

    /// Makes the servers of a backend those that are wanted.
    fn servers(&mut self, backend: &Backend) {
        let name = &backend.name;
        let there: Vec<ServerName> = self.backends.get(name.as_str()).map_or(Vec::new(), |known| {
            known.servers.keys().filter_map(|server| ServerName::new(server).ok()).collect()
        });
        let wanted = |server: &ServerName| backend.pool.servers.iter().any(|line| line.name == *server);
        for server in there.into_iter().filter(|server| !wanted(server)) {
            self.calls.push(ObjectCall::DeleteServer { backend: name.clone(), server });
        }
        for server in &backend.pool.servers {
            if self.server(name, &server.name).is_none() {
                self.post_server(name, server);
            } else if !self.is_alike(name, server) {
                let change = fields::whole_server(server, self.version);
                let (backend, server) = (name.clone(), server.name.clone());
                self.calls.push(ObjectCall::PutServer { backend, server, change });
            }
        }
    }

    fn is_alike(&self, backend: &BackendName, server: &ServerLine) -> bool {
        let section = self.backends.get(backend.as_str()).and_then(|known| known.section);
        let line = self.server(backend, &server.name).and_then(|there| section?.lines.get(there.line));
        line.is_some_and(|line| alike::is_line(line, &server_text(server, self.version)))
    }

    fn checks(&mut self, backend: &BackendName, check: Option<&HttpCheck>) {
        let section = self.backends.get(backend.as_str()).and_then(|known| known.section);
        let Some(section) = section else { return };
        let wanted = check_text(backend, check, self.version);
        let want: Vec<Line<'_>> = lines(&wanted).collect();
        let have = section.inside().map(|(_, line)| line).filter(|line| is_of_checks(line));
        if alike::are(have, want.iter()) {
            return;
        }
        let change = fields::checks(check);
        self.calls.push(ObjectCall::PutBackend { backend: backend.clone(), change });
        self.check_lines(backend, check);
    }

    /// Removes the `http-check` lines that are there, the last one first, and inserts those that are wanted.
    fn check_lines(&mut self, backend: &BackendName, check: Option<&HttpCheck>) {
        let section = self.backends.get(backend.as_str()).and_then(|known| known.section);
        let there = section.map_or(0, |section| {
            section.inside().filter(|(_, line)| line.word(0) == Some("http-check")).count()
        });
        for index in (0..there).rev() {
            self.calls.push(ObjectCall::DeleteHttpCheck { backend: backend.clone(), index });
        }
        for (index, body) in fields::check_lines(check).into_iter().enumerate() {
            self.calls.push(ObjectCall::PostHttpCheck { backend: backend.clone(), index, body });
        }
    }

    fn routes(&mut self, frontend: &FrontendName, routes: &[Route]) {
        let there = self.view.frontend(frontend.as_str());
        let Some(section) = there.and_then(|there| self.view.sections.get(there.section)) else { return };
        let changes = route_changes(section, routes);
        let count = |word: &str| section.inside().filter(|(_, line)| line.word(0) == Some(word)).count();
        let name = || frontend.clone();
        // The last one first, so that no index moves before it is used.
        for (index, _) in changes.rules_out.iter().rev() {
            self.calls.push(ObjectCall::DeleteRule { frontend: name(), index: *index });
        }
        for (index, _) in changes.acls_out.iter().rev() {
            self.calls.push(ObjectCall::DeleteAcl { frontend: name(), index: *index });
        }
        let acls = count("acl") - changes.acls_out.len();
        for (nth, (acl, condition)) in changes.acls_in.iter().enumerate() {
            let (criterion, value) = condition.parts();
            let body = fields::acl(acl, criterion, &value);
            self.calls.push(ObjectCall::PostAcl { frontend: name(), index: acls + nth, body });
        }
        let gone_before = |place: usize| changes.rules_out.iter().filter(|(at, _)| *at < place).count();
        let end = changes.last_kept.map_or(count("use_backend"), |(at, _)| at + 1);
        for (nth, (rule, before)) in changes.rules_in.iter().enumerate() {
            let place = before.map_or(end, |(at, _)| at);
            let index = place - gone_before(place) + nth;
            let body = fields::rule(rule.to, &rule.acls.join(" "));
            self.calls.push(ObjectCall::PostRule { frontend: name(), index, body });
        }
    }
}

/// The fields that a change of a server's line comes to.
fn changed(there: &ServerView<'_>, change: ServerChange) -> Fields {
    let mut fields = Fields::new();
    let mut set = |field: &str, value: Value| _ = fields.insert(field.to_owned(), value);
    if let Some(to) = change.endpoint.filter(|to| there.endpoint != Some(*to)) {
        set("address", to.ip.to_string().into());
        set("port", to.port.get().into());
    }
    match change.weight {
        WeightChange::Set(to) if there.start_weight() != to => set("weight", to.get().into()),
        WeightChange::Remove if there.weight.is_some() => set("weight", Value::Null),
        _ => {}
    }
    if let Some(to) = change.check_port.filter(|to| there.start_check_port() != Some(*to)) {
        set("health_check_port", to.get().into());
    }
    match change.disabled.filter(|to| *to != there.disabled) {
        Some(true) => set("maintenance", "enabled".into()),
        Some(false) if there.defaults.disabled => set("maintenance", "disabled".into()),
        Some(false) => set("maintenance", Value::Null),
        None => {}
    }
    fields
}
