//! Where a server stands: what HAProxy shows of it, beside what is wanted of it.
//!
//! A server is active only where HAProxy shows it ready and up at its instance's address. What is only planned does not count.

use std::time::Duration;

use jiff::Timestamp;
use roster_haproxy::observed::{ObservedServer, State};

use super::server::Steps;
use super::types::{Standing, Status};
use crate::applied::{AppliedServer, Phase};
use crate::exposure::BringUp;
use crate::guard::Wish;
use crate::later::later;

/// Where a server of ours stands. `drain_cap` is how long its connections may take to end.
pub(super) fn standing(
    steps: &Steps,
    seen: Option<&ObservedServer>,
    wish: Option<&Wish<'_>>,
    record: Option<&AppliedServer>,
    drain_cap: Duration,
) -> Standing {
    let Some(next) = &steps.next else {
        let instance = wish.map(|wish| wish.instance.id.clone());
        let endpoint = wish.map(|wish| wish.instance.endpoint);
        return Standing { status: Status::Absent, instance, endpoint, since: None, left: None };
    };
    let settled = steps.changes.is_empty();
    let serves = seen.is_some_and(ObservedServer::serves);
    let status = match (next.phase, next.operator) {
        (Phase::Serving, Some(hold)) => Status::Operator(hold),
        (Phase::Serving, None) => serving(next, seen, wish),
        (Phase::Rising(how), _) => Status::Rising(how),
        (Phase::Draining | Phase::Resting | Phase::Parked, _) if serves => Status::Leaving,
        (Phase::Draining, _) => Status::Draining {
            connections: seen.and_then(|s| s.connections),
            until: later(next.since, drain_cap),
        },
        (Phase::Resting, _) => Status::Unhealthy,
        (Phase::Parked, _) if seen.is_none() => Status::Absent,
        (Phase::Parked, _) => Status::Spare,
    };
    let instance = wish.map(|wish| wish.instance.id.clone());
    let last = || next.instance.clone().or_else(|| record.and_then(|r| r.instance.clone()));
    // A spare slot's record says who was there last; nobody is there now.
    let instance = if next.phase == Phase::Parked { instance } else { instance.or_else(last) };
    let endpoint =
        wish.map(|wish| wish.instance.endpoint).or_else(|| seen.and_then(ObservedServer::endpoint));
    let since = since(&status, next, record, settled);
    Standing { status, instance, endpoint, since, left: next.left.clone() }
}

/// Since when that state holds, where that is known.
fn since(
    status: &Status,
    next: &AppliedServer,
    record: Option<&AppliedServer>,
    settled: bool,
) -> Option<Timestamp> {
    match status {
        Status::Operator(hold) => Some(hold.since),
        // The record says since when Roster has it serve, and not when HAProxy's check failed or the source lost it.
        Status::Down | Status::Held => None,
        // What is found without a record may have been so for long.
        _ if record.is_none() && settled => None,
        _ => Some(next.since),
    }
}

/// Where a server stands that is to take traffic.
fn serving(next: &AppliedServer, seen: Option<&ObservedServer>, wish: Option<&Wish<'_>>) -> Status {
    let Some(seen) = seen.filter(|seen| seen.endpoint().is_some() && seen.endpoint() == next.endpoint) else {
        return Status::Rising(BringUp::Registry);
    };
    match (seen.told(), seen.state()) {
        (State::Ready, State::Ready) if wish.is_some_and(Wish::is_kept) => Status::Held,
        (State::Ready, State::Ready) if !seen.is_up() => Status::Down,
        (State::Ready, State::Ready) => Status::Active,
        (State::Ready, _) => Status::Inherited,
        _ if seen.has_agent && next.confirmed => Status::Agent,
        _ => Status::Rising(BringUp::Registry),
    }
}
