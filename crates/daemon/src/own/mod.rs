//! A HAProxy that Roster owns: its file, its process and, where wanted, its listening sockets.
//!
//! The keeper goes on keeping servers through the runtime socket. What only a reload brings is done here: changes are
//! gathered for a moment, written, checked, and taken in by one reload. Invariants:
//! - The file on disk is what runs. What HAProxy refuses is put aside, and what ran goes on.
//! - HAProxy is not started, and its file not touched, before every source has spoken; but a file that Roster wrote is
//!   started from at once.
//! - Over a reload of ours nothing of the servers' state is lost: it goes through a state file.

mod book;
mod budget;
mod certificates;
mod change;
mod check;
mod compact;
mod document;
mod dynamic;
mod file;
mod left_out;
mod live;
mod look;
mod ports;
mod retry;
mod routing;
mod sockets;
mod state;
mod steward;
mod tell;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use roster_config::native::{AtExit, ManagedProcess, ManagedReach};
use roster_core::agenda::Agenda;
use roster_core::applied::ProcessId;
use roster_core::exposure::Layout;
use roster_core::layout::Lines;
use roster_files::Apart;
use roster_haproxy::name::{BackendName, TargetName};
use roster_haproxy::render::{Profile, Section, Structure};
use roster_haproxy::version::Version;
use roster_targets::managed::Environment;
use roster_targets::managed::file::Record;
use roster_targets::managed::listen::Held;
use roster_targets::managed::process::{Adoptable, Patience, ProcessError, Program};

pub(crate) use book::Book;
pub(crate) use budget::Budget;
use certificates::{Certificates, Looked};
pub(crate) use change::Changed;
pub(crate) use retry::{Retry, Topic};
use steward::{Began, Steward};
pub(crate) use tell::{OwnStatus, Preview};

use crate::clock;
use crate::events::{Event, OwnTrouble, Reporter, StartFailed};
use crate::store::Store;
use crate::supervise::Tasks;
use crate::wiring::Owned;

/// How long after a change of servers the file follows; a crash before that starts with what was there a moment ago.
const FILE_AFTER: Duration = Duration::from_millis(300);

/// The first HAProxy whose master calls a reload good only once the new worker has started.
const WORKER_STARTS_BEFORE_THE_WORD: Version = Version::new(3, 1, 0);
/// How long the new worker of an older one is watched.
const SETTLE: Duration = Duration::from_millis(250);

/// One HAProxy that Roster owns.
#[derive(Debug)]
pub(crate) struct Own {
    name: TargetName,
    reach: ManagedReach,
    store: Store,
    reporter: Reporter,
    steward: Steward,
    book: Book,
    version: Version,
    held: Held,
    /// The servers of each backend as they last ran.
    lines: Lines,
    /// How each backend is written, also while its service leaves.
    layouts: BTreeMap<BackendName, Arc<Layout>>,
    /// Sections that HAProxy refused, as they were; they are left out until they change.
    refused: BTreeMap<BackendName, Vec<Section>>,
    /// What is not in the file though it is wanted, and why, as of the last look.
    told_left_out: Vec<String>,
    /// Where HAProxy could not listen.
    unbound: ports::Failed,
    check: check::Check,
    certificates: Certificates,
    /// A look at their files that takes long.
    looking: Option<Apart<Looked>>,
    /// What of routes and certificates HAProxy's commands could not bring.
    left_to_reload: BTreeSet<String>,
    /// Backends that this process could not be given.
    not_live: BTreeSet<BackendName>,
    /// What backends may look like that come later.
    profiles: Vec<Profile>,
    budget: Budget,
    /// What waits for a reload, and until when.
    due: Option<Due>,
    file_due: Option<Timestamp>,
    /// When HAProxy is to be asked for its routes and certificates.
    live_due: Option<Timestamp>,
    /// When a backend that was added while HAProxy runs can take requests.
    publish_due: Option<Timestamp>,
    heard: bool,
    /// Whether there is a process to follow, be it down for the moment.
    followed: bool,
    /// Whether something changed that may need a reload.
    doubtful: bool,
    retry: Retry,
    seen_times: u64,
    /// What the file on the disk would have a process take in, where this Roster wrote it.
    written: Option<Structure>,
    /// A process that others made serve.
    stranger: Option<u32>,
    /// When it is to be found out what that process has read.
    stranger_due: Option<Timestamp>,
}

/// Changes that wait for one another.
#[derive(Clone, Copy, Debug)]
struct Due {
    since: Timestamp,
    at: Timestamp,
}

