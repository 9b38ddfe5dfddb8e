//! What the handlers look at: the keepers' and sources' last words, of whichever configuration runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use roster_core::catalog::Catalog;
use roster_haproxy::name::{SourceName, TargetName};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::events::Reporter;
use crate::keeper::{Order, TargetStatus};
use crate::overview::{self, Overview, RefusedConfig, Running, SourceStatus};
use crate::supervise::Tasks;

/// How many may listen to the events at once, so that they leave connections for others.
const STREAMS: usize = 16;

/// What one configuration runs, as far as it can be seen and asked.
#[derive(Debug)]
pub(crate) struct Live {
    /// By what configuration.
    pub roster: Running,
    pub catalog: watch::Receiver<Arc<Catalog>>,
    pub targets: BTreeMap<TargetName, Kept>,
    pub tasks: Tasks,
}

/// A target that is kept.
#[derive(Debug)]
pub(crate) struct Kept {
    pub status: watch::Receiver<TargetStatus>,
    pub orders: mpsc::Sender<Order>,
}

/// What every handler has.
#[derive(Clone, Debug)]
pub(super) struct Window {
    live: watch::Receiver<Option<Arc<Live>>>,
    refused: watch::Receiver<Option<RefusedConfig>>,
    pub(super) reporter: Reporter,
    pub(super) stop: CancellationToken,
    pub(super) streams: Arc<Semaphore>,
}

impl Live {
    fn overview(&self) -> Overview {
        let targets = self.targets.iter();
        let targets = targets.map(|(name, kept)| (name.clone(), kept.status.borrow().clone())).collect();
        let catalog = self.catalog.borrow().clone();
        clock::to_wall(Overview { tasks: self.tasks.ended(), ..Overview::new(&catalog, targets) })
    }

    /// How every source is doing.
    pub(super) fn sources(&self) -> BTreeMap<SourceName, SourceStatus> {
        let sources = overview::sources(&self.catalog.borrow());
        sources.into_iter().map(|(name, source)| (name, clock::to_wall(source))).collect()
    }
}

impl Window {
    pub(super) fn new(
        live: watch::Receiver<Option<Arc<Live>>>,
        refused: watch::Receiver<Option<RefusedConfig>>,
        reporter: Reporter,
        stop: CancellationToken,
    ) -> Self {
        Self { live, refused, reporter, stop, streams: Arc::new(Semaphore::new(STREAMS)) }
    }

    /// What runs now; nothing before the start is over.
    pub(super) fn live(&self) -> Option<Arc<Live>> {
        self.live.borrow().clone()
    }

    /// How everything is doing; empty before the start is over.
    pub(super) fn overview(&self) -> Overview {
        self.live()
            .map(|live| Overview { roster: Some(self.roster(&live)), ..live.overview() })
            .unwrap_or_default()
    }

    /// The Roster that this is.
    pub(super) fn roster(&self, live: &Live) -> Running {
        Running { refused: self.refused.borrow().clone(), ..live.roster.clone() }
    }
}
