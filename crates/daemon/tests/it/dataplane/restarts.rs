//! The API, Roster or HAProxy is started anew, in the middle of something.

use std::time::Duration;

use roster_testkit::{Fault, OrFail, Poll, TrafficLoad, wait_until_or_fail};
use rustix::process::Signal;

use super::site::{CONFIG, PAIRS, Site, alone, on_each, on_each_stand_in, wait_for};
use crate::rig::CAP;

fn the_api_comes_and_goes(mut site: Site) {
    let ports = site.ports();
    site.services(&[("web", &ports[..1])]);
    let daemon = site.rig.run();
    site.until_ready("web", &ports[..1]);
    let load = TrafficLoad::builder(site.address()).start();
    for pass in 0..8_usize {
        let web = &ports[pass % 3..pass % 3 + 2];
        let before = site.api.counters().requests.values().sum::<u64>();
        site.services(&[("web", web)]);
        wait_until_or_fail(CAP, "the API to be asked", || {
            Poll::when(site.api.counters().requests.values().sum::<u64>(), |now| *now > before)
        });
        site.api.restart().or_fail();
        site.until_ready("web", web);
        site.until_file_follows("web");
    }
    let load = load.stop();
    assert!(load.failed() == 0 && load.ok > 0, "{load:?}");
    assert_eq!(site.reloads(), 0, "{}", daemon.log());
}

#[test]
fn an_api_that_is_started_anew_in_the_middle_changes_nothing_of_the_outcome() {
    on_each_stand_in(the_api_comes_and_goes);
}

fn killed(mut site: Site) {
    site.with_backends();
    let ports = site.ports();
    let mut daemon = site.rig.run();
    for pass in 0..6_usize {
        let web = &ports[pass % 3..pass % 3 + 2];
        let name = format!("new{pass}");
        let writes = site.api.counters().writes;
        // The write is carried out, and nobody is left to read its answer.
        site.api.inject(Fault::Slow(Duration::from_millis(60)), 4).or_fail();
        site.services(&[("web", web), (&name, &ports[..1])]);
        wait_until_or_fail(CAP, "a write", || Poll::when(site.api.counters().writes, |now| *now > writes));
        daemon.signal(Signal::KILL);
        assert_eq!(daemon.ended(), None, "killed");
        site.api.clear_faults().or_fail();
        daemon = site.rig.run();
        site.until_ready("web", web);
        site.until_ready(&name, &ports[..1]);
        site.until_file_follows("web");
        site.until_file_follows(&name);
    }
    assert!(site.transactions().is_empty(), "{:?}", site.transactions());
    assert!(site.text().contains("server own 127.0.0.1:9 weight 7"), "{}", site.text());
}

#[test]
fn a_roster_that_is_killed_in_the_middle_of_a_write_finds_its_way() {
    on_each_stand_in(killed);
}

/// Somebody ended the API between the file and the reload: a reload is what is left to do.
fn only_the_file_has_it(mut site: Site) {
    site.with_backends();
    let ports = site.ports();
    let text = site.text()
        + "\n# Kept by Roster: service fleet/api\nbackend api\n  balance roundrobin\n  server srv1 127.0.0.1:1 disabled\n";
    let text =
        text.replace("backend foreign", "  server srv4 127.0.0.1:1 weight 10 disabled\n\nbackend foreign");
    site.api.edit_by_hand(&site.rig.haproxy.config_path(), &text).or_fail();
    wait_until_or_fail(CAP, "the edit to be taken up", || site.text().contains("srv4").then_some(()));
    site.services(&[("web", &ports), ("api", &ports[..1])]);
    let plan = site.rig.roster(&["plan"]);
    assert!(plan.out.contains("backend api stands in the file"), "{plan:?}");
    let daemon = site.rig.run();
    site.until_ready("api", &ports[..1]);
    site.until_ready("web", &ports);
    let reloads = site.reloads();
    assert!((1..=2).contains(&reloads), "{reloads} reloads\n{}", daemon.log());
    site.until_file_follows("web");
}

#[test]
fn what_only_the_file_has_comes_by_a_reload() {
    on_each(only_the_file_has_it);
}

fn haproxy_is_started_anew(mut site: Site) {
    let ports = site.ports();
    site.services(&[("web", &ports[..2])]);
    let daemon = site.rig.run();
    site.until_ready("web", &ports[..2]);
    site.until_file_follows("web");
    daemon.until_log("HAProxy shows what is wanted");
    let (pid, seen) = (site.pid(), || daemon.log().matches("HAProxy was restarted or reloaded").count());
    site.rig.haproxy.restart().or_fail();
    wait_until_or_fail(CAP, "the new process to be noticed", || Poll::when(seen(), |seen| *seen == 1));
    assert_ne!(site.pid(), pid);
    site.until_ready("web", &ports[..2]);
    site.services(&[("web", &ports[1..3])]);
    site.until_ready("web", &ports[1..3]);
    site.until_file_follows("web");
    assert_eq!(site.reloads(), 0, "{}", daemon.log());
}

