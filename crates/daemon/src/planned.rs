//! A plan as JSON, for `roster plan --json` and `/api/v1/plan`; the shape is part of the interface.

use roster_core::agenda::Agenda;
use roster_core::expose::Unexposed;
use roster_core::name::{BackendName, SourceName, TargetName};
use roster_core::plan::{Note, Operation};
use serde::Serialize;

use crate::keeper::Passed;
use crate::own::Preview;

/// What would be done, everywhere.
#[derive(Debug, Serialize)]
pub(crate) struct Planned {
    changes: usize,
    targets: Vec<PlannedTarget>,
    sources_lost: Vec<Lost>,
}

/// What would be done to one target.
#[derive(Debug, Serialize)]
pub(crate) struct PlannedTarget {
    target: TargetName,
    operations: Vec<PlannedOperation>,
    /// Why HAProxy would be started or reloaded, once for all of these; only where Roster owns it.
    reloads: Vec<String>,
    /// Backends that HAProxy would be given while it runs; only where Roster owns it.
    backends_added: Vec<BackendName>,
    backends_missing: Vec<BackendName>,
    held: Vec<Held>,
    notes: Vec<String>,
    /// Why nothing can be said of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Debug, Serialize)]
struct PlannedOperation {
    backend: String,
    server: String,
    op: &'static str,
    change: String,
    reason: String,
    lines: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Held {
    backend: BackendName,
    guard: String,
    what: String,
}

#[derive(Debug, Serialize)]
struct Lost {
    source: SourceName,
    error: String,
}

impl Planned {
    /// A plan for these targets, made while these sources did not answer.
    pub(crate) fn new(targets: Vec<PlannedTarget>, lost: impl Iterator<Item = (SourceName, String)>) -> Self {
        let changes = targets.iter().map(|target| target.operations.len()).sum();
        Self { changes, targets, sources_lost: lost.map(|(source, error)| Lost { source, error }).collect() }
    }
}

impl PlannedTarget {
    /// What a look at the target came to. `lines` says what would be sent for an operation.
    pub(crate) fn new(
        target: &TargetName,
        agenda: &Agenda,
        passed: &Passed,
        own: &Preview,
        lines: impl Fn(&Operation) -> Vec<String>,
    ) -> Self {
        let held = passed.plans.iter().filter_map(|(backend, plan)| {
            let hold = plan.applied.guard.hold.as_ref()?;
            Some(Held { backend: backend.clone(), guard: hold.guard.to_string(), what: hold.to_string() })
        });
        let operation = |operation: &Operation| PlannedOperation {
            backend: operation.backend.to_string(),
            server: operation.server.to_string(),
            op: operation.change.word(),
            change: operation.change.to_string(),
            reason: operation.why.to_string(),
            lines: lines(operation),
        };
        Self {
            target: target.clone(),
            operations: operations(passed).map(operation).collect(),
            reloads: own.reloads.clone(),
            backends_added: own.added.clone(),
            backends_missing: passed.missing.iter().cloned().collect(),
            held: held.collect(),
            notes: notes(agenda, passed, own),
            error: None,
        }
    }

    /// A target of which nothing can be said.
    pub(crate) fn failed(target: &TargetName, error: String) -> Self {
        Self {
            target: target.clone(),
            operations: Vec::new(),
            reloads: Vec::new(),
            backends_added: Vec::new(),
            backends_missing: Vec::new(),
            held: Vec::new(),
            notes: Vec::new(),
            error: Some(error),
        }
    }
}

/// The operations of a look, backend by backend.
pub(crate) fn operations(passed: &Passed) -> impl Iterator<Item = &Operation> {
    passed.plans.values().flat_map(|plan| &plan.operations)
}

/// What an operator should know of a target besides the operations.
pub(crate) fn notes(agenda: &Agenda, passed: &Passed, own: &Preview) -> Vec<String> {
    let noted = passed
        .plans
        .iter()
        .flat_map(|(backend, plan)| plan.notes.iter().map(move |note: &Note| format!("{backend}: {note}")));
    let unexposed = agenda.unexposed.iter().map(Unexposed::to_string);
    noted.chain(unexposed).chain(own.left_out.iter().cloned()).collect()
}
