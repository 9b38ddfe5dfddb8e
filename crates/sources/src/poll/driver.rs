//! Runs the watch: lists when told, tells what it is told.

use std::collections::VecDeque;
use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use roster_core::instance::{Snapshot, SourceError, SourceEvent};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::watch::{Answer, Effect, Event, Watch};
use super::{Failure, Lister, Schedule};
use crate::source::Source;

/// A source that is listed again and again.
pub struct Poller<L> {
    lister: L,
    schedule: Schedule,
    /// The last complete answer, also of before a restart.
    known: Option<Arc<Snapshot>>,
    bell: Arc<Notify>,
}

/// Lets a source be listed at once, whenever it would otherwise be.
#[derive(Clone, Debug)]
pub struct Waker(Arc<Notify>);

/// One run of the source: what it waits for, and what it has yet to do.
struct Session<'p, L> {
    poller: &'p mut Poller<L>,
    watch: Watch,
    due: VecDeque<Effect>,
}

impl Waker {
    /// The source lists now, or again once the listing that is under way has ended.
    pub fn wake(&self) {
        self.0.notify_one();
    }
}

impl<L> fmt::Debug for Poller<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poller").field("schedule", &self.schedule).finish_non_exhaustive()
    }
}

impl<L: Lister> Poller<L> {
    /// Lists nothing yet.
    pub fn new(lister: L, schedule: Schedule) -> Self {
        Self { lister, schedule, known: None, bell: Arc::default() }
    }

    /// Gives it the answer that was kept over a restart.
    #[must_use]
    pub fn resume(self, known: Arc<Snapshot>) -> Self {
        Self { known: Some(known), ..self }
    }

    /// What makes it list at once.
    pub fn waker(&self) -> Waker {
        Waker(Arc::clone(&self.bell))
    }

    async fn list(lister: &mut L, known: &mut Option<Arc<Snapshot>>) -> Answer {
        let mut snapshot = lister.list(known.clone(), roster_clock::now()).await?;
        snapshot.condense(known.as_deref());
        let snapshot = Arc::new(snapshot);
        *known = Some(Arc::clone(&snapshot));
        Ok(snapshot)
    }
}

impl<L: Lister> Source for Poller<L> {
    async fn fetch(&mut self) -> Result<Arc<Snapshot>, SourceError> {
        Self::list(&mut self.lister, &mut self.known).await.map_err(|Failure { error, .. }| error)
    }

    async fn run(mut self, out: mpsc::Sender<SourceEvent>, stop: CancellationToken) {
        let (watch, effects) = Watch::start(self.schedule, Instant::now());
        let mut session = Session { poller: &mut self, watch, due: effects.into() };
        let tell = async {
            loop {
                let event = session.next().await;
                if out.send(event).await.is_err() {
                    return;
                }
            }
        };
        // Nothing here is lost by being dropped in the middle.
        stop.run_until_cancelled(tell).await;
    }
}

impl<L: Lister> Session<'_, L> {
    /// Works until there is something to tell.
    async fn next(&mut self) -> SourceEvent {
        loop {
            while let Some(effect) = self.due.pop_front() {
                match effect {
                    Effect::List => {
                        let answer = self.list().await;
                        self.step(Event::Listed(answer));
                    }
                    Effect::Tell(event) => return event,
                }
            }
            let bell = Arc::clone(&self.poller.bell);
            let event = tokio::select! {
                () = bell.notified() => Event::Woken,
                () = until(self.watch.wake_at()) => Event::Tick,
            };
            self.step(event);
        }
    }

    /// Lists, and hears meanwhile who else wants to know.
    async fn list(&mut self) -> Answer {
        let Self { poller, watch, .. } = self;
        let bell = Arc::clone(&poller.bell);
        let mut listing = pin!(Poller::list(&mut poller.lister, &mut poller.known));
        loop {
            tokio::select! {
                answer = &mut listing => return answer,
                () = bell.notified() => {
                    watch.step(Event::Woken, Instant::now(), 0.0);
                }
            }
        }
    }

    fn step(&mut self, event: Event) {
        self.due.extend(self.watch.step(event, Instant::now(), fastrand::f64()));
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
