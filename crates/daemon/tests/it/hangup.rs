//! SIGHUP: what the configuration changes is stopped and started, and nothing else.

use std::fs;

use roster_testkit::{Haproxy, OrFail, Poll, wait_until_or_fail};

use crate::rig::{CAP, Daemon, Rig, THREE_SLOTS, one_version};

const EXPOSE: &str = "expose: [ { each: fleet, bring_up: registry }, { each: other, bring_up: registry } ]\n";

/// A configuration of two sources and two targets. `poll` is that of the second source, `timeout` that of the second target.
fn configure(rig: &Rig, second: &Haproxy, poll: &str, timeout: &str) {
    let (one, two) = (rig.haproxy.socket(), second.socket());
    let text = format!(
        "sources:\n  fleet: {{ file: {{ path: services.yaml }} }}\n  \
         other: {{ file: {{ path: other.yaml, poll: {poll} }} }}\n\
         targets:\n  local: {{ runtime: {{ socket: {}, timeout: 2s }} }}\n  \
         second: {{ runtime: {{ socket: {}, timeout: {timeout} }} }}\n\
         log: {{ level: debug }}\nadmin: off\n{EXPOSE}",
        one.display(),
        two.display(),
    );
    fs::write(rig.config(), text).unwrap();
}

/// How often each source was begun, and each target looked at for the first time.
fn begun(daemon: &Daemon) -> [usize; 4] {
    let log = daemon.log();
    let lines =
        |says: &str, of: &str| log.lines().filter(|line| line.contains(says) && line.contains(of)).count();
    let source = |name: &str| lines("the file is watched", &format!("source={name} "));
    let target = |name: &str| lines("read ahead", &format!("target={name} "));
    [source("fleet"), source("other"), target("local"), target("second")]
}

#[test]
fn a_hangup_restarts_the_sources_and_targets_that_changed_and_no_others() {
    let rig = Rig::new(&one_version(), THREE_SLOTS, EXPOSE);
    let second = Haproxy::builder(&one_version()).config(THREE_SLOTS).start().or_fail();
    fs::write(rig.folder().join("other.yaml"), "services: {}\n").unwrap();
    rig.web(&[8001]);
    configure(&rig, &second, "30s", "2s");
    let daemon = rig.run();
    rig.until_ready("web", &[("srv1", 8001)]);
    let until = |wanted: [usize; 4]| {
        wait_until_or_fail(CAP, &format!("{wanted:?} begun"), || {
            Poll::when(begun(&daemon), |begun| *begun == wanted)
        });
    };
    until([1, 1, 1, 1]);
    daemon.hang_up();
    configure(&rig, &second, "20s", "2s");
    daemon.hang_up();
    until([1, 2, 1, 1]);
    configure(&rig, &second, "20s", "3s");
    daemon.hang_up();
    until([1, 2, 1, 2]);
    // All of it goes on.
    rig.web(&[8001, 8002]);
    rig.until_ready("web", &[("srv1", 8001), ("srv2", 8002)]);
    assert_eq!(begun(&daemon), [1, 2, 1, 2]);
    assert_eq!(daemon.stop(), Some(0));
}
