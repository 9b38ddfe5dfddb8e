//! The addresses that could not be listened on, and when each is tried again. Pure: time comes in as a value.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use roster_haproxy::render::BindAddress;

use crate::clock::{after, doubled};

/// The first pause and the longest, after a trial of Roster's own.
const OWN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// The same after HAProxy failed where the trial had not: each try may cost it a moment of listening.
const BY_HAPROXY: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3600));

/// Why addresses cannot be listened on.
#[derive(Debug, Default)]
pub(in crate::own) struct Failed {
    all: BTreeMap<BindAddress, One>,
    /// Whether HAProxy ended since this was last asked: another program may have taken its ports.
    haproxy_ended: bool,
}

#[derive(Debug)]
struct One {
    why: String,
    failures: u32,
    again: Timestamp,
    /// Whether its bind is left out; not any more once a trial went well, until HAProxy listens there.
    is_left_out: bool,
}

impl Failed {
    /// Why a bind is left out.
    pub(in crate::own) fn why(&self, at: &BindAddress) -> Option<&str> {
        self.all.get(at).filter(|one| one.is_left_out).map(|one| one.why.as_str())
    }

    /// Whether nothing speaks against an address, or what does is old enough.
    pub(in crate::own) fn is_to_be_tried(&self, at: &BindAddress, now: Timestamp) -> bool {
        self.all.get(at).is_none_or(|one| !one.is_left_out || one.again <= now)
    }

    /// Whether what failed is to be tried again now.
    pub(super) fn is_due(&self, at: &BindAddress, now: Timestamp) -> bool {
        self.all.get(at).is_some_and(|one| one.is_left_out && one.again <= now)
    }

    /// When the next one is due.
    pub(in crate::own) fn next(&self) -> Option<Timestamp> {
        let due = self.all.values().filter(|one| one.is_left_out).map(|one| one.again);
        due.chain(self.haproxy_ended.then_some(Timestamp::UNIX_EPOCH)).min()
    }

    /// HAProxy ended, and with it what it listened on.
    pub(in crate::own) fn haproxy_ended(&mut self) {
        self.haproxy_ended = true;
    }

    /// Whether it did since this was last asked.
    pub(super) fn has_haproxy_ended(&mut self) -> bool {
        std::mem::take(&mut self.haproxy_ended)
    }

    /// Takes in the outcome of a trial, and why it failed if it did. Answers whether that changes anything.
    pub(in crate::own) fn tried(&mut self, at: BindAddress, failed: Option<String>, now: Timestamp) -> bool {
        match failed {
            Some(why) => self.fail(at, why, OWN, now),
            None => self.all.get_mut(&at).is_some_and(|one| std::mem::replace(&mut one.is_left_out, false)),
        }
    }

    /// HAProxy could not listen there.
    pub(super) fn refused(&mut self, at: BindAddress, why: String, now: Timestamp) {
        self.fail(at, why, BY_HAPROXY, now);
    }

    /// Leaves nothing out any more.
    pub(super) fn let_all_pass(&mut self) {
        self.all.values_mut().for_each(|one| one.is_left_out = false);
    }

    /// Forgets what HAProxy listens on now.
    pub(in crate::own) fn listens(&mut self) {
        self.all.retain(|_, one| one.is_left_out);
    }

    /// Forgets what is no longer wanted.
    pub(super) fn retain(&mut self, is_wanted: impl Fn(&BindAddress) -> bool) {
        self.all.retain(|at, _| is_wanted(at));
    }

    fn fail(&mut self, at: BindAddress, why: String, pauses: (Duration, Duration), now: Timestamp) -> bool {
        let before = self.all.remove(&at);
        let failures = before.as_ref().map_or(0, |one| one.failures);
        let pause = doubled(pauses, failures);
        let is_news = before.is_none_or(|one| !one.is_left_out || one.why != why);
        let one =
            One { why, failures: failures.saturating_add(1), again: after(now, pause), is_left_out: true };
        self.all.insert(at, one);
        is_news
    }
}

/// The lines of the file whose binds HAProxy complains of, and what of each. As 2.6 to 3.2 write:
/// `Binding [FILE:8] for frontend a: cannot bind socket (Address already in use) for [127.0.0.1:80]`.
pub(super) fn complaints(said: &str, config: &Path) -> Vec<(usize, String)> {
    let file = format!("Binding [{}:", config.display());
    let one = |rest: &str| {
        let (line, rest) = rest.split_once(']')?;
        let what = rest.split_once(": ")?.1.split("; ").next()?;
        Some((line.parse().ok()?, what.trim_end_matches('.').to_owned()))
    };
    said.split(&*file).skip(1).filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> BindAddress {
        text.parse().unwrap()
    }

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn an_address_is_tried_again_after_pauses_that_grow_and_alone() {
        let mut failed = Failed::default();
        let port = at("*:80");
        let mut now = second(0);
        let mut pauses = Vec::new();
        for round in 0..8 {
            assert!(failed.is_to_be_tried(&port, now));
            assert_eq!(failed.tried(port.clone(), Some("in use".to_owned()), now), round == 0);
            assert!(!failed.is_to_be_tried(&port, now) && failed.is_to_be_tried(&at("*:81"), now));
            let next = failed.next().unwrap();
            pauses.push(next.duration_since(now).as_secs());
            now = next;
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(failed.why(&port), Some("in use"));
        assert!(failed.tried(port.clone(), None, now) && failed.why(&port).is_none());
        assert_eq!(failed.next(), None);
    }

    #[test]
    fn what_haproxy_refused_though_the_trial_went_well_waits_longer_each_time_until_it_listens() {
        let mut failed = Failed::default();
        let port = at("*:80");
        failed.refused(port.clone(), "HAProxy says no".to_owned(), second(0));
        assert!(!failed.is_due(&port, second(59)) && failed.is_due(&port, second(60)));
        failed.tried(port.clone(), None, second(60));
        failed.refused(port.clone(), "HAProxy says no".to_owned(), second(60));
        assert_eq!(failed.next(), Some(second(180)));
        failed.tried(port.clone(), None, second(180));
        failed.listens();
        failed.refused(port, "HAProxy says no".to_owned(), second(200));
        assert_eq!(failed.next(), Some(second(260)));
    }

    #[test]
    fn haproxys_complaints_of_binds_name_their_lines() {
        let said = "Binding [/etc/h.cfg:8] for frontend a: cannot bind socket (Address already in use) for [127.0.0.1:80]; \
                    Binding [/etc/h.cfg:10] for frontend b: protocol tcpv4: cannot bind socket (Permission denied) for \
                    [10.0.0.1:80].; [haproxy.main()] Some protocols failed to start their listeners! Exiting.";
        let found = complaints(said, Path::new("/etc/h.cfg"));
        let words = [
            (8, "cannot bind socket (Address already in use) for [127.0.0.1:80]".to_owned()),
            (10, "protocol tcpv4: cannot bind socket (Permission denied) for [10.0.0.1:80]".to_owned()),
        ];
        assert_eq!(found, words);
        assert!(complaints(said, Path::new("/etc/other.cfg")).is_empty());
    }
}
