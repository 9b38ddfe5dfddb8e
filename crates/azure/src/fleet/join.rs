//! Puts the lists together: model, state, scale set and addresses of each machine, by ids without their case.
//!
//! Invariants:
//! - The outcome does not depend on the order of the lists or on how they spell ids and names of tags.
//! - A machine of which something is missing is never left out in silence: what is missing is put down beside it.

use std::collections::HashMap;

use jiff::Timestamp;
use roster_core::fleet::Machine;
use roster_core::instance::{Lifecycle, Reject};

use super::address::{Interfaces, Listed};
use super::resource::ResourceId;
use super::state::{State, StateOf};
use super::tags::{self, Spellings};
use crate::arm::wire::{ExtendedLocation, Odd, Read, ScaleSet, Tags, Vm};

/// The elements of all lists.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// Machines outside of uniform scale sets.
    pub(crate) vms: Vec<Read<Vm>>,
    /// Their states, when those came in a list of their own.
    pub(crate) states: Option<Vec<Read<StateOf>>>,
    pub(crate) sets: Vec<Read<ScaleSet>>,
    /// Machines of each uniform scale set.
    pub(crate) members: Vec<(ResourceId, Vec<Read<Vm>>)>,
    /// Interfaces, also those of uniform scale sets.
    pub(crate) interfaces: Vec<Read<Listed>>,
    /// Parts that were asked for and not told.
    pub(crate) holes: Vec<Hole>,
}

/// A part of the subscription of which nothing was heard.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Hole {
    /// A group or a scale set; none for a machine or a set that could be any.
    pub(crate) scope: Option<ResourceId>,
    /// What went wrong, without what differs each time.
    pub(crate) why: String,
}

/// What the caller is interested in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// The subscription.
    pub(crate) account: String,
    /// The tag that a machine, or its scale set, must have to be anybody's business; none for all machines.
    pub(crate) tag: Option<String>,
    pub(crate) spellings: Spellings,
}

/// A machine that Azure has.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// `vmId`; none where that is left out.
    pub(crate) id: Option<String>,
    pub(crate) resource: ResourceId,
    pub(crate) state: State,
    pub(crate) machine: Content,
}

/// What the lists say of a machine besides its state.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Content {
    Whole(Box<Machine>),
    /// Something of it is in no list; it may be there the next time. Whether the tag of a service is known to be on it.
    Missing {
        why: String,
        has_tag: bool,
    },
    /// It has no tag of a service.
    Nobodys,
}

#[derive(Debug, Default)]
pub(crate) struct Joined {
    pub(crate) found: Vec<Found>,
    pub(crate) holes: Vec<Hole>,
    pub(crate) rejects: Vec<Reject>,
    pub(crate) warnings: Vec<String>,
}

struct Joiner<'a> {
    wanted: &'a Wanted,
    sets: HashMap<ResourceId, ScaleSet>,
    interfaces: Interfaces,
    joined: Joined,
}

/// The scale set of a machine.
enum Set<'a> {
    None,
    Known(&'a ScaleSet),
    /// In no list, so that the tags of its machines are not known.
    Unknown(&'a ResourceId),
}

/// The ids, as they came, of scale sets whose machines have a list of their own.
pub(crate) fn uniform(sets: &[Read<ScaleSet>]) -> Vec<String> {
    let uniform = sets.iter().filter_map(|set| match set {
        Read::Whole(set) if set.is_uniform() => Some(set.id.clone()),
        Read::Whole(_) | Read::Odd(_) => None,
    });
    uniform.collect()
}

/// The machines that these lists tell of.
pub(crate) fn join(answers: Answers, wanted: &Wanted) -> Joined {
    let mut joined = Joined { holes: answers.holes, ..Joined::default() };
    let sets = joined.sets(answers.sets);
    let interfaces = Interfaces::new(joined.interfaces(answers.interfaces));
    let mut joiner = Joiner { wanted, sets, interfaces, joined };
    let states: Option<HashMap<ResourceId, State>> = answers.states.map(|states| {
        let read = states.into_iter().filter_map(|state| match state {
            Read::Whole(StateOf { id, state }) => Some((ResourceId::new(&id), state)),
            Read::Odd(Odd { id, why, .. }) => {
                Some((ResourceId::new(&id?), State::unknown(&format!("its state is odd: {why}"))))
            }
        });
        read.collect()
    });
    for vm in answers.vms {
        joiner.add(vm, None, states.as_ref());
    }
    for (set, members) in answers.members {
        for vm in members {
            joiner.add(vm, Some(&set), None);
        }
    }
    joiner.joined.finish()
}

impl Joiner<'_> {
    fn add(&mut self, vm: Read<Vm>, set: Option<&ResourceId>, states: Option<&HashMap<ResourceId, State>>) {
        let vm = match vm {
            Read::Whole(vm) => vm,
            Read::Odd(odd) => return self.joined.odd_machine(odd),
        };
        let resource = ResourceId::new(&vm.id);
        let state = match states {
            None => State::read(&vm.properties.instance_view),
            Some(states) => match states.get(&resource) {
                Some(state) => state.clone(),
                None => State::unknown("it is not in the list of states"),
            },
        };
        let id = vm.properties.vm_id.as_deref().filter(|id| !id.is_empty()).map(str::to_ascii_lowercase);
        let machine = self.content(id.as_deref(), &resource, &vm, set, &state);
        self.joined.found.push(Found { id, resource, state, machine });
    }

    fn content(
        &self,
        id: Option<&str>,
        resource: &ResourceId,
        vm: &Vm,
        set: Option<&ResourceId>,
        state: &State,
    ) -> Content {
        let named = vm.properties.virtual_machine_scale_set.as_ref().map(|set| ResourceId::new(&set.id));
        let set = match set.or(named.as_ref()) {
            None => Set::None,
            Some(id) => self.sets.get(id).map_or(Set::Unknown(id), Set::Known),
        };
        let none = Tags::new();
        let set = match set {
            Set::None => None,
            Set::Known(set) => Some(set),
            Set::Unknown(id) => {
                let has_tag = self.wanted.tag.as_deref().is_none_or(|tag| tags::has(&vm.tags, tag));
                return Content::Missing { why: unknown_set(id), has_tag };
            }
        };
        let tags = self.wanted.spellings.join(vm.tags.clone(), set.map_or(&none, |set| &set.tags));
        if self.wanted.tag.as_deref().is_some_and(|tag| !tags::has(&tags, tag)) {
            return Content::Nobodys;
        }
        let address = match self.interfaces.address(resource, vm) {
            Ok(address) => address,
            Err(none) => return Content::Missing { why: none.to_string(), has_tag: true },
        };
        Content::Whole(Box::new(Machine {
            id: id.map_or_else(|| resource.short(), str::to_owned),
            name: if vm.name.is_empty() { resource.last().to_owned() } else { vm.name.clone() },
            address,
            zone: zone(vm),
            region: region(&vm.location),
            group: set.map(ScaleSet::label),
            account: Some(self.wanted.account.clone()),
            created: vm.properties.time_created.as_deref().and_then(|time| time.parse::<Timestamp>().ok()),
            health: state.health,
            lifecycle: lifecycle(vm, set),
            tags,
        }))
    }
}

