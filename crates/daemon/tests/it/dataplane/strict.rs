//! `apply: transaction`: everything by the API's own objects, all that comes together in one transaction.

use roster_testkit::{Poll, http_get, wait_until_or_fail};

use super::proxy::{How, Proxy};
use super::site::{PAIRS, Site};
use crate::rig::CAP;

const KEYS: &str = ", apply: transaction";

/// With new backends, and a route to each.
fn each_pair(backend: &str, test: impl Fn(Site)) {
    for (api, haproxy) in PAIRS {
        eprintln!("on {haproxy:?} behind {}", api.word());
        let mut site = Site::start(api, haproxy, false);
        KEYS.clone_into(&mut site.keys);
        site.expose = site.expose.replace("guard: off", &format!("guard: off, backend: {{ {backend} }}"));
        site.configure();
        test(site);
    }
}

const ROUTED: &str = "balance: roundrobin, options: { server_timeout: 4321 }, \
                      route: { frontend: www, path: \"/{service}\" }";

/// How many transactions were committed; the real program does not count them.
fn commits(site: &Site) -> Option<u64> {
    let count = |(call, times): (&String, &u64)| call.starts_with("PUT ~/transactions/").then_some(*times);
    (!site.api.is_real()).then(|| site.api.counters().requests.iter().filter_map(count).sum())
}

fn all_in_one(mut site: Site) {
    let ports = site.ports();
    site.services(&[("web", &ports[..1])]);
    let daemon = site.rig.run();
    site.until_ready("web", &ports[..1]);
    // The route of a backend that is there already came with it.
    daemon.until_log("the routes in frontend www changed");
    let (reloads, before) = (site.reloads(), commits(&site));
    site.services(&[("web", &ports[1..2]), ("api", &ports[2..3]), ("shop", &ports[3..4])]);
    site.until_ready("api", &ports[2..3]);
    site.until_ready("shop", &ports[3..4]);
    site.until_ready("web", &ports[1..2]);
    for (path, by) in [("/api/x", "c"), ("/shop", "d"), ("/", "b")] {
        wait_until_or_fail(CAP, &format!("{path} to be answered by {by}"), || {
            let found = http_get(site.address(), path).ok().and_then(|reply| reply.backend);
            Poll::when(found, |found| found.as_deref() == Some(by))
        });
    }
    assert!(site.text().contains("timeout server 4321"), "{}", site.text());
    if let Some(before) = before {
        // One for the servers, which are a pass of their own, and one for all that is new.
        wait_until_or_fail(CAP, "the answer to the last one", || commits(&site) >= Some(before + 2));
        assert_eq!(commits(&site), Some(before + 2), "{}", daemon.log());
        assert_eq!(site.reloads(), reloads + 2, "{}", daemon.log());
    }
    assert!(site.transactions().is_empty());

    // Whose they are stands in the file, though version 2 has no object that says it.
    for service in ["api", "shop"] {
        let mark = format!("Kept by Roster: service fleet/{service}");
        wait_until_or_fail(CAP, &format!("{mark:?} in the file"), || site.text().contains(&mark));
    }
    daemon.stop();
    site.keys += ", strategy: fail_on_conflict";
    site.configure();
    let daemon = site.rig.run();
    daemon.until_log("backend web is already there and not Roster's");
    site.services(&[("web", &ports[1..2]), ("api", &ports[..2])]);
    site.until_ready("api", &ports[..2]);
    assert_eq!(daemon.log().matches("is already there").count(), 1, "{}", daemon.log());
    // Past the first slot and without the route of who went.
    wait_until_or_fail(CAP, "no route to shop", || !site.text().contains("use_backend shop"));
}

#[test]
fn what_is_new_comes_by_objects_in_one_transaction_with_its_marks_and_routes() {
    each_pair(ROUTED, all_in_one);
}

#[test]
fn once_leaves_a_new_backend_with_its_mark() {
    each_pair("balance: roundrobin", |site| {
        let ports = site.ports();
        site.services(&[("api", &ports[..2])]);
        let once = site.rig.roster(&["once"]);
        assert_eq!(once.code, Some(0), "{once:?}");
        site.until_ready("api", &ports[..2]);
        assert!(site.text().contains("Kept by Roster: service fleet/api"), "{once:?}\n{}", site.text());
        assert_eq!(site.reloads(), 1, "{once:?}");
    });
}

#[test]
fn a_backend_with_lines_that_no_object_has_is_left_out_and_the_others_come() {
    for (api, haproxy) in PAIRS {
        let mut site = Site::start(api, haproxy, false);
        KEYS.clone_into(&mut site.keys);
        "expose:\n  - { service: fleet/odd, bring_up: registry, guard: off, backend: { lines: [ \"retries 2\" ] } }\n  \
         - { each: fleet, bring_up: registry, guard: off, backend: { balance: roundrobin } }\n"
            .clone_into(&mut site.expose);
        site.configure();
        let ports = site.ports();
        site.services(&[("odd", &ports[..1]), ("api", &ports[1..2])]);
        let daemon = site.rig.run();
        site.until_ready("api", &ports[1..2]);
        daemon.until_log("which Roster cannot write as objects");
        assert!(!site.text().contains("backend odd"), "{}", site.text());
    }
}

/// What the API itself does not take, though HAProxy would.
#[test]
fn what_the_api_refuses_to_make_is_left_out_and_the_others_come() {
    for (api, haproxy) in PAIRS {
        let mut site = Site::start(api, haproxy, false);
        KEYS.clone_into(&mut site.keys);
        site.with_backends();
        let proxy = Proxy::before(site.api.url());
        site.configure_at(&proxy.url());
        let ports = site.ports();
        proxy.trap("POST", "/configuration/backends?", How::Refused, 1);
        site.services(&[("api", &ports[..1]), ("shop", &ports[1..2])]);
        let daemon = site.rig.run();
        // The first that is made is the first by its name.
        site.until_ready("shop", &ports[1..2]);
        daemon.until_log("is left out");
        assert!(daemon.log().contains("not as it should be"), "{}", daemon.log());
        assert!(!site.text().contains("backend api"), "{}", site.text());
        assert!(site.transactions().is_empty());
    }
}
