//! How a target is doing, for whoever asks.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use roster_core::agenda::Agenda;
use roster_core::applied::ProcessId;
use roster_core::guard::Hold;
use roster_core::plan::{BackendPlan, Note, Operation, Standing};
use roster_core::refusals::Refused;
use roster_core::times::Times;
use roster_haproxy::name::{BackendName, InstanceId, ServerName, ServiceKey, TargetName};
use serde::{Deserialize, Serialize};

use super::Passed;
use super::probes::{Place, Unreached};
use crate::events::{BackendMissing, ChangesHeld, Event, HoldEnded, Noted, Reporter};
use crate::own::OwnStatus;

/// How a target is doing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct TargetStatus {
    /// The process that serves.
    pub process: Option<ProcessId>,
    /// HAProxy's version.
    pub version: Option<String>,
    /// Whether every source had spoken when it was last told what is wanted.
    pub heard: bool,
    /// Whether everything was brought to what is wanted at least once.
    pub synced: bool,
    /// Whether the last pass left something undone though it tried again and again.
    pub stuck: bool,
    /// When HAProxy was last seen to show what is wanted.
    pub settled_at: Option<Timestamp>,
    /// Why it cannot be read or written.
    pub trouble: Option<String>,
    /// Services that are left out, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    /// The HAProxy itself; only where Roster owns it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<OwnStatus>,
    /// Each backend.
    pub backends: BTreeMap<BackendName, BackendStatus>,
}

/// How a backend is doing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct BackendStatus {
    /// The service that is exposed there.
    pub service: ServiceKey,
    /// Whether HAProxy has no such backend.
    pub missing: bool,
    /// How many operations are left to do.
    pub pending: usize,
    /// Which ones.
    pub next: Vec<Next>,
    /// What HAProxy refused, by server; it is tried again.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refused: BTreeMap<ServerName, Refused>,
    /// What is held back.
    pub hold: Option<Hold>,
    /// Who is kept out because they come and go.
    pub flapping: Vec<InstanceId>,
    /// What an operator should know.
    pub notes: Vec<Note>,
    /// Where each server stands.
    pub servers: BTreeMap<ServerName, Standing>,
    /// Why the instances of servers that come up by probe were not reached.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unreached: BTreeMap<ServerName, Unreached>,
}

impl Times for TargetStatus {
    fn each_time(&mut self, with: &mut dyn FnMut(&mut Timestamp)) {
        let Self { settled_at, own, backends, .. } = self;
        settled_at.iter_mut().for_each(&mut *with);
        if let Some(own) = own {
            own.each_time(with);
        }
        for backend in backends.values_mut() {
            backend.each_time(with);
        }
    }
}

impl Times for BackendStatus {
    fn each_time(&mut self, with: &mut dyn FnMut(&mut Timestamp)) {
        let Self { hold, refused, notes, servers, unreached, .. } = self;
        if let Some(hold) = hold {
            hold.each_time(with);
        }
        for refused in refused.values_mut() {
            refused.each_time(with);
        }
        for note in notes {
            note.each_time(with);
        }
        for standing in servers.values_mut() {
            standing.each_time(with);
        }
        for unreached in unreached.values_mut() {
            unreached.each_time(with);
        }
    }
}

/// Something that is left to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Next {
    /// To which server.
    pub server: ServerName,
    /// What.
    pub change: String,
    /// Why.
    pub reason: String,
}

impl Next {
    fn of(operation: &Operation) -> Self {
        let Operation { server, change, why, .. } = operation;
        Self { server: server.clone(), change: change.to_string(), reason: why.to_string() }
    }
}

impl BackendStatus {
    /// The status that a plan tells of.
    pub(crate) fn of(plan: &BackendPlan) -> Self {
        Self {
            service: plan.applied.service().clone(),
            missing: false,
            pending: plan.operations.len(),
            next: plan.operations.iter().map(Next::of).collect(),
            refused: plan.refused.clone(),
            hold: plan.applied.guard.hold.clone(),
            flapping: plan.applied.guard.flapping.clone(),
            notes: plan.notes.clone(),
            servers: plan.standings.clone(),
            unreached: BTreeMap::new(),
        }
    }

    /// The status of a backend that is not there.
    pub(crate) fn missing(service: ServiceKey) -> Self {
        let servers = BTreeMap::new();
        Self {
            service,
            missing: true,
            pending: 0,
            next: Vec::new(),
            refused: BTreeMap::new(),
            hold: None,
            flapping: Vec::new(),
            notes: Vec::new(),
            servers,
            unreached: BTreeMap::new(),
        }
    }
}

