//! What only a reload brings: reloads that fail, changes that HAProxy refuses, and how many there may be.

use std::time::Instant;

use roster_testkit::{Fault, OrFail, TrafficLoad, wait_until_or_fail};
use rustix::process::Signal;

use super::site::{Site, alone, alone_stand_in, on_each, on_each_stand_in};
use crate::rig::CAP;

fn a_failing_reload_loses_nothing(mut site: Site) {
    site.with_backends();
    let ports = site.ports();
    site.services(&[("web", &ports[..2])]);
    let daemon = site.rig.run();
    site.until_ready("web", &ports[..2]);
    let (pid, line) = (site.pid(), format!("server srv2 127.0.0.1:{} weight 10", ports[1]));
    site.until_written(&line);
    let load = TrafficLoad::builder(site.address()).start();
    site.api.inject(Fault::ReloadFails("no room for it".to_owned()), 3).or_fail();
    site.services(&[("web", &ports[..2]), ("api", &ports[2..3])]);
    daemon.until_log("no room for it");
    let failed = Instant::now();
    // The API put a file back that is older than what was given live; that must not last until the reload succeeds.
    site.until_written(&line);
    assert!(site.api.counters().reloads_done == 0, "{}", daemon.log());
    let status = site.rig.roster(&["status"]);
    assert!(status.out.contains("no room for it") && status.out.contains("waits for a reload"), "{status:?}");
    // What is live goes on meanwhile.
    site.services(&[("web", &ports[..1]), ("api", &ports[2..3])]);
    site.until_ready("web", &ports[..1]);
    assert_eq!(site.pid(), pid);
    site.until_ready("api", &ports[2..3]);
    // After pauses of 1, 2 and 4 seconds.
    assert!(failed.elapsed().as_secs() >= 6, "after {:?}: {}", failed.elapsed(), daemon.log());
    // The process serves before the API has heard of it.
    wait_until_or_fail(CAP, "the reload to be over", || site.api.counters().reloads_done > 0);
    let counters = site.api.counters();
    assert_eq!((counters.reloads_failed, counters.reloads_done), (3, 1), "{}", daemon.log());
    let load = load.stop();
    assert!(load.failed() == 0 && load.ok > 0, "{load:?}");
    site.until_written(&format!("server srv1 127.0.0.1:{} weight 10 # a word on srv1", ports[0]));
    site.until_ready("web", &ports[..1]);
    let status = site.rig.roster(&["status"]);
    assert!(!status.out.contains("no room for it"), "what is over is still told: {status:?}");
}

#[test]
fn after_a_reload_that_fails_nothing_is_lost_and_it_is_tried_again_after_longer_pauses() {
    on_each_stand_in(a_failing_reload_loses_nothing);
}

fn a_reload_that_is_not_wanted_any_more_is_not_told_for_ever(mut site: Site) {
    site.with_backends();
    let ports = site.ports();
    site.services(&[("web", &ports[..2])]);
    let daemon = site.rig.run();
    site.until_ready("web", &ports[..2]);
    site.api.inject(Fault::ReloadFails("no room for it".to_owned()), 1000).or_fail();
    site.services(&[("web", &ports[..2]), ("api", &ports[2..3])]);
    daemon.until_log("no room for it");
    site.services(&[("web", &ports[..2])]);
    wait_until_or_fail(CAP, "no word of it in the status", || {
        let status = site.rig.roster(&["status"]);
        (!status.out.contains("no room for it") && !status.out.contains("waits for a reload")).then_some(())
    });
}

#[test]
fn a_reload_that_failed_and_is_not_wanted_any_more_is_forgotten() {
    alone_stand_in(a_reload_that_is_not_wanted_any_more_is_not_told_for_ever);
}

fn bad_and_good(bad: &str) -> String {
    format!(
        "expose:\n  - {{ service: fleet/bad, bring_up: registry, backend: {{ {bad} }} }}\n  \
         - {{ service: [fleet/api, fleet/shop, fleet/web], bring_up: registry, drain: {{ cap: 0s }}, guard: off, \
         backend: {{ balance: roundrobin }} }}\n"
    )
}

