//! Where a held socket listens.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The kernel's room for a path, without the closing zero (unix(7)).
const LONGEST_PATH: usize = 107;

/// An address to listen on: `0.0.0.0:80`, `[::]:443`, `127.0.0.1:8080` or `unix@/run/web.sock`.
///
/// HAProxy's own spellings `:80`, `*:80` and `:::443` are read too. It always has a port, as one that the kernel chose
/// would be another after a restart, and a path is absolute.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct ListenAddress(Kind);

#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
enum Kind {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// What an address says, for those who have to act on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Place<'a> {
    /// TCP over IPv4 or IPv6.
    Tcp(SocketAddr),
    /// A unix stream socket.
    Unix(&'a Path),
}

/// A text that is no address to listen on.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{given:?} is no address to listen on: {why}")]
pub struct InvalidListenAddress {
    given: String,
    why: &'static str,
}

impl ListenAddress {
    /// A TCP address; `None` without a port.
    pub fn tcp(address: SocketAddr) -> Option<Self> {
        (address.port() != 0).then(|| {
            // The flow information is no part of what a socket listens on.
            let mut address = address;
            if let SocketAddr::V6(v6) = &mut address {
                v6.set_flowinfo(0);
            }
            Self(Kind::Tcp(address))
        })
    }

    /// A unix socket's path.
    pub fn unix(path: &Path) -> Result<Self, InvalidListenAddress> {
        let invalid = |why| Err(InvalidListenAddress { given: path.display().to_string(), why });
        let Some(text) = path.to_str() else { return invalid("a path is UTF-8") };
        if !path.is_absolute() {
            return invalid("a path begins with /");
        }
        if text.len() > LONGEST_PATH {
            return invalid("a path has at most 107 bytes");
        }
        if text.chars().any(char::is_control) {
            return invalid("a path has no control characters");
        }
        if path.file_name().is_none() || text.ends_with('/') {
            return invalid("a path names a file");
        }
        Ok(Self(Kind::Unix(path.to_owned())))
    }

    /// Whether it is an address of the network.
    pub(super) fn is_tcp(&self) -> bool {
        matches!(self.0, Kind::Tcp(_))
    }

    /// What it says.
    pub fn place(&self) -> Place<'_> {
        match &self.0 {
            Kind::Tcp(address) => Place::Tcp(*address),
            Kind::Unix(path) => Place::Unix(path),
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Tcp(address) => write!(f, "{address}"),
            Kind::Unix(path) => write!(f, "unix@{}", path.display()),
        }
    }
}

impl FromStr for ListenAddress {
    type Err = InvalidListenAddress;

    fn from_str(text: &str) -> Result<Self, InvalidListenAddress> {
        if let Some(path) = text.strip_prefix("unix@") {
            return Self::unix(Path::new(path));
        }
        let invalid = |why| InvalidListenAddress { given: text.to_owned(), why };
        let address = tcp(text).ok_or_else(|| {
            invalid("write ADDRESS:PORT, [ADDRESS]:PORT or unix@/PATH, without names or ranges")
        })?;
        Self::tcp(address).ok_or_else(|| invalid("the port is 1 to 65535"))
    }
}

/// HAProxy takes what is behind the last colon as the port (configuration manual, section 11.2).
fn tcp(text: &str) -> Option<SocketAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let (host, port) = text.rsplit_once(':')?;
    // Only digits: `u16` would take a sign.
    let port = port.bytes().all(|byte| byte.is_ascii_digit()).then(|| port.parse().ok())??;
    match host {
        "" | "*" => Some(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port).into()),
        _ => Some(SocketAddr::new(host.parse::<IpAddr>().ok()?, port)),
    }
}

impl TryFrom<String> for ListenAddress {
    type Error = InvalidListenAddress;

    fn try_from(text: String) -> Result<Self, InvalidListenAddress> {
        text.parse()
    }
}

impl From<ListenAddress> for String {
    fn from(address: ListenAddress) -> Self {
        address.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(text: &str) -> String {
        text.parse::<ListenAddress>().unwrap().to_string()
    }

    #[test]
    fn an_address_is_printed_as_it_is_read() {
        for text in ["0.0.0.0:80", "[::]:443", "127.0.0.1:8080", "[fe80::1%2]:80", "unix@/run/web.sock"] {
            assert_eq!(printed(text), text);
        }
    }

    #[test]
    fn haproxys_spellings_are_read() {
        for (text, as_printed) in
            [(":80", "0.0.0.0:80"), ("*:80", "0.0.0.0:80"), (":::443", "[::]:443"), ("::1:443", "[::1]:443")]
        {
            assert_eq!(printed(text), as_printed);
        }
    }

    #[test]
    fn what_would_not_be_the_same_after_a_restart_is_refused() {
        let long = format!("unix@/{}", "x".repeat(LONGEST_PATH));
        for text in [
            "",
            "80",
            ":0",
            ":+80",
            ":80-90",
            ":65536",
            "web:80",
            "[::]",
            "127.0.0.1",
            "unix@web.sock",
            "unix@/run/",
            "unix@/",
            "unix@/a\nb",
            &long,
        ] {
            assert!(text.parse::<ListenAddress>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn it_is_a_key_in_json() {
        let address: ListenAddress = "[::]:443".parse().unwrap();
        let map = std::collections::BTreeMap::from([(address, 1)]);
        let text = serde_json::to_string(&map).unwrap();
        assert_eq!(text, r#"{"[::]:443":1}"#);
        assert_eq!(
            serde_json::from_str::<std::collections::BTreeMap<ListenAddress, i32>>(&text).unwrap(),
            map
        );
        assert!(serde_json::from_str::<ListenAddress>("\"web:80\"").is_err());
    }
}
