//! Reaching the instances that wait for it, each in a task of its own.

use std::collections::BTreeMap;

use jiff::Timestamp;
use roster_core::plan::{ProbeOrder, ProbeResults};
use roster_core::times::Times;
use roster_haproxy::address::Endpoint;
use roster_haproxy::name::{BackendName, ServerName};
use roster_targets::probe::{ProbeError, reach};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use crate::clock;

/// How many failures may wait to be told; a task that has one more to tell waits.
const WAITING: usize = 64;

/// A server of a backend.
pub(super) type Place = (BackendName, ServerName);

/// An instance that was not reached yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Unreached {
    /// Why the last attempt failed.
    pub(crate) error: String,
    /// When the first one did.
    pub(crate) since: Timestamp,
    /// When the next one begins.
    pub(crate) next: Timestamp,
}

impl Times for Unreached {
    fn each_time(&mut self, with: &mut dyn FnMut(&mut Timestamp)) {
        let Self { since, next, error: _ } = self;
        with(since);
        with(next);
    }
}

/// What came of an attempt.
#[derive(Debug)]
pub(crate) enum Probed {
    /// An instance of this backend was reached.
    Reached(BackendName),
    /// This one was not, once more.
    Unreached(Place),
}

/// The probes of one target. Dropping it ends them all.
#[derive(Debug)]
pub(crate) struct Probes {
    running: JoinSet<(Place, Endpoint)>,
    wanted: BTreeMap<Place, (Endpoint, AbortHandle)>,
    /// Who was reached, and where.
    pub(crate) results: ProbeResults,
    /// Who was not.
    unreached: BTreeMap<Place, Unreached>,
    tell: mpsc::Sender<Failure>,
    failures: mpsc::Receiver<Failure>,
}

#[derive(Debug)]
struct Failure {
    place: Place,
    endpoint: Endpoint,
    error: ProbeError,
    at: Timestamp,
    next: Timestamp,
}

impl Default for Probes {
    fn default() -> Self {
        let (tell, failures) = mpsc::channel(WAITING);
        Self {
            running: JoinSet::new(),
            wanted: BTreeMap::new(),
            results: ProbeResults::new(),
            unreached: BTreeMap::new(),
            tell,
            failures,
        }
    }
}

impl Probes {
    /// Starts what is newly ordered for these backends and ends what no longer is.
    pub(crate) fn set(&mut self, backends: impl Fn(&BackendName) -> bool, orders: Vec<ProbeOrder>) {
        let mut ordered: BTreeMap<Place, ProbeOrder> =
            orders.into_iter().map(|order| ((order.backend.clone(), order.server.clone()), order)).collect();
        self.results.retain(|place, _| !backends(&place.0) || ordered.contains_key(place));
        self.wanted.retain(|place, (endpoint, handle)| {
            let stays =
                !backends(&place.0) || ordered.get(place).is_some_and(|order| order.endpoint == *endpoint);
            if stays {
                ordered.remove(place);
            } else {
                handle.abort();
                self.unreached.remove(place);
            }
            stays
        });
        for (place, order) in ordered {
            let endpoint = order.endpoint;
            let handle = self.running.spawn(until_reached(order, self.tell.clone()));
            self.wanted.insert(place, (endpoint, handle));
        }
    }

    /// Waits until somebody was reached, or was not. Never ends while nobody is waited for.
    pub(crate) async fn next(&mut self) -> Probed {
        loop {
            tokio::select! {
                Some(ended) = self.running.join_next() => {
                    // One that was called off ends too.
                    let Ok((place, endpoint)) = ended else { continue };
                    self.wanted.remove(&place);
                    self.unreached.remove(&place);
                    let backend = place.0.clone();
                    self.results.insert(place, endpoint);
                    return Probed::Reached(backend);
                }
                Some(failure) = self.failures.recv() => {
                    if let Some(place) = self.failed(failure) {
                        return Probed::Unreached(place);
                    }
                }
            }
        }
    }

    /// Why the instances of servers were not reached.
    pub(super) fn unreached(&self) -> &BTreeMap<Place, Unreached> {
        &self.unreached
    }

    /// Takes in a failure, unless it is of an attempt that was called off.
    fn failed(&mut self, failure: Failure) -> Option<Place> {
        let Failure { place, endpoint, error, at, next } = failure;
        self.wanted.get(&place).filter(|(wanted, _)| *wanted == endpoint)?;
        let since = self.unreached.get(&place).map_or(at, |before| before.since);
        self.unreached.insert(place.clone(), Unreached { error: error.to_string(), since, next });
        Some(place)
    }
}

async fn until_reached(order: ProbeOrder, tell: mpsc::Sender<Failure>) -> (Place, Endpoint) {
    let place = (order.backend, order.server);
    while let Err(error) = reach(order.endpoint, &order.probe).await {
        let at = clock::now();
        let next = clock::after(at, order.probe.interval);
        // Nobody is told once the keeper ends, and then this ends too.
        tell.send(Failure { place: place.clone(), endpoint: order.endpoint, error, at, next }).await.ok();
        tokio::time::sleep(order.probe.interval).await;
    }
    (place, order.endpoint)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::Duration;

    use roster_core::exposure::Probe;

    use super::*;

    fn order(endpoint: Endpoint) -> ProbeOrder {
        let probe = Probe { interval: Duration::from_millis(5), ..Probe::default() };
        ProbeOrder { backend: "web".parse().unwrap(), server: "srv1".parse().unwrap(), endpoint, probe }
    }

    #[tokio::test]
    async fn why_an_instance_is_not_reached_is_known_until_it_is() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        drop(listener);
        let (mut probes, order) = (Probes::default(), order(at.to_string().parse().unwrap()));
        let place = (order.backend.clone(), order.server.clone());
        probes.set(|_| true, vec![order.clone()]);
        let mut first = None;
        for _ in 0..3 {
            assert!(matches!(probes.next().await, Probed::Unreached(told) if told == place));
            let unreached = probes.unreached()[&place].clone();
            assert_eq!(unreached.error, "connection refused");
            assert!(unreached.next > unreached.since);
            let first = first.get_or_insert(unreached.since);
            assert_eq!(*first, unreached.since, "since when it is so has moved");
        }
        let _listener = TcpListener::bind(at).unwrap();
        while !matches!(probes.next().await, Probed::Reached(_)) {}
        assert!(probes.unreached().is_empty());
    }

    #[tokio::test]
    async fn what_is_no_longer_wanted_is_not_told_of() {
        let (mut probes, order) = (Probes::default(), order("127.0.0.1:1".parse().unwrap()));
        probes.set(|_| true, vec![order.clone()]);
        probes.next().await;
        probes.set(|_| true, Vec::new());
        assert!(probes.unreached().is_empty());
        let told = tokio::time::timeout(Duration::from_millis(50), probes.next()).await;
        assert!(told.is_err(), "{told:?}");
    }
}
