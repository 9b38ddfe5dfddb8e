//! When to read the file, and what to tell of it.
//!
//! - A change that is surely whole (a rename, a closed writer) is read and told at once: no delay of our own.
//! - What may be half-written is told only after the file was left alone for [`QUIET`], or was read twice alike.
//! - The same answer and the same error are told once in a row.

use std::sync::Arc;
use std::time::{Duration, Instant};

use roster_core::instance::{Snapshot, SourceError, SourceEvent};

/// How long the file must be left alone before doubtful content counts.
pub(super) const QUIET: Duration = Duration::from_millis(250);

/// How long a file may be written to without a pause before that is told.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// What a reading comes to.
pub(super) type Answer = Result<Arc<Snapshot>, SourceError>;

/// What is known of the file and what is waited for.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    poll: Duration,
    /// What to tell of a file that never comes to rest.
    restless: SourceError,
    /// What the file's content came to when it was last read.
    read: Option<Answer>,
    /// What was told last.
    told: Option<Answer>,
    phase: Phase,
    /// What this step asks for.
    effects: Vec<Effect>,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// All is told; the file is read again then, whatever the system reports.
    Resting { poll_at: Instant },
    /// The content is in doubt since the first moment, and is looked at again at the second. Whether the system
    /// reports changes: if so, silence until then means that nothing was written.
    Settling { since: Instant, until: Instant, noticed: bool },
    /// The file is being read; what was noticed meanwhile.
    Reading { why: Why, since: Option<Instant>, again: Option<Hint> },
}

/// What made us read.
#[derive(Clone, Copy, Debug)]
enum Why {
    Start,
    Change,
    Poll,
    Quiet { noticed: bool },
}

/// What a report of the system says of the content.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Hint {
    /// Somebody writes and has not closed the file.
    Writing,
    /// What is there now was put there as a whole, or is gone.
    Whole,
}

/// What came of reading the file.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    /// The answer, or none if the bytes are those of the reading before.
    pub(super) new: Option<Answer>,
    /// Whether the file changed while it was read.
    pub(super) torn: bool,
    /// For how long the file has been as it is, by its own time stamp.
    pub(super) age: Duration,
}

/// What happens to the watch.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// The system reported a change.
    Noticed(Hint),
    /// The file was read.
    Read(Reading),
    /// [`Watch::wake_at`] has come.
    Tick,
}

/// What is to be done.
#[derive(Clone, Debug)]
pub(super) enum Effect {
    /// Read the file; the answer is an [`Event::Read`].
    Read,
    /// Tell this.
    Tell(SourceEvent),
}

impl Watch {
    /// Begins by reading the file.
    pub(super) fn start(poll: Duration, restless: SourceError) -> (Self, Vec<Effect>) {
        let phase = Phase::Reading { why: Why::Start, since: None, again: None };
        let watch = Self { poll, restless, read: None, told: None, phase, effects: Vec::new() };
        (watch, vec![Effect::Read])
    }

    /// When to send the next [`Event::Tick`]; never while the file is being read.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        match self.phase {
            Phase::Resting { poll_at } => Some(poll_at),
            Phase::Settling { until, .. } => Some(until),
            Phase::Reading { .. } => None,
        }
    }

    /// Takes in an event and says what to do, in this order.
    pub(super) fn step(&mut self, event: Event, now: Instant) -> Vec<Effect> {
        match (self.phase, event) {
            (Phase::Reading { why, since, .. }, Event::Noticed(hint)) => {
                self.phase = Phase::Reading { why, since, again: Some(hint) };
            }
            (Phase::Reading { why, since, again }, Event::Read(reading)) => {
                self.take(reading, why, since, again, now);
            }
            (_, Event::Noticed(Hint::Whole)) => self.look(Why::Change, self.doubted_since()),
            (_, Event::Noticed(Hint::Writing)) => self.settle(self.doubted_since(), true, now),
            (Phase::Resting { poll_at }, Event::Tick) if now >= poll_at => {
                self.look(Why::Poll, None);
            }
            (Phase::Settling { since, until, noticed }, Event::Tick) if now >= until => {
                self.look(Why::Quiet { noticed }, Some(since));
            }
            (_, Event::Tick | Event::Read(_)) => {}
        }
        std::mem::take(&mut self.effects)
    }

    fn take(
        &mut self,
        reading: Reading,
        why: Why,
        since: Option<Instant>,
        again: Option<Hint>,
        now: Instant,
    ) {
        let before = self.read.take();
        let alike = match (&reading.new, &before) {
            (Some(new), Some(before)) => same(new, before),
            (new, _) => new.is_none(),
        };
        let answer = reading.new.or(before);
        let sure = !reading.torn && again != Some(Hint::Writing);
        let sure =
            sure && answer.as_ref().is_some_and(|answer| self.is_sure(answer, alike, reading.age, why));
        self.read.clone_from(&answer);
        if let Some(answer) = answer.filter(|_| sure) {
            self.tell(answer);
        }
        match (again, sure, why) {
            (Some(Hint::Whole), true, _) => self.look(Why::Change, None),
            (Some(Hint::Whole), false, _) => {
                self.complain(since, now);
                self.look(Why::Change, since.or(Some(now)));
            }
            (None, true, _) => self.phase = Phase::Resting { poll_at: now + self.poll },
            (None, false, Why::Start | Why::Poll) => self.settle(since, false, now),
            (None, false, Why::Quiet { noticed }) => self.settle(since, noticed, now),
            (None, false, Why::Change) | (Some(Hint::Writing), ..) => self.settle(since, true, now),
        }
    }

    /// Whether content counts as what the file is meant to say.
    fn is_sure(&self, answer: &Answer, alike: bool, age: Duration, why: Why) -> bool {
        let told = self.told.as_ref().is_some_and(|told| same(told, answer));
        told || match why {
            Why::Start => answer.is_ok() && age >= QUIET,
            Why::Change => answer.is_ok(),
            Why::Poll => false,
            Why::Quiet { noticed } => noticed || alike,
        }
    }

    fn tell(&mut self, answer: Answer) {
        if self.told.as_ref().is_some_and(|told| same(told, &answer)) {
            return;
        }
        let event = match answer.clone() {
            Ok(snapshot) => SourceEvent::Full(snapshot),
            Err(error) => SourceEvent::Lost(error),
        };
        self.told = Some(answer);
        self.effects.push(Effect::Tell(event));
    }

    fn look(&mut self, why: Why, since: Option<Instant>) {
        self.phase = Phase::Reading { why, since, again: None };
        self.effects.push(Effect::Read);
    }

    fn settle(&mut self, since: Option<Instant>, noticed: bool, now: Instant) {
        self.complain(since, now);
        self.phase = Phase::Settling { since: since.unwrap_or(now), until: now + QUIET, noticed };
    }

    fn complain(&mut self, since: Option<Instant>, now: Instant) {
        if since.is_some_and(|since| now.saturating_duration_since(since) >= PATIENCE) {
            self.tell(Err(self.restless.clone()));
        }
    }

    fn doubted_since(&self) -> Option<Instant> {
        match self.phase {
            Phase::Settling { since, .. } => Some(since),
            Phase::Reading { since, .. } => since,
            Phase::Resting { .. } => None,
        }
    }
}

/// Whether two answers say the same; when they were taken is no part of it.
fn same(one: &Answer, two: &Answer) -> bool {
    match (one, two) {
        (Ok(one), Ok(two)) => Arc::ptr_eq(one, two) || one.says_what(two),
        (Err(one), Err(two)) => one == two,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
