//! A HAProxy that is there and does not answer.

use std::time::{Duration, Instant};

use roster_testkit::{Poll, wait_until_or_fail};
use rustix::process::Signal;

use super::site::{Site, backends, on_each_at_once, ports, send};
use crate::rig::CAP;

const SILENT: &str = "HAProxy said nothing for 3s; it is paused or overloaded";

/// With nothing to do, or in the middle of a change.
fn is_reported(site: &Site, while_stopped: impl FnOnce()) {
    let roster = site.run();
    site.until_served();
    site.until_written("web");
    let worker = site.worker().unwrap();
    send(worker, Signal::STOP);
    while_stopped();
    let began = Instant::now();
    roster.until_log(SILENT);
    // Three seconds of silence, and one until the next question; the rest is for a busy machine.
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    let status = site.command(&["status"]);
    assert!(status.out.contains(SILENT), "{status:?}");
    send(worker, Signal::CONT);
    roster.until_log("HAProxy answers again");
    wait_until_or_fail(CAP, "the trouble to be over in the status", || {
        Poll::when(site.command(&["status"]).out, |out| !out.contains(SILENT))
    });
    assert_eq!(roster.said("HAProxy answers again"), 1, "{}", roster.log());
    let errors =
        roster.log().lines().filter(|line| line.contains(" ERROR ") && line.contains(SILENT)).count();
    assert_eq!(errors, 1, "it is reported once\n{}", roster.log());
}

#[test]
fn a_haproxy_that_is_stopped_is_reported_once_and_once_more_when_it_answers() {
    on_each_at_once(|bin| {
        let site = Site::new(bin);
        let servers = backends(&["a", "b"]);
        let all = ports(&servers);
        site.services(&[("web", &all[..1])]);
        is_reported(&site, || ());
    });
}

#[test]
fn a_haproxy_that_is_stopped_during_a_change_is_reported_too_and_gets_the_change() {
    on_each_at_once(|bin| {
        let site = Site::new(bin);
        let servers = backends(&["a", "b"]);
        let all = ports(&servers);
        site.services(&[("web", &all[..1])]);
        is_reported(&site, || site.services(&[("web", &all)]));
        site.until_ready("web", &all);
    });
}

#[test]
fn the_first_start_of_many_servers_is_a_summary_in_the_log() {
    on_each_at_once(|bin| {
        let mut site = Site::new(bin);
        "expose: [ { each: fleet, bring_up: probe, backend: { balance: roundrobin } } ]\nadmin: off\n"
            .clone_into(&mut site.rest);
        // Nothing listens there, so each is also an instance that is not reached.
        let unused: Vec<u16> = (1..=60).collect();
        let others = (1..10).map(|number| format!("service-{number}"));
        let names: Vec<String> = std::iter::once("web".to_owned()).chain(others).collect();
        let services: Vec<(&str, &[u16])> = names.iter().map(|name| (name.as_str(), &unused[..])).collect();
        site.services(&services);
        let roster = site.run();
        roster.until_log("instances were not reached and get no traffic yet");
        roster.until_log("changes of servers: ");
        // Whatever comes for each of 600 servers is more than this.
        let lines = roster.log().lines().count();
        assert!(lines < 250, "{lines} lines\n{}", roster.log());
        let details = roster.log().lines().filter(|line| line.contains(" op=address ")).count();
        assert!(details <= 100, "{details} lines of single servers\n{}", roster.log());
    });
}
