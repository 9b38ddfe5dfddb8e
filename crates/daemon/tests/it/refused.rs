//! What HAProxy refuses: nobody leaves for it, another slot is tried, the pauses grow, and its own words are reported.

use roster_testkit::{Haproxy, HaproxyBin, HaproxyVersion, OrFail, Poll, wait_until_or_fail};

use crate::rig::{CAP, Rig, all_versions, one_version};

const AT_ONCE: &str = "expose: [ { each: fleet, bring_up: registry, drain: { cap: 1s } } ]\n";
/// `add server` is refused with these.
const NO_ADDITIONS: &str = "expose: [ { each: fleet, bring_up: registry, drain: { cap: 1s }, \
    server: { ssl: { ca_file: /etc/ssl/rotated-away.pem } } } ]\n";

fn slots(count: u32) -> String {
    format!("backend web\n    balance roundrobin\n    server-template srv 1-{count} 127.0.0.1:1 disabled\n")
}

/// How often each of these is in a text.
fn count(text: &str, what: &str) -> usize {
    text.matches(what).count()
}

#[test]
fn servers_stay_while_haproxy_refuses_those_in_their_place_and_then_their_slots_are_used() {
    for bin in all_versions() {
        let rig = Rig::new(&bin, &slots(2), NO_ADDITIONS);
        let daemon = rig.run();
        rig.web(&[8001, 8002]);
        rig.until_ready("web", &[("srv1", 8001), ("srv2", 8002)]);
        rig.web(&[8011, 8012]);
        let mut fewest = 2;
        wait_until_or_fail(CAP, "the newcomers to have the slots", || {
            let ready = rig.ready("web");
            fewest = fewest.min(ready.len());
            Poll::when(ready, |ready| ready.iter().all(|(_, port)| *port > 8010) && ready.len() == 2)
        });
        // The moment with one server may be too short to be seen.
        assert!(fewest >= 1, "one slot after the other is given up");
        daemon.until_log("srv2: address 127.0.0.1:8012");
        let log = daemon.log();
        let at = |line: &str| log.rfind(line).unwrap_or_else(|| panic!("no {line:?} in\n{log}"));
        assert!(
            at("srv1: state ready") < at("srv2: state drain"),
            "one slot after the other is given up\n{log}"
        );
        assert_eq!(
            count(&daemon.log(), "add 127.0.0.1:80"),
            count(&daemon.log(), "refused: "),
            "{}",
            daemon.log()
        );
    }
}

#[test]
fn the_only_server_stays_while_haproxy_refuses_its_replacement_and_status_gives_the_reason() {
    for bin in all_versions() {
        let rig = Rig::new(&bin, &slots(1), NO_ADDITIONS);
        let daemon = rig.run();
        rig.web(&[8001]);
        rig.until_ready("web", &[("srv1", 8001)]);
        rig.web(&[8011]);
        daemon.until_log("srv2: add 127.0.0.1:8011");
        wait_until_or_fail(CAP, "some tries", || {
            Poll::when(rig.roster(&["status"]).out, |out| out.contains("refused 3 times since"))
        });
        assert_eq!(rig.ready("web"), [("srv1".into(), 8001)]);
        let status = rig.roster(&["status"]).out;
        assert!(status.contains("web: 1 leaving, 1 rising (registry); 1 server refused"), "{status}");
        assert!(status.contains("rotated-away.pem"), "{status}");
        assert!(status.contains("leave once others serve in their place"), "{status}");
        let explained = rig.roster(&["explain", "127.0.0.1:8011"]).out;
        assert!(explained.contains("refused ") && explained.contains("rotated-away.pem"), "{explained}");
        let json = rig.roster(&["status", "--json"]).out;
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let refused = &json["targets"]["local"]["backends"]["web"]["refused"]["srv2"];
        assert_eq!(refused["op"], "add", "{json:#}");
        assert!(refused["why"].as_str().unwrap().contains("rotated-away.pem"), "{json:#}");
        assert_eq!(count(&daemon.log(), "refused: "), 1, "{}", daemon.log());
        let planned = rig.roster(&["plan"]).out;
        assert!(planned.contains("rotated-away.pem") && !planned.contains("Nothing to do"), "{planned}");
    }
}

