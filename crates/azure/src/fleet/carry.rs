//! Machines of which Azure's answer lacks something stay as they were.
//!
//! Every gap of a listing is one of three. The machine is *gone*: its group or its scale set was listed without it, or it does
//! not run. It is *nobody's*: it has no tag of a service. All else is *unknown*, and keeps what was known, also what
//! the caller knows from before a restart.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use compact_str::CompactString;
use roster_core::fleet::{Machine, Untold, unreadable};
use roster_core::instance::Reject;

use super::join::{Content, Found, Hole, Joined};
use super::resource::ResourceId;
use super::state::Power;
use super::vm_id::VmId;

/// A machine that Azure has, and of which its answer lacks something.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unknown {
    /// Its id, as in [`Machine`].
    pub id: String,
    /// Its resource id, in lower case.
    pub resource: String,
    /// Whether it was listed before.
    pub known: bool,
}

/// What a client knows from the listings before. It is handed from one to the next.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// The id of each machine that was listed or kept, by the two halves of its resource id: there are tens of thousands, and
    /// the first half is the same for all of a group.
    ids: HashMap<Arc<str>, HashMap<CompactString, VmId>>,
    /// Groups and scale sets whose list was complete at least once.
    heard: HashSet<ResourceId>,
}

/// The machines that run, or ran when Azure last reported their state.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    pub(crate) machines: Vec<Machine>,
    pub(crate) rejects: Vec<Reject>,
    pub(crate) unknown: Vec<Unknown>,
    pub(crate) untold: Vec<Untold>,
    pub(crate) ended: Vec<String>,
    pub(crate) warnings: Vec<String>,
    pub(crate) memory: Memory,
}

const NO_POWER: &str = "its instance view has no power state";

struct Settler<'m> {
    before: &'m Memory,
    settled: Settled,
    /// What is missing, whether the machines are known, and which machines.
    missing: BTreeMap<(String, bool), Vec<ResourceId>>,
}

/// Uses what was known where this answer has a gap. `heard` are the groups and scale sets whose lists are complete.
pub(crate) fn settle(joined: Joined, heard: HashSet<ResourceId>, before: &Memory) -> Settled {
    let Joined { found, holes, rejects, warnings } = joined;
    let machines = Vec::with_capacity(found.len());
    let settled = Settled { machines, rejects, warnings, ..Settled::default() };
    let mut settler = Settler { before, settled, missing: BTreeMap::new() };
    // Only the machines of a missing part are looked for.
    let seen = if holes.is_empty() { &[] } else { found.as_slice() };
    let seen: HashSet<ResourceId> = seen.iter().map(|found| found.resource.clone()).collect();
    for found in found {
        settler.add(found);
    }
    let mut untold = BTreeSet::new();
    for hole in holes {
        settler.keep(&hole, &seen, &mut untold);
    }
    let Settler { mut settled, missing, .. } = settler;
    settled.warnings.extend(missing.into_iter().map(|((reason, known), of)| warning(&reason, known, &of)));
    settled.memory.heard = before.heard.iter().cloned().chain(heard).collect();
    settled.untold = untold.into_iter().collect();
    if settled.untold.is_empty() {
        settled.ended.clear();
    }
    settled.unknown.sort_by(|one, other| one.id.cmp(&other.id));
    settled.unknown.dedup_by(|again, kept| again.id == kept.id);
    settled.rejects.sort();
    settled
}

