//! Keeps one HAProxy running: starts it, follows it, starts it again when it ends.
//!
//! Invariants:
//! - Dropping it ends nothing: HAProxy goes on, and is adopted by the next Roster.
//! - What happened while a reload or a replacement was waited for is told by the next [`Supervisor::next`].
//! - A future of it can be dropped at any time. What was under way goes on, and the next call sees what became of it.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::future::poll_fn;
use std::task::Poll;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::time::{sleep, sleep_until, timeout};

use super::ProcessError;
use super::beside;
use super::child::{Ended, Process};
use super::life::{Input, Life, Phase, Tell};
use super::line::Line;
use super::output::{Mark, Output};
use super::program::{Adoptable, Program};
use super::show_proc::Processes;

/// How often, and how long after one another, a master beside the adopted one is told to finish.
const NUDGES: u8 = 10;
const NUDGE: Duration = Duration::from_millis(500);

/// What happened to HAProxy.
#[derive(Debug)]
pub enum Event {
    /// It serves: after it was started, started again, or replaced.
    Serving {
        /// To be kept for the next Roster.
        master: Adoptable,
        /// The process that has the connections.
        worker: u32,
    },
    /// It served and ended, though nobody asked it to.
    Ended {
        /// The master's number.
        pid: u32,
        /// How.
        ended: Ended,
        /// How long it served.
        lived: Duration,
        /// When it is started again.
        restart_in: Duration,
        /// The last lines that it wrote.
        said: Vec<Line>,
    },
    /// It was started again and did not come to serve. Told once as long as the reason is the same; it goes on being
    /// tried.
    NotStarted {
        /// Why.
        error: ProcessError,
        /// When it is tried again.
        retry_in: Duration,
    },
}

/// One HAProxy that is kept running.
#[derive(Debug)]
pub struct Supervisor {
    pub(super) program: Program,
    pub(super) life: Life,
    pub(super) output: Output,
    /// Where what the present process wrote begins.
    mark: Mark,
    pub(super) process: Option<Process>,
    /// Masters that were replaced and finish.
    pub(super) former: Vec<Process>,
    /// How often those that were found at adoption are still told to finish: one that has just started loses the signal.
    nudges: u8,
    events: VecDeque<Event>,
}

impl Supervisor {
    /// Starts HAProxy, and returns once it serves. Its first event is that it does.
    ///
    /// # Errors
    /// Why it does not serve; nothing of it runs then. One that serves on the master socket already is left alone:
    /// [`ProcessError::RunsAlready`].
    pub async fn start(program: Program) -> Result<Self, ProcessError> {
        program.check().await?;
        if let Some(Adoptable { pid, .. }) = program.running().await {
            return Err(ProcessError::RunsAlready { pid, socket: program.master_socket });
        }
        let mut new = Self::new(program)?;
        new.spawn()?;
        new.come_to_serve().await?;
        Ok(new)
    }

