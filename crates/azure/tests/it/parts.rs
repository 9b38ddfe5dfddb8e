//! One bad part does not stop the rest: scale sets and groups that give no answer.

use std::sync::Arc;
use std::time::Duration;

use roster_azure::{Client, Listing, Memory, Patience, Settings};
use roster_core::fleet::Untold;
use roster_testkit::{ArmFault, ArmStandIn, OrFail};
use serde_json::json;

use super::{TAGS, Told, anew, groups, kept, names, settings};

const SET: &str = "virtualMachineScaleSets/uniset/virtualMachines";

/// Two machines and a uniform scale set in one group, a machine and a flexible scale set with one in another.
fn stage() -> ArmStandIn {
    let arm = ArmStandIn::start().or_fail();
    arm.world(|world| {
        world.groups.insert("rg-other".to_owned());
        world.add_vm("web-1", "10.0.0.4", &TAGS);
        world.add_vm("web-2", "10.0.0.5", &TAGS);
        world.add_set("uniset", true, &TAGS).add_member(0, "10.0.1.4");
        "rg-other".clone_into(&mut world.add_vm("other", "10.0.0.8", &TAGS).group);
        "rg-other".clone_into(&mut world.add_set("flexset", false, &TAGS).group);
        let flexible = world.add_vm("flex_1", "10.0.0.9", &[]);
        "rg-other".clone_into(&mut flexible.group);
        flexible.set = Some("flexset".to_owned());
    });
    arm
}

fn client(arm: &ArmStandIn, of: &[&str]) -> Client {
    let patience = Patience { attempts: 1, ..Patience::default() };
    let settings = Settings { resource_groups: groups(of), patience, ..settings(arm, &Arc::default()) };
    Client::new(Settings { tag: Some(TAGS[0].0.to_owned()), ..settings }).or_fail()
}

/// `web-2` has ended and `web-3` is new.
fn change(arm: &ArmStandIn) {
    arm.world(|world| {
        world.vms.retain(|vm| vm.name != "web-2");
        let new = &mut world.add_vm("web-3", "10.0.0.6", &TAGS).vm_id;
        "aaaaaaaa-0000-0000-0000-00000000000a".clone_into(new);
    });
}

/// Whether that is among what was left out.
fn says(listing: &Listing, words: &str) -> bool {
    listing.rejects.iter().any(|reject| reject.to_string().contains(words))
}

#[tokio::test]
async fn a_scale_set_that_answers_404_is_gone_and_stops_nothing() {
    let arm = stage();
    let client = client(&arm, &[]);
    let before = anew(&client).await;
    assert_eq!(names(&before), ["flex_1", "other", "uniset_0", "web-1", "web-2"]);
    change(&arm);
    for code in ["ResourceNotFound", "NotFound", "ResourceGroupNotFound", "ParentResourceNotFound"] {
        arm.fault(ArmFault::Error(404, code), "virtualMachineScaleSets/uniset/", 2);
        let now = client.list(&before.memory).await.or_fail();
        assert_eq!((names(&now), kept(&now)), (vec!["flex_1", "other", "web-1", "web-3"], vec![]), "{code}");
        assert!(
            now.untold.is_empty() && now.warnings.is_empty() && now.rejects.is_empty(),
            "{:?}",
            now.warnings
        );
    }
}

