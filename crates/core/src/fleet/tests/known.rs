//! What was known before, and what an answer that cannot be read whole leaves of it.

use jiff::SignedDuration;

use super::*;

#[test]
fn a_service_that_nobody_is_in_any_more_stays_empty() {
    let first = of(vec![member("i-1", &[]), member("i-2", &[(NAME, "other")])]);
    let next = |known: &Snapshot| {
        let reported = Reported { machines: vec![member("i-2", &[(NAME, "other")])], ..Reported::default() };
        snapshot(reported, &TagRules::default(), Some(known), Timestamp::UNIX_EPOCH)
    };
    let second = next(&first);
    assert_eq!(keys(&second), ["myapp/8080/us-east-2", "other/8080/us-east-2"]);
    assert!(second.services["myapp/8080/us-east-2"].is_empty());
    assert_eq!(second.definitions.len(), first.definitions.len());
    assert!(next(&second).says_what(&second), "the next answer says the same");
}

#[test]
fn a_service_without_a_machine_is_remembered_for_a_week_and_forgotten_then() {
    let at = |days: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * days);
    let next = |known: &Snapshot, machines: Vec<Machine>, day| {
        let reported = Reported { machines, ..Reported::default() };
        snapshot(reported, &TagRules::default(), Some(known), at(day))
    };
    let there = next(&Snapshot::default(), vec![member("i-1", &[])], 0);
    let empty = next(&there, Vec::new(), 1);
    assert_eq!(empty.definitions["myapp/8080/us-east-2"].empty_since, Some(at(1)));
    let later = next(&empty, Vec::new(), 7);
    assert_eq!(keys(&later), ["myapp/8080/us-east-2"]);
    assert!(next(&later, Vec::new(), 8).services.is_empty());
    let back = next(&later, vec![member("i-2", &[])], 7);
    assert_eq!(back.definitions["myapp/8080/us-east-2"].empty_since, None, "the week begins anew");
}

#[test]
fn of_too_many_services_without_a_machine_those_are_remembered_that_had_one_last() {
    let machines = |range: std::ops::Range<usize>| -> Vec<Machine> {
        range.map(|n| member(&format!("i-{n}"), &[(NAME, &format!("s{n}"))])).collect()
    };
    let at = |second| Timestamp::from_second(second).unwrap();
    let next = |known: &Snapshot, machines, second| {
        snapshot(Reported { machines, ..Reported::default() }, &TagRules::default(), Some(known), at(second))
    };
    let first = next(&Snapshot::default(), machines(0..600), 0);
    let second = next(&first, machines(600..1200), 1);
    let third = next(&second, Vec::new(), 2);
    assert_eq!(third.services.len(), 1000);
    assert!((600..1200).all(|n| third.services.contains_key(format!("s{n}/8080/us-east-2").as_str())));
}

#[test]
fn a_tag_that_cannot_be_read_any_more_leaves_the_machine_as_it_was() {
    let group = |name: &str| Some(name.to_owned());
    let known =
        of(vec![Machine { group: group("blue"), ..member("i-1", &[(OWN_PORT, "81"), (SHARE, "10")]) }]);
    let broken = Machine { group: group("blue one"), ..member("i-1", &[(OWN_PORT, "x"), (SHARE, "x")]) };
    let reported = Reported { machines: vec![broken], ..Reported::default() };
    let next = snapshot(reported, &TagRules::default(), Some(&known), Timestamp::UNIX_EPOCH);
    let (before, after) = (only(&known), only(&next));
    assert_eq!(
        (after.endpoint, &after.group, after.zone_share),
        (before.endpoint, &before.group, before.zone_share)
    );
    assert!(
        reasons(&next).iter().all(|reason| reason.ends_with("what was known stays")),
        "{:?}",
        next.rejects
    );
}

