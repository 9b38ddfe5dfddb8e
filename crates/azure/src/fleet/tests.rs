//! From ARM's lists to machines, by its parts.

use std::collections::BTreeMap;

use proptest::prelude::*;
use roster_core::fleet::Machine;
use roster_core::instance::{Health, Lifecycle};
use serde_json::{Value, json};

use super::carry::Settled;
use super::*;

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

/// One machine that runs, and may be changed before it is joined.
fn one() -> Answers {
    Answers {
        vms: vec![vm("a")],
        states: Some(vec![state("a", "running")]),
        interfaces: vec![nic("a", &[("10.0.0.1", true)])],
        ..Answers::default()
    }
}

fn settled(answers: Answers, last: &[Machine]) -> Settled {
    settle(join(answers, "s", None).unwrap().found, last)
}

fn listed(answers: Answers) -> Machine {
    let mut settled = settled(answers, &[]);
    assert_eq!((settled.machines.len(), &settled.rejects, &settled.unknown), (1, &vec![], &vec![]));
    settled.machines.remove(0)
}

#[test]
fn a_machine_is_put_together_from_all_lists() {
    let machine = listed(one());
    assert_eq!(
        machine,
        Machine {
            id: "guid-a".into(),
            name: "a".into(),
            address: "10.0.0.1".parse().unwrap(),
            zone: Some("2".into()),
            region: "westeurope".into(),
            group: None,
            account: Some("s".into()),
            created: Some("2026-11-20T09:58:00.1234567Z".parse().unwrap()),
            health: Health::Unknown,
            lifecycle: Lifecycle::InService,
            tags: BTreeMap::from([("own".into(), "a".into())]),
        }
    );
}

#[test]
fn the_address_is_the_primary_interfaces_primary_one_and_ipv4_before_ipv6() {
    let of = |addresses: &[(&str, bool)]| {
        listed(Answers { interfaces: vec![nic("a", addresses)], ..one() }).address.to_string()
    };
    assert_eq!(of(&[("10.0.0.2", false), ("10.0.0.1", true)]), "10.0.0.1");
    assert_eq!(of(&[("fd00::1", true), ("10.0.0.2", false)]), "10.0.0.2");
    assert_eq!(of(&[("fd00::2", false), ("fd00::1", true)]), "fd00::1");

    let mut answers = one();
    answers.vms[0]["properties"]["networkProfile"]["networkInterfaces"] = json!([{"id": nic_id("b"), "properties": {"primary": false}}, {"id": nic_id("A"), "properties": {"primary": true}}]);
    answers.interfaces.push(nic("b", &[("10.9.9.9", true)]));
    assert_eq!(listed(answers).address.to_string(), "10.0.0.1");
}

#[test]
fn an_interface_that_says_it_is_the_primary_one_need_not_be_called_so_by_the_machine() {
    let mut answers = one();
    answers.vms[0]["properties"]["networkProfile"]["networkInterfaces"] =
        json!([{"id": nic_id("b")}, {"id": nic_id("a")}]);
    answers.interfaces[0]["properties"]["primary"] = json!(true);
    answers.interfaces.push(nic("b", &[("10.9.9.9", true)]));
    assert_eq!(listed(answers).address.to_string(), "10.0.0.1");
}

#[test]
fn a_machine_without_a_private_address_is_rejected_with_the_reason() {
    let settled = settled(Answers { interfaces: vec![nic("a", &[])], ..one() }, &[]);
    assert!(settled.machines.is_empty());
    assert!(settled.rejects[0].reason.contains("no private address"), "{:?}", settled.rejects);
}

#[test]
fn a_public_address_is_never_taken_for_the_private_one() {
    let mut answers = one();
    let configuration = &mut answers.interfaces[0]["properties"]["ipConfigurations"][0]["properties"];
    configuration["publicIPAddress"] = json!({"id": "/pip", "properties": {"ipAddress": "52.0.0.1"}});
    let mut public_alone = answers.interfaces.clone();
    assert_eq!(listed(answers).address.to_string(), "10.0.0.1");
    public_alone[0]["properties"]["ipConfigurations"][0]["properties"]["privateIPAddress"].take();
    let settled = settled(Answers { interfaces: public_alone, ..one() }, &[]);
    assert!(settled.machines.is_empty() && settled.rejects.len() == 1, "{settled:?}");
}

