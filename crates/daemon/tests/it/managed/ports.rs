//! Addresses that HAProxy cannot listen on, though its check of the file passes: they take nothing down with them.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use roster_testkit::{HaproxyBin, OrFail, TrafficLoad, free_port, http_get, wait_until_or_fail};
use rustix::process::{Signal, geteuid};

use super::site::{AT_ONCE, Roster, Site, at, backends, on_each_at_once, ports, send};
use super::trouble::{occupied, script};
use crate::rig::{CAP, one_version};

/// Both ways to open ports.
pub(crate) const LISTEN: [&str; 2] = ["haproxy", "held"];

/// An address that no machine has (RFC 5737).
const NOWHERE: &str = "192.0.2.1:8080";

/// Who listens where, besides `web` on the site's own port.
pub(crate) fn exposed(site: &mut Site, binds: &[(&str, &str)]) {
    let own = ("web".to_owned(), format!("127.0.0.1:{}", site.port));
    let others = binds.iter().map(|(name, at)| ((*name).to_owned(), (*at).to_owned()));
    let rule = |(name, at): (String, String)| {
        format!(
            "  - {{ service: [fleet/{name}], bring_up: registry, drain: {{ cap: 0s }}, guard: off, backend: {{ bind: \"{at}\" }} }}\n"
        )
    };
    let rules: String = std::iter::once(own).chain(others).map(rule).collect();
    let rest = AT_ONCE.trim_start_matches("expose: [").trim_end_matches(" ]\n").trim();
    site.rest = format!("expose:\n{rules}  - {rest}\nadmin: off\n");
    site.sections = String::new();
}

/// A site whose service `web` listens on the site's port. The `new` services are to listen on the addresses beside their names.
pub(crate) fn serving(bin: &HaproxyBin, listen: &str, new: &[(&str, &str)], web: &[u16]) -> (Site, Roster) {
    let mut site = Site::new(bin);
    site.keys += "settle: { quiet: 0s }\nlisten: ";
    site.keys += listen;
    site.keys += "\n";
    exposed(&mut site, new);
    site.services(&[("web", web)]);
    let roster = site.run();
    site.until_served();
    (site, roster)
}

fn answers(at: SocketAddr) -> bool {
    http_get(at, "/").is_ok_and(|reply| reply.status == 200)
}

#[track_caller]
fn until_answered(at: SocketAddr) {
    wait_until_or_fail(CAP, &format!("an answer on {at}"), || answers(at));
}

fn status(site: &Site) -> String {
    site.command(&["status"]).out
}

/// Adds `api`, whose bind is bad, and `mail`, which has nothing to do with it, under load.
fn a_bad_bind_takes_nothing_down(
    bin: &HaproxyBin,
    listen: &str,
    (at_api, why): (&str, &str),
    all: &[u16],
) -> (Site, Roster) {
    let mail = free_port().or_fail();
    let mail_at = format!("127.0.0.1:{mail}");
    let (site, roster) = serving(bin, listen, &[("api", at_api), ("mail", &mail_at)], &all[..1]);
    let load = TrafficLoad::builder(site.address()).start();
    site.services(&[("web", &all[..1]), ("api", &all[1..2]), ("mail", &all[2..])]);
    until_answered(at(mail));
    roster.until_log("a bind of frontend api is left out");
    site.until_ready("api", &all[1..2]);
    let told = roster.log().lines().find(|line| line.contains("a bind of frontend api")).unwrap().to_owned();
    assert!(told.contains(at_api) && told.contains(why), "{told}");
    let shown = status(&site);
    assert!(shown.contains("a bind of frontend api is left out") && shown.contains(at_api), "{shown}");
    // What can be done live goes on.
    site.services(&[("web", &all[..2]), ("api", &all[1..2]), ("mail", &all[2..])]);
    site.until_ready("web", &all[..2]);
    let totals = load.stop();
    assert_eq!(totals.failed(), 0, "{listen}: {totals:?}");
    assert_eq!(site.reloads(), 1, "{}", roster.log());
    (site, roster)
}

