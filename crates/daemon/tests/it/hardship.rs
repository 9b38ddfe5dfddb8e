//! What takes long, or a machine that allows it: `make soak` runs these.

use std::fs;
use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use roster_testkit::{HttpBackend, OrFail, Poll, TrafficLoad, free_port, http_get, wait_until_or_fail};
use rustix::process::Signal;

use crate::managed::lives::{Victim, kills};
use crate::managed::reloads::under_load;
use crate::managed::site::{Site, at, backends, is_answered, on_each, on_each_at_once, ports, send};
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
        .env("XDG_STATE_HOME", rig.folder().join("home"))
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

/// Writes until there is no room left.
fn fill(path: &Path) {
    let mut filler = fs::File::create(path).or_fail();
    let full = std::iter::repeat_with(|| filler.write_all(&[0; 1024])).find_map(Result::err);
    assert_eq!(full.unwrap().kind(), ErrorKind::StorageFull);
}

#[test]
#[ignore = "needs user namespaces: make soak"]
fn a_full_disk_under_haproxys_file_is_told_leaves_what_runs_and_is_made_up_for() {
    on_each_at_once(|bin| {
        let mut site = Site::new(bin);
        let etc = site.path("etc");
        fs::create_dir(&etc).or_fail();
        site.file = etc.join("haproxy.cfg");
        site.keys += "settle: { quiet: 0s }\n";
        let servers = backends(&["a", "b"]);
        let all = ports(&servers);
        site.services(&[("web", &all[..1])]);
        site.configure();
        let script = format!("mount -t tmpfs -o size=256k full {} && exec \"$@\"", etc.display());
        let words = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", &script, "sh"];
        let roster = site.run_under(&words);
        site.until_ready("web", &all[..1]);
        // As it is where Roster is.
        let etc = format!("/proc/{}/root{}", roster.pid(), etc.display());
        let filler = Path::new(&etc).join("filler");
        site.file = Path::new(&etc).join("haproxy.cfg");
        site.until_served();
        site.until_written("web");
        let (worker, good) = (site.worker(), site.text());
        let load = TrafficLoad::builder(site.address()).start();

        fill(&filler);
        site.services(&[("web", &all[..1]), ("api", &all)]);
        roster.until_log("the disk is full, so free some space");
        assert_eq!((site.worker(), site.text()), (worker, good));
        site.services(&[("web", &all), ("api", &all)]);
        site.until_ready("web", &all);
        fs::remove_file(&filler).or_fail();
        site.until_ready("api", &all);
        site.until_written("api");
        site.until_written("web");
        assert_eq!(site.reloads(), 1);

        // What needs no reload is made up for too, though nothing else happens.
        let good = site.text();
        let told = roster.said("the disk is full");
        fill(&filler);
        site.services(&[("web", &all[1..]), ("api", &all)]);
        site.until_ready("web", &all[1..]);
        roster.until_said("the disk is full", told + 1);
        assert_eq!(site.text(), good);
        fs::remove_file(&filler).or_fail();
        site.until_written("web");
        let totals = load.stop();
        assert_eq!(totals.failed(), 0, "{totals:?}");
        assert_eq!(site.reloads(), 1);
        let names = fs::read_dir(etc).or_fail().map(|entry| entry.or_fail().file_name());
        assert_eq!(names.collect::<Vec<_>>(), ["haproxy.cfg"], "something was left behind");
    });
}

/// The number and the state of each child of a process.
fn children(of: u32) -> Vec<(u32, char)> {
    let child = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let mut fields = stat.rsplit_once(") ")?.1.split_whitespace();
        let state = fields.next()?.chars().next()?;
        (fields.next()?.parse() == Ok(of)).then_some((pid, state))
    };
    let pids = fs::read_dir("/proc").or_fail().flatten();
    pids.filter_map(|entry| child(entry.file_name().to_str()?.parse().ok()?)).collect()
}

/// The number out here of the site's process that has this number where it is.
fn outside(site: &Site, inside: u32) -> u32 {
    let is_it = |pid: &u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
        let numbers: Vec<&str> = numbers.unwrap_or_default().split_whitespace().collect();
        numbers.len() > 1 && numbers.last().is_some_and(|last| last.parse() == Ok(inside))
    };
    wait_until_or_fail(CAP, "the process", || site.processes().into_iter().find(is_it))
}

#[test]
#[ignore = "needs user namespaces and half a minute: make soak"]
fn as_the_first_process_roster_keeps_haproxy_reaps_orphans_and_ends_with_it() {
    on_each_at_once(|bin| {
        let mut site = Site::new(bin);
        site.keys += "on_exit: stop\n";
        let servers = backends(&["a"]);
        site.services(&[("web", &ports(&servers))]);
        site.configure();
        let namespaces = ["--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "--kill-child"];
        let mut roster = site.run_under(&[&["unshare"], &namespaces[..]].concat());
        site.until_served();
        let [(first, _)] = children(roster.pid())[..] else { panic!("{:?}", children(roster.pid())) };

        let worker = site.worker().unwrap();
        send(outside(&site, worker), Signal::KILL);
        roster.until_said("HAProxy serves", 2);
        site.until_served();
        assert_ne!(site.worker(), Some(worker));

        // The worker of a master that is killed is handed to the first process.
        let dead = || children(first).into_iter().filter(|(_, state)| *state == 'Z').count();
        send(outside(&site, site.master().unwrap()), Signal::KILL);
        roster.until_said("HAProxy serves", 3);
        wait_until_or_fail(CAP, "the orphan", || dead() == 1);
        site.until_served();
        wait_until_or_fail(CAP, "the orphan to be reaped", || dead() == 0);

        let client = site.client_in_an_answer();
        send(first, Signal::TERM);
        wait_until_or_fail(CAP, "no new connections", || TcpStream::connect(site.address()).is_err());
        servers[0].release_held();
        assert!(is_answered(client), "its end was not graceful");
        assert_eq!(roster.ended(), Some(0));
        assert_eq!(site.processes(), [] as [u32; 0]);
    });
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
    site.until_processes(2);
}
