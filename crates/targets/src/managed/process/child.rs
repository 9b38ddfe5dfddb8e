//! A process that is followed by its pidfd, whether Roster started it or a Roster before this one did.
//!
//! Invariants: a signal reaches this process or nobody, also when its number was given away since; dropping the value
//! leaves the process as it is. Linux 5.4 or later (`pidfd_open`(2), `waitid`(2) with `P_PIDFD`).

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, getpgid, kill_process_group, pidfd_open,
    pidfd_send_signal, waitid,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::timeout;

use crate::proc_stat::Stat;

/// As much as is kept of what a command wrote.
const OUTPUT: u64 = 64 * 1024;

/// How a process ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ended {
    /// With this exit code. HAProxy's master gives 128 and the signal where a worker was killed.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// It is not known: only a parent is told, and Roster was not this process's.
    Unseen,
}

/// A running process, or one whose end has been seen.
#[derive(Debug)]
pub(super) struct Process {
    pid: Pid,
    started: u64,
    pidfd: AsyncFd<OwnedFd>,
    ended: Option<Ended>,
}

/// A command that ran to its end.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) ended: Ended,
    /// The beginning of what it wrote to both of its outputs.
    pub(super) output: String,
}

/// Why a command did not run to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum RunError {
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It was killed.
    #[error("no end in time")]
    TimedOut,
}

/// Kills what it holds, with all its descendants of the same group, unless it has ended.
struct KilledOnDrop(Process);

impl Ended {
    /// The exit code 0.
    pub fn is_success(self) -> bool {
        self == Self::Code(0)
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code @ 129..160) => write!(f, "exit code {code} (signal {})", code - 128),
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
            Self::Unseen => f.write_str("an exit code that only its parent was told"),
        }
    }
}

impl Process {
    /// Starts a process that leads a group of its own, so that what a terminal or a supervisor sends to Roster's group
    /// does not reach it.
    pub(super) fn spawn(command: &mut Command) -> io::Result<Self> {
        let mut child = command.stdin(Stdio::null()).process_group(0).spawn()?;
        // Nobody has reaped it, so its number is its own.
        Self::follow(child.id()).inspect_err(|_| {
            // One that cannot be followed must not run; it is this process's own child, so both calls reach it.
            child.kill().ok();
            child.wait().ok();
        })
    }

    /// Follows a process of any parent. `NotFound` if there is none of that number.
    pub(super) fn follow(pid: u32) -> io::Result<Self> {
        let gone = || io::Error::from(io::ErrorKind::NotFound);
        let id = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or_else(gone)?;
        let pidfd = pidfd_open(id, PidfdFlags::empty()).map_err(|errno| match errno {
            rustix::io::Errno::SRCH => gone(),
            other => other.into(),
        })?;
        // Read after the pidfd was made: if both are there, they are of one process.
        let started = Stat::of(pid).ok_or_else(gone)?.started;
        Ok(Self { pid: id, started, pidfd: watched(pidfd)?, ended: None })
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid.as_raw_pid().unsigned_abs()
    }

    /// In clock ticks since boot.
    pub(super) fn started(&self) -> u64 {
        self.started
    }

    /// Waits for its end, and reaps it if it is a child.
    pub(super) async fn ended(&mut self) -> Ended {
        std::future::poll_fn(|context| self.poll_ended(context)).await
    }

    pub(super) fn poll_ended(&mut self, context: &mut Context<'_>) -> Poll<Ended> {
        if let Some(ended) = self.ended {
            return Poll::Ready(ended);
        }
        // An error is that of the runtime shutting down, when nobody is asked any more.
        let is_over = ready!(self.pidfd.poll_read_ready(context)).is_ok();
        let status = waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
        let ended = match status {
            Ok(Some(status)) => {
                status.exit_status().map(Ended::Code).or(status.terminating_signal().map(Ended::Signal))
            }
            _ => None,
        };
        let ended = ended.unwrap_or(Ended::Unseen);
        self.ended = is_over.then_some(ended);
        Poll::Ready(ended)
    }

