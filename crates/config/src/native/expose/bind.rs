//! Where to listen for a backend.

use std::net::IpAddr;
use std::path::PathBuf;

use roster_core::render::{self, BindAddress, BindName, BindTls};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Alpn;
use crate::document::Path;
use crate::format;
use crate::native::resolve::{Resolve, item_of};
use crate::value::OneOrMany;

/// Where to listen: the address alone, or a mapping.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(untagged)]
#[schemars(inline)]
pub enum BindRule {
    /// The address.
    At(#[schemars(with = "format::BindAddress")] BindAddress),
    /// All of it.
    Full(Bind),
}

/// Where to listen, and how. Each key but `at` is HAProxy's own of that name, with `_` for `-`.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Bind {
    /// The address: `*:80`, `10.0.0.1:80`, `[::]:80` or the path of a Unix socket.
    #[schemars(with = "format::BindAddress")]
    pub at: BindAddress,
    /// What `show stat` calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<format::BindName>")]
    pub name: Option<BindName>,
    /// Clients speak TLS, with the certificates of this list, relative to the folder of this configuration. The keys
    /// `alpn`, `ssl_min_ver` and `strict_sni` want it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub crt_list: Option<PathBuf>,
    /// Whether a client that asks for no known name is turned away; else it gets the list's first certificate.
    #[serde(default)]
    pub strict_sni: bool,
    /// The oldest version of TLS that is spoken. Without it HAProxy decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssl_min_ver: Option<TlsVersion>,
    /// The protocols to offer to clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpn: Option<Alpn>,
    /// Whether clients tell who they speak for by the PROXY protocol. Nobody else can speak to it then.
    #[serde(default)]
    pub accept_proxy: bool,
    /// For `[::]`: IPv4 clients too.
    #[serde(default)]
    pub v4v6: bool,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[serde(rename = "TLSv1.2")]
    V1_2,
    /// TLS 1.3.
    #[serde(rename = "TLSv1.3")]
    V1_3,
}

/// What is wrong with one of them is put down with its place; there is then nothing.
pub(super) fn resolve(
    cx: &mut Resolve<'_>,
    at: &Path,
    rules: Option<&OneOrMany<BindRule>>,
) -> Option<Vec<render::Bind>> {
    let rules = rules.into_iter().flat_map(OneOrMany::iter);
    let binds: Vec<(Path, Option<render::Bind>)> = rules
        .map(|(item, rule)| {
            let at = item_of(at, item);
            let bind = rule.resolve(cx, &at);
            (at, bind)
        })
        .collect();
    for (index, (at, bind)) in binds.iter().enumerate() {
        let mut earlier = binds.iter().take(index);
        let is_same = |(_, other): &(Path, Option<render::Bind>)| match (other, bind) {
            (Some(other), Some(bind)) => other.at == bind.at,
            _ => false,
        };
        if let Some(first) = earlier.position(is_same) {
            let message =
                format!("item {} of `bind` listens where item {} does; remove one", index + 1, first + 1);
            cx.problem(at, message);
        }
    }
    binds.into_iter().map(|(_, bind)| bind).collect()
}

impl BindRule {
    fn resolve(&self, cx: &mut Resolve<'_>, at: &Path) -> Option<render::Bind> {
        match self {
            BindRule::At(address) => Some(render::Bind::plain(address.clone())),
            BindRule::Full(bind) => bind.resolve(cx, at),
        }
    }
}

impl Bind {
    fn resolve(&self, cx: &mut Resolve<'_>, at: &Path) -> Option<render::Bind> {
        if self.v4v6 && !matches!(self.at, BindAddress::Ip(IpAddr::V6(_), _)) {
            cx.key_problem(
                &at.join("v4v6"),
                "`v4v6` is for an address such as [::]:80; write that, or remove `v4v6`",
            );
        }
        let tls = if let Some(crt_list) = &self.crt_list {
            Some(BindTls {
                crt_list: cx.file_path(&at.join("crt_list"), crt_list)?,
                strict_sni: self.strict_sni,
                oldest: self.ssl_min_ver.map(TlsVersion::keyword),
                alpn: self.alpn.map(Alpn::keyword),
            })
        } else {
            self.wants_tls(cx, at);
            None
        };
        Some(render::Bind {
            at: self.at.clone(),
            name: self.name.clone(),
            tls,
            accept_proxy: self.accept_proxy,
            both_families: self.v4v6,
        })
    }

    fn wants_tls(&self, cx: &mut Resolve<'_>, at: &Path) {
        let keys = [
            ("strict_sni", self.strict_sni),
            ("ssl_min_ver", self.ssl_min_ver.is_some()),
            ("alpn", self.alpn.is_some()),
        ];
        for (key, _) in keys.into_iter().filter(|(_, given)| *given) {
            let message = format!("`{key}` does nothing without `crt_list`; add that, or remove `{key}`");
            cx.key_problem(&at.join(key), message);
        }
    }
}

impl TlsVersion {
    fn keyword(self) -> render::TlsVersion {
        match self {
            TlsVersion::V1_2 => render::TlsVersion::V1_2,
            TlsVersion::V1_3 => render::TlsVersion::V1_3,
        }
    }
}
