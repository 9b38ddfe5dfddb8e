//! The load generator through a real HAProxy.

use roster_testkit::{Haproxy, HttpBackend, Poll, Totals, TrafficLoad, wait_until_or_fail};

use crate::{CAP, on_each, two_servers};

fn totals_when(load: &TrafficLoad, what: &str, met: impl Fn(&Totals) -> bool) -> Totals {
    wait_until_or_fail(CAP, what, || Poll::when(load.totals(), &met))
}

#[test]
fn a_drained_server_gets_no_more_requests_and_none_fail() {
    on_each(|bin| {
        let (one, two) = (HttpBackend::start("one").unwrap(), HttpBackend::start("two").unwrap());
        let haproxy = Haproxy::builder(bin).config(&two_servers(&one, &two)).start().unwrap();
        let load = TrafficLoad::builder(haproxy.addr("web").unwrap()).start();
        totals_when(&load, "replies of both", |t| t.from_backend("one") > 5 && t.from_backend("two") > 5);

        haproxy.cli("set server be/one state drain").unwrap();
        // A request balanced just before the command may still arrive; both workers have moved on after two more each.
        let soon = load.totals().ok + 4;
        totals_when(&load, "the drain to take hold", |t| t.ok >= soon);
        let drained = one.requests();
        let later = load.totals().ok + 20;
        totals_when(&load, "twenty more replies", |t| t.ok >= later);
        assert_eq!(one.requests(), drained);
        let totals = load.stop();
        assert_eq!(totals.failed(), 0, "{totals:?}");
    });
}

#[test]
fn keep_alive_traffic_survives_a_reload_without_a_failure() {
    on_each(|bin| {
        let (one, two) = (HttpBackend::start("one").unwrap(), HttpBackend::start("two").unwrap());
        let mut haproxy =
            Haproxy::builder(bin).config(&two_servers(&one, &two)).master_worker().start().unwrap();
        let load = TrafficLoad::builder(haproxy.addr("web").unwrap()).keep_alive().start();
        totals_when(&load, "first replies", |totals| totals.ok > 10);
        haproxy.reload().unwrap();
        let later = load.totals().ok + 10;
        totals_when(&load, "replies after the reload", |totals| totals.ok >= later);
        let totals = load.stop();
        assert_eq!(totals.failed(), 0, "{totals:?}");
    });
}

#[test]
fn a_dead_server_shows_as_503_and_not_as_a_broken_connection() {
    on_each(|bin| {
        let (mut one, mut two) = (HttpBackend::start("one").unwrap(), HttpBackend::start("two").unwrap());
        let config = format!("{}    retries 0\n", two_servers(&one, &two));
        let haproxy = Haproxy::builder(bin).config(&config).start().unwrap();
        one.stop();
        two.stop();
        let load = TrafficLoad::builder(haproxy.addr("web").unwrap()).start();
        totals_when(&load, "503s", |totals| totals.other_status.get(&503) >= Some(&5));
        let totals = load.stop();
        assert_eq!(totals.failed(), totals.other_status[&503], "{totals:?}");
    });
}
