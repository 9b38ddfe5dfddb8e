//! The agenda of one target: every backend that Roster has something to do with, and what should be there.
//!
//! It is made anew from the catalog whenever a source answers. A backend in which a record tells of servers is on it until
//! those are parked, whatever became of its service, its rule or its source: [`Grounds`] says what may take them out.

mod claim;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use roster_haproxy::name::{BackendName, InstanceId, ServiceKey, TargetName};
use roster_haproxy::observed::ObservedBackend;

use self::claim::Claims;
use crate::applied::{Applied, AppliedBackend, AppliedServer, Phase};
use crate::catalog::Catalog;
use crate::departure::{Grounds, Kept};
use crate::expose::{Held, Offer, ServiceView, Unexposed, offers};
use crate::exposure::{Exposure, Rule};
use crate::found::{Found, vanished};
use crate::guard::Evidence;
use crate::instance::{Instance, Snapshot, Unread};
use crate::plan::{BackendPlan, Compaction, Inputs, Note, ProbeResults, compact, plan_backend};
use crate::refusals::Refusals;

/// Everything that is to be done on one target.
#[derive(Clone, Debug, Default)]
pub struct Agenda {
    /// Each backend and what should be there.
    pub items: BTreeMap<BackendName, Item>,
    /// What was left out.
    pub unexposed: Vec<Unexposed>,
}

/// One backend and what should be there.
#[derive(Clone, Debug)]
pub struct Item {
    /// How.
    pub exposure: Arc<Exposure>,
    /// What may take its servers out.
    pub grounds: Grounds,
    /// The answer that it comes from; none where no source tells of the service.
    answer: Option<Arc<Snapshot>>,
    /// Whether the source answers now.
    current: bool,
    /// Which instances of the service belong to the backend.
    members: Members,
    /// What an operator should know.
    notes: Vec<Note>,
    /// Whether the backend stays on the agenda when no server is left in it.
    wanted: bool,
    /// When the answer was taken, or the service was found gone.
    taken: Timestamp,
}

/// Which instances of its service belong to a backend.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Members {
    /// All of them.
    All,
    /// All but these, which make another backend's name.
    AllBut(BTreeSet<InstanceId>),
    /// None: the backend is there for the servers that it has.
    None,
}

/// What planning needs besides the agenda.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// What HAProxy shows of the backend.
    pub seen: &'a ObservedBackend,
    /// What was last written there.
    pub applied: Option<&'a AppliedBackend>,
    /// Whether that was written to the process that was observed.
    pub same_process: bool,
    /// Which servers Roster has reached.
    pub probes: &'a ProbeResults,
    /// What HAProxy refused lately.
    pub refusals: &'a Refusals,
    /// The time.
    pub now: Timestamp,
}

impl Agenda {
    /// Draws up the agenda. `found` is what HAProxy's file has, where it can be read.
    pub fn new(
        catalog: &Catalog,
        rules: &[Rule],
        target: &TargetName,
        applied: &Applied,
        found: &[Found],
        now: Timestamp,
    ) -> Self {
        let services: Vec<(ServiceKey, &[Instance])> = catalog.services().collect();
        let views: Vec<ServiceView<'_>> = services
            .iter()
            .map(|(key, instances)| ServiceView { key, instances, definition: catalog.definition(key) })
            .collect();
        let (offers, unexposed) = offers(rules, target, &views, &Held::of(applied));
        let claims = Claims { catalog, rules, target, applied, found, now };
        let mut agenda = claims.settle(offers);
        agenda.unexposed.splice(0..0, unexposed);
        let unknown = found.iter().filter(|found| !agenda.items.contains_key(&found.backend));
        for exposure in vanished(unknown, catalog, rules, target) {
            agenda.items.insert(exposure.backend.clone(), Item::vanished(exposure, catalog, now));
        }
        agenda
    }

    /// The backends that another agenda has something new for.
    pub fn changed<'a>(&'a self, before: &'a Agenda) -> impl Iterator<Item = &'a BackendName> {
        let differs = |backend: &BackendName, item: &Item| {
            before.items.get(backend).is_none_or(|old| !old.is_like(item))
        };
        self.items.iter().filter(move |(backend, item)| differs(backend, item)).map(|(backend, _)| backend)
    }
}

impl Item {
    /// A service that a rule leads to the backend.
    fn offered(offer: Offer, catalog: &Catalog, now: Timestamp) -> Self {
        let Offer { exposure, kept, others } = offer;
        let mut notes: Vec<Note> = kept.iter().map(|why| Note::NamedByRecord { why: why.cause() }).collect();
        if let Some((first, belongs_to)) = others.first_key_value() {
            let (first, belongs_to) = (first.clone(), belongs_to.clone());
            notes.push(Note::BelongsElsewhere { instances: others.len(), first, belongs_to });
        }
        let grounds = if catalog.heard(&exposure.service.source).is_some() {
            Grounds::Answer
        } else {
            Grounds::Nothing(Kept::NotHeard { source: exposure.service.source.clone() })
        };
        let mut item = Self::of(Arc::new(exposure), grounds, catalog, now);
        (item.wanted, item.notes) = (true, notes);
        if !others.is_empty() {
            item.members = Members::AllBut(others.into_keys().collect());
        }
        if item.belongs_nowhere() {
            let service = item.exposure.service.clone();
            item.grounds = Grounds::Nothing(Kept::NoName { service });
        }
        item
    }

