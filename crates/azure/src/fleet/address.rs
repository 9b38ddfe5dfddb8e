//! Which of a machine's addresses is its private one.

use std::collections::HashMap;
use std::net::IpAddr;

use super::resource::ResourceId;
use crate::arm::wire::{Interface, Vm};

/// Interfaces by their id, and by the machine that they are attached to.
pub(super) struct Interfaces {
    by_id: HashMap<ResourceId, Interface>,
    by_machine: HashMap<ResourceId, Vec<ResourceId>>,
}

/// Why a machine has no address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum NoAddress {
    /// Its interfaces, or the first of them, are in no list.
    NotListed(Vec<ResourceId>),
    /// There is none, or they have no private address.
    None,
}

impl Interfaces {
    pub(super) fn new(all: Vec<Interface>) -> Self {
        let mut by_machine: HashMap<ResourceId, Vec<ResourceId>> = HashMap::new();
        for interface in &all {
            if let Some(machine) = &interface.properties.virtual_machine {
                by_machine
                    .entry(ResourceId::new(&machine.id))
                    .or_default()
                    .push(ResourceId::new(&interface.id));
            }
        }
        // Whatever the order of the lists, the same one comes first.
        for ids in by_machine.values_mut() {
            ids.sort();
        }
        let by_id = all.into_iter().map(|interface| (ResourceId::new(&interface.id), interface)).collect();
        Self { by_id, by_machine }
    }

    /// The primary interface's primary configuration, IPv4 before IPv6; then the next interface. None while one is missing that
    /// would come first.
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
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for (id, primary) in named {
            match self.by_id.get(&id) {
                Some(interface) => {
                    found.push((primary || interface.properties.primary == Some(true), interface));
                }
                None => missing.push(id),
            }
        }
        found.sort_by_key(|(primary, _)| !primary);
        let has_primary = found.first().is_some_and(|(primary, _)| *primary);
        if !missing.is_empty() && !has_primary {
            return Err(NoAddress::NotListed(missing));
        }
        found.iter().find_map(|(_, interface)| best(interface)).ok_or(NoAddress::None)
    }
}

fn best(interface: &Interface) -> Option<IpAddr> {
    let configurations = interface.properties.ip_configurations.iter().map(|one| &one.properties);
    configurations
        .filter_map(|one| {
            let address: IpAddr = one.private.as_deref()?.trim().parse().ok()?;
            Some((address.is_ipv6(), one.primary != Some(true), address))
        })
        .min_by_key(|(v6, secondary, _)| (*v6, *secondary))
        .map(|(_, _, address)| address)
}
