//! The slots of a backend as they stand: by the record, and where there is none, by what HAProxy shows.

use std::collections::{BTreeMap, HashMap, HashSet};

use roster_haproxy::address::Endpoint;
use roster_haproxy::name::{InstanceId, ServerName};
use roster_haproxy::observed::{ObservedServer, State};
use roster_haproxy::weight::ServerId;

use super::backend::{Inputs, grows};
use super::beside::beside;
use crate::applied::{AppliedServer, Phase};
use crate::exposure::Names;
use crate::guard::Wish;
use crate::refusals::Refused;
use crate::slots::{Row, Shape, SlotNo, SlotTable, address_name};

/// A server of ours that HAProxy shows.
#[derive(Clone, Copy)]
pub(super) struct Ours<'a> {
    pub slot: SlotNo,
    pub name: &'a ServerName,
    pub seen: &'a ObservedServer,
    pub record: Option<&'a AppliedServer>,
}

/// The servers that are ours, in the order of their slots.
pub(super) fn ours<'a>(inputs: &Inputs<'a>) -> Vec<Ours<'a>> {
    let servers = beside(&inputs.seen.servers, records(inputs));
    let mut ours: Vec<Ours<'a>> = servers
        .filter(|(_, seen, _)| seen.fixed_address().is_none())
        .filter_map(|(name, seen, record)| {
            slot_of(inputs, name, seen.id).map(|slot| Ours { slot, name, seen, record })
        })
        .collect();
    ours.sort_by_key(|one| one.slot);
    ours
}

/// What was last written to each server.
pub(super) fn records<'a>(inputs: &Inputs<'a>) -> &'a BTreeMap<ServerName, AppliedServer> {
    static NONE: BTreeMap<ServerName, AppliedServer> = BTreeMap::new();
    inputs.applied.map_or(&NONE, |applied| &applied.servers)
}

/// The slots as they stand: by the record, and where there is none, by what HAProxy shows.
pub(super) fn derive(inputs: &Inputs<'_>, ours: &[Ours<'_>], wishes: &[Wish<'_>]) -> SlotTable {
    let scout = Scout::new(inputs, ours, wishes);
    let row = |one: &Ours<'_>| {
        let shape = Shape { backup: one.seen.line.backup };
        match one.record {
            // The instance may have another slot.
            Some(record) if is_refused(inputs, one.name, record) => Row::Free { shape, since: None },
            Some(record) => recorded(inputs, record, shape),
            None => scout.unrecorded(one.seen, shape),
        }
    };
    let mut rows: BTreeMap<SlotNo, Row> = ours.iter().map(|one| (one.slot, row(one))).collect();
    // A server of ours that is not there any more was lost in a restart; where it can be added again, its
    // instance keeps its place.
    if grows(inputs) {
        let lost = beside(records(inputs), &inputs.seen.servers).filter(|(_, _, seen)| seen.is_none());
        let lost = lost.filter(|(name, record, _)| {
            record.is_held() && record.left.is_none() && !is_refused(inputs, name, record)
        });
        let lost: Vec<(SlotNo, &AppliedServer)> =
            lost.filter_map(|(name, record, _)| Some((slot_by_name(inputs, name)?, record))).collect();
        let shapes = shapes(if lost.is_empty() { &[] } else { wishes });
        for (slot, record) in lost {
            let shape = record.instance.as_ref().and_then(|id| shapes.get(id)).copied();
            rows.entry(slot).or_insert_with(|| recorded(inputs, record, shape.unwrap_or_default()));
        }
    }
    SlotTable { rows }
}

