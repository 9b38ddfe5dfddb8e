//! How long it takes until HAProxy shows what a source said.
//!
//! The clock starts when the source's answer was complete, but never before this keeper began: an answer that was
//! kept over a restart has not been waited for. It stops at the first look that finds nothing more to do at once.
//! What then still rises or drains is waited for by traffic, not by Roster.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use roster_haproxy::name::BackendName;

/// The backends that do not show their service's last change yet.
#[derive(Debug)]
pub(super) struct Awaiting {
    began: Timestamp,
    backends: BTreeMap<BackendName, Change>,
}

#[derive(Clone, Copy, Debug)]
struct Change {
    /// When the first answer was complete that changed something.
    answered: Timestamp,
    /// Whether anything had to be done for it.
    worked: bool,
}

impl Awaiting {
    pub(super) fn new(began: Timestamp) -> Self {
        Self { began, backends: BTreeMap::new() }
    }

    /// An answer changes what a backend should hold.
    pub(super) fn changed(&mut self, backend: &BackendName, answered: Timestamp) {
        let answered = answered.max(self.began);
        self.backends.entry(backend.clone()).or_insert(Change { answered, worked: false });
    }

    /// Something was done to a backend.
    pub(super) fn worked(&mut self, backend: &BackendName) {
        if let Some(change) = self.backends.get_mut(backend) {
            change.worked = true;
        }
    }

    /// A backend shows what is wanted. Answers how long that took; nothing if it was not changed, or had nothing to do.
    pub(super) fn settled(&mut self, backend: &BackendName, now: Timestamp) -> Option<Duration> {
        let change = self.backends.remove(backend).filter(|change| change.worked)?;
        Some(now.duration_since(change.answered).try_into().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn web() -> BackendName {
        "web".parse().unwrap()
    }

    fn seconds(took: Option<Duration>) -> Option<u64> {
        took.map(|took| took.as_secs())
    }

    #[test]
    fn the_clock_runs_from_the_first_answer_that_is_not_shown_to_the_look_that_shows_it() {
        let mut awaiting = Awaiting::new(at(0));
        awaiting.changed(&web(), at(10));
        awaiting.changed(&web(), at(12));
        awaiting.worked(&web());
        assert_eq!(seconds(awaiting.settled(&web(), at(15))), Some(5));
        assert_eq!(awaiting.settled(&web(), at(16)), None, "counted twice");
    }

    #[test]
    fn an_answer_that_needs_no_work_is_no_convergence() {
        let mut awaiting = Awaiting::new(at(0));
        awaiting.changed(&web(), at(10));
        assert_eq!(awaiting.settled(&web(), at(11)), None);
        awaiting.worked(&web());
        assert_eq!(awaiting.settled(&web(), at(12)), None, "repairing drift is none either");
    }

    #[test]
    fn an_answer_kept_over_a_restart_was_not_waited_for() {
        let mut awaiting = Awaiting::new(at(100));
        awaiting.changed(&web(), at(10));
        awaiting.worked(&web());
        assert_eq!(seconds(awaiting.settled(&web(), at(101))), Some(1));
    }
}
