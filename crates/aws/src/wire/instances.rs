//! `DescribeInstances`, version 2016-11-15.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use jiff::Timestamp;
use roxmltree::Node;

use super::{Page, WireError, child, document, list, required, tags, text_of};

/// An instance as EC2 tells it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Ec2Instance {
    pub(crate) id: String,
    pub(crate) owner: Option<String>,
    pub(crate) state: String,
    /// Its first private address: IPv4, or IPv6 where it has no other.
    pub(crate) address: Option<IpAddr>,
    pub(crate) zone: Option<String>,
    pub(crate) launched: Option<Timestamp>,
    pub(crate) tags: BTreeMap<String, String>,
}

pub(crate) fn instances(text: &str) -> Result<Page<Ec2Instance>, WireError> {
    const ROOT: &str = "DescribeInstancesResponse";
    let document = document(text, ROOT)?;
    let root = document.root_element();
    child(root, "reservationSet").ok_or(WireError::Missing { wanted: "reservationSet", within: ROOT })?;
    let mut items = Vec::new();
    for reservation in list(root, "reservationSet") {
        let owner = text_of(reservation, "ownerId");
        for item in list(reservation, "instancesSet") {
            items.push(instance(item, owner)?);
        }
    }
    Ok(Page { items, next: text_of(root, "nextToken").map(str::to_owned) })
}

fn instance(item: Node<'_, '_>, owner: Option<&str>) -> Result<Ec2Instance, WireError> {
    const WITHIN: &str = "instancesSet/item";
    let state = child(item, "instanceState")
        .and_then(|state| text_of(state, "name"))
        .ok_or(WireError::Missing { wanted: "instanceState/name", within: WITHIN })?;
    Ok(Ec2Instance {
        id: required(item, "instanceId", WITHIN)?.to_owned(),
        owner: owner.map(str::to_owned),
        state: state.to_owned(),
        address: address(item),
        zone: child(item, "placement").and_then(|at| text_of(at, "availabilityZone")).map(str::to_owned),
        launched: text_of(item, "launchTime").and_then(|text| text.parse().ok()),
        tags: tags(list(item, "tagSet"), "key", "value"),
    })
}

fn address(item: Node<'_, '_>) -> Option<IpAddr> {
    let v4 = text_of(item, "privateIpAddress").and_then(|text| text.parse().ok());
    v4.or_else(|| v6(item).map(IpAddr::V6))
}

/// The instance's own field is newer than those of its interfaces.
fn v6(item: Node<'_, '_>) -> Option<Ipv6Addr> {
    let of_interfaces =
        list(item, "networkInterfaceSet").flat_map(|interface| list(interface, "ipv6AddressesSet"));
    let texts = text_of(item, "ipv6Address").into_iter();
    texts.chain(of_interfaces.filter_map(|at| text_of(at, "ipv6Address"))).find_map(|text| text.parse().ok())
}
