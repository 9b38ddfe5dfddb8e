//! What happens to targets.

use std::collections::BTreeMap;
use std::time::Duration;

use roster_core::applied::ProcessId;
use roster_core::plan::Operation;
use roster_haproxy::cli::Refusal;
use roster_haproxy::cli::known::{OLDEST, known};
use roster_haproxy::name::TargetName;
use roster_haproxy::version::Version;

use super::fact::{count, millis};
use super::{About, Event, Level, chain};
use crate::hint;
use crate::metrics::Metrics;
use crate::orders::Done;

/// An operation was carried out and taken by HAProxy.
pub(crate) struct Changed<'a> {
    pub target: &'a TargetName,
    pub operation: &'a Operation,
    /// Whether it is one of so many that [`ChangedMany`] reports them.
    pub of_many: bool,
}

/// Many operations were carried out and taken by HAProxy.
pub(crate) struct ChangedMany<'a> {
    pub target: &'a TargetName,
    /// How many there were of each kind.
    pub kinds: &'a BTreeMap<&'static str, usize>,
    pub backends: usize,
}

/// An operation was refused by HAProxy.
pub(crate) struct ChangeRefused<'a> {
    pub target: &'a TargetName,
    pub operation: &'a Operation,
    pub refusal: &'a Refusal,
}

/// A pass with changes is over and the read-back agrees.
pub(crate) struct Converged<'a> {
    pub target: &'a TargetName,
    pub operations: usize,
    pub backends: usize,
    /// How many servers still come up or drain.
    pub waiting: usize,
    pub took: Duration,
}

/// HAProxy shows something else than was wanted, however often it was told.
pub(crate) struct NotConverged<'a> {
    pub target: &'a TargetName,
    pub left: usize,
}

/// Another process serves.
pub(crate) struct ProcessReplaced<'a> {
    pub target: &'a TargetName,
    pub before: ProcessId,
    pub after: ProcessId,
}

/// A target cannot be read or written.
pub(crate) struct TargetLost<'a> {
    pub target: &'a TargetName,
    pub error: &'a (dyn std::error::Error + 'static),
    pub again: Duration,
    /// Whether it was told before.
    pub repeated: bool,
}

/// A target answers again.
pub(crate) struct TargetBack<'a> {
    pub target: &'a TargetName,
}

/// A process of this version is kept, for the first time.
pub(crate) struct VersionSeen<'a> {
    pub target: &'a TargetName,
    pub version: Version,
}

/// An operator's order was carried out.
pub(crate) struct Ordered<'a> {
    pub target: &'a TargetName,
    pub done: &'a Done,
}

impl Event for Changed<'_> {
    fn level(&self) -> Level {
        if self.of_many { Level::Debug } else { Level::Info }
    }

    fn fact(&self) -> (&'static str, String, About) {
        let Operation { backend, server, change, why } = self.operation;
        let about = About {
            target: Some(self.target.to_string()),
            backend: Some(backend.to_string()),
            server: Some(server.to_string()),
            op: Some(change.word()),
            reason: Some(why.to_string()),
            ..About::default()
        };
        ("changed", format!("{server}: {change}"), about)
    }
}

impl Event for ChangedMany<'_> {
    fn level(&self) -> Level {
        Level::Info
    }

    fn fact(&self) -> (&'static str, String, About) {
        let operations = self.kinds.values().sum();
        let kinds: Vec<String> = self.kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        let about = About {
            target: Some(self.target.to_string()),
            operations: count(operations),
            backends: count(self.backends),
            ..About::default()
        };
        let message =
            format!("{operations} changes of servers: {}; `log.level: debug` shows each", kinds.join(", "));
        ("changed_many", message, about)
    }
}

