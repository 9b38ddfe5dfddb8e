//! What goes wrong with a HAProxy of Roster's own: it is told with what to do, and what ran goes on.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use roster_testkit::{HaproxyBin, OrFail, Poll, TrafficLoad, cli_at, wait_until_or_fail};
use rustix::process::Signal;

use super::site::{AT_ONCE, Site, at, backends, on_each, on_each_at_once, ports};
use crate::rig::{CAP, one_version};

/// A listener of somebody else's.
pub(crate) fn occupied(port: u16) -> TcpListener {
    wait_until_or_fail(CAP, "a port", || TcpListener::bind(at(port)))
}

#[test]
fn a_port_in_use_at_the_start_is_told_and_waited_for() {
    on_each(|bin| {
        let site = Site::new(bin);
        let servers = backends(&["a"]);
        site.services(&[("web", &ports(&servers))]);
        let other = occupied(site.port);
        let roster = site.run();
        roster.until_log("ERROR");
        let log = roster.log();
        assert!(log.contains(&site.port.to_string()) || log.contains("in use"), "{log}");
        drop(other);
        site.until_served();
        site.until_processes(2);
    });
}

#[test]
fn a_held_port_in_use_at_the_start_is_told_with_who_has_it() {
    on_each_at_once(|bin| {
        let mut site = Site::new(bin);
        site.sections = String::new();
        site.keys += "listen: held\n";
        site.rest = format!(
            "expose: [ {{ service: fleet/web, bring_up: registry, guard: off, backend: {{ bind: \"127.0.0.1:{}\" }} }} ]\n\
             admin: off\n",
            site.port
        );
        let servers = backends(&["a"]);
        site.services(&[("web", &ports(&servers))]);
        let other = occupied(site.port);
        let roster = site.run();
        roster.until_log(&format!("cannot listen on 127.0.0.1:{}: it is in use by", site.port));
        drop(other);
        site.until_served();
    });
}

#[test]
fn a_missing_haproxy_is_told_at_the_start() {
    let mut site = Site::new(&one_version());
    site.haproxy = "/nowhere/haproxy".into();
    site.services(&[("web", &[8001])]);
    let mut roster = site.run();
    assert_eq!(roster.ended(), Some(1));
    let log = roster.log();
    assert!(log.contains("/nowhere/haproxy") && log.contains("`haproxy`"), "{log}");
}

#[test]
fn a_haproxy_that_is_too_old_is_told_at_the_start() {
    let mut site = Site::new(&one_version());
    site.haproxy = site.path("haproxy");
    script(&site.haproxy, "echo 'HAProxy version 2.4.22-f8e3218 2023/02/14'");
    site.services(&[("web", &[8001])]);
    let mut roster = site.run();
    assert_eq!(roster.ended(), Some(1));
    let log = roster.log();
    assert!(log.contains("is HAProxy 2.4.22; Roster needs 2.6") && log.contains("`haproxy`"), "{log}");
    assert!(!site.file.exists());
}

#[test]
fn a_haproxy_whose_binary_goes_away_goes_on_and_reloads_when_it_is_back() {
    on_each_at_once(|bin| {
        let mut site = Site::new(bin);
        site.keys += "settle: { quiet: 0s }\n";
        site.haproxy = in_place_of(&site, bin, "true");
        let servers = backends(&["a", "b"]);
        let all = ports(&servers);
        site.services(&[("web", &all[..1])]);
        let roster = site.run();
        site.until_ready("web", &all[..1]);
        site.until_written("web");
        let (worker, good) = (site.worker(), site.text());
        let load = TrafficLoad::builder(site.address()).start();
        fs::remove_file(&site.haproxy).or_fail();
        site.services(&[("web", &all[..1]), ("api", &all)]);
        roster.until_log("/haproxy is not there; install HAProxy, or name its binary");
        assert_eq!((site.worker(), site.text()), (worker, good));
        site.services(&[("web", &all), ("api", &all)]);
        site.until_ready("web", &all);
        in_place_of(&site, bin, "true");
        site.until_ready("api", &all);
        let totals = load.stop();
        assert_eq!(totals.failed(), 0, "{totals:?}");
        assert_eq!(site.reloads(), 1);
    });
}

#[test]
fn a_folder_that_takes_no_file_is_told_and_waited_for() {
    on_each_at_once(|bin| {
        let mut site = Site::new(bin);
        let folder = site.path("etc");
        site.file = folder.join("haproxy.cfg");
        let servers = backends(&["a"]);
        site.services(&[("web", &ports(&servers))]);
        // A file in the place of the folder stops root too.
        fs::write(&folder, "in the way").or_fail();
        let roster = site.run();
        roster.until_log("ERROR");
        assert!(roster.log().contains(&folder.display().to_string()));
        assert_eq!(site.processes(), Vec::<u32>::new());
        fs::remove_file(&folder).or_fail();
        fs::create_dir(&folder).or_fail();
        site.until_served();
        let errors = roster.said("ERROR");
        assert!((1..=3).contains(&errors), "told {errors} times");
    });
}

