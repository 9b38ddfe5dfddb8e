//! Many servers and many backends: few calls.

use std::collections::BTreeMap;
use std::fmt::Write;

use roster_testkit::{HaproxyVersion, wait_until_or_fail};

use super::site::{CONFIG, PAIRS, Site};
use crate::rig::CAP;

/// What was asked between two counts.
fn asked(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let more = after.iter().map(|(kind, n)| (kind.clone(), n - before.get(kind).copied().unwrap_or(0)));
    more.filter(|(_, n)| *n > 0).collect()
}

fn writes(asked: &BTreeMap<String, u64>) -> u64 {
    asked.iter().filter(|(kind, _)| !kind.starts_with("GET")).map(|(_, n)| n).sum()
}

/// How often the running servers of a backend were read.
fn reads(asked: &BTreeMap<String, u64>) -> u64 {
    let is_read = |kind: &str| kind.contains("runtime") && kind.contains("servers");
    asked.iter().filter(|(kind, _)| is_read(kind)).map(|(_, n)| n).sum()
}

#[test]
fn a_thousand_servers_are_one_write_and_one_read() {
    for (api, haproxy) in PAIRS {
        let mut config = CONFIG.to_owned();
        config.push_str("\nbackend big\n  balance roundrobin\n");
        for n in 1..=1000 {
            writeln!(config, "  server srv{n} 127.0.0.1:1 disabled").unwrap();
        }
        let site = Site::with(api, haproxy, false, &config, |_, api| api.stand_in_only());
        let ports: Vec<u16> = (20_001..=21_000).collect();
        site.services(&[("big", &ports)]);
        let before = site.api.counters().requests;
        let once = site.rig.roster(&["once"]);
        assert_eq!(once.code, Some(0), "{}", once.err.lines().last().unwrap_or_default());
        assert_eq!(site.rig.ready("big").len(), 1000);
        let first = asked(&before, &site.api.counters().requests);
        // From 2.9 on a new address is seen before its server is ready.
        assert!(writes(&first) <= 2, "{first:?}");

        let before = site.api.counters().requests;
        assert_eq!(site.rig.roster(&["once"]).code, Some(0));
        let again = asked(&before, &site.api.counters().requests);
        assert_eq!(writes(&again), 0, "{again:?}");
        assert!(again.values().sum::<u64>() <= 20, "{again:?}");
        assert_eq!(site.api.counters().reloads_asked, 0);
    }
}

#[test]
fn a_hundred_backends_are_one_write_and_a_read_each() {
    for (api, haproxy) in PAIRS {
        let mut config = CONFIG.to_owned();
        for n in 0..100 {
            write!(config, "\nbackend b{n}\n  balance roundrobin\n  server srv1 127.0.0.1:1 disabled\n")
                .unwrap();
        }
        let site = Site::with(api, haproxy, false, &config, |_, api| api.stand_in_only());
        let ports: Vec<u16> = (20_000..20_100).collect();
        let names: Vec<String> = (0..100).map(|n| format!("b{n}")).collect();
        let services: Vec<(&str, &[u16])> =
            names.iter().zip(ports.chunks(1)).map(|(name, ports)| (name.as_str(), ports)).collect();
        site.services(&services);
        let before = site.api.counters().requests;
        let once = site.rig.roster(&["once"]);
        assert_eq!(once.code, Some(0), "{}", once.err.lines().last().unwrap_or_default());
        let first = asked(&before, &site.api.counters().requests);
        assert!(writes(&first) <= 2, "{first:?}");
        assert!(names.iter().all(|name| site.rig.ready(name).len() == 1));

        let before = site.api.counters().requests;
        assert_eq!(site.rig.roster(&["once"]).code, Some(0));
        let again = asked(&before, &site.api.counters().requests);
        assert_eq!(writes(&again), 0, "{again:?}");
        assert!(again.values().sum::<u64>() <= 120, "{again:?}");

        // One that changes is one write, and its own backend's reads.
        let mut last = site.api.counters().requests;
        let daemon = site.rig.run();
        daemon.until_log("HAProxy answers");
        // A look takes in what comes while it is under way. At rest only the version is asked for.
        let before = wait_until_or_fail(CAP, "Roster to be at rest", || {
            let now = site.api.counters().requests;
            let since = asked(&last, &now);
            if reads(&since) > 0 {
                last = now;
                return None;
            }
            (since.get("GET ~/configuration/version") >= Some(&3)).then_some(now)
        });
        let other = [20_500];
        let mut services = services.clone();
        services[7] = ("b7", &other);
        site.services(&services);
        site.until_ready("b7", &other);
        daemon.until_log("backends=1");
        let one = asked(&before, &site.api.counters().requests);
        // The new server is added, made ready, the one before goes, and the file follows.
        assert!((1..=4).contains(&writes(&one)), "{one:?}");
        assert!((1..=12).contains(&reads(&one)), "{one:?}");
    }
}

#[test]
fn a_few_servers_are_ready_before_the_file_follows_by_one_write() {
    for (api, haproxy) in PAIRS {
        let site = Site::start(api, haproxy, false);
        let ports = &site.ports()[..2];
        site.services(&[("web", ports)]);
        let before = site.api.counters().requests;
        let once = site.rig.roster(&["once"]);
        assert_eq!(once.code, Some(0), "{once:?}");
        site.until_ready("web", ports);
        site.until_file_follows("web");
        assert_eq!(site.reloads(), 0);
        if site.api.is_real() {
            continue;
        }
        let asked = asked(&before, &site.api.counters().requests);
        let count = |method: &str, path: &str| -> u64 {
            let is_it = |kind: &str| kind.starts_with(method) && kind.contains(path);
            asked.iter().filter(|(kind, _)| is_it(kind)).map(|(_, n)| n).sum()
        };
        // Up to 2.8 HAProxy has an address before it answers, and one write is all.
        let wanted = if haproxy >= HaproxyVersion::V3_0 { 2 } else { 0 };
        assert_eq!(count("PUT", "runtime"), wanted, "{asked:?}\n{once:?}");
        // One for the addresses, one for the file; an address that takes its time is told twice.
        assert!(count("POST", "configuration/raw") <= 1 + wanted, "{asked:?}\n{once:?}");
    }
}
