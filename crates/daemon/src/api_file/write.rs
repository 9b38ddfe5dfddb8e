//! The file follows the servers.
//!
//! By the API alone each pass writes the file itself; then only what somebody else undid is found here.

use std::collections::BTreeMap;

use jiff::Timestamp;
use roster_haproxy::dataplane::{
    BackendView, Edit, FileView, LiveWrite, NotLive, Process, ProcessServer, ServerChange, WeightChange,
};
use roster_haproxy::observed::State;
use roster_haproxy::render::ServerLine;
use roster_haproxy::version::Version;
use roster_haproxy::weight::Weight;
use roster_targets::dataplane::client::{RawConfig, Why};

use super::{ApiFile, FILE_AFTER, TRIES};
use crate::clock::{self, after};
use crate::events::{Event, OwnTrouble, chain};

impl ApiFile {
    /// Where the servers are now, as changes of the file.
    pub(super) fn server_edits(&self, file: &FileView<'_>) -> Vec<Edit> {
        let mut edits = self.retired_edits(file);
        for (backend, lines) in self.lines.iter().filter(|(backend, _)| !self.leaves_alone(backend)) {
            let Some(there) = file.backend(backend.as_str()) else { continue };
            let (known, new): (Vec<_>, Vec<_>) =
                lines.iter().partition(|line| there.server(line.name.as_str()).is_some());
            if self.was_added_live(there) {
                let new = new.into_iter().filter(|line| !there.is_made_of_template(line.name.as_str()));
                edits.extend(new.map(|line| Edit::AddServer {
                    backend: backend.clone(),
                    server: Box::new(line.clone()),
                }));
            }
            edits.extend(known.into_iter().map(|line| Edit::Server {
                backend: backend.clone(),
                server: line.name.clone(),
                change: ServerChange {
                    endpoint: Some(line.at),
                    weight: WeightChange::Set(weight(line)),
                    disabled: Some(line.disabled),
                    check_port: None,
                },
            }));
        }
        edits
    }

    /// Whether a server that the file lacks runs already, because Roster added it by HAProxy's own socket.
    pub(super) fn was_added_live(&self, there: &BackendView<'_>) -> bool {
        self.reach.socket.is_some() && there.algorithm.is_dynamic() && !self.grows_by_reload
    }

    /// Has the API write what already runs. `fresh` is the file, where it was read just now.
    pub(super) async fn persist(&mut self, mut fresh: Option<RawConfig>, now: Timestamp) {
        for _ in 0..TRIES {
            let read = match fresh.take() {
                Some(raw) => Ok(raw),
                None => self.client.raw().await,
            };
            let raw = match read {
                Ok(raw) => raw,
                Err(error) => return self.persist_later(&chain(&error)),
            };
            let edits = self.server_edits(&FileView::read(&raw.text));
            let version = self.serving.unwrap_or(Version::OLDEST);
            let write = match LiveWrite::new(&raw.text, &edits, Vec::new(), &self.process(), version) {
                Ok(write) if write.is_empty() => {
                    self.raw = Some(raw);
                    return self.is_written();
                }
                Ok(write) => write,
                Err(NotLive::NeedsReload(_)) => {
                    self.grows_by_reload = true;
                    self.unwritten = None;
                    return self.look_soon(now);
                }
                Err(error @ NotLive::Edit(_)) => return self.persist_later(&chain(&error)),
            };
            match self.client.write_live(write.text().to_owned(), raw.version, "").await {
                Ok(written) => {
                    self.raw = Some(written.config);
                    return self.is_written();
                }
                Err(error) if matches!(error.why, Why::StaleVersion { .. }) => super::settle::pause().await,
                Err(error) => return self.persist_later(&chain(&error)),
            }
        }
        self.persist_later(
            "somebody else changes HAProxy's file all the time; the servers are not in it yet",
        );
        self.file_due = Some(after(clock::now(), FILE_AFTER));
    }

    /// It is told once, until the servers are in the file.
    fn persist_later(&mut self, why: &str) {
        if self.unwritten.as_deref() != Some(why) {
            OwnTrouble { target: &self.name, what: why }.emit(&self.reporter);
            self.unwritten = Some(why.to_owned());
        }
        self.file_due = Some(after(clock::now(), FILE_AFTER * 10));
    }

    /// The servers as they run.
    fn process(&self) -> Process {
        let server = |line: &ServerLine| ProcessServer {
            endpoint: Some(line.at),
            state: if line.disabled { State::Maint } else { State::Ready },
            weight: Some(weight(line)),
            start_weight: None,
        };
        let servers = |lines: &Vec<ServerLine>| -> BTreeMap<_, _> {
            lines.iter().map(|line| (line.name.clone(), server(line))).collect()
        };
        self.lines.iter().map(|(backend, lines)| (backend.clone(), servers(lines))).collect()
    }
}

/// The weight that a server has.
fn weight(line: &ServerLine) -> Weight {
    line.weight.or(line.keywords.weight).unwrap_or(Weight::ONE)
}
