//! Ending HAProxy, gently first.

use std::time::Duration;

use rustix::process::Signal;
use tokio::time::timeout;

use super::child::{Ended, Process};
use super::supervisor::Supervisor;

/// How long a master that executes itself anew is waited for: signals that it gets meanwhile are lost (measured on 2.6).
const STEADY: Duration = Duration::from_secs(2);

/// How patiently HAProxy is ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Patience {
    /// How long connections may take to end by themselves (SIGUSR1). With none they are not waited for.
    pub graceful: Duration,
    /// How long it may take to end at once (SIGTERM) before it is killed.
    pub term: Duration,
}

/// What it took.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stopped {
    /// It did not run.
    NotRunning,
    /// Its connections ended in time.
    Gracefully(Ended),
    /// Connections were cut.
    AtOnce(Ended),
    /// It did not react.
    Killed(Ended),
}

impl Default for Patience {
    fn default() -> Self {
        Self { graceful: Duration::from_secs(30), term: Duration::from_secs(5) }
    }
}

impl Supervisor {
    /// Ends HAProxy and the masters that it replaced, and returns when all are gone.
    pub async fn stop(mut self, patience: Patience) -> Stopped {
        let Some(mut process) = self.process.take() else { return Stopped::NotRunning };
        let master = self.program.master();
        let steady = tokio::select! {
            ended = process.ended() => Some(ended),
            _ = timeout(STEADY, master.show_proc()) => None,
        };
        let former = end_each(std::mem::take(&mut self.former), patience);
        let stopped = match steady {
            Some(_) => Stopped::NotRunning,
            None => tokio::join!(end(process, patience), former).0,
        };
        self.output.read();
        stopped
    }
}

async fn end_each(processes: Vec<Process>, patience: Patience) {
    for process in &processes {
        process.signal(Signal::USR1);
    }
    // One after the other is no slower: their time runs side by side, except where each has to be killed.
    for process in processes {
        end(process, patience).await;
    }
}

async fn end(mut process: Process, patience: Patience) -> Stopped {
    if !patience.graceful.is_zero() {
        process.signal(Signal::USR1);
        if let Ok(ended) = timeout(patience.graceful, process.ended()).await {
            return Stopped::Gracefully(ended);
        }
    }
    process.signal(Signal::TERM);
    if let Ok(ended) = timeout(patience.term, process.ended()).await {
        return Stopped::AtOnce(ended);
    }
    process.kill();
    Stopped::Killed(process.ended().await)
}
