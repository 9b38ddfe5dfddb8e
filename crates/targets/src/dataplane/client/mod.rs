//! A client of the Data Plane API: typed calls, typed failures, one address.
//!
//! Invariants:
//! - A call is sent once. Nothing is repeated here: whoever meets a stale version reads again and plans anew.
//! - A write names the version it was planned against, or a transaction; there is no write without either.
//! - The version that a write returns is never newer than its own: where somebody else wrote right behind, the next
//!   write is refused as stale instead of undoing theirs.
//! - A transaction that is begun is committed or deleted. One whose future was dropped is deleted before the next begins.
//! - No password is in any failure, log or `Debug`.
//!
//! Source: the API's specification of 2.9 and 3.2, and answers recorded from both.

mod answer;
mod configuration;
mod error;
mod object;
mod raw;
mod reload;
mod runtime;
mod settings;
mod transaction;
mod transport;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Deserialize;

use self::answer::{Answer, Denial};
pub use self::error::{Call, ClientError, Why};
pub use self::object::{Backend, HttpCheck, Server, WrongObject};
pub use self::raw::{RawConfig, Written};
pub use self::reload::{Reload, ReloadId, ReloadState};
pub use self::runtime::{AdminState, OperationalState, ProcessInfo, RuntimeServer, ServerStats};
pub use self::settings::{ApiVersion, Endpoint, InvalidEndpoint, Settings, Tls, VersionChoice};
pub use self::transaction::{OpenTransaction, Transaction, TransactionId, TransactionStatus};
pub use self::transport::SettingsError;
use self::transport::{Question, Route, Transport};

/// A client of one Data Plane API. Clones share its connections.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    transport: Transport,
    choice: VersionChoice,
    /// The version that answered: 0 if none did yet.
    speaks: AtomicU8,
    /// Transactions of ours that nobody works on any more.
    left: Mutex<BTreeSet<TransactionId>>,
}

/// The API's count of changes of the configuration.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[serde(transparent)]
pub struct ConfigVersion(pub u64);

/// What was read, and the version that the API had then.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Versioned<T> {
    /// What was read.
    pub value: T,
    /// The version of the configuration.
    pub version: ConfigVersion,
}

/// What is read: the configuration in force, or what a transaction would make of it.
#[derive(Clone, Copy, Debug)]
pub enum View<'a> {
    /// The one in force.
    InForce,
    /// That of a transaction.
    Within(&'a TransactionId),
}

/// How a change is made.
#[derive(Clone, Copy, Debug)]
pub enum Write<'a> {
    /// At once, if this is still the version: without a reload if the API can, else with one that it schedules.
    At(ConfigVersion),
    /// At once, if this is still the version, and reloaded before the answer.
    Reloading(ConfigVersion),
    /// When the transaction is committed.
    Within(&'a TransactionId),
}

/// What became of a change.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outcome {
    /// The version that the change made, for the next one; that of the transaction if it is within one.
    pub version: ConfigVersion,
    /// Whether HAProxy is reloaded for it.
    pub reload: Reload,
}

/// What answers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ApiInfo {
    /// The version of the API that is spoken.
    pub speaks: ApiVersion,
    /// The program's own version, such as `v3.2.4 1a2b3c4d`.
    pub program: String,
}

/// An accepted answer and the call that it belongs to.
struct Reply {
    call: Call,
    answer: Answer,
}

impl Client {
    /// A client for these settings. Nothing is sent yet; only the file of authorities is read.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let choice = settings.version;
        let transport = Transport::new(settings)?;
        let inner = Inner { transport, choice, speaks: AtomicU8::new(0), left: Mutex::default() };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Where it asks.
    pub fn endpoint(&self) -> &Endpoint {
        &self.inner.transport.endpoint
    }

    /// How long one call may take.
    pub fn timeout(&self) -> Duration {
        self.inner.transport.timeout
    }

    /// Which program answers, in which version.
    pub async fn info(&self) -> Result<ApiInfo, ClientError> {
        #[derive(Deserialize)]
        struct Info {
            api: Program,
        }
        #[derive(Deserialize)]
        struct Program {
            #[serde(default)]
            version: String,
        }
        let speaks = self.api().await?;
        let reply = self.ask(Question::get(base(speaks).at("info"))).await?;
        let Info { api } = self.read(&reply, Answer::json)?;
        Ok(ApiInfo { speaks, program: api.version.trim().to_owned() })
    }

    /// The version of the configuration.
    pub async fn version(&self) -> Result<ConfigVersion, ClientError> {
        let route = services(self.api().await?).path("configuration/version");
        let reply = self.ask(Question::get(route)).await?;
        self.read(&reply, Answer::json)
    }

