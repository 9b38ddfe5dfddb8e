//! When something that failed is tried again, and what was told of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::{after, doubled};

/// The first pause, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// So many failures running, over seven seconds and more, are no hitch.
const LASTING: u32 = 4;

/// What a trouble is about. Each attempt at it says anew what is wrong; what an attempt does not say again is over.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Topic {
    /// Nothing in particular: it is over when a change went well.
    #[default]
    Any,
    /// A change that needs a start or a reload.
    Change,
    /// Backends that are added to the running HAProxy.
    Backends,
    /// Their first requests.
    Publishing,
    /// The file that follows the servers.
    File,
    /// Routes and certificates that are given to the running HAProxy.
    Live,
    /// The certificates' files.
    Certificates,
    /// HAProxy's check of the file, while it runs.
    Check,
    /// Listening sockets that are closed.
    Sockets,
    /// What is not in the file though it is wanted.
    LeftOut,
}

/// What failed lately.
#[derive(Debug, Default)]
pub(crate) struct Retry {
    failures: u32,
    /// Nothing is tried before.
    pub(crate) not_before: Option<Timestamp>,
    told: Mutex<Told>,
}

/// The troubles that last.
#[derive(Debug, Default)]
struct Told {
    /// What the attempt that is under way is about.
    topic: Topic,
    /// Each trouble, and whether it was said since the last attempt at its topic began.
    known: BTreeMap<(Topic, String), bool>,
}

impl Retry {
    /// An attempt begins. What is told until it ends is about this.
    pub(crate) fn begins(&self, topic: Topic) {
        let mut told = self.lock();
        told.topic = topic;
        for ((about, _), is_said) in &mut told.known {
            *is_said &= *about != topic;
        }
    }

    /// The attempt has ended: what it did not say again is over.
    pub(crate) fn ends(&self) {
        let mut told = self.lock();
        let topic = std::mem::take(&mut told.topic);
        told.known.retain(|(about, _), is_said| *about != topic || *is_said);
    }

    /// The attempt goes on later: what it did not say yet is not over.
    pub(crate) fn goes_on(&self) {
        self.lock().topic = Topic::default();
    }

    /// Nothing is to be done about this any more but what is kept.
    pub(crate) fn is_over(&self, topic: Topic, but: impl Fn(&str) -> bool) {
        self.lock().known.retain(|(about, what), _| *about != topic || but(what));
    }

    /// Whether this trouble was not told since it came.
    pub(crate) fn is_news(&self, what: &str) -> bool {
        let topic = self.lock().topic;
        self.is_news_of(topic, what)
    }

    /// The same of a trouble that is about something else than the attempt that is under way.
    pub(crate) fn is_news_of(&self, topic: Topic, what: &str) -> bool {
        let mut told = self.lock();
        let is_known = told.known.keys().any(|(_, known)| known == what);
        told.known.insert((topic, what.to_owned()), true);
        !is_known
    }

    /// The troubles that last.
    pub(crate) fn told(&self) -> Vec<String> {
        let known: BTreeSet<String> = self.lock().known.keys().map(|(_, what)| what.clone()).collect();
        known.into_iter().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something failed. Answers how long to wait; longer each time.
    pub(crate) fn failed(&mut self, now: Timestamp) -> Duration {
        let pause = doubled(PAUSES, self.failures);
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
        (self.failures, self.not_before) = (0, None);
        self.is_over(Topic::Any, |_| false);
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

    #[test]
    fn a_trouble_that_an_attempt_does_not_say_again_is_over_and_is_news_when_it_comes_back() {
        let retry = Retry::default();
        let attempt = |troubles: &[&str]| -> Vec<bool> {
            retry.begins(Topic::Certificates);
            let news = troubles.iter().map(|trouble| retry.is_news(trouble)).collect();
            retry.ends();
            news
        };
        assert!(retry.is_news("the folder is missing"));
        assert_eq!(attempt(&["a.pem is gone", "b.pem is gone"]), [true, true]);
        assert_eq!(attempt(&["b.pem is gone"]), [false], "it lasts");
        assert_eq!(retry.told(), ["b.pem is gone", "the folder is missing"]);
        assert_eq!(attempt(&["a.pem is gone"]), [true], "it has come back");
        assert_eq!(attempt(&[]), [] as [bool; 0]);
        assert_eq!(
            retry.told(),
            ["the folder is missing"],
            "an attempt at something else ends no other trouble"
        );
    }

    #[test]
    fn a_trouble_of_two_attempts_is_told_once_and_over_when_neither_says_it() {
        let retry = Retry::default();
        let attempt = |topic, troubles: &[&str]| {
            retry.begins(topic);
            let news = troubles.iter().filter(|trouble| retry.is_news(trouble)).count();
            retry.ends();
            news
        };
        assert_eq!(attempt(Topic::Change, &["disk full"]) + attempt(Topic::File, &["disk full"]), 1);
        attempt(Topic::Change, &[]);
        assert_eq!(retry.told(), ["disk full"]);
        attempt(Topic::File, &[]);
        assert!(retry.told().is_empty());
    }
}
