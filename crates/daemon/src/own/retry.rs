//! When something that failed is tried again, and what was told of it.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::after;

/// The first pause, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// So many failures running, over seven seconds and more, are no hitch.
const LASTING: u32 = 4;

/// What failed lately.
#[derive(Debug, Default)]
pub(crate) struct Retry {
    failures: u32,
    /// Nothing is tried before.
    pub(crate) not_before: Option<Timestamp>,
    told: Mutex<BTreeSet<String>>,
}

impl Retry {
    /// Whether this was not told since something went well.
    pub(crate) fn is_news(&self, what: &str) -> bool {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).insert(what.to_owned())
    }

    /// What was told since something went well.
    pub(crate) fn told(&self) -> Vec<String> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Something failed. Answers how long to wait; longer each time.
    pub(crate) fn failed(&mut self, now: Timestamp) -> Duration {
        let (first, longest) = PAUSES;
        let pause = first.saturating_mul(2_u32.saturating_pow(self.failures.min(16))).min(longest);
        self.failures = self.failures.saturating_add(1);
        self.not_before = Some(after(now, pause));
        pause
    }

    /// Whether it failed again and again: another try in a moment will hardly do better.
    pub(crate) fn is_lasting(&self) -> bool {
        self.failures >= LASTING
    }

    /// It went well.
    pub(crate) fn went_well(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_minute_and_a_success_ends_them() {
        let mut retry = Retry::default();
        let now = Timestamp::UNIX_EPOCH;
        let pauses: Vec<u64> = (0..8).map(|_| retry.failed(now).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(retry.not_before, Timestamp::from_second(60).ok());
        assert!(retry.is_news("disk full") && !retry.is_news("disk full"));
        assert!(retry.is_lasting());
        retry.went_well();
        assert_eq!(retry.failed(now).as_secs(), 1);
        assert!(!retry.is_lasting());
        assert!(retry.is_news("disk full"));
    }
}
