use roster_core::instance::{Health, Instance, Lifecycle, Snapshot};

use super::judge::{Standing, standing};
use super::*;
use crate::wire::{Tags, Texts};

const TAG: &str = "HAProxy:Service:Name";

fn instance(id: &str, tags: &[(&str, &str)]) -> Ec2Instance {
    Ec2Instance {
        id: id.into(),
        owner: Some("123456789012".into()),
        runs: true,
        address: Some("10.0.0.1".parse().unwrap()),
        zone: Some("us-east-1-bos-1a".into()),
        launched: None,
        tags: text(tags),
        group: None,
        health: Health::Unknown,
        lifecycle: Lifecycle::InService,
    }
}

fn text(tags: &[(&str, &str)]) -> Tags {
    Tags::new(tags.iter().copied(), &mut Texts::default())
}

fn group(name: &str, tags: &[(&str, &str)], members: &[(&str, &str, &str)]) -> Group {
    let member = |&(id, state, health): &(&str, &str, &str)| Member {
        id: id.to_owned(),
        state: state.to_owned(),
        health: Some(health.to_owned()),
    };
    Group { name: name.to_owned(), tags: text(tags), members: members.iter().map(member).collect() }
}

fn machines(found: Found) -> (Vec<Machine>, Vec<Reject>) {
    let (machines, unknown, rejects) = judged(found, None);
    assert_eq!(unknown, [""; 0]);
    (machines, rejects)
}

fn judged(found: Found, known: Option<&Snapshot>) -> (Vec<Machine>, Vec<String>, Vec<Reject>) {
    let region = Region::new("us-east-1").unwrap();
    let (machines, unknown, rejects) = found.machines(&region, &Query::default(), &Known::of(known));
    (machines.into_iter().collect(), unknown, rejects)
}

/// What was known: an instance for each id and group, with this health.
fn snapshot(instances: &[(&str, Option<&str>, Health)]) -> Snapshot {
    let of = |&(id, group, health): &(&str, Option<&str>, Health)| Instance {
        id: id.parse().unwrap(),
        group: group.map(|group| group.parse().unwrap()),
        health,
        ..Instance::at("10.0.0.1:80".parse().unwrap())
    };
    let services = [("web/80/us-east-1".parse().unwrap(), instances.iter().map(of).collect())];
    Snapshot { services: services.into(), ..Snapshot::default() }
}

fn ids(machines: &[Machine]) -> Vec<(&str, Lifecycle)> {
    machines.iter().map(|machine| (machine.id.as_str(), machine.lifecycle)).collect()
}

#[test]
fn a_machine_that_its_group_does_not_list_is_not_in_service() {
    let web = [(TAG, "web"), (GROUP_TAG, "g")];
    for tagged in [true, false] {
        let mut found = Found::default();
        found.add_instances(vec![instance("i-1", &web), instance("i-2", &web), instance("i-3", &web)]);
        let members = [("i-1", "InService", "Healthy")];
        let tags: &[(&str, &str)] = if tagged { &[(TAG, "web")] } else { &[] };
        let group = vec![group("g", tags, &members)];
        if tagged {
            found.add_tagged(group);
        } else {
            found.add_others(group);
        }
        // i-2 was in service and goes back to the pool.
        let known = snapshot(&[("i-2", Some("g"), Health::Passing)]);
        let (machines, unknown, rejects) = judged(found, Some(&known));
        assert_eq!(ids(&machines), [("i-1", Lifecycle::InService), ("i-2", Lifecycle::Leaving)]);
        assert_eq!((unknown.len(), rejects.len(), rejects[0].place.as_str()), (0, 1, "i-3"));
        assert!(rejects[0].reason.contains("group \"g\" does not list it"), "{}", rejects[0].reason);
    }
}

#[test]
fn a_group_that_is_not_there_says_nothing_of_a_machine_that_names_it() {
    let mut found = Found::default();
    found.add_instances(vec![instance("i-1", &[(TAG, "web"), (GROUP_TAG, "deleted")])]);
    let (machines, rejects) = machines(found);
    assert_eq!((machines.len(), rejects.len()), (1, 0));
}

