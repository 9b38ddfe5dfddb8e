//! Roster ends and comes back, HAProxy ends and comes back.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use roster_testkit::{
    HaproxyBin, HttpError, OrFail, Poll, Totals, TrafficLoad, free_port, http_get, wait_until_or_fail,
};
use rustix::process::Signal;

use super::site::{Roster, Site, at, backends, is_alive, on_each, ports, send};
use crate::rig::{CAP, one_version};

/// What is killed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Victim {
    Worker,
    Master,
}

/// So many kills between two starts of roster: who ends again and again within a minute is started ever later.
const KILLS_A_LIFE: usize = 2;
/// How soon after a kill a client has its answer.
const SOON: Duration = Duration::from_secs(1);

/// A HAProxy whose port Roster holds, before the backend `web`.
fn held(bin: &HaproxyBin) -> Site {
    let mut site = Site::new(bin);
    site.sections = String::new();
    site.keys += "listen: held\n";
    site.rest = format!(
        "expose: [ {{ service: fleet/web, bring_up: registry, drain: {{ cap: 0s }}, guard: off, \
         backend: {{ bind: \"127.0.0.1:{}\" }} }} ]\nadmin: off\n",
        site.port
    );
    site
}

#[test]
fn a_killed_rosters_haproxy_is_adopted_as_it_is_and_kept_on() {
    on_each(|bin| {
        for mut site in [Site::new(bin), held(bin)] {
            site.keys += "hard_stop_after: 5s\n";
            let servers = backends(&["a", "b"]);
            let all = ports(&servers);
            site.services(&[("web", &all[..1])]);
            let roster = site.run();
            site.until_ready("web", &all[..1]);
            site.until_served();
            let (master, worker) = (site.master(), site.worker());
            let load = TrafficLoad::builder(site.address()).start();
            drop(roster);
            // Who left while nobody looked is found.
            site.services(&[("web", &all[1..])]);
            let roster = site.run_again();
            roster.until_log("HAProxy runs already and goes on");
            site.until_ready("web", &all[1..]);
            site.services(&[("web", &all)]);
            site.until_ready("web", &all);
            site.until_written("web");
            assert_eq!((site.master(), site.worker(), site.reloads()), (master, worker, 0));
            assert_eq!(roster.said("ERROR"), 0);
            // Its end is noticed though another Roster started it.
            let totals = load.stop();
            assert_eq!(totals.failed(), 0, "{totals:?}");
            send(worker.unwrap(), Signal::KILL);
            wait_until_or_fail(CAP, "another worker", || {
                site.worker().is_some_and(|new| Some(new) != worker)
            });
            site.until_served();
        }
    });
}

#[test]
fn what_waits_for_a_reload_when_roster_is_killed_is_made_by_the_next() {
    let mut site = Site::new(&one_version());
    site.keys += "settle: { quiet: 60s, at_most: 60s }\n";
    site.services(&[("web", &[8001])]);
    let roster = site.run();
    site.until_ready("web", &[8001]);
    let worker = site.worker();
    site.services(&[("web", &[8001, 8002]), ("api", &[8003])]);
    site.until_ready("web", &[8001, 8002]);
    drop(roster);
    assert_eq!(site.worker(), worker);
    site.keys = "max_reloads: off\n".to_owned();
    let _roster = site.run();
    site.until_ready("api", &[8003]);
    assert_eq!(site.reloads(), 1);
}

#[test]
fn another_configuration_is_taken_over_at_sighup_by_the_same_haproxy() {
    on_each(|bin| {
        let mut site = Site::new(bin);
        let servers = backends(&["a", "b"]);
        let all = ports(&servers);
        site.services(&[("web", &all[..1])]);
        let roster = site.run();
        site.until_ready("web", &all[..1]);
        site.until_served();
        let (master, worker) = (site.master(), site.worker());
        let load = TrafficLoad::builder(site.address()).start();
        roster.signal(Signal::HUP);
        roster.until_log("the configuration was read again");
        site.services(&[("web", &all)]);
        site.until_ready("web", &all);
        assert_eq!((site.master(), site.worker(), site.reloads()), (master, worker, 0));
        // What only a reload brings comes by one.
        site.sections += "    option http-server-close\n";
        site.configure();
        roster.signal(Signal::HUP);
        roster.until_log("HAProxy was reloaded");
        assert_eq!((site.master(), site.reloads()), (master, 1));
        assert!(site.text().contains("http-server-close"));
        site.services(&[("web", &all[1..])]);
        site.until_ready("web", &all[1..]);
        let totals = load.stop();
        assert_eq!(totals.failed(), 0, "{totals:?}");
    });
}

