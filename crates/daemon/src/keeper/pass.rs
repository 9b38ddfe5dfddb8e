//! One pass over a target: read, decide, write, and read again until it shows what is wanted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use jiff::Timestamp;
use roster_core::agenda::{Agenda, Item, Moment};
use roster_core::applied::{Applied, Phase, ProcessId};
use roster_core::haproxy::{Refusal, Version};
use roster_core::name::{BackendName, TargetName};
use roster_core::plan::{BackendPlan, Operation, ProbeResults};
use roster_targets::{Look, Reading, Target};

use super::takeover::Takeover;
use crate::clock;
use crate::events::{
    ChangeRefused, Changed, Converged, Event, NotConverged, ProcessReplaced, Reporter, StateTrouble,
};
use crate::store::{Store, StoreError};

/// How often a pass reads and writes before it leaves the rest for later.
const ROUNDS: usize = 8;
/// How many processes may take over from one another during one pass.
const TAKEOVERS: usize = 20;

/// Everything a pass works with.
pub(crate) struct Bench<'a, T> {
    pub name: &'a TargetName,
    pub target: &'a mut T,
    pub agenda: &'a Agenda,
    pub applied: &'a mut Applied,
    pub store: &'a Store,
    pub probes: &'a ProbeResults,
    pub reporter: &'a Reporter,
}

/// What a pass came to.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    /// The process that serves.
    pub process: Option<ProcessId>,
    /// Its version.
    pub version: Option<Version>,
    /// Each backend's last plan; without operations where it came to rest.
    pub plans: BTreeMap<BackendName, BackendPlan>,
    /// Backends that are wanted and not there.
    pub missing: BTreeSet<BackendName>,
    /// What was carried out.
    pub done: Vec<Operation>,
    /// What was refused, the last time it was.
    pub refused: Vec<(Operation, Refusal)>,
    /// Whether HAProxy shows what is wanted.
    pub settled: bool,
}

