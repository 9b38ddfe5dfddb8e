//! Bad input: a listing is complete or an error that says what to do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use roster_azure::{Client, Error, Memory, Patience, Settings, Why};
use roster_testkit::{ArmFault, ArmStandIn, OrFail, dead_port};
use serde_json::json;

use super::{TAGS, Told, anew, client, groups, kept, names, settings};

fn stage() -> ArmStandIn {
    let arm = ArmStandIn::start().or_fail();
    arm.world(|world| {
        world.page_size = 1;
        world.add_vm("web-1", "10.0.0.4", &TAGS);
        world.add_vm("web-2", "10.0.0.5", &TAGS);
        world.add_set("uniset", true, &TAGS).add_member(0, "10.0.1.4");
    });
    arm
}

/// Why the listing failed.
async fn why(client: &Client) -> (Why, String) {
    let error = client.list(&Memory::default()).await.unwrap_err();
    let text = error.to_string();
    assert!(!text.contains("SECRET") && !text.contains("token-"), "{text}");
    match error {
        Error::Arm { why, .. } => (*why, text),
        Error::Credential(error) => panic!("{error}"),
    }
}

fn in_groups(arm: &ArmStandIn, names: &[&str]) -> Client {
    Client::new(Settings { resource_groups: groups(names), ..settings(arm, &Arc::default()) }).or_fail()
}

#[tokio::test]
async fn a_refusal_names_the_right_the_scope_and_the_role_that_is_enough() {
    let arm = stage();
    arm.world(|world| world.denied.insert("*".to_owned()));
    let (why, text) = why(&client(&arm)).await;
    assert!(matches!(why, Why::Forbidden { .. }));
    for part in [
        "Microsoft.Compute/virtualMachines/read",
        "on /subscriptions/00000000-1111-2222-3333-444444444444 ",
        "403 AuthorizationFailed",
        "request request-",
        "Reader",
    ] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
}

#[tokio::test]
async fn a_refusal_of_every_group_fails_all() {
    let arm = stage();
    arm.world(|world| world.groups.insert("denied".to_owned()) && world.denied.insert("denied".to_owned()));
    arm.world(|world| world.groups.insert("too".to_owned()) && world.denied.insert("too".to_owned()));
    let (why, text) = why(&in_groups(&arm, &["too", "denied"])).await;
    assert!(matches!(why, Why::Forbidden { .. }) && text.contains("resourceGroups/"), "{text}");
}

#[tokio::test]
async fn a_refusal_of_interfaces_alone_fails_all() {
    let arm = stage();
    arm.fault(ArmFault::Error(403, "AuthorizationFailed"), "Microsoft.Network/networkInterfaces", 1);
    let (_, text) = why(&client(&arm)).await;
    assert!(text.contains("Microsoft.Network/networkInterfaces/read"), "{text}");
}

#[tokio::test]
async fn a_group_that_is_not_there_is_named() {
    let (why, text) = why(&in_groups(&stage(), &["nope"])).await;
    assert!(matches!(&why, Why::NoGroup { group, .. } if group == "nope"), "{text}");
}

#[tokio::test]
async fn a_subscription_that_is_not_there_is_told_apart_from_a_group() {
    let arm = stage();
    let client = client(&arm);
    arm.world(|world| "11111111-1111-2222-3333-444444444444".clone_into(&mut world.subscription));
    assert!(matches!(why(&client).await, (Why::NoSubscription(_), _)));
}

#[tokio::test]
async fn throttling_is_waited_out_as_long_as_it_asks_and_the_listing_is_whole() {
    let arm = stage();
    arm.fault(ArmFault::Throttled(1), "virtualMachineScaleSets/uniset/virtualMachines", 1);
    arm.fault(ArmFault::Unavailable(Some(1)), "networkInterfaces", 1);
    let told: Arc<Told> = Arc::default();
    let began = Instant::now();
    let listing = anew(&Client::new(settings(&arm, &told)).or_fail()).await;
    assert!(began.elapsed() >= Duration::from_secs(1));
    assert_eq!(names(&listing), ["uniset_0", "web-1", "web-2"]);
    assert!(told.calls().contains(&("vmss_vm_list", "429".to_owned())), "{:?}", told.calls());
}