impl Settler<'_> {
    fn add(&mut self, found: Found) {
        let Found { id, resource, state, machine } = found;
        let before = self.before.id(&resource).cloned();
        // Without an id of its own it is the machine of this name that was known.
        let known = before.is_some() && (id.is_none() || id == before);
        let id = id.or(before).unwrap_or_else(|| VmId::new(&resource.short()));
        match (state.power, machine) {
            (Power::Off, _) | (_, Content::Nobodys) => self.settled.ended.push(id.to_string()),
            (Power::Running, Content::Whole(machine)) => self.list(&resource, id, *machine),
            (Power::Running, Content::Missing { why, has_tag: true }) if !known => {
                self.settled.rejects.push(unreadable(&id.to_string(), resource.to_string(), why));
                self.unknown(id, &resource, known);
            }
            (Power::Running, Content::Missing { why, .. }) => {
                self.miss(why, known, &resource);
                self.unknown(id, &resource, known);
            }
            // What is known of it now counts; only that it runs is from before.
            (power, Content::Whole(machine)) if known => {
                self.miss(power.missing().unwrap_or(NO_POWER).to_owned(), known, &resource);
                self.list(&resource, id, *machine);
            }
            (Power::Unknown(reason), _) => {
                self.miss(reason, known, &resource);
                self.unknown(id, &resource, known);
            }
            // A machine that has never run is being created, which is not worth a warning. The caller keeps one that it knows
            // from before a restart.
            (Power::BeingMade, _) => {
                if known {
                    self.miss(NO_POWER.to_owned(), known, &resource);
                }
                self.unknown(id, &resource, known);
            }
        }
    }

    fn miss(&mut self, reason: String, known: bool, resource: &ResourceId) {
        self.missing.entry((reason, known)).or_default().push(resource.clone());
    }

    fn list(&mut self, resource: &ResourceId, id: VmId, machine: Machine) {
        self.settled.machines.push(Machine { id: id.to_string(), ..machine });
        self.settled.memory.remember(resource, id);
    }

    fn unknown(&mut self, id: VmId, resource: &ResourceId, known: bool) {
        let unknown = Unknown { id: id.to_string(), resource: resource.to_string(), known };
        self.settled.unknown.push(unknown);
        if known {
            self.settled.memory.remember(resource, id);
        }
    }

    /// The machines of a missing part stay. Where none is known here, `untold` names the part to the caller.
    fn keep(&mut self, hole: &Hole, seen: &HashSet<ResourceId>, untold: &mut BTreeSet<Untold>) {
        let place =
            hole.scope.as_ref().map_or_else(|| "a part of the subscription".to_owned(), ToString::to_string);
        let reason = format!("{}; what was known of its machines stays", hole.why);
        self.settled.rejects.push(Reject::aside(place, reason));
        match &hole.scope {
            Some(scope) if self.before.heard.contains(scope) => {}
            Some(scope) if scope.is_scale_set() => {
                untold.insert(Untold::Group(scope.last().to_owned()));
            }
            _ => {
                untold.insert(Untold::Rest);
            }
        }
        for (home, machines) in &self.before.ids {
            if !hole.scope.as_ref().is_none_or(|scope| scope.holds(home)) {
                continue;
            }
            for (name, id) in machines {
                let resource = ResourceId::of(home, name);
                if !seen.contains(&resource) {
                    self.unknown(id.clone(), &resource, true);
                }
            }
        }
    }
}

/// One line for all machines of which the same is missing: there may be thousands.
fn warning(reason: &str, known: bool, of: &[ResourceId]) -> String {
    let first = of.iter().min().map(ToString::to_string).unwrap_or_default();
    let (others, each) = if of.len() > 1 { (" and others", "each of them") } else { ("", "the machine") };
    let becomes = if known { "stays as it was" } else { "counts as it did before, or not at all" };
    format!("{first}{others}: {reason}; {each} {becomes}")
}

impl Memory {
    /// The lists of these parts were complete.
    #[cfg(test)]
    pub(crate) fn hear(&mut self, parts: impl IntoIterator<Item = ResourceId>) {
        self.heard.extend(parts);
    }

    fn id(&self, resource: &ResourceId) -> Option<&VmId> {
        self.ids.get(resource.home())?.get(resource.last())
    }

    fn remember(&mut self, resource: &ResourceId, id: VmId) {
        self.ids.entry(Arc::clone(resource.home())).or_default().insert(resource.last().into(), id);
    }
}
