use std::sync::Arc;

use jiff::Timestamp;
use roster_haproxy::name::SourceName;

use super::*;
use crate::exposure::{Own, Policy, Selector};
use crate::instance::{Snapshot, SourceEvent};
use crate::slots::SlotScheme;

const FILE: &str = "\
global

# Kept by Roster: service aws/shop/8080/us-east-2
backend aws-shop-8080-us-east-2
  server srv1 10.0.0.1:8080
  server srv2 127.0.0.1:80 disabled

# Kept by Roster: service other/shop/8080/us-east-2
backend aws-other-8080-us-east-2
  server srv1 10.0.0.1:8080

backend aws-old-8080-us-east-2
  server srv1 10.0.0.2:8080

backend aws-mixed-8080-us-east-2
  server srv1 10.0.0.3:8080
  server canary 10.0.0.4:8080

backend aws-empty-8080-us-east-2

backend aws-template-8080-us-east-2
  server-template srv 3 10.0.0.5:8080

backend web
  server srv1 10.0.0.6:8080

listen aws-listen-8080-us-east-2
  bind :81
  server srv1 10.0.0.7:8080
";

fn rule(claim: Claim) -> Rule {
    Rule {
        services: Services::Each("aws".parse().unwrap()),
        targets: ["edge".parse().unwrap()].into(),
        backend: "aws-{service}-{port}-{region}".parse().unwrap(),
        own: Own::Servers,
        claim,
        slots: SlotScheme::default(),
        select: Selector::default(),
        fallback: None,
        layout: Arc::default(),
        policy: Policy::default(),
    }
}

fn catalog(from_disk: bool) -> Catalog {
    let (aws, other): (SourceName, SourceName) = ("aws".parse().unwrap(), "other".parse().unwrap());
    let mut catalog = Catalog::new([aws.clone(), other]);
    if from_disk {
        catalog.restore(&aws, Arc::default());
    } else {
        catalog.accept(&aws, SourceEvent::Full(Arc::default()), Timestamp::UNIX_EPOCH);
    }
    catalog
}

/// Which backends are emptied, and of which service they were.
fn emptied(catalog: &Catalog, claim: Claim) -> Vec<(String, String)> {
    let found = found(&FileView::read(FILE));
    let vanished = vanished(&found, catalog, &[rule(claim)], &"edge".parse().unwrap());
    vanished.iter().map(|one| (one.backend.to_string(), one.service.to_string())).collect()
}

fn pairs(wanted: &[(&str, &str)]) -> Vec<(String, String)> {
    wanted.iter().map(|(backend, service)| ((*backend).to_owned(), (*service).to_owned())).collect()
}

#[test]
fn a_marked_backend_whose_service_is_gone_is_rosters_and_no_other_one_is() {
    let wanted = pairs(&[("aws-shop-8080-us-east-2", "aws/shop/8080/us-east-2")]);
    assert_eq!(emptied(&catalog(false), Claim::Marked), wanted);
}

#[test]
fn where_names_count_a_backend_of_slots_only_is_rosters_too() {
    let wanted = pairs(&[
        ("aws-shop-8080-us-east-2", "aws/shop/8080/us-east-2"),
        ("aws-old-8080-us-east-2", "aws/old/8080/us-east-2"),
    ]);
    assert_eq!(emptied(&catalog(false), Claim::Named), wanted);
}

#[test]
fn before_the_source_has_spoken_nothing_is_gone() {
    assert_eq!(emptied(&catalog(true), Claim::Named), []);
}

#[test]
fn on_another_target_no_name_counts() {
    let found = found(&FileView::read(FILE));
    assert!(vanished(&found, &catalog(false), &[rule(Claim::Named)], &"far".parse().unwrap()).is_empty());
}

#[test]
fn a_service_that_is_known_keeps_its_backend() {
    let snapshot = Snapshot {
        services: [("shop/8080/us-east-2".parse().unwrap(), Vec::new().into())].into(),
        definitions: [(
            "shop/8080/us-east-2".parse().unwrap(),
            fleet::definition(&"shop/8080/us-east-2".parse().unwrap()).unwrap(),
        )]
        .into(),
        ..Snapshot::default()
    };
    let source: SourceName = "aws".parse().unwrap();
    let mut catalog = Catalog::new([source.clone()]);
    catalog.accept(&source, SourceEvent::Full(Arc::new(snapshot)), Timestamp::UNIX_EPOCH);
    let found = found(&FileView::read(FILE));
    let agenda = crate::agenda::Agenda::new(
        &catalog,
        &[rule(Claim::Named)],
        &"edge".parse().unwrap(),
        &crate::applied::Applied::default(),
        &found,
        Timestamp::UNIX_EPOCH,
    );
    let with_layout: Vec<(&str, bool)> =
        agenda.items.iter().map(|(name, item)| (name.as_str(), item.exposure.layout.is_some())).collect();
    assert_eq!(with_layout, [("aws-old-8080-us-east-2", false), ("aws-shop-8080-us-east-2", true)]);
    assert!(agenda.items.values().all(|item| item.instances().next().is_none() && item.is_wanted()));
}
