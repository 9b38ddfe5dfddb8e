//! What becomes of machines of which Azure tells too little just now: they stay as they were.
//!
//! Every gap of a listing is one of three. The machine is *gone*: its group or its scale set was listed without it, or it does
//! not run. It is *nobody's*: it has no tag of a service. All else is *unknown*, and keeps what was known, also by whoever
//! knows it from before a restart.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use roster_core::fleet::{Machine, Untold, unreadable};
use roster_core::instance::Reject;

use super::join::{Content, Found, Hole, Joined};
use super::resource::ResourceId;
use super::state::Power;

/// A machine that Azure has, but says too little about.
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
    ids: HashMap<Box<str>, HashMap<Box<str>, Box<str>>>,
    /// Groups and scale sets that were told whole at least once.
    heard: HashSet<ResourceId>,
}

/// The machines that run, or ran when Azure last told.
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
    /// What is missing, and of which machines: those that are known stay, of others nobody knows.
    missing: BTreeMap<(String, bool), Vec<ResourceId>>,
}

/// Goes by what was known where this answer says nothing. `heard` are the groups and scale sets that were told.
pub(crate) fn settle(joined: Joined, heard: HashSet<ResourceId>, before: &Memory) -> Settled {
    let Joined { found, holes, rejects, warnings } = joined;
    let settled = Settled { rejects, warnings, ..Settled::default() };
    let mut settler = Settler { before, settled, missing: BTreeMap::new() };
    let seen: HashSet<ResourceId> = found.iter().map(|found| found.resource.clone()).collect();
    for found in found {
        settler.add(found);
    }
    let mut untold = BTreeSet::new();
    for hole in holes {
        settler.keep(&hole, &seen, &mut untold);
    }
    let Settler { mut settled, missing, .. } = settler;
    settled.warnings.extend(missing.into_iter().map(|((reason, known), of)| told(&reason, known, &of)));
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
        let before = self.before.id(&resource).map(str::to_owned);
        // Without an id of its own it is the machine of this name that was known.
        let known = before.is_some() && (id.is_none() || id == before);
        let id = id.or(before).unwrap_or_else(|| resource.short());
        match (state.power, machine) {
            (Power::Off, _) | (_, Content::Nobodys) => self.settled.ended.push(id),
            (Power::Running, Content::Whole(machine)) => self.list(&resource, Machine { id, ..*machine }),
            (Power::Running, Content::Missing { why, has_tag: true }) if !known => {
                self.settled.rejects.push(unreadable(&id, resource.to_string(), why));
                self.unknown(id, &resource, known);
            }
            (Power::Running, Content::Missing { why, .. }) => {
                self.miss(why, known, &resource);
                self.unknown(id, &resource, known);
            }
            // What is known of it now counts; only that it runs is from before.
            (power, Content::Whole(machine)) if known => {
                self.miss(power.missing().unwrap_or(NO_POWER).to_owned(), known, &resource);
                self.list(&resource, Machine { id, ..*machine });
            }
            (Power::Unknown(reason), _) => {
                self.miss(reason, known, &resource);
                self.unknown(id, &resource, known);
            }
            // One that was never seen to run is being created, which is nothing to tell of. Whoever knows it from before a
            // restart keeps it.
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

    fn list(&mut self, resource: &ResourceId, machine: Machine) {
        self.settled.memory.remember(resource, &machine.id);
        self.settled.machines.push(machine);
    }

    fn unknown(&mut self, id: String, resource: &ResourceId, known: bool) {
        if known {
            self.settled.memory.remember(resource, &id);
        }
        self.settled.unknown.push(Unknown { id, resource: resource.to_string(), known });
    }

    /// The machines of a part that was not told stay; where they are not known yet, whoever knows them goes by `untold`.
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
                    self.unknown(id.to_string(), &resource, true);
                }
            }
        }
    }
}

/// One line for all machines of which the same is missing: there may be thousands.
fn told(reason: &str, known: bool, of: &[ResourceId]) -> String {
    let first = of.iter().min().map(ToString::to_string).unwrap_or_default();
    let (others, each) = if of.len() > 1 { (" and others", "each of them") } else { ("", "the machine") };
    let becomes = if known { "stays as it was" } else { "counts as it did before, or not at all" };
    format!("{first}{others}: {reason}; {each} {becomes}")
}

impl Memory {
    /// These parts were told.
    #[cfg(test)]
    pub(crate) fn hear(&mut self, parts: impl IntoIterator<Item = ResourceId>) {
        self.heard.extend(parts);
    }

    fn id(&self, resource: &ResourceId) -> Option<&str> {
        let (home, name) = resource.halves();
        self.ids.get(home)?.get(name).map(AsRef::as_ref)
    }

    fn remember(&mut self, resource: &ResourceId, id: &str) {
        let (home, name) = resource.halves();
        if !self.ids.contains_key(home) {
            self.ids.insert(home.into(), HashMap::new());
        }
        if let Some(machines) = self.ids.get_mut(home) {
            machines.insert(name.into(), id.into());
        }
    }
}
