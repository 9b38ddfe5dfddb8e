//! The spare slots that a backend can do without. The list never shrinks by itself: this is for when an operator asks.
//!
//! Invariants: a slot goes only from the end of the list, so that no number is skipped; none that anybody has, had too
//! lately, or may want; as many stay as the scheme wants for the instances that are there now. So planning the same
//! world again neither adds a slot nor moves anybody.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use roster_haproxy::address::Endpoint;
use roster_haproxy::change::Change;
use roster_haproxy::name::{BackendName, ServerName};
use roster_haproxy::observed::{ObservedServer, State};

use super::backend::{BackendPlan, Inputs, Seating, limits, seat};
use super::types::Status;
use crate::applied::Phase;
use crate::departure::Grounds;
use crate::exposure::Names;
use crate::operation::{Operation, Reason};
use crate::slots::{Row, SlotNo};

/// What of a backend's slots can go.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Compaction {
    /// How many instances are there, those that are kept out for coming and going too often included.
    pub instances: usize,
    /// How many slots there are.
    pub slots: usize,
    /// How many the scheme wants for these instances.
    pub wanted: usize,
    /// Whether the backend's algorithm lets servers come and go while HAProxy runs.
    pub dynamic: bool,
    /// The servers that can go, from the last one back: in this order.
    pub going: Vec<ServerName>,
    /// Why no more of them can.
    pub stays: Option<Stays>,
}

/// Why slots stay that the scheme does not want.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Stays {
    /// The servers are called after their addresses: each has its instance.
    ByAddress,
    /// No answer speaks for the service, and so nothing says how many slots are wanted.
    ServiceGone,
    /// The backend is not as it should be yet.
    Unsettled {
        /// How many operations are left to do.
        changes: usize,
    },
    /// The last one that is left has to stay, and with it those before it.
    Last {
        /// Which one.
        server: ServerName,
        /// Why.
        why: Kept,
    },
    /// So many of the slots drain or rest, and cannot be given to a newcomer: others stay for them.
    StandIn {
        /// How many.
        slots: usize,
    },
}

/// Why a server stays.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Kept {
    /// It is not spare.
    Is(Status),
    /// Sessions of its last instance may still name it.
    Resting {
        /// Until when.
        until: Timestamp,
    },
    /// It points where Roster did not point it: it may be somebody's.
    Elsewhere(Endpoint),
    /// It is not in maintenance.
    Told(State),
    /// It has connections.
    Connections(u32),
}

/// Finds the slots that can go. `plan` is the one that was made of these inputs.
pub fn compact(inputs: &Inputs<'_>, plan: &BackendPlan) -> Compaction {
    let Seating { judged, assignment, .. } = seat(inputs);
    let instances = assignment.live.saturating_add(count(judged.record.flapping.len()));
    let scheme = limits(inputs);
    let wanted = scheme.growth.size(scheme.base, instances);
    let rows = &assignment.table.rows;
    let mut compaction = Compaction {
        instances: number(instances),
        slots: rows.len(),
        wanted: number(wanted),
        dynamic: inputs.seen.limits.dynamic,
        going: Vec::new(),
        stays: None,
    };
    if compaction.slots <= compaction.wanted {
        return compaction;
    }
    compaction.stays = match &inputs.exposure.names {
        Names::Address => Some(Stays::ByAddress),
        _ if matches!(inputs.evidence.grounds, Grounds::Removed | Grounds::Nothing(_)) => {
            Some(Stays::ServiceGone)
        }
        _ if !plan.operations.is_empty() => Some(Stays::Unsettled { changes: plan.operations.len() }),
        Names::Slot(_) => None,
    };
    if compaction.stays.is_none() {
        compaction.shed(&Yard::new(inputs, plan), rows);
    }
    compaction
}

impl Compaction {
    /// What to do where servers can go while HAProxy runs.
    pub fn operations(&self, backend: &BackendName) -> Vec<Operation> {
        let operation = |server: &ServerName| Operation {
            backend: backend.clone(),
            server: server.clone(),
            change: Change::Delete,
            why: Reason::Compacted { wanted: self.wanted },
        };
        self.going.iter().map(operation).collect()
    }

    fn shed(&mut self, yard: &Yard<'_>, rows: &BTreeMap<SlotNo, Row>) {
        // Who rests or drains is nobody's to take, so it does not count as a slot that is there.
        let out = rows.values().filter(|row| yard.is_out(row)).count();
        let usable = self.slots - out;
        for (slot, row) in rows.iter().rev() {
            if self.slots - self.going.len() <= self.wanted {
                return;
            }
            let Some((server, kept)) = yard.judge(*slot, row) else { return };
            if let Some(why) = kept {
                self.stays = Some(Stays::Last { server, why });
                return;
            }
            if usable.saturating_sub(self.going.len()) <= self.wanted {
                self.stays = Some(Stays::StandIn { slots: out });
                return;
            }
            self.going.push(server);
        }
    }
}

