//! `DescribeInstances`, version 2016-11-15.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use std::sync::Arc;

use compact_str::CompactString;
use jiff::Timestamp;
use roster_core::instance::{Health, Lifecycle};
use roxmltree::Node;

use super::{Page, Tags, Texts, WireError, child, document, list, required, tags, text_of};
use crate::settings::{Address, Family, Query, ZoneName};

/// An instance as EC2 lists it, and what its group says of it. There may be tens of thousands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Ec2Instance {
    pub(crate) id: CompactString,
    pub(crate) owner: Option<Arc<str>>,
    /// Whether it runs; what is about to start or to end does not.
    pub(crate) runs: bool,
    /// The private address that is wanted.
    pub(crate) address: Option<IpAddr>,
    pub(crate) zone: Option<CompactString>,
    pub(crate) launched: Option<Timestamp>,
    pub(crate) tags: Tags,
    /// Its group, once that is known.
    pub(crate) group: Option<CompactString>,
    /// By its group.
    pub(crate) health: Health,
    /// By its group.
    pub(crate) lifecycle: Lifecycle,
}

pub(crate) fn instances(text: &str, query: &Query) -> Result<Page<Ec2Instance>, WireError> {
    const ROOT: &str = "DescribeInstancesResponse";
    let document = document(text, ROOT)?;
    let root = document.root_element();
    child(root, "reservationSet").ok_or(WireError::Missing { wanted: "reservationSet", within: ROOT })?;
    let (mut items, mut texts) = (Vec::new(), Texts::default());
    for reservation in list(root, "reservationSet") {
        let owner = text_of(reservation, "ownerId").map(|owner| texts.shared(owner));
        for item in list(reservation, "instancesSet") {
            items.push(instance(item, owner.clone(), query, &mut texts)?);
        }
    }
    Ok(Page { items, next: text_of(root, "nextToken").map(str::to_owned) })
}

fn instance(
    item: Node<'_, '_>,
    owner: Option<Arc<str>>,
    query: &Query,
    texts: &mut Texts,
) -> Result<Ec2Instance, WireError> {
    const WITHIN: &str = "instancesSet/item";
    let state = child(item, "instanceState")
        .and_then(|state| text_of(state, "name"))
        .ok_or(WireError::Missing { wanted: "instanceState/name", within: WITHIN })?;
    Ok(Ec2Instance {
        id: required(item, "instanceId", WITHIN)?.into(),
        owner,
        runs: state == "running",
        address: address(item, query.address),
        zone: zone(item, query.zone).map(Into::into),
        launched: text_of(item, "launchTime").and_then(|text| text.parse().ok()),
        tags: tags(list(item, "tagSet"), ["key", "value"], query, texts),
        group: None,
        health: Health::Unknown,
        lifecycle: Lifecycle::InService,
    })
}

fn zone<'a>(item: Node<'a, '_>, which: ZoneName) -> Option<&'a str> {
    let at = child(item, "placement")?;
    match which {
        ZoneName::Name => text_of(at, "availabilityZone"),
        ZoneName::Id => text_of(at, "availabilityZoneId"),
    }
}

fn address(item: Node<'_, '_>, Address { interface, family }: Address) -> Option<IpAddr> {
    let v4 = || v4(item, interface).map(IpAddr::V4);
    let v6 = || v6(item, interface).map(IpAddr::V6);
    match family {
        Family::Any => v4().or_else(v6),
        Family::V4 => v4(),
        Family::V6 => v6(),
    }
}

fn v4(item: Node<'_, '_>, interface: u16) -> Option<Ipv4Addr> {
    // The instance's own field is there before those of its interfaces.
    let own = (interface == 0).then(|| text_of(item, "privateIpAddress")).flatten();
    let at = || interfaces(item, interface).find_map(|at| text_of(at, "privateIpAddress"));
    own.or_else(at)?.parse().ok()
}

fn v6(item: Node<'_, '_>, interface: u16) -> Option<Ipv6Addr> {
    let own = (interface == 0).then(|| text_of(item, "ipv6Address")).flatten();
    let primary = |at: &Node<'_, '_>| text_of(*at, "isPrimaryIpv6") == Some("true");
    let of_interfaces = || {
        let all = || interfaces(item, interface).flat_map(|at| list(at, "ipv6AddressesSet"));
        all().find(primary).or_else(|| all().next()).and_then(|at| text_of(at, "ipv6Address"))
    };
    own.or_else(of_interfaces)?.parse().ok()
}

/// The network interfaces that a machine counts so, one for each of its network cards. One without a number is the first.
fn interfaces<'a, 'i>(item: Node<'a, 'i>, number: u16) -> impl Iterator<Item = Node<'a, 'i>> + use<'a, 'i> {
    list(item, "networkInterfaceSet").filter(move |at| {
        let index = child(*at, "attachment").and_then(|attachment| text_of(attachment, "deviceIndex"));
        index.map_or(Some(0), |index| index.parse().ok()) == Some(number)
    })
}
