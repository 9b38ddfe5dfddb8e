//! HAProxy's master as `/proc` shows it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::RecommendedWatcher;
use roster_haproxy::cli::ProcessInfo;
use tokio::sync::mpsc;

use crate::proc_stat::Stat;

/// By how much a process may be older than it says: it says whole seconds.
const OLDER: Duration = Duration::from_secs(2);
/// By how much it may be younger than it says: up to 3.0 the master reads the configuration, and only then is there a
/// worker, which counts from before.
const YOUNGER: Duration = Duration::from_mins(5);

/// The master of the worker that serves.
pub(super) struct Master {
    pid: u32,
    name: String,
    /// When the worker that serves started.
    serving_since: u64,
    opened: mpsc::Receiver<()>,
    _program: RecommendedWatcher,
}

/// A process for good: its number and when it started.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Worker {
    pid: u32,
    started: u64,
}

impl Master {
    /// The master of this process, if both can be seen and there is one.
    pub(super) fn of(process: &ProcessInfo) -> Option<Self> {
        let worker = Stat::of(process.pid)?;
        // In another pid namespace the number is another process's here, which hardly started at the same time.
        let age = worker.age()?;
        if age > process.uptime + OLDER || process.uptime > age + YOUNGER {
            return None;
        }
        let (pid, name) = (worker.parent, name(process.pid)?);
        // Without a master the parent is whatever started HAProxy.
        if self::name(pid)? != name {
            return None;
        }
        let (sign, opened) = mpsc::channel(1);
        let program = super::watch(&program(pid)?, move |_| {
            // One sign that waits is enough.
            sign.try_send(()).ok();
        });
        Some(Self { pid, name, serving_since: worker.started, opened, _program: program? })
    }

    /// Waits until HAProxy's program is opened, as the master does for a reload, or replaced.
    pub(super) async fn opened(&mut self) {
        if self.opened.recv().await.is_none() {
            // The watcher is there for as long as this is, so nothing can come any more.
            std::future::pending::<()>().await;
        }
    }

    /// A worker that started after the one that serves. The master's other children, the `program` sections, have other
    /// names.
    pub(super) fn newer_worker(&self) -> Option<Worker> {
        // The main thread of a master starts all workers. `/proc` does not wait for a disk.
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.pid)).ok()?;
        let started =
            |pid: u32| Some(Worker { pid, started: Stat::of(pid).filter(|stat| !stat.is_zombie)?.started });
        let workers = children.split_ascii_whitespace().filter_map(|pid| started(pid.parse().ok()?));
        let newer = workers.filter(|worker| worker.started > self.serving_since);
        newer
            .max_by_key(|worker| worker.started)
            .filter(|worker| name(worker.pid).as_ref() == Some(&self.name))
    }
}

fn name(pid: u32) -> Option<String> {
    fs::read_to_string(format!("/proc/{pid}/comm")).ok()
}

/// The file that a process executes again on a reload.
fn program(pid: u32) -> Option<PathBuf> {
    let process = Path::new("/proc").join(pid.to_string());
    if let Ok(link) = fs::read_link(process.join("exe")) {
        // Since a package was installed the program may be another file, of the same name.
        let path = link.to_string_lossy().trim_end_matches(" (deleted)").trim_start_matches('/').to_owned();
        // In another mount namespace the path leads there.
        return Some(process.join("root").join(path)).filter(|path| path.exists());
    }
    // Another user's process hides that file, but not its first word.
    let words = fs::read(process.join("cmdline")).ok()?;
    let first = words.split(|byte| *byte == 0).next()?;
    let path = PathBuf::from(String::from_utf8(first.to_vec()).ok()?);
    (path.is_absolute() && path.is_file()).then_some(path)
}
