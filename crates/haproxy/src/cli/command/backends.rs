//! Commands about whole backends (management manual 9.3; HAProxy 3.4 and later). Measured on 3.4.0: they need no
//! `experimental-mode on`, though its manual says so.

use std::fmt;

use crate::name::BackendName;
use crate::render::{Mode, ProfileName};

/// A command about a whole backend.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum BackendCommand {
    /// `add backend … from … mode …`: without servers, and unpublished. No proxy and no `defaults` may have its name.
    Add {
        /// Its name.
        backend: BackendName,
        /// The `defaults` section that all of its settings come from.
        from: ProfileName,
        /// What it understands; the section's own mode, or its settings may not fit.
        mode: Mode,
    },
    /// `publish backend …`: requests are sent there from now on. No harm if they are already.
    Publish(BackendName),
    /// `unpublish backend …`: rules that lead there are passed over from now on; checks go on.
    Unpublish(BackendName),
    /// `del backend …`: only unpublished, without servers and streams, without a stick-table, and where nothing in the
    /// file names it.
    Del(BackendName),
}

impl BackendCommand {
    /// What HAProxy says when it has done it.
    pub(in crate::cli) fn success(&self) -> &'static str {
        match self {
            Self::Add { .. } => "New backend registered.",
            Self::Publish(_) => "Backend published.",
            Self::Unpublish(_) => "Backend unpublished.",
            Self::Del(_) => "Backend deleted.",
        }
    }
}

impl fmt::Display for BackendCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Add { backend, from, mode } => write!(f, "add backend {backend} from {from} mode {mode}"),
            Self::Publish(backend) => write!(f, "publish backend {backend}"),
            Self::Unpublish(backend) => write!(f, "unpublish backend {backend}"),
            Self::Del(backend) => write!(f, "del backend {backend}"),
        }
    }
}