#[test]
fn a_haproxy_that_is_started_anew_behind_the_api_is_noticed_and_looked_at() {
    on_each(haproxy_is_started_anew);
}

#[test]
fn servers_of_a_template_are_filled_again_after_a_restart_of_haproxy() {
    for (api, haproxy) in PAIRS {
        for socket in [false, true] {
            let slots = "server-template srv 1-3 127.0.0.1:1 weight 10 disabled";
            let servers = "  server srv1 127.0.0.1:1 weight 10 disabled # a word on srv1\n  \
                           server srv2 127.0.0.1:1 weight 10 disabled\n  server srv3 127.0.0.1:1 weight 10 disabled\n";
            let config = CONFIG.replace(servers, &format!("  {slots}\n"));
            assert_ne!(config, CONFIG);
            let mut site = Site::with(api, haproxy, socket, &config, |_, api| api);
            let ports = site.ports();
            let weighted = format!(
                "services: {{ web: [ {{ address: 127.0.0.1, port: {}, weight: 30 }}, {{ address: 127.0.0.1, port: {}, weight: 40 }} ] }}\n",
                ports[0], ports[1]
            );
            site.rig.services(&weighted);
            let daemon = site.rig.run();
            site.until_ready("web", &ports[..2]);
            let weights = |site: &Site| {
                let rows = site.rig.haproxy.servers("web").or_fail();
                let mut weights: Vec<u32> =
                    rows.iter().filter(|row| !row.in_maintenance()).map(|row| row.uweight).collect();
                weights.sort_unstable();
                weights
            };
            wait_until_or_fail(CAP, "the weights", || Poll::when(weights(&site), |now| *now == [30, 40]));
            // It comes to rest: a weight that no line has is not told for ever.
            let once = {
                assert_eq!(daemon.stop(), Some(0));
                site.rig.roster(&["once"])
            };
            assert_eq!(once.code, Some(0), "{once:?}");
            let daemon = site.rig.run();
            daemon.until_log("running");
            site.rig.haproxy.restart().or_fail();
            site.until_ready("web", &ports[..2]);
            wait_until_or_fail(CAP, "the weights", || Poll::when(weights(&site), |now| *now == [30, 40]));
            assert!(site.text().contains(slots), "{}", site.text());
            assert_eq!(site.reloads(), 0, "{}", daemon.log());
        }
    }
}

#[test]
fn a_haproxy_that_is_down_is_told_and_filled_when_it_is_back() {
    alone(|mut site| {
        let ports = site.ports();
        site.services(&[("web", &ports[..1])]);
        let daemon = site.rig.run();
        site.until_ready("web", &ports[..1]);
        site.rig.haproxy.stop().or_fail();
        site.services(&[("web", &ports[..2])]);
        daemon.until_log("HAProxy goes on as it is, Roster tries again");
        let status = site.rig.roster(&["status"]);
        assert!(status.out.contains("check that HAProxy runs"), "{status:?}");
        site.rig.haproxy.start_again().or_fail();
        site.until_ready("web", &ports[..2]);
        site.until_file_follows("web");
    });
}

fn everybody_is_where_they_were(mut site: Site) {
    site.with_backends();
    let ports = site.ports();
    site.services(&[("api", &ports[..3])]);
    let daemon = site.rig.run();
    site.until_ready("api", &ports[..3]);
    site.services(&[("api", &ports[1..3])]);
    site.until_ready("api", &ports[1..3]);
    let slots = site.rig.ready("api");
    site.until_file_follows("api");
    daemon.stop();
    // Somebody puts a file back that has no such backend.
    let client = site.client();
    let text = site.text();
    let keeps = text.lines().scan(true, |keeps, line| {
        if !line.starts_with(char::is_whitespace) && !line.is_empty() {
            *keeps = !line.contains("api");
        }
        Some((*keeps, line))
    });
    let rest: String = keeps.filter(|(keeps, _)| *keeps).flat_map(|(_, line)| [line, "\n"]).collect();
    wait_for(async {
        let version = client.version().await.or_fail();
        client.write_reload(rest, version, true).await.or_fail();
    });
    wait_until_or_fail(CAP, "the backend to be gone", || site.rig.ready("api").is_empty());
    let daemon = site.rig.run();
    site.until_ready("api", &ports[1..3]);
    assert_eq!(site.rig.ready("api"), slots, "{}", daemon.log());
}

#[test]
fn in_a_backend_that_somebody_removed_everybody_is_where_they_were() {
    on_each(everybody_is_where_they_were);
}
