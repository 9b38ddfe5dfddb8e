//! The commands beside a Roster that runs: they ask it, and it alone acts.

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use roster_testkit::{OrFail, Poll, wait_until_or_fail};
use rustix::process::Signal;
use serde_json::Value;

use crate::rig::{CAP, Ended, Rig, THREE_SLOTS, one_version, up_and_down};

const AT_ONCE: &str = "expose: [ { each: fleet, bring_up: registry, drain: { cap: 0s } } ]\n";
const BY_PROBE: &str = "expose: [ { each: fleet, bring_up: probe, probe: { interval: 100ms } } ]\n";

fn rig(expose: &str) -> Rig {
    // Without checks, which would find out in time that nobody listens at the servers' ports.
    Rig::new(&one_version(), &THREE_SLOTS.replace(" check inter 200ms", ""), expose)
}

#[test]
fn plan_asks_the_roster_that_runs_whatever_folder_it_was_given() {
    let rig = rig(BY_PROBE);
    let (_up, down) = up_and_down(&rig);
    let daemon = rig.run();
    daemon.until_log("was not reached");
    // Without its records a server that comes up would look like one that an operator put into maintenance.
    let plan = rig.bare(&["plan"]);
    assert_eq!((plan.code, plan.err.as_str()), (Some(0), ""), "{plan:?}");
    assert!(plan.out.contains(&format!("local web/srv2 127.0.0.1:{down}: rising (probe)")), "{}", plan.out);
    assert!(!plan.out.contains("HAProxy shows what the sources say"), "{}", plan.out);
    let json: Value = serde_json::from_str(&rig.bare(&["plan", "--json"]).out).unwrap();
    assert_eq!(json["roster"]["pid"], daemon.pid());
    assert_eq!(
        (&json["complete"], &json["targets"][0]["waiting"][0]["server"]),
        (&false.into(), &"srv2".into()),
        "{json}"
    );
}

#[test]
fn once_leaves_the_changes_to_the_roster_that_runs_and_names_it() {
    let rig = rig(AT_ONCE);
    let daemon = rig.run();
    daemon.until_log("running");
    for once in [rig.roster(&["once"]), rig.bare(&["once"])] {
        assert_eq!(once.code, Some(1), "{once:?}");
        assert!(
            once.err.contains(&format!("a roster (process {}, configuration ", daemon.pid())),
            "{}",
            once.err
        );
    }
    let second = rig.roster(&["run"]);
    assert_eq!(second.code, Some(1), "{second:?}");
    assert!(second.err.contains("is used by another roster (process "), "{}", second.err);
}

#[test]
fn a_file_that_is_broken_by_now_hinders_nobody_to_ask() {
    let rig = rig(AT_ONCE);
    rig.web(&[8001]);
    let daemon = rig.run();
    rig.until_ready("web", &[("srv1", 8001)]);
    rig.configure("expose: [ { nonsense: 1 } ]\n");
    daemon.signal(Signal::HUP);
    daemon.until_log("the configuration stays as it was");
    for (words, says) in [
        (vec!["status"], "web: 1 active, 2 spare"),
        (vec!["explain", "web/srv1"], "local web/srv1: in."),
        (vec!["plan"], "Nothing to do: HAProxy shows what the sources say."),
    ] {
        let ended = rig.bare(&words);
        assert_eq!(ended.code, Some(0), "{words:?}: {ended:?}");
        assert!(ended.out.contains(says), "{words:?}: {}", ended.out);
        assert!(ended.err.contains("unknown key `nonsense`"), "the file is not told of: {}", ended.err);
    }
    assert_eq!(daemon.stop(), Some(0));
    assert_eq!(rig.bare(&["status"]).code, Some(64));
}

