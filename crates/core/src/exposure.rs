//! Exposures: a service on one target's backend. The unit of planning.
//!
//! The configuration holds rules; a rule and a service make one exposure for each target, or two where the rule
//! has a fallback. An exposure is complete in itself: planning looks at nothing else of the configuration.

mod shared;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use roster_haproxy::keywords::ServerKeywords;
use roster_haproxy::name::{BackendName, Label, ServiceKey, SourceName, TargetName};
use roster_haproxy::render::{Balance, Bind, FieldName, FrontendName, HttpCheck, Mode, RawLine, RouteKey};
use roster_haproxy::weight::Weight;
use serde::{Deserialize, Serialize};

use crate::pattern::Pattern;
use crate::slots::{NameScheme, SlotNames, SlotScheme};

/// How services become exposures; one entry of `expose`.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Which services.
    pub services: Services,
    /// On which targets.
    pub targets: BTreeSet<TargetName>,
    /// The backend's name.
    pub backend: Pattern,
    /// What of the backend is Roster's.
    pub own: Own,
    /// Which backends are Roster's though no source tells of their service.
    pub claim: Claim,
    /// The slots' names and number.
    pub slots: SlotScheme,
    /// Which instances.
    pub select: Selector,
    /// Where the others go.
    pub fallback: Option<FallbackRule>,
    /// How the backend is written where Roster writes HAProxy's file.
    pub layout: Arc<Layout>,
    /// All the rest.
    pub policy: Policy,
}

/// How a backend is written where Roster writes HAProxy's file. Elsewhere it does not count.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Layout {
    /// What it understands.
    pub mode: Mode,
    /// How it chooses a server.
    pub balance: Balance,
    /// More lines.
    pub lines: Vec<RawLine>,
    /// What health checks ask; without it a connection is enough.
    pub check: Option<HttpCheck>,
    /// The cookie that keeps a client at its server.
    pub cookie: Option<FieldName>,
    /// Where the frontend in front of it listens; there is none without.
    pub binds: Vec<Bind>,
    /// Which requests the target's own frontends send there.
    pub routes: Vec<RoutePattern>,
    /// Fields of the backend object of a Data Plane API, merged into it when it is made.
    pub options: serde_json::Map<String, serde_json::Value>,
    /// More of them for some services, by the name that `{service}` stands for; they replace those of the same name.
    pub options_of: BTreeMap<String, serde_json::Map<String, serde_json::Value>>,
}

/// Which requests a frontend of the target sends to a backend: those for a host, with such a path, or with both.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct RoutePattern {
    /// The frontend.
    pub frontend: FrontendName,
    /// The host.
    pub host: Option<Pattern>,
    /// How the path begins.
    pub path: Option<Pattern>,
}

/// Which services a rule is about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Services {
    /// Every service of any source.
    All,
    /// Every service of one source.
    Each(SourceName),
    /// These.
    Listed(BTreeSet<ServiceKey>),
}

/// The second backend of a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct FallbackRule {
    /// Its name.
    pub backend: Pattern,
    /// Its slots' names.
    pub names: NameScheme,
    /// Whether every instance goes there, or only those that the rule's selector leaves.
    pub all: bool,
}

/// What of a backend is Roster's.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Own {
    /// The servers whose names fit the slots' names, nothing else.
    #[default]
    Servers,
    /// The whole backend.
    Whole,
}

/// Which backends of HAProxy's file count as Roster's own though no source tells of their service. Their servers are taken
/// out; the backends stay.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Claim {
    /// Those that Roster has made.
    #[default]
    Marked,
    /// Also those whose names, and whose servers' names, the rule could have made.
    Named,
}

/// Which instances of a service an exposure takes. Empty sets take all.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Selector {
    /// Groups to take.
    pub group: BTreeSet<Label>,
    /// Zones to take.
    pub zone: BTreeSet<Label>,
    /// Regions to take.
    pub region: BTreeSet<Label>,
    /// Metadata that must be there, with one of these values each, or with any where none are named.
    pub metadata: BTreeMap<String, BTreeSet<String>>,
    /// Whether it takes what it would otherwise leave.
    pub inverted: bool,
}

/// How an exposure treats its servers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Policy {
    /// What instances outside the local zone become.
    pub zones: Option<ZonePolicy>,
    /// The weight of instances that name none. Without it HAProxy's own stands.
    pub weight: Option<Weight>,
    /// What is written on the line of a server that Roster adds itself; `default-server` is not applied to those
    /// (management manual, `add server`).
    pub server: ServerKeywords,
    /// Whether such a server gets its own name as its cookie.
    pub cookie: bool,
    /// How an instance is brought up; without it, by what its source knows.
    pub bring_up: Option<BringUp>,
    /// How a server is probed before it is ready, where `probe` is chosen.
    pub probe: Probe,
    /// How an instance is taken out.
    pub drain: Drain,
    /// How weights rise after bring-up.
    pub slow_start: Option<SlowStart>,
    /// What holds changes back.
    pub guard: Guards,
    /// How long a freed slot waits before another instance takes it, unless no other slot is free: persistence
    /// cookies of old sessions name the slot.
    pub rest: Duration,
}

/// What instances outside the local zone become.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct ZonePolicy {
    /// The zone that HAProxy is in.
    pub local: Label,
    /// What instances of other zones become that have no [`ZoneShare`](roster_haproxy::weight::ZoneShare) of their own. One without a
    /// zone counts as local.
    pub others: OtherZones,
}

/// See [`ZonePolicy::others`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OtherZones {
    /// No different.
    Same,
    /// Backup servers.
    Backup,
    /// Servers of this weight.
    Weight(Weight),
}