#[test]
fn tags_of_a_machine_lie_over_those_of_its_scale_set_of_either_kind() {
    let tags = json!({"own": "set", "set": "set"});
    let set = json!({"id": set_id("X").to_uppercase(), "name": "X", "tags": tags, "properties": {"orchestrationMode": "Flexible"}});
    let mut answers = Answers { sets: vec![set], ..one() };
    answers.vms[0]["properties"]["virtualMachineScaleSet"] = json!({"id": set_id("x")});
    let machine = listed(answers);
    assert_eq!(machine.group.as_deref(), Some("X"));
    assert_eq!(machine.tags, BTreeMap::from([("own".into(), "a".into()), ("set".into(), "set".into())]));

    let mut member = vm("a");
    member["properties"]["instanceView"] = state("a", "running")["properties"]["instanceView"].take();
    let set = json!({"id": set_id("u"), "name": "u", "tags": {"own": "set", "set": "set"}});
    assert_eq!(uniform(std::slice::from_ref(&set)).unwrap(), [set_id("u")], "the kind is not said");
    let members = vec![(ResourceId::new(&set_id("U")), vec![member])];
    let machine = listed(Answers { vms: vec![], states: None, sets: vec![set], members, ..one() });
    assert_eq!((machine.group.as_deref(), machine.tags.len()), (Some("u"), 2));
    assert_eq!(machine.tags.get("own").map(String::as_str), Some("a"));
}

#[test]
fn a_machine_that_is_being_deleted_still_runs_but_is_leaving() {
    let mut answers = one();
    answers.vms[0]["properties"]["provisioningState"] = json!("Deleting");
    assert_eq!(listed(answers).lifecycle, Lifecycle::Leaving);
}

#[test]
fn a_machine_that_does_not_run_is_not_listed_even_if_it_was_before() {
    let last = [listed(one())];
    for state in
        ["deallocated", "deallocating", "stopped", "stopping", "starting"].map(|power| state("a", power))
    {
        let settled = settled(Answers { states: Some(vec![state]), ..one() }, &last);
        assert!(settled.machines.is_empty() && settled.unknown.is_empty(), "{settled:?}");
    }
}

#[test]
fn a_machine_without_a_power_state_is_being_made_unless_it_ran_before() {
    let making = || {
        let view = json!({"statuses": [{"code": "ProvisioningState/updating"}]});
        let state = json!({"id": vm_id("a"), "properties": {"instanceView": view}});
        Answers { states: Some(vec![state]), ..one() }
    };
    let never_seen = settled(making(), &[]);
    assert!(never_seen.machines.is_empty() && never_seen.unknown.is_empty(), "{never_seen:?}");
    let last = [listed(one())];
    let kept = settled(making(), &last);
    assert_eq!((kept.machines, kept.unknown[0].kept), (last.to_vec(), true));
}

#[test]
fn a_machine_without_the_tag_is_nobodys_business_whatever_is_wrong_with_it() {
    let settled =
        |answers: Answers, last: &[Machine]| settle(join(answers, "s", Some("own")).unwrap().found, last);
    let last = [listed(one())];
    let untagged = |mut answers: Answers| {
        answers.vms[0]["tags"] = json!({"other": "x"});
        answers
    };
    for answers in [
        one(),
        Answers { states: Some(vec![]), ..one() },
        Answers { interfaces: vec![], ..one() },
        Answers { interfaces: vec![nic("a", &[])], ..one() },
    ] {
        let settled = settled(untagged(answers), &last);
        assert!(
            settled.machines.is_empty() && settled.unknown.is_empty() && settled.rejects.is_empty(),
            "{settled:?}"
        );
    }
    assert_eq!(settled(one(), &[]).machines, last);

    let set = json!({"id": set_id("x"), "name": "x", "tags": {"own": "set"}, "properties": {"orchestrationMode": "Flexible"}});
    let mut answers = untagged(Answers { sets: vec![set], ..one() });
    answers.vms[0]["properties"]["virtualMachineScaleSet"] = json!({"id": set_id("x")});
    assert_eq!(settled(answers, &[]).machines.len(), 1, "the tag of its scale set is enough");
}

#[test]
fn the_address_does_not_move_to_a_second_interface_while_the_first_is_missing() {
    let two = |flags: [Option<bool>; 2]| {
        let reference = |name: &str, primary: Option<bool>| json!({"id": nic_id(name), "properties": {"primary": primary}});
        let mut answers = one();
        answers.vms[0]["properties"]["networkProfile"]["networkInterfaces"] =
            json!([reference("a", flags[0]), reference("b", flags[1])]);
        answers.interfaces = vec![nic("b", &[("10.9.9.9", true)])];
        answers
    };
    let last = [listed(one())];
    for flags in [[Some(true), Some(false)], [None, None]] {
        let kept = settled(two(flags), &last);
        assert_eq!((kept.machines, kept.unknown.len()), (last.to_vec(), 1), "{flags:?}");
    }
    let moved = settled(two([Some(false), Some(true)]), &last);
    assert_eq!(moved.machines[0].address.to_string(), "10.9.9.9", "what is missing is not the first");
}