#[test]
fn a_file_that_was_changed_and_not_read_is_told_of() {
    let rig = rig(AT_ONCE);
    rig.web(&[8001]);
    let daemon = rig.run();
    rig.until_ready("web", &[("srv1", 8001)]);
    assert_eq!(rig.bare(&["plan"]).err, "");
    std::thread::sleep(std::time::Duration::from_millis(20));
    rig.configure(&format!("log: {{ level: debug }}\n{AT_ONCE}"));
    let plan = rig.bare(&["plan"]);
    assert!(plan.err.contains(&format!("`kill -HUP {}` has it read", daemon.pid())), "{plan:?}");
    daemon.signal(Signal::HUP);
    daemon.until_log("the configuration was read again");
    wait_until_or_fail(CAP, "the new file to be gone by", || {
        Poll::when(rig.bare(&["plan"]).err, String::is_empty)
    });
}

#[test]
fn why_an_instance_is_not_reached_is_told_in_the_log_in_status_and_by_explain() {
    let rig = rig(BY_PROBE);
    let (_up, down) = up_and_down(&rig);
    let daemon = rig.run();
    daemon.until_log(&format!("srv2: the instance at 127.0.0.1:{down} was not reached"));
    let status = rig.bare(&["status"]);
    assert!(status.out.contains("; not reached since "), "{}", status.out);
    assert!(status.out.contains(": connection refused; next try "), "{}", status.out);
    let explained = rig.bare(&["explain", "web/srv2"]);
    assert!(explained.out.contains("  not reached since "), "{}", explained.out);
    assert!(explained.out.contains(": connection refused; next try "), "{}", explained.out);
    let _listener = TcpListener::bind(("127.0.0.1", down)).unwrap();
    wait_until_or_fail(CAP, "srv2 to be ready", || Poll::when(rig.ready("web"), |ready| ready.len() == 2));
    assert_eq!(daemon.log().matches("was not reached").count(), 1, "{}", daemon.log());
    assert!(!rig.bare(&["status"]).out.contains("not reached"));
}

/// The commands between backquotes in a text.
fn printed(text: &str) -> Vec<String> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted.filter(|command| command.starts_with("roster ")).map(ToOwned::to_owned).collect()
}

#[test]
fn every_command_that_is_printed_works_as_it_stands() {
    let rig = rig(AT_ONCE);
    let bin = rig.folder().join("bin");
    fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_roster"), bin.join("roster")).unwrap();
    let mut path = bin.clone().into_os_string();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap());
    let shell = |line: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", line]).env("PATH", &path).env_remove("STATE_DIRECTORY").current_dir("/");
        let output =
            command.env("XDG_STATE_HOME", rig.folder().join("home")).stdin(Stdio::null()).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ended { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    };
    let pasted = |text: &str| {
        let commands = printed(text);
        assert!(!commands.is_empty(), "no command in {text}");
        for command in commands {
            let ended = shell(&command);
            assert!(matches!(ended.code, Some(0)), "{command}: {ended:?}");
        }
    };
    rig.web(&[8001, 8002]);
    pasted(&rig.bare(&["plan"]).out);
    assert_eq!(rig.ready("web").len(), 2);

    let daemon = rig.run_with(&[]);
    daemon.until_log("records are kept");
    rig.haproxy.cli("set server web/srv1 state maint").or_fail();
    pasted(&rig.bare(&["explain", "web/srv1"]).out);
    rig.until_ready("web", &[("srv1", 8001), ("srv2", 8002)]);
    rig.web(&[]);
    daemon.until_log("held back");
    pasted(&rig.bare(&["plan"]).out);
    rig.until_ready("web", &[]);
    pasted(&rig.bare(&["once"]).err);

    rig.web(&[8001]);
    rig.until_ready("web", &[("srv1", 8001)]);
    rig.web(&[]);
    wait_until_or_fail(CAP, "the second hold", || daemon.log().matches(" WARN held back").count() == 2);
    let log = daemon.log();
    pasted(log.lines().rfind(|line| line.contains(" WARN held back")).unwrap());
    rig.until_ready("web", &[]);
    pasted(log.lines().find(|line| line.contains("limits of its version matter")).unwrap());
}
