//! A check of the file that does not end.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use roster_testkit::{HaproxyBin, OrFail, TrafficLoad, wait_until_or_fail};
use rustix::process::Signal;

use super::site::{Site, backends, on_each_at_once, ports};
use super::trouble::script;
use crate::rig::{CAP, one_version};

/// A HAProxy whose check hangs, with a child of its own, for as long as the file `hangs` is there.
pub(crate) fn hangs(site: &Site, bin: &HaproxyBin) -> PathBuf {
    let path = site.path("haproxy");
    let text = format!(
        "case \" $* \" in *\" -c \"*) if [ -e {hangs} ]; then sleep 1000 & echo $$ >> {pids}; wait; fi;; esac\nexec {bin} \"$@\"",
        hangs = site.path("hangs").display(),
        pids = site.path("pids").display(),
        bin = bin.path().display(),
    );
    script(&path, &text);
    path
}

/// The checks that hung.
fn hung(site: &Site) -> Vec<u32> {
    let pids = fs::read_to_string(site.path("pids")).unwrap_or_default();
    pids.lines().filter_map(|pid| pid.parse().ok()).collect()
}

fn is_gone(pid: u32) -> bool {
    !PathBuf::from(format!("/proc/{pid}")).exists()
}

#[test]
fn while_a_check_of_the_file_hangs_servers_are_kept_and_it_is_killed_and_tried_again() {
    on_each_at_once(|bin| {
        let mut site = Site::new(bin);
        site.haproxy = hangs(&site, bin);
        site.keys += "settle: { quiet: 0s }\n";
        let servers = backends(&["a", "b"]);
        let all = ports(&servers);
        site.services(&[("web", &all[..1])]);
        let roster = site.run();
        site.until_served();
        site.until_written("web");
        let (worker, load) = (site.worker(), TrafficLoad::builder(site.address()).start());
        fs::write(site.path("hangs"), "").or_fail();
        site.services(&[("web", &all[..1]), ("api", &all[1..])]);
        wait_until_or_fail(CAP, "the check", || !hung(&site).is_empty());
        let began = Instant::now();
        for change in [&all[..], &all[1..], &all[..]] {
            site.services(&[("web", change), ("api", &all[1..])]);
            site.until_ready("web", change);
        }
        let took = began.elapsed();
        let first = hung(&site)[0];
        assert!(!is_gone(first), "the check ended after {took:?}, so nothing was shown");
        roster.until_log("check of the new file takes longer than 3s");
        assert!(site.command(&["status"]).out.contains("check of the new file takes longer than 3s"));
        roster.until_log("did not end within 10s and was killed");
        wait_until_or_fail(CAP, "the end of the check", || is_gone(first));
        assert!(site.command(&["status"]).out.contains("did not end within 10s and was killed"));
        assert_eq!(site.worker(), worker);
        fs::remove_file(site.path("hangs")).or_fail();
        // The next one, if it hangs already, has twice the time.
        site.until_ready("api", &all[1..]);
        let totals = load.stop();
        assert_eq!(totals.failed(), 0, "{totals:?}");
        assert!((2..=4).contains(&roster.said("ERROR")), "{}", roster.log());
        assert!(hung(&site).into_iter().all(is_gone));
    });
}

#[test]
fn a_check_that_hangs_keeps_neither_a_reading_of_the_configuration_nor_the_end_of_roster_waiting() {
    let bin = one_version();
    let mut site = Site::new(&bin);
    site.haproxy = hangs(&site, &bin);
    site.keys += "settle: { quiet: 0s }\n";
    let servers = backends(&["a", "b"]);
    let all = ports(&servers);
    site.services(&[("web", &all[..1])]);
    let roster = site.run();
    site.until_served();
    fs::write(site.path("hangs"), "").or_fail();
    site.services(&[("web", &all[..1]), ("api", &all[1..])]);
    wait_until_or_fail(CAP, "the check", || !hung(&site).is_empty());
    let began = Instant::now();
    // What makes the target another one.
    site.keys += "hard_stop_after: 7s\n";
    site.configure();
    roster.signal(Signal::HUP);
    wait_until_or_fail(CAP, "the next check", || hung(&site).len() > 1);
    assert_eq!(roster.stop(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
    assert!(hung(&site).into_iter().all(is_gone));
}
