//! `roster compact`: spare slots go when an operator asks for it. Behind a Data Plane API: `dataplane/compact.rs`.

mod managed;

use roster_testkit::{Haproxy, OrFail, Poll, wait_until_or_fail};
use serde_json::Value;

use crate::rig::{CAP, Daemon, Rig, all_versions, one_version};

const EIGHT_SLOTS: &str = "\
frontend www
    bind 127.0.0.1:{port:web}
    default_backend web
backend web
    server-template srv 1-8 127.0.0.1:1 disabled
backend api
    server-template srv 1-2 127.0.0.1:1 disabled
";

/// Three slots at least; who leaves, leaves at once.
const THREE: &str =
    "expose: [ { each: fleet, bring_up: registry, drain: { cap: 0s }, guard: off, slots: { base: 3 } } ]\n";

fn slots(haproxy: &Haproxy, backend: &str) -> Vec<String> {
    haproxy.servers(backend).unwrap_or_default().into_iter().map(|row| row.name).collect()
}

/// A rig with two instances in eight slots, and a roster that has put them there.
fn settled(rig: &Rig) -> Daemon {
    rig.web(&[8001, 8002]);
    let daemon = rig.run();
    rig.until_ready("web", &[("srv1", 8001), ("srv2", 8002)]);
    daemon
}

#[test]
fn spare_slots_are_shown_first_and_go_only_by_order_and_come_back_by_need() {
    for bin in all_versions() {
        eprintln!("on {bin}");
        let mut rig = Rig::new(&bin, EIGHT_SLOTS, THREE);
        let daemon = settled(&rig);
        let pid = rig.haproxy.pid();
        let shown = rig.roster(&["compact"]);
        assert_eq!(shown.code, Some(2), "{shown:?}");
        let (listed, apply) = shown.out.split_at(shown.out.find('`').unwrap());
        assert_eq!(
            listed,
            "local web: 8 slots, 3 wanted for 2 instances\n  would go live: srv8 srv7 srv6 srv5 srv4\n  \
             a restarted HAProxy has them again as long as its own file has them\n"
        );
        assert!(apply.starts_with("`roster compact --apply "), "{apply}");
        assert_eq!(slots(&rig.haproxy, "web").len(), 8, "showing it changed something");

        let done = rig.roster(&["compact", "web", "--target", "local", "--apply"]);
        assert_eq!(done.code, Some(0), "{done:?}\n{}", daemon.log());
        assert!(done.out.contains("  removed live: srv8 srv7 srv6 srv5 srv4\n"), "{}", done.out);
        assert_eq!(slots(&rig.haproxy, "web"), ["srv1", "srv2", "srv3"]);
        assert_eq!(slots(&rig.haproxy, "api").len(), 2, "a backend that nobody exposes lost its slots");
        daemon.until_log("5 spare servers removed, 3 slots are left");

        // The same world again: nothing to do, and nothing comes back.
        for words in [&["compact"][..], &["compact", "--apply"], &["plan"]] {
            let again = rig.roster(words);
            assert_eq!(again.code, Some(0), "{again:?}");
            assert!(again.out.starts_with("Nothing to do: "), "{again:?}");
        }
        assert_eq!(slots(&rig.haproxy, "web").len(), 3);

        rig.web(&[8001, 8002, 8003, 8004]);
        rig.until_ready("web", &[("srv1", 8001), ("srv2", 8002), ("srv3", 8003), ("srv4", 8004)]);
        assert_eq!(rig.haproxy.pid(), pid);
        rig.haproxy.restart().or_fail();
        rig.until_ready("web", &[("srv1", 8001), ("srv2", 8002), ("srv3", 8003), ("srv4", 8004)]);
        assert_eq!(slots(&rig.haproxy, "web").len(), 8, "HAProxy's own file still has them");
    }
}

