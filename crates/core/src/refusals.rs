//! What HAProxy lately refused of one backend's servers, and when each is tried again.
//!
//! Invariants: the pauses of a server grow with each refusal in a row, and only a change that HAProxy shows ends the row; a
//! refusal is told once for each text, and what follows of the same text is only counted.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use roster_haproxy::change::Change;
use roster_haproxy::cli::Refusal;
use roster_haproxy::name::ServerName;
use serde::{Deserialize, Serialize};

use crate::applied::ProcessId;
use crate::later::later;
use crate::operation::{Operation, Reason};

/// The first pause after a refusal, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_mins(5));
/// How many texts are reported of one backend: HAProxy may put a number or a time into each.
const MOST_TOLD: usize = 32;

/// What HAProxy refused of one backend's servers, in one process.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Refusals {
    process: Option<ProcessId>,
    servers: BTreeMap<ServerName, Refused>,
    /// What was told.
    told: BTreeSet<String>,
}

/// A change that HAProxy did not make.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Refused {
    /// The change, in the word that logs and metrics have for it.
    pub op: String,
    /// The change itself.
    pub change: String,
    /// What HAProxy said.
    pub why: String,
    /// How often, in a row.
    pub times: u32,
    /// When it was refused first, and last.
    pub since: Timestamp,
    /// See [`since`](Self::since).
    pub at: Timestamp,
    /// When it is tried again.
    pub again: Timestamp,
    /// Whether it is the socket that refuses, and not the server.
    pub by_socket: bool,
    /// Whether it would have brought an instance to the server.
    pub brings: bool,
}

impl Refusals {
    /// Nothing was refused.
    pub fn none() -> &'static Self {
        static NONE: Refusals = Refusals { process: None, servers: BTreeMap::new(), told: BTreeSet::new() };
        &NONE
    }

    /// Whether nothing was refused.
    pub fn is_empty(&self) -> bool {
        self.servers.is_empty()
    }

    /// Goes on with this process; what another one refused is forgotten.
    pub fn enter(&mut self, process: ProcessId) {
        if self.process != Some(process) {
            *self = Self { process: Some(process), ..Self::default() };
        }
    }

    /// Notes a refusal. Of several at one time the first one counts: the others follow from it. Answers whether it has not been
    /// told yet.
    pub fn refuse(&mut self, operation: &Operation, refusal: &Refusal, now: Timestamp) -> bool {
        let Operation { server, change, .. } = operation;
        let before = self.servers.get(server);
        if matches!(refusal, Refusal::NotTried(_)) || before.is_some_and(|before| before.at == now) {
            return false;
        }
        let before = before.filter(|before| before.op == change.word());
        let times = before.map_or(1, |before| before.times.saturating_add(1));
        let why = refusal.to_string();
        let is_new = self.told.len() < MOST_TOLD && self.told.insert(why.clone());
        let refused = Refused {
            op: change.word().to_owned(),
            change: change.to_string(),
            why,
            times,
            since: before.map_or(now, |before| before.since),
            at: now,
            again: later(now, pause(times)),
            by_socket: refusal.is_by_socket(),
            brings: brings(operation),
        };
        self.servers.insert(server.clone(), refused);
        is_new
    }

    /// HAProxy shows what this change was to bring.
    pub fn shown(&mut self, operation: &Operation) {
        let word = operation.change.word();
        if self.servers.get(&operation.server).is_some_and(|refused| refused.op == word) {
            self.servers.remove(&operation.server);
        }
        if self.servers.is_empty() {
            self.told.clear();
        }
    }

    /// What was refused of a server last.
    pub fn of(&self, server: &ServerName) -> Option<&Refused> {
        self.servers.get(server)
    }

    /// Everything that was refused.
    pub fn iter(&self) -> impl Iterator<Item = (&ServerName, &Refused)> {
        self.servers.iter()
    }
}

impl Refused {
    /// Whether the server itself cannot have an instance.
    pub fn bars_the_slot(&self) -> bool {
        self.brings && !self.by_socket
    }

    /// Whether the server itself could not be added.
    pub fn is_addition(&self) -> bool {
        self.op == "add"
    }

    /// Whether it is not to be tried yet.
    pub fn is_paused(&self, now: Timestamp) -> bool {
        now < self.again
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { change, why, times, since, again, .. } = self;
        match times {
            1 => write!(f, "{change}: refused at {since:.0}: {why}; next try {again:.0}"),
            n => write!(f, "{change}: refused {n} times since {since:.0}: {why}; next try {again:.0}"),
        }
    }
}

/// Whether an operation is one of those that bring an instance to a server.
fn brings(operation: &Operation) -> bool {
    let is_weight = matches!(operation.change, Change::Weight(_) | Change::InitialWeight);
    !operation.is_going() && !is_weight && operation.why != Reason::Growth
}

