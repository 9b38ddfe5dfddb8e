//! The task that has HAProxy's process: it follows it, and does with it what the keeper asks for.
//!
//! It ends nothing by ending: HAProxy goes on unless it was told to stop.

use roster_core::name::TargetName;
use roster_targets::managed::process::{
    Adoptable, Event as ProcessEvent, Patience, ProcessError, Program, Reload, Stopped, Supervisor,
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::task::TaskTracker;

use crate::events::{Event, ProcessEnded, ProcessServes, Reporter, StartFailed};

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
    kept: Option<Supervisor>,
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
    pub(crate) fn start(target: TargetName, reporter: Reporter, tasks: &TaskTracker) -> Self {
        let (orders, mut asked) = mpsc::channel(WAITING);
        let (tell, running) = watch::channel(Running::default());
        let mut task = Task { target, kept: None, running: tell, reporter };
        tasks.spawn(async move {
            loop {
                tokio::select! {
                    order = asked.recv() => match order {
                        Some(order) => task.obey(order).await,
                        None => break,
                    },
                    event = next(&mut task.kept) => {
                        let serves = matches!(event, ProcessEvent::Serving { .. });
                        task.take(event);
                        if serves {
                            task.count().await;
                        }
                    }
                }
            }
        });
        Self { orders, running }
    }

    /// What is known of the process.
    pub(crate) fn running(&self) -> Running {
        self.running.borrow().clone()
    }

    /// Waits until something else is known of it.
    pub(crate) async fn changed(&mut self) {
        if self.running.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Adopts the process that is known, or starts one.
    pub(crate) async fn begin(
        &self,
        program: Program,
        known: Option<Adoptable>,
    ) -> Result<Began, ProcessError> {
        self.ask(|reply| Order::Start(Box::new(program), known, reply)).await
    }

    /// Makes HAProxy take its file as it is now.
    pub(crate) async fn reload(&self) -> Result<Reload, ProcessError> {
        self.ask(Order::Reload).await
    }

    /// Puts a new master in the place of the old one.
    pub(crate) async fn replace(&self, program: Program) -> Result<Reload, ProcessError> {
        self.ask(|reply| Order::Replace(Box::new(program), reply)).await
    }

    /// How many processes finish what they have; unknown while nobody says.
    pub(crate) async fn old_ones(&self) -> Option<usize> {
        self.ask(|reply| Order::OldOnes(Some(reply))).await
    }

    /// Has them counted without waiting for the number: a master that stands still would take its time.
    pub(crate) fn count_old_ones(&self) {
        if self.orders.capacity() == WAITING {
            // Refused only where something is under way, after which it is asked for again.
            self.orders.try_send(Order::OldOnes(None)).ok();
        }
    }

    /// Ends HAProxy.
    pub(crate) async fn stop(&self, patience: Patience) -> Stopped {
        self.ask(|reply| Order::Stop(patience, reply)).await
    }

    async fn ask<T>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> T {
        let (reply, answer) = oneshot::channel();
        self.orders.send(order(reply)).await.ok();
        match answer.await {
            Ok(answer) => answer,
            // The task only ends after its keeper, or with the whole of Roster.
            Err(_gone) => std::future::pending().await,
        }
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
                if let Some(kept) = &mut self.kept {
                    let done = kept.reload().await;
                    self.learn(&done);
                    reply.send(done).ok();
                }
            }
            Order::Replace(program, reply) => {
                if let Some(kept) = &mut self.kept {
                    let done = kept.replace(*program).await;
                    self.learn(&done);
                    reply.send(done).ok();
                }
            }
            Order::OldOnes(reply) => {
                let old = self.count().await;
                if let Some(reply) = reply {
                    reply.send(old).ok();
                }
            }
            Order::Stop(patience, reply) => {
                let stopped = match self.kept.take() {
                    Some(kept) => kept.stop(patience).await,
                    None => Stopped::NotRunning,
                };
                reply.send(stopped).ok();
            }
        }
    }

    async fn begin(&mut self, program: Program, known: Option<Adoptable>) -> Result<Began, ProcessError> {
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
