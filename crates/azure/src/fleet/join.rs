//! Puts the lists together: model, state, scale set and addresses of each machine, by ids without their case.
//!
//! The outcome does not depend on the order of the lists or on how they spell ids.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use roster_core::fleet::Machine;
use roster_core::instance::{Lifecycle, Reject};
use serde::Deserialize;
use serde_json::Value;

use super::address::{Interfaces, NoAddress};
use super::resource::ResourceId;
use super::state::State;
use crate::arm::wire::{Interface, ScaleSet, Vm};

/// The elements of all lists.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// Machines outside of uniform scale sets.
    pub(crate) vms: Vec<Value>,
    /// Their states, when those came in a list of their own.
    pub(crate) states: Option<Vec<Value>>,
    pub(crate) sets: Vec<Value>,
    /// Machines of each uniform scale set.
    pub(crate) members: Vec<(ResourceId, Vec<Value>)>,
    /// Interfaces, also those of uniform scale sets.
    pub(crate) interfaces: Vec<Value>,
}

/// A machine that Azure has.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) id: String,
    pub(crate) resource: ResourceId,
    pub(crate) state: State,
    pub(crate) machine: Result<Machine, Gap>,
}

/// Why a machine is not whole.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Gap {
    /// Azure left something out of the lists; it may be there the next time.
    Missing(String),
    /// It cannot be used as it is.
    Unusable(String),
}

#[derive(Debug, Default)]
pub(crate) struct Joined {
    pub(crate) found: Vec<Found>,
    pub(crate) rejects: Vec<Reject>,
    pub(crate) warnings: Vec<String>,
}

struct Joiner<'a> {
    account: &'a str,
    tag: Option<&'a str>,
    sets: HashMap<ResourceId, ScaleSet>,
    interfaces: Interfaces,
    joined: Joined,
}

/// What a machine has from its scale set and of its own.
struct Belongings {
    group: Option<String>,
    tags: BTreeMap<String, String>,
}

/// The ids, as they came, of scale sets whose machines have a list of their own. One that cannot be read would hide its
/// machines, so it fails all.
pub(crate) fn uniform(sets: &[Value]) -> Result<Vec<String>, String> {
    let sets = sets.iter().map(read_set).collect::<Result<Vec<_>, String>>()?;
    Ok(sets.into_iter().filter(ScaleSet::is_uniform).map(|set| set.id).collect())
}

/// The machines that these lists tell of; where a tag is given, only those that have it, of themselves or of their scale
/// set. A machine without an id could be any, so it fails all.
pub(crate) fn join(answers: Answers, account: &str, tag: Option<&str>) -> Result<Joined, String> {
    let mut joined = Joined::default();
    let sets = answers.sets.iter().map(read_set).collect::<Result<Vec<_>, String>>()?;
    let interfaces = joined.interfaces(&answers.interfaces);
    let mut joiner = Joiner {
        account,
        tag,
        sets: sets.into_iter().map(|set| (ResourceId::new(&set.id), set)).collect(),
        interfaces: Interfaces::new(interfaces),
        joined,
    };
    let states: Option<HashMap<ResourceId, Value>> = answers.states.map(|states| {
        states
            .into_iter()
            .filter_map(|state| Some((ResourceId::new(state.get("id")?.as_str()?), state)))
            .collect()
    });
    for value in answers.vms {
        joiner.add(&value, None, states.as_ref())?;
    }
    for (set, members) in answers.members {
        for value in members {
            joiner.add(&value, Some(&set), None)?;
        }
    }
    Ok(joiner.joined.finish())
}

