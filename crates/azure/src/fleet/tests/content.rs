//! What a machine is made of.

use serde_json::json;

use super::*;

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
            tags: BTreeMap::from([("own".into(), "a".into())]).into(),
        }
    );
}

#[test]
fn the_address_is_the_primary_interfaces_primary_one_and_ipv4_before_ipv6() {
    let of = |addresses: &[(&str, bool)]| {
        listed(Lists { interfaces: vec![nic("a", addresses)], ..one() }).address.to_string()
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
fn a_public_address_is_never_taken_for_the_private_one() {
    let mut answers = one();
    let configuration = &mut answers.interfaces[0]["properties"]["ipConfigurations"][0]["properties"];
    configuration["publicIPAddress"] = json!({"id": "/pip", "properties": {"ipAddress": "52.0.0.1"}});
    let mut public_alone = answers.interfaces.clone();
    assert_eq!(listed(answers).address.to_string(), "10.0.0.1");
    public_alone[0]["properties"]["ipConfigurations"][0]["properties"]["privateIPAddress"].take();
    let settled = settled(Lists { interfaces: public_alone, ..one() }, &none());
    assert!(settled.machines.is_empty() && settled.rejects.len() == 1, "{settled:?}");
}

#[test]
fn tags_of_a_machine_lie_over_those_of_its_scale_set_of_either_kind() {
    let tags = json!({"own": "set", "set": "set"});
    let set = json!({"id": set_id("X").to_uppercase(), "name": "X", "tags": tags, "properties": {"orchestrationMode": "Flexible"}});
    let mut answers = Lists { sets: vec![set], ..one() };
    answers.vms[0]["properties"]["virtualMachineScaleSet"] = json!({"id": set_id("x")});
    let machine = listed(answers);
    assert_eq!(machine.group.as_deref(), Some("X"));
    assert_eq!(*machine.tags, BTreeMap::from([("own".into(), "a".into()), ("set".into(), "set".into())]));

    let mut member = vm("a");
    member["properties"]["instanceView"] = state("a", "running")["properties"]["instanceView"].take();
    let set = json!({"id": set_id("u"), "name": "u", "tags": {"own": "set", "set": "set"}});
    assert_eq!(uniform(&read(vec![set.clone()])), [set_id("u")], "the kind is not said");
    let members = vec![(ResourceId::new(&set_id("U")), vec![member])];
    let machine = listed(Lists { vms: vec![], states: None, sets: vec![set], members, ..one() });
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
fn names_of_tags_have_no_case_and_come_as_they_are_looked_up_and_others_are_not_kept() {
    let set = json!({"id": set_id("x"), "name": "x", "tags": {"Looked:Up": "set", "Other": "set"}, "properties": {"orchestrationMode": "Flexible"}});
    let mut lists = Lists { sets: vec![set], ..one() };
    lists.vms[0]["properties"]["virtualMachineScaleSet"] = json!({"id": set_id("x")});
    lists.vms[0]["tags"] = json!({"looked:UP": "own", "OTHER": "own", "empty": null});
    assert_eq!(*listed(lists).tags, BTreeMap::from([("Looked:Up".to_owned(), "own".to_owned())]));
}

#[test]
fn a_machine_with_nothing_but_ipv6_has_that_address() {
    let address =
        listed(Lists { interfaces: vec![nic("a", &[("fd00::2", false), ("fd00::1", true)])], ..one() });
    assert_eq!(address.address.to_string(), "fd00::1");
}

#[test]
fn an_edge_zone_is_a_machines_zone_where_it_has_no_other() {
    let mut lists = one();
    lists.vms[0]["zones"].take();
    lists.vms[0]["extendedLocation"] = json!({"name": "losangeles", "type": "EdgeZone"});
    assert_eq!(listed(lists.clone()).zone.as_deref(), Some("losangeles"));
    lists.vms[0]["extendedLocation"]["type"] = json!("CustomLocation");
    assert_eq!(listed(lists).zone, None);
}

#[test]
fn a_second_machine_with_the_same_vm_id_is_rejected() {
    let mut other = vm("b");
    other["properties"]["vmId"] = json!("guid-A");
    let joined = join(Lists { vms: vec![other, vm("a")], ..one() }.answers(), &Wanted::default());
    assert_eq!((joined.found.len(), joined.rejects.len()), (1, 1));
    assert!(joined.found[0].resource.last() == "a");
}