#[tokio::test]
async fn a_longer_wait_than_a_listing_takes_is_handed_to_the_caller_at_once() {
    let arm = stage();
    arm.fault(ArmFault::Throttled(1200), "", 1);
    // The first call is that for a token.
    arm.clear_faults();
    arm.fault(ArmFault::Throttled(1200), "Microsoft.Compute", 1);
    let error = client(&arm).list(&Memory::default()).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(1200)));
    assert!(error.to_string().contains("asks to wait 1200 s"), "{error}");
}

#[tokio::test]
async fn repeating_ends() {
    let arm = stage();
    arm.fault(ArmFault::Throttled(0), "virtualMachines?", u32::MAX);
    let patience = Patience { attempts: 3, ..Patience::default() };
    let client = Client::new(Settings { patience, ..settings(&arm, &Arc::default()) }).or_fail();
    assert!(matches!(why(&client).await, (Why::Throttled { .. }, _)));
    assert_eq!(arm.calls().iter().filter(|call| call.status == 429).count(), 3);
}

#[tokio::test]
async fn html_is_no_answer_with_any_status() {
    let arm = stage();
    arm.fault(ArmFault::Html(200), "statusOnly", 1);
    let (not_arm, text) = why(&client(&arm)).await;
    assert!(matches!(not_arm, Why::NotArm { .. }) && text.contains("Bad Gateway"), "{text}");
    arm.fault(ArmFault::Html(502), "statusOnly", 10);
    let patience = Patience { attempts: 1, ..Patience::default() };
    let client = Client::new(Settings { patience, ..settings(&arm, &Arc::default()) }).or_fail();
    assert!(matches!(why(&client).await, (Why::Server { .. }, _)));
}

#[tokio::test]
async fn half_a_body_counts_for_nothing_and_is_asked_for_again() {
    let arm = stage();
    arm.fault(ArmFault::HalfBody, "skiptoken", 1);
    assert_eq!(names(&anew(&client(&arm)).await).len(), 3);
    arm.fault(ArmFault::HalfBody, "skiptoken", u32::MAX);
    let patience = Patience { attempts: 2, ..Patience::default() };
    let client = Client::new(Settings { patience, ..settings(&arm, &Arc::default()) }).or_fail();
    assert!(matches!(why(&client).await, (Why::Broken(_), _)));
}

#[tokio::test]
async fn a_next_page_on_another_host_is_not_fetched() {
    let (arm, thief) = (stage(), stage());
    arm.fault(
        ArmFault::NextLink(format!("{}/subscriptions/x?api-version=1", thief.url())),
        "virtualMachines?",
        1,
    );
    let (foreign, text) = why(&client(&arm)).await;
    assert!(matches!(foreign, Why::ForeignLink { .. }) && text.contains(thief.url()), "{text}");
    assert!(thief.calls().is_empty(), "no token went there");
}

#[tokio::test]
async fn pages_that_lead_in_a_circle_end_in_an_error() {
    let arm = stage();
    let link = format!(
        "{}/subscriptions/00000000-1111-2222-3333-444444444444/providers/Microsoft.Compute/virtualMachines?api-version=1&again=1",
        arm.url()
    );
    arm.fault(ArmFault::NextLink(link), "virtualMachines?", u32::MAX);
    assert!(matches!(why(&client(&arm)).await, (Why::Endless { .. }, _)));
}

#[tokio::test]
async fn a_next_link_that_is_empty_or_null_ends_the_list() {
    let arm = stage();
    arm.world(|world| world.page_size = 50);
    arm.fault(ArmFault::NextLink(String::new()), "networkInterfaces", 1);
    assert_eq!(names(&anew(&client(&arm)).await).len(), 3);
}

#[tokio::test]
async fn an_expired_token_is_replaced_once_and_the_listing_begins_anew() {
    let arm = stage();
    let client = client(&arm);
    anew(&client).await;
    let old = arm.last_token().unwrap();
    arm.revoke_tokens();
    assert_eq!(names(&anew(&client).await).len(), 3);
    assert_ne!(arm.last_token().unwrap(), old);
}