impl Event for ChangeRefused<'_> {
    fn level(&self) -> Level {
        Level::Error
    }

    fn fact(&self) -> (&'static str, String, About) {
        let Operation { backend, server, change, why } = self.operation;
        let about = About {
            target: Some(self.target.to_string()),
            backend: Some(backend.to_string()),
            server: Some(server.to_string()),
            op: Some(change.word()),
            reason: Some(why.to_string()),
            ..About::default()
        };
        ("change_refused", format!("{server}: {change}: refused: {}", self.refusal), about)
    }
}

impl Event for Converged<'_> {
    fn level(&self) -> Level {
        Level::Info
    }

    fn fact(&self) -> (&'static str, String, About) {
        let about = About {
            target: Some(self.target.to_string()),
            operations: count(self.operations),
            backends: count(self.backends),
            dur_ms: millis(self.took),
            ..About::default()
        };
        let message = match self.waiting {
            0 => "HAProxy shows what is wanted".to_owned(),
            1 => "all is done that can be done now; 1 server still comes up or drains".to_owned(),
            n => format!("all is done that can be done now; {n} servers still come up or drain"),
        };
        ("converged", message, about)
    }
}

impl Event for NotConverged<'_> {
    fn level(&self) -> Level {
        Level::Error
    }

    fn fact(&self) -> (&'static str, String, About) {
        let about =
            About { target: Some(self.target.to_string()), left: count(self.left), ..About::default() };
        ("not_converged", "HAProxy does not show what it was told; it is tried again later".into(), about)
    }
}

impl Event for ProcessReplaced<'_> {
    fn level(&self) -> Level {
        Level::Warn
    }

    fn fact(&self) -> (&'static str, String, About) {
        let about = About {
            target: Some(self.target.to_string()),
            before: Some(self.before.to_string()),
            after: Some(self.after.to_string()),
            ..About::default()
        };
        ("process_replaced", "HAProxy was restarted or reloaded; everything is looked at again".into(), about)
    }

    fn count(&self, metrics: &Metrics) {
        metrics.process_replaced(self.target);
    }
}

impl Event for TargetLost<'_> {
    fn level(&self) -> Level {
        if self.repeated { Level::Debug } else { Level::Error }
    }

    fn fact(&self) -> (&'static str, String, About) {
        let mut message = chain(self.error);
        if !self.repeated {
            message.push_str("; HAProxy goes on as it is, Roster tries again");
        }
        let about =
            About { target: Some(self.target.to_string()), again_ms: millis(self.again), ..About::default() };
        ("target_lost", message, about)
    }
}

impl Event for TargetBack<'_> {
    fn level(&self) -> Level {
        Level::Info
    }

    fn fact(&self) -> (&'static str, String, About) {
        let about = About { target: Some(self.target.to_string()), ..About::default() };
        ("target_back", "HAProxy answers again".into(), about)
    }
}

impl Event for VersionSeen<'_> {
    fn level(&self) -> Level {
        if self.version < OLDEST { Level::Warn } else { Level::Info }
    }

    fn fact(&self) -> (&'static str, String, About) {
        let version = self.version;
        let about = About {
            target: Some(self.target.to_string()),
            version: Some(version.to_string()),
            ..About::default()
        };
        let limits = match known(version).count() {
            _ if version < OLDEST => format!("; it is older than {OLDEST}, with which Roster is not tested"),
            0 => String::new(),
            1 => {
                format!("; one limit of its version matters to Roster{}", hint::so("status", "tells it"))
            }
            n => {
                format!("; {n} limits of its version matter to Roster{}", hint::so("status", "tells them"))
            }
        };
        ("version_seen", format!("HAProxy answers{limits}"), about)
    }
}

impl Event for Ordered<'_> {
    fn level(&self) -> Level {
        Level::Warn
    }

    fn fact(&self) -> (&'static str, String, About) {
        let Done { backend, server, message, .. } = self.done;
        let about = About {
            target: Some(self.target.to_string()),
            backend: Some(backend.to_string()),
            server: server.as_ref().map(ToString::to_string),
            ..About::default()
        };
        ("ordered", format!("by an operator's order: {message}"), about)
    }
}