#[test]
fn a_machine_that_cannot_be_used_is_known_by_its_id() {
    let made = of(vec![member("i-1", &[(PORT, "x")]), member("i-2", &[]), member("i-2", &[])]);
    let unread =
        |place: usize| made.rejects[place].unread.as_ref().unwrap().instance.as_ref().unwrap().as_str();
    assert_eq!((unread(0), unread(1)), ("i-1", "i-2"));
    let wrong_share = of(vec![member("i-1", &[(SHARE, "x")])]);
    assert_eq!(wrong_share.rejects[0].unread, None, "the machine is there");
    let reported: Reported = Reported { unknown: vec!["i-7".to_owned()], ..Reported::default() };
    let unknown = snapshot(reported, &TagRules::default(), None, Timestamp::UNIX_EPOCH);
    assert_eq!(unknown.rejects[0].unread.as_ref().unwrap().instance.as_ref().unwrap().as_str(), "i-7");
}

#[test]
fn a_machine_of_which_nothing_was_learned_stays_as_it_was() {
    let known = of(vec![member("i-1", &[(OWN_PORT, "81")]), member("i-2", &[]), member("i-3", &[])]);
    let reported: Reported = Reported {
        machines: vec![member("i-3", &[(PORT, "9")])],
        unknown: vec!["i-1".to_owned(), "i-3".to_owned(), "i-9".to_owned()],
        ..Reported::default()
    };
    let next = snapshot(reported, &TagRules::default(), Some(&known), Timestamp::UNIX_EPOCH);
    assert_eq!(ids(&next, "myapp/8080/us-east-2"), ["i-1"], "i-2 is gone, i-3 is elsewhere");
    assert_eq!(next.services["myapp/8080/us-east-2"][0].endpoint.port.get(), 81);
    assert_eq!(ids(&next, "myapp/9/us-east-2"), ["i-3"]);
}

#[test]
fn the_machines_of_a_part_that_was_not_told_stay_unless_something_was_said_of_them() {
    let of_group =
        |id: &str, group: Option<&str>| Machine { group: group.map(str::to_owned), ..member(id, &[]) };
    let known = of(vec![
        of_group("i-1", Some("blue")),
        of_group("i-2", Some("green")),
        of_group("i-3", None),
        of_group("i-4", Some("blue")),
        of_group("i-5", Some("blue")),
    ]);
    let kept = |untold: &[Untold]| {
        let reported: Reported = Reported {
            machines: vec![Machine { group: Some("blue".to_owned()), ..member("i-5", &[(PORT, "x")]) }],
            untold: untold.to_vec(),
            ended: vec!["i-4".to_owned()],
            ..Reported::default()
        };
        let next = snapshot(reported, &TagRules::default(), Some(&known), Timestamp::UNIX_EPOCH);
        ids(&next, "myapp/8080/us-east-2").join(" ")
    };
    assert_eq!(kept(&[]), "");
    assert_eq!(kept(&[Untold::Group("blue".to_owned())]), "i-1");
    assert_eq!(kept(&[Untold::Group("red".to_owned())]), "");
    assert_eq!(kept(&[Untold::Rest]), "i-1 i-2 i-3");
}

#[test]
fn where_nothing_was_known_any_server_may_be_of_a_part_that_was_not_told() {
    let told = |untold: &[Untold], known: Option<&Snapshot>| {
        let reported: Reported = Reported { untold: untold.to_vec(), ..Reported::default() };
        snapshot(reported, &TagRules::default(), known, Timestamp::UNIX_EPOCH)
    };
    let blind =
        |snapshot: &Snapshot| snapshot.rejects.iter().any(|reject| reject.unread == Some(Unread::default()));
    let part = [Untold::Group("blue".to_owned())];
    let first = told(&part, None);
    assert!(blind(&first));
    assert!(blind(&told(&part, Some(&first))), "what was said then is all that is known");
    assert!(!blind(&told(&[], Some(&first))));
    assert!(!blind(&told(&part, Some(&of(vec![member("i-1", &[])])))), "what was known before is enough");
    assert!(!blind(&told(&[], None)));
}
