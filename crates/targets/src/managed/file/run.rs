//! Running a command to its end, or to a limit, from a thread that may block.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

/// As much as is kept of what a command wrote.
const OUTPUT: u64 = 256 * 1024;

/// How often it is looked whether the command is still wanted.
const LOOK: Duration = Duration::from_millis(50);

/// A command that ran to its end.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) status: ExitStatus,
    /// The beginning of what it wrote to both of its outputs.
    pub(super) output: String,
}

/// Why a command did not run to its end.
#[derive(Debug)]
pub(super) enum RunError {
    Io(io::Error),
    /// It was killed.
    TimedOut,
}

impl From<io::Error> for RunError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// What it writes goes to memory: a pipe could fill up, or be kept open by what the command leaves behind.
pub(super) fn run(
    command: &mut Command,
    limit: Duration,
    cancelled: &AtomicBool,
) -> Result<Finished, RunError> {
    let mut output = File::from(memfd_create("output", MemfdFlags::CLOEXEC).map_err(io::Error::from)?);
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output.try_clone()?);
    let mut child = command.process_group(0).spawn()?;
    let waited = has_ended(&child, limit, cancelled);
    if !matches!(waited, Ok(true)) {
        kill(&mut child);
    }
    let status = child.wait()?;
    if !waited? {
        return Err(RunError::TimedOut);
    }
    let mut bytes = Vec::new();
    output.rewind()?;
    output.take(OUTPUT).read_to_end(&mut bytes)?;
    Ok(Finished { status, output: String::from_utf8_lossy(&bytes).into_owned() })
}

/// Waits, for so long at most, or until it is cancelled. The status is not taken.
fn has_ended(child: &Child, limit: Duration, cancelled: &AtomicBool) -> io::Result<bool> {
    let pidfd = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    let deadline = Instant::now() + limit;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let is_over = left.is_zero() || cancelled.load(Ordering::Relaxed);
        let left = if is_over { Duration::ZERO } else { left.min(LOOK) };
        match poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Timespec::try_from(left).ok().as_ref()) {
            Ok(ready) if ready > 0 || is_over => return Ok(ready > 0),
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// With what it started that stayed in its group. Nobody has waited for it, so its number is its own.
fn kill(child: &mut Child) {
    kill_process_group(Pid::from_child(child), Signal::KILL).ok();
    child.kill().ok();
}

#[cfg(test)]
mod tests {
    use roster_testkit::{Poll, wait_until};

    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    static WANTED: AtomicBool = AtomicBool::new(false);
    const CAP: Duration = Duration::from_secs(20);

    #[test]
    fn code_and_both_outputs_are_seen() {
        let finished = run(&mut shell("echo one; echo two >&2; exit 3"), CAP, &WANTED).unwrap();
        assert_eq!((finished.status.code(), finished.output.as_str()), (Some(3), "one\ntwo\n"));
    }

    #[test]
    fn much_output_does_not_stop_it() {
        let finished = run(&mut shell("yes | head -c 3000000; exit 4"), CAP, &WANTED).unwrap();
        assert_eq!((finished.status.code(), finished.output.len()), (Some(4), 256 * 1024));
    }

    #[test]
    fn a_command_that_is_no_longer_wanted_is_killed_before_its_time_is_over() {
        let (cancelled, began) = (AtomicBool::new(false), Instant::now());
        let outcome = std::thread::scope(|scope| {
            let running = scope.spawn(|| run(&mut shell("sleep 100"), CAP, &cancelled));
            cancelled.store(true, Ordering::Relaxed);
            running.join().unwrap()
        });
        assert!(matches!(outcome, Err(RunError::TimedOut)) && began.elapsed() < CAP, "{:?}", began.elapsed());
    }

    #[test]
    fn what_is_left_behind_is_not_waited_for_and_what_hangs_is_killed_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let background = format!("sleep 100 & echo $! > {}", file.display());
        let left = || {
            let pid = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
            Pid::from_raw(pid).unwrap()
        };
        assert!(run(&mut shell(&background), CAP, &WANTED).unwrap().status.success());
        rustix::process::kill_process(left(), Signal::KILL).unwrap();

        std::fs::remove_file(&file).unwrap();
        // Long enough for a shell to write the file.
        let hanging = run(&mut shell(&format!("{background}; wait")), Duration::from_secs(2), &WANTED);
        assert!(matches!(hanging, Err(RunError::TimedOut)));
        // Gone, or dead and left to whoever adopts orphans. A signal takes a moment until it is acted upon.
        let stat = format!("/proc/{}/stat", left().as_raw_pid());
        let dead = wait_until(CAP, "the end of the child", || {
            let stat = std::fs::read_to_string(&stat).unwrap_or_default();
            Poll::when(stat, |stat| stat.is_empty() || stat.contains(") Z "))
        });
        dead.unwrap();
    }
}
