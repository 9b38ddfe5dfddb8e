//! What survives a restart of Roster, and what happens when it cannot be kept.

use std::fs;

use roster_testkit::{OrFail, Poll, wait_until_or_fail};

use crate::rig::{CAP, Rig, THREE_SLOTS, one_version};

const AT_ONCE: &str = "expose: [ { each: fleet, bring_up: registry, drain: { cap: 0s } } ]\n";

fn filled() -> Rig {
    let rig = Rig::new(&one_version(), THREE_SLOTS, AT_ONCE);
    rig.web(&[8001, 8002]);
    let daemon = rig.run();
    rig.until_ready("web", &[("srv1", 8001), ("srv2", 8002)]);
    wait_until_or_fail(CAP, "the answer to be kept", || rig.state().join("sources/fleet.state").exists());
    assert_eq!(daemon.stop(), Some(0));
    rig
}

#[test]
fn what_a_source_said_last_fills_a_restarted_haproxy_while_the_source_is_gone() {
    let mut rig = filled();
    fs::remove_file(rig.folder().join("services.yaml")).unwrap();
    rig.haproxy.restart().or_fail();
    let daemon = rig.run();
    rig.until_ready("web", &[("srv1", 8001), ("srv2", 8002)]);
    daemon.until_log("the last good answer stays");
    rig.web(&[8002, 8003]);
    rig.until_ready("web", &[("srv2", 8002), ("srv3", 8003)]);
}

#[test]
fn an_answer_that_is_too_old_is_not_believed() {
    let mut rig = filled();
    fs::remove_file(rig.folder().join("services.yaml")).unwrap();
    rig.haproxy.restart().or_fail();
    rig.configure(&format!("last_good: {{ max_age: 1ms }}\n{AT_ONCE}"));
    let daemon = rig.run();
    daemon.until_log("is older than `last_good.max_age`");
    daemon.until_log("nothing is done until it answers");
    assert!(rig.ready("web").is_empty());
}

#[test]
fn servers_keep_their_slots_over_a_restart_of_both() {
    let mut rig = filled();
    rig.web(&[8002]);
    rig.haproxy.restart().or_fail();
    let _daemon = rig.run();
    rig.until_ready("web", &[("srv2", 8002)]);
}

#[test]
fn a_damaged_record_is_left_aside_and_traffic_goes_on() {
    let rig = filled();
    let record = rig.state().join("applied/local/backends/web.state");
    fs::write(&record, "nonsense").unwrap();
    let daemon = rig.run();
    daemon.until_log("is damaged");
    rig.web(&[8001, 8002, 8003]);
    rig.until_ready("web", &[("srv1", 8001), ("srv2", 8002), ("srv3", 8003)]);
    assert!(!daemon.log().contains("state maint"), "a server was taken out: {}", daemon.log());
    assert!(record.with_extension("damaged").exists());
}

#[test]
fn a_state_folder_that_takes_nothing_is_told_and_holds_nothing_up() {
    let rig = filled();
    // As with a full disk, no file can be written in the folder of records.
    let records = rig.state().join("applied/local/backends");
    fs::remove_dir_all(&records).unwrap();
    fs::write(&records, "in the way").unwrap();
    let daemon = rig.run();
    rig.web(&[8001, 8002, 8003]);
    rig.until_ready("web", &[("srv1", 8001), ("srv2", 8002), ("srv3", 8003)]);
    daemon.until_log("check the state folder's owner, mode and free space");
    fs::remove_file(&records).unwrap();
    rig.web(&[8001, 8003]);
    rig.until_ready("web", &[("srv1", 8001), ("srv3", 8003)]);
    wait_until_or_fail(CAP, "the record to be kept again", || records.join("web.state").exists());
}

#[test]
fn a_backend_whose_service_is_gone_is_emptied_and_then_forgotten() {
    let rig = filled();
    let daemon = rig.run();
    daemon.until_log("running");
    rig.services("services: {}\n");
    daemon.until_log("2 of 2 servers would leave");
    assert_eq!(rig.ready("web").len(), 2, "it is no more than an empty answer");
    assert_eq!(rig.roster(&["release", "web"]).code, Some(0));
    rig.until_ready("web", &[]);
    let record = rig.state().join("applied/local/backends/web.state");
    wait_until_or_fail(CAP, "its record to be dropped", || !record.exists());
    for name in ["srv1", "srv2"] {
        assert_eq!(rig.haproxy.server("web", name).or_fail().port, 1);
    }
}

#[test]
fn a_weight_rises_after_bring_up() {
    let expose = "expose: [ { each: fleet, bring_up: registry, weight: 100, \
                  slow_start: { from: 10%, over: 3s, steps: 3 } } ]\n";
    let rig = Rig::new(&one_version(), THREE_SLOTS, expose);
    rig.web(&[8001]);
    let _daemon = rig.run();
    let weight = || rig.haproxy.server("web", "srv1").or_fail().uweight;
    wait_until_or_fail(CAP, "the first weight", || Poll::when(weight(), |weight| *weight == 10));
    wait_until_or_fail(CAP, "a weight between", || Poll::when(weight(), |weight| (11..100).contains(weight)));
    wait_until_or_fail(CAP, "the full weight", || Poll::when(weight(), |weight| *weight == 100));
}

#[test]
fn instances_of_other_zones_are_backups_in_slots_of_their_own() {
    let expose = "expose: [ { each: fleet, bring_up: registry, zone: { local: a, others: backup } } ]\n";
    let rig = Rig::new(&one_version(), THREE_SLOTS, expose);
    rig.services(
        "services:\n  web:\n    - { address: \"127.0.0.1:8001\", zone: a }\n    \
         - { address: \"127.0.0.1:8002\", zone: b }\n",
    );
    let _daemon = rig.run();
    rig.until_ready("web", &[("srv1", 8001), ("srv4", 8002)]);
    let stat = rig.haproxy.cli("show stat -1 4 -1").or_fail();
    let row = stat.lines().find(|line| line.starts_with("web,srv4,")).unwrap();
    assert_eq!(row.split(',').nth(20), Some("1"), "srv4 is no backup: {row}");
}

#[test]
fn once_keeps_what_a_source_said_for_the_next_time() {
    let mut rig = Rig::new(&one_version(), THREE_SLOTS, AT_ONCE);
    rig.web(&[8001]);
    assert_eq!(rig.roster(&["once"]).code, Some(0));
    fs::remove_file(rig.folder().join("services.yaml")).unwrap();
    rig.haproxy.restart().or_fail();
    let again = rig.roster(&["once"]);
    assert_eq!(again.code, Some(1), "a source is down: {again:?}");
    assert!(again.err.contains("the last good answer stays"), "{}", again.err);
    assert_eq!(rig.ready("web"), [("srv1".into(), 8001)]);
}
