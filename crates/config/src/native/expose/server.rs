//! What stands on the line of a server that Roster adds itself.

use std::net::IpAddr;
use std::num::{NonZeroU16, NonZeroU32};

use roster_haproxy::address::Port;
use roster_haproxy::keywords::{self, CaFile, CheckKeywords, HostName, ServerKeywords, TlsKeywords};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::document::Path;
use crate::format;
use crate::native::resolve::Resolve;
use crate::value::Duration;

/// What stands on the line of a server that Roster adds itself. Each key is HAProxy's own of that name, with `_` for
/// `-`; write here what `default-server` says in the backend, for HAProxy does not apply that to such servers.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools, reason = "each is a keyword that HAProxy has or has not")]
pub struct Server {
    /// Whether HAProxy checks the server. The keys `inter` to `check_send_proxy` want it.
    #[serde(default)]
    pub check: bool,
    /// The time from one check to the next; HAProxy's default is 2s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inter: Option<Duration>,
    /// The same while the server is between up and down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fastinter: Option<Duration>,
    /// The same while the server is down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub downinter: Option<Duration>,
    /// Passes before the server is up; HAProxy's default is 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<format::Count>")]
    pub rise: Option<NonZeroU16>,
    /// Failures before the server is down; HAProxy's default is 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<format::Count>")]
    pub fall: Option<NonZeroU16>,
    /// The port to check, if not the server's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<format::PortNumber>")]
    pub check_port: Option<Port>,
    /// The address to check, if not the server's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<format::Ip>")]
    pub check_addr: Option<IpAddr>,
    /// Whether checks speak TLS though traffic may be plain.
    #[serde(default)]
    pub check_ssl: bool,
    /// The name that checks ask for in TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<format::HostName>")]
    pub check_sni: Option<HostName>,
    /// Whether checks begin with the PROXY protocol.
    #[serde(default)]
    pub check_send_proxy: bool,
    /// The most connections at once; the others wait. Without it there is no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<format::MaxConn>")]
    pub maxconn: Option<NonZeroU32>,
    /// Whether the server gets its own name as its cookie. From HAProxy 2.8.
    #[serde(default)]
    pub cookie: bool,
    /// Whether the server gets traffic only when no other is left.
    #[serde(default)]
    pub backup: bool,
    /// How long HAProxy itself raises the weight of a server that came up. See also `slow_start`, which Roster does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slowstart: Option<Duration>,
    /// What the server is before its first check. From HAProxy 3.1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init_state: Option<InitState>,
    /// TLS to the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssl: Option<Ssl>,
    /// The PROXY protocol to the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send_proxy: Option<SendProxy>,
}

/// TLS to a server.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Ssl {
    /// Whether the server's certificate is verified.
    #[serde(default)]
    pub verify: Verify,
    /// The authorities to verify it against: a file that HAProxy loaded when it started.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<format::CaFile>")]
    pub ca_file: Option<CaFile>,
    /// The name that the certificate must carry.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<format::HostName>")]
    pub verifyhost: Option<HostName>,
    /// The name to ask for, always the same one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<format::HostName>")]
    pub sni: Option<HostName>,
    /// The protocols to offer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpn: Option<Alpn>,
}

/// Whether a server's certificate is verified.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verify {
    /// It is, against `ca_file`.
    #[default]
    Required,
    /// It is not: whoever answers is believed.
    None,
}

/// Protocols that are offered.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Alpn {
    /// HTTP/1.1 alone.
    #[serde(rename = "http/1.1")]
    Http1,
    /// HTTP/2 alone.
    #[serde(rename = "h2")]
    H2,
    /// HTTP/2, else HTTP/1.1.
    #[serde(rename = "h2,http/1.1")]
    H2OrHttp1,
}

/// Which form of the PROXY protocol is sent.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SendProxy {
    /// The text form.
    V1,
    /// The binary form.
    V2,
}

/// What a server is before its first check.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum InitState {
    /// Up at once; failures take it down after `fall` checks.
    Up,
    /// Up at once; the first failure takes it down.
    FullyUp,
    /// Down until the first pass.
    Down,
    /// Down until `rise` passes.
    FullyDown,
}

