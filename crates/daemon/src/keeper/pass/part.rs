//! One part of a pass: some backends, from the first look to the last.

mod by_reload;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use roster_core::agenda::{Agenda, Moment};
use roster_core::applied::{AppliedBackend, Phase, ProcessId};
use roster_core::layout::Lines;
use roster_core::plan::{BackendPlan, Compaction, Operation, ProbeResults};
use roster_core::refusals::Refusals;
use roster_haproxy::cli::Refusal;
use roster_haproxy::name::{BackendName, TargetName};
use roster_haproxy::observed::ObservedBackend;
use roster_targets::{Look, Reading, Target};

use super::efforts::{Efforts, Outcome};
use super::{Passed, Refused};
use crate::clock;
use crate::events::{
    BackendTakenOver, ChangeRefused, Changed, ChangedMany, Event, InstanceReplaced, ProcessReplaced,
    Reporter, StateTrouble,
};
use crate::keeper::MANY;
use crate::keeper::lines::OwnLines;
use crate::keeper::memory::Memory;
use crate::keeper::takeover::Takeover;
use crate::store::{Store, StoreError};

/// How often a part reads and writes before it leaves the rest for later.
const ROUNDS: usize = 8;
/// How many processes may take over from one another during one look.
const TAKEOVERS: usize = 20;

/// The record of each backend.
pub(super) type Records = BTreeMap<BackendName, AppliedBackend>;

/// What all parts of a pass share.
pub(super) struct Scene<'a, T> {
    pub name: &'a TargetName,
    pub target: &'a T,
    pub agenda: &'a Agenda,
    pub store: &'a Store,
    pub probes: &'a ProbeResults,
    pub reporter: &'a Reporter,
    /// HAProxy's own memory, where there is no folder for the records.
    pub memory: Option<&'a Memory>,
    /// Whether Roster writes HAProxy's file.
    pub owned: bool,
    /// Whose the lines of the servers are in that file.
    pub own_lines: &'a OwnLines,
    /// The process that was last seen to serve.
    pub known: Option<ProcessId>,
    /// Whether one part has told that another process serves now.
    pub announced: AtomicBool,
}

/// What is kept of some backends from one pass to the next.
pub(super) struct Books {
    pub records: Records,
    pub refusals: Refused,
}

impl Books {
    /// Takes out what is kept of these backends.
    pub(super) fn take(&mut self, backends: &BTreeSet<BackendName>) -> Self {
        Self {
            records: backends.iter().filter_map(|backend| self.records.remove_entry(backend)).collect(),
            refusals: backends.iter().filter_map(|backend| self.refusals.remove_entry(backend)).collect(),
        }
    }

    /// Takes it in again.
    pub(super) fn put_back(&mut self, of: Self) {
        self.records.extend(of.records);
        self.refusals.extend(of.refusals);
    }
}

/// Some of the backends, with what is kept of them.
pub(super) struct Part<'s, T> {
    scene: &'s Scene<'s, T>,
    backends: BTreeSet<BackendName>,
    records: Records,
    refusals: Refused,
    efforts: Efforts,
}

impl<T: Target> Scene<'_, T> {
    /// Tells, once, that another process serves than before.
    fn announce(&self, process: ProcessId) {
        if self.known == Some(process) || self.announced.swap(true, Ordering::Relaxed) {
            return;
        }
        if let Some(before) = self.known {
            ProcessReplaced { target: self.name, before, after: process }.emit(self.reporter);
        }
        self.told(self.store.keep_process(self.name, Some(process)));
    }

    /// Keeps what is about to be done, so that a crash leaves no doubt whose doing it was.
    pub(super) fn record(&self, records: &mut Records, plans: &BTreeMap<BackendName, BackendPlan>) {
        for (backend, plan) in plans {
            let ends = self.agenda.items.get(backend).is_some_and(|item| !item.is_wanted());
            if ends && plan.operations.is_empty() && plan.applied.is_idle() {
                if records.remove(backend).is_some() {
                    self.told(self.store.drop_backend(self.name, backend));
                }
            } else if records.get(backend) != Some(&plan.applied) {
                self.report_newcomers(backend, records.get(backend), plan);
                self.told(self.store.keep_backend(self.name, backend, &plan.applied));
                records.insert(backend.clone(), plan.applied.clone());
            }
        }
    }

    /// Has HAProxy itself keep the records of these backends, where there is no folder for them.
    pub(super) async fn remember(
        &self,
        process: ProcessId,
        records: &Records,
        backends: impl Iterator<Item = &BackendName>,
    ) -> Result<(), T::Error>
    where
        T::Error: Takeover,
    {
        match self.memory {
            Some(memory) => {
                memory.remember((self.name, self.target), process, records, backends, self.reporter).await
            }
            None => Ok(()),
        }
    }

    /// Reports what no operation shows: another service, or another instance at the same address.
    fn report_newcomers(&self, backend: &BackendName, before: Option<&AppliedBackend>, plan: &BackendPlan) {
        let target = self.name;
        let after = plan.applied.service();
        if let Some(before) = before.map(AppliedBackend::service).filter(|before| *before != after) {
            BackendTakenOver { target, backend, before, after }.emit(self.reporter);
        }
        for replacement in &plan.replaced {
            InstanceReplaced { target, backend, replacement }.emit(self.reporter);
        }
    }

    fn told(&self, result: Result<(), StoreError>) {
        if let Err(error) = result {
            StateTrouble { error: &error }.emit(self.reporter);
        }
    }
}

