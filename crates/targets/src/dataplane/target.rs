//! The Data Plane API target: a HAProxy whose servers are kept through its API alone.
//!
//! A look reads the file and the running servers; a pass is one write that changes both. Where the file changed between the
//! two, the API refuses the write, and the pass begins anew with another look.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt, TryStreamExt};
use roster_core::applied::ProcessId;
use roster_core::dataplane::FileView;
use roster_core::haproxy::known::OLDEST;
use roster_core::haproxy::{ServerPath, Version};
use roster_core::name::{BackendName, ServerName};
use roster_core::observed::Observed;
use roster_core::plan::Operation;
use thiserror::Error;

use super::client::{ApiVersion, Client, ClientError, ProcessInfo, RawConfig, RuntimeServer, Why};
use super::observe;
use super::weights::Weights;
use super::write::{Pass, Wrote};
use crate::{Look, Reading, Receipt, Target};

/// How many backends are asked for at once.
const AT_ONCE: usize = 4;

/// How often, and how long after one another, the API is asked for the process that took over.
const FOLLOW: u32 = 250;
const PAUSE: Duration = Duration::from_millis(40);

/// How changes reach HAProxy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Way {
    /// The file and the process in one call, without a reload.
    Live,
    /// By a transaction, with its reload.
    Transaction,
}

/// A HAProxy behind a Data Plane API.
pub struct DataplaneTarget {
    client: Client,
    way: Way,
    /// Only ever held for as long as it takes to look something up.
    known: Mutex<Known>,
}

/// What the last look found.
struct Known {
    raw: Option<RawConfig>,
    observed: Observed,
    process: Option<(ProcessId, Duration)>,
    version: Version,
    weights: Weights,
}

/// Why such a target could not be read or written.
#[derive(Debug, Error)]
pub enum DataplaneError {
    /// The API.
    #[error(transparent)]
    Api(#[from] ClientError),
    /// It shows no servers where its file has some.
    #[error(
        "{at}: the API shows no running server of backend {backend}, though its file has {count}; check that HAProxy runs \
         and, for HAProxy 2.6, that the API's configuration sets no `master_runtime`: through that it cannot read"
    )]
    Blind {
        /// Which API.
        at: String,
        /// The first backend that is not shown.
        backend: BackendName,
        /// How many servers it has in the file at least.
        count: usize,
    },
    /// No other process serves after a reload.
    #[error(
        "{at}: the API says that HAProxy was reloaded, but {after:?} later no other process serves; check the API's \
         `reload_cmd` and look at HAProxy's log"
    )]
    SameProcess {
        /// Which API.
        at: String,
        /// How long was waited.
        after: Duration,
    },
    /// Another process serves than the one that was read.
    #[error("{at}: HAProxy was restarted or reloaded meanwhile; it is read anew")]
    OtherProcess {
        /// Which API.
        at: String,
    },
}

impl DataplaneError {
    /// Whether another process took over, or somebody else wrote, so that reading and planning again is all it needs.
    pub fn is_takeover(&self) -> bool {
        match self {
            Self::OtherProcess { .. } => true,
            Self::Api(ClientError { why, .. }) => {
                matches!(why, Why::StaleVersion { .. } | Why::TransactionDead { .. } | Why::Unsettled { .. })
            }
            Self::Blind { .. } | Self::SameProcess { .. } => false,
        }
    }

    /// Whether nobody answers there.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Api(ClientError { why: Why::Unreachable { .. }, .. }))
    }
}