fn the_others_come(mut site: Site, bad: &str) {
    site.expose = bad_and_good(bad);
    site.configure();
    let ports = site.ports();
    site.services(&[
        ("web", &ports[..1]),
        ("bad", &ports[1..2]),
        ("api", &ports[2..3]),
        ("shop", &ports[3..4]),
    ]);
    let daemon = site.rig.run();
    site.until_ready("api", &ports[2..3]);
    site.until_ready("shop", &ports[3..4]);
    site.until_ready("web", &ports[..1]);
    daemon.until_log("backend bad is new is left out");
    assert!(!site.text().contains("backend bad"), "{}", site.text());
    assert_eq!(site.reloads(), 1, "{}", daemon.log());
    // It changes: it comes too, with one reload.
    site.expose = bad_and_good("balance: leastconn");
    site.configure();
    daemon.signal(Signal::HUP);
    site.until_ready("bad", &ports[1..2]);
    assert_eq!(site.reloads(), 2, "{}", daemon.log());
    assert!(site.transactions().is_empty(), "{:?}", site.transactions());
}

#[test]
fn a_service_whose_lines_haproxy_refuses_is_left_out_and_the_others_come_with_one_reload() {
    alone(|site| the_others_come(site, "lines: [ \"http-request deny if no_such_acl\" ]"));
}

#[test]
fn a_service_whose_options_the_api_refuses_is_left_out_and_the_others_come_with_one_reload() {
    for options in ["server_timeout: later", "mode: smoke", "balance: { algorithm: dice }"] {
        alone(|site| the_others_come(site, &format!("options: {{ {options} }}")));
    }
}

/// A service is left out until it changes; but not for what somebody else broke.
fn a_mended_file_lets_it_come(mut site: Site) {
    site.with_backends();
    let ports = site.ports();
    site.services(&[("web", &ports[..1])]);
    let daemon = site.rig.run();
    site.until_ready("web", &ports[..1]);
    site.until_written(&format!("server srv1 127.0.0.1:{} weight 10 # a word on srv1", ports[0]));
    let path = site.rig.haproxy.config_path();
    let broken =
        site.text().replace("acl is_private path_beg /private", "acl is_private frobnicate /private");
    site.api.edit_by_hand(&path, &broken).or_fail();
    wait_until_or_fail(CAP, "the edit to be taken up", || site.text().contains("frobnicate").then_some(()));
    site.services(&[("web", &ports[..1]), ("api", &ports[2..3])]);
    daemon.until_log("left out");
    site.api.edit_by_hand(&path, &site.text().replace("frobnicate", "path_beg")).or_fail();
    site.until_ready("api", &ports[2..3]);
}

#[test]
fn a_service_that_had_to_wait_for_a_broken_file_comes_once_it_is_mended() {
    alone(a_mended_file_lets_it_come);
}

fn past_the_most(mut site: Site) {
    site.keys += ", max_reloads: { count: 1, per: 8s }, settle: { quiet: 0s }";
    site.with_backends();
    let ports = site.ports();
    site.services(&[("web", &ports[..1])]);
    let daemon = site.rig.run();
    site.until_ready("web", &ports[..1]);
    let began = Instant::now();
    site.services(&[("web", &ports[..1]), ("api", &ports[2..3])]);
    site.until_ready("api", &ports[2..3]);
    let pid = site.pid();
    site.services(&[("web", &ports[..1]), ("api", &ports[2..3]), ("shop", &ports[3..4])]);
    daemon.until_log("as many as `max_reloads` allows; what needs one more waits");
    let status = site.rig.roster(&["status"]);
    assert!(status.out.contains("waits for a reload") && status.out.contains("shop"), "{status:?}");
    site.services(&[("web", &ports[..2]), ("api", &ports[2..3]), ("shop", &ports[3..4])]);
    site.until_ready("web", &ports[..2]);
    assert_eq!((site.pid(), site.reloads()), (pid, 1), "{}", daemon.log());
    site.until_ready("shop", &ports[3..4]);
    assert!(began.elapsed().as_secs() >= 7, "after {:?}", began.elapsed());
    assert_eq!(site.reloads(), 2, "{}", daemon.log());
    assert_eq!(daemon.log().matches("as many as `max_reloads` allows").count(), 1, "{}", daemon.log());
}

#[test]
fn past_max_reloads_new_backends_wait_and_say_so_and_live_changes_go_on() {
    on_each(past_the_most);
}
