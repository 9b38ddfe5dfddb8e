//! When to list, and what to tell.
//!
//! - Never two listings at once, and never two begins within [`SHORTEST`](super::SHORTEST).
//! - Each answer is told, also one that says what the one before it said: how often a loss was said counts. An error is
//!   told once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use roster_core::instance::{Snapshot, SourceEvent};

use super::{Failure, SHORTEST, Schedule};

/// What a listing comes to.
pub(super) type Answer = Result<Arc<Snapshot>, Failure>;

/// What is known and what is waited for.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    schedule: Schedule,
    /// What was told last, if it was a loss.
    lost: Option<Failure>,
    /// How many listings failed in a row.
    failures: u32,
    phase: Phase,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// A listing is under way; whether somebody asked for one meanwhile, who may know of something newer.
    Listing { begun: Instant, again: bool },
    /// The last one began then, and the next one is to begin at `until`.
    Waiting { begun: Instant, until: Instant },
}

/// What happens to the watch.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// The listing came to an end.
    Listed(Answer),
    /// Somebody wants to know at once.
    Woken,
    /// [`Watch::wake_at`] has come.
    Tick,
}

/// What is to be done.
#[derive(Clone, Debug)]
pub(super) enum Effect {
    /// List; the answer is an [`Event::Listed`].
    List,
    /// Tell this.
    Tell(SourceEvent),
}

impl Watch {
    /// Begins by listing.
    pub(super) fn start(schedule: Schedule, now: Instant) -> (Self, Vec<Effect>) {
        let phase = Phase::Listing { begun: now, again: false };
        (Self { schedule, lost: None, failures: 0, phase }, vec![Effect::List])
    }

    /// When to send the next [`Event::Tick`]; never while a listing is under way.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        match self.phase {
            Phase::Waiting { until, .. } => Some(until),
            Phase::Listing { .. } => None,
        }
    }

    /// Takes in an event and says what to do, in this order. `chance` is from 0 to 1.
    pub(super) fn step(&mut self, event: Event, now: Instant, chance: f64) -> Vec<Effect> {
        match (self.phase, event) {
            (Phase::Listing { begun, .. }, Event::Woken) => {
                self.phase = Phase::Listing { begun, again: true };
                Vec::new()
            }
            (Phase::Listing { begun, again }, Event::Listed(answer)) => {
                self.failures = if answer.is_ok() { 0 } else { self.failures.saturating_add(1) };
                let wait = answer.as_ref().err().and_then(|failure| failure.wait);
                let until = if again { soon(begun, now) } else { self.next(begun, now, wait, chance) };
                self.phase = Phase::Waiting { begun, until };
                self.tell(answer).into_iter().collect()
            }
            (Phase::Waiting { begun, until }, Event::Woken) => {
                self.phase = Phase::Waiting { begun, until: until.min(soon(begun, now)) };
                Vec::new()
            }
            (Phase::Waiting { until, .. }, Event::Tick) if now >= until => {
                self.phase = Phase::Listing { begun: now, again: false };
                vec![Effect::List]
            }
            (_, Event::Tick | Event::Listed(_)) => Vec::new(),
        }
    }

    /// When to list again after a listing that began then and has ended now. `wait` is what the registry wants after a
    /// failure; it gets no more than the longest pause, for it may be wrong.
    fn next(&self, begun: Instant, now: Instant, wait: Option<Duration>, chance: f64) -> Instant {
        let jitter = self.schedule.jitter.mul_f64(chance.clamp(0.0, 1.0));
        let planned = match self.failures.checked_sub(1) {
            None => begun + self.schedule.every.max(SHORTEST) + jitter,
            Some(before) => {
                let wait = wait.unwrap_or_default().min(self.schedule.longest);
                now + self.pause(before).max(wait) + jitter
            }
        };
        planned.max(soon(begun, now))
    }

    /// How long to wait after a failure that has so many before it.
    fn pause(&self, before: u32) -> Duration {
        let Schedule { first, longest, .. } = self.schedule;
        first.saturating_mul(2_u32.saturating_pow(before)).min(longest).max(SHORTEST)
    }

    fn tell(&mut self, answer: Answer) -> Option<Effect> {
        let event = match answer {
            Ok(snapshot) => {
                self.lost = None;
                SourceEvent::Full(snapshot)
            }
            Err(failure) if self.lost.as_ref().is_some_and(|lost| failure.is_again(lost)) => return None,
            Err(failure) => SourceEvent::Lost(self.lost.insert(failure).error.clone()),
        };
        Some(Effect::Tell(event))
    }
}

/// As soon as may be.
fn soon(begun: Instant, now: Instant) -> Instant {
    now.max(begun + SHORTEST)
}

#[cfg(test)]
mod tests;
