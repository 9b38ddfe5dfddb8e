//! `roster run` keeps a real HAProxy equal to a file, on every version.

use std::time::Duration;

use roster_testkit::{Haproxy, HttpBackend, OrFail, Poll, TrafficLoad, dead_port, wait_until_or_fail};
use rustix::process::Signal;

use crate::rig::{CAP, Rig, THREE_SLOTS, all_versions, one_version};

const AT_ONCE: &str = "expose: [ { each: fleet, bring_up: registry, drain: { cap: 0s } } ]\n";

fn backends(names: &[&str]) -> Vec<HttpBackend> {
    names.iter().map(|name| HttpBackend::start(name).or_fail()).collect()
}

#[test]
fn every_change_of_the_file_is_followed_in_the_same_process() {
    for bin in all_versions() {
        let rig = Rig::new(&bin, THREE_SLOTS, AT_ONCE);
        let pid = rig.haproxy.pid();
        let daemon = rig.run();
        rig.web(&[8001, 8002]);
        rig.until_ready("web", &[("srv1", 8001), ("srv2", 8002)]);
        rig.web(&[8002]);
        rig.until_ready("web", &[("srv2", 8002)]);
        rig.web(&[8002, 8003]);
        rig.until_ready("web", &[("srv1", 8003), ("srv2", 8002)]);
        assert_eq!(rig.haproxy.worker_pid().or_fail(), pid, "HAProxy was reloaded");
        assert_eq!(daemon.stop(), Some(0));
        assert_eq!(rig.ready("web").len(), 2, "stopping Roster changed HAProxy");
    }
}

#[test]
fn when_slots_run_out_servers_are_added_with_their_own_number_and_checked() {
    for bin in all_versions() {
        let expose =
            "expose: [ { each: fleet, bring_up: registry, server: { check: true, inter: 200ms } } ]\n";
        let rig = Rig::new(&bin, THREE_SLOTS, expose);
        let servers = backends(&["a", "b", "c", "d", "e"]);
        let _daemon = rig.run();
        rig.web(&servers.iter().map(HttpBackend::port).collect::<Vec<_>>());
        wait_until_or_fail(CAP, "five servers", || rig.ready("web").len() == 5);
        for n in [4, 5] {
            let added = rig.haproxy.server("web", &format!("srv{n}")).or_fail();
            assert_eq!(added.id, n);
            wait_until_or_fail(CAP, "its check", || {
                rig.haproxy.server("web", &added.name).or_fail().check_result == 3
            });
        }
    }
}

#[test]
fn servers_and_backends_of_others_are_left_alone() {
    let sections = format!(
        "{THREE_SLOTS}    server canary 127.0.0.1:9999 weight 7\nbackend other\n    server srv1 127.0.0.1:9998\n"
    );
    let rig = Rig::new(&one_version(), &sections, AT_ONCE);
    let _daemon = rig.run();
    rig.web(&[8001]);
    wait_until_or_fail(CAP, "srv1", || rig.ready("web").contains(&("srv1".into(), 8001)));
    let canary = rig.haproxy.server("web", "canary").or_fail();
    assert_eq!((canary.port, canary.uweight, canary.in_maintenance()), (9999, 7, false));
    assert_eq!(rig.ready("other"), [("srv1".into(), 9998)]);
}

#[test]
fn a_removed_server_drains_until_its_connections_have_ended() {
    for bin in all_versions() {
        let expose = "expose: [ { each: fleet, bring_up: registry, drain: { cap: 60s } } ]\n";
        let rig = Rig::new(&bin, THREE_SLOTS, expose);
        let servers = backends(&["a", "b"]);
        let ports = [servers[0].port(), servers[1].port()];
        let _daemon = rig.run();
        rig.web(&ports);
        rig.until_ready("web", &[("srv1", ports[0]), ("srv2", ports[1])]);
        let frontend = rig.haproxy.addr("web").or_fail();
        let held = TrafficLoad::builder(frontend).workers(4).path("/hold").start();
        wait_until_or_fail(CAP, "a request on each server", || servers.iter().all(|s| s.held() > 0));
        rig.web(&ports[..1]);
        wait_until_or_fail(CAP, "srv2 to drain", || rig.haproxy.server("web", "srv2").or_fail().in_drain());
        servers.iter().for_each(HttpBackend::release_held);
        wait_until_or_fail(CAP, "srv2 to be parked", || {
            servers.iter().for_each(HttpBackend::release_held);
            let row = rig.haproxy.server("web", "srv2").or_fail();
            Poll::when(row, |row| row.in_maintenance() && row.port == 1)
        });
        let totals = stop(held, &servers);
        assert_eq!(totals.failed(), 0, "{totals:?}");
    }
}

