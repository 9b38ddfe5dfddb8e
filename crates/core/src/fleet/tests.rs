mod known;

use std::collections::BTreeSet;

use proptest::prelude::*;
use roster_haproxy::weight::ZoneShare;

use super::*;
use crate::instance::{Instance, Snapshot};

fn machine(id: &str, tags: &[(&str, &str)]) -> Machine {
    Machine {
        id: id.to_owned(),
        name: format!("{id}-name"),
        address: "10.0.0.1".parse().unwrap(),
        zone: Some("us-east-2a".to_owned()),
        region: "us-east-2".to_owned(),
        group: None,
        account: None,
        created: None,
        health: Health::Unknown,
        lifecycle: Lifecycle::InService,
        tags: tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
    }
}

const NAME: &str = "HAProxy:Service:Name";
const PORT: &str = "HAProxy:Service:Port";
const OWN_PORT: &str = "HAProxy:Instance:Port";
const SHARE: &str = "HAProxy:Instance:AZperc";

/// A machine of `myapp` on 8080, with more tags or other ones.
fn member(id: &str, more: &[(&str, &str)]) -> Machine {
    machine(id, &[&[(NAME, "myapp"), (PORT, "8080")], more].concat())
}

fn of(machines: Vec<Machine>) -> Snapshot {
    with(&TagRules::default(), machines)
}

fn with(rules: &TagRules, machines: Vec<Machine>) -> Snapshot {
    snapshot(Reported { machines, ..Reported::default() }, rules, None, Timestamp::UNIX_EPOCH)
}

fn keys(snapshot: &Snapshot) -> Vec<&str> {
    snapshot.services.keys().map(roster_haproxy::name::ServiceName::as_str).collect()
}

fn ids(snapshot: &Snapshot, service: &str) -> Vec<String> {
    snapshot.services[service].iter().map(|one| one.id.to_string()).collect()
}

fn only(snapshot: &Snapshot) -> &Instance {
    let mut all = snapshot.services.values().flatten();
    let first = all.next().unwrap();
    assert!(all.next().is_none());
    first
}

/// The reasons of the rejects.
fn reasons(snapshot: &Snapshot) -> Vec<&str> {
    snapshot.rejects.iter().map(|reject| reject.reason.as_str()).collect()
}

#[test]
fn machines_are_grouped_by_name_service_port_and_region() {
    let elsewhere = Machine { region: "eu-west-1".to_owned(), ..member("i-3", &[]) };
    let made = of(vec![
        member("i-2", &[(OWN_PORT, "9090")]),
        member("i-1", &[]),
        elsewhere,
        member("i-4", &[(PORT, "81")]),
    ]);
    assert_eq!(keys(&made), ["myapp/8080/eu-west-1", "myapp/8080/us-east-2", "myapp/81/us-east-2"]);
    let members = &made.services["myapp/8080/us-east-2"];
    let at: Vec<String> = members.iter().map(|one| format!("{} {}", one.id, one.endpoint)).collect();
    assert_eq!(at, ["i-1 10.0.0.1:8080", "i-2 10.0.0.1:9090"]);
    let definition = &made.definitions["myapp/8080/us-east-2"];
    assert_eq!(definition.name.as_str(), "myapp");
    assert_eq!(definition.port.unwrap().get(), 8080);
    assert_eq!(definition.region.as_ref().unwrap().as_str(), "us-east-2");
    assert!(made.rejects.is_empty());
}

#[test]
fn a_machine_without_the_name_is_nobodys_business() {
    let made = of(vec![machine("i-1", &[]), machine("i-2", &[(PORT, "80")])]);
    assert!(made.services.is_empty() && made.rejects.is_empty());
}

#[test]
fn without_a_machine_there_is_no_service_and_nothing_wrong() {
    assert_eq!(of(Vec::new()), Snapshot::default());
}

#[test]
fn when_a_machine_was_launched_changes_nothing_of_the_answer() {
    let launched = |at: &str| of(vec![Machine { created: Some(at.parse().unwrap()), ..member("i-1", &[]) }]);
    assert_eq!(launched("2024-01-01T00:00:00Z"), launched("2024-01-02T00:00:00Z"));
}

