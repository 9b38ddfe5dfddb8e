//! `roster run`: the daemon.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use roster_config::native::{Config, Reach, Source};
use roster_core::applied::Applied;
use roster_core::catalog::Catalog;
use roster_core::instance::{Snapshot, SourceEvent};
use roster_core::name::{SourceName, TargetName};
use roster_targets::any::AnyTarget;
use roster_targets::managed::process::{GRACE, is_first_process, reap_orphans};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use super::{Given, recorded, rules};
use crate::admin::{Admin, Bound, Kept, Live};
use crate::claims::Claims;
use crate::events::{Reporter, chain};
use crate::exit::{Exit, Failure};
use crate::keeper::{Ears, Keeper};
use crate::overview::{RefusedConfig, Running};
use crate::own::Book;
use crate::store::{Store, StoreError};
use crate::wiring::Reached;
use crate::{clock, hub, wiring};

/// The longest that a pass may take to finish once Roster is told to stop.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// How many orders may wait for one target.
const ORDERS: usize = 8;

/// What one configuration runs.
struct Generation {
    config: Config,
    tasks: TaskTracker,
    stop: CancellationToken,
    keepers: BTreeMap<TargetName, JoinHandle<Keeper<AnyTarget>>>,
    catalog: watch::Receiver<Arc<Catalog>>,
}

/// What goes over from one configuration to the next.
#[derive(Default)]
struct Carry {
    sources: BTreeMap<SourceName, (Source, Arc<Snapshot>)>,
    targets: BTreeMap<TargetName, (Reach, Applied)>,
    /// What is known of a HAProxy that Roster owns, whatever else changes.
    books: BTreeMap<TargetName, Book>,
}

/// A configuration that everything was found for.
struct Ready {
    config: Config,
    targets: BTreeMap<TargetName, Reached>,
    roster: Running,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

enum Told {
    Stop,
    Reload,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::Stop,
            _ = self.interrupt.recv() => Told::Stop,
            _ = self.hangup.recv() => Told::Reload,
        }
    }
}

/// Keeps the targets until told to stop.
pub(crate) async fn run(given: &Given) -> Result<Exit, Failure> {
    let signals = Signals::new().map_err(anyhow::Error::from)?;
    let roster = given.running();
    let config = given.config.load()?;
    let log = crate::telemetry::start(config.log, given.log_format);
    let over = CancellationToken::new();
    let writing = tokio::spawn(log.serve(over.clone()));
    if is_first_process() {
        // In a container whoever loses its parent becomes Roster's child.
        tokio::spawn(reap_orphans(GRACE, over.clone()));
    }
    let kept = keep(given, config, roster, signals).await;
    over.cancel();
    // What it had still to write it writes however it ends.
    writing.await.ok();
    kept
}

async fn keep(given: &Given, config: Config, roster: Running, mut signals: Signals) -> Result<Exit, Failure> {
    let kept = given.keep().map_err(refused)?;
    let store = &kept.store;
    if let Some(folder) = store.folder() {
        info!(folder = %folder.display(), "records are kept");
    } else if let Some(why) = &kept.why_none {
        warn!(
            "no state folder ({why}): what sources said is forgotten when Roster stops, and what it did is kept by HAProxy \
             alone; give --state-dir, or let systemd set StateDirectory="
        );
    } else {
        warn!(
            "no state folder: what Roster did and what sources said is forgotten when it stops; give --state-dir, or let \
             systemd set StateDirectory="
        );
    }
    let mut claims = Claims::of(given.config.path()).take(&config).await?;
    let targets = wiring::targets(&config).await?;
    let reporter = Reporter::default();
    let mut admin = Admin::start(store, config.admin, &reporter).await.map_err(anyhow::Error::from)?;
    let ready = Ready { config, targets, roster };
    let mut generation = Generation::start(ready, store, &Carry::default(), &reporter, &admin);
    loop {
        match signals.next().await {
            Told::Stop => break,
            Told::Reload => match read_again(given, &claims, &admin).await {
                Ok((ready, taken, bound)) => {
                    let carry = generation.stop(false).await;
                    claims = taken;
                    admin.listen(bound);
                    generation = Generation::start(ready, store, &carry, &reporter, &admin);
                    info!("the configuration was read again");
                }
                Err(failure) => {
                    reporter.metrics().config_refused();
                    admin.refused(RefusedConfig { at: clock::wall(), why: failure.to_string() });
                    error!("the configuration stays as it was: {failure}");
                }
            },
        }
    }
    info!("stopping");
    generation.stop(true).await;
    admin.stop().await;
    Ok(Exit::Done)
}

