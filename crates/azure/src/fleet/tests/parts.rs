//! Parts of a subscription of which nothing was heard.

use serde_json::{Value, json};

use super::*;

/// Two groups with a machine each, and a uniform scale set with one.
fn parts() -> Lists {
    let other = |text: &str| text.replace("/rg/", "/Other/");
    let mut vm_b: Value = serde_json::from_str(&other(&vm("b").to_string())).unwrap();
    vm_b["properties"]["instanceView"] = state("b", "running")["properties"]["instanceView"].take();
    let mut lists = one();
    lists.states = None;
    lists.vms[0]["properties"]["instanceView"] = state("a", "running")["properties"]["instanceView"].take();
    lists.vms.push(vm_b);
    let nic_b = other(&nic("b", &[("10.0.0.2", true)]).to_string());
    lists.interfaces.push(serde_json::from_str(&nic_b).unwrap());
    let mut member = vm("c");
    member["id"] = json!(format!("{}/virtualMachines/0", set_id("SET")));
    member["properties"]["instanceView"] = state("c", "running")["properties"]["instanceView"].take();
    lists.interfaces.push(nic("c", &[("10.0.0.3", true)]));
    lists.members.push((ResourceId::new(&set_id("set")), vec![member]));
    lists.sets.push(json!({"id": set_id("set"), "name": "set", "tags": {"own": "set"}}));
    lists
}

/// The lists without what is below this scope, of which nothing was heard.
fn without(scope: Option<&ResourceId>) -> Lists {
    let mut lists = parts();
    let hidden = |id: &Value| {
        let id = ResourceId::new(id["id"].as_str().unwrap());
        scope.is_none_or(|scope| scope.holds(id.home()))
    };
    lists.vms.retain(|vm| !hidden(vm));
    lists.members.retain(|(_, members)| !hidden(&members[0]));
    lists.holes.push(Hole { scope: scope.cloned(), why: "it failed".to_owned() });
    lists
}

#[test]
fn the_machines_of_a_part_that_was_not_told_stay_and_no_others() {
    let set = ResourceId::new(&set_id("set"));
    let other = ResourceId::new("/subscriptions/s/resourceGroups/other");
    let everything = settled(parts(), &none());
    assert_eq!(ids(&everything), ["guid-a", "guid-b", "guid-c"]);
    let mut before = everything.memory;
    before.hear([set.clone(), other.clone()]);
    for (scope, stay) in [(Some(&set), vec!["guid-c"]), (Some(&other), vec!["guid-b"])] {
        let now = settled(without(scope), &before);
        assert_eq!((kept(&now), now.untold.len(), now.rejects.len()), (stay.clone(), 0, 1));
        let reject = &now.rejects[0];
        assert!(reject.reason.starts_with("it failed; ") && reject.unread.is_none(), "{reject}");
        let mut ended = without(scope);
        ended.vms.retain(|vm| vm["name"] != "a");
        let again = settled(ended, &now.memory);
        assert_eq!(kept(&again), stay, "also the next time, while what has ended elsewhere is gone");
        assert!(!ids(&again).contains(&"guid-a"));
    }
    let now = settled(without(None), &before);
    assert_eq!(kept(&now), ["guid-a", "guid-b", "guid-c"]);
}

#[test]
fn a_part_that_was_never_listed_is_left_to_the_caller() {
    let set = ResourceId::new(&set_id("set"));
    let other = ResourceId::new("/subscriptions/s/resourceGroups/other");
    let of = |scope: Option<&ResourceId>| settled(without(scope), &none()).untold;
    assert_eq!(of(Some(&set)), [Untold::Group("set".to_owned())]);
    assert_eq!(of(Some(&other)), [Untold::Rest]);
    assert_eq!(of(None), [Untold::Rest]);
    let mut before = none();
    before.hear([set.clone()]);
    assert!(
        settled(without(Some(&set)), &before).untold.is_empty(),
        "a part that was listed once is known here"
    );
}

#[test]
fn an_odd_scale_set_hides_its_machines_alone() {
    let mut lists = parts();
    lists.sets = vec![json!({"id": set_id("set"), "tags": 7})];
    lists.members.clear();
    let mut before = settled(parts(), &none()).memory;
    before.hear([ResourceId::new(&set_id("set"))]);
    let now = settled(lists, &before);
    assert_eq!((ids(&now), kept(&now)), (vec!["guid-a", "guid-b"], vec!["guid-c"]));
    assert!(uniform(&read(vec![json!({"id": set_id("set"), "tags": 7})])).is_empty());
}

#[test]
fn the_machines_of_a_scale_set_that_is_being_deleted_are_leaving() {
    let mut lists = parts();
    lists.sets[0]["properties"]["provisioningState"] = json!("Deleting");
    let lives: Vec<Lifecycle> =
        settled(lists, &none()).machines.iter().map(|machine| machine.lifecycle).collect();
    assert_eq!(lives, [Lifecycle::InService, Lifecycle::InService, Lifecycle::Leaving]);
}
