//! What can stand after the address on `add server`, as values that cannot hold anything else.
//!
//! A server added live takes nothing from `default-server` (measured on 2.6 to 3.2), so every setting has to be
//! on its own line. What HAProxy refuses there on every version (`init-addr`, `resolvers`, `redir`, `namespace`, …)
//! has no field here (management manual 9.3, `add server`).

use std::fmt;
use std::net::IpAddr;
use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::address::Port;
use crate::name::CookieValue;
use crate::version::Version;
use crate::weight::{ServerId, Weight};

/// A server's settings, in the order in which they are written.
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(default)]
pub struct ServerKeywords {
    /// `id`; without one HAProxy takes the lowest that is free, which is another one on each machine.
    pub id: Option<ServerId>,
    /// `weight`; without one it is 1.
    pub weight: Option<Weight>,
    /// `maxconn`; without one there is no limit.
    pub maxconn: Option<NonZeroU32>,
    /// `backup`.
    pub backup: bool,
    /// `cookie`; from 2.8.
    pub cookie: Option<CookieValue>,
    /// `slowstart`.
    pub slowstart: Option<Millis>,
    /// `init-state`; from 3.1.
    pub init_state: Option<InitState>,
    /// `check` and what goes with it.
    pub check: Option<CheckKeywords>,
    /// `ssl` and what goes with it.
    pub tls: Option<TlsKeywords>,
    /// `send-proxy` or `send-proxy-v2`.
    pub send_proxy: Option<ProxyProtocol>,
}

/// `check` and what goes with it.
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(default)]
pub struct CheckKeywords {
    /// `inter`: from one check to the next, 2 s if not given.
    pub inter: Option<Millis>,
    /// `fastinter`: the same while the server is between up and down.
    pub fastinter: Option<Millis>,
    /// `downinter`: the same while it is down.
    pub downinter: Option<Millis>,
    /// `rise`: passes before it is up, 2 if not given.
    pub rise: Option<NonZeroU16>,
    /// `fall`: failures before it is down, 3 if not given.
    pub fall: Option<NonZeroU16>,
    /// `port`: where to check, if not at the server's own port.
    pub port: Option<Port>,
    /// `addr`: where to check, if not at the server's own address.
    pub addr: Option<IpAddr>,
    /// `check-ssl`: check over TLS though traffic may be plain.
    pub tls: bool,
    /// `check-sni`.
    pub sni: Option<HostName>,
    /// `check-send-proxy`.
    pub send_proxy: bool,
}

/// `ssl` and what goes with it.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct TlsKeywords {
    /// `verify`; HAProxy refuses `ssl` without it unless the global section turns verification off.
    pub verify: Verify,
    /// `sni str(…)`: always the same name.
    #[serde(default)]
    pub sni: Option<HostName>,
    /// `alpn`.
    #[serde(default)]
    pub alpn: Option<Alpn>,
}

/// Whether the server's certificate is verified.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verify {
    /// `verify none`.
    None,
    /// `verify required ca-file …`, and `verifyhost` if a name is given.
    Required {
        /// The file with the authorities, one that HAProxy loaded when it started.
        ca_file: CaFile,
        /// The name that the certificate must carry.
        #[serde(default)]
        host: Option<HostName>,
    },
}

/// What a server is before its first check (`init-state`, configuration manual 5.2).
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum InitState {
    /// Up at once; a failure takes it down after `fall` checks.
    Up,
    /// Up at once; the first failure takes it down.
    FullyUp,
    /// Down until the first pass.
    Down,
    /// Down until `rise` passes.
    FullyDown,
}

/// Which form of the PROXY protocol is sent to the server.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ProxyProtocol {
    /// The text form.
    V1,
    /// The binary form.
    V2,
}

/// Protocols offered to the server.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Alpn {
    /// `http/1.1`.
    #[serde(rename = "http/1.1")]
    Http1,
    /// `h2`.
    #[serde(rename = "h2")]
    H2,
    /// `h2,http/1.1`.
    #[serde(rename = "h2,http/1.1")]
    H2OrHttp1,
}

/// A time as HAProxy takes it: 1 ms to 2,147,483,647 ms (24.8 days); beyond that 2.6 overflows silently.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Millis(NonZeroU32);

/// A host name: letters, digits, `.`, `-` and `_`, at most 253 bytes.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostName(Box<str>);

/// A file of certificate authorities: letters, digits and `/ . _ - @ +`, at most 512 bytes.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct CaFile(Box<str>);

/// Why a value cannot stand on a server's line.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum InvalidKeyword {
    /// Not a time.
    #[error("{0} ms is not a time that HAProxy takes; give 1 to 2147483647")]
    Millis(u128),
    /// Not a host name.
    #[error("{0:?} is not a host name; letters, digits and . - _ are allowed, up to 253")]
    HostName(String),
    /// Not a path that can be written without quoting.
    #[error("{0:?} is not a usable file name; letters, digits and / . _ - @ + are allowed, up to 512")]
    CaFile(String),
}

impl Millis {
    const MAX: u32 = i32::MAX.unsigned_abs();

    /// Takes 1 to 2,147,483,647.
    pub fn new(millis: u32) -> Result<Self, InvalidKeyword> {
        let wrong = InvalidKeyword::Millis(millis.into());
        NonZeroU32::new(millis).filter(|m| m.get() <= Self::MAX).map(Self).ok_or(wrong)
    }

