//! Machines of which something is missing: gone, nobody's, or unknown.

use serde_json::json;

use super::*;

#[test]
fn a_machine_that_does_not_run_is_not_listed_even_if_it_was_before() {
    let before = after(one());
    for power in ["deallocated", "deallocating", "stopped", "stopping", "starting"] {
        let off = settled(Lists { states: Some(vec![state("a", power)]), ..one() }, &before);
        assert!(nobodys(&off), "{off:?}");
    }
    let mut standby = one();
    standby.states.as_mut().unwrap()[0]["properties"]["instanceView"]["isVMInStandbyPool"] = json!(true);
    assert!(nobodys(&settled(standby, &before)));
}

#[test]
fn a_machine_without_a_power_state_is_being_made_unless_it_ran_before() {
    let making = || {
        let view = json!({"statuses": [{"code": "ProvisioningState/updating"}]});
        let state = json!({"id": vm_id("a"), "properties": {"instanceView": view}});
        Lists { states: Some(vec![state]), ..one() }
    };
    let never_seen = settled(making(), &none());
    assert!(never_seen.machines.is_empty() && never_seen.warnings.is_empty(), "{never_seen:?}");
    assert_eq!(unknown(&never_seen), ["guid-a"], "the caller keeps it if it knows it from before a restart");
    let now = settled(making(), &after(one()));
    assert_eq!((ids(&now), now.warnings.len()), (vec!["guid-a"], 1));
}

#[test]
fn a_machine_without_the_tag_is_left_alone_whatever_is_wrong_with_it() {
    let settled = |lists: Lists, before: &Memory| settled_for(lists, Some("own"), before);
    let untagged = |mut lists: Lists| {
        lists.vms[0]["tags"] = json!({"other": "x"});
        lists
    };
    for lists in [
        one(),
        Lists { states: Some(vec![]), ..one() },
        Lists { interfaces: vec![], ..one() },
        Lists { interfaces: vec![nic("a", &[])], ..one() },
    ] {
        let settled = settled(untagged(lists), &after(one()));
        assert!(nobodys(&settled), "{settled:?}");
    }
    assert_eq!(settled(one(), &none()).machines.len(), 1);

    let set = json!({"id": set_id("x"), "name": "x", "tags": {"OWN": "set"}, "properties": {"orchestrationMode": "Flexible"}});
    let mut lists = untagged(Lists { sets: vec![set], ..one() });
    lists.vms[0]["properties"]["virtualMachineScaleSet"] = json!({"id": set_id("x")});
    assert_eq!(settled(lists, &none()).machines.len(), 1, "the tag of its scale set is enough, in any case");
}

/// Machine `a` of a flexible scale set that is in no list.
fn of_unlisted_set() -> Lists {
    let mut lists = one();
    lists.vms[0]["properties"]["virtualMachineScaleSet"] = json!({"id": set_id("x")});
    lists
}

#[test]
fn a_machine_whose_scale_set_is_in_no_list_stays_as_it_was() {
    let settled = |lists: Lists, before: &Memory| settled_for(lists, Some("own"), before);
    let before = after(one());
    let mut untagged = of_unlisted_set();
    untagged.vms[0]["tags"] = json!({});
    for lists in [of_unlisted_set(), untagged.clone()] {
        let now = settled(lists.clone(), &before);
        assert_eq!((ids(&now), kept(&now)), (vec![], vec!["guid-a"]));
        let [reason] = &now.warnings[..] else { panic!("{:?}", now.warnings) };
        assert!(
            reason.contains("scale set /subscriptions/s") && reason.contains("resource_groups"),
            "{reason}"
        );
        let again = settled(lists.clone(), &now.memory);
        assert_eq!(kept(&again), ["guid-a"], "however long that lasts");
        let restarted = settled(lists, &none());
        assert_eq!((ids(&restarted), unknown(&restarted)), (vec![], vec!["guid-a"]));
    }
    assert_eq!(settled(of_unlisted_set(), &none()).rejects.len(), 1, "it has the tag of a service");
    assert!(settled(untagged.clone(), &none()).rejects.is_empty(), "its tags are not known");
    // Whatever its tags are, it does not run.
    let stopped = Lists { states: Some(vec![state("a", "stopped")]), ..untagged };
    assert!(nobodys(&settled(stopped, &before)));
}

