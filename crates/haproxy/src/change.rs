//! What can be done to a server while HAProxy runs.

use std::fmt;

use serde::Serialize;

use crate::address::Endpoint;
use crate::keywords::ServerKeywords;
use crate::name::{BackendName, ServerName};
use crate::observed::State;
use crate::weight::Weight;

/// What can be done to a server while HAProxy runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Add it; it starts in maintenance with its check off (management manual, `add server`).
    Add {
        /// Where it points.
        endpoint: Endpoint,
        /// The rest of its line, its number among it.
        keywords: Box<ServerKeywords>,
    },
    /// Point it elsewhere.
    Address(Endpoint),
    /// Give it this weight.
    Weight(Weight),
    /// Give it the weight of its line again; every algorithm allows that.
    InitialWeight,
    /// Tell it to be ready, drain or in maintenance.
    State(State),
    /// Switch its check on.
    EnableCheck,
    /// Forget what its check said, so that a pass seen later is a fresh one.
    HealthDown,
    /// Take its first fresh pass for enough.
    HealthUp,
    /// Remove it.
    Delete,
}

/// A change of one server, whatever else is known of the change.
pub trait ServerOperation {
    /// The server's backend.
    fn backend(&self) -> &BackendName;
    /// The server.
    fn server(&self) -> &ServerName;
    /// The change.
    fn change(&self) -> &Change;
}

impl Change {
    /// One word for it, for logs and metrics.
    pub fn word(&self) -> &'static str {
        match self {
            Change::Add { .. } => "add",
            Change::Address(_) => "address",
            Change::Weight(_) | Change::InitialWeight => "weight",
            Change::State(State::Ready) => "ready",
            Change::State(State::Drain) => "drain",
            Change::State(State::Maint) => "maint",
            Change::EnableCheck => "enable-check",
            Change::HealthDown => "health-down",
            Change::HealthUp => "health-up",
            Change::Delete => "delete",
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::Add { endpoint, keywords } => write!(f, "add {endpoint}{keywords}"),
            Change::Address(endpoint) => write!(f, "address {endpoint}"),
            Change::Weight(weight) => write!(f, "weight {weight}"),
            Change::InitialWeight => f.write_str("the weight of its line"),
            Change::State(state) => write!(f, "state {state}"),
            Change::EnableCheck => f.write_str("switch its check on"),
            Change::HealthDown => f.write_str("wait for a fresh check"),
            Change::HealthUp => f.write_str("take its check for passed"),
            Change::Delete => f.write_str("delete"),
        }
    }
}