impl Own {
    /// Nothing is started yet. `known` is what a configuration before this one left, if there was one.
    pub(crate) fn new(
        name: &TargetName,
        owned: Owned,
        known: Option<Book>,
        store: &Store,
        reporter: &Reporter,
        tasks: &Tasks,
    ) -> Self {
        let book = known.or_else(|| {
            let kept = store.own(name);
            kept.inspect_err(|error| crate::wiring::told(error, reporter)).ok().flatten()
        });
        let Owned { reach, version, profiles } = owned;
        let budget = Budget::new(reach.max_reloads);
        let lists = reach.frontends.iter().flat_map(|frontend| &frontend.certificates);
        let certificates = Certificates::new(lists.cloned());
        let mut book = book.unwrap_or_default();
        if book.file.as_ref().is_some_and(Record::is_unsettled) {
            // Roster ended before it knew which file HAProxy took in.
            book.structure = None;
        }
        Self {
            name: name.clone(),
            steward: Steward::start(name.clone(), reporter.clone(), tasks),
            reach,
            store: store.clone(),
            reporter: reporter.clone(),
            book,
            version,
            held: Held::default(),
            lines: Lines::new(),
            layouts: BTreeMap::new(),
            refused: BTreeMap::new(),
            told_left_out: Vec::new(),
            unbound: ports::Failed::default(),
            check: check::Check::default(),
            certificates,
            looking: None,
            left_to_reload: BTreeSet::new(),
            not_live: BTreeSet::new(),
            profiles,
            budget,
            due: None,
            file_due: None,
            live_due: None,
            publish_due: None,
            heard: false,
            followed: false,
            doubtful: true,
            retry: Retry::default(),
            seen_times: 0,
            written: None,
            stranger: None,
            stranger_due: None,
        }
    }

    /// Adopts the HAProxy that runs, or starts one from the file that Roster wrote last.
    pub(crate) async fn begin(&mut self) {
        self.look_at_certificates(clock::now()).await;
        if !self.book.file.as_ref().is_some_and(Record::is_unsettled) {
            self.forget_state().await;
        }
        self.recover().await;
        let Some(program) = self.program() else { return };
        let ours = self.book.structure.is_some() && self.reach.config.exists();
        if self.book.master.is_none() && !ours {
            return;
        }
        match self.steward.begin(program, self.book.master).await {
            Ok(began) => {
                self.followed = true;
                if began == Began::Adopted {
                    tracing::info!(target = %self.name, "HAProxy runs already and goes on");
                }
            }
            Err(error) => self.not_started(&error, clock::now()),
        }
    }

    /// Whether there is a HAProxy to speak to.
    pub(crate) fn is_up(&self) -> bool {
        matches!(self.reach.process, ManagedProcess::External { .. })
            || self.steward.running().master.is_some()
    }

    /// Waits until the process began to serve or ended. Answers whether it serves.
    pub(crate) async fn changed(&mut self) -> bool {
        loop {
            tokio::select! {
                () = self.steward.changed() => {}
                () = self.check.ended() => {
                    self.retry.is_over(Topic::Check, |_| false);
                    return false;
                }
            }
            let running = self.steward.running();
            self.note_master(running.master);
            if running.times != self.seen_times || running.master.is_none() {
                self.seen_times = running.times;
                if running.master.is_none() {
                    // Whoever ended it may have changed its file too, from which it is about to be started again.
                    self.file_due = Some(clock::now());
                    self.unbound.haproxy_ended();
                }
                return running.master.is_some();
            }
        }
    }

    /// Takes in which master runs. Of another one than before nothing is known of which worker has Roster's file.
    fn note_master(&mut self, master: Option<Adoptable>) {
        if master.is_some() && master != self.book.master {
            (self.book.master, self.book.worker) = (master, None);
            self.keep_book();
        }
    }

    /// Takes in what is wanted. `complete` says whether every source has spoken.
    pub(crate) fn hear(&mut self, before: &Agenda, agenda: &Agenda, complete: bool, now: Timestamp) {
        if self.reroutes(before, agenda) {
            self.live_due = Some(now);
            self.file_due = self.file_due.or(Some(clock::after(now, FILE_AFTER)));
        }
        self.doubtful |= complete && !self.heard;
        self.heard |= complete;
        for (backend, item) in &agenda.items {
            if let Some(layout) = &item.exposure.layout {
                let before = self.layouts.insert(backend.clone(), layout.clone());
                self.doubtful |= before.is_none_or(|before| before != *layout);
            }
        }
        let count = self.layouts.len();
        self.layouts.retain(|backend, _| agenda.items.contains_key(backend));
        self.doubtful |= self.layouts.len() != count;
        self.lines.retain(|backend, _| agenda.items.contains_key(backend));
        self.refused.retain(|backend, _| agenda.items.contains_key(backend));
        self.look(agenda, now);
    }

