//! What Roster keeps: the [`Target`] trait and one folder for each way to reach HAProxy.
//!
//! A target reads and writes; it decides nothing. It can do so for several backends side by side. What it read counts
//! only for the process it was read from, and an apply is done only when a later reading shows what was wanted.

pub mod any;
pub mod dataplane;
pub mod managed;
pub mod probe;
mod proc_stat;
pub mod runtime;
mod trace;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::time::Duration;

use roster_core::applied::ProcessId;
use roster_core::plan::Operation;
use roster_haproxy::cli::{Refusal, ServerPath};
use roster_haproxy::name::BackendName;
use roster_haproxy::observed::Observed;
use roster_haproxy::version::Version;

/// One HAProxy that Roster keeps.
pub trait Target: Send + Sync {
    /// Why it could not be read or written.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Reads what it holds.
    fn observe(&self, look: &Look) -> impl Future<Output = Result<Reading, Self::Error>> + Send;

    /// Asks only which process serves: the cheapest way to notice a restart.
    fn identify(&self) -> impl Future<Output = Result<ProcessId, Self::Error>> + Send;

    /// The backends that it has, to be read ahead; none where nothing is.
    fn backends(&self) -> impl Future<Output = Result<BTreeSet<BackendName>, Self::Error>> + Send {
        std::future::ready(Ok(BTreeSet::new()))
    }

    /// Reads ahead what does not change of these backends while its process lives, in small steps, so that a later
    /// [`observe`](Self::observe) has less to ask. For a time when nothing else waits: dropping it loses nothing of what
    /// was read until then. Those that are not there, or are known already, are passed over.
    fn prepare(
        &self,
        _backends: &BTreeSet<BackendName>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send {
        std::future::ready(Ok(()))
    }

    /// Carries operations out, in order, on the process that was read.
    fn apply(
        &self,
        process: ProcessId,
        operations: &[Operation],
    ) -> impl Future<Output = Result<Receipt, Self::Error>> + Send;

    /// Has one server that is in maintenance deleted from the running process, and from nowhere else.
    fn delete(
        &self,
        process: ProcessId,
        operation: &Operation,
    ) -> impl Future<Output = Result<Receipt, Self::Error>> + Send {
        self.apply(process, std::slice::from_ref(operation))
    }

    /// Leaves a note about each of these servers with the process that was read, for [`recall`](Self::recall); an empty one
    /// takes it back. Answers why it does not keep notes, if it does not; of a target that cannot, nothing is known.
    fn remember(
        &self,
        _process: ProcessId,
        _notes: &[(ServerPath, Vec<u8>)],
    ) -> impl Future<Output = Result<Option<Refusal>, Self::Error>> + Send {
        std::future::ready(Ok(None))
    }

    /// The notes that this process keeps about these servers.
    fn recall(
        &self,
        _process: ProcessId,
        _servers: &[ServerPath],
    ) -> impl Future<Output = Result<BTreeMap<ServerPath, Vec<u8>>, Self::Error>> + Send {
        std::future::ready(Ok(BTreeMap::new()))
    }

    /// Whether everything of a pass is to come in one [`apply`](Self::apply): where each one costs as much as a file that
    /// is written, whatever is in it.
    fn is_one_write(&self) -> bool {
        false
    }

    /// Whether servers can be added live only if they have neither a check nor a cookie.
    fn adds_only_bare(&self) -> bool {
        false
    }

    /// The lines that the operation comes to, as they would be sent.
    fn lines(&self, operation: &Operation) -> Vec<String>;
}

/// What to read.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Look {
    /// The backends to read.
    pub backends: BTreeSet<BackendName>,
    /// Those among them whose connections are to be counted too.
    pub connections: BTreeSet<BackendName>,
}

/// What was read.
#[derive(Clone, Debug)]
pub struct Reading {
    /// From which process.
    pub process: ProcessId,
    /// Its version.
    pub version: Version,
    /// What it holds.
    pub observed: Observed,
}

/// What became of operations.
#[derive(Clone, Debug, Default)]
pub struct Receipt {
    /// How many commands were sent.
    pub commands: usize,
    /// How long it took.
    pub took: Duration,
    /// What HAProxy did not do.
    pub refused: Vec<Refused>,
    /// What was not tried yet, because something before it must be seen first; the next look plans it again.
    pub left: BTreeSet<usize>,
}

/// An operation that HAProxy did not carry out.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Its place among the operations.
    pub operation: usize,
    /// Why.
    pub refusal: Refusal,
}
