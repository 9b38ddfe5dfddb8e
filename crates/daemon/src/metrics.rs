//! What is counted, and how it is written out for Prometheus.
//!
//! Counters and histograms are kept here, for as long as their source or target is in the configuration. What *is*
//! (gauges) is not kept: it is made of the present state for each scrape, so that nothing outlives what it tells of.

mod gauges;
mod series;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use roster_haproxy::name::{SourceName, TargetName};

use crate::overview::Overview;
use series::Series;

/// What every name begins with.
const PREFIX: &str = "roster";
/// In seconds: from a change that HAProxy shows at once to one that took a minute.
const BUCKETS: [f64; 15] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct OfSource {
    source: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct OfCall {
    source: String,
    api: &'static str,
    code: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct OfTarget {
    target: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct OfCommand {
    target: String,
    op: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct OfPass {
    target: String,
    result: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct OfReload {
    target: String,
    reason: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct OfLive {
    target: String,
    what: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct OfTask {
    task: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct OfBuild {
    version: &'static str,
}

/// How a pass ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum PassResult {
    /// HAProxy shows what is wanted.
    Settled,
    /// Something is left, to be tried again.
    Unsettled,
    /// HAProxy could not be read or written.
    Failed,
}

/// What is counted over the life of the process.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    source_errors: Series<OfSource, Counter>,
    source_calls: Series<OfCall, Counter>,
    commands: Series<OfCommand, Counter>,
    passes: Series<OfPass, Counter>,
    reloads: Series<OfReload, Counter>,
    live: Series<OfLive, Counter>,
    process_replaced: Series<OfTarget, Counter>,
    process_ended: Series<OfTarget, Counter>,
    files_refused: Series<OfTarget, Counter>,
    convergence: Series<OfTarget, Histogram>,
    tasks_ended: Series<OfTask, Counter>,
    state_errors: Counter,
    config_good: Gauge,
    config_read: Gauge<f64, AtomicU64>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        let build = Family::<OfBuild, Gauge>::default();
        build.get_or_create(&OfBuild { version: env!("CARGO_PKG_VERSION") }).set(1);
        registry.register("build_info", "Always 1; the version is a label", build);
        let metrics = Self {
            source_errors: Series::new(Counter::default),
            source_calls: Series::new(Counter::default),
            commands: Series::new(Counter::default),
            passes: Series::new(Counter::default),
            reloads: Series::new(Counter::default),
            live: Series::new(Counter::default),
            process_replaced: Series::new(Counter::default),
            process_ended: Series::new(Counter::default),
            files_refused: Series::new(Counter::default),
            convergence: Series::new(|| Histogram::new(BUCKETS)),
            tasks_ended: Series::new(Counter::default),
            state_errors: Counter::default(),
            config_good: Gauge::default(),
            config_read: Gauge::default(),
            registry,
        };
        metrics.registered()
    }
}

impl Metrics {
    fn registered(mut self) -> Self {
        let to = &mut self.registry;
        self.source_errors.register(to, "source_errors", "Times that a source had no complete answer");
        self.source_calls.register(to, "source_api_calls", "Calls to a source's API, by how they ended");
        self.commands.register(to, "commands", "Operations on servers, by what HAProxy said to them");
        self.passes.register(to, "passes", "Passes over a target, by how they ended");
        self.reloads.register(to, "reloads", "Reloads of HAProxy that Roster asked for");
        self.live.register(to, "live_changes", "Backends and files that HAProxy was given while it runs");
        self.process_ended.register(to, "process_ended", "Times that a HAProxy ended which Roster owns");
        self.files_refused.register(to, "files_refused", "Files and reloads that HAProxy refused");
        self.process_replaced.register(
            to,
            "process_replaced",
            "Times that another HAProxy process was found",
        );
        let help = "From a source's complete answer to the look at HAProxy that shows it, a backend each";
        self.convergence.register(to, "convergence_seconds", help);
        self.tasks_ended.register(to, "tasks_ended", "Times that a task of Roster's own ended by a mistake");
        let help = "Records in the state folder that could not be written or read";
        to.register("state_errors", help, self.state_errors.clone());
        let help = "Whether the configuration could be taken over when it was last read";
        to.register("config_last_reload_successful", help, self.config_good.clone());
        let help = "When a configuration was last taken over, in seconds since 1970";
        to.register("config_last_reload_timestamp_seconds", help, self.config_read.clone());
        self
    }

    /// Everything, in the text format of `OpenMetrics` 1.0.
    pub(crate) fn scrape(&self, overview: &Overview, now: Timestamp) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode_registry(&mut text, &self.registry)?;
        encode_registry(&mut text, &gauges::registry(overview, now))?;
        encode_eof(&mut text)?;
        Ok(text)
    }

    /// Begins at nought what these sources and targets count, and forgets those that are not among them.
    pub(crate) fn keep<'a>(
        &self,
        sources: impl IntoIterator<Item = &'a SourceName>,
        targets: impl IntoIterator<Item = &'a TargetName>,
    ) {
        let sources: BTreeSet<&str> = sources.into_iter().map(SourceName::as_str).collect();
        let targets: BTreeSet<&str> = targets.into_iter().map(TargetName::as_str).collect();
        self.source_errors.retain(|labels| sources.contains(labels.source.as_str()));
        self.source_calls.retain(|labels| sources.contains(labels.source.as_str()));
        self.commands.retain(|labels| targets.contains(labels.target.as_str()));
        self.passes.retain(|labels| targets.contains(labels.target.as_str()));
        self.reloads.retain(|labels| targets.contains(labels.target.as_str()));
        self.live.retain(|labels| targets.contains(labels.target.as_str()));
        for series in [&self.process_replaced, &self.process_ended, &self.files_refused] {
            series.retain(|labels| targets.contains(labels.target.as_str()));
        }
        self.convergence.retain(|labels| targets.contains(labels.target.as_str()));
        for source in sources {
            self.source_errors.of(OfSource { source: source.to_owned() });
        }
        for target in targets {
            let of = || OfTarget { target: target.to_owned() };
            for series in [&self.process_replaced, &self.process_ended, &self.files_refused] {
                series.of(of());
            }
            self.convergence.of(of());
            // A target behind a runtime socket is never reloaded; its nought says so.
            self.reloads.of(OfReload { target: target.to_owned(), reason: "structure" });
            for what in ["backend", "file"] {
                self.live.of(OfLive { target: target.to_owned(), what });
            }
            for how in [PassResult::Settled, PassResult::Unsettled, PassResult::Failed] {
                self.passes.of(OfPass { target: target.to_owned(), result: how.word() });
            }
        }
    }

    pub(crate) fn source_error(&self, source: &SourceName) {
        self.source_errors.of(OfSource { source: source.to_string() }).inc();
    }

    /// `code` is an HTTP status, or a word for what went wrong.
    pub(crate) fn source_call(&self, source: &SourceName, api: &'static str, code: &str) {
        self.source_calls.of(OfCall { source: source.to_string(), api, code: code.to_owned() }).inc();
    }

    pub(crate) fn commands(&self, target: &TargetName, op: &'static str, result: &'static str, count: u64) {
        self.commands.of(OfCommand { target: target.to_string(), op, result }).inc_by(count);
    }

    pub(crate) fn pass(&self, target: &TargetName, result: PassResult) {
        self.passes.of(OfPass { target: target.to_string(), result: result.word() }).inc();
    }

    pub(crate) fn process_replaced(&self, target: &TargetName) {
        self.process_replaced.of(OfTarget { target: target.to_string() }).inc();
    }

    pub(crate) fn process_ended(&self, target: &TargetName) {
        self.process_ended.of(OfTarget { target: target.to_string() }).inc();
    }

    pub(crate) fn file_refused(&self, target: &TargetName) {
        self.files_refused.of(OfTarget { target: target.to_string() }).inc();
    }

    pub(crate) fn reloaded(&self, target: &TargetName, reason: &'static str) {
        self.reloads.of(OfReload { target: target.to_string(), reason }).inc();
    }

    /// `what` is `backend` or `file`.
    pub(crate) fn live(&self, target: &TargetName, what: &'static str, count: usize) {
        self.live
            .of(OfLive { target: target.to_string(), what })
            .inc_by(u64::try_from(count).unwrap_or(u64::MAX));
    }

    pub(crate) fn converged(&self, target: &TargetName, took: Duration) {
        self.convergence.of(OfTarget { target: target.to_string() }).observe(took.as_secs_f64());
    }

    /// Begins at nought how often a task ends.
    pub(crate) fn task(&self, task: &str) {
        self.tasks_ended.of(OfTask { task: task.to_owned() });
    }

    pub(crate) fn task_ended(&self, task: &str) {
        self.tasks_ended.of(OfTask { task: task.to_owned() }).inc();
    }

    pub(crate) fn state_error(&self) {
        self.state_errors.inc();
    }

    /// A configuration was taken over.
    pub(crate) fn config_taken(&self, now: Timestamp) {
        self.config_good.set(1);
        self.config_read.set(seconds(now));
    }

    /// A configuration was refused; the one before stays.
    pub(crate) fn config_refused(&self) {
        self.config_good.set(0);
    }
}

impl PassResult {
    fn word(self) -> &'static str {
        match self {
            PassResult::Settled => "settled",
            PassResult::Unsettled => "unsettled",
            PassResult::Failed => "failed",
        }
    }
}

/// Seconds since 1970, as Prometheus has them.
fn seconds(at: Timestamp) -> f64 {
    at.as_duration().as_secs_f64()
}
