//! The weights that nobody shows.
//!
//! The API does not tell the weights of running servers, so the file stands for them. There are two kinds of servers for
//! which it does not: those of a `server-template`, which have no line, and those of a write that failed half-way, after
//! the file was written. The first are remembered, the second told their file's weight once more.

use std::collections::{BTreeMap, BTreeSet};

use roster_core::applied::ProcessId;
use roster_core::plan::{Change, Operation};
use roster_haproxy::cli::ServerPath;
use roster_haproxy::dataplane::{Action, FileView, LiveWeight, LiveWrite, Process};
use roster_haproxy::version::Version;
use roster_haproxy::weight::Weight;

/// What the file does not say of the weights of one process.
#[derive(Debug, Default)]
pub(super) struct Weights {
    process: Option<ProcessId>,
    told: BTreeMap<ServerPath, Weight>,
    doubted: BTreeSet<ServerPath>,
}

fn path(operation: &Operation) -> ServerPath {
    ServerPath { backend: operation.backend.clone(), server: operation.server.clone() }
}

impl Weights {
    /// Another process starts with what the file says.
    pub(super) fn of(&mut self, process: ProcessId) -> &mut Self {
        if self.process != Some(process) {
            *self = Self { process: Some(process), ..Self::default() };
        }
        self
    }

    /// What was given to a server that has no line.
    pub(super) fn told(&self) -> BTreeMap<ServerPath, Weight> {
        self.told.clone()
    }

    /// What HAProxy counts with, where nothing else is known.
    pub(super) fn learn(&mut self, server: ServerPath, weight: Weight) {
        self.told.entry(server).or_insert(weight);
    }

    /// Nobody knows which of these were carried out.
    pub(super) fn doubt(&mut self, operations: &[Operation]) {
        let weighs = |change: &Change| matches!(change, Change::Weight(_) | Change::InitialWeight);
        self.doubted.extend(operations.iter().filter(|operation| weighs(&operation.change)).map(path));
    }

    /// These were carried out. A server that has a line needs no memory.
    pub(super) fn done<'o>(&mut self, file: &FileView<'_>, operations: impl Iterator<Item = &'o Operation>) {
        for operation in operations {
            let (backend, server) = (operation.backend.as_str(), operation.server.as_str());
            let has_line = file.backend(backend).is_none_or(|backend| backend.server(server).is_some());
            match operation.change {
                _ if has_line => {}
                Change::Weight(to) => _ = self.told.insert(path(operation), to),
                Change::InitialWeight => {
                    let template = file.backend(backend).and_then(|backend| backend.template(server));
                    let to = template.map_or(Weight::ONE, |template| template.start_weight);
                    self.told.insert(path(operation), to);
                }
                _ => {}
            }
        }
    }

    /// The write that ends all doubts: the file as it is, and the weights that it says.
    pub(super) fn confirmation(&self, text: &str, version: Version) -> Option<LiveWrite> {
        if self.doubted.is_empty() {
            return None;
        }
        let file = FileView::read(text);
        let action = |path: &ServerPath| {
            let backend = file.backend(path.backend.as_str())?;
            let to = LiveWeight::Is(backend.server(path.server.as_str())?.start_weight());
            let is_taken = backend.algorithm.is_dynamic();
            let ServerPath { backend, server } = path.clone();
            is_taken.then_some(Action::SetServerWeight { backend, server, to })
        };
        let actions: Vec<Action> = self.doubted.iter().filter_map(action).collect();
        let write = LiveWrite::new(text, &[], actions, &Process::new(), version).ok()?;
        (!write.is_empty()).then_some(write)
    }

    /// The process has the weights that its file says.
    pub(super) fn confirmed(&mut self) {
        self.doubted.clear();
    }
}
