//! Which of a machine's addresses is its private one.
//!
//! Invariant: an address that is not shown is never replaced by another one of the machine: it may be shown again a moment
//! later, and the machine's service may listen on it alone.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;

use serde::Deserialize;

use super::resource::ResourceId;
use crate::arm::wire::{Element, Interface, IpProperties, Vm};

/// Interfaces by their id, and by the machine that they are attached to.
pub(super) struct Interfaces {
    by_id: HashMap<ResourceId, (bool, Option<IpAddr>)>,
    by_machine: HashMap<ResourceId, Vec<ResourceId>>,
}

/// What is needed of an interface. There are as many as machines, so nothing else is kept.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(from = "Interface")]
pub(crate) struct Listed {
    id: String,
    /// The machine that it is attached to.
    machine: Option<String>,
    primary: bool,
    address: Option<IpAddr>,
}

/// Why a machine has no address. Azure's lists leave out both for a while when something is changed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum NoAddress {
    /// No interface is attached.
    NoInterface,
    /// Its interfaces, or the primary one of them, are in no list.
    NotListed(Vec<ResourceId>),
    /// The primary interface shows none.
    NotShown(ResourceId),
}

impl Interfaces {
    pub(super) fn new(all: impl IntoIterator<Item = Listed>) -> Self {
        let mut by_machine: HashMap<ResourceId, Vec<ResourceId>> = HashMap::new();
        let mut by_id = HashMap::new();
        for Listed { id, machine, primary, address } in all {
            let id = ResourceId::new(&id);
            if let Some(machine) = machine {
                by_machine.entry(ResourceId::new(&machine)).or_default().push(id.clone());
            }
            by_id.insert(id, (primary, address));
        }
        // Whatever the order of the lists, the same one comes first.
        for ids in by_machine.values_mut() {
            ids.sort();
        }
        Self { by_id, by_machine }
    }

    /// The address of the primary interface: the machine's only one, or the one that is called primary, or the first if none
    /// is.
    pub(super) fn address(&self, id: &ResourceId, vm: &Vm) -> Result<IpAddr, NoAddress> {
        let references = &vm.properties.network_profile.network_interfaces;
        let mut named: Vec<(ResourceId, bool)> = references
            .iter()
            .map(|reference| (ResourceId::new(&reference.id), reference.properties.primary == Some(true)))
            .collect();
        if named.is_empty() {
            let attached = self.by_machine.get(id).into_iter().flatten();
            named.extend(attached.map(|interface| (interface.clone(), false)));
        }
        let is_primary = |(id, named): &&(ResourceId, bool)| {
            *named || self.by_id.get(id).is_some_and(|(primary, _)| *primary)
        };
        let missing = || named.iter().map(|(id, _)| id).filter(|id| !self.by_id.contains_key(*id));
        let (first, _) = match named.iter().find(is_primary) {
            Some(primary) => primary,
            // One that is missing may be the primary one.
            None if missing().next().is_some() => {
                return Err(NoAddress::NotListed(missing().cloned().collect()));
            }
            None => named.first().ok_or(NoAddress::NoInterface)?,
        };
        match self.by_id.get(first) {
            Some((_, address)) => address.ok_or_else(|| NoAddress::NotShown(first.clone())),
            None => Err(NoAddress::NotListed(vec![first.clone()])),
        }
    }
}

impl Element for Listed {
    fn id(&self) -> &str {
        &self.id
    }
}

impl From<Interface> for Listed {
    fn from(Interface { id, properties }: Interface) -> Self {
        let addresses = properties.ip_configurations.iter().map(|one| &one.properties);
        let (primary, address) = (properties.primary == Some(true), best(addresses));
        Self { id, machine: properties.virtual_machine.map(|machine| machine.id), primary, address }
    }
}

/// The interface's own address: of its IPv4 configurations, or of its IPv6 ones if it has no other, that of the primary one.
fn best<'a>(configurations: impl Iterator<Item = &'a IpProperties>) -> Option<IpAddr> {
    let address = |one: &IpProperties| one.private.as_deref()?.trim().parse::<IpAddr>().ok();
    let is_v6 = |one: &IpProperties| match &one.version {
        Some(version) => version.eq_ignore_ascii_case("ipv6"),
        None => address(one).is_some_and(|address| address.is_ipv6()),
    };
    let first = configurations.min_by_key(|one| (is_v6(one), one.primary != Some(true)))?;
    address(first)
}

impl fmt::Display for NoAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoInterface => f.write_str("it has no network interface; attach one in a virtual network"),
            Self::NotListed(interfaces) => {
                let names: Vec<String> = interfaces.iter().map(ToString::to_string).collect();
                write!(
                    f,
                    "its network interface is in no list ({}); if that is in another group, add the group to `resource_groups`",
                    names.join(", ")
                )
            }
            Self::NotShown(interface) => {
                write!(f, "its network interface {interface} shows no private address")
            }
        }
    }
}
