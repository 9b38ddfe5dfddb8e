//! Where the sources' answers come together.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use roster_core::catalog::Catalog;
use roster_core::instance::{Snapshot, SourceEvent};
use roster_core::name::SourceName;
use roster_sources::{AnySource, Source};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock;
use crate::events::{Answered, Event, Rejected, Reporter, SourceLost};
use crate::store::Store;
use crate::wiring;

/// How many answers of one source may wait.
const WAITING: usize = 16;
/// How long after an answer it is kept on disk, so that a burst of them is written once.
const SAVE_AFTER: Duration = Duration::from_millis(500);

/// Starts the sources and whoever listens to them. The catalog they fill is seen through the receiver.
pub(crate) fn start(
    sources: Vec<(SourceName, AnySource)>,
    known: Catalog,
    store: &Store,
    reporter: &Reporter,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> watch::Receiver<Arc<Catalog>> {
    let (to_hub, answers) = mpsc::channel(WAITING);
    for (name, source) in sources {
        let source = match known.snapshot(&name) {
            Some(answer) => source.resume(answer.clone()),
            None => source,
        };
        let (out, events) = mpsc::channel(WAITING);
        tasks.spawn(source.run(out, stop.clone()));
        tasks.spawn(forward(name, events, to_hub.clone(), stop.clone()));
    }
    let (catalog, seen) = watch::channel(Arc::new(known));
    if store.is_kept() {
        tasks.spawn(save(store.clone(), seen.clone(), reporter.clone(), stop.clone()));
    }
    tasks.spawn(gather(answers, catalog, reporter.clone(), stop.clone()));
    seen
}

async fn forward(
    name: SourceName,
    mut events: mpsc::Receiver<SourceEvent>,
    hub: mpsc::Sender<(SourceName, SourceEvent)>,
    stop: CancellationToken,
) {
    while let Some(Some(event)) = stop.run_until_cancelled(events.recv()).await {
        if hub.send((name.clone(), event)).await.is_err() {
            return;
        }
    }
}

async fn gather(
    mut answers: mpsc::Receiver<(SourceName, SourceEvent)>,
    catalog: watch::Sender<Arc<Catalog>>,
    reporter: Reporter,
    stop: CancellationToken,
) {
    while let Some(Some((source, event))) = stop.run_until_cancelled(answers.recv()).await {
        let mut next = Catalog::clone(&catalog.borrow());
        let known = next.snapshot(&source).is_some();
        next.accept(&source, event.clone(), clock::now());
        // The targets come first; telling can wait.
        catalog.send_replace(Arc::new(next));
        match &event {
            SourceEvent::Full(snapshot) => {
                Answered { source: &source, snapshot }.emit(&reporter);
                for reject in &snapshot.rejects {
                    Rejected { source: &source, reject }.emit(&reporter);
                }
            }
            SourceEvent::Lost(error) => SourceLost { source: &source, error, known }.emit(&reporter),
        }
    }
}

/// Keeps every source's last answer on disk.
async fn save(
    store: Store,
    mut catalog: watch::Receiver<Arc<Catalog>>,
    reporter: Reporter,
    stop: CancellationToken,
) {
    let mut saved: BTreeMap<SourceName, Arc<Snapshot>> = BTreeMap::new();
    let mut going_on = true;
    while going_on {
        going_on = matches!(stop.run_until_cancelled(catalog.changed()).await, Some(Ok(())));
        if going_on {
            going_on = stop.run_until_cancelled(tokio::time::sleep(SAVE_AFTER)).await.is_some();
        }
        let now = catalog.borrow_and_update().clone();
        for (name, state) in now.sources() {
            let Some(answer) = state.last_good.as_ref().filter(|_| !state.from_disk) else { continue };
            if saved.get(name).is_some_and(|before| Arc::ptr_eq(before, answer)) {
                continue;
            }
            match store.keep_last_good(name, answer) {
                Ok(()) => {
                    saved.insert(name.clone(), answer.clone());
                }
                Err(error) => wiring::told(&error, &reporter),
            }
        }
    }
}