    /// The version of the API. The first call finds it out: a server knows no path of the other.
    pub async fn api(&self) -> Result<ApiVersion, ClientError> {
        match self.inner.speaks.load(Ordering::Relaxed) {
            2 => return Ok(ApiVersion::V2),
            3 => return Ok(ApiVersion::V3),
            _ => {}
        }
        let (first, other) = match self.inner.choice {
            VersionChoice::Auto | VersionChoice::V3 => (ApiVersion::V3, ApiVersion::V2),
            VersionChoice::V2 => (ApiVersion::V2, ApiVersion::V3),
        };
        let Some(call) = self.lacks(first).await? else { return Ok(self.remember(first)) };
        match (self.lacks(other).await?, self.inner.choice) {
            (None, VersionChoice::Auto) => Ok(self.remember(other)),
            (None, _) => Err(call.failed(Why::WrongVersion { set: first, speaks: Some(other) })),
            (Some(_), _) => Err(call.failed(Why::NoApi)),
        }
    }

    /// Asks for the path that each version has. If it is not there, the call that found out.
    async fn lacks(&self, api: ApiVersion) -> Result<Option<Call>, ClientError> {
        let (call, answer) = self.inner.transport.exchange(Question::get(base(api).at("info"))).await?;
        if answer.status == 404 {
            return Ok(Some(call));
        }
        let checked = answer.accepted().map_err(|denial| denial.why);
        let checked = checked.and_then(|answer| answer.json::<serde_json::Value>());
        checked.map(|_| None).map_err(|why| self.inner.transport.failed(&call, why))
    }

    fn remember(&self, api: ApiVersion) -> ApiVersion {
        let number = if api == ApiVersion::V2 { 2 } else { 3 };
        self.inner.speaks.store(number, Ordering::Relaxed);
        api
    }

    /// Asks, and deletes the transaction that a refused file leaves behind.
    async fn ask(&self, question: Question) -> Result<Reply, ClientError> {
        match self.ask_only(question).await? {
            Ok(reply) => Ok(reply),
            Err((call, Denial { why, left })) => {
                if let Some(id) = left {
                    self.left().insert(id);
                    self.sweep().await;
                }
                Err(self.inner.transport.failed(&call, why))
            }
        }
    }

    /// Asks; the inner failure is one that the API itself tells.
    async fn ask_only(&self, question: Question) -> Result<Result<Reply, (Call, Denial)>, ClientError> {
        let (call, answer) = self.inner.transport.exchange(question).await?;
        if answer.is_no_such_path() {
            return Err(self.forget(&call));
        }
        Ok(match answer.accepted() {
            Ok(answer) => Ok(Reply { call, answer }),
            Err(denial) => Err((call, denial)),
        })
    }

    /// The API was replaced by one of another version while we ran: the next call finds out by which.
    fn forget(&self, call: &Call) -> ClientError {
        let was = self.inner.speaks.swap(0, Ordering::Relaxed);
        let set = if was == 2 { ApiVersion::V2 } else { ApiVersion::V3 };
        call.failed(Why::WrongVersion { set, speaks: None })
    }

    fn read<T>(
        &self,
        reply: &Reply,
        parse: impl FnOnce(&Answer) -> Result<T, Why>,
    ) -> Result<T, ClientError> {
        parse(&reply.answer).map_err(|why| self.inner.transport.failed(&reply.call, why))
    }

    fn read_versioned<T>(
        &self,
        reply: &Reply,
        parse: impl FnOnce(&Answer) -> Result<T, Why>,
    ) -> Result<Versioned<T>, ClientError> {
        self.read(reply, |answer| Ok(Versioned { value: parse(answer)?, version: answer.version()? }))
    }

    fn outcome(&self, reply: &Reply, write: Write<'_>) -> Result<Outcome, ClientError> {
        self.read(reply, |answer| write.outcome(answer))
    }

    fn left(&self) -> MutexGuard<'_, BTreeSet<TransactionId>> {
        self.inner.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Transport { endpoint, username, .. } = &self.inner.transport;
        f.debug_struct("Client")
            .field("endpoint", endpoint)
            .field("username", username)
            .finish_non_exhaustive()
    }
}

impl ConfigVersion {
    /// The version that one change makes of it.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for ConfigVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl View<'_> {
    fn of(self, route: Route) -> Route {
        match self {
            Self::InForce => route,
            Self::Within(id) => route.with("transaction_id", id.to_string()),
        }
    }
}

impl Write<'_> {
    fn by(self, route: Route) -> Route {
        match self {
            Self::At(version) => route.with("version", version.to_string()),
            Self::Reloading(version) => {
                route.with("version", version.to_string()).with("force_reload", "true")
            }
            Self::Within(id) => route.with("transaction_id", id.to_string()),
        }
    }

    fn outcome(self, answer: &Answer) -> Result<Outcome, Why> {
        let seen = answer.version()?;
        // The API looks its version up when it answers, so it may be that of somebody who wrote right behind.
        let version = match self {
            Self::At(given) | Self::Reloading(given) => seen.min(given.next()),
            Self::Within(_) => seen,
        };
        let reload = match (&answer.reload, self) {
            (Some(id), _) => Reload::Scheduled(id.clone()),
            (None, Self::Reloading(_)) => Reload::Done,
            (None, _) => Reload::None,
        };
        Ok(Outcome { version, reload })
    }
}

fn base(api: ApiVersion) -> Route {
    Route::default().at(api.path())
}

fn services(api: ApiVersion) -> Route {
    base(api).path("services/haproxy")
}
