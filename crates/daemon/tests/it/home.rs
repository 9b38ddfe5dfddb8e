//! Where no state folder is named each configuration has its own.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;

use roster_testkit::{OrFail, Poll, wait_until_or_fail};
use rustix::process::Signal;

use crate::rig::{
    CAP, Daemon, Ended, Rig, THREE_SLOTS, all_versions, ended, homeless, one_version, roster, up_and_down,
};

const BY_PROBE: &str = "expose: [ { each: fleet, bring_up: probe, probe: { interval: 100ms } } ]\n";

fn rig() -> Rig {
    Rig::new(&one_version(), &THREE_SLOTS.replace(" check inter 200ms", ""), BY_PROBE)
}

/// The folders that configurations have in this rig's home.
fn folders(rig: &Rig) -> Vec<PathBuf> {
    let home = fs::read_dir(rig.folder().join("home/roster"));
    home.into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn what_once_could_not_finish_is_finished_by_the_next_one_and_no_operators_doing() {
    let rig = rig();
    let (_up, down) = up_and_down(&rig);
    let once = rig.bare(&["once", "--timeout", "1"]);
    assert_eq!(once.code, Some(1), "{once:?}");
    let explained = rig.bare(&["explain", "web/srv2"]).out;
    assert!(explained.contains("is being brought up by probe"), "{explained}");
    let plan = rig.bare(&["plan"]);
    assert!(
        plan.out.contains("web/srv2 127.0.0.1:") && plan.out.contains(": rising (probe)"),
        "{}",
        plan.out
    );
    let _listener = TcpListener::bind(("127.0.0.1", down)).unwrap();
    let again = rig.bare(&["once"]);
    assert_eq!(again.code, Some(0), "{again:?}");
    assert_eq!(rig.ready("web").len(), 2);
}

#[test]
fn once_that_is_told_to_stop_ends_and_leaves_its_work_to_the_next_roster() {
    let rig = rig();
    let (_up, down) = up_and_down(&rig);
    let mut once = rig.start("once", &[]);
    once.until_log("last try: connection refused");
    once.signal(Signal::INT);
    assert_eq!(once.ended(), Some(1));
    assert!(once.log().contains("told to stop"), "{}", once.log());
    let daemon = rig.run_with(&[]);
    daemon.until_log("was not reached");
    let _listener = TcpListener::bind(("127.0.0.1", down)).unwrap();
    wait_until_or_fail(CAP, "both servers", || Poll::when(rig.ready("web"), |ready| ready.len() == 2));
}

#[test]
fn an_operators_weight_and_maintenance_stay_over_a_restart_of_roster() {
    let rig = Rig::new(
        &one_version(),
        &THREE_SLOTS.replace(" check inter 200ms", ""),
        "expose: [ { bring_up: registry } ]\n",
    );
    rig.web(&[8001, 8002, 8003]);
    let daemon = rig.run_with(&[]);
    rig.until_ready("web", &[("srv1", 8001), ("srv2", 8002), ("srv3", 8003)]);
    daemon.until_log("HAProxy shows what is wanted");
    rig.haproxy.cli("set server web/srv1 weight 7").or_fail();
    rig.haproxy.cli("set server web/srv2 state maint").or_fail();
    assert_eq!(daemon.stop(), Some(0));
    let daemon = rig.run_with(&[]);
    daemon.until_log("HAProxy answers");
    let status = rig.bare(&["status"]).out;
    assert!(status.contains("operator (weight)") && status.contains("operator (maint)"), "{status}");
    assert_eq!(rig.haproxy.server("web", "srv1").or_fail().uweight, 7);
}

#[test]
fn each_configuration_has_one_folder_and_only_one_roster() {
    let rig = rig();
    let daemon = rig.run_with(&[]);
    daemon.until_log("running");
    let second = rig.bare(&["run"]);
    assert_eq!(second.code, Some(1), "{second:?}");
    assert_eq!(folders(&rig).len(), 1);
    let other = rig.folder().join("other.yaml");
    fs::write(&other, fs::read_to_string(rig.config()).unwrap()).unwrap();
    let once = roster(&["once", "-c", other.to_str().unwrap()]);
    assert!(!once.err.contains("runs by this configuration"), "{once:?}");
    assert_eq!(folders(&rig).len(), 2);
}

#[test]
fn looking_makes_no_folder() {
    let rig = rig();
    for words in [
        vec!["plan"],
        vec!["status"],
        vec!["explain", "x"],
        vec!["check"],
        vec!["compact"],
        vec!["release", "web"],
    ] {
        rig.bare(&words);
        assert_eq!(folders(&rig), Vec::<PathBuf>::new(), "{words:?}");
    }
}

/// Runs a command that can have no folder.
fn without(rig: &Rig, words: &[&str]) -> Ended {
    let config = rig.config();
    ended(&mut homeless(&[words, &["-c", config.to_str().unwrap()]].concat()))
}

fn run_without(rig: &Rig) -> Daemon {
    let config = rig.config();
    Daemon::start(homeless(&["run", "-c", config.to_str().unwrap()]), rig.folder().join("roster.log"))
}

#[test]
fn without_any_folder_too_unfinished_work_is_told_from_an_operators_doing() {
    for bin in all_versions() {
        let sections = THREE_SLOTS.replace(" check inter 200ms", "");
        for expose in [BY_PROBE, &BY_PROBE.replace("expose: [ {", "expose: [ { slots: { names: 'x{slot}' },")]
        {
            let rig = Rig::new(&bin, &sections, expose);
            let (_up, down) = up_and_down(&rig);
            let once = without(&rig, &["once", "--timeout", "1"]);
            assert_eq!(once.code, Some(1), "{bin}: {once:?}");
            let what = format!("127.0.0.1:{down}");
            let explained = without(&rig, &["explain", &what]).out;
            assert!(explained.contains("is being brought up by probe"), "{bin}: {explained}");
            assert!(without(&rig, &["plan"]).out.contains(": rising (probe)"), "{bin}");
            let _listener = TcpListener::bind(("127.0.0.1", down)).unwrap();
            let again = without(&rig, &["once"]);
            assert_eq!(again.code, Some(0), "{bin}: {again:?}");
            assert_eq!(rig.ready("web").len(), 2, "{bin}");
        }
    }
}

#[test]
fn without_any_folder_too_what_an_operator_did_stays() {
    let sections = THREE_SLOTS.replace(" check inter 200ms", "");
    let rig = Rig::new(&one_version(), &sections, "expose: [ { bring_up: registry } ]\n");
    rig.web(&[8001, 8002, 8003]);
    let daemon = run_without(&rig);
    daemon.until_log("no state folder");
    daemon.until_log("HAProxy shows what is wanted");
    daemon.until_log("HAProxy answers");
    rig.haproxy.cli("set server web/srv1 weight 7").or_fail();
    rig.haproxy.cli("set server web/srv2 state maint").or_fail();
    assert_eq!(daemon.stop(), Some(0));
    let daemon = run_without(&rig);
    rig.web(&[8001, 8002]);
    rig.until_ready("web", &[("srv1", 8001)]);
    assert_eq!(rig.haproxy.server("web", "srv1").or_fail().uweight, 7, "{}", daemon.log());
    // What was begun is told from that: the source wants it back.
    rig.haproxy.cli("set server web/srv2 state ready").or_fail();
    rig.until_ready("web", &[("srv1", 8001), ("srv2", 8002)]);
}

#[test]
fn without_any_folder_maintenance_that_nobody_noted_is_an_operators() {
    let rig = rig();
    rig.web(&[8001]);
    rig.haproxy.cli("set server web/srv1 addr 127.0.0.1 port 8001").or_fail();
    let once = without(&rig, &["once"]);
    assert_eq!(once.code, Some(0), "{once:?}");
    assert!(rig.ready("web").is_empty());
    assert!(without(&rig, &["status"]).out.contains("operator (maint)"));
}
