//! A proxy's mode, and how a backend chooses a server.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::value::{FieldName, InvalidValue, shown};

/// What a proxy understands of its traffic (configuration manual 4.2, `mode`).
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Requests.
    #[default]
    Http,
    /// Connections.
    Tcp,
}

/// How a backend chooses a server (configuration manual 4.2, `balance`).
///
/// What hashes is always written with `hash-type consistent`: map-based hashing, HAProxy's own default, takes no server
/// and no weight live (measured on 2.6 to 3.4).
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum Balance {
    /// Each in turn, by weight.
    #[default]
    RoundRobin,
    /// The same without live changes: no servers, only the weights 0 and 100 %.
    StaticRr,
    /// The one with the fewest connections.
    LeastConn,
    /// The first that has a connection slot left; the weights do not count.
    First,
    /// By the client's address.
    Source,
    /// By the path, without its query.
    Uri,
    /// By a request header.
    Header(FieldName),
    /// By a parameter of the query.
    UrlParam(FieldName),
    /// By the cookie of a remote desktop session.
    RdpCookie(FieldName),
    /// The better one of two drawn at random.
    Random,
}

impl Balance {
    /// True if servers can be added and any weight be set while HAProxy runs.
    pub fn takes_servers_live(&self) -> bool {
        !matches!(self, Self::StaticRr)
    }

    /// True if it goes by a hash, and so by the servers' ids.
    pub fn hashes(&self) -> bool {
        matches!(self, Self::Source | Self::Uri | Self::Header(_) | Self::UrlParam(_) | Self::RdpCookie(_))
    }
}

impl Mode {
    /// HAProxy's word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tcp => "tcp",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Mode {
    type Err = InvalidValue;
    fn from_str(given: &str) -> Result<Self, InvalidValue> {
        match given {
            "http" => Ok(Self::Http),
            "tcp" => Ok(Self::Tcp),
            _ => Err(InvalidValue::Mode(shown(given))),
        }
    }
}

/// As it stands behind `balance`.
impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RoundRobin => "roundrobin",
            Self::StaticRr => "static-rr",
            Self::LeastConn => "leastconn",
            Self::First => "first",
            Self::Source => "source",
            Self::Uri => "uri",
            Self::Random => "random",
            Self::Header(name) => return write!(f, "hdr({name})"),
            Self::UrlParam(name) => return write!(f, "url_param {name}"),
            Self::RdpCookie(name) => return write!(f, "rdp-cookie({name})"),
        })
    }
}

/// Reads what stands behind `balance`; for a registry that gives it as a line.
impl FromStr for Balance {
    type Err = InvalidValue;
    fn from_str(given: &str) -> Result<Self, InvalidValue> {
        let wrong = || InvalidValue::Balance(shown(given));
        let inside = |begin: &str| given.strip_prefix(begin).and_then(|rest| rest.strip_suffix(')'));
        let named = |name: &str| FieldName::new(name.trim()).map_err(|_| wrong());
        Ok(match given {
            "roundrobin" => Self::RoundRobin,
            "static-rr" => Self::StaticRr,
            "leastconn" => Self::LeastConn,
            "first" => Self::First,
            "source" => Self::Source,
            "uri" => Self::Uri,
            "random" | "random(2)" => Self::Random,
            "rdp-cookie" => Self::RdpCookie(named("msts")?),
            _ => match (inside("hdr("), given.strip_prefix("url_param "), inside("rdp-cookie(")) {
                (Some(name), _, _) => Self::Header(named(name)?),
                (_, Some(name), _) => Self::UrlParam(named(name)?),
                (_, _, Some(name)) => Self::RdpCookie(named(name)?),
                _ => return Err(wrong()),
            },
        })
    }
}

impl TryFrom<String> for Balance {
    type Error = InvalidValue;
    fn try_from(given: String) -> Result<Self, InvalidValue> {
        given.parse()
    }
}

impl From<Balance> for String {
    fn from(balance: Balance) -> String {
        balance.to_string()
    }
}