impl Joiner<'_> {
    fn add(
        &mut self,
        value: &Value,
        set: Option<&ResourceId>,
        states: Option<&HashMap<ResourceId, Value>>,
    ) -> Result<(), String> {
        let vm = match Vm::deserialize(value) {
            Ok(vm) if !vm.id.is_empty() => vm,
            Ok(_) => return Err("a machine has no id".to_owned()),
            Err(error) => return self.broken(value, &error.to_string()),
        };
        let resource = ResourceId::new(&vm.id);
        let belongings = self.belongings(set, &vm);
        if self.tag.is_some_and(|tag| !belongings.tags.contains_key(tag)) {
            return Ok(());
        }
        let state = match states {
            None => State::read(vm.properties.instance_view.as_ref()),
            Some(states) => match states.get(&resource) {
                Some(state) => State::read(state.pointer("/properties/instanceView")),
                None => State::unknown("it is not in the list of states"),
            },
        };
        let id = vm.properties.vm_id.clone().filter(|id| !id.is_empty());
        let id = id.map_or_else(|| resource.short(), |id| id.to_ascii_lowercase());
        let machine = self.machine(&id, &resource, &vm, belongings, &state);
        self.joined.found.push(Found { id, resource, state, machine });
        Ok(())
    }

    /// An element that cannot be read, with as much of it as can.
    fn broken(&mut self, value: &Value, why: &str) -> Result<(), String> {
        let text =
            |pointer: &str| value.pointer(pointer).and_then(Value::as_str).map(str::to_ascii_lowercase);
        let Some(resource) = text("/id").filter(|id| !id.is_empty()) else {
            return Err(format!("a machine cannot be read: {why}"));
        };
        let resource = ResourceId::new(&resource);
        let id = text("/properties/vmId").unwrap_or_else(|| resource.short());
        let why = format!("Azure's answer about it is odd: {why}");
        let state = State::unknown(&why);
        self.joined.found.push(Found { id, resource, state, machine: Err(Gap::Missing(why)) });
        Ok(())
    }

    fn machine(
        &self,
        id: &str,
        resource: &ResourceId,
        vm: &Vm,
        Belongings { group, tags }: Belongings,
        state: &State,
    ) -> Result<Machine, Gap> {
        let address = self.interfaces.address(resource, vm).map_err(|none| gap(&none))?;
        let leaving = vm
            .properties
            .provisioning_state
            .as_ref()
            .is_some_and(|state| state.eq_ignore_ascii_case("deleting"));
        Ok(Machine {
            id: id.to_owned(),
            name: if vm.name.is_empty() { resource.last().to_owned() } else { vm.name.clone() },
            address,
            zone: vm.zones.first().cloned(),
            // "West Europe" and "westeurope" are one region.
            region: vm
                .location
                .chars()
                .filter(|c| !c.is_whitespace())
                .collect::<String>()
                .to_ascii_lowercase(),
            group,
            account: Some(self.account.to_owned()),
            created: vm.properties.time_created.as_deref().and_then(|time| time.parse::<Timestamp>().ok()),
            health: state.health,
            lifecycle: if leaving { Lifecycle::Leaving } else { Lifecycle::InService },
            tags,
        })
    }

    /// The machine's own tags lie over those of its scale set.
    fn belongings(&mut self, set: Option<&ResourceId>, vm: &Vm) -> Belongings {
        let flexible =
            || vm.properties.virtual_machine_scale_set.as_ref().map(|set| ResourceId::new(&set.id));
        let set = set.cloned().or_else(flexible);
        let (group, mut tags) = set.map_or_else(Default::default, |set| self.of_set(&set, vm));
        tags.extend(vm.tags.clone());
        Belongings { group, tags }
    }

    /// The name and the tags that a machine has from its scale set.
    fn of_set(&mut self, id: &ResourceId, vm: &Vm) -> (Option<String>, BTreeMap<String, String>) {
        match self.sets.get(id) {
            Some(set) if !set.name.is_empty() => (Some(set.name.clone()), set.tags.clone()),
            Some(set) => (Some(id.last().to_owned()), set.tags.clone()),
            None => {
                let text = "is in no group that is listed, so its tags are not known; add its group to `resource_groups`";
                self.joined.warnings.push(format!("the scale set {id} of {} {text}", vm.name));
                (Some(id.last().to_owned()), BTreeMap::new())
            }
        }
    }
}

impl Joined {
    /// Without those that cannot be read: their machines are then without an address, and stay as they were.
    fn interfaces(&mut self, values: &[Value]) -> Vec<Interface> {
        let read = values.iter().filter_map(|value| match Interface::deserialize(value) {
            Ok(interface) => Some(interface),
            Err(why) => {
                let id = value.get("id").and_then(Value::as_str).unwrap_or("without an id");
                self.warnings.push(format!("the network interface {id} cannot be read: {why}"));
                None
            }
        });
        read.collect()
    }

    /// In one order, and each id once.
    fn finish(mut self) -> Self {
        self.found.sort_by(|one, other| (&one.id, &one.resource).cmp(&(&other.id, &other.resource)));
        let mut kept: Vec<Found> = Vec::with_capacity(self.found.len());
        for found in self.found {
            match kept.last() {
                Some(last) if last.id == found.id && last.resource == found.resource => {}
                Some(last) if last.id == found.id => self.rejects.push(Reject::aside(
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

fn gap(none: &NoAddress) -> Gap {
    match none {
        NoAddress::NotListed(interfaces) => {
            let names: Vec<String> = interfaces.iter().map(ToString::to_string).collect();
            Gap::Missing(format!(
                "its network interface is in no list ({}); if that is in another group, add the group to `resource_groups`",
                names.join(", ")
            ))
        }
        NoAddress::None => Gap::Unusable(
            "it has no private address; give its network interface one in a virtual network".to_owned(),
        ),
    }
}

fn read_set(value: &Value) -> Result<ScaleSet, String> {
    match ScaleSet::deserialize(value) {
        Ok(set) if !set.id.is_empty() => Ok(set),
        Ok(_) => Err("a scale set has no id".to_owned()),
        Err(error) => Err(format!("a scale set cannot be read: {error}")),
    }
}
