//! The demonstration, as a newcomer starts it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "in a helper of tests too, a panic is the test's failure"
)]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use roster_testkit::{HaproxyBin, HaproxyVersion, OrFail, wait_until_or_fail};
use rustix::process::{Pid, Signal, kill_process};

/// Generous, because the tests share a small machine with compilers.
const CAP: Duration = Duration::from_secs(30);

/// HAProxy 2.6, where one version is enough.
fn one_version() -> HaproxyBin {
    HaproxyBin::find(HaproxyVersion::V2_6).or_fail()
}

/// Every version that the suite runs on.
fn all_versions() -> impl Iterator<Item = HaproxyBin> {
    HaproxyBin::each()
}

/// A demo with a folder of its own for its temporary files. Dropping it asks it to end.
struct Demo {
    child: Child,
    out: BufReader<ChildStdout>,
    seen: String,
    temporary: tempfile::TempDir,
}

/// How a demo ended.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
    /// What is left of its files.
    left: Vec<String>,
    /// What is left of its processes.
    running: Vec<u32>,
}

impl Demo {
    fn start(haproxy: &Path, words: &[&str]) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_roster-demo"));
        command.arg("--haproxy").arg(haproxy).args(words).env("TMPDIR", temporary.path());
        let piped = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out, seen: String::new(), temporary }
    }

    /// Reads on until a line begins so.
    fn until(&mut self, begins: &str) {
        loop {
            let from = self.seen.len();
            assert_ne!(
                self.out.read_line(&mut self.seen).unwrap(),
                0,
                "no line {begins:?} in:\n{}",
                self.seen
            );
            if self.seen.get(from..).is_some_and(|line| line.starts_with(begins)) {
                return;
            }
        }
    }

    fn signal(&self, signal: Signal) {
        send(self.child.id(), signal);
    }

    /// Reads the rest, and looks at what is left.
    fn ended(mut self) -> Ended {
        self.out.read_to_string(&mut self.seen).unwrap();
        let mut err = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        let status = wait_until_or_fail(CAP, "the end of the demo", || self.child.try_wait().unwrap());
        let out = std::mem::take(&mut self.seen);
        let folder = self.temporary.path();
        let left =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().display().to_string());
        let (left, running) = (left.collect(), running(folder));
        Ended { code: status.code(), left, running, out, err }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.signal(Signal::TERM);
            self.child.wait().ok();
        }
    }
}

impl Ended {
    #[track_caller]
    fn left_nothing(&self) {
        assert_eq!((&self.left, &self.running), (&vec![], &vec![]), "{self:?}");
    }
}

fn send(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
}

/// The numbers of Roster and HAProxy, as the demo prints them.
fn pids(out: &str) -> Vec<u32> {
    let lines =
        out.lines().filter(|line| line.starts_with("   Roster   ") || line.starts_with("   HAProxy  "));
    let numbers = lines.filter_map(|line| line.split("process ").nth(1)?.split(',').next()?.parse().ok());
    numbers.collect()
}

/// Every process that was started with a file of this folder.
fn running(folder: &Path) -> Vec<u32> {
    let numbers = fs::read_dir("/proc").unwrap().flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter(|pid| runs_in(*pid, folder)).collect()
}

fn runs_in(pid: u32, folder: &Path) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).contains(folder.to_str().unwrap())
}

/// What the whole story says, in this order.
const TOLD: [&str; 26] = [
    "1. Two servers are written",
    "srv1: state ready (amber appeared)",
    "2. Two more are added",
    "All four serve ",
    "3. coral is taken off",
    "srv3: state drain (coral at 127.0.0.1:",
    "It gets nothing new ",
    "The download ended whole",
    "4. coral is put on",
    "It serves from its old slot ",
    "5. By mistake",
    "held back: 4 of 4 servers would leave",
    "all four serve as before",
    "6. The list is put right",
    "The guard let go ",
    "0 failed, no reload (pid ",
    "7. A second service, shop, ",
    "HAProxy was reloaded; old processes that finish: ",
    "One reload brought it: backend shop is new. ",
    "0 failed, 1 reload\n",
    "8. HAProxy's worker is killed",
    "ended: exit code 137 (signal 9) after ",
    "A new one serves ",
    "0 failed, 1 reload, 1 restart\n",
    "Now it is your turn",
    " requests, 0 failed, ",
];

