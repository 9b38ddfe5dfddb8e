//! Why a target behind a Data Plane API could not be read or written.

use std::time::Duration;

use roster_haproxy::name::BackendName;
use thiserror::Error;

use super::client::{ClientError, Why};

/// Why such a target could not be read or written.
#[derive(Debug, Error)]
pub enum DataplaneError {
    /// The API.
    #[error(transparent)]
    Api(#[from] ClientError),
    /// It shows no servers where its file has some.
    #[error(
        "{at}: the API shows no running server of backend {backend}, though its file has {count}; check that HAProxy runs \
         and, for HAProxy 2.6, that the API's configuration sets no `master_runtime`: through that it cannot read"
    )]
    Blind {
        /// Which API.
        at: String,
        /// The first backend that is not shown.
        backend: BackendName,
        /// How many servers it has in the file at least.
        count: usize,
    },
    /// No other process serves after a reload.
    #[error(
        "{at}: the API says that HAProxy was reloaded, but {after:?} later no other process serves; check the API's \
         `reload_cmd` and look at HAProxy's log"
    )]
    SameProcess {
        /// Which API.
        at: String,
        /// How long was waited.
        after: Duration,
    },
    /// Another process serves than the one that was read.
    #[error("{at}: HAProxy was restarted or reloaded meanwhile; it is read anew")]
    OtherProcess {
        /// Which API.
        at: String,
    },
}

impl DataplaneError {
    /// Whether another process took over, or somebody else wrote, so that reading and planning again is all it needs.
    pub fn is_takeover(&self) -> bool {
        match self {
            Self::OtherProcess { .. } => true,
            Self::Api(ClientError { why, .. }) => {
                matches!(why, Why::StaleVersion { .. } | Why::TransactionDead { .. } | Why::Unsettled { .. })
            }
            Self::Blind { .. } | Self::SameProcess { .. } => false,
        }
    }

    /// Whether nobody answers there.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Api(ClientError { why: Why::Unreachable { .. }, .. }))
    }
}