#[test]
fn what_is_refused_is_reported_once_and_then_tried_less_and_less_often() {
    // The one server that is there is not Roster's.
    let sections = "backend web\n    balance roundrobin\n    server canary 127.0.0.1:1 disabled\n";
    for bin in all_versions() {
        let rig = Rig::new(&bin, sections, NO_ADDITIONS);
        let daemon = rig.run();
        rig.web(&[8001]);
        daemon.until_log("refused: ");
        wait_until_or_fail(CAP, "some tries", || {
            Poll::when(rig.roster(&["status"]).out, |out| out.contains("refused 4 times since"))
        });
        let log = daemon.log();
        assert_eq!(count(&log, "refused: "), 1, "{log}");
        assert_eq!(count(&log, "HAProxy answers again"), 0, "{log}");
        assert_eq!(count(&log, "HAProxy shows what is wanted"), 0, "{log}");
        let status = rig.roster(&["status"]).out;
        assert!(!status.contains("1 active"), "{status}");
    }
}

#[test]
fn a_slot_at_a_unix_socket_is_left_alone_and_another_one_is_used() {
    let sections = "backend web\n    server srv1 unix@/tmp/nobody.sock disabled\n    \
                    server-template srv 2-4 127.0.0.1:1 disabled\n";
    for bin in all_versions() {
        let rig = Rig::new(&bin, sections, AT_ONCE);
        let daemon = rig.run();
        rig.web(&[8001]);
        rig.until_ready("web", &[("srv2", 8001)]);
        daemon.until_log("WARN no slots, though their names fit: srv1; HAProxy can give them no IP address");
        let status = rig.roster(&["status"]).out;
        assert!(status.contains("web: 1 active, 1 foreign, 2 spare"), "{status}");
        assert_eq!(count(&daemon.log(), "refused: "), 0, "{}", daemon.log());
    }
}

#[test]
fn slots_that_a_resolver_has_are_left_alone() {
    // Nobody answers at the name server, so that they stay unresolved.
    let sections = "resolvers d\n    nameserver a 127.0.0.1:9\nbackend web\n    \
                    server-template srv 1-3 app.example.org:8080 resolvers d init-addr none\n    \
                    server srv4 localhost:1 disabled\n";
    for bin in all_versions() {
        let rig = Rig::new(&bin, sections, AT_ONCE);
        let before = rig.haproxy.servers("web").or_fail();
        let daemon = rig.run();
        rig.web(&[8001, 8002]);
        wait_until_or_fail(CAP, "servers past them", || {
            let all = rig.haproxy.servers("web").unwrap_or_default();
            Poll::when(all, |all| {
                let ports = |port| all.iter().any(|row| row.port == port && !row.in_maintenance());
                ports(8001) && ports(8002)
            })
        });
        let after = rig.haproxy.servers("web").or_fail();
        assert_eq!(before[..3], after[..3], "the resolver's servers are as they were");
        assert!(rig.ready("web").contains(&("srv4".into(), 8001)), "{after:?}");
        daemon.until_log("WARN no slots, though their names fit: srv1, srv2, srv3; ");
        daemon.until_log("app.example.org");
        assert_eq!(count(&daemon.log(), "refused: "), 0, "{}", daemon.log());
    }
}

