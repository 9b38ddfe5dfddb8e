//! Which backend a request goes to, kept in map files, so that a route comes and goes without a reload.
//!
//! Of two routes that fit, the one with the host wins, then the longer path: HAProxy looks maps of the kind `beg` up in
//! a prefix tree that finds the longest key (configuration manual 7.3.1, `map_beg`; tested on real ones).

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};

use super::value::{FilePath, PathPrefix};
use crate::keywords::HostName;
use crate::name::BackendName;

/// The routes of a frontend and the files that they are kept in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Routing {
    /// The map of the routes that have a host.
    pub hosts: FilePath,
    /// The map of those that have none.
    pub paths: FilePath,
    /// The routes. Of two for the same requests the first stands.
    pub routes: Vec<Route>,
}

/// Where requests for a host, for a path, or for both go.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Route {
    /// Which requests.
    pub of: RouteKey,
    /// Where to. If HAProxy has no such backend the request goes to the default one.
    pub to: BackendName,
}

/// Which requests a route is for. A path is compared as `path_beg` does: `/api` is also the beginning of `/apiary`.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteKey {
    /// All for a host, whatever its case and the port behind it.
    Host(HostName),
    /// Those for a host with such a path.
    HostAndPath(HostName, PathPrefix),
    /// Those with such a path, for any host.
    Path(PathPrefix),
}

/// A file that `map_beg` reads.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MapFile {
    /// Its path, which is also its name on the runtime socket.
    pub path: FilePath,
    /// The beginnings and what each leads to.
    pub entries: BTreeMap<String, BackendName>,
}

/// A file that names certificates (configuration manual 5.1, `crt-list`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CrtList {
    /// Its path, which is also its name on the runtime socket.
    pub path: FilePath,
    /// The certificates. The first is for clients that ask for no known name, and of two for the same name the first
    /// stands; so their order is kept.
    pub entries: Vec<CrtEntry>,
}

/// A certificate of a [`CrtList`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CrtEntry {
    /// The PEM file with the chain and the key.
    pub certificate: FilePath,
    /// The names that it is for; without any, those in the certificate.
    pub names: Vec<SniFilter>,
}

/// A name that a certificate is for.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SniFilter {
    /// Whether it is *not* for this name (`!`).
    pub negated: bool,
    /// Whether any one label may stand before it (`*.`).
    pub wildcard: bool,
    /// The name.
    pub host: HostName,
}

impl Routing {
    /// The two maps, of the hosts and of the paths, with the routes that `stands` says yes to, and the routes among them
    /// that are left out because one before them is for the same requests.
    pub fn maps(&self, stands: impl Fn(&Route) -> bool) -> ([MapFile; 2], Vec<&Route>) {
        let (mut hosts, mut paths, mut twice) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        for route in self.routes.iter().filter(|route| stands(route)) {
            let map = if matches!(route.of, RouteKey::Path(_)) { &mut paths } else { &mut hosts };
            match map.entry(route.of.to_string()) {
                std::collections::btree_map::Entry::Vacant(free) => _ = free.insert(route.to.clone()),
                std::collections::btree_map::Entry::Occupied(_) => twice.push(route),
            }
        }
        let map = |path: &FilePath, entries| MapFile { path: path.clone(), entries };
        ([map(&self.hosts, hosts), map(&self.paths, paths)], twice)
    }
}

/// The key as it stands in the map. Hosts are in lower case, as they are looked up.
impl fmt::Display for RouteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut host =
            |host: &HostName| host.as_str().chars().try_for_each(|c| f.write_char(c.to_ascii_lowercase()));
        match self {
            Self::Host(name) => {
                host(name)?;
                f.write_char('/')
            }
            Self::HostAndPath(name, path) => {
                host(name)?;
                f.write_str(path.as_str())
            }
            Self::Path(path) => f.write_str(path.as_str()),
        }
    }
}

/// The file's text.
impl fmt::Display for MapFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entries.iter().try_for_each(|(key, to)| writeln!(f, "{key} {to}"))
    }
}

/// The file's text.
impl fmt::Display for CrtList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for entry in &self.entries {
            write!(f, "{}", entry.certificate)?;
            entry.names.iter().try_for_each(|name| write!(f, " {name}"))?;
            f.write_char('\n')?;
        }
        Ok(())
    }
}

impl fmt::Display for SniFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (negated, wildcard) =
            (if self.negated { "!" } else { "" }, if self.wildcard { "*." } else { "" });
        write!(f, "{negated}{wildcard}{}", self.host.as_str())
    }
}
