//! A server leaves for a reason: what is none keeps the servers as they are, and is reported.

mod configuration;
mod managed;
mod names;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use roster_testkit::{HaproxyBin, HttpBackend, OrFail, Poll, wait_until_or_fail};

use crate::rig::{CAP, Daemon, Rig, THREE_SLOTS, all_versions, one_version};

const AT_ONCE: &str = "expose: [ { each: fleet, bring_up: registry, drain: { cap: 0s } } ]\n";

/// A daemon that keeps two servers in `web`.
fn two(bin: &HaproxyBin, expose: &str) -> (Rig, Daemon) {
    let rig = Rig::new(bin, THREE_SLOTS, expose);
    let daemon = rig.run();
    rig.web(&[8001, 8002]);
    rig.until_ready("web", &[("srv1", 8001), ("srv2", 8002)]);
    daemon.until_log("HAProxy shows what is wanted");
    (rig, daemon)
}

#[test]
fn a_service_that_vanishes_from_the_list_is_held_like_one_that_became_empty() {
    for bin in all_versions() {
        for gone in ["services: {}\n", "services: { api: [] }\n", "services:\n  api:\n  - 127.0.0.1:8003\n"] {
            let (rig, daemon) = two(&bin, AT_ONCE);
            rig.services(gone);
            daemon.until_log("WARN held back: 2 of 2 servers would leave, too few would stay");
            daemon.until_log("service fleet/web is absent from the answer of its source");
            assert_eq!(rig.ready("web").len(), 2, "{gone}");
            let status = rig.roster(&["status"]).out;
            assert!(status.contains("web: 2 held"), "{status}");
            assert!(status.contains("`roster release web -c "), "{status}");
            assert_eq!(rig.roster(&["release", "web"]).code, Some(0));
            rig.until_ready("web", &[]);
        }
    }
}

#[test]
fn a_service_that_vanished_comes_back_to_the_servers_that_it_had() {
    let (rig, daemon) = two(&one_version(), AT_ONCE);
    rig.services("[]\n");
    daemon.until_log("held back");
    rig.web(&[8002, 8001]);
    daemon.until_log("nothing is held back any more");
    rig.until_ready("web", &[("srv1", 8001), ("srv2", 8002)]);
}

#[test]
fn an_entry_that_cannot_be_read_keeps_its_server_and_so_does_one_that_says_nothing_of_itself() {
    let entry = |one: &str| format!("services:\n  web:\n  - {one}\n  - {{ address: \"127.0.0.1:8002\" }}\n");
    for wrong in [
        "{ address: \"127.0.0.1:8001\", weight: 1000 }",
        "{ address: \"127.0.0.1:8001\", health: superb }",
        "{ address: \"127.0.0.1:8001\", az: b }",
        "{ address: \"127.0.0.1:99999\" }",
        "web1.example.org:8001",
        "[]",
    ] {
        let (rig, daemon) =
            two(&one_version(), "expose: [ { each: fleet, bring_up: registry, guard: { hold_for: 1s } } ]\n");
        rig.services(&entry(wrong));
        daemon
            .until_log("1 of 2 servers would leave, and entries that cannot be read may be their instances");
        rig.services(&entry("{ address: \"127.0.0.1:8001\" }"));
        daemon.until_log("nothing is held back any more");
        assert_eq!(rig.ready("web"), [("srv1".into(), 8001), ("srv2".into(), 8002)], "{wrong}");
        assert!(!daemon.log().contains("state drain"), "{wrong}: {}", daemon.log());
    }
}

#[test]
fn what_cannot_be_read_is_held_for_longer_than_a_loss() {
    let sections = format!("{THREE_SLOTS}backend api\n    server-template srv 1-2 127.0.0.1:1 disabled\n");
    let expose =
        "expose: [ { each: fleet, bring_up: registry, drain: { cap: 0s }, guard: { hold_for: 1s } } ]\n";
    let rig = Rig::new(&one_version(), &sections, expose);
    let _daemon = rig.run();
    rig.services("services: { web: [ \"127.0.0.1:8001\" ], api: [ \"127.0.0.1:8002\" ] }\n");
    rig.until_ready("web", &[("srv1", 8001)]);
    rig.until_ready("api", &[("srv1", 8002)]);
    rig.services("services: { web: [ web1.example.org:8001 ], api: [] }\n");
    // By then the hold of a loss is over.
    rig.until_ready("api", &[]);
    assert_eq!(rig.ready("web").len(), 1);
    assert_eq!(rig.roster(&["release", "web"]).code, Some(0));
    rig.until_ready("web", &[]);
}