#[test]
fn what_goes_back_to_a_pool_is_drained_and_what_comes_from_one_is_not_there_yet() {
    for state in ["Warmed:Pending", "Warmed:Running", "Pending:Wait"] {
        for (known, leaving) in
            [(snapshot(&[("i-1", Some("g"), Health::Passing)]), 1), (Snapshot::default(), 0)]
        {
            let mut found = Found::default();
            found.add_instances(vec![instance("i-1", &[])]);
            found.add_tagged(vec![group("g", &[(TAG, "web")], &[("i-1", state, "Healthy")])]);
            let (machines, _, rejects) = judged(found, Some(&known));
            assert_eq!((machines.len(), rejects.len()), (leaving, 1 - leaving), "{state}");
            assert!(machines.iter().all(|machine| machine.lifecycle == Lifecycle::Leaving));
        }
    }
}

#[test]
fn a_machine_that_is_detached_drains_where_only_its_group_made_it_an_instance() {
    let mut found = Found::default();
    found.add_instances(vec![instance("i-1", &[]), instance("i-2", &[(TAG, "web")])]);
    let members = [("i-1", "Detaching", "Healthy"), ("i-2", "Detaching", "Healthy")];
    found.add_tagged(vec![group("g", &[(TAG, "web")], &members)]);
    let (machines, _) = machines(found);
    assert_eq!(ids(&machines), [("i-1", Lifecycle::Leaving), ("i-2", Lifecycle::InService)]);
}

#[test]
fn while_groups_may_not_be_read_what_they_said_stays_and_own_tags_say_the_rest() {
    let named = |id: &str| instance(id, &[(TAG, "web"), (GROUP_TAG, "g")]);
    let mut known = snapshot(&[
        ("i-by-group", Some("g"), Health::Unknown),
        ("i-said", Some("g"), Health::Failing),
        ("i-ended", Some("g"), Health::Passing),
        ("i-own", None, Health::Unknown),
        ("i-unsaid", Some("g"), Health::Unknown),
    ]);
    known.rejects.push(Reject::aside("i-warm", "warm"));
    let mut found = Found { groups: None, ..Found::default() };
    let own = instance("i-own", &[(TAG, "web")]);
    found.add_instances(vec![named("i-said"), named("i-warm"), named("i-new"), named("i-unsaid"), own]);
    let asked = found.to_ask(&Known::of(Some(&known)));
    assert_eq!(asked, Batch::of(["i-by-group".to_owned(), "i-ended".to_owned()]));
    let ended = Ec2Instance { runs: false, ..instance("i-ended", &[(GROUP_TAG, "g")]) };
    found.add_instances(vec![instance("i-by-group", &[(GROUP_TAG, "g")]), ended]);
    let (machines, unknown, rejects) = judged(found, Some(&known));
    let machines: Vec<&str> = machines.iter().map(|machine| machine.id.as_str()).collect();
    assert_eq!(machines, ["i-new", "i-own", "i-unsaid"]);
    // One that was left out is unknown too, and so stays out.
    assert_eq!(
        (unknown, rejects),
        (["i-by-group", "i-said", "i-warm"].map(str::to_owned).to_vec(), Vec::new())
    );
}

#[test]
fn a_member_that_ec2_does_not_know_stays_as_long_as_its_group_says_that_it_serves() {
    let mut found = Found::default();
    let members =
        [("i-1", "InService", "Healthy"), ("i-2", "Terminating", "Healthy"), ("i-3", "InService", "Healthy")];
    found.add_tagged(vec![group("g", &[(TAG, "web")], &members)]);
    found.add_missing(["i-1", "i-2", "i-3"].map(str::to_owned).into());
    let known = snapshot(&[("i-1", Some("g"), Health::Passing), ("i-2", Some("g"), Health::Passing)]);
    assert_eq!(judged(found, Some(&known)).1, ["i-1"]);
}

#[test]
fn an_instance_is_a_machine_of_the_region_that_was_asked() {
    let mut found = Found::default();
    found.add_instances(vec![
        instance("i-2", &[(TAG, "web"), ("Name", "")]),
        instance("i-1", &[(TAG, "web")]),
    ]);
    found.add_instances(vec![instance("i-2", &[(TAG, "web"), ("Name", "two"), (GROUP_TAG, "g")])]);
    let (machines, rejects) = machines(found);
    assert_eq!(rejects, []);
    let [one, two] = machines.as_slice() else { panic!("{machines:?}") };
    assert_eq!((one.id.as_str(), one.name.as_str(), one.group.as_deref()), ("i-1", "i-1", None));
    assert_eq!((two.id.as_str(), two.name.as_str(), two.group.as_deref()), ("i-2", "two", Some("g")));
    assert_eq!((two.region.as_str(), two.zone.as_deref()), ("us-east-1", Some("us-east-1-bos-1a")));
    assert_eq!(two.account.as_deref(), Some("123456789012"));
    assert_eq!((two.health, two.lifecycle), (Health::Unknown, Lifecycle::InService));
}

