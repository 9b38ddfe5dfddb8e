//! Whoever sees to HAProxy's file besides the keeper of its servers.

use std::collections::BTreeSet;

use jiff::Timestamp;
use roster_core::agenda::Agenda;
use roster_core::applied::{Applied, ProcessId};
use roster_core::found::Found;
use roster_haproxy::name::BackendName;

use super::{OwnLines, Passed};
use crate::api_file::ApiFile;
use crate::own::{Book, Changed, Own, OwnStatus, Preview};

/// Whoever sees to HAProxy's file.
#[derive(Debug)]
pub(crate) enum Owner {
    /// Roster itself, which has the process too.
    Managed(Box<Own>),
    /// The Data Plane API, which Roster tells.
    Api(Box<ApiFile>),
}

impl Owner {
    pub(super) async fn begin(&mut self) {
        if let Self::Managed(own) = self {
            own.begin().await;
        }
    }

    /// Whether servers can be kept.
    pub(super) fn is_up(&self) -> bool {
        match self {
            Self::Managed(own) => own.is_up(),
            Self::Api(file) => file.is_up(),
        }
    }

    /// Whether servers do not wait for the file: an API can take seconds where somebody else writes too.
    pub(super) fn goes_after_servers(&self) -> bool {
        matches!(self, Self::Api(_))
    }

    /// The backends of the file that tell whose they are.
    pub(super) fn found(&self) -> &[Found] {
        match self {
            // A file that Roster writes has what is wanted and nothing else.
            Self::Managed(_) => &[],
            Self::Api(file) => file.found(),
        }
    }

    /// The backends whose servers' lines are Roster's own.
    pub(crate) fn own_lines(&self) -> OwnLines {
        match self {
            Self::Managed(_) => OwnLines::All,
            Self::Api(file) => OwnLines::Of(file.own_lines().clone()),
        }
    }

    /// Whether there are others than when this was last asked.
    pub(super) fn has_found(&mut self) -> bool {
        match self {
            Self::Managed(_) => false,
            Self::Api(file) => file.has_found(),
        }
    }

    /// The backends that are not to be touched.
    pub(crate) fn left_alone(&self) -> BTreeSet<BackendName> {
        match self {
            Self::Managed(own) => own.left_alone(),
            Self::Api(file) => file.left_alone(),
        }
    }

    /// The backends that HAProxy has not yet, and whose name another one may have until then.
    pub(crate) fn awaited(&self, agenda: &Agenda) -> BTreeSet<BackendName> {
        match self {
            Self::Managed(own) => own.awaited(agenda),
            // Its file is read before each write.
            Self::Api(_) => BTreeSet::new(),
        }
    }

    /// Waits until the process began to serve or ended. Answers whether it serves.
    pub(super) async fn changed(&mut self) -> bool {
        match self {
            Self::Managed(own) => own.changed().await,
            Self::Api(_) => std::future::pending().await,
        }
    }

    pub(super) fn hear(&mut self, before: &Agenda, agenda: &Agenda, complete: bool, now: Timestamp) {
        match self {
            Self::Managed(own) => own.hear(before, agenda, complete, now),
            Self::Api(file) => file.hear(before, agenda, complete, now),
        }
    }

    /// Looks whether what is wanted needs a reload.
    pub(super) fn look(&mut self, agenda: &Agenda, now: Timestamp) {
        if let Self::Managed(own) = self {
            own.look(agenda, now);
        }
    }

    /// Has everything that is to be in the file or in the process looked at.
    pub(super) fn look_anew(&mut self, now: Timestamp) {
        match self {
            Self::Managed(own) => own.look_anew(now),
            Self::Api(file) => file.look_anew(now),
        }
    }

    pub(super) fn wake(&self) -> Option<Timestamp> {
        match self {
            Self::Managed(own) => own.wake(),
            Self::Api(file) => file.wake(),
        }
    }

    pub(super) async fn see_to(&mut self, agenda: &Agenda, applied: &Applied, now: Timestamp) -> Changed {
        match self {
            Self::Managed(own) => own.see_to(agenda, applied.process, now).await,
            Self::Api(file) => file.see_to(agenda, applied, now).await,
        }
    }

    /// Takes in which process shows itself.
    pub(super) fn seen(&mut self, process: ProcessId, now: Timestamp) {
        match self {
            Self::Managed(own) => own.seen(process, now),
            Self::Api(file) => file.seen(process, now),
        }
    }

    /// Takes in what the servers of these backends are now.
    pub(super) fn ran(&mut self, passed: &mut Passed, now: Timestamp) {
        let lines = std::mem::take(&mut passed.lines);
        match self {
            Self::Managed(own) => own.ran(lines, now),
            Self::Api(file) => {
                file.lacks(passed, now);
                file.ran(lines, now);
            }
        }
    }

    /// Counts the old workers that are left, where there were any.
    pub(super) async fn see_to_old_workers(&mut self) {
        if let Self::Managed(own) = self {
            own.see_to_old_workers().await;
        }
    }

    /// How many old workers finish their connections, where that is known.
    pub(super) fn old_workers(&self) -> Option<usize> {
        match self {
            Self::Managed(own) => own.old_workers(),
            Self::Api(_) => None,
        }
    }

    pub(super) fn status(&self, agenda: &Agenda, now: Timestamp) -> OwnStatus {
        match self {
            Self::Managed(own) => own.status(agenda, now),
            Self::Api(file) => file.status(),
        }
    }

    pub(super) fn planned(&self, agenda: &Agenda, now: Timestamp) -> Preview {
        match self {
            Self::Managed(own) => own.planned(agenda, now),
            Self::Api(file) => file.planned(),
        }
    }

    pub(super) async fn end(self, agenda: &Agenda, for_good: bool) -> Option<Book> {
        match self {
            Self::Managed(own) => Some(own.end(agenda, for_good).await),
            Self::Api(file) => {
                file.end().await;
                None
            }
        }
    }
}
