//! `roster once`: bring the targets to what the sources say now, and end.

use std::sync::Arc;
use std::time::Duration;

use roster_config::native::Config;
use roster_core::catalog::Catalog;
use roster_core::name::BackendName;
use roster_core::plan::Status;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Given, print, recorded, rules};
use crate::events::Reporter;
use crate::exit::{Exit, Failure};
use crate::hub;
use crate::keeper::{BackendStatus, Ears, Keeper, TargetStatus};
use crate::store::Store;
use crate::wiring::{self, Reached};

/// How long after an answer the sources are asked again.
const AGAIN: Duration = Duration::from_secs(1);

/// Brings every target to what is wanted and waits until HAProxy shows it, drained servers and fresh ones included, for
/// each target at most so long.
pub(crate) async fn once(given: &Given, limit: Duration) -> Result<Exit, Failure> {
    let config = given.config.load()?;
    let store = wiring::store(given.state_dir.as_deref())?;
    let _held = store.hold().map_err(|error| Failure::Usage(error.to_string()))?;
    let to = Reporter::default();
    let (catalog, lost) = wiring::ask_all(&config, &store, &to).await;
    for (name, state) in catalog.sources().filter(|(_, state)| !state.from_disk) {
        let Some(answer) = &state.last_good else { continue };
        hub::tell_rejects(name, None, answer, &to);
        if let Err(error) = store.keep_last_good(name, answer) {
            wiring::told(&error, &to);
        }
    }
    let (to_keepers, catalog) = watch::channel(Arc::new(catalog));
    let passes = config.rules.iter().map(|rule| rule.policy.guard.hold_passes).max();
    let mut asker = Asker { config: &config, store: &store, to: &to, left: passes.unwrap_or(0), to_keepers };
    let mut exit = if lost.is_empty() { Exit::Done } else { Exit::Failed };
    for (name, reach) in &config.targets {
        let Reached { target, poll, file } = wiring::target(&config, name, reach).await?;
        let (tasks, is_owned) = (TaskTracker::new(), file.is_some());
        let own = file.map(|file| file.at_once().owner(name, None, &store, &to, &tasks));
        let applied = recorded(&store, name, &to);
        let keeper =
            Keeper::new(name.clone(), target, rules(&config), store.clone(), applied, poll, to.clone());
        let keeper = keeper.with(own);
        let mut status = keeper.status();
        let stop = CancellationToken::new();
        let (_silent, socket) = mpsc::channel(1);
        let (_nobody, orders) = mpsc::channel(1);
        let ears = Ears { catalog: catalog.clone(), socket, orders, stop: stop.clone() };
        let keeping = tokio::spawn(keeper.run(ears));
        let settled = settle(&mut status, &mut asker, is_owned);
        let last = tokio::time::timeout(limit, settled).await.ok().flatten();
        let last = last.unwrap_or_else(|| status.borrow().clone());
        stop.cancel();
        keeping.await.map_err(anyhow::Error::from)?.let_go(false).await;
        if !tell(name.as_str(), &last) {
            exit = Exit::Failed;
        }
    }
    Ok(exit)
}

/// Asks the sources once more, as guards want it that count how often a loss is said.
struct Asker<'a> {
    config: &'a Config,
    store: &'a Store,
    to: &'a Reporter,
    /// How often.
    left: u32,
    to_keepers: watch::Sender<Arc<Catalog>>,
}

impl Asker<'_> {
    /// Answers whether there is another complete answer.
    async fn again(&mut self) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        tokio::time::sleep(AGAIN).await;
        let (catalog, lost) = wiring::ask_all(self.config, self.store, self.to).await;
        self.to_keepers.send_replace(Arc::new(catalog));
        lost.is_empty()
    }
}

/// Waits until nothing more changes, also by what guards hold back and the sources say again.
async fn settle(
    status: &mut watch::Receiver<TargetStatus>,
    asker: &mut Asker<'_>,
    owned: bool,
) -> Option<TargetStatus> {
    let mut last = status.wait_for(|status| is_over(status, owned)).await.ok()?.clone();
    while last.backends.values().any(|backend| backend.hold.is_some()) && asker.again().await {
        let is_judged = |status: &TargetStatus| {
            let mut pairs = status.backends.iter().map(|(name, now)| (last.backends.get(name), now));
            pairs.all(|(before, now)| {
                now.hold.is_none() || before.is_none_or(|before| before.hold != now.hold)
            })
        };
        last = status.wait_for(|status| is_over(status, owned) && is_judged(status)).await.ok()?.clone();
    }
    Some(last)
}

/// Whether nothing more will change by itself. Where Roster owns HAProxy, what is missing comes by a reload.
fn is_over(status: &TargetStatus, owned: bool) -> bool {
    let own = status.own.as_ref();
    let comes = |backend: &BackendName| owned && own.is_none_or(|own| !own.hopeless.contains(backend));
    let settles = own.is_some_and(|own| own.settles);
    let is_cut_off = own.is_some_and(|own| own.is_cut_off);
    let moves = |(name, backend): (&BackendName, &BackendStatus)| {
        is_moving(backend) || (backend.missing && comes(name))
    };
    let moves = settles || status.backends.iter().any(moves);
    is_cut_off || status.trouble.is_some() || (status.stuck && !settles) || (status.synced && !moves)
}

fn is_moving(backend: &BackendStatus) -> bool {
    backend.pending > 0
        || backend
            .servers
            .values()
            .any(|standing| matches!(standing.status, Status::Rising(_) | Status::Draining { .. }))
}

/// Says what was not done; answers whether everything was.
fn tell(target: &str, status: &TargetStatus) -> bool {
    let mut done = true;
    let mut say = |text: String| {
        print::err(&text);
        done = false;
    };
    if status.trouble.is_none() && !status.synced {
        say(format!("{target}: HAProxy does not show what is wanted; `roster plan` shows what is left"));
    }
    for left_out in status.own.iter().flat_map(|own| &own.left_out) {
        say(format!("{target}: {left_out}"));
    }
    for (backend, status) in &status.backends {
        if status.missing {
            say(format!(
                "{target}: HAProxy has no backend {backend}; add it to its configuration, or change `expose`"
            ));
        }
        if is_moving(status) {
            say(format!("{target} {backend}: not finished in time; `roster status` shows what it waits for"));
        }
        if let Some(hold) = &status.hold {
            say(format!("{target} {backend}: held back: {hold}; `roster release {backend}` lets it through"));
        }
        for note in &status.notes {
            say(format!("{target} {backend}: {note}"));
        }
    }
    // The trouble itself was told when it was met.
    done && status.trouble.is_none()
}
