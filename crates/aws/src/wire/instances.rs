//! `DescribeInstances`, version 2016-11-15.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use jiff::Timestamp;
use roxmltree::Node;

use super::{Page, WireError, child, document, list, required, tags, text_of};
use crate::settings::{Address, Family, Query, ZoneName};

/// An instance as EC2 tells it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Ec2Instance {
    pub(crate) id: String,
    pub(crate) owner: Option<String>,
    /// Whether it runs; what is about to start or to end does not.
    pub(crate) runs: bool,
    /// The private address that is wanted.
    pub(crate) address: Option<IpAddr>,
    pub(crate) zone: Option<String>,
    pub(crate) launched: Option<Timestamp>,
    pub(crate) tags: BTreeMap<String, String>,
}

pub(crate) fn instances(text: &str, query: &Query) -> Result<Page<Ec2Instance>, WireError> {
    const ROOT: &str = "DescribeInstancesResponse";
    let document = document(text, ROOT)?;
    let root = document.root_element();
    child(root, "reservationSet").ok_or(WireError::Missing { wanted: "reservationSet", within: ROOT })?;
    let mut items = Vec::new();
    for reservation in list(root, "reservationSet") {
        let owner = text_of(reservation, "ownerId");
        for item in list(reservation, "instancesSet") {
            items.push(instance(item, owner, query)?);
        }
    }
    Ok(Page { items, next: text_of(root, "nextToken").map(str::to_owned) })
}

fn instance(item: Node<'_, '_>, owner: Option<&str>, query: &Query) -> Result<Ec2Instance, WireError> {
    const WITHIN: &str = "instancesSet/item";
    let state = child(item, "instanceState")
        .and_then(|state| text_of(state, "name"))
        .ok_or(WireError::Missing { wanted: "instanceState/name", within: WITHIN })?;
    Ok(Ec2Instance {
        id: required(item, "instanceId", WITHIN)?.to_owned(),
        owner: owner.map(str::to_owned),
        runs: state == "running",
        address: address(item, query.address),
        zone: zone(item, query.zone).map(str::to_owned),
        launched: text_of(item, "launchTime").and_then(|text| text.parse().ok()),
        tags: tags(list(item, "tagSet"), "key", "value", query),
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
