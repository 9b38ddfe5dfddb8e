//! `roster once`: bring the targets to what the sources say now, and end.

mod progress;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use roster_config::native::{Config, Reach};
use roster_core::catalog::Catalog;
use roster_haproxy::name::{BackendName, TargetName};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{Given, Origin, print, recorded, rules};
use crate::claims::Claims;
use crate::events::{Reporter, chain};
use crate::exit::{Exit, Failure};
use crate::hint;
use crate::hub;
use crate::keeper::{BackendStatus, Ears, Keeper, TargetStatus};
use crate::store::{Store, StoreError};
use crate::supervise::Tasks;
use crate::wiring::{self, Reached};
use progress::Progress;

/// How long after an answer the sources are asked again.
const AGAIN: Duration = Duration::from_secs(1);

/// Whether the process is told to stop.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
    told: bool,
}

/// What all targets share.
struct Round<'a> {
    config: &'a Config,
    store: &'a Store,
    to: &'a Reporter,
    /// How often the sources may be asked once more, as guards want it that count how often a loss is said.
    left: u32,
    to_keepers: watch::Sender<Arc<Catalog>>,
}

/// Brings every target to what is wanted and waits until HAProxy shows it, drained servers and fresh ones included, for
/// each target at most so long. Told to stop, it finishes the pass that was begun and leaves the rest to the next one.
pub(crate) async fn once(given: &Given, limit: Duration) -> Result<Exit, Failure> {
    // Until there is something to finish SIGTERM ends it by itself.
    let config = given.config.load()?;
    let mut stop = Stop::new().map_err(anyhow::Error::from)?;
    let kept = given.keep().map_err(refused)?;
    let _claims = Claims::of(given.config.path()).take(&config).await?;
    let to = Reporter::default();
    let (catalog, lost) = wiring::ask_all(&config, &kept.store, &to).await;
    let mut exit = if lost.is_empty() { Exit::Done } else { Exit::Failed };
    // Another program's configuration has its exit codes, to which what is left out is no failure.
    if !take_in(&catalog, &kept.store, &to) && matches!(given.config, Origin::File(_)) {
        exit = Exit::Failed;
    }
    let (to_keepers, catalog) = watch::channel(Arc::new(catalog));
    let passes = config.rules.iter().map(|rule| rule.policy.guard.hold_passes).max().unwrap_or(0);
    let mut round = Round { config: &config, store: &kept.store, to: &to, left: passes, to_keepers };
    for (name, reach) in &config.targets {
        let brought = round.bring(name, reach, catalog.clone(), &mut stop, limit).await;
        let done = brought.unwrap_or_else(|error| {
            print::err(&format!("{error:#}"));
            false
        });
        if !done || stop.told {
            exit = Exit::Failed;
        }
    }
    Ok(exit)
}

/// Why the records cannot be had.
fn refused(error: StoreError) -> Failure {
    match error {
        StoreError::InUse { folder, holder } => Failure::Other(anyhow!(
            "a roster{holder} runs by this configuration ({}) and makes the changes itself{}",
            folder.display(),
            hint::so("plan", "shows what is left to do")
        )),
        other => Failure::Usage(chain(&other)),
    }
}

impl Stop {
    fn new() -> io::Result<Self> {
        let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(Self { interrupt, terminate, told: false })
    }

    /// Waits until the process is told to stop.
    async fn wait(&mut self) {
        if !self.told {
            tokio::select! {
                _ = self.interrupt.recv() => {}
                _ = self.terminate.recv() => {}
            }
            self.told = true;
        }
    }
}

/// Keeps what the sources say, and tells what of it cannot be used. Answers whether all of it can.
fn take_in(catalog: &Catalog, store: &Store, to: &Reporter) -> bool {
    let mut usable = true;
    for (name, state) in catalog.sources() {
        let Some(answer) = &state.last_good else { continue };
        usable &= answer.rejects.is_empty();
        if !state.from_disk {
            hub::tell_rejects(name, None, answer, to);
            if let Err(error) = store.keep_last_good(name, answer) {
                wiring::told(&error, to);
            }
        }
    }
    usable
}

