//! A running `roster run`, and its log as it comes.

use std::collections::VecDeque;
use std::io::Read;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use roster_testkit::wait_until;
use rustix::process::{Pid, Signal, kill_process};

use crate::process;

/// Longer than anything here may take.
const CAP: Duration = Duration::from_secs(120);
/// So long without work is at rest. Roster asks once a second which process serves; that takes no tick of the clock.
const QUIET: Duration = Duration::from_millis(300);
/// How many lines an error repeats.
const SHOWN: usize = 12;

/// What Roster says once a pass with changes is over and the read-back agrees.
pub(crate) const CONVERGED: &str = "HAProxy shows what is wanted";

/// A running Roster. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Daemon {
    child: Child,
    begun: Instant,
    lines: Receiver<Line>,
    last: VecDeque<String>,
}

/// One line of its log, and when it came.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) at: Instant,
    pub(crate) text: String,
}

impl Daemon {
    /// Starts it.
    pub(crate) fn start(roster: &Path, config: &Path, state: Option<&Path>) -> anyhow::Result<Self> {
        let mut command = Command::new(roster);
        command.arg("run").arg("-c").arg(config).env_remove("STATE_DIRECTORY");
        // No home to have a folder in: what is not asked for is not kept.
        command.env("XDG_STATE_HOME", "/dev/null");
        if let Some(state) = state {
            command.arg("--state-dir").arg(state);
        }
        Self::spawn(command)
    }

    /// Starts what this command says.
    pub(crate) fn spawn(mut command: Command) -> anyhow::Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let begun = Instant::now();
        let mut child =
            command.spawn().with_context(|| format!("cannot start {}", command.get_program().display()))?;
        let log = child.stderr.take().context("roster's log")?;
        let (tell, lines) = mpsc::channel();
        std::thread::spawn(move || read(log, &tell));
        Ok(Self { child, begun, lines, last: VecDeque::new() })
    }

    /// When it was started.
    pub(crate) fn begun(&self) -> Instant {
        self.begun
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line that has all of these in it. Those before it are gone.
    pub(crate) fn line(&mut self, with: &[&str]) -> anyhow::Result<Line> {
        let until = Instant::now() + CAP;
        loop {
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.last.push_back(line.text.clone());
                    if self.last.len() > SHOWN {
                        self.last.pop_front();
                    }
                    if with.iter().all(|part| line.text.contains(part)) {
                        return Ok(line);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    bail!("roster did not log {with:?} within {CAP:?}; it said last:\n{}", self.said())
                }
                Err(RecvTimeoutError::Disconnected) => {
                    bail!("roster ended before it logged {with:?}; it said last:\n{}", self.said())
                }
            }
        }
    }

    /// The end of the next pass that carried this out on the backend.
    pub(crate) fn done(&mut self, backend: &str, op: &str) -> anyhow::Result<Line> {
        self.line(&[&format!(" backend={backend} "), &format!(" op={op}")])?;
        self.line(&[CONVERGED])
    }

    /// Waits until it has nothing to do. What it logs at its start comes in no fixed order.
    pub(crate) fn at_rest(&self) -> anyhow::Result<()> {
        let until = Instant::now() + CAP;
        let mut before = process::cpu(self.pid())?;
        loop {
            std::thread::sleep(QUIET);
            let now = process::cpu(self.pid())?;
            if now == before {
                return Ok(());
            }
            ensure!(Instant::now() < until, "roster is still at work after {CAP:?}");
            before = now;
        }
    }

    /// Ends it in order.
    pub(crate) fn stop(&mut self) -> anyhow::Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("roster's pid")?;
        kill_process(pid, Signal::TERM)?;
        let ended = wait_until(CAP, "roster's end", || self.child.try_wait().ok().flatten())?;
        ensure!(ended.success(), "roster ended with {ended}; it said last:\n{}", self.said());
        Ok(())
    }

    fn said(&self) -> String {
        self.last.iter().flat_map(|line| ["    ", line, "\n"]).collect()
    }
}

impl Line {
    /// A number that the line carries.
    pub(crate) fn number(&self, name: &str) -> anyhow::Result<u64> {
        let mut words = self.text.split_whitespace();
        let value = words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        let number = value.and_then(|value| value.parse().ok());
        number.with_context(|| format!("no {name} in roster's line: {}", self.text))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Cuts the log into lines. A line's time is that of the reading which brought its end.
fn read(mut log: ChildStderr, tell: &mpsc::Sender<Line>) {
    let mut buffer = vec![0; 64 * 1024];
    let mut rest = Vec::new();
    while let Ok(length @ 1..) = log.read(&mut buffer) {
        let at = Instant::now();
        let mut parts = buffer.get(..length).unwrap_or_default().split(|byte| *byte == b'\n').peekable();
        while let Some(part) = parts.next() {
            rest.extend_from_slice(part);
            if parts.peek().is_some() {
                let text = String::from_utf8_lossy(&rest).into_owned();
                rest.clear();
                if tell.send(Line { at, text }).is_err() {
                    return;
                }
            }
        }
    }
}
