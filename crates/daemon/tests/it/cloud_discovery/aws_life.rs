//! A region of AWS, as moto answers for it: the daemon, while instances come, change and go.

use std::collections::BTreeMap;
use std::thread;

use roster_testkit::{GroupTag, HttpBackend, OrFail, Poll, http_get, wait_until_or_fail};

use super::aws::{BACKEND, Cloud, MYAPP, NAME, OWN_PORT, PORT, SHARE};
use super::site::{PAIRS, Site};
use crate::rig::{CAP, Daemon};

/// A HAProxy with its daemon.
struct Kept {
    site: Site,
    daemon: Daemon,
}

/// Both pairs before one region, each with its daemon.
fn both(cloud: &Cloud, change: impl Fn(&mut Site)) -> Vec<Kept> {
    let start = |pair| {
        let mut site = cloud.site(pair);
        change(&mut site);
        let daemon = site.run();
        Kept { site, daemon }
    };
    PAIRS.map(start).into()
}

/// Waits on each until its servers are such.
#[track_caller]
fn until(kept: &[Kept], what: &str, met: impl Fn(&BTreeMap<String, String>) -> bool) {
    for Kept { site, daemon } in kept {
        wait_until_or_fail(CAP, &format!("{what}, by version {}", site.api.version().word()), || {
            Poll::when(site.active(BACKEND), &met)
        });
        assert!(!daemon.log().contains("test-password"));
    }
}

/// Waits until a client of the backend is answered by this server.
#[track_caller]
fn until_answered(site: &Site, by: &str) {
    let www = site.haproxy.addr("web").or_fail();
    wait_until_or_fail(CAP, &format!("an answer of {by}"), || {
        let reply = http_get(www, &format!("/{BACKEND}")).ok().and_then(|reply| reply.backend);
        Poll::when(reply, |found| found.as_deref() == Some(by))
    });
}

/// Waits until a server has this weight.
#[track_caller]
fn until_weighs(site: &Site, server: &str, weight: &str) {
    wait_until_or_fail(CAP, &format!("weight {weight} of {server}"), || {
        let found = site.haproxy.stat(BACKEND, server, "weight").or_fail();
        Poll::when(found, |found| found.as_deref() == Some(weight))
    });
}

#[test]
fn what_changes_in_the_region_changes_in_haproxy_without_a_reload() {
    let cloud = Cloud::start();
    let servers = [HttpBackend::start("one").or_fail(), HttpBackend::start("two").or_fail()];
    let ports = servers.each_ref().map(HttpBackend::port);
    let ids = cloud.instances(2, &MYAPP);
    // A group whose members have no tags of their own.
    let (name, port) = (MYAPP[0], MYAPP[1]);
    let tags = [name, port].map(|(key, value)| GroupTag { key, value, propagated: false });
    let members = cloud.moto.group("web", 2, &tags).or_fail();
    let kept = both(&cloud, |site| {
        site.edit("# availability_zone: \"us-east-1a\"", "availability_zone: us-east-2a");
    });
    until(&kept, "four servers", |active| active.len() == 4);
    let first = kept[0].site.active(BACKEND);
    let place =
        |at: &str| first.iter().find(|(_, there)| *there == at).map(|(name, _)| name.clone()).unwrap();
    let (moves, weighs) = (place(&cloud.at(&ids[0], 8080)), place(&cloud.at(&ids[1], 8080)));
    for Kept { site, .. } in &kept {
        assert_eq!(site.reloads(), 1, "the new backend");
        site.until_written(BACKEND, "server srv4 1");
    }

    // In one cycle: one more, another port, another share, one that its group takes out.
    let came = cloud.instances(1, &MYAPP);
    cloud.moto.tag(&ids[0], OWN_PORT, &ports[0].to_string()).or_fail();
    cloud.moto.tag(&ids[1], SHARE, "25").or_fail();
    cloud.moto.standby("web", &members[0]).or_fail();
    let (newcomer, own) = (cloud.at(&came[0], 8080), cloud.at(&ids[0], ports[0]));
    let (out, stays) = (cloud.at(&members[0], 8080), cloud.at(&members[1], 8080));
    until(&kept, "all of the changes", |active| {
        let has = |at: &String| active.values().any(|there| there == at);
        has(&newcomer) && has(&stays) && !has(&out) && active.get(&moves) == Some(&own)
    });
    for Kept { site, .. } in &kept {
        until_weighs(site, &weighs, "75");
    }

    // In the next: another address behind the same id, and one that ended.
    cloud
        .gate
        .show(&format!("<privateIpAddress>{}<", cloud.address(&ids[0])), "<privateIpAddress>127.0.0.1<");
    cloud.moto.terminate(&came[0]).or_fail();
    let here = format!("127.0.0.1:{}", ports[0]);
    until(&kept, "the new address, and nobody that ended", |active| {
        active.get(&moves) == Some(&here) && !active.values().any(|at| *at == newcomer)
    });
    for Kept { site, .. } in &kept {
        until_answered(site, "one");
        // The file follows, so that a HAProxy that is started anew begins where this one is.
        site.until_written(BACKEND, &format!("server {moves} {here}"));
        assert_eq!(site.reloads(), 1);
    }
    let active: Vec<_> = kept.iter().map(|kept| kept.site.active(BACKEND)).collect();
    assert_eq!(active[0], active[1], "every HAProxy has the same slots");
    for Kept { daemon, .. } in kept {
        assert_eq!(daemon.stop(), Some(0));
    }
}

