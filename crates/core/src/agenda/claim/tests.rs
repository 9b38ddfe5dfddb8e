//! Which service has a backend, and what may take its servers out.

use std::sync::Arc;

use jiff::Timestamp;
use roster_haproxy::dataplane::Mark;
use roster_haproxy::name::{ServiceKey, SourceName};

use crate::agenda::Agenda;
use crate::agenda::tests::{record_of, rule, target};
use crate::applied::{Applied, Phase, UnreadRecords};
use crate::catalog::Catalog;
use crate::departure::{Departure, Grounds, Kept};
use crate::exposure::{FallbackRule, Layout, RoutePattern, Rule, Services};
use crate::found::Found;
use crate::instance::{Instance, Reject, Snapshot, SourceEvent, Unread};
use crate::slots::SlotScheme;

const A: &str = "10.0.0.1:80";
const B: &str = "10.0.0.2:80";

/// A catalog of these sources; each with its answer, if it has one.
fn sources(answers: &[(&str, Option<Snapshot>)]) -> Catalog {
    let mut catalog = Catalog::new(answers.iter().map(|(name, _)| name.parse().unwrap()));
    for (name, answer) in answers {
        if let Some(answer) = answer.clone() {
            let event = SourceEvent::Full(Arc::new(answer));
            catalog.accept(&name.parse().unwrap(), event, Timestamp::UNIX_EPOCH);
        }
    }
    catalog
}

/// An answer with these services, each with instances at these addresses.
fn says(services: &[(&str, &[&str])]) -> Snapshot {
    let services = services.iter().map(|(name, at)| {
        let instances = at.iter().map(|at| Instance::at(at.parse().unwrap())).collect();
        (name.parse().unwrap(), instances)
    });
    Snapshot { services: services.collect(), ..Snapshot::default() }
}

/// The source `fleet` with that answer.
fn fleet(services: &[(&str, &[&str])]) -> Catalog {
    sources(&[("fleet", Some(says(services)))])
}

fn of(catalog: &Catalog, rules: &[Rule], applied: &Applied) -> Agenda {
    Agenda::new(catalog, rules, &target(), applied, &[], Timestamp::UNIX_EPOCH)
}

/// The record after that answer of `fleet`.
fn had(services: &[(&str, &[&str])], rules: &[Rule]) -> Applied {
    record_of(&of(&fleet(services), rules, &Applied::default()))
}

/// The service that has a backend, and what may take its servers out.
fn holder(agenda: &Agenda, backend: &str) -> (String, Grounds) {
    let item = &agenda.items[backend];
    (item.exposure.service.to_string(), item.grounds.clone())
}

#[test]
fn a_service_keeps_its_backend_while_it_has_instances_and_gives_it_up_when_it_has_none() {
    let rules = [rule("{service|lower}")];
    let had = had(&[("web", &[A])], &rules);
    let now = |services: &[(&str, &[&str])]| of(&fleet(services), &rules, &had);
    let both = now(&[("Web", &[B]), ("web", &[A])]);
    assert_eq!(holder(&both, "web"), ("fleet/web".to_owned(), Grounds::Answer));
    assert!(
        both.unexposed[0].to_string().starts_with("service fleet/Web is left out"),
        "{:?}",
        both.unexposed
    );
    for gone in [now(&[("Web", &[B]), ("web", &[])]), now(&[("Web", &[B])])] {
        assert_eq!(holder(&gone, "web"), ("fleet/Web".to_owned(), Grounds::Answer));
        assert!(
            gone.unexposed.is_empty(),
            "a service without instances misses nothing: {:?}",
            gone.unexposed
        );
    }
    assert_eq!(holder(&now(&[("Web", &[]), ("web", &[])]), "web").0, "fleet/web");
    let first = of(&fleet(&[("Web", &[]), ("web", &[A])]), &rules, &Applied::default());
    assert_eq!(holder(&first, "web").0, "fleet/web", "without a record it is the one that has an instance");
}