#[test]
fn instances_that_come_and_go_are_reported_and_an_operator_lets_them_in() {
    let sections = "backend web\n    server-template srv 1-16 127.0.0.1:1 disabled\n";
    let rig = Rig::new(&one_version(), sections, AT_ONCE);
    let daemon = rig.run();
    let (one, other) = ([8001, 8002, 8003, 8020], [8006, 8007, 8008, 8020]);
    let ports = || {
        let mut ports: Vec<u16> = rig.ready("web").into_iter().map(|(_, port)| port).collect();
        ports.sort_unstable();
        ports
    };
    for round in 0..5 {
        for list in [one, other] {
            rig.web(&list);
            wait_until_or_fail(CAP, &format!("round {round}"), || {
                Poll::when(ports(), |ports| *ports == list)
            });
        }
    }
    rig.web(&one);
    daemon.until_log("WARN kept out because they come and go too often: 127.0.0.1:8002, 127.0.0.1:8003");
    wait_until_or_fail(CAP, "half of them", || Poll::when(ports(), |ports| *ports == [8001, 8020]));
    let status = rig.roster(&["status"]).out;
    assert!(status.contains("kept out because they come and go too often"), "{status}");
    let released = rig.roster(&["release", "web"]);
    assert!(released.out.contains("2 instances that come and go may come in"), "{released:?}");
    wait_until_or_fail(CAP, "all of them", || Poll::when(ports(), |ports| *ports == one));
}

/// The service `web` with these instances.
fn named(rig: &Rig, instances: &[(&str, u16)]) {
    let list =
        instances.iter().map(|(id, port)| format!("  - {{ id: {id}, address: \"127.0.0.1:{port}\" }}\n"));
    rig.services(&format!("services:\n  web:\n{}", list.collect::<String>()));
}

#[test]
fn another_instance_at_the_same_address_earns_its_traffic() {
    for bin in all_versions() {
        for how in ["probe", "check"] {
            let expose = format!("expose: [ {{ each: fleet, bring_up: {how}, drain: {{ cap: 0s }} }} ]\n");
            let rig = Rig::new(&bin, THREE_SLOTS, &expose);
            let mut servers: Vec<HttpBackend> =
                ["a", "b"].iter().map(|name| HttpBackend::start(name).or_fail()).collect();
            let ports: Vec<u16> = servers.iter().map(HttpBackend::port).collect();
            let daemon = rig.run();
            named(&rig, &[("i-1", ports[0]), ("i-2", ports[1])]);
            rig.until_ready("web", &[("srv1", ports[0]), ("srv2", ports[1])]);
            let at = servers[0].addr();
            drop(servers.remove(0));
            named(&rig, &[("i-9", ports[0]), ("i-2", ports[1])]);
            rig.until_ready("web", &[("srv2", ports[1])]);
            daemon.until_log("i-9 is at the address of i-1 now");
            let _a = HttpBackend::start_at("a", at).or_fail();
            rig.until_ready("web", &[("srv1", ports[0]), ("srv2", ports[1])]);
        }
    }
}

#[test]
fn an_instance_whose_source_vouches_for_it_takes_the_place_of_another_without_a_change() {
    let rig = Rig::new(&one_version(), THREE_SLOTS, AT_ONCE);
    let daemon = rig.run();
    named(&rig, &[("i-1", 8001), ("i-2", 8002)]);
    rig.until_ready("web", &[("srv1", 8001), ("srv2", 8002)]);
    named(&rig, &[("i-8", 8001), ("i-9", 8002)]);
    daemon.until_log("srv2: i-9 is at 127.0.0.1:8002 now, the address of i-2");
    rig.until_ready("web", &[("srv1", 8001), ("srv2", 8002)]);
    assert!(!daemon.log().contains("op=drain") && !daemon.log().contains("op=maint"), "{}", daemon.log());
}

#[test]
fn servers_of_a_template_that_serve_at_one_address_are_held_like_any_others() {
    for bin in all_versions() {
        let server = HttpBackend::start("live").or_fail();
        let sections = format!("backend web\n    server-template srv 1-5 {}\n", server.addr());
        let rig = Rig::new(&bin, &sections, AT_ONCE);
        rig.services("services: { web: [] }\n");
        let plan = rig.roster(&["plan"]).out;
        assert!(plan.contains("held back: 5 of 5 servers would leave"), "{plan}");
        let daemon = rig.run();
        daemon.until_log("5 of 5 servers would leave");
        assert_eq!(rig.ready("web").len(), 5);
    }
}

#[test]
fn records_that_cannot_be_read_are_an_error_and_take_no_server_out() {
    let expose =
        "expose: [ { each: fleet, bring_up: registry, drain: { cap: 0s }, backend: \"{service|lower}\" } ]\n";
    let (rig, daemon) = two(&one_version(), expose);
    drop(daemon);
    let records = rig.state().join("applied/local/backends");
    // A file in the place of the folder: what may not be read is read all the same by root.
    fs::remove_dir_all(&records).unwrap();
    fs::write(&records, "").unwrap();
    rig.services(
        "services: { Web: [ \"127.0.0.1:8009\" ], web: [ \"127.0.0.1:8001\", \"127.0.0.1:8002\" ] }\n",
    );
    let daemon = rig.run();
    daemon.until_log("gives no backend that two services want to either of them");
    daemon.until_log("the record of which one has it cannot be read");
    assert_eq!(rig.ready("web"), [("srv1".into(), 8001), ("srv2".into(), 8002)]);
    drop(daemon);
    fs::remove_file(&records).unwrap();
    rig.web(&[8001, 8002]);
    let _daemon = rig.run();
    let record = records.join("web.state");
    wait_until_or_fail(CAP, "a record", || record.exists());
    assert_eq!(fs::metadata(&record).unwrap().permissions().mode() & 0o777, 0o600);
}
