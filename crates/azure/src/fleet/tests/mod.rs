//! From ARM's lists to machines, by its parts.

mod content;
mod gaps;
mod parts;

use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;
use roster_core::fleet::{Machine, Untold};
use roster_core::instance::{Health, Lifecycle};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::carry::Settled;
use super::*;
use crate::arm::wire::{Element, Interface, Read, Vm, VmState};

const S: &str = "/subscriptions/s/resourceGroups/rg/providers";

fn vm_id(name: &str) -> String {
    format!("{S}/Microsoft.Compute/virtualMachines/{name}")
}

fn nic_id(name: &str) -> String {
    format!("{S}/Microsoft.Network/networkInterfaces/{name}-nic")
}

fn set_id(name: &str) -> String {
    format!("{S}/Microsoft.Compute/virtualMachineScaleSets/{name}")
}

fn vm(name: &str) -> Value {
    json!({
        "id": vm_id(name), "name": name, "location": "West Europe", "zones": ["2"], "tags": {"own": name},
        "properties": {
            "vmId": format!("GUID-{name}"), "timeCreated": "2026-11-20T09:58:00.1234567+00:00",
            "networkProfile": {"networkInterfaces": [{"id": nic_id(name), "properties": {"primary": true}}]},
        },
    })
}

fn state(name: &str, power: &str) -> Value {
    let statuses = json!([{"code": "ProvisioningState/succeeded"}, {"code": format!("PowerState/{power}")}]);
    json!({"id": vm_id(name), "properties": {"instanceView": {"statuses": statuses}}})
}

fn nic(name: &str, addresses: &[(&str, bool)]) -> Value {
    let addresses: Vec<Value> = addresses
        .iter()
        .map(|(address, primary)| json!({"properties": {"privateIPAddress": address, "primary": primary}}))
        .collect();
    json!({"id": nic_id(name), "properties": {"ipConfigurations": addresses}})
}

/// The lists as ARM sends them.
#[derive(Clone, Default)]
struct Lists {
    vms: Vec<Value>,
    states: Option<Vec<Value>>,
    sets: Vec<Value>,
    members: Vec<(ResourceId, Vec<Value>)>,
    interfaces: Vec<Value>,
    holes: Vec<Hole>,
}

impl Lists {
    fn answers(self) -> Answers {
        let wanted = wanted(None);
        let mut keeper = Keeper::new(&wanted);
        let members =
            self.members.into_iter().map(|(set, members)| (set, page::<Vm>(members, &mut keeper))).collect();
        Answers {
            vms: page::<Vm>(self.vms, &mut keeper),
            states: self.states.map(|states| page::<VmState>(states, &mut keeper)),
            sets: read(self.sets),
            members,
            interfaces: page::<Interface>(self.interfaces, &mut keeper),
            holes: self.holes,
        }
    }
}

fn read<T: DeserializeOwned>(values: Vec<Value>) -> Vec<T> {
    values.into_iter().map(|value| serde_json::from_value(value).unwrap()).collect()
}

fn page<T: Element>(values: Vec<Value>, keeper: &mut Keeper<'_>) -> Pages<T::Kept> {
    let elements: Vec<Read<T>> = read(values);
    vec![elements.into_iter().map(|element| element.keep(keeper)).collect()]
}

fn wanted(tag: Option<&str>) -> Wanted {
    let spellings = Spellings::new(["Looked:Up", "own", "set"].map(str::to_owned));
    Wanted { account: "s".into(), tag: tag.map(str::to_owned), spellings }
}

/// One machine that runs, and may be changed before it is joined.
fn one() -> Lists {
    Lists {
        vms: vec![vm("a")],
        states: Some(vec![state("a", "running")]),
        interfaces: vec![nic("a", &[("10.0.0.1", true)])],
        ..Lists::default()
    }
}

fn group() -> ResourceId {
    ResourceId::new("/subscriptions/s/resourceGroups/RG")
}

fn settled_for(lists: Lists, tag: Option<&str>, before: &Memory) -> Settled {
    let heard = HashSet::from([group()]);
    settle(join(lists.answers(), &wanted(tag)), heard, before)
}

fn settled(lists: Lists, before: &Memory) -> Settled {
    settled_for(lists, None, before)
}

/// What these lists leave.
fn after(lists: Lists) -> Memory {
    settled(lists, &Memory::default()).memory
}