#[test]
fn a_service_whose_entries_cannot_be_read_has_instances_all_the_same() {
    let rules = [rule("{service|lower}")];
    let had = had(&[("web", &[A])], &rules);
    let by = |unread: Unread| {
        let rejects = vec![Reject::unread("line 1", "wrong", unread)];
        let answer = Snapshot { rejects, ..says(&[("Web", &[B]), ("web", &[])]) };
        holder(&of(&sources(&[("fleet", Some(answer))]), &rules, &had), "web").0
    };
    assert_eq!(by(Unread::of_service("web".parse().unwrap())), "fleet/web");
    assert_eq!(by(Unread::of_instance(A.parse().unwrap())), "fleet/web");
    assert_eq!(
        by(Unread::of_instance("i-9".parse().unwrap())),
        "fleet/web",
        "no id of its own says that it is not"
    );
    let elsewhere = Unread { ip: "10.0.0.9".parse().ok(), ..Unread::default() };
    assert_eq!(by(elsewhere), "fleet/Web", "that is another machine");
}

#[test]
fn a_backend_whose_source_has_not_answered_is_given_to_no_other_service() {
    let rules = [rule("{service}")];
    let had = had(&[("web", &[A])], &rules);
    let agenda = of(&sources(&[("fleet", None), ("a", Some(says(&[("web", &[B])])))]), &rules, &had);
    let not_heard = Kept::NotHeard { source: "fleet".parse().unwrap() };
    assert_eq!(holder(&agenda, "web"), ("fleet/web".to_owned(), Grounds::Nothing(not_heard)));
    let left_out = agenda.unexposed[0].to_string();
    assert!(left_out.contains("service a/web is left out"), "{left_out}");
}

#[test]
fn an_answer_that_was_kept_on_disk_adds_instances_and_takes_none_away() {
    let source: SourceName = "fleet".parse().unwrap();
    let mut catalog = Catalog::new([source.clone()]);
    catalog.restore(&source, Arc::new(says(&[("web", &[B])])));
    let agenda = of(&catalog, &[rule("{service}")], &Applied::default());
    let item = &agenda.items["web"];
    assert_eq!(item.grounds, Grounds::Nothing(Kept::NotHeard { source }));
    assert_eq!(item.instances().count(), 1);
}

#[test]
fn a_source_of_another_name_follows_where_service_and_backend_are_the_same() {
    let rules = [rule("{service}")];
    let had = had(&[("web", &[A]), ("api", &[B])], &rules);
    let gone = Grounds::Nothing(Kept::SourceGone { source: "fleet".parse().unwrap() });
    let unheard = of(&sources(&[("cloud", None)]), &rules, &had);
    assert_eq!(holder(&unheard, "web"), ("fleet/web".to_owned(), gone.clone()));
    let heard = of(&sources(&[("cloud", Some(says(&[("web", &[A])])))]), &rules, &had);
    assert_eq!(holder(&heard, "web"), ("cloud/web".to_owned(), Grounds::Answer));
    assert_eq!(holder(&heard, "api"), ("fleet/api".to_owned(), gone), "nothing of that name follows");
}

#[test]
fn a_rule_that_leads_elsewhere_leaves_the_backend_as_it_was_until_an_operator_releases_it() {
    let layout = Layout { cookie: "ID".parse().ok(), ..Layout::default() };
    let before = Rule { layout: Arc::new(layout), ..rule("old-{service}") };
    let services: &[(&str, &[&str])] = &[("web", &[A]), ("shop", &[B])];
    let mut had = had(services, &[before]);
    let kept = of(&fleet(services), &[rule("new-{service}")], &had);
    let item = &kept.items["old-web"];
    let service = item.exposure.service.clone();
    assert_eq!(
        holder(&kept, "old-web"),
        ("fleet/web".to_owned(), Grounds::Nothing(Kept::RuleGone { service }))
    );
    assert_eq!((item.instances().count(), item.is_wanted()), (0, false));
    let cookie = item.exposure.layout.as_ref().and_then(|layout| layout.cookie.clone());
    assert_eq!(cookie, "ID".parse().ok(), "how it is written is known from the record");
    assert_eq!(holder(&kept, "new-web"), ("fleet/web".to_owned(), Grounds::Answer));
    // Where another service is to have the backend, a release hands it over at once.
    let shop = Services::Listed([kept.items["new-shop"].exposure.service.clone()].into());
    let to_shop = [Rule { services: shop, ..rule("old-web") }];
    assert_eq!(holder(&of(&fleet(services), &to_shop, &had), "old-web").0, "fleet/web");
    had.backends.get_mut("old-web").unwrap().guard.released = true;
    assert_eq!(holder(&of(&fleet(services), &to_shop, &had), "old-web").0, "fleet/shop");
}

