//! A backend's record as it is stored.
//!
//! A record of an older Roster has no exposure, and that of a newer one may have what this one does not know. Then the few
//! keys beside it stand in for the exposure: the servers of a backend must be found again in any case.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use roster_haproxy::address::Endpoint;
use roster_haproxy::name::{BackendName, InvalidName, ServerName, ServiceKey};
use serde::{Deserialize, Serialize, Serializer};

use super::{AppliedBackend, AppliedServer, ProcessId};
use crate::exposure::{Claim, Drain, Exposure, Names, Own, Policy, Role, Selector};
use crate::guard::GuardRecord;
use crate::slots::SlotScheme;

/// What is read.
#[derive(Deserialize)]
pub(super) struct Stored {
    #[serde(default)]
    process: Option<ProcessId>,
    service: ServiceKey,
    role: Role,
    names: Names,
    parking: Endpoint,
    drain_cap_ms: u64,
    #[serde(default)]
    exposure: Option<serde_json::Value>,
    servers: BTreeMap<ServerName, AppliedServer>,
    #[serde(default)]
    guard: GuardRecord,
}

/// What is written.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<ProcessId>,
    service: &'a ServiceKey,
    role: Role,
    names: &'a Names,
    parking: Endpoint,
    drain_cap_ms: u64,
    exposure: &'a Exposure,
    servers: &'a BTreeMap<ServerName, AppliedServer>,
    guard: &'a GuardRecord,
}

impl Serialize for AppliedBackend {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self { process, exposure, servers, guard } = self;
        let cap = exposure.policy.drain.cap.as_millis();
        Shown {
            process: *process,
            service: &exposure.service,
            role: exposure.role,
            names: &exposure.names,
            parking: exposure.slots.parking,
            drain_cap_ms: u64::try_from(cap).unwrap_or(u64::MAX),
            exposure,
            servers,
            guard,
        }
        .serialize(to)
    }
}

impl TryFrom<Stored> for AppliedBackend {
    type Error = InvalidName;
    fn try_from(stored: Stored) -> Result<Self, InvalidName> {
        let known = stored.exposure.as_ref().and_then(|exposure| Exposure::deserialize(exposure).ok());
        let Stored { process, service, role, names, parking, drain_cap_ms, servers, guard, .. } = stored;
        let exposure = match known {
            Some(exposure) => exposure,
            None => Exposure {
                service,
                // The name of the file is that of the backend.
                backend: BackendName::new("unnamed")?,
                pattern: None,
                own: Own::Servers,
                claim: Claim::default(),
                role,
                names,
                slots: SlotScheme { parking, ..SlotScheme::default() },
                select: Selector::default(),
                policy: Policy {
                    drain: Drain { cap: Duration::from_millis(drain_cap_ms) },
                    ..Policy::default()
                },
                layout: None,
                routes: Vec::new(),
            },
        };
        Ok(Self { process, exposure: Arc::new(exposure), servers, guard })
    }
}
