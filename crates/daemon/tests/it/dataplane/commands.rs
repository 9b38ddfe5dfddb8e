//! The commands as an operator uses them on a target behind an API.

use std::time::{Duration, Instant};

use roster_testkit::{Fault, OrFail, Poll, wait_until_or_fail};

use super::site::{Site, alone_stand_in, on_each};
use crate::rig::CAP;

/// All that HAProxy and its file say, and what the API was asked to change.
#[derive(Debug, PartialEq)]
struct State {
    text: String,
    servers: String,
    changes: u64,
    reloads: u64,
}

fn state(site: &Site) -> State {
    let requests = site.api.counters().requests;
    let changes = requests.iter().filter(|(kind, _)| !kind.starts_with("GET"));
    State {
        text: site.text(),
        servers: ["web", "foreign"]
            .map(|backend| format!("{:?}", site.rig.haproxy.servers(backend)))
            .concat(),
        // The real program counts none; its file has the number of the last one.
        changes: if site.api.is_real() { site.version() } else { changes.map(|(_, count)| count).sum() },
        reloads: site.reloads(),
    }
}

/// How often the file was read; the real program does not count it.
fn reads(site: &Site) -> u64 {
    let requests = site.api.counters().requests;
    requests.get("GET ~/configuration/raw").copied().unwrap_or_default()
}

fn plan_and_once(mut site: Site) {
    site.with_backends();
    let ports = site.ports();
    site.services(&[("web", &ports[..2]), ("api", &ports[2..3])]);
    let before = state(&site);
    // Where servers are kept by the API too, their target reads the file itself.
    let reads_of_a_plan = if site.keys.contains("socket") { 1 } else { 2 };
    for words in [&["plan"][..], &["plan", "-v"], &["plan", "--json"]] {
        let reads = reads(&site);
        let plan = site.rig.roster(words);
        assert!(site.api.is_real() || self::reads(&site) - reads == reads_of_a_plan);
        assert_eq!(plan.code, Some(2), "{plan:?}");
        assert!(plan.out.contains("srv1") && plan.out.contains(&ports[0].to_string()), "{plan:?}");
        assert!(plan.out.contains("backend api is new"), "the reload is not told: {plan:?}");
        assert!(!plan.out.contains("test-password") && !plan.err.contains("test-password"));
    }
    assert_eq!(state(&site), before, "a plan changed something");
    let verbose = site.rig.roster(&["plan", "-v"]);
    let line =
        if site.keys.contains("socket") { "set server web/srv1 addr" } else { "SetServerAddr web srv1" };
    assert!(verbose.out.contains(line), "{verbose:?}");

    let once = site.rig.roster(&["once"]);
    assert_eq!(once.code, Some(0), "{once:?}");
    site.until_ready("web", &ports[..2]);
    site.until_ready("api", &ports[2..3]);
    assert!(site.text().contains(&format!("127.0.0.1:{}", ports[2])), "{}", site.text());
    assert_eq!(site.reloads(), 1, "{once:?}");

    let (before, plan) = (state(&site), site.rig.roster(&["plan"]));
    assert_eq!(
        (plan.code, plan.out.as_str()),
        (Some(0), "Nothing to do: HAProxy shows what the sources say.\n")
    );
    let again = site.rig.roster(&["once"]);
    assert_eq!(again.code, Some(0), "{again:?}");
    assert_eq!(state(&site), before, "nothing was to be done, and something was: {again:?}");
}

#[test]
fn plan_says_what_once_does_and_changes_nothing() {
    on_each(plan_and_once);
}

fn once_waits_for_growth(site: &Site) {
    let ports = site.ports();
    site.services(&[("web", &ports)]);
    let once = site.rig.roster(&["once"]);
    assert_eq!(once.code, Some(0), "{once:?}");
    site.until_ready("web", &ports);
    let text = site.text();
    for port in ports {
        assert!(text.contains(&format!("127.0.0.1:{port}")), "{port} is not in the file:\n{text}");
    }
}

