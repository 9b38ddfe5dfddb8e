//! A family of metrics whose members can be told and dropped again.

use std::collections::HashSet;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::TypedMetric;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// A metric for each set of labels. The library's own family cannot say which it has, so that is noted beside it.
#[derive(Debug)]
pub(super) struct Series<L, M> {
    family: Family<L, M, fn() -> M>,
    known: Mutex<HashSet<L>>,
}

impl<L, M> Series<L, M>
where
    L: Clone + Debug + EncodeLabelSet + Eq + Hash + Send + Sync + 'static,
    M: Clone + Debug + EncodeMetric + Send + Sync + TypedMetric + 'static,
{
    pub(super) fn new(make: fn() -> M) -> Self {
        Self { family: Family::new_with_constructor(make), known: Mutex::default() }
    }

    pub(super) fn register(&self, to: &mut Registry, name: &str, help: &str) {
        to.register(name, help, self.family.clone());
    }

    /// The metric with these labels, a new one if there was none.
    pub(super) fn of(&self, labels: L) -> M {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let metric = self.family.get_or_create_owned(&labels);
        known.insert(labels);
        metric
    }

    /// Drops the others.
    pub(super) fn retain(&self, keep: impl Fn(&L) -> bool) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|labels| {
            let stays = keep(labels);
            if !stays {
                self.family.remove(labels);
            }
            stays
        });
    }
}
