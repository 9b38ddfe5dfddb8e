//! A reload through the master, and what came of it.

use std::fmt;

use super::ProcessError;
use super::child::Process;
use super::life::{Input, Phase};
use super::line::{Line, gist};
use super::master::Outcome;
use super::program::Program;
use super::supervisor::Supervisor;
use std::time::Instant;

use tokio::time::{sleep, timeout};

/// What came of a reload or a replacement.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reload {
    /// HAProxy serves what its file says now.
    Reloaded {
        /// The process that has the new connections; unknown where only a command's exit code tells.
        worker: Option<u32>,
        /// How many workers finish what they have, at this moment.
        old_workers: usize,
    },
    /// HAProxy refused the file, and serves what it served before, or does not run, as before.
    Refused {
        /// What it wrote.
        text: String,
    },
}

impl Supervisor {
    /// Makes HAProxy take its file as it is now. One that does not run is started at once.
    ///
    /// # Errors
    /// The outcome is not known: HAProxy ended meanwhile, or its master gave no answer in time.
    pub async fn reload(&mut self) -> Result<Reload, ProcessError> {
        if let Some(started) = self.start_if_down().await {
            return Ok(started);
        }
        let mark = self.output.mark();
        let Self { program, process, .. } = self;
        let Some(process) = process else { return Ok(Reload::nothing_runs()) };
        let pid = process.pid();
        let outcome = tokio::select! {
            biased;
            ended = process.ended() => return Err(ProcessError::Ended { pid, ended }),
            outcome = program.master().reload(program.limits.reload) => outcome?,
        };
        if outcome.is_good && loses_worker(program, &outcome).await {
            // It may wait for ever for a worker that it has stopped (measured on 2.8 and 3.0).
            process.kill();
            let ended = process.ended().await;
            self.output.read();
            return Err(ProcessError::Ended { pid, ended });
        }
        self.output.read();
        Ok(Reload::from_outcome(&outcome, &self.output.since(mark)))
    }

    /// Does nothing while HAProxy serves. Otherwise makes sure that it was started after this call, and tells what came
    /// of that.
    pub(super) async fn start_if_down(&mut self) -> Option<Reload> {
        let mut is_of_now = false;
        loop {
            match self.life.phase() {
                Phase::Serving { .. } if is_of_now => {
                    let worker = self.processes().await.ok().and_then(|all| all.worker());
                    return Some(Reload::Reloaded { worker, old_workers: 0 });
                }
                Phase::Serving { .. } => return None,
                Phase::Pausing { .. } if is_of_now => {
                    return Some(Reload::Refused { text: self.life.trouble().to_owned() });
                }
                Phase::Pausing { .. } => {
                    self.life.step(Input::Hurry, Instant::now());
                    is_of_now = true;
                    self.advance().await;
                }
                Phase::Starting { .. } => self.advance().await,
            }
        }
    }
}

/// Whether the new worker ends in the time that it is watched, or is not there even then.
async fn loses_worker(program: &Program, outcome: &Outcome) -> bool {
    let settle = program.limits.settle;
    if settle.is_zero() {
        return false;
    }
    let is_new = |worker: &u32| Some(*worker) != outcome.former;
    if let Some(worker) = outcome.after.worker().filter(is_new) {
        // One that cannot be followed has ended already.
        let Ok(mut worker) = Process::follow(worker) else { return true };
        return timeout(settle, worker.ended()).await.is_ok();
    }
    sleep(settle).await;
    program.master().show_proc().await.is_ok_and(|all| !all.worker().as_ref().is_some_and(is_new))
}

impl Reload {
    /// What HAProxy said comes with the answer, or on 2.6 stands only in its output.
    pub(super) fn from_outcome(outcome: &Outcome, written: &[Line]) -> Self {
        if outcome.is_good {
            let (worker, old_workers) = (outcome.after.worker(), outcome.after.old_workers().count());
            return Self::Reloaded { worker, old_workers };
        }
        let said: Vec<Line> = outcome.said.lines().map(Line::parse).collect();
        let text = gist(if said.is_empty() { written } else { &said });
        // 2.6 with an output that is not ours.
        let unknown = || "it gives no reason here; read its log".to_owned();
        Self::Refused { text: Some(text).filter(|text| !text.is_empty()).unwrap_or_else(unknown) }
    }

    pub(super) fn nothing_runs() -> Self {
        Self::Refused { text: "HAProxy does not run".to_owned() }
    }
}

impl fmt::Display for Reload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reloaded { old_workers: 0, .. } => f.write_str("reloaded"),
            Self::Reloaded { old_workers, .. } => {
                write!(f, "reloaded; old workers that finish: {old_workers}")
            }
            Self::Refused { text } => write!(f, "refused: {text}"),
        }
    }
}
