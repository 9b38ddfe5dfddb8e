//! The time.
//!
//! - [`now`] is the time inside the process: the machine's clock as it was at the start, and what has passed since. It never
//!   jumps. Every decision, hold, drain and pause uses it.
//! - [`wall`] is what the machine's clock shows. An operator or a time service may set it an hour forward or back at any moment.
//!   It is for people, for the time stamps of files, and for protocols.
//! - [`jumped`] is how far the second has jumped away from the first. It is added to a time that leaves the process (a record on
//!   disk, a status) and taken off one that enters it.
//!
//! While a machine is suspended the time inside the process stands still.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};

/// A smaller difference is no jump: the two clocks are not read at the same instant.
const JUMP: SignedDuration = SignedDuration::from_secs(1);

static CLOCK: LazyLock<Clock> = LazyLock::new(|| Clock::new(wall(), Instant::now()));

/// The two clocks of a process. This one is told what they show; [`now`] and [`jumped`] read them.
#[derive(Debug)]
pub struct Clock {
    wall: Timestamp,
    begun: Instant,
    /// The last jump that was seen, in nanoseconds. It changes with a jump alone, so that a time that leaves and enters again is
    /// the same to the nanosecond.
    jumped: AtomicI64,
}

impl Clock {
    /// A clock that starts now, when the machine's clock shows this.
    pub fn new(wall: Timestamp, now: Instant) -> Self {
        Self { wall, begun: now, jumped: AtomicI64::new(0) }
    }

    /// The time inside the process.
    pub fn now(&self, now: Instant) -> Timestamp {
        let passed = SignedDuration::try_from(now.saturating_duration_since(self.begun)).ok();
        passed.and_then(|passed| self.wall.checked_add(passed).ok()).unwrap_or(Timestamp::MAX)
    }

    /// How far the machine's clock has jumped since the start, when it shows this now. Negative where it was set back.
    pub fn jumped(&self, wall: Timestamp, now: Instant) -> SignedDuration {
        let before = SignedDuration::from_nanos(self.jumped.load(Ordering::Relaxed));
        let jumped = wall.duration_since(self.now(now));
        let Some(nanos) = i64::try_from(jumped.as_nanos()).ok().filter(|_| (jumped - before).abs() >= JUMP)
        else {
            return before;
        };
        self.jumped.store(nanos, Ordering::Relaxed);
        jumped
    }
}

/// The time inside the process.
pub fn now() -> Timestamp {
    CLOCK.now(Instant::now())
}

/// What the machine's clock shows.
#[allow(clippy::disallowed_methods, reason = "this is the border at which the clock is read")]
pub fn wall() -> Timestamp {
    Timestamp::try_from(std::time::SystemTime::now()).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// How far the machine's clock has jumped since the start of the process. Negative where it was set back.
pub fn jumped() -> SignedDuration {
    CLOCK.jumped(wall(), Instant::now())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const HOUR: SignedDuration = SignedDuration::from_hours(1);

    fn start() -> Timestamp {
        Timestamp::from_second(1_000_000).unwrap()
    }

    #[test]
    fn a_jump_of_the_wall_clock_either_way_does_not_move_the_time_inside_the_process() {
        let begun = Instant::now();
        let clock = Clock::new(start(), begun);
        for jump in [HOUR, -HOUR, HOUR * 24 * 365 * 30] {
            let later = begun + Duration::from_secs(5);
            assert_eq!(clock.jumped(start() + SignedDuration::from_secs(5) + jump, later), jump);
            assert_eq!(clock.now(later), start() + SignedDuration::from_secs(5));
        }
    }

    #[test]
    fn a_jump_is_the_same_to_the_nanosecond_until_the_next_one() {
        let begun = Instant::now();
        let clock = Clock::new(start(), begun);
        let jitter = SignedDuration::from_millis(300);
        assert_eq!(clock.jumped(start() + jitter, begun), SignedDuration::ZERO, "no jump");
        assert_eq!(clock.jumped(start() + HOUR, begun), HOUR);
        assert_eq!(clock.jumped(start() + HOUR + jitter, begun), HOUR, "no other jump");
        assert_eq!(clock.jumped(start() + jitter, begun), jitter, "set right again");
    }

    #[test]
    fn without_a_jump_both_clocks_show_the_same() {
        assert_eq!(jumped(), SignedDuration::ZERO);
        assert!(wall().duration_since(now()).abs() < JUMP);
    }
}