#[test]
fn an_address_does_not_move_while_the_primary_one_is_not_shown() {
    let before = after(one());
    let mut two = one();
    two.vms[0]["properties"]["networkProfile"]["networkInterfaces"] =
        json!([{"id": nic_id("a"), "properties": {"primary": true}}, {"id": nic_id("b")}]);
    let second = nic("b", &[("10.9.9.9", true)]);
    let v4_of_two = json!({"id": nic_id("a"), "properties": {"ipConfigurations": [
        {"properties": {"privateIPAddressVersion": "IPv4", "primary": true}},
        {"properties": {"privateIPAddressVersion": "IPv6", "privateIPAddress": "fd00::1"}},
    ]}});
    let first_of_two = nic("a", &[("", true), ("10.0.0.2", false)]);
    for interface in
        [nic("a", &[]), nic("a", &[("", true)]), nic("a", &[("odd", true)]), v4_of_two, first_of_two]
    {
        for lists in [
            Lists { interfaces: vec![interface.clone()], ..one() },
            Lists { interfaces: vec![interface.clone(), second.clone()], ..two.clone() },
        ] {
            let now = settled(lists.clone(), &before);
            assert_eq!((ids(&now), kept(&now)), (vec![], vec!["guid-a"]), "{interface}");
            let never_seen = settled(lists, &none());
            assert!(never_seen.machines.is_empty() && unknown(&never_seen) == ["guid-a"], "{interface}");
            assert!(never_seen.rejects[0].reason.contains("shows no private address"), "{never_seen:?}");
        }
    }
}

#[test]
fn a_machine_without_any_interface_stays_as_it_was() {
    let mut lists = Lists { interfaces: vec![], ..one() };
    lists.vms[0]["properties"]["networkProfile"] = json!(null);
    let now = settled(lists.clone(), &after(one()));
    assert_eq!(kept(&now), ["guid-a"]);
    let never_seen = settled(lists.clone(), &none());
    assert!(never_seen.rejects[0].reason.contains("no network interface"), "{never_seen:?}");
    // What names the machine itself is as good as being named by it.
    let mut attached = nic("b", &[("10.0.0.7", true)]);
    attached["properties"]["virtualMachine"] = json!({"id": vm_id("A")});
    assert_eq!(listed(Lists { interfaces: vec![attached], ..lists }).address.to_string(), "10.0.0.7");
}

#[test]
fn the_address_does_not_move_to_a_second_interface_while_the_first_is_missing() {
    let two = |flags: [Option<bool>; 2]| {
        let reference = |name: &str, primary: Option<bool>| json!({"id": nic_id(name), "properties": {"primary": primary}});
        let mut lists = one();
        lists.vms[0]["properties"]["networkProfile"]["networkInterfaces"] =
            json!([reference("a", flags[0]), reference("b", flags[1])]);
        lists.interfaces = vec![nic("b", &[("10.9.9.9", true)])];
        lists
    };
    let before = after(one());
    for flags in [[Some(true), Some(false)], [None, None]] {
        let now = settled(two(flags), &before);
        assert_eq!((ids(&now), kept(&now)), (vec![], vec!["guid-a"]), "{flags:?}");
    }
    let moved = settled(two([Some(false), Some(true)]), &before);
    assert_eq!(moved.machines[0].address.to_string(), "10.9.9.9", "what is missing is not the first");
}

#[test]
fn a_machine_whose_state_is_missing_odd_or_an_error_stays_as_it_was() {
    let before = after(one());
    let error = json!({"statuses": [{"code": "InternalOperationError", "level": "Error"}]});
    let future = json!({"statuses": [{"code": "PowerState/of the future"}]});
    let views = [
        vec![],
        vec![json!({"id": vm_id("a"), "properties": {"instanceView": null}})],
        vec![json!({"id": vm_id("a"), "properties": {"instanceView": error}})],
        vec![json!({"id": vm_id("a"), "properties": {"instanceView": future}})],
        vec![json!({"id": vm_id("a"), "properties": {"instanceView": "odd"}})],
        vec![json!({"id": vm_id("a"), "properties": "odd"})],
        vec![json!({"id": vm_id("a")})],
    ];
    for states in views {
        let now = settled(Lists { states: Some(states.clone()), ..one() }, &before);
        assert_eq!((ids(&now), now.warnings.len()), (vec!["guid-a"], 1), "{states:?}");
        let never_seen = settled(Lists { states: Some(states), ..one() }, &none());
        assert!(never_seen.machines.is_empty() && unknown(&never_seen) == ["guid-a"], "{never_seen:?}");
        assert_eq!(never_seen.warnings.len(), 1, "{never_seen:?}");
    }
}