#[test]
fn a_member_has_its_groups_tags_and_its_own_win() {
    let mut found = Found::default();
    found.add_instances(vec![instance("i-1", &[("port", "81")]), instance("i-2", &[])]);
    found.add_tagged(vec![group("web", &[(TAG, "web"), ("port", "80")], &[("i-1", "InService", "Healthy")])]);
    let (machines, _) = machines(found);
    let [one] = machines.as_slice() else { panic!("an untagged instance was listed: {machines:?}") };
    assert_eq!((one.tags[TAG].as_str(), one.tags["port"].as_str()), ("web", "81"));
    assert_eq!((one.group.as_deref(), one.health), (Some("web"), Health::Passing));
}

#[test]
fn a_group_without_the_services_tag_says_only_how_its_members_are() {
    let mut found = Found::default();
    found.add_instances(vec![instance("i-1", &[(TAG, "web"), (GROUP_TAG, "plain")])]);
    assert_eq!(found.unknown_groups(), Batch::of(["plain".to_owned()]));
    found.add_others(vec![group("plain", &[("port", "80")], &[("i-1", "Terminating:Wait", "Unhealthy")])]);
    let (machines, _) = machines(found);
    assert_eq!(machines[0].tags, text(&[(TAG, "web"), (GROUP_TAG, "plain")]).into_map().into());
    assert_eq!((machines[0].lifecycle, machines[0].health), (Lifecycle::Leaving, Health::Failing));
}

#[test]
fn each_state_in_a_group_has_its_meaning() {
    for (state, expected) in [
        ("Pending", Standing::NotYet),
        ("Pending:Wait", Standing::NotYet),
        ("Warmed:Running", Standing::NotYet),
        ("InService", Standing::InService),
        ("Terminating", Standing::Leaving),
        ("Terminating:Proceed", Standing::Leaving),
        ("Terminating:Retained", Standing::Leaving),
        ("EnteringStandby", Standing::Leaving),
        ("Standby", Standing::Leaving),
        ("Detaching", Standing::InService),
        ("RootVolumeReplaced", Standing::Leaving),
        ("ReplacingRootVolume:Wait", Standing::Leaving),
        ("Warmed:Terminating:Wait", Standing::NotYet),
        ("SomethingNew", Standing::InService),
    ] {
        assert_eq!(standing(state), expected, "{state}");
    }
}

#[test]
fn who_is_not_in_service_or_has_no_address_is_told_with_the_reason() {
    let mut found = Found::default();
    let nowhere = Ec2Instance { address: None, ..instance("i-1", &[(TAG, "web")]) };
    let stopped = Ec2Instance { runs: false, ..instance("i-3", &[(TAG, "web")]) };
    let private = Ec2Instance { address: None, ..instance("i-4", &[("Name", "not ours")]) };
    found.add_instances(vec![nowhere, instance("i-2", &[(TAG, "web")]), stopped, private]);
    found.add_tagged(vec![group("g", &[(TAG, "web")], &[("i-2", "Pending:Wait", "Healthy")])]);
    let (machines, rejects) = machines(found);
    assert_eq!(machines, []);
    let told: Vec<_> = rejects.iter().map(|reject| (reject.place.as_str(), reject.reason.as_str())).collect();
    assert_eq!(
        told,
        [
            ("i-1", "it has no private address; give it one, or take the service's tag from it"),
            (
                "i-2",
                "its Auto Scaling group says Pending:Wait, so it is not in service yet; nothing is to be done"
            ),
        ]
    );
}

#[test]
fn only_members_that_are_not_known_are_asked_for() {
    let mut found = Found::default();
    found.add_tagged(vec![group("empty", &[(TAG, "web")], &[])]);
    assert_eq!(found.to_ask(&Known::default()), []);
    found.add_instances(vec![instance("i-1", &[(TAG, "web")])]);
    let members = [("i-1", "InService", "Healthy"), ("i-2", "InService", "Healthy")];
    found.add_tagged(vec![
        group("web", &[(TAG, "web")], &members),
        group("too", &[(TAG, "x")], &members[1..]),
    ]);
    assert_eq!(found.to_ask(&Known::default()), Batch::of(["i-2".to_owned()]));
    assert_eq!(found.unknown_groups(), []);
}