/// Ends a load whose requests are held, by letting them go.
fn stop(load: TrafficLoad, servers: &[HttpBackend]) -> roster_testkit::Totals {
    let stopping = std::thread::spawn(move || load.stop());
    wait_until_or_fail(CAP, "the load to end", || {
        servers.iter().for_each(HttpBackend::release_held);
        stopping.is_finished()
    });
    stopping.join().unwrap()
}

#[test]
fn a_slot_that_was_up_gives_a_dead_address_no_request() {
    for bin in all_versions() {
        for how in ["probe", "check"] {
            let expose = format!("expose: [ {{ each: fleet, bring_up: {how}, drain: {{ cap: 0s }} }} ]\n");
            let rig = Rig::new(&bin, THREE_SLOTS, &expose);
            let servers = backends(&["a", "b"]);
            let ports = [servers[0].port(), servers[1].port()];
            let _daemon = rig.run();
            rig.web(&ports);
            rig.until_ready("web", &[("srv1", ports[0]), ("srv2", ports[1])]);
            wait_until_or_fail(CAP, "a passed check", || {
                rig.haproxy.server("web", "srv2").or_fail().check_result == 3
            });
            rig.web(&ports[..1]);
            rig.until_ready("web", &[("srv1", ports[0])]);
            let load = TrafficLoad::builder(rig.haproxy.addr("web").or_fail()).workers(4).start();
            let dead = dead_port().or_fail();
            rig.web(&[ports[0], dead]);
            wait_until_or_fail(CAP, "srv2 at the dead address", || {
                rig.haproxy.server("web", "srv2").or_fail().port == dead
            });
            wait_until_or_fail(CAP, "traffic", || load.totals().ok > 200);
            let totals = load.stop();
            assert_eq!(totals.failed(), 0, "{how} on {}: {totals:?}", bin.version());
            assert_eq!(rig.ready("web"), [("srv1".into(), ports[0])], "the dead server is ready");
        }
    }
}

#[test]
fn a_live_address_comes_up_by_probe_and_by_check_on_a_reused_slot() {
    for bin in all_versions() {
        for how in ["probe", "check"] {
            let expose = format!("expose: [ {{ each: fleet, bring_up: {how}, drain: {{ cap: 0s }} }} ]\n");
            let rig = Rig::new(&bin, THREE_SLOTS, &expose);
            let servers = backends(&["a", "b", "c"]);
            let ports: Vec<u16> = servers.iter().map(HttpBackend::port).collect();
            let _daemon = rig.run();
            rig.web(&ports[..2]);
            rig.until_ready("web", &[("srv1", ports[0]), ("srv2", ports[1])]);
            rig.web(&ports[..1]);
            rig.until_ready("web", &[("srv1", ports[0])]);
            rig.web(&[ports[0], ports[2]]);
            rig.until_ready("web", &[("srv1", ports[0]), ("srv2", ports[2])]);
        }
    }
}

#[test]
fn maintenance_by_hand_stays_through_every_change() {
    for bin in all_versions() {
        let rig = Rig::new(&bin, THREE_SLOTS, AT_ONCE);
        let daemon = rig.run();
        rig.web(&[8001, 8002]);
        rig.until_ready("web", &[("srv1", 8001), ("srv2", 8002)]);
        daemon.until_log("HAProxy shows what is wanted");
        rig.haproxy.cli("set server web/srv1 state maint").or_fail();
        rig.web(&[8001, 8002, 8003]);
        rig.until_ready("web", &[("srv2", 8002), ("srv3", 8003)]);
        rig.haproxy.cli("set server web/srv1 state ready").or_fail();
        rig.web(&[8001, 8002]);
        rig.until_ready("web", &[("srv1", 8001), ("srv2", 8002)]);
    }
}

#[test]
fn a_restarted_haproxy_is_filled_again_with_everyone_in_place() {
    for bin in all_versions() {
        let mut rig = Rig::new(&bin, THREE_SLOTS, AT_ONCE);
        let daemon = rig.run();
        rig.web(&[8001, 8002, 8003, 8004]);
        let all = [("srv1", 8001), ("srv2", 8002), ("srv3", 8003), ("srv4", 8004)];
        rig.until_ready("web", &all);
        rig.web(&[8002, 8003, 8004]);
        rig.until_ready("web", &all[1..]);
        rig.haproxy.restart().or_fail();
        rig.until_ready("web", &all[1..]);
        daemon.until_log("HAProxy was restarted or reloaded");
    }
}

