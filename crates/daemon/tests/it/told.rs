//! What is left out, held back, waited for or not known is said, and nothing else is taken for well.

use std::net::TcpListener;

use roster_testkit::{Haproxy, OrFail};
use rustix::process::Signal;
use serde_json::Value;

use crate::rig::{Rig, THREE_SLOTS, one_version, up_and_down};

const WELL: &str = "HAProxy shows what the sources say";
const SHOWN: &str = "HAProxy shows what is wanted";

fn rig(expose: &str) -> Rig {
    Rig::new(&one_version(), &THREE_SLOTS.replace(" check inter 200ms", ""), expose)
}

fn json(rig: &Rig) -> Value {
    serde_json::from_str(&rig.roster(&["plan", "--json"]).out).unwrap()
}

#[test]
fn entries_that_cannot_be_used_are_told_by_plan_and_not_counted_as_done_by_once() {
    let rig = rig("expose: [ { each: fleet, bring_up: registry } ]\n");
    rig.services("services: { web: [\"127.0.0.1:99999\", \"app.example.org:80\"] }\n");
    let plan = rig.roster(&["plan"]);
    assert_eq!(plan.code, Some(0), "there is nothing to change: {plan:?}");
    assert_eq!(plan.out.matches("source fleet: left out: ").count(), 2, "{}", plan.out);
    assert!(!plan.out.contains(WELL), "{}", plan.out);
    let json = json(&rig);
    assert_eq!(
        (json["rejects"].as_array().unwrap().len(), &json["complete"]),
        (2, &Value::Bool(false)),
        "{json}"
    );
    assert_eq!(json["rejects"][0]["source"], "fleet");
    assert_eq!(rig.roster(&["once"]).code, Some(1));
}

#[test]
fn a_source_that_does_not_answer_is_told_by_plan_with_what_stands_for_it() {
    let rig = rig("expose: [ { each: fleet, bring_up: registry } ]\n");
    rig.services("services:\n  web: [");
    let plan = rig.roster(&["plan"]);
    assert_eq!(plan.code, Some(1), "{plan:?}");
    assert!(plan.out.contains("source fleet: no answer"), "{}", plan.out);
    assert!(plan.out.contains("nothing is done until it answers"), "{}", plan.out);
    assert!(!plan.out.contains(WELL), "{}", plan.out);
    rig.web(&[8001]);
    assert_eq!(rig.roster(&["once"]).code, Some(0));
    rig.services("services:\n  web: [");
    let plan = rig.roster(&["plan"]);
    assert!(plan.out.contains("ago stands") && !plan.out.contains(WELL), "{}", plan.out);
    assert_eq!(json(&rig)["lost"][0]["source"], "fleet");
}

#[test]
fn what_a_guard_holds_back_and_an_operator_has_done_is_told_by_plan() {
    let rig = rig("expose: [ { each: fleet, bring_up: registry } ]\n");
    rig.web(&[8001, 8002, 8003]);
    assert_eq!(rig.roster(&["once"]).code, Some(0));
    rig.haproxy.cli("set server web/srv1 state maint").or_fail();
    let plan = rig.roster(&["plan"]);
    assert_eq!(plan.code, Some(0), "{plan:?}");
    assert!(plan.out.contains("local web/srv1 127.0.0.1:8001: operator (maint)"), "{}", plan.out);
    assert!(!plan.out.contains(WELL), "{}", plan.out);
    rig.haproxy.cli("set server web/srv1 state ready").or_fail();
    rig.web(&[8003]);
    let plan = rig.roster(&["plan"]);
    assert_eq!(plan.code, Some(0), "{plan:?}");
    assert!(plan.out.contains("  held back: ") && !plan.out.contains(WELL), "{}", plan.out);
    assert_eq!(json(&rig)["targets"][0]["held"][0]["backend"], "web");
}

#[test]
fn services_without_a_backend_and_instances_without_a_slot_are_told_by_plan() {
    let sections = "backend web\n    balance static-rr\n    server-template srv 1-1 127.0.0.1:1 disabled\n";
    let rig = Rig::new(&one_version(), sections, "expose: [ { each: fleet, bring_up: registry } ]\n");
    rig.services("services: { web: [\"127.0.0.1:8001\", \"127.0.0.1:8002\"], api: [] }\n");
    assert_eq!(rig.roster(&["once"]).code, Some(1));
    let plan = rig.roster(&["plan"]);
    assert!(plan.out.contains("local has no backend api"), "{}", plan.out);
    assert!(plan.out.contains("127.0.0.1:8002 has no server"), "{}", plan.out);
    assert!(!plan.out.contains(WELL), "{}", plan.out);
}

