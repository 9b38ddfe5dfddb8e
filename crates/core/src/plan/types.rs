//! Where each server stands, and what a plan asks of its reader.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use roster_haproxy::address::Endpoint;
use roster_haproxy::name::{BackendName, InstanceId, ServerName};
use serde::{Deserialize, Serialize};

use crate::applied::OperatorHold;
use crate::departure::Departure;
use crate::exposure::{BringUp, Probe};

/// Where a server stands; what `roster explain` and `roster status` tell.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// In one word.
    pub status: Status,
    /// Its instance.
    pub instance: Option<InstanceId>,
    /// Where it points, or will.
    pub endpoint: Option<Endpoint>,
    /// Since when, where that is known.
    pub since: Option<Timestamp>,
    /// Why its last instance left, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<Departure>,
}

/// An instance that took the place of another one at its address, and went on taking its traffic.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Replacement {
    /// Its server.
    pub server: ServerName,
    /// Where it listens.
    pub endpoint: Endpoint,
    /// Which instance it is.
    pub instance: InstanceId,
    /// The one that it replaces.
    pub before: InstanceId,
}

/// See [`Standing::status`].
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It takes traffic.
    Active,
    /// It is ready, but HAProxy's check says that it is down.
    Down,
    /// It is ready, but the server that it tracks (`track`) is not.
    Inherited,
    /// Its agent (`agent-check`) keeps it out.
    Agent,
    /// It is being brought up.
    Rising(BringUp),
    /// It is to be taken out, and still takes traffic.
    Leaving,
    /// Its instance is gone or unwell and its connections are ending.
    Draining {
        /// How many are left, where that was read.
        connections: Option<u32>,
        /// When waiting ends.
        until: Timestamp,
    },
    /// Its instance is unwell by the source's word.
    Unhealthy,
    /// An operator has put it there.
    Operator(OperatorHold),
    /// A guard keeps its instance, which the source no longer reports.
    Held,
    /// Free.
    Spare,
    /// Not Roster's.
    Foreign,
    /// Roster's, but not there.
    Absent,
}

impl Status {
    /// Whether the server is on its way: it comes up, waits for its replacement or drains.
    pub fn is_moving(&self) -> bool {
        matches!(self, Status::Rising(_) | Status::Leaving | Status::Draining { .. })
    }
}

/// A server that Roster itself must reach before it is ready.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProbeOrder {
    /// The backend.
    pub backend: BackendName,
    /// The server.
    pub server: ServerName,
    /// Where to ask.
    pub endpoint: Endpoint,
    /// How.
    pub probe: Probe,
}

/// Which servers were reached, at which address.
pub type ProbeResults = BTreeMap<(BackendName, ServerName), Endpoint>;

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Status::Active => f.write_str("active"),
            Status::Down => f.write_str("down"),
            Status::Inherited => f.write_str("down (track)"),
            Status::Agent => f.write_str("down (agent)"),
            Status::Rising(how) => write!(f, "rising ({how})"),
            Status::Leaving => f.write_str("leaving"),
            Status::Draining { .. } => f.write_str("draining"),
            Status::Unhealthy => f.write_str("unhealthy"),
            Status::Operator(OperatorHold { state: Some(state), .. }) => write!(f, "operator ({state})"),
            Status::Operator(_) => f.write_str("operator (weight)"),
            Status::Held => f.write_str("held"),
            Status::Spare => f.write_str("spare"),
            Status::Foreign => f.write_str("foreign"),
            Status::Absent => f.write_str("absent"),
        }
    }
}

/// How often a draining server is looked at.
pub(super) const DRAIN_POLL: Duration = Duration::from_millis(250);
/// How often a server is looked at whose check must pass.
pub(super) const CHECK_POLL: Duration = Duration::from_millis(15);
