//! What the sources of all clouds do alike: machines become services by their tags.
//!
//! - A cloud's own folder only asks: it is a [`Machines`].
//! - What becomes of the answer is decided in `roster_core::fleet`, on a thread where it holds up nobody.
//! - A warning is logged when it comes, and again only after it was gone.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use roster_core::fleet::{self, Machine, Reported, TagRules};
use roster_core::instance::Snapshot;
use roster_haproxy::name::SourceName;

use crate::poll::{Failure, Lister};

/// Asks a cloud for machines.
pub trait Machines: Send {
    /// The machines that it gives.
    type Found: IntoIterator<Item = Machine> + Send + 'static;

    /// All that run, and what is known of the others; or none of it. `known` is what was known before, also before a restart.
    fn list(
        &mut self,
        known: Option<&Snapshot>,
    ) -> impl Future<Output = Result<Listed<Self::Found>, Failure>> + Send;
}

/// What a cloud said.
#[derive(Clone, Debug, Default)]
pub struct Listed<M = Vec<Machine>> {
    /// The machines.
    pub reported: Reported<M>,
    /// What an operator should know, though it is in nobody's way.
    pub warnings: Vec<String>,
}

/// Is told of each call to a cloud's API, so that a metric can count them.
pub trait Calls: Send + Sync {
    /// A call ended. `api` is one of a few fixed names, `code` an HTTP status or a short word for what went wrong.
    fn ended(&self, source: &SourceName, api: &'static str, code: &str, took: Duration);
}

/// Counts nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Uncounted;

/// The machines of a cloud as services.
#[derive(Debug)]
pub struct Fleet<M> {
    name: SourceName,
    /// What the account is called in the log.
    account: Option<String>,
    machines: M,
    rules: Arc<TagRules>,
    warned: BTreeSet<String>,
}

impl Calls for Uncounted {
    fn ended(&self, _source: &SourceName, _api: &'static str, _code: &str, _took: Duration) {}
}

impl<M> Fleet<M> {
    /// Asks for nothing yet.
    pub fn new(name: SourceName, account: Option<String>, machines: M, rules: TagRules) -> Self {
        Self { name, account, machines, rules: Arc::new(rules), warned: BTreeSet::new() }
    }

    fn warn(&mut self, warnings: Vec<String>) {
        let now: BTreeSet<String> = warnings.into_iter().collect();
        for warning in now.difference(&self.warned) {
            tracing::warn!(source = %self.name, account = self.account, "{warning}");
        }
        self.warned = now;
    }
}

impl<M: Machines> Lister for Fleet<M> {
    async fn list(&mut self, known: Option<Arc<Snapshot>>, now: Timestamp) -> Result<Snapshot, Failure> {
        let Listed { reported, warnings } = self.machines.list(known.as_deref()).await?;
        self.warn(warnings);
        let rules = Arc::clone(&self.rules);
        let grouped =
            tokio::task::spawn_blocking(move || fleet::snapshot(reported, &rules, known.as_deref(), now));
        let snapshot = grouped.await.map_err(|error| {
            Failure::new(format!(
                "machines could not be grouped for a mistake in Roster ({error}); please report it"
            ))
        })?;
        tracing::debug!(
            source = %self.name,
            account = self.account,
            instances = snapshot.count(),
            services = snapshot.services.len(),
            "the cloud has answered"
        );
        Ok(snapshot)
    }
}

#[cfg(test)]
mod tests;
