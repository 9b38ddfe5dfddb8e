//! What becomes of machines whose state Azure does not tell just now: they stay as they were.

use std::collections::HashMap;

use roster_core::fleet::{Machine, unreadable};
use roster_core::instance::Reject;

use super::join::{Found, Gap};
use super::state::Power;

/// A machine that Azure has, but says too little about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unknown {
    /// Its id, as in [`Machine`].
    pub id: String,
    /// Its resource id, in lower case.
    pub resource: String,
    /// What is missing.
    pub reason: String,
    /// Whether it is listed because it was before.
    pub kept: bool,
}

/// The machines that run, or ran when Azure last told.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    pub(crate) machines: Vec<Machine>,
    pub(crate) rejects: Vec<Reject>,
    pub(crate) unknown: Vec<Unknown>,
}

/// Goes by the last machines where this answer says nothing. One that is not found any more is gone, whatever was known.
///
/// A machine whose interface is missing, and that was not among the last ones, is both rejected and unknown: whoever knows it
/// from before a restart need not lose it.
pub(crate) fn settle(found: Vec<Found>, last: &[Machine]) -> Settled {
    let last: HashMap<&str, &Machine> = last.iter().map(|machine| (machine.id.as_str(), machine)).collect();
    let mut settled = Settled::default();
    for Found { id, resource, state, machine } in found {
        let before = last.get(id.as_str()).copied();
        let (place, of) = (resource.to_string(), id.clone());
        let reject = |reason: String| unreadable(&of, place.as_str(), reason);
        let unknown = |reason: String, now: Option<Machine>| {
            let machine = before.map(|before| now.unwrap_or_else(|| before.clone()));
            settled.unknown.push(Unknown {
                id,
                resource: resource.to_string(),
                reason,
                kept: machine.is_some(),
            });
            settled.machines.extend(machine);
        };
        match (state.power, machine) {
            // What ran is made: Azure left something out.
            (Power::BeingMade, machine) if before.is_some() => {
                unknown("its instance view has no power state".to_owned(), machine.ok());
            }
            (Power::Off | Power::BeingMade, _) => {}
            (Power::Running, Ok(machine)) => settled.machines.push(machine),
            // What is known of it now counts; only that it runs is from before.
            (Power::Unknown(reason), machine) => unknown(reason, machine.ok()),
            (Power::Running, Err(Gap::Missing(reason))) => {
                if before.is_none() {
                    settled.rejects.push(reject(reason.clone()));
                }
                unknown(reason, None);
            }
            (Power::Running, Err(Gap::Unusable(reason))) => settled.rejects.push(reject(reason)),
        }
    }
    settled
}
