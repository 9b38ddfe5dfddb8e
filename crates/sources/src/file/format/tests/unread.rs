//! What an entry that cannot be read says of the instance that it is.

use super::*;

/// What each reject may hide: service, id, address and port, `-` for what is not known.
fn hidden(snapshot: &Snapshot) -> Vec<String> {
    fn shown<T: std::fmt::Display>(part: Option<&T>) -> String {
        part.map_or_else(|| "-".to_owned(), ToString::to_string)
    }
    let unread = snapshot.rejects.iter().map(|reject| match &reject.unread {
        Some(Unread { service, instance, ip, port }) => format!(
            "{} {} {} {}",
            shown(service.as_ref()),
            shown(instance.as_ref()),
            shown(ip.as_ref()),
            shown(port.as_ref())
        ),
        None => "nothing".to_owned(),
    });
    unread.collect()
}

#[test]
fn an_instance_that_cannot_be_read_is_known_by_what_of_it_can() {
    for (item, wanted) in [
        ("{ address: '10.0.0.1:80', weight: 1000 }", "web - 10.0.0.1 80"),
        ("{ address: '10.0.0.1:80', id: a, health: good }", "web a 10.0.0.1 80"),
        ("{ address: '10.0.0.1:80', az: b }", "web - 10.0.0.1 80"),
        ("{ address: 10.0.0.1, port: 99999 }", "web - 10.0.0.1 -"),
        ("{ address: '10.0.0.1:80', port: 81 }", "web - 10.0.0.1 -"),
        ("{ address: 10.0.0.1 }", "web - 10.0.0.1 -"),
        ("'10.0.0.1:99999'", "web - 10.0.0.1 -"),
        ("'[fd00::1]:99999'", "web - fd00::1 -"),
        ("'fd00::1:80'", "web - - -"),
        ("web1.example.org:80", "web - - 80"),
        ("{ address: web1.example.org, port: 80, id: a }", "web a - 80"),
        ("{ id: a }", "web a - -"),
        ("10.0.0.300:80", "web - - 80"),
        ("[x]", "web - - -"),
        ("null", "web - - -"),
    ] {
        let snapshot = read(&format!("services: {{ web: [{item}] }}")).unwrap();
        assert_eq!(hidden(&snapshot)[0], wanted, "{item}");
        assert!(
            hidden(&snapshot)[1..].iter().all(|more| more == "nothing"),
            "one entry is one instance: {item}"
        );
    }
}

#[test]
fn of_two_instances_with_one_id_the_second_is_known_by_its_address() {
    let text = "services: { web: [{ address: '10.0.0.1:80', id: a }, { address: '10.0.0.2:80', id: a }] }";
    assert_eq!(hidden(&read(text).unwrap()), ["web - 10.0.0.2 80"]);
}

#[test]
fn what_stands_beside_the_instances_of_a_service_may_be_instances_of_it() {
    let text = "services: { web: { instances: [], instance: ['10.0.0.1:80'] }, 'we b': [], api: 5 }";
    assert_eq!(hidden(&read(text).unwrap()), ["web - - -", "- - - -", "api - - -"]);
}

#[test]
fn null_targets_are_none_as_go_programs_write_an_empty_list() {
    let text = r#"[ {"targets": null, "labels": {"job": "api"}}, {"targets": ["10.0.0.1:80"], "labels": {"job": "web"}} ]"#;
    let snapshot = read(text).unwrap();
    assert_eq!((ids(&snapshot).as_str(), rejects(&snapshot).as_str()), ("api: \nweb: 10.0.0.1:80\n", ""));
}

#[test]
fn a_target_group_that_cannot_be_read_costs_that_group_alone() {
    let good = "- { targets: ['10.0.0.1:80'], labels: { job: web } }\n";
    for (wrong, may_be) in [
        ("- web", "- - - -"),
        ("- { labels: { job: api } }", "api - - -"),
        ("- { targets: web, labels: { job: api } }", "api - - -"),
        ("- { targets: ['10.0.0.2:80'], lables: { job: api } }", "stem - - -"),
        ("- { targets: ['10.0.0.2:80'], labels: [] }", "- - - -"),
        ("- { targets: ['10.0.0.2:80'], labels: { job: [] } }", "- - - -"),
        ("- { targets: ['10.0.0.2:80'], labels: { job: 'a b' } }", "- - - -"),
        ("- { targets: [web2:80], labels: { job: web } }", "web - - 80"),
        ("- { targets: ['10.0.0.2:x'], labels: { job: web } }", "web - 10.0.0.2 -"),
    ] {
        let snapshot = read(&format!("{good}{wrong}")).unwrap();
        assert_eq!(
            (ids(&snapshot).as_str(), hidden(&snapshot)),
            ("web: 10.0.0.1:80\n", vec![may_be.to_owned()]),
            "{wrong}"
        );
    }
}

#[test]
fn what_a_label_that_does_not_fit_was_before_stays() {
    let text = |zone: &str, weight: &str| {
        format!(
            "- {{ targets: ['10.0.0.1:80'], labels: {{ job: web, zone: '{zone}', weight: '{weight}' }} }}"
        )
    };
    let known = read(&text("a", "7")).unwrap();
    let (form, now) = (form(FileFormat::Auto), Timestamp::UNIX_EPOCH);
    let next = parse("web.yaml", &text("a b", "700"), &form, Some(&known), now).unwrap();
    let (before, after) = (&known.services["web"][0], &next.services["web"][0]);
    assert_eq!((&after.zone, after.weight), (&before.zone, before.weight));
}

#[test]
fn a_label_that_does_not_fit_may_cost_a_selection_its_targets() {
    let snapshot = read("- { targets: ['10.0.0.1:80'], labels: { job: web, group: 'a b' } }").unwrap();
    assert_eq!(hidden(&snapshot), ["web - - -"]);
}
