//! What of a file HAProxy only takes by a reload, and the reasons for one.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::balance::Mode;
use super::proxy::SectionKey;
use super::value::ProfileName;
use crate::name::BackendName;

/// A file without what can be changed while HAProxy runs: addresses, weights and maintenance of our servers, whole
/// servers where the balance algorithm takes them live, what maps and crt-lists hold, and the order of our sections.
///
/// Two files of equal structure never need a reload between them.
#[derive(Clone, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Structure {
    pub(super) global: String,
    pub(super) defaults: String,
    pub(super) user_sections: String,
    /// By key.
    pub(super) proxies: Vec<Proxy>,
    /// By name.
    #[serde(default)]
    pub(super) profiles: Vec<KnownProfile>,
}

/// A section's share in it.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Proxy {
    pub(super) key: SectionKey,
    pub(super) lines: String,
    pub(super) binds: BTreeSet<String>,
    /// What of the servers cannot be changed live.
    pub(super) servers: String,
}

/// What backends can be made of while HAProxy runs.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct KnownProfile {
    pub(super) name: ProfileName,
    pub(super) mode: Mode,
    /// As in the backend that it is for.
    pub(super) lines: String,
}

/// Why a file is only taken by a reload.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReloadReason {
    /// Nobody knows which file it has read.
    Unknown,
    /// `global` says something else.
    Global,
    /// The first `defaults` says something else.
    Defaults,
    /// The operator's own sections say something else.
    UserSections,
    /// A section is new.
    Added(SectionKey),
    /// A section is gone.
    Removed(SectionKey),
    /// A section says something else.
    Changed(SectionKey),
    /// A section listens somewhere new, or otherwise than before.
    BindAdded(SectionKey, String),
    /// A section no longer listens somewhere, or otherwise than before.
    BindRemoved(SectionKey, String),
    /// Servers are added, removed or changed in a way that this HAProxy does not take live.
    Servers(SectionKey),
    /// Backends can be made of something else while HAProxy runs.
    Profiles,
    /// A route or a certificate that HAProxy's commands cannot bring.
    NotLive(String),
}

impl Structure {
    /// The backends among its sections.
    pub fn backends(&self) -> HashSet<&BackendName> {
        fn backend(proxy: &Proxy) -> Option<&BackendName> {
            match &proxy.key {
                SectionKey::Backend(name) | SectionKey::Listen(name) => Some(name),
                SectionKey::Frontend(_) => None,
            }
        }
        self.proxies.iter().filter_map(backend).collect()
    }

    /// Why HAProxy has to reload to come from this to `after`. Empty exactly if the two are equal.
    pub fn reload_reasons(&self, after: &Structure) -> Vec<ReloadReason> {
        let mut reasons = Vec::new();
        let texts = [
            (&self.global, &after.global, ReloadReason::Global),
            (&self.defaults, &after.defaults, ReloadReason::Defaults),
            (&self.user_sections, &after.user_sections, ReloadReason::UserSections),
        ];
        reasons.extend(texts.into_iter().filter(|(old, new, _)| old != new).map(|(_, _, reason)| reason));
        if self.profiles != after.profiles {
            reasons.push(ReloadReason::Profiles);
        }
        let (mut old, mut new) = (self.proxies.iter().peekable(), after.proxies.iter().peekable());
        loop {
            let order = match (old.peek(), new.peek()) {
                (None, None) => return reasons,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(old), Some(new)) => old.key.cmp(&new.key),
            };
            let gone = if order.is_le() { old.next() } else { None };
            let come = if order.is_ge() { new.next() } else { None };
            match (gone, come) {
                (Some(old), Some(new)) => old.compare(new, &mut reasons),
                (Some(old), None) => reasons.push(ReloadReason::Removed(old.key.clone())),
                (None, Some(new)) => reasons.push(ReloadReason::Added(new.key.clone())),
                (None, None) => {}
            }
        }
    }
}

impl Proxy {
    fn compare(&self, after: &Proxy, reasons: &mut Vec<ReloadReason>) {
        let key = || self.key.clone();
        if self.lines != after.lines {
            reasons.push(ReloadReason::Changed(key()));
        }
        if self.servers != after.servers {
            reasons.push(ReloadReason::Servers(key()));
        }
        let removed = self.binds.difference(&after.binds);
        reasons.extend(removed.map(|bind| ReloadReason::BindRemoved(key(), bind.clone())));
        let added = after.binds.difference(&self.binds);
        reasons.extend(added.map(|bind| ReloadReason::BindAdded(key(), bind.clone())));
    }
}

impl ReloadReason {
    /// Whether it does no harm to leave this for the next reload: a backend that is no longer wanted serves nobody, and
    /// a profile none either.
    pub fn can_wait(&self) -> bool {
        matches!(self, Self::Removed(SectionKey::Backend(_)) | Self::Profiles)
    }

    /// One word for a metric's label.
    pub fn word(&self) -> &'static str {
        use SectionKey::{Backend, Frontend, Listen};
        match self {
            Self::Unknown => "unknown",
            Self::Global => "global_changed",
            Self::Defaults => "defaults_changed",
            Self::UserSections => "user_sections_changed",
            Self::Added(Frontend(_)) => "frontend_added",
            Self::Added(Backend(_)) => "backend_added",
            Self::Added(Listen(_)) => "listen_added",
            Self::Removed(Frontend(_)) => "frontend_removed",
            Self::Removed(Backend(_)) => "backend_removed",
            Self::Removed(Listen(_)) => "listen_removed",
            Self::Changed(Frontend(_)) => "frontend_changed",
            Self::Changed(Backend(_)) => "backend_changed",
            Self::Changed(Listen(_)) => "listen_changed",
            Self::BindAdded(..) => "bind_added",
            Self::BindRemoved(..) => "bind_removed",
            Self::Servers(_) => "servers_changed",
            Self::NotLive(_) => "not_live",
            Self::Profiles => "profiles_changed",
        }
    }
}

impl fmt::Display for ReloadReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("it is not known which file HAProxy has read"),
            Self::Global => f.write_str("the global section changed"),
            Self::Defaults => f.write_str("the defaults changed"),
            Self::UserSections => f.write_str("the operator's own sections changed"),
            Self::Added(section) => write!(f, "{section} is new"),
            Self::Removed(section) => write!(f, "{section} is gone"),
            Self::Changed(section) => write!(f, "{section} changed"),
            Self::BindAdded(section, bind) => write!(f, "{section} listens on {bind}"),
            Self::BindRemoved(section, bind) => write!(f, "{section} no longer listens on {bind}"),
            Self::NotLive(why) => f.write_str(why),
            Self::Servers(section) => {
                write!(f, "{section} has other servers, and they cannot be changed while HAProxy runs")
            }
            Self::Profiles => f.write_str("new backends can be made of something else while HAProxy runs"),
        }
    }
}

/// Only its size: there may be passwords in it.
impl fmt::Debug for Structure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Structure").field("proxies", &self.proxies.len()).finish_non_exhaustive()
    }
}
