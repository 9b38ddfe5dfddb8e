//! The time inside the process. It never jumps; what leaves the process or enters it has its times moved here.

use std::borrow::Cow;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use roster_core::times::Times;

pub(crate) use roster_clock::{now, wall};

/// So long after a moment, at most the end of time.
pub(crate) fn after(at: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by).ok().and_then(|by| at.checked_add(by).ok()).unwrap_or(Timestamp::MAX)
}

/// The first of the two, doubled so many times, at most the second: pauses that grow.
pub(crate) fn doubled((first, longest): (Duration, Duration), times: u32) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(times)).min(longest)
}

/// How long it is until then; nothing if it has passed.
pub(crate) fn until(then: Timestamp) -> Duration {
    then.duration_since(now()).try_into().unwrap_or(Duration::ZERO)
}

/// The same for people and for the next process: as the machine's clock shows it.
pub(crate) fn to_wall<T: Times>(mut value: T) -> T {
    value.shift(roster_clock::jumped());
    value
}

/// The same for a record, which is copied only where the clocks differ.
pub(crate) fn as_written<T: Times + Clone>(value: &T) -> Cow<'_, T> {
    if roster_clock::jumped().is_zero() { Cow::Borrowed(value) } else { Cow::Owned(to_wall(value.clone())) }
}

/// What was written by the machine's clock, by a process before this one too.
pub(crate) fn from_wall<T: Times>(mut value: T) -> T {
    value.shift(-roster_clock::jumped());
    value.not_after(now());
    value
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use roster_clock::Clock;
    use roster_core::applied::{AppliedServer, Phase};
    use roster_core::exposure::Guards;
    use roster_core::guard::{Guard, Hold, ends};

    use super::*;

    const HOUR: SignedDuration = SignedDuration::from_hours(1);

    fn seconds(count: i64) -> SignedDuration {
        SignedDuration::from_secs(count)
    }

    fn start() -> Timestamp {
        Timestamp::from_second(1_000_000).unwrap()
    }

    fn hold(since: Timestamp) -> (Hold, Guards) {
        let guards = Guards { hold_for: Duration::from_secs(300), ..Guards::default() };
        (Hold { guard: Guard::Share, since, answer: since, answers: 1, leaving: 3, of: 4 }, guards)
    }

    #[test]
    fn a_jump_of_an_hour_either_way_ends_no_hold_early_and_keeps_no_drain_open() {
        let begun = Instant::now();
        for jump in [HOUR, -HOUR] {
            let clock = Clock::new(start(), begun);
            let (mut hold, guards) = hold(clock.now(begun));
            let mut drain = AppliedServer::new(Phase::Draining, clock.now(begun));
            let a_minute_on = begun + Duration::from_secs(60);
            let left = |hold: &Hold, now| ends(hold, &guards).unwrap().duration_since(now);
            let now = clock.now(a_minute_on);
            assert_eq!((left(&hold, now), now.duration_since(drain.since)), (seconds(240), seconds(60)));

            // The next process starts with the clock as it is then, and reads the records of this one.
            let wall = start() + seconds(60) + jump;
            let jumped = clock.jumped(wall, a_minute_on);
            hold.shift(jumped);
            drain.shift(jumped);
            let now = Clock::new(wall, a_minute_on).now(a_minute_on);
            hold.not_after(now);
            drain.not_after(now);
            assert_eq!((left(&hold, now), now.duration_since(drain.since)), (seconds(240), seconds(60)));
        }
    }

    #[test]
    fn a_clock_that_was_set_back_while_no_roster_ran_keeps_no_drain_open_for_longer_than_its_cap() {
        let mut drain = AppliedServer::new(Phase::Draining, start());
        let now = start() - HOUR;
        drain.not_after(now);
        assert_eq!(drain.since, now);
    }

    #[test]
    fn without_a_jump_a_record_is_written_as_it_is_and_read_back_so() {
        let record = AppliedServer::new(Phase::Draining, now());
        assert!(matches!(as_written(&record), Cow::Borrowed(_)));
        assert_eq!(from_wall(record.clone()), record);
    }
}
