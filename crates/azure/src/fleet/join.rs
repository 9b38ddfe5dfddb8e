//! Puts the lists together: model, state, scale set and addresses of each machine, by ids without their case.
//!
//! Invariants:
//! - The outcome does not depend on the order of the lists or on how they spell ids and names of tags.
//! - A machine that lacks something is never left out in silence: [`Content::Missing`] names what is missing.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;

use roster_core::fleet::Machine;
use roster_core::instance::{Lifecycle, Reject};
use roster_core::shared::Interner;

use super::address::Interfaces;
use super::listed::{ListedInterface, ListedState, ListedVm, is_being_deleted};
use super::resource::ResourceId;
use super::state::State;
use super::table::Table;
use super::tags::{self, Spellings};
use super::vm_id::VmId;
use crate::arm::wire::{Odd, Read, ScaleSet, Tags};

/// The pages of a list.
pub(crate) type Pages<T> = Vec<Vec<Read<T>>>;

/// What is kept of all lists.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// Machines outside of uniform scale sets. Each page is dropped once it is joined.
    pub(crate) vms: Pages<ListedVm>,
    /// Their states, when those came in a list of their own.
    pub(crate) states: Option<Pages<ListedState>>,
    pub(crate) sets: Vec<Read<ScaleSet>>,
    /// Machines of each uniform scale set.
    pub(crate) members: Vec<(ResourceId, Pages<ListedVm>)>,
    /// Interfaces, also those of uniform scale sets.
    pub(crate) interfaces: Pages<ListedInterface>,
    /// Parts that were asked for and are missing.
    pub(crate) holes: Vec<Hole>,
}

/// A part of the subscription whose list is missing.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Hole {
    /// A group or a scale set; none for a machine or a set that could be any.
    pub(crate) scope: Option<ResourceId>,
    /// What went wrong, without what differs each time.
    pub(crate) why: String,
}

/// What the caller wants to have.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// The subscription.
    pub(crate) account: Arc<str>,
    /// The tag that a machine, or its scale set, must have; none for all machines.
    pub(crate) tag: Option<String>,
    pub(crate) spellings: Spellings,
}

/// A machine that Azure has.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// `vmId`; none where that is left out.
    pub(crate) id: Option<VmId>,
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
    tags: Interner<Tags>,
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

/// The machines of these lists.
pub(crate) fn join(answers: Answers, wanted: &Wanted) -> Joined {
    let mut joined = Joined { holes: answers.holes, ..Joined::default() };
    let sets = joined.sets(answers.sets);
    let interfaces = Interfaces::new(joined.interfaces(answers.interfaces));
    let mut joiner = Joiner { wanted, sets, interfaces, tags: Interner::default(), joined };
    let states = answers.states.map(|states| {
        Table::new(states.into_iter().flatten().filter_map(|state| match state {
            Read::Whole(ListedState { resource, state }) => Some((resource, state)),
            Read::Odd(Odd { id, why, .. }) => {
                Some((ResourceId::new(&id?), State::unknown(&format!("its state cannot be read: {why}"))))
            }
        }))
    });
    for vm in answers.vms.into_iter().flatten() {
        joiner.add(vm, None, states.as_ref());
    }
    for (set, members) in answers.members {
        for vm in members.into_iter().flatten() {
            joiner.add(vm, Some(&set), None);
        }
    }
    joiner.joined.finish()
}

impl Joiner<'_> {
    fn add(&mut self, vm: Read<ListedVm>, set: Option<&ResourceId>, states: Option<&Table<State>>) {
        let mut vm = match vm {
            Read::Whole(vm) => vm,
            Read::Odd(odd) => return self.joined.odd_machine(odd),
        };
        let state = match states {
            None => vm.state.take().unwrap_or_else(|| State::unknown("Azure sent no instance view")),
            Some(states) => match states.get(&vm.resource) {
                Some(state) => state.clone(),
                None => State::unknown("it is not in the list of states"),
            },
        };
        let machine = self.content(&mut vm, set, &state);
        self.joined.found.push(Found { id: vm.id, resource: vm.resource, state, machine });
    }

    fn content(&mut self, vm: &mut ListedVm, set: Option<&ResourceId>, state: &State) -> Content {
        let set = match set.or(vm.set.as_ref()) {
            None => Set::None,
            Some(id) => self.sets.get(id).map_or(Set::Unknown(id), Set::Known),
        };
        let set = match set {
            Set::None => None,
            Set::Known(set) => Some(set),
            Set::Unknown(id) => {
                let has_tag = self.wanted.tag.as_deref().is_none_or(|tag| tags::has(&vm.tags, tag));
                return Content::Missing { why: unknown_set(id), has_tag };
            }
        };
        let tags = self.wanted.spellings.join(&vm.tags, set.map(|set| &set.tags));
        if self.wanted.tag.as_deref().is_some_and(|tag| !tags::has(&tags, tag)) {
            return Content::Nobodys;
        }
        let address = match self.interfaces.address(vm) {
            Ok(address) => address,
            Err(none) => return Content::Missing { why: none.to_string(), has_tag: true },
        };
        Content::Whole(Box::new(Machine {
            id: vm.id.as_ref().map_or_else(|| vm.resource.short(), ToString::to_string),
            name: if vm.name.is_empty() {
                vm.resource.last().to_owned()
            } else {
                mem::take(&mut vm.name).into()
            },
            address,
            zone: vm.zone.take().map(String::from),
            region: mem::take(&mut vm.region).into(),
            group: set.map(ScaleSet::label),
            account: Some(Arc::clone(&self.wanted.account)),
            created: vm.created,
            health: state.health,
            lifecycle: lifecycle(vm, set),
            tags: self.tags.intern(tags),
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
    fn interfaces(&mut self, interfaces: Pages<ListedInterface>) -> Vec<ListedInterface> {
        let read = interfaces.into_iter().flatten().filter_map(|interface| match interface {
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
        let why = format!("Azure's answer for it cannot be read: {why}");
        let (state, machine) = (State::unknown(&why), Content::Missing { why, has_tag: false });
        self.found.push(Found { id: vm_id.as_deref().map(VmId::new), resource, state, machine });
    }

    /// In one order, each resource once and each id once.
    fn finish(mut self) -> Self {
        // Sorting in place, and dropping what is listed twice in place, takes no memory for a second list.
        self.found.sort_unstable_by(|one, other| {
            (&one.resource, one.id.is_none(), &one.id).cmp(&(&other.resource, other.id.is_none(), &other.id))
        });
        self.found.dedup_by(|again, kept| again.resource == kept.resource);
        self.found.sort_unstable_by(|one, other| (&one.id, &one.resource).cmp(&(&other.id, &other.resource)));
        let rejects = &mut self.rejects;
        self.found.dedup_by(|again, kept| {
            let is_twice = kept.id.is_some() && kept.id == again.id;
            if is_twice {
                let reason = format!("has the vmId of {}; report this to Azure", kept.resource);
                rejects.push(Reject::aside(again.resource.to_string(), reason));
            }
            is_twice
        });
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

/// A machine leaves when it is being deleted, or its scale set is.
fn lifecycle(vm: &ListedVm, set: Option<&ScaleSet>) -> Lifecycle {
    let of_set = set.and_then(|set| set.properties.provisioning_state.as_deref());
    if vm.is_being_deleted || is_being_deleted(of_set) { Lifecycle::Leaving } else { Lifecycle::InService }
}
