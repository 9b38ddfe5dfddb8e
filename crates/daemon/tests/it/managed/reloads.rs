//! Reloads under load, what survives them, how many there may be, and ports that come and go.

use std::time::{Duration, Instant};

use roster_testkit::{
    HaproxyBin, HttpError, OrFail, Poll, ServerRow, TrafficLoad, cli_at, free_port, http_get,
    parse_servers_state, wait_until_or_fail,
};
use rustix::process::Signal;

use super::site::{Site, at, backends, on_each, on_each_at_once, ports};
use crate::rig::CAP;

/// Reloads so often under load, each time for a new backend, and looks that no request fails.
pub(crate) fn under_load(bin: &HaproxyBin, reloads: usize) {
    let mut site = Site::new(bin);
    site.keys += "settle: { quiet: 0s }\n";
    let servers = backends(&["a", "b"]);
    let all = ports(&servers);
    site.services(&[("web", &all)]);
    let _roster = site.run();
    site.until_ready("web", &all);
    site.until_served();
    let master = site.master();
    let fresh = TrafficLoad::builder(site.address()).workers(3).start();
    let reused = TrafficLoad::builder(site.address()).workers(3).keep_alive().start();
    let names: Vec<String> = (1..=reloads).map(|n| format!("svc{n}")).collect();
    let began = Instant::now();
    for count in 1..=reloads {
        let new = names[..count].iter().map(|name| (name.as_str(), &all[..]));
        site.services(&new.chain([("web", &all[..])]).collect::<Vec<_>>());
        site.until_ready(&names[count - 1], &all);
        wait_until_or_fail(CAP, "the reload to be told", || {
            Poll::when(site.reloads(), |told| *told == count)
        });
    }
    let took = began.elapsed();
    let (fresh, reused) = (fresh.stop(), reused.stop());
    eprintln!("{reloads} reloads in {took:?}\n  fresh connections: {fresh:?}\n  kept ones: {reused:?}");
    assert_eq!((fresh.failed(), reused.failed()), (0, 0));
    assert!(fresh.ok > 0 && reused.ok > 0);
    assert_eq!(site.master(), master);
    site.until_processes(2);
}

#[test]
fn reloads_under_load_fail_no_request() {
    on_each(|bin| under_load(bin, 8));
}

/// The servers as they are the first time another worker than this one answers.
fn first_seen_after(site: &Site, worker: u32) -> Vec<ServerRow> {
    let both = || cli_at(&site.path("run/admin.sock"), "show info;show servers state web").ok();
    let said = wait_until_or_fail(CAP, "another worker", || {
        both().filter(|said| said.contains("\nPid: ") && !said.contains(&format!("\nPid: {worker}\n")))
    });
    parse_servers_state(&said)
}

fn row(rows: &[ServerRow], name: &str) -> ServerRow {
    rows.iter().find(|row| row.name == name).cloned().unwrap()
}

#[test]
fn what_an_operator_set_and_what_checks_found_survives_a_reload() {
    on_each(|bin| {
        let mut site = Site::new(bin);
        site.keys += "settle: { quiet: 0s }\n";
        site.rest =
            site.rest.replace("guard: off", "guard: off, server: { check: true, inter: 1s, fall: 1 }");
        let mut servers = backends(&["a", "b", "c", "d"]);
        let all = ports(&servers);
        site.services(&[("web", &all)]);
        let roster = site.run();
        site.until_ready("web", &all);
        site.until_served();
        // From here on the file says other things of the slots than what HAProxy was started with.
        site.until_written("web");
        let named = site.ready("web");
        let name = |n: usize| named[&all[n]].clone();
        site.cli(&format!("set server web/{} state maint", name(0))).unwrap();
        site.cli(&format!("set server web/{} weight 7", name(1))).unwrap();
        servers[2].stop();
        wait_until_or_fail(CAP, "the check to fail", || {
            Poll::when(row(&site.rows("web"), &name(2)), |row| row.op == 0)
        });
        let load = TrafficLoad::builder(site.address()).start();
        let more: [(&str, &[u16]); 2] = [("api", &all[..1]), ("mail", &all[..1])];
        for (round, (api, _)) in more.into_iter().enumerate() {
            let worker = site.worker().unwrap();
            let services = more[..=round].iter().copied();
            site.services(&services.chain([("web", &all[..])]).collect::<Vec<_>>());
            let rows = first_seen_after(&site, worker);
            survived(&rows, &[name(0), name(1), name(2)]);
            roster.until_said("HAProxy was reloaded", round + 1);
            site.until_ready(api, &all[..1]);
            survived(&site.rows("web"), &[name(0), name(1), name(2)]);
        }
        // Roster's own changes beside them go on.
        site.services(&[("web", &all[..3]), ("api", &all[..1]), ("mail", &all[..1])]);
        wait_until_or_fail(CAP, "d to go", || !site.ready("web").contains_key(&all[3]));
        survived(&site.rows("web"), &[name(0), name(1), name(2)]);
        let totals = load.stop();
        assert_eq!(totals.failed(), 0, "{totals:?}");
    });
}

