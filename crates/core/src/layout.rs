//! From what runs to what stands in HAProxy's file, where Roster writes it.
//!
//! The file says what runs: whoever starts HAProxy anew from it gets the servers that take traffic now, where they are
//! now. A server that has not earned its traffic yet, or is losing it, starts in maintenance; Roster brings it up as it
//! would any other.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use roster_haproxy::name::{BackendName, CookieValue, ServerName, TargetName};
use roster_haproxy::observed::{BackendLimits, ObservedBackend, ObservedServer, State};
use roster_haproxy::render::{Backend, Frontend, FrontendName, Pool, Profile, Section, ServerLine};
use roster_haproxy::version::Version;
use roster_haproxy::weight::Weight;

use crate::agenda::{Item, Moment};
use crate::applied::{AppliedBackend, AppliedServer, Phase};
use crate::exposure::{BringUp, Exposure, Layout, Rule};
use crate::plan::{BackendPlan, Change, Operation, ProbeResults};
use crate::refusals::Refusals;

/// The lines of each backend's servers.
pub type Lines = BTreeMap<BackendName, Vec<ServerLine>>;

/// The servers of a backend as they run.
pub fn lines(
    exposure: &Exposure,
    seen: &ObservedBackend,
    applied: Option<&AppliedBackend>,
) -> Vec<ServerLine> {
    let mut servers: Vec<_> = seen.servers.iter().collect();
    servers.sort_by_key(|(_, server)| server.id);
    let line = |(name, server): (&ServerName, &ObservedServer)| {
        let mut keywords = exposure.policy.server.clone();
        keywords.id = Some(server.id);
        keywords.backup = server.line.backup;
        if exposure.policy.cookie {
            keywords.cookie = CookieValue::of(name);
        }
        let own = keywords.weight.unwrap_or(Weight::ONE);
        let record = applied.and_then(|applied| applied.servers.get(name));
        let settled = record.is_none_or(is_settled);
        ServerLine {
            name: name.clone(),
            at: server.endpoint().unwrap_or(exposure.slots.parking),
            keywords,
            weight: Some(server.weight).filter(|weight| *weight != own),
            disabled: server.state() == State::Maint || !settled,
        }
    };
    servers.into_iter().map(line).collect()
}

/// The servers that a backend has to be given which HAProxy has not: a new one's slots, all of them parked, or what a
/// backend lacks whose algorithm takes no servers live.
pub fn missing(
    item: &Item,
    version: Version,
    seen: Option<&ObservedBackend>,
    now: Timestamp,
) -> Vec<ServerLine> {
    let exposure = &item.exposure;
    let servers = seen.map(|seen| seen.servers.clone()).unwrap_or_default();
    parked(exposure, plan(item, version, servers, None, now).operations)
}

/// The servers of a backend that is not there. An instance for which its source vouches needs nothing but its line, and takes
/// traffic as soon as the backend is there; the slots of all others are parked. `applied` is what was written to a backend
/// of this name before: whoever had a slot in it has the same one again.
pub fn first(
    item: &Item,
    version: Version,
    applied: Option<&AppliedBackend>,
    now: Timestamp,
) -> Vec<ServerLine> {
    let exposure = &item.exposure;
    // Who left meanwhile is forgotten first, and the slot is free.
    let applied = applied.map(|applied| plan(item, version, BTreeMap::new(), Some(applied), now).applied);
    let BackendPlan { operations, applied, .. } = plan(item, version, BTreeMap::new(), applied.as_ref(), now);
    let is_ready = |operation: &&Operation| operation.change == Change::State(State::Ready);
    let ready: BTreeSet<ServerName> =
        operations.iter().filter(is_ready).map(|operation| operation.server.clone()).collect();
    let mut lines = parked(exposure, operations);
    if exposure.policy.slow_start.is_some() {
        return lines;
    }
    for line in lines.iter_mut().filter(|line| ready.contains(&line.name)) {
        let record = applied.servers.get(&line.name).filter(|record| is_settled(record));
        if let Some((record, at)) = record.and_then(|record| Some((record, record.endpoint?))) {
            let own = line.keywords.weight.unwrap_or(Weight::ONE);
            line.at = at;
            line.weight = record.weight.filter(|weight| *weight != own);
            line.disabled = false;
        }
    }
    lines
}

