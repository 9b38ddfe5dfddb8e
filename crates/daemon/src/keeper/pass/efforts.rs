//! What HAProxy took in one pass, until it shows that.
//!
//! Invariant: a change that HAProxy took, and that is planned again and again, is futile from its third plan on. So HAProxy
//! is not told the same thing without end.

use std::collections::BTreeMap;

use roster_core::plan::{BackendPlan, Operation};
use roster_haproxy::name::{BackendName, ServerName};

/// How often a change is made before it counts as futile.
const TRIES: u32 = 2;

/// The changes that HAProxy took and has not been seen to show.
#[derive(Debug, Default)]
pub(super) struct Efforts(BTreeMap<(BackendName, ServerName, &'static str), (Operation, u32)>);

/// What became of them.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// HAProxy shows these.
    pub shown: Vec<Operation>,
    /// HAProxy took these, and shows no effect.
    pub futile: Vec<Operation>,
}

impl Efforts {
    /// HAProxy took a change.
    pub(super) fn took(&mut self, operation: &Operation) {
        let Operation { backend, server, change, .. } = operation;
        let key = (backend.clone(), server.clone(), change.word());
        let before = self.0.get(&key).filter(|(before, _)| before.change == *change);
        let times = before.map_or(1, |(_, times)| times + 1);
        self.0.insert(key, (operation.clone(), times));
    }

    /// Compares with what is planned now.
    pub(super) fn judge(&mut self, plans: &BTreeMap<BackendName, BackendPlan>) -> Outcome {
        let mut outcome = Outcome::default();
        if self.0.is_empty() {
            return outcome;
        }
        let operations = plans.values().flat_map(|plan| &plan.operations);
        let planned: BTreeMap<(&BackendName, &ServerName, &str), &Operation> = operations
            .map(|planned| ((&planned.backend, &planned.server, planned.change.word()), planned))
            .collect();
        self.0.retain(|(backend, server, word), (operation, times)| {
            let again = planned.get(&(backend, server, *word));
            let is_again = again.is_some_and(|planned| planned.change == operation.change);
            if !is_again {
                outcome.shown.push(operation.clone());
            } else if *times >= TRIES {
                outcome.futile.push(operation.clone());
            }
            is_again && *times < TRIES
        });
        outcome
    }
}
