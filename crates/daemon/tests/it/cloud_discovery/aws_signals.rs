//! Signals, the state folder and the log of the daemon before a region of AWS.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use roster_testkit::{Fault, OrFail, Poll, wait_until_or_fail};
use rustix::process::Signal;

use super::aws::{BACKEND, Cloud, MYAPP, OWN_PORT};
use super::site::PAIRS;
use crate::rig::CAP;

#[test]
fn a_hangup_is_a_full_pass_and_does_not_read_the_file_again() {
    let cloud = Cloud::start();
    let ids = cloud.instances(1, &MYAPP);
    let mut site = cloud.site(PAIRS[1]);
    // Nothing comes by itself.
    site.edit("interval_seconds: 5", "interval_seconds: 600");
    site.edit("format: \"json\"", "format: \"text\"");
    site.edit("level: \"INFO\"", "level: \"DEBUG\"");
    let mut daemon = site.run();
    site.until_active(BACKEND, &[("srv1", cloud.at(&ids[0], 8080))]);
    cloud.moto.tag(&ids[0], OWN_PORT, "9001").or_fail();
    // A file that is wrong by now is not looked at.
    site.edit("name_prefix: \"aws\"", "name_prefix: \"no prefix\"");
    daemon.signal(Signal::HUP);
    site.until_active(BACKEND, &[("srv1", cloud.at(&ids[0], 9001))]);
    site.until_written(BACKEND, &format!("server srv1 {}", cloud.at(&ids[0], 9001)));

    // What somebody did to HAProxy by hand is looked at too.
    site.haproxy.cli(&format!("set server {BACKEND}/srv1 addr 10.9.9.9 port 1")).or_fail();
    daemon.signal(Signal::HUP);
    site.until_active(BACKEND, &[("srv1", cloud.at(&ids[0], 9001))]);
    assert_eq!(site.reloads(), 1);

    // The text form of the original, every line of it; libraries say nothing though all is asked for.
    assert!(daemon.log().contains(" DEBUG    [roster"), "{}", daemon.log());
    for line in daemon.log().lines() {
        let (time, rest) = line.split_at_checked(19).unwrap_or_else(|| panic!("{line:?}"));
        assert!(time.bytes().all(|b| b.is_ascii_digit() || b"-: ".contains(&b)), "{line:?}");
        let (level, rest) = rest.split_at_checked(10).unwrap_or_else(|| panic!("{line:?}"));
        assert!([" DEBUG    ", " INFO     ", " WARNING  ", " ERROR    "].contains(&level), "{line:?}");
        assert!(rest.starts_with("[roster") && rest.contains("] "), "{line:?}");
    }
    daemon.signal(Signal::INT);
    assert_eq!(daemon.ended(), Some(0));
    site.until_active(BACKEND, &[("srv1", cloud.at(&ids[0], 9001))]);
}

#[test]
fn a_folder_for_the_state_that_cannot_be_written_is_told_of_and_does_without() {
    let cloud = Cloud::start();
    let ids = cloud.instances(1, &MYAPP);
    let mut site = cloud.site(PAIRS[0]);
    // Nobody may write there, root included.
    for folder in ["/proc/1", "/nowhere/at/all"] {
        site.env.insert("STATE_DIRECTORY", folder.to_owned());
        let ended = site.once_well();
        assert!(ended.err.contains("the state folder cannot be written"), "{ended:?}");
    }
    let changes = site.changes();
    let file = site.path("file");
    fs::write(&file, "").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).unwrap();
    let mut daemon = site.run_with(&["--state-dir", file.to_str().unwrap()]);
    daemon.until_log("the state folder cannot be written");
    cloud.gate.until_asked(3);
    site.until_active(BACKEND, &[("srv1", cloud.at(&ids[0], 8080))]);
    assert_eq!(site.changes(), changes, "{}", daemon.log());
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ended(), Some(0));
}

#[test]
fn a_folder_for_the_state_is_used_and_its_end_is_graceful_in_the_middle_of_a_listing() {
    let cloud = Cloud::start();
    cloud.instances(1, &MYAPP);
    let site = cloud.site(PAIRS[0]);
    let state = site.path("state");
    fs::create_dir(&state).unwrap();
    let mut daemon = site.run_with(&["--state-dir", state.to_str().unwrap()]);
    wait_until_or_fail(CAP, "a server", || Poll::when(site.active(BACKEND), |active| active.len() == 1));
    wait_until_or_fail(CAP, "the answer on disk", || {
        Poll::when(fs::read_dir(&state).unwrap().flatten().count(), |files| *files > 0)
    });
    // The region makes it wait between its attempts.
    cloud.gate.fail(500, "InternalError");
    cloud.gate.until_asked(2);
    daemon.signal(Signal::TERM);
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ended(), Some(0), "{}", daemon.log());
    assert_eq!(site.active(BACKEND).len(), 1);
}

#[test]
fn what_was_begun_is_finished_before_the_end() {
    let cloud = Cloud::start();
    let ids = cloud.instances(1, &MYAPP);
    for pair in PAIRS {
        eprintln!("with version {} of the API", pair.0.word());
        // Each call is slowed, so that the end comes in the middle of them.
        let mut site = cloud.stand_in(pair);
        // A backend with options is many calls, from the beginning of a transaction to its commit.
        let options = "  backend_options: { myapp: { server_timeout: 60000 } }\n  # availability_zone";
        site.edit("  # availability_zone", options);
        site.api.inject(Fault::Slow(Duration::from_millis(100)), u32::MAX).or_fail();
        let mut daemon = site.run();
        wait_until_or_fail(CAP, "a call that changes something", || {
            Poll::when(site.changes(), |changes| *changes > 0)
        });
        assert_eq!(site.section(BACKEND), [""; 0], "it has only just begun");
        daemon.signal(Signal::TERM);
        assert_eq!(daemon.ended(), Some(0), "{}", daemon.log());
        site.api.clear_faults().or_fail();
        let lines = site.section(BACKEND);
        let slots = lines.iter().filter(|line| line.starts_with("server srv")).count();
        assert_eq!(slots, 10, "{lines:?}\n{}", daemon.log());
        let open = site.curl(&format!("/{}/services/haproxy/transactions", site.api.version().word()));
        assert!(open.as_array().is_none_or(Vec::is_empty), "{open}");
        // What had not been begun comes with the next start.
        site.once_well();
        assert_eq!(site.active(BACKEND), [("srv1".to_owned(), cloud.at(&ids[0], 8080))].into());
        assert_eq!(site.reloads(), 1);
    }
}
