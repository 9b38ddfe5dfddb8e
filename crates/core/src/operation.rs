//! One change of one server, and the reason for it.

use std::fmt;

use roster_haproxy::address::Endpoint;
use roster_haproxy::change::{Change, ServerOperation};
use roster_haproxy::name::{BackendName, InstanceId, ServerName};
use roster_haproxy::observed::State;
use roster_haproxy::weight::Weight;
use serde::Serialize;

use crate::departure::Departure;

/// One thing to do to one server.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Operation {
    /// The backend.
    pub backend: BackendName,
    /// The server.
    pub server: ServerName,
    /// What to do.
    pub change: Change,
    /// Why.
    pub why: Reason,
}

/// Why an operation is there.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The source reports an instance that had no server.
    Appeared(InstanceId),
    /// The instance has another address than before.
    Moved {
        /// Which.
        instance: InstanceId,
        /// The address it had.
        from: Endpoint,
    },
    /// Another instance is at the address of the one that had the server.
    Replaced {
        /// Which.
        instance: InstanceId,
        /// The one that it replaces.
        before: InstanceId,
    },
    /// The instance is back before its connections had ended, or healthy again.
    Returned(InstanceId),
    /// The instance is to lose its server.
    Left {
        /// Which, where that is known.
        instance: Option<InstanceId>,
        /// Where it was.
        endpoint: Endpoint,
        /// Why.
        why: Departure,
    },
    /// The source says that the instance is unhealthy.
    Unhealthy(InstanceId),
    /// The last connection has ended.
    ConnectionsEnded,
    /// The longest wait for connections is over.
    DrainCap {
        /// How many are left.
        connections: Option<u32>,
    },
    /// No instance is there, so it must take no traffic.
    Spare,
    /// More slots are wanted ahead of need.
    Growth,
    /// An operator asks that there be no more slots than are wanted.
    Compacted {
        /// How many are.
        wanted: usize,
    },
    /// Roster reached the instance itself.
    ProbePassed,
    /// HAProxy's check passed.
    CheckPassed,
    /// It is the backend's only server, so waiting would help nobody.
    FirstServer,
    /// The source, a zone or the configuration gives another weight.
    WeightWanted {
        /// What it has.
        from: Weight,
    },
    /// The weight rises after bring-up.
    SlowStart {
        /// What it has.
        from: Weight,
    },
    /// HAProxy was restarted or reloaded and shows something else than what was written.
    Restarted,
    /// Another client of HAProxy changed the server.
    Drifted,
    /// What was begun before was not finished.
    Unfinished,
}

impl ServerOperation for Operation {
    fn backend(&self) -> &BackendName {
        &self.backend
    }

    fn server(&self) -> &ServerName {
        &self.server
    }

    fn change(&self) -> &Change {
        &self.change
    }
}

impl Operation {
    /// Whether it is part of taking a server out.
    pub fn is_going(&self) -> bool {
        match self.why {
            // It is taken out before it is brought in.
            Reason::Replaced { .. } => !matches!(self.change, Change::State(State::Ready)),
            Reason::Left { .. }
            | Reason::Unhealthy(_)
            | Reason::ConnectionsEnded
            | Reason::DrainCap { .. }
            | Reason::Compacted { .. }
            | Reason::Spare => true,
            Reason::Appeared(_)
            | Reason::Moved { .. }
            | Reason::Returned(_)
            | Reason::Growth
            | Reason::ProbePassed
            | Reason::CheckPassed
            | Reason::FirstServer
            | Reason::WeightWanted { .. }
            | Reason::SlowStart { .. }
            | Reason::Restarted
            | Reason::Drifted
            | Reason::Unfinished => false,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Appeared(id) => write!(f, "{id} appeared"),
            Reason::Moved { instance, from } => write!(f, "{instance} moved from {from}"),
            Reason::Returned(id) => write!(f, "{id} is back"),
            Reason::Replaced { instance, before } => {
                write!(f, "{instance} is at the address of {before} now")
            }
            Reason::Left { instance: Some(id), endpoint, why } if id.as_str() != endpoint.to_string() => {
                write!(f, "{id} at {endpoint} {why}")
            }
            Reason::Left { endpoint, why, .. } => write!(f, "{endpoint} {why}"),
            Reason::Unhealthy(id) => write!(f, "{id} is unhealthy by its source"),
            Reason::ConnectionsEnded => f.write_str("its connections have ended"),
            Reason::DrainCap { connections: Some(n) } => {
                write!(f, "the drain cap is over, {n} connections are left")
            }
            Reason::DrainCap { connections: None } => f.write_str("the drain cap is over"),
            Reason::Spare => f.write_str("no instance is there"),
            Reason::Growth => f.write_str("slots ahead of need"),
            Reason::Compacted { wanted } => write!(f, "no more than {wanted} slots are wanted"),
            Reason::ProbePassed => f.write_str("it was reached"),
            Reason::CheckPassed => f.write_str("its check passed"),
            Reason::FirstServer => f.write_str("the backend has no other server"),
            Reason::WeightWanted { from } => write!(f, "wanted instead of {from}"),
            Reason::SlowStart { from } => write!(f, "slow start, from {from}"),
            Reason::Restarted => f.write_str("HAProxy was restarted or reloaded"),
            Reason::Drifted => f.write_str("it was changed by somebody else"),
            Reason::Unfinished => f.write_str("what was begun was not finished"),
        }
    }
}
