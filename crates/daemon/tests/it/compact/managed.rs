//! On a HAProxy that Roster owns.

use std::fs;

use roster_testkit::{HttpBackend, Poll, TrafficLoad, wait_until_or_fail};

use crate::managed::site::{Site, backends, is_answered, on_each, ports};
use crate::rig::{CAP, one_version};

/// The lines of our servers in HAProxy's file.
fn lines(site: &Site) -> Vec<String> {
    let text = fs::read_to_string(&site.file).unwrap_or_default();
    let servers = text.lines().filter_map(|line| line.trim().strip_prefix("server "));
    servers.filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect()
}

fn shown(site: &Site) -> Vec<String> {
    site.rows("web").into_iter().map(|row| row.name).collect()
}

#[test]
fn spare_servers_go_from_the_process_and_its_file_without_a_reload() {
    on_each(|bin| {
        let site = Site::new(bin);
        let servers = backends(&["a", "b", "c", "d"]);
        let all = ports(&servers);
        site.services(&[("web", &all)]);
        let roster = site.run();
        site.until_ready("web", &all);
        site.until_served();
        site.services(&[("web", &all[..1])]);
        site.until_ready("web", &all[..1]);
        let (worker, load) = (site.worker(), TrafficLoad::builder(site.address()).start());
        let planned = site.command(&["compact"]);
        assert_eq!(planned.code, Some(2), "{planned:?}");
        assert!(planned.out.contains("own web: 4 slots, 1 wanted for 1 instances\n"), "{}", planned.out);
        assert!(planned.out.contains("  would go live: srv4 srv3 srv2\n`roster"), "{}", planned.out);
        assert_eq!(shown(&site).len(), 4);

        let done = site.command(&["compact", "web", "-t", "own", "--apply"]);
        assert_eq!(done.code, Some(0), "{done:?}\n{}", roster.log());
        assert_eq!(shown(&site), ["srv1"]);
        wait_until_or_fail(CAP, "the file to follow", || {
            Poll::when(lines(&site), |lines| *lines == ["srv1"])
        });
        // It grows again, and HAProxy's file with it.
        site.services(&[("web", &all[..2])]);
        site.until_ready("web", &all[..2]);
        site.until_written("web");
        let totals = load.stop();
        assert_eq!(totals.failed(), 0, "{totals:?}");
        assert_eq!((site.worker(), site.reloads()), (worker, 0));
        assert_eq!(roster.said("ERROR"), 0);
    });
}

#[test]
fn where_the_algorithm_takes_no_servers_live_they_go_with_one_reload() {
    let mut site = Site::new(&one_version());
    site.rest = site.rest.replace("guard: off", "guard: off, backend: { balance: static-rr }");
    let servers = backends(&["a", "b", "c"]);
    let all = ports(&servers);
    site.services(&[("web", &all)]);
    let roster = site.run();
    site.until_ready("web", &all);
    site.services(&[("web", &all[..1])]);
    site.until_ready("web", &all[..1]);
    let before = site.reloads();
    let planned = site.command(&["compact"]);
    assert!(planned.out.contains("  would go with one reload: srv3 srv2\n"), "{planned:?}");
    assert_eq!(site.reloads(), before);
    let done = site.command(&["compact", "--apply"]);
    assert_eq!(done.code, Some(0), "{done:?}\n{}", roster.log());
    assert!(done.out.contains("  removed with one reload: srv3 srv2\n"), "{}", done.out);
    assert_eq!((shown(&site), lines(&site)), (vec!["srv1".to_owned()], vec!["srv1".to_owned()]));
    site.until_ready("web", &all[..1]);
    assert_eq!(site.reloads(), before + 1);
    assert_eq!(site.command(&["compact"]).code, Some(0));
}

#[test]
fn where_no_reload_is_left_all_stays_and_is_told() {
    let mut site = Site::new(&one_version());
    site.keys = "max_reloads: { count: 1, per: 1h }\n".to_owned();
    site.rest = site.rest.replace("guard: off", "guard: off, backend: { balance: static-rr }");
    site.services(&[("web", &[8001])]);
    let roster = site.run();
    site.until_ready("web", &[8001]);
    site.services(&[("web", &[8001, 8002])]);
    site.until_ready("web", &[8001, 8002]);
    site.services(&[("web", &[8001])]);
    site.until_ready("web", &[8001]);
    let done = site.command(&["compact", "--apply"]);
    assert_eq!(done.code, Some(1), "{done:?}\n{}", roster.log());
    assert!(done.out.contains("  not done: HAProxy was not reloaded"), "{}", done.out);
    assert_eq!(shown(&site), ["srv1", "srv2"]);
    // The slot that was to go is given to whoever comes.
    site.services(&[("web", &[8001, 8003])]);
    site.until_ready("web", &[8001, 8003]);
    site.until_written("web");
    assert_eq!(lines(&site), ["srv1", "srv2"]);
}

#[test]
fn a_server_that_drains_stays_with_its_client() {
    let mut site = Site::new(&one_version());
    site.rest = site.rest.replace("cap: 0s", "cap: 60s");
    let servers = backends(&["a", "b"]);
    let all = ports(&servers);
    site.services(&[("web", &all[1..])]);
    let roster = site.run();
    site.until_ready("web", &all[1..]);
    site.until_served();
    let client = site.client_in_an_answer();
    site.services(&[("web", &all[..1])]);
    site.until_ready("web", &all[..1]);
    let done = site.command(&["compact", "--apply"]);
    assert_eq!(done.code, Some(0), "{done:?}\n{}", roster.log());
    assert_eq!(shown(&site).len(), 2, "{done:?}");
    servers.iter().for_each(HttpBackend::release_held);
    assert!(is_answered(client), "a client lost its answer");
}