    /// Sends it a signal; nothing happens if it has ended.
    pub(super) fn signal(&self, signal: Signal) {
        if self.ended.is_none() {
            // Fails when it has ended meanwhile, which the next look shows.
            pidfd_send_signal(self.pidfd.as_fd(), signal).ok();
        }
    }

    /// Kills it and what it started that stayed in its group.
    pub(super) fn kill(&self) {
        // Stopped first, so that its number stays its own until the group gets the signal.
        if self.ended.is_some() || pidfd_send_signal(self.pidfd.as_fd(), Signal::STOP).is_err() {
            return;
        }
        if getpgid(Some(self.pid)) == Ok(self.pid) {
            kill_process_group(self.pid, Signal::KILL).ok();
        }
        self.signal(Signal::KILL);
    }
}

impl Drop for KilledOnDrop {
    fn drop(&mut self) {
        self.0.kill();
    }
}

#[allow(
    deprecated,
    reason = "its successor is `unsafe`, for types that could name another descriptor later; an OwnedFd cannot"
)]
fn watched(pidfd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(pidfd, Interest::READABLE)
}

/// Runs a command to its end. What it writes goes to memory and not through a pipe, which a daemon that it starts would
/// keep open; the command is killed when it takes longer than `limit`, or when the future is dropped.
pub(super) async fn run(mut command: Command, limit: Duration) -> Result<Finished, RunError> {
    let mut output = File::from(memfd_create("output", MemfdFlags::CLOEXEC).map_err(io::Error::from)?);
    command.stdout(output.try_clone()?).stderr(output.try_clone()?);
    let mut process = KilledOnDrop(Process::spawn(&mut command)?);
    let Ok(ended) = timeout(limit, process.0.ended()).await else {
        process.0.kill();
        process.0.ended().await;
        return Err(RunError::TimedOut);
    };
    let mut bytes = Vec::new();
    output.rewind()?;
    output.take(OUTPUT).read_to_end(&mut bytes)?;
    Ok(Finished { ended, output: String::from_utf8_lossy(&bytes).trim().to_owned() })
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    const CAP: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn code_signal_and_both_outputs_of_a_command_are_seen() {
        let finished = run(shell("echo one; echo two >&2; exit 3"), CAP).await.unwrap();
        assert_eq!((finished.ended, finished.output.as_str()), (Ended::Code(3), "one\ntwo"));
        let killed = run(shell("kill -9 $$"), CAP).await.unwrap();
        assert_eq!(killed.ended, Ended::Signal(9));
    }

    #[tokio::test]
    async fn a_daemon_that_keeps_the_outputs_open_holds_nobody_up() {
        let started = Instant::now();
        let finished = run(shell("sleep 60 & echo $!"), CAP).await.unwrap();
        assert!(started.elapsed() < CAP);
        Process::follow(finished.output.parse().unwrap()).unwrap().signal(Signal::KILL);
    }

    #[tokio::test]
    async fn a_command_that_takes_too_long_is_killed_with_its_children() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pids");
        let script = format!("sleep 60 & echo $! > {}; wait", file.display());
        // Long enough for a shell to write the file.
        let outcome = run(shell(&script), Duration::from_secs(2)).await;
        assert!(matches!(outcome, Err(RunError::TimedOut)));
        let pid: u32 = std::fs::read_to_string(file).unwrap().trim().parse().unwrap();
        let Ok(mut child) = Process::follow(pid) else { return };
        timeout(CAP, child.ended()).await.unwrap();
    }

    #[tokio::test]
    async fn the_end_is_told_as_often_as_it_is_asked_for() {
        let mut process = Process::spawn(&mut shell("exit 7")).unwrap();
        assert_eq!(process.ended().await, Ended::Code(7));
        assert_eq!(process.ended().await, Ended::Code(7));
        process.signal(Signal::KILL);
    }

    #[tokio::test]
    async fn a_process_leads_a_group_of_its_own() {
        let mut process = Process::spawn(&mut shell("sleep 60")).unwrap();
        assert_eq!(getpgid(Some(process.pid)), Ok(process.pid));
        process.kill();
        assert_eq!(process.ended().await, Ended::Signal(9));
    }

    #[tokio::test]
    async fn nobody_is_not_found() {
        assert_eq!(Process::follow(u32::MAX).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
