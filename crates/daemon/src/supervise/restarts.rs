//! When a task that ended is started anew.

use std::time::Duration;

use crate::clock::doubled;

/// The pauses.
pub(super) const PAUSES: Pauses = Pauses { first: Duration::from_secs(1), longest: Duration::from_secs(60) };
/// A task that has run for so long has recovered: its next end is the first one again.
const RECOVERED: Duration = Duration::from_secs(10 * 60);
/// How many ends in a row are too many.
const MOST: u32 = 8;

/// How long it is waited before a task is started anew: twice as long each time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pauses {
    pub(super) first: Duration,
    pub(super) longest: Duration,
}

/// How often a task has ended in a row.
#[derive(Debug)]
pub(super) struct Restarts {
    pauses: Pauses,
    ends: u32,
}

impl Restarts {
    /// It has not ended yet.
    pub(super) fn new(pauses: Pauses) -> Self {
        Self { pauses, ends: 0 }
    }

    /// It ended after so long. Answers how long to pause before it is started anew; none where it is not.
    pub(super) fn ended(&mut self, ran: Duration) -> Option<Duration> {
        if ran >= RECOVERED {
            self.ends = 0;
        }
        self.ends += 1;
        let Pauses { first, longest } = self.pauses;
        let pause = doubled((first, longest), self.ends - 1);
        (self.ends < MOST).then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_a_task_that_keeps_ending_is_given_up() {
        let mut restarts = Restarts::new(PAUSES);
        let pauses: Vec<Option<u64>> =
            (0..8).map(|_| restarts.ended(Duration::from_secs(5)).map(|pause| pause.as_secs())).collect();
        assert_eq!(pauses, [Some(1), Some(2), Some(4), Some(8), Some(16), Some(32), Some(60), None]);
    }

    #[test]
    fn a_task_that_has_run_for_long_begins_anew() {
        let mut restarts = Restarts::new(PAUSES);
        for _ in 0..20 {
            assert_eq!(restarts.ended(RECOVERED), Some(Duration::from_secs(1)));
        }
    }
}
