//! What is listed, and with how many calls.

use std::sync::Arc;

use roster_azure::{Client, Settings};
use roster_core::instance::Health;
use roster_testkit::{ArmNic, ArmStandIn, ArmView, OrFail};

use super::{TAGS, Told, anew, client, groups, kept, names, settings};

/// Machines of every kind.
fn stage() -> ArmStandIn {
    let arm = ArmStandIn::start().or_fail();
    arm.world(|world| {
        world.page_size = 2;
        world.groups.insert("rg-other".to_owned());
        world.add_vm("web-1", "10.0.0.4", &TAGS);
        world.add_vm("web-2", "10.0.0.5", &TAGS).power("deallocated");
        world.add_vm("web-3", "10.0.0.6", &TAGS).view = ArmView::NoPower;
        world.add_vm("flex_1", "10.0.0.7", &[("own", "yes")]).set = Some("flexset".to_owned());
        "rg-other".clone_into(&mut world.add_vm("other", "10.0.0.8", &TAGS).group);
        world.orphans.push(("rg-edge".to_owned(), ArmNic::new("orphan", "10.0.0.9")));
        world.add_set("flexset", false, &TAGS);
        let set = world.add_set("uniset", true, &TAGS);
        set.add_member(0, "10.0.1.4");
        set.add_member(1, "10.0.1.5").power("starting");
        set.add_member(2, "10.0.1.6").health = Some("unhealthy".to_owned());
    });
    arm
}

#[tokio::test]
async fn the_machines_of_a_subscription_are_those_that_run_of_every_kind() {
    let arm = stage();
    let listing = anew(&client(&arm)).await;
    assert_eq!(names(&listing), ["flex_1", "other", "uniset_0", "uniset_2", "web-1"]);
    assert!(listing.rejects.is_empty() && listing.warnings.is_empty(), "{listing:?}");
    // One that is being created is nothing to tell of.
    let [made] = &listing.unknown[..] else { panic!("{:?}", listing.unknown) };
    assert!(made.resource.ends_with("/web-3") && !made.known, "{made:?}");
    let of = |name: &str| listing.machines.iter().find(|machine| machine.name == name).unwrap();
    let (flex, uniform) = (of("flex_1"), of("uniset_2"));
    assert_eq!((flex.group.as_deref(), flex.tags.len()), (Some("flexset"), 3));
    assert_eq!((uniform.group.as_deref(), uniform.health), (Some("uniset"), Health::Failing));
    assert_eq!((of("uniset_0").health, of("web-1").health), (Health::Passing, Health::Unknown));
    assert_eq!((uniform.address.to_string().as_str(), uniform.zone.as_deref()), ("10.0.1.6", Some("1")));
    assert_eq!(uniform.region, "westeurope");
    assert!(of("web-1").created.is_some());
}

#[tokio::test]
async fn a_list_of_states_that_holds_nothing_else_is_enough() {
    let arm = stage();
    let whole = anew(&client(&arm)).await;
    arm.world(|world| world.bare_states = true);
    assert_eq!(anew(&client(&arm)).await.machines, whole.machines);
}

#[tokio::test]
async fn groups_are_asked_one_by_one_whatever_their_case_and_give_the_same_machines() {
    let arm = stage();
    let whole = anew(&client(&arm)).await;
    let of = |names: &[&str]| {
        Client::new(Settings { resource_groups: groups(names), ..settings(&arm, &Arc::default()) }).or_fail()
    };
    let both = anew(&of(&["RG-Edge", "rg-other", "rg-edge"])).await;
    assert_eq!(both.machines, whole.machines);
    assert_eq!(names(&anew(&of(&["rg-other"])).await), ["other"]);
}

#[tokio::test]
async fn an_interface_in_a_group_that_is_not_listed_is_told_as_the_reason() {
    let arm = stage();
    arm.world(|world| world.vm("web-1").unwrap().nic_group = Some("rg-other".to_owned()));
    let edge = Settings { resource_groups: groups(&["rg-edge"]), ..settings(&arm, &Arc::default()) };
    let listing = anew(&Client::new(edge).or_fail()).await;
    assert!(!names(&listing).contains(&"web-1"));
    let reject = &listing.rejects[0];
    assert!(reject.place.ends_with("/web-1") && reject.reason.contains("/rg-other/"), "{reject}");
}

#[tokio::test]
async fn a_thousand_machines_take_as_many_calls_as_there_are_pages() {
    let arm = ArmStandIn::start().or_fail();
    arm.world(|world| {
        world.page_size = 100;
        for number in 0..1000 {
            let address = format!("10.1.{}.{}", number / 250, number % 250 + 1);
            let vm = world.add_vm(&format!("vm-{number}"), &address, &TAGS);
            if number % 10 == 9 {
                vm.power("deallocated");
            }
        }
        let set = world.add_set("uniset", true, &TAGS);
        for number in 0..50 {
            set.add_member(number, &format!("10.2.0.{}", number + 1));
        }
    });
    let told: Arc<Told> = Arc::default();
    let client = Client::new(settings(&arm, &told)).or_fail();
    let listing = anew(&client).await;
    assert_eq!(listing.machines.len(), 950);
    // Ten pages each of machines, states and interfaces; one of scale sets, two for the uniform one; and the token.
    assert_eq!(arm.calls().len(), 34);
    assert_eq!(told.calls().len(), 34, "every call is told");
    assert_eq!(["vm_list", "vm_state_list", "nic_list"].map(|api| told.count(api)), [10, 10, 10]);
    client.list(&listing.memory).await.or_fail();
    assert_eq!(arm.calls().len(), 67, "the token is kept");
}

#[tokio::test]
async fn a_machine_whose_view_fails_stays_and_leaves_when_azure_says_so() {
    let arm = stage();
    let client = client(&arm);
    let before = anew(&client).await;
    for view in [ArmView::Error, ArmView::Missing] {
        arm.world(|world| world.vm("web-1").unwrap().view = view);
        let now = client.list(&before.memory).await.or_fail();
        assert_eq!(now.machines, before.machines);
        assert!(kept(&now).is_empty() && now.warnings[0].contains("/web-1: "), "{:?}", now.warnings);
    }
    arm.world(|world| world.vm("web-1").unwrap().power("stopped").clone());
    let now = client.list(&before.memory).await.or_fail();
    assert!(!names(&now).contains(&"web-1") && kept(&now).is_empty());
}

#[tokio::test]
async fn a_machine_in_a_standby_pool_is_not_in_service() {
    let arm = stage();
    arm.world(|world| world.vm("web-1").unwrap().standby = true);
    assert!(!names(&anew(&client(&arm)).await).contains(&"web-1"));
}

#[tokio::test]
async fn a_private_endpoint_is_asked_for_every_page_whatever_address_the_cloud_names() {
    let arm = stage();
    let whole = anew(&client(&arm)).await;
    arm.world(|world| world.links = Some("https://management.azure.com".to_owned()));
    let public = roster_azure::Cloud::public().or_fail().reached_at(arm.url()).or_fail();
    let cloud = public.with_authority(arm.url()).or_fail();
    let private = Client::new(Settings { cloud, ..settings(&arm, &Arc::default()) }).or_fail();
    assert_eq!(anew(&private).await.machines, whole.machines);
}

#[tokio::test]
async fn an_empty_subscription_is_a_complete_answer() {
    let arm = ArmStandIn::start().or_fail();
    assert!(anew(&client(&arm)).await.machines.is_empty());
}