    /// A backend of HAProxy's file whose service no answer has.
    fn vanished(exposure: Exposure, catalog: &Catalog, now: Timestamp) -> Self {
        Self { wanted: true, ..Self::of(Arc::new(exposure), Grounds::Absent, catalog, now) }
    }

    fn of(exposure: Arc<Exposure>, grounds: Grounds, catalog: &Catalog, now: Timestamp) -> Self {
        let source = &exposure.service.source;
        let answer = catalog.snapshot(source).cloned();
        let current = catalog.answers(source);
        let taken = answer.as_ref().map_or(now, |answer| answer.taken);
        let (members, notes) = (Members::All, Vec::new());
        Self { exposure, grounds, answer, current, members, notes, wanted: false, taken }
    }

    /// Whether the service has instances, and none of them belongs to this backend or has one other backend with all the rest.
    fn belongs_nowhere(&self) -> bool {
        matches!(self.members, Members::AllBut(_)) && self.instances().next().is_none()
    }

    /// The instances that the service has for this backend.
    pub fn instances(&self) -> impl Iterator<Item = &Instance> {
        self.reported().filter(|one| match &self.members {
            Members::All => true,
            Members::AllBut(others) => !others.contains(&one.id),
            Members::None => false,
        })
    }

    fn reported(&self) -> std::slice::Iter<'_, Instance> {
        let service = &self.exposure.service.service;
        let reported = self.answer.as_ref().and_then(|answer| answer.services.get(service));
        reported.map_or(&[][..], |members| members.as_slice()).iter()
    }

    /// The entries of the answer that cannot be read and may be instances of the service.
    fn unread(&self) -> impl Iterator<Item = &Unread> {
        let service = &self.exposure.service.service;
        self.answer.iter().flat_map(move |answer| answer.unread(service))
    }

    /// Whether a rule wants the backend. Else it is forgotten once no server is left in it.
    pub fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// Whether there is nothing more to keep once HAProxy has no such backend: no rule wants it, and no source that has yet to
    /// answer may.
    pub fn ends_with_backend(&self) -> bool {
        !self.wanted && !matches!(&self.grounds, Grounds::Nothing(kept) if kept.is_passing())
    }

    /// Whether another agenda would be drawn up by these records: the backend that this one waits for takes traffic, or no
    /// instance is left in one that no rule wants.
    pub fn is_overtaken(&self, applied: &Applied) -> bool {
        if let Grounds::Nothing(Kept::NotServedYet { service, by }) = &self.grounds {
            return serves(applied, by, service);
        }
        let record = applied.backends.get(&self.exposure.backend);
        let has_ended =
            record.is_none() || (!self.exposure.routes.is_empty() && !record.is_some_and(is_held));
        !self.wanted && has_ended
    }

    /// When the answer was taken that it comes from.
    pub fn taken(&self) -> Timestamp {
        self.taken
    }

    fn is_like(&self, other: &Item) -> bool {
        self.exposure == other.exposure
            && self.grounds == other.grounds
            && self.wanted == other.wanted
            && self.members == other.members
            && self.notes == other.notes
            && (self.has_answer_of(other) || self.is_told_like(other))
    }

    /// Whether both come from one and the same answer: that of a source that has not answered in between.
    fn has_answer_of(&self, other: &Item) -> bool {
        matches!((&self.answer, &other.answer), (Some(one), Some(another)) if Arc::ptr_eq(one, another))
    }

    fn is_told_like(&self, other: &Item) -> bool {
        self.reported().eq(other.reported()) && self.unread().eq(other.unread())
    }

    /// Plans the backend.
    pub fn plan(&self, moment: &Moment<'_>) -> BackendPlan {
        let mut plan = self.with(moment, plan_backend);
        plan.notes.extend(self.notes.iter().cloned());
        plan
    }

    /// Finds the slots that an operator may have removed. `plan` is the one of the same moment.
    pub fn compact(&self, moment: &Moment<'_>, plan: &BackendPlan) -> Compaction {
        self.with(moment, |inputs| compact(inputs, plan))
    }

    fn with<T>(&self, moment: &Moment<'_>, make: impl FnOnce(&Inputs<'_>) -> T) -> T {
        let instances: Vec<&Instance> = self.instances().collect();
        let unread: Vec<&Unread> = self.unread().collect();
        make(&Inputs {
            exposure: &self.exposure,
            instances: &instances,
            evidence: Evidence {
                grounds: &self.grounds,
                answer: self.taken,
                current: self.current,
                reported: &instances,
                unread: &unread,
            },
            seen: moment.seen,
            applied: moment.applied,
            same_process: moment.same_process,
            probes: moment.probes,
            refusals: moment.refusals,
            now: moment.now,
        })
    }
}

/// Whether an instance has a server in the backend.
fn is_held(record: &AppliedBackend) -> bool {
    record.servers.values().any(AppliedServer::is_held)
}

/// Whether a service takes traffic in a backend.
fn serves(applied: &Applied, backend: &BackendName, service: &ServiceKey) -> bool {
    let record = applied.backends.get(backend).filter(|record| record.service() == service);
    // What was only written is not a fact yet.
    let is_up = |server: &AppliedServer| server.phase == Phase::Serving && server.confirmed;
    record.is_some_and(|record| record.servers.values().any(is_up))
}

#[cfg(test)]
mod history;
#[cfg(test)]
mod tests;
