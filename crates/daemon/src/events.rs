//! What is worth telling: one struct for each fact, told in one place, in one line.

use std::time::Duration;

use jiff::Timestamp;
use roster_core::applied::ProcessId;
use roster_core::guard::Hold;
use roster_core::haproxy::known::known;
use roster_core::haproxy::{Refusal, Version};
use roster_core::instance::{Snapshot, SourceError};
use roster_core::name::{BackendName, ServiceKey, SourceName, TargetName};
use roster_core::plan::{Note, Operation};
use roster_core::select::Unexposed;
use tracing::{debug, error, info, warn};

use crate::store::StoreError;

/// A fact that is told.
pub(crate) trait Event {
    /// Tells it.
    fn emit(self);
}

/// An operation was carried out and taken by HAProxy.
pub(crate) struct Changed<'a> {
    pub target: &'a TargetName,
    pub operation: &'a Operation,
}

/// An operation was refused by HAProxy.
pub(crate) struct ChangeRefused<'a> {
    pub target: &'a TargetName,
    pub operation: &'a Operation,
    pub refusal: &'a Refusal,
}

/// A pass with changes is over and the read-back agrees.
pub(crate) struct Converged<'a> {
    pub target: &'a TargetName,
    pub operations: usize,
    pub backends: usize,
    pub took: Duration,
}

/// HAProxy shows something else than was wanted, however often it was told.
pub(crate) struct NotConverged<'a> {
    pub target: &'a TargetName,
    pub left: usize,
}

/// Another process serves.
pub(crate) struct ProcessReplaced<'a> {
    pub target: &'a TargetName,
    pub before: ProcessId,
    pub after: ProcessId,
}

/// A target cannot be read or written.
pub(crate) struct TargetLost<'a> {
    pub target: &'a TargetName,
    pub error: &'a (dyn std::error::Error + 'static),
    pub again: Duration,
    /// Whether it was told before.
    pub repeated: bool,
}

/// A target answers again.
pub(crate) struct TargetBack<'a> {
    pub target: &'a TargetName,
}

/// A backend that services want is not there.
pub(crate) struct BackendMissing<'a> {
    pub target: &'a TargetName,
    pub backend: &'a BackendName,
    pub service: &'a ServiceKey,
}

/// Something an operator should know of a backend.
pub(crate) struct Noted<'a> {
    pub target: &'a TargetName,
    pub backend: &'a BackendName,
    pub note: &'a Note,
}

/// A guard holds changes back.
pub(crate) struct ChangesHeld<'a> {
    pub target: &'a TargetName,
    pub backend: &'a BackendName,
    pub hold: &'a Hold,
}

/// A guard holds nothing back any more.
pub(crate) struct HoldEnded<'a> {
    pub target: &'a TargetName,
    pub backend: &'a BackendName,
}

/// A service is left out.
pub(crate) struct LeftOut<'a> {
    pub target: &'a TargetName,
    pub why: &'a Unexposed,
}

/// A source gave a complete answer that differs from the one before.
pub(crate) struct Answered<'a> {
    pub source: &'a SourceName,
    pub snapshot: &'a Snapshot,
}

/// A source has no complete answer.
pub(crate) struct SourceLost<'a> {
    pub source: &'a SourceName,
    pub error: &'a SourceError,
    /// Whether there is an older answer to go on with.
    pub known: bool,
}

/// What was kept of a source is too old to be believed.
pub(crate) struct AnswerTooOld<'a> {
    pub source: &'a SourceName,
    pub taken: Timestamp,
}

/// A process of a version with known limits is kept.
pub(crate) struct VersionLimits<'a> {
    pub target: &'a TargetName,
    pub version: Version,
}

/// The state folder does not do.
pub(crate) struct StateTrouble<'a> {
    pub error: &'a StoreError,
}

impl Event for Changed<'_> {
    fn emit(self) {
        let Operation { backend, server, change, why } = self.operation;
        info!(target = %self.target, %backend, %server, op = change.word(), reason = %why, "{server}: {change}");
    }
}

impl Event for ChangeRefused<'_> {
    fn emit(self) {
        let Operation { backend, server, change, .. } = self.operation;
        error!(target = %self.target, %backend, %server, op = change.word(), "{server}: {change}: refused: {}", self.refusal);
    }
}

impl Event for Converged<'_> {
    fn emit(self) {
        let Self { target, operations, backends, took } = self;
        let dur_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        info!(%target, operations, backends, dur_ms, "HAProxy shows what is wanted");
    }
}

impl Event for NotConverged<'_> {
    fn emit(self) {
        error!(target = %self.target, left = self.left, "HAProxy does not show what it was told; it is tried again later");
    }
}

impl Event for ProcessReplaced<'_> {
    fn emit(self) {
        warn!(target = %self.target, before = %self.before, after = %self.after,
              "HAProxy was restarted or reloaded; everything is looked at again");
    }
}

impl Event for TargetLost<'_> {
    fn emit(self) {
        let error = chain(self.error);
        let again_ms = u64::try_from(self.again.as_millis()).unwrap_or(u64::MAX);
        if self.repeated {
            debug!(target = %self.target, again_ms, "{error}");
        } else {
            error!(target = %self.target, again_ms, "{error}; HAProxy goes on as it is, Roster tries again");
        }
    }
}

impl Event for TargetBack<'_> {
    fn emit(self) {
        info!(target = %self.target, "HAProxy answers again");
    }
}

impl Event for BackendMissing<'_> {
    fn emit(self) {
        warn!(target = %self.target, backend = %self.backend, service = %self.service,
              "HAProxy has no backend of this name; add it to its configuration, or change `expose`");
    }
}

impl Event for Noted<'_> {
    fn emit(self) {
        warn!(target = %self.target, backend = %self.backend, "{}", self.note);
    }
}

impl Event for ChangesHeld<'_> {
    fn emit(self) {
        let Self { target, backend, hold } = self;
        warn!(%target, %backend, guard = %hold.guard, leaving = hold.leaving, of = hold.of,
              "held back: {hold}; `roster release {backend}` lets it through");
    }
}

impl Event for HoldEnded<'_> {
    fn emit(self) {
        info!(target = %self.target, backend = %self.backend, "nothing is held back any more");
    }
}

impl Event for LeftOut<'_> {
    fn emit(self) {
        warn!(target = %self.target, "{}", self.why);
    }
}

impl Event for Answered<'_> {
    fn emit(self) {
        let services = self.snapshot.services.len();
        let instances: usize = self.snapshot.services.values().map(Vec::len).sum();
        info!(source = %self.source, services, instances, "answered");
        for reject in &self.snapshot.rejects {
            warn!(source = %self.source, "left out: {reject}");
        }
    }
}

impl Event for SourceLost<'_> {
    fn emit(self) {
        let goes_on =
            if self.known { "the last good answer stays" } else { "nothing is done until it answers" };
        error!(source = %self.source, "{}; {goes_on}", self.error);
    }
}

impl Event for AnswerTooOld<'_> {
    fn emit(self) {
        warn!(source = %self.source, taken = %self.taken,
              "what it said last is older than `last_good.max_age` and is not believed; nothing is done until it answers");
    }
}

impl Event for VersionLimits<'_> {
    fn emit(self) {
        let Self { target, version } = self;
        info!(%target, %version, "HAProxy answers");
        for known in known(version) {
            info!(%target, %version, "known: {}", known.what);
        }
    }
}

impl Event for StateTrouble<'_> {
    fn emit(self) {
        error!("{}", chain(self.error));
    }
}

/// An error and everything that led to it, in one line.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}