impl TargetStatus {
    /// The status that a single look tells of.
    pub(crate) fn looked(agenda: &Agenda, passed: &Passed, now: Timestamp) -> Self {
        Self {
            process: passed.process,
            version: passed.version.map(|version| version.to_string()),
            heard: true,
            synced: passed.settled,
            stuck: false,
            settled_at: passed.settled.then_some(now),
            trouble: None,
            left_out: agenda.unexposed.iter().map(ToString::to_string).collect(),
            own: None,
            backends: shown(agenda, passed),
        }
    }

    /// Takes in what a look found that wrote nothing, and reports nothing of it.
    pub(super) fn show(&mut self, agenda: &Agenda, passed: &Passed, now: Timestamp) {
        self.process = passed.process;
        self.version = passed.version.map(|version| version.to_string());
        self.trouble = None;
        self.backends.extend(shown(agenda, passed));
        if passed.settled {
            self.settled_at = Some(now);
        }
    }

    /// Takes in what a pass came to, and tells what is new in it.
    pub(super) fn take(
        &mut self,
        target: &TargetName,
        agenda: &Agenda,
        passed: &Passed,
        now: Timestamp,
        owned: bool,
        to: &Reporter,
    ) {
        for (backend, status) in &shown(agenda, passed) {
            let before = self.backends.get(backend);
            if !status.missing {
                tell(target, backend, before, status, to);
            // Where Roster owns HAProxy it makes the backend itself.
            } else if !owned && before.is_none_or(|before| !before.missing) {
                BackendMissing { target, backend, service: &status.service }.emit(to);
            }
        }
        self.show(agenda, passed, now);
        self.stuck = !passed.settled;
        self.synced |= self.has_all(agenda, &BTreeSet::new()) && passed.settled;
    }

    /// The backends that are left alone are not waited for.
    pub(super) fn is_synced_without(&mut self, left_alone: &BTreeSet<BackendName>, agenda: &Agenda) {
        self.synced |= !self.stuck && self.has_all(agenda, left_alone);
    }

    fn has_all(&self, agenda: &Agenda, but: &BTreeSet<BackendName>) -> bool {
        let mut all = agenda.items.keys();
        all.all(|backend| self.backends.contains_key(backend) || but.contains(backend))
    }

    /// The instance of a server was not reached.
    pub(super) fn unreached(&mut self, (backend, server): &Place, unreached: &Unreached) {
        if let Some(status) = self.backends.get_mut(backend) {
            status.unreached.insert(server.clone(), unreached.clone());
        }
    }

    /// It answers, and nothing is wanted of it. Answers whether that is new.
    pub(super) fn seen(&mut self, process: ProcessId) -> bool {
        let new = self.process.replace(process) != Some(process) || self.trouble.is_some();
        self.trouble = None;
        new
    }

    /// Forgets backends that are no longer on the agenda. `heard` says whether every source has spoken by now: before
    /// that, an agenda on which nothing stands says nothing.
    pub(super) fn keep_only(&mut self, agenda: &Agenda, heard: bool, now: Timestamp) {
        if heard && !self.heard {
            (self.heard, self.synced) = (true, false);
        }
        self.backends.retain(|backend, _| agenda.items.contains_key(backend));
        self.left_out = agenda.unexposed.iter().map(ToString::to_string).collect();
        if agenda.items.is_empty() {
            // Nothing is wanted, so whatever HAProxy shows is right.
            self.synced = true;
            self.settled_at = Some(now);
        }
    }
}

/// How each backend is doing by a look or a pass.
fn shown(agenda: &Agenda, passed: &Passed) -> BTreeMap<BackendName, BackendStatus> {
    let planned = passed.plans.iter().map(|(backend, plan)| (backend.clone(), BackendStatus::of(plan)));
    let missing = passed.missing.iter().filter_map(|backend| {
        let service = agenda.items.get(backend)?.exposure.service.clone();
        Some((backend.clone(), BackendStatus::missing(service)))
    });
    planned.chain(missing).collect()
}

fn tell(
    target: &TargetName,
    backend: &BackendName,
    before: Option<&BackendStatus>,
    after: &BackendStatus,
    to: &Reporter,
) {
    for note in &after.notes {
        if before.is_none_or(|before| before.notes.iter().all(|before| note.is_news_after(before))) {
            Noted { target, backend, note }.emit(to);
        }
    }
    // That a source has not answered yet is told of the source.
    let told = |hold: &&Hold| !hold.guard.waits_for_source();
    let held = before.and_then(|before| before.hold.as_ref()).filter(told);
    match (held, after.hold.as_ref().filter(told)) {
        (Some(before), Some(hold)) if before.guard.judges_loss() && hold.guard.judges_loss() => {}
        (Some(before), Some(hold)) if before.guard == hold.guard => {}
        (_, Some(hold)) => ChangesHeld { target, backend, hold }.emit(to),
        (Some(_), None) => HoldEnded { target, backend }.emit(to),
        (None, None) => {}
    }
}
