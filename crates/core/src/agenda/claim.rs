//! Which service has a backend, where several services want it or none does any more.
//!
//! The service that has a backend keeps it while it has instances: by the record, else by the mark in HAProxy's file, never by the
//! order of names. A service without instances keeps none out that has some. What takes a backend over takes its record
//! over too, so that the guards judge what leaves for it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use roster_haproxy::name::{BackendName, ServiceKey, TargetName};

use super::{Agenda, Item, Members, is_held, serves};
use crate::applied::{Applied, AppliedBackend};
use crate::catalog::Catalog;
use crate::departure::{Grounds, Kept};
use crate::expose::{Offer, ServiceView, Unexposed, on_backend};
use crate::exposure::{Role, Rule};
use crate::fleet;
use crate::found::Found;
use crate::instance::{Likeness, Unread};
use crate::pattern::Pattern;
use crate::plan::Note;
use crate::select::wanted;

/// Everything that decides which service has a backend.
pub(super) struct Claims<'a> {
    pub catalog: &'a Catalog,
    pub rules: &'a [Rule],
    pub target: &'a TargetName,
    pub applied: &'a Applied,
    pub found: &'a [Found],
    pub now: Timestamp,
}

/// Which service has a backend.
enum Winner {
    /// The offer at this place.
    Offer(usize),
    /// The service of the record, though no rule offers it there.
    Record(Grounds),
    /// A service whose source has not answered yet.
    Unheard(ServiceKey),
    /// That cannot be known.
    Unknown,
}

/// Where the rules lead services now that have servers in a backend which no rule offers them, and by which pattern.
type Elsewhere = BTreeMap<(ServiceKey, Role), Vec<(Option<Pattern>, BackendName)>>;