#[test]
fn without_a_roster_that_runs_nothing_is_called_active_that_is_only_wanted() {
    let rig = Rig::new(&one_version(), &slots(2), AT_ONCE);
    rig.web(&[8001]);
    let status = rig.roster(&["status"]).out;
    assert!(status.contains("web: 1 rising (registry), 1 spare; "), "{status}");
    let explained = rig.roster(&["explain", "127.0.0.1:8001"]).out;
    assert!(explained.contains("not in yet") && explained.contains("next: "), "{explained}");
    let newest = HaproxyBin::find(HaproxyVersion::V3_2).or_fail();
    let rig = Rig::new(&newest, &slots(2), AT_ONCE);
    rig.web(&[8001]);
    assert_eq!(rig.roster(&["once"]).code, Some(0));
    rig.web(&[8002]);
    let status = rig.roster(&["status"]).out;
    assert!(status.contains("1 leaving") && !status.contains("active"), "{status}");
}

#[test]
fn a_server_past_slots_with_tls_is_added_only_if_the_rule_says_how_and_gets_the_check_of_the_slots() {
    let sections = "backend web\n    balance roundrobin\n    default-server ssl verify none check inter 1h\n    \
                    server-template srv 1-1 127.0.0.1:1 disabled\n";
    for bin in all_versions() {
        let rig = Rig::new(&bin, sections, AT_ONCE);
        rig.web(&[8001, 8002]);
        let planned = rig.roster(&["plan"]).out;
        assert!(planned.contains("HAProxy reaches the slots over TLS"), "{planned}");
        assert!(planned.contains("127.0.0.1:8002 has no server"), "{planned}");
        let once = rig.roster(&["once"]);
        assert!(once.err.contains("write `server: { ssl: … }` in the rule"), "{once:?}");
        assert_eq!((once.code, rig.ready("web")), (Some(1), vec![("srv1".into(), 8001)]));
        rig.configure("expose: [ { each: fleet, bring_up: registry, server: { ssl: { verify: none } } } ]\n");
        let once = rig.roster(&["once"]);
        assert_eq!(once.code, Some(0), "{once:?}");
        assert_eq!(rig.ready("web").len(), 2);
        let checked = rig.haproxy.cli("show servers state web").or_fail();
        let row = checked.lines().find(|line| line.contains(" srv2 ")).unwrap_or_default();
        let flags: u16 = row.split(' ').nth(13).and_then(|flags| flags.parse().ok()).unwrap_or_default();
        assert_eq!(flags & 6, 6, "it has no check that runs: {row}");
    }
}

#[test]
fn through_a_socket_for_one_connection_all_backends_come_to_what_is_wanted() {
    const BACKENDS: u16 = 100;
    let backend = |n| {
        format!("backend s{n}\n    balance roundrobin\n    server-template srv 1-6 127.0.0.1:1 disabled\n")
    };
    let backends = (0..BACKENDS).map(backend).collect::<Vec<_>>().concat();
    for bin in all_versions() {
        let haproxy = Haproxy::builder(&bin).config(&backends).global("stats maxconn 1").start().or_fail();
        let rig = Rig::around(haproxy, AT_ONCE);
        let services = |ports: [u16; 3]| {
            let list = ports.map(|port| format!("\"127.0.0.1:{port}\"")).join(", ");
            let each = (0..BACKENDS).map(|n| format!("  s{n}: [{list}]\n"));
            rig.services(&format!("services:\n{}", each.collect::<Vec<_>>().concat()));
        };
        services([8001, 8002, 8003]);
        let daemon = rig.run();
        daemon.until_log("HAProxy shows what is wanted");
        services([8001, 8002, 8004]);
        wait_until_or_fail(CAP, "all backends to have the newest", || {
            let behind: Vec<u16> = (0..BACKENDS)
                .filter(|n| {
                    let ports: Vec<u16> =
                        rig.ready(&format!("s{n}")).into_iter().map(|(_, port)| port).collect();
                    !ports.contains(&8004) || ports.contains(&8003)
                })
                .collect();
            Poll::when(behind, Vec::is_empty)
        });
        assert_eq!(count(&daemon.log(), " ERROR "), 0, "{}", daemon.log());
    }
}
