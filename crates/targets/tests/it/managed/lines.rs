//! Whether every converter and fetch of each real HAProxy was decided on: taken in a service's lines, or not.

use std::collections::BTreeSet;
use std::process::Command;

use roster_haproxy::render::{Place, RawLine};
use roster_testkit::{HaproxyBin, OrFail};

const TAKEN: &str = include_str!("lines/taken.txt");

fn taken() -> BTreeSet<&'static str> {
    TAKEN.lines().filter(|line| !line.starts_with('#')).flat_map(str::split_whitespace).collect()
}

/// The names that HAProxy lists by itself (`-dK`, since 2.6).
fn names(bin: &HaproxyBin) -> BTreeSet<String> {
    let listed =
        Command::new(bin.path()).args(["-dKcnv,smp", "-c", "-q", "-f", "/dev/null"]).output().or_fail();
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let name = |line: &str| {
        // Before a fetch stands where it can be used, between brackets.
        let line = line.rsplit_once(" ] ").map_or(line, |(_, line)| line);
        line.split(['(', ':', ' ']).next().unwrap_or_default().to_owned()
    };
    lines.map(name).filter(|name| !name.is_empty()).collect()
}

/// Whether a line is taken that calls a converter or fetch of this name in any of the ways that HAProxy reads.
fn is_taken(name: &str) -> bool {
    [format!("{name}(x)"), format!("str(a),{name}(x)"), format!("str(a),{name}(x,y),lower")].into_iter().all(
        |call| {
            let line = format!("http-request set-header X %[{call}]");
            RawLine::new(Place::Backend, &line).is_ok()
        },
    )
}

#[test]
fn every_converter_and_fetch_of_haproxy_is_decided_on() {
    let taken = taken();
    for bin in HaproxyBin::each() {
        let names = names(&bin);
        assert!(names.len() > 300, "{bin} lists {} names", names.len());
        for name in &names {
            assert_eq!(is_taken(name), taken.contains(name.as_str()), "{name} of {bin}");
        }
    }
}

#[test]
fn what_reads_files_is_refused_by_family_so_that_newer_names_are_too() {
    let newer =
        ["jwt_verify_cert", "jwt_decrypt_cert", "jwt_decrypt_jwk", "jwt_decrypt_secret", "map_new_int"];
    for name in newer.into_iter().chain(["env", "debug", "map", "map_str", "jwt_verify"]) {
        assert!(!is_taken(name), "{name}");
    }
}
