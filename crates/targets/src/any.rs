//! Whichever way a target is reached.

use std::collections::{BTreeMap, BTreeSet};

use roster_core::applied::ProcessId;
use roster_core::plan::Operation;
use roster_haproxy::cli::{Refusal, ServerPath};
use roster_haproxy::name::BackendName;
use roster_haproxy::version::Version;
use thiserror::Error;

use crate::dataplane::{DataplaneError, DataplaneTarget};
use crate::runtime::{RuntimeError, RuntimeTarget, Watching};
use crate::{Look, Reading, Receipt, Target};

/// A target, reached in one way or another.
#[derive(Debug)]
pub enum AnyTarget {
    /// By its stats socket.
    Runtime(RuntimeTarget),
    /// By its Data Plane API alone.
    Dataplane(DataplaneTarget),
}

/// Why it could not be read or written.
#[derive(Debug, Error)]
pub enum AnyError {
    /// By its stats socket.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// By its Data Plane API.
    #[error(transparent)]
    Dataplane(#[from] DataplaneError),
}

impl AnyTarget {
    /// Asks HAProxy whether Roster may do there what it has to, and which version that is. None where only an API is reached.
    pub async fn examine(&self) -> Result<Option<Version>, AnyError> {
        match self {
            Self::Runtime(target) => Ok(Some(target.examine().await?)),
            Self::Dataplane(_) => Ok(None),
        }
    }

    /// Gives a sign whenever another process may serve than before, until what is returned is dropped. Nothing is
    /// returned where only asking says so.
    pub fn watch(&self, sign: tokio::sync::mpsc::Sender<()>) -> Option<Watching> {
        match self {
            Self::Runtime(target) => Some(target.watch(sign)),
            Self::Dataplane(_) => None,
        }
    }
}

impl AnyError {
    /// Whether another process took over, or somebody else wrote, so that reading and planning again is all it needs.
    pub fn is_takeover(&self) -> bool {
        match self {
            Self::Runtime(error) => error.is_takeover(),
            Self::Dataplane(error) => error.is_takeover(),
        }
    }

    /// Whether other connections may have kept HAProxy's socket from answering.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Runtime(error) if error.is_busy())
    }

    /// Whether nobody answers there.
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Runtime(error) => error.is_unreachable(),
            Self::Dataplane(error) => error.is_unreachable(),
        }
    }
}

impl Target for AnyTarget {
    type Error = AnyError;

    async fn observe(&self, look: &Look) -> Result<Reading, AnyError> {
        Ok(match self {
            Self::Runtime(target) => target.observe(look).await?,
            Self::Dataplane(target) => target.observe(look).await?,
        })
    }

    async fn identify(&self) -> Result<ProcessId, AnyError> {
        Ok(match self {
            Self::Runtime(target) => target.identify().await?,
            Self::Dataplane(target) => target.identify().await?,
        })
    }

    async fn backends(&self) -> Result<BTreeSet<BackendName>, AnyError> {
        Ok(match self {
            Self::Runtime(target) => target.backends().await?,
            Self::Dataplane(target) => target.backends().await?,
        })
    }

    async fn prepare(&self, backends: &BTreeSet<BackendName>) -> Result<(), AnyError> {
        match self {
            Self::Runtime(target) => target.prepare(backends).await?,
            Self::Dataplane(target) => target.prepare(backends).await?,
        }
        Ok(())
    }

    async fn apply(&self, process: ProcessId, operations: &[Operation]) -> Result<Receipt, AnyError> {
        Ok(match self {
            Self::Runtime(target) => target.apply(process, operations).await?,
            Self::Dataplane(target) => target.apply(process, operations).await?,
        })
    }

    async fn delete(&self, process: ProcessId, operation: &Operation) -> Result<Receipt, AnyError> {
        Ok(match self {
            Self::Runtime(target) => target.delete(process, operation).await?,
            Self::Dataplane(target) => target.delete(process, operation).await?,
        })
    }

    async fn remember(
        &self,
        process: ProcessId,
        notes: &[(ServerPath, Vec<u8>)],
    ) -> Result<Option<Refusal>, AnyError> {
        Ok(match self {
            Self::Runtime(target) => target.remember(process, notes).await?,
            Self::Dataplane(target) => target.remember(process, notes).await?,
        })
    }

    async fn recall(
        &self,
        process: ProcessId,
        servers: &[ServerPath],
    ) -> Result<BTreeMap<ServerPath, Vec<u8>>, AnyError> {
        Ok(match self {
            Self::Runtime(target) => target.recall(process, servers).await?,
            Self::Dataplane(target) => target.recall(process, servers).await?,
        })
    }

    fn lines(&self, operation: &Operation) -> Vec<String> {
        match self {
            Self::Runtime(target) => target.lines(operation),
            Self::Dataplane(target) => target.lines(operation),
        }
    }

    fn is_one_write(&self) -> bool {
        match self {
            Self::Runtime(target) => target.is_one_write(),
            Self::Dataplane(target) => target.is_one_write(),
        }
    }

    fn adds_only_bare(&self) -> bool {
        match self {
            Self::Runtime(target) => target.adds_only_bare(),
            Self::Dataplane(target) => target.adds_only_bare(),
        }
    }
}
