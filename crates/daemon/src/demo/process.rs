//! A process that the demo started and ends.
//!
//! It leads a group of its own, so that Ctrl-C in the terminal reaches only the demo, which then ends things in their
//! order. A value that is dropped without `end`, as in a panic, kills it.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};

use super::error::DemoError;

/// A running process.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    pid: u32,
}

impl Process {
    /// Starts it without input; where its output goes is the caller's to say.
    pub(super) fn spawn(command: &mut Command) -> Result<Self, DemoError> {
        let program = command.as_std().get_program().into();
        let spawned = command.stdin(Stdio::null()).process_group(0).kill_on_drop(true).spawn();
        let child = spawned.map_err(|source| DemoError::Start { program, source })?;
        let pid = child.id().unwrap_or_default();
        Ok(Self { child, pid })
    }

    /// Its number.
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Its standard error, once, if that is a pipe.
    pub(super) fn take_stderr(&mut self) -> Option<tokio::process::ChildStderr> {
        self.child.stderr.take()
    }

    /// Waits until it ends by itself, and says how.
    pub(super) async fn ended(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        }
    }

    /// Asks it to end, waits, makes it end if that takes too long, and reaps it.
    pub(super) async fn end(mut self, patience: Duration) {
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

#[cfg(test)]
mod tests {
    use std::path::Path;

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
    async fn the_end_of_a_process_is_told() {
        assert_eq!(shell("exit 3").ended().await, "exit status: 3");
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let error = Process::spawn(&mut Command::new("/nowhere/haproxy")).unwrap_err();
        assert!(error.to_string().starts_with("/nowhere/haproxy does not start: "), "{error}");
    }
}
