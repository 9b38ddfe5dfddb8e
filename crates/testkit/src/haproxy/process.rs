//! The processes of one HAProxy: the one in charge, those it replaced, and their workers.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::wait::{Awaited, wait_until};

/// How long a process may take to end in order when its owner is dropped.
const PATIENCE: Duration = Duration::from_secs(5);

/// Ends and reaps every process in it when dropped.
#[derive(Debug, Default)]
pub(crate) struct Family {
    current: Option<Child>,
    former: Vec<Child>,
    last_pid: u32,
}

impl Family {
    /// Starts a process that takes charge; the one before, if any, becomes a former one.
    pub(crate) fn spawn(
        &mut self,
        program: &Path,
        arguments: &[impl AsRef<OsStr>],
        log: &Path,
    ) -> io::Result<()> {
        let log = File::options().create(true).append(true).open(log)?;
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        self.last_pid = child.id();
        self.former.extend(self.current.replace(child));
        Ok(())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.last_pid
    }

    /// How the process in charge ended; `None` while it runs.
    pub(crate) fn exit_status(&mut self) -> Option<String> {
        match self.current.as_mut().map(Child::try_wait) {
            Some(Ok(None)) => None,
            Some(Ok(Some(status))) => Some(status.to_string()),
            Some(Err(error)) => Some(error.to_string()),
            None => Some("no process".to_owned()),
        }
    }

    /// After a successor that did not come up: the process before it is in charge again, if it still runs.
    pub(crate) fn keep_predecessor(&mut self) -> bool {
        let Some(mut predecessor) = self.former.pop() else { return false };
        if !matches!(predecessor.try_wait(), Ok(None)) {
            return false;
        }
        self.last_pid = predecessor.id();
        if let Some(mut failed) = self.current.replace(predecessor) {
            end(&mut failed, Signal::KILL, PATIENCE).ok();
        }
        true
    }

    /// Signals every process, workers included.
    pub(crate) fn signal(&self, signal: Signal) {
        for child in self.current.iter().chain(&self.former) {
            for worker in workers(child.id()) {
                send(worker, signal);
            }
            send(child.id(), signal);
        }
    }

    /// SIGSTOP for every process, and waits until each of their threads stands still: the signal alone only asks for it.
    pub(crate) fn freeze(&self, cap: Duration) -> Result<(), Awaited> {
        let pids: Vec<u32> = self
            .current
            .iter()
            .chain(&self.former)
            .flat_map(|child| workers(child.id()).into_iter().chain([child.id()]))
            .collect();
        self.signal(Signal::STOP);
        wait_until(cap, "every thread to stand still", || pids.iter().all(|&pid| stands_still(pid)))
    }

    /// SIGTERM, then waits for the end of each; SIGKILL for those that are late.
    pub(crate) fn stop(&mut self, cap: Duration) -> Result<(), Awaited> {
        self.signal(Signal::CONT);
        let late = self.end_each(Signal::TERM, cap);
        if late.is_err() {
            self.kill(PATIENCE)?;
        }
        late
    }

    /// SIGKILL for each, and waits until they are gone.
    pub(crate) fn kill(&mut self, cap: Duration) -> Result<(), Awaited> {
        let orphans: Vec<u32> =
            self.current.iter().chain(&self.former).flat_map(|child| workers(child.id())).collect();
        self.signal(Signal::KILL);
        self.end_each(Signal::KILL, cap)?;
        // Workers are the master's children, so they cannot be waited for here, only watched.
        wait_until(cap, "the end of the workers", || orphans.iter().all(|&pid| is_gone(pid)))
    }

    fn end_each(&mut self, signal: Signal, cap: Duration) -> Result<(), Awaited> {
        let mut outcome = Ok(());
        for child in self.current.iter_mut().chain(&mut self.former) {
            outcome = outcome.and(end(child, signal, cap));
        }
        if outcome.is_ok() {
            self.current = None;
            self.former.clear();
        }
        outcome
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        // A test that fails must still fail with its own message, so what goes wrong here is only printed.
        if let Err(late) = self.stop(PATIENCE) {
            eprintln!("roster-testkit: {late}");
        }
    }
}

fn end(child: &mut Child, signal: Signal, cap: Duration) -> Result<(), Awaited> {
    let pid = child.id();
    // Asking first keeps the signal from a process that took over the number of a reaped one.
    if !matches!(child.try_wait(), Ok(None)) {
        return Ok(());
    }
    send(pid, signal);
    wait_until(cap, &format!("the end of process {pid} by {signal:?}"), || {
        !matches!(child.try_wait(), Ok(None))
    })
}

fn send(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // Fails only when the process is gone already.
        kill_process(pid, signal).ok();
    }
}

/// The children of a master.
fn workers(pid: u32) -> Vec<u32> {
    fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))
        .map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect())
        .unwrap_or_default()
}

/// Gone, or a zombie that its new parent has yet to reap.
fn is_gone(pid: u32) -> bool {
    state(format!("/proc/{pid}/stat")).is_none_or(|state| state == 'Z')
}

/// Stopped in all threads, or gone.
fn stands_still(pid: u32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return true };
    threads
        .flatten()
        .filter_map(|thread| state(thread.path().join("stat")))
        .all(|state| matches!(state, 'T' | 'Z' | 'X'))
}

/// The state letter of `/proc/PID/stat` (proc_pid_stat(5)); the name before it can hold anything but ends at the last `)`.
fn state(path: impl AsRef<Path>) -> Option<char> {
    fs::read_to_string(path).ok()?.rsplit_once(") ")?.1.chars().next()
}