    /// Takes over a HAProxy that a Roster before this one started, without touching it.
    ///
    /// # Errors
    /// [`ProcessError::Gone`] if it has ended: start a new one then. Anything else is for the operator: it runs, and
    /// another one beside it would share its ports.
    pub async fn adopt(program: Program, known: Adoptable) -> Result<Self, ProcessError> {
        let Adoptable { pid, started } = known;
        let mut process = match Process::follow(pid) {
            Ok(process) if process.started() == started => process,
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(ProcessError::Follow { pid, source });
            }
            _ => return Err(ProcessError::Gone { pid }),
        };
        let all = tokio::select! {
            _ = process.ended() => return Err(ProcessError::Gone { pid }),
            all = program.master().show_proc() => all?,
        };
        if all.master != pid {
            let socket = program.master_socket;
            return Err(ProcessError::OtherMaster { socket, pid, found: all.master });
        }
        let after = program.limits.start;
        let serving = tokio::select! {
            _ = process.ended() => return Err(ProcessError::Gone { pid }),
            serving = timeout(after, program.master().until_serving(pid)) => serving,
        };
        let worker = serving.map_err(|_| ProcessError::NotReady { after, said: Vec::new() })?;
        let mut new = Self::new(program)?;
        new.process = Some(process);
        new.former = beside::others(&new.program, pid);
        new.nudges = if new.former.is_empty() { 0 } else { NUDGES };
        new.nudge();
        new.life.step(Input::Started, Instant::now());
        new.serves(worker);
        Ok(new)
    }

    /// Waits for what happens next. Meanwhile it logs what HAProxy writes, and starts it again when it ends; so it has to
    /// be waited for.
    pub async fn next(&mut self) -> Event {
        loop {
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            self.advance().await;
        }
    }

    /// What names the process that runs now, if one does.
    pub fn adoptable(&self) -> Option<Adoptable> {
        self.process.as_ref().map(|process| Adoptable { pid: process.pid(), started: process.started() })
    }

    /// How it is started.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Asks the master for its processes: the worker that serves and those that finish.
    pub async fn processes(&self) -> Result<Processes, ProcessError> {
        Ok(self.program.master().show_proc().await?)
    }

    /// How many workers finish what they have: the master's old ones, and those of masters that were replaced. A master
    /// that has none any more and is about to end counts as one.
    ///
    /// # Errors
    /// The master does not say.
    pub async fn old_workers(&self) -> Result<usize, ProcessError> {
        let old = self.processes().await?.old_workers().count();
        if self.former.is_empty() {
            return Ok(old);
        }
        let former: Vec<u32> = self.former.iter().map(Process::pid).collect();
        let workers = beside::workers(&former);
        Ok(old + former.iter().map(|pid| workers.get(pid).copied().unwrap_or(1)).sum::<usize>())
    }

    /// Lets go of HAProxy, which goes on.
    pub fn detach(self) -> Option<Adoptable> {
        self.adoptable()
    }

    /// After a pause was waited for in vain: starts HAProxy now. Nothing happens if it runs.
    pub fn hurry(&mut self) {
        self.life.step(Input::Hurry, Instant::now());
    }

    fn new(program: Program) -> Result<Self, ProcessError> {
        let opened = Output::open(&program.output, program.limits.output);
        let mut output =
            opened.map_err(|source| ProcessError::Output { path: program.output.clone(), source })?;
        let life = Life::new(program.limits.backoff, Instant::now());
        let mark = output.mark();
        Ok(Self {
            program,
            life,
            output,
            mark,
            process: None,
            former: Vec::new(),
            nudges: 0,
            events: VecDeque::new(),
        })
    }

    /// One step of its life; what is to be told of it waits in `events`.
    pub(super) async fn advance(&mut self) {
        match self.life.phase() {
            Phase::Pausing { until } => {
                self.read_until(sleep_until(until.into())).await;
                if let Err(error) = self.spawn() {
                    self.not_started(error);
                }
            }
            Phase::Starting { .. } => {
                if let Err(error) = self.come_to_serve().await {
                    self.not_started(error);
                }
            }
            Phase::Serving { .. } => {
                let Self { process, former, output, nudges, .. } = self;
                let ended = poll_fn(|context| {
                    former.retain_mut(|process| process.poll_ended(context).is_pending());
                    match process {
                        Some(process) => process.poll_ended(context),
                        None => Poll::Ready(Ended::Unseen),
                    }
                });
                tokio::select! {
                    biased;
                    ended = ended => self.ended_by_itself(ended),
                    () = output.changed() => output.read(),
                    () = sleep(NUDGE), if *nudges > 0 => self.nudge(),
                }
            }
        }
    }

    /// Tells the masters that were replaced to finish.
    fn nudge(&mut self) {
        self.nudges = self.nudges.saturating_sub(1);
        self.former.iter().for_each(|process| process.signal(Signal::USR1));
    }

    fn spawn(&mut self) -> Result<(), ProcessError> {
        self.mark = self.output.mark();
        self.process = None;
        self.process = Some(self.program.spawn(&self.output, &[] as &[OsString])?);
        self.life.step(Input::Started, Instant::now());
        Ok(())
    }

    /// From started to serving, or to an error after which the process is gone. It goes on where it was dropped.
    async fn come_to_serve(&mut self) -> Result<(), ProcessError> {
        let since = match self.life.phase() {
            Phase::Starting { since } => since,
            Phase::Serving { .. } | Phase::Pausing { .. } => Instant::now(),
        };
        let limit = self.program.limits.start;
        let Self { program, process: Some(process), output, .. } = self else { return Ok(()) };
        let outcome = bring_up(program, process, output, since + limit).await;
        if let BroughtUp::Late = outcome {
            process.kill();
            process.ended().await;
        }
        if let BroughtUp::Serves(worker) = outcome {
            self.serves(worker);
            return Ok(());
        }
        self.process = None;
        let said = self.said();
        Err(match outcome {
            BroughtUp::Ended(ended) => ProcessError::ended_early(self.program.config.clone(), ended, said),
            BroughtUp::Serves(_) | BroughtUp::Late => ProcessError::NotReady { after: limit, said },
        })
    }

    pub(super) fn serves(&mut self, worker: u32) {
        self.life.step(Input::Answered, Instant::now());
        if let Some(master) = self.adoptable() {
            self.tell(Event::Serving { master, worker });
        }
    }

    fn ended_by_itself(&mut self, ended: Ended) {
        self.output.read();
        let pid = self.process.take().map_or(0, |process| process.pid());
        let told = self.life.step(Input::Ended { why: "" }, Instant::now());
        if let Some(Tell::Ended { lived, restart_in }) = told {
            let said = self.said();
            self.tell(Event::Ended { pid, ended, lived, restart_in, said });
        }
    }

    pub(super) fn not_started(&mut self, error: ProcessError) {
        let told = self.life.step(Input::Ended { why: &error.to_string() }, Instant::now());
        if let Some(Tell::NotStarted { retry_in }) = told {
            self.tell(Event::NotStarted { error, retry_in });
        }
    }

    /// Keeps an event until it is asked for.
    pub(super) fn tell(&mut self, event: Event) {
        self.events.push_back(event);
    }

    /// What the present process wrote last.
    fn said(&self) -> Vec<Line> {
        self.output.since(self.mark)
    }

    async fn read_until(&mut self, end: impl Future<Output = ()>) {
        let mut end = std::pin::pin!(end);
        loop {
            tokio::select! {
                () = &mut end => return,
                () = self.output.changed() => self.output.read(),
            }
        }
    }
}

/// What became of a process that was started.
pub(super) enum BroughtUp {
    /// This worker of it serves.
    Serves(u32),
    Ended(Ended),
    /// It is still there and does not serve.
    Late,
}

/// Waits until a process serves, and reads what is written meanwhile.
pub(super) async fn bring_up(
    program: &Program,
    process: &mut Process,
    output: &mut Output,
    deadline: Instant,
) -> BroughtUp {
    let pid = process.pid();
    let mut serving = std::pin::pin!(program.master().until_serving(pid));
    let outcome = loop {
        tokio::select! {
            biased;
            ended = process.ended() => break BroughtUp::Ended(ended),
            worker = &mut serving => break BroughtUp::Serves(worker),
            () = sleep_until(deadline.into()) => break BroughtUp::Late,
            () = output.changed() => output.read(),
        }
    };
    output.read();
    outcome
}
