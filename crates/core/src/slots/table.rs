//! The slot table of one exposure, and the one function that changes it.
//!
//! Invariants: an instance holds at most one slot; a live instance keeps its slot for as long as the slot's shape
//! fits; a slot freed by one instance moves no other; the order in which instances are given does not matter.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use roster_haproxy::address::Endpoint;
use roster_haproxy::name::InstanceId;
use serde::{Deserialize, Serialize};

use super::scheme::{Growth, SlotNo};
use super::vacancy::Vacancies;
use crate::instance::Instance;

/// What HAProxy cannot change on a server that exists.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Shape {
    /// Whether it takes traffic only when no other server can.
    pub backup: bool,
}

/// One slot.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Row {
    /// No instance is there.
    Free {
        /// Its shape.
        shape: Shape,
        /// When its last instance left, if that is known.
        since: Option<Timestamp>,
    },
    /// An instance is there.
    Held {
        /// Its shape.
        shape: Shape,
        /// Which one; none when only the address was read from HAProxy.
        instance: Option<InstanceId>,
        /// Where it listens.
        endpoint: Endpoint,
        /// Whether it may take traffic. One that is unwell rests in its slot.
        well: bool,
    },
    /// An instance that is gone still has connections there.
    Leaving {
        /// Its shape.
        shape: Shape,
        /// Which one it was.
        instance: Option<InstanceId>,
        /// Where it listened.
        endpoint: Endpoint,
    },
}

/// The slots of one exposure.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SlotTable {
    /// Each slot by its number.
    pub rows: BTreeMap<SlotNo, Row>,
}

/// An instance and the shape of slot it needs.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The instance.
    pub instance: &'a Instance,
    /// What its slot must be.
    pub shape: Shape,
    /// The slot that a guard keeps for it, whatever else is at its address.
    pub kept_in: Option<SlotNo>,
}

/// What the table may become.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How many slots there should be at least.
    pub base: u32,
    /// How many there should be for more instances.
    pub growth: Growth,
    /// Whether servers are called after their addresses: then a slot is never given to another address.
    pub by_address: bool,
    /// Whether slots can be added.
    pub can_grow: bool,
    /// How long a freed slot waits before another instance takes it, unless no other is free.
    pub rest: Duration,
    /// The slots that are given to nobody now.
    pub barred: BTreeSet<SlotNo>,
    /// The slots that are given away only where no other is free.
    pub avoided: BTreeSet<SlotNo>,
}

/// What became of the table.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Assignment {
    /// The new table.
    pub table: SlotTable,
    /// How many instances want a slot, each address once.
    pub live: u32,
    /// The instances for which there is no slot.
    pub unplaced: Vec<Unplaced>,
}

/// An instance without a slot.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Unplaced {
    /// Which one.
    pub instance: InstanceId,
    /// Where it listens.
    pub endpoint: Endpoint,
    /// Why.
    pub why: NoSlot,
}

/// Why there is no slot.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoSlot {
    /// Every slot of its shape is taken and none can be added.
    Full {
        /// The shape it needs.
        shape: Shape,
    },
    /// Another instance has the same address.
    SameAddress {
        /// The one that has the slot.
        holder: InstanceId,
    },
}

impl fmt::Display for Unplaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {} has no server: {}", self.instance, self.endpoint, self.why)
    }
}

impl Row {
    /// The slot's shape.
    pub fn shape(&self) -> Shape {
        match self {
            Row::Free { shape, .. } | Row::Held { shape, .. } | Row::Leaving { shape, .. } => *shape,
        }
    }

    /// The instance that is or was there.
    pub fn instance(&self) -> Option<&InstanceId> {
        match self {
            Row::Free { .. } => None,
            Row::Held { instance, .. } | Row::Leaving { instance, .. } => instance.as_ref(),
        }
    }

    /// Where it points, unless it is free.
    pub fn endpoint(&self) -> Option<Endpoint> {
        match self {
            Row::Free { .. } => None,
            Row::Held { endpoint, .. } | Row::Leaving { endpoint, .. } => Some(*endpoint),
        }
    }
}

impl SlotTable {
    /// How many slots hold an instance.
    pub fn held(&self) -> usize {
        self.rows.values().filter(|row| matches!(row, Row::Held { .. })).count()
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.backup { "backup" } else { "active" })
    }
}

impl fmt::Display for NoSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoSlot::Full { shape } => write!(f, "every {shape} slot is taken and none can be added live"),
            NoSlot::SameAddress { holder } => write!(f, "{holder} has the same address"),
        }
    }
}

