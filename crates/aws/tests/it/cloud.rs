//! A real moto server.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use roster_aws::{Listing, Query, Settings, Warning, Why};
use roster_core::fleet::TagRules;
use roster_core::instance::{Health, Lifecycle};
use roster_testkit::{GroupTag, Moto, OrFail};

use crate::common::{REGION, TAG, by_tag, client, counts, keys, machines, query, settings};

const WEB: [(&str, &str); 2] = [(TAG, "web"), ("HAProxy:Service:Port", "8080")];
const UNPROPAGATED: [GroupTag<'static>; 2] = [
    GroupTag { key: TAG, value: "web", propagated: false },
    GroupTag { key: "HAProxy:Service:Port", value: "8080", propagated: false },
];
const BOTH: [&str; 2] = ["ec2:DescribeInstances", "autoscaling:DescribeAutoScalingGroups"];

fn moto() -> Moto {
    Moto::start(REGION).or_fail()
}

fn ids(listing: &Listing) -> BTreeSet<String> {
    machines(listing).into_iter().map(|machine| machine.id).collect()
}

#[tokio::test]
async fn instances_are_listed_over_all_their_pages() {
    every_page(120, 50, 3).await;
}

#[tokio::test]
#[ignore = "takes minutes: moto needs a tenth of a second for each instance"]
async fn a_thousand_instances_are_listed_over_all_their_pages() {
    every_page(1000, 300, 4).await;
}

async fn every_page(count: usize, page: u16, pages: usize) {
    let moto = moto();
    let running: BTreeSet<String> = moto.instances(count, &WEB).or_fail().into_iter().collect();
    assert_eq!(running.len(), count);
    let others = moto.instances(2, &WEB).or_fail();
    moto.stop(&others[0]).or_fail();
    moto.terminate(&others[1]).or_fail();
    moto.instances(3, &[("Name", "not ours")]).or_fail();

    let (client, calls) = client(Settings { page, ..settings(&moto.url()) }).await;
    let begun = Instant::now();
    let listing = client.list(&query(), None).await.unwrap();
    println!("{count} instances by moto: {:?}", begun.elapsed());
    assert_eq!(ids(&listing), running);
    assert_eq!((listing.rejects.len(), listing.warnings.len()), (0, 0));
    assert_eq!(
        calls.take(),
        counts(&[("DescribeInstances 200", pages), ("DescribeAutoScalingGroups 200", 1)])
    );
    let machine = machines(&listing).remove(0);
    assert_eq!((machine.region.as_str(), machine.tags[TAG].as_str()), (REGION, "web"));
    assert_eq!(machine.account.as_deref(), Some("123456789012"));
    assert!(machine.created.is_some());
    assert!(machine.zone.as_deref().is_some_and(|zone| zone.starts_with(REGION)));
}

#[tokio::test]
async fn members_of_a_tagged_group_are_found_by_id_though_their_instances_have_no_tag() {
    let moto = moto();
    let members: BTreeSet<String> = moto.group("many", 210, &UNPROPAGATED).or_fail().into_iter().collect();
    assert_eq!(moto.group("empty", 0, &UNPROPAGATED).or_fail(), [""; 0]);
    moto.group("foreign", 2, &[GroupTag { key: "team", value: "x", propagated: true }]).or_fail();

    let (client, calls) = client(settings(&moto.url())).await;
    let listing = client.list(&query(), None).await.unwrap();
    assert_eq!(ids(&listing), members);
    // One question by tag, and 210 members in chunks of 200.
    let expected = [("DescribeInstances 200", 1 + 2), ("DescribeAutoScalingGroups 200", 1)];
    assert_eq!(calls.take(), counts(&expected));
    for machine in machines(&listing) {
        assert_eq!((machine.group.as_deref(), machine.tags[TAG].as_str()), (Some("many"), "web"));
        assert_eq!(machine.health, Health::Passing);
    }
}

#[tokio::test]
async fn an_instance_that_is_found_by_its_tag_and_its_group_is_one_machine() {
    let moto = moto();
    let tags = UNPROPAGATED.map(|tag| GroupTag { propagated: true, ..tag });
    let members = moto.group("web", 4, &tags).or_fail();
    moto.unhealthy(&members[0]).or_fail();
    moto.standby("web", &members[1]).or_fail();
    let (client, calls) = client(settings(&moto.url())).await;
    let listing = client.list(&query(), None).await.unwrap();
    assert_eq!(ids(&listing), members.iter().cloned().collect());
    // None is asked for by id.
    assert_eq!(calls.take(), counts(&[("DescribeInstances 200", 1), ("DescribeAutoScalingGroups 200", 1)]));
    let machines = machines(&listing);
    let states: BTreeMap<_, _> =
        machines.iter().map(|machine| (&machine.id, (machine.health, machine.lifecycle))).collect();
    assert_eq!(states[&members[0]], (Health::Failing, Lifecycle::InService));
    assert_eq!(states[&members[1]].1, Lifecycle::Leaving);
    assert_eq!(states[&members[2]], (Health::Passing, Lifecycle::InService));
}

