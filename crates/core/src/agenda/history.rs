//! Whatever sources, configurations, restarts and operators do one after the other: no server leaves without a reason.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use roster_haproxy::address::Endpoint;
use roster_haproxy::name::SourceName;

use super::*;
use crate::exposure::{BringUp, Claim, Drain, FallbackRule, Guards, Own, Policy, Selector, Services};
use crate::instance::{Reject, SourceError, SourceEvent};
use crate::plan::tests::sim::Sim;
use crate::slots::SlotScheme;

const SOURCES: [&str; 3] = ["cloud", "fleet", "jobs"];
const SERVICES: [&str; 3] = ["Web", "api", "web"];
const PATTERNS: [&str; 5] =
    ["{service}", "{service|lower}", "shared", "{service|lower}-{port}", "{source}-{service}"];

/// Something that happens.
#[derive(Clone, Debug)]
enum Event {
    /// A source answers.
    Answers(usize, Answer),
    /// A source does not answer.
    Fails(usize),
    /// Another configuration: these sources, and the rules' patterns, each for all services or those of one source.
    Configured(BTreeSet<usize>, Vec<(usize, Option<usize>)>),
    /// Roster is started anew, and has what it kept.
    Restarts,
    /// HAProxy is started anew.
    Reloads,
    /// An operator releases what is held in all backends.
    Releases,
    /// So many seconds pass.
    Waits(u16),
}

#[derive(Clone, Debug)]
struct Answer {
    /// Each service with its instances, by number; what is in no service is not reported.
    services: BTreeMap<usize, BTreeSet<u8>>,
    removed: BTreeSet<usize>,
    /// Instances of which the entry cannot be read, and services of which some entry says nothing at all.
    unread: BTreeSet<u8>,
    unclear: BTreeSet<usize>,
}

fn answer() -> impl Strategy<Value = Answer> {
    let services = proptest::collection::btree_map(0..SERVICES.len(), btree_set(0..8_u8, 0..5), 0..4);
    let rare = || proptest::bool::weighted(0.2);
    (
        services,
        btree_set(0..SERVICES.len(), 0..2),
        btree_set(0..8_u8, 0..3),
        0..SERVICES.len(),
        rare(),
        rare(),
        rare(),
    )
        .prop_map(|(services, removed, unread, unclear, is_removed, is_unread, is_unclear)| Answer {
            services,
            removed: if is_removed { removed } else { BTreeSet::new() },
            unread: if is_unread { unread } else { BTreeSet::new() },
            unclear: if is_unclear { [unclear].into() } else { BTreeSet::new() },
        })
}

fn event() -> impl Strategy<Value = Event> {
    let source = || 0..SOURCES.len();
    let rules = vec((0..PATTERNS.len(), proptest::option::of(source())), 0..3);
    prop_oneof![
        8 => (source(), answer()).prop_map(|(source, answer)| Event::Answers(source, answer)),
        2 => source().prop_map(Event::Fails),
        2 => (btree_set(source(), 0..3), rules).prop_map(|(sources, rules)| Event::Configured(sources, rules)),
        2 => Just(Event::Restarts),
        1 => Just(Event::Reloads),
        1 => Just(Event::Releases),
        2 => prop_oneof![1..60_u16, Just(301)].prop_map(Event::Waits),
    ]
}

fn source(n: usize) -> SourceName {
    SOURCES[n].parse().unwrap()
}

fn instance(n: u8) -> Instance {
    // One of two ports, so that some names can be made of some answers only.
    let at = format!("10.0.0.{}:{}", n + 1, if n < 6 { 80 } else { 81 });
    Instance { id: format!("i-{n}").parse().unwrap(), ..Instance::at(at.parse().unwrap()) }
}

impl Answer {
    fn snapshot(&self, taken: Timestamp) -> Snapshot {
        let name = |n: &usize| SERVICES[*n].parse().unwrap();
        // Each instance is in one service only, as in a cloud.
        let mut seen = BTreeSet::new();
        let services = self.services.iter().map(|(service, members)| {
            let members = members.iter().filter(|n| !self.unread.contains(n) && seen.insert(**n));
            (name(service), members.map(|n| instance(*n)).collect())
        });
        let services = services.collect();
        let unread = self.unread.iter().map(|n| Unread::of_instance(instance(*n).id));
        let unclear = self.unclear.iter().map(|n| Unread::of_service(name(n)));
        let removed = self.removed.iter().filter(|n| !self.services.contains_key(n)).map(name);
        Snapshot {
            services,
            removed: removed.collect(),
            rejects: unread.chain(unclear).map(|unread| Reject::unread("a line", "wrong", unread)).collect(),
            taken,
            ..Snapshot::default()
        }
    }
}

