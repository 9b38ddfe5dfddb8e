//! HAProxy's check of a new file, beside everything else: servers and routes are kept while it runs.
//!
//! Invariants:
//! - What passed is written only where it would say the same now, but for what a running HAProxy takes live.
//! - A check that does not end is killed at its limit, and reported before; the next one has longer, up to a minute.
//! - None goes on once nobody waits for it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use roster_haproxy::render::{FileKind, Rendered, Structure};
use roster_targets::managed::file::{ConfigFiles, FileError};
use tokio::task::JoinHandle;

use crate::clock::{self, after, doubled};
use crate::supervise;

/// How long the first check may take, and any.
const LIMITS: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(60));
/// When one that goes on is reported.
const LONG: Duration = Duration::from_secs(3);
/// After so many checks of files that were no longer wanted as they were, the next is waited for.
const MOST_IN_VAIN: u32 = 2;

/// The check that runs, or whose outcome is not yet used.
#[derive(Debug, Default)]
pub(super) struct Check {
    stage: Stage,
    in_vain: u32,
    /// Checks that did not end, one after the other.
    late: u32,
}

#[derive(Debug, Default)]
enum Stage {
    #[default]
    None,
    Running(Running),
    Done(Judged, Result<(), FileError>),
}

#[derive(Debug)]
struct Running {
    judged: Judged,
    since: Timestamp,
    is_reported: bool,
    wanted: Wanted,
    work: JoinHandle<Result<(), FileError>>,
}

/// What a check is about.
#[derive(Debug, Eq, PartialEq)]
struct Judged {
    structure: Structure,
    crt_lists: Vec<String>,
    inherited: BTreeSet<i32>,
}

/// What is known of a file.
#[derive(Debug)]
pub(super) enum Verdict {
    /// HAProxy takes it.
    Passed,
    /// It does not, or cannot say.
    Failed(FileError),
    /// It is being asked.
    Awaited,
    /// It was asked in vain too often: the file changes faster than it is checked.
    Unknown,
}

impl Judged {
    fn of(rendered: &Rendered, files: &ConfigFiles) -> Self {
        let lists = rendered.files.iter().filter(|file| file.kind == FileKind::CrtList);
        Self {
            structure: rendered.structure.clone(),
            crt_lists: lists.map(|file| file.text.clone()).collect(),
            inherited: files.inherited.iter().map(|inherited| inherited.number).collect(),
        }
    }
}

impl Check {
    /// What HAProxy says of a file; it is asked if it was not.
    pub(super) fn verdict(&mut self, rendered: &Rendered, mut files: ConfigFiles, now: Timestamp) -> Verdict {
        let judged = Judged::of(rendered, &files);
        match std::mem::take(&mut self.stage) {
            Stage::Done(about, outcome) if about == judged => {
                self.in_vain = 0;
                return outcome.map_or_else(Verdict::Failed, |()| Verdict::Passed);
            }
            Stage::Done(..) => self.in_vain += 1,
            running @ Stage::Running(_) => {
                self.stage = running;
                return Verdict::Awaited;
            }
            Stage::None => {}
        }
        if self.in_vain > MOST_IN_VAIN {
            self.in_vain = 0;
            return Verdict::Unknown;
        }
        files.limit = self.limit();
        let wanted = Wanted(Arc::clone(&files.cancelled));
        let rendered = rendered.clone();
        let work = tokio::task::spawn_blocking(move || files.check_beforehand(&rendered));
        self.stage = Stage::Running(Running { judged, since: now, is_reported: false, wanted, work });
        Verdict::Awaited
    }

    /// How long the next check may take.
    pub(super) fn limit(&self) -> Duration {
        doubled(LIMITS, self.late)
    }

    /// Waits for the end of the check that runs; for ever where none does.
    pub(super) async fn ended(&mut self) {
        let Stage::Running(running) = &mut self.stage else { return std::future::pending().await };
        let outcome = supervise::joined(&mut running.work).await;
        let is_late = matches!(outcome, Err(FileError::TimedOut { .. }));
        self.late = if is_late { self.late.saturating_add(1) } else { 0 };
        if let Stage::Running(running) = std::mem::take(&mut self.stage) {
            self.stage = Stage::Done(running.judged, outcome);
        }
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.stage, Stage::Running(_))
    }

    /// Whether an outcome waits to be used.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done(..))
    }

    /// An outcome that was not used is of a file that is not wanted any more.
    pub(super) fn forget_outcome(&mut self) {
        if self.is_done() {
            self.stage = Stage::None;
        }
    }

    /// When to look at it: at once where it is done, and where it goes on for long.
    pub(super) fn wake(&self) -> Option<Timestamp> {
        match &self.stage {
            Stage::None => None,
            Stage::Running(running) => (!running.is_reported).then(|| after(running.since, LONG)),
            Stage::Done(..) => Some(Timestamp::UNIX_EPOCH),
        }
    }

    /// What is to be reported of one that goes on for long, once.
    pub(super) fn is_long(&mut self, now: Timestamp) -> Option<String> {
        let limit = self.limit();
        let Stage::Running(running) = &mut self.stage else { return None };
        let is_long = !running.is_reported && after(running.since, LONG) <= now;
        running.is_reported |= is_long;
        is_long.then(|| {
            let again = clock::until(after(running.since, limit));
            format!(
                "HAProxy's check of the new file takes longer than {LONG:?}; it is killed in {}s if it does not end",
                again.as_secs()
            )
        })
    }

    /// Ends the check that runs.
    pub(super) async fn cancel(&mut self) {
        if let Stage::Running(running) = std::mem::take(&mut self.stage) {
            drop(running.wanted);
            running.work.await.ok();
        }
    }
}

/// Ends its check when dropped.
#[derive(Debug)]
struct Wanted(Arc<AtomicBool>);

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
