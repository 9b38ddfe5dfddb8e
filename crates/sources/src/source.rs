//! What every source can do.

use std::future::Future;
use std::sync::Arc;

use roster_core::instance::{Snapshot, SourceError, SourceEvent};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// A place that says who is there.
pub trait Source: Send {
    /// One complete answer, now, for commands that look once.
    fn fetch(&mut self) -> impl Future<Output = Result<Arc<Snapshot>, SourceError>> + Send;

    /// Tells every complete answer that differs from the one before, and every loss, until it is stopped or nobody
    /// listens any more. Events wait in the channel, so that a loss never takes the place of an answer.
    fn run(self, out: mpsc::Sender<SourceEvent>, stop: CancellationToken) -> impl Future<Output = ()> + Send;
}
