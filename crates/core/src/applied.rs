//! What Roster last wrote to a target, and what it is in the middle of.
//!
//! The record is written *before* a plan is carried out (`confirmed: false`) and marked as confirmed once the
//! read-back agrees. So after a crash nothing that Roster did itself is taken for an operator's doing, and what an
//! operator did is never taken for unfinished work.

mod stored;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use roster_haproxy::address::Endpoint;
use roster_haproxy::cli::ProcessInfo;
use roster_haproxy::name::{BackendName, InstanceId, ServerName, ServiceKey};
use roster_haproxy::observed::State;
use roster_haproxy::weight::Weight;
use serde::{Deserialize, Serialize};

use self::stored::Stored;
use crate::departure::Departure;
use crate::exposure::{BringUp, Exposure, Role};
use crate::guard::{GuardRecord, Released};
use crate::instance::Health;

/// The record of one target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Applied {
    /// The process that was last seen to serve.
    pub process: Option<ProcessId>,
    /// Each backend that Roster has servers in.
    pub backends: BTreeMap<BackendName, AppliedBackend>,
    /// The records that are there and cannot be read.
    #[serde(skip)]
    pub unread: UnreadRecords,
}

/// Records that are there and cannot be read. Without one nothing tells which service has the backend.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum UnreadRecords {
    /// There are none.
    #[default]
    None,
    /// Those of these backends.
    Of(BTreeSet<BackendName>),
    /// All of them.
    All,
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
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Stored")]
pub struct AppliedBackend {
    /// The process that this was written to. Each record has its own, so that a crash between two of them leaves none
    /// that is believed of the wrong process.
    pub process: Option<ProcessId>,
    /// What was last exposed there, and how. With this the backend goes on as it was when its rule or its service is gone.
    pub exposure: Arc<Exposure>,
    /// Each server that Roster ever wrote to.
    pub servers: BTreeMap<ServerName, AppliedServer>,
    /// What guards hold back, and since when.
    pub guard: GuardRecord,
}

/// The record of one server.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct AppliedServer {
    /// Where it is in its life.
    pub phase: Phase,
    /// Since when.
    pub since: Timestamp,
    /// The instance that it serves, or served last.
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
    /// The weight that the instance should have once its slow start is over; none is that of its line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full_weight: Option<Weight>,
    /// What the source last said of the instance's health.
    #[serde(default, skip_serializing_if = "Health::is_unknown")]
    pub health: Health,
    /// Why its last instance left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<Departure>,
    /// What an operator did to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<OperatorHold>,
    /// Whether Roster added it to the process that it is in; only such a server is deleted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub made: bool,
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

impl UnreadRecords {
    /// Whether the backend has one.
    pub fn has(&self, backend: &BackendName) -> bool {
        match self {
            Self::None => false,
            Self::Of(backends) => backends.contains(backend),
            Self::All => true,
        }
    }

    /// Adds that of a backend.
    pub fn add(&mut self, backend: BackendName) {
        match self {
            Self::None => *self = Self::Of([backend].into()),
            Self::Of(backends) => {
                backends.insert(backend);
            }
            Self::All => {}
        }
    }
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
    pub fn new(exposure: Arc<Exposure>) -> Self {
        Self { process: None, exposure, servers: BTreeMap::new(), guard: GuardRecord::default() }
    }

    /// The record of the backend of this name, whatever is stored of its name.
    #[must_use]
    pub fn of(self, backend: &BackendName) -> Self {
        if self.exposure.backend == *backend {
            return self;
        }
        let exposure = Exposure { backend: backend.clone(), ..Arc::unwrap_or_clone(self.exposure) };
        Self { exposure: Arc::new(exposure), ..self }
    }

    /// The service that is exposed there.
    pub fn service(&self) -> &ServiceKey {
        &self.exposure.service
    }

    /// As what.
    pub fn role(&self) -> Role {
        self.exposure.role
    }

    /// Lets what a guard holds back go through at the next pass. Answers what that is, if it is anything.
    pub fn release(&mut self) -> Option<Released> {
        let released = self.guard.release();
        // Those that were let go before, and wait for others to serve in their place.
        for record in self.servers.values_mut().filter(|record| record.phase == Phase::Serving) {
            record.left = record.left.take().map(|_| Departure::Released);
        }
        released
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

impl AppliedServer {
    /// A server in this phase since then, and nothing more to say of it.
    pub fn new(phase: Phase, since: Timestamp) -> Self {
        Self {
            phase,
            since,
            instance: None,
            endpoint: None,
            weight: None,
            own_weight: None,
            full_weight: None,
            health: Health::Unknown,
            left: None,
            operator: None,
            made: false,
            confirmed: false,
        }
    }

    /// Whether an instance is behind it that its source still reports, or that a guard keeps.
    pub fn is_held(&self) -> bool {
        self.phase.is_held() || self.is_unwell()
    }

    /// Whether the instance behind it takes no traffic for its health alone.
    pub fn is_unwell(&self) -> bool {
        let drains_for_health = self.phase == Phase::Draining && self.left.is_none();
        self.phase == Phase::Resting || (drains_for_health && self.health == Health::Failing)
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