#[test]
fn a_reload_by_somebody_else_is_noticed_and_repaired() {
    for bin in all_versions() {
        let haproxy = Haproxy::builder(&bin).config(THREE_SLOTS).master_worker().start().or_fail();
        let mut rig = Rig::around(haproxy, AT_ONCE);
        let daemon = rig.run();
        rig.web(&[8001, 8002]);
        rig.until_ready("web", &[("srv1", 8001), ("srv2", 8002)]);
        rig.haproxy.reload().or_fail();
        daemon.until_log("HAProxy was restarted or reloaded");
        rig.until_ready("web", &[("srv1", 8001), ("srv2", 8002)]);
    }
}

#[test]
fn reloads_in_the_middle_of_changes_end_right() {
    let slots = THREE_SLOTS.replace("1-3", "1-200");
    let haproxy = Haproxy::builder(&one_version()).config(&slots).master_worker().start().or_fail();
    let mut rig = Rig::around(haproxy, AT_ONCE);
    let _daemon = rig.run();
    let ports: Vec<u16> = (20_000..20_200).collect();
    for round in 0..4 {
        rig.web(&ports[round * 10..]);
        rig.haproxy.reload().or_fail();
    }
    wait_until_or_fail(CAP, "all that are left", || {
        let mut ready: Vec<u16> = rig.ready("web").into_iter().map(|(_, port)| port).collect();
        ready.sort_unstable();
        Poll::when(ready, |ready| *ready == ports[30..])
    });
}

