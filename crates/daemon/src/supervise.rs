//! Supervision of the tasks that have to run until they are stopped.
//!
//! A task that panics, or ends before it was stopped, is logged with the cause, counted, and shown by `/readyz` and `roster
//! status`. It is started anew after a pause that grows with each such end. A task that keeps ending ends the program with an error,
//! so that whatever started Roster starts it anew.

mod restarts;

use std::any::Any;
use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use futures_util::FutureExt;
use jiff::Timestamp;
use roster_core::times::Times;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::events::{Event, Reporter, TaskEnded};
use restarts::{PAUSES, Pauses, Restarts};

/// Something that is to run until it is stopped.
pub(crate) trait Task: Send {
    /// What it leaves when it was stopped.
    type Left: Send;

    /// Runs once, until it is stopped. Else it answers why it ended, and is run again.
    fn run(&mut self) -> impl Future<Output = Result<Self::Left, String>> + Send;

    /// What it does between two runs: it drops what is asked of it meanwhile, so that each question gets an answer.
    fn pause(&mut self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }
}

/// The tasks of a Roster. Its copies are one and the same.
#[derive(Clone, Debug)]
pub(crate) struct Tasks {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    reporter: Reporter,
    ended: watch::Sender<BTreeMap<String, Ended>>,
    pauses: Pauses,
    given_up: CancellationToken,
    why: OnceLock<String>,
}

/// A task that ended though it was not stopped.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ended {
    /// Why it ended last.
    pub(crate) cause: String,
    /// When.
    pub(crate) at: Timestamp,
    /// How often it has ended since Roster started.
    pub(crate) times: u32,
    /// Whether it runs again.
    pub(crate) runs: bool,
}

impl Times for Ended {
    fn each_time(&mut self, with: &mut dyn FnMut(&mut Timestamp)) {
        let Self { at, cause: _, times: _, runs: _ } = self;
        with(at);
    }
}

impl Tasks {
    /// No tasks yet.
    pub(crate) fn new(reporter: &Reporter) -> Self {
        Self::pausing(reporter, PAUSES)
    }

    fn pausing(reporter: &Reporter, pauses: Pauses) -> Self {
        let inner = Inner {
            reporter: reporter.clone(),
            ended: watch::Sender::default(),
            pauses,
            given_up: CancellationToken::new(),
            why: OnceLock::new(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The same where an ended task is started anew after milliseconds.
    #[cfg(test)]
    pub(crate) fn quick(reporter: &Reporter) -> Self {
        let milli = std::time::Duration::from_millis;
        Self::pausing(reporter, Pauses { first: milli(1), longest: milli(30) })
    }

    /// Those that ended though they were not stopped, by their names.
    pub(crate) fn ended(&self) -> BTreeMap<String, Ended> {
        self.inner.ended.borrow().clone()
    }

    /// Waits until one of them has ended so often that it is not started anew. Answers which, and why.
    pub(crate) async fn given_up(&self) -> String {
        self.inner.given_up.cancelled().await;
        self.inner.why.get().cloned().unwrap_or_default()
    }

    /// Runs a task until it is stopped. What is returned has what it left, unless it was stopped while it did not run. The name says
    /// what the task is and, where there are several, of what.
    pub(crate) fn spawn<T: Task + 'static>(
        &self,
        name: String,
        stop: &CancellationToken,
        mut task: T,
    ) -> JoinHandle<Option<T::Left>> {
        self.inner.reporter.metrics().task(&name);
        let (tasks, stop) = (self.clone(), stop.clone());
        tokio::spawn(async move {
            let left = tasks.keep(&name, &stop, &mut task).await;
            if stop.is_cancelled() {
                tasks.inner.ended.send_modify(|ended| drop(ended.remove(&name)));
            }
            left
        })
    }

    async fn keep<T: Task>(&self, name: &str, stop: &CancellationToken, task: &mut T) -> Option<T::Left> {
        let Inner { reporter, pauses, .. } = &*self.inner;
        let mut restarts = Restarts::new(*pauses);
        loop {
            let begun = Instant::now();
            let cause = match AssertUnwindSafe(task.run()).catch_unwind().await {
                Ok(Ok(left)) => return Some(left),
                Ok(Err(why)) => why,
                Err(panic) => format!("it panicked: {}", words(&*panic)),
            };
            let again = restarts.ended(begun.elapsed());
            TaskEnded { name, cause: &cause, again }.emit(reporter);
            self.show(name, &cause);
            let Some(again) = again else {
                self.inner.why.set(format!("{name} ends again and again: {cause}")).ok();
                self.inner.given_up.cancel();
                return None;
            };
            tokio::select! {
                () = stop.cancelled() => return None,
                () = tokio::time::sleep(again) => {}
                () = task.pause() => {}
            }
            self.inner.ended.send_modify(|ended| {
                ended.entry(name.to_owned()).and_modify(|ended| ended.runs = true);
            });
        }
    }

    fn show(&self, name: &str, cause: &str) {
        self.inner.ended.send_modify(|ended| {
            let times = ended.get(name).map_or(0, |before| before.times).saturating_add(1);
            let now = Ended { cause: cause.to_owned(), at: clock::now(), times, runs: false };
            ended.insert(name.to_owned(), now);
        });
    }
}

/// What a task answers that was to run until this stop, and has ended.
pub(crate) fn stopped<T>(left: T, stop: &CancellationToken) -> Result<T, String> {
    if stop.is_cancelled() { Ok(left) } else { Err("it ended though it was not stopped".to_owned()) }
}

/// Does work that may wait for a disk on a thread that may. A panic there is one here.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    joined(&mut tokio::task::spawn_blocking(work)).await
}

/// What such work came to. A panic there is one here.
pub(crate) async fn joined<T>(work: &mut JoinHandle<T>) -> T {
    match work.await {
        Ok(done) => done,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // It was not begun because the runtime ends, and with it what waits here.
            Err(_cancelled) => std::future::pending().await,
        },
    }
}

/// What a panic says.
pub(crate) fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a message".to_owned())
}

#[cfg(test)]
pub(crate) mod tests;
