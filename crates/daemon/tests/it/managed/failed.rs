//! Reloads at a bad moment, and those that fail though HAProxy's check of the file does not.

use roster_testkit::{HaproxyBin, HaproxyVersion, OrFail, TrafficLoad};
use rustix::process::Signal;

use super::ports::{LISTEN, serving};
use super::site::{Site, backends, on_each_at_once, ports};

/// From 3.1 on the master outlives such a reload; before, it ends and is started anew.
#[test]
fn servers_serve_again_after_a_reload_that_failed_though_the_check_passed() {
    let mut site = Site::new(&HaproxyBin::find(HaproxyVersion::V3_2).or_fail());
    let quick = "max_reloads: off\nsettle: { quiet: 0s }\n";
    site.keys = quick.to_owned();
    let servers = backends(&["a", "b", "c"]);
    let all = ports(&servers);
    site.services(&[("web", &all[..2])]);
    let roster = site.run();
    site.until_ready("web", &all[..2]);
    site.keys = format!("{quick}global: chroot /nonexistent-dir\n");
    site.configure();
    roster.signal(Signal::HUP);
    roster.until_log("Cannot chroot");
    site.services(&[("web", &all[..2]), ("api", &all[2..])]);
    roster.until_log("services=2");
    site.keys = quick.to_owned();
    site.configure();
    roster.signal(Signal::HUP);
    site.until_ready("api", &all[2..]);
    // What stood as disabled in the file is no operator's maintenance.
    site.until_ready("web", &all[..2]);
    site.until_served();
}

/// Before 3.1 the master ends with the worker that could not start, and takes the one that served along.
#[test]
fn a_haproxy_that_ended_with_its_reload_starts_again_with_the_file_before() {
    on_each_at_once(|bin| {
        for listen in LISTEN {
            let servers = backends(&["a", "b"]);
            let all = ports(&servers);
            let (mut site, roster) = serving(bin, listen, &[], &all[..1]);
            let good = site.keys.clone();
            site.keys += "global: chroot /nonexistent-dir\n";
            site.configure();
            roster.signal(Signal::HUP);
            roster.until_log("Cannot chroot");
            site.until_served();
            site.until_ready("web", &all[..1]);
            site.keys = good;
            site.configure();
            roster.signal(Signal::HUP);
            site.services(&[("web", &all[..1]), ("api", &all[1..])]);
            site.until_ready("api", &all[1..]);
            site.until_ready("web", &all[..1]);
            site.until_served();
        }
    });
}

#[test]
fn a_new_service_right_after_a_reading_of_the_configuration_or_a_restart_takes_no_other_out() {
    on_each_at_once(|bin| {
        let servers = backends(&["a", "b"]);
        let all = ports(&servers);
        let (site, mut roster) = serving(bin, "haproxy", &[], &all[..1]);
        let load = TrafficLoad::builder(site.address()).start();
        let names = ["api", "mail", "shop", "blog"];
        for (round, name) in names.iter().enumerate() {
            let mut services: Vec<(&str, &[u16])> =
                names[..=round].iter().map(|name| (*name, &all[1..])).collect();
            services.push(("web", &all[..1]));
            if round % 2 == 0 {
                roster.signal(Signal::HUP);
                site.services(&services);
            } else {
                drop(roster);
                site.services(&services);
                roster = site.run_again();
            }
            site.until_ready(name, &all[1..]);
        }
        let totals = load.stop();
        assert_eq!(totals.failed(), 0, "{totals:?}");
    });
}
