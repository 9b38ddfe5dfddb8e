//! The Data Plane API target: a HAProxy whose servers are kept through its API alone.
//!
//! A look reads the file and the running servers; a pass is one write that changes both. Where the file changed between the
//! two, the API refuses the write, and the pass begins anew with another look.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use futures_util::future;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use roster_core::applied::ProcessId;
use roster_core::plan::Operation;
use roster_haproxy::cli::known::OLDEST;
use roster_haproxy::cli::{Refusal, ServerPath};
use roster_haproxy::dataplane::{BackendView, FileView};
use roster_haproxy::name::{BackendName, ServerName};
use roster_haproxy::observed::Observed;
use roster_haproxy::version::Version;
use roster_haproxy::weight::Weight;

use super::client::{
    AdminState, ApiVersion, Client, ClientError, OperationalState, ProcessInfo, RawConfig, RuntimeServer,
    ServerStats, Versioned, Why,
};
use super::error::DataplaneError;
use super::known::Known;
use super::observe;
use super::write::{Pass, Wrote};
use crate::{Look, Reading, Receipt, Refused, Target};

/// How many backends are asked for at once.
const AT_ONCE: usize = 4;

/// How often a write is made anew because somebody else was faster.
const TRIES: u32 = 20;

/// A HAProxy behind a Data Plane API.
pub struct DataplaneTarget {
    client: Client,
    /// Only ever held for as long as it takes to look something up.
    known: Mutex<Known>,
}

/// What the API says of the servers that run, backend by backend; none where it knows none.
type Running = Vec<(BackendName, Option<Versioned<Vec<RuntimeServer>>>)>;

/// Whether all of it was said while this was the file.
fn are_of(file: &RawConfig, running: &Running) -> bool {
    running.iter().flat_map(|(_, shown)| shown).all(|shown| shown.version == file.version)
}

impl DataplaneTarget {
    /// A target that nothing was read from yet.
    pub fn new(client: Client) -> Self {
        Self { client, known: Mutex::new(Known::default()) }
    }

    /// The API itself.
    pub fn client(&self) -> &Client {
        &self.client
    }