impl<T: Target> Bench<'_, T>
where
    T::Error: Takeover,
{
    /// Reads and decides, and writes nothing anywhere.
    pub(crate) async fn look(&mut self, backends: &BTreeSet<BackendName>) -> Result<Passed, T::Error> {
        let reading = self.read(backends).await?;
        Ok(self.decide(&reading, clock::now()))
    }

    /// Brings these backends to what is wanted, as far as that is possible now.
    pub(crate) async fn pass(&mut self, backends: &BTreeSet<BackendName>) -> Result<Passed, T::Error> {
        let started = Instant::now();
        let mut backends = backends.clone();
        let mut whole = Passed::default();
        for round in 0..ROUNDS {
            let reading = self.read(&backends).await?;
            if self.applied.process != Some(reading.process) {
                let all: BTreeSet<BackendName> = self.agenda.items.keys().cloned().collect();
                if self.applied.process.is_some() && all != backends {
                    backends = all;
                    continue;
                }
            }
            let decided = self.decide(&reading, clock::now());
            let operations: Vec<Operation> =
                decided.plans.values().flat_map(|plan| plan.operations.iter().cloned()).collect();
            let refused = std::mem::take(&mut whole.refused);
            whole = Passed { done: whole.done, settled: operations.is_empty(), ..decided };
            if whole.settled {
                self.tell(&whole, started, backends.len());
                // Confirming can wait: until then what was done counts as unfinished, and a look would find it done.
                self.record(&whole, reading.process);
                return Ok(whole);
            }
            self.record(&whole, reading.process);
            // What was refused once is not repeated for ever; it stays on the plan and is tried at a later look.
            let stuck = round > 0 && operations.iter().all(|op| refused.iter().any(|(was, _)| was == op));
            if stuck {
                whole.refused = refused;
                break;
            }
            // Commands of one batch may take effect side by side; who goes must wait until who comes is there.
            let (going, coming): (Vec<Operation>, Vec<Operation>) =
                operations.into_iter().partition(Operation::is_going);
            for stage in [coming, going] {
                self.write(&mut whole, reading.process, stage).await?;
            }
        }
        let left = whole.plans.values().map(|plan| plan.operations.len()).sum();
        NotConverged { target: self.name, left }.emit(self.reporter);
        Ok(whole)
    }

    async fn read(&mut self, backends: &BTreeSet<BackendName>) -> Result<Reading, T::Error> {
        let draining = self
            .applied
            .backends
            .iter()
            .filter(|(_, record)| record.servers.values().any(|server| server.phase == Phase::Draining));
        let look = Look {
            backends: backends.clone(),
            connections: draining
                .map(|(backend, _)| backend.clone())
                .filter(|b| backends.contains(b))
                .collect(),
        };
        let mut takeovers = 0;
        loop {
            match self.target.observe(&look).await {
                Err(error) if error.is_takeover() && takeovers < TAKEOVERS => takeovers += 1,
                other => return other,
            }
        }
    }

    fn decide(&self, reading: &Reading, now: Timestamp) -> Passed {
        let same_process = self.applied.process == Some(reading.process);
        let plans = reading.observed.backends.iter().filter_map(|(backend, seen)| {
            let moment = Moment {
                seen,
                applied: self.applied.backends.get(backend),
                same_process,
                probes: self.probes,
                now,
            };
            Some((backend.clone(), self.agenda.items.get(backend)?.plan(&moment)))
        });
        let plans: BTreeMap<BackendName, BackendPlan> = plans.collect();
        let settled = plans.values().all(|plan| plan.operations.is_empty());
        Passed {
            process: Some(reading.process),
            version: Some(reading.version),
            plans,
            missing: reading.observed.missing.clone(),
            done: Vec::new(),
            refused: Vec::new(),
            settled,
        }
    }

    /// Keeps what is about to be done, so that a crash leaves no doubt whose doing it was.
    fn record(&mut self, passed: &Passed, process: ProcessId) {
        if self.applied.process != Some(process) {
            if let Some(before) = self.applied.process.replace(process) {
                ProcessReplaced { target: self.name, before, after: process }.emit(self.reporter);
            }
            told(self.reporter, self.store.keep_process(self.name, Some(process)));
        }
        for (backend, plan) in &passed.plans {
            let farewell = self.agenda.items.get(backend).is_some_and(Item::is_farewell);
            if farewell && plan.operations.is_empty() && plan.applied.is_idle() {
                if self.applied.backends.remove(backend).is_some() {
                    told(self.reporter, self.store.drop_backend(self.name, backend));
                }
            } else if self.applied.backends.get(backend) != Some(&plan.applied) {
                told(self.reporter, self.store.keep_backend(self.name, backend, &plan.applied));
                self.applied.backends.insert(backend.clone(), plan.applied.clone());
            }
        }
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
        let receipt = match self.target.apply(process, &operations).await {
            Ok(receipt) => receipt,
            // Nothing is known of what was done; the next look shows it.
            Err(error) if error.is_takeover() => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut refusals: BTreeMap<usize, Refusal> =
            receipt.refused.into_iter().map(|refused| (refused.operation, refused.refusal)).collect();
        for (place, operation) in operations.into_iter().enumerate() {
            if let Some(refusal) = refusals.remove(&place) {
                ChangeRefused { target: self.name, operation: &operation, refusal: &refusal }
                    .emit(self.reporter);
                whole.refused.push((operation, refusal));
            } else {
                Changed { target: self.name, operation: &operation }.emit(self.reporter);
                whole.done.push(operation);
            }
        }
        Ok(())
    }

    fn tell(&self, whole: &Passed, started: Instant, backends: usize) {
        if !whole.done.is_empty() {
            let (operations, took) = (whole.done.len(), started.elapsed());
            Converged { target: self.name, operations, backends, took }.emit(self.reporter);
        }
    }
}

fn told(to: &Reporter, result: Result<(), StoreError>) {
    if let Err(error) = result {
        StateTrouble { error: &error }.emit(to);
    }
}