#[tokio::test]
async fn a_scale_set_that_gives_no_answer_keeps_its_machines_and_stops_nothing() {
    let arm = stage();
    let client = client(&arm, &[]);
    let before = anew(&client).await;
    change(&arm);
    for fault in [
        ArmFault::Error(409, "OperationNotAllowed"),
        ArmFault::Error(404, "InvalidResourceType"),
        ArmFault::Error(403, "AuthorizationFailed"),
        ArmFault::Error(500, "InternalExecutionError"),
        ArmFault::Html(404),
        ArmFault::Html(200),
        ArmFault::HalfBody,
        ArmFault::Json(200, json!({"value": 7})),
        ArmFault::NextLink("https://evil.example/".to_owned()),
    ] {
        arm.fault(fault.clone(), SET, 1);
        let now = client.list(&before.memory).await.or_fail();
        assert_eq!(
            (names(&now), kept(&now)),
            (vec!["flex_1", "other", "web-1", "web-3"], vec!["0"]),
            "{fault:?}"
        );
        assert!(says(&now, "the list of the scale set's machines of /subscriptions/"), "{:?}", now.rejects);
        assert!(now.untold.is_empty(), "{fault:?}");
        // However long that lasts.
        arm.fault(fault.clone(), SET, 1);
        assert_eq!(kept(&client.list(&now.memory).await.or_fail()), ["0"], "{fault:?}");
        assert_eq!(names(&client.list(&now.memory).await.or_fail())[2], "uniset_0", "{fault:?}");
    }
}

#[tokio::test]
async fn the_interfaces_of_a_scale_set_that_are_not_told_leave_its_machines_where_they_were() {
    let arm = stage();
    let client = client(&arm, &[]);
    let before = anew(&client).await;
    for (status, code) in [(409, "Conflict"), (404, "ResourceNotFound"), (500, "")] {
        arm.fault(ArmFault::Error(status, code), "uniset/networkInterfaces", 1);
        let now = client.list(&before.memory).await.or_fail();
        assert_eq!((names(&now).len(), kept(&now)), (4, vec!["0"]), "{status}");
    }
}

#[tokio::test]
async fn a_scale_set_that_was_never_heard_of_is_left_to_whoever_knows_its_machines() {
    let arm = stage();
    let client = client(&arm, &[]);
    arm.fault(ArmFault::Error(409, "OperationNotAllowed"), SET, 1);
    let now = anew(&client).await;
    assert_eq!(now.untold, [Untold::Group("uniset".to_owned())]);
    assert!(names(&now).contains(&"web-1"));
}

#[tokio::test]
async fn what_is_said_of_a_part_is_the_same_as_long_as_the_trouble_is() {
    let arm = stage();
    let client = client(&arm, &[]);
    let before = anew(&client).await;
    let mut told = Vec::new();
    for _ in 0..2 {
        arm.fault(ArmFault::Error(500, "InternalExecutionError"), SET, 1);
        told.push(client.list(&before.memory).await.or_fail().rejects);
    }
    assert_eq!(told[0], told[1]);
}

#[tokio::test]
async fn a_scale_set_that_throttles_is_left_alone_as_long_as_it_wants() {
    let arm = stage();
    let told: Arc<Told> = Arc::default();
    let patience = Patience { attempts: 1, ..Patience::default() };
    let client = Client::new(Settings { patience, ..settings(&arm, &told) }).or_fail();
    let before = anew(&client).await;
    arm.fault(ArmFault::Throttled(600), SET, 1);
    let mut memory = before.memory.clone();
    for _ in 0..3 {
        let now = client.list(&memory).await.or_fail();
        assert_eq!((names(&now).len(), kept(&now)), (4, vec!["0"]));
        assert!(says(&now, "ARM throttles (429"), "{:?}", now.rejects);
        memory = now.memory;
    }
    assert_eq!(told.count("vmss_vm_list"), 2, "once with an answer, once refused");
    // One that is gone meanwhile, and comes back, is another one.
    let set = arm.world(|world| world.sets.remove(0));
    let gone = client.list(&memory).await.or_fail();
    assert!(kept(&gone).is_empty());
    arm.world(|world| world.sets.push(set));
    assert_eq!(names(&client.list(&gone.memory).await.or_fail()).len(), 5);
}

#[tokio::test]
async fn a_scale_set_that_wants_a_short_rest_gets_it_within_the_listing() {
    let arm = stage();
    let client = Client::new(settings(&arm, &Arc::default())).or_fail();
    arm.fault(ArmFault::Throttled(0), SET, 2);
    assert_eq!(names(&anew(&client).await).len(), 5);
}