/// What tells whether a slot is anybody's.
struct Yard<'a> {
    inputs: &'a Inputs<'a>,
    plan: &'a BackendPlan,
    by_slot: BTreeMap<SlotNo, (&'a ServerName, &'a ObservedServer)>,
    /// How many spare servers point there.
    parked_at: BTreeMap<Endpoint, usize>,
}

impl<'a> Yard<'a> {
    fn new(inputs: &'a Inputs<'a>, plan: &'a BackendPlan) -> Self {
        let slot = |name: &ServerName| match &inputs.exposure.names {
            Names::Slot(names) => names.slot(name),
            Names::Address => None,
        };
        let servers = inputs.seen.servers.iter();
        let by_slot: BTreeMap<_, _> =
            servers.filter_map(|(name, seen)| Some((slot(name)?, (name, seen)))).collect();
        let mut parked_at: BTreeMap<Endpoint, usize> = BTreeMap::new();
        for (name, seen) in by_slot.values() {
            let spare = plan.standings.get(*name).is_some_and(|standing| standing.status == Status::Spare);
            if let (true, Some(endpoint)) = (spare, seen.endpoint()) {
                *parked_at.entry(endpoint).or_default() += 1;
            }
        }
        Self { inputs, plan, by_slot, parked_at }
    }

    /// Until when a slot is not to be given to anybody.
    fn rests_until(&self, row: &Row) -> Option<Timestamp> {
        let Row::Free { since: Some(since), .. } = row else { return None };
        let until = crate::later::later(*since, self.inputs.exposure.policy.rest);
        (until > self.inputs.now).then_some(until)
    }

    /// Whether a slot is there but nobody can have it now.
    fn is_out(&self, row: &Row) -> bool {
        matches!(row, Row::Leaving { .. }) || self.rests_until(row).is_some()
    }

    /// The server of a slot, and why it stays if it does; none where HAProxy has none.
    fn judge(&self, slot: SlotNo, row: &Row) -> Option<(ServerName, Option<Kept>)> {
        let (name, seen) = *self.by_slot.get(&slot)?;
        Some((name.clone(), self.keeps(name, seen, row)))
    }

    fn keeps(&self, name: &ServerName, seen: &ObservedServer, row: &Row) -> Option<Kept> {
        let status = self.plan.standings.get(name).map_or(Status::Foreign, |one| one.status.clone());
        let parked = self.plan.applied.servers.get(name).is_some_and(|one| one.phase == Phase::Parked);
        if status != Status::Spare || !parked || !matches!(row, Row::Free { .. }) {
            return Some(Kept::Is(status));
        }
        if let Some(until) = self.rests_until(row) {
            return Some(Kept::Resting { until });
        }
        let parking = self.inputs.exposure.slots.parking;
        match (seen.state(), seen.endpoint(), seen.connections) {
            (State::Maint, _, Some(connections @ 1..)) => Some(Kept::Connections(connections)),
            (State::Maint, Some(at), _) if at != parking && self.is_alone_at(at) => Some(Kept::Elsewhere(at)),
            (State::Maint, _, _) => None,
            (state, _, _) => Some(Kept::Told(state)),
        }
    }

    /// Whether no other spare server points there: several that do are what a template made.
    fn is_alone_at(&self, at: Endpoint) -> bool {
        self.parked_at.get(&at).is_none_or(|count| *count < 2)
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn number(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

impl fmt::Display for Stays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stays::ByAddress => {
                f.write_str("its servers are called after their addresses: none of them is a spare one")
            }
            Stays::ServiceGone => {
                f.write_str("no source reports its service, so nothing says how many slots are wanted")
            }
            Stays::Unsettled { changes: 1 } => f.write_str("1 change is still to be made; ask again"),
            Stays::Unsettled { changes } => write!(f, "{changes} changes are still to be made; ask again"),
            Stays::Last { server, why } => write!(f, "{server} stays, and all before it: {why}"),
            Stays::StandIn { slots } => {
                write!(f, "{slots} slots drain or rest, and nobody can have those now; ask again later")
            }
        }
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kept::Is(Status::Operator(hold)) => write!(f, "an operator gave it {hold}"),
            Kept::Is(status) => write!(f, "it is {status}"),
            Kept::Resting { until } => write!(f, "it rests until {until:.0}"),
            Kept::Elsewhere(at) => write!(f, "it points to {at}, where Roster did not point it"),
            Kept::Told(state) => write!(f, "somebody told it to be in state {state}"),
            Kept::Connections(1) => f.write_str("it has 1 connection"),
            Kept::Connections(n) => write!(f, "it has {n} connections"),
        }
    }
}
