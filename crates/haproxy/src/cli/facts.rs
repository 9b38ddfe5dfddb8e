//! `docs/haproxy-facts.md` names every field that HAProxy's answers have, and no other.

use std::collections::BTreeSet;

const PAGE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/haproxy-facts.md"));
/// Recorded: the names of all fields of three answers.
const RECORDED: [&str; 4] = [
    include_str!("fixtures/fields-2.6.txt"),
    include_str!("fixtures/fields-2.8.txt"),
    include_str!("fixtures/fields-3.0.txt"),
    include_str!("fixtures/fields-3.2.txt"),
];

/// The names in the table under a heading.
fn named(heading: &str) -> BTreeSet<&'static str> {
    let (_, rest) = PAGE.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = rest.split("\n## ").next().unwrap();
    let cells = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once(" |"));
    cells.flat_map(|(cell, _)| cell.split(", ").map(|name| name.trim_matches('`'))).collect()
}

/// The fields that an answer has in any version.
fn fields(heading: &str) -> BTreeSet<&'static str> {
    let one = |text: &'static str| {
        let (_, rest) = text.split_once(&format!("{heading}\n")).unwrap();
        let lines = rest.lines().take_while(|line| !line.starts_with("show "));
        let names = lines.flat_map(|line| match line.strip_prefix("# ") {
            Some(header) => header.split([' ', ',']).collect::<Vec<_>>(),
            None => vec![line],
        });
        names.filter(|name| !name.is_empty() && *name != "-").collect::<Vec<_>>()
    };
    RECORDED.into_iter().flat_map(one).collect()
}

#[test]
fn every_field_that_haproxy_shows_is_in_the_table_and_no_other() {
    for heading in ["show servers state", "show stat", "show info"] {
        let (named, fields) = (named(heading), fields(heading));
        assert!(fields.len() > 20, "{heading}: {fields:?}");
        let is_of = |field: &str, name: &str| match name.strip_suffix('*') {
            Some(family) => field.starts_with(family),
            None => field == name,
        };
        let unnamed: Vec<_> =
            fields.iter().filter(|field| !named.iter().any(|name| is_of(field, name))).collect();
        assert!(unnamed.is_empty(), "{heading}: the page does not name {unnamed:?}");
        let unknown: Vec<_> =
            named.iter().filter(|name| !fields.iter().any(|field| is_of(field, name))).collect();
        assert!(unknown.is_empty(), "{heading}: HAProxy does not show {unknown:?}");
    }
}