/// Why the records cannot be had.
fn refused(error: StoreError) -> Failure {
    match error {
        taken @ StoreError::InUse { .. } => Failure::Other(taken.into()),
        other => Failure::Usage(chain(&other)),
    }
}

/// Everything that can fail about a new configuration, before the old one is given up.
async fn read_again(
    given: &Given,
    claims: &Claims,
    admin: &Admin,
) -> Result<(Ready, Claims, Bound), Failure> {
    let roster = given.running();
    let config = given.config.load()?;
    let taken = claims.take(&config).await?;
    let targets = wiring::targets(&config).await?;
    let bound = admin.bind(config.admin).await.map_err(anyhow::Error::from)?;
    Ok((Ready { config, targets, roster }, taken, bound))
}

impl Generation {
    fn start(ready: Ready, store: &Store, carry: &Carry, reporter: &Reporter, admin: &Admin) -> Self {
        let Ready { config, targets, roster } = ready;
        reporter.metrics().keep(config.sources.keys(), config.targets.keys());
        reporter.metrics().config_taken(clock::wall());
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let known = known(&config, store, carry, reporter);
        let catalog = hub::start(wiring::sources(&config, reporter), known, store, reporter, &tasks, &stop);
        let mut keepers = BTreeMap::new();
        let mut live = Live { roster, catalog: catalog.clone(), targets: BTreeMap::new() };
        for (name, Reached { target, poll, file }) in targets {
            let applied = match carry.targets.get(&name) {
                Some((before, applied)) if config.targets.get(&name) == Some(before) => applied.clone(),
                _ => recorded(store, &name, reporter),
            };
            let (socket_sign, socket) = mpsc::channel(1);
            let watching = target.watch(socket_sign);
            let (give, orders) = mpsc::channel(ORDERS);
            let ears = Ears { catalog: catalog.clone(), socket, orders, stop: stop.clone() };
            let (rules, store) = (rules(&config), store.clone());
            let book = carry.books.get(&name).cloned();
            let own = file.map(|file| file.owner(&name, book, &store, reporter, &tasks));
            let keeper = Keeper::new(name.clone(), target, rules, store, applied, poll, reporter.clone());
            let keeper = keeper.with(own);
            live.targets.insert(name.clone(), Kept { status: keeper.status(), orders: give });
            let kept = tasks.track_future(async move {
                let _watching = watching;
                keeper.run(ears).await
            });
            keepers.insert(name, tokio::spawn(kept));
        }
        admin.show(live);
        info!(
            sources = config.sources.len(),
            targets = config.targets.len(),
            version = env!("CARGO_PKG_VERSION"),
            "running"
        );
        tasks.close();
        Self { config, tasks, stop, keepers, catalog }
    }

    /// Ends everything; a pass that was begun is finished. `for_good` where no other configuration follows.
    async fn stop(self, for_good: bool) -> Carry {
        self.stop.cancel();
        let (mut carry, config) = (Carry::default(), &self.config);
        let ending = self.keepers.into_iter().map(|(name, mut keeping)| async move {
            let Ok(kept) = tokio::time::timeout(STOP_WITHIN, &mut keeping).await else {
                warn!(target = %name, "did not answer in time; what was begun there is finished at the next start");
                keeping.abort();
                return None;
            };
            let (applied, book) = kept.ok()?.let_go(for_good).await;
            let reach = config.targets.get(&name)?.clone();
            Some((name, reach, applied, book))
        });
        for (name, reach, applied, book) in futures_util::future::join_all(ending).await.into_iter().flatten()
        {
            carry.books.extend(book.map(|book| (name.clone(), book)));
            carry.targets.insert(name, (reach, applied));
        }
        if tokio::time::timeout(STOP_WITHIN, self.tasks.wait()).await.is_err() {
            warn!("not everything ended in time");
        }
        let catalog = self.catalog.borrow().clone();
        for (name, source) in self.config.sources {
            if let Some(answer) = catalog.snapshot(&name) {
                carry.sources.insert(name, (source, answer.clone()));
            }
        }
        carry
    }
}

/// What is known of each source before it speaks: what it said under the configuration before, or before the start.
fn known(config: &Config, store: &Store, carry: &Carry, reporter: &Reporter) -> Catalog {
    let mut catalog = Catalog::new(config.sources.keys().cloned());
    for (name, source) in &config.sources {
        match carry.sources.get(name) {
            Some((before, answer)) if before == source => {
                catalog.accept(name, SourceEvent::Full(answer.clone()), clock::now());
            }
            _ => wiring::restore(&mut catalog, store, name, config, reporter),
        }
    }
    catalog
}
