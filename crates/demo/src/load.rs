//! Steady traffic: a fresh connection for each request, so that whoever is not well is noticed at once.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::client::{Fault, fetch};
use crate::tally::Tally;

/// 50 requests a second.
const EVERY: Duration = Duration::from_millis(20);
/// The most requests at once; a HAProxy that answers needs one or two.
const MOST: usize = 500;

/// Whether HAProxy was killed: what it is answering then is lost, whoever does what.
#[derive(Clone, Copy, Debug)]
enum Killed {
    Never,
    /// The signal is on its way.
    Now,
    /// It was gone by then.
    Before(Instant),
}

/// Traffic under way.
#[derive(Debug)]
pub(crate) struct Load {
    tally: watch::Receiver<Tally>,
    killed: watch::Sender<Killed>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Load {
    /// Begins.
    pub(crate) fn start(at: SocketAddr) -> Self {
        let (counted, tally) = watch::channel(Tally::default());
        let (killed, when) = watch::channel(Killed::Never);
        let stop = CancellationToken::new();
        let task = tokio::spawn(run(at, counted, when, stop.clone()));
        Self { tally, killed, stop, task }
    }

    /// HAProxy is about to be killed.
    pub(crate) fn haproxy_is_killed(&self) {
        self.killed.send_replace(Killed::Now);
    }

    /// It is gone: whoever comes from now on is to get an answer.
    pub(crate) fn haproxy_is_gone(&self) {
        self.killed.send_replace(Killed::Before(Instant::now()));
    }

    /// What became of the requests so far.
    pub(crate) fn tally(&self) -> Tally {
        self.tally.borrow().clone()
    }

    /// Sends no more, waits for the answers that are still to come, and tells everything.
    pub(crate) async fn end(self) -> Tally {
        self.stop.cancel();
        // The task does not panic and nobody else ends it.
        drop(self.task.await);
        self.tally.borrow().clone()
    }
}

async fn run(
    at: SocketAddr,
    tally: watch::Sender<Tally>,
    killed: watch::Receiver<Killed>,
    stop: CancellationToken,
) {
    let mut under_way = JoinSet::new();
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let count = |(begun, outcome): (Instant, Result<String, Fault>)| {
        let was_met_by_the_kill = match *killed.borrow() {
            Killed::Never => false,
            Killed::Now => true,
            Killed::Before(gone) => begun <= gone,
        };
        tally.send_modify(|tally| tally.count(outcome, was_met_by_the_kill));
    };
    while !stop.is_cancelled() {
        tokio::select! {
            () = stop.cancelled() => {}
            _ = tick.tick(), if under_way.len() < MOST => { under_way.spawn(timed(at)); }
            Some(Ok(outcome)) = under_way.join_next() => count(outcome),
        }
    }
    while let Some(Ok(outcome)) = under_way.join_next().await {
        count(outcome);
    }
}

/// When a request was begun, and what became of it.
async fn timed(at: SocketAddr) -> (Instant, Result<String, Fault>) {
    (Instant::now(), fetch(at, "/").await)
}

#[cfg(test)]
mod tests {
    use tokio_util::task::TaskTracker;

    use super::*;
    use crate::servers;

    #[tokio::test]
    async fn every_request_that_was_sent_is_counted() {
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let servers = servers::start(&tasks, &stop).await.unwrap();
        let mut load = Load::start(servers[0].entry.addr);
        load.tally.wait_for(|tally| tally.requests() >= 10).await.unwrap();
        let tally = load.end().await;
        assert_eq!((tally.answers.get("amber"), tally.failed), (Some(&tally.requests()), 0));
    }

    #[tokio::test]
    async fn a_port_where_nobody_listens_is_a_failure_each_time() {
        let at = (std::net::Ipv4Addr::LOCALHOST, roster_testkit::dead_port().unwrap()).into();
        let mut load = Load::start(at);
        load.tally.wait_for(|tally| tally.failed >= 2).await.unwrap();
        let tally = load.end().await;
        assert_eq!(tally.failed, tally.requests());
        assert!(tally.last_fault.unwrap().starts_with("no connection to 127.0.0.1:"));
    }

    #[tokio::test]
    async fn only_what_was_begun_before_haproxy_was_gone_is_lost_by_the_kill() {
        let at = (std::net::Ipv4Addr::LOCALHOST, roster_testkit::dead_port().unwrap()).into();
        let mut load = Load::start(at);
        load.tally.wait_for(|tally| tally.failed >= 2).await.unwrap();
        load.haproxy_is_killed();
        load.tally.wait_for(|tally| tally.cut >= 2).await.unwrap();
        load.haproxy_is_gone();
        let failed = load.tally().failed;
        load.tally.wait_for(|tally| tally.failed >= failed + 2).await.unwrap();
        let tally = load.end().await;
        assert_eq!((tally.failed + tally.cut, tally.answers.len()), (tally.requests(), 0));
    }
}
