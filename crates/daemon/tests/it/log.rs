//! The log: who reads it holds nothing up.

use std::io::Read;
use std::process::{Command, Stdio};

use roster_testkit::{Poll, wait_until_or_fail};

use crate::rig::{CAP, Rig, THREE_SLOTS, one_version};

/// What a pipe holds that nobody reads.
const PIPE: usize = 64 * 1024;

#[test]
fn a_reader_of_the_log_that_stands_still_holds_up_no_pass() {
    let slots = THREE_SLOTS.replace("1-3", "1-200");
    let expose = "expose: [ { each: fleet, bring_up: registry, drain: { cap: 0s }, guard: off } ]\n";
    let rig = Rig::new(&one_version(), &slots, expose);
    let mut command = Command::new(env!("CARGO_BIN_EXE_roster"));
    command.args(["run", "--log-format", "json", "-c"]).arg(rig.config()).arg("--state-dir").arg(rig.state());
    let mut daemon = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    for round in 0..4 {
        let ports: Vec<u16> = (0..200).map(|n| 20_000 + round * 200 + n).collect();
        rig.web(&ports);
        wait_until_or_fail(CAP, &format!("the servers of round {round}"), || {
            let mut ready: Vec<u16> = rig.ready("web").into_iter().map(|(_, port)| port).collect();
            ready.sort_unstable();
            Poll::when(ready, |ready| *ready == ports)
        });
    }
    // All of it was kept for the reader, who comes now.
    let mut log = daemon.stderr.take().unwrap();
    let reading = std::thread::spawn(move || {
        let mut text = String::new();
        log.read_to_string(&mut text).unwrap();
        text
    });
    rustix::process::kill_process(rustix::process::Pid::from_child(&daemon), rustix::process::Signal::TERM)
        .unwrap();
    let text = reading.join().unwrap();
    assert!(daemon.wait().unwrap().success());
    assert!(text.len() > 2 * PIPE, "the pipe had room for all {} bytes", text.len());
    assert!(text.lines().last().unwrap().contains("stopping"), "{}", text.lines().last().unwrap());
}
