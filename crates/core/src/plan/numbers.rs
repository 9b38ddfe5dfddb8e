//! The numbers of the servers that Roster adds.

use std::collections::BTreeSet;

use roster_haproxy::weight::ServerId;

use super::backend::Inputs;
use super::derive::slot_by_name;
use crate::slots::SlotNo;

/// Which numbers of one backend are taken, those of the servers that are being added included.
pub(super) struct Numbers {
    /// How far a server's number is from its slot's.
    offset: i64,
    taken: BTreeSet<ServerId>,
}

impl Numbers {
    pub(super) fn of(inputs: &Inputs<'_>) -> Self {
        let servers = &inputs.seen.servers;
        let mut numbered =
            servers.iter().filter_map(|(name, seen)| Some((slot_by_name(inputs, name)?, seen.id)));
        let offset = numbered.next().map_or(0, |(no, id)| i64::from(id.get()) - i64::from(no.get()));
        Self { offset, taken: servers.values().map(|seen| seen.id).collect() }
    }

    /// A new server's number: as far from its slot's as those of the others are, so that every HAProxy with the same
    /// slots has the same numbers; a free one beyond all where that is taken.
    pub(super) fn take(&mut self, slot: SlotNo) -> ServerId {
        let wanted = u32::try_from(i64::from(slot.get()) + self.offset).ok().and_then(ServerId::new);
        let beyond = || ServerId::new(self.taken.last()?.get().saturating_add(1));
        let id = wanted.filter(|id| !self.taken.contains(id)).or_else(beyond).unwrap_or(ServerId::FIRST);
        self.taken.insert(id);
        id
    }
}
