//! What the kernel says of a process: `/proc/PID/stat` (`proc_pid_stat`(5)).

use std::fs;
use std::time::Duration;

/// How many clock ticks a second has in `/proc`: the kernel's `USER_HZ`, 100 on every machine that Rust supports.
const TICKS: u64 = 100;

/// The fields in use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Stat {
    /// Ended, and not yet reaped.
    pub(crate) is_zombie: bool,
    /// Its parent's number.
    pub(crate) parent: u32,
    /// When it started, in clock ticks since boot. With the number it names a process for good: `exec` keeps both.
    pub(crate) started: u64,
}

impl Stat {
    pub(crate) fn of(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// How long ago it started.
    pub(crate) fn age(self) -> Option<Duration> {
        let text = fs::read_to_string("/proc/uptime").ok()?;
        let uptime: f64 = text.split_ascii_whitespace().next()?.parse().ok()?;
        let started = Duration::from_millis(self.started.checked_mul(1_000 / TICKS)?);
        Some(Duration::try_from_secs_f64(uptime).ok()?.saturating_sub(started))
    }

    /// The name in parentheses can hold anything, but the last `)` ends it.
    fn parse(text: &str) -> Option<Self> {
        let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace();
        let state = fields.next()?;
        let parent = fields.next()?.parse().ok()?;
        // It is field 22 of the line, and `parent` was field 4.
        let started = fields.nth(17)?.parse().ok()?;
        Some(Self { is_zombie: matches!(state, "Z" | "X"), parent, started })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "4433 (a) Z 1 (b) S 7 4433 4433 0 -1 4194560 2 0 0 0 0 0 0 0 20 0 1 0 1503437 0 0 0\n";

    #[test]
    fn a_name_with_parentheses_moves_no_field() {
        assert_eq!(Stat::parse(LINE), Some(Stat { is_zombie: false, parent: 7, started: 1_503_437 }));
    }

    #[test]
    fn this_process_is_found_and_a_made_up_one_is_not() {
        let own = Stat::of(std::process::id()).unwrap();
        assert!(!own.is_zombie && own.started > 0);
        assert!(own.age().unwrap() < Duration::from_hours(1), "{:?}", own.age());
        assert_eq!(Stat::of(u32::MAX), None);
        assert_eq!(Stat::parse("4433 (haproxy) S 7"), None);
    }
}
