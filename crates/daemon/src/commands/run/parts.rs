//! The sources and targets that run. A configuration that is read again stops and starts those that it changes, and no others; the other
//! targets are looked at. Where it is not read again, as by a drop-in, the sources are asked anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use roster_config::native::{Config, Reach};
use roster_core::applied::Applied;
use roster_core::catalog::Catalog;
use roster_core::exposure::Rule;
use roster_haproxy::name::{SourceName, TargetName};
use roster_targets::any::AnyTarget;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Ready;
use crate::admin::{Kept, Live};
use crate::clock;
use crate::commands::{recorded, rules};
use crate::events::{Reporter, chain};
use crate::hub::Hub;
use crate::keeper::{Ears, Keeper, Keeping, Made, Make, Order, TargetStatus};
use crate::overview::Running;
use crate::own::Book;
use crate::store::Store;
use crate::supervise::Tasks;
use crate::wiring::{self, Found, Reached};

/// The longest that a pass may take to finish once Roster is told to stop.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// How many orders may wait for one target.
const ORDERS: usize = 8;

/// What runs.
pub(super) struct Parts {
    config: Arc<Config>,
    roster: Running,
    hub: Hub,
    targets: BTreeMap<TargetName, Target>,
    store: Store,
    reporter: Reporter,
    tasks: Tasks,
}

/// A target that is kept.
struct Target {
    found: Found,
    status: watch::Receiver<TargetStatus>,
    orders: mpsc::Sender<Order>,
    stop: CancellationToken,
    keeping: JoinHandle<Option<Keeper<AnyTarget>>>,
}

/// What a target leaves to the one that takes its place.
struct Carried {
    reach: Reach,
    applied: Applied,
    /// What is known of a HAProxy that Roster owns, whatever else changes.
    book: Option<Book>,
}

/// Makes the keepers of a target.
struct Making {
    name: TargetName,
    config: Arc<Config>,
    store: Store,
    reporter: Reporter,
    tasks: Tasks,
    status: watch::Sender<TargetStatus>,
    socket: mpsc::Sender<()>,
    /// What the first keeper is made of.
    first: Option<(Reached, Applied, Option<Book>)>,
}

impl Parts {
    /// Starts everything.
    pub(super) fn start(ready: Ready, store: &Store, reporter: &Reporter, tasks: &Tasks) -> Self {
        let Ready { config, targets, roster } = ready;
        let mut parts = Self {
            config: Arc::new(config),
            roster,
            hub: Hub::start(store, reporter, tasks),
            targets: BTreeMap::new(),
            store: store.clone(),
            reporter: reporter.clone(),
            tasks: tasks.clone(),
        };
        parts.begin(targets, BTreeMap::new(), &BTreeSet::new());
        parts
    }

    /// What can be seen of it, and asked.
    pub(super) fn live(&self) -> Live {
        let kept = |target: &Target| Kept { status: target.status.clone(), orders: target.orders.clone() };
        Live {
            roster: self.roster.clone(),
            catalog: self.hub.catalog(),
            targets: self.targets.iter().map(|(name, target)| (name.clone(), kept(target))).collect(),
            tasks: self.tasks.clone(),
        }
    }

    /// Stops what the configuration changes, and starts what it names.
    pub(super) async fn change(&mut self, ready: Ready) {
        let Ready { config, targets, roster } = ready;
        let before = Arc::clone(&self.config);
        let rereads = roster.rereads;
        let stays = |name: &TargetName, target: &Target| {
            let same_reach = config.targets.get(name) == before.targets.get(name);
            let same_rules = of_target(&config, name).eq(of_target(&before, name));
            same_reach && same_rules && targets.get(name).is_some_and(|new| new.found == target.found)
        };
        let ended: BTreeMap<TargetName, Target> =
            self.targets.extract_if(.., |name, target| !stays(name, target)).collect();
        let carried = end(ended, &before, false).await;
        let same = before.sources.iter().filter(|(name, source)| config.sources.get(*name) == Some(*source));
        let same: BTreeSet<SourceName> = same.map(|(name, _)| name.clone()).collect();
        self.hub.stop_all_but(|name| rereads && same.contains(name)).await;
        self.hub.forget_all_but(|name| config.sources.contains_key(name));
        (self.config, self.roster) = (Arc::new(config), roster);
        for target in self.targets.values() {
            // A keeper that is full of orders is looking at its target anyway.
            target.orders.try_send(Order::LookAnew).ok();
        }
        self.begin(targets, carried, &same);
    }

