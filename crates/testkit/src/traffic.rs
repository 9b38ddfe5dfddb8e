//! A bounded load on a frontend that counts what a user would notice.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::http::{Connection, HttpError, HttpReply};

/// A load that nobody stops ends by itself.
const LONGEST: Duration = Duration::from_mins(2);

/// What to send, and how hard.
#[derive(Clone, Debug)]
pub struct TrafficBuilder {
    addr: SocketAddr,
    path: String,
    workers: usize,
    keep_alive: bool,
    pause: Duration,
    timeout: Duration,
}

/// A running load. Dropping it ends it.
#[derive(Debug)]
pub struct TrafficLoad {
    totals: Arc<Mutex<Totals>>,
    stopping: Arc<AtomicBool>,
    workers: Vec<JoinHandle<()>>,
}

/// What became of the requests.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Totals {
    /// Replies of status 200.
    pub ok: u64,
    /// Replies of other statuses.
    pub other_status: BTreeMap<u16, u64>,
    /// Connections refused.
    pub refused: u64,
    /// Connections reset, or closed within a reply.
    pub reset: u64,
    /// No connection or reply in time.
    pub timed_out: u64,
    /// Anything else that failed.
    pub other: u64,
    /// Kept-alive connections that were closed between two requests. The request went out again on a new connection,
    /// as every HTTP client does it, so this is no failure.
    pub reopened: u64,
    /// Replies of status 200 for each backend's name.
    pub by_backend: BTreeMap<String, u64>,
}

impl Totals {
    /// Requests that a user would have seen fail.
    pub fn failed(&self) -> u64 {
        self.refused + self.reset + self.timed_out + self.other + self.other_status.values().sum::<u64>()
    }

    /// Replies of status 200 from this backend.
    pub fn from_backend(&self, name: &str) -> u64 {
        self.by_backend.get(name).copied().unwrap_or_default()
    }

    fn count(&mut self, outcome: Result<HttpReply, HttpError>) {
        match outcome {
            Ok(HttpReply { status: 200, backend, .. }) => {
                self.ok += 1;
                *self.by_backend.entry(backend.unwrap_or_default()).or_default() += 1;
            }
            Ok(HttpReply { status, .. }) => *self.other_status.entry(status).or_default() += 1,
            Err(HttpError::Refused) => self.refused += 1,
            Err(HttpError::Reset | HttpError::Closed) => self.reset += 1,
            Err(HttpError::TimedOut) => self.timed_out += 1,
            Err(HttpError::Malformed(_) | HttpError::Io(_)) => self.other += 1,
        }
    }
}

impl TrafficLoad {
    /// A load of two workers, each with a fresh connection for every request and 2 ms between them.
    pub fn builder(addr: SocketAddr) -> TrafficBuilder {
        TrafficBuilder {
            addr,
            path: "/".to_owned(),
            workers: 2,
            keep_alive: false,
            pause: Duration::from_millis(2),
            timeout: Duration::from_secs(10),
        }
    }

    /// The totals so far.
    pub fn totals(&self) -> Totals {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets the requests under way finish and returns the totals.
    pub fn stop(mut self) -> Totals {
        self.end();
        self.totals()
    }

    fn end(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        for worker in self.workers.drain(..) {
            worker.join().ok();
        }
    }
}

impl Drop for TrafficLoad {
    fn drop(&mut self) {
        self.end();
    }
}

impl TrafficBuilder {
    /// How many requests may be under way at once.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Each worker keeps its connection from one request to the next.
    #[must_use]
    pub fn keep_alive(mut self) -> Self {
        self.keep_alive = true;
        self
    }

    /// The path to ask for.
    #[must_use]
    pub fn path(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }

    /// The time between a worker's requests.
    #[must_use]
    pub fn pause(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// How long a request may take before it counts as timed out.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Begins to send.
    pub fn start(self) -> TrafficLoad {
        let totals = Arc::new(Mutex::new(Totals::default()));
        let stopping = Arc::new(AtomicBool::new(false));
        let workers = (0..self.workers)
            .map(|_| {
                let (plan, totals, stopping) = (self.clone(), Arc::clone(&totals), Arc::clone(&stopping));
                std::thread::spawn(move || plan.work(&totals, &stopping))
            })
            .collect();
        TrafficLoad { totals, stopping, workers }
    }

    fn work(&self, totals: &Mutex<Totals>, stopping: &AtomicBool) {
        let started = Instant::now();
        let mut kept = None;
        while !stopping.load(Ordering::SeqCst) && started.elapsed() < LONGEST {
            let mut outcome = self.request(&mut kept);
            let reopened = matches!(outcome, Err(HttpError::Closed));
            if reopened {
                outcome = self.request(&mut kept);
            }
            let mut totals = totals.lock().unwrap_or_else(PoisonError::into_inner);
            totals.reopened += u64::from(reopened);
            totals.count(outcome);
            drop(totals);
            // This is the load's rate, not a wait for something to happen.
            std::thread::sleep(self.pause);
        }
    }

    fn request(&self, kept: &mut Option<Connection>) -> Result<HttpReply, HttpError> {
        let mut connection = match kept.take() {
            Some(connection) => connection,
            None => Connection::open(self.addr, self.timeout)?,
        };
        let reply = connection.get(&self.path, self.keep_alive)?;
        if self.keep_alive && reply.keeps_open {
            *kept = Some(connection);
        }
        Ok(reply)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::HttpBackend;
    use crate::ports::dead_port;
    use crate::wait::{Poll, wait_until_or_fail};

    const CAP: Duration = Duration::from_secs(10);

    fn totals_when(load: &TrafficLoad, what: &str, met: impl Fn(&Totals) -> bool) {
        wait_until_or_fail(CAP, what, || Poll::when(load.totals(), &met));
    }

    #[test]
    fn replies_are_counted_by_backend_and_status() {
        let backend = HttpBackend::start("blue").unwrap();
        let load = TrafficLoad::builder(backend.addr()).start();
        totals_when(&load, "ten good replies", |totals| totals.from_backend("blue") >= 10);
        backend.set_status(500);
        totals_when(&load, "ten bad replies", |totals| totals.other_status.get(&500) >= Some(&10));
        let totals = load.stop();
        assert_eq!(totals.ok + totals.failed(), backend.requests());
        assert_eq!(totals.failed(), totals.other_status[&500], "{totals:?}");
    }

    #[test]
    fn refused_connections_are_told_from_slow_replies() {
        let load = TrafficLoad::builder(([127, 0, 0, 1], dead_port().unwrap()).into()).start();
        totals_when(&load, "refused connections", |totals| totals.refused >= 3);
        let totals = load.stop();
        assert_eq!(totals.failed(), totals.refused, "{totals:?}");

        let slow = HttpBackend::start("slow").unwrap();
        slow.set_delay(CAP);
        let load = TrafficLoad::builder(slow.addr()).timeout(Duration::from_millis(50)).start();
        totals_when(&load, "timeouts", |totals| totals.timed_out >= 2);
        let totals = load.stop();
        assert_eq!(totals.failed(), totals.timed_out, "{totals:?}");
    }

    #[test]
    fn a_kept_connection_that_is_closed_is_opened_again_and_is_no_failure() {
        let mut backend = HttpBackend::start("b").unwrap();
        let load = TrafficLoad::builder(backend.addr()).keep_alive().workers(1).start();
        totals_when(&load, "replies", |totals| totals.ok >= 3);
        assert_eq!(backend.connections(), 1);
        backend.stop();
        totals_when(&load, "a reopened connection", |totals| totals.reopened == 1);
    }
}
