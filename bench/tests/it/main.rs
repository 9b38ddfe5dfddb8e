//! The benchmark itself still works: it runs whole with small numbers and prints every row.

use std::path::Path;
use std::process::Command;

#[test]
fn the_quick_run_measures_every_part_and_judges_each_target() {
    let bench = Path::new(env!("CARGO_BIN_EXE_roster-bench"));
    // The daemon's own tests build the program beside this one; alone, `cargo build -p roster` does.
    let output = Command::new(bench).arg("--quick").output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "build the program with `cargo build -p roster` first?\n{err}");
    for row in [
        "bulk: 50 servers ready",
        "one more among 50",
        "check inter",
        "at rest",
        "cold start",
        "under load",
        "API, ",
        "machines of a cloud, from tags to plans",
        "`--once`: nothing changed",
        "200 machines of a cloud, 3 listings",
    ] {
        assert!(out.contains(row), "no row {row:?} in\n{out}");
    }
    let load = out.lines().find(|line| line.contains("requests, failed, reloads")).unwrap();
    assert!(load.contains(", 0, 0 |"), "requests failed or HAProxy was reloaded: {load}");
    assert!(out.contains("targets were"), "no verdict in\n{out}");
}