#[test]
fn global_lines_that_haproxy_refuses_leave_what_ran() {
    on_each(|bin| {
        let mut site = Site::new(bin);
        let servers = backends(&["a", "b"]);
        let all = ports(&servers);
        site.services(&[("web", &all[..1])]);
        let roster = site.run();
        site.until_ready("web", &all[..1]);
        site.until_written("web");
        let (worker, good) = (site.worker(), site.text());
        let load = TrafficLoad::builder(site.address()).start();
        let keys = site.keys.clone();
        site.keys += "global: |\n  nonsense 1\n";
        site.configure();
        roster.signal(Signal::HUP);
        roster.until_log("HAProxy refuses the file");
        let told = roster.log();
        let told = told.lines().find(|line| line.contains("HAProxy refuses the file")).unwrap();
        let refused = site.path("haproxy.cfg.refused");
        assert!(told.contains("nonsense") && told.contains(&refused.display().to_string()), "{told}");
        assert!(fs::read_to_string(&refused).or_fail().contains("nonsense 1"));
        assert_eq!((site.worker(), site.text()), (worker, good));
        // Servers are kept all the same.
        site.services(&[("web", &all)]);
        site.until_ready("web", &all);
        site.keys = keys + "global: maxconn 1000\n";
        site.configure();
        roster.signal(Signal::HUP);
        roster.until_log("HAProxy was reloaded");
        assert!(site.text().contains("maxconn 1000") && !refused.exists());
        let totals = load.stop();
        assert_eq!(totals.failed(), 0, "{totals:?}");
    });
}

#[test]
fn a_service_whose_lines_haproxy_refuses_is_left_out_and_the_others_go_on() {
    on_each(|bin| {
        let mut site = Site::new(bin);
        let rule = |lines: &str| {
            format!(
                "expose:\n  - {{ service: fleet/bad, bring_up: registry, backend: {{ lines: [{lines}] }} }}\n  \
                 - {{ service: [fleet/web, fleet/api], bring_up: registry, guard: off }}\nadmin: off\n"
            )
        };
        site.rest = rule("http-request deny if no_such_acl");
        let servers = backends(&["a"]);
        let all = ports(&servers);
        site.services(&[("web", &all), ("bad", &all)]);
        let roster = site.run();
        roster.until_log("backend bad is left out");
        site.until_served();
        assert!(!site.text().contains("backend bad"));
        site.services(&[("web", &all), ("bad", &all), ("api", &all)]);
        site.until_ready("api", &all);
        assert_eq!(roster.said("backend bad is left out"), 1);
        site.rest = rule("option forwardfor");
        site.configure();
        roster.signal(Signal::HUP);
        site.until_ready("bad", &all);
    });
}

/// A program in HAProxy's place that passes every check, and then runs these lines of shell instead of a master.
fn in_place_of(site: &Site, bin: &HaproxyBin, lines: &str) -> PathBuf {
    let path = site.path("haproxy");
    let text = format!(
        "case \" $* \" in *\" -W \"*) echo start >> {}; {lines};; esac\nexec {} \"$@\"",
        site.path("starts").display(),
        bin.path().display()
    );
    script(&path, &text);
    path
}

/// Writes a program in shell, in place of the one that is there.
pub(crate) fn script(path: &Path, lines: &str) {
    // A file that is being written does not run.
    let beside = path.with_extension("new");
    fs::write(&beside, format!("#!/bin/sh\n{lines}\n")).or_fail();
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o755)).or_fail();
    fs::rename(beside, path).or_fail();
}

fn starts(site: &Site) -> usize {
    fs::read_to_string(site.path("starts")).unwrap_or_default().lines().count()
}

#[test]
fn a_haproxy_that_dies_at_every_start_is_told_and_does_not_make_roster_spin() {
    on_each_at_once(|bin| {
        let mut site = Site::new(bin);
        site.haproxy = in_place_of(&site, bin, "exit 1");
        let servers = backends(&["a"]);
        site.services(&[("web", &ports(&servers))]);
        let roster = site.run();
        wait_until_or_fail(CAP, "the first start", || starts(&site) > 0);
        let (began, before) = (Instant::now(), roster.cpu());
        let watched = Duration::from_secs(3);
        wait_until_or_fail(CAP, "three seconds", || began.elapsed() >= watched);
        let (spent, tries) = (roster.cpu().saturating_sub(before), starts(&site));
        eprintln!("{spent:?} of a processor in {:?}, {tries} starts", began.elapsed());
        assert!(spent < watched / 5, "{spent:?}");
        assert!((1..=8).contains(&tries), "{tries} starts");
        let errors = roster.said("ERROR");
        assert!((1..=2).contains(&errors), "told {errors} times: {}", roster.log());
        // A good one ends it without anybody's help.
        in_place_of(&site, bin, "true");
        site.until_served();
    });
}

