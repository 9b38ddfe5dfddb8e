//! Servers, slots, backends and routes.

use roster_testkit::{DataplaneVersion, OrFail, Poll, TrafficLoad, wait_until_or_fail};

use super::site::{Site, on_each};
use crate::rig::CAP;

fn changes_go_live(site: Site) {
    let ports = site.ports();
    let (before, others) = (site.pid(), site.others());
    site.services(&[("web", &ports[..2])]);
    let daemon = site.rig.run();
    site.until_ready("web", &ports[..2]);
    wait_until_or_fail(CAP, "an answer", || site.get());
    let load = TrafficLoad::builder(site.address()).start();
    for web in [&ports[..3], &ports[1..3], &ports[1..2], &ports[1..4]] {
        site.services(&[("web", web)]);
        site.until_ready("web", web);
    }
    let load = load.stop();
    assert!(load.failed() == 0 && load.ok > 0, "{load:?}");
    // The file says the same, and nothing else of it changed.
    let ready = site.rig.ready("web");
    for (name, port) in &ready {
        let line = format!("server {name} 127.0.0.1:{port} weight 10");
        wait_until_or_fail(CAP, &format!("{line:?} in the file"), || {
            Poll::when(site.text(), |text| {
                text.lines().any(|one| one.trim().starts_with(&line) && !one.contains("disabled"))
            })
        });
    }
    assert_eq!(site.others(), others);
    assert!(site.text().contains("# a word on srv1"), "{}", site.text());
    assert_eq!((site.pid(), site.reloads()), (before, 0), "{}", daemon.log());

    // Roster stopped and HAProxy started anew: the same answers.
    assert_eq!(daemon.stop(), Some(0));
    let mut site = site;
    site.rig.haproxy.restart().or_fail();
    site.until_ready("web", &ports[1..4]);
}

#[test]
fn changes_of_servers_never_reload_and_stand_in_the_file() {
    on_each(changes_go_live);
}

fn an_unchanged_answer_writes_nothing(site: &Site) {
    let ports = site.ports();
    site.services(&[("web", &ports[..2])]);
    let daemon = site.rig.run();
    site.until_ready("web", &ports[..2]);
    site.until_written(&format!("server srv2 127.0.0.1:{} weight 10", ports[1]));
    daemon.stop();
    let version = site.version();
    site.services(&[("web", &ports[..2])]);
    let daemon = site.rig.run();
    daemon.until_log("running");
    daemon.until_log("HAProxy answers");
    // Looks at the API go on, and after the fifth the whole file was read.
    let looks = || site.api.counters().requests.values().sum::<u64>();
    let seen = looks();
    if !site.api.is_real() {
        wait_until_or_fail(CAP, "the API to be asked", || Poll::when(looks(), |now| *now > seen + 8));
    }
    assert_eq!(site.version(), version, "{}", daemon.log());
}

#[test]
fn an_unchanged_answer_sends_no_write() {
    on_each(|site| an_unchanged_answer_writes_nothing(&site));
}

fn growth_is_one_reload(site: &Site) {
    let ports = site.ports();
    site.services(&[("web", &ports)]);
    let daemon = site.rig.run();
    site.until_ready("web", &ports);
    wait_until_or_fail(CAP, "the fourth slot in the file", || {
        Poll::when(site.text(), |text| text.contains(&format!("127.0.0.1:{}", ports[3])))
    });
    // By its own socket HAProxy takes a server more, and by version 3 of the API; version 2 has no word for it.
    let live = site.keys.contains("socket") || site.api.version() != DataplaneVersion::V2;
    let log = daemon.log();
    assert_eq!(site.reloads(), u64::from(!live), "{log}");
    assert!(!log.contains("by somebody else") && (!live || !log.contains("refused")), "{log}");
}

#[test]
fn a_server_past_the_slots_reloads_only_where_it_cannot_come_live() {
    on_each(|site| growth_is_one_reload(&site));
}