#[test]
fn a_machine_whose_state_is_missing_odd_or_an_error_stays_as_it_was() {
    let last = [listed(one())];
    let error = json!({"statuses": [{"code": "InternalOperationError", "level": "Error"}]});
    let views = [
        vec![],
        vec![json!({"id": vm_id("a"), "properties": {"instanceView": null}})],
        vec![json!({"id": vm_id("a"), "properties": {"instanceView": error}})],
        vec![json!({"id": vm_id("a")})],
    ];
    for states in views {
        let kept = settled(Answers { states: Some(states.clone()), ..one() }, &last);
        assert_eq!(kept.machines, last, "{states:?}");
        assert!(kept.unknown[0].kept && !kept.unknown[0].reason.is_empty());
        let never_seen = settled(Answers { states: Some(states), ..one() }, &[]);
        assert!(never_seen.machines.is_empty() && !never_seen.unknown[0].kept);
    }
}

#[test]
fn what_is_known_of_a_machine_counts_while_its_state_is_not() {
    let last = [listed(one())];
    let mut answers = Answers { states: Some(vec![]), ..one() };
    answers.vms[0]["tags"] = json!({"own": "new"});
    assert_eq!(settled(answers, &last).machines[0].tags.get("own").map(String::as_str), Some("new"));
}

#[test]
fn a_running_machine_whose_interface_is_missing_keeps_its_address_or_is_rejected() {
    let last = [listed(one())];
    let without = || Answers { interfaces: vec![], ..one() };
    assert_eq!(settled(without(), &last).machines, last);
    let never_seen = settled(without(), &[]);
    assert!(never_seen.machines.is_empty());
    assert!(never_seen.rejects[0].reason.contains("resource_groups"), "{:?}", never_seen.rejects);
    assert!(!never_seen.unknown[0].kept, "somebody may know it from before a restart");
}

#[test]
fn a_machine_that_is_in_no_list_any_more_is_gone() {
    let last = [listed(one())];
    let settled = settled(Answers { vms: vec![], ..one() }, &last);
    assert!(settled.machines.is_empty() && settled.unknown.is_empty());
}

#[test]
fn an_odd_machine_stays_as_it_was_and_one_without_an_id_fails_all() {
    let last = [listed(one())];
    let mut answers = one();
    answers.vms[0]["tags"] = json!(["not", "a", "map"]);
    let kept = settled(answers, &last);
    assert_eq!((kept.machines, kept.unknown.len()), (last.to_vec(), 1));
    for odd in [json!({"name": "a"}), json!(7), json!({"tags": 7}), json!(null)] {
        assert!(join(Answers { vms: vec![odd.clone()], ..one() }, "s", None).is_err(), "{odd}");
        assert!(uniform(std::slice::from_ref(&odd)).is_err(), "{odd}");
    }
}

#[test]
fn a_second_machine_with_the_same_vm_id_is_rejected() {
    let mut other = vm("b");
    other["properties"]["vmId"] = json!("guid-A");
    let joined = join(Answers { vms: vec![other, vm("a")], ..one() }, "s", None).unwrap();
    assert_eq!((joined.found.len(), joined.rejects.len()), (1, 1));
    assert!(joined.found[0].resource.last() == "a");
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

fn fleet_of(powers: &[u8]) -> Answers {
    let mut answers = Answers { states: Some(vec![]), ..Answers::default() };
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
        let last = settled(fleet_of(&vec![0; powers.len()]), &[]).machines;
        let straight = settled(fleet_of(&powers), &last);
        let mut mixed = fleet_of(&powers);
        for list in [&mut mixed.vms, mixed.states.as_mut().unwrap(), &mut mixed.interfaces, &mut mixed.sets] {
            let middle = turn.min(list.len());
            list.rotate_left(middle);
            for (value, number) in list.iter_mut().zip(1..) {
                recase(value, bits.rotate_left(number * 11));
            }
        }
        let mixed = settled(mixed, &last);
        prop_assert_eq!(straight.machines, mixed.machines);
        prop_assert_eq!(straight.rejects, mixed.rejects);
        prop_assert_eq!(straight.unknown, mixed.unknown);
    }

    #[test]
    fn every_machine_is_listed_not_running_rejected_or_unknown(powers in proptest::collection::vec(0_u8..8, 0..12)) {
        let settled = settled(fleet_of(&powers), &[]);
        let off = powers.iter().filter(|power| **power % 5 == 2 && **power != 3).count();
        let rejected: Vec<&str> = settled.rejects.iter().map(|reject| reject.place.as_str()).collect();
        let unknown = settled.unknown.iter().filter(|one| !one.kept && !rejected.contains(&one.resource.as_str()));
        prop_assert_eq!(settled.machines.len() + rejected.len() + unknown.count() + off, powers.len());
    }
}
