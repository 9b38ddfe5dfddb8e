//! Runs a program that prints credentials, such as `az` or a `credential_process`.
//!
//! Such a program is often a shell script around another one. So it has a process group of its own, and the whole group
//! ends at the limit, with the future that waits for the program, and when something else keeps the output open after it.
//! What a program that ended well leaves running without the output, such as an agent, it leaves on purpose.

use std::ffi::OsStr;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::time::timeout;

/// Bytes of output; credentials have a few thousand.
const LARGEST: u64 = 1024 * 1024;
/// How long the output may stay open after the program itself.
const AFTERWARDS: Duration = Duration::from_secs(1);

/// What a program left that ended by itself.
#[derive(Debug)]
pub struct Ended {
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed. It may hold secrets.
    pub stdout: Vec<u8>,
    /// What it printed on standard error.
    pub stderr: Vec<u8>,
}

/// Why a program left nothing.
#[derive(Debug, Error)]
pub enum HelperError {
    /// It could not be started.
    #[error("it cannot be started ({0})")]
    Start(#[source] io::Error),
    /// It took too long.
    #[error("it took longer than {0:?} and was ended")]
    Timeout(Duration),
    /// It printed too much.
    #[error("it printed more than {LARGEST} bytes and was ended")]
    TooLarge,
    /// Its output could not be read.
    #[error("its output cannot be read ({0})")]
    Output(#[source] io::Error),
}

/// Lets a program have these variables of Roster's environment and no others, which may hold passwords and other clouds' keys.
/// A `*` at the end of a name stands for any end.
pub fn limit_environment(command: &mut Command, names: &[&str]) {
    let is_named = |variable: &OsStr| {
        let variable = variable.to_string_lossy();
        names.iter().any(|name| match name.strip_suffix('*') {
            Some(begin) => variable.starts_with(begin),
            None => variable == *name,
        })
    };
    command.env_clear().envs(std::env::vars_os().filter(|(variable, _)| is_named(variable)));
}

/// Ends the group when dropped, unless nothing of it is meant to end any more.
struct Group(Option<Pid>);

/// Runs a program to its end, with nothing on its standard input.
pub async fn run(mut command: Command, limit: Duration) -> Result<Ended, HelperError> {
    command.process_group(0).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(HelperError::Start)?;
    let mut group = Group(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)));
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let reading = async { tokio::try_join!(read(out, &mut stdout), read(err, &mut stderr)) };
    let whole = async {
        tokio::pin!(reading);
        tokio::select! {
            read = &mut reading => {
                read?;
                Ok((child.wait().await.map_err(HelperError::Output)?, true))
            }
            status = child.wait() => {
                let status = status.map_err(HelperError::Output)?;
                // All that it printed itself is in the pipes by now.
                let read = timeout(AFTERWARDS, reading).await;
                let closed = read.is_ok();
                read.unwrap_or(Ok(((), ())))?;
                Ok((status, closed))
            }
        }
    };
    let (status, closed) = timeout(limit, whole).await.map_err(|_| HelperError::Timeout(limit))??;
    if closed {
        group.0 = None;
    }
    Ok(Ended { status, stdout, stderr })
}

async fn read(pipe: Option<impl AsyncRead + Unpin>, into: &mut Vec<u8>) -> Result<(), HelperError> {
    let Some(pipe) = pipe else { return Ok(()) };
    let mut limited = pipe.take(LARGEST + 1);
    limited.read_to_end(into).await.map_err(HelperError::Output)?;
    if limited.limit() == 0 { Err(HelperError::TooLarge) } else { Ok(()) }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may have ended at this moment, which is as good.
            let _ended_already = kill_process_group(group, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Instant;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_program_gets_the_variables_that_it_needs_and_no_others() {
        let mut command = Command::new("/usr/bin/env");
        limit_environment(&mut command, &["PATH", "CARGO_PKG_*"]);
        let said = String::from_utf8(run(command, LIMIT).await.unwrap().stdout).unwrap();
        let names: Vec<&str> = said.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
        assert!(names.contains(&"PATH") && names.contains(&"CARGO_PKG_NAME"), "{names:?}");
        let others = names.iter().find(|name| **name != "PATH" && !name.starts_with("CARGO_PKG_"));
        assert_eq!(others, None);
    }

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    /// The ids that the script wrote to a file, once there are so many.
    async fn written(file: &Path, count: usize) -> Vec<String> {
        loop {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            let ids: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
            if ids.len() >= count && text.ends_with('\n') {
                return ids;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Returns once these processes have ended; one that has may still wait to be reaped.
    async fn ended(ids: &[String]) {
        for id in ids {
            let runs = || {
                let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
                let (_, rest) = stat.rsplit_once(')')?;
                (!rest.trim_start().starts_with('Z')).then_some(())
            };
            while runs().is_some() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }

    #[tokio::test]
    async fn a_program_leaves_its_status_and_what_it_printed() {
        let done = run(shell("cat; echo out; echo err >&2; exit 3"), LIMIT).await.unwrap();
        assert_eq!(
            (done.status.code(), done.stdout, done.stderr),
            (Some(3), b"out\n".to_vec(), b"err\n".to_vec())
        );
        let missing = run(Command::new("/nonexistent/helper"), LIMIT).await.unwrap_err();
        assert!(
            matches!(&missing, HelperError::Start(error) if error.kind() == io::ErrorKind::NotFound),
            "{missing}"
        );
    }

    #[tokio::test]
    async fn a_program_that_hangs_ends_with_what_it_started_at_the_limit_and_when_nobody_waits() {
        let dir = tempfile::tempdir().unwrap();
        let script =
            |name: &str| format!("sleep 313 & echo $! $$ > {}; wait", dir.path().join(name).display());
        let error = run(shell(&script("limit")), Duration::from_secs(3)).await.unwrap_err();
        assert!(matches!(error, HelperError::Timeout(_)), "{error}");
        ended(&written(&dir.path().join("limit"), 2).await).await;

        let file = dir.path().join("dropped");
        let ids = tokio::select! {
            outcome = run(shell(&script("dropped")), LIMIT) => panic!("{outcome:?}"),
            ids = written(&file, 2) => ids,
        };
        ended(&ids).await;
    }

    #[tokio::test]
    async fn a_child_that_keeps_the_output_open_holds_nobody_up_and_ends() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("id");
        let began = Instant::now();
        let done =
            run(shell(&format!("echo out; sleep 313 & echo $! > {}", file.display())), LIMIT).await.unwrap();
        assert_eq!(done.stdout, b"out\n");
        assert!(began.elapsed() < LIMIT, "{:?}", began.elapsed());
        ended(&written(&file, 1).await).await;
    }

    #[tokio::test]
    async fn a_program_that_prints_without_end_is_ended() {
        let error = run(shell("cat /dev/zero"), LIMIT).await.unwrap_err();
        assert!(matches!(error, HelperError::TooLarge), "{error}");
    }
}