/// One HAProxy and one Roster.
struct World {
    now: Timestamp,
    haproxy: BTreeMap<BackendName, Sim>,
    rules: Vec<Rule>,
    catalog: Catalog,
    applied: Applied,
    /// What each source said last, as it is kept on disk.
    kept: BTreeMap<SourceName, Arc<Snapshot>>,
    same_process: bool,
}

fn target() -> TargetName {
    "local".parse().unwrap()
}

fn rule(pattern: usize, of: Option<usize>) -> Rule {
    let policy = Policy {
        bring_up: Some(BringUp::Registry),
        drain: Drain { cap: Duration::ZERO },
        guard: Guards { flaps: 0, ..Guards::default() },
        ..Policy::default()
    };
    let fallback = (pattern == 0).then(|| FallbackRule {
        backend: "rest".parse().unwrap(),
        names: SlotScheme::default().names,
        all: true,
    });
    Rule {
        services: of.map_or(Services::All, |of| Services::Each(source(of))),
        targets: [target()].into(),
        backend: PATTERNS[pattern].parse().unwrap(),
        own: Own::Servers,
        claim: Claim::default(),
        slots: SlotScheme::default(),
        select: Selector::default(),
        fallback,
        layout: Arc::default(),
        policy,
    }
}

/// A server that takes traffic.
type Server = (BackendName, Endpoint);

impl World {
    fn new() -> Self {
        let names =
            ["web", "api", "Web", "shared", "rest", "web-80", "web-81", "api-80", "api-81"].map(String::from);
        let of_source = SOURCES
            .iter()
            .flat_map(|source| SERVICES.iter().map(move |service| format!("{source}-{service}")));
        let haproxy = names.into_iter().chain(of_source);
        let mut world = Self {
            now: Timestamp::UNIX_EPOCH,
            haproxy: haproxy.map(|name| (name.parse().unwrap(), Sim::with_slots(3))).collect(),
            rules: vec![rule(0, None)],
            catalog: Catalog::default(),
            applied: Applied::default(),
            kept: BTreeMap::new(),
            same_process: true,
        };
        world.start([0, 1].into_iter());
        world
    }

    fn start(&mut self, sources: impl Iterator<Item = usize>) {
        self.catalog = Catalog::new(sources.map(source));
        for (name, snapshot) in &self.kept {
            self.catalog.restore(name, snapshot.clone());
        }
        let stored = serde_json::to_string(&self.applied).unwrap();
        self.applied = serde_json::from_str(&stored).unwrap();
    }

    /// Lets something happen. Answers whether that released everything that is held.
    fn happens(&mut self, event: &Event) -> bool {
        self.same_process = true;
        match event {
            Event::Answers(of, answer) => {
                let (name, snapshot) = (source(*of), Arc::new(answer.snapshot(self.now)));
                if self.catalog.has(&name) {
                    self.kept.insert(name.clone(), snapshot.clone());
                }
                self.catalog.accept(&name, SourceEvent::Full(snapshot), self.now);
            }
            Event::Fails(of) => {
                let error = SourceError { message: "down".into() };
                self.catalog.accept(&source(*of), SourceEvent::Lost(error), self.now);
            }
            Event::Configured(sources, rules) => {
                self.rules = rules.iter().map(|(pattern, of)| rule(*pattern, *of)).collect();
                self.start(sources.iter().copied());
            }
            Event::Restarts => {
                let sources: Vec<SourceName> = self.catalog.sources().map(|(name, _)| name.clone()).collect();
                self.start((0..SOURCES.len()).filter(|n| sources.contains(&source(*n))));
            }
            Event::Reloads => {
                self.haproxy.values_mut().for_each(Sim::restart);
                self.same_process = false;
            }
            Event::Releases => {
                let released = self.applied.backends.values_mut().map(AppliedBackend::release);
                return released.flatten().count() > 0;
            }
            Event::Waits(seconds) => {
                self.now = crate::later::later(self.now, Duration::from_secs((*seconds).into()));
            }
        }
        false
    }

    /// Does what is to be done, until nothing more is.
    fn comes_to_rest(&mut self) {
        for _ in 0..20 {
            let agenda = Agenda::new(&self.catalog, &self.rules, &target(), &self.applied, &[], self.now);
            let mut is_over = true;
            for (backend, item) in &agenda.items {
                let Some(sim) = self.haproxy.get_mut(backend) else { continue };
                let moment = Moment {
                    seen: &sim.seen,
                    applied: self.applied.backends.get(backend),
                    same_process: self.same_process,
                    probes: &ProbeResults::new(),
                    refusals: Refusals::none(),
                    now: self.now,
                };
                let plan = item.plan(&moment);
                is_over &= plan.operations.is_empty();
                sim.carry_out(&plan);
                if !item.is_wanted() && plan.operations.is_empty() && plan.applied.is_idle() {
                    self.applied.backends.remove(backend);
                } else {
                    self.applied.backends.insert(backend.clone(), plan.applied);
                }
            }
            is_over &= !agenda.items.values().any(|item| item.is_overtaken(&self.applied));
            self.same_process = true;
            if is_over {
                return;
            }
        }
        panic!("it does not come to rest");
    }

