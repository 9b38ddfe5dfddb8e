//! Processes that the demo ends: Roster, its own child, and HAProxy, which is Roster's.
//!
//! Each leads a group of its own, so that Ctrl-C in the terminal reaches only the demo, which then ends things in their
//! order. A child that is dropped without `end`, as in a panic, is asked to end, and ends what it started itself.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, getpgid, kill_process_group, pidfd_open, pidfd_send_signal};
use tokio::process::{Child, Command};

use crate::error::DemoError;

/// Between two looks whether a process has ended.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A running child.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    pid: u32,
}

/// A process that is no child of the demo and was started with a file of the demo's folder. A signal reaches it or nobody, also
/// when its number was given away since.
#[derive(Debug)]
pub(crate) struct Other {
    id: Pid,
    pidfd: OwnedFd,
    /// When it started, in clock ticks since boot; with the number it names one process.
    started: u64,
}

impl Process {
    /// Starts it without input; where its output goes is the caller's to say.
    pub(crate) fn spawn(command: &mut Command) -> Result<Self, DemoError> {
        let program = command.as_std().get_program().into();
        let spawned = command.stdin(Stdio::null()).process_group(0).spawn();
        let child = spawned.map_err(|source| DemoError::Start { program, source })?;
        let pid = child.id().unwrap_or_default();
        Ok(Self { child, pid })
    }

    /// Its number.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Its standard error, once, if that is a pipe.
    pub(crate) fn take_stderr(&mut self) -> Option<tokio::process::ChildStderr> {
        self.child.stderr.take()
    }

    /// Waits until it ends by itself, and says how.
    pub(crate) async fn ended(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        }
    }

    /// Asks it to end, waits, makes it end if that takes too long, and reaps it.
    pub(crate) async fn end(mut self, patience: Duration) {
        self.signal(Signal::TERM);
        if tokio::time::timeout(patience, self.child.wait()).await.is_err() {
            self.signal(Signal::KILL);
            // Nothing outlives SIGKILL; an error means that it is reaped already.
            drop(self.child.wait().await);
        }
    }

    fn signal(&self, signal: Signal) {
        // A process that was reaped has no number any more, which another one may have got since.
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // Fails only if it ended meanwhile.
            kill_process_group(pid, signal).ok();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::TERM);
    }
}