/// In maintenance, of weight 7, and down, in this order.
#[track_caller]
fn survived(rows: &[ServerRow], names: &[String; 3]) {
    let [maint, weight, down] = names.each_ref().map(|name| row(rows, name));
    assert!(maint.in_maintenance(), "{maint:?}");
    assert_eq!((weight.uweight, weight.in_maintenance(), weight.op), (7, false, 2), "{weight:?}");
    assert_eq!((down.op, down.in_maintenance()), (0, false), "{down:?}");
}

#[test]
fn past_max_reloads_a_change_is_held_and_told_and_goes_through_in_time() {
    on_each_at_once(|bin| {
        let per = Duration::from_secs(6);
        let mut site = Site::new(bin);
        site.keys = "max_reloads: { count: 1, per: 6s }\nsettle: { quiet: 0s }\n".to_owned();
        site.services(&[("web", &[8001])]);
        let roster = site.run();
        site.until_ready("web", &[8001]);
        let began = Instant::now();
        site.services(&[("web", &[8001]), ("api", &[8002])]);
        site.until_ready("api", &[8002]);
        let worker = site.worker();
        site.services(&[("web", &[8001]), ("api", &[8002]), ("mail", &[8003])]);
        roster.until_log("as many as `max_reloads` allows; what needs one more waits");
        // What goes live goes on.
        site.services(&[("web", &[8001, 8004]), ("api", &[8002]), ("mail", &[8003])]);
        site.until_ready("web", &[8001, 8004]);
        assert_eq!((site.worker(), site.reloads()), (worker, 1));
        site.until_ready("mail", &[8003]);
        assert!(began.elapsed() >= per, "after {:?}", began.elapsed());
        assert_eq!(site.reloads(), 2);
        assert_eq!(roster.said("as many as `max_reloads` allows"), 1);
    });
}

/// A HAProxy that serves `web` at these ports, which Roster holds.
fn listen_at(site: &mut Site, ports: &[u16]) {
    let binds: Vec<String> = ports.iter().map(|port| format!("\"127.0.0.1:{port}\"")).collect();
    site.rest = format!(
        "expose: [ {{ service: fleet/web, bring_up: registry, drain: {{ cap: 0s }}, guard: off, \
         backend: {{ bind: [{}] }} }} ]\nadmin: off\n",
        binds.join(", ")
    );
    site.configure();
}

#[test]
fn a_held_port_is_opened_and_another_closed_without_a_failed_connection() {
    on_each(|bin| {
        let mut site = Site::new(bin);
        site.sections = String::new();
        site.keys += "listen: held\nsettle: { quiet: 0s }\n";
        let (old, new) = (site.port, free_port().or_fail());
        let servers = backends(&["a", "b"]);
        let all = ports(&servers);
        site.services(&[("web", &all)]);
        listen_at(&mut site, &[old]);
        let roster = site.run_again();
        site.until_ready("web", &all);
        site.until_served();
        let master = site.master();

        let load = TrafficLoad::builder(at(old)).workers(3).start();
        listen_at(&mut site, &[old, new]);
        roster.signal(Signal::HUP);
        wait_until_or_fail(CAP, "the new port", || {
            http_get(at(new), "/").is_ok_and(|reply| reply.status == 200)
        });
        let seen = load.totals().ok;
        wait_until_or_fail(CAP, "more traffic", || load.totals().ok > seen + 50);
        let totals = load.stop();
        eprintln!("while a port was opened: {totals:?}");
        assert_eq!(totals.failed(), 0, "{totals:?}");
        roster.until_log("HAProxy was replaced by a new master");
        assert_ne!(site.master(), master);

        let load = TrafficLoad::builder(at(new)).workers(3).start();
        listen_at(&mut site, &[new]);
        roster.signal(Signal::HUP);
        wait_until_or_fail(CAP, "the old port to be closed", || {
            matches!(http_get(at(old), "/"), Err(HttpError::Refused))
        });
        let totals = load.stop();
        eprintln!("while a port was closed: {totals:?}");
        assert_eq!(totals.failed(), 0, "{totals:?}");
        site.until_processes(2);
        assert_eq!(site.reloads(), 2);
    });
}
