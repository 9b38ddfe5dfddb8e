//! What Roster last wrote to a target, and what it is in the middle of.
//!
//! The record is written *before* a plan is carried out (`confirmed: false`) and marked as confirmed once the
//! read-back agrees. So after a crash nothing that Roster did itself is taken for an operator's doing, and what an
//! operator did is never taken for unfinished work.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::address::Endpoint;
use crate::exposure::{BringUp, Claim, Drain, Exposure, Guards, Names, Own, Policy, Role, Selector};
use crate::guard::{GuardRecord, Hold};
use crate::haproxy::ProcessInfo;
use crate::name::{BackendName, InstanceId, ServerName, ServiceKey};
use crate::observed::State;
use crate::slots::SlotScheme;
use crate::weight::Weight;

/// The record of one target.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Applied {
    /// The process that was last seen to serve.
    pub process: Option<ProcessId>,
    /// Each backend that Roster has servers in.
    pub backends: BTreeMap<BackendName, AppliedBackend>,
}

/// One HAProxy worker process. The start tells two apart that have the same number, as in two containers that came
/// one after the other; it is in whole seconds, by HAProxy's own clock, and does not change while the process lives.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
pub struct ProcessId {
    /// `Pid` of `show info`.
    pub pid: u32,
    /// `Start_time_sec` of `show info`.
    pub started: Option<Timestamp>,
}

/// The record of one backend.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct AppliedBackend {
    /// The process that this was written to. Each record has its own, so that a crash between two of them leaves none
    /// that is believed of the wrong process.
    #[serde(default)]
    pub process: Option<ProcessId>,
    /// The service that is exposed there.
    pub service: ServiceKey,
    /// As what.
    pub role: Role,
    /// What its servers are called; with this, a service that is gone can be taken out without its rule.
    pub names: Names,
    /// Where its free slots point.
    pub parking: Endpoint,
    /// How long its connections may take to end, in milliseconds.
    pub drain_cap_ms: u64,
    /// Each server that Roster ever wrote to.
    pub servers: BTreeMap<ServerName, AppliedServer>,
    /// What guards hold back, and since when.
    #[serde(default)]
    pub guard: GuardRecord,
}

/// The record of one server.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct AppliedServer {
    /// Where it is in its life.
    pub phase: Phase,
    /// Since when.
    pub since: Timestamp,
    /// Whose it is, or was last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceId>,
    /// Where it was pointed; none once it is parked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
    /// The weight it was given; none is that of its line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<Weight>,
    /// The weight of its line before Roster gave it another one, as long as it has that. A file that says what runs does not
    /// tell it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_weight: Option<Weight>,
    /// What an operator did to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<OperatorHold>,
    /// Whether the read-back has agreed since it was written.
    pub confirmed: bool,
}

/// Where a server is in its life.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Free: in maintenance.
    Parked,
    /// Pointed at its instance, not yet ready.
    Rising(BringUp),
    /// Ready.
    Serving,
    /// Its instance is gone or unwell; its connections are ending.
    Draining,
    /// Its instance is unwell: in maintenance, with its address.
    Resting,
}

/// What an operator did to a server that Roster keeps. It stays until the operator takes it back, or says
/// `roster adopt`, or the instance is gone.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct OperatorHold {
    /// The state it was put in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// The weight it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<Weight>,
    /// When Roster first saw it.
    pub since: Timestamp,
}

impl From<&ProcessInfo> for ProcessId {
    fn from(info: &ProcessInfo) -> Self {
        Self { pid: info.pid, started: info.started }
    }
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.started {
            Some(started) => write!(f, "process {} of {started}", self.pid),
            None => write!(f, "process {}", self.pid),
        }
    }
}

impl Phase {
    /// What Roster has told the server to be.
    pub fn state(self) -> State {
        match self {
            Phase::Parked | Phase::Resting | Phase::Rising(BringUp::Probe) => State::Maint,
            Phase::Rising(BringUp::Check) | Phase::Draining => State::Drain,
            Phase::Rising(BringUp::Registry) | Phase::Serving => State::Ready,
        }
    }

    /// Whether an instance is behind it that is meant to be there.
    pub fn is_held(self) -> bool {
        matches!(self, Phase::Rising(_) | Phase::Serving | Phase::Resting)
    }
}

impl fmt::Display for OperatorHold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.state, self.weight) {
            (Some(state), _) => write!(f, "state {state}"),
            (None, Some(weight)) => write!(f, "weight {weight}"),
            (None, None) => f.write_str("a change"),
        }
    }
}

impl AppliedBackend {
    /// A record for an exposure to which nothing was written yet.
    pub fn new(exposure: &Exposure) -> Self {
        let cap = exposure.policy.drain.cap.as_millis();
        Self {
            process: None,
            service: exposure.service.clone(),
            role: exposure.role,
            names: exposure.names.clone(),
            parking: exposure.slots.parking,
            drain_cap_ms: u64::try_from(cap).unwrap_or(u64::MAX),
            servers: BTreeMap::new(),
            guard: GuardRecord::default(),
        }
    }

    /// The exposure as far as it is needed to take its servers out once its service is gone.
    pub fn farewell(&self, backend: &BackendName) -> Exposure {
        let scheme = SlotScheme { parking: self.parking, ..SlotScheme::default() };
        let drain = Drain { cap: Duration::from_millis(self.drain_cap_ms) };
        Exposure {
            service: self.service.clone(),
            backend: backend.clone(),
            own: Own::Servers,
            claim: Claim::default(),
            role: self.role,
            names: self.names.clone(),
            slots: scheme,
            select: Selector::default(),
            policy: Policy { drain, guard: Guards::OFF, ..Policy::default() },
            layout: None,
            routes: Vec::new(),
        }
    }

    /// Lets what a guard holds back go through at the next pass. Answers what was held, if anything was.
    pub fn release(&mut self) -> Option<Hold> {
        let hold = self.guard.hold.clone()?;
        self.guard.released = true;
        Some(hold)
    }

    /// Takes a server back from an operator: what HAProxy shows of it counts as unfinished work of Roster's own, and
    /// the next pass puts it right. Answers what the operator had done, if Roster has seen anything.
    pub fn adopt(&mut self, server: &ServerName) -> Option<OperatorHold> {
        let record = self.servers.get_mut(server)?;
        let hold = record.operator.take()?;
        record.confirmed = false;
        Some(hold)
    }

    /// Whether no instance is behind any of its servers, nor any connection to one.
    pub fn is_idle(&self) -> bool {
        self.servers.values().all(|server| server.phase == Phase::Parked && server.confirmed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_number_at_another_time_is_another_process() {
        let at = |second| ProcessId { pid: 8, started: Timestamp::from_second(second).ok() };
        assert_eq!(at(1_000), at(1_000));
        assert_ne!(at(1_000), at(1_001));
        assert_eq!(at(0).to_string(), "process 8 of 1970-01-01T00:00:00Z");
    }
}
