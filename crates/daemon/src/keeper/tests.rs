use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use roster_config::native::Config;
use roster_core::instance::{Instance, Snapshot, SourceEvent};
use roster_core::plan::Operation;
use roster_haproxy::observed::Observed;
use roster_targets::{Look, Reading, Receipt};
use thiserror::Error;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;
use crate::planned::PlannedTarget;
use crate::supervise::Tasks;

/// A HAProxy that has no backend.
#[derive(Clone, Default)]
struct Fake {
    looks: Arc<AtomicU32>,
    panics: Arc<AtomicBool>,
}

#[derive(Debug, Error)]
#[error("never")]
struct Never;

impl Takeover for Never {
    fn is_takeover(&self) -> bool {
        false
    }

    fn is_busy(&self) -> bool {
        false
    }
}

const PROCESS: ProcessId = ProcessId { pid: 7, started: None };

impl Target for Fake {
    type Error = Never;

    async fn observe(&self, look: &Look) -> Result<Reading, Never> {
        tokio::task::yield_now().await;
        self.looks.fetch_add(1, Ordering::Relaxed);
        assert!(!self.panics.swap(false, Ordering::Relaxed), "a mistake");
        let observed = Observed { missing: look.backends.clone(), ..Observed::default() };
        Ok(Reading { process: PROCESS, version: Version::OLDEST, observed })
    }

    async fn identify(&self) -> Result<ProcessId, Never> {
        Ok(PROCESS)
    }

    async fn apply(&self, _process: ProcessId, _operations: &[Operation]) -> Result<Receipt, Never> {
        Err(Never)
    }

    fn lines(&self, _operation: &Operation) -> Vec<String> {
        Vec::new()
    }
}

/// Makes keepers of one fake, with this long between two looks at a backend.
struct Making {
    fake: Fake,
    drift: Duration,
    status: watch::Sender<TargetStatus>,
}

impl Make for Making {
    type Target = Fake;

    async fn make(&mut self) -> Result<Made<Fake>, String> {
        let (name, store, reporter) = ("local".parse().unwrap(), Store::default(), Reporter::default());
        let keeper = Keeper::new(
            name,
            self.fake.clone(),
            rules(),
            store,
            Applied::default(),
            Duration::from_secs(3600),
            reporter,
        );
        let keeper = Keeper { schedule: Schedule::new(self.drift), ..keeper.shown_by(self.status.clone()) };
        Ok(Made { keeper, watching: None })
    }
}

/// Each service on the backend of its name.
fn rules() -> Arc<[Rule]> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("roster.yaml");
    let text = "sources: { fleet: { file: { path: /none.yaml } } }\n\
                targets: { local: { runtime: { socket: /none.sock } } }\n";
    std::fs::write(&path, text).unwrap();
    Config::load(&path, &roster_config::env::ProcessEnv).unwrap().rules.into()
}

/// An answer with these services.
fn catalog(services: &[&str]) -> Arc<Catalog> {
    let instance = Instance::at("127.0.0.1:8000".parse().unwrap());
    let services = services.iter().map(|name| (name.parse().unwrap(), vec![instance.clone()].into()));
    let fleet = "fleet".parse().unwrap();
    let mut catalog = Catalog::new([]);
    catalog.put(fleet);
    let answer = Snapshot { services: services.collect(), taken: clock::now(), ..Snapshot::default() };
    catalog.accept(&"fleet".parse().unwrap(), SourceEvent::Full(Arc::new(answer)), clock::now());
    Arc::new(catalog)
}

/// A keeper that runs under supervision.
struct Kept {
    fake: Fake,
    catalog: watch::Sender<Arc<Catalog>>,
    orders: mpsc::Sender<Order>,
    status: watch::Receiver<TargetStatus>,
    stop: CancellationToken,
    tasks: Tasks,
    keeping: JoinHandle<Option<Keeper<Fake>>>,
}

fn kept(drift: Duration) -> Kept {
    let (fake, tasks) = (Fake::default(), Tasks::quick(&Reporter::default()));
    let (sender, catalog) = watch::channel(catalog(&["web"]));
    let (_sign, socket) = mpsc::channel(1);
    let (give, orders) = mpsc::channel(8);
    let (shown, status) = watch::channel(TargetStatus::default());
    let stop = CancellationToken::new();
    let ears = Ears { catalog, socket, orders, stop: stop.clone() };
    let make = Making { fake: fake.clone(), drift, status: shown };
    let keeping = tasks.spawn("keeper local".into(), &stop, Keeping { make, ears });
    Kept { fake, catalog: sender, orders: give, status, stop, tasks, keeping }
}

impl Kept {
    async fn shows(&mut self, backend: &str) {
        let shows = |status: &TargetStatus| status.backends.contains_key(backend);
        let shown = tokio::time::timeout(Duration::from_secs(30), self.status.wait_for(shows)).await;
        drop(shown.expect("no pass in time").unwrap());
    }

    /// What the keeper answers to an order, if it does.
    async fn plan(&self) -> Option<PlannedTarget> {
        let (reply, answer) = oneshot::channel();
        self.orders.send(Order::Plan(reply)).await.unwrap();
        tokio::time::timeout(Duration::from_secs(30), answer).await.expect("no answer in time").ok()
    }

    async fn ends(self) -> bool {
        self.stop.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(30), self.keeping).await;
        ended.expect("it goes on").unwrap().is_some()
    }
}

#[tokio::test]
async fn a_keeper_whose_passes_are_always_due_hears_sources_and_orders_and_the_stop() {
    let mut kept = kept(Duration::ZERO);
    kept.shows("web").await;
    for round in 0..5 {
        let before = kept.fake.looks.load(Ordering::Relaxed);
        assert!(kept.plan().await.is_some());
        let new = format!("api{round}");
        kept.catalog.send_replace(catalog(&["web", &new]));
        kept.shows(&new).await;
        let looks = kept.fake.looks.load(Ordering::Relaxed) - before;
        assert!(looks < 500, "{looks} passes went before");
    }
    assert!(kept.ends().await);
}

#[tokio::test]
async fn a_keeper_that_panics_is_followed_by_another_one_and_its_order_is_answered() {
    let mut kept = kept(DRIFT);
    kept.shows("web").await;
    kept.fake.panics.store(true, Ordering::Relaxed);
    assert!(kept.plan().await.is_none(), "there was no panic");
    assert!(kept.tasks.ended()["keeper local"].cause.contains("a mistake"));
    // An order that comes before there is another keeper is dropped, and has an answer too.
    while kept.plan().await.is_none() {}
    assert!(kept.tasks.ended()["keeper local"].runs);
    kept.catalog.send_replace(catalog(&["web", "api"]));
    kept.shows("api").await;
    assert!(kept.ends().await);
}
