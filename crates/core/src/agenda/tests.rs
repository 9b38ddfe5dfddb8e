use roster_haproxy::name::SourceName;
use roster_haproxy::weight::ZoneShare;

use super::*;
use crate::exposure::{Claim, Own, Policy, Selector, Services};
use crate::instance::{Health, Lifecycle, SourceEvent};
use crate::slots::SlotScheme;

pub(super) fn target() -> TargetName {
    "local".parse().unwrap()
}

pub(super) fn rule(backend: &str) -> Rule {
    Rule {
        services: Services::All,
        targets: [target()].into(),
        backend: backend.parse().unwrap(),
        own: Own::Servers,
        claim: Claim::default(),
        slots: SlotScheme::default(),
        select: Selector::default(),
        fallback: None,
        layout: Arc::default(),
        policy: Policy::default(),
    }
}

fn catalog(answer: Option<&[(&str, u32)]>) -> Catalog {
    let source: SourceName = "fleet".parse().unwrap();
    let mut catalog = Catalog::new([source.clone()]);
    if let Some(answer) = answer {
        let instance = |n: u32| Instance::at(format!("10.0.0.{n}:80").parse().unwrap());
        let services =
            answer.iter().map(|(name, n)| (name.parse().unwrap(), (1..=*n).map(instance).collect()));
        let snapshot = Snapshot { services: services.collect(), ..Snapshot::default() };
        catalog.accept(&source, SourceEvent::Full(Arc::new(snapshot)), Timestamp::UNIX_EPOCH);
    }
    catalog
}

fn agenda(answer: Option<&[(&str, u32)]>, backend: &str, applied: &Applied) -> Agenda {
    Agenda::new(&catalog(answer), &[rule(backend)], &target(), applied, &[], Timestamp::UNIX_EPOCH)
}

pub(super) fn record_of(agenda: &Agenda) -> Applied {
    let mut applied = Applied::default();
    for (backend, item) in &agenda.items {
        let seen = ObservedBackend::default();
        let moment = Moment {
            seen: &seen,
            applied: None,
            same_process: true,
            probes: &ProbeResults::new(),
            refusals: Refusals::none(),
            now: Timestamp::UNIX_EPOCH,
        };
        applied.backends.insert(backend.clone(), item.plan(&moment).applied);
    }
    applied
}

#[test]
fn at_first_every_backend_is_planned_and_another_answer_that_says_the_same_plans_none() {
    let made = || agenda(Some(&[("web", 2), ("api", 1)]), "{service}", &Applied::default());
    let first = made();
    assert_eq!(first.changed(&Agenda::default()).count(), 2);
    assert_eq!(made().changed(&first).count(), 0);
}

#[test]
fn whatever_changes_of_an_instance_its_backend_is_planned_again() {
    let made = |change: fn(&mut Instance)| {
        let mut one = Instance::at("10.0.0.1:80".parse().unwrap());
        change(&mut one);
        let snapshot =
            Snapshot { services: [("web".parse().unwrap(), vec![one].into())].into(), ..Snapshot::default() };
        let source: SourceName = "fleet".parse().unwrap();
        let mut catalog = Catalog::new([source.clone()]);
        catalog.accept(&source, SourceEvent::Full(Arc::new(snapshot)), Timestamp::UNIX_EPOCH);
        let rules = [rule("{service}")];
        Agenda::new(&catalog, &rules, &target(), &Applied::default(), &[], Timestamp::UNIX_EPOCH)
    };
    let before = made(|_| {});
    let changes: [fn(&mut Instance); 7] = [
        |one| one.id = "i-2".parse().unwrap(),
        |one| one.endpoint = "10.0.0.2:80".parse().unwrap(),
        |one| one.endpoint = "10.0.0.1:81".parse().unwrap(),
        |one| one.zone = Some("b".parse().unwrap()),
        |one| one.zone_share = Some(ZoneShare::new(10).unwrap()),
        |one| one.health = Health::Failing,
        |one| one.lifecycle = Lifecycle::Leaving,
    ];
    for (number, change) in changes.into_iter().enumerate() {
        assert_eq!(made(change).changed(&before).count(), 1, "change {number}");
    }
    assert_eq!(made(|_| {}).changed(&before).count(), 0);
}

#[test]
fn only_what_changed_is_planned_again() {
    let before = agenda(Some(&[("web", 2), ("api", 1)]), "{service}", &Applied::default());
    let after = agenda(Some(&[("web", 3), ("api", 1)]), "{service}", &Applied::default());
    let changed: Vec<&str> = after.changed(&before).map(BackendName::as_str).collect();
    assert_eq!(changed, ["web"]);
}

#[test]
fn nothing_changes_while_no_source_speaks_but_another_rule_does() {
    let known = catalog(Some(&[("web", 2), ("api", 1)]));
    let agenda = |rules: &[Rule]| {
        Agenda::new(&known, rules, &target(), &Applied::default(), &[], Timestamp::UNIX_EPOCH)
    };
    let before = agenda(&[rule("{service}")]);
    assert_eq!(agenda(&[rule("{service}")]).changed(&before).count(), 0);
    let other = Rule { own: Own::Whole, ..rule("{service}") };
    assert_eq!(agenda(&[other]).changed(&before).count(), 2);
}

#[test]
fn a_service_that_is_gone_is_taken_out_of_its_backend() {
    let applied = record_of(&agenda(Some(&[("web", 2)]), "{service}", &Applied::default()));
    let after = agenda(Some(&[]), "{service}", &applied);
    assert_eq!((&after.items["web"].grounds, after.items["web"].is_wanted()), (&Grounds::Absent, false));
    assert_eq!(after.items["web"].instances().count(), 0);
}

#[test]
fn a_backend_whose_source_has_not_answered_keeps_its_servers() {
    let applied = record_of(&agenda(Some(&[("web", 2)]), "{service}", &Applied::default()));
    let agenda = agenda(None, "{service}", &applied);
    let source = "fleet".parse().unwrap();
    assert_eq!(agenda.items["web"].grounds, Grounds::Nothing(Kept::NotHeard { source }));
}

#[test]
fn two_services_on_one_backend_are_told_and_the_first_has_it() {
    let agenda = agenda(Some(&[("web", 1), ("api", 1)]), "shared", &Applied::default());
    assert_eq!(agenda.items["shared"].exposure.service.service.as_str(), "api");
    assert!(agenda.unexposed[0].to_string().contains("backend shared already takes fleet/api"));
}