#[tokio::test]
async fn a_group_that_gives_no_answer_keeps_its_machines_and_stops_no_other() {
    let arm = stage();
    let client = client(&arm, &["rg-edge", "rg-other"]);
    let before = anew(&client).await;
    change(&arm);
    let faults = [
        (
            ArmFault::Error(403, "AuthorizationFailed"),
            "rg-other/providers/Microsoft.Compute/virtualMachines?",
        ),
        (ArmFault::Error(409, "Conflict"), "rg-other/providers/Microsoft.Compute/virtualMachines?"),
        (ArmFault::Html(502), "rg-other/"),
        (ArmFault::Error(404, "SomethingElse"), "rg-other/"),
        (ArmFault::Error(403, "AuthorizationFailed"), "rg-other/providers/Microsoft.Network"),
    ];
    for (fault, at) in faults {
        arm.fault(fault.clone(), at, u32::MAX);
        let now = client.list(&before.memory).await.or_fail();
        assert_eq!(
            (names(&now), kept(&now)),
            (vec!["uniset_0", "web-1", "web-3"], vec!["flex_1", "other"]),
            "{fault:?} at {at}"
        );
        let told = now.warnings.iter().any(|warning| warning.contains("/resourceGroups/rg-other: "));
        assert!(told || says(&now, "/resourceGroups/rg-other: "), "{now:?}");
        arm.clear_faults();
    }
    // After a restart nobody here knows whose a machine is that is not told.
    arm.fault(ArmFault::Error(409, "Conflict"), "rg-other/", u32::MAX);
    let restarted = client.list(&Memory::default()).await.or_fail();
    assert_eq!(restarted.untold, [Untold::Rest]);
    assert_eq!(names(&restarted), ["uniset_0", "web-1", "web-3"]);
}

#[tokio::test]
async fn the_scale_sets_of_a_group_that_are_not_told_leave_their_machines_as_they_were() {
    let arm = stage();
    let client = client(&arm, &["rg-edge", "rg-other"]);
    let before = anew(&client).await;
    for (group, stay, listed) in [
        ("rg-other", vec!["flex_1"], vec!["other", "uniset_0", "web-1", "web-2"]),
        ("rg-edge", vec!["0"], vec!["flex_1", "other", "web-1", "web-2"]),
    ] {
        let at = format!("{group}/providers/Microsoft.Compute/virtualMachineScaleSets?");
        arm.fault(ArmFault::Error(403, "AuthorizationFailed"), &at, 1);
        let now = client.list(&before.memory).await.or_fail();
        assert_eq!((names(&now), kept(&now)), (listed, stay), "{group}");
    }
}

#[tokio::test]
async fn one_of_several_groups_that_is_not_there_is_gone_with_its_machines_and_named() {
    let arm = stage();
    let client = client(&arm, &["rg-edge", "rg-other"]);
    let before = anew(&client).await;
    arm.world(|world| {
        world.groups.remove("rg-other");
        world.vms.retain(|vm| vm.group != "rg-other");
    });
    let now = client.list(&before.memory).await.or_fail();
    assert_eq!((names(&now), kept(&now)), (vec!["uniset_0", "web-1", "web-2"], vec![]));
    let [warning] = &now.warnings[..] else { panic!("{:?}", now.warnings) };
    assert!(
        warning.contains("the resource group \"rg-other\" does not exist") && now.untold.is_empty(),
        "{warning}"
    );
}

#[tokio::test]
async fn a_wait_for_the_whole_subscription_is_handed_to_the_caller_though_there_are_other_groups() {
    let arm = stage();
    let client = client(&arm, &["rg-edge", "rg-other"]);
    arm.fault(ArmFault::Throttled(120), "rg-other/", 1);
    let error = client.list(&Memory::default()).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(120)));
}