/// What would be done if the backend had these servers and took others.
fn plan(
    item: &Item,
    version: Version,
    servers: BTreeMap<ServerName, ObservedServer>,
    applied: Option<&AppliedBackend>,
    now: Timestamp,
) -> BackendPlan {
    let limits = BackendLimits {
        version,
        algorithm: None,
        dynamic: true,
        grows: true,
        line_weight: None,
        at_once: false,
    };
    let seen = ObservedBackend { limits, servers };
    let probes = ProbeResults::new();
    let refusals = Refusals::none();
    item.plan(&Moment { seen: &seen, applied, same_process: false, probes: &probes, refusals, now })
}

/// The servers that are added, without anybody in them.
fn parked(exposure: &Exposure, operations: Vec<Operation>) -> Vec<ServerLine> {
    let added = operations.into_iter().filter_map(|operation| match operation.change {
        Change::Add { mut keywords, .. } => {
            // A weight comes with the instance, and so does what it is before its first check.
            keywords.weight = exposure.policy.server.weight;
            keywords.init_state = exposure.policy.server.init_state;
            if exposure.policy.cookie {
                // By the file every version takes one.
                keywords.cookie = CookieValue::of(&operation.server);
            }
            Some(ServerLine {
                name: operation.server,
                at: exposure.slots.parking,
                keywords: *keywords,
                weight: None,
                disabled: true,
            })
        }
        _ => None,
    });
    let mut added: Vec<ServerLine> = added.collect();
    added.sort_by_key(|line| line.keywords.id);
    added
}

/// Whether nothing has to be waited for before it takes traffic.
fn is_settled(record: &AppliedServer) -> bool {
    matches!(record.phase, Phase::Serving | Phase::Rising(BringUp::Registry))
}

/// What the backends of these rules look like on a target, for a HAProxy that can be given one while it runs.
pub fn profiles(rules: &[Rule], target: &TargetName) -> Vec<Profile> {
    let mut profiles = Vec::new();
    for rule in rules.iter().filter(|rule| rule.targets.contains(target)) {
        let Layout { mode, balance, lines, check, cookie, binds: _, routes: _, options: _, options_of: _ } =
            rule.layout.as_ref().clone();
        let profile = Profile { mode, balance, cookie, check, strip_prefix: None, lines };
        if !profiles.contains(&profile) {
            profiles.push(profile);
        }
    }
    profiles
}

