//! What is, at the moment of a scrape: made of the overview, and kept by nobody.

use std::sync::atomic::AtomicU64;

use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use roster_core::plan::Status;
use roster_haproxy::name::{BackendName, SourceName, TargetName};

use super::{OfSource, OfTarget, PREFIX, seconds};
use crate::keeper::{BackendStatus, TargetStatus};
use crate::overview::{Overview, SourceStatus};
use crate::telemetry;

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct OfSlots {
    target: String,
    backend: String,
    state: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct OfBackend {
    target: String,
    backend: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct OfHold {
    target: String,
    backend: String,
    guard: String,
}

#[derive(Debug, Default)]
struct Sources {
    up: Family<OfSource, Gauge>,
    last_success: Family<OfSource, Gauge<f64, AtomicU64>>,
    age: Family<OfSource, Gauge<f64, AtomicU64>>,
    instances: Family<OfSource, Gauge>,
    rejects: Family<OfSource, Gauge>,
}

#[derive(Debug, Default)]
struct Targets {
    up: Family<OfTarget, Gauge>,
    pending: Family<OfTarget, Gauge>,
    refused: Family<OfTarget, Gauge>,
    missing: Family<OfTarget, Gauge>,
    guards: Family<OfTarget, Gauge>,
    old_workers: Family<OfTarget, Gauge>,
    slots: Family<OfSlots, Gauge>,
    held: Family<OfHold, Gauge>,
    kept_out: Family<OfBackend, Gauge>,
}

/// Every state that a server can be in.
pub(super) const STATES: [&str; 13] = [
    "active",
    "down",
    "down_track",
    "down_agent",
    "rising",
    "leaving",
    "draining",
    "operator",
    "held",
    "spare",
    "foreign",
    "unhealthy",
    "absent",
];

/// A registry with what is now.
pub(super) fn registry(overview: &Overview, now: Timestamp) -> Registry {
    let mut registry = Registry::with_prefix(PREFIX);
    let (sources, targets) = (Sources::default(), Targets::default());
    for (name, source) in &overview.sources {
        sources.set(name, source, now);
    }
    for (name, target) in &overview.targets {
        targets.set(name, target);
    }
    let help = "Lines of the log that were dropped because their reader was too slow";
    registry.register("log_lines_dropped", help, ConstCounter::new(telemetry::dropped()));
    sources.register(&mut registry);
    targets.register(&mut registry);
    registry
}

impl Sources {
    fn set(&self, name: &SourceName, source: &SourceStatus, now: Timestamp) {
        let of = OfSource { source: name.to_string() };
        self.up.get_or_create(&of).set(source.up.into());
        self.instances.get_or_create(&of).set(whole(source.instances));
        self.rejects.get_or_create(&of).set(whole(source.rejects.len()));
        if let Some(answer) = source.answer {
            self.last_success.get_or_create(&of).set(seconds(answer));
            self.age.get_or_create(&of).set(now.duration_since(answer).as_secs_f64().max(0.0));
        }
    }

    fn register(self, to: &mut Registry) {
        to.register("source_up", "Whether the source's last answer was complete", self.up);
        let help = "When the answer was complete that is gone by, in seconds since 1970";
        to.register("source_last_success_timestamp_seconds", help, self.last_success);
        to.register("source_snapshot_age_seconds", "How old the answer is that is gone by", self.age);
        to.register("source_instances", "Instances in the answer that is gone by", self.instances);
        to.register("source_rejects", "What was left out of that answer because it is wrong", self.rejects);
    }
}

impl Targets {
    fn set(&self, name: &TargetName, target: &TargetStatus) {
        let of = OfTarget { target: name.to_string() };
        let up = target.process.is_some() && target.trouble.is_none();
        let backends = || target.backends.values();
        let pending = backends().map(|backend| backend.pending).sum();
        let refused = backends().map(|backend| backend.refused.len()).sum();
        let missing = backends().filter(|backend| backend.missing).count();
        let holds = |backend: &&BackendStatus| {
            backend.hold.as_ref().is_some_and(|hold| !hold.guard.waits_for_source())
        };
        let guards = backends().filter(holds).count();
        self.up.get_or_create(&of).set(up.into());
        self.pending.get_or_create(&of).set(whole(pending));
        self.refused.get_or_create(&of).set(whole(refused));
        self.missing.get_or_create(&of).set(whole(missing));
        self.guards.get_or_create(&of).set(whole(guards));
        if let Some(count) = target.own.as_ref().and_then(|own| own.old_workers) {
            self.old_workers.get_or_create(&of).set(whole(count));
        }
        for (backend, status) in &target.backends {
            self.set_backend(name, backend, status);
        }
    }

    fn set_backend(&self, target: &TargetName, backend: &BackendName, status: &BackendStatus) {
        let (target, backend) = (target.to_string(), backend.to_string());
        for state in STATES {
            let count = status.servers.values().filter(|standing| word(&standing.status) == state).count();
            let of = OfSlots { target: target.clone(), backend: backend.clone(), state };
            self.slots.get_or_create(&of).set(whole(count));
        }
        if !status.flapping.is_empty() {
            let of = OfBackend { target: target.clone(), backend: backend.clone() };
            self.kept_out.get_or_create(&of).set(whole(status.flapping.len()));
        }
        if let Some(hold) = status.hold.as_ref().filter(|hold| !hold.guard.waits_for_source()) {
            let of = OfHold { target, backend, guard: hold.guard.to_string() };
            self.held.get_or_create(&of).set(whole(hold.leaving));
        }
    }

    fn register(self, to: &mut Registry) {
        to.register("target_up", "Whether HAProxy could be read and written when last tried", self.up);
        to.register("pending_operations", "Operations that the last pass left to be done", self.pending);
        let help = "Servers to which HAProxy refuses a change that is tried again";
        to.register("servers_refused", help, self.refused);
        to.register(
            "backends_missing",
            "Backends that services want and HAProxy does not have",
            self.missing,
        );
        to.register("guard_active", "Backends in which a guard holds changes back", self.guards);
        let help = "HAProxy's workers that were replaced and finish their connections";
        to.register("haproxy_old_workers", help, self.old_workers);
        to.register("slots", "Servers, by where they stand", self.slots);
        to.register("held", "Servers that a guard keeps from leaving", self.held);
        let help = "Instances that are kept out because they come and go too often";
        to.register("instances_kept_out", help, self.kept_out);
    }
}

/// The one word for where a server stands.
fn word(status: &Status) -> &'static str {
    match status {
        Status::Active => "active",
        Status::Down => "down",
        Status::Inherited => "down_track",
        Status::Agent => "down_agent",
        Status::Rising(_) => "rising",
        Status::Leaving => "leaving",
        Status::Draining { .. } => "draining",
        Status::Unhealthy => "unhealthy",
        Status::Operator(_) => "operator",
        Status::Held => "held",
        Status::Spare => "spare",
        Status::Foreign => "foreign",
        Status::Absent => "absent",
    }
}

fn whole(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