#[test]
fn what_is_wrong_leaves_one_machine_out_and_says_what_to_do() {
    for (more, says) in [
        (&[(NAME, "")][..], "is \"\", which is no part of a backend's name; use letters"),
        (&[(NAME, " myapp")], "is \" myapp\", which is no part"),
        (&[(NAME, "my/app")], "no part of a backend's name"),
        (
            &[(PORT, "")],
            "tag `HAProxy:Service:Port` is \"\", which is no port; write a number from 1 to 65535",
        ),
        (&[(PORT, "0")], "no port"),
        (&[(PORT, "notaport")], "no port"),
        (&[(PORT, "65536")], "no port"),
        (&[(PORT, "+80")], "no port"),
        (&[(PORT, "8_0")], "no port"),
        (&[(PORT, "99999999999999999999")], "no port"),
        (&[(PORT, "8 0")], "no port"),
        (&[(NAME, "a\nb\u{202e}; shutdown")], r#"is "a\nb\u{202e}; shutdown", which"#),
    ] {
        let made = of(vec![member("i-1", more), member("i-2", &[])]);
        assert_eq!(ids(&made, "myapp/8080/us-east-2"), ["i-2"], "{more:?}");
        let [reject] = made.rejects.as_slice() else { panic!("{:?}", made.rejects) };
        assert_eq!(reject.place, "i-1 (i-1-name)");
        assert!(reject.reason.contains(says), "{}", reject.reason);
    }
}

#[test]
fn a_missing_port_a_strange_zone_and_a_strange_region_leave_a_machine_out() {
    let no_port = machine("i-1", &[(NAME, "myapp")]);
    let zone = Machine { zone: Some("a b".to_owned()), ..member("i-2", &[]) };
    let region = Machine { region: "us;east".to_owned(), ..member("i-3", &[]) };
    let nowhere = Machine { address: "0.0.0.0".parse().unwrap(), ..member("i-4", &[]) };
    let made = of(vec![no_port, zone, region, nowhere]);
    assert!(made.services.is_empty());
    let wanted = [
        "it has a tag `HAProxy:Service:Name` and none `HAProxy:Service:Port`; give it",
        "its zone is \"a b\"",
        "its region is \"us;east\"",
        "its private address: 0.0.0.0 is not the address of one server",
    ];
    for (reason, says) in reasons(&made).into_iter().zip(wanted) {
        assert!(reason.starts_with(says), "{reason}");
    }
    assert_eq!(made.rejects.len(), 4);
}

#[test]
fn blanks_around_a_number_are_no_part_of_it() {
    let made = of(vec![member("i-1", &[(PORT, " 8080\t"), (OWN_PORT, " 81 "), (SHARE, " 10 ")])]);
    assert_eq!(only(&made).endpoint.port.get(), 81);
    assert_eq!(only(&made).zone_share, ZoneShare::new(10).ok());
    assert_eq!(keys(&made), ["myapp/8080/us-east-2"]);
}

#[test]
fn a_wrong_port_of_its_own_is_told_and_the_services_is_taken() {
    for wrong in ["", "0", "http", "65536"] {
        let made = of(vec![member("i-1", &[(OWN_PORT, wrong)])]);
        assert_eq!(only(&made).endpoint.port.get(), 8080);
        assert!(reasons(&made)[0].contains("so the service's own is taken"), "{:?}", made.rejects);
    }
}

#[test]
fn a_wrong_share_is_told_and_counts_as_none() {
    for wrong in ["0", "100", "-5", "abc", "", "10%"] {
        let made = of(vec![member("i-1", &[(SHARE, wrong)])]);
        assert_eq!(only(&made).zone_share, None);
        assert!(reasons(&made)[0].contains("write a whole number from 1 to 99"), "{:?}", made.rejects);
    }
    let made = with(&TagRules { share: None, ..TagRules::default() }, vec![member("i-1", &[(SHARE, "no")])]);
    assert!(made.rejects.is_empty());
}

#[test]
fn a_group_that_select_cannot_name_is_told_and_the_machine_stays() {
    let made = of(vec![Machine { group: Some("my group".to_owned()), ..member("i-1", &[]) }]);
    assert_eq!(only(&made).group, None);
    assert!(reasons(&made)[0].starts_with("its group is \"my group\""));
}

#[test]
fn all_of_allow_and_none_of_deny_is_wanted() {
    let set = |key: &str, values: &[&str]| {
        (key.to_owned(), values.iter().map(|value| (*value).to_owned()).collect::<BTreeSet<_>>())
    };
    let rules = TagRules {
        allow: [set("env", &["prod", "stage"]), set("team", &["web"])].into(),
        deny: [set("HAProxy:Exclude", &["true"]), set("old", &["yes"])].into(),
        ..TagRules::default()
    };
    let good = [("env", "prod"), ("team", "web")];
    let made = with(
        &rules,
        vec![
            member("i-1", &good),
            member("i-2", &[("env", "stage"), ("team", "web"), ("old", "no")]),
            member("i-3", &[("env", "prod")]),
            member("i-4", &[("env", "test"), ("team", "web")]),
            member("i-5", &[&good[..], &[("HAProxy:Exclude", "true")]].concat()),
            member("i-6", &[&good[..], &[("old", "yes")]].concat()),
        ],
    );
    assert_eq!(ids(&made, "myapp/8080/us-east-2"), ["i-1", "i-2"]);
    assert!(made.rejects.is_empty(), "what is not wanted is not wrong");
}

#[test]
fn a_machine_that_is_listed_twice_counts_once() {
    let made = of(vec![member("i-1", &[]), member("i-1", &[(PORT, "81")])]);
    assert_eq!(keys(&made), ["myapp/8080/us-east-2"]);
    assert!(reasons(&made)[0].contains("lists it twice"));
}

#[test]
fn an_id_of_azure_is_kept_whole_and_no_two_become_one() {
    let long = format!(
        "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.Compute/virtualMachineScaleSets/web/virtualMachines/3",
        "1".repeat(36),
        "g".repeat(90)
    );
    let made = of(vec![member(&long, &[(PORT, "x")]), member(&long.replace("/3", "/4"), &[])]);
    assert_eq!(only(&made).id.as_str(), long.replace("/3", "/4"));
    assert!(made.rejects[0].place.starts_with('…') && made.rejects[0].place.contains("/virtualMachines/3"));
    let made = of(vec![member("rg(é)/1", &[]), member("rg~28~c3~a9~29/1", &[])]);
    assert_eq!(ids(&made, "myapp/8080/us-east-2"), ["rg~28~c3~a9~29/1", "rg~7e28~7ec3~7ea9~7e29/1"]);
}

#[test]
fn an_answer_kept_before_there_were_definitions_is_still_read() {
    let old = r#"{"services":{"web":[]},"taken":"2025-01-01T00:00:00Z"}"#;
    let read: Snapshot = serde_json::from_str(old).unwrap();
    assert!(read.definitions.is_empty());
    let made = of(vec![member("i-1", &[(SHARE, "5")])]);
    let kept = serde_json::to_string(&made).unwrap();
    assert_eq!(serde_json::from_str::<Snapshot>(&kept).unwrap(), made);
}

proptest! {
    /// Whatever stands in a tag is a name or a port as it is, or is told on one short line.
    #[test]
    fn no_text_of_a_cloud_is_more_than_data(
        id in "\\PC{1,40}|.{1,40}",
        name in "[a-z]{1,4}|.{0,200}",
        port in "[0-9]{1,6}|.{0,40}",
        zone in ".{0,40}",
        group in ".{0,40}",
    ) {
        let given = Machine {
            zone: Some(zone),
            group: Some(group),
            ..machine(&id, &[(NAME, &name), (PORT, &port), (SHARE, &port)])
        };
        let made = of(vec![given, member("i-0", &[])]);
        prop_assert!(ids(&made, "myapp/8080/us-east-2").contains(&"i-0".to_owned()));
        for definition in made.definitions.values() {
            prop_assert!(["myapp", name.as_str()].contains(&definition.name.as_str()));
        }
        for reject in &made.rejects {
            let line = reject.to_string();
            prop_assert!(!line.chars().any(char::is_control), "{line:?}");
            prop_assert!(line.len() < 4_000, "{}", line.len());
        }
    }

    /// The order in which a cloud lists its machines does not matter.
    #[test]
    fn any_order_makes_the_same_answer(shuffled in Just((0..12_usize).collect::<Vec<_>>()).prop_shuffle()) {
        let number = |n: &usize| member(&format!("i-{n:02}"), &[(PORT, ["80", "81", "no"][n % 3])]);
        let sorted: Vec<Machine> = (0..12).map(|n| number(&n)).collect();
        prop_assert_eq!(of(shuffled.iter().map(number).collect()), of(sorted));
    }
}