#[test]
fn a_backend_that_no_rule_wants_ends_with_the_backend_itself_unless_its_source_may_yet_answer() {
    let rules = [rule("{service}")];
    let had = had(&[("web", &[A])], &rules);
    let ends = |agenda: Agenda| agenda.items["web"].ends_with_backend();
    assert!(ends(of(&sources(&[("cloud", None)]), &rules, &had)), "its source is gone");
    assert!(ends(of(&fleet(&[("web", &[A])]), &[rule("new-{service}")], &had)), "its rule is gone");
    assert!(ends(of(&fleet(&[]), &rules, &had)), "its service is gone");
    assert!(!ends(of(&sources(&[("fleet", None)]), &rules, &had)), "the source may yet answer");
    assert!(!ends(of(&fleet(&[("web", &[A])]), &rules, &had)), "it is wanted");
}

#[test]
fn the_backend_of_an_absent_service_has_its_rules_guards_and_loses_its_routes_with_its_last_instance() {
    let host =
        RoutePattern { frontend: "public".parse().unwrap(), host: "{service}.test".parse().ok(), path: None };
    let layout = Layout { routes: vec![host], ..Layout::default() };
    let mut rules = [Rule { layout: Arc::new(layout), ..rule("{service}") }];
    let mut had = had(&[("web", &[A])], &rules);
    rules[0].policy.guard.min_servers = 7;
    let absent = of(&fleet(&[]), &rules, &had);
    let item = &absent.items["web"];
    assert_eq!((&item.grounds, item.exposure.policy.guard.min_servers), (&Grounds::Absent, 7));
    assert_eq!((item.exposure.routes.len(), item.is_overtaken(&had)), (1, false));
    for server in had.backends.get_mut("web").unwrap().servers.values_mut() {
        (server.phase, server.left) = (Phase::Draining, Some(Departure::ServiceAbsent));
    }
    assert!(item.is_overtaken(&had));
    assert!(of(&fleet(&[]), &rules, &had).items["web"].exposure.routes.is_empty());
}

#[test]
fn a_service_that_is_said_to_be_removed_is_and_one_that_is_there_again_is_not() {
    let rules = [rule("{service}")];
    let had = had(&[("web", &[A])], &rules);
    let removed = |services: &[(&str, &[&str])]| {
        let answer = Snapshot { removed: ["web".parse().unwrap()].into(), ..says(services) };
        holder(&of(&sources(&[("fleet", Some(answer))]), &rules, &had), "web").1
    };
    assert_eq!((removed(&[]), removed(&[("web", &[])])), (Grounds::Removed, Grounds::Answer));
}

#[test]
fn instances_that_make_no_one_name_keep_the_backend_and_its_servers() {
    let rules = [rule("{service}-{port}")];
    let had = had(&[("web", &[A, B])], &rules);
    let now = |at: &[&str]| of(&fleet(&[("web", at)]), &rules, &had);
    for (at, members) in [(&[][..], 0), (&[A, "10.0.0.3:90"], 1), (&[A, B, "10.0.0.3:90", "10.0.0.4:91"], 2)]
    {
        let agenda = now(at);
        assert_eq!(holder(&agenda, "web-80"), ("fleet/web".to_owned(), Grounds::Answer), "{at:?}");
        assert_eq!((agenda.items["web-80"].instances().count(), agenda.items.len()), (members, 1), "{at:?}");
    }
    let nowhere = now(&["10.0.0.1:90", "10.0.0.2:91"]);
    assert!(matches!(holder(&nowhere, "web-80").1, Grounds::Nothing(Kept::NoName { .. })));
}

#[test]
fn instances_that_all_make_another_name_leave_once_that_backend_takes_traffic() {
    let rules = [rule("{service}-{port}")];
    let mut had = had(&[("web", &[A, B])], &rules);
    let moved = fleet(&[("web", &["10.0.0.1:90", "10.0.0.2:90"])]);
    let agenda = of(&moved, &rules, &had);
    assert!(matches!(holder(&agenda, "web-80").1, Grounds::Nothing(Kept::NotServedYet { .. })));
    assert_eq!(holder(&agenda, "web-90").1, Grounds::Answer);
    let mut new = Agenda::default();
    new.items.insert("web-90".parse().unwrap(), agenda.items["web-90"].clone());
    had.backends.extend(record_of(&new).backends);
    assert!(!agenda.items["web-80"].is_overtaken(&had), "its servers are being brought up");
    for server in had.backends.get_mut("web-90").unwrap().servers.values_mut() {
        server.confirmed = true;
    }
    assert!(agenda.items["web-80"].is_overtaken(&had));
    let emptied = of(&moved, &rules, &had);
    assert_eq!(
        (holder(&emptied, "web-80").1, emptied.items["web-80"].instances().count()),
        (Grounds::Answer, 0)
    );
}

