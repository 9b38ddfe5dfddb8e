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

#[test]
fn a_name_that_nothing_has_is_told_beside_a_key_that_does_not_fit() {
    let text = "sources:\n  fleet: { file: { path: a.yaml, fromat: roster } }\n\
                targets:\n  local: { runtime: { socket: /run/a.sock, timeout: soon } }\n\
                expose:\n  - { each: flet, service_: x }\n  - { service: [fleet/web, flet/api], on: [local, locl] }\n  \
                - { each: fleet, on: local }\nlog: { level: loud }\n";
    let told = errors(text);
    for one in [
        "roster.yaml:2:34: unknown key `fromat`",
        "roster.yaml:4:53: `timeout`",
        "roster.yaml:6:13: there is no source `flet` (did you mean `fleet`?)",
        "roster.yaml:6:19: unknown key `service_`",
        "roster.yaml:7:28: there is no source `flet`",
        "roster.yaml:7:51: there is no target `locl` (did you mean `local`?)",
        "roster.yaml:9:15: unknown value `loud` for `level`",
        "7 errors; nothing was applied",
    ] {
        assert!(told.contains(one), "no {one:?} in\n{told}");
    }
}

#[test]
fn what_is_wrong_between_sound_parts_is_told_beside_what_does_not_fit() {
    let told = errors(&format!("{MINIMAL}expose: [{{ each: flet, service: fleet/web }}]\nmetrics: true\n"));
    for one in
        ["unknown key `metrics`", "`each` and `service` are both given", "2 errors; nothing was applied"]
    {
        assert!(told.contains(one), "no {one:?} in\n{told}");
    }
    let told =
        errors(&format!("{MINIMAL}expose: [{{ on: locl, fallback: {{ backend: b }} }}]\nmetrics: true\n"));
    for one in ["there is no target `locl`", "there is no `select`", "3 errors; nothing was applied"] {
        assert!(told.contains(one), "no {one:?} in\n{told}");
    }
}

#[test]
fn a_source_that_does_not_fit_is_no_unknown_source() {
    let told = errors(
        "sources: { fleet: { fiel: {} } }\ntargets: { local: { runtime: { socket: /run/a.sock } } }\nexpose: [{ each: fleet }]\n",
    );
    assert!(told.ends_with("1 error; nothing was applied"), "{told}");
    let told = errors(
        "sources: []\ntargets: { local: { runtime: { socket: /run/a.sock } } }\nexpose: [{ each: fleet }]\n",
    );
    assert!(told.ends_with("1 error; nothing was applied"), "{told}");
}
