//! When HAProxy is started again, and what of it is told. Pure: time comes in as a value.
//!
//! Invariants:
//! - One that served and ended is started again at once; after that each failure doubles the pause, up to a limit. The
//!   count begins anew only after it served for a while, so one that dies soon after every start does not spin.
//! - A start that fails for the same reason as the one before is not told again.

use std::time::{Duration, Instant};

/// How long to wait before the next start.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Backoff {
    /// The pause before the second try; the first goes at once.
    pub first: Duration,
    /// The longest pause.
    pub most: Duration,
    /// Having served so long makes earlier failures count no more.
    pub well_after: Duration,
}

/// Where it stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Phase {
    /// Started at this time; it does not answer yet.
    Starting { since: Instant },
    /// Answers, since this time.
    Serving { since: Instant },
    /// Does not run; to be started at this time.
    Pausing { until: Instant },
}

/// What happened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Input<'a> {
    /// It was started.
    Started,
    /// It answers.
    Answered,
    /// It ended, or could not be started, for this reason.
    Ended { why: &'a str },
    /// Somebody does not want to wait for the end of the pause.
    Hurry,
}

/// What is to be told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Tell {
    /// It serves.
    Serving,
    /// It served for so long and ended; it is started after this pause.
    Ended { lived: Duration, restart_in: Duration },
    /// It did not come to serve; it is tried again after this pause.
    NotStarted { retry_in: Duration },
}

/// The life of one HAProxy over all its processes.
#[derive(Clone, Debug)]
pub(super) struct Life {
    phase: Phase,
    backoff: Backoff,
    failures: u32,
    told: Option<String>,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(100),
            most: Duration::from_secs(30),
            well_after: Duration::from_secs(60),
        }
    }
}

impl Backoff {
    fn pause(&self, failures: u32) -> Duration {
        let Some(doublings) = failures.checked_sub(1) else { return Duration::ZERO };
        self.first.saturating_mul(2_u32.saturating_pow(doublings)).min(self.most)
    }
}

