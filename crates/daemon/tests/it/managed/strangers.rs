//! Reloads of a HAProxy that Roster owns by others.

use std::fs;

use roster_testkit::{HaproxyBin, OrFail, Poll, wait_until_or_fail};
use rustix::process::Signal;

use super::site::{Site, backends, on_each, on_each_at_once, ports, send};
use crate::rig::{CAP, one_version};

/// With four servers, one of them in maintenance and one of another weight by an operator.
fn reloaded_by_others(bin: &HaproxyBin) {
    let mut site = Site::new(bin);
    site.keys += "settle: { quiet: 0s }\n";
    let servers = backends(&["a", "b", "c", "d"]);
    let all = ports(&servers);
    // At the reload for `api` the slots of the two that come later are in maintenance.
    site.services(&[("web", &all[..2])]);
    let roster = site.run();
    site.until_ready("web", &all[..2]);
    site.services(&[("web", &all[..2]), ("api", &all[..1])]);
    roster.until_log("HAProxy was reloaded");
    site.services(&[("web", &all), ("api", &all[..1])]);
    site.until_ready("web", &all);
    let names = site.ready("web");
    site.cli(&format!("set server web/{} state maint", names[&all[0]])).unwrap();
    site.cli(&format!("set server web/{} weight 7", names[&all[1]])).unwrap();
    roster.signal(Signal::HUP);
    roster.until_log("the configuration was read again");
    wait_until_or_fail(CAP, "the operator's doing to be seen", || {
        let seen = |status: &String| status.matches(": operator (").count() == 2;
        Poll::when(site.command(&["status"]).out, seen)
    });
    site.until_written("web");
    wait_until_or_fail(CAP, "the weight in the file", || site.text().contains(" weight 7"));
    let (worker, reloads) = (site.worker(), site.reloads());
    send(site.master().unwrap(), Signal::USR2);
    wait_until_or_fail(CAP, "another worker", || site.worker().is_some_and(|new| Some(new) != worker));
    roster.until_log("others reloaded HAProxy, with the file that Roster wrote");
    site.until_ready("web", &all[1..]);
    let row = site.rows("web").into_iter().find(|row| row.port == all[1]).unwrap();
    assert_eq!(row.uweight, 7, "the operator's weight is gone");
    // Once more of what needs a reload is wanted there is one for that alone.
    site.services(&[("web", &all), ("api", &all[..1]), ("more", &all[..1])]);
    site.until_ready("more", &all[..1]);
    assert_eq!(site.reloads(), reloads + 1, "{}", roster.log());
    site.until_ready("web", &all[1..]);
}

#[test]
fn a_reload_by_others_with_rosters_own_file_needs_no_other_and_takes_nobody_out() {
    on_each_at_once(reloaded_by_others);
}

#[test]
fn a_reload_by_others_with_another_file_is_followed_by_one_with_rosters() {
    on_each(|bin| {
        let mut site = Site::new(bin);
        site.keys += "settle: { quiet: 0s }\n";
        site.services(&[("web", &[8001])]);
        let roster = site.run();
        site.until_ready("web", &[8001]);
        site.until_written("web");
        fs::write(&site.file, site.text() + "backend theirs\n").or_fail();
        send(site.master().unwrap(), Signal::USR2);
        roster.until_log("others reloaded HAProxy, with a file that Roster did not write");
        wait_until_or_fail(CAP, "one reload", || site.reloads() == 1);
        roster.until_log("it is not known which file HAProxy has read");
        assert!(!site.text().contains("backend theirs"));
        site.until_ready("web", &[8001]);
    });
}

#[test]
fn a_reload_with_another_file_while_no_roster_runs_is_found_by_the_next() {
    let mut site = Site::new(&one_version());
    site.keys += "settle: { quiet: 0s }\n";
    site.services(&[("web", &[8001])]);
    let roster = site.run();
    site.until_ready("web", &[8001]);
    site.until_written("web");
    drop(roster);
    let (good, worker) = (site.text(), site.worker());
    fs::write(&site.file, format!("{good}backend theirs\n")).or_fail();
    send(site.master().unwrap(), Signal::USR2);
    wait_until_or_fail(CAP, "another worker", || site.worker().is_some_and(|new| Some(new) != worker));
    fs::write(&site.file, format!("{good}# theirs\n")).or_fail();
    let roster = site.run_again();
    roster.until_log("others reloaded HAProxy, with a file that Roster did not write");
    wait_until_or_fail(CAP, "one reload", || site.reloads() == 1);
    site.until_ready("web", &[8001]);
}