#[test]
fn once_ends_when_a_server_past_the_slots_serves() {
    on_each(|site| once_waits_for_growth(&site));
}

#[test]
fn once_ends_where_haproxy_is_not_reloaded_however_often_it_is_asked() {
    alone_stand_in(|mut site| {
        site.with_backends();
        site.api.inject(Fault::ReloadFails("no room for it".to_owned()), 1000).or_fail();
        let ports = site.ports();
        site.services(&[("web", &ports[..1]), ("api", &ports[1..2])]);
        let started = Instant::now();
        let once = site.rig.roster(&["once"]);
        assert_eq!(once.code, Some(1), "{once:?}");
        assert!(started.elapsed() < Duration::from_secs(60), "it waited {:?}: {once:?}", started.elapsed());
        assert!(once.err.contains("no room for it"), "{once:?}");
        // What needs no reload is done.
        site.until_ready("web", &ports[..1]);
    });
}

fn status_and_detach(site: &Site) {
    let ports = site.ports();
    site.services(&[("web", &ports[..2])]);
    let daemon = site.rig.run();
    site.until_ready("web", &ports[..2]);
    site.until_written(&format!("server srv2 127.0.0.1:{} weight 10", ports[1]));
    let status = site.rig.roster(&["status"]);
    assert_eq!(status.code, Some(0), "{status:?}");
    assert!(
        status.out.contains(&format!("kept through the Data Plane API at {}", site.api.url())),
        "{status:?}"
    );
    assert!(status.out.contains("2 active"), "{status:?}");
    assert_eq!(daemon.stop(), Some(0));

    let before = state(site);
    let detached = site.rig.roster(&["detach", "--target", "edge"]);
    assert_eq!(detached.code, Some(0), "{detached:?}");
    assert_eq!(state(site), before, "{detached:?}");
    assert_eq!(site.rig.roster(&["detach", "--target", "edge"]).code, Some(1));
    // What it left is found as it is.
    let once = site.rig.roster(&["once"]);
    assert_eq!(once.code, Some(0), "{once:?}");
    assert_eq!(state(site), before, "{once:?}");
}

#[test]
fn status_tells_of_the_api_and_detach_leaves_all_as_it_is() {
    on_each(|site| status_and_detach(&site));
}

fn keys_change(mut site: Site) {
    let ports = site.ports();
    site.services(&[("web", &ports[..1])]);
    let daemon = site.rig.run();
    site.until_ready("web", &ports[..1]);
    // From the API alone to the socket, or back.
    let socket = format!(", socket: {}", site.rig.haproxy.socket().display());
    site.keys = if site.keys.is_empty() { socket } else { String::new() };
    site.configure();
    daemon.hang_up();
    site.services(&[("web", &ports[..2])]);
    site.until_ready("web", &ports[..2]);
    let shows = if site.keys.is_empty() { "does not show weights" } else { "kept through" };
    wait_until_or_fail(CAP, "the status of the new keys", || {
        Poll::when(site.rig.roster(&["status"]).out, |out| out.contains(shows))
    });
    // A wrong password is told, and the right one mends it.
    let right = std::fs::read_to_string(site.rig.config()).or_fail();
    std::fs::write(site.rig.config(), right.replace("test-password", "pa55-w0rd")).or_fail();
    daemon.hang_up();
    daemon.until_log("does not accept this user with this password");
    std::fs::write(site.rig.config(), right).or_fail();
    daemon.hang_up();
    site.services(&[("web", &ports[1..3])]);
    site.until_ready("web", &ports[1..3]);
    wait_until_or_fail(CAP, "the trouble to be over in the status", || {
        Poll::when(site.rig.roster(&["status"]).out, |out| !out.contains("this password"))
    });
    let log = daemon.log();
    assert!(!log.contains("pa55-w0rd") && !log.contains("test-password"), "{log}");
}

#[test]
fn changed_keys_count_from_the_next_hangup_on() {
    on_each(keys_change);
}