    /// Starts what the configuration names and does not run. Of the sources that are the same the catalog has what they said.
    fn begin(
        &mut self,
        targets: BTreeMap<TargetName, Reached>,
        mut carried: BTreeMap<TargetName, Carried>,
        same: &BTreeSet<SourceName>,
    ) {
        let config = Arc::clone(&self.config);
        self.reporter.metrics().keep(config.sources.keys(), config.targets.keys());
        self.reporter.metrics().config_taken(clock::wall());
        for name in config.sources.keys().filter(|name| !self.hub.has(name)).cloned().collect::<Vec<_>>() {
            let is_known = same.contains(&name);
            self.listen(name, is_known);
        }
        for (name, reached) in targets {
            if !self.targets.contains_key(&name) {
                let target = self.keep(&name, reached, carried.remove(&name));
                self.targets.insert(name, target);
            }
        }
        info!(
            sources = config.sources.len(),
            targets = config.targets.len(),
            version = env!("CARGO_PKG_VERSION"),
            "running"
        );
    }

    fn listen(&mut self, name: SourceName, is_known: bool) {
        let (config, store, reporter) = (Arc::clone(&self.config), self.store.clone(), self.reporter.clone());
        let source = config.sources.get(&name).cloned();
        let Some(source) = source else { return };
        let known = {
            let (name, config, reporter) = (name.clone(), Arc::clone(&config), reporter.clone());
            move |catalog: &mut Catalog| {
                if !is_known {
                    catalog.put(name.clone());
                    wiring::restore(catalog, &store, &name, &config, &reporter);
                }
            }
        };
        let of = name.clone();
        self.hub.listen(name, known, move |known| wiring::source(&of, &source, known, &reporter));
    }

    fn keep(&self, name: &TargetName, reached: Reached, carried: Option<Carried>) -> Target {
        let stop = CancellationToken::new();
        let (give, orders) = mpsc::channel(ORDERS);
        let (sign, socket) = mpsc::channel(1);
        let status = watch::Sender::default();
        let found = reached.found.clone();
        let (known, book) = match carried {
            Some(Carried { reach, applied, book }) => {
                (Some(applied).filter(|_| self.config.targets.get(name) == Some(&reach)), book)
            }
            None => (None, None),
        };
        let applied = known.unwrap_or_else(|| recorded(&self.store, name, &self.reporter));
        let ears = Ears { catalog: self.hub.catalog(), socket, orders, stop: stop.clone() };
        let make = Making {
            name: name.clone(),
            config: Arc::clone(&self.config),
            store: self.store.clone(),
            reporter: self.reporter.clone(),
            tasks: self.tasks.clone(),
            status: status.clone(),
            socket: sign,
            first: Some((reached, applied, book)),
        };
        let keeping = self.tasks.spawn(format!("keeper {name}"), &stop, Keeping { make, ears });
        Target { found, status: status.subscribe(), orders: give, stop, keeping }
    }

    /// Ends everything; a pass that was begun is finished. `for_good` where Roster ends because it was told to.
    pub(super) async fn stop(self, for_good: bool) {
        end(self.targets, &self.config, for_good).await;
        if tokio::time::timeout(STOP_WITHIN, self.hub.stop()).await.is_err() {
            warn!("not everything ended in time");
        }
    }
}

/// The rules of a target.
fn of_target<'c>(config: &'c Config, name: &TargetName) -> impl Iterator<Item = &'c Rule> {
    config.rules.iter().filter(move |rule| rule.targets.contains(name))
}

/// Ends these targets; a pass that was begun is finished.
async fn end(
    targets: BTreeMap<TargetName, Target>,
    config: &Config,
    for_good: bool,
) -> BTreeMap<TargetName, Carried> {
    for target in targets.values() {
        target.stop.cancel();
    }
    let ending = targets.into_iter().map(|(name, mut target)| async move {
        let Ok(kept) = tokio::time::timeout(STOP_WITHIN, &mut target.keeping).await else {
            warn!(target = %name, "did not answer in time; what was begun there is finished at the next start");
            target.keeping.abort();
            return None;
        };
        let (applied, book) = kept.ok()??.let_go(for_good).await;
        let reach = config.targets.get(&name)?.clone();
        Some((name, Carried { reach, applied, book }))
    });
    futures_util::future::join_all(ending).await.into_iter().flatten().collect()
}

impl Make for Making {
    type Target = AnyTarget;

    async fn make(&mut self) -> Result<Made<AnyTarget>, String> {
        let (reached, applied, book) = if let Some(first) = self.first.take() {
            first
        } else {
            let (name, config) = (&self.name, &self.config);
            let reach = config.targets.get(name).ok_or("it is not in the configuration")?;
            let reached = wiring::target(config, name, reach).await;
            let reached = reached.map_err(|error| chain(error.as_ref()))?;
            (reached, recorded(&self.store, name, &self.reporter), None)
        };
        let Reached { target, poll, file, found: _ } = reached;
        let watching = target.watch(self.socket.clone());
        let own = file.map(|file| file.owner(&self.name, book, &self.store, &self.reporter, &self.tasks));
        let (name, rules, store) = (self.name.clone(), rules(&self.config), self.store.clone());
        let keeper = Keeper::new(name, target, rules, store, applied, poll, self.reporter.clone());
        Ok(Made { keeper: keeper.with(own).shown_by(self.status.clone()), watching })
    }
}
