//! A subscription of Azure: the daemon, while machines come and go and Azure has its troubles.

use std::collections::BTreeMap;

use roster_testkit::{ArmFault, ArmView, Poll, wait_until_or_fail};
use serde_json::Value;

use super::azure::{BACKEND, Cloud, endpoints, has_no_secret};
use super::site::{PAIRS, Site};
use crate::rig::{CAP, Daemon};

/// The messages of the log's errors.
fn errors(daemon: &Daemon) -> Vec<String> {
    let log = daemon.log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let errors = lines.filter(|line| line["level"] == "ERROR");
    errors.map(|line| line["message"].as_str().unwrap_or_default().to_owned()).collect()
}

#[track_caller]
fn until(site: &Site, wanted: &[&str]) {
    wait_until_or_fail(CAP, &format!("{wanted:?} to be active"), || {
        Poll::when(endpoints(site), |endpoints| endpoints == wanted)
    });
}

/// Waits until so many more calls got this status.
#[track_caller]
fn until_answered(cloud: &Cloud, status: u16, more: usize) {
    let count = || cloud.arm.calls().iter().filter(|call| call.status == status).count();
    let before = count();
    wait_until_or_fail(CAP, &format!("{more} more answers {status}"), || {
        Poll::when(count(), |now| *now >= before + more)
    });
}

#[test]
fn machines_that_come_change_and_go_do_so_in_haproxy_without_a_reload() {
    let cloud = Cloud::start();
    cloud.machines(&["127.1.0.1", "127.1.0.2", "127.1.0.3"]);
    let sites = PAIRS.map(|pair| cloud.site(pair));
    let daemons = sites.each_ref().map(Site::run);
    let each = |wanted: &[&str]| sites.iter().for_each(|site| until(site, wanted));
    each(&["127.1.0.1:8080", "127.1.0.2:8080", "127.1.0.3:8080"]);
    let before: BTreeMap<String, String> = sites[0].active(BACKEND);

    // In one cycle: one comes, one changes its port, one has a view that says nothing.
    cloud.machines(&["127.1.0.4"]);
    cloud.change("127.1.0.1", |vm| vm.tags.insert("HAProxy:Instance:Port".to_owned(), "9001".to_owned()));
    cloud.change("127.1.0.2", |vm| vm.view = ArmView::Error);
    each(&["127.1.0.1:9001", "127.1.0.2:8080", "127.1.0.3:8080", "127.1.0.4:8080"]);
    // And in the next: one stops, and the view is whole again.
    cloud.power("127.1.0.2", "running");
    cloud.power("127.1.0.3", "deallocating");
    each(&["127.1.0.1:9001", "127.1.0.2:8080", "127.1.0.4:8080"]);

    let stays = |active: &BTreeMap<String, String>| {
        active.iter().find(|(_, at)| *at == "127.1.0.2:8080").map(|(name, _)| name.clone())
    };
    for (site, daemon) in sites.iter().zip(daemons) {
        assert_eq!(stays(&site.active(BACKEND)), stays(&before), "who stays keeps its slot");
        assert_eq!(site.reloads(), 1, "the new backend");
        let log = daemon.log();
        let view = log.lines().filter(|line| line.contains("/virtualmachines/127.1.0.2: "));
        assert_eq!(view.count(), 1, "{log}");
        assert_eq!(errors(&daemon), [""; 0]);
        has_no_secret(&log);
        assert_eq!(daemon.stop(), Some(0));
    }
}

#[test]
fn while_azure_throttles_or_fails_the_last_good_list_stays_and_is_told_of_once() {
    let cloud = Cloud::start();
    cloud.machines(&["127.1.0.1", "127.1.0.2"]);
    let site = cloud.site(PAIRS[1]);
    let daemon = site.run();
    let two = ["127.1.0.1:8080", "127.1.0.2:8080"];
    until(&site, &two);

    // The wait that is asked for differs, and so does the list that meets it.
    cloud.arm.fault(ArmFault::Throttled(40), "virtualMachines?", 1);
    cloud.arm.fault(ArmFault::Throttled(41), "networkInterfaces?", u32::MAX);
    cloud.power("127.1.0.2", "stopped");
    cloud.machines(&["127.1.0.3"]);
    until_answered(&cloud, 429, 3);
    let told = errors(&daemon);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("ARM throttles and asks to wait 40 s"), "{told:?}");
    assert!(told[0].contains("the last good answer stays"), "{told:?}");
    assert_eq!(endpoints(&site), two);
    // What changed meanwhile is not forgotten.
    cloud.arm.clear_faults();
    until(&site, &["127.1.0.1:8080", "127.1.0.3:8080"]);

    cloud.arm.fault(ArmFault::Error(500, "InternalServerError"), "networkInterfaces?", u32::MAX);
    cloud.power("127.1.0.3", "stopped");
    until_answered(&cloud, 500, 5);
    let told = errors(&daemon);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[1].contains("500 InternalServerError"), "{told:?}");
    assert_eq!(endpoints(&site), ["127.1.0.1:8080", "127.1.0.3:8080"]);
    cloud.arm.clear_faults();
    until(&site, &["127.1.0.1:8080"]);
    assert_eq!(site.reloads(), 1);
    has_no_secret(&daemon.log());
    assert_eq!(daemon.stop(), Some(0));
}