impl Claims<'_> {
    /// Gives each backend to one service.
    pub(super) fn settle(&self, offers: Vec<Offer>) -> Agenda {
        let mut claims: BTreeMap<BackendName, Vec<Offer>> = BTreeMap::new();
        for offer in offers {
            claims.entry(offer.exposure.backend.clone()).or_default().push(offer);
        }
        let elsewhere = self.elsewhere(&claims);
        let mut agenda = Agenda::default();
        for (backend, record) in self.held() {
            let offers = claims.remove(backend).unwrap_or_default();
            let winner = self.by_record(record, &offers, &elsewhere);
            self.give(&mut agenda, backend, winner, offers, Some(record));
        }
        let marked = |found: &Found| Some((found.backend.clone(), found.mark.as_ref()?.service.clone()));
        let marks: BTreeMap<BackendName, ServiceKey> = self.found.iter().filter_map(marked).collect();
        for (backend, offers) in claims {
            let mark = marks.get(&backend);
            let is_unknown =
                mark.is_none() && self.applied.unread.has(&backend) && self.is_contested(&offers);
            let winner = if is_unknown { Winner::Unknown } else { self.by_mark(mark, &offers) };
            self.give(&mut agenda, &backend, winner, offers, None);
        }
        agenda
    }

    fn held(&self) -> impl Iterator<Item = (&BackendName, &AppliedBackend)> {
        self.applied.backends.iter().filter(|(_, record)| !record.is_idle())
    }

    fn elsewhere(&self, claims: &BTreeMap<BackendName, Vec<Offer>>) -> Elsewhere {
        let is_offered = |backend: &BackendName, record: &AppliedBackend| {
            claims.get(backend).is_some_and(|offers| offers.iter().any(|offer| is_of(offer, record)))
        };
        let strays = self.held().filter(|(backend, record)| !is_offered(backend, record));
        let strays: BTreeSet<(&ServiceKey, Role)> =
            strays.map(|(_, record)| (record.service(), record.role())).collect();
        let mut elsewhere = Elsewhere::new();
        if strays.is_empty() {
            return elsewhere;
        }
        for Offer { exposure, .. } in claims.values().flatten() {
            if strays.contains(&(&exposure.service, exposure.role)) {
                let leads = elsewhere.entry((exposure.service.clone(), exposure.role)).or_default();
                leads.push((exposure.pattern.clone(), exposure.backend.clone()));
            }
        }
        elsewhere
    }

    fn by_record(&self, record: &AppliedBackend, offers: &[Offer], elsewhere: &Elsewhere) -> Winner {
        let other = self.first_with_members(offers);
        if let Some((place, own)) = offers.iter().enumerate().find(|(_, offer)| is_of(offer, record)) {
            let keeps = !self.is_heard(own) || self.has_members(own, Some(record));
            return Winner::Offer(if keeps { place } else { other.unwrap_or(place) });
        }
        let grounds = self.grounds(record, elsewhere);
        let is_released = record.guard.released && !offers.is_empty();
        let taken_by = match &grounds {
            Grounds::Nothing(_) if is_released => other.or(Some(0)),
            Grounds::Nothing(Kept::NotHeard { .. }) => None,
            Grounds::Nothing(_) => self.successor(record, offers),
            Grounds::Absent if self.is_unread(record.service(), Some(record)) => None,
            Grounds::Answer | Grounds::Absent | Grounds::Removed => self.successor(record, offers).or(other),
        };
        taken_by.map_or(Winner::Record(grounds), Winner::Offer)
    }

    /// The offer of the same service from another source: the source was renamed, replaced, or another rule's.
    fn successor(&self, record: &AppliedBackend, offers: &[Offer]) -> Option<usize> {
        let follows = |offer: &Offer| {
            offer.exposure.service.service == record.service().service
                && offer.exposure.role == record.role()
                && self.is_heard(offer)
        };
        let with_members = |offer: &Offer| follows(offer) && self.has_members(offer, None);
        offers.iter().position(with_members).or_else(|| offers.iter().position(follows))
    }

    /// What may take the servers of a record out whose service no rule offers the backend.
    fn grounds(&self, record: &AppliedBackend, elsewhere: &Elsewhere) -> Grounds {
        let service = record.service();
        let source = service.source.clone();
        if !self.catalog.has(&source) {
            return Grounds::Nothing(Kept::SourceGone { source });
        }
        let Some(answer) = self.catalog.heard(&source) else {
            return Grounds::Nothing(Kept::NotHeard { source });
        };
        if !answer.services.contains_key(&service.service) {
            let is_removed = answer.removed.contains(&service.service);
            return if is_removed { Grounds::Removed } else { Grounds::Absent };
        }
        let leads = elsewhere.get(&(service.clone(), record.role())).into_iter().flatten();
        let pattern = &record.exposure.pattern;
        let mut moved = leads.filter(|(by, _)| pattern.is_some() && by == pattern);
        match moved.next() {
            Some((_, by)) if serves(self.applied, by, service) => Grounds::Answer,
            Some((_, by)) => {
                Grounds::Nothing(Kept::NotServedYet { service: service.clone(), by: by.clone() })
            }
            None => Grounds::Nothing(Kept::RuleGone { service: service.clone() }),
        }
    }

    fn by_mark(&self, mark: Option<&ServiceKey>, offers: &[Offer]) -> Winner {
        let first = self.first_with_members(offers);
        let Some(mark) = mark else { return Winner::Offer(first.unwrap_or(0)) };
        match offers.iter().enumerate().find(|(_, offer)| offer.exposure.service == *mark) {
            Some((place, own)) if !self.is_heard(own) || self.has_members(own, None) => Winner::Offer(place),
            Some((place, _)) => Winner::Offer(first.unwrap_or(place)),
            None if self.catalog.has(&mark.source) && self.catalog.heard(&mark.source).is_none() => {
                Winner::Unheard(mark.clone())
            }
            None => Winner::Offer(first.unwrap_or(0)),
        }
    }

    /// Whether several services have instances for the backend.
    fn is_contested(&self, offers: &[Offer]) -> bool {
        offers.iter().filter(|offer| self.has_members(offer, None)).nth(1).is_some()
    }

    fn first_with_members(&self, offers: &[Offer]) -> Option<usize> {
        offers.iter().position(|offer| self.is_heard(offer) && self.has_members(offer, None))
    }

    fn is_heard(&self, offer: &Offer) -> bool {
        self.catalog.heard(&offer.exposure.service.source).is_some()
    }

    /// Whether the service has instances for the backend, or may have: what cannot be read is not missing.
    fn has_members(&self, offer: &Offer, record: Option<&AppliedBackend>) -> bool {
        let ServiceKey { source, service } = &offer.exposure.service;
        let Some(answer) = self.catalog.snapshot(source) else { return false };
        let instances = answer.services.get(service).into_iter().flatten();
        let members = instances.filter(|one| !offer.others.contains_key(&one.id));
        wanted(&offer.exposure, members).next().is_some() || self.is_unread(&offer.exposure.service, record)
    }

    /// Whether an entry that cannot be read is of the service, or may be the instance of one of the servers of its record.
    fn is_unread(&self, key: &ServiceKey, record: Option<&AppliedBackend>) -> bool {
        let Some(answer) = self.catalog.snapshot(&key.source) else { return false };
        answer.unread(&key.service).any(|unread| {
            unread.service.is_some() || record.is_some_and(|record| is_server_of(unread, record))
        })
    }

    fn give(
        &self,
        agenda: &mut Agenda,
        backend: &BackendName,
        winner: Winner,
        offers: Vec<Offer>,
        record: Option<&AppliedBackend>,
    ) {
        let (mut given, mut losers) = (None, Vec::new());
        for (place, offer) in offers.into_iter().enumerate() {
            match winner {
                Winner::Offer(won) if won == place => {
                    given = Some(Item::offered(offer, self.catalog, self.now));
                }
                // A service without an instance misses nothing.
                _ if !self.has_members(&offer, None) => {}
                _ => losers.push((offer.exposure.service, offer.exposure.role)),
            }
        }
        let item = match (winner, record) {
            (Winner::Unknown, _) => {
                let left_out = losers.into_iter().map(|(service, _)| {
                    let backend = backend.clone();
                    Unexposed::RecordUnread { service, backend }
                });
                agenda.unexposed.extend(left_out);
                return;
            }
            (Winner::Record(grounds), Some(record)) => Some(self.recorded(backend, record, grounds)),
            (Winner::Unheard(service), _) => {
                agenda.leave_out(backend, losers, &service, None);
                return;
            }
            _ => given,
        };
        if let Some(item) = item {
            let (service, role) = (item.exposure.service.clone(), item.exposure.role);
            agenda.leave_out(backend, losers, &service, Some(role));
            agenda.items.insert(backend.clone(), item);
        }
    }

    /// The backend of a record, as its rule would have it, else as it was.
    fn recorded(&self, backend: &BackendName, record: &AppliedBackend, grounds: Grounds) -> Item {
        let key = record.service();
        let derived = fleet::definition(&key.service);
        let definition = self.catalog.definition(key).or(derived.as_ref());
        let service = ServiceView { key, instances: &[], definition };
        let by_rule = match &grounds {
            Grounds::Nothing(_) => None,
            _ => {
                on_backend(self.rules, self.target, &service, record.role(), backend, Some(&record.exposure))
            }
        };
        let mut exposure = by_rule.map_or_else(|| record.exposure.clone(), Arc::new);
        if !is_held(record) && !exposure.routes.is_empty() {
            // Requests are not sent where no server takes them any more.
            Arc::make_mut(&mut exposure).routes.clear();
        }
        let notes = match &grounds {
            Grounds::Absent => vec![Note::ServiceAbsent { service: key.clone() }],
            _ => Vec::new(),
        };
        let item = Item::of(exposure, grounds, self.catalog, self.now);
        Item { members: Members::None, notes, ..item }
    }
}

impl Agenda {
    fn leave_out(
        &mut self,
        backend: &BackendName,
        services: Vec<(ServiceKey, Role)>,
        other: &ServiceKey,
        role: Option<Role>,
    ) {
        // Two rules may say the same of a service.
        let others = services.into_iter().filter(|(service, of)| service != other || Some(*of) != role);
        self.unexposed.extend(others.map(|(service, _)| Unexposed::SameBackend {
            service,
            backend: backend.clone(),
            other: other.clone(),
        }));
    }
}

fn is_of(offer: &Offer, record: &AppliedBackend) -> bool {
    offer.exposure.service == *record.service() && offer.exposure.role == record.role()
}

/// Whether an entry that cannot be read may be the instance of one of the servers.
fn is_server_of(unread: &Unread, record: &AppliedBackend) -> bool {
    let held = record.servers.values().filter(|server| server.is_held());
    let mut likenesses =
        held.filter_map(|server| Some(unread.likeness(server.instance.as_ref(), server.endpoint?)));
    likenesses.any(|likeness| likeness != Likeness::Other)
}

#[cfg(test)]
mod tests;
