//! What an operator should know of a backend besides its operations.

use std::fmt;

use jiff::Timestamp;
use roster_haproxy::name::{BackendName, InstanceId, ServerName, ServiceKey};
use roster_haproxy::weight::Weight;
use serde::{Deserialize, Serialize};

use crate::slots::Unplaced;

/// Something an operator should know of a backend that is no operation.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Note {
    /// There is no slot for an instance.
    Unplaced(Unplaced),
    /// The weight cannot be set live.
    WeightRefused {
        /// The server.
        server: ServerName,
        /// What it should be.
        wanted: Weight,
        /// The backend's algorithm.
        algorithm: Option<String>,
    },
    /// Instances come and go too often, and are kept out.
    Flapping {
        /// Which.
        instances: Vec<InstanceId>,
    },
    /// The answer of the source does not have the service.
    ServiceAbsent {
        /// The service.
        service: ServiceKey,
    },
    /// The backend keeps its name, or parts of it are as they were, though the rule makes none now.
    NamedByRecord {
        /// What is wrong.
        why: String,
    },
    /// Instances of the service make another backend's name.
    BelongsElsewhere {
        /// How many.
        instances: usize,
        /// The first of them.
        first: InstanceId,
        /// The backend whose name it makes.
        belongs_to: BackendName,
    },
    /// Servers whose instances left stay until others serve in their place.
    ReplacementsAwaited {
        /// Which; none once the wait is over.
        servers: Vec<ServerName>,
        /// When the wait ends.
        until: Timestamp,
    },
    /// The pattern makes no name for a slot.
    NoName(String),
    /// The backend's algorithm takes no new servers and no weights live.
    Static {
        /// Which one.
        algorithm: Option<String>,
        /// How many slots there are.
        slots: usize,
    },
    /// Servers are to come up by HAProxy's check, and some slots have none.
    NoCheck {
        /// How many.
        slots: usize,
    },
    /// Servers that Roster adds cannot have their cookie.
    NoCookie {
        /// The version that cannot.
        version: String,
    },
    /// No servers are added, for the slots are reached over TLS, and the rule does not say how.
    NoTls,
    /// Servers that are called as slots are, and whose addresses cannot be set.
    FixedAddress {
        /// How many.
        count: usize,
        /// The first of them.
        servers: Vec<ServerName>,
        /// The host name that their addresses come from; none where they are at no IP address.
        host: Option<String>,
    },
    /// No server of the backend fits the slots' names, though it has servers.
    NoSlots {
        /// What the names look like.
        names: String,
        /// A few that are there.
        there: Vec<ServerName>,
    },
}

impl Note {
    /// Whether something that a source says is left out; else it is a limit, told before it matters.
    pub fn is_lack(&self) -> bool {
        match self {
            Note::Unplaced(_)
            | Note::WeightRefused { .. }
            | Note::Flapping { .. }
            | Note::ServiceAbsent { .. }
            | Note::NamedByRecord { .. }
            | Note::BelongsElsewhere { .. }
            | Note::NoName(_)
            | Note::NoSlots { .. } => true,
            Note::ReplacementsAwaited { .. }
            | Note::Static { .. }
            | Note::NoCheck { .. }
            | Note::NoCookie { .. }
            | Note::NoTls
            | Note::FixedAddress { .. } => false,
        }
    }
}

impl Note {
    /// Whether it says something else than another note. Which servers wait for their replacements changes with each one that
    /// comes, and is no news.
    pub fn is_news_after(&self, before: &Note) -> bool {
        match (self, before) {
            (
                Note::ReplacementsAwaited { servers, .. },
                Note::ReplacementsAwaited { servers: before, .. },
            ) => servers.is_empty() != before.is_empty(),
            _ => self != before,
        }
    }

