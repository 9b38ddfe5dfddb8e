//! Noticing at once that another process serves.
//!
//! A restart makes the socket's file anew. A reload by HAProxy's master does not: the new worker inherits the listening
//! socket, and no file changes. But the master executes HAProxy's program again and then has one more worker. So the
//! program's file is watched, and the master's workers are looked at once that file was opened. Where the processes
//! cannot be seen (a stats socket on TCP, another pid namespace, a `/proc` with `hidepid`, no master at all), HAProxy is
//! asked every [`UNSEEN`] instead.
//!
//! All of it only saves time: whoever keeps the target asks from time to time in any case.

mod master;

use std::path::Path;
use std::time::Duration;

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use roster_core::applied::ProcessId;
use roster_haproxy::cli::ProcessInfo;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;
use tracing::debug;

use self::master::{Master, Worker};
use super::batch::Batch;
use super::session::Limits;
use super::socket::SocketAddress;

/// How often HAProxy is asked where its processes cannot be seen.
const UNSEEN: Duration = Duration::from_millis(250);
/// The pauses between two looks at the master's workers: HAProxy has some milliseconds of work before it has a new one,
/// with a large configuration seconds.
const LOOKS: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(50));
/// How long a new worker is looked for after HAProxy's program was opened.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a new worker may take to serve: from 3.1 on it reads the configuration itself.
const TAKEOVER: Duration = Duration::from_mins(1);

/// Watches a HAProxy until dropped.
#[derive(Debug)]
pub struct Watching {
    _socket: Option<RecommendedWatcher>,
    _process: AbortOnDropHandle<()>,
}

/// Asks which process serves, and signs when it is another one.
struct Watch {
    address: SocketAddress,
    limits: Limits,
    sign: mpsc::Sender<()>,
    known: Option<ProcessId>,
    /// A worker that did not come to serve.
    futile: Option<Worker>,
}

/// Pauses that grow.
struct Pauses(Duration);

impl Watching {
    pub(super) fn start(address: SocketAddress, limits: Limits, sign: mpsc::Sender<()>) -> Self {
        let socket = match &address {
            SocketAddress::Unix(path) => watch_socket(path, sign.clone()),
            SocketAddress::Tcp(_) => None,
        };
        let watch = Watch { address, limits, sign, known: None, futile: None };
        Self { _socket: socket, _process: AbortOnDropHandle::new(tokio::spawn(watch.run())) }
    }
}

impl Watch {
    async fn run(mut self) {
        loop {
            let master = self.ask().await.and_then(|process| Master::of(&process));
            let Some(mut master) = master else {
                sleep(UNSEEN).await;
                continue;
            };
            if let Some(worker) = self.new_worker(&mut master).await {
                self.take_over(&master, worker).await;
            }
        }
    }

    /// Asks which process serves.
    async fn ask(&mut self) -> Option<ProcessInfo> {
        // What is wrong is reported by whoever keeps the target.
        let process = Batch::new(&[]).run(&self.address, &self.limits).await.ok()?.process;
        let before = self.known.replace(ProcessId::from(&process));
        if before.is_some() && before != self.known {
            // One sign that waits is enough.
            self.sign.try_send(()).ok();
        }
        Some(process)
    }

    /// Waits until HAProxy's program is opened and the master then has a worker more. The program is opened for other
    /// reasons too, such as `haproxy -c`.
    async fn new_worker(&self, master: &mut Master) -> Option<Worker> {
        let newer = |master: &Master| master.newer_worker().filter(|worker| self.futile != Some(*worker));
        if let Some(worker) = newer(master) {
            // It came before the program was watched.
            return Some(worker);
        }
        master.opened().await;
        let (mut until, mut pauses) = (Instant::now() + PATIENCE, Pauses(LOOKS.0));
        while Instant::now() < until {
            if let Some(worker) = newer(master) {
                return Some(worker);
            }
            if timeout(pauses.next(), master.opened()).await.is_ok() {
                (until, pauses) = (Instant::now() + PATIENCE, Pauses(LOOKS.0));
            }
        }
        None
    }

    /// Asks until the new worker serves, or is gone.
    async fn take_over(&mut self, master: &Master, worker: Worker) {
        let (until, mut pauses) = (Instant::now() + TAKEOVER, Pauses(LOOKS.0));
        let before = self.known;
        while self.known == before && master.newer_worker() == Some(worker) && Instant::now() < until {
            sleep(pauses.next()).await;
            self.ask().await;
        }
        self.futile = (self.known == before).then_some(worker);
    }
}

impl Pauses {
    fn next(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (pause * 11 / 10).min(LOOKS.1);
        pause
    }
}

/// Watches the folder of a socket's path and gives a sign whenever the path itself is made or replaced. Nothing is
/// returned where the folder cannot be watched.
fn watch_socket(path: &Path, sign: mpsc::Sender<()>) -> Option<RecommendedWatcher> {
    let socket = path.to_owned();
    watch(path.parent()?, move |event| {
        if !event.kind.is_access() && event.paths.contains(&socket) {
            sign.try_send(()).ok();
        }
    })
}

/// Calls `happened` for each event of this file or of what stands in this folder, until what is returned is dropped.
fn watch(path: &Path, happened: impl Fn(&Event) + Send + 'static) -> Option<RecommendedWatcher> {
    let handle = move |event: Result<Event, notify::Error>| event.iter().for_each(&happened);
    let started = notify::recommended_watcher(handle).and_then(|mut watcher| {
        watcher.watch(path, RecursiveMode::NonRecursive)?;
        Ok(watcher)
    });
    started
        .inspect_err(|error| debug!(path = %path.display(), "not watched, HAProxy is asked instead: {error}"))
        .ok()
}
