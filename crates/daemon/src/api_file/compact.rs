//! Spare servers that go because an operator asks for it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use roster_core::agenda::Agenda;
use roster_core::plan::Compaction;
use roster_haproxy::dataplane::{Edit, FileView, ReloadReason, apply};
use roster_haproxy::name::{BackendName, ServerName};
use roster_haproxy::version::Version;

use super::ApiFile;
use super::judge::Structural;
use crate::clock;
use crate::compaction::{How, strike};
use crate::own::Changed;

/// The first HAProxy that deletes servers without being told that this is an experiment (management manual, `del server`).
const DELETES: Version = Version::new(2, 6, 0);

impl ApiFile {
    /// How the spare servers of backends can go, or why they cannot. HAProxy itself lets them go by its socket or by
    /// the API's own call, and the file follows; else a reload takes both.
    pub(crate) fn sheds(
        &self,
        spare: &BTreeMap<BackendName, Compaction>,
        version: Version,
    ) -> BTreeMap<BackendName, Result<How, String>> {
        let text = self.raw.as_ref().map(|raw| raw.text.as_str()).unwrap_or_default();
        let file = FileView::read(text);
        let how = |(backend, spare): (&BackendName, &Compaction)| {
            (backend.clone(), sheds_of(text, &file, backend, spare, version))
        };
        spare.iter().filter(|(_, spare)| !spare.going.is_empty()).map(how).collect()
    }

    /// These servers are no longer in the process: the file follows.
    pub(crate) fn retire(&mut self, backend: &BackendName, servers: &[ServerName], now: Timestamp) {
        strike(&mut self.lines, backend, servers);
        self.retired.entry(backend.clone()).or_default().extend(servers.iter().cloned());
        self.file_due = Some(now);
    }

    /// What the file still has of them.
    pub(super) fn retired_edits(&self, file: &FileView<'_>) -> Vec<Edit> {
        let mut edits = Vec::new();
        for (backend, servers) in self.retired.iter().filter(|(backend, _)| !self.leaves_alone(backend)) {
            let runs = |server: &ServerName| {
                self.lines.get(backend).is_none_or(|lines| lines.iter().any(|line| line.name == *server))
            };
            let Some(there) = file.backend(backend.as_str()) else { continue };
            let left =
                servers.iter().filter(|server| there.server(server.as_str()).is_some() && !runs(server));
            edits.extend(removals(backend, left));
        }
        edits
    }

    /// The file is as it should be.
    pub(super) fn is_written(&mut self) {
        self.unwritten = None;
        let lines = &self.lines;
        self.retired.retain(|backend, _| !lines.contains_key(backend));
    }

    /// Who is there again is not to leave the file.
    pub(super) fn unretire(&mut self) {
        let lines = &self.lines;
        self.retired.retain(|backend, servers| {
            let runs: BTreeSet<&ServerName> =
                lines.get(backend).into_iter().flatten().map(|line| &line.name).collect();
            servers.retain(|server| !runs.contains(server));
            !servers.is_empty()
        });
    }

    /// Has these servers go with one reload, at once. Where that cannot be, all stays as it was.
    pub(crate) async fn shed(
        &mut self,
        agenda: &Agenda,
        going: &BTreeMap<BackendName, Vec<ServerName>>,
        now: Timestamp,
    ) -> Changed {
        let Some(raw) = self.read(agenda, now).await else { return Changed::Nothing };
        let Some(version) = self.haproxy(now).await else { return Changed::Nothing };
        if !self.may_reload(now) {
            return Changed::Nothing;
        }
        let lines = self.lines.clone();
        for (backend, servers) in going {
            strike(&mut self.lines, backend, servers);
        }
        // It is not about the backend as a whole, which must not be left out where this is refused.
        let structural = going.iter().map(|(backend, servers)| {
            let reason =
                ReloadReason::ServersRemoved { backend: backend.to_string(), removed: servers.len() };
            Structural::new(reason, removals(backend, servers).collect(), None)
        });
        let changed = self.change(&raw, structural.collect(), version, now).await;
        if !matches!(changed, Ok(Changed::Started)) {
            self.lines = lines;
        }
        changed.unwrap_or_else(|error| {
            self.not_made(&error);
            self.look_due = clock::now();
            Changed::Nothing
        })
    }
}

fn removals<'s>(
    backend: &BackendName,
    servers: impl IntoIterator<Item = &'s ServerName>,
) -> impl Iterator<Item = Edit> {
    let edit = |server: &ServerName| Edit::RemoveServer { backend: backend.clone(), server: server.clone() };
    servers.into_iter().map(edit)
}

fn sheds_of(
    text: &str,
    file: &FileView<'_>,
    backend: &BackendName,
    spare: &Compaction,
    version: Version,
) -> Result<How, String> {
    let there = file.backend(backend.as_str());
    let of_template = there
        .is_some_and(|there| spare.going.iter().any(|server| there.is_made_of_template(server.as_str())));
    if spare.dynamic && version >= DELETES {
        if of_template {
            return Ok(How::UntilRestart);
        }
        let edits: Vec<Edit> = removals(backend, &spare.going).collect();
        return apply(text, &edits, version).map(|_| How::Live).map_err(|error| error.to_string());
    }
    if of_template {
        return Err("a server-template of HAProxy's file makes them; write its servers out".to_owned());
    }
    Ok(How::Reload)
}
