//! Reaping what nobody waits for, which is the first process's task (a container without an init of its own).
//!
//! Invariant: the status of a child that somebody in this process waits for is left to them. Those who wait do so within
//! milliseconds, so only who has been dead for a while is an orphan that was handed to this process.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::time::{Duration, Instant};

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::proc_stat::Stat;

/// How long a child may be dead before it counts as an orphan.
pub const GRACE: Duration = Duration::from_secs(10);

/// Whether this process is the one to which orphans are handed.
pub fn is_first_process() -> bool {
    std::process::id() == 1
}

/// Reaps orphans until it is stopped. To be run where [`is_first_process`] says so; anywhere else it finds nothing.
///
/// # Errors
/// Signals cannot be received.
pub async fn reap_orphans(grace: Duration, stop: CancellationToken) -> io::Result<()> {
    let mut ended = signal(SignalKind::child())?;
    let mut dead = BTreeMap::new();
    loop {
        look(&mut dead, grace, Instant::now());
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = ended.recv() => {}
            () = sleep(grace), if !dead.is_empty() => {}
        }
    }
}

/// Reaps those that were dead at an earlier look already, long enough ago.
fn look(dead: &mut BTreeMap<u32, Instant>, grace: Duration, now: Instant) {
    if !has_dead_child() {
        dead.clear();
        return;
    }
    let found = dead_children();
    dead.retain(|pid, _| found.contains(pid));
    for pid in found {
        let since = *dead.entry(pid).or_insert(now);
        if now.saturating_duration_since(since) >= grace {
            debug!(pid, "reaped an orphan");
            reap(pid);
            dead.remove(&pid);
        }
    }
}

/// Asks the kernel without taking the status away.
fn has_dead_child() -> bool {
    let peek = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    matches!(waitid(WaitId::All, peek), Ok(Some(_)))
}

/// All of them: the kernel itself shows only the first, which may be one that somebody waits for.
fn dead_children() -> Vec<u32> {
    let own = std::process::id();
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|&pid| Stat::of(pid).is_some_and(|stat| stat.is_zombie && stat.parent == own))
        .collect()
}

fn reap(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // Fails if its owner came after all.
        waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG).ok();
    }
}