impl Round<'_> {
    /// Brings one target to what is wanted. Answers whether all of that was done.
    async fn bring(
        &mut self,
        name: &TargetName,
        reach: &Reach,
        catalog: watch::Receiver<Arc<Catalog>>,
        told: &mut Stop,
        limit: Duration,
    ) -> Result<bool, anyhow::Error> {
        let Reached { target, poll, file, .. } = wiring::target(self.config, name, reach).await?;
        let (tasks, is_owned) = (Tasks::new(self.to), file.is_some());
        let own = file.map(|file| file.at_once().owner(name, None, self.store, self.to, &tasks));
        let applied = recorded(self.store, name, self.to);
        let (rules, store) = (rules(self.config), self.store.clone());
        let keeper =
            Keeper::new(name.clone(), target, rules, store, applied, poll, self.to.clone()).with(own);
        let mut status = keeper.status();
        let stop = CancellationToken::new();
        let (_silent, socket) = mpsc::channel(1);
        let (_nobody, orders) = mpsc::channel(1);
        let mut ears = Ears { catalog, socket, orders, stop: stop.clone() };
        let keeping = tokio::spawn(async move { keeper.run(&mut ears).await });
        let mut progress = Progress::new(name);
        let settled = self.settle(&mut status, is_owned, &mut progress);
        let last = tokio::select! {
            settled = timeout(limit, settled) => settled.ok().flatten(),
            () = told.wait() => None,
        };
        let last = last.unwrap_or_else(|| status.borrow().clone());
        stop.cancel();
        keeping.await.context("the target's keeper ended")?.let_go(false).await;
        if told.told {
            let again = hint::so("once", "goes on with what was begun");
            print::err(&format!("{name}: told to stop{again}"));
        }
        Ok(tell(name, &last))
    }

    /// Asks the sources once more. Answers whether there is another complete answer.
    async fn ask_again(&mut self) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        tokio::time::sleep(AGAIN).await;
        let (catalog, lost) = wiring::ask_all(self.config, self.store, self.to).await;
        self.to_keepers.send_replace(Arc::new(catalog));
        lost.is_empty()
    }

    /// Waits until nothing more changes, also by what guards hold back and the sources say again.
    async fn settle(
        &mut self,
        status: &mut watch::Receiver<TargetStatus>,
        owned: bool,
        progress: &mut Progress,
    ) -> Option<TargetStatus> {
        let mut last = progress.wait_for(status, |status| is_over(status, owned)).await?;
        // What no answer ends is not asked for again.
        let may_end =
            |backend: &BackendStatus| backend.hold.as_ref().is_some_and(|hold| hold.guard.judges_loss());
        while last.backends.values().any(may_end) && self.ask_again().await {
            let is_judged = |status: &TargetStatus| {
                let mut pairs = status.backends.iter().map(|(name, now)| (last.backends.get(name), now));
                pairs
                    .all(|(before, now)| !may_end(now) || before.is_none_or(|before| before.hold != now.hold))
            };
            last = progress.wait_for(status, |status| is_over(status, owned) && is_judged(status)).await?;
        }
        Some(last)
    }
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
    backend.pending > 0 || backend.servers.values().any(|standing| standing.status.is_moving())
}

/// Says what was not done; answers whether everything was.
fn tell(target: &TargetName, status: &TargetStatus) -> bool {
    let mut done = true;
    let mut say = |text: String| {
        print::err(&text);
        done = false;
    };
    if status.trouble.is_none() && !status.synced {
        say(format!(
            "{target}: HAProxy does not show what is wanted{}",
            hint::so("plan", "shows what is left")
        ));
    }
    for left_out in status.own.iter().flat_map(|own| &own.left_out) {
        say(format!("{target}: {left_out}"));
    }
    status.left_out.iter().for_each(|left_out| say(format!("{target}: {left_out}")));
    let is_owned = status.own.is_some();
    for (backend, status) in &status.backends {
        if status.missing && is_owned {
            // Why was told when it was met.
            say(format!("{target}: HAProxy has no backend {backend} yet"));
        } else if status.missing {
            say(format!(
                "{target}: HAProxy has no backend {backend}; add it to its configuration, or change `expose`"
            ));
        }
        if is_moving(status) {
            let status = hint::so("status", "shows what it waits for");
            say(format!("{target} {backend}: not finished{status}"));
        }
        if let Some(hold) = &status.hold {
            let release = hint::so(format_args!("release {backend}"), "lets it through");
            say(format!("{target} {backend}: held back: {hold}{release}"));
        }
        for note in &status.notes {
            let text = format!("{target} {backend}: {}", hint::noted(note));
            if note.is_lack() { say(text) } else { print::err(&text) }
        }
    }
    // The trouble itself was told when it was met.
    done && status.trouble.is_none()
}
