//! What became of the requests, and the line that shows it.

use std::collections::BTreeMap;
use std::fmt::Write;

/// What became of the requests so far.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Tally {
    /// Whole answers, by who gave them.
    pub(super) answers: BTreeMap<String, u64>,
    /// Requests without a whole answer.
    pub(super) failed: u64,
    /// What was wrong with the last of those.
    pub(super) last_fault: Option<String>,
}

/// What the status line shows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Status<'a> {
    /// Everything up to now.
    pub(super) total: &'a Tally,
    /// Everything up to when the line begins to count.
    pub(super) before: &'a Tally,
    /// The process that HAProxy was at the start.
    pub(super) first_pid: u32,
    /// The process that it is now, if it answers.
    pub(super) pid: Option<u32>,
}

impl Tally {
    /// Takes in one more request.
    pub(super) fn count<E: std::fmt::Display>(&mut self, outcome: Result<String, E>) {
        match outcome {
            Ok(name) => *self.answers.entry(name).or_default() += 1,
            Err(fault) => {
                self.failed += 1;
                self.last_fault = Some(fault.to_string());
            }
        }
    }

    /// All requests, failed ones included.
    pub(super) fn requests(&self) -> u64 {
        self.answers.values().sum::<u64>() + self.failed
    }

    fn by(&self, name: &str) -> u64 {
        self.answers.get(name).copied().unwrap_or_default()
    }
}

impl Status<'_> {
    /// Whether all is as it should be.
    pub(super) fn is_well(&self) -> bool {
        self.total.failed == 0 && self.pid == Some(self.first_pid)
    }

    /// The line: who gave which share of the answers, what failed at all, whether HAProxy was replaced.
    pub(super) fn render(&self, names: &[&str]) -> String {
        let since = |name: &str| self.total.by(name).saturating_sub(self.before.by(name));
        let all: u64 = self.total.answers.keys().map(|name| since(name)).sum();
        let mut line = String::new();
        for name in names {
            let share = match since(name) {
                0 => "-".to_owned(),
                some => format!("{}%", (some * 100 + all / 2).checked_div(all).unwrap_or_default()),
            };
            // Writing to a string cannot fail.
            write!(line, "{name} {share:>3}  ").ok();
        }
        let process = match self.pid {
            None => "HAPROXY DOES NOT ANSWER".to_owned(),
            Some(pid) if pid == self.first_pid => format!("no reload (pid {pid})"),
            Some(pid) => format!("RELOADED (pid {} -> {pid})", self.first_pid),
        };
        write!(line, "{} failed, {process}", self.total.failed).ok();
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(answers: &[(&str, u64)], failed: u64) -> Tally {
        let answers = answers.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        Tally { answers, failed, last_fault: None }
    }

    fn line(total: &Tally, before: &Tally, pid: Option<u32>) -> String {
        Status { total, before, first_pid: 4711, pid }.render(&["amber", "blue", "coral"])
    }

    #[test]
    fn shares_are_of_what_came_since_the_line_began() {
        let (before, total) = (tally(&[("amber", 100)], 0), tally(&[("amber", 130), ("blue", 60)], 0));
        insta::assert_snapshot!(line(&total, &before, Some(4711)),
            @"amber 33%  blue 67%  coral   -  0 failed, no reload (pid 4711)");
    }

    #[test]
    fn failures_count_from_the_start_of_the_demo() {
        let before = tally(&[("amber", 10)], 2);
        insta::assert_snapshot!(line(&before, &before, Some(4711)),
            @"amber   -  blue   -  coral   -  2 failed, no reload (pid 4711)");
    }

    #[test]
    fn another_process_stands_out() {
        let total = tally(&[("amber", 10)], 0);
        insta::assert_snapshot!(line(&total, &Tally::default(), Some(4712)),
            @"amber 100%  blue   -  coral   -  0 failed, RELOADED (pid 4711 -> 4712)");
        assert!(!Status { total: &total, before: &total, first_pid: 1, pid: Some(2) }.is_well());
        assert!(!Status { total: &total, before: &total, first_pid: 1, pid: None }.is_well());
        assert!(Status { total: &total, before: &total, first_pid: 1, pid: Some(1) }.is_well());
    }

    #[test]
    fn every_outcome_is_counted_once() {
        let mut tally = Tally::default();
        tally.count(Ok::<_, &str>("amber".to_owned()));
        tally.count(Err("refused"));
        tally.count(Ok::<_, &str>("amber".to_owned()));
        assert_eq!((tally.by("amber"), tally.failed, tally.requests()), (2, 1, 3));
        assert_eq!(tally.last_fault.as_deref(), Some("refused"));
    }
}
