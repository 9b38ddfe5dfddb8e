//! A host and a port to connect to.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use roster_haproxy::address::Port;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Where to connect: `127.0.0.1:9999`, `haproxy:9999`, `[::1]:9999`. A name is looked up at each connection.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostPort {
    host: Box<str>,
    port: Port,
}

/// Not a host and a port.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{0:?} is not a host and a port; write for example 127.0.0.1:9999, haproxy:9999 or [::1]:9999")]
pub struct InvalidHostPort(String);

impl HostPort {
    /// The name or address, an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port.get()
    }
}

impl FromStr for HostPort {
    type Err = InvalidHostPort;
    fn from_str(given: &str) -> Result<Self, InvalidHostPort> {
        let wrong = || InvalidHostPort(given.chars().take(64).collect());
        let (host, port) = given.rsplit_once(':').ok_or_else(wrong)?;
        let port = port.parse().map_err(|_| wrong())?;
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let legal = match bare {
            Some(bare) => bare.parse::<Ipv6Addr>().is_ok(),
            None => !host.is_empty() && host.len() <= 253 && host.chars().all(named),
        };
        if legal { Ok(Self { host: bare.unwrap_or(host).into(), port }) } else { Err(wrong()) }
    }
}

impl TryFrom<String> for HostPort {
    type Error = InvalidHostPort;
    fn try_from(given: String) -> Result<Self, InvalidHostPort> {
        given.parse()
    }
}

impl From<HostPort> for String {
    fn from(host_port: HostPort) -> String {
        host_port.to_string()
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

schema_of_marker!(HostPort);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_are_read_and_printed_again() {
        for given in ["127.0.0.1:9999", "haproxy:1", "a-b.c_d:65535", "[::1]:80"] {
            assert_eq!(given.parse::<HostPort>().unwrap().to_string(), given);
        }
        assert_eq!("[::1]:80".parse::<HostPort>().unwrap().host(), "::1");
    }

    #[test]
    fn nothing_else_is_one() {
        for wrong in
            ["", ":80", "a", "a:0", "a:x", "tcp://a:80", "::1:80", "a b:80", "[a]:80", "[]:80", "é:80"]
        {
            assert!(wrong.parse::<HostPort>().is_err(), "{wrong:?} was taken");
        }
    }
}
