//! Where to listen for a backend.

use std::net::IpAddr;
use std::path::PathBuf;

use roster_haproxy::render::{self, BindAddress, BindName, BindTls, FilePath};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Alpn;
use crate::document::Path;
use crate::format;
use crate::native::resolve::{Resolve, item_of};
use crate::native::target::CertificateList;
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
    /// Clients speak TLS, with these certificates: PEM files with chain and key, or folders of which each `*.pem` is taken.
    /// Roster keeps a list of them and gives new and renewed ones to HAProxy without a reload. Only for a target's
    /// `frontends`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificates: Option<OneOrMany<PathBuf>>,
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

/// Where the lists of certificates that Roster keeps are put: the path of one so called, and all of them.
pub(crate) type Lists<'l> = (&'l dyn Fn(&str) -> PathBuf, &'l mut Vec<CertificateList>);

/// What is wrong with one of them is put down with its place; there is then nothing.
pub(crate) fn resolve(
    cx: &mut Resolve<'_>,
    at: &Path,
    rules: Option<&OneOrMany<BindRule>>,
    mut lists: Option<Lists<'_>>,
) -> Option<Vec<render::Bind>> {
    let rules = rules.into_iter().flat_map(OneOrMany::iter);
    let binds: Vec<(Path, Option<render::Bind>)> = rules
        .map(|(item, rule)| {
            let at = item_of(at, item);
            let bind = rule.resolve(cx, &at, lists.as_mut());
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
    fn resolve(
        &self,
        cx: &mut Resolve<'_>,
        at: &Path,
        lists: Option<&mut Lists<'_>>,
    ) -> Option<render::Bind> {
        match self {
            BindRule::At(address) => Some(render::Bind::plain(address.clone())),
            BindRule::Full(bind) => bind.resolve(cx, at, lists),
        }
    }
}

impl Bind {
    fn resolve(
        &self,
        cx: &mut Resolve<'_>,
        at: &Path,
        lists: Option<&mut Lists<'_>>,
    ) -> Option<render::Bind> {
        if self.v4v6 && !matches!(self.at, BindAddress::Ip(IpAddr::V6(_), _)) {
            cx.key_problem(
                &at.join("v4v6"),
                "`v4v6` is for an address such as [::]:80; write that, or remove `v4v6`",
            );
        }
        let list = match (&self.crt_list, &self.certificates) {
            (Some(list), None) => Some(cx.file_path(&at.join("crt_list"), list)?),
            (None, Some(from)) => Some(kept_list(cx, &at.join("certificates"), from, lists)?),
            (Some(_), Some(_)) => {
                let message = "`crt_list` and `certificates` are both given; remove one of the two";
                cx.key_problem(&at.join("certificates"), message);
                return None;
            }
            (None, None) => None,
        };
        let tls = if let Some(crt_list) = list {
            Some(BindTls {
                crt_list,
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
            let message = format!(
                "`{key}` does nothing without `crt_list` or `certificates`; add one, or remove `{key}`"
            );
            cx.key_problem(&at.join(key), message);
        }
    }
}

/// The path of a list of these certificates that Roster keeps.
fn kept_list(
    cx: &mut Resolve<'_>,
    at: &Path,
    from: &OneOrMany<PathBuf>,
    lists: Option<&mut Lists<'_>>,
) -> Option<FilePath> {
    let Some(lists) = lists else {
        let message = "`certificates` is for a bind of the target's `frontends`; write one there with a `route` here, or \
                       give a `crt_list` of your own";
        cx.key_problem(at, message);
        return None;
    };
    let (path, lists) = lists;
    let from: Vec<_> = from
        .iter()
        .map(|(item, from)| (item_of(at, item), from))
        .map(|(at, from)| cx.file_path(&at, from))
        .collect();
    let from: Vec<FilePath> = from.into_iter().collect::<Option<_>>()?;
    let name = match lists.len() {
        0 => "crt-list".to_owned(),
        before => format!("{}.crt-list", before + 1),
    };
    let list = cx.file_path(at, &path(&name))?;
    lists.push(CertificateList { list: list.clone(), from });
    Some(list)
}

impl TlsVersion {
    fn keyword(self) -> render::TlsVersion {
        match self {
            TlsVersion::V1_2 => render::TlsVersion::V1_2,
            TlsVersion::V1_3 => render::TlsVersion::V1_3,
        }
    }
}
