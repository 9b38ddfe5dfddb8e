//! Reloads that fail though HAProxy's check of the file does not.

use roster_testkit::{HaproxyBin, HaproxyVersion, OrFail};
use rustix::process::Signal;

use super::site::{Site, backends, ports};

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
