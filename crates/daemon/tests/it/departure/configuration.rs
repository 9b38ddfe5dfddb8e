//! What was taken out of the configuration, or was changed there, takes no server out by itself.

use std::fs;

use roster_testkit::{Poll, wait_until_or_fail};
use rustix::process::Signal;

use crate::rig::{CAP, Daemon, Rig, THREE_SLOTS, one_version};

const RULE: &str = "bring_up: registry, drain: { cap: 0s }, guard: { hold_for: 1s }";

/// A configuration with these sources and rules.
fn configure(rig: &Rig, sources: &str, expose: &str) {
    let socket = rig.haproxy.socket();
    let text = format!(
        "sources: {{ {sources} }}\ntargets: {{ local: {{ runtime: {{ socket: {} }} }} }}\nadmin: off\n{expose}",
        socket.display()
    );
    fs::write(rig.config(), text).unwrap();
}

fn each(source: &str) -> String {
    format!("expose: [ {{ each: {source}, {RULE} }} ]\n")
}

/// A rig whose `web` has two servers, of source `fleet`.
fn filled() -> Rig {
    let (rig, daemon) = kept();
    assert_eq!(daemon.stop(), Some(0));
    rig
}

/// The same with the daemon that keeps them.
fn kept() -> (Rig, Daemon) {
    let sections = format!("{THREE_SLOTS}backend api\n    server-template srv 1-3 127.0.0.1:1 disabled\n");
    let rig = Rig::new(&one_version(), &sections, &each("fleet"));
    rig.services(
        "services: { web: [ \"127.0.0.1:8001\", \"127.0.0.1:8002\" ], api: [ \"127.0.0.1:8003\" ] }\n",
    );
    let daemon = rig.run();
    rig.until_ready("web", &[("srv1", 8001), ("srv2", 8002)]);
    rig.until_ready("api", &[("srv1", 8003)]);
    (rig, daemon)
}

#[test]
fn a_source_that_is_renamed_takes_its_servers_along() {
    for over_a_restart in [true, false] {
        let (rig, mut daemon) = kept();
        configure(&rig, "cloud: { file: { path: cloud.yaml } }", &each("cloud"));
        if over_a_restart {
            drop(daemon);
            daemon = rig.run();
        } else {
            daemon.signal(Signal::HUP);
        }
        daemon.until_log("source fleet is not in the configuration any more");
        assert_eq!(rig.ready("web").len(), 2, "the new source has not answered yet");
        let list =
            "services: { web: [ \"127.0.0.1:8002\", \"127.0.0.1:8001\" ], api: [ \"127.0.0.1:8003\" ] }\n";
        fs::write(rig.folder().join("cloud.yaml"), list).unwrap();
        daemon.until_log("the backend was that of service fleet/web and is that of cloud/web now");
        rig.until_ready("web", &[("srv1", 8001), ("srv2", 8002)]);
        rig.until_ready("api", &[("srv1", 8003)]);
        assert!(!daemon.log().contains("op=drain") && !daemon.log().contains("op=maint"), "{}", daemon.log());
        fs::write(rig.folder().join("cloud.yaml"), list.replace("\"127.0.0.1:8002\", ", "")).unwrap();
        rig.until_ready("web", &[("srv1", 8001)]);
    }
}

#[test]
fn the_servers_of_a_source_that_is_taken_out_stay_until_an_operator_releases_them() {
    let rig = filled();
    configure(&rig, "other: { file: { path: other.yaml } }", &each("other"));
    fs::write(rig.folder().join("other.yaml"), "services: { shop: [] }\n").unwrap();
    let plan = rig.roster(&["plan"]).out;
    assert!(
        plan.contains("2 of 2 servers stay as they are: source fleet is not in the configuration"),
        "{plan}"
    );
    assert!(plan.contains("`roster release web -c "), "{plan}");
    let daemon = rig.run();
    daemon.until_log("source fleet is not in the configuration any more");
    // The log is ahead of the status: that has what a whole pass came to.
    wait_until_or_fail(CAP, "the reason in the status", || {
        let status = rig.roster(&["status"]).out;
        Poll::when(status, |status| status.contains("source fleet is not in the configuration any more"))
    });
    assert_eq!((rig.ready("web").len(), rig.ready("api").len()), (2, 1));
    let explained = rig.roster(&["explain", "web/srv1"]).out;
    assert!(explained.contains("source fleet is not in the configuration any more"), "{explained}");
    assert_eq!(rig.roster(&["release", "web"]).code, Some(0));
    rig.until_ready("web", &[]);
    assert_eq!(rig.ready("api").len(), 1, "the other backend was not released");
    daemon.until_log("127.0.0.1:8001 was released by an operator");
}

#[test]
fn the_servers_of_a_rule_that_is_taken_out_or_leads_elsewhere_stay_until_an_operator_releases_them() {
    for expose in [
        format!("expose: [ {{ service: fleet/api, {RULE} }} ]\n"),
        format!("expose: [ {{ each: fleet, backend: \"new-{{service}}\", {RULE} }} ]\n"),
    ] {
        let rig = filled();
        rig.configure(&expose);
        let daemon = rig.run();
        daemon.until_log("no rule of the configuration leads service fleet/web to this backend any more");
        assert_eq!(rig.ready("web").len(), 2);
        // A HAProxy that begins anew gets them back all the same.
        let mut rig = rig;
        rig.haproxy.restart().unwrap();
        rig.until_ready("web", &[("srv1", 8001), ("srv2", 8002)]);
        assert_eq!(rig.roster(&["release", "web"]).code, Some(0));
        rig.until_ready("web", &[]);
    }
}

#[test]
fn a_backend_that_the_configuration_gives_to_another_service_changes_hands_by_an_operators_word() {
    let rig = filled();
    rig.services(
        "services: { web: [ \"127.0.0.1:8001\", \"127.0.0.1:8002\" ], shop: [ \"127.0.0.1:8004\" ] }\n",
    );
    rig.configure(&format!("expose: [ {{ service: fleet/shop, backend: web, {RULE} }} ]\n"));
    let daemon = rig.run();
    daemon.until_log("service fleet/shop is left out: backend web already takes fleet/web");
    assert_eq!(rig.ready("web").len(), 2);
    assert_eq!(rig.roster(&["release", "web"]).code, Some(0));
    rig.until_ready("web", &[("srv3", 8004)]);
}