#[test]
fn an_instance_that_has_a_server_keeps_it_wherever_it_goes_and_a_newcomer_of_another_name_gets_none() {
    let rules = [rule("{service}-{port}")];
    let with_ids = |all: &[(&str, &str)]| {
        let instance = |(id, at): &(&str, &str)| Instance {
            id: id.parse().unwrap(),
            ..Instance::at(at.parse().unwrap())
        };
        let services = [("web".parse().unwrap(), all.iter().map(instance).collect())].into();
        sources(&[("fleet", Some(Snapshot { services, ..Snapshot::default() }))])
    };
    let two = [("i-1", A), ("i-2", B)];
    let had = record_of(&of(&with_ids(&two), &rules, &Applied::default()));
    let moved = with_ids(&[("i-1", "10.0.0.1:90"), ("i-2", B), ("i-3", "10.0.0.3:90")]);
    let agenda = of(&moved, &rules, &had);
    let members: Vec<&str> = agenda.items["web-80"].instances().map(|one| one.id.as_str()).collect();
    assert_eq!(members, ["i-1", "i-2"]);
}

/// A backend of HAProxy's file that is marked for a service.
fn marked(service: &str) -> Found {
    let (source, service) = service.split_once('/').unwrap();
    let service = ServiceKey { source: source.parse().unwrap(), service: service.parse().unwrap() };
    Found { backend: "web".parse().unwrap(), mark: Some(Mark { service }), servers: Vec::new() }
}

#[test]
fn without_a_record_the_mark_in_the_file_says_who_has_a_backend() {
    let rules = [rule("{service|lower}")];
    let has = |catalog: &Catalog, mark: &str| {
        let (applied, now) = (Applied::default(), Timestamp::UNIX_EPOCH);
        let agenda = Agenda::new(catalog, &rules, &target(), &applied, &[marked(mark)], now);
        agenda.items.get("web").map(|item| item.exposure.service.to_string())
    };
    let both = fleet(&[("Web", &[A]), ("web", &[B])]);
    assert_eq!(has(&both, "fleet/web"), Some("fleet/web".to_owned()));
    assert_eq!(has(&both, "fleet/Web"), Some("fleet/Web".to_owned()));
    assert_eq!(has(&fleet(&[("Web", &[A]), ("web", &[])]), "fleet/web"), Some("fleet/Web".to_owned()));
    let unheard = sources(&[("fleet", Some(says(&[("web", &[A])]))), ("jobs", None)]);
    assert_eq!(has(&unheard, "jobs/web"), None, "its source may yet report it");
    assert_eq!(has(&both, "gone/other"), Some("fleet/Web".to_owned()), "there is no such source");
}

#[test]
fn a_fallback_that_cannot_be_named_does_not_keep_the_first_backend_out() {
    let names = SlotScheme::default().names;
    let fallback = FallbackRule { backend: "{zone}".parse().unwrap(), names, all: true };
    let rules = [Rule { fallback: Some(fallback), ..rule("{service}") }];
    let agenda = of(&fleet(&[("web", &[A])]), &rules, &Applied::default());
    assert_eq!(holder(&agenda, "web").1, Grounds::Answer);
    assert!(agenda.unexposed[0].to_string().contains("{zone}"), "{:?}", agenda.unexposed);
}

#[test]
fn where_the_record_cannot_be_read_neither_of_two_services_gets_the_backend() {
    let rules = [rule("{service|lower}")];
    let unread = Applied { unread: UnreadRecords::All, ..Applied::default() };
    let both = of(&fleet(&[("Web", &[A]), ("web", &[B])]), &rules, &unread);
    assert_eq!((both.items.len(), both.unexposed.len()), (0, 2), "{:?}", both.unexposed);
    assert_eq!(holder(&of(&fleet(&[("web", &[B])]), &rules, &unread), "web").1, Grounds::Answer);
}
