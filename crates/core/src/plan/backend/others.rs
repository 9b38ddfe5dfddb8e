//! What a backend has besides its slots: servers that are not Roster's, and limits that an operator should know.

use std::collections::BTreeMap;

use roster_haproxy::name::ServerName;
use roster_haproxy::observed::{FixedAddress, ObservedBackend};

use super::seats::grows;
use super::{COOKIE_LIVE, Desk, Inputs};
use crate::departure::{Departure, Grounds};
use crate::exposure::{BringUp, Names, Own};
use crate::guard::GuardRecord;
use crate::plan::additions::{has_cookie, lacks_tls};
use crate::plan::beside::beside;
use crate::plan::derive::{records, slot_by_name};
use crate::plan::note::Note;
use crate::plan::server::{Goal, steps};
use crate::plan::standing::standing;
use crate::plan::types::{Standing, Status};
use crate::slots::SlotTable;

impl Desk<'_> {
    /// What cannot be done live here, told before it is needed.
    pub(super) fn tell_what_cannot_be(&mut self, table: &SlotTable) {
        let ObservedBackend { limits, servers, .. } = self.inputs.seen;
        let policy = &self.inputs.exposure.policy;
        if !limits.dynamic {
            let (algorithm, slots) = (limits.algorithm.clone(), table.rows.len());
            self.plan.notes.push(Note::Static { algorithm, slots });
        }
        let unchecked = beside(servers, &self.plan.applied.servers)
            .filter(|(_, server, record)| !server.check.configured && record.is_some());
        let slots = unchecked.count();
        if policy.bring_up == Some(BringUp::Check) && slots > 0 {
            self.plan.notes.push(Note::NoCheck { slots });
        }
        self.plan.notes.extend(left_alone(self.inputs));
        if limits.grows && lacks_tls(self.inputs) {
            self.plan.notes.push(Note::NoTls);
        }
        if let Some(until) = self.waiting.until {
            let servers = self.waiting.servers.iter().cloned().collect();
            self.plan.wake = Some(self.plan.wake.map_or(until, |wake| wake.min(until)));
            self.plan.notes.push(Note::ReplacementsAwaited { servers, until });
        }
        // Where none is added live, the file gets them, with their cookies.
        if (policy.cookie || has_cookie(self.inputs)) && grows(self.inputs) && limits.version < COOKIE_LIVE {
            self.plan.notes.push(Note::NoCookie { version: limits.version.to_string() });
        }
    }

    /// Whether servers that are none of the slots are to leave: all of the backend is Roster's, and nothing is held. An answer
    /// that has no instance for the backend takes none of them out.
    fn clears_others(&self, table: &SlotTable) -> bool {
        let GuardRecord { hold, released, .. } = &self.plan.applied.guard;
        let may = match self.inputs.evidence.grounds {
            _ if *released => true,
            Grounds::Removed => true,
            Grounds::Answer => hold.is_none() && table.held() > 0,
            Grounds::Absent | Grounds::Nothing(_) => false,
        };
        may && self.inputs.exposure.own == Own::Whole
    }

    /// Servers that are not Roster's: shown, and left alone, unless the whole backend is.
    pub(super) fn see_to_the_others(&mut self, table: &SlotTable) {
        let mut placed: BTreeMap<_, _> = std::mem::take(&mut self.standings).into_iter().collect();
        let servers = beside(&self.inputs.seen.servers, &placed);
        let cap = self.inputs.exposure.policy.drain.cap;
        let clears = self.clears_others(table);
        for (name, seen, _) in servers.filter(|(_, _, placed)| placed.is_none()) {
            let record = records(self.inputs).get(name);
            let is_rosters = match seen.fixed_address() {
                Some(FixedAddress::Host(_)) => false,
                Some(FixedAddress::NotIp) => clears,
                // What has begun goes on.
                None => clears || record.is_some(),
            };
            let standing = if is_rosters {
                let goal = Goal::Park { why: &Departure::NoSlot };
                let steps = steps(&self.scene(name, record, None), goal, seen, record);
                let standing = standing(&steps, Some(seen), None, record, cap);
                self.take(name, steps, Some(seen), record);
                standing
            } else {
                Standing {
                    status: Status::Foreign,
                    instance: None,
                    endpoint: seen.endpoint(),
                    since: None,
                    left: None,
                }
            };
            self.plan.standings.insert(name.clone(), standing);
        }
        self.plan.standings.append(&mut placed);
        let Names::Slot(names) = &self.inputs.exposure.names else { return };
        let ours = self.inputs.seen.servers.keys().any(|name| names.slot(name).is_some());
        if !ours && !self.inputs.seen.servers.is_empty() && !table.rows.is_empty() {
            let there = self.inputs.seen.servers.keys().take(3).cloned().collect();
            self.plan.notes.push(Note::NoSlots { names: names.to_string(), there });
        }
    }
}

/// The servers that are called as slots are and are none, a few by name.
fn left_alone(inputs: &Inputs<'_>) -> impl Iterator<Item = Note> {
    let mut by_host: BTreeMap<Option<&str>, Vec<&ServerName>> = BTreeMap::new();
    let named = inputs.seen.servers.iter().filter(|(name, _)| slot_by_name(inputs, name).is_some());
    for (name, seen) in named {
        match seen.fixed_address() {
            Some(FixedAddress::Host(host)) => by_host.entry(Some(host)).or_default().push(name),
            Some(FixedAddress::NotIp) => by_host.entry(None).or_default().push(name),
            None => {}
        }
    }
    by_host.into_iter().map(|(host, names)| Note::FixedAddress {
        count: names.len(),
        servers: names.into_iter().take(3).cloned().collect(),
        host: host.map(str::to_owned),
    })
}
