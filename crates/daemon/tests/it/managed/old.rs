//! How many workers finish their connections after a reload, as the operator is told.

use std::io::ErrorKind::ConnectionRefused;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use roster_testkit::{OrFail, Poll, free_port, http_get, wait_until_or_fail};
use rustix::process::Signal;

use super::site::{Site, at, backends, is_answered, on_each_at_once, ports};
use crate::rig::CAP;

/// Lets Roster tell of itself over HTTP.
fn told_at(site: &mut Site) -> SocketAddr {
    let admin = at(free_port().or_fail());
    site.rest = site.rest.replace("admin: off", &format!("admin: {{ listen: \"{admin}\" }}"));
    admin
}

fn metric(admin: SocketAddr) -> Option<String> {
    let text = http_get(admin, "/metrics").ok()?.body;
    let series = r#"roster_haproxy_old_workers{target="own"} "#;
    text.lines().find_map(|line| line.strip_prefix(series)).map(str::to_owned)
}

#[track_caller]
fn until_old(admin: SocketAddr, count: u32) {
    wait_until_or_fail(CAP, &format!("{count} old workers"), || {
        Poll::when(metric(admin), |told| told.as_deref() == Some(&*count.to_string()))
    });
}

fn status(site: &Site) -> String {
    site.command(&["status"]).out
}

#[test]
fn workers_that_finish_their_connections_are_counted_until_these_end() {
    on_each_at_once(|bin| {
        let mut site = Site::new(bin);
        let admin = told_at(&mut site);
        site.keys += "settle: { quiet: 0s }\n";
        let servers = backends(&["a"]);
        let all = ports(&servers);
        site.services(&[("web", &all)]);
        let roster = site.run();
        site.until_served();
        until_old(admin, 0);
        assert!(!status(&site).contains("old worker"), "{}", status(&site));

        let one = site.client_in_an_answer();
        site.services(&[("web", &all), ("api", &all)]);
        roster.until_said("HAProxy was reloaded", 1);
        until_old(admin, 1);
        assert!(status(&site).contains("  1 old worker finishes its connections\n"), "{}", status(&site));

        let other = site.client_in_an_answer();
        site.services(&[("web", &all), ("api", &all), ("mail", &all)]);
        roster.until_said("HAProxy was reloaded", 2);
        until_old(admin, 2);
        // The next Roster asks who is there.
        drop(roster);
        let _roster = site.run_again();
        until_old(admin, 2);
        assert!(status(&site).contains("  2 old workers finish their connections\n"), "{}", status(&site));

        servers[0].release_held();
        until_old(admin, 0);
        assert!(is_answered(one) && is_answered(other));
        assert!(!status(&site).contains("old worker"), "{}", status(&site));
    });
}

#[test]
fn an_old_worker_ends_by_itself_at_hard_stop_after() {
    on_each_at_once(|bin| {
        let mut site = Site::new(bin);
        let admin = told_at(&mut site);
        site.keys += "settle: { quiet: 0s }\nhard_stop_after: 3s\n";
        let servers = backends(&["a"]);
        let all = ports(&servers);
        site.services(&[("web", &all)]);
        let _roster = site.run();
        site.until_served();
        let client = site.client_in_an_answer();
        site.services(&[("web", &all), ("api", &all)]);
        until_old(admin, 1);
        until_old(admin, 0);
        assert!(!is_answered(client), "the server ended it");
        site.until_processes(2);
    });
}

#[test]
fn a_held_port_that_is_closed_is_let_go_when_its_last_connection_ends() {
    on_each_at_once(|bin| {
        let mut site = Site::new(bin);
        site.sections = String::new();
        site.keys += "listen: held\nsettle: { quiet: 0s }\n";
        let (old, new) = (site.port, free_port().or_fail());
        let bound = |port: u16| {
            let rule = "service: fleet/web, bring_up: registry, guard: off";
            let bind = format!("backend: {{ bind: \"127.0.0.1:{port}\" }}");
            format!("expose: [ {{ {rule}, {bind} }} ]\nadmin: off\n")
        };
        let servers = backends(&["a"]);
        site.services(&[("web", &ports(&servers))]);
        site.rest = bound(old);
        let admin = told_at(&mut site);
        let roster = site.run();
        site.until_served();
        let client = site.client_in_an_answer();
        site.rest = bound(new).replace("admin: off", &format!("admin: {{ listen: \"{admin}\" }}"));
        site.configure();
        roster.signal(Signal::HUP);
        roster.until_log("HAProxy was replaced by a new master");
        until_old(admin, 1);
        wait_until_or_fail(CAP, "the new port", || http_get(at(new), "/").is_ok());
        let is_refused = || TcpStream::connect(at(old)).is_err_and(|error| error.kind() == ConnectionRefused);
        // The file follows a moment later; from then on nothing but the old worker's end changes anything.
        let replaced = Instant::now();
        wait_until_or_fail(CAP, "two seconds", || replaced.elapsed() >= Duration::from_secs(2));
        assert!(!is_refused(), "closed too early");
        servers[0].release_held();
        wait_until_or_fail(CAP, "the old port to be closed", is_refused);
        until_old(admin, 0);
        assert!(is_answered(client));
    });
}
