//! Where the sources' answers come together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use roster_core::catalog::Catalog;
use roster_core::instance::{Reject, Snapshot, SourceEvent};
use roster_haproxy::name::SourceName;
use roster_sources::Source;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::events::{Answered, Event, Rejected, RejectedMore, Reporter, SourceLost};
use crate::store::Store;
use crate::supervise::{Task, Tasks, stopped};
use crate::wiring;

/// How many answers of one source may wait.
const WAITING: usize = 16;
/// How many new rejects of one answer are told one by one; `roster status` has them all.
const TOLD: usize = 20;
/// How long after an answer it is kept on disk, so that a burst of them is written once.
const SAVE_AFTER: Duration = Duration::from_millis(500);
/// How much newer an answer that says the same must be to be kept on disk: `last_good.max_age` counts from when it was taken.
const SAVE_AGAIN: Duration = Duration::from_mins(5);

/// The sources that run, and the catalog that they fill.
#[derive(Debug)]
pub(crate) struct Hub {
    catalog: watch::Sender<Arc<Catalog>>,
    sources: BTreeMap<SourceName, Running>,
    saving: Option<Running>,
    reporter: Reporter,
    tasks: Tasks,
}

/// A task, and what stops it.
#[derive(Debug)]
struct Running {
    stop: CancellationToken,
    task: JoinHandle<Option<()>>,
}

/// One source. It is made anew, by what it said last, after it ended by a mistake.
struct Listening<M> {
    name: SourceName,
    make: M,
    catalog: watch::Sender<Arc<Catalog>>,
    reporter: Reporter,
    stop: CancellationToken,
}

/// Keeps every source's last answer on disk.
struct Saving {
    store: Store,
    catalog: watch::Receiver<Arc<Catalog>>,
    reporter: Reporter,
    stop: CancellationToken,
}

impl Hub {
    /// No source yet. What they say is kept in the store.
    pub(crate) fn start(store: &Store, reporter: &Reporter, tasks: &Tasks) -> Self {
        let catalog = watch::Sender::new(Arc::new(Catalog::new([])));
        let saving = store.is_kept().then(|| {
            let (stop, catalog) = (CancellationToken::new(), catalog.subscribe());
            let task =
                Saving { store: store.clone(), catalog, reporter: reporter.clone(), stop: stop.clone() };
            Running { task: tasks.spawn("records of sources".to_owned(), &stop, task), stop }
        });
        let sources = BTreeMap::new();
        Self { catalog, sources, saving, reporter: reporter.clone(), tasks: tasks.clone() }
    }

    /// What the sources say.
    pub(crate) fn catalog(&self) -> watch::Receiver<Arc<Catalog>> {
        self.catalog.subscribe()
    }

    /// Takes the source in. `known` puts it into the catalog, with what is known of it. `make` makes it, given what it said last.
    pub(crate) fn listen<M, S>(&mut self, name: SourceName, known: impl FnOnce(&mut Catalog), make: M)
    where
        M: FnMut(Option<Arc<Snapshot>>) -> S + Send + Sync + 'static,
        S: Source + 'static,
    {
        change(&self.catalog, known);
        let stop = CancellationToken::new();
        let listening = Listening {
            name: name.clone(),
            make,
            catalog: self.catalog.clone(),
            reporter: self.reporter.clone(),
            stop: stop.clone(),
        };
        let task = self.tasks.spawn(format!("source {name}"), &stop, listening);
        self.sources.insert(name, Running { stop, task });
    }

    /// Whether the source runs.
    pub(crate) fn has(&self, name: &SourceName) -> bool {
        self.sources.contains_key(name)
    }

    /// Stops the sources for which this does not hold. What they said stands until it is forgotten or said anew.
    pub(crate) async fn stop_all_but(&mut self, stays: impl Fn(&SourceName) -> bool) {
        end(self.sources.extract_if(.., |name, _| !stays(name)).map(|(_, running)| running).collect()).await;
    }

    /// Forgets what was said by sources for which this does not hold.
    pub(crate) fn forget_all_but(&self, stays: impl Fn(&SourceName) -> bool) {
        change(&self.catalog, |catalog| catalog.retain(stays));
    }

    /// Stops all of them. What was said last is kept.
    pub(crate) async fn stop(self) {
        end(self.sources.into_values().collect()).await;
        end(self.saving.into_iter().collect()).await;
    }
}

/// The targets see all of a change at once.
fn change(catalog: &watch::Sender<Arc<Catalog>>, with: impl FnOnce(&mut Catalog)) {
    let mut next = Catalog::clone(&catalog.borrow());
    with(&mut next);
    catalog.send_replace(Arc::new(next));
}

async fn end(running: Vec<Running>) {
    for running in &running {
        running.stop.cancel();
    }
    for running in running {
        // However it ends was told.
        running.task.await.ok();
    }
}

impl<M, S> Task for Listening<M>
where
    M: FnMut(Option<Arc<Snapshot>>) -> S + Send + Sync,
    S: Source,
{
    type Left = ();

    async fn run(&mut self) -> Result<(), String> {
        let known = self.catalog.borrow().snapshot(&self.name).cloned();
        let source = (self.make)(known);
        let (out, mut events) = mpsc::channel(WAITING);
        let take = async {
            while let Some(event) = events.recv().await {
                self.take(&event);
            }
        };
        tokio::join!(source.run(out, self.stop.clone()), take);
        stopped((), &self.stop)
    }
}

