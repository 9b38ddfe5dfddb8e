//! Reaching the instances that wait for it, each in a task of its own.

use std::collections::BTreeMap;

use roster_core::address::Endpoint;
use roster_core::name::{BackendName, ServerName};
use roster_core::plan::{ProbeOrder, ProbeResults};
use roster_targets::probe::reach;
use tokio::task::{AbortHandle, JoinSet};

type Place = (BackendName, ServerName);

/// The probes of one target. Dropping it ends them all.
#[derive(Debug, Default)]
pub(crate) struct Probes {
    running: JoinSet<(Place, Endpoint)>,
    wanted: BTreeMap<Place, (Endpoint, AbortHandle)>,
    /// Who was reached, and where.
    pub(crate) results: ProbeResults,
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
            }
            stays
        });
        for (place, order) in ordered {
            let endpoint = order.endpoint;
            let handle = self.running.spawn(until_reached(order));
            self.wanted.insert(place, (endpoint, handle));
        }
    }

    /// Waits until somebody was reached, and says in which backend. Never ends while nobody is waited for.
    pub(crate) async fn next(&mut self) -> BackendName {
        loop {
            match self.running.join_next().await {
                Some(Ok((place, endpoint))) => {
                    self.wanted.remove(&place);
                    let backend = place.0.clone();
                    self.results.insert(place, endpoint);
                    return backend;
                }
                Some(Err(_ended)) => {}
                None => std::future::pending().await,
            }
        }
    }
}

async fn until_reached(order: ProbeOrder) -> (Place, Endpoint) {
    while !reach(order.endpoint, &order.probe).await {
        tokio::time::sleep(order.probe.interval).await;
    }
    ((order.backend, order.server), order.endpoint)
}