#[test]
fn a_limit_that_leaves_nothing_out_is_told_and_no_failure() {
    let sections = "backend web\n    balance static-rr\n    server-template srv 1-1 127.0.0.1:1 disabled\n";
    let rig = Rig::new(&one_version(), sections, "expose: [ { each: fleet, bring_up: registry } ]\n");
    rig.web(&[8001]);
    let once = rig.roster(&["once"]);
    assert_eq!(once.code, Some(0), "{once:?}");
    assert!(once.err.contains("balance static-rr takes no servers live"), "{}", once.err);
    assert!(rig.roster(&["plan"]).out.contains(WELL));
}

#[test]
fn one_target_that_does_not_answer_hides_no_other() {
    let rig = rig("");
    let both = std::fs::read_to_string(rig.config())
        .unwrap()
        .replace("targets: { ", "targets: { gone: { runtime: { socket: /nowhere/a.sock } }, ");
    std::fs::write(rig.config(), both + "expose: [ { each: fleet, bring_up: registry } ]\n").unwrap();
    rig.web(&[8001]);
    let plan = rig.roster(&["plan"]);
    assert_eq!(plan.code, Some(1), "{plan:?}");
    assert!(
        plan.out.contains("local web, service fleet/web") && plan.err.contains("target gone"),
        "{plan:?}"
    );
    let once = rig.roster(&["once"]);
    assert_eq!(once.code, Some(1), "{once:?}");
    assert_eq!(rig.ready("web"), [("srv1".into(), 8001)]);
}

#[test]
fn once_says_what_it_waits_for_and_claims_nothing_before() {
    let rig = rig("expose: [ { each: fleet, bring_up: probe, probe: { interval: 100ms } } ]\n");
    let (_up, down) = up_and_down(&rig);
    let once = rig.roster(&["once", "--timeout", "2"]);
    assert_eq!(once.code, Some(1), "{once:?}");
    let waits =
        format!("local web/srv2: waits until 127.0.0.1:{down} is up, by probe; last try: connection refused");
    assert!(once.err.contains(&waits), "no {waits:?} in {}", once.err);
    assert!(
        once.err.contains("1 server still comes up or drains") && !once.err.contains(SHOWN),
        "{}",
        once.err
    );
    let _listener = TcpListener::bind(("127.0.0.1", down)).unwrap();
    let once = rig.roster(&["once"]);
    assert_eq!(once.code, Some(0), "{once:?}");
    assert!(once.err.contains(SHOWN), "{}", once.err);
}

#[test]
fn a_socket_that_lets_nothing_be_changed_is_told_by_check_and_plan_and_once_in_the_log() {
    let config = "global\n    stats socket {socket} level admin\n    stats socket 127.0.0.1:{port:low} level operator\n\
                  backend web\n    server-template srv 1-3 127.0.0.1:1 disabled\n";
    let haproxy = Haproxy::builder(&one_version()).whole_config(config).start().or_fail();
    let port = haproxy.port("low").or_fail();
    let rig = Rig::around(haproxy, "");
    let native = format!(
        "sources: {{ fleet: {{ file: {{ path: services.yaml }} }} }}\n\
         targets: {{ local: {{ runtime: {{ tcp: \"127.0.0.1:{port}\" }} }} }}\nadmin: off\n"
    );
    std::fs::write(rig.config(), native).unwrap();
    rig.web(&[8001]);
    for command in ["check", "plan"] {
        let ended = rig.roster(&[command]);
        assert_eq!(ended.code, Some(1), "{command}: {ended:?}");
        assert!(ended.err.contains("give its `stats socket` line `level admin`"), "{command}: {ended:?}");
    }
    let daemon = rig.run();
    daemon.until_log("`level admin`");
    daemon.signal(Signal::HUP);
    daemon.until_log("the configuration was read again");
    assert!(!daemon.log().contains("refused"), "{}", daemon.log());
    assert!(rig.ready("web").is_empty());
}

#[test]
fn check_says_which_haproxy_answers_and_that_none_does_is_no_error() {
    let mut rig = rig("");
    let check = rig.roster(&["check"]);
    assert_eq!(check.code, Some(0), "{check:?}");
    assert!(check.out.contains("target local: HAProxy 2.6"), "{}", check.out);
    rig.haproxy.stop().or_fail();
    let check = rig.roster(&["check"]);
    assert_eq!(check.code, Some(0), "{check:?}");
    assert!(check.out.contains("no HAProxy answers there now"), "{}", check.out);
}
