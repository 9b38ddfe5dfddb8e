//! Transactions: begun, filled, and then committed or deleted, whatever happens in between.
//!
//! The API takes twenty open ones and lets none expire, so a left one is a slot lost for everyone until somebody deletes
//! it. What cannot be cleaned up from here is a `POST` whose answer never came: its transaction has a name that nobody knows.

use std::fmt;

use reqwest::Method;
use serde::Deserialize;

use super::error::{ClientError, Why};
use super::transport::Question;
use super::{Client, ConfigVersion, Outcome, Write, answer::Answer, services};

/// The name of a transaction: a UUID.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[serde(try_from = "String")]
pub struct TransactionId(Box<str>);

/// How a transaction stands.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum TransactionStatus {
    /// It can be written to and committed.
    InProgress,
    /// HAProxy did not accept it.
    Failed,
    /// Somebody else committed first.
    Outdated,
    /// Committed.
    Success,
}

/// A transaction that the API holds, ours or somebody else's.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub struct OpenTransaction {
    /// Its name.
    pub id: TransactionId,
    /// How it stands.
    pub status: TransactionStatus,
    /// The version that it was begun on; failed and outdated ones do not say.
    #[serde(rename = "_version")]
    pub version: Option<ConfigVersion>,
}

/// A transaction of ours. Dropped without an end, it is deleted before the next one is begun (or by
/// [`Client::sweep`]).
#[derive(Debug)]
#[must_use = "a transaction is to be committed or abandoned"]
pub struct Transaction {
    client: Client,
    id: TransactionId,
    version: ConfigVersion,
    ended: bool,
}

impl TransactionId {
    /// Letters, digits and dashes.
    pub fn new(text: &str) -> Option<Self> {
        let fits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        fits.then(|| Self(text.into()))
    }
}

impl TryFrom<String> for TransactionId {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::new(&text).ok_or_else(|| format!("{text:?} is no transaction's id"))
    }
}

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TransactionStatus {
    fn word(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Failed => "failed",
            Self::Outdated => "outdated",
            Self::Success => "success",
        }
    }
}

impl Client {
    /// Begins a transaction on this version.
    pub async fn begin(&self, version: ConfigVersion) -> Result<Transaction, ClientError> {
        self.sweep().await;
        let route = services(self.api().await?).at("transactions").with("version", version.to_string());
        let reply = self.ask(Question::new(Method::POST, route)).await?;
        let begun: OpenTransaction = self.read(&reply, Answer::json)?;
        let version = begun.version.unwrap_or(version);
        Ok(Transaction { client: self.clone(), id: begun.id, version, ended: false })
    }

    /// The transactions that the API holds, everyone's.
    pub async fn transactions(
        &self,
        status: Option<TransactionStatus>,
    ) -> Result<Vec<OpenTransaction>, ClientError> {
        let mut route = services(self.api().await?).at("transactions");
        if let Some(status) = status {
            route = route.with("status", status.word());
        }
        let reply = self.ask(Question::get(route)).await?;
        // Without any, Go may write `null`.
        self.read(&reply, Answer::json::<Option<Vec<_>>>).map(Option::unwrap_or_default)
    }

    /// Deletes a transaction that is not committed.
    pub async fn delete_transaction(&self, id: &TransactionId) -> Result<(), ClientError> {
        let route = services(self.api().await?).at("transactions").at(id.to_string());
        let deleted = self.ask_only(Question::new(Method::DELETE, route)).await?;
        deleted.map(|_| ()).map_err(|(call, denial)| self.inner.transport.failed(&call, denial.why))
    }

    /// Deletes what is left of ours, and returns how many could not be. Those are tried again the next time.
    pub async fn sweep(&self) -> usize {
        let left: Vec<_> = self.left().iter().cloned().collect();
        for id in left {
            match self.delete_transaction(&id).await {
                Ok(()) | Err(ClientError { why: Why::NotFound { .. } | Why::TransactionDead { .. }, .. }) => {
                    self.left().remove(&id);
                }
                // What keeps one from being deleted keeps the others too.
                Err(_) => break,
            }
        }
        self.left().len()
    }

    async fn commit(&self, transaction: &Transaction, reload: bool) -> Result<Outcome, ClientError> {
        let route = services(self.api().await?).at("transactions").at(transaction.id.to_string());
        let route = if reload { route.with("force_reload", "true") } else { route };
        // What it leaves behind is the transaction itself, which is not deleted here.
        let committed = self.ask_only(Question::new(Method::PUT, route)).await?;
        let reply = committed.map_err(|(call, denial)| self.inner.transport.failed(&call, denial.why))?;
        // The body names the version that the transaction was begun on, the header the new one.
        let version = transaction.version;
        self.outcome(&reply, if reload { Write::Reloading(version) } else { Write::At(version) })
    }
}

impl Transaction {
    /// Its name.
    pub fn id(&self) -> &TransactionId {
        &self.id
    }

    /// The version that it was begun on.
    pub fn version(&self) -> ConfigVersion {
        self.version
    }

    /// To make a change in it.
    pub fn write(&self) -> Write<'_> {
        Write::Within(&self.id)
    }

    /// To read what it would make of the configuration.
    pub fn view(&self) -> super::View<'_> {
        super::View::Within(&self.id)
    }

    /// Makes its changes. HAProxy is reloaded in any case: before the answer, or as the API schedules it.
    ///
    /// If that fails the transaction is deleted, since nothing can mend it. Where nobody knows whether it was committed it is
    /// deleted later, which does no harm to a committed one.
    pub async fn commit(mut self, reload_now: bool) -> Result<Outcome, ClientError> {
        let committed = self.client.commit(&self, reload_now).await;
        match &committed {
            Ok(_) => self.ended = true,
            Err(error) if !matches!(error.why, Why::Timeout { .. } | Why::Lost { .. }) => self.leave().await,
            Err(_) => {}
        }
        committed
    }

    /// Deletes it. That it is gone already is no failure.
    pub async fn abandon(mut self) -> Result<(), ClientError> {
        let deleted = self.client.delete_transaction(&self.id).await;
        match deleted {
            Ok(()) | Err(ClientError { why: Why::NotFound { .. } | Why::TransactionDead { .. }, .. }) => {
                self.ended = true;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    async fn leave(&mut self) {
        self.client.left().insert(self.id.clone());
        self.ended = true;
        self.client.sweep().await;
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if !self.ended {
            self.client.left().insert(self.id.clone());
        }
    }
}