#[tokio::test]
async fn a_fresh_token_that_is_refused_too_is_an_error() {
    let arm = stage();
    arm.fault(ArmFault::Error(401, "InvalidAuthenticationToken"), "/subscriptions/", u32::MAX);
    let (unauthorized, text) = why(&client(&arm)).await;
    assert!(
        matches!(unauthorized, Why::Unauthorized(_)) && text.contains("InvalidAuthenticationToken"),
        "{text}"
    );
    assert_eq!(arm.calls().iter().filter(|call| call.path.ends_with("/token")).count(), 2);
}

#[tokio::test]
async fn a_server_that_answers_late_or_not_at_all_is_told_apart() {
    let arm = stage();
    arm.fault(ArmFault::Slow(Duration::from_mins(1)), "Microsoft.Network/networkInterfaces", 1);
    let short = Settings { timeout: Duration::from_millis(1500), ..settings(&arm, &Arc::default()) };
    let (_, text) = why(&Client::new(short).or_fail()).await;
    assert!(text.contains("has not answered within 1.5s"), "{text}");

    let dead = format!("http://127.0.0.1:{}", dead_port().or_fail());
    let cloud = roster_azure::Cloud::at(&dead, None).or_fail().with_authority(arm.url()).or_fail();
    let patience = Patience { attempts: 2, ..Patience::default() };
    let client = Client::new(Settings { cloud, patience, ..settings(&arm, &Arc::default()) }).or_fail();
    let (_, text) = why(&client).await;
    assert!(text.contains("cannot be reached"), "{text}");
}

#[tokio::test]
async fn an_odd_machine_is_unknown_and_an_odd_list_is_an_error() {
    let arm = stage();
    let client = client(&arm);
    let before = anew(&client).await;
    let odd = |pointer, value| ArmFault::Field { name: "web-1".to_owned(), pointer, value };
    arm.fault(odd("/tags", json!(7)), "virtualMachines?", 1);
    let now = client.list(&before.memory).await.or_fail();
    assert_eq!((names(&now), kept(&now)), (vec!["uniset_0", "web-2"], vec!["web-1"]));
    arm.fault(odd("/id", json!(null)), "virtualMachines?", 1);
    let now = client.list(&before.memory).await.or_fail();
    assert_eq!((names(&now), kept(&now)), (vec!["uniset_0", "web-2"], vec!["web-1"]));
    for body in [json!({}), json!({"value": null}), json!({"value": [], "nextLink": 7}), json!([])] {
        arm.fault(ArmFault::Json(200, body), "virtualMachines?", 1);
        assert!(matches!(why(&client).await, (Why::NotArm { .. }, _)));
    }
}

#[tokio::test]
async fn pages_that_never_end_are_left_off() {
    let arm = stage();
    arm.fault(ArmFault::Endless, "virtualMachines?", u32::MAX);
    let (endless, text) = why(&client(&arm)).await;
    assert!(
        matches!(endless, Why::Endless { pages: 2000 }) && text.contains("the listing ends here"),
        "{text}"
    );
}

#[tokio::test]
async fn a_server_that_names_no_connection_names_its_host() {
    let arm = stage();
    let dead = format!("http://127.0.0.1:{}", dead_port().or_fail());
    let cloud = roster_azure::Cloud::at(&dead, None).or_fail().with_authority(arm.url()).or_fail();
    let patience = Patience { attempts: 1, ..Patience::default() };
    let client = Client::new(Settings { cloud, patience, ..settings(&arm, &Arc::default()) }).or_fail();
    let (_, text) = why(&client).await;
    assert!(
        text.contains(dead.trim_start_matches("http://")) && text.contains("Connection refused"),
        "{text}"
    );
}

#[tokio::test]
async fn a_listing_can_be_dropped_at_any_time_and_asked_for_again() {
    let arm = stage();
    let client = client(&arm);
    for wait in [0, 1, 2, 5, 10, 20, 40] {
        arm.fault(ArmFault::Slow(Duration::from_millis(15)), "", 3);
        let limit = Duration::from_millis(wait);
        drop(tokio::time::timeout(limit, client.list(&Memory::default())).await);
    }
    arm.clear_faults();
    assert_eq!(names(&anew(&client).await).len(), 3);
}