#[test]
fn a_new_configuration_is_taken_over_at_sighup_and_a_wrong_one_is_not() {
    let sections = format!("{THREE_SLOTS}backend api\n    server-template srv 1-3 127.0.0.1:1 disabled\n");
    let rig = Rig::new(&one_version(), &sections, AT_ONCE);
    let daemon = rig.run();
    rig.web(&[8001]);
    rig.until_ready("web", &[("srv1", 8001)]);
    rig.configure("expose: [ { nonsense: 1 } ]\n");
    daemon.signal(Signal::HUP);
    daemon.until_log("the configuration stays as it was");
    rig.web(&[8001, 8002]);
    rig.until_ready("web", &[("srv1", 8001), ("srv2", 8002)]);
    rig.configure("expose: [ { each: fleet, backend: api, bring_up: registry, drain: { cap: 0s } } ]\n");
    daemon.signal(Signal::HUP);
    rig.until_ready("api", &[("srv1", 8001), ("srv2", 8002)]);
    daemon.until_log("no rule of the configuration leads service fleet/web to this backend any more");
    assert_eq!(rig.ready("web").len(), 2, "no word of the operator's let them go");
    assert_eq!(rig.roster(&["release", "web"]).code, Some(0));
    rig.until_ready("web", &[]);
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn a_drain_goes_on_after_roster_was_killed() {
    let expose = "expose: [ { each: fleet, bring_up: registry, drain: { cap: 60s } } ]\n";
    let rig = Rig::new(&one_version(), THREE_SLOTS, expose);
    let servers = backends(&["a", "b"]);
    let ports = [servers[0].port(), servers[1].port()];
    let daemon = rig.run();
    rig.web(&ports);
    rig.until_ready("web", &[("srv1", ports[0]), ("srv2", ports[1])]);
    let held = TrafficLoad::builder(rig.haproxy.addr("web").or_fail()).workers(4).path("/hold").start();
    wait_until_or_fail(CAP, "a request on each server", || servers.iter().all(|s| s.held() > 0));
    rig.web(&ports[..1]);
    wait_until_or_fail(CAP, "srv2 to drain", || rig.haproxy.server("web", "srv2").or_fail().in_drain());
    drop(daemon);
    let _again = rig.run();
    let totals = stop(held, &servers);
    wait_until_or_fail(CAP, "srv2 to be parked", || {
        Poll::when(rig.haproxy.server("web", "srv2").or_fail(), |row| row.in_maintenance() && row.port == 1)
    });
    assert_eq!(totals.failed(), 0, "{totals:?}");
}

#[test]
fn a_half_written_file_changes_nothing() {
    let rig = Rig::new(&one_version(), THREE_SLOTS, AT_ONCE);
    let daemon = rig.run();
    rig.web(&[8001, 8002]);
    rig.until_ready("web", &[("srv1", 8001), ("srv2", 8002)]);
    rig.services("services: { web: [\"127.0.0.1:80");
    daemon.until_log("the last good answer stays");
    assert_eq!(rig.ready("web").len(), 2);
    rig.web(&[8001]);
    rig.until_ready("web", &[("srv1", 8001)]);
}

#[test]
fn an_emptied_file_is_held_back_and_told() {
    let rig = Rig::new(&one_version(), THREE_SLOTS, AT_ONCE);
    let daemon = rig.run();
    rig.web(&[8001, 8002]);
    rig.until_ready("web", &[("srv1", 8001), ("srv2", 8002)]);
    rig.web(&[]);
    daemon.until_log("held back");
    assert_eq!(rig.ready("web").len(), 2);
}

#[test]
fn a_paused_haproxy_is_waited_for_and_then_brought_up_to_date() {
    let rig = Rig::new(&one_version(), THREE_SLOTS, AT_ONCE);
    let daemon = rig.run();
    rig.web(&[8001]);
    rig.until_ready("web", &[("srv1", 8001)]);
    rig.haproxy.pause().or_fail();
    rig.web(&[8001, 8002]);
    daemon.until_log("HAProxy goes on as it is, Roster tries again");
    rig.haproxy.resume();
    rig.until_ready("web", &[("srv1", 8001), ("srv2", 8002)]);
    daemon.until_log("HAProxy answers again");
}

#[test]
fn changes_under_load_fail_no_request() {
    let rig = Rig::new(&one_version(), &THREE_SLOTS.replace("1-3", "1-8"), "expose: [ { each: fleet } ]\n");
    let servers = backends(&["a", "b", "c", "d", "e", "f"]);
    let ports: Vec<u16> = servers.iter().map(HttpBackend::port).collect();
    let pid = rig.haproxy.pid();
    let _daemon = rig.run();
    rig.web(&ports);
    wait_until_or_fail(CAP, "all to be ready", || rig.ready("web").len() == 6);
    let load = TrafficLoad::builder(rig.haproxy.addr("web").or_fail())
        .workers(4)
        .pause(Duration::from_millis(2))
        .start();
    for round in 0..60 {
        let mut some = ports.clone();
        some.rotate_left(round % 6);
        rig.web(&some[..3 + round % 4]);
        let seen = load.totals().ok;
        wait_until_or_fail(CAP, "traffic", || load.totals().ok > seen + 5);
    }
    let totals = load.stop();
    assert_eq!(totals.failed(), 0, "{totals:?}");
    assert_eq!(rig.haproxy.worker_pid().or_fail(), pid);
}

#[test]
fn a_tcp_socket_serves_as_well_as_a_unix_one() {
    for bin in all_versions() {
        let haproxy = Haproxy::builder(&bin).config(THREE_SLOTS).stats_on_tcp().start().or_fail();
        let mut rig = Rig::around(haproxy, AT_ONCE);
        let tcp = rig.haproxy.stats_addr().unwrap();
        let config = std::fs::read_to_string(rig.config()).unwrap();
        let socket = format!("socket: {}", rig.haproxy.socket().display());
        std::fs::write(rig.config(), config.replace(&socket, &format!("tcp: \"{tcp}\""))).unwrap();
        let daemon = rig.run();
        rig.web(&[8001]);
        rig.until_ready("web", &[("srv1", 8001)]);
        rig.haproxy.stop().or_fail();
        daemon.until_log("nobody listens on");
        rig.haproxy.start_again().or_fail();
        rig.until_ready("web", &[("srv1", 8001)]);
    }
}

#[test]
fn what_somebody_changed_by_mistake_is_put_right_at_the_next_look() {
    let rig = Rig::new(&one_version(), THREE_SLOTS, AT_ONCE);
    let daemon = rig.run();
    rig.web(&[8001, 8002]);
    rig.until_ready("web", &[("srv1", 8001), ("srv2", 8002)]);
    daemon.until_log("HAProxy shows what is wanted");
    rig.haproxy.cli("set server web/srv3 state ready").or_fail();
    rig.haproxy.cli("set server web/srv1 addr 127.0.0.1 port 9").or_fail();
    rig.web(&[8001, 8002, 8003]);
    rig.until_ready("web", &[("srv1", 8001), ("srv2", 8002), ("srv3", 8003)]);
}

#[test]
fn a_reload_by_somebody_else_is_made_up_for_without_waiting_for_the_poll() {
    for bin in all_versions() {
        let haproxy = Haproxy::builder(&bin).config(THREE_SLOTS).master_worker().start().or_fail();
        let mut rig = Rig::around(haproxy, AT_ONCE);
        let config = std::fs::read_to_string(rig.config()).unwrap();
        std::fs::write(rig.config(), config.replace("timeout: 2s", "timeout: 2s, poll: 1h")).unwrap();
        rig.web(&[8001]);
        let _daemon = rig.run();
        for _ in 0..2 {
            rig.until_ready("web", &[("srv1", 8001)]);
            rig.haproxy.reload().or_fail();
        }
        rig.until_ready("web", &[("srv1", 8001)]);
    }
}
