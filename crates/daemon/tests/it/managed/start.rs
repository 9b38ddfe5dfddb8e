//! The first start, what goes live without a reload, and what comes to one reload.

use std::time::{Duration, Instant};

use roster_testkit::{
    Haproxy, HaproxyBin, HaproxyVersion, OrFail, ServerRow, TrafficLoad, free_port, http_get,
    wait_until_or_fail,
};

use super::site::{AT_ONCE, Roster, Site, at, at_once, backends, on_each, ports};
use crate::rig::{CAP, one_version};

/// Which of three servers are there, one after the other; each differs from the one before.
const ROUNDS: [&[usize]; 6] = [&[0, 1, 2], &[1, 2], &[0], &[0, 2], &[2], &[1]];

/// Changes who is in the backend so often, each time after HAProxy shows the change before, and looks that it is never
/// reloaded and that the file says what runs.
pub(crate) fn membership(bin: &HaproxyBin, changes: usize) {
    let mut site = Site::new(bin);
    let admin = at(free_port().or_fail());
    // Who leaves finishes what it has, so that nobody notices.
    let expose = AT_ONCE.replace("cap: 0s", "cap: 60s");
    site.rest = format!("{expose}admin: {{ listen: \"{admin}\" }}\n");
    let servers = backends(&["a", "b", "c"]);
    let all = ports(&servers);
    site.services(&[("web", &all)]);
    let roster = site.run();
    site.until_ready("web", &all);
    site.until_served();
    let worker = site.worker();
    assert!(site.text().contains("backend web\n"), "{}", site.text());
    let load = TrafficLoad::builder(site.address()).start();
    let began = Instant::now();
    for change in 1..=changes {
        let some: Vec<u16> = ROUNDS[change % ROUNDS.len()].iter().map(|n| all[*n]).collect();
        site.services(&[("web", &some)]);
        site.until_ready("web", &some);
    }
    let took = began.elapsed();
    let totals = load.stop();
    eprintln!("{changes} changes in {took:?}; requests: {} good, {} failed", totals.ok, totals.failed());
    assert_eq!(totals.failed(), 0, "{totals:?}");
    assert!(totals.ok > 0);
    assert_eq!((site.worker(), site.reloads()), (worker, 0), "HAProxy was reloaded");
    let metrics = http_get(admin, "/metrics").or_fail().body;
    let counted: Vec<&str> =
        metrics.lines().filter(|line| line.starts_with("roster_reloads_total")).collect();
    assert!(counted.iter().all(|line| line.ends_with(" 0")), "{counted:?}");
    wait_until_or_fail(CAP, "all who left to have finished", || {
        site.rows("web").iter().all(|row| !row.in_drain())
    });
    site.until_written("web");
    the_file_starts_what_runs(&site);
    assert_eq!(roster.said("ERROR"), 0);
}

/// Starts another HAProxy from a copy of the file.
fn the_file_starts_what_runs(site: &Site) {
    // A slot that was freed a moment ago gets its parking address last.
    wait_until_or_fail(CAP, "the file to have every address", || {
        let text = site.text();
        site.rows("web").iter().all(|row| {
            let line = ["server ", row.name.as_str(), " ", row.endpoint().as_str(), " "].concat();
            text.contains(&line)
        })
    });
    let runs = bare(&site.rows("web"));
    let run_dir = site.path("run").display().to_string();
    let copy = site.text().replace(&run_dir, "{dir}").replace("{dir}/admin.sock", "{socket}");
    let copy = copy.replace(&site.port.to_string(), "{port:www}");
    let bin = one_version();
    let other = Haproxy::builder(&bin).whole_config(&copy).start().or_fail();
    assert_eq!(bare(&other.servers("web").or_fail()), runs);
    assert_eq!(http_get(other.addr("www").or_fail(), "/").or_fail().status, 200);
}

fn bare(rows: &[ServerRow]) -> Vec<(String, u32, String, bool, bool, u32)> {
    let bare = rows.iter().map(|row| {
        (row.name.clone(), row.id, row.endpoint(), row.in_maintenance(), row.in_drain(), row.uweight)
    });
    bare.collect()
}

#[test]
fn haproxy_is_started_and_membership_never_reloads_it() {
    on_each(|bin| membership(bin, 100));
}

/// One that serves these backends, with the reloads so far.
fn started(site: &Site, services: &[(&str, &[u16])]) -> Roster {
    site.services(services);
    let roster = site.run();
    for (name, ports) in services {
        site.until_ready(name, ports);
    }
    roster
}