    fn at(&self) -> String {
        self.client.endpoint().to_string()
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn process(&self) -> Result<(ProcessId, Version), DataplaneError> {
        let info = self.client.process().await?;
        Ok((self.known().identify(&info), info.version))
    }

    async fn file(&self) -> Result<RawConfig, DataplaneError> {
        Ok(self.client.raw().await?)
    }

    async fn running(
        &self,
        backend: &BackendName,
    ) -> Result<Option<Versioned<Vec<RuntimeServer>>>, DataplaneError> {
        match self.client.runtime_servers(backend.as_str()).await {
            Ok(servers) => Ok(Some(servers)),
            Err(ClientError { why: Why::NotRunning { .. } | Why::NotFound { .. }, .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The file, once the process has the weights that it says: after a write that failed half-way that is to be told again.
    async fn without_doubt(&self, raw: RawConfig, version: Version) -> Result<RawConfig, DataplaneError> {
        let confirmation = self.known().weights.confirmation(&raw.text, version);
        let raw = match confirmation {
            None => raw,
            Some(live) => {
                let header = live.header().unwrap_or_default();
                self.client.write_live(live.text().to_owned(), raw.version, &header).await?.config
            }
        };
        self.known().weights.confirmed();
        Ok(raw)
    }

    /// Whether the API adds servers while HAProxy runs: from version 3 on.
    async fn adds(&self, version: Version) -> Result<bool, DataplaneError> {
        Ok(version >= OLDEST && self.client.api().await? == ApiVersion::V3)
    }

    /// What the last write came to, if nobody wrote after it: its answer was the file.
    async fn read_back(&self, look: &Look) -> Result<Option<Reading>, DataplaneError> {
        let Some(file) = self.known().just_written() else { return Ok(None) };
        let (of_process, running) = future::try_join(self.process(), self.all_running(look)).await?;
        if !are_of(&file, &running) {
            return Ok(None);
        }
        let observed = self.read(&file, of_process.1, look, running).await?;
        Ok(Some(self.found(of_process, file, observed)))
    }

    /// What runs of all these backends, whether they are in the file or not.
    async fn all_running(&self, look: &Look) -> Result<Running, DataplaneError> {
        stream::iter(look.backends.iter().cloned())
            .map(|backend| async move {
                let shown = self.running(&backend).await?;
                Ok((backend, shown))
            })
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await
    }

    fn found(&self, (process, version): (ProcessId, Version), raw: RawConfig, observed: Observed) -> Reading {
        let mut known = self.known();
        known.version = version;
        known.raw = Some(raw);
        known.observed = observed.clone();
        Reading { process, version, observed }
    }

    /// The file's backends as they run, and those that are not there.
    async fn read(
        &self,
        raw: &RawConfig,
        version: Version,
        look: &Look,
        running: Running,
    ) -> Result<Observed, DataplaneError> {
        let file = FileView::read(&raw.text);
        let adds = self.adds(version).await?;
        let missing = look.backends.iter().filter(|backend| file.backend(backend.as_str()).is_none());
        let is_there =
            |backend: &BackendView<'_>| !(backend.servers.is_empty() && backend.templates.is_empty());
        let mut observed = Observed { missing: missing.cloned().collect(), ..Observed::default() };
        let mut unseen = None;
        for (backend, shown) in running {
            let Some(view) = file.backend(backend.as_str()) else { continue };
            match shown.map(|shown| shown.value) {
                Some(shown) if !shown.is_empty() || !is_there(view) => {
                    let weights = self.weights(&backend, view, &shown).await;
                    let told = |server: &ServerName| weights.get(server).copied();
                    let seen = observe::backend(view, &shown, version, adds, told);
                    observed.backends.insert(backend, seen);
                }
                // The file is ahead of the process: a reload brings it. Or nothing can be seen at all.
                Some(_) => {
                    unseen = unseen.or(Some((backend.clone(), view.servers.len() + view.templates.len())));
                    observed.missing.insert(backend);
                }
                None => _ = observed.missing.insert(backend),
            }
        }
        if let Some((backend, count)) =
            unseen.filter(|_| observed.backends.values().all(|seen| seen.servers.is_empty()))
            && !self.sees_any(file.backends.iter().filter(|view| is_there(view))).await?
        {
            return Err(DataplaneError::Blind { at: self.at(), backend, count });
        }
        Ok(observed)
    }

    /// Writes, and writes anew on what somebody else made of the file meanwhile, if none of it is about these backends.
    async fn write(
        &self,
        raw: &RawConfig,
        observed: &Observed,
        version: Version,
        operations: &[Operation],
    ) -> Result<Wrote, ClientError> {
        let mut current = raw.clone();
        for _ in 1..TRIES {
            let pass = Pass { client: &self.client, raw: &current, observed, version };
            let stale = match pass.write(operations).await {
                Err(error) if error.is_stale() => error,
                wrote => return wrote,
            };
            current = self.client.raw().await?;
            let (before, now) = (FileView::read(&raw.text), FileView::read(&current.text));
            let section = |text: &'_ str, file: &FileView<'_>, name: &BackendName| {
                let place = file.backend(name.as_str())?.section;
                text.get(file.sections.get(place)?.range.clone()).map(str::to_owned)
            };
            let is_other =
                |name: &BackendName| section(&raw.text, &before, name) != section(&current.text, &now, name);
            if operations.iter().any(|operation| is_other(&operation.backend)) {
                return Err(stale);
            }
        }
        Pass { client: &self.client, raw: &current, observed, version }.write(operations).await
    }

    /// Whether the API shows a server of any of these.
    async fn sees_any<'v>(
        &self,
        backends: impl Iterator<Item = &'v BackendView<'v>> + Send,
    ) -> Result<bool, DataplaneError> {
        for backend in backends {
            let Ok(name) = BackendName::new(&backend.name) else { continue };
            if self.running(&name).await?.is_some_and(|shown| !shown.value.is_empty()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The weights of a backend's servers that have no line. What HAProxy counts is asked for once a process, since that is
    /// slow: 0.2 to 0.5 s with 1,000 servers. Only of servers that serve is it the one that they were told.
    async fn weights(
        &self,
        backend: &BackendName,
        view: &BackendView<'_>,
        shown: &[RuntimeServer],
    ) -> BTreeMap<ServerName, Weight> {
        let path = |server: &str| {
            let server = ServerName::new(server).ok().filter(|_| view.is_made_of_template(server))?;
            Some(ServerPath { backend: backend.clone(), server })
        };
        let serves = |one: &&RuntimeServer| {
            one.admin_state == AdminState::Ready && one.operational_state == OperationalState::Up
        };
        let serving: BTreeSet<ServerPath> =
            shown.iter().filter(serves).filter_map(|one| path(&one.name)).collect();
        let told = self.known().weights.told();
        if serving.iter().any(|path| !told.contains_key(path))
            && let Ok(counted) = self.client.server_stats(backend.as_str()).await
        {
            let weight = |one: &ServerStats| one.weight.and_then(|weight| Weight::new(weight).ok());
            let learnt = counted.iter().filter_map(|one| Some((path(&one.name)?, weight(one)?)));
            let mut known = self.known();
            learnt
                .filter(|(path, _)| serving.contains(path))
                .for_each(|(path, to)| known.weights.learn(path, to));
        }
        let told = self.known().weights.told().into_iter();
        told.filter(|(path, _)| path.backend == *backend)
            .map(|(path, weight)| (path.server, weight))
            .collect()
    }
}

impl Target for DataplaneTarget {
    type Error = DataplaneError;

    async fn observe(&self, look: &Look) -> Result<Reading, DataplaneError> {
        if let Some(reading) = self.read_back(look).await? {
            return Ok(reading);
        }
        let (of_process, raw, mut running) =
            future::try_join3(self.process(), self.file(), self.all_running(look)).await?;
        if !are_of(&raw, &running) {
            // Somebody wrote meanwhile.
            running = self.all_running(look).await?;
        }
        let raw = self.without_doubt(raw, of_process.1).await?;
        let observed = self.read(&raw, of_process.1, look, running).await?;
        Ok(self.found(of_process, raw, observed))
    }

    async fn identify(&self) -> Result<ProcessId, DataplaneError> {
        Ok(self.process().await?.0)
    }

    async fn apply(&self, process: ProcessId, operations: &[Operation]) -> Result<Receipt, DataplaneError> {
        let started = Instant::now();
        let (raw, observed, serving, version) = {
            let known = self.known();
            (known.raw.clone(), known.observed.clone(), known.process.map(|(id, _)| id), known.version)
        };
        let Some(raw) = raw.filter(|_| serving == Some(process)) else {
            return Err(DataplaneError::OtherProcess { at: self.at() });
        };
        let Wrote { commands, refused, left, reloaded, file: written } =
            match self.write(&raw, &observed, version, operations).await {
                Ok(wrote) => wrote,
                Err(error) => {
                    if error.may_be_done() {
                        self.known().weights.doubt(operations);
                    }
                    return Err(error.into());
                }
            };
        if reloaded {
            // One that was started anew, in a container, may have the number of the one before.
            let is_another = |info: &ProcessInfo| self.known().identify(info) != process;
            // The API has HAProxy check the file within a call, which takes as long as reading it.
            let longest = self.client.timeout();
            if !self.client.until_another_serves(longest, is_another).await {
                return Err(DataplaneError::SameProcess { at: self.at(), after: longest });
            }
        } else {
            let is_done =
                |place: &usize| !left.contains(place) && refused.iter().all(|one| one.operation != *place);
            let done = operations.iter().enumerate().filter(|(place, _)| is_done(place));
            let file = FileView::read(&raw.text);
            let mut known = self.known();
            known.weights.of(process).done(&file, done.map(|(_, operation)| operation));
            known.written = written.map(|file| (file, Instant::now()));
        }
        Ok(Receipt { commands, took: started.elapsed(), refused, left })
    }

    /// The API has a call for it that leaves the file alone.
    async fn delete(&self, process: ProcessId, operation: &Operation) -> Result<Receipt, DataplaneError> {
        let started = Instant::now();
        if self.process().await?.0 != process {
            return Err(DataplaneError::OtherProcess { at: self.at() });
        }
        let (backend, server) = (operation.backend.as_str(), operation.server.as_str());
        let refused = match self.client.delete_runtime_server(backend, server).await {
            // One that is not there is gone.
            Ok(()) | Err(ClientError { why: Why::NotRunning { .. }, .. }) => Vec::new(),
            Err(ClientError { why: Why::Server { status: 500, text }, .. }) => {
                vec![Refused { operation: 0, refusal: Refusal::Other(text) }]
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Receipt { commands: 1, took: started.elapsed(), refused, left: BTreeSet::new() })
    }

    fn is_one_write(&self) -> bool {
        true
    }

    /// What the API adds has neither a cookie nor checks that somebody could switch on.
    fn adds_only_bare(&self) -> bool {
        true
    }

    fn lines(&self, operation: &Operation) -> Vec<String> {
        super::write::lines(operation)
    }
}

/// Its file may hold passwords.
impl fmt::Debug for DataplaneTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataplaneTarget").field("client", &self.client).finish_non_exhaustive()
    }
}
