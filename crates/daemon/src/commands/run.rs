//! `roster run`: the daemon.

mod parts;

use std::collections::BTreeMap;

use roster_config::native::Config;
use roster_haproxy::name::TargetName;
use roster_targets::managed::process::{GRACE, is_first_process, reap_orphans};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use self::parts::Parts;
use super::Given;
use crate::admin::{Admin, Bound};
use crate::claims::Claims;
use crate::events::{Reporter, chain};
use crate::exit::{Exit, Failure};
use crate::overview::{RefusedConfig, Running};
use crate::store::StoreError;
use crate::supervise::{Task, Tasks, stopped};
use crate::wiring::Reached;
use crate::{clock, wiring};

/// A configuration that everything was found for.
struct Ready {
    config: Config,
    targets: BTreeMap<TargetName, Reached>,
    roster: Running,
}

/// Takes in the processes that lose their parent.
struct Reaping(CancellationToken);

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

    /// Does something before the work begins or goes on; none if Roster is told to stop meanwhile.
    async fn unless_stopped<T>(&mut self, doing: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            _ = self.terminate.recv() => None,
            _ = self.interrupt.recv() => None,
            done = doing => Some(done),
        }
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
    let mut signals = Signals::new().map_err(anyhow::Error::from)?;
    let roster = given.running();
    let Some(config) = signals.unless_stopped(given.config.load_apart()).await else { return Ok(Exit::Done) };
    let config = config?;
    let log = crate::telemetry::start(config.log, given.log_format);
    crate::telemetry::log_panics();
    let over = CancellationToken::new();
    let writing = tokio::spawn(log.serve(over.clone()));
    let reporter = Reporter::default();
    let tasks = Tasks::new(&reporter);
    if is_first_process() {
        // In a container whoever loses its parent becomes Roster's child.
        tasks.spawn("reaper".to_owned(), &over, Reaping(over.clone()));
    }
    let kept = keep(given, config, roster, signals, &tasks, &reporter).await;
    over.cancel();
    // What it had still to write it writes however it ends.
    writing.await.ok();
    kept
}

async fn keep(
    given: &Given,
    config: Config,
    roster: Running,
    mut signals: Signals,
    tasks: &Tasks,
    reporter: &Reporter,
) -> Result<Exit, Failure> {
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
    let mut admin = Admin::start(store, config.admin, reporter, tasks).await.map_err(anyhow::Error::from)?;
    let mut parts = Parts::start(Ready { config, targets, roster }, store, reporter, tasks);
    admin.show(parts.live());
    let given_up = loop {
        let told = tokio::select! {
            told = signals.next() => told,
            why = tasks.given_up() => break Some(why),
        };
        match told {
            Told::Stop => break None,
            Told::Reload => match signals.unless_stopped(read_again(given, &claims, &admin)).await {
                None => break None,
                Some(Ok((ready, taken, bound))) => {
                    parts.change(ready).await;
                    claims = taken;
                    admin.listen(bound);
                    admin.show(parts.live());
                    info!("the configuration was read again");
                }
                Some(Err(failure)) => {
                    reporter.metrics().config_refused();
                    admin.refused(RefusedConfig { at: clock::wall(), why: failure.to_string() });
                    error!("the configuration stays as it was: {failure}");
                }
            },
        }
    };
    info!("stopping");
    // A mistake in Roster ends no HAProxy.
    parts.stop(given_up.is_none()).await;
    admin.stop().await;
    given_up.map_or(Ok(Exit::Done), |why| Err(anyhow::anyhow!("{why}").into()))
}

impl Task for Reaping {
    type Left = ();

    async fn run(&mut self) -> Result<(), String> {
        reap_orphans(GRACE, self.0.clone()).await.map_err(|error| chain(&error))?;
        stopped((), &self.0)
    }
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
    let config = given.config.load_apart().await?;
    let taken = claims.take(&config).await?;
    let targets = wiring::targets(&config).await?;
    let bound = admin.bind(config.admin).await.map_err(anyhow::Error::from)?;
    Ok((Ready { config, targets, roster }, taken, bound))
}
