//! Lines of servers that say something else than is wanted, in what HAProxy cannot change while it runs.

use std::collections::{BTreeMap, BTreeSet};

use roster_core::agenda::Agenda;
use roster_core::exposure::Claim;
use roster_haproxy::dataplane::{
    BackendView, Edit, FileView, ReloadReason, ServerChange, ServerShape, ServerView, WeightChange,
};
use roster_haproxy::name::{BackendName, ServerName};
use roster_haproxy::render::ServerLine;
use roster_haproxy::weight::Weight;

use super::ApiFile;
use super::judge::Structural;

impl ApiFile {
    /// The backends whose servers' lines are Roster's own, each with the weight that `default-server` gives there.
    pub(crate) fn own_lines(&self) -> &BTreeMap<BackendName, Option<Weight>> {
        &self.own_lines
    }

    /// Finds out which backends have lines of Roster's own: by the mark, or by the name where that counts.
    pub(crate) fn find_own_lines(&mut self, agenda: &Agenda) {
        let Some(raw) = &self.raw else { return };
        let file = FileView::read(&raw.text);
        let own = agenda.items.iter().filter_map(|(backend, item)| {
            let there = file.backend(backend.as_str())?;
            let is_own = there.mark.is_some() || item.exposure.claim == Claim::Named;
            is_own.then(|| (backend.clone(), there.default_weight))
        });
        self.own_lines = own.collect();
    }

    /// The servers whose lines lack the check or the cookie that is wanted. All of a backend get them at once, as soon as
    /// one of them takes traffic.
    pub(super) fn shaped(&self, backend: &BackendName, there: &BackendView<'_>) -> Option<Structural> {
        let lines = self.lines.get(backend)?.iter();
        let lacking: Vec<(&ServerLine, ServerShape)> =
            lines.filter_map(|line| Some((line, lacks(line, there.server(line.name.as_str())?)?))).collect();
        if lacking.iter().all(|(line, _)| line.disabled) {
            return None;
        }
        let servers = lacking.len();
        let edit = |(line, shape): (&ServerLine, ServerShape)| Edit::Shape {
            backend: backend.clone(),
            server: line.name.clone(),
            shape: Box::new(shape),
        };
        let reason = ReloadReason::ServersShaped { backend: backend.to_string(), servers };
        Some(Structural::new(reason, lacking.into_iter().map(edit).collect(), Some(backend.clone())))
    }

    /// The servers whose weights the backend's algorithm does not take while HAProxy runs.
    pub(super) fn weighed(&self, backend: &BackendName, there: &BackendView<'_>) -> Option<Structural> {
        let differs = |(server, to): &(&ServerName, &Weight)| {
            there.server(server.as_str()).is_some_and(|line| line.start_weight() != **to)
        };
        let edits: Vec<Edit> = self
            .weights
            .get(backend)?
            .iter()
            .filter(differs)
            .map(|(server, to)| Edit::Server {
                backend: backend.clone(),
                server: server.clone(),
                change: ServerChange { weight: WeightChange::Set(*to), ..ServerChange::default() },
            })
            .collect();
        let reason = ReloadReason::WeightsChanged { backend: backend.to_string(), servers: edits.len() };
        (!edits.is_empty()).then(|| Structural::new(reason, edits, Some(backend.clone())))
    }

    /// What was written counts as what runs until the next pass has read it: or the file would be put back.
    pub(super) fn wrote(&mut self, good: &[Structural]) {
        let weights = good.iter().flat_map(|one| &one.edits).filter_map(|edit| match edit {
            Edit::Server { backend, server, change: ServerChange { weight: WeightChange::Set(to), .. } } => {
                Some((backend, server, *to))
            }
            _ => None,
        });
        for (backend, server, to) in weights {
            let mut lines = self.lines.get_mut(backend).into_iter().flatten();
            if let Some(line) = lines.find(|line| line.name == *server) {
                line.weight = Some(to);
            }
        }
    }

    /// The backends that will not come however long they are waited for.
    pub(super) fn hopeless(&self) -> BTreeSet<BackendName> {
        let refused =
            self.left_out.iter().filter(|(backend, layout)| self.layouts.get(*backend) == Some(layout));
        let mut hopeless: BTreeSet<BackendName> = refused.map(|(backend, _)| backend.clone()).collect();
        hopeless.extend(self.conflicts.keys().cloned());
        if self.budget.told || self.retry.is_lasting() {
            hopeless.extend(self.layouts.keys().cloned());
        }
        hopeless
    }
}

/// What of the shape that is wanted a line does not say.
fn lacks(wanted: &ServerLine, there: &ServerView<'_>) -> Option<ServerShape> {
    let check = wanted.keywords.check.clone().filter(|_| !there.check);
    let cookie = wanted.keywords.cookie.clone().filter(|_| there.cookie.is_none());
    (check.is_some() || cookie.is_some()).then_some(ServerShape { check, cookie })
}