#[test]
fn stopping_roster_leaves_haproxy_or_ends_it_as_it_says() {
    on_each(|bin| {
        for at_exit in ["keep", "stop"] {
            for mut site in [Site::new(bin), held(bin)] {
                site.keys.extend(["on_exit: ", at_exit, "\n"]);
                let servers = backends(&["a"]);
                site.services(&[("web", &ports(&servers))]);
                let roster = site.run();
                site.until_served();
                let (master, worker) = (site.master().unwrap(), site.worker().unwrap());
                assert_eq!(roster.stop(), Some(0));
                if at_exit == "keep" {
                    assert_eq!(site.get().as_deref(), Some("a"));
                    assert_eq!(site.worker(), Some(worker));
                } else {
                    assert!(!is_alive(master) && !is_alive(worker), "{:?}", site.processes());
                    assert!(matches!(http_get(site.address(), "/"), Err(HttpError::Refused)));
                }
                // Either way the next one serves.
                let roster = site.run_again();
                roster.until_said("HAProxy serves", 2);
                site.until_served();
                assert_eq!(site.worker() == Some(worker), at_exit == "keep");
                assert_eq!(roster.said("ERROR"), 0);
            }
        }
    });
}

/// What became of a load and of single clients over a number of kills.
#[derive(Debug, Default)]
struct Toll {
    requests: u64,
    refused: u64,
    cut: u64,
    other: u64,
    longest: Duration,
}

impl Toll {
    fn count(&mut self, totals: &Totals) {
        self.requests += totals.ok;
        self.refused += totals.refused;
        self.cut += totals.reset;
        self.other += totals.timed_out + totals.other + totals.other_status.values().sum::<u64>();
    }
}

/// Kills HAProxy so often, under load, each time when it serves.
pub(crate) fn kills(bin: &HaproxyBin, victim: Victim, times: usize) {
    let site = held(bin);
    let servers = backends(&["a", "b"]);
    site.services(&[("web", &ports(&servers))]);
    let mut roster = site.run();
    site.until_ready("web", &ports(&servers));
    site.until_served();
    // What the file does not say yet, nobody can start with.
    site.until_written("web");
    let mut toll = Toll::default();
    for round in 0..times {
        if round > 0 && round % KILLS_A_LIFE == 0 {
            roster = again(&site, roster);
        }
        let load = TrafficLoad::builder(site.address()).workers(4).start();
        wait_until_or_fail(CAP, "traffic", || load.totals().ok > 20);
        kill(&site, victim, &mut toll);
        let seen = load.totals().ok;
        wait_until_or_fail(CAP, "traffic again", || load.totals().ok > seen + 20);
        toll.count(&load.stop());
        roster.until_said("HAProxy serves", starts(round));
    }
    eprintln!("{times} times, {victim:?} killed: {toll:?}");
    assert_eq!((toll.refused, toll.other), (0, 0), "{toll:?}");
    assert!(toll.longest < SOON, "{toll:?}");
    assert_eq!(site.reloads(), 0);
}

/// The lines that say that HAProxy serves, after so many rounds: one a start, and one an adoption.
fn starts(round: usize) -> usize {
    2 + round + round / KILLS_A_LIFE
}

/// Kills it, and waits for a client that came at that moment.
fn kill(site: &Site, victim: Victim, toll: &mut Toll) {
    let (master, worker) = (site.master().unwrap(), site.worker().unwrap());
    let began = Instant::now();
    send(if let Victim::Worker = victim { worker } else { master }, Signal::KILL);
    wait_until_or_fail(CAP, "an answer", || match http_get(site.address(), "/") {
        Ok(reply) if reply.status == 200 && site.worker() != Some(worker) => Poll::Ready(()),
        Err(HttpError::Refused) => panic!("refused"),
        other => Poll::Pending(format!("{other:?}")),
    });
    toll.longest = toll.longest.max(began.elapsed());
    wait_until_or_fail(CAP, "the end of both", || !is_alive(master) && !is_alive(worker));
}

/// Another Roster in the place of this one.
fn again(site: &Site, roster: Roster) -> Roster {
    let adopted = roster.said("HAProxy runs already and goes on");
    drop(roster);
    let roster = site.run_again();
    roster.until_said("HAProxy runs already and goes on", adopted + 1);
    roster
}

