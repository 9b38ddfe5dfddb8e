//! The way out: drain, wait for the connections to end, then maintenance.

use roster_haproxy::change::Change;
use roster_haproxy::observed::{ObservedServer, State};

use super::{Scene, Steps};
use crate::applied::{AppliedServer, Phase};
use crate::departure::Departure;
use crate::later::later;
use crate::operation::Reason;
use crate::plan::types::DRAIN_POLL;

/// A slot without an instance: in maintenance at the parking address.
pub(super) fn park(
    scene: &Scene<'_>,
    departure: &Departure,
    seen: &ObservedServer,
    record: Option<&AppliedServer>,
) -> Steps {
    let pointed = record.and_then(|r| r.endpoint);
    let left = |instance, endpoint| Reason::Left { instance, endpoint, why: departure.clone() };
    let why = match (record, pointed, seen.endpoint()) {
        (Some(r), Some(endpoint), _) => left(r.instance.clone(), endpoint),
        (None, _, Some(endpoint)) if endpoint != scene.parking => left(None, endpoint),
        _ => Reason::Spare,
    };
    if pointed.is_none() && record.is_some() && seen.told() != State::Maint {
        // Parked before, and somebody made it ready: nothing is there to be drained.
        let mut steps = Steps::default();
        steps.push(Change::State(State::Maint), Reason::Spare);
        steps.next = Some(parked(scene, record));
        return steps;
    }
    leave(scene, seen, record, why, true)
}

/// Takes a server out: drain, wait for its connections, then maintenance, at the parking address if it is to be free.
pub(super) fn leave(
    scene: &Scene<'_>,
    seen: &ObservedServer,
    record: Option<&AppliedServer>,
    why: Reason,
    to_parking: bool,
) -> Steps {
    let mut steps = Steps::default();
    let draining = record.filter(|r| r.phase == Phase::Draining);
    let began = draining.map_or(scene.now, |r| r.since);
    let until = later(began, scene.policy.drain.cap);
    match seen.told() {
        State::Maint if to_parking && scene.by_address && is_made(scene, record) => {
            steps.push(Change::Delete, why);
            steps.wake_at(later(scene.now, DRAIN_POLL));
            steps.next = record.cloned();
            return steps;
        }
        State::Maint => return out(scene, steps, seen, record, why, to_parking),
        _ if scene.policy.drain.cap.is_zero() => {
            steps.push(Change::State(State::Maint), why.clone());
            return out(scene, steps, seen, record, why, to_parking);
        }
        State::Ready => steps.push(Change::State(State::Drain), why),
        State::Drain => {
            let over = if seen.connections == Some(0) && draining.is_some() {
                Some(Reason::ConnectionsEnded)
            } else {
                (scene.now >= until).then_some(Reason::DrainCap { connections: seen.connections })
            };
            if let Some(over) = over {
                steps.push(Change::State(State::Maint), over.clone());
                return out(scene, steps, seen, record, over, to_parking);
            }
        }
    }
    steps.wake_at(later(scene.now, DRAIN_POLL).min(until));
    steps.next = Some(AppliedServer {
        instance: record.and_then(|r| r.instance.clone()),
        endpoint: seen.endpoint(),
        weight: record.and_then(|r| r.weight),
        confirmed: steps.changes.is_empty(),
        ..AppliedServer::new(Phase::Draining, began)
    });
    steps
}

/// Whether Roster made a server: it added it, or the lines of the file are its own.
fn is_made(scene: &Scene<'_>, record: Option<&AppliedServer>) -> bool {
    record.is_some_and(|record| record.made || scene.limits.line_weight.is_some())
}

/// A server that is in maintenance, or will be by `steps`.
pub(super) fn out(
    scene: &Scene<'_>,
    mut steps: Steps,
    seen: &ObservedServer,
    record: Option<&AppliedServer>,
    why: Reason,
    to_parking: bool,
) -> Steps {
    let pointed = record.is_some_and(|r| r.endpoint.is_some()) || !steps.changes.is_empty();
    let may_point = !scene.by_address && seen.fixed_address().is_none();
    if to_parking && pointed && may_point && seen.endpoint() != Some(scene.parking) {
        steps.push(Change::Address(scene.parking), why);
    }
    let base = parked(scene, record);
    let phase = if to_parking { Phase::Parked } else { Phase::Resting };
    if scene.by_address && !steps.changes.is_empty() {
        steps.wake_at(scene.now);
    }
    let weight = (seen.weight != seen.initial_weight).then_some(seen.weight);
    steps.next = Some(AppliedServer { phase, weight, confirmed: steps.changes.is_empty(), ..base });
    steps
}

pub(super) fn parked(scene: &Scene<'_>, record: Option<&AppliedServer>) -> AppliedServer {
    let known = record.filter(|r| matches!(r.phase, Phase::Parked | Phase::Resting));
    AppliedServer {
        // The instance that was there last: a slot that never had one needs no rest.
        instance: record.and_then(|r| r.instance.clone()),
        ..AppliedServer::new(Phase::Parked, known.map_or(scene.now, |r| r.since))
    }
}