impl Other {
    /// The process of this number, if it runs and is of this folder.
    pub(crate) async fn of(pid: u32, folder: &Path) -> Option<Self> {
        let id = i32::try_from(pid).ok().and_then(Pid::from_raw)?;
        let pidfd = pidfd_open(id, PidfdFlags::empty()).ok()?;
        // Looked at after the descriptor was made: then both are of one process.
        let other = Self { id, pidfd, started: started(id)? };
        while other.is_there() {
            let line = std::fs::read(format!("/proc/{}/cmdline", id.as_raw_pid())).unwrap_or_default();
            // One that executes a program at this moment, as a master does in a reload, has none for an instant.
            if !line.is_empty() {
                let is_ours = String::from_utf8_lossy(&line).contains(&*folder.to_string_lossy());
                return is_ours.then_some(other);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        None
    }

    /// Every process that was started with this file.
    pub(crate) async fn all_of(file: &Path) -> Vec<Self> {
        let mut all = Vec::new();
        for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
            // The kernel's own threads run no program, and their command lines are empty for good.
            let runs_a_program = std::fs::read_link(entry.path().join("exe")).is_ok();
            if let Some(pid) = pid.filter(|_| runs_a_program) {
                all.extend(Self::of(pid, file).await);
            }
        }
        all
    }

    /// Kills it and waits until it is gone.
    pub(crate) async fn kill(&self) {
        self.signal(Signal::KILL);
        self.gone().await;
    }

    /// Asks it to end, waits, and kills it with what it started if that takes too long.
    pub(crate) async fn end(self, patience: Duration) {
        self.signal(Signal::TERM);
        if tokio::time::timeout(patience, self.gone()).await.is_ok() {
            return;
        }
        // Stopped first, so that its number stays its own until its group gets the signal.
        self.signal(Signal::STOP);
        if self.is_there() && getpgid(Some(self.id)) == Ok(self.id) {
            kill_process_group(self.id, Signal::KILL).ok();
        }
        self.kill().await;
    }

    fn signal(&self, signal: Signal) {
        // Fails only if it has ended.
        pidfd_send_signal(self.pidfd.as_fd(), signal).ok();
    }

    async fn gone(&self) {
        while self.is_there() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn is_there(&self) -> bool {
        started(self.id) == Some(self.started)
    }
}

/// When this process started; nothing if it has ended, reaped or not (`proc_pid_stat`(5): fields 3 and 22).
fn started(id: Pid) -> Option<u64> {
    let stat = std::fs::read(format!("/proc/{}/stat", id.as_raw_pid())).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    // The name before it may hold anything.
    let mut fields = stat.rsplit_once(") ")?.1.split_ascii_whitespace();
    let has_ended = matches!(fields.next()?, "Z" | "X");
    let started = fields.nth(18)?.parse().ok()?;
    (!has_ended).then_some(started)
}

#[cfg(test)]
mod tests {

    use super::*;

    fn shell(script: &str) -> Process {
        Process::spawn(Command::new("/bin/sh").args(["-c", script])).unwrap()
    }

    fn is_there(pid: u32) -> bool {
        Path::new(&format!("/proc/{pid}")).exists()
    }

    #[tokio::test]
    async fn a_process_is_ended_and_reaped() {
        let process = shell("exec sleep 600");
        let pid = process.pid();
        assert!(is_there(pid));
        process.end(Duration::from_secs(20)).await;
        assert!(!is_there(pid));
    }

    #[tokio::test]
    async fn a_process_that_does_not_listen_is_ended_all_the_same() {
        let mut process = Process::spawn(
            Command::new("/bin/sh")
                .args(["-c", "trap '' TERM; echo deaf >&2; while :; do sleep 600; done"])
                .stderr(Stdio::piped()),
        )
        .unwrap();
        let pid = process.pid();
        let mut said = [0; 4];
        let mut stderr = process.take_stderr().unwrap();
        tokio::io::AsyncReadExt::read_exact(&mut stderr, &mut said).await.unwrap();
        process.end(Duration::from_millis(50)).await;
        assert!(!is_there(pid));
    }

    #[tokio::test]
    async fn a_child_that_is_dropped_is_asked_to_end() {
        let process = shell("exec sleep 600");
        let other = Other::of(process.pid(), Path::new("sleep")).await.unwrap();
        drop(process);
        tokio::time::timeout(Duration::from_secs(20), other.gone()).await.unwrap();
    }

    #[tokio::test]
    async fn only_a_process_of_the_folder_is_touched() {
        let process = shell("exec sleep 600 # /tmp/one");
        assert!(Other::of(process.pid(), Path::new("/tmp/other")).await.is_none());
        assert!(is_there(process.pid()));
        process.end(Duration::from_secs(20)).await;
    }

    #[tokio::test]
    async fn a_process_that_is_stopped_is_ended_with_what_it_started() {
        // Its own command line goes on naming the folder, and that of the other one does too.
        let script = "sh -c 'echo $$ >&2; while :; do sleep 600; done # /tmp/one' & kill -STOP $$ # /tmp/one";
        let mut process =
            Process::spawn(Command::new("/bin/sh").args(["-c", script]).stderr(Stdio::piped())).unwrap();
        let mut lines = tokio::io::BufReader::new(process.take_stderr().unwrap());
        let mut line = String::new();
        tokio::io::AsyncBufReadExt::read_line(&mut lines, &mut line).await.unwrap();
        let folder = Path::new("/tmp/one");
        let started = Other::of(line.trim().parse().unwrap(), folder).await.unwrap();
        Other::of(process.pid(), folder).await.unwrap().end(Duration::from_millis(50)).await;
        tokio::time::timeout(Duration::from_secs(20), started.gone()).await.unwrap();
        process.end(Duration::from_secs(20)).await;
    }

    #[tokio::test]
    async fn the_end_of_a_process_is_told() {
        assert_eq!(shell("exit 3").ended().await, "exit status: 3");
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let error = Process::spawn(&mut Command::new("/nowhere/haproxy")).unwrap_err();
        assert!(error.to_string().starts_with("/nowhere/haproxy does not start: "), "{error}");
    }
}