#[test]
fn a_killed_worker_is_replaced_within_a_second_and_nobody_is_refused() {
    on_each(|bin| kills(bin, Victim::Worker, 10));
}

#[test]
fn a_killed_master_is_replaced_within_a_second_and_nobody_is_refused() {
    on_each(|bin| kills(bin, Victim::Master, 10));
}

#[test]
fn with_plain_binds_a_killed_haproxy_is_back_at_once_too() {
    on_each(|bin| {
        let site = Site::new(bin);
        let servers = backends(&["a"]);
        site.services(&[("web", &ports(&servers))]);
        let roster = site.run();
        site.until_served();
        let worker = site.worker().unwrap();
        send(site.master().unwrap(), Signal::KILL);
        roster.until_said("HAProxy serves", 2);
        wait_until_or_fail(CAP, "the orphan's end", || !is_alive(worker));
        site.until_served();
        site.until_ready("web", &ports(&servers));
        site.until_processes(2);
        assert_eq!(site.reloads(), 0);
    });
}

#[test]
fn a_haproxy_that_no_record_names_is_adopted_with_its_ports() {
    for mut site in [Site::new(&one_version()), held(&one_version())] {
        let servers = backends(&["a"]);
        site.services(&[("web", &ports(&servers))]);
        site.keys += "settle: { quiet: 0s }\n";
        let mut roster = site.run();
        site.until_ready("web", &ports(&servers));
        site.until_written("web");
        // As if it had been killed between a start and the record of it.
        let record = kept_records(&site);
        send(site.worker().unwrap(), Signal::KILL);
        roster.until_said("HAProxy serves", 2);
        site.until_ready("web", &ports(&servers));
        drop(roster);
        for (path, bytes) in record {
            std::fs::write(path, bytes).or_fail();
        }
        let (master, worker) = (site.master(), site.worker());
        roster = site.run_again();
        roster.until_log("HAProxy runs already and goes on");
        site.services(&[("web", &[8001])]);
        site.until_ready("web", &[8001]);
        assert_eq!((site.master(), site.worker()), (master, worker));
        assert_eq!(roster.said("cannot"), 0);
        site.until_processes(2);
    }
}

/// Every file of the state folder.
fn kept_records(site: &Site) -> Vec<(PathBuf, Vec<u8>)> {
    let mut folders = vec![site.path("state")];
    let mut records = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).or_fail() {
            let path = entry.or_fail().path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(bytes) = std::fs::read(&path) {
                records.push((path, bytes));
            }
        }
    }
    records
}

#[test]
fn sockets_that_a_crash_of_the_machine_left_are_in_nobodys_way() {
    on_each(|bin| {
        let site = Site::new(bin);
        let servers = backends(&["a"]);
        site.services(&[("web", &ports(&servers))]);
        let roster = site.run();
        site.until_served();
        site.until_written("web");
        let (master, worker) = (site.master().unwrap(), site.worker().unwrap());
        drop(roster);
        send(master, Signal::KILL);
        send(worker, Signal::KILL);
        wait_until_or_fail(CAP, "the end of both", || !is_alive(master) && !is_alive(worker));
        assert!(site.path("run/master.sock").exists() && site.path("run/admin.sock").exists());
        let began = Instant::now();
        let roster = site.run_again();
        site.until_served();
        eprintln!("served again after {:?}", began.elapsed());
        assert_eq!(roster.said("ERROR"), 0);
        site.until_processes(2);
    });
}

#[test]
fn two_targets_are_two_haproxys() {
    let site = Site::new(&one_version());
    let (other, servers) = (free_port().or_fail(), backends(&["a"]));
    site.services(&[("web", &ports(&servers))]);
    site.configure();
    let file = site.path("roster.yaml");
    let text = std::fs::read_to_string(&file).or_fail();
    let (before, target) = text.split_once("  own:\n").unwrap();
    let (target, rest) = target.split_once("expose:").unwrap();
    let second = target.replace("haproxy.cfg", "other.cfg").replace("run_dir: run", "run_dir: run2");
    let second = second.replace(&site.port.to_string(), &other.to_string());
    std::fs::write(&file, format!("{before}  own:\n{target}  own2:\n{second}expose:{rest}")).or_fail();
    let _roster = site.run_again();
    site.until_served();
    wait_until_or_fail(CAP, "the other one", || {
        http_get(at(other), "/").is_ok_and(|reply| reply.status == 200)
    });
    site.until_processes(4);
}
