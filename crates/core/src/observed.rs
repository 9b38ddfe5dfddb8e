//! What a target was read to hold.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::address::{Endpoint, Port};
pub use crate::haproxy::AdminCommand as State;
use crate::haproxy::{AdminState, OpState, Version};
use crate::name::{BackendName, ServerName};
use crate::weight::{ServerId, Weight};

/// What one HAProxy process was read to hold.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Observed {
    /// The backends that were asked for and are there.
    pub backends: BTreeMap<BackendName, ObservedBackend>,
    /// Those that were asked for and are not.
    pub missing: BTreeSet<BackendName>,
}

/// One backend.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ObservedBackend {
    /// What can be done to it live.
    pub limits: BackendLimits,
    /// Its servers.
    pub servers: BTreeMap<ServerName, ObservedServer>,
}

/// What can be done to a backend while HAProxy runs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BackendLimits {
    /// The process's version.
    pub version: Version,
    /// The balance algorithm, as `show stat` spells it.
    pub algorithm: Option<String>,
    /// Whether its algorithm is dynamic: only then does HAProxy take new servers and weights other than 0 and 100 %
    /// (configuration manual, `balance`).
    pub dynamic: bool,
    /// Whether servers can be added without a reload: its algorithm must be dynamic, and the way to HAProxy must have a
    /// word for it.
    pub grows: bool,
    /// The weight of a line to which Roster gives none, where the lines are Roster's own. What such a line says besides was
    /// written by Roster and is taken back. None where the weight of a line is somebody else's word.
    pub line_weight: Option<Weight>,
}

/// One server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ObservedServer {
    /// Its number in the backend.
    pub id: ServerId,
    /// Its address; none where HAProxy prints `-`.
    pub ip: Option<IpAddr>,
    /// Its port; 0 where it has none.
    pub port: u16,
    /// What its checks make of it.
    pub op: OpState,
    /// What it was told to be.
    pub admin: AdminState,
    /// The weight it has.
    pub weight: Weight,
    /// The weight its line gives it.
    pub initial_weight: Weight,
    /// Its health check.
    pub check: ObservedCheck,
    /// Whether it is a backup server.
    pub backup: bool,
    /// How many connections are in use on it, where that was read.
    pub connections: Option<u32>,
}

/// A server's health check.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ObservedCheck {
    /// Whether its line has `check`.
    pub configured: bool,
    /// Whether it is switched on.
    pub enabled: bool,
    /// How many passes it counts: 0 after a failure, or after `set server … health down`.
    pub health: u32,
}

impl Default for BackendLimits {
    fn default() -> Self {
        Self {
            version: Version::new(2, 6, 0),
            algorithm: None,
            dynamic: true,
            grows: true,
            line_weight: None,
        }
    }
}

impl ObservedServer {
    /// Where it points, if that is an address and a port.
    pub fn endpoint(&self) -> Option<Endpoint> {
        Some(Endpoint { ip: self.ip?, port: Port::new(self.port)? })
    }

    /// What it was told to be.
    pub fn state(&self) -> State {
        if self.admin.is_maint() {
            State::Maint
        } else if self.admin.is_drain() {
            State::Drain
        } else {
            State::Ready
        }
    }

    /// Whether its checks, if it has any, find it up.
    pub fn is_up(&self) -> bool {
        matches!(self.op, OpState::Running | OpState::Starting)
    }

    /// Whether it takes new traffic.
    pub fn serves(&self) -> bool {
        self.state() == State::Ready && self.is_up()
    }
}
