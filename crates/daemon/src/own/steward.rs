//! The task that has HAProxy's process: it follows it, and does with it what the keeper asks for.
//!
//! It ends nothing by ending: HAProxy goes on unless it was told to stop.

use roster_haproxy::name::TargetName;
use roster_targets::managed::process::{
    Adoptable, Event as ProcessEvent, Patience, ProcessError, Program, Reload, Stopped, Supervisor,
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::events::{Event, ProcessEnded, ProcessServes, Reporter, StartFailed, chain};
use crate::supervise::{self, Tasks};

/// How many orders may wait; there is one who gives them.
const WAITING: usize = 4;

/// Whom the keeper speaks to.
#[derive(Debug)]
pub(crate) struct Steward {
    orders: mpsc::Sender<Order>,
    running: watch::Receiver<Running>,
}

/// What is known of the process.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Running {
    /// The master; none while none serves.
    pub master: Option<Adoptable>,
    /// The process that took the connections when Roster last had a hand in it, where that is known.
    pub worker: Option<u32>,
    /// How often it came to serve.
    pub times: u64,
    /// How many workers finish what they have, as last counted; unknown where nobody could say.
    pub old_workers: Option<usize>,
}

#[derive(Debug)]
enum Order {
    Start(Box<Program>, Option<Adoptable>, oneshot::Sender<Result<Began, ProcessError>>),
    Reload(oneshot::Sender<Result<Reload, ProcessError>>),
    Replace(Box<Program>, oneshot::Sender<Result<Reload, ProcessError>>),
    /// Counts the workers that finish; whoever waits for the number is told it.
    OldOnes(Option<oneshot::Sender<Option<usize>>>),
    Stop(Patience, oneshot::Sender<Stopped>),
}

/// How it came to have a process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Began {
    /// One that ran already.
    Adopted,
    /// A new one.
    Started,
}

struct Task {
    target: TargetName,
    asked: mpsc::Receiver<Order>,
    kept: Option<Supervisor>,
    /// How HAProxy was last started, so that it is followed again after a mistake in this task.
    program: Option<Program>,
    running: watch::Sender<Running>,
    reporter: Reporter,
}

impl Running {
    fn ended(&mut self) {
        (self.master, self.old_workers) = (None, None);
    }
}

impl Steward {
    /// Starts the task. It has no process yet, and ends when what is returned is dropped.
    pub(crate) fn start(target: TargetName, reporter: Reporter, tasks: &Tasks) -> Self {
        let (orders, asked) = mpsc::channel(WAITING);
        let (tell, running) = watch::channel(Running::default());
        let name = format!("process {target}");
        let task = Task { target, asked, kept: None, program: None, running: tell, reporter };
        // It is stopped by dropping what is returned, whatever it is doing.
        tasks.spawn(name, &CancellationToken::new(), task);
        Self { orders, running }
    }

    /// What is known of the process.
    pub(crate) fn running(&self) -> Running {
        self.running.borrow().clone()
    }

    /// Waits until something else is known of it.
    pub(crate) async fn changed(&mut self) {
        if self.running.changed().await.is_err() {
            // The task is given up, and Roster ends with it.
            std::future::pending::<()>().await;
        }
    }

    /// Adopts the process that is known, or starts one.
    pub(crate) async fn begin(
        &self,
        program: Program,
        known: Option<Adoptable>,
    ) -> Result<Began, ProcessError> {
        self.ask(|reply| Order::Start(Box::new(program), known, reply))
            .await
            .unwrap_or(Err(ProcessError::NotFollowed))
    }

    /// Makes HAProxy take its file as it is now.
    pub(crate) async fn reload(&self) -> Result<Reload, ProcessError> {
        self.ask(Order::Reload).await.unwrap_or(Err(ProcessError::NotFollowed))
    }

    /// Puts a new master in the place of the old one.
    pub(crate) async fn replace(&self, program: Program) -> Result<Reload, ProcessError> {
        self.ask(|reply| Order::Replace(Box::new(program), reply))
            .await
            .unwrap_or(Err(ProcessError::NotFollowed))
    }

    /// How many processes finish what they have; unknown while nobody says.
    pub(crate) async fn old_ones(&self) -> Option<usize> {
        self.ask(|reply| Order::OldOnes(Some(reply))).await.flatten()
    }

    /// Has them counted without waiting for the number: a master that stands still would take its time.
    pub(crate) fn count_old_ones(&self) {
        if self.orders.capacity() == WAITING {
            // Refused only where something is under way, after which it is asked for again.
            self.orders.try_send(Order::OldOnes(None)).ok();
        }
    }

    /// Ends HAProxy. Answers nothing where that is not known.
    pub(crate) async fn stop(&self, patience: Patience) -> Option<Stopped> {
        self.ask(|reply| Order::Stop(patience, reply)).await
    }

    /// Answers nothing if the task ended by a mistake meanwhile; it is started anew.
    async fn ask<T>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.orders.send(order(reply)).await.ok();
        answer.await.ok()
    }
}

impl supervise::Task for Task {
    type Left = ();

    async fn run(&mut self) -> Result<(), String> {
        if self.asked.is_closed() {
            return Ok(());
        }
        self.resume().await?;
        loop {
            tokio::select! {
                order = self.asked.recv() => match order {
                    Some(order) => self.obey(order).await,
                    None => return Ok(()),
                },
                event = next(&mut self.kept) => {
                    let serves = matches!(event, ProcessEvent::Serving { .. });
                    self.take(event);
                    if serves {
                        self.count().await;
                    }
                }
            }
        }
    }

    async fn pause(&mut self) {
        // HAProxy goes on meanwhile; what followed it may be half done.
        self.kept = None;
        while self.asked.recv().await.is_some() {}
    }
}