fn a_new_service_is_made_and_kept(mut site: Site) {
    let ports = site.ports();
    site.expose = site.expose.replace(
        "guard: off",
        "guard: off, backend: { balance: roundrobin, route: { frontend: www, path: \"/{service}\" } }",
    );
    site.configure();
    site.services(&[("web", &ports[..1])]);
    let daemon = site.rig.run();
    site.until_ready("web", &ports[..1]);
    site.services(&[("web", &ports[..1]), ("api", &ports[2..3]), ("shop", &ports[3..4])]);
    site.until_ready("api", &ports[2..3]);
    site.until_ready("shop", &ports[3..4]);
    let ask =
        |path: &str| roster_testkit::http_get(site.address(), path).ok().and_then(|reply| reply.backend);
    for (path, by) in [("/api/x", "c"), ("/shop", "d"), ("/", "a"), ("/web", "a")] {
        wait_until_or_fail(CAP, &format!("{path} to be answered by {by}"), || {
            Poll::when(ask(path), |found| found.as_deref() == Some(by))
        });
    }
    site.until_written("# Kept by Roster: service fleet/api");
    let reloads = site.reloads();
    assert!((1..=2).contains(&reloads), "{reloads}\n{}", daemon.log());

    // After a restart they are Roster's own, whatever the strategy.
    daemon.stop();
    site.keys += ", strategy: fail_on_conflict";
    site.configure();
    let daemon = site.rig.run();
    daemon.until_log("backend web is already there and not Roster's");
    site.services(&[("web", &ports[..2]), ("api", &ports[1..3]), ("shop", &ports[3..4])]);
    site.until_ready("api", &ports[1..3]);
    site.until_ready("web", &ports[..1]);
}

#[test]
fn new_services_get_backends_and_routes_with_one_reload() {
    on_each(a_new_service_is_made_and_kept);
}

fn options_are_merged(mut site: Site) {
    let ports = site.ports();
    let expose = "expose:\n  - each: fleet\n    bring_up: registry\n    drain: { cap: 0s }\n    guard: off\n    \
                  backend: { options: { server_timeout: 4321, balance: { algorithm: leastconn } }, balance: leastconn }\n";
    expose.clone_into(&mut site.expose);
    site.configure();
    site.services(&[("api", &ports[..1]), ("bad", &ports[1..2])]);
    let daemon = site.rig.run();
    site.until_ready("api", &ports[..1]);
    site.until_written("# Kept by Roster: service fleet/api");
    let text = site.text();
    let section: Vec<&str> =
        text.lines().skip_while(|line| *line != "backend api").take_while(|line| !line.is_empty()).collect();
    assert!(section.iter().any(|line| line.contains("timeout server 4321")), "{text}");
    assert!(section.iter().any(|line| line.contains("balance leastconn")), "{text}");
    assert_eq!(site.reloads(), 1, "{}", daemon.log());
}

#[test]
fn fields_of_the_apis_own_are_merged_into_a_new_backend() {
    on_each(options_are_merged);
}

#[test]
fn what_somebody_changed_in_the_process_alone_is_repaired() {
    on_each(|site| {
        let ports = site.ports();
        site.services(&[("web", &ports[..2])]);
        let daemon = site.rig.run();
        site.until_ready("web", &ports[..2]);
        site.until_written(&format!("server srv2 127.0.0.1:{} weight 10", ports[1]));
        daemon.stop();
        // The file goes on saying what is wanted, so the API itself would see nothing to do.
        site.rig.haproxy.cli(&format!("set server web/srv2 addr 127.0.0.1 port {}", ports[3])).or_fail();
        site.until_ready("web", &[ports[0], ports[3]]);
        let once = site.rig.roster(&["once"]);
        assert_eq!(once.code, Some(0), "{once:?}");
        site.until_ready("web", &ports[..2]);
        assert_eq!(site.reloads(), 0);
    });
}
