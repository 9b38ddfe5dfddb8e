//! From what runs to what stands in HAProxy's file, where Roster writes it.
//!
//! The file says what runs: whoever starts HAProxy anew from it gets the servers that take traffic now, where they are
//! now. A server that has not earned its traffic yet, or is losing it, starts in maintenance; Roster brings it up as it
//! would any other.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::agenda::{Item, Moment};
use crate::applied::{AppliedBackend, Phase};
use crate::exposure::{BringUp, Exposure, Layout, Rule};
use crate::haproxy::Version;
use crate::name::{BackendName, CookieValue, TargetName};
use crate::observed::{BackendLimits, ObservedBackend, ObservedServer, State};
use crate::plan::{Change, ProbeResults};
use crate::render::{Backend, Frontend, FrontendName, Pool, Profile, Section, ServerLine};
use crate::weight::Weight;

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
    let line = |(name, server): (&crate::name::ServerName, &ObservedServer)| {
        let mut keywords = exposure.policy.server.clone();
        keywords.id = Some(server.id);
        keywords.backup = server.backup;
        if exposure.policy.cookie {
            keywords.cookie = CookieValue::new(name.as_str()).ok();
        }
        let own = keywords.weight.unwrap_or(Weight::ONE);
        let record = applied.and_then(|applied| applied.servers.get(name));
        let settled = record
            .is_none_or(|record| matches!(record.phase, Phase::Serving | Phase::Rising(BringUp::Registry)));
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
    let limits = BackendLimits { version, algorithm: None, dynamic: true, grows: true };
    let seen = ObservedBackend { limits, servers };
    let probes = ProbeResults::new();
    let moment = Moment { seen: &seen, applied: None, same_process: false, probes: &probes, now };
    let added = item.plan(&moment).operations.into_iter().filter_map(|operation| match operation.change {
        Change::Add { mut keywords, .. } => {
            // A weight comes with the instance, and so does what it is before its first check.
            keywords.weight = exposure.policy.server.weight;
            keywords.init_state = exposure.policy.server.init_state;
            if exposure.policy.cookie {
                // By the file every version takes one.
                keywords.cookie = CookieValue::new(operation.server.as_str()).ok();
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