impl Task {
    async fn obey(&mut self, order: Order) {
        match order {
            Order::Start(program, known, reply) => {
                let began = self.begin(*program, known).await;
                reply.send(began).ok();
            }
            Order::Reload(reply) => {
                let done = match &mut self.kept {
                    Some(kept) => kept.reload().await,
                    None => Err(ProcessError::NotFollowed),
                };
                self.learn(&done);
                reply.send(done).ok();
            }
            Order::Replace(program, reply) => {
                self.program = Some(Program::clone(&program));
                let done = match &mut self.kept {
                    Some(kept) => kept.replace(*program).await,
                    None => Err(ProcessError::NotFollowed),
                };
                self.learn(&done);
                reply.send(done).ok();
            }
            Order::OldOnes(reply) => {
                let old = self.count().await;
                if let Some(reply) = reply {
                    reply.send(old).ok();
                }
            }
            Order::Stop(patience, reply) => {
                self.program = None;
                let stopped = match self.kept.take() {
                    Some(kept) => kept.stop(patience).await,
                    None => Stopped::NotRunning,
                };
                reply.send(stopped).ok();
            }
        }
    }

    /// Follows the process again that was followed before a mistake in this task, or starts it if it is gone.
    async fn resume(&mut self) -> Result<(), String> {
        let Some(program) = self.program.clone().filter(|_| self.kept.is_none()) else { return Ok(()) };
        let known = self.running.borrow().master;
        match self.begin(program, known).await {
            Ok(_) => Ok(()),
            Err(error) => Err(chain(&error)),
        }
    }

    async fn begin(&mut self, program: Program, known: Option<Adoptable>) -> Result<Began, ProcessError> {
        self.program = Some(program.clone());
        if let Some(known) = known {
            match self.adopt(&program, known).await {
                Err(ProcessError::Gone { .. }) => {}
                done => return done,
            }
        }
        match Supervisor::start(program.clone()).await {
            Ok(kept) => {
                self.kept = Some(kept);
                Ok(Began::Started)
            }
            // The Roster before was killed between the start of this one and the record of it.
            Err(error @ ProcessError::RunsAlready { .. }) => match program.running().await {
                Some(found) => self.adopt(&program, found).await,
                None => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    async fn adopt(&mut self, program: &Program, known: Adoptable) -> Result<Began, ProcessError> {
        self.kept = Some(Supervisor::adopt(program.clone(), known).await?);
        Ok(Began::Adopted)
    }

    /// Keeps which process serves after a reload, and how many finish.
    fn learn(&self, done: &Result<Reload, ProcessError>) {
        let (worker, old) = match done {
            Ok(Reload::Reloaded { worker, old_workers }) => (*worker, Some(*old_workers)),
            Ok(Reload::Refused { .. }) => return,
            Err(_) => (None, None),
        };
        self.running.send_modify(|running| (running.worker, running.old_workers) = (worker, old));
    }

    /// Asks how many workers finish what they have.
    async fn count(&self) -> Option<usize> {
        let old = match &self.kept {
            Some(kept) => kept.old_workers().await.ok(),
            None => None,
        };
        self.running.send_if_modified(|running| std::mem::replace(&mut running.old_workers, old) != old);
        old
    }

    fn take(&mut self, event: ProcessEvent) {
        let target = &self.target;
        match event {
            ProcessEvent::Serving { master, worker } => {
                ProcessServes { target, master: master.pid, worker }.emit(&self.reporter);
                self.running.send_modify(|running| {
                    (running.master, running.worker) = (Some(master), Some(worker));
                    running.times += 1;
                });
            }
            ProcessEvent::Ended { pid, ended, lived, restart_in, said } => {
                ProcessEnded { target, pid, ended, lived, restart_in, said: &said }.emit(&self.reporter);
                self.running.send_modify(Running::ended);
            }
            ProcessEvent::NotStarted { error, retry_in } => {
                StartFailed { target, error: &error, retry_in: Some(retry_in) }.emit(&self.reporter);
                self.running.send_modify(Running::ended);
            }
        }
    }
}

async fn next(kept: &mut Option<Supervisor>) -> ProcessEvent {
    match kept {
        Some(kept) => kept.next().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervise::tests::PanicsOnce;

    #[tokio::test]
    async fn what_is_asked_of_the_task_of_the_process_is_answered_also_when_it_panicked_and_it_goes_on() {
        let reporter = Reporter::default();
        let tasks = Tasks::quick(&reporter);
        let (orders, asked) = mpsc::channel(WAITING);
        let (tell, running) = watch::channel(Running::default());
        let target = "local".parse().unwrap();
        let task = Task { target, asked, kept: None, program: None, running: tell, reporter };
        let (panics, stop) = (CancellationToken::new(), CancellationToken::new());
        let task = tasks.spawn("process local".into(), &stop, PanicsOnce::new(task, &panics));
        let steward = Steward { orders, running };
        let reloaded = steward.reload().await;
        assert!(matches!(reloaded, Err(ProcessError::NotFollowed)), "{reloaded:?}");
        panics.cancel();
        // This is dropped with the task, or answered by its next run.
        steward.old_ones().await;
        while !tasks.ended().values().any(|ended| ended.runs) {
            tokio::task::yield_now().await;
        }
        assert!(tasks.ended()["process local"].cause.contains("a mistake"));
        let stopped = steward.stop(Patience::default()).await;
        assert!(matches!(stopped, Some(Stopped::NotRunning)), "{stopped:?}");
        drop(steward);
        assert_eq!(task.await.unwrap(), Some(()));
    }
}
