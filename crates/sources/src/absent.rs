//! A source of a kind that this Roster was built without.

use std::sync::Arc;

use roster_core::instance::{Snapshot, SourceError, SourceEvent};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::source::Source;

/// Never has an answer and says why.
#[derive(Clone, Debug)]
pub struct Absent {
    error: SourceError,
}

impl Absent {
    /// `kind` is as a person says it, `feature` cargo's name of it.
    pub fn new(kind: &str, feature: &str) -> Self {
        let message = format!("this roster was built without {kind}; build it with the feature `{feature}`");
        Self { error: SourceError { message } }
    }
}

impl Source for Absent {
    async fn fetch(&mut self) -> Result<Arc<Snapshot>, SourceError> {
        Err(self.error.clone())
    }

    async fn run(self, out: mpsc::Sender<SourceEvent>, stop: CancellationToken) {
        let tell = async {
            if out.send(SourceEvent::Lost(self.error)).await.is_ok() {
                out.closed().await;
            }
        };
        stop.run_until_cancelled(tell).await;
    }
}
