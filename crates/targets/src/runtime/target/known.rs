//! What does not change while a HAProxy process lives, remembered for that process alone.
//!
//! A HAProxy may have thousands of servers that Roster never touches, so their names are not kept: a count and a hash
//! tell whether they are still the same.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, Hash, Hasher, RandomState};

use roster_core::applied::ProcessId;
use roster_haproxy::cli::stat::{Fixed, FixedServer};
use roster_haproxy::name::{BackendName, ServerName};
use roster_haproxy::observed::{BackendLimits, ObservedBackend, ObservedLine, ObservedServer};
use roster_haproxy::version::Version;

use super::read::ReadBackend;

/// What is known of one process.
#[derive(Debug, Default)]
pub(super) struct Known {
    process: Option<ProcessId>,
    /// The process whose socket lets one do everything.
    admitted: Option<ProcessId>,
    backends: BTreeMap<BackendName, KnownBackend>,
    /// Its key is a secret, so that nobody can choose names that look the same.
    hasher: RandomState,
}

#[derive(Debug)]
struct KnownBackend {
    servers: Fingerprint,
    algorithm: Option<String>,
    /// Whether the algorithm is dynamic; none where its name does not tell and HAProxy was not asked.
    dynamic: Option<bool>,
    /// What the lines of its servers say, where they say anything.
    lines: BTreeMap<ServerName, ObservedLine>,
}

/// The names and numbers of a backend's servers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Fingerprint {
    count: usize,
    hash: u64,
}

impl Known {
    /// The process that it is all about.
    pub(super) fn process(&self) -> Option<ProcessId> {
        self.process
    }

    /// This process lets one do everything.
    pub(super) fn admit(&mut self, process: ProcessId) {
        self.admitted = Some(process);
    }

    /// Whether it does, as far as is known.
    pub(super) fn is_admitted(&self, process: ProcessId) -> bool {
        self.admitted == Some(process)
    }

    /// Forgets what was learnt from another process.
    pub(super) fn enter(&mut self, process: ProcessId) {
        if self.process != Some(process) {
            self.process = Some(process);
            self.backends.clear();
        }
    }

    /// Those of the backends of which nothing is known.
    pub(super) fn without(&self, backends: &BTreeSet<BackendName>) -> Vec<BackendName> {
        backends.iter().filter(|backend| !self.backends.contains_key(*backend)).cloned().collect()
    }

    /// Those of the backends whose servers are not those that are known of this process.
    pub(super) fn unknown<'r>(
        &mut self,
        process: ProcessId,
        read: &'r [ReadBackend],
    ) -> Vec<&'r ReadBackend> {
        self.enter(process);
        let knows = |read: &ReadBackend| {
            let known = self.backends.get(&read.name);
            known.is_some_and(|known| known.servers == self.fingerprint(&read.servers))
        };
        read.iter().filter(|read| !knows(read)).collect()
    }

    /// Takes in what was learnt, unless another process has taken over since.
    pub(super) fn learn(&mut self, process: ProcessId, read: &ReadBackend, fixed: Fixed<'_>) {
        if self.process != Some(process) {
            return;
        }
        let lines = fixed.servers.iter().filter_map(|server| {
            let FixedServer { backup, maxconn, cookie_is_name, .. } = *server;
            let line = ObservedLine { backup, maxconn, cookie_is_name };
            let (name, _) = read.servers.get_key_value(server.name.as_ref())?;
            (line != ObservedLine::default()).then(|| (name.clone(), line))
        });
        let lines = lines.collect();
        let dynamic = fixed.algorithm.as_deref().and_then(is_dynamic);
        let algorithm = fixed.algorithm.map(Into::into);
        let servers = self.fingerprint(&read.servers);
        self.backends.insert(read.name.clone(), KnownBackend { servers, algorithm, dynamic, lines });
    }

    /// Those of the backends whose algorithm may or may not be dynamic.
    pub(super) fn doubtful(&self, read: &[ReadBackend]) -> Vec<BackendName> {
        let is_doubtful =
            |name: &BackendName| self.backends.get(name).is_some_and(|known| known.dynamic.is_none());
        read.iter().map(|read| &read.name).filter(|name| is_doubtful(name)).cloned().collect()
    }

    /// Takes in whether a backend's algorithm is dynamic, unless another process has taken over since.
    pub(super) fn settle(&mut self, process: ProcessId, backend: &BackendName, dynamic: bool) {
        if self.process != Some(process) {
            return;
        }
        if let Some(known) = self.backends.get_mut(backend) {
            known.dynamic = Some(dynamic);
        }
    }

    /// All that is there to know of what was read from this process; nothing if another one has taken over since.
    pub(super) fn finish(
        &self,
        process: ProcessId,
        version: Version,
        read: Vec<ReadBackend>,
    ) -> Option<BTreeMap<BackendName, ObservedBackend>> {
        let finish = |mut read: ReadBackend| {
            let known = self.backends.get(&read.name)?;
            for (name, line) in &known.lines {
                if let Some(server) = read.servers.get_mut(name) {
                    server.line = *line;
                }
            }
            let dynamic = known.dynamic.unwrap_or(true);
            let algorithm = known.algorithm.clone();
            let limits = BackendLimits {
                version,
                algorithm,
                dynamic,
                grows: dynamic,
                line_weight: None,
                at_once: false,
            };
            Some((read.name, ObservedBackend { limits, servers: read.servers }))
        };
        if self.process == Some(process) { read.into_iter().map(finish).collect() } else { None }
    }

    fn fingerprint(&self, servers: &BTreeMap<ServerName, ObservedServer>) -> Fingerprint {
        let mut hasher = self.hasher.build_hasher();
        for (name, server) in servers {
            (name, server.id).hash(&mut hasher);
        }
        Fingerprint { count: servers.len(), hash: hasher.finish() }
    }
}

/// What the algorithm's name tells: `source`, `uri`, `hdr` and their like are dynamic with `hash-type consistent` only.
fn is_dynamic(algorithm: &str) -> Option<bool> {
    match algorithm {
        "roundrobin" | "leastconn" | "first" | "random" => Some(true),
        "static-rr" => Some(false),
        _ => None,
    }
}
