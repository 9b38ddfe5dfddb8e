//! Why the instance of a server is not to be there any more.

use std::cell::OnceCell;
use std::collections::HashMap;

use roster_haproxy::address::Endpoint;
use roster_haproxy::name::InstanceId;
use roster_haproxy::observed::ObservedServer;

use super::backend::Inputs;
use super::places::Place;
use crate::applied::{AppliedBackend, AppliedServer, Phase};
use crate::departure::{Departure, Grounds};
use crate::exposure::Names;
use crate::instance::{Instance, Lifecycle};

/// What tells why an instance left its server.
pub(super) struct Departed<'a> {
    inputs: &'a Inputs<'a>,
    /// Whether an operator has released what was held.
    released: bool,
    /// Made once an instance leaves.
    reported: OnceCell<Reported<'a>>,
}

/// What the answer reports.
struct Reported<'a> {
    by_id: HashMap<&'a InstanceId, &'a Instance>,
    by_address: HashMap<Endpoint, &'a Instance>,
}

impl<'a> Departed<'a> {
    pub(super) fn new(inputs: &'a Inputs<'a>, released: bool) -> Self {
        Self { inputs, released, reported: OnceCell::new() }
    }

    /// Why the instance of a place left it, or is to leave it.
    pub(super) fn why(&self, place: &Place<'_>, leaves: bool) -> Departure {
        // Of a server that waits for its replacement something else may be said by now.
        let is_final = |record: &&AppliedServer| {
            record.phase != Phase::Serving
                || matches!(record.left, Some(Departure::TakenOver { .. } | Departure::Released))
        };
        match place.record.filter(is_final).and_then(|record| record.left.as_ref()) {
            Some(known) => known.clone(),
            None if leaves => self.judge(place),
            None => Departure::NotReported,
        }
    }

    fn judge(&self, place: &Place<'_>) -> Departure {
        let record = place.record.filter(|record| record.phase != Phase::Parked);
        let endpoint = record.and_then(|record| record.endpoint);
        let endpoint = endpoint.or_else(|| place.seen.and_then(ObservedServer::endpoint));
        let Reported { by_id, by_address } =
            self.reported.get_or_init(|| Reported::of(self.inputs.instances.iter().copied()));
        let by_id = record.and_then(|record| by_id.get(record.instance.as_ref()?)).copied();
        let by_address = endpoint.and_then(|endpoint| by_address.get(&endpoint)).copied();
        match by_id.or(by_address) {
            Some(instance) => self.though_reported(instance, record, endpoint),
            None => self.not_reported(),
        }
    }

    fn though_reported(
        &self,
        instance: &Instance,
        record: Option<&AppliedServer>,
        endpoint: Option<Endpoint>,
    ) -> Departure {
        let exposure = self.inputs.exposure;
        if instance.lifecycle == Lifecycle::Leaving {
            return Departure::Ending;
        }
        if !exposure.select.takes(instance) {
            return Departure::NotSelected;
        }
        let beside = self.inputs.instances.iter().filter(|other| other.endpoint == instance.endpoint);
        if let Some(holder) = beside.map(|other| &other.id).min().filter(|holder| **holder < instance.id) {
            return Departure::SameAddress { holder: Some(holder.clone()) };
        }
        if endpoint != Some(instance.endpoint) && exposure.names == Names::Address {
            return Departure::Moved;
        }
        let is_same = record.and_then(|record| record.instance.as_ref()) == Some(&instance.id);
        if is_same {
            return Departure::OtherShape;
        }
        Departure::SameAddress { holder: Some(instance.id.clone()) }
    }

    fn not_reported(&self) -> Departure {
        let exposure = self.inputs.exposure;
        if self.released {
            return Departure::Released;
        }
        let had = self.inputs.applied.map(AppliedBackend::service);
        let other = had.filter(|had| had.service != exposure.service.service);
        match (self.inputs.evidence.grounds, other) {
            (_, Some(from)) => Departure::TakenOver { from: from.clone() },
            (Grounds::Removed, None) => Departure::ServiceRemoved,
            (Grounds::Absent, None) => Departure::ServiceAbsent,
            (Grounds::Answer | Grounds::Nothing(_), None) => Departure::NotReported,
        }
    }
}

impl<'a> Reported<'a> {
    fn of(instances: impl Iterator<Item = &'a Instance> + Clone) -> Self {
        Self {
            by_id: instances.clone().map(|instance| (&instance.id, instance)).collect(),
            by_address: instances.map(|instance| (instance.endpoint, instance)).collect(),
        }
    }
}
