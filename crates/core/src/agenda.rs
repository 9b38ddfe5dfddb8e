//! The agenda of one target: every backend that Roster has something to do with, and what should be there.
//!
//! It is made anew from the catalog whenever a source speaks. A backend whose service is gone stays on it until its
//! servers are parked; one whose source has not spoken yet is not on it at all, so that nothing is done to it.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::applied::{Applied, AppliedBackend};
use crate::catalog::Catalog;
use crate::exposure::{Exposure, Rule};
use crate::found::{Found, vanished};
use crate::guard::Evidence;
use crate::instance::{Instance, Snapshot};
use crate::name::{BackendName, ServiceKey, TargetName};
use crate::observed::ObservedBackend;
use crate::plan::{BackendPlan, Compaction, Inputs, ProbeResults, compact, plan_backend};
use crate::select::{ServiceView, Unexposed, expose};

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
    pub exposure: Exposure,
    /// The answer that it comes from; none where the service is gone.
    answer: Option<Arc<Snapshot>>,
    /// When that answer was taken, or the service was found gone.
    taken: Timestamp,
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
        let exposed = expose(rules, target, &views);
        let item = |exposure: Exposure| {
            let answer = catalog.snapshot(&exposure.service.source).cloned();
            let taken = answer.as_ref().map_or(now, |answer| answer.taken);
            Item { exposure, answer, taken }
        };
        let exposures = exposed.exposures.into_iter();
        let mut items: BTreeMap<BackendName, Item> =
            exposures.map(|(backend, exposure)| (backend, item(exposure))).collect();
        for (backend, record) in &applied.backends {
            if items.contains_key(backend) || record.is_idle() {
                continue;
            }
            let source = &record.service.source;
            if !catalog.sources().any(|(name, state)| name == source && state.last_good.is_none()) {
                let item = Item { exposure: record.farewell(backend), answer: None, taken: now };
                items.insert(backend.clone(), item);
            }
        }
        let unknown = found.iter().filter(|found| !items.contains_key(&found.backend));
        for exposure in vanished(unknown, catalog, rules, target) {
            items.insert(exposure.backend.clone(), item(exposure));
        }
        Self { items, unexposed: exposed.unexposed }
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
    /// The instances that the service has.
    pub fn instances(&self) -> &[Instance] {
        let service = &self.exposure.service.service;
        self.answer.as_ref().and_then(|answer| answer.services.get(service)).map_or(&[], Vec::as_slice)
    }

    /// Whether the service itself was removed.
    pub fn is_farewell(&self) -> bool {
        self.answer.is_none()
    }

    /// When the answer was taken that it comes from.
    pub fn taken(&self) -> Timestamp {
        self.taken
    }

    fn vouches(&self) -> bool {
        self.answer.as_ref().is_some_and(|answer| answer.vouches_health)
    }

    fn is_like(&self, other: &Item) -> bool {
        self.exposure == other.exposure && (self.has_answer_of(other) || self.is_told_like(other))
    }

    /// Whether both come from one and the same answer: that of a source that has not spoken in between.
    fn has_answer_of(&self, other: &Item) -> bool {
        matches!((&self.answer, &other.answer), (Some(one), Some(another)) if Arc::ptr_eq(one, another))
    }

    fn is_told_like(&self, other: &Item) -> bool {
        self.is_farewell() == other.is_farewell()
            && self.vouches() == other.vouches()
            && self.instances() == other.instances()
    }

    /// Plans the backend.
    pub fn plan(&self, moment: &Moment<'_>) -> BackendPlan {
        self.with(moment, plan_backend)
    }

    /// Finds the slots that an operator may have removed. `plan` is the one of the same moment.
    pub fn compact(&self, moment: &Moment<'_>, plan: &BackendPlan) -> Compaction {
        self.with(moment, |inputs| compact(inputs, plan))
    }

    fn with<T>(&self, moment: &Moment<'_>, make: impl FnOnce(&Inputs<'_>) -> T) -> T {
        let instances: Vec<&Instance> = self.instances().iter().collect();
        make(&Inputs {
            exposure: &self.exposure,
            instances: &instances,
            evidence: Evidence { answer: self.taken, removed: self.is_farewell(), reported: &instances },
            vouches: self.vouches(),
            seen: moment.seen,
            applied: moment.applied,
            same_process: moment.same_process,
            probes: moment.probes,
            now: moment.now,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposure::{Claim, Own, Policy, Selector, Services};
    use crate::instance::{Health, Lifecycle, SourceEvent};
    use crate::name::SourceName;
    use crate::slots::SlotScheme;
    use crate::weight::ZoneShare;

    fn target() -> TargetName {
        "local".parse().unwrap()
    }

    fn rule(backend: &str) -> Rule {
        Rule {
            services: Services::All,
            targets: [target()].into(),
            backend: backend.parse().unwrap(),
            own: Own::Servers,
            claim: Claim::default(),
            slots: SlotScheme::default(),
            select: Selector::default(),
            fallback: None,
            layout: Arc::default(),
            policy: Policy::default(),
        }
    }

    fn catalog(answer: Option<&[(&str, u32)]>) -> Catalog {
        let source: SourceName = "fleet".parse().unwrap();
        let mut catalog = Catalog::new([source.clone()]);
        if let Some(answer) = answer {
            let instance = |n: u32| Instance::at(format!("10.0.0.{n}:80").parse().unwrap());
            let services =
                answer.iter().map(|(name, n)| (name.parse().unwrap(), (1..=*n).map(instance).collect()));
            let snapshot = Snapshot { services: services.collect(), ..Snapshot::default() };
            catalog.accept(&source, SourceEvent::Full(Arc::new(snapshot)), Timestamp::UNIX_EPOCH);
        }
        catalog
    }

    fn agenda(answer: Option<&[(&str, u32)]>, backend: &str, applied: &Applied) -> Agenda {
        Agenda::new(&catalog(answer), &[rule(backend)], &target(), applied, &[], Timestamp::UNIX_EPOCH)
    }

    fn record_of(agenda: &Agenda) -> Applied {
        let mut applied = Applied::default();
        for (backend, item) in &agenda.items {
            let seen = ObservedBackend::default();
            let moment = Moment {
                seen: &seen,
                applied: None,
                same_process: true,
                probes: &ProbeResults::new(),
                now: Timestamp::UNIX_EPOCH,
            };
            applied.backends.insert(backend.clone(), item.plan(&moment).applied);
        }
        applied
    }

    #[test]
    fn at_first_every_backend_is_planned_and_another_answer_that_says_the_same_plans_none() {
        let made = || agenda(Some(&[("web", 2), ("api", 1)]), "{service}", &Applied::default());
        let first = made();
        assert_eq!(first.changed(&Agenda::default()).count(), 2);
        assert_eq!(made().changed(&first).count(), 0);
    }

    #[test]
    fn whatever_changes_of_an_instance_its_backend_is_planned_again() {
        let made = |change: fn(&mut Instance)| {
            let mut one = Instance::at("10.0.0.1:80".parse().unwrap());
            change(&mut one);
            let snapshot =
                Snapshot { services: [("web".parse().unwrap(), vec![one])].into(), ..Snapshot::default() };
            let source: SourceName = "fleet".parse().unwrap();
            let mut catalog = Catalog::new([source.clone()]);
            catalog.accept(&source, SourceEvent::Full(Arc::new(snapshot)), Timestamp::UNIX_EPOCH);
            let rules = [rule("{service}")];
            Agenda::new(&catalog, &rules, &target(), &Applied::default(), &[], Timestamp::UNIX_EPOCH)
        };
        let before = made(|_| {});
        let changes: [fn(&mut Instance); 7] = [
            |one| one.id = "i-2".parse().unwrap(),
            |one| one.endpoint = "10.0.0.2:80".parse().unwrap(),
            |one| one.endpoint = "10.0.0.1:81".parse().unwrap(),
            |one| one.zone = Some("b".parse().unwrap()),
            |one| one.zone_share = Some(ZoneShare::new(10).unwrap()),
            |one| one.health = Health::Failing,
            |one| one.lifecycle = Lifecycle::Leaving,
        ];
        for (number, change) in changes.into_iter().enumerate() {
            assert_eq!(made(change).changed(&before).count(), 1, "change {number}");
        }
        assert_eq!(made(|_| {}).changed(&before).count(), 0);
    }

    #[test]
    fn only_what_changed_is_planned_again() {
        let before = agenda(Some(&[("web", 2), ("api", 1)]), "{service}", &Applied::default());
        let after = agenda(Some(&[("web", 3), ("api", 1)]), "{service}", &Applied::default());
        let changed: Vec<&str> = after.changed(&before).map(BackendName::as_str).collect();
        assert_eq!(changed, ["web"]);
    }

    #[test]
    fn nothing_changes_while_no_source_speaks_but_another_rule_does() {
        let known = catalog(Some(&[("web", 2), ("api", 1)]));
        let agenda = |rules: &[Rule]| {
            Agenda::new(&known, rules, &target(), &Applied::default(), &[], Timestamp::UNIX_EPOCH)
        };
        let before = agenda(&[rule("{service}")]);
        assert_eq!(agenda(&[rule("{service}")]).changed(&before).count(), 0);
        let other = Rule { own: Own::Whole, ..rule("{service}") };
        assert_eq!(agenda(&[other]).changed(&before).count(), 2);
    }

    #[test]
    fn a_service_that_is_gone_is_taken_out_of_its_backend() {
        let applied = record_of(&agenda(Some(&[("web", 2)]), "{service}", &Applied::default()));
        let after = agenda(Some(&[]), "{service}", &applied);
        assert!(after.items["web"].is_farewell());
        assert!(after.items["web"].instances().is_empty());
    }

    #[test]
    fn a_backend_whose_source_has_not_spoken_is_left_alone() {
        let applied = record_of(&agenda(Some(&[("web", 2)]), "{service}", &Applied::default()));
        assert!(agenda(None, "{service}", &applied).items.is_empty());
    }

    #[test]
    fn two_services_on_one_backend_are_told_and_the_first_has_it() {
        let agenda = agenda(Some(&[("web", 1), ("api", 1)]), "shared", &Applied::default());
        assert_eq!(agenda.items["shared"].exposure.service.service.as_str(), "api");
        assert!(agenda.unexposed[0].to_string().contains("backend shared already takes fleet/api"));
    }
}
