//! What an operator reads when the file is wrong.

use insta::assert_snapshot;

use proptest::prelude::*;

use super::{COMPLETE, MINIMAL, errors, parse};

/// The errors of each entry of `expose`, appended to the smallest file.
fn exposures(entries: &[&str]) -> String {
    let one = |entry: &&str| format!("{entry}\n{}\n", errors(&format!("{MINIMAL}expose: {entry}")));
    entries.iter().map(one).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_file_with_many_errors_reports_them_all_in_one_go() {
    assert_snapshot!(errors(include_str!("files/wrong.yaml")));
}

#[test]
fn what_is_wrong_between_the_parts_is_reported_with_its_place_too() {
    assert_snapshot!(errors(include_str!("files/contradictory.yaml")));
}

#[test]
fn each_wrong_exposure_says_what_to_do() {
    assert_snapshot!(exposures(&[
        "[]",
        "[{}, {}]",
        "[{ on: [] }]",
        "[{ on: [local, local] }]",
        "[{ backend: '' }]",
        "[{ backend: 'web {service}' }]",
        "[{ backend: 'web-{slot}' }]",
        "[{ backend: { name: '{servce}' } }]",
        "[{ backend: { name: 'aws-{service}', claim: named } }]",
        "[{ each: fleet, backend: { name: '{service}', claim: named } }]",
        "[{ slots: { names: 'srv' } }]",
        "[{ slots: { growth: { linear: 0 } } }]",
        "[{ slots: { growth: { exponential: 1 } } }]",
        "[{ slots: { growth: 2 } }]",
        "[{ slots: { growth: { linear: 2, exponential: 2 } } }]",
        "[{ slots: { growth: { cubic: 2 } } }]",
        "[{ slots: { growth: { exponential: 2 } } }]",
        "[{ slots: { parking: localhost:1 } }]",
        "[{ select: {} }]",
        "[{ select: { metadata: { env: [] } } }]",
        "[{ zone: { others: never } }]",
        "[{ zone: { local: a, others: { weight: 300 } } }]",
        "[{ weight: 257 }]",
        "[{ bring_up: probed }]",
        "[{ guard: no }]",
        "[{ guard: { max_removal: 0.3 } }]",
        "[{ drain: 60s }]",
        "[{ slow_start: { from: 0%, over: 0s, steps: 0 } }]",
        "[{ server: { inter: 2s } }]",
        "[{ server: { check: true, inter: 0s } }]",
        "[{ server: { ssl: {} } }]",
        "[{ server: { ssl: { verify: none, ca_file: /x } } }]",
        "[{ probe: { http_path: 'health check' } }]",
        "[{ service: web }]",
        "[{ service: [fleet/web, fleet/api], backend: web }]",
        "[{ service: fleet/web }, { service: [fleet/api, fleet/web] }]",
        "[{ each: fleet }, { service: fleet/web }]",
    ]));
}

#[test]
fn a_narrow_rule_before_a_wide_one_is_no_contradiction() {
    parse(&format!("{MINIMAL}expose: [{{ service: fleet/web, weight: 1 }}, {{ each: fleet }}, {{}}]"))
        .unwrap();
}

#[test]
fn a_value_from_the_environment_is_in_no_error() {
    let text = "\
sources: { fleet: { file: { path: '${SECRET_NAME}', poll: '${SECRET_NAME}' } } }
targets: { local: { runtime: { tcp: '${SECRET_NAME}' } } }
expose:
  - { each: '${SECRET_NAME}', on: '${SECRET_NAME}', backend: 'web ${SECRET_NAME}', bring_up: '${SECRET_NAME}' }
  - { service: '${SECRET_NAME}', slots: { names: '${SECRET_NAME}' }, guard: '${SECRET_NAME}' }
";
    let first = errors(text);
    let second = errors(&format!(
        "{MINIMAL}expose: [{{ each: '${{SECRET_NAME}}', on: [local, '${{SECRET_NAME}}'] }}]"
    ));
    assert_snapshot!(format!("{first}\n\n{second}"));
    assert!(!first.contains("hunter2") && !second.contains("hunter2"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Nearly right files reach further than noise does.
    #[test]
    fn a_file_damaged_anywhere_is_refused_or_read_and_never_a_panic(
        at in 0..COMPLETE.len(),
        length in 0_usize..30,
        instead in prop::sample::select(vec!["", "x", ": ", "\n", "- ", "{", "}", "[]", "{}", "~", "'", "${A", "${AZ}", "-1", "é"]),
    ) {
        let damaged: String = COMPLETE.chars().take(at).chain(instead.chars()).chain(COMPLETE.chars().skip(at + length)).collect();
        if let Err(problems) = parse(&damaged) {
            let lines = damaged.lines().count() + 1;
            prop_assert!(problems.iter().all(|problem| problem.at.line <= lines), "{}", problems);
        }
    }
}
