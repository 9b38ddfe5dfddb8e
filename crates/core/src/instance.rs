//! What a source says: instances, grouped by service, as one complete answer.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::address::{Endpoint, Port};
use crate::name::{InstanceId, Label, ServiceName};
use crate::weight::{Weight, ZoneShare};

/// One address and port that a source reports.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Instance {
    /// What the registry calls it; it keeps its slot by this.
    pub id: InstanceId,
    /// Where it listens.
    pub endpoint: Endpoint,
    /// Its availability zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<Label>,
    /// Its region or datacenter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Label>,
    /// Its auto scaling group, scale set or node pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Label>,
    /// The weight that the source gives it; none leaves HAProxy's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<Weight>,
    /// The share of traffic that the source wants between zones; it counts where the exposure has a zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone_share: Option<ZoneShare>,
    /// What the registry's own health checks say.
    #[serde(default)]
    pub health: Health,
    /// Where it is in its life.
    #[serde(default)]
    pub lifecycle: Lifecycle,
    /// Whatever else the source knows. For selecting only: never sent to HAProxy.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

/// What the registry's health checks say of an instance.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// The registry checks nothing, or has not yet.
    #[default]
    Unknown,
    /// All checks pass.
    Passing,
    /// A check fails.
    Failing,
}

/// Where an instance is in its life. One that has ended is simply no longer reported.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lifecycle {
    /// It runs and is meant to stay.
    #[default]
    InService,
    /// It still runs, but is about to end: no new traffic.
    Leaving,
}

/// One complete answer of a source. Nothing partial ever becomes one.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Every service the source knows, also those without an instance.
    pub services: BTreeMap<ServiceName, Vec<Instance>>,
    /// What is known of services besides their instances. Not every service has one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub definitions: BTreeMap<ServiceName, Definition>,
    /// What was left out, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rejects: Vec<Reject>,
    /// Whether the source vouches for health, so that `passing` instances can come up at once.
    #[serde(default)]
    pub vouches_health: bool,
    /// When the answer was complete.
    pub taken: Timestamp,
}

/// What a source says of a service itself. It holds also while the service has no instance, so that it stays in the
/// backend where it was.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    /// What people call it: `{service}` in a pattern. The service's name in the answer may say more, to be unique.
    pub name: ServiceName,
    /// Its port, whatever ports its instances have: `{port}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<Port>,
    /// Its region: `{region}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Label>,
}

/// Something in an answer that could not be used. It never holds up the rest.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Reject {
    /// Where it stands: a file's line, a key, an instance's id.
    pub place: String,
    /// What is wrong and what to do.
    pub reason: String,
}

/// What a source tells: its whole answer, or that it has none.
#[derive(Clone, Debug)]
pub enum SourceEvent {
    /// A complete answer; it replaces the one before.
    Full(Arc<Snapshot>),
    /// No complete answer: an error, a partial one, a timeout. What was known stays.
    Lost(SourceError),
}

/// Why a source has no complete answer.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct SourceError {
    /// What failed, where, and what the operator can do.
    pub message: String,
}

impl Snapshot {
    /// Whether both say the same, whenever they were taken.
    pub fn says_what(&self, other: &Snapshot) -> bool {
        self.services == other.services
            && self.definitions == other.definitions
            && self.rejects == other.rejects
            && self.vouches_health == other.vouches_health
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.reason)
    }
}

impl Instance {
    /// An instance of which only the address is known; the address is its id.
    pub fn at(endpoint: Endpoint) -> Self {
        Self {
            id: InstanceId::from_address(endpoint),
            endpoint,
            zone: None,
            region: None,
            group: None,
            weight: None,
            zone_share: None,
            health: Health::Unknown,
            lifecycle: Lifecycle::InService,
            metadata: BTreeMap::new(),
        }
    }
}