#[test]
fn a_service_whose_port_another_program_has_is_left_out_alone_until_the_port_is_free() {
    on_each_at_once(|bin| {
        for listen in LISTEN {
            let port = free_port().or_fail();
            let other = occupied(port);
            let at_api = format!("127.0.0.1:{port}");
            let servers = backends(&["a", "b", "c"]);
            let (site, roster) =
                a_bad_bind_takes_nothing_down(bin, listen, (&at_api, "it is in use"), &ports(&servers));
            let load = TrafficLoad::builder(site.address()).start();
            drop(other);
            until_answered(at(port));
            let totals = load.stop();
            assert_eq!(totals.failed(), 0, "{listen}: {totals:?}");
            wait_until_or_fail(CAP, "a status without it", || !status(&site).contains("is left out"));
            // Once more where a child of this program had the port too for a moment.
            let told = roster.said("a bind of frontend api is left out");
            assert!((1..=2).contains(&told), "told {told} times");
        }
    });
}

#[test]
fn a_service_whose_address_the_machine_lacks_is_left_out_alone() {
    on_each_at_once(|bin| {
        for listen in LISTEN {
            let servers = backends(&["a", "b", "c"]);
            let bad = (NOWHERE, "is not on this machine");
            // Roster ends before its folder goes.
            let (_site, _roster) = a_bad_bind_takes_nothing_down(bin, listen, bad, &ports(&servers));
        }
    });
}

#[test]
fn a_bad_bind_at_the_first_start_keeps_no_other_service_from_being_served() {
    on_each_at_once(|bin| {
        for listen in LISTEN {
            let servers = backends(&["a"]);
            let all = ports(&servers);
            let mut site = Site::new(bin);
            site.keys += "listen: ";
            site.keys += listen;
            exposed(&mut site, &[("api", NOWHERE)]);
            site.services(&[("web", &all), ("api", &all)]);
            let roster = site.run();
            site.until_served();
            roster.until_log("a bind of frontend api is left out");
            assert_eq!(roster.said("cannot bind"), 0, "{}", roster.log());
        }
    });
}

#[test]
fn a_low_port_that_haproxy_may_not_open_is_left_out_alone() {
    let low = 700 + u16::try_from(std::process::id() % 250).unwrap();
    on_each_at_once(|bin| {
        for listen in LISTEN {
            let servers = backends(&["a"]);
            let all = ports(&servers);
            let mut site = Site::new(bin);
            site.keys += "listen: ";
            site.keys += listen;
            exposed(&mut site, &[("api", &format!("127.0.0.1:{low}"))]);
            site.services(&[("web", &all), ("api", &all)]);
            site.configure();
            let without = ["setpriv", "--bounding-set=-net_bind_service", "--inh-caps=-net_bind_service"];
            let roster = if geteuid().is_root() { site.run_under(&without) } else { site.run_again() };
            site.until_served();
            roster.until_log("a bind of frontend api is left out: not permitted to listen on");
        }
    });
}

#[test]
fn of_two_services_whose_held_ports_overlap_the_first_keeps_its_own_and_both_are_named() {
    on_each_at_once(|bin| {
        let servers = backends(&["a", "b"]);
        let all = ports(&servers);
        let port = free_port().or_fail();
        let (within, any) = (format!("127.0.0.1:{port}"), format!("0.0.0.0:{port}"));
        let binds = [("api", within.as_str()), ("shop", any.as_str())];
        let (site, roster) = serving(bin, "held", &binds, &all[..1]);
        site.services(&[("web", &all[..1]), ("shop", &all[1..])]);
        until_answered(at(port));
        // Its name comes before the other one's.
        site.services(&[("web", &all[..1]), ("shop", &all[1..]), ("api", &all[..1])]);
        roster.until_log(&format!("frontend api does not listen on {within}: frontend shop does"));
        site.until_ready("api", &all[..1]);
        for _ in 0..20 {
            assert_eq!(http_get(at(port), "/").or_fail().backend.as_deref(), Some("b"));
        }
    });
}

