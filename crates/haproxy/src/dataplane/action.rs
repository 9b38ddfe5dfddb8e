//! What the Data Plane API tells HAProxy itself beside a text: the header `X-Runtime-Actions`.

use std::fmt;

use crate::address::{Endpoint, Port};
use crate::name::{BackendName, ServerName};
use crate::observed::State;
use crate::weight::Weight;

/// The name of the header. The API heeds it only together with `skip_reload=true`.
pub const ACTIONS_HEADER: &str = "X-Runtime-Actions";

/// How long the header may be, in bytes; the API refuses a request with a longer one (431).
pub const MAX_ACTIONS: usize = 1_000_000;

/// One thing that the API tells HAProxy, over a connection of its own. The first one that fails ends the list, and the
/// text stays written.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Action {
    /// Point a server elsewhere. It keeps the health that the old address had.
    SetServerAddr {
        /// The backend.
        backend: BackendName,
        /// The server.
        server: ServerName,
        /// Where to.
        to: Endpoint,
    },
    /// Give it a weight.
    SetServerWeight {
        /// The backend.
        backend: BackendName,
        /// The server.
        server: ServerName,
        /// Which one.
        to: LiveWeight,
    },
    /// Tell it what to be.
    SetServerState {
        /// The backend.
        backend: BackendName,
        /// The server.
        server: ServerName,
        /// What.
        to: State,
    },
    /// Check it at another port.
    SetServerCheckPort {
        /// The backend.
        backend: BackendName,
        /// The server.
        server: ServerName,
        /// Which one.
        to: Port,
    },
}

/// A weight as it is sent.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum LiveWeight {
    /// A number.
    Is(Weight),
    /// `100%`: the weight that the process started with, which is this one. Every algorithm takes it.
    Full(Weight),
}

/// Several, as the header's value. They are carried out in their order.
#[derive(Clone, Copy, Debug)]
pub struct Actions<'a>(pub &'a [Action]);

impl Action {
    /// The backend and the server.
    pub fn server(&self) -> (&BackendName, &ServerName) {
        match self {
            Self::SetServerAddr { backend, server, .. }
            | Self::SetServerWeight { backend, server, .. }
            | Self::SetServerState { backend, server, .. }
            | Self::SetServerCheckPort { backend, server, .. } => (backend, server),
        }
    }
}

impl LiveWeight {
    /// The number that the server has then.
    pub fn number(self) -> Weight {
        match self {
            Self::Is(weight) | Self::Full(weight) => weight,
        }
    }
}

/// Exactly one blank between words and nothing else: a second one is an error, one at the beginning makes the API pass
/// the action over and say that all is well (measured on 2.9 and 3.2).
impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetServerAddr { backend, server, to } => {
                write!(f, "SetServerAddr {backend} {server} {} {}", to.ip, to.port)
            }
            Self::SetServerWeight { backend, server, to } => {
                write!(f, "SetServerWeight {backend} {server} {to}")
            }
            Self::SetServerState { backend, server, to } => {
                write!(f, "SetServerState {backend} {server} {to}")
            }
            Self::SetServerCheckPort { backend, server, to } => {
                write!(f, "SetServerCheckPort {backend} {server} {to}")
            }
        }
    }
}

impl fmt::Display for LiveWeight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(weight) => weight.fmt(f),
            Self::Full(_) => f.write_str("100%"),
        }
    }
}

impl fmt::Display for Actions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, action) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(";")?;
            }
            action.fmt(f)?;
        }
        Ok(())
    }
}