#[test]
fn a_service_that_vanishes_leaves_its_backend_with_every_server_in_maintenance() {
    let cloud = Cloud::start();
    let gone = cloud.instances(2, &MYAPP);
    cloud.instances(1, &[(NAME, "stays"), (PORT, "80")]);
    let kept = both(&cloud, |_| {});
    until(&kept, "two servers", |active| active.len() == 2);
    // One loses its tag, the other one ends.
    cloud.moto.untag(&gone[0], NAME).or_fail();
    cloud.moto.terminate(&gone[1]).or_fail();
    until(&kept, "nobody", BTreeMap::is_empty);
    for Kept { site, .. } in &kept {
        wait_until_or_fail(CAP, "parked servers", || {
            Poll::when(site.rows(BACKEND), |rows| {
                rows.len() == 10 && rows.iter().all(|row| row.endpoint() == "127.0.0.1:80")
            })
        });
        wait_until_or_fail(CAP, "the file to follow", || {
            Poll::when(site.section(BACKEND), |lines| {
                let mut servers = lines.iter().filter(|line| line.starts_with("server "));
                servers.all(|line| line.contains(" 127.0.0.1:80 ") && line.contains("disabled"))
            })
        });
        assert_eq!(site.active("aws-stays-80-us-east-2").len(), 1);
        assert_eq!(site.reloads(), 1);
    }
    // And comes again, in the same backend.
    let back = cloud.instances(1, &MYAPP);
    let at = cloud.at(&back[0], 8080);
    until(&kept, "the one that came", |active| active.values().collect::<Vec<_>>() == [&at]);
    assert!(kept.iter().all(|kept| kept.site.reloads() == 1));
}

#[test]
fn a_service_that_vanished_while_roster_was_away_is_put_into_maintenance() {
    let cloud = Cloud::start();
    let gone = cloud.instances(1, &MYAPP);
    cloud.instances(1, &[(NAME, "stays"), (PORT, "80")]);
    let sites = PAIRS.map(|pair| cloud.site(pair));
    for site in &sites {
        site.once_well();
        assert_eq!(site.active(BACKEND).len(), 1);
    }
    cloud.moto.terminate(&gone[0]).or_fail();
    // Nothing was kept but HAProxy itself and its file.
    thread::scope(|scope| {
        for site in &sites {
            scope.spawn(move || {
                let daemon = site.run();
                wait_until_or_fail(CAP, "nobody to be active", || {
                    Poll::when(site.active(BACKEND), BTreeMap::is_empty)
                });
                assert_eq!(site.rows(BACKEND).len(), 10);
                assert_eq!(site.active("aws-stays-80-us-east-2").len(), 1);
                assert_eq!(site.reloads(), 1, "{}", daemon.log());
            });
        }
    });
}