/// The shape that each instance needs.
fn shapes<'a>(wishes: &'a [Wish<'_>]) -> HashMap<&'a InstanceId, Shape> {
    // From the last to the first, so that the first of two with one id has the word.
    wishes.iter().rev().map(|wish| (&wish.instance.id, wish.shape)).collect()
}

fn recorded(inputs: &Inputs<'_>, record: &AppliedServer, shape: Shape) -> Row {
    let instance = record.instance.clone().filter(|id| is_comparable(inputs) || is_reported(inputs, id));
    match (record.phase, record.endpoint) {
        // It was let go, and stays until others serve.
        (Phase::Serving, Some(endpoint)) if record.left.is_some() => {
            Row::Leaving { shape, instance, endpoint }
        }
        (_, Some(endpoint)) if record.is_held() => {
            Row::Held { shape, instance, endpoint, well: !record.is_unwell() }
        }
        (Phase::Draining, Some(endpoint)) => Row::Leaving { shape, instance, endpoint },
        _ => Row::Free { shape, since: record.instance.as_ref().map(|_| record.since) },
    }
}

/// Whether HAProxy refused the server the instance that the record gave it.
pub(super) fn is_refused(inputs: &Inputs<'_>, name: &ServerName, record: &AppliedServer) -> bool {
    !record.confirmed && inputs.refusals.of(name).is_some_and(Refused::bars_the_slot)
}

/// Whether the ids of the record are those of the source. Another source may call the same instance by another id, so
/// that only the address tells.
pub(super) fn is_comparable(inputs: &Inputs<'_>) -> bool {
    inputs.applied.is_none_or(|applied| applied.service().source == inputs.exposure.service.source)
}

fn is_reported(inputs: &Inputs<'_>, id: &InstanceId) -> bool {
    inputs.instances.iter().any(|instance| instance.id == *id)
        || inputs.evidence.unread.iter().any(|unread| unread.instance.as_ref() == Some(id))
}

/// What tells whose a server is that Roster has no record of.
struct Scout {
    live: HashSet<Endpoint>,
    /// Where servers are ready.
    ready: HashSet<Endpoint>,
    /// Where servers point that are not in use.
    placeholder: Endpoint,
    parking: Endpoint,
}

impl Scout {
    fn new(inputs: &Inputs<'_>, ours: &[Ours<'_>], wishes: &[Wish<'_>]) -> Self {
        let parking = inputs.exposure.slots.parking;
        let placeholder = placeholder(inputs, ours).unwrap_or(parking);
        let mut scout = Self { live: HashSet::new(), ready: HashSet::new(), placeholder, parking };
        // Where every server is either recorded or nobody's, the scout is never asked.
        if ours.iter().any(|one| one.record.is_none() && scout.lives_at(one.seen).is_some()) {
            let ready = inputs.seen.servers.values().filter(|seen| seen.state() == State::Ready);
            scout.live = wishes.iter().map(|wish| wish.instance.endpoint).collect();
            scout.ready = ready.filter_map(ObservedServer::endpoint).collect();
        }
        scout
    }

    /// Where a server points, if somebody may be there.
    fn lives_at(&self, seen: &ObservedServer) -> Option<Endpoint> {
        // Where several servers share one address and take traffic there, an instance is behind that address.
        let serves = |endpoint: &Endpoint| seen.serves() && *endpoint != self.parking;
        seen.endpoint().filter(|endpoint| *endpoint != self.placeholder || serves(endpoint))
    }

    fn unrecorded(&self, seen: &ObservedServer, shape: Shape) -> Row {
        let Some(endpoint) = self.lives_at(seen) else { return Row::Free { shape, since: None } };
        let state = seen.state();
        // Where a second server points at the same address and is ready, that one is the instance's.
        let doubled = state != State::Ready && self.ready.contains(&endpoint);
        match state {
            State::Maint if doubled || !self.live.contains(&endpoint) => Row::Free { shape, since: None },
            State::Drain if doubled => Row::Leaving { shape, instance: None, endpoint },
            _ => Row::Held { shape, instance: None, endpoint, well: true },
        }
    }
}

/// The address that a template gives to all its slots, if several unrecorded ones share one.
fn placeholder(inputs: &Inputs<'_>, ours: &[Ours<'_>]) -> Option<Endpoint> {
    if inputs.exposure.names == Names::Address {
        return None;
    }
    let unrecorded = ours.iter().filter(|one| one.record.is_none());
    let mut endpoints: Vec<Endpoint> = unrecorded.filter_map(|one| one.seen.endpoint()).collect();
    endpoints.sort_unstable();
    let shared = endpoints.chunk_by(|a, b| a == b).filter(|same| same.len() > 1);
    shared.max_by_key(|same| same.len()).and_then(|same| same.first()).copied()
}

pub(super) fn slot_by_name(inputs: &Inputs<'_>, name: &ServerName) -> Option<SlotNo> {
    match &inputs.exposure.names {
        Names::Slot(names) => names.slot(name),
        Names::Address => None,
    }
}

pub(super) fn slot_of(inputs: &Inputs<'_>, name: &ServerName, id: ServerId) -> Option<SlotNo> {
    match &inputs.exposure.names {
        Names::Slot(names) => names.slot(name),
        Names::Address => {
            let (ip, port) = name.as_str().rsplit_once(':')?;
            let endpoint = Endpoint::new(ip, port.parse().ok()?).ok()?;
            (address_name(endpoint).ok()? == *name).then(|| SlotNo::new(id.get()))?
        }
    }
}
