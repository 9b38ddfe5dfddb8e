//! Which of a machine's addresses is its private one.
//!
//! Invariant: an address that is not shown is never replaced by another one of the machine: it may be shown again a moment
//! later, and the machine's service may listen on it alone.

use std::fmt;
use std::net::IpAddr;

use super::listed::{ListedInterface, ListedVm};
use super::resource::ResourceId;
use super::table::Table;
use crate::arm::wire::IpProperties;

/// Interfaces by their id, and by the machine that they are attached to.
pub(super) struct Interfaces {
    by_id: Table<Shown>,
    by_machine: Table<ResourceId>,
}

/// What an interface shows.
struct Shown {
    is_primary: bool,
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
    pub(super) fn new(mut all: Vec<ListedInterface>) -> Self {
        // Whatever the order of the lists, the same one comes first.
        all.sort_unstable_by(|one, other| {
            (&one.resource, one.is_primary, one.address).cmp(&(
                &other.resource,
                other.is_primary,
                other.address,
            ))
        });
        let attached = all.iter().filter_map(|one| Some((one.machine.clone()?, one.resource.clone())));
        let by_machine = Table::new(attached);
        let shown =
            |ListedInterface { resource, is_primary, address, .. }| (resource, Shown { is_primary, address });
        Self { by_id: Table::new(all.into_iter().map(shown)), by_machine }
    }

    /// The address of the primary interface: the machine's only one, or the one that is called primary, or the first if none
    /// is.
    pub(super) fn address(&self, vm: &ListedVm) -> Result<IpAddr, NoAddress> {
        let mut named = vm.interfaces.to_vec();
        if named.is_empty() {
            let attached = self.by_machine.all(&vm.resource);
            named.extend(attached.map(|interface| (interface.clone(), false)));
        }
        let is_primary = |(id, named): &&(ResourceId, bool)| {
            *named || self.by_id.get(id).is_some_and(|shown| shown.is_primary)
        };
        let missing = || named.iter().map(|(id, _)| id).filter(|id| self.by_id.get(id).is_none());
        let (first, _) = match named.iter().find(is_primary) {
            Some(primary) => primary,
            // One that is missing may be the primary one.
            None if missing().next().is_some() => {
                return Err(NoAddress::NotListed(missing().cloned().collect()));
            }
            None => named.first().ok_or(NoAddress::NoInterface)?,
        };
        match self.by_id.get(first) {
            Some(shown) => shown.address.ok_or_else(|| NoAddress::NotShown(first.clone())),
            None => Err(NoAddress::NotListed(vec![first.clone()])),
        }
    }
}

/// The interface's own address: of its IPv4 configurations, or of its IPv6 ones if it has no other, that of the primary one.
pub(super) fn best<'a>(configurations: impl Iterator<Item = &'a IpProperties>) -> Option<IpAddr> {
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