#[test]
fn what_is_known_of_a_machine_counts_while_its_state_is_not() {
    let mut lists = Lists { states: Some(vec![]), ..one() };
    lists.vms[0]["tags"] = json!({"own": "new"});
    let now = settled(lists, &after(one()));
    assert_eq!(now.machines[0].tags.get("own").map(String::as_str), Some("new"));
}

#[test]
fn a_running_machine_whose_interface_is_missing_stays_or_is_rejected() {
    let without = || Lists { interfaces: vec![], ..one() };
    assert_eq!(kept(&settled(without(), &after(one()))), ["guid-a"]);
    let never_seen = settled(without(), &none());
    assert!(never_seen.machines.is_empty());
    assert!(never_seen.rejects[0].reason.contains("resource_groups"), "{:?}", never_seen.rejects);
    assert_eq!(unknown(&never_seen), ["guid-a"], "the caller keeps it if it knows it from before a restart");
}

#[test]
fn a_machine_that_is_in_no_list_any_more_is_gone() {
    assert!(nobodys(&settled(Lists { vms: vec![], ..one() }, &after(one()))));
}

#[test]
fn an_odd_machine_stays_as_it_was_and_stops_no_other() {
    let two = || {
        let mut lists = one();
        lists.vms.push(vm("b"));
        lists.states.as_mut().unwrap().push(state("b", "running"));
        lists.interfaces.push(nic("b", &[("10.0.0.2", true)]));
        lists
    };
    let before = after(two());
    let odd = |change: &dyn Fn(&mut Value)| {
        let mut lists = two();
        change(&mut lists.vms[0]);
        settled(lists, &before)
    };
    for now in [
        odd(&|vm| vm["tags"] = json!(["not", "a", "map"])),
        odd(&|vm| vm["zones"] = json!(7)),
        odd(&|vm| vm["properties"]["networkProfile"] = json!("odd")),
    ] {
        assert_eq!((ids(&now), kept(&now)), (vec!["guid-b"], vec!["guid-a"]));
    }
    // A machine without an id could be any: every machine that is not listed stays.
    for now in
        [odd(&|vm| *vm = json!({"name": "a"})), odd(&|vm| *vm = json!(7)), odd(&|vm| *vm = json!(null))]
    {
        assert_eq!((ids(&now), kept(&now)), (vec!["guid-b"], vec!["guid-a"]));
        assert_eq!((&now.untold, now.rejects.len()), (&vec![Untold::Rest], 1));
    }
    let mut stopped = two();
    stopped.vms[0] = json!(7);
    stopped.vms.push(vm("a"));
    stopped.states.as_mut().unwrap()[0] = state("a", "stopped");
    let now = settled(stopped, &before);
    assert_eq!(
        (ids(&now), kept(&now)),
        (vec!["guid-b"], vec![]),
        "a machine that is listed as stopped has stopped"
    );
    assert_eq!(now.ended, ["guid-a"]);
}

#[test]
fn what_is_missing_of_many_machines_is_told_in_one_line() {
    let many = || {
        let mut lists = one();
        lists.vms.extend(["b", "c"].map(vm));
        lists.states.as_mut().unwrap().extend(["b", "c"].map(|name| state(name, "running")));
        let interfaces = ["b", "c"].map(|name| nic(name, &[("10.0.0.2", true)]));
        lists.interfaces.extend(interfaces);
        lists
    };
    let before = after(many());
    let [warning] = &settled(Lists { states: Some(vec![]), ..many() }, &before).warnings[..] else {
        panic!()
    };
    let a = ResourceId::new(&vm_id("a"));
    assert_eq!(
        *warning,
        format!("{a} and others: it is not in the list of states; each of them stays as it was")
    );
    let mut alone = many();
    alone.states.as_mut().unwrap().remove(0);
    let [warning] = &settled(alone, &before).warnings[..] else { panic!() };
    assert_eq!(*warning, format!("{a}: it is not in the list of states; the machine stays as it was"));
}

#[test]
fn a_machine_without_a_vm_id_is_the_one_of_its_name_that_was_known() {
    let without = || {
        let mut lists = one();
        lists.vms[0]["properties"]["vmId"].take();
        lists
    };
    assert_eq!(listed(without()).id, "rg/a");
    let now = settled(without(), &after(one()));
    assert_eq!(ids(&now), ["guid-a"]);
    let mut made_again = one();
    made_again.vms[0]["properties"]["vmId"] = json!("guid-new");
    let now = settled(made_again, &after(one()));
    assert_eq!((ids(&now), kept(&now)), (vec!["guid-new"], vec![]), "another machine of the same name");
}
