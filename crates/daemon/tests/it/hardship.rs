//! What takes long, or a machine that allows it: `make soak` runs these.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use roster_testkit::{HttpBackend, OrFail, Poll, TrafficLoad, wait_until_or_fail};

use crate::rig::{CAP, Rig, THREE_SLOTS, one_version};

const AT_ONCE: &str = "expose: [ { each: fleet, bring_up: registry, drain: { cap: 0s } } ]\n";
const PAUSE: Duration = Duration::from_secs(30);

#[test]
#[ignore = "takes half a minute: make soak"]
fn a_haproxy_that_is_paused_for_half_a_minute_is_told_once_and_then_brought_up_to_date() {
    let servers = [HttpBackend::start("a").or_fail(), HttpBackend::start("b").or_fail()];
    let ports: Vec<u16> = servers.iter().map(HttpBackend::port).collect();
    let rig = Rig::new(&one_version(), THREE_SLOTS, AT_ONCE);
    rig.web(&ports[..1]);
    let daemon = rig.run();
    rig.until_ready("web", &[("srv1", ports[0])]);
    rig.haproxy.pause().or_fail();
    let paused = Instant::now();
    rig.web(&ports);
    daemon.until_log("HAProxy goes on as it is, Roster tries again");
    wait_until_or_fail(PAUSE * 2, "the pause to be over", || paused.elapsed() >= PAUSE);
    rig.haproxy.resume();
    rig.until_ready("web", &[("srv1", ports[0]), ("srv2", ports[1])]);
    daemon.until_log("HAProxy answers again");
    let log = daemon.log();
    let told = log.lines().filter(|line| line.contains("ERROR")).count();
    assert!((1..=2).contains(&told), "told {told} times:\n{log}");
    let load = TrafficLoad::builder(rig.haproxy.addr("web").or_fail()).workers(2).start();
    wait_until_or_fail(CAP, "requests", || servers.iter().all(|server| server.requests() > 10));
    assert_eq!(load.stop().failed(), 0);
}

/// A file system of 256 kB that is full, in a namespace of its own: nothing is mounted for anybody else.
#[test]
#[ignore = "needs user namespaces: make soak"]
fn a_full_disk_under_the_state_folder_holds_nothing_up_and_is_told() {
    let rig = Rig::new(&one_version(), THREE_SLOTS, AT_ONCE);
    rig.web(&[8001]);
    let state = rig.state();
    fs::create_dir(&state).unwrap();
    let log = rig.folder().join("full.log");
    let script = "mount -t tmpfs -o size=256k full \"$1\" && { head -c 10M /dev/zero > \"$1/filler\" || true; } 2>/dev/null \
                  && exec \"$2\" run -c \"$3\" --state-dir \"$1\"";
    let mut child = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"])
        .args([state.as_path(), env!("CARGO_BIN_EXE_roster").as_ref(), rig.config().as_path()])
        .stdin(Stdio::null())
        .stderr(fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let said = || fs::read_to_string(&log).unwrap_or_default();
    rig.until_ready("web", &[("srv1", 8001)]);
    wait_until_or_fail(CAP, "the full disk to be told", || {
        Poll::when(said(), |log| log.contains("No space left"))
    });
    assert!(said().contains("check the state folder's owner, mode and free space"), "{}", said());
    rig.web(&[8001, 8002]);
    rig.until_ready("web", &[("srv1", 8001), ("srv2", 8002)]);
    child.kill().unwrap();
    child.wait().unwrap();
}