impl ScaleSet {
    /// What its machines are grouped by.
    pub(super) fn label(&self) -> String {
        if self.name.is_empty() { ResourceId::new(&self.id).last().to_owned() } else { self.name.clone() }
    }
}

impl Joined {
    /// The scale sets by their ids. One that cannot be read hides its machines.
    fn sets(&mut self, sets: Vec<Read<ScaleSet>>) -> HashMap<ResourceId, ScaleSet> {
        let read = sets.into_iter().filter_map(|set| match set {
            Read::Whole(set) => Some((ResourceId::new(&set.id), set)),
            Read::Odd(Odd { id, why, .. }) => {
                let of = id.as_deref().unwrap_or("without an id");
                let why = format!("the scale set {of} cannot be read: {why}");
                self.holes.push(Hole { scope: id.as_deref().map(ResourceId::new), why });
                None
            }
        });
        read.collect()
    }

    /// Without those that cannot be read: their machines are then without an address, and stay as they were.
    fn interfaces(&mut self, interfaces: Vec<Read<Listed>>) -> Vec<Listed> {
        let read = interfaces.into_iter().filter_map(|interface| match interface {
            Read::Whole(interface) => Some(interface),
            Read::Odd(Odd { id, why, .. }) => {
                let id = id.as_deref().unwrap_or("without an id");
                self.warnings.push(format!("the network interface {id} cannot be read: {why}"));
                None
            }
        });
        read.collect()
    }

    /// A machine that cannot be read. One without an id could be any.
    fn odd_machine(&mut self, Odd { id, vm_id, why }: Odd) {
        let Some(resource) = id.as_deref().map(ResourceId::new) else {
            self.holes.push(Hole { scope: None, why: format!("a machine cannot be read: {why}") });
            return;
        };
        let why = format!("Azure's answer about it is odd: {why}");
        let (state, machine) = (State::unknown(&why), Content::Missing { why, has_tag: false });
        self.found.push(Found { id: vm_id.map(|id| id.to_ascii_lowercase()), resource, state, machine });
    }

    /// In one order, each resource once and each id once.
    fn finish(mut self) -> Self {
        self.found.sort_by(|one, other| {
            (&one.resource, one.id.is_none()).cmp(&(&other.resource, other.id.is_none()))
        });
        self.found.dedup_by(|again, kept| again.resource == kept.resource);
        self.found.sort_by(|one, other| (&one.id, &one.resource).cmp(&(&other.id, &other.resource)));
        let mut kept: Vec<Found> = Vec::with_capacity(self.found.len());
        for found in self.found {
            match kept.last() {
                Some(last) if last.id.is_some() && last.id == found.id => self.rejects.push(Reject::aside(
                    found.resource.to_string(),
                    format!("has the vmId of {}; report this to Azure", last.resource),
                )),
                _ => kept.push(found),
            }
        }
        self.found = kept;
        self.warnings.sort();
        self.warnings.dedup();
        self
    }
}

fn unknown_set(id: &ResourceId) -> String {
    format!(
        "its scale set {id} is in no list, so its tags are not known; if that is in another group, add the group to \
         `resource_groups`"
    )
}

/// The first of its zones, or the Edge Zone that it is in.
fn zone(vm: &Vm) -> Option<String> {
    let edge = |location: &ExtendedLocation| {
        let is = location.r#type.eq_ignore_ascii_case("edgezone") && !location.name.is_empty();
        is.then(|| location.name.clone())
    };
    vm.zones.first().cloned().or_else(|| vm.extended_location.as_ref().and_then(edge))
}

/// "West Europe" and "westeurope" are one region.
fn region(location: &str) -> String {
    location.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_lowercase()
}

/// A machine leaves when it is being deleted, or its scale set is.
fn lifecycle(vm: &Vm, set: Option<&ScaleSet>) -> Lifecycle {
    let states = [
        vm.properties.provisioning_state.as_deref(),
        set.and_then(|set| set.properties.provisioning_state.as_deref()),
    ];
    let leaving = states.into_iter().flatten().any(|state| state.eq_ignore_ascii_case("deleting"));
    if leaving { Lifecycle::Leaving } else { Lifecycle::InService }
}
