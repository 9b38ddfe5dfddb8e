//! Where the sources' answers come together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use roster_core::catalog::Catalog;
use roster_core::instance::{Reject, Snapshot, SourceEvent};
use roster_core::name::SourceName;
use roster_sources::{AnySource, Source};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock;
use crate::events::{Answered, Event, Rejected, RejectedMore, Reporter, SourceLost};
use crate::store::Store;
use crate::wiring;

/// How many answers of one source may wait.
const WAITING: usize = 16;
/// How many new rejects of one answer are told one by one; `roster status` has them all.
const TOLD: usize = 20;
/// How long after an answer it is kept on disk, so that a burst of them is written once.
const SAVE_AFTER: Duration = Duration::from_millis(500);
/// How much newer an answer that says the same must be to be kept on disk: `last_good.max_age` counts from when it was taken.
const SAVE_AGAIN: Duration = Duration::from_mins(5);

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
        let before = heard(&next, &source);
        next.accept(&source, event.clone(), clock::now());
        // The targets come first; telling can wait.
        catalog.send_replace(Arc::new(next));
        match &event {
            // A source that is polled says the same again and again, which only guards care for.
            SourceEvent::Full(snapshot)
                if before.as_ref().is_some_and(|before| snapshot.says_what(before)) => {}
            SourceEvent::Full(snapshot) => {
                Answered { source: &source, snapshot }.emit(&reporter);
                tell_rejects(&source, before.as_deref(), snapshot, &reporter);
            }
            SourceEvent::Lost(error) => SourceLost { source: &source, error, known }.emit(&reporter),
        }
    }
}

/// What the source said last since Roster runs: what a Roster before this one told of is news again.
fn heard(catalog: &Catalog, source: &SourceName) -> Option<Arc<Snapshot>> {
    let (_, state) = catalog.sources().find(|(name, _)| *name == source)?;
    state.last_good.clone().filter(|_| !state.from_disk)
}

/// Tells what is wrong in this answer and was not in the one before; of many, the first ones.
pub(crate) fn tell_rejects(source: &SourceName, before: Option<&Snapshot>, now: &Snapshot, to: &Reporter) {
    let old: BTreeSet<&Reject> = before.iter().flat_map(|before| &before.rejects).collect();
    let mut new = now.rejects.iter().filter(|reject| !old.contains(reject));
    for reject in new.by_ref().take(TOLD) {
        Rejected { source, reject }.emit(to);
    }
    let more = new.count();
    if more > 0 {
        RejectedMore { source, more }.emit(to);
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
            if saved.get(name).is_some_and(|before| is_kept_as(answer, before)) {
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

/// Whether an answer need not be written, since what is on disk says the same and is nearly as fresh.
fn is_kept_as(answer: &Snapshot, saved: &Snapshot) -> bool {
    let age = answer.taken.duration_since(saved.taken).unsigned_abs();
    age < SAVE_AGAIN && answer.says_what(saved)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(rejects: std::ops::Range<usize>) -> Snapshot {
        let reject = |n| Reject::aside(format!("i-{n:03}"), "no port");
        Snapshot { rejects: rejects.map(reject).collect(), ..Snapshot::default() }
    }

    /// How many lines are told of an answer.
    fn lines(before: Option<&Snapshot>, now: &Snapshot) -> usize {
        let reporter = Reporter::default();
        let mut heard = reporter.listen();
        tell_rejects(&"fleet".parse().unwrap(), before, now, &reporter);
        std::iter::from_fn(|| heard.try_recv().ok()).count()
    }

    #[test]
    fn what_a_source_says_again_and_again_is_written_now_and_then() {
        let at = |second| Snapshot { taken: jiff::Timestamp::from_second(second).unwrap(), ..answer(0..1) };
        assert!(is_kept_as(&at(30), &at(0)));
        assert!(!is_kept_as(&at(301), &at(0)), "how fresh it is counts after a restart");
        assert!(!is_kept_as(&Snapshot { taken: at(30).taken, ..answer(0..2) }, &at(0)));
    }

    #[test]
    fn a_reject_is_told_when_it_is_new_and_many_of_them_fill_no_log() {
        assert_eq!(lines(None, &answer(0..3)), 3);
        assert_eq!(lines(Some(&answer(0..3)), &answer(1..3)), 0);
        assert_eq!(lines(Some(&answer(0..3)), &answer(0..4)), 1);
        assert_eq!(lines(None, &answer(0..20)), 20);
        assert_eq!(lines(None, &answer(0..500)), 21, "and one that says how many more");
    }
}