fn listed(lists: Lists) -> Machine {
    let mut settled = settled(lists, &Memory::default());
    assert_eq!((settled.machines.len(), &settled.rejects, &settled.unknown), (1, &vec![], &vec![]));
    settled.machines.remove(0)
}

/// The ids of machines that stay as they were.
fn kept(settled: &Settled) -> Vec<&str> {
    settled.unknown.iter().filter(|one| one.known).map(|one| one.id.as_str()).collect()
}

/// The ids of machines that the caller keeps if it knows them.
fn unknown(settled: &Settled) -> Vec<&str> {
    settled.unknown.iter().map(|one| one.id.as_str()).collect()
}

fn ids(settled: &Settled) -> Vec<&str> {
    settled.machines.iter().map(|machine| machine.id.as_str()).collect()
}

fn none() -> Memory {
    Memory::default()
}

/// Nothing is said of the machine.
fn nobodys(settled: &Settled) -> bool {
    settled.machines.is_empty() && settled.unknown.is_empty() && settled.rejects.is_empty()
}

/// The text with some of its letters in the other case.
fn recased(text: &str, bits: u64) -> String {
    let odd = |at: usize| bits >> (at % 64) & 1 == 1;
    let case = |(at, c): (usize, char)| if odd(at) { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
    text.chars().enumerate().map(case).collect()
}

/// The value with every id in another case.
fn recase(value: &mut Value, bits: u64) {
    match value {
        Value::Object(object) => {
            for (key, inner) in object {
                match inner {
                    Value::String(text) if key == "id" || key == "vmId" || key == "code" => {
                        *text = recased(text, bits);
                    }
                    inner => recase(inner, bits.rotate_left(7)),
                }
            }
        }
        Value::Array(array) => array.iter_mut().for_each(|inner| recase(inner, bits.rotate_left(3))),
        _ => {}
    }
}

fn fleet_of(powers: &[u8]) -> Lists {
    let mut answers = Lists { states: Some(vec![]), ..Lists::default() };
    let set = json!({"id": set_id("set"), "name": "set", "tags": {"set": "yes"}, "properties": {"orchestrationMode": "Flexible"}});
    answers.sets.push(set);
    for (number, power) in powers.iter().enumerate() {
        let name = format!("m{number}");
        let mut machine = vm(&name);
        if power % 2 == 0 {
            machine["properties"]["virtualMachineScaleSet"] = json!({"id": set_id("set")});
        }
        answers.vms.push(machine);
        let word = ["running", "running", "stopped", "running", "unknown"][usize::from(*power) % 5];
        if *power != 3 {
            answers.states.as_mut().unwrap().push(state(&name, word));
        }
        if *power != 6 {
            answers.interfaces.push(nic(&name, &[(&format!("10.0.0.{number}"), true)]));
        }
    }
    answers
}

proptest! {
    #[test]
    fn the_outcome_depends_neither_on_the_order_of_the_lists_nor_on_the_case_of_ids(
        powers in proptest::collection::vec(0_u8..8, 0..12), turn in 0_usize..12, bits in any::<u64>()
    ) {
        let before = after(fleet_of(&vec![0; powers.len()]));
        let straight = settled(fleet_of(&powers), &before);
        let mut mixed = fleet_of(&powers);
        for list in [&mut mixed.vms, mixed.states.as_mut().unwrap(), &mut mixed.interfaces, &mut mixed.sets] {
            let middle = turn.min(list.len());
            list.rotate_left(middle);
            for (value, number) in list.iter_mut().zip(1..) {
                recase(value, bits.rotate_left(number * 11));
            }
        }
        let mixed = settled(mixed, &before);
        prop_assert_eq!(straight.machines, mixed.machines);
        prop_assert_eq!(straight.rejects, mixed.rejects);
        prop_assert_eq!(straight.unknown, mixed.unknown);
    }

    #[test]
    fn every_machine_is_listed_not_running_rejected_or_unknown(powers in proptest::collection::vec(0_u8..8, 0..12)) {
        let settled = settled(fleet_of(&powers), &none());
        let off = powers.iter().filter(|power| **power % 5 == 2 && **power != 3).count();
        let rejected: Vec<&str> = settled.rejects.iter().map(|reject| reject.place.as_str()).collect();
        let unknown = settled.unknown.iter().filter(|one| !one.known && !rejected.contains(&one.resource.as_str()));
        prop_assert_eq!(settled.machines.len() + rejected.len() + unknown.count() + off, powers.len());
    }
}
