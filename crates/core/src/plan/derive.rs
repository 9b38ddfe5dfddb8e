//! The slots of a backend as they stand: by the record, and where there is none, by what HAProxy shows.

use std::collections::{BTreeMap, BTreeSet};

use super::backend::Inputs;
use crate::address::Endpoint;
use crate::applied::{AppliedServer, Phase};
use crate::exposure::Names;
use crate::guard::Wish;
use crate::name::ServerName;
use crate::observed::{ObservedServer, State};
use crate::slots::{Row, Shape, SlotNo, SlotTable, address_name};
use crate::weight::ServerId;

/// The slots as they stand: by the record, and where there is none, by what HAProxy shows.
pub(super) fn derive(inputs: &Inputs<'_>, wishes: &[Wish<'_>]) -> SlotTable {
    let live: BTreeSet<Endpoint> = wishes.iter().map(|wish| wish.instance.endpoint).collect();
    let ready = inputs.seen.servers.values().filter(|seen| seen.state() == State::Ready);
    let scout = Scout {
        live,
        ready: ready.filter_map(ObservedServer::endpoint).collect(),
        placeholder: placeholder(inputs).unwrap_or(inputs.exposure.slots.parking),
    };
    let mut rows = BTreeMap::new();
    for (name, seen) in &inputs.seen.servers {
        let Some(slot) = slot_of(inputs, name, seen.id) else { continue };
        let shape = Shape { backup: seen.backup };
        let record = inputs.applied.and_then(|applied| applied.servers.get(name));
        let row = record.map_or_else(|| scout.unrecorded(seen, shape), |record| recorded(record, shape));
        rows.insert(slot, row);
    }
    // A server of ours that is not there any more was lost in a restart; where it can be added again, its
    // instance keeps its place.
    if inputs.seen.limits.dynamic {
        for (name, record) in inputs.applied.iter().flat_map(|applied| &applied.servers) {
            let slot = if inputs.seen.servers.contains_key(name) { None } else { slot_by_name(inputs, name) };
            if let Some(slot) = slot.filter(|_| record.phase.is_held()) {
                let shape = wishes.iter().find(|wish| record.instance.as_ref() == Some(&wish.instance.id));
                let shape = shape.map_or_else(Shape::default, |wish| wish.shape);
                rows.entry(slot).or_insert_with(|| recorded(record, shape));
            }
        }
    }
    SlotTable { rows }
}

fn recorded(record: &AppliedServer, shape: Shape) -> Row {
    let instance = record.instance.clone();
    match (record.phase, record.endpoint) {
        (Phase::Draining, Some(endpoint)) => Row::Leaving { shape, instance, endpoint },
        (phase, Some(endpoint)) if phase.is_held() => Row::Held { shape, instance, endpoint },
        _ => Row::Free { shape, since: record.instance.as_ref().map(|_| record.since) },
    }
}

/// What tells whose a server is that Roster has no record of.
struct Scout {
    live: BTreeSet<Endpoint>,
    /// Where servers are ready.
    ready: BTreeSet<Endpoint>,
    /// Where servers point that nobody uses.
    placeholder: Endpoint,
}

impl Scout {
    fn unrecorded(&self, seen: &ObservedServer, shape: Shape) -> Row {
        let Some(endpoint) = seen.endpoint().filter(|endpoint| *endpoint != self.placeholder) else {
            return Row::Free { shape, since: None };
        };
        let state = seen.state();
        // Where a second server points at the same address and is ready, that one is the instance's.
        let doubled = state != State::Ready && self.ready.contains(&endpoint);
        match state {
            State::Maint if doubled || !self.live.contains(&endpoint) => Row::Free { shape, since: None },
            State::Drain if doubled => Row::Leaving { shape, instance: None, endpoint },
            _ => Row::Held { shape, instance: None, endpoint },
        }
    }
}

/// The address that a template gives to all its slots, if several unrecorded ones share one: nobody lives there.
fn placeholder(inputs: &Inputs<'_>) -> Option<Endpoint> {
    let mut counts: BTreeMap<Endpoint, usize> = BTreeMap::new();
    for (name, seen) in &inputs.seen.servers {
        let recorded = inputs.applied.is_some_and(|applied| applied.servers.contains_key(name));
        if let Some(endpoint) = seen.endpoint().filter(|_| !recorded && slot_by_name(inputs, name).is_some())
        {
            *counts.entry(endpoint).or_default() += 1;
        }
    }
    counts
        .into_iter()
        .filter(|(_, count)| *count > 1)
        .max_by_key(|(_, count)| *count)
        .map(|(endpoint, _)| endpoint)
}

pub(super) fn slot_by_name(inputs: &Inputs<'_>, name: &ServerName) -> Option<SlotNo> {
    match &inputs.exposure.names {
        Names::Slot(names) => names.slot(name),
        Names::Address => None,
    }
}

fn slot_of(inputs: &Inputs<'_>, name: &ServerName, id: ServerId) -> Option<SlotNo> {
    match &inputs.exposure.names {
        Names::Slot(names) => names.slot(name),
        Names::Address => {
            let (ip, port) = name.as_str().rsplit_once(':')?;
            let endpoint = Endpoint::new(ip, port.parse().ok()?).ok()?;
            (address_name(endpoint).ok()? == *name).then(|| SlotNo::new(id.get()))?
        }
    }
}
