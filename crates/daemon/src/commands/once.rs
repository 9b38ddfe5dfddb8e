//! `roster once`: bring the targets to what the sources say now, and end.

use std::time::Duration;

use roster_core::plan::Status;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{print, recorded, rules};
use crate::cli::OnceArgs;
use crate::events::Reporter;
use crate::exit::{Exit, Failure};
use crate::keeper::{BackendStatus, Ears, Keeper, TargetStatus};
use crate::wiring::{self, Reached};

/// Brings every target to what is wanted and waits until HAProxy shows it, drained servers and fresh ones included.
pub(crate) async fn once(args: &OnceArgs) -> Result<Exit, Failure> {
    let config = wiring::load(&args.common.config)?;
    let store = wiring::store(args.common.state_dir.as_deref())?;
    let _held = store.hold().map_err(|error| Failure::Usage(error.to_string()))?;
    let to = Reporter::default();
    let (catalog, lost) = wiring::ask_all(&config, &store, &to).await;
    for (name, state) in catalog.sources().filter(|(_, state)| !state.from_disk) {
        if let Some(Err(error)) = state.last_good.as_ref().map(|answer| store.keep_last_good(name, answer)) {
            wiring::told(&error, &to);
        }
    }
    let (_keep, catalog) = watch::channel(std::sync::Arc::new(catalog));
    let limit = Duration::from_secs(args.timeout);
    let mut exit = if lost.is_empty() { Exit::Done } else { Exit::Failed };
    for (name, reach) in &config.targets {
        let Reached { target, poll, file } = wiring::target(&config, name, reach).await?;
        let (tasks, is_owned) = (TaskTracker::new(), file.is_some());
        let own = file.map(|file| file.owner(name, None, &store, &to, &tasks));
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
        let waited = tokio::time::timeout(limit, status.wait_for(|status| is_over(status, is_owned))).await;
        let last = waited.ok().and_then(Result::ok).map(|status| status.clone());
        let last = last.unwrap_or_else(|| status.borrow().clone());
        stop.cancel();
        keeping.await.map_err(anyhow::Error::from)?.let_go(false).await;
        if !tell(name.as_str(), &last) {
            exit = Exit::Failed;
        }
    }
    Ok(exit)
}

/// Whether nothing more will change by itself. Where Roster owns HAProxy, what is missing comes by a reload.
fn is_over(status: &TargetStatus, owned: bool) -> bool {
    let moves = |backend: &BackendStatus| is_moving(backend) || (owned && backend.missing);
    let settles = status.own.as_ref().is_some_and(|own| own.settles);
    let moves = settles || status.backends.values().any(moves);
    status.trouble.is_some() || (status.stuck && !settles) || (status.synced && !moves)
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
