//! The records of servers in HAProxy's own memory, for a Roster that has no folder.
//!
//! Each record is a note that the process keeps about the server (see `NoteCommand`). So it lives exactly as long as the
//! state that it speaks of, and a Roster that is started anew can tell what the one before had begun from what an operator
//! did. Only servers are kept so: what sources said and what guards hold ends with Roster.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use roster_core::agenda::Agenda;
use roster_core::applied::{AppliedBackend, AppliedServer, ProcessId};
use roster_haproxy::cli::ServerPath;
use roster_haproxy::name::{BackendName, ServerName, TargetName};
use roster_haproxy::observed::ObservedBackend;
use roster_targets::{Reading, Target};

use super::Takeover;
use crate::clock;
use crate::events::{Event, NotRemembered, Reporter};

/// What one target's process keeps.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// Held for as long as it takes to look something up.
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    process: Option<ProcessId>,
    /// The backends that it was asked for.
    recalled: BTreeSet<BackendName>,
    kept: BTreeMap<BackendName, BTreeMap<ServerName, AppliedServer>>,
    /// Whether it takes no notes; that is told once.
    refuses: bool,
}

impl Memory {
    /// Takes in what the process keeps about backends of which nothing is recorded.
    pub(super) async fn recall<T: Target>(
        &self,
        target: &T,
        agenda: &Agenda,
        reading: &Reading,
        records: &mut BTreeMap<BackendName, AppliedBackend>,
    ) -> Result<(), T::Error> {
        let unknown = reading.observed.backends.iter().filter(|(backend, _)| !records.contains_key(*backend));
        let asked = self.known().unasked(reading.process, unknown);
        if asked.is_empty() {
            return Ok(());
        }
        let notes = target.recall(reading.process, &asked).await?;
        for (path, note) in notes {
            let Some(item) = agenda.items.get(&path.backend) else { continue };
            // What cannot be read was written by another version, and says nothing.
            let Ok(server) = serde_json::from_slice::<AppliedServer>(&note) else { continue };
            let server = clock::from_wall(server);
            let record = records.entry(path.backend.clone()).or_insert_with(|| AppliedBackend {
                process: Some(reading.process),
                ..AppliedBackend::new(item.exposure.clone())
            });
            record.servers.insert(path.server.clone(), server.clone());
            self.known().keep(&path, Some(server));
        }
        Ok(())
    }

    /// Has the process keep what is recorded about these backends, as far as it does not yet.
    pub(super) async fn remember<T: Target>(
        &self,
        (name, target): (&TargetName, &T),
        process: ProcessId,
        records: &BTreeMap<BackendName, AppliedBackend>,
        backends: impl Iterator<Item = &BackendName>,
        to: &Reporter,
    ) -> Result<(), T::Error>
    where
        T::Error: Takeover,
    {
        let changed = self.known().changed(process, records, backends);
        if changed.is_empty() {
            return Ok(());
        }
        let note = |(path, server): &(ServerPath, Option<AppliedServer>)| {
            let text =
                server.as_ref().and_then(|server| serde_json::to_vec(&*clock::as_written(server)).ok());
            (path.clone(), text.unwrap_or_default())
        };
        let notes: Vec<(ServerPath, Vec<u8>)> = changed.iter().map(note).collect();
        match target.remember(process, &notes).await {
            Ok(None) => changed.into_iter().for_each(|(path, server)| self.known().keep(&path, server)),
            Ok(Some(refusal)) => {
                if !std::mem::replace(&mut self.known().refuses, true) {
                    NotRemembered { target: name, refusal: &refusal }.emit(to);
                }
            }
            // The process that serves now keeps nothing; the next look finds that.
            Err(error) if error.is_takeover() => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Whoever panicked while holding it left something that at worst is written again.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn enter(&mut self, process: ProcessId) {
        if self.process != Some(process) {
            *self = Self { process: Some(process), refuses: self.refuses, ..Self::default() };
        }
    }

    fn unasked<'a>(
        &mut self,
        process: ProcessId,
        backends: impl Iterator<Item = (&'a BackendName, &'a ObservedBackend)>,
    ) -> Vec<ServerPath> {
        self.enter(process);
        let mut paths = Vec::new();
        for (backend, seen) in backends {
            if self.recalled.insert(backend.clone()) {
                let path =
                    |server: &ServerName| ServerPath { backend: backend.clone(), server: server.clone() };
                paths.extend(seen.servers.keys().map(path));
            }
        }
        paths
    }

    /// Each record that is another than the process keeps; none where there is no record any more.
    fn changed<'a>(
        &mut self,
        process: ProcessId,
        records: &BTreeMap<BackendName, AppliedBackend>,
        backends: impl Iterator<Item = &'a BackendName>,
    ) -> Vec<(ServerPath, Option<AppliedServer>)> {
        self.enter(process);
        let mut changed = Vec::new();
        for backend in backends {
            let servers = records.get(backend).map(|record| &record.servers);
            let kept = self.kept.get(backend);
            let path = |server: &ServerName| ServerPath { backend: backend.clone(), server: server.clone() };
            let new = servers.into_iter().flatten();
            let new = new.filter(|(name, record)| kept.and_then(|kept| kept.get(*name)) != Some(record));
            changed.extend(new.map(|(name, record)| (path(name), Some(record.clone()))));
            let old = kept.into_iter().flat_map(BTreeMap::keys);
            let old = old.filter(|name| servers.is_none_or(|servers| !servers.contains_key(*name)));
            changed.extend(old.map(|name| (path(name), None)));
        }
        changed
    }

    fn keep(&mut self, path: &ServerPath, server: Option<AppliedServer>) {
        let servers = self.kept.entry(path.backend.clone()).or_default();
        match server {
            Some(server) => drop(servers.insert(path.server.clone(), server)),
            None => drop(servers.remove(&path.server)),
        }
    }
}