#[test]
fn a_port_that_goes_from_one_service_to_another_is_the_new_ones() {
    on_each_at_once(|bin| {
        for listen in LISTEN {
            let servers = backends(&["a", "b"]);
            let all = ports(&servers);
            let same = format!("127.0.0.1:{}", free_port().or_fail());
            let port: SocketAddr = same.parse().unwrap();
            let (mut site, roster) = serving(bin, listen, &[("shop", &same)], &all[..1]);
            site.services(&[("web", &all[..1]), ("shop", &all[1..])]);
            until_answered(port);
            let load = TrafficLoad::builder(site.address()).start();
            site.services(&[("web", &all[..1]), ("shop", &all[1..]), ("api", &all[..1])]);
            exposed(&mut site, &[("api", &same)]);
            site.configure();
            roster.signal(Signal::HUP);
            wait_until_or_fail(CAP, "the new one", || {
                http_get(port, "/").is_ok_and(|reply| reply.backend.as_deref() == Some("a"))
            });
            let totals = load.stop();
            assert_eq!(totals.failed(), 0, "{listen}: {totals:?}");
            assert_eq!(roster.said("does not listen on"), 0, "{}", roster.log());
        }
    });
}

#[test]
fn a_port_of_the_operators_own_sections_stays_theirs() {
    on_each_at_once(|bin| {
        for listen in LISTEN {
            let servers = backends(&["a", "b"]);
            let all = ports(&servers);
            let mut site = Site::new(bin);
            site.keys += "listen: ";
            site.keys += listen;
            let (sections, own) = (site.sections.clone(), site.port);
            site.port = free_port().or_fail();
            exposed(&mut site, &[("api", &format!("127.0.0.1:{own}"))]);
            site.sections = sections;
            site.services(&[("web", &all[..1]), ("api", &all[1..])]);
            let roster = site.run();
            site.until_served();
            roster.until_log("frontend api does not listen on");
            site.until_ready("api", &all[1..]);
            for _ in 0..20 {
                assert_eq!(http_get(at(own), "/").or_fail().backend.as_deref(), Some("a"), "{listen}");
            }
        }
    });
}

#[test]
fn a_bad_bind_of_the_operators_own_at_the_first_start_is_told_with_who_has_the_port() {
    on_each_at_once(|bin| {
        let servers = backends(&["a"]);
        let site = Site::new(bin);
        site.services(&[("web", &ports(&servers))]);
        let other = occupied(site.port);
        let roster = site.run();
        roster.until_log(&format!("`sections`: cannot listen on 127.0.0.1:{}: it is in use by", site.port));
        assert!(site.processes().is_empty(), "HAProxy was started");
        drop(other);
        site.until_served();
    });
}

#[test]
fn a_bad_bind_of_the_operators_own_leaves_what_runs() {
    on_each_at_once(|bin| {
        let servers = backends(&["a", "b"]);
        let all = ports(&servers);
        let mut site = Site::new(bin);
        site.services(&[("web", &all[..1])]);
        let roster = site.run();
        site.until_served();
        let (worker, good) = (site.worker(), site.sections.clone());
        let load = TrafficLoad::builder(site.address()).start();
        site.sections += "frontend more\n    bind 192.0.2.1:80\n    default_backend web\n";
        site.configure();
        roster.signal(Signal::HUP);
        roster.until_log("`sections`: cannot listen on 192.0.2.1:80: the address is not on this machine");
        site.services(&[("web", &all)]);
        site.until_ready("web", &all);
        assert_eq!(site.worker(), worker);
        site.sections = good;
        site.configure();
        roster.signal(Signal::HUP);
        wait_until_or_fail(CAP, "the trouble to be over", || !status(&site).contains("192.0.2.1"));
        let totals = load.stop();
        assert_eq!(totals.failed(), 0, "{totals:?}");
    });
}

/// A HAProxy that waits in its check, or before it starts, until the test has taken the port.
fn waits(site: &Site, bin: &HaproxyBin, option: &str) -> std::path::PathBuf {
    let path = site.path("haproxy");
    let (reached, go) = (site.path("reached"), site.path("go"));
    let text = format!(
        "case \" $* \" in *\" {option} \"*) if [ -e {armed} ]; then touch {reached}; while [ ! -e {go} ]; do sleep 0.02; done; fi;; esac\nexec {bin} \"$@\"",
        armed = site.path("armed").display(),
        reached = reached.display(),
        go = go.display(),
        bin = bin.path().display(),
    );
    script(&path, &text);
    path
}