    /// The number of milliseconds.
    pub fn get(self) -> u32 {
        self.0.get()
    }
}

impl TryFrom<u32> for Millis {
    type Error = InvalidKeyword;
    fn try_from(millis: u32) -> Result<Self, InvalidKeyword> {
        Self::new(millis)
    }
}

impl TryFrom<Duration> for Millis {
    type Error = InvalidKeyword;
    fn try_from(time: Duration) -> Result<Self, InvalidKeyword> {
        let millis = time.as_millis();
        u32::try_from(millis).map_err(|_| InvalidKeyword::Millis(millis)).and_then(Self::new)
    }
}

impl From<Millis> for u32 {
    fn from(millis: Millis) -> u32 {
        millis.get()
    }
}

macro_rules! safe_text {
    ($name:ident, $longest:literal, $punctuation:literal) => {
        impl $name {
            /// Takes the text if every character of it is allowed.
            pub fn new(given: &str) -> Result<Self, InvalidKeyword> {
                let allowed = |c: char| c.is_ascii_alphanumeric() || $punctuation.contains(c);
                if given.is_empty() || given.len() > $longest || !given.chars().all(allowed) {
                    return Err(InvalidKeyword::$name(given.chars().take(64).collect()));
                }
                Ok(Self(given.into()))
            }

            /// The text as it was given.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidKeyword;
            fn try_from(given: String) -> Result<Self, InvalidKeyword> {
                Self::new(&given)
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> String {
                text.0.into()
            }
        }
    };
}

safe_text!(HostName, 253, "._-");
safe_text!(CaFile, 512, "/._-@+");

impl ServerKeywords {
    /// True if the line has `check`.
    pub const fn is_checked(&self) -> bool {
        self.check.is_some()
    }

    /// The oldest HAProxy whose `add server` takes all of these, as measured.
    pub fn oldest_version(&self) -> Version {
        if self.init_state.is_some() {
            Version::new(3, 1, 0)
        } else if self.cookie.is_some() {
            Version::new(2, 8, 0)
        } else {
            Version::OLDEST
        }
    }
}

struct Writer<'f, 'w>(&'w mut fmt::Formatter<'f>);

impl Writer<'_, '_> {
    fn flag(&mut self, set: bool, keyword: &str) -> fmt::Result {
        if set { write!(self.0, " {keyword}") } else { Ok(()) }
    }

    fn pair(&mut self, keyword: &str, value: Option<impl fmt::Display>) -> fmt::Result {
        value.map_or(Ok(()), |value| write!(self.0, " {keyword} {value}"))
    }
}

/// Each keyword with a space before it, ready to follow the address.
impl fmt::Display for ServerKeywords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Writer(f);
        out.pair("id", self.id)?;
        out.pair("weight", self.weight)?;
        out.pair("maxconn", self.maxconn)?;
        out.flag(self.backup, "backup")?;
        out.pair("cookie", self.cookie.as_ref())?;
        out.pair("slowstart", self.slowstart)?;
        out.pair("init-state", self.init_state)?;
        match self.send_proxy {
            None => {}
            Some(ProxyProtocol::V1) => out.flag(true, "send-proxy")?,
            Some(ProxyProtocol::V2) => out.flag(true, "send-proxy-v2")?,
        }
        self.tls.as_ref().map_or(Ok(()), |tls| write_tls(tls, &mut out))?;
        self.check.as_ref().map_or(Ok(()), |check| write_check(check, &mut out))
    }
}

fn write_tls(tls: &TlsKeywords, out: &mut Writer<'_, '_>) -> fmt::Result {
    out.flag(true, "ssl")?;
    match &tls.verify {
        Verify::None => out.flag(true, "verify none")?,
        Verify::Required { ca_file, host } => {
            out.flag(true, "verify required")?;
            out.pair("ca-file", Some(ca_file.as_str()))?;
            out.pair("verifyhost", host.as_ref().map(HostName::as_str))?;
        }
    }
    out.pair("sni", tls.sni.as_ref().map(|name| format!("str({})", name.as_str())))?;
    out.pair("alpn", tls.alpn)
}

fn write_check(check: &CheckKeywords, out: &mut Writer<'_, '_>) -> fmt::Result {
    out.flag(true, "check")?;
    out.pair("inter", check.inter)?;
    out.pair("fastinter", check.fastinter)?;
    out.pair("downinter", check.downinter)?;
    out.pair("rise", check.rise)?;
    out.pair("fall", check.fall)?;
    out.pair("port", check.port)?;
    // An IPv6 address without brackets is refused here: its last part would be read as a port.
    out.pair("addr", check.addr.map(|ip| if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() }))?;
    out.flag(check.tls, "check-ssl")?;
    out.pair("check-sni", check.sni.as_ref().map(HostName::as_str))?;
    out.flag(check.send_proxy, "check-send-proxy")
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ms", self.0)
    }
}

impl fmt::Display for InitState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Up => "up",
            Self::FullyUp => "fully-up",
            Self::Down => "down",
            Self::FullyDown => "fully-down",
        })
    }
}

impl fmt::Display for Alpn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http1 => "http/1.1",
            Self::H2 => "h2",
            Self::H2OrHttp1 => "h2,http/1.1",
        })
    }
}

#[cfg(test)]
pub(crate) mod tests;