#[tokio::test]
async fn a_group_without_the_services_tag_is_asked_by_name_how_its_members_are() {
    let moto = moto();
    let members = moto.group("plain", 1, &[GroupTag { key: "team", value: "x", propagated: true }]).or_fail();
    let (client, calls) = client(settings(&moto.url())).await;
    let by_team = by_tag("team");
    // By a tag that only the instance has: the group's own tag of this name is another.
    let own = by_tag("aws:autoscaling:groupName");
    moto.unhealthy(&members[0]).or_fail();
    assert_eq!(machines(&client.list(&by_team, None).await.unwrap())[0].health, Health::Failing);
    assert_eq!(calls.take()["DescribeAutoScalingGroups 200"], 1);
    let listing = client.list(&own, None).await.unwrap();
    let [one] = machines(&listing).try_into().unwrap();
    assert_eq!((one.health, one.group.as_deref()), (Health::Failing, Some("plain")));
    assert_eq!(calls.take()["DescribeAutoScalingGroups 200"], 2);
}

#[tokio::test]
async fn what_is_not_allowed_is_not_fetched() {
    let moto = moto();
    let production = moto.instances(2, &[(TAG, "web"), ("environment", "production")]).or_fail();
    let staging = moto.instances(1, &[(TAG, "web"), ("environment", "staging")]).or_fail();
    moto.instances(1, &[(TAG, "web"), ("environment", "test")]).or_fail();
    moto.instances(1, &[(TAG, "web")]).or_fail();
    let (client, _) = client(settings(&moto.url())).await;
    let values = BTreeSet::from(["production".to_owned(), "staging".to_owned()]);
    let allow = BTreeMap::from([("environment".to_owned(), values)]);
    let listing =
        client.list(&Query { rules: TagRules { allow, ..query().rules }, ..query() }, None).await.unwrap();
    assert_eq!(ids(&listing), production.into_iter().chain(staging).collect());
}

#[tokio::test]
async fn signatures_are_right_and_two_permissions_are_enough() {
    let moto = moto();
    let running = moto.instances(3, &WEB).or_fail();
    let members = moto.group("web", 2, &UNPROPAGATED).or_fail();
    let reader = moto.user("reader", &BOTH).or_fail();
    let ec2_only = moto.user("ec2-only", &BOTH[..1]).or_fail();
    let nobody = moto.user("nobody", &["s3:ListBucket"]).or_fail();
    moto.check_keys().or_fail();
    let with = |id: &str, secret: &str| Settings { credentials: keys(id, secret), ..settings(&moto.url()) };

    let (allowed, _) = client(with(&reader.id, &reader.secret)).await;
    let listing = allowed.list(&query(), None).await.unwrap();
    assert_eq!(ids(&listing), running.iter().chain(&members).cloned().collect());
    assert_eq!(listing.warnings, []);

    let (degraded, _) = client(with(&ec2_only.id, &ec2_only.secret)).await;
    let listing = degraded.list(&query(), None).await.unwrap();
    assert_eq!(ids(&listing), running.iter().cloned().collect());
    let [Warning::GroupsDenied { code, .. }] = listing.warnings.as_slice() else { panic!("{listing:?}") };
    assert!(code.starts_with("AccessDenied"), "{code}");
    assert_eq!(degraded.list(&query(), None).await.unwrap().warnings, [], "the warning is told once");

    let (denied, _) = client(with(&nobody.id, &nobody.secret)).await;
    let error = denied.list(&query(), None).await.unwrap_err();
    assert!(matches!(&*error.why, Why::Denied { .. }), "{error}");
    assert!(error.to_string().contains("allow ec2:DescribeInstances"), "{error}");

    for (id, secret) in [(reader.id.as_str(), "wrong-secret"), ("AKIAUNKNOWN000000000", "wrong-secret")] {
        let (wrong, _) = client(with(id, secret)).await;
        let error = wrong.list(&query(), None).await.unwrap_err();
        assert!(matches!(&*error.why, Why::BadCredentials { .. }), "{error}");
        assert!(!format!("{error} {error:?}").contains("wrong-secret"), "{error}");
    }
}
