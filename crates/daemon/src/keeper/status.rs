//! How a target is doing, for whoever asks.

use std::collections::BTreeMap;

use jiff::Timestamp;
use roster_core::agenda::Agenda;
use roster_core::applied::ProcessId;
use roster_core::guard::Hold;
use roster_core::name::{BackendName, InstanceId, ServerName, ServiceKey, TargetName};
use roster_core::plan::{BackendPlan, Note, Standing};
use serde::Serialize;

use super::Passed;
use crate::events::{BackendMissing, ChangesHeld, Event, HoldEnded, Noted};

/// How a target is doing.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct TargetStatus {
    /// The process that serves.
    pub process: Option<ProcessId>,
    /// HAProxy's version.
    pub version: Option<String>,
    /// Whether everything was brought to what is wanted at least once.
    pub synced: bool,
    /// Whether the last pass left something undone though it tried again and again.
    pub stuck: bool,
    /// When HAProxy was last seen to show what is wanted.
    pub settled_at: Option<Timestamp>,
    /// Why it cannot be read or written.
    pub trouble: Option<String>,
    /// Each backend.
    pub backends: BTreeMap<BackendName, BackendStatus>,
}

/// How a backend is doing.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct BackendStatus {
    /// The service that is exposed there.
    pub service: ServiceKey,
    /// Whether HAProxy has no such backend.
    pub missing: bool,
    /// What is left to do.
    pub pending: usize,
    /// What is held back.
    pub hold: Option<Hold>,
    /// Who is kept out because they come and go.
    pub flapping: Vec<InstanceId>,
    /// What an operator should know.
    pub notes: Vec<Note>,
    /// Where each server stands.
    pub servers: BTreeMap<ServerName, Standing>,
}

impl BackendStatus {
    /// The status that a plan tells of.
    pub(crate) fn of(plan: &BackendPlan) -> Self {
        Self {
            service: plan.applied.service.clone(),
            missing: false,
            pending: plan.operations.len(),
            hold: plan.applied.guard.hold.clone(),
            flapping: plan.flapping.clone(),
            notes: plan.notes.clone(),
            servers: plan.standings.clone(),
        }
    }

    /// The status of a backend that is not there.
    pub(crate) fn missing(service: ServiceKey) -> Self {
        let servers = BTreeMap::new();
        Self {
            service,
            missing: true,
            pending: 0,
            hold: None,
            flapping: Vec::new(),
            notes: Vec::new(),
            servers,
        }
    }
}

impl TargetStatus {
    /// Takes in what a pass came to, and tells what is new in it.
    pub(super) fn take(&mut self, target: &TargetName, agenda: &Agenda, passed: Passed, now: Timestamp) {
        self.process = passed.process;
        self.version = passed.version.map(|version| version.to_string());
        self.trouble = None;
        self.stuck = !passed.settled;
        for (backend, plan) in passed.plans {
            let status = BackendStatus::of(&plan);
            tell(target, &backend, self.backends.get(&backend), &status);
            self.backends.insert(backend, status);
        }
        for backend in passed.missing {
            let Some(item) = agenda.items.get(&backend) else { continue };
            let service = &item.exposure.service;
            if self.backends.get(&backend).is_none_or(|before| !before.missing) {
                BackendMissing { target, backend: &backend, service }.emit();
            }
            self.backends.insert(backend, BackendStatus::missing(service.clone()));
        }
        if passed.settled {
            self.settled_at = Some(now);
        }
        let all = agenda.items.keys().all(|backend| self.backends.contains_key(backend));
        self.synced = self.synced || (all && passed.settled);
    }

    /// Forgets backends that are no longer on the agenda.
    pub(super) fn keep_only(&mut self, agenda: &Agenda, now: Timestamp) {
        self.backends.retain(|backend, _| agenda.items.contains_key(backend));
        if agenda.items.is_empty() {
            // Nothing is wanted, so whatever HAProxy shows is right.
            self.synced = true;
            self.settled_at = Some(now);
        }
    }
}

fn tell(target: &TargetName, backend: &BackendName, before: Option<&BackendStatus>, after: &BackendStatus) {
    for note in &after.notes {
        if before.is_none_or(|before| !before.notes.contains(note)) {
            Noted { target, backend, note }.emit();
        }
    }
    let held = before.and_then(|before| before.hold.as_ref());
    match (held, &after.hold) {
        (None, Some(hold)) => ChangesHeld { target, backend, hold }.emit(),
        (Some(_), None) => HoldEnded { target, backend }.emit(),
        _ => {}
    }
}