/// The sections of a backend: itself, and the frontend in front of it where it has binds.
pub fn sections(backend: &BackendName, layout: &Layout, servers: Vec<ServerLine>) -> Vec<Section> {
    let pool = Pool {
        balance: layout.balance.clone(),
        cookie: layout.cookie.clone(),
        check: layout.check.clone(),
        servers,
    };
    let (name, mode, lines) = (backend.clone(), layout.mode, layout.lines.clone());
    let own = Section::Backend(Backend { name, mode, strip_prefix: None, lines, pool });
    let front = FrontendName::new(backend.as_str()).ok().filter(|_| !layout.binds.is_empty()).map(|name| {
        Section::Frontend(Frontend {
            name,
            mode,
            binds: layout.binds.clone(),
            lines: Vec::new(),
            routing: None,
            default_backend: Some(backend.clone()),
        })
    });
    std::iter::once(own).chain(front).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::agenda::Agenda;
    use crate::applied::Applied;
    use crate::catalog::Catalog;
    use crate::exposure::{Claim, Own, Policy, Selector, Services, SlowStart};
    use crate::instance::{Health, Instance, Snapshot, SourceEvent};
    use crate::slots::SlotScheme;

    const VERSION: Version = Version::new(3, 0, 11);

    /// A service with these instances, those that fail among them, in four slots.
    fn item(instances: &[(u32, Health)], change: impl Fn(&mut Policy)) -> Item {
        let mut policy = Policy { cookie: true, weight: Weight::new(16).ok(), ..Policy::default() };
        change(&mut policy);
        let rule = Rule {
            services: Services::All,
            targets: ["edge".parse().unwrap()].into(),
            backend: "{service}".parse().unwrap(),
            own: Own::Servers,
            claim: Claim::default(),
            slots: SlotScheme { base: 4, ..SlotScheme::default() },
            select: Selector::default(),
            fallback: None,
            layout: Arc::default(),
            policy,
        };
        let instance = |(n, health): &(u32, Health)| Instance {
            health: *health,
            ..Instance::at(format!("10.0.0.{n}:80").parse().unwrap())
        };
        let instances = instances.iter().map(instance).collect();
        let snapshot =
            Snapshot { services: [("web".parse().unwrap(), instances)].into(), ..Snapshot::default() };
        let source: roster_haproxy::name::SourceName = "fleet".parse().unwrap();
        let mut catalog = Catalog::new([source.clone()]);
        catalog.accept(&source, SourceEvent::Full(Arc::new(snapshot)), Timestamp::UNIX_EPOCH);
        let (target, applied) = ("edge".parse().unwrap(), Applied::default());
        let agenda = Agenda::new(&catalog, &[rule], &target, &applied, &[], Timestamp::UNIX_EPOCH);
        agenda.items.into_values().next().unwrap()
    }

    fn texts(item: &Item, applied: Option<&AppliedBackend>) -> Vec<String> {
        let lines = first(item, VERSION, applied, Timestamp::UNIX_EPOCH);
        lines.iter().map(|line| roster_haproxy::render::server_text(line, VERSION)).collect()
    }

    fn made(change: impl Fn(&mut Policy)) -> Vec<String> {
        texts(&item(&[(1, Health::Passing), (2, Health::Failing), (3, Health::Passing)], change), None)
    }

    #[test]
    fn in_a_backend_that_is_made_again_everybody_has_the_slot_of_before() {
        let of = |instances: &[u32]| {
            let instances: Vec<_> = instances.iter().map(|n| (*n, Health::Passing)).collect();
            item(&instances, |policy| policy.bring_up = Some(BringUp::Registry))
        };
        let before = plan(&of(&[1, 2, 3]), VERSION, BTreeMap::new(), None, Timestamp::UNIX_EPOCH).applied;
        let again = texts(&of(&[2, 3]), Some(&before));
        let is_at = |slot: usize, at: &str| again[slot - 1].contains(&format!("srv{slot} {at}"));
        assert_eq!(again.len(), 4, "{again:?}");
        assert!(is_at(2, "10.0.0.2:80") && is_at(3, "10.0.0.3:80") && is_at(1, "127.0.0.1:1"), "{again:?}");
    }

    #[test]
    fn instances_that_are_vouched_for_stand_in_a_new_backend_at_once() {
        insta::assert_snapshot!(made(|policy| policy.bring_up = Some(BringUp::Registry)).join("\n"));
    }

    #[test]
    fn where_more_than_the_sources_word_is_wanted_all_but_the_only_one_to_serve_wait_in_slots() {
        let by = |bring_up| made(move |policy| policy.bring_up = Some(bring_up)).join("\n");
        insta::assert_snapshot!("probed", by(BringUp::Probe));
        insta::assert_snapshot!("checked", by(BringUp::Check));
        let rising = SlowStart { from_percent: 10, over: Duration::from_secs(30), steps: 10 };
        let rising = made(move |policy| {
            policy.bring_up = Some(BringUp::Registry);
            policy.slow_start = Some(rising);
        });
        assert!(rising.len() == 4 && rising.iter().all(|line| line.contains("disabled")), "{rising:?}");
    }
}