impl<'s, T: Target> Part<'s, T>
where
    T::Error: Takeover,
{
    /// A part to which nothing was done yet.
    pub(super) fn new(scene: &'s Scene<'s, T>, backends: BTreeSet<BackendName>, books: Books) -> Self {
        let Books { records, refusals } = books;
        Self { scene, backends, records, refusals, efforts: Efforts::default() }
    }

    /// What is kept, as it stands.
    fn into_books(mut self) -> Books {
        self.refusals.retain(|_, refusals| !refusals.is_empty());
        Books { records: self.records, refusals: self.refusals }
    }

    /// Brings its backends to what is wanted, as far as that is possible now. What is kept comes back in any case; where
    /// everything came to rest, what was done last is not confirmed in the records yet.
    pub(super) async fn pass(mut self) -> (Books, Result<Passed, T::Error>) {
        let result = self.rounds().await;
        (self.into_books(), result)
    }

    async fn rounds(&mut self) -> Result<Passed, T::Error> {
        let mut whole = Passed::default();
        for _ in 0..ROUNDS {
            let reading = self.read().await?;
            self.scene.announce(reading.process);
            self.recall(&reading).await?;
            self.enter(reading.process);
            let mut decided = self.decide(&reading, clock::now());
            if self.judge(&decided, clock::now()) {
                decided = self.decide(&reading, clock::now());
            }
            whole = Passed { done: whole.done, ..decided };
            if whole.is_at_rest() {
                break;
            }
            let count = whole.plans.values().map(|plan| plan.operations.len()).sum();
            let mut operations: Vec<Operation> = Vec::with_capacity(count);
            whole.plans.values().for_each(|plan| operations.extend_from_slice(&plan.operations));
            self.scene.record(&mut self.records, &whole.plans);
            self.scene.remember(reading.process, &self.records, whole.plans.keys()).await?;
            // Commands of one batch may take effect side by side; who goes must wait until who comes is there.
            let (going, mut coming): (Vec<Operation>, Vec<Operation>) =
                operations.into_iter().partition(Operation::is_going);
            let stages = if self.scene.target.is_one_write() {
                coming.extend(going);
                vec![coming]
            } else {
                vec![coming, going]
            };
            for stage in stages {
                self.write(&mut whole, reading.process, stage).await?;
            }
        }
        Ok(whole)
    }

    /// What another process refused says nothing of this one.
    fn enter(&mut self, process: ProcessId) {
        for backend in &self.backends {
            self.refusals.entry(backend.clone()).or_default().enter(process);
        }
    }

    /// Takes in what HAProxy shows of what it took: a change that is planned over and over counts as refused. Answers whether
    /// there is one.
    fn judge(&mut self, decided: &Passed, now: Timestamp) -> bool {
        let Outcome { shown, futile } = self.efforts.judge(&decided.plans);
        for operation in &shown {
            if let Some(refusals) = self.refusals.get_mut(&operation.backend) {
                refusals.shown(operation);
            }
        }
        for operation in &futile {
            self.refuse(operation, &Refusal::NoEffect, now);
        }
        !futile.is_empty()
    }

    /// Keeps a refusal in mind, and reports the first of its kind.
    fn refuse(&mut self, operation: &Operation, refusal: &Refusal, now: Timestamp) {
        let refusals = self.refusals.entry(operation.backend.clone()).or_default();
        if refusals.refuse(operation, refusal, now) {
            ChangeRefused { target: self.scene.name, operation, refusal }.emit(self.scene.reporter);
        }
    }

    /// Takes in what HAProxy itself keeps of backends without a record.
    pub(super) async fn recall(&mut self, reading: &Reading) -> Result<(), T::Error> {
        match self.scene.memory {
            Some(memory) => {
                memory.recall(self.scene.target, self.scene.agenda, reading, &mut self.records).await
            }
            None => Ok(()),
        }
    }

    pub(super) async fn read(&self) -> Result<Reading, T::Error> {
        let drains = |record: &AppliedBackend| record.servers.values().any(|s| s.phase == Phase::Draining);
        let draining = self
            .records
            .iter()
            .filter(|(backend, record)| self.backends.contains(*backend) && drains(record));
        self.look(draining.map(|(backend, _)| backend.clone()).collect()).await
    }

    /// The same with the connections of every server.
    pub(super) async fn read_with_connections(&self) -> Result<Reading, T::Error> {
        self.look(self.backends.clone()).await
    }

    async fn look(&self, connections: BTreeSet<BackendName>) -> Result<Reading, T::Error> {
        let look = Look { backends: self.backends.clone(), connections };
        let mut takeovers = 0;
        loop {
            match self.scene.target.observe(&look).await {
                Err(error) if error.is_takeover() && takeovers < TAKEOVERS => takeovers += 1,
                other => return other.map(|reading| self.limited(reading)),
            }
        }
    }

    /// Adds to what was read what the rules and the file say of the backends. Where only bare servers can be added live,
    /// backends whose servers have more grow by a reload.
    fn limited(&self, mut reading: Reading) -> Reading {
        let bare = self.scene.target.adds_only_bare();
        for (backend, seen) in &mut reading.observed.backends {
            let policy = self.scene.agenda.items.get(backend).map(|item| &item.exposure.policy);
            seen.limits.at_once = self.scene.target.is_one_write();
            seen.limits.line_weight = policy.and_then(|policy| self.scene.own_lines.weight(backend, policy));
            seen.limits.grows &=
                !bare || policy.is_some_and(|policy| policy.server.check.is_none() && !policy.cookie);
        }
        reading
    }

    pub(super) fn decide(&self, reading: &Reading, now: Timestamp) -> Passed {
        let plans = reading.observed.backends.iter().filter_map(|(backend, seen)| {
            let mut plan =
                self.scene.agenda.items.get(backend)?.plan(&self.moment(backend, seen, reading, now));
            plan.applied.process = Some(reading.process);
            Some((backend.clone(), plan))
        });
        let mut plans: BTreeMap<BackendName, BackendPlan> = plans.collect();
        let settled = plans.values().all(|plan| plan.operations.is_empty() && plan.refused.is_empty());
        let (lines, lacking) =
            if self.scene.owned { self.lines(reading, &plans, now) } else { <(Lines, Lines)>::default() };
        let weights = self.by_reload(&mut plans, &lacking);
        Passed {
            process: Some(reading.process),
            version: Some(reading.version),
            plans,
            missing: reading.observed.missing.clone(),
            lines,
            lacking,
            weights,
            spare: BTreeMap::new(),
            done: Vec::new(),
            settled,
        }
    }

    fn moment<'a>(
        &'a self,
        backend: &BackendName,
        seen: &'a ObservedBackend,
        reading: &Reading,
        now: Timestamp,
    ) -> Moment<'a> {
        let applied = self.records.get(backend);
        let refusals = self.refusals.get(backend).unwrap_or(Refusals::none());
        let written_to = applied.map_or(self.scene.known, |applied| applied.process);
        let same_process = written_to == Some(reading.process);
        Moment { seen, applied, same_process, probes: self.scene.probes, refusals, now }
    }

    /// What of each backend's slots could go.
    pub(super) fn compact(
        &self,
        reading: &Reading,
        plans: &BTreeMap<BackendName, BackendPlan>,
        now: Timestamp,
    ) -> BTreeMap<BackendName, Compaction> {
        let spare = plans.iter().filter_map(|(backend, plan)| {
            let (item, seen) =
                (self.scene.agenda.items.get(backend)?, reading.observed.backends.get(backend)?);
            Some((backend.clone(), item.compact(&self.moment(backend, seen, reading, now), plan)))
        });
        spare.collect()
    }

    async fn write(
        &mut self,
        whole: &mut Passed,
        process: ProcessId,
        operations: Vec<Operation>,
    ) -> Result<(), T::Error> {
        if operations.is_empty() {
            return Ok(());
        }
        let scene = self.scene;
        let Scene { name, reporter, .. } = scene;
        let receipt = match self.scene.target.apply(process, &operations).await {
            Ok(receipt) => receipt,
            // Nothing is known of what was done; the next look shows it.
            Err(error) if error.is_takeover() => return Ok(()),
            Err(error) => return Err(error),
        };
        let (left, now) = (receipt.left, clock::now());
        let mut refusals: BTreeMap<usize, Refusal> =
            receipt.refused.into_iter().map(|refused| (refused.operation, refused.refusal)).collect();
        let of_many = operations.len() > MANY;
        let (first, mut kinds) = (whole.done.len(), BTreeMap::new());
        // Thousands at a time: each kind is counted once.
        let mut counts: BTreeMap<_, u64> = BTreeMap::new();
        let tried = operations.into_iter().enumerate().filter(|(place, _)| !left.contains(place));
        for (place, operation) in tried {
            let result = if refusals.contains_key(&place) { "refused" } else { "done" };
            *counts.entry((operation.change.word(), result)).or_default() += 1;
            if let Some(refusal) = refusals.remove(&place) {
                self.refuse(&operation, &refusal, now);
            } else {
                Changed { target: name, operation: &operation, of_many }.emit(reporter);
                *kinds.entry(operation.change.word()).or_default() += 1;
                self.efforts.took(&operation);
                whole.done.push(operation);
            }
        }
        for ((op, result), count) in counts {
            reporter.metrics().commands(name, op, result, count);
        }
        if of_many && !kinds.is_empty() {
            let backends: BTreeSet<_> = whole.done.iter().skip(first).map(|done| &done.backend).collect();
            ChangedMany { target: name, kinds: &kinds, backends: backends.len() }.emit(reporter);
        }
        Ok(())
    }
}