impl Life {
    /// One that is to be started now.
    pub(super) fn new(backoff: Backoff, now: Instant) -> Self {
        Self { phase: Phase::Pausing { until: now }, backoff, failures: 0, told: None }
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    /// Why it could not be started, if it could not be the last time.
    pub(super) fn trouble(&self) -> &str {
        self.told.as_deref().unwrap_or_default()
    }

    pub(super) fn step(&mut self, input: Input<'_>, now: Instant) -> Option<Tell> {
        match (self.phase, input) {
            (_, Input::Started) => {
                self.phase = Phase::Starting { since: now };
                None
            }
            (Phase::Starting { .. }, Input::Answered) => {
                self.phase = Phase::Serving { since: now };
                self.told = None;
                Some(Tell::Serving)
            }
            (Phase::Serving { since }, Input::Ended { .. }) => {
                let lived = now.saturating_duration_since(since);
                if lived >= self.backoff.well_after {
                    self.failures = 0;
                }
                Some(Tell::Ended { lived, restart_in: self.pause(now) })
            }
            (Phase::Starting { .. } | Phase::Pausing { .. }, Input::Ended { why }) => {
                let retry_in = self.pause(now);
                let is_known = self.told.as_deref() == Some(why);
                self.told = Some(why.to_owned());
                (!is_known).then_some(Tell::NotStarted { retry_in })
            }
            (Phase::Pausing { .. }, Input::Hurry) => {
                self.phase = Phase::Pausing { until: now };
                None
            }
            (Phase::Serving { .. } | Phase::Pausing { .. }, Input::Answered)
            | (Phase::Starting { .. } | Phase::Serving { .. }, Input::Hurry) => None,
        }
    }

    fn pause(&mut self, now: Instant) -> Duration {
        let pause = self.backoff.pause(self.failures);
        self.failures = self.failures.saturating_add(1);
        self.phase = Phase::Pausing { until: now + pause };
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn serving(now: Instant) -> Life {
        let mut life = Life::new(Backoff::default(), now);
        life.step(Input::Started, now);
        assert_eq!(life.step(Input::Answered, now), Some(Tell::Serving));
        life
    }

    /// Fails to start so often; what was told each time.
    fn failed_starts(life: &mut Life, mut now: Instant, whys: &[&str]) -> Vec<Option<Tell>> {
        let mut told = Vec::new();
        for why in whys {
            if let Phase::Pausing { until } = life.phase() {
                now = until;
            }
            life.step(Input::Started, now);
            told.push(life.step(Input::Ended { why }, now));
        }
        told
    }

    #[test]
    fn one_that_served_and_ended_is_started_again_at_once() {
        let now = Instant::now();
        let mut life = serving(now);
        let told = life.step(Input::Ended { why: "137" }, now + MS(5));
        assert_eq!(told, Some(Tell::Ended { lived: MS(5), restart_in: Duration::ZERO }));
        assert_eq!(life.phase(), Phase::Pausing { until: now + MS(5) });
    }

    #[test]
    fn each_failure_doubles_the_pause_up_to_the_limit() {
        let backoff = Backoff::default();
        let pauses: Vec<_> = (0..5).map(|failures| backoff.pause(failures)).collect();
        assert_eq!(pauses, [MS(0), MS(100), MS(200), MS(400), MS(800)]);
        assert_eq!(backoff.pause(9), MS(25_600));
        assert_eq!(backoff.pause(10), MS(30_000));
        assert_eq!(backoff.pause(u32::MAX), MS(30_000));
    }

    #[test]
    fn one_that_serves_for_a_moment_each_time_does_not_spin() {
        let mut now = Instant::now();
        let mut life = serving(now);
        let mut pauses = Vec::new();
        for _ in 0..5 {
            let Some(Tell::Ended { restart_in, .. }) = life.step(Input::Ended { why: "" }, now) else {
                panic!()
            };
            pauses.push(restart_in);
            now += restart_in;
            life.step(Input::Started, now);
            life.step(Input::Answered, now);
        }
        assert_eq!(pauses, [MS(0), MS(100), MS(200), MS(400), MS(800)]);
    }

    #[test]
    fn having_served_for_a_while_makes_earlier_failures_count_no_more() {
        let now = Instant::now();
        let mut life = serving(now);
        life.step(Input::Ended { why: "" }, now);
        life.step(Input::Started, now);
        life.step(Input::Answered, now);
        let told = life.step(Input::Ended { why: "" }, now + Duration::from_secs(60));
        assert_eq!(told, Some(Tell::Ended { lived: Duration::from_secs(60), restart_in: Duration::ZERO }));
    }

    #[test]
    fn a_start_that_keeps_failing_is_told_once_per_reason() {
        let now = Instant::now();
        let mut life = serving(now);
        life.step(Input::Ended { why: "137" }, now);
        let told = failed_starts(&mut life, now, &["port", "port", "config", "config", "port"]);
        let tells: Vec<_> = told.iter().map(Option::is_some).collect();
        assert_eq!(tells, [true, false, true, false, true]);
        assert_eq!(told[0], Some(Tell::NotStarted { retry_in: MS(100) }));
        assert_eq!(told[4], Some(Tell::NotStarted { retry_in: MS(1_600) }));
    }

    #[test]
    fn the_same_reason_after_it_served_is_told_again() {
        let now = Instant::now();
        let mut life = Life::new(Backoff::default(), now);
        assert!(failed_starts(&mut life, now, &["port"])[0].is_some());
        life.step(Input::Started, now);
        life.step(Input::Answered, now);
        life.step(Input::Ended { why: "137" }, now);
        assert!(failed_starts(&mut life, now, &["port"])[0].is_some());
    }

    #[test]
    fn a_pause_can_be_cut_short_and_nothing_else_can() {
        let now = Instant::now();
        let mut life = Life::new(Backoff::default(), now);
        failed_starts(&mut life, now, &["a", "a"]);
        life.step(Input::Hurry, now);
        assert_eq!(life.phase(), Phase::Pausing { until: now });
        let mut life = serving(now);
        assert_eq!(life.step(Input::Hurry, now), None);
        assert_eq!(life.phase(), Phase::Serving { since: now });
    }
}