/// Gives every wanted instance a slot: the one it has, else the first hole, else a new one.
pub fn assign(table: SlotTable, wanted: &[Wanted<'_>], limits: &Limits, now: Timestamp) -> Assignment {
    let kept: HashSet<SlotNo> = wanted.iter().filter_map(|wanted| wanted.kept_in).collect();
    let (live, mut unplaced) = one_for_each_address(wanted);
    let live_count = u32::try_from(live.len() + kept.len()).unwrap_or(u32::MAX);
    let (mut table, homeless) = keep(table, &live, &kept, limits);
    let mut vacancies = Vacancies::of(&table, limits, now);
    for wanted in homeless {
        match vacancies.take(&table, wanted.shape) {
            Some(number) => {
                table.rows.insert(number, held(&wanted));
            }
            None => unplaced.push(Unplaced {
                instance: wanted.instance.id.clone(),
                endpoint: wanted.instance.endpoint,
                why: NoSlot::Full { shape: wanted.shape },
            }),
        }
    }
    if limits.can_grow && !limits.by_address {
        let size = limits.growth.size(limits.base, live_count);
        while u32::try_from(table.rows.len()).is_ok_and(|rows| rows < size) {
            let gap = vacancies.first_gap(&table);
            table.rows.insert(gap, Row::Free { shape: Shape::default(), since: None });
        }
    }
    Assignment { table, live: live_count, unplaced }
}

fn held(wanted: &Wanted<'_>) -> Row {
    let instance = wanted.instance;
    let (instance, endpoint) = (Some(instance.id.clone()), instance.endpoint);
    Row::Held { shape: wanted.shape, instance, endpoint, well: true }
}

/// Sorts by id and drops the second of two with one id or one address.
fn one_for_each_address<'a>(wanted: &[Wanted<'a>]) -> (Vec<Wanted<'a>>, Vec<Unplaced>) {
    let mut sorted: Vec<Wanted<'a>> =
        wanted.iter().filter(|wanted| wanted.kept_in.is_none()).copied().collect();
    sorted.sort_by(|a, b| (&a.instance.id, a.instance.endpoint).cmp(&(&b.instance.id, b.instance.endpoint)));
    let mut live: Vec<Wanted<'a>> = Vec::with_capacity(sorted.len());
    let mut by_endpoint: HashMap<Endpoint, &InstanceId> = HashMap::with_capacity(sorted.len());
    let mut unplaced = Vec::new();
    for one in sorted {
        let Instance { id, endpoint, .. } = one.instance;
        if live.last().is_some_and(|last| last.instance.id == *id) {
            continue;
        }
        match by_endpoint.entry(*endpoint) {
            Entry::Vacant(free) => {
                free.insert(id);
                live.push(one);
            }
            Entry::Occupied(holder) => {
                let why = NoSlot::SameAddress { holder: (*holder.get()).clone() };
                unplaced.push(Unplaced { instance: id.clone(), endpoint: *endpoint, why });
            }
        }
    }
    (live, unplaced)
}

/// Matches slots with the instances they have, by id and then by address; what is left over needs a slot.
fn keep<'a>(
    table: SlotTable,
    live: &[Wanted<'a>],
    kept: &HashSet<SlotNo>,
    limits: &Limits,
) -> (SlotTable, Vec<Wanted<'a>>) {
    let SlotTable { mut rows } = table;
    let mut homeless: HashMap<&InstanceId, Wanted<'a>> =
        live.iter().map(|wanted| (&wanted.instance.id, *wanted)).collect();
    let mut unmatched: Vec<&mut Row> = Vec::new();
    for (_, row) in rows.iter_mut().filter(|(number, _)| !kept.contains(number)) {
        let fits = |wanted: &&Wanted<'_>| {
            let same_address = row.endpoint() == Some(wanted.instance.endpoint);
            row.shape() == wanted.shape && (same_address || !limits.by_address)
        };
        match row.instance().and_then(|id| homeless.get(id)).filter(fits).copied() {
            Some(wanted) => {
                *row = held(&wanted);
                homeless.remove(&wanted.instance.id);
            }
            None => unmatched.push(row),
        }
    }
    let mut by_endpoint: HashMap<Endpoint, Wanted<'a>> =
        homeless.values().map(|wanted| (wanted.instance.endpoint, *wanted)).collect();
    for row in unmatched {
        let wanted = row.endpoint().and_then(|endpoint| by_endpoint.get(&endpoint)).copied();
        if let Some(wanted) = wanted.filter(|wanted| wanted.shape == row.shape()) {
            *row = held(&wanted);
            by_endpoint.remove(&wanted.instance.endpoint);
            homeless.remove(&wanted.instance.id);
        } else if let Row::Held { shape, instance, endpoint, .. } = row {
            *row = Row::Leaving { shape: *shape, instance: instance.take(), endpoint: *endpoint };
        }
    }
    let homeless = live.iter().filter(|wanted| homeless.contains_key(&wanted.instance.id));
    (SlotTable { rows }, homeless.copied().collect())
}
