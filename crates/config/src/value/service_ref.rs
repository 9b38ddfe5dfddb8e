//! One service, named together with its source.

use std::fmt;
use std::str::FromStr;

use roster_haproxy::name::{InvalidName, ServiceKey, ServiceName, SourceName};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// `SOURCE/SERVICE`. A service's name may have slashes, a source's has none.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServiceRef(ServiceKey);

/// Not a service together with its source.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum InvalidServiceRef {
    /// No slash.
    #[error("{0:?} names no source; write SOURCE/SERVICE, for example fleet/web")]
    NoSource(String),
    /// A part of it is no name.
    #[error(transparent)]
    Name(#[from] InvalidName),
}

impl ServiceRef {
    /// The source and the service.
    pub fn key(&self) -> &ServiceKey {
        &self.0
    }
}

impl FromStr for ServiceRef {
    type Err = InvalidServiceRef;
    fn from_str(given: &str) -> Result<Self, InvalidServiceRef> {
        let no_source = || InvalidServiceRef::NoSource(given.chars().take(64).collect());
        let (source, service) = given.split_once('/').ok_or_else(no_source)?;
        Ok(Self(ServiceKey { source: SourceName::new(source)?, service: ServiceName::new(service)? }))
    }
}

impl TryFrom<String> for ServiceRef {
    type Error = InvalidServiceRef;
    fn try_from(given: String) -> Result<Self, InvalidServiceRef> {
        given.parse()
    }
}

impl From<ServiceRef> for String {
    fn from(service: ServiceRef) -> String {
        service.to_string()
    }
}

impl From<ServiceKey> for ServiceRef {
    fn from(key: ServiceKey) -> Self {
        Self(key)
    }
}

impl fmt::Display for ServiceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

schema_of_marker!(ServiceRef);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_slash_parts_the_source_from_the_service() {
        let service: ServiceRef = "fleet/eu/web".parse().unwrap();
        assert_eq!(service.key().source.as_str(), "fleet");
        assert_eq!(service.key().service.as_str(), "eu/web");
        for wrong in ["web", "/web", "fleet/", "fleet/a b", ""] {
            assert!(wrong.parse::<ServiceRef>().is_err(), "{wrong:?} was taken");
        }
    }
}
