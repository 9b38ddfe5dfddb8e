//! Who is there: services and instances, as a file says them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

/// Nobody listens there, and nobody is asked there: the slots' own checks are an hour apart.
const PORT: u16 = 8_080;

/// Services and their instances.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fleet {
    services: BTreeMap<String, Vec<Member>>,
}

/// One instance.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Member {
    /// Where it is.
    pub(crate) at: SocketAddr,
    /// What it is called; its address where it has no name.
    pub(crate) id: Option<String>,
}

impl Member {
    /// An instance that is called after its address.
    pub(crate) fn at(at: SocketAddr) -> Self {
        Self { at, id: None }
    }
}

/// An address of the loopback network that differs for each pair of numbers up to 62,000 and 250.
pub(crate) fn address(high: usize, low: usize) -> SocketAddr {
    let byte = |number: usize| u8::try_from(number % 250 + 1).unwrap_or(1);
    SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(127, byte(high / 250), byte(high), byte(low)), PORT))
}

/// The name of the service of this number.
pub(crate) fn service(number: usize) -> String {
    format!("svc-{number:03}")
}

impl Fleet {
    /// So many services of so many instances each.
    pub(crate) fn new(services: usize, instances: usize) -> Self {
        let members = |number| (0..instances).map(|low| Member::at(address(number, low))).collect();
        Self { services: (0..services).map(|number| (service(number), members(number))).collect() }
    }

    /// Adds an instance, and its service where that is new.
    pub(crate) fn add(&mut self, service: &str, member: Member) {
        self.services.entry(service.to_owned()).or_default().push(member);
    }

    /// Takes an instance away.
    pub(crate) fn remove(&mut self, service: &str, member: &Member) {
        if let Some(members) = self.services.get_mut(service) {
            members.retain(|one| one != member);
        }
    }

    /// The services' names.
    pub(crate) fn services(&self) -> impl Iterator<Item = &str> {
        self.services.keys().map(String::as_str)
    }

    /// All instances.
    pub(crate) fn len(&self) -> usize {
        self.services.values().map(Vec::len).sum()
    }

    /// The addresses of a service.
    pub(crate) fn addresses(&self, service: &str) -> BTreeSet<String> {
        let members = self.services.get(service).into_iter().flatten();
        members.map(|member| member.at.to_string()).collect()
    }

    /// The file that says it, in Roster's own format.
    pub(crate) fn yaml(&self) -> String {
        let mut text = String::from(if self.services.is_empty() { "services: {}\n" } else { "services:\n" });
        for (service, members) in &self.services {
            text.extend(["  ", service, if members.is_empty() { ": []\n" } else { ":\n" }]);
            for Member { at, id } in members {
                // Writing to memory cannot fail.
                let _written = match id {
                    Some(id) => writeln!(text, "    - {{ address: \"{at}\", id: \"{id}\" }}"),
                    None => writeln!(text, "    - \"{at}\""),
                };
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_instances_share_an_address() {
        let fleet = Fleet::new(1_000, 100);
        let all: BTreeSet<String> = fleet.services().flat_map(|service| fleet.addresses(service)).collect();
        assert_eq!((all.len(), fleet.len()), (100_000, 100_000));
    }
}
