//! What a keeper makes of a pass: when to look again, what to report, and what it shows.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use roster_core::agenda::Item;
use roster_haproxy::name::BackendName;
use roster_targets::Target;

use super::{Keeper, Owner, Passed, Takeover};
use crate::clock;
use crate::events::{Event, TargetBack, TargetLost, VersionSeen};

impl<T: Target> Keeper<T>
where
    T::Error: Takeover,
{
    /// Counts how long what the sources said took to be shown.
    fn converged(&mut self, passed: &Passed, now: Timestamp) {
        for operation in &passed.done {
            self.awaiting.worked(&operation.backend);
        }
        for (backend, _) in passed.plans.iter().filter(|(_, plan)| plan.operations.is_empty()) {
            if let Some(took) = self.awaiting.settled(backend, now) {
                self.reporter.metrics().converged(&self.name, took);
            }
        }
    }

    /// What came of the parts of a pass that were over before it failed.
    pub(super) fn passed_in_part(&mut self, mut passed: Passed) {
        let now = clock::now();
        self.converged(&passed, now);
        let at_rest = passed.plans.iter().filter(|(_, plan)| plan.operations.is_empty());
        let wakes = at_rest.map(|(backend, plan)| (backend.clone(), plan.wake)).collect();
        self.schedule.looked(&wakes, now);
        let orders = passed.plans.values_mut().flat_map(|plan| std::mem::take(&mut plan.probes)).collect();
        self.probes.set(|backend| wakes.contains_key(backend), orders);
        self.show(&passed, now, false);
    }

    pub(super) fn passed(&mut self, mut passed: Passed) {
        self.ran(&mut passed);
        if self.is_lost() {
            TargetBack { target: &self.name }.emit(&self.reporter);
        }
        if let Some(version) = passed.version.filter(|version| self.greeted != Some(*version)) {
            VersionSeen { target: &self.name, version }.emit(&self.reporter);
            self.greeted = Some(version);
        }
        let now = clock::now();
        self.converged(&passed, now);
        let mut wakes: BTreeMap<BackendName, _> =
            passed.plans.iter().map(|(backend, plan)| (backend.clone(), plan.wake)).collect();
        wakes.extend(passed.missing.iter().map(|backend| (backend.clone(), None)));
        let left_alone = self.own.as_ref().map(Owner::left_alone).unwrap_or_default();
        wakes.extend(left_alone.iter().map(|backend| (backend.clone(), None)));
        let orders = passed.plans.values_mut().flat_map(|plan| std::mem::take(&mut plan.probes)).collect();
        self.probes.set(|backend| wakes.contains_key(backend), orders);
        if passed.is_at_rest() {
            self.schedule.passed(&wakes, now);
        } else {
            // It was tried often enough for now; what is left is tried again after a pause.
            self.schedule.add(wakes.keys());
            self.schedule.failed(now);
        }
        let owned = self.own.is_some();
        if !owned {
            passed.missing.retain(|backend| !self.forget_with_backend(backend));
        }
        self.show(&passed, now, true);
        // What was done may change what is to be done: a backend that no rule wants is forgotten once its servers are parked,
        // and another service may have it then.
        self.is_outdated |= self.agenda.items.values().any(|item| item.is_overtaken(&self.applied));
    }

    /// Forgets what is recorded of a backend that HAProxy does not have, where no rule wants it either: its servers went with
    /// it. Answers whether that is so.
    fn forget_with_backend(&mut self, backend: &BackendName) -> bool {
        if !self.agenda.items.get(backend).is_some_and(Item::ends_with_backend) {
            return false;
        }
        self.applied.backends.remove(backend);
        if let Err(error) = self.store.drop_backend(&self.name, backend) {
            crate::wiring::told(&error, &self.reporter);
        }
        true
    }

    /// Shows what a pass came to, the whole of it or the part that was over before it failed.
    fn show(&self, passed: &Passed, now: Timestamp, is_whole: bool) {
        let left_alone = self.own.as_ref().map(Owner::left_alone).unwrap_or_default();
        let owned = self.own.is_some();
        self.status.send_modify(|status| {
            let trouble = status.trouble.take().filter(|_| !is_whole);
            status.take(&self.name, &self.agenda, passed, now, owned, &self.reporter);
            status.trouble = trouble;
            status.is_synced_without(&left_alone, &self.agenda);
            for (place, unreached) in self.probes.unreached() {
                status.unreached(place, unreached);
            }
        });
    }

    /// It could not be read or written; these backends are left to be looked at.
    pub(super) fn lost(&mut self, error: &T::Error, left: &BTreeSet<BackendName>) {
        let text = crate::events::chain(error);
        let repeated = self.status.borrow().trouble.as_ref() == Some(&text);
        self.schedule.add(left);
        let again = self.schedule.failed(clock::now());
        TargetLost { target: &self.name, error, again, repeated }.emit(&self.reporter);
        self.status.send_modify(|status| status.trouble = Some(text));
    }
}
