//! `roster compact` behind an API: the process and the file lose the same servers.

use roster_testkit::{DataplaneVersion, HaproxyVersion, OrFail, Poll, TrafficLoad, wait_until_or_fail};

use super::site::{CONFIG, PAIRS, Site, on_each};
use crate::rig::CAP;

fn shown(site: &Site) -> Vec<String> {
    site.rig.haproxy.servers("web").unwrap_or_default().into_iter().map(|row| row.name).collect()
}

/// The slots that the file has.
fn written(site: &Site) -> Vec<String> {
    let text = site.text();
    let servers = text.lines().filter_map(|line| line.trim().strip_prefix("server "));
    let names = servers.filter_map(|line| line.split_whitespace().next());
    names.filter(|name| name.starts_with("srv")).map(str::to_owned).collect()
}

#[track_caller]
fn until_written(site: &Site, servers: &[&str]) {
    let what = format!("{servers:?} in the file");
    wait_until_or_fail(CAP, &what, || Poll::when(written(site), |written| *written == servers));
}

fn goes_live(site: &Site) {
    let ports = site.ports();
    site.services(&[("web", &ports[..1])]);
    let daemon = site.rig.run();
    site.until_ready("web", &ports[..1]);
    site.until_file_follows("web");
    wait_until_or_fail(CAP, "an answer", || site.get());
    let (pid, others) = (site.pid(), site.others());
    let load = TrafficLoad::builder(site.address()).start();
    let planned = site.rig.roster(&["compact"]);
    assert_eq!(planned.code, Some(2), "{planned:?}\n{}", daemon.log());
    assert!(planned.out.contains("edge web: 3 slots, 1 wanted for 1 instances\n"), "{}", planned.out);
    assert!(planned.out.contains("  would go live: srv3 srv2\n`roster"), "{}", planned.out);
    assert_eq!((shown(site).len(), written(site).len()), (3, 3));

    let done = site.rig.roster(&["compact", "web", "-t", "edge", "--apply"]);
    assert_eq!(done.code, Some(0), "{done:?}\n{}", daemon.log());
    assert!(done.out.contains("  removed live: srv3 srv2\n"), "{}", done.out);
    assert_eq!(shown(site), ["srv1"]);
    until_written(site, &["srv1"]);
    assert_eq!(site.others(), others);
    for words in [&["compact"][..], &["plan"]] {
        let again = site.rig.roster(words);
        assert_eq!(again.code, Some(0), "{again:?}");
    }
    let load = load.stop();
    assert!(load.failed() == 0 && load.ok > 0, "{load:?}");
    assert_eq!((site.pid(), site.reloads()), (pid, 0), "{}", daemon.log());

    // The same after both were started anew.
    assert_eq!(daemon.stop(), Some(0));
    let once = site.rig.roster(&["once"]);
    assert_eq!((once.code, shown(site).len(), written(site).len()), (Some(0), 1, 1), "{once:?}");
    let daemon = site.rig.run();
    site.services(&[("web", &ports[..2])]);
    site.until_ready("web", &ports[..2]);
    site.until_file_follows("web");
    assert_eq!(written(site).len(), 2, "{}", daemon.log());
}

#[test]
fn spare_servers_go_from_the_process_and_the_file_without_a_reload() {
    on_each(|site| goes_live(&site));
}

#[test]
fn a_server_that_haproxy_does_not_let_go_stays_in_both() {
    let config = CONFIG
        .replace("  balance roundrobin\n", "  balance roundrobin\n  use-server srv3 if { path /three }\n");
    for (api, haproxy) in PAIRS {
        for socket in [false, true] {
            eprintln!("on {haproxy:?} behind {}, with its socket: {socket}", api.word());
            let site = Site::with(api, haproxy, socket, &config, |_, api| api);
            let ports = site.ports();
            site.services(&[("web", &ports[..1])]);
            let daemon = site.rig.run();
            site.until_ready("web", &ports[..1]);
            site.until_file_follows("web");
            let done = site.rig.roster(&["compact", "--apply"]);
            assert_eq!(done.code, Some(1), "{done:?}\n{}", daemon.log());
            assert!(done.out.contains("  not done: srv3: "), "{}", done.out);
            assert_eq!((shown(&site).len(), written(&site).len()), (3, 3));
            site.services(&[("web", &ports)]);
            site.until_ready("web", &ports);
        }
    }
}

#[test]
fn slots_of_a_template_go_until_haproxy_is_started_anew() {
    let slots = "  server srv1 127.0.0.1:1 weight 10 disabled # a word on srv1\n  server srv2 127.0.0.1:1 weight 10 disabled\n  \
                 server srv3 127.0.0.1:1 weight 10 disabled\n";
    let config = CONFIG.replace(slots, "  server-template srv 1-3 127.0.0.1:1 disabled\n");
    assert_ne!(config, CONFIG);
    let mut site = Site::with(DataplaneVersion::V3, HaproxyVersion::V3_0, true, &config, |_, api| api);
    let ports = site.ports();
    site.services(&[("web", &ports[..1])]);
    let daemon = site.rig.run();
    site.until_ready("web", &ports[..1]);
    let done = site.rig.roster(&["compact", "--apply"]);
    assert_eq!(done.code, Some(0), "{done:?}\n{}", daemon.log());
    assert!(done.out.contains("a restarted HAProxy has them again"), "{}", done.out);
    assert_eq!(shown(&site), ["srv1"]);
    assert!(site.text().contains("server-template srv 1-3"), "{}", site.text());
    site.rig.haproxy.restart().or_fail();
    site.until_ready("web", &ports[..1]);
    assert_eq!(shown(&site).len(), 3);
}
