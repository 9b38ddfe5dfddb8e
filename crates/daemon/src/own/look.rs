//! Whether what is wanted needs a reload, and when something is to be done.

use std::time::Duration;

use jiff::Timestamp;
use roster_config::native::ManagedProcess;
use roster_core::agenda::Agenda;
use roster_haproxy::render::Structure;

use super::{Due, Own, Topic};
use crate::clock;

/// How long a change waits at most for the first look at the servers of a HAProxy that was adopted.
const FIRST_LOOK: Duration = Duration::from_secs(5);

impl Own {
    /// Looks whether what is wanted needs a reload, and says when that is to be.
    pub(crate) fn look(&mut self, agenda: &Agenda, now: Timestamp) {
        if !self.heard || !self.doubtful {
            return;
        }
        self.doubtful = false;
        let rendered = self.unheard(agenda, now);
        self.told_left_out =
            rendered.as_ref().map(|rendered| self.left_out(agenda, rendered)).unwrap_or_default();
        self.retry.is_over(Topic::LeftOut, |what| self.told_left_out.iter().any(|left| left == what));
        let wanted = rendered.as_ref().is_some_and(|rendered| !self.reasons_for(rendered).is_empty());
        if !wanted && !self.is_to_start() {
            self.due = None;
            self.retry.is_over(Topic::Change, |what| self.told_left_out.iter().any(|left| left == what));
            return;
        }
        let since = self.due.map_or(now, |due| due.since);
        // What comes without a reload need not wait for more.
        let at_once = !self.is_up() || rendered.is_some_and(|rendered| self.can_add(&rendered).is_some());
        let quiet = if at_once { now } else { clock::after(now, self.reach.quiet) };
        let at = quiet.min(clock::after(since, self.reach.at_most));
        let at = self.retry.not_before.map_or(at, |retry| retry.max(at));
        let at = if self.knows_servers(agenda) { at } else { at.max(clock::after(since, FIRST_LOOK)) };
        self.due = Some(Due { since, at });
    }

    /// Whether it is known of each backend that HAProxy has which servers are in it. A file without them would put them
    /// all out for a moment.
    fn knows_servers(&self, agenda: &Agenda) -> bool {
        let runs = self
            .book
            .structure
            .as_ref()
            .filter(|_| self.is_up())
            .map(Structure::backends)
            .unwrap_or_default();
        agenda
            .items
            .keys()
            .filter(|backend| runs.contains(backend))
            .all(|backend| self.lines.contains_key(backend))
    }

    /// Whether Roster has a HAProxy to start: one that it follows is started again by the steward.
    pub(super) fn is_to_start(&self) -> bool {
        matches!(self.reach.process, ManagedProcess::Own { .. }) && !self.followed
    }

    /// When there is something to do.
    pub(crate) fn wake(&self) -> Option<Timestamp> {
        let files =
            [self.file_due, self.live_due, self.publish_due, self.stranger_due, self.certificates.due()];
        let due = self.due.filter(|_| !self.check.is_running()).map(|due| due.at);
        let others = due.into_iter().chain(self.unbound.next()).chain(self.check.wake());
        files.into_iter().flatten().chain(others).min()
    }
}