/// When a new instance gets traffic.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BringUp {
    /// At once: the source vouches for its health.
    Registry,
    /// After Roster itself has reached it.
    Probe,
    /// After HAProxy's own check has passed, while the server drains.
    Check,
}

/// How Roster itself asks an instance whether it is there.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// The path of a GET that must answer 2xx or 3xx; without it a TCP connection is enough.
    pub http_path: Option<String>,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// How long after a failed attempt the next one starts.
    pub interval: Duration,
}

/// How an instance is taken out.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Drain {
    /// How long connections may take to end; 0 does not wait at all.
    pub cap: Duration,
}

/// How weights rise after bring-up.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct SlowStart {
    /// Where the weight starts, in percent of the full one, 1 to 100.
    pub from_percent: u8,
    /// How long it takes to the full one.
    pub over: Duration,
    /// In how many steps, 1 and up.
    pub steps: u32,
}

/// What holds changes back that look like a failure of the source.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Guards {
    /// The largest share of a backend, in percent, that may leave in one answer. 100 is off. It judges two or more.
    pub max_removal_percent: u8,
    /// How many instances must stay. 0 is off; 1 is the guard of the last one.
    pub min_servers: u32,
    /// An answer that lasts this many polls is believed. 0 is never.
    pub hold_passes: u32,
    /// An answer that lasts this long is believed.
    pub hold_for: Duration,
    /// Leaving and coming back this often within ten minutes keeps an instance out until it calms down. 0 is off.
    pub flaps: u32,
}

/// Whether an exposure is the place where instances normally go.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It is.
    Primary,
    /// It takes what the primary one leaves, or all.
    Fallback,
}

/// A service on one target's backend.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exposure {
    /// The service.
    pub service: ServiceKey,
    /// The backend.
    pub backend: BackendName,
    /// The pattern that made the backend's name; unknown where only an old record tells of it.
    pub pattern: Option<Pattern>,
    /// What of it is Roster's.
    pub own: Own,
    /// Whether a backend of its name is Roster's also without a mark.
    pub claim: Claim,
    /// What it is for.
    pub role: Role,
    /// Its servers' names.
    pub names: Names,
    /// How many slots, and where free ones point.
    pub slots: SlotScheme,
    /// Which instances.
    pub select: Selector,
    /// How it treats its servers.
    pub policy: Policy,
    /// How the backend is written; unknown where the service is gone and only the record tells of it.
    #[serde(with = "shared")]
    pub layout: Option<Arc<Layout>>,
    /// Which requests the target's frontends send there.
    pub routes: Vec<RouteTo>,
}

/// Requests that a frontend of the target sends to a backend.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct RouteTo {
    /// The frontend.
    pub frontend: FrontendName,
    /// The requests.
    pub of: RouteKey,
}

/// What an exposure's servers are called, everything but the slot filled in.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Names {
    /// After their slots.
    Slot(SlotNames),
    /// After their addresses.
    Address,
}

impl Default for Probe {
    fn default() -> Self {
        Self { http_path: None, timeout: Duration::from_secs(2), interval: Duration::from_secs(1) }
    }
}

impl Default for Drain {
    /// 30 s: longer than most requests, shorter than an operator's patience.
    fn default() -> Self {
        Self { cap: Duration::from_secs(30) }
    }
}

impl Default for Guards {
    /// Half of a backend, the last server, and flapping; an answer that lasts five minutes is believed.
    fn default() -> Self {
        Self {
            max_removal_percent: 50,
            min_servers: 1,
            hold_passes: 0,
            hold_for: Duration::from_mins(5),
            flaps: 5,
        }
    }
}

impl Guards {
    /// Nothing is held back.
    pub const OFF: Guards = Guards {
        max_removal_percent: 100,
        min_servers: 0,
        hold_passes: 0,
        hold_for: Duration::ZERO,
        flaps: 0,
    };
}

impl SlowStart {
    /// The share of the full weight, in percent, that a server has so long after it came up.
    pub fn percent_after(&self, up: Duration) -> u8 {
        if up >= self.over || self.over.is_zero() {
            return 100;
        }
        let from = u128::from(self.from_percent.clamp(1, 100));
        let steps = u128::from(self.steps.max(1));
        let done = up.as_millis() * steps / self.over.as_millis().max(1);
        u8::try_from(from + (100 - from) * done / steps).unwrap_or(100)
    }

    /// How long after bring-up the step after this one comes; none once the weight is full.
    pub fn next_step(&self, up: Duration) -> Option<Duration> {
        if up >= self.over {
            return None;
        }
        let step = self.over / self.steps.max(1);
        (1..=self.steps.max(1)).map(|n| step * n).find(|at| *at > up)
    }
}

impl BringUp {
    /// The word that the configuration has for it.
    pub fn word(self) -> &'static str {
        match self {
            BringUp::Registry => "registry",
            BringUp::Probe => "probe",
            BringUp::Check => "check",
        }
    }
}

impl fmt::Display for BringUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_start_rises_in_steps_and_ends_at_the_full_weight() {
        let ramp = SlowStart { from_percent: 10, over: Duration::from_secs(90), steps: 9 };
        let at = |s| ramp.percent_after(Duration::from_secs(s));
        assert_eq!([at(0), at(9), at(10), at(45), at(89), at(90), at(1000)], [10, 10, 20, 50, 90, 100, 100]);
        assert_eq!(ramp.next_step(Duration::from_secs(10)), Some(Duration::from_secs(20)));
        assert_eq!(ramp.next_step(Duration::from_secs(90)), None);
    }
}
