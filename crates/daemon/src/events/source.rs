//! What sources say, and what is kept of it.

use jiff::Timestamp;
use roster_core::instance::{Reject, Snapshot, SourceError};
use roster_haproxy::name::SourceName;

use super::fact::count;
use super::{About, Event, Level, chain};
use crate::hint;
use crate::metrics::Metrics;
use crate::store::StoreError;

/// A source gave a complete answer that differs from the one before.
pub(crate) struct Answered<'a> {
    pub source: &'a SourceName,
    pub snapshot: &'a Snapshot,
}

/// Something in an answer cannot be used.
pub(crate) struct Rejected<'a> {
    pub source: &'a SourceName,
    pub reject: &'a Reject,
}

/// More in an answer cannot be used than is told one by one.
pub(crate) struct RejectedMore<'a> {
    pub source: &'a SourceName,
    pub more: usize,
}

/// A source has no complete answer.
pub(crate) struct SourceLost<'a> {
    pub source: &'a SourceName,
    pub error: &'a SourceError,
    /// Whether there is an older answer to go on with.
    pub known: bool,
}

/// What was kept of a source is too old to be believed.
pub(crate) struct AnswerTooOld<'a> {
    pub source: &'a SourceName,
    pub taken: Timestamp,
}

/// What was kept of a source lacks metadata that rules select by now.
pub(crate) struct AnswerLacksMetadata<'a> {
    pub source: &'a SourceName,
}

/// The state folder does not do.
pub(crate) struct StateTrouble<'a> {
    pub error: &'a StoreError,
}

impl Event for Answered<'_> {
    fn level(&self) -> Level {
        Level::Info
    }

    fn fact(&self) -> (&'static str, String, About) {
        let instances = self.snapshot.count();
        let about = About {
            source: Some(self.source.to_string()),
            services: count(self.snapshot.services.len()),
            instances: count(instances),
            ..About::default()
        };
        ("answered", "answered".into(), about)
    }
}

impl Event for Rejected<'_> {
    fn level(&self) -> Level {
        Level::Warn
    }

    fn fact(&self) -> (&'static str, String, About) {
        let about = About { source: Some(self.source.to_string()), ..About::default() };
        // What is put aside leaves no instance out.
        let what = if self.reject.unread.is_some() { "left out" } else { "not used" };
        ("rejected", format!("{what}: {}", self.reject), about)
    }
}

impl Event for RejectedMore<'_> {
    fn level(&self) -> Level {
        Level::Warn
    }

    fn fact(&self) -> (&'static str, String, About) {
        let about = About { source: Some(self.source.to_string()), ..About::default() };
        let message = format!("not used: {} more{}", self.more, hint::so("status", "tells all of them"));
        ("rejected_more", message, about)
    }
}

impl Event for SourceLost<'_> {
    fn level(&self) -> Level {
        Level::Error
    }

    fn fact(&self) -> (&'static str, String, About) {
        let goes_on =
            if self.known { "the last good answer stays" } else { "nothing is done until it answers" };
        let about = About { source: Some(self.source.to_string()), ..About::default() };
        ("source_lost", format!("{}; {goes_on}", self.error), about)
    }

    fn count(&self, metrics: &Metrics) {
        metrics.source_error(self.source);
    }
}

impl Event for AnswerTooOld<'_> {
    fn level(&self) -> Level {
        Level::Warn
    }

    fn fact(&self) -> (&'static str, String, About) {
        let message = "what it said last is older than `last_good.max_age` and is not believed; nothing is done until \
                       it answers";
        let about =
            About { source: Some(self.source.to_string()), taken: Some(self.taken), ..About::default() };
        ("answer_too_old", message.into(), about)
    }
}

impl Event for AnswerLacksMetadata<'_> {
    fn level(&self) -> Level {
        Level::Info
    }

    fn fact(&self) -> (&'static str, String, About) {
        let message = "what it said last lacks metadata that `select` names now, so it is not used; nothing is done until \
                       the source answers";
        let about = About { source: Some(self.source.to_string()), ..About::default() };
        ("answer_lacks_metadata", message.into(), about)
    }
}

impl Event for StateTrouble<'_> {
    fn level(&self) -> Level {
        Level::Error
    }

    fn fact(&self) -> (&'static str, String, About) {
        let about = About::default();
        ("state_trouble", chain(self.error), about)
    }

    fn count(&self, metrics: &Metrics) {
        metrics.state_error();
    }
}
