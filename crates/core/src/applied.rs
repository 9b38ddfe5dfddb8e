//! What Roster last wrote to a target, and what it is in the middle of.
//!
//! The record is written *before* a plan is carried out (`confirmed: false`) and marked as confirmed once the
//! read-back agrees. So after a crash nothing that Roster did itself is taken for an operator's doing, and what an
//! operator did is never taken for unfinished work.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::address::Endpoint;
use crate::exposure::{BringUp, Role};
use crate::guard::GuardRecord;
use crate::name::{BackendName, InstanceId, ServerName, ServiceKey};
use crate::observed::State;
use crate::weight::Weight;

/// The record of one target.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Applied {
    /// The process that was last written to.
    pub process: Option<ProcessId>,
    /// Each backend that Roster has servers in.
    pub backends: BTreeMap<BackendName, AppliedBackend>,
}

/// One HAProxy worker process. A pid alone may come back; with the second it started in, it does not.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
pub struct ProcessId {
    /// `Pid` of `show info`.
    pub pid: u32,
    /// When it started, in seconds since 1970, give or take [`ProcessId::SLACK`].
    pub started: i64,
}

/// The record of one backend.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct AppliedBackend {
    /// The service that is exposed there.
    pub service: ServiceKey,
    /// As what.
    pub role: Role,
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
    /// Whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceId>,
    /// Where it was pointed; none once it is parked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
    /// The weight it was given; none is that of its line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<Weight>,
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

impl ProcessId {
    /// How far two readings of one process's start may lie apart, in seconds: it is counted from an uptime in whole
    /// seconds and two clocks.
    pub const SLACK: i64 = 3;

    /// Whether two readings are of one process.
    pub fn is(&self, other: &ProcessId) -> bool {
        self.pid == other.pid && (self.started - other.started).abs() <= Self::SLACK
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