#[test]
fn a_new_backend_is_one_reload() {
    on_each(|bin| {
        let site = Site::new(bin);
        let roster = started(&site, &[("web", &[8001])]);
        let (master, worker) = (site.master(), site.worker());
        site.services(&[("web", &[8001]), ("api", &[8002, 8003])]);
        site.until_ready("api", &[8002, 8003]);
        site.until_ready("web", &[8001]);
        roster.until_log("HAProxy was reloaded");
        assert_eq!(site.reloads(), 1);
        assert_eq!(site.master(), master);
        assert_ne!(site.worker(), worker);
        assert_eq!(roster.said("backend api is new"), 1);
    });
}

#[test]
fn plan_tells_a_start_from_a_reload() {
    let mut site = Site::new(&one_version());
    site.keys += "settle: { quiet: 60s, at_most: 60s }\n";
    site.services(&[("web", &[8001])]);
    site.configure();
    let plan = || site.command(&["plan"]);
    let before = plan();
    assert_eq!(before.code, Some(2), "{before:?}");
    assert!(before.out.contains("own: HAProxy does not run; it is started\n"), "{before:?}");
    let roster = started(&site, &[("web", &[8001])]);
    site.until_written("web");
    let well = plan();
    assert_eq!(well.out, "Nothing to do: HAProxy shows what the sources say.\n", "{well:?}");
    site.services(&[("web", &[8001, 8002]), ("api", &[8003])]);
    // Shows that this answer was heard.
    site.until_ready("web", &[8001, 8002]);
    let after = plan();
    assert_eq!(after.code, Some(2), "{after:?}");
    assert!(after.out.contains("own: one reload: backend api is new\n"), "{after:?}");
    assert!(!after.out.contains("does not run") && !after.out.contains("has no backend"), "{after:?}");
    assert_eq!(roster.said("ERROR"), 0);
}

#[test]
fn a_thousand_new_backends_in_one_answer_are_one_reload() {
    let bins =
        [HaproxyVersion::V2_6, HaproxyVersion::V3_0].map(|version| HaproxyBin::find(version).or_fail());
    at_once(bins, |bin| {
        let site = Site::new(bin);
        let roster = started(&site, &[("web", &[8001])]);
        let names: Vec<String> = (0..1000).map(|n| format!("svc{n}")).collect();
        let mut services: Vec<(&str, &[u16])> =
            names.iter().map(|name| (name.as_str(), &[8002_u16][..])).collect();
        services.push(("web", &[8001]));
        let began = Instant::now();
        site.services(&services);
        roster.until_log("HAProxy was reloaded");
        for name in ["svc0", "svc500", "svc999"] {
            site.until_ready(name, &[8002]);
        }
        eprintln!("{bin}: a thousand backends after {:?}", began.elapsed());
        site.until_ready("web", &[8001]);
        assert_eq!(site.reloads(), 1);
    });
}

#[test]
fn two_answers_within_the_quiet_time_are_one_reload() {
    let mut site = Site::new(&one_version());
    site.keys += "settle: { quiet: 2s, at_most: 30s }\n";
    let roster = started(&site, &[("web", &[8001])]);
    let worker = site.worker();
    site.services(&[("web", &[8001, 8002]), ("api", &[8003])]);
    // Membership does not wait, and shows that this answer was heard.
    site.until_ready("web", &[8001, 8002]);
    assert_eq!(site.worker(), worker);
    site.services(&[("web", &[8001, 8002]), ("api", &[8003]), ("mail", &[8004])]);
    roster.until_log("HAProxy was reloaded");
    site.until_ready("api", &[8003]);
    site.until_ready("mail", &[8004]);
    assert_eq!(site.reloads(), 1);
    assert_eq!(roster.said("backend api is new"), 1);
}

#[test]
fn a_stream_of_answers_does_not_put_a_reload_off_for_ever() {
    let mut site = Site::new(&one_version());
    site.keys += "settle: { quiet: 1s, at_most: 1500ms }\n";
    let _roster = started(&site, &[("web", &[8001])]);
    let began = Instant::now();
    let mut names: Vec<String> = Vec::new();
    while site.reloads() == 0 {
        assert!(began.elapsed() < Duration::from_secs(20), "no reload in {:?}", began.elapsed());
        names.push(format!("svc{}", names.len()));
        let mut services: Vec<(&str, &[u16])> =
            names.iter().map(|name| (name.as_str(), &[8002_u16][..])).collect();
        let live = [8001, 8100 + u16::try_from(names.len()).unwrap()];
        services.push(("web", &live));
        site.services(&services);
        site.until_ready("web", &live);
    }
    assert!(names.len() > 2, "the answers were too slow to show anything: {}", names.len());
}
