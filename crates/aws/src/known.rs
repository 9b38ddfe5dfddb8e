//! What was known of machines before a listing.

use std::collections::{HashMap, HashSet};

use roster_core::instance::{Health, Instance, Lifecycle, Snapshot};

/// The instances that were known, and the machines that were left out, by id.
#[derive(Debug, Default)]
pub(crate) struct Known<'a> {
    instances: HashMap<&'a str, &'a Instance>,
    left_out: HashSet<&'a str>,
}

impl<'a> Known<'a> {
    pub(crate) fn of(snapshot: Option<&'a Snapshot>) -> Self {
        let Some(snapshot) = snapshot else { return Self::default() };
        let instances = snapshot.services.values().flatten();
        Self {
            instances: instances.map(|instance| (instance.id.as_str(), instance)).collect(),
            left_out: snapshot.rejects.iter().map(|reject| reject.place.as_str()).collect(),
        }
    }

    pub(crate) fn has(&self, id: &str) -> bool {
        self.instances.contains_key(id)
    }

    /// Whether the last answer left the machine out.
    pub(crate) fn left_out(&self, id: &str) -> bool {
        self.left_out.contains(id) && !self.has(id)
    }

    /// Whether a group said of it how it is.
    pub(crate) fn is_by_group(&self, id: &str) -> bool {
        self.instances.get(id).is_some_and(|instance| {
            instance.health != Health::Unknown || instance.lifecycle == Lifecycle::Leaving
        })
    }

    /// Those that were in a group.
    pub(crate) fn in_groups(&self) -> impl Iterator<Item = &'a str> {
        self.instances.iter().filter(|(_, instance)| instance.group.is_some()).map(|(id, _)| *id)
    }
}
