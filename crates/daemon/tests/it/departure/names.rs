//! Which backend a service has: names that cannot be made, and services that want the same one.

use roster_testkit::{Poll, wait_until_or_fail};

use crate::rig::{CAP, Rig, THREE_SLOTS, all_versions, one_version};

const BY_PORT: &str = "expose: [ { each: fleet, backend: \"{service|lower}-{port}\", bring_up: registry, \
                       drain: { cap: 0s }, guard: { hold_for: 1s } } ]\n";
const LOWER: &str =
    "expose: [ { each: fleet, backend: \"{service|lower}\", bring_up: registry, drain: { cap: 0s } } ]\n";

/// The backends of these names, each with four slots.
fn backends(names: &[&str]) -> String {
    let backend = |name: &&str| format!("backend {name}\n    server-template srv 1-4 127.0.0.1:1 disabled\n");
    names.iter().map(backend).collect()
}

#[test]
fn a_name_that_cannot_be_made_takes_no_server_out() {
    for list in ["web: []", "web: [ \"127.0.0.1:8001\", \"127.0.0.2:8001\", \"127.0.0.1:7\" ]"] {
        let rig = Rig::new(&one_version(), &backends(&["web-8001"]), &BY_PORT.replace("1s", "5m"));
        let daemon = rig.run();
        rig.services("services: { web: [ \"127.0.0.1:8001\", \"127.0.0.2:8001\" ] }\n");
        let two = [("srv1", 8001), ("srv2", 8001)];
        rig.until_ready("web-8001", &two);
        rig.services(&format!("services: {{ {list} }}\n"));
        daemon.until_log("the backend stays as it is");
        if list.contains(":7") {
            daemon.until_log("127.0.0.1:7 is left out: by its name it belongs to backend web-7");
        } else {
            daemon.until_log("2 of 2 servers would leave");
        }
        rig.until_ready("web-8001", &two);
    }
}

#[test]
fn a_fleet_that_moves_to_another_port_fills_its_new_backend_before_the_old_one_is_emptied() {
    let rig = Rig::new(&one_version(), &backends(&["web-8001", "web-9001"]), BY_PORT);
    let daemon = rig.run();
    rig.services("services: { web: [ \"127.0.0.1:8001\", \"127.0.0.2:8001\" ] }\n");
    rig.until_ready("web-8001", &[("srv1", 8001), ("srv2", 8001)]);
    rig.services("services: { web: [ \"127.0.0.1:9001\", \"127.0.0.2:9001\" ] }\n");
    wait_until_or_fail(CAP, "the old one to be emptied", || {
        // The new one is read after the old one: what left the old one is in the new one by then.
        let (old, new) = (rig.ready("web-8001").len(), rig.ready("web-9001").len());
        assert!(old + new >= 2, "{old} in the old backend, {new} in the new one");
        Poll::when((old, new), |counts| *counts == (0, 2))
    });
    daemon.until_log("2 of 2 servers would leave");
}

#[test]
fn a_fleet_that_moves_to_a_backend_that_haproxy_does_not_have_stays_where_it_is() {
    let rig = Rig::new(&one_version(), &backends(&["web-8001", "shop-8005"]), BY_PORT);
    let daemon = rig.run();
    rig.services("services: { web: [ \"127.0.0.1:8001\" ], shop: [ \"127.0.0.1:8005\" ] }\n");
    rig.until_ready("web-8001", &[("srv1", 8001)]);
    rig.until_ready("shop-8005", &[("srv1", 8005)]);
    rig.services("services: { web: [ \"127.0.0.1:9002\" ], shop: [] }\n");
    daemon.until_log("belong to backend web-9002 now, where no server takes traffic yet");
    // By then the hold of a loss is over.
    rig.until_ready("shop-8005", &[]);
    assert_eq!(rig.ready("web-8001").len(), 1);
    assert_eq!(rig.roster(&["release", "web-8001"]).code, Some(0));
    rig.until_ready("web-8001", &[]);
}

#[test]
fn a_service_keeps_its_backend_beside_a_newcomer_that_makes_the_same_name() {
    for bin in all_versions() {
        let rig = Rig::new(&bin, THREE_SLOTS, LOWER);
        let daemon = rig.run();
        rig.web(&[8001]);
        rig.until_ready("web", &[("srv1", 8001)]);
        let both = "services: { web: [ \"127.0.0.1:8001\" ], Web: [ \"127.0.0.1:8009\" ] }\n";
        rig.services(both);
        daemon.until_log("service fleet/Web is left out: backend web already takes fleet/web");
        drop(daemon);
        rig.services(&both.replace("8001\" ]", "8001\", \"127.0.0.1:8002\" ]"));
        let _daemon = rig.run();
        rig.until_ready("web", &[("srv1", 8001), ("srv2", 8002)]);
    }
}

#[test]
fn a_newcomer_takes_over_when_the_instances_of_the_service_before_are_gone() {
    let rig = Rig::new(&one_version(), THREE_SLOTS, LOWER);
    let daemon = rig.run();
    rig.web(&[8001]);
    rig.until_ready("web", &[("srv1", 8001)]);
    rig.services("services: { web: [], Web: [ \"127.0.0.1:8009\" ] }\n");
    daemon.until_log("the backend was that of service fleet/web and is that of fleet/Web now");
    rig.until_ready("web", &[("srv2", 8009)]);
    daemon.until_log("127.0.0.1:8001 is of service fleet/web, which has no instance any more");
    // The service of before is the newcomer now.
    rig.services("services: { web: [ \"127.0.0.1:8001\" ], Web: [ \"127.0.0.1:8009\" ] }\n");
    daemon.until_log("service fleet/web is left out: backend web already takes fleet/Web");
    assert_eq!(rig.ready("web"), [("srv2".into(), 8009)]);
}

#[test]
fn what_a_takeover_would_cost_is_judged_by_the_guards() {
    let rig = Rig::new(&one_version(), THREE_SLOTS, LOWER);
    let daemon = rig.run();
    rig.web(&[8001, 8002, 8003]);
    rig.until_ready("web", &[("srv1", 8001), ("srv2", 8002), ("srv3", 8003)]);
    rig.services("services: { web: [], Web: [ \"127.0.0.1:8009\" ] }\n");
    daemon.until_log("servers would leave at once");
    rig.until_ready("web", &[("srv1", 8001), ("srv2", 8002), ("srv3", 8003), ("srv4", 8009)]);
}

#[test]
fn a_fallback_backend_stays_with_the_service_that_has_it() {
    let expose = "expose: [ { each: fleet, backend: \"{service}\", bring_up: registry, drain: { cap: 0s }, \
                  fallback: { backend: rest, names: \"fb{slot}\", all: true } } ]\n";
    let sections =
        backends(&["web", "api"]) + "backend rest\n    server-template fb 1-4 127.0.0.1:1 disabled\n";
    let rig = Rig::new(&one_version(), &sections, expose);
    let daemon = rig.run();
    rig.web(&[8001]);
    rig.until_ready("rest", &[("fb1", 8001)]);
    rig.services("services: { api: [ \"127.0.0.1:8002\" ], web: [ \"127.0.0.1:8001\" ] }\n");
    daemon.until_log("service fleet/api is left out: backend rest already takes fleet/web");
    rig.until_ready("api", &[("srv1", 8002)]);
    assert_eq!(rig.ready("rest"), [("fb1".into(), 8001)]);
}