fn pause(times: u32) -> Duration {
    let (first, longest) = PAUSES;
    first.saturating_mul(2_u32.saturating_pow(times.saturating_sub(1).min(16))).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use roster_haproxy::observed::State;

    fn operation(change: Change, why: Reason) -> Operation {
        Operation { backend: "web".parse().unwrap(), server: "srv1".parse().unwrap(), change, why }
    }

    fn arrival() -> Operation {
        let to = "10.0.0.1:80".parse().unwrap();
        operation(Change::Address(to), Reason::Appeared("i-1".parse().unwrap()))
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn of(refusals: &Refusals) -> &Refused {
        refusals.of(&arrival().server).unwrap()
    }

    #[test]
    fn pauses_grow_to_five_minutes_and_only_what_is_shown_ends_them() {
        let mut refusals = Refusals::default();
        let mut now = Timestamp::UNIX_EPOCH;
        let mut pauses = Vec::new();
        for _ in 0..14 {
            refusals.refuse(&arrival(), &Refusal::NoSuchServer, now);
            pauses.push(of(&refusals).again.duration_since(now).as_millis());
            now = of(&refusals).again;
            assert!(!of(&refusals).is_paused(now));
        }
        assert_eq!(pauses[..4], [250, 500, 1_000, 2_000]);
        assert_eq!(pauses[10..], [256_000, 300_000, 300_000, 300_000]);
        assert_eq!((of(&refusals).times, of(&refusals).since), (14, Timestamp::UNIX_EPOCH));
        refusals.shown(&arrival());
        assert_eq!(refusals, Refusals::default());
    }

    #[test]
    fn a_refusal_is_told_once_for_each_text_until_all_is_shown() {
        let mut refusals = Refusals::default();
        let other = Operation { server: "srv2".parse().unwrap(), ..arrival() };
        assert!(refusals.refuse(&arrival(), &Refusal::NoSuchServer, at(0)));
        assert!(!refusals.refuse(&arrival(), &Refusal::NoSuchServer, at(1)));
        assert!(!refusals.refuse(&other, &Refusal::NoSuchServer, at(1)));
        assert!(refusals.refuse(&other, &Refusal::DuplicateName, at(2)));
        refusals.shown(&other);
        assert!(!refusals.refuse(&other, &Refusal::DuplicateName, at(3)));
        refusals.shown(&other);
        refusals.shown(&arrival());
        assert!(refusals.refuse(&other, &Refusal::DuplicateName, at(4)));
    }

    #[test]
    fn of_the_refusals_of_one_batch_the_first_one_counts() {
        let mut refusals = Refusals::default();
        let ready = operation(Change::State(State::Ready), arrival().why);
        for (n, time) in [(1, 0), (2, 5)] {
            refusals.refuse(&arrival(), &Refusal::NoSuchServer, at(time));
            assert!(!refusals.refuse(&ready, &Refusal::NoCheck, at(time)));
            assert!(!refusals.refuse(
                &ready,
                &Refusal::NotTried("its address was not taken".into()),
                at(time + 1)
            ));
            assert_eq!((of(&refusals).op.as_str(), of(&refusals).times), ("address", n));
        }
    }

    #[test]
    fn another_process_begins_anew() {
        let mut refusals = Refusals::default();
        let process = |pid| ProcessId { pid, started: None };
        refusals.enter(process(1));
        refusals.refuse(&arrival(), &Refusal::NoSuchServer, Timestamp::UNIX_EPOCH);
        refusals.enter(process(1));
        assert!(refusals.of(&arrival().server).is_some());
        refusals.enter(process(2));
        assert!(refusals.of(&arrival().server).is_none());
    }

    #[test]
    fn what_is_the_sockets_fault_and_what_brings_nobody_is_told_apart() {
        let mut refusals = Refusals::default();
        refusals.refuse(&arrival(), &Refusal::PermissionDenied, at(0));
        assert!(of(&refusals).by_socket && of(&refusals).brings);
        let park = operation(Change::Address("127.0.0.1:1".parse().unwrap()), Reason::Spare);
        refusals.refuse(&park, &Refusal::NoSuchServer, at(1));
        assert!(!of(&refusals).by_socket && !of(&refusals).brings);
        assert_eq!(of(&refusals).times, 2, "the same change was refused twice");
        let weight = operation(Change::InitialWeight, Reason::Drifted);
        refusals.refuse(&weight, &Refusal::WeightNotAllowed, at(2));
        assert!(!of(&refusals).brings);
        assert_eq!(of(&refusals).times, 1, "another change was refused");
    }
}
