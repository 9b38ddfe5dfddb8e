//! What happens to a HAProxy that Roster owns.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use roster_haproxy::name::{BackendName, TargetName};
use roster_targets::managed::process::{Ended, Line};

use super::fact::{count, millis};
use super::{About, Event, Level, chain};
use crate::metrics::Metrics;

/// HAProxy serves: it was started, started again, replaced or adopted.
pub(crate) struct ProcessServes<'a> {
    pub target: &'a TargetName,
    pub master: u32,
    pub worker: u32,
}

/// HAProxy ended, though nobody asked it to.
pub(crate) struct ProcessEnded<'a> {
    pub target: &'a TargetName,
    pub pid: u32,
    pub ended: Ended,
    pub lived: Duration,
    pub restart_in: Duration,
    pub said: &'a [Line],
}

/// HAProxy could not be started.
pub(crate) struct StartFailed<'a> {
    pub target: &'a TargetName,
    pub error: &'a (dyn std::error::Error + 'static),
    pub retry_in: Option<Duration>,
}

/// HAProxy took its file in anew.
pub(crate) struct Reloaded<'a> {
    pub target: &'a TargetName,
    /// Why, in one word for the metric.
    pub word: &'static str,
    /// All reasons.
    pub reasons: &'a [String],
    /// Whether a new master took the place of the old one.
    pub replaced: bool,
    /// None where nobody can say.
    pub old_workers: Option<usize>,
    pub took: Duration,
}

/// Backends were added to the running HAProxy.
pub(crate) struct BackendsAdded<'a> {
    pub target: &'a TargetName,
    pub backends: &'a BTreeSet<BackendName>,
    pub took: Duration,
}

/// Routes and certificates were given to the running HAProxy.
pub(crate) struct FilesBrought<'a> {
    pub target: &'a TargetName,
    pub changed: &'a [String],
    pub took: Duration,
}

/// HAProxy refused the file and goes on with the one before.
pub(crate) struct ReloadRefused<'a> {
    pub target: &'a TargetName,
    pub why: &'a str,
}

/// So many reloads were made that the next one waits.
pub(crate) struct ReloadsSpent<'a> {
    pub target: &'a TargetName,
    pub count: u32,
    pub per: Duration,
    pub again: Duration,
}

/// Somebody else changed the file.
pub(crate) struct FileForeign<'a> {
    pub target: &'a TargetName,
    pub path: &'a Path,
    pub kept: &'a Path,
}

/// Something about a HAProxy that Roster owns could not be done or written.
pub(crate) struct OwnTrouble<'a> {
    pub target: &'a TargetName,
    pub what: &'a str,
}

/// How many backends one line names.
const NAMED: usize = 10;

fn about(target: &TargetName) -> About {
    About { target: Some(target.to_string()), ..About::default() }
}

impl Event for ProcessServes<'_> {
    fn level(&self) -> Level {
        Level::Info
    }

    fn fact(&self) -> (&'static str, String, About) {
        let message = format!("HAProxy serves: master {}, worker {}", self.master, self.worker);
        ("process_serves", message, about(self.target))
    }
}

impl Event for ProcessEnded<'_> {
    fn level(&self) -> Level {
        Level::Error
    }

    fn fact(&self) -> (&'static str, String, About) {
        let mut message = format!("HAProxy (master {}) ended: {}", self.pid, self.ended);
        // It cannot fail: it is memory.
        write!(message, " after {:.1} s", self.lived.as_secs_f64()).ok();
        if let Some(line) = self.said.last() {
            write!(message, "; it said last: {}", line.text).ok();
        }
        message.push_str("; it is started again");
        let about = About { again_ms: millis(self.restart_in), ..about(self.target) };
        ("process_ended", message, about)
    }

    fn count(&self, metrics: &Metrics) {
        metrics.process_ended(self.target);
    }
}

impl Event for StartFailed<'_> {
    fn level(&self) -> Level {
        Level::Error
    }

    fn fact(&self) -> (&'static str, String, About) {
        let about = About { again_ms: self.retry_in.and_then(millis), ..about(self.target) };
        ("start_failed", chain(self.error), about)
    }
}

impl Event for Reloaded<'_> {
    fn level(&self) -> Level {
        Level::Info
    }

    fn fact(&self) -> (&'static str, String, About) {
        let how = if self.replaced { "replaced by a new master" } else { "reloaded" };
        let old = self.old_workers.map(|old| format!("; old processes that finish: {old}"));
        let message = format!("HAProxy was {how}{}", old.unwrap_or_default());
        let about = About {
            reason: Some(self.reasons.join("; ")),
            operations: count(self.reasons.len()),
            dur_ms: millis(self.took),
            ..about(self.target)
        };
        ("reloaded", message, about)
    }

    fn count(&self, metrics: &Metrics) {
        metrics.reloaded(self.target, self.word);
    }
}

impl Event for BackendsAdded<'_> {
    fn level(&self) -> Level {
        Level::Info
    }

    fn fact(&self) -> (&'static str, String, About) {
        let names: Vec<&str> = self.backends.iter().take(NAMED).map(BackendName::as_str).collect();
        let more = if self.backends.len() > NAMED { " and more" } else { "" };
        let message = format!("added while HAProxy runs: backend {}{more}", names.join(", "));
        let about =
            About { operations: count(self.backends.len()), dur_ms: millis(self.took), ..about(self.target) };
        ("backends_added", message, about)
    }

    fn count(&self, metrics: &Metrics) {
        metrics.live(self.target, "backend", self.backends.len());
    }
}

impl Event for FilesBrought<'_> {
    fn level(&self) -> Level {
        Level::Info
    }

    fn fact(&self) -> (&'static str, String, About) {
        let message = format!("changed while HAProxy runs: {}", self.changed.join("; "));
        let about =
            About { operations: count(self.changed.len()), dur_ms: millis(self.took), ..about(self.target) };
        ("files_brought", message, about)
    }

    fn count(&self, metrics: &Metrics) {
        metrics.live(self.target, "file", self.changed.len());
    }
}

impl Event for ReloadRefused<'_> {
    fn level(&self) -> Level {
        Level::Error
    }

    fn fact(&self) -> (&'static str, String, About) {
        let message = format!("{}; HAProxy goes on with what it has", self.why);
        ("reload_refused", message, about(self.target))
    }

    fn count(&self, metrics: &Metrics) {
        metrics.file_refused(self.target);
    }
}

impl Event for ReloadsSpent<'_> {
    fn level(&self) -> Level {
        Level::Warn
    }

    fn fact(&self) -> (&'static str, String, About) {
        let message = format!(
            "{} reloads within {} s are as many as `max_reloads` allows; what needs one more waits",
            self.count,
            self.per.as_secs()
        );
        let about = About { again_ms: millis(self.again), ..about(self.target) };
        ("reloads_spent", message, about)
    }
}

impl Event for FileForeign<'_> {
    fn level(&self) -> Level {
        Level::Warn
    }

    fn fact(&self) -> (&'static str, String, About) {
        let message = format!(
            "somebody else had written {}; that version is kept in {}; change `global`, `defaults` or `sections` of the \
             target instead",
            self.path.display(),
            self.kept.display()
        );
        ("file_foreign", message, about(self.target))
    }
}

impl Event for OwnTrouble<'_> {
    fn level(&self) -> Level {
        Level::Error
    }

    fn fact(&self) -> (&'static str, String, About) {
        ("own_trouble", self.what.to_owned(), about(self.target))
    }
}
