//! Addresses as HAProxy can take them live: an IP and a port, parsed and printed again.
//!
//! `set server … addr` refuses host names and unix sockets, and `add server` takes a host name that it then
//! never resolves, or an environment variable; so nothing but a parsed address is ever sent.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A TCP port, 1 to 65535.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u16")]
pub struct Port(NonZeroU16);

/// Where one instance listens.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Endpoint {
    /// The address; an IPv4 address written as IPv6 is held as IPv4.
    pub ip: IpAddr,
    /// The port.
    pub port: Port,
}

/// Why a text or number cannot be an address or port.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum InvalidAddress {
    /// Not an IP address.
    #[error(
        "{0:?} is not an IP address; write 10.0.0.1 or fd00::1 (host names cannot be given to a live server)"
    )]
    Ip(String),
    /// Not a port.
    #[error("{0:?} is not a port; write a number from 1 to 65535")]
    Port(String),
    /// No port after the address.
    #[error("{0:?} has no port; write 10.0.0.1:8080 or [fd00::1]:8080")]
    NoPort(String),
    /// An address that no server can have.
    #[error("{0} is not the address of one server; give the address the server listens on")]
    Unusable(IpAddr),
}

/// How much of a wrong text an error repeats.
const SHOWN: usize = 64;

fn shown(given: &str) -> String {
    given.chars().take(SHOWN).collect()
}

impl Port {
    /// Port 1, where nothing listens.
    pub const ONE: Port = Port(NonZeroU16::MIN);

    /// Takes 1 to 65535.
    pub fn new(number: u16) -> Option<Self> {
        NonZeroU16::new(number).map(Self)
    }

    /// The number.
    pub fn get(self) -> u16 {
        self.0.get()
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Port {
    type Err = InvalidAddress;
    fn from_str(given: &str) -> Result<Self, InvalidAddress> {
        let digits = !given.is_empty() && given.bytes().all(|b| b.is_ascii_digit());
        let number = if digits { given.parse().ok() } else { None };
        number.and_then(Self::new).ok_or_else(|| InvalidAddress::Port(shown(given)))
    }
}

impl TryFrom<u32> for Port {
    type Error = InvalidAddress;
    fn try_from(number: u32) -> Result<Self, InvalidAddress> {
        let port = u16::try_from(number).ok().and_then(Self::new);
        port.ok_or_else(|| InvalidAddress::Port(number.to_string()))
    }
}

impl From<Port> for u16 {
    fn from(port: Port) -> u16 {
        port.get()
    }
}

/// Reads an IP address that one server can have: no `0.0.0.0`, no multicast, no broadcast.
pub fn parse_ip(given: &str) -> Result<IpAddr, InvalidAddress> {
    let bare = given.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(given);
    let ip = bare.parse::<IpAddr>().map_err(|_| InvalidAddress::Ip(shown(given)))?.to_canonical();
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    if ip.is_unspecified() || ip.is_multicast() || broadcast {
        return Err(InvalidAddress::Unusable(ip));
    }
    Ok(ip)
}

impl Endpoint {
    /// Puts an address and a port together, checking both.
    pub fn new(ip: &str, port: u32) -> Result<Self, InvalidAddress> {
        Ok(Self { ip: parse_ip(ip)?, port: Port::try_from(port)? })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ip {
            IpAddr::V4(ip) => f.pad(&format!("{ip}:{}", self.port)),
            IpAddr::V6(ip) => f.pad(&format!("[{ip}]:{}", self.port)),
        }
    }
}

impl FromStr for Endpoint {
    type Err = InvalidAddress;
    fn from_str(given: &str) -> Result<Self, InvalidAddress> {
        let no_port = || InvalidAddress::NoPort(shown(given));
        let (ip, port) = given.rsplit_once(':').ok_or_else(no_port)?;
        // `fd00::1` ends in what looks like a port; only brackets tell an IPv6 address from its port.
        if ip.contains(':') && !(ip.starts_with('[') && ip.ends_with(']')) {
            return Err(if given.parse::<IpAddr>().is_ok() {
                no_port()
            } else {
                InvalidAddress::Ip(shown(given))
            });
        }
        Ok(Self { ip: parse_ip(ip)?, port: port.parse()? })
    }
}

impl TryFrom<String> for Endpoint {
    type Error = InvalidAddress;
    fn try_from(given: String) -> Result<Self, InvalidAddress> {
        given.parse()
    }
}

impl From<Endpoint> for String {
    fn from(endpoint: Endpoint) -> String {
        endpoint.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_parsed_and_printed_again() {
        for (given, printed) in [
            ("10.0.0.1:80", "10.0.0.1:80"),
            ("[FD00:0::1]:8080", "[fd00::1]:8080"),
            ("[::ffff:10.0.0.1]:80", "10.0.0.1:80"),
        ] {
            assert_eq!(given.parse::<Endpoint>().unwrap().to_string(), printed);
        }
    }

    #[test]
    fn nothing_but_an_address_and_a_port_is_an_endpoint() {
        for wrong in [
            "web:80",
            "10.0.0.1",
            "10.0.0.1:0",
            "10.0.0.1:65536",
            "10.0.0.1:+80",
            "10.0.0.1: 80",
            "fd00::1",
            "",
            "fd00::1:80",
            ":80",
            "10.0.0.1:80;x",
            "$HOME:1",
            "unix@/x:1",
            "0.0.0.0:80",
            "[::]:80",
            "224.0.0.1:80",
            "255.255.255.255:1",
            "10.0.0.01:80",
        ] {
            assert!(wrong.parse::<Endpoint>().is_err(), "{wrong:?} was taken");
        }
    }

    #[test]
    fn an_error_says_what_to_write() {
        let error = "fd00::1".parse::<Endpoint>().unwrap_err();
        assert_eq!(error.to_string(), r#""fd00::1" has no port; write 10.0.0.1:8080 or [fd00::1]:8080"#);
    }
}
