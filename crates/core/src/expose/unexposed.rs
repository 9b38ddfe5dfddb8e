//! Why a service is left out.

use roster_haproxy::keywords::InvalidKeyword;
use roster_haproxy::name::{BackendName, InvalidName, ServiceKey};
use roster_haproxy::render::InvalidValue;
use thiserror::Error;

use crate::pattern::NoValue;
use crate::slots::NoName;

/// Why a service cannot be exposed. It never holds up another one.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum Unexposed {
    /// A placeholder of the backend's name has no value.
    #[error("service {service} is left out: {why}")]
    NoValue {
        /// The service.
        service: ServiceKey,
        /// Which, and in what pattern.
        why: NoValue,
    },
    /// The backend's name would be none.
    #[error("service {service} is left out: {why}; change backend.name or the service's name")]
    BackendName {
        /// The service.
        service: ServiceKey,
        /// What is wrong with it.
        why: InvalidName,
    },
    /// The slots' names would be none.
    #[error("service {service} is left out: {why}; change slots.names")]
    SlotNames {
        /// The service.
        service: ServiceKey,
        /// What is wrong with them.
        why: NoName,
    },
    /// A route's host or path would be none.
    #[error("service {service} is left out: {why}; change backend.route or the service's name")]
    Route {
        /// The service.
        service: ServiceKey,
        /// What is wrong with it.
        why: InvalidRoute,
    },
    /// Two services on one backend.
    #[error(
        "service {service} is left out: backend {backend} already takes {other}; give each its own backend.name"
    )]
    SameBackend {
        /// The service.
        service: ServiceKey,
        /// The backend.
        backend: BackendName,
        /// The one that has it.
        other: ServiceKey,
    },
    /// Two services on one backend, and nothing tells which one has it.
    #[error(
        "service {service} is left out: other services want backend {backend} too, and the record of which one has it \
         cannot be read; correct the state folder, or give each its own backend.name"
    )]
    RecordUnread {
        /// The service.
        service: ServiceKey,
        /// The backend.
        backend: BackendName,
    },
}

/// What makes no route.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum InvalidRoute {
    /// Not a host.
    #[error(transparent)]
    Host(#[from] InvalidKeyword),
    /// Not a path.
    #[error(transparent)]
    Path(#[from] InvalidValue),
    /// Neither host nor path.
    #[error("a route has neither a host nor a path")]
    Empty,
}

impl Unexposed {
    /// What is wrong, without what comes of it.
    pub fn cause(&self) -> String {
        match self {
            Self::NoValue { why, .. } => why.to_string(),
            Self::BackendName { why, .. } => why.to_string(),
            Self::SlotNames { why, .. } => why.to_string(),
            Self::Route { why, .. } => why.to_string(),
            Self::SameBackend { other, .. } => format!("the backend already takes {other}"),
            Self::RecordUnread { .. } => {
                "the record of which service has the backend cannot be read".to_owned()
            }
        }
    }
}
