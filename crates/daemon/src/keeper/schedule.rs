//! When a target is looked at next.
//!
//! Invariants: what is due is looked at together; after an error nothing is tried before the pause is over, however
//! much changes meanwhile, and the pauses grow; a success ends them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use roster_haproxy::name::BackendName;

use crate::clock::{after, doubled};

/// The first pause after an error, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));

/// How many backends are looked at together when nothing changed.
const TOGETHER: u32 = 8;

/// What is to be looked at, and when.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    state: State,
    due: BTreeMap<BackendName, Timestamp>,
    drift: Duration,
}

/// How the target is doing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// The last pass went well, or there was none yet.
    Calm,
    /// The last pass failed, as did so many before it; the next one is not before then.
    Troubled { failures: u32, until: Timestamp },
}

/// What to do now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    /// Look at these backends.
    Pass(BTreeSet<BackendName>),
    /// Nothing until then.
    Wait(Option<Timestamp>),
}

impl Schedule {
    /// A schedule on which nothing stands yet. Each backend is looked at at least every `drift`.
    pub(crate) fn new(drift: Duration) -> Self {
        Self { state: State::Calm, due: BTreeMap::new(), drift }
    }

    /// These are to be looked at as soon as can be.
    pub(crate) fn add<'a>(&mut self, backends: impl IntoIterator<Item = &'a BackendName>) {
        for backend in backends {
            self.due.insert(backend.clone(), Timestamp::MIN);
        }
    }

    /// Only these are kept.
    pub(crate) fn retain(&mut self, keep: impl Fn(&BackendName) -> bool) {
        self.due.retain(|backend, _| keep(backend));
    }

    /// What to do now.
    pub(crate) fn step(&self, now: Timestamp) -> Step {
        let paused = match self.state {
            State::Troubled { until, .. } if until > now => Some(until),
            _ => None,
        };
        let first = self.due.values().min().copied();
        match (paused, first) {
            (None, Some(first)) if first <= now => {
                let due = self.due.iter().filter(|(_, at)| **at <= now);
                Step::Pass(due.map(|(backend, _)| backend.clone()).collect())
            }
            (paused, first) => Step::Wait(first.map(|first| paused.map_or(first, |until| until.max(first)))),
        }
    }

    /// A pass over these went well; each is looked at again when its plan says so, or to see whether it drifted.
    pub(crate) fn passed(&mut self, wakes: &BTreeMap<BackendName, Option<Timestamp>>, now: Timestamp) {
        self.state = State::Calm;
        self.looked(wakes, now);
    }

    /// These were looked at; whether the target is well is not said by that.
    pub(crate) fn looked(&mut self, wakes: &BTreeMap<BackendName, Option<Timestamp>>, now: Timestamp) {
        let many = u32::try_from(wakes.len()).unwrap_or(u32::MAX).max(1);
        for (place, (backend, wake)) in (0..).zip(wakes) {
            // Spread over the interval, so that a thousand backends are not all read in one second; a few at a time, for
            // each look costs a connection. Those few stay together from then on.
            let drift = after(now, self.drift + self.drift * (place / TOGETHER * TOGETHER) / many);
            self.due.insert(backend.clone(), wake.map_or(drift, |wake| wake.min(drift)));
        }
    }

    /// A pass failed; what was due stays due. Answers how long the pause is.
    pub(crate) fn failed(&mut self, now: Timestamp) -> Duration {
        let failures = match self.state {
            State::Calm => 0,
            State::Troubled { failures, .. } => failures.saturating_add(1),
        };
        let pause = doubled(PAUSES, failures);
        self.state = State::Troubled { failures, until: after(now, pause) };
        pause
    }

    /// Whether the last pass failed.
    pub(crate) fn is_troubled(&self) -> bool {
        self.state != State::Calm
    }

    /// Something changed that may end the trouble: what is due is tried at once.
    pub(crate) fn hurry(&mut self, now: Timestamp) {
        if let State::Troubled { until, .. } = &mut self.state {
            *until = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> BackendName {
        text.parse().unwrap()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn schedule() -> Schedule {
        Schedule::new(Duration::from_secs(60))
    }

    #[test]
    fn what_is_due_is_looked_at_together() {
        let mut schedule = schedule();
        schedule.add([&name("a"), &name("b")]);
        assert_eq!(schedule.step(at(0)), Step::Pass([name("a"), name("b")].into()));
    }

    #[test]
    fn after_a_pass_a_backend_waits_for_its_wake_or_the_drift_check() {
        let mut schedule = schedule();
        schedule.passed(&[(name("a"), Some(at(5))), (name("b"), None)].into(), at(0));
        assert_eq!(schedule.step(at(4)), Step::Wait(Some(at(5))));
        assert_eq!(schedule.step(at(5)), Step::Pass([name("a")].into()));
        assert_eq!(schedule.step(at(95)), Step::Pass([name("a"), name("b")].into()));
    }

    #[test]
    fn drift_checks_are_spread() {
        let mut schedule = schedule();
        let wakes = (0..60).map(|n| (name(&format!("b{n:02}")), None)).collect();
        schedule.passed(&wakes, at(0));
        let Step::Pass(due) = schedule.step(at(90)) else { panic!("nothing due") };
        assert!((25..=35).contains(&due.len()), "{} at once", due.len());
    }

    #[test]
    fn a_few_backends_are_looked_at_together_and_stay_so() {
        let mut schedule = schedule();
        let wakes: BTreeMap<BackendName, _> = (0..16).map(|n| (name(&format!("b{n:02}")), None)).collect();
        schedule.passed(&wakes, at(0));
        for second in [60, 90, 120, 150] {
            let Step::Pass(due) = schedule.step(at(second)) else { panic!("nothing due") };
            assert_eq!(due.len(), 8, "{due:?}");
            schedule.passed(&due.into_iter().map(|backend| (backend, None)).collect(), at(second));
        }
    }

    #[test]
    fn pauses_grow_after_errors_and_end_with_success() {
        let mut schedule = schedule();
        schedule.add([&name("a")]);
        let pauses: Vec<u128> = (0..9).map(|_| schedule.failed(at(0)).as_millis()).collect();
        assert_eq!(pauses, [250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]);
        assert_eq!(schedule.step(at(29)), Step::Wait(Some(at(30))));
        assert!(matches!(schedule.step(at(30)), Step::Pass(_)));
        schedule.passed(&BTreeMap::new(), at(30));
        assert_eq!(schedule.failed(at(30)).as_millis(), 250);
    }

    #[test]
    fn what_was_looked_at_before_a_pass_failed_waits_for_its_time_and_the_pauses_go_on_growing() {
        let mut schedule = schedule();
        schedule.add([&name("a"), &name("b")]);
        for pause in [250, 500, 1000] {
            schedule.looked(&[(name("a"), None)].into(), at(0));
            assert_eq!(schedule.failed(at(0)).as_millis(), pause);
        }
        assert_eq!(schedule.step(at(1)), Step::Pass([name("b")].into()));
    }

    #[test]
    fn changes_do_not_cut_a_pause_short_but_a_sign_of_life_does() {
        let mut schedule = schedule();
        schedule.failed(at(0));
        schedule.add([&name("a")]);
        assert!(matches!(schedule.step(at(0)), Step::Wait(_)));
        schedule.hurry(at(0));
        assert!(matches!(schedule.step(at(0)), Step::Pass(_)));
    }
}