    /// Whether it is of something that happens in the ordinary course of things.
    pub fn is_ordinary(&self) -> bool {
        matches!(self, Note::ReplacementsAwaited { servers, .. } if !servers.is_empty())
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::Unplaced(unplaced) => write!(f, "{unplaced}"),
            Note::WeightRefused { server, wanted, algorithm } => write!(
                f,
                "{server} cannot get weight {wanted} live: balance {} takes only 0 and 100 %; use roundrobin, \
                 leastconn or `hash-type consistent`",
                algorithm.as_deref().unwrap_or("of this backend"),
            ),
            Note::Flapping { instances } => write!(
                f,
                "kept out because they come and go too often: {}",
                first_three(instances.iter().map(InstanceId::as_str))
            ),
            Note::ServiceAbsent { service } => write!(
                f,
                "service {service} is absent from the answer of its source; its servers are judged as if it had no instance"
            ),
            Note::NamedByRecord { why } => write!(f, "the backend stays as it is: {why}"),
            Note::BelongsElsewhere { instances: 1, first, belongs_to } => write!(
                f,
                "{first} is left out: by its name it belongs to backend {belongs_to}, and its service has this one"
            ),
            Note::BelongsElsewhere { instances, first, belongs_to } => write!(
                f,
                "{instances} instances are left out, {first} the first of them: by its name it belongs to backend \
                 {belongs_to}, and its service has this one"
            ),
            Note::ReplacementsAwaited { servers, until } if servers.is_empty() => {
                write!(f, "servers leave though no others served in their place by {until:.0}")
            }
            Note::ReplacementsAwaited { servers, until } => write!(
                f,
                "leave once others serve in their place, at {until:.0} at the latest: {}",
                first_three(servers.iter().map(ServerName::as_str)),
            ),
            Note::NoName(_)
            | Note::Static { .. }
            | Note::NoCheck { .. }
            | Note::NoCookie { .. }
            | Note::NoTls
            | Note::FixedAddress { .. }
            | Note::NoSlots { .. } => self.write_limit(f),
        }
    }
}

impl Note {
    /// What a backend's servers or its algorithm do not allow.
    fn write_limit(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::Static { algorithm, slots } => write!(
                f,
                "balance {} takes no servers live and only the weights 0 and 100 %: past its {slots} slots instances \
                 wait; use roundrobin, leastconn, random or `hash-type consistent`, or give it more slots",
                algorithm.as_deref().unwrap_or("of this backend"),
            ),
            Note::NoCheck { slots } => write!(
                f,
                "bring_up is check, but {slots} slots have no `check` on their line: Roster probes those itself"
            ),
            Note::NoCookie { version } => write!(
                f,
                "servers that are added live get no cookie on HAProxy {version}; 2.8 is the first that takes one, \
                 or give the backend enough slots with cookies"
            ),
            Note::NoTls => f.write_str(
                "no server is added: HAProxy reaches the slots over TLS, and would reach a server that is added in clear text; \
                 write `server: { ssl: … }` in the rule, or give the backend more slots",
            ),
            Note::NoName(why) => write!(f, "{why}; set slots.names"),
            Note::FixedAddress { count, servers, host } => {
                let more = count.saturating_sub(servers.len());
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                let names = first_three(servers.iter().map(ServerName::as_str));
                write!(f, "no slots, though their names fit: {names}{more}; ")?;
                match host {
                    Some(host) => write!(f, "HAProxy resolves the host name {host} for their addresses")?,
                    None => f.write_str("HAProxy can give them no IP address")?,
                }
                f.write_str(", and Roster leaves them alone; give slots an IP address, such as 127.0.0.1:1")
            }
            Note::NoSlots { names, there } => write!(
                f,
                "no server is called {names}; there are {}: set slots.names if those are the slots",
                first_three(there.iter().map(ServerName::as_str))
            ),
            _ => Ok(()),
        }
    }
}

/// The first three of a list, and how many more there are.
fn first_three<'a>(all: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = all.len().saturating_sub(3);
    let names = all.take(3).collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{names} and {more} more") } else { names }
}