#[test]
fn a_hole_and_what_comes_before_an_instance_stay() {
    let rig = Rig::new(&one_version(), EIGHT_SLOTS, THREE);
    rig.web(&[8001, 8002, 8003, 8004, 8005]);
    let _daemon = rig.run();
    let five: Vec<(String, u16)> = (1..=5).map(|n| (format!("srv{n}"), 8000 + n)).collect();
    wait_until_or_fail(CAP, "five servers", || Poll::when(rig.ready("web"), |ready| *ready == five));
    rig.web(&[8001, 8005]);
    rig.until_ready("web", &[("srv1", 8001), ("srv5", 8005)]);
    let done = rig.roster(&["compact", "-t", "local", "--apply"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.out.contains("  srv5 stays, and all before it: it is active\n"), "{}", done.out);
    assert_eq!(slots(&rig.haproxy, "web"), ["srv1", "srv2", "srv3", "srv4", "srv5"]);
    rig.web(&[8001, 8005, 8006]);
    rig.until_ready("web", &[("srv1", 8001), ("srv2", 8006), ("srv5", 8005)]);
}

#[test]
fn what_an_operator_put_into_maintenance_stays() {
    let rig = Rig::new(&one_version(), EIGHT_SLOTS, THREE);
    let _daemon = settled(&rig);
    rig.haproxy.cli("set server web/srv7 addr 10.0.0.7 port 80").or_fail();
    let done = rig.roster(&["compact", "--apply"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    let stays = "  srv7 stays, and all before it: it points to 10.0.0.7:80, where Roster did not point it\n";
    assert!(done.out.contains(stays), "{}", done.out);
    assert_eq!(slots(&rig.haproxy, "web").len(), 7);
    assert!(slots(&rig.haproxy, "web").contains(&"srv7".to_owned()));
}

#[test]
fn a_server_that_haproxy_does_not_let_go_is_told_and_those_before_it_stay() {
    let sections = EIGHT_SLOTS.replace(
        "    server-template srv 1-8",
        "    use-server srv6 if { path /six }\n    server-template srv 1-8",
    );
    for bin in all_versions() {
        eprintln!("on {bin}");
        let rig = Rig::new(&bin, &sections, THREE);
        let daemon = settled(&rig);
        let done = rig.roster(&["compact", "--apply"]);
        assert_eq!(done.code, Some(1), "{done:?}");
        assert!(done.out.contains("  removed live: srv8 srv7\n"), "{}", done.out);
        assert!(
            done.out.contains("  not done: srv6: the configuration refers to the server"),
            "{}",
            done.out
        );
        assert_eq!(slots(&rig.haproxy, "web"), ["srv1", "srv2", "srv3", "srv4", "srv5", "srv6"]);
        daemon.until_log("2 spare servers removed, 6 slots are left");
        rig.until_ready("web", &[("srv1", 8001), ("srv2", 8002)]);
        rig.web(&[8001, 8002, 8003]);
        rig.until_ready("web", &[("srv1", 8001), ("srv2", 8002), ("srv3", 8003)]);
    }
}

#[test]
fn where_no_server_can_be_added_live_the_slots_stay() {
    let sections = EIGHT_SLOTS
        .replace("    server-template srv 1-8", "    balance static-rr\n    server-template srv 1-8");
    let rig = Rig::new(&one_version(), &sections, THREE);
    let _daemon = settled(&rig);
    let done = rig.roster(&["compact", "--apply"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.out.contains("the balance algorithm takes no servers live"), "{}", done.out);
    assert_eq!(slots(&rig.haproxy, "web").len(), 8);
}

#[test]
fn without_a_running_roster_it_is_shown_and_not_done() {
    let rig = Rig::new(&one_version(), EIGHT_SLOTS, THREE);
    assert_eq!(settled(&rig).stop(), Some(0));
    let shown = rig.roster(&["compact", "web", "-t", "local"]);
    assert_eq!(shown.code, Some(2), "{shown:?}");
    assert!(shown.err.contains("no running roster found"), "{}", shown.err);
    assert!(shown.out.contains("would go live: srv8 srv7 srv6 srv5 srv4\n"), "{}", shown.out);
    let json: Value = serde_json::from_str(&rig.roster(&["compact", "--json"]).out).unwrap();
    let web = &json["targets"][0]["backends"]["web"];
    assert_eq!((&web["slots"], &web["wanted"], &web["how"]), (&8.into(), &3.into(), &"until_restart".into()));

    let done = rig.roster(&["compact", "--apply"]);
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(done.err.contains("no roster runs"), "{}", done.err);
    assert_eq!(slots(&rig.haproxy, "web").len(), 8);
}

#[test]
fn wrong_words_are_told_and_nothing_is_done() {
    let rig = Rig::new(&one_version(), EIGHT_SLOTS, THREE);
    let daemon = settled(&rig);
    for words in [&["compact", "web;x"][..], &["compact", "-t", "lo cal"], &["compact", "local", "web"]] {
        assert_eq!(rig.roster(words).code, Some(64), "{words:?}");
    }
    for (words, hint) in [
        (&["compact", "-t", "locla", "--apply"][..], "(did you mean local?)"),
        (&["compact", "wbe", "--apply"], "(did you mean web?)"),
    ] {
        let mistyped = rig.roster(words);
        assert_eq!(mistyped.code, Some(1), "{mistyped:?}");
        assert!(mistyped.err.contains(hint) || mistyped.out.contains(hint), "{mistyped:?}");
    }
    assert_eq!(slots(&rig.haproxy, "web").len(), 8, "{}", daemon.log());
    assert_eq!(daemon.stop(), Some(0));
    let alone = rig.roster(&["compact", "--apply"]);
    assert_eq!(alone.code, Some(1), "{alone:?}");
    assert!(alone.err.contains("no roster runs by this configuration"), "{}", alone.err);
}
