//! Reloading a HAProxy that somebody else runs, such as systemd.

use std::future::Future;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::ProcessError;
use super::child::{RunError, run};
use super::line::{Line, gist};
use super::master::Master;
use super::program::Limits;
use super::reload::Reload;
use crate::managed::Environment;

/// Between two looks at which process serves.
const INTERVAL: Duration = Duration::from_millis(50);

/// How a HAProxy that somebody else runs is reloaded.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum External {
    /// By its master's socket (`-S`), which tells what came of it.
    Master(PathBuf),
    /// By a command line. It is run as it is, without a shell.
    Command {
        /// The program, such as `systemctl`.
        program: PathBuf,
        /// Its arguments, such as `reload` and `haproxy`.
        arguments: Vec<String>,
        /// The variables that it gets.
        environment: Environment,
        /// How long it may take.
        limit: Duration,
    },
}

impl External {
    /// Reloads it. `serving` tells the process that answers on the stats socket, if one does: a command's success means
    /// only that HAProxy was told to reload (`systemctl reload` does not wait), so another process has to be seen there.
    ///
    /// # Errors
    /// The outcome is not known, or is not what the command said.
    pub async fn reload<F>(&self, limits: &Limits, serving: impl Fn() -> F) -> Result<Reload, ProcessError>
    where
        F: Future<Output = Option<u32>>,
    {
        match self {
            Self::Master(socket) => {
                let outcome = Master { socket, limit: limits.answer }.reload(limits.reload).await?;
                Ok(Reload::from_outcome(&outcome, &[]))
            }
            Self::Command { program, arguments, environment, limit } => {
                let before = serving().await;
                let mut command = Command::new(program);
                command.args(arguments);
                environment.set(&mut command);
                let finished = run(command, *limit).await.map_err(|error| self.failed(error, *limit))?;
                if !finished.ended.is_success() {
                    let lines: Vec<_> = finished.output.lines().map(Line::parse).collect();
                    return Ok(Reload::Refused { text: format!("{}: {}", finished.ended, gist(&lines)) });
                }
                self.another(before, limits.reload, serving).await
            }
        }
    }

    async fn another<F>(
        &self,
        before: Option<u32>,
        limit: Duration,
        serving: impl Fn() -> F,
    ) -> Result<Reload, ProcessError>
    where
        F: Future<Output = Option<u32>>,
    {
        let deadline = Instant::now() + limit;
        loop {
            let worker = serving().await;
            if worker.is_some() && worker != before {
                return Ok(Reload::Reloaded { worker, old_workers: usize::from(before.is_some()) });
            }
            if Instant::now() >= deadline {
                return Err(ProcessError::SameWorker { command: self.to_string(), after: limit });
            }
            sleep(INTERVAL).await;
        }
    }

    fn failed(&self, error: RunError, after: Duration) -> ProcessError {
        let command = self.to_string();
        match error {
            RunError::Io(source) => ProcessError::Command { command, source },
            RunError::TimedOut => ProcessError::CommandTimedOut { command, after },
        }
    }
}

impl std::fmt::Display for External {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Master(socket) => socket.display().fmt(f),
            Self::Command { program, arguments, .. } => {
                let words = arguments.iter().map(String::as_str);
                let program = program.to_string_lossy();
                f.write_str(&std::iter::once(&*program).chain(words).collect::<Vec<_>>().join(" "))
            }
        }
    }
}
