//! What a source says: instances, grouped by service, as one complete answer.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use roster_haproxy::address::{Endpoint, Port};
use roster_haproxy::name::{InstanceId, Label, ServiceName};
use roster_haproxy::weight::{Weight, ZoneShare};
use serde::{Deserialize, Serialize};

use crate::shared::{Interner, Shared};

/// The instances of a service.
pub type Members = Shared<Vec<Instance>>;
/// What a source knows of an instance besides the rest: tags, labels, meta keys. Many instances have the same.
pub type Metadata = Shared<BTreeMap<String, String>>;

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
    /// Which health checks decide when it may take traffic.
    #[serde(default, skip_serializing_if = "HealthAuthority::is_checks")]
    pub health_authority: HealthAuthority,
    /// Where it is in its life.
    #[serde(default)]
    pub lifecycle: Lifecycle,
    /// Whatever else the source knows. For selecting only: never sent to HAProxy.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub metadata: Metadata,
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

/// Which health checks decide when an instance may take traffic. Each instance has its own: one without health of its own
/// says nothing of the others.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthAuthority {
    /// Roster's probe, or HAProxy's check. An instance that the source calls failing takes no traffic all the same.
    #[default]
    Checks,
    /// The source's own: an instance that the source calls passing takes traffic at once.
    Source,
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
    pub services: BTreeMap<ServiceName, Members>,
    /// What is known of services besides their instances. Not every service has one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub definitions: BTreeMap<ServiceName, Definition>,
    /// Services whose definition the source has seen being removed: a key, a node or a job was deleted. A service that is
    /// merely absent from the answer does not belong here. A source names a removed service in each answer until the
    /// service is there again, or until it forgets the removal.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub removed: BTreeSet<ServiceName>,
    /// What was left out, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rejects: Vec<Reject>,
    /// The names of metadata that the source has kept of instances; none for all names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata_kept: Option<BTreeSet<String>>,
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
    /// Since when the source has reported no instance of it, where the source remembers services without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub empty_since: Option<Timestamp>,
}

/// Something in an answer that could not be used. It never holds up the rest.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Reject {
    /// Where it stands: a file's line, a key, an instance's id.
    pub place: String,
    /// What is wrong and what to do.
    pub reason: String,
    /// The instances that it may hide; none where no instance is missing for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread: Option<Unread>,
}

/// An entry that is there and cannot be read, as far as it could be. A server leaves only because a complete answer lacks
/// its instance: what an unread entry may stand for is not missing.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Unread {
    /// The service that it belongs to; any of the source where that is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceName>,
    /// The instance's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceId>,
    /// The instance's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<IpAddr>,
    /// The instance's port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<Port>,
}

/// What an unread entry has to do with an instance.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Likeness {
    /// It is that instance.
    Same,
    /// Nothing says which instance it is; it may be that one.
    Unclear,
    /// It is another one.
    Other,
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
            && self.removed == other.removed
            && self.rejects == other.rejects
            && self.metadata_kept == other.metadata_kept
    }

    /// Whether rules can select by these names of metadata.
    pub fn keeps<'a>(&self, mut names: impl Iterator<Item = &'a String>) -> bool {
        self.metadata_kept.as_ref().is_none_or(|kept| names.all(|name| kept.contains(name)))
    }

    /// How many instances it has.
    pub fn count(&self) -> usize {
        self.services.values().map(|members| members.len()).sum()
    }

    /// Lets it take less memory: what is equal in it, or in the answer before, is held once.
    pub fn condense(&mut self, before: Option<&Snapshot>) {
        let mut metadata = Interner::default();
        for (service, members) in &mut self.services {
            let known = before.and_then(|before| before.services.get(service));
            if let Some(known) = known.filter(|known| *known == members) {
                *members = known.clone();
                continue;
            }
            members.shrink_to_fit();
            for instance in members.iter_mut() {
                instance.metadata = metadata.intern(std::mem::take(&mut instance.metadata));
            }
        }
    }

    /// The entries that cannot be read and may be instances of a service.
    pub fn unread<'a>(&'a self, service: &'a ServiceName) -> impl Iterator<Item = &'a Unread> {
        let unread = self.rejects.iter().filter_map(|reject| reject.unread.as_ref());
        unread.filter(move |unread| unread.service.as_ref().is_none_or(|of| of == service))
    }
}

fn is_empty(metadata: &Metadata) -> bool {
    metadata.is_empty()
}

impl Health {
    /// Whether nothing is known of it.
    pub fn is_unknown(&self) -> bool {
        *self == Health::Unknown
    }
}

impl HealthAuthority {
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives the field as it is")]
    fn is_checks(&self) -> bool {
        *self == HealthAuthority::Checks
    }
}

impl Reject {
    /// Something that cannot be used, and for which no instance is missing.
    pub fn aside(place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { place: place.into(), reason: reason.into(), unread: None }
    }

    /// An entry that cannot be read and may be an instance.
    pub fn unread(place: impl Into<String>, reason: impl Into<String>, unread: Unread) -> Self {
        Self { place: place.into(), reason: reason.into(), unread: Some(unread) }
    }
}

impl Unread {
    /// Any instance of a service.
    pub fn of_service(service: ServiceName) -> Self {
        Self { service: Some(service), ..Self::default() }
    }

    /// The instance of this id, whatever service it belongs to.
    pub fn of_instance(instance: InstanceId) -> Self {
        Self { instance: Some(instance), ..Self::default() }
    }

    /// Whether the entry is the instance of a server, known by its id, if that is known, and its address.
    pub fn likeness(&self, id: Option<&InstanceId>, endpoint: Endpoint) -> Likeness {
        let by_id = self.instance.is_some() && self.instance.as_ref() == id;
        let by_address = self.ip == Some(endpoint.ip) && self.port.is_none_or(|port| port == endpoint.port);
        if by_id || by_address {
            return Likeness::Same;
        }
        // An address says which instance it is not, and so does an id beside another id.
        let has_own_id = id.is_some_and(|id| *id != InstanceId::from_address(endpoint));
        let other = self.ip.is_some() || (self.instance.is_some() && has_own_id);
        if other { Likeness::Other } else { Likeness::Unclear }
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
            health_authority: HealthAuthority::Checks,
            lifecycle: Lifecycle::InService,
            metadata: Metadata::default(),
        }
    }
}
