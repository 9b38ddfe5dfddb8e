//! Orphans of a first process.

use std::process::Command;
use std::time::Duration;

use roster_targets::managed::process::reap_orphans;
use roster_testkit::OrFail;
use tokio_util::sync::CancellationToken;

use super::CAP;
use super::site::until;

/// Set for the process that plays the first one.
const ALONE: &str = "ROSTER_TEST_ALONE";
const NAME: &str =
    "managed::process::reaper::orphans_are_reaped_and_the_status_of_a_child_is_left_to_its_owner";

/// In a process of its own, to which its descendants are handed as they would be to the first of a container.
#[tokio::test]
async fn orphans_are_reaped_and_the_status_of_a_child_is_left_to_its_owner() {
    if std::env::var_os(ALONE).is_none() {
        // Works also when the file was built anew meanwhile.
        let alone = Command::new("/proc/self/exe")
            .args([NAME, "--exact", "--test-threads=1", "--nocapture"])
            .env(ALONE, "1")
            .output()
            .or_fail();
        let said = String::from_utf8_lossy(&alone.stderr);
        assert!(alone.status.success() && said.contains("was alone"), "{said}");
        return;
    }
    eprintln!("was alone");
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).or_fail();
    let stop = CancellationToken::new();
    let grace = Duration::from_millis(500);
    let work = async {
        // Its status is asked for late, but within the grace.
        let mut own = Command::new("/bin/sh").args(["-c", "exit 7"]).spawn().or_fail();
        until("the child's end", || is_dead(own.id()).then_some(())).await;
        assert_eq!(own.wait().or_fail().code(), Some(7));

        let family = Command::new("/bin/sh").args(["-c", "(sleep 0.1; exit 3) & echo $!"]).output().or_fail();
        let orphan: u32 = String::from_utf8_lossy(&family.stdout).trim().parse().or_fail();
        until("the orphan's end", || is_dead(orphan).then_some(())).await;
        until("the orphan to be reaped", || is_gone(orphan).then_some(())).await;
        stop.cancel();
    };
    let (reaped, worked) =
        tokio::join!(reap_orphans(grace, stop.clone()), tokio::time::timeout(CAP * 2, work));
    reaped.or_fail();
    worked.or_fail();
}

fn stat(pid: u32) -> Option<String> {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()
}

fn is_dead(pid: u32) -> bool {
    stat(pid).is_none_or(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z')))
}

fn is_gone(pid: u32) -> bool {
    stat(pid).is_none()
}
