//! What became of the requests and of HAProxy, and the line that shows it.

use std::collections::BTreeMap;
use std::fmt::Write;

/// What became of the requests so far.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Tally {
    /// Whole answers, by who gave them.
    pub(crate) answers: BTreeMap<String, u64>,
    /// Requests without a whole answer.
    pub(crate) failed: u64,
    /// Requests that HAProxy was answering when it was killed, and that ended with it.
    pub(crate) cut: u64,
    /// What was wrong with the last of those that failed.
    pub(crate) last_fault: Option<String>,
}

/// What became of HAProxy so far.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Lives {
    /// The processes that served, one after the other, as far as they were seen.
    pub(crate) pids: Vec<u32>,
    /// Why each reload was made, as Roster tells.
    pub(crate) reloads: Vec<String>,
    /// How often it ended and was started again, as Roster tells.
    pub(crate) restarts: u64,
}

/// What the status line shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Status<'a> {
    /// Everything up to now.
    pub(crate) total: &'a Tally,
    /// Everything up to when the line begins to count.
    pub(crate) before: &'a Tally,
    /// The processes up to now.
    pub(crate) lives: &'a Lives,
    /// Whether the last of them answers.
    pub(crate) answers: bool,
}

impl Tally {
    /// Takes in one more request. Those that HAProxy's kill may have met are no failures if they came to nothing.
    pub(crate) fn count<E: std::fmt::Display>(&mut self, outcome: Result<String, E>, is_met_by_kill: bool) {
        match outcome {
            Ok(name) => *self.answers.entry(name).or_default() += 1,
            Err(_) if is_met_by_kill => self.cut += 1,
            Err(fault) => {
                self.failed += 1;
                self.last_fault = Some(fault.to_string());
            }
        }
    }

    /// All requests, whatever came of them.
    pub(crate) fn requests(&self) -> u64 {
        self.answers.values().sum::<u64>() + self.failed + self.cut
    }

    fn by(&self, name: &str) -> u64 {
        self.answers.get(name).copied().unwrap_or_default()
    }
}

impl Lives {
    /// Whether Roster has told of each time that another process came to serve. A process that nobody saw may have
    /// come and gone, so there may be fewer than it told of.
    pub(crate) fn are_explained(&self) -> bool {
        let changes = u64::try_from(self.pids.len().saturating_sub(1)).unwrap_or(u64::MAX);
        changes <= self.restarts.saturating_add(u64::try_from(self.reloads.len()).unwrap_or(u64::MAX))
    }

    /// Each kind of change, with how often and, where there is room for it, why.
    pub(crate) fn summary(&self, with_reasons: bool) -> String {
        let mut text = match (self.reloads.len(), self.restarts) {
            (0, 0) => "no reload".to_owned(),
            (0, restarts) => counted(restarts, "restart"),
            (reloads, restarts) => {
                let mut text = counted(u64::try_from(reloads).unwrap_or(u64::MAX), "reload");
                if with_reasons {
                    // Writing to a string cannot fail.
                    write!(text, " ({})", self.reloads.join("; ")).ok();
                }
                if restarts > 0 {
                    write!(text, ", {}", counted(restarts, "restart")).ok();
                }
                text
            }
        };
        if !self.are_explained() {
            write!(text, ", REPLACED WITHOUT A WORD (pids {:?})", self.pids).ok();
        }
        text
    }

    fn is_the_first(&self) -> bool {
        self.pids.len() == 1 && self.reloads.is_empty() && self.restarts == 0
    }
}

impl Status<'_> {
    /// Whether all is as it should be.
    pub(crate) fn is_well(&self) -> bool {
        self.total.failed == 0 && self.answers && self.lives.are_explained()
    }

    /// The line: who gave which share of the answers, what failed at all, whether HAProxy was replaced.
    pub(crate) fn render(&self, names: &[&str]) -> String {
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
        write!(line, "{} failed, ", self.total.failed).ok();
        match self.lives.pids.last() {
            Some(pid) if self.answers && self.lives.is_the_first() => write!(line, "no reload (pid {pid})"),
            _ if self.answers => write!(line, "{}", self.lives.summary(false)),
            _ => write!(line, "HAPROXY DOES NOT ANSWER"),
        }
        .ok();
        line
    }
}

fn counted(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(answers: &[(&str, u64)], failed: u64) -> Tally {
        let answers = answers.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        Tally { answers, failed, ..Tally::default() }
    }

    fn lives(pids: &[u32], reloads: &[&str], restarts: u64) -> Lives {
        let reloads = reloads.iter().map(|reason| (*reason).to_owned()).collect();
        Lives { pids: pids.to_vec(), reloads, restarts }
    }

    fn line(total: &Tally, before: &Tally, lives: &Lives) -> String {
        Status { total, before, lives, answers: true }.render(&["amber", "blue", "coral"])
    }

    #[test]
    fn shares_are_of_what_came_since_the_line_began() {
        let (before, total) = (tally(&[("amber", 100)], 0), tally(&[("amber", 130), ("blue", 60)], 0));
        insta::assert_snapshot!(line(&total, &before, &lives(&[4711], &[], 0)),
            @"amber 33%  blue 67%  coral   -  0 failed, no reload (pid 4711)");
    }

    #[test]
    fn failures_count_from_the_start_of_the_demo() {
        let before = tally(&[("amber", 10)], 2);
        insta::assert_snapshot!(line(&before, &before, &lives(&[4711], &[], 0)),
            @"amber   -  blue   -  coral   -  2 failed, no reload (pid 4711)");
    }

    #[test]
    fn reloads_and_restarts_are_counted() {
        let total = tally(&[("amber", 10)], 0);
        let both = lives(&[1, 2, 3], &["backend shop is new"], 1);
        insta::assert_snapshot!(line(&total, &Tally::default(), &both),
            @"amber 100%  blue   -  coral   -  0 failed, 1 reload, 1 restart");
        assert_eq!(both.summary(true), "1 reload (backend shop is new), 1 restart");
        assert_eq!(lives(&[1, 2, 3], &[], 2).summary(true), "2 restarts");
        assert_eq!(lives(&[], &[], 0).summary(true), "no reload");
    }

    #[test]
    fn a_process_that_roster_does_not_tell_of_stands_out() {
        let total = tally(&[("amber", 10)], 0);
        let well =
            |lives: &Lives, answers| Status { total: &total, before: &total, lives, answers }.is_well();
        assert!(well(&lives(&[1], &[], 0), true));
        assert!(!well(&lives(&[1], &[], 0), false));
        assert!(well(&lives(&[1, 2], &["x"], 0), true));
        let odd = lives(&[1, 2, 3], &["x"], 0);
        assert!(!well(&odd, true));
        assert_eq!(odd.summary(false), "1 reload, REPLACED WITHOUT A WORD (pids [1, 2, 3])");
        assert_eq!(lives(&[1, 2], &[], 0).summary(true), "no reload, REPLACED WITHOUT A WORD (pids [1, 2])");
    }

    #[test]
    fn every_outcome_is_counted_once() {
        let mut tally = Tally::default();
        tally.count(Ok::<_, &str>("amber".to_owned()), false);
        tally.count(Err("refused"), false);
        tally.count(Ok::<_, &str>("amber".to_owned()), true);
        tally.count(Err("reset"), true);
        assert_eq!((tally.by("amber"), tally.failed, tally.cut, tally.requests()), (2, 1, 1, 4));
        assert_eq!(tally.last_fault.as_deref(), Some("refused"));
    }
}