fn touch(path: &Path) {
    fs::write(path, "").or_fail();
}

#[test]
fn a_port_that_is_taken_after_it_was_tried_leaves_what_runs_and_its_service_out() {
    on_each_at_once(|bin| {
        let servers = backends(&["a", "b"]);
        let all = ports(&servers);
        let port = free_port().or_fail();
        let mut site = Site::new(bin);
        site.keys += "settle: { quiet: 0s }\n";
        site.haproxy = waits(&site, bin, "-c");
        exposed(&mut site, &[("api", &format!("127.0.0.1:{port}"))]);
        site.services(&[("web", &all[..1])]);
        let roster = site.run();
        site.until_served();
        touch(&site.path("armed"));
        site.services(&[("web", &all[..1]), ("api", &all[1..])]);
        wait_until_or_fail(CAP, "the check", || site.path("reached").exists());
        let other = occupied(port);
        touch(&site.path("go"));
        roster.until_log("a bind of frontend api is left out");
        site.until_ready("api", &all[1..]);
        site.until_served();
        // HAProxy itself refused: it is not asked again at once.
        drop(other);
    });
}

#[test]
fn a_haproxy_that_ended_starts_again_without_a_port_that_another_program_took_meanwhile() {
    on_each_at_once(|bin| {
        let servers = backends(&["a", "b"]);
        let all = ports(&servers);
        let port = free_port().or_fail();
        let mut site = Site::new(bin);
        site.haproxy = waits(&site, bin, "-W");
        exposed(&mut site, &[("api", &format!("127.0.0.1:{port}"))]);
        site.services(&[("web", &all[..1]), ("api", &all[1..])]);
        let roster = site.run();
        until_answered(at(port));
        site.until_served();
        touch(&site.path("armed"));
        send(site.master().unwrap(), Signal::KILL);
        wait_until_or_fail(CAP, "the next start", || site.path("reached").exists());
        let other = occupied(port);
        touch(&site.path("go"));
        site.until_served();
        roster.until_log("a bind of frontend api is left out");
        drop(other);
        until_answered(at(port));
    });
}

#[test]
fn a_held_port_that_could_not_be_opened_and_is_no_longer_wanted_is_in_nobodys_way() {
    on_each_at_once(|bin| {
        let servers = backends(&["a", "b"]);
        let all = ports(&servers);
        let port = free_port().or_fail();
        let mail = free_port().or_fail();
        let other = occupied(port);
        let (mut site, roster) = serving(bin, "held", &[("api", &format!("127.0.0.1:{port}"))], &all[..1]);
        let load = TrafficLoad::builder(site.address()).start();
        site.services(&[("web", &all[..1]), ("api", &all[1..])]);
        roster.until_log("a bind of frontend api is left out");
        exposed(&mut site, &[("mail", &format!("127.0.0.1:{mail}"))]);
        site.configure();
        site.services(&[("web", &all[..1])]);
        roster.signal(Signal::HUP);
        site.services(&[("web", &all[..1]), ("mail", &all[1..])]);
        until_answered(at(mail));
        let totals = load.stop();
        assert_eq!(totals.failed(), 0, "{totals:?}");
        assert!(!status(&site).contains("left out"), "{}", status(&site));
        drop(other);
    });
}

#[test]
fn a_unix_socket_in_a_folder_that_is_not_there_is_left_out_until_it_is() {
    let bin = one_version();
    let servers = backends(&["a"]);
    let all = ports(&servers);
    let mut site = Site::new(&bin);
    let folder = site.path("sockets");
    exposed(&mut site, &[("api", &format!("unix@{}/api.sock", folder.display()))]);
    site.services(&[("web", &all), ("api", &all)]);
    let roster = site.run();
    site.until_served();
    roster.until_log("a bind of frontend api is left out");
    fs::create_dir(&folder).or_fail();
    wait_until_or_fail(CAP, "the socket", || folder.join("api.sock").exists());
}
