//! What takes long, or a machine that allows it: `make soak` runs these.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use roster_testkit::{HttpBackend, OrFail, Poll, TrafficLoad, free_port, http_get, wait_until_or_fail};

use crate::managed::lives::{Victim, kills};
use crate::managed::reloads::under_load;
use crate::managed::site::{Site, at, backends, on_each, ports};
use crate::managed::start::membership;
use crate::rig::{CAP, Rig, THREE_SLOTS, one_version};

const AT_ONCE: &str = "expose: [ { each: fleet, bring_up: registry, drain: { cap: 0s } } ]\n";
const PAUSE: Duration = Duration::from_secs(30);

#[test]
#[ignore = "takes half a minute: make soak"]
fn a_haproxy_that_is_paused_for_half_a_minute_is_told_once_and_then_brought_up_to_date() {
    let servers = [HttpBackend::start("a").or_fail(), HttpBackend::start("b").or_fail()];
    let ports: Vec<u16> = servers.iter().map(HttpBackend::port).collect();
    let rig = Rig::new(&one_version(), THREE_SLOTS, AT_ONCE);
    rig.web(&ports[..1]);
    let daemon = rig.run();
    rig.until_ready("web", &[("srv1", ports[0])]);
    rig.haproxy.pause().or_fail();
    let paused = Instant::now();
    rig.web(&ports);
    daemon.until_log("HAProxy goes on as it is, Roster tries again");
    wait_until_or_fail(PAUSE * 2, "the pause to be over", || paused.elapsed() >= PAUSE);
    rig.haproxy.resume();
    rig.until_ready("web", &[("srv1", ports[0]), ("srv2", ports[1])]);
    daemon.until_log("HAProxy answers again");
    let log = daemon.log();
    let told = log.lines().filter(|line| line.contains("ERROR")).count();
    assert!((1..=2).contains(&told), "told {told} times:\n{log}");
    let load = TrafficLoad::builder(rig.haproxy.addr("web").or_fail()).workers(2).start();
    wait_until_or_fail(CAP, "requests", || servers.iter().all(|server| server.requests() > 10));
    assert_eq!(load.stop().failed(), 0);
}

/// A file system of 256 kB that is full, in a namespace of its own: nothing is mounted for anybody else.
#[test]
#[ignore = "needs user namespaces: make soak"]
fn a_full_disk_under_the_state_folder_holds_nothing_up_and_is_told() {
    let rig = Rig::new(&one_version(), THREE_SLOTS, AT_ONCE);
    rig.web(&[8001]);
    let state = rig.state();
    fs::create_dir(&state).unwrap();
    let log = rig.folder().join("full.log");
    let script = "mount -t tmpfs -o size=256k full \"$1\" && { head -c 10M /dev/zero > \"$1/filler\" || true; } 2>/dev/null \
                  && exec \"$2\" run -c \"$3\" --state-dir \"$1\"";
    let mut child = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"])
        .args([state.as_path(), env!("CARGO_BIN_EXE_roster").as_ref(), rig.config().as_path()])
        .stdin(Stdio::null())
        .stderr(fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let said = || fs::read_to_string(&log).unwrap_or_default();
    rig.until_ready("web", &[("srv1", 8001)]);
    wait_until_or_fail(CAP, "the full disk to be told", || {
        Poll::when(said(), |log| log.contains("No space left"))
    });
    assert!(said().contains("check the state folder's owner, mode and free space"), "{}", said());
    rig.web(&[8001, 8002]);
    rig.until_ready("web", &[("srv1", 8001), ("srv2", 8002)]);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
#[ignore = "takes a minute: make soak"]
fn a_thousand_changes_of_membership_never_reload_a_haproxy_of_ours() {
    on_each(|bin| membership(bin, 1000));
}

#[test]
#[ignore = "takes a minute: make soak"]
fn fifty_reloads_under_load_fail_no_request() {
    on_each(|bin| under_load(bin, 50));
}

#[test]
#[ignore = "takes minutes: make soak"]
fn a_worker_killed_two_hundred_times_is_replaced_within_a_second_and_nobody_is_refused() {
    on_each(|bin| kills(bin, Victim::Worker, 200));
}

#[test]
#[ignore = "takes minutes: make soak"]
fn a_master_killed_two_hundred_times_is_replaced_within_a_second_and_nobody_is_refused() {
    on_each(|bin| kills(bin, Victim::Master, 200));
}

/// A HAProxy that serves `web` at these ports.
fn bound_to(site: &mut Site, ports: &[u16]) {
    let binds: Vec<String> = ports.iter().map(|port| format!("\"127.0.0.1:{port}\"")).collect();
    site.rest = format!(
        "expose:\n  - {{ service: fleet/web, bring_up: registry, drain: {{ cap: 0s }}, guard: off, \
         backend: {{ bind: [{}] }} }}\nadmin: off\n",
        binds.join(", ")
    );
    site.configure();
}

#[test]
#[ignore = "takes a minute: make soak"]
fn a_roster_killed_in_the_middle_of_reloads_leaves_one_haproxy_that_serves_what_is_wanted() {
    killed_while_ports_change("haproxy", 120);
}

#[test]
#[ignore = "takes a minute: make soak"]
fn a_roster_killed_while_ports_change_hands_leaves_one_haproxy_that_serves_what_is_wanted() {
    killed_while_ports_change("held", 60);
}

/// Each time a little later after a change that takes a reload, or a new master where the ports are held.
fn killed_while_ports_change(listen: &str, times: u64) {
    let mut site = Site::new(&one_version());
    site.sections = String::new();
    site.keys += &["hard_stop_after: 2s\nsettle: { quiet: 0s }\nlisten: ", listen, "\n"].concat();
    let pair = [site.port, free_port().or_fail()];
    let servers = backends(&["a", "b"]);
    let all = ports(&servers);
    site.services(&[("web", &all)]);
    bound_to(&mut site, &pair[..1]);
    let mut roster = site.run_again();
    site.until_served();
    site.until_written("web");
    let mut good = 0;
    for round in 0..times {
        let load = TrafficLoad::builder(site.address()).workers(2).start();
        wait_until_or_fail(CAP, "traffic", || load.totals().ok > 10);
        let both = round % 4 < 2;
        bound_to(&mut site, if both { &pair } else { &pair[..1] });
        drop(roster);
        roster = site.run_again();
        let (began, moment) = (Instant::now(), Duration::from_millis(round * 7 % 300));
        wait_until_or_fail(CAP, "the moment", || began.elapsed() >= moment);
        drop(roster);
        // Every other time what was begun is no longer wanted.
        let both = both == (round % 2 == 0);
        bound_to(&mut site, if both { &pair } else { &pair[..1] });
        roster = site.run_again();
        wait_until_or_fail(CAP, "the other port to be as wanted", || {
            http_get(at(pair[1]), "/").is_ok() == both && site.get().is_some()
        });
        site.until_ready("web", &all);
        let totals = load.stop();
        good += totals.ok;
        assert_eq!(totals.failed(), 0, "in round {round}, killed after {moment:?}: {totals:?}");
    }
    eprintln!("roster killed {} times, listen: {listen}: {good} good requests, none failed", times * 2);
    site.until_written("web");
    wait_until_or_fail(CAP, "one master and its worker", || {
        Poll::when(site.processes(), |processes| processes.len() == 2)
    });
}