#[test]
fn one_that_began_to_die_at_every_start_does_not_make_roster_spin_either() {
    on_each_at_once(|bin| {
        let mut site = Site::new(bin);
        site.haproxy = in_place_of(&site, bin, "true");
        let servers = backends(&["a"]);
        site.services(&[("web", &ports(&servers))]);
        let roster = site.run();
        site.until_served();
        in_place_of(&site, bin, "exit 1");
        let before = roster.cpu();
        super::site::send(site.master().unwrap(), Signal::KILL);
        roster.until_log("ended");
        let (began, watched) = (Instant::now(), Duration::from_secs(3));
        // News of servers and files meanwhile change nothing of that.
        let mut round: u16 = 0;
        wait_until_or_fail(CAP, "three seconds", || {
            round = (round + 1) % 100;
            if round == 0 {
                site.services(&[("web", &ports(&servers)), ("api", &[8000 + round])]);
            }
            began.elapsed() >= watched
        });
        let (spent, tries) = (roster.cpu().saturating_sub(before), starts(&site));
        eprintln!("{spent:?} of a processor in {:?}, {tries} starts", began.elapsed());
        assert!(spent < watched / 5, "{spent:?}");
        assert!((2..=9).contains(&tries), "{tries} starts");
        in_place_of(&site, bin, "true");
        site.until_served();
    });
}

#[test]
fn a_file_that_somebody_else_changed_is_kept_aside_told_and_written_anew() {
    on_each(|bin| {
        let site = Site::new(bin);
        let servers = backends(&["a", "b"]);
        let all = ports(&servers);
        site.services(&[("web", &all[..1])]);
        let roster = site.run();
        site.until_ready("web", &all[..1]);
        site.until_written("web");
        fs::write(&site.file, site.text() + "# by hand\n").or_fail();
        site.services(&[("web", &all)]);
        site.until_ready("web", &all);
        site.until_written("web");
        roster.until_log("somebody else had written");
        assert!(!site.text().contains("by hand"));
        let kept = fs::read_dir(site.folder()).or_fail().flatten().map(|entry| entry.path());
        let kept = kept.filter(|path| path.is_file() && *path != site.file);
        let mut kept =
            kept.filter(|path| fs::read_to_string(path).is_ok_and(|text| text.contains("# by hand")));
        let kept = kept.next().unwrap();
        assert!(roster.log().contains(&kept.display().to_string()), "{}", roster.log());
        assert_eq!(site.reloads(), 0);
    });
}

#[test]
fn a_haproxy_that_somebody_reloaded_with_a_file_of_their_own_gets_rosters_back() {
    on_each(|bin| {
        let site = Site::new(bin);
        let servers = backends(&["a", "b"]);
        let all = ports(&servers);
        site.services(&[("web", &all), ("api", &all)]);
        let roster = site.run();
        site.until_ready("api", &all);
        site.until_ready("web", &all);
        site.until_written("web");
        site.until_written("api");
        let worker = site.worker();
        let (head, rest) =
            site.text().split_once("backend api\n").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        let (_, tail) = rest.split_once("\n\n").unwrap();
        fs::write(&site.file, head + "\n" + tail).or_fail();
        cli_at(&site.path("run/master.sock"), "reload").ok();
        wait_until_or_fail(CAP, "their worker", || site.worker().is_some_and(|new| Some(new) != worker));
        wait_until_or_fail(CAP, "api to be there again", || {
            Poll::when(site.ready("api").into_keys().collect::<Vec<_>>(), |ready| {
                ready.len() == 2 && all.iter().all(|port| ready.contains(port))
            })
        });
        site.until_written("api");
        site.until_ready("web", &all);
        roster.until_log("somebody else had written");
    });
}

#[test]
fn a_first_start_waits_for_the_sources_and_then_serves() {
    let mut site = Site::new(&one_version());
    site.rest = format!("{AT_ONCE}admin: off\n");
    let servers = backends(&["a"]);
    fs::remove_file(site.path("services.yaml")).or_fail();
    let roster = site.run();
    roster.until_log("services.yaml");
    assert!(!site.file.exists() && site.processes().is_empty());
    site.services(&[("web", &ports(&servers))]);
    site.until_served();
}