    /// Every server that takes traffic, and the service that it is of.
    fn serving(&self) -> BTreeMap<Server, ServiceKey> {
        let backends = self.haproxy.iter().flat_map(|(backend, sim)| {
            let service = self.applied.backends.get(backend).map(|record| record.service().clone());
            let servers = sim.serving().into_iter().map(move |(_, at)| (backend.clone(), at));
            servers.filter_map(move |server| Some((server, service.clone()?)))
        });
        backends.collect()
    }

    /// Whether a complete answer that was heard speaks against a server, as far as a person can tell without knowing how
    /// Roster decides.
    fn speaks_against(&self, at: Endpoint, service: &ServiceKey) -> bool {
        let lacks = |source: &SourceName| {
            let Some(answer) = self.catalog.heard(source) else { return false };
            let id = (0..8).map(instance).find(|one| one.endpoint == at).unwrap().id;
            let is_unread =
                answer.unread(&service.service).any(|unread| unread.instance.as_ref() == Some(&id));
            let members = answer.services.get(&service.service);
            !is_unread && !members.is_some_and(|members| members.iter().any(|one| one.endpoint == at))
        };
        // Of another source only a service of the same name says anything.
        let successor = |source: &SourceName| {
            self.catalog.heard(source).is_some_and(|answer| answer.services.contains_key(&service.service))
        };
        let others = self.catalog.sources().map(|(name, _)| name).filter(|name| **name != service.source);
        lacks(&service.source) || others.filter(|name| successor(name)).any(lacks)
    }

    fn is_removed(&self, service: &ServiceKey) -> bool {
        let answer = self.catalog.heard(&service.source);
        answer.is_some_and(|answer| answer.removed.contains(&service.service))
    }
}

proptest! {
    // A history takes longer than most properties.
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 8))]

    #[test]
    fn no_server_leaves_without_one_of_the_three_reasons(events in vec(event(), 1..30)) {
        let mut world = World::new();
        for event in &events {
            let before = world.serving();
            let released = world.happens(event);
            world.comes_to_rest();
            let after = world.serving();
            let mut emptied: BTreeMap<&BackendName, bool> = BTreeMap::new();
            for ((backend, at), service) in &before {
                emptied.entry(backend).or_insert_with(|| !after.keys().any(|(there, _)| there == backend));
                let stays = after.contains_key(&(backend.clone(), *at));
                prop_assert!(
                    stays || released || world.is_removed(service) || world.speaks_against(*at, service),
                    "{at} of {service} left {backend} by {event:?}"
                );
            }
            // The last ones go by an answer that has lasted, by a removal, or by a word.
            let lasted = matches!(event, Event::Waits(_) | Event::Answers(..));
            for (backend, _) in emptied.into_iter().filter(|(_, emptied)| *emptied) {
                let of = before.iter().find(|((there, _), _)| there == backend).unwrap().1;
                prop_assert!(
                    released || lasted || world.is_removed(of),
                    "{backend} was emptied by {event:?}"
                );
            }
        }
    }

    /// What is still reported, and was never reported otherwise, takes traffic in the end.
    #[test]
    fn an_answer_that_lasts_is_what_haproxy_shows(events in vec(event(), 0..20), last in answer()) {
        let mut world = World::new();
        for event in &events {
            world.happens(event);
            world.comes_to_rest();
        }
        let plain = Answer { unread: BTreeSet::new(), unclear: BTreeSet::new(), ..last };
        world.happens(&Event::Configured([0].into(), vec![(4, None)]));
        for _ in 0..2 {
            world.happens(&Event::Answers(0, plain.clone()));
            world.comes_to_rest();
            world.happens(&Event::Waits(301));
            world.comes_to_rest();
        }
        let snapshot = plain.snapshot(world.now);
        for (service, members) in &snapshot.services {
            let backend: BackendName = format!("{}-{service}", SOURCES[0]).parse().unwrap();
            let wanted: BTreeSet<Endpoint> = members.iter().map(|one| one.endpoint).collect();
            let shown: BTreeSet<Endpoint> =
                world.haproxy[&backend].serving().into_iter().map(|(_, at)| at).collect();
            prop_assert_eq!(shown, wanted, "{}", backend);
        }
    }
}