    /// Takes in which process shows itself.
    pub(crate) fn seen(&mut self, process: ProcessId, now: Timestamp) {
        let running = self.steward.running();
        if running.master.is_none() || self.stranger == Some(process.pid) {
            return;
        }
        self.note_master(running.master);
        match self.book.worker.or(running.worker) {
            Some(worker) if worker != process.pid => {
                self.stranger = Some(process.pid);
                self.stranger_due = Some(now);
            }
            _ if self.book.worker.is_none() => {
                self.book.worker = Some(process.pid);
                self.keep_book();
            }
            _ => {}
        }
    }

    /// Takes in what the servers of these backends are now.
    pub(crate) fn ran(&mut self, lines: Lines, now: Timestamp) {
        let differs = lines.iter().any(|(backend, lines)| self.lines.get(backend) != Some(lines));
        if self.can_publish(&lines) {
            self.publish_due = Some(now);
        }
        if differs {
            let fixed = |backend: &BackendName| {
                self.layouts.get(backend).is_some_and(|layout| !layout.balance.takes_servers_live())
            };
            let first = lines.keys().any(|backend| !self.lines.contains_key(backend));
            self.doubtful |= first || lines.keys().any(fixed);
            self.lines.extend(lines);
            self.file_due = self.file_due.or(Some(clock::after(now, FILE_AFTER)));
        }
    }

    /// How HAProxy is started, where Roster starts it.
    fn program(&self) -> Option<Program> {
        let ManagedProcess::Own { master_socket, output, .. } = &self.reach.process else { return None };
        let (binary, config) = (&self.reach.haproxy, &self.reach.config);
        let mut program = Program::new(binary, config, master_socket.as_str(), output);
        program.stats_sockets = vec![self.stats_socket()];
        program.environment = self.environment();
        program.inherited = self.held.inherited();
        if self.version < WORKER_STARTS_BEFORE_THE_WORD {
            program.limits.settle = SETTLE;
        }
        Some(program)
    }

    /// What HAProxy and the program that reloads it get of Roster's environment.
    fn environment(&self) -> Environment {
        Environment { passed: self.reach.pass_environment.iter().map(|name| name.as_str().into()).collect() }
    }

    fn stats_socket(&self) -> PathBuf {
        Path::new(self.reach.stats_socket.as_str()).to_owned()
    }

    fn keep_book(&self) {
        if let Err(error) = self.store.keep_own(&self.name, &self.book) {
            crate::wiring::told(&error, &self.reporter);
        }
    }

    /// Tells what is wrong, once until something goes well again.
    fn trouble(&self, what: &str) {
        if self.retry.is_news(what) {
            OwnTrouble { target: &self.name, what }.emit(&self.reporter);
        }
    }

    fn not_started(&mut self, error: &ProcessError, now: Timestamp) {
        let again = self.failed(now);
        if self.retry.is_news(&crate::events::chain(error)) {
            StartFailed { target: &self.name, error, retry_in: Some(again) }.emit(&self.reporter);
        }
    }

    /// What was tried is tried again, after a longer pause each time. Answers how long.
    fn failed(&mut self, now: Timestamp) -> Duration {
        let pause = self.retry.failed(now);
        self.doubtful = true;
        self.due = self.retry.not_before.map(|at| Due { since: now, at });
        pause
    }

    /// Lets go of HAProxy, or ends it, as the configuration says. Over a reading of the configuration it goes on.
    pub(crate) async fn end(mut self, agenda: &Agenda, for_good: bool) -> Book {
        self.check.cancel().await;
        if self.file_due.is_some() {
            self.write_file(agenda, clock::now()).await;
        }
        let at_exit = match &self.reach.process {
            ManagedProcess::Own { at_exit, .. } => *at_exit,
            ManagedProcess::External { .. } => AtExit::Keep,
        };
        if let (true, AtExit::Stop { graceful }) = (for_good, at_exit) {
            let Some(stopped) = self.steward.stop(Patience { graceful, ..Patience::default() }).await else {
                self.trouble(
                    "HAProxy was not ended, because Roster does not follow its process at the moment",
                );
                return self.book;
            };
            tracing::info!(target = %self.name, ?stopped, "HAProxy was ended");
            self.book.master = None;
            self.keep_book();
            if let ManagedProcess::Own { master_socket, .. } = &self.reach.process {
                // HAProxy leaves it behind; the next start would wait for somebody to answer there.
                std::fs::remove_file(master_socket.as_str()).ok();
            }
        }
        self.book
    }
}

/// The numbers of the sockets that a HAProxy inherits.
fn numbers(held: &Held) -> BTreeSet<i32> {
    held.inherited().iter().map(|inherited| inherited.number).collect()
}