fn tells_the_story(bin: &Path) {
    let ended = Demo::start(bin, &["--seconds", "20"]).ended();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let mut rest = ended.out.as_str();
    for text in TOLD {
        let found = rest.split_once(text);
        rest = found.unwrap_or_else(|| panic!("no {text:?} at its place in:\n{}", ended.out)).1;
    }
    // The new HAProxy may serve before Roster has logged that it does.
    assert!(ended.out.contains("   roster | HAProxy serves: master "), "{}", ended.out);
    // What HAProxy was answering when it was killed may be lost, and is told.
    assert!(rest.contains("1 reload (backend shop is new), 1 restart."), "{}", ended.out);
    let shares = |line: &&str| line.starts_with("   amber ") && line.contains("  0 failed, no reload (pid ");
    let all_serve = |line: &str| line.matches('%').count() == 4;
    assert!(ended.out.lines().filter(shares).any(all_serve), "{}", ended.out);
    assert!(!ended.out.contains('\x1b') && !ended.out.contains("WITHOUT A WORD"), "{}", ended.out);
    assert_eq!((pids(&ended.out).len(), ended.err.as_str()), (2, ""));
    ended.left_nothing();
}

#[test]
fn the_story_is_told_without_a_failed_request_and_leaves_nothing_on_each_version() {
    for bin in all_versions() {
        tells_the_story(bin.path());
    }
}

#[test]
fn ctrl_c_in_the_middle_leaves_nothing() {
    for (chapter, reloads) in [("3. ", "no reload."), ("   One reload", "1 reload (backend shop is new).")] {
        let mut demo = Demo::start(one_version().path(), &["--seconds", "60"]);
        demo.until(chapter);
        assert!(pids(&demo.seen).iter().all(|pid| runs_in(*pid, demo.temporary.path())) || chapter != "3. ");
        demo.signal(Signal::INT);
        let ended = demo.ended();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.out.contains(&format!(" requests, 0 failed, {reloads}")), "{}", ended.out);
        ended.left_nothing();
    }
}

#[test]
fn a_demo_without_the_time_for_its_story_ends_clean() {
    for seconds in ["0", "1"] {
        let ended = Demo::start(one_version().path(), &["--seconds", seconds]).ended();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended.left_nothing();
    }
}

#[test]
fn a_roster_that_is_killed_ends_the_demo_and_its_haproxy() {
    let mut demo = Demo::start(one_version().path(), &[]);
    demo.until("2. ");
    // Its master and its worker.
    assert_eq!(running(demo.temporary.path()).len(), 3);
    send(pids(&demo.seen)[0], Signal::KILL);
    let ended = demo.ended();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.starts_with("roster-demo: Roster ended by itself (signal: 9"), "{}", ended.err);
    ended.left_nothing();
}

#[test]
fn a_haproxy_that_somebody_else_kills_is_started_again_and_told_of() {
    let mut demo = Demo::start(one_version().path(), &[]);
    demo.until("2. ");
    send(pids(&demo.seen)[1], Signal::KILL);
    demo.until("   roster | HAProxy serves: master ");
    demo.until("3. ");
    demo.signal(Signal::TERM);
    let ended = demo.ended();
    // What it was answering then may have failed, and the demo does not know why.
    assert!(matches!(ended.code, Some(0 | 1)), "{ended:?}");
    assert!(ended.out.contains(" failed, 1 restart."), "{}", ended.out);
    ended.left_nothing();
}

#[test]
fn a_folder_in_which_haproxy_cannot_make_its_sockets_is_not_taken() {
    let long = tempfile::Builder::new().prefix(&"x".repeat(60)).tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_roster-demo"));
    command.args(["--seconds", "4", "--haproxy"]).arg(one_version().path()).env("TMPDIR", long.path());
    let output = command.stdin(Stdio::null()).output().unwrap();
    let out = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(out.contains(", reads the list in /tmp/roster-demo-"), "{out}");
}

#[test]
fn a_haproxy_that_does_not_start_is_shown_with_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let fake = folder.path().join("haproxy");
    let script = "#!/bin/sh\n[ \"$1\" = -v ] && echo 'HAProxy version 2.6.12 2026/01/01' && exit\n\
                  for word; do [ \"$word\" = -c ] && exit; done; echo 'cannot bind socket' >&2; exit 1\n";
    fs::write(&fake, script).unwrap();
    fs::set_permissions(&fake, fs::Permissions::from_mode(0o755)).unwrap();
    let ended = Demo::start(&fake, &[]).ended();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.starts_with("roster-demo: HAProxy does not come up: "), "{}", ended.err);
    assert!(ended.err.ends_with("  haproxy | cannot bind socket\n"), "{}", ended.err);
    ended.left_nothing();
}

#[test]
fn a_reader_that_goes_away_ends_the_demo() {
    let mut demo = Demo::start(one_version().path(), &[]);
    demo.until("1. ");
    let Demo { child, out, temporary, .. } = &mut demo;
    // The read end of the pipe is closed by putting another in its place.
    let nothing = Command::new("true").stdout(Stdio::piped()).spawn().unwrap().stdout.unwrap();
    drop(std::mem::replace(out, BufReader::new(nothing)));
    wait_until_or_fail(CAP, "the end of the demo", || child.try_wait().unwrap());
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0);
    assert_eq!(running(temporary.path()), Vec::<u32>::new());
}