impl<M> Listening<M> {
    fn take(&self, event: &SourceEvent) {
        let source = &self.name;
        let (known, before) = {
            let catalog = self.catalog.borrow();
            (catalog.snapshot(source).is_some(), heard(&catalog, source))
        };
        // The targets come first; telling can wait.
        change(&self.catalog, |catalog| catalog.accept(source, event.clone(), clock::now()));
        match event {
            // A source that is polled says the same again and again, which only guards care for.
            SourceEvent::Full(snapshot)
                if before.as_ref().is_some_and(|before| snapshot.says_what(before)) => {}
            SourceEvent::Full(snapshot) => {
                Answered { source, snapshot }.emit(&self.reporter);
                tell_rejects(source, before.as_deref(), snapshot, &self.reporter);
            }
            SourceEvent::Lost(error) => SourceLost { source, error, known }.emit(&self.reporter),
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

impl Task for Saving {
    type Left = ();

    async fn run(&mut self) -> Result<(), String> {
        let mut saved: BTreeMap<SourceName, Arc<Snapshot>> = BTreeMap::new();
        let mut going_on = true;
        while going_on {
            going_on = matches!(self.stop.run_until_cancelled(self.catalog.changed()).await, Some(Ok(())));
            if going_on {
                going_on = self.stop.run_until_cancelled(tokio::time::sleep(SAVE_AFTER)).await.is_some();
            }
            let now = self.catalog.borrow_and_update().clone();
            saved.retain(|name, _| now.has(name));
            for (name, state) in now.sources() {
                let Some(answer) = state.last_good.as_ref().filter(|_| !state.from_disk) else { continue };
                if saved.get(name).is_some_and(|before| is_kept_as(answer, before)) {
                    continue;
                }
                match self.store.keep_last_good(name, answer) {
                    Ok(()) => {
                        saved.insert(name.clone(), answer.clone());
                    }
                    Err(error) => wiring::told(&error, &self.reporter),
                }
            }
        }
        stopped((), &self.stop)
    }
}

/// Whether an answer need not be written, since what is on disk says the same and is nearly as fresh.
fn is_kept_as(answer: &Snapshot, saved: &Snapshot) -> bool {
    let age = answer.taken.duration_since(saved.taken).unsigned_abs();
    age < SAVE_AGAIN && answer.says_what(saved)
}

#[cfg(test)]
mod tests {
    use roster_core::instance::SourceError;

    use super::*;
    use crate::supervise::tests::PanicsOnce;

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

    struct Scripted {
        panics: bool,
        answer: Arc<Snapshot>,
    }

    impl Source for Scripted {
        async fn fetch(&mut self) -> Result<Arc<Snapshot>, SourceError> {
            Ok(Arc::clone(&self.answer))
        }

        async fn run(self, out: mpsc::Sender<SourceEvent>, stop: CancellationToken) {
            out.send(SourceEvent::Full(self.answer)).await.unwrap();
            tokio::task::yield_now().await;
            assert!(!self.panics, "a mistake");
            stop.cancelled().await;
        }
    }

    fn fleet() -> SourceName {
        "fleet".parse().unwrap()
    }

    #[tokio::test]
    async fn a_source_that_panics_is_made_anew_by_what_it_said_and_answers() {
        let reporter = Reporter::default();
        let tasks = Tasks::quick(&reporter);
        let mut hub = Hub::start(&Store::default(), &reporter, &tasks);
        let mut catalog = hub.catalog();
        let (told, mut known) = mpsc::unbounded_channel();
        let mut times = 0;
        hub.listen(
            fleet(),
            |catalog| catalog.put(fleet()),
            move |known| {
                times += 1;
                told.send(known.map(|known| known.rejects.len())).unwrap();
                Scripted { panics: times == 1, answer: Arc::new(answer(0..times)) }
            },
        );
        let has = |count: usize| {
            move |catalog: &Arc<Catalog>| {
                catalog.snapshot(&fleet()).is_some_and(|answer| answer.rejects.len() == count)
            }
        };
        catalog.wait_for(has(2)).await.unwrap();
        assert_eq!((known.recv().await, known.recv().await), (Some(None), Some(Some(1))));
        assert!(tasks.ended()["source fleet"].cause.contains("a mistake"));
        hub.stop().await;
        assert!(tasks.ended().is_empty(), "what is stopped on purpose is shown as ended");
    }

    #[tokio::test]
    async fn the_records_of_sources_are_written_though_the_task_that_writes_them_panicked() {
        let (folder, reporter) = (tempfile::tempdir().unwrap(), Reporter::default());
        let (store, tasks) = (Store::open(folder.path()).unwrap(), Tasks::quick(&reporter));
        let catalog = watch::Sender::new(Arc::new(Catalog::new([fleet()])));
        let (stop, panics) = (CancellationToken::new(), CancellationToken::new());
        let saving = Saving {
            store: store.clone(),
            catalog: catalog.subscribe(),
            reporter: reporter.clone(),
            stop: stop.clone(),
        };
        let saving = tasks.spawn("records".into(), &stop, PanicsOnce::new(saving, &panics));
        panics.cancel();
        while tasks.ended().values().all(|ended| !ended.runs) {
            tokio::task::yield_now().await;
        }
        change(&catalog, |catalog| {
            catalog.accept(&fleet(), SourceEvent::Full(Arc::new(answer(0..1))), clock::now());
        });
        stop.cancel();
        saving.await.unwrap();
        assert_eq!(store.last_good(&fleet()).unwrap().unwrap().rejects.len(), 1);
    }
}
