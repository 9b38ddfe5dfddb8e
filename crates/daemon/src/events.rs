//! What is worth telling: one struct for each fact, told and counted in one place.

mod backend;
mod fact;
mod own;
mod reporter;
mod server;
mod source;
mod target;
mod task;

use crate::clock;
use crate::metrics::Metrics;

pub(crate) use backend::{
    BackendMissing, BackendTakenOver, ChangesHeld, HoldEnded, InstanceReplaced, LeftOut, Noted,
};
pub(crate) use fact::{About, Fact, Level};
pub(crate) use own::{
    BackendsAdded, FileForeign, FilesBrought, OwnTrouble, ProcessEnded, ProcessServes, ReloadRefused,
    Reloaded, ReloadsSpent, StartFailed,
};
pub(crate) use reporter::Reporter;
pub(crate) use roster_core::cause::chain;
pub(crate) use server::{NotReached, NotReachedMany, NotRemembered};
pub(crate) use source::{
    AnswerLacksMetadata, AnswerTooOld, Answered, Rejected, RejectedMore, SourceLost, StateTrouble,
};
pub(crate) use target::{
    ChangeRefused, Changed, ChangedMany, Converged, NotConverged, Ordered, ProcessReplaced, TargetBack,
    TargetLost, VersionSeen,
};
pub(crate) use task::TaskEnded;

/// A fact that is told and counted.
pub(crate) trait Event: Sized {
    /// How much it matters.
    fn level(&self) -> Level;

    /// Its name, all of it in words, and what it is about.
    fn fact(&self) -> (&'static str, String, About);

    /// Counts it.
    fn count(&self, _metrics: &Metrics) {}

    /// Counts and tells it.
    fn emit(self, to: &Reporter) {
        self.count(to.metrics());
        let level = self.level();
        if to.is_heard(level) {
            let (event, message, about) = self.fact();
            to.tell(Fact { at: clock::wall(), level, event, message, about });
        }
    }
}
