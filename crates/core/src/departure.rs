//! Why a server leaves, and why it stays though nothing reports its instance any more.
//!
//! A server leaves for one of three reasons only:
//! - a complete answer of a configured source, heard since Roster started, lacks its instance, and no guard holds that;
//! - the source says that the service was removed;
//! - an operator says so, by `roster release` or in the configuration.
//!
//! Everything else keeps the servers as they are and is reported: [`Kept`] names each such case. So a new way to lose sight
//! of a service has to be given its place here before anything can come of it.

use std::fmt;

use roster_haproxy::name::{BackendName, InstanceId, ServiceKey, SourceName};
use serde::{Deserialize, Serialize};

/// What may take the servers of a backend out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Grounds {
    /// An answer that has the service: the instances that it lacks leave, through the guards.
    Answer,
    /// An answer that does not have the service at all. That is judged like an answer with no instance of it.
    Absent,
    /// The source says that the service was removed: all of its servers leave. No guard judges how many those are.
    Removed,
    /// Nothing may: the servers stay until that changes, or until an operator releases them.
    Nothing(Kept),
}

/// Why servers stay though no answer reports their instances.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// The source has not answered since Roster started.
    NotHeard {
        /// The source.
        source: SourceName,
    },
    /// The source is not in the configuration any more, and no other source has the service for this backend.
    SourceGone {
        /// The source.
        source: SourceName,
    },
    /// No rule of the configuration leads the service to this backend any more.
    RuleGone {
        /// The service.
        service: ServiceKey,
    },
    /// The instances of the service make no one name for its backend, and none of them makes this backend's.
    NoName {
        /// The service.
        service: ServiceKey,
    },
    /// The instances of the service make another backend's name now, and no server of that backend takes traffic yet.
    NotServedYet {
        /// The service.
        service: ServiceKey,
        /// The other backend.
        by: BackendName,
    },
}

/// Why an instance lost its server.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Departure {
    /// The answer of its source has the service, and lacks the instance.
    NotReported,
    /// The answer of its source does not have the service.
    ServiceAbsent,
    /// The source says that the service was removed.
    ServiceRemoved,
    /// The source reports that the instance is about to end.
    Ending,
    /// `select` does not take the instance.
    NotSelected,
    /// An operator released it.
    Released,
    /// Another service has the backend now.
    TakenOver {
        /// The service that had it.
        from: ServiceKey,
    },
    /// The instance needs a server of another kind, active or backup.
    OtherShape,
    /// The instance has another address, and servers are called after their addresses.
    Moved,
    /// Another server of the backend has the same address.
    SameAddress {
        /// The instance that has that server, where it is another one.
        holder: Option<InstanceId>,
    },
    /// All of the backend is Roster's, and the server is none of its slots.
    NoSlot,
}

impl Kept {
    /// One word for it, for metrics.
    pub fn word(&self) -> &'static str {
        match self {
            Kept::NotHeard { .. } => "not_heard",
            Kept::SourceGone { .. } => "source_gone",
            Kept::RuleGone { .. } => "rule_gone",
            Kept::NoName { .. } => "no_name",
            Kept::NotServedYet { .. } => "not_served_yet",
        }
    }

    /// Whether it ends by itself, in the ordinary course of things.
    pub fn is_passing(&self) -> bool {
        matches!(self, Kept::NotHeard { .. } | Kept::NotServedYet { .. })
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kept::NotHeard { source } => write!(f, "source {source} has not answered since Roster started"),
            Kept::SourceGone { source } => write!(f, "source {source} is not in the configuration any more"),
            Kept::RuleGone { service } => {
                write!(f, "no rule of the configuration leads service {service} to this backend any more")
            }
            Kept::NoName { service } => write!(
                f,
                "the instances of service {service} make no one name for its backend, and none of them makes this one"
            ),
            Kept::NotServedYet { service, by } => write!(
                f,
                "the instances of service {service} belong to backend {by} now, where no server takes traffic yet"
            ),
        }
    }
}

impl fmt::Display for Departure {
    /// What follows the instance's name in a sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Departure::NotReported => f.write_str("is no longer reported"),
            Departure::ServiceAbsent => f.write_str("is no longer reported, nor is its service"),
            Departure::ServiceRemoved => {
                f.write_str("is no longer reported: the source says that the service was removed")
            }
            Departure::Ending => f.write_str("is reported as leaving"),
            Departure::NotSelected => f.write_str("is not taken by `select`"),
            Departure::Released => f.write_str("was released by an operator"),
            Departure::TakenOver { from } => {
                write!(f, "is of service {from}, which has no instance any more")
            }
            Departure::OtherShape => f.write_str("needs a server of another kind, active or backup"),
            Departure::Moved => f.write_str("has moved to another address"),
            Departure::SameAddress { holder: Some(holder) } => {
                write!(f, "is served by the server of {holder}, at the same address")
            }
            Departure::SameAddress { holder: None } => {
                f.write_str("is served by another server at the same address")
            }
            Departure::NoSlot => f.write_str("is at a server that is none of the backend's slots"),
        }
    }
}

#[cfg(test)]
mod tests;
