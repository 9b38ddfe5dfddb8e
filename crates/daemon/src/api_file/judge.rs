//! Whose a backend is, and what the file lacks.

use std::collections::BTreeMap;

use roster_core::agenda::{Agenda, Item};
use roster_core::applied::Applied;
use roster_core::exposure::Layout;
use roster_core::found::found;
use roster_core::layout::{first, sections};
use roster_haproxy::dataplane::{BackendView, Edit, FileView, Mark, ReloadReason};
use roster_haproxy::name::{BackendName, ServerName};
use roster_haproxy::render::{FrontendName, Route, Section, ServerLine};
use roster_haproxy::version::Version;

use super::ApiFile;
use crate::clock;

/// A change of the file that only a reload brings to the process.
#[derive(Clone, Debug)]
pub(super) struct Structural {
    pub reason: ReloadReason,
    pub edits: Vec<Edit>,
    /// The backend that it is for; none where it is for several.
    pub backend: Option<BackendName>,
    /// Whether the text that is written has it already, so that the edits are left.
    pub is_text: bool,
}

impl Structural {
    pub(super) fn new(reason: ReloadReason, edits: Vec<Edit>, backend: Option<BackendName>) -> Self {
        Self { reason, edits, backend, is_text: false }
    }
}

impl ApiFile {
    /// Finds out which backends are somebody else's and not to be used.
    pub(super) fn judge(&mut self, agenda: &Agenda) {
        self.find_own_lines(agenda);
        let Some(raw) = &self.raw else { return };
        let file = FileView::read(&raw.text);
        let found = found(&file);
        self.found_anew |= found != self.found;
        let mut conflicts = BTreeMap::new();
        for (backend, item) in agenda.items.iter().filter(|(_, item)| item.is_wanted()) {
            let wanted = item.exposure.layout.as_ref().map(|layout| &layout.balance);
            if let Err(conflict) = self.reach.strategy.judge(&file, backend, wanted) {
                self.trouble(&format!("service {} is left out: {conflict}", item.exposure.service));
                conflicts.insert(backend.clone(), conflict);
            }
        }
        (self.found, self.conflicts) = (found, conflicts);
    }

    /// What the file lacks that only a reload brings.
    pub(super) fn structural(
        &self,
        agenda: &Agenda,
        applied: &Applied,
        file: &FileView<'_>,
        version: Version,
    ) -> Vec<Structural> {
        let mut all = Vec::new();
        let items = agenda.items.iter().filter(|(backend, _)| !self.leaves_alone(backend));
        for (backend, item) in items {
            let Some(layout) = self.layouts.get(backend) else { continue };
            match file.backend(backend.as_str()) {
                None if !item.is_wanted() || self.left_out.get(backend) == Some(layout) => {}
                None => {
                    let servers = first(item, version, applied.backends.get(backend), clock::now());
                    all.extend(added(backend, item, layout, servers));
                }
                Some(there) => {
                    all.extend(self.grown(backend, there).or_else(|| self.ahead(backend, there)));
                    all.extend(self.shaped(backend, there));
                    all.extend(self.weighed(backend, there));
                }
            }
        }
        all.extend(self.rerouted(agenda, file, &all));
        all
    }

    /// What the file has and HAProxy has not: whoever was to reload it did not. If a reload does not help, another file is
    /// the one that HAProxy starts from.
    fn ahead(&self, backend: &BackendName, there: &BackendView<'_>) -> Option<Structural> {
        let has = |server: &ServerName| {
            there.server(server.as_str()).is_some() || there.is_made_of_template(server.as_str())
        };
        self.lacking.get(backend).filter(|servers| servers.iter().all(has))?;
        if self.reloaded.contains(backend) {
            self.trouble(&format!(
                "backend {backend} stands in the API's file, and HAProxy does not have all of it though it was reloaded; \
                 check that the API's `config_file` is what HAProxy starts from"
            ));
            return None;
        }
        let reason = ReloadReason::FileAhead(backend.to_string());
        Some(Structural::new(reason, Vec::new(), Some(backend.clone())))
    }

    /// The slots that the file lacks.
    fn grown(&self, backend: &BackendName, there: &BackendView<'_>) -> Option<Structural> {
        if self.was_added_live(there) {
            return None;
        }
        let lines = self.lines.get(backend)?.iter();
        let new = lines.filter(|line| {
            there.server(line.name.as_str()).is_none() && !there.is_made_of_template(line.name.as_str())
        });
        let edits: Vec<Edit> = new
            .map(|line| Edit::AddServer { backend: backend.clone(), server: Box::new(line.clone()) })
            .collect();
        let reason = ReloadReason::SlotsFull { backend: backend.to_string(), added: edits.len() };
        (!edits.is_empty()).then(|| Structural::new(reason, edits, Some(backend.clone())))
    }

    /// The frontends whose routes are others. A route to a backend that is not there would keep HAProxy from starting.
    fn rerouted(&self, agenda: &Agenda, file: &FileView<'_>, coming: &[Structural]) -> Vec<Structural> {
        let exists = |backend: &BackendName| {
            file.backend(backend.as_str()).is_some()
                || coming.iter().any(|structural| structural.backend.as_ref() == Some(backend))
        };
        let mut rerouted = Vec::new();
        for view in &file.frontends {
            let Ok(frontend) = FrontendName::new(&view.name) else { continue };
            let routes =
                agenda.items.iter().filter(|(backend, _)| exists(backend) && !self.leaves_alone(backend));
            let routes: Vec<Route> = routes
                .flat_map(|(backend, item)| {
                    let its = item.exposure.routes.iter().filter(|route| route.frontend == frontend);
                    its.map(|route| Route { of: route.of.clone(), to: backend.clone() })
                })
                .collect();
            let same =
                routes.len() == view.routes.len() && routes.iter().all(|route| view.routes.contains(route));
            if !same {
                let reason = ReloadReason::RoutesChanged(frontend.to_string());
                let edits = vec![Edit::Routes { frontend, routes }];
                rerouted.push(Structural::new(reason, edits, None));
            }
        }
        rerouted
    }

    /// Tells of frontends that routes name and the file has not.
    pub(super) fn tell_lost_frontends(&self, agenda: &Agenda, file: &FileView<'_>) {
        for (backend, item) in &agenda.items {
            for route in
                item.exposure.routes.iter().filter(|route| file.frontend(route.frontend.as_str()).is_none())
            {
                self.trouble(&format!(
                    "backend {backend} has a route from frontend {}, which HAProxy's file has not; create it, or correct the \
                     route",
                    route.frontend
                ));
            }
        }
    }
}

/// A backend that is new.
fn added(
    backend: &BackendName,
    item: &Item,
    layout: &Layout,
    servers: Vec<ServerLine>,
) -> Option<Structural> {
    let section = sections(backend, layout, servers).into_iter().find_map(|section| match section {
        Section::Backend(backend) => Some(backend),
        _ => None,
    })?;
    let mark = Mark { service: item.exposure.service.clone() };
    let edit = Edit::PutBackend { mark, backend: Box::new(section) };
    let reason = ReloadReason::BackendNew(backend.to_string());
    Some(Structural::new(reason, vec![edit], Some(backend.clone())))
}