impl DataplaneTarget {
    /// A target that nothing was read from yet.
    pub fn new(client: Client, way: Way) -> Self {
        Self { client, way, known: Mutex::new(Known::default()) }
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

    async fn running(&self, backend: &BackendName) -> Result<Option<Vec<RuntimeServer>>, DataplaneError> {
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

    /// The API answers once it told HAProxy to reload: until the next process serves, the former one shows itself.
    async fn until_another_serves(&self, before: ProcessId) -> Result<(), DataplaneError> {
        for _ in 0..FOLLOW {
            match self.process().await {
                Ok((process, _)) if process != before => return Ok(()),
                _ => tokio::time::sleep(PAUSE).await,
            }
        }
        Err(DataplaneError::SameProcess { at: self.at(), after: PAUSE * FOLLOW })
    }

    /// Whether the API adds servers while HAProxy runs: from version 3 on.
    async fn adds(&self, version: Version) -> Result<bool, DataplaneError> {
        let is_new = self.way == Way::Live && version >= OLDEST;
        Ok(is_new && self.client.api().await? == ApiVersion::V3)
    }

    /// The file's backends as they run, and those that are not there.
    async fn read(&self, raw: &RawConfig, version: Version, look: &Look) -> Result<Observed, DataplaneError> {
        let file = FileView::read(&raw.text);
        let weights = self.known().weights.told();
        let adds = self.adds(version).await?;
        let in_file = |backend: &&BackendName| file.backend(backend.as_str()).is_some();
        let (there, missing): (Vec<_>, Vec<_>) = look.backends.iter().partition(in_file);
        let running: Vec<(BackendName, Option<Vec<RuntimeServer>>)> =
            stream::iter(there.into_iter().cloned().collect::<Vec<_>>())
                .map(|backend| async move {
                    let shown = self.running(&backend).await?;
                    Ok::<_, DataplaneError>((backend, shown))
                })
                .buffer_unordered(AT_ONCE)
                .try_collect()
                .await?;
        let mut observed =
            Observed { missing: missing.into_iter().cloned().collect(), ..Observed::default() };
        for (backend, shown) in running {
            let Some(view) = file.backend(backend.as_str()) else { continue };
            match shown {
                Some(shown)
                    if shown.is_empty() && !(view.servers.is_empty() && view.templates.is_empty()) =>
                {
                    let count = view.servers.len() + view.templates.len();
                    return Err(DataplaneError::Blind { at: self.at(), backend, count });
                }
                Some(shown) => {
                    let told = |server: &ServerName| {
                        let (backend, server) = (backend.clone(), server.clone());
                        weights.get(&ServerPath { backend, server }).copied()
                    };
                    let seen = observe::backend(view, &shown, version, adds, told);
                    observed.backends.insert(backend, seen);
                }
                // The file is ahead of the process: a reload brings it.
                None => _ = observed.missing.insert(backend),
            }
        }
        Ok(observed)
    }
}

impl Default for Known {
    fn default() -> Self {
        Self {
            raw: None,
            observed: Observed::default(),
            process: None,
            version: Version::OLDEST,
            weights: Weights::default(),
        }
    }
}

impl Known {
    /// A process that shows a shorter life than before is another one, also if it has the same number.
    fn identify(&mut self, info: &ProcessInfo) -> ProcessId {
        let id = match self.process {
            Some((known, uptime)) if known.pid == info.pid && info.uptime >= uptime => known,
            Some((known, _)) if known.pid == info.pid => {
                ProcessId { pid: info.pid, started: Some(jiff::Timestamp::now()) }
            }
            _ => ProcessId { pid: info.pid, started: None },
        };
        self.process = Some((id, info.uptime));
        self.weights.of(id);
        id
    }
}

impl Target for DataplaneTarget {
    type Error = DataplaneError;

    async fn observe(&self, look: &Look) -> Result<Reading, DataplaneError> {
        let (process, version) = self.process().await?;
        let raw = self.without_doubt(self.client.raw().await?, version).await?;
        let observed = self.read(&raw, version, look).await?;
        let mut known = self.known();
        known.version = version;
        known.raw = Some(raw);
        known.observed = observed.clone();
        Ok(Reading { process, version, observed })
    }

    async fn identify(&self) -> Result<ProcessId, DataplaneError> {
        Ok(self.process().await?.0)
    }

    async fn backends(&self) -> Result<BTreeSet<BackendName>, DataplaneError> {
        let raw = self.client.raw().await?;
        let file = FileView::read(&raw.text);
        Ok(file.backends.iter().filter_map(|backend| BackendName::new(&backend.name).ok()).collect())
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
        let pass = Pass { client: &self.client, way: self.way, raw: &raw, observed: &observed, version };
        let Wrote { commands, refused, left, reloaded } = match pass.write(operations).await {
            Ok(wrote) => wrote,
            Err(error) => {
                if self.way == Way::Live && error.may_be_done() {
                    self.known().weights.doubt(operations);
                }
                return Err(error.into());
            }
        };
        if reloaded {
            self.until_another_serves(process).await?;
        } else {
            let is_done =
                |place: &usize| !left.contains(place) && refused.iter().all(|one| one.operation != *place);
            let done = operations.iter().enumerate().filter(|(place, _)| is_done(place));
            let file = FileView::read(&raw.text);
            self.known().weights.of(process).done(&file, done.map(|(_, operation)| operation));
        }
        Ok(Receipt { commands, took: started.elapsed(), refused, left })
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
        f.debug_struct("DataplaneTarget")
            .field("client", &self.client)
            .field("way", &self.way)
            .finish_non_exhaustive()
    }
}