impl Server {
    /// What it is in HAProxy's words. The cookie is the server's name, which is not known here.
    pub(crate) fn resolve(&self, cx: &mut Resolve<'_>, at: &Path) -> ServerKeywords {
        ServerKeywords {
            maxconn: self.maxconn,
            backup: self.backup,
            slowstart: self.slowstart.and_then(|time| cx.millis(&at.join("slowstart"), time)),
            init_state: self.init_state.map(InitState::keyword),
            check: self.checks(cx, at),
            tls: self.ssl.as_ref().and_then(|ssl| ssl.resolve(cx, &at.join("ssl"))),
            send_proxy: self.send_proxy.map(SendProxy::keyword),
            ..ServerKeywords::default()
        }
    }

    fn checks(&self, cx: &mut Resolve<'_>, at: &Path) -> Option<CheckKeywords> {
        if !self.check {
            for key in self.wanting_check() {
                let message =
                    format!("`{key}` does nothing without `check: true`; add that, or remove `{key}`");
                cx.key_problem(&at.join(key), message);
            }
            return None;
        }
        let mut time = |key, time: Option<Duration>| time.and_then(|time| cx.millis(&at.join(key), time));
        Some(CheckKeywords {
            inter: time("inter", self.inter),
            fastinter: time("fastinter", self.fastinter),
            downinter: time("downinter", self.downinter),
            rise: self.rise,
            fall: self.fall,
            port: self.check_port,
            addr: self.check_addr,
            tls: self.check_ssl,
            sni: self.check_sni.clone(),
            send_proxy: self.check_send_proxy,
        })
    }

    fn wanting_check(&self) -> impl Iterator<Item = &'static str> {
        let keys = [
            ("inter", self.inter.is_some()),
            ("fastinter", self.fastinter.is_some()),
            ("downinter", self.downinter.is_some()),
            ("rise", self.rise.is_some()),
            ("fall", self.fall.is_some()),
            ("check_port", self.check_port.is_some()),
            ("check_addr", self.check_addr.is_some()),
            ("check_ssl", self.check_ssl),
            ("check_sni", self.check_sni.is_some()),
            ("check_send_proxy", self.check_send_proxy),
        ];
        keys.into_iter().filter(|(_, given)| *given).map(|(key, _)| key)
    }
}

impl Ssl {
    fn resolve(&self, cx: &mut Resolve<'_>, at: &Path) -> Option<TlsKeywords> {
        let verify = match (self.verify, &self.ca_file) {
            (Verify::Required, Some(ca_file)) => {
                Some(keywords::Verify::Required { ca_file: ca_file.clone(), host: self.verifyhost.clone() })
            }
            (Verify::Required, None) => {
                cx.key_problem(at, "`ssl` verifies against nothing; add `ca_file`, or write `verify: none`");
                None
            }
            (Verify::None, _) => {
                for (key, given) in
                    [("ca_file", self.ca_file.is_some()), ("verifyhost", self.verifyhost.is_some())]
                {
                    if given {
                        let message =
                            format!("`{key}` does nothing with `verify: none`; remove one of the two");
                        cx.key_problem(&at.join(key), message);
                    }
                }
                Some(keywords::Verify::None)
            }
        };
        Some(TlsKeywords { verify: verify?, sni: self.sni.clone(), alpn: self.alpn.map(Alpn::keyword) })
    }
}

impl Alpn {
    pub(super) fn keyword(self) -> keywords::Alpn {
        match self {
            Alpn::Http1 => keywords::Alpn::Http1,
            Alpn::H2 => keywords::Alpn::H2,
            Alpn::H2OrHttp1 => keywords::Alpn::H2OrHttp1,
        }
    }
}

impl SendProxy {
    fn keyword(self) -> keywords::ProxyProtocol {
        match self {
            SendProxy::V1 => keywords::ProxyProtocol::V1,
            SendProxy::V2 => keywords::ProxyProtocol::V2,
        }
    }
}

impl InitState {
    fn keyword(self) -> keywords::InitState {
        match self {
            InitState::Up => keywords::InitState::Up,
            InitState::FullyUp => keywords::InitState::FullyUp,
            InitState::Down => keywords::InitState::Down,
            InitState::FullyDown => keywords::InitState::FullyDown,
        }
    }
}
