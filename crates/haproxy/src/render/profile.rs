//! Backends that HAProxy is given while it runs.
//!
//! `add backend` (HAProxy 3.4, management manual 9.3) takes all settings of the new backend from a `defaults` section
//! that the process was started with. So what backends may look like later is written into the file beforehand, each
//! look as a section of its own, and a new backend can come live exactly if its text is one of these.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::balance::{Balance, Mode};
use super::line::RawLine;
use super::proxy::{Backend, HttpCheck, SectionKey};
use super::structure::{Proxy, Structure};
use super::value::{FieldName, PathPrefix, ProfileName};
use crate::name::BackendName;

/// A backend without its name and servers. The fields are those of [`Backend`] and [`Pool`](super::Pool).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Profile {
    /// What it understands.
    pub mode: Mode,
    /// How a server is chosen.
    pub balance: Balance,
    /// The cookie that keeps a client at its server.
    pub cookie: Option<FieldName>,
    /// What `check` on a server asks.
    pub check: Option<HttpCheck>,
    /// What is taken off the path.
    pub strip_prefix: Option<PathPrefix>,
    /// More lines.
    pub lines: Vec<RawLine>,
}

/// A backend that a running HAProxy can be given by `add backend`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct LiveBackend {
    /// Its name.
    pub name: BackendName,
    /// What it understands.
    pub mode: Mode,
    /// What it is made of.
    pub profile: ProfileName,
}

impl Profile {
    /// What a backend is made of.
    pub fn of(backend: &Backend) -> Self {
        Self {
            mode: backend.mode,
            balance: backend.pool.balance.clone(),
            cookie: backend.pool.cookie.clone(),
            check: backend.pool.check.clone(),
            strip_prefix: backend.strip_prefix.clone(),
            lines: backend.lines.clone(),
        }
    }

    /// Whether a `defaults` section can hold it, and a backend made of it takes servers live.
    pub(super) fn can_be_inherited(&self) -> bool {
        self.balance.takes_servers_live() && self.lines.iter().all(RawLine::is_inherited)
    }
}

impl Structure {
    /// The new backends of `after` that a process that runs this can be given without a reload. None where `defaults`
    /// differ: a backend made now would have the old ones.
    pub fn live_backends(&self, after: &Self) -> Vec<LiveBackend> {
        if self.defaults != after.defaults || self.profiles.is_empty() {
            return Vec::new();
        }
        let profiles: HashMap<&str, _> =
            self.profiles.iter().map(|profile| (profile.lines.as_str(), profile)).collect();
        // HAProxy takes no name that any proxy has.
        let taken: HashSet<&str> = self.proxies.iter().map(|proxy| proxy.key.name()).collect();
        let live = |proxy: &Proxy| {
            let SectionKey::Backend(name) = &proxy.key else { return None };
            let profile = profiles.get(proxy.lines.as_str())?;
            let free = !taken.contains(name.as_str()) && proxy.servers.is_empty();
            free.then(|| LiveBackend {
                name: name.clone(),
                mode: profile.mode,
                profile: profile.name.clone(),
            })
        };
        after.proxies.iter().filter_map(live).collect()
    }

    /// This with those backends of `after` that were added while it ran.
    #[must_use]
    pub fn with_backends(&self, after: &Self, added: &BTreeSet<BackendName>) -> Self {
        let is_added = |proxy: &&Proxy| match &proxy.key {
            SectionKey::Backend(name) => {
                added.contains(name) && !self.proxies.iter().any(|p| p.key == proxy.key)
            }
            _ => false,
        };
        let mut with = self.clone();
        with.proxies.extend(after.proxies.iter().filter(is_added).cloned());
        with.proxies.sort_by(|a, b| a.key.cmp(&b.key));
        with
    }

    /// This without those backends that were deleted while it ran.
    #[must_use]
    pub fn without_backends(&self, deleted: &BTreeSet<BackendName>) -> Self {
        let is_deleted = |proxy: &Proxy| match &proxy.key {
            SectionKey::Backend(name) => deleted.contains(name),
            _ => false,
        };
        let mut without = self.clone();
        without.proxies.retain(|proxy| !is_deleted(proxy));
        without
    }
}
