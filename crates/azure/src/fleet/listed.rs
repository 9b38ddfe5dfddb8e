//! What is kept of an element of a list.
//!
//! A list has tens of thousands of elements, so each is reduced to what a machine is made of as soon as its page is read.

use std::net::IpAddr;

use compact_str::CompactString;
use jiff::Timestamp;
use roster_core::instance::Metadata;
use roster_core::shared::Interner;

use super::address::best;
use super::join::Wanted;
use super::resource::{Homes, ResourceId};
use super::state::State;
use super::vm_id::VmId;
use crate::arm::wire::{Element, ExtendedLocation, Interface, ScaleSet, Tags, View, Vm, VmState};

/// Reduces elements. Texts that many of them have are held once.
#[derive(Debug)]
pub(crate) struct Keeper<'w> {
    wanted: &'w Wanted,
    homes: Homes,
    tags: Interner<Tags>,
}

/// A machine.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ListedVm {
    pub(super) resource: ResourceId,
    /// `vmId`; none where that is left out.
    pub(super) id: Option<VmId>,
    pub(super) name: CompactString,
    pub(super) region: CompactString,
    pub(super) zone: Option<CompactString>,
    /// Its own tags that are read by a rule.
    pub(super) tags: Metadata,
    /// The scale set that it names.
    pub(super) set: Option<ResourceId>,
    /// The interfaces that it names, each with whether it calls that one primary.
    pub(super) interfaces: Box<[(ResourceId, bool)]>,
    pub(super) created: Option<Timestamp>,
    pub(super) is_being_deleted: bool,
    /// None where the list has no states.
    pub(super) state: Option<State>,
}

/// A machine in the list of states.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ListedState {
    pub(super) resource: ResourceId,
    pub(super) state: State,
}

/// An interface.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ListedInterface {
    pub(super) resource: ResourceId,
    /// The machine that it is attached to.
    pub(super) machine: Option<ResourceId>,
    pub(super) is_primary: bool,
    pub(super) address: Option<IpAddr>,
}

impl<'w> Keeper<'w> {
    pub(crate) fn new(wanted: &'w Wanted) -> Self {
        Self { wanted, homes: Homes::default(), tags: Interner::default() }
    }

    /// The tags that a rule reads.
    fn tags(&mut self, mut tags: Tags) -> Metadata {
        tags.retain(|name, _| self.wanted.spellings.reads(name));
        self.tags.intern(tags.into())
    }
}

impl Element for Vm {
    type Kept = ListedVm;

    fn id(&self) -> &str {
        &self.id
    }

    fn keep(self, keeper: &mut Keeper<'_>) -> ListedVm {
        let zone = zone(&self);
        let Self { id, name, location, tags, properties, .. } = self;
        let interfaces = properties.network_profile.network_interfaces.iter();
        let interfaces =
            interfaces.map(|named| (keeper.homes.id(&named.id), named.properties.primary == Some(true)));
        let vm_id = properties.vm_id.as_deref().filter(|id| !id.is_empty());
        ListedVm {
            interfaces: interfaces.collect(),
            resource: keeper.homes.id(&id),
            id: vm_id.map(VmId::new),
            name: name.into(),
            region: region(&location),
            zone,
            tags: keeper.tags(tags),
            set: properties.virtual_machine_scale_set.map(|set| keeper.homes.id(&set.id)),
            created: properties.time_created.as_deref().and_then(|time| time.parse().ok()),
            is_being_deleted: is_being_deleted(properties.provisioning_state.as_deref()),
            state: match &properties.instance_view {
                View::Missing => None,
                view => Some(State::read(view)),
            },
        }
    }
}

impl Element for VmState {
    type Kept = ListedState;

    fn id(&self) -> &str {
        &self.id
    }

    fn keep(self, keeper: &mut Keeper<'_>) -> ListedState {
        ListedState {
            resource: keeper.homes.id(&self.id),
            state: State::read(&self.properties.instance_view),
        }
    }
}

impl Element for Interface {
    type Kept = ListedInterface;

    fn id(&self) -> &str {
        &self.id
    }

    fn keep(self, keeper: &mut Keeper<'_>) -> ListedInterface {
        let Self { id, properties } = self;
        ListedInterface {
            resource: keeper.homes.id(&id),
            machine: properties.virtual_machine.map(|machine| keeper.homes.id(&machine.id)),
            is_primary: properties.primary == Some(true),
            address: best(properties.ip_configurations.iter().map(|one| &one.properties)),
        }
    }
}

impl Element for ScaleSet {
    type Kept = Self;

    fn id(&self) -> &str {
        &self.id
    }

    fn keep(self, _keeper: &mut Keeper<'_>) -> Self {
        self
    }
}

/// The first of its zones, or the Edge Zone that it is in.
fn zone(vm: &Vm) -> Option<CompactString> {
    let edge = |location: &ExtendedLocation| {
        let is = location.r#type.eq_ignore_ascii_case("edgezone") && !location.name.is_empty();
        is.then(|| location.name.as_str().into())
    };
    let zone = vm.zones.first().map(|zone| zone.as_str().into());
    zone.or_else(|| vm.extended_location.as_ref().and_then(edge))
}

/// "West Europe" and "westeurope" are one region.
fn region(location: &str) -> CompactString {
    location.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_lowercase()).collect()
}

/// Whether the last operation on a machine or a scale set is its deletion.
pub(super) fn is_being_deleted(provisioning_state: Option<&str>) -> bool {
    provisioning_state.is_some_and(|state| state.eq_ignore_ascii_case("deleting"))
}
