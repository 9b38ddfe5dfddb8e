//! Where a frontend listens (configuration manual 4.2, `bind`, and 5.1).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::value::{BindName, FilePath, InvalidValue, shown};
use crate::address::Port;
use crate::keywords::Alpn;

/// One `bind`.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Bind {
    /// Where.
    pub at: BindAddress,
    /// What `show stat` calls it.
    #[serde(default)]
    pub name: Option<BindName>,
    /// Whether clients speak TLS, and with which certificates.
    #[serde(default)]
    pub tls: Option<BindTls>,
    /// Whether clients tell who they speak for with the PROXY protocol. Nobody else can then speak to it.
    #[serde(default)]
    pub accept_proxy: bool,
    /// For `[::]`: IPv4 clients too.
    #[serde(default)]
    pub both_families: bool,
}

/// Where to listen.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum BindAddress {
    /// A port of an address, or of every one of a family (`0.0.0.0`, `::`).
    Ip(IpAddr, Port),
    /// A unix socket.
    Unix(FilePath),
    /// A listening socket that HAProxy inherits under this number; `haproxy -c` needs it too (measured on 2.6 to 3.2).
    Inherited(u16),
}

/// How TLS is spoken to clients.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct BindTls {
    /// The list of certificates; what it holds can be changed live, which `crt` alone does not allow.
    pub crt_list: FilePath,
    /// Whether a client that asks for no known name is turned away. Without it the list's first certificate is for those,
    /// and HAProxy refuses a list that has none.
    #[serde(default)]
    pub strict_sni: bool,
    /// The oldest version that is spoken; without it HAProxy's own choice.
    #[serde(default)]
    pub oldest: Option<TlsVersion>,
    /// The protocols that are offered.
    #[serde(default)]
    pub alpn: Option<Alpn>,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[serde(rename = "TLSv1.2")]
    V1_2,
    /// TLS 1.3.
    #[serde(rename = "TLSv1.3")]
    V1_3,
}

impl Bind {
    /// One without TLS, name or options.
    pub fn plain(at: BindAddress) -> Self {
        Self { at, name: None, tls: None, accept_proxy: false, both_families: false }
    }
}

/// What follows `bind`.
impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.at)?;
        self.name.as_ref().map_or(Ok(()), |name| write!(f, " name {name}"))?;
        if self.both_families && matches!(self.at, BindAddress::Ip(IpAddr::V6(_), _)) {
            f.write_str(" v4v6")?;
        }
        if self.accept_proxy {
            f.write_str(" accept-proxy")?;
        }
        let Some(tls) = &self.tls else { return Ok(()) };
        write!(f, " ssl crt-list {}", tls.crt_list)?;
        if tls.strict_sni {
            f.write_str(" strict-sni")?;
        }
        tls.oldest.map_or(Ok(()), |oldest| write!(f, " ssl-min-ver {oldest}"))?;
        tls.alpn.map_or(Ok(()), |alpn| write!(f, " alpn {alpn}"))
    }
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V1_2 => "TLSv1.2",
            Self::V1_3 => "TLSv1.3",
        })
    }
}

impl fmt::Display for BindAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port) => write!(f, "*:{port}"),
            Self::Ip(IpAddr::V4(ip), port) => write!(f, "{ip}:{port}"),
            Self::Ip(IpAddr::V6(ip), port) => write!(f, "[{ip}]:{port}"),
            Self::Unix(path) => write!(f, "unix@{path}"),
            Self::Inherited(number) => write!(f, "fd@{number}"),
        }
    }
}

impl FromStr for BindAddress {
    type Err = InvalidValue;
    fn from_str(given: &str) -> Result<Self, InvalidValue> {
        let wrong = || InvalidValue::Bind(shown(given));
        if let Some(number) = given.strip_prefix("fd@") {
            let digits = number.bytes().all(|b| b.is_ascii_digit());
            return number.parse().ok().filter(|_| digits).map(Self::Inherited).ok_or_else(wrong);
        }
        if let Some(path) = given.strip_prefix("unix@").or(given.starts_with('/').then_some(given)) {
            return FilePath::new(path).map(Self::Unix).map_err(|_| wrong());
        }
        let (ip, port) = given.rsplit_once(':').ok_or_else(wrong)?;
        let ip = match (ip, ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']'))) {
            ("" | "*", _) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            (_, Some(v6)) => IpAddr::V6(v6.parse().map_err(|_| wrong())?),
            (v4, None) => IpAddr::V4(v4.parse().map_err(|_| wrong())?),
        };
        Ok(Self::Ip(ip, port.parse().map_err(|_| wrong())?))
    }
}

impl TryFrom<String> for BindAddress {
    type Error = InvalidValue;
    fn try_from(given: String) -> Result<Self, InvalidValue> {
        given.parse()
    }
}

impl From<BindAddress> for String {
    fn from(at: BindAddress) -> String {
        at.to_string()
    }
}
